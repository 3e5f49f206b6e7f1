//! What the sinks hold in the end, against what is true of the tenant, subject by subject.
//!
//! The sinks are read with clients of their own, not through goldwire.

mod cache;
mod lake;
mod salesforce;
mod snowflake;
mod warehouse;

pub use cache::compare as cache;
pub use lake::compare as lake;
pub use salesforce::compare as salesforce;
pub use snowflake::compare as snowflake;
pub use warehouse::compare as warehouse;

use std::collections::BTreeSet;

use crate::tenant::Truth;

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
            self.differences.push(Difference {
                sink,
                subject,
                what,
            });
        }
    }
}

/// The dead letters: every message that no one can decode, once; erasures that do not say when they
/// were, at the sinks `dated`, whose rows need it; and nothing else.
pub fn letters(
    found: &[(String, usize)],
    (malformed, undated): (usize, usize),
    dated: &[&'static str],
) -> Comparison {
    let mut comparison = Comparison::default();
    let (ingest, others): (Vec<_>, Vec<_>) = found
        .iter()
        .partition(|(name, _)| name.starts_with("ingest, un"));
    let kept: usize = ingest.iter().map(|(_, letters)| letters).sum();
    let wrong = (kept != malformed).then(|| format!("should be {malformed}, are {kept}"));
    comparison.look("ingest", "undecodable messages", wrong);
    for sink in dated {
        let name = format!("{sink}, unreadable");
        let of_it = others.iter().find(|(found, _)| *found == name);
        let kept = of_it.map_or(0, |(_, letters)| *letters);
        let wrong = (kept != undated).then(|| format!("should be {undated}, are {kept}"));
        comparison.look(sink, "erasures without clocks", wrong);
    }
    let known = |name: &str| {
        let sink = name.strip_suffix(", unreadable");
        sink.is_some_and(|sink| dated.contains(&sink))
    };
    for (name, letters) in others.into_iter().filter(|(name, _)| !known(name)) {
        let wrong = format!("{letters} that should not be there");
        comparison.look("dead letters", name, Some(wrong));
    }
    comparison
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
