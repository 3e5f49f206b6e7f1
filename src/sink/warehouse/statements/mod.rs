//! The statements, one text for both databases. What makes the tables exact is here, in SQL, and
//! not in what this process remembers.

mod current;
mod history;
mod merges;

use super::dialect::{Dialect, Type};

pub(super) use current::Current;
pub(super) use history::History;
pub(super) use merges::Merges;

/// Everything that is ever run against the tables.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) records: Current,
    pub(super) relations: Current,
    pub(super) history: History,
    pub(super) merges: Merges,
}

impl Statements {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            records: Current::new(dialect, "golden_records", false),
            relations: Current::new(dialect, "relations", true),
            history: History::new(dialect),
            merges: Merges::new(dialect),
        }
    }
}

type Columns = Vec<(&'static str, Type)>;

const KEY: [(&str, Type); 2] = [("tenant", Type::Text), ("subject", Type::Text)];

fn names(columns: &[(&'static str, Type)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}
