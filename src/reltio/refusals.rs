//! Whether a read fails for its subject's sake, or because nothing can be read.
//!
//! Guarantee (G6): what cannot be read while others can is given up, and its record goes to dead
//! letters: one subject holds back no one without end. Where nothing is answered, nothing is given up.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Answer, ReltioError};

/// A subject is given up after so many failures, others having been answered between each two.
const TIMES: u32 = 5;
/// So many subjects at most are kept account of (G8).
const SUBJECTS: usize = 10_000;

/// Which subjects fail while others are answered.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    account: Mutex<Account>,
}

#[derive(Debug, Default)]
struct Account {
    answers: u64,
    failing: HashMap<String, Failing>,
}

#[derive(Debug, Default)]
struct Failing {
    times: u32,
    /// Answers there had been by the last failure that counts.
    answers: u64,
}

impl Refusals {
    /// Books how a read ended; an error that is the subject's own becomes a rejection.
    pub(super) fn book(
        &self,
        subject: &str,
        result: Result<Answer, ReltioError>,
    ) -> Result<Answer, ReltioError> {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(ReltioError::Unavailable { code } | ReltioError::Refused { code, .. }) = &result
        else {
            account.failing.remove(subject);
            account.answers += u64::from(result.is_ok());
            return result;
        };
        if account.fails(subject) < TIMES {
            return result;
        }
        account.failing.remove(subject);
        tracing::error!(
            "Reltio answers for others, but not for one object: {code}; its record goes to dead \
             letters. Let the client's role read all types, then redrive it"
        );
        Err(ReltioError::Rejected { code: code.clone() })
    }
}

impl Account {
    /// How often the subject failed, this time included.
    fn fails(&mut self, subject: &str) -> u32 {
        if self.failing.len() >= SUBJECTS && !self.failing.contains_key(subject) {
            return 0;
        }
        let failing = self.failing.entry(subject.to_owned()).or_default();
        if failing.times == 0 || self.answers > failing.answers {
            failing.times += 1;
            failing.answers = self.answers;
        }
        failing.times
    }
}

#[cfg(test)]
mod tests {
    use super::super::Found;
    use super::*;

    /// Books a refusal; tells whether the subject is given up.
    fn refused(refusals: &Refusals, subject: &str) -> bool {
        let refused = ReltioError::Refused {
            code: "403".to_owned(),
            remedy: String::new(),
        };
        let booked = refusals.book(subject, Err(refused));
        matches!(booked, Err(ReltioError::Rejected { code }) if code == "403")
    }

    fn answered(refusals: &Refusals, subject: &str) {
        let answer = Answer {
            date: 0,
            found: Found::Nothing,
        };
        assert!(refusals.book(subject, Ok(answer)).is_ok());
    }

    #[test]
    fn g6_a_subject_that_fails_while_others_are_answered_is_given_up() {
        let refusals = Refusals::default();
        for _ in 1..TIMES {
            assert!(!refused(&refusals, "entities/a"));
            answered(&refusals, "entities/b");
        }
        assert!(refused(&refusals, "entities/a"));
        assert!(!refused(&refusals, "entities/a"), "it is counted again");
    }

    #[test]
    fn where_nothing_is_answered_nothing_is_given_up() {
        let refusals = Refusals::default();
        answered(&refusals, "entities/b");
        for _ in 0..100 {
            for subject in ["entities/a", "entities/b"] {
                assert!(!refused(&refusals, subject));
            }
        }
    }

    #[test]
    fn an_answer_ends_the_account_of_its_subject() {
        let refusals = Refusals::default();
        for _ in 0..100 {
            assert!(!refused(&refusals, "entities/a"));
            answered(&refusals, "entities/a");
        }
    }
}
