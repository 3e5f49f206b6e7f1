//! The dead letters of refused writes.
//!
//! Guarantee (G2): a refused record has its outcome when its letter is durable.

use super::task::Context;
use super::work::{Refusal, Tries, Work};
use crate::dead_letter::DeadLetter;
use crate::event::Record;
use crate::log::Share;

/// Makes the letters of these writes durable.
pub(crate) async fn write(context: &Context, refused: &[(Work, Refusal)]) {
    let sink = context.deliverer.sink.name();
    let letters: Vec<DeadLetter> = refused
        .iter()
        .flat_map(|(work, refusal)| {
            let records = work.records.iter();
            records.map(|pending| letter(sink, &pending.record, refusal, &work.tries))
        })
        .collect();
    if !letters.is_empty() {
        let log = (&context.log, Share::Sinks);
        crate::dead_letter::write(context.letters.as_ref(), log, &letters).await;
    }
}

fn letter(sink: &str, record: &Record, refusal: &Refusal, tries: &Tries) -> DeadLetter {
    let origin = record.to_message().origin.unwrap_or_default();
    DeadLetter {
        id: record.id().to_owned(),
        sink: sink.to_owned(),
        round: record.round(),
        source: origin.source,
        topic: origin.topic,
        partition: origin.partition,
        offset: origin.offset,
        tenant: record.tenant().to_owned(),
        subject: record.subject().to_owned(),
        object_type: record.object_type().to_owned(),
        kind: record.kind().into(),
        version: record.version(),
        commit_time: record.commit_time(),
        stage: "deliver".to_owned(),
        action: refusal.action.clone(),
        reason: refusal.reason.to_owned(),
        code: refusal.code.clone(),
        detail: detail(&refusal.code).to_owned(),
        fields: refusal.fields.clone(),
        attempts: tries.attempts,
        first_time: tries.first_time,
        last_time: tries.last_time,
        processor: env!("CARGO_PKG_VERSION").to_owned(),
        original: record.bytes().clone(),
        ..DeadLetter::default()
    }
}

/// What the engine's own codes mean, in a sentence; those of sinks and of Reltio are theirs.
fn detail(code: &str) -> &'static str {
    match code {
        "no_object" => "`object` is nested too deeply to be read, or is not JSON",
        "no_clocks" => "the erasure has neither `objectVersion` nor `commitTime`",
        "no_reltio_api" => "the event leaves `object` out, and `reltio` is not configured",
        "unclean_stops" => "the process ended without a shutdown while it held this record",
        _ => "",
    }
}
