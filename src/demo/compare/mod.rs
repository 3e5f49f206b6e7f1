//! What the sinks hold in the end, against what is true of the tenant, subject by subject.
//!
//! The sinks are read with clients of their own, not through goldwire.

mod salesforce;
mod warehouse;

pub(super) use salesforce::compare as salesforce;
pub(super) use warehouse::compare as warehouse;

use std::collections::BTreeSet;

use super::tenant::Truth;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The sink.
    pub sink: &'static str,
    /// Whom it is about.
    pub subject: String,
    /// What is expected, and what was found.
    pub what: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.sink, self.subject, self.what)
    }
}

/// What a comparison came to.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Things looked at.
    pub compared: usize,
    /// Those that differ.
    pub differences: Vec<Difference>,
}

impl Comparison {
    fn look(&mut self, sink: &'static str, subject: &str, problem: Option<String>) {
        self.compared += 1;
        if let Some(what) = problem {
            let subject = subject.to_owned();
            self.differences.push(Difference { sink, subject, what });
        }
    }
}

/// Everybody who ever took `loser` over, directly or by taking over its winner.
fn ever_by(truth: &Truth, loser: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next = vec![loser.to_owned()];
    while let Some(uri) = next.pop() {
        for merge in truth.merges.iter().filter(|merge| merge.loser == uri) {
            if found.insert(merge.winner.clone()) {
                next.push(merge.winner.clone());
            }
        }
    }
    found
}
