//! A configuration without what comes from outside of it: variables and secrets that are not there.
//!
//! Guarantee: what is not known is asked for by name before it is used; the text that stands in its
//! place, `${NAME}`, is shown at most.

use std::collections::BTreeSet;

use super::path::Path;
use super::{LoadError, Problem, Problems};

/// A configuration, and what of it is not known here.
#[derive(Debug, Clone)]
pub struct Loose<T> {
    /// The configuration; where a variable is not set, its text is `${NAME}`.
    pub config: T,
    pub(super) unknown: Vec<Problem>,
}

impl<T> Loose<T> {
    /// That what stands at `path`, a dotted path such as `admin.token`, and below it is known.
    ///
    /// # Errors
    /// A problem for each variable that has to be set first, and each file that cannot be read.
    pub fn need(&self, path: &str) -> Result<(), LoadError> {
        let within = |problem: &&Problem| {
            let rest = problem.path.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let missing: Vec<_> = self.unknown.iter().filter(within).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(LoadError(missing))
    }
}

/// Takes from `problems` those with variables that are not set, unless the schema refuses the text
/// that stays in the value's place.
pub(super) fn unknown(
    unset: &BTreeSet<Path>,
    refused: &Problems,
    problems: &mut Problems,
) -> Vec<Problem> {
    let unset: BTreeSet<String> = unset.iter().map(ToString::to_string).collect();
    let may_stay = |problem: &mut Problem| {
        let refused = refused.0.iter().any(|other| other.path == problem.path);
        unset.contains(&problem.path) && !refused
    };
    problems.0.extract_if(.., may_stay).collect()
}
