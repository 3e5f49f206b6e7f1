//! Reads of Reltio for what is in doubt, and the write that follows from an answer.

use std::sync::Arc;

use super::lane::{self, Asked};
use super::outcome::Outcome;
use super::read_budget::Answered;
use super::task::Context;
use super::work::{Purpose, Refusal, Work};
use crate::event::{State, Subject, SubjectState};
use crate::reltio::{Answer, Found, ReltioError, late_enough, until_answered};
use crate::sink::Current;
use crate::store::Register;

/// What a read came to: a write, and why it is refused if Reltio cannot answer.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) work: Work,
    pub(crate) refusal: Option<Refusal>,
}

/// Reads Reltio; the answer is to be written as the newest. It keeps its room until then.
pub(crate) async fn answer(
    context: &Context,
    subject: Subject,
    register: Option<Register>,
    asked: Asked,
    mut room: Option<Answered>,
) -> Read {
    let Asked { mut records, due } = asked;
    let purpose = if records.is_empty() {
        Purpose::Reassert
    } else {
        Purpose::Answer
    };
    for pending in &mut records {
        pending.outcome = Outcome::Answered;
    }
    let mut work = Work::new(&subject, purpose);
    let read = late_enough(due, context.rules.settle, || read(context, &subject)).await;
    let answer = match read {
        Ok(answer) => answer,
        Err(refusal) => {
            work.records = records;
            work.tries.attempts = 1;
            work.tries.first_time = context.deliverer.clock.now();
            work.tries.last_time = work.tries.first_time;
            let refusal = Some(refusal);
            return Read { work, refusal };
        }
    };
    if let (Some(room), Found::Alive(object)) = (&mut room, &answer.found) {
        room.came(object.weight());
    }
    let state = lane::cause_of_death(register.as_ref(), &records, state_of(&answer));
    let after = lane::answered(
        register.as_ref(),
        &records,
        &state,
        answer.date,
        context.rules,
    );
    let mut told = records.iter().map(|pending| pending.record.state());
    work.current = Some(Current {
        erased: told.any(|state| state == State::Erased),
        state,
        content_time: after.content_time,
        version: after.version,
        fields: None,
    });
    work.after = Some(after);
    work.records = records;
    work.room = room;
    let refusal = None;
    Read { work, refusal }
}

/// Reads until there is an answer, or a reason why there will be none for this subject.
async fn read(context: &Context, subject: &Subject) -> Result<Answer, Refusal> {
    let Some(reltio) = &context.reltio else {
        return Err(Refusal::without_send("unreadable", "no_reltio_api", "read"));
    };
    let answer = until_answered(subject.uri(), async || {
        let result = reltio.read(subject.uri()).await;
        context.deliverer.metrics.read("ask", read_label(&result));
        result
    });
    let answer = answer.await;
    answer.map_err(|code| Refusal::without_send("unreadable", &code, "read"))
}

/// How a read ended, as the metric calls it.
pub(crate) fn read_label(result: &Result<Answer, ReltioError>) -> &'static str {
    match result {
        Ok(answer) => match answer.found {
            Found::Alive(_) => "found",
            Found::Survivor(_) => "survivor",
            Found::Nothing => "nothing",
        },
        Err(ReltioError::Refused { .. }) => "refused",
        Err(ReltioError::Unavailable { .. } | ReltioError::Rejected { .. }) => "failed",
    }
}

/// What an answer says of the subject that was asked for.
pub(crate) fn state_of(answer: &Answer) -> SubjectState {
    match &answer.found {
        Found::Alive(object) => SubjectState::Alive(Arc::clone(object)),
        Found::Survivor(object) => SubjectState::Absorbed {
            by: object.uri().map(ToOwned::to_owned),
        },
        Found::Nothing => SubjectState::Gone,
    }
}
