//! Problems of a configuration: each with its path, the value and the remedy.

use std::fmt;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Dotted path: `sinks.crm.salesforce.login_url`; list items as `[0]`.
    pub path: String,
    /// What was found there, in short and never a secret; empty if the key is missing.
    pub found: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.found.is_empty() {
            write!(f, "{}: {}", self.path, self.remedy)
        } else {
            write!(f, "{}: found {}; {}", self.path, self.found, self.remedy)
        }
    }
}

/// All problems found so far.
#[derive(Debug, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Notes a problem.
    pub fn add(
        &mut self,
        path: impl Into<String>,
        found: impl fmt::Display,
        remedy: impl Into<String>,
    ) {
        self.0.push(Problem {
            path: path.into(),
            found: found.to_string(),
            remedy: remedy.into(),
        });
    }
}
