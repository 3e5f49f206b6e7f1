//! One batch on its way to the sink, beside the task's loop.
//!
//! Guarantee: what may stop the process is noted just before it is sent, and waiting for the gate
//! comes before that. What is only gathered passes no gate: its piece does.

use std::sync::Arc;

use super::checkpoint::Checkpoint;
use super::deliverer::Answers;
use super::isolation::PATIENCE;
use super::lane::Pending;
use super::task::{Context, Event};
use super::work::{NO_OFFSET, Work};
use crate::telemetry::SinkMetrics;

/// Waits for the gate, sends, and judges the answers. `notes`: what is sent has to be noted there.
pub(super) async fn send(
    context: Context,
    metrics: SinkMetrics,
    notes: Option<Arc<dyn Checkpoint>>,
    batch: Vec<Work>,
) -> Event {
    let Some(first) = batch.first() else {
        return Event::Again(batch);
    };
    if context.deliverer.pieces.is_none() {
        context.deliverer.gate.pass(&first.subject).await;
    }
    let records = batch.iter().flat_map(|work| &work.records);
    let alone = records.clone().any(|pending| pending.blame.suspect);
    let sent = records.filter(|pending| pending.offset != NO_OFFSET);
    let deaths = |it: &Pending| (it.offset, it.blame.deaths + u32::from(alone));
    let sent: Vec<(u64, u32)> = sent.map(deaths).collect();
    let offsets: Vec<u64> = sent.iter().map(|(offset, _)| *offset).collect();
    let turn = context.isolation.enter(alone).await;
    if let Some(notes) = &notes
        && let Err(error) = notes.note(sent).await
    {
        tracing::error!("what is sent could not be noted: {error}");
    }
    let (batch, answers) = if alone {
        let sent = send_alone(&context, notes.as_deref(), batch, &offsets).await;
        drop(turn);
        sent
    } else {
        let sent = context.deliverer.send(batch).await;
        drop(turn);
        sent
    };
    let to_forget = notes.map(|_| offsets).unwrap_or_default();
    let judged = context.deliverer.judge(batch, answers, &metrics);
    Event::Sent(Box::new(judged), to_forget)
}

/// Sends a suspect, whose note goes as soon as its send ended, or lasts too long to be to blame.
async fn send_alone(
    context: &Context,
    notes: Option<&dyn Checkpoint>,
    batch: Vec<Work>,
    offsets: &[u64],
) -> (Vec<Work>, Answers) {
    let send = context.deliverer.send(batch);
    tokio::pin!(send);
    let in_time = tokio::time::timeout(PATIENCE, &mut send).await.ok();
    if let Some(notes) = notes
        && let Err(error) = notes.forget(offsets.to_vec()).await
    {
        tracing::error!("a note could not be removed: {error}");
    }
    match in_time {
        Some(answered) => answered,
        None => send.await,
    }
}
