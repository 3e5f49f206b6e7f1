//! The statements, one text for both databases. What makes the tables exact is here, in SQL, and
//! not in what this process remembers.

mod current;
mod history;
mod merges;

use super::dialect::{Dialect, Name, Type};
use super::staging::Staging;
use crate::sink::columns::Columns;

pub(super) use current::Current;
pub(super) use history::History;
pub(super) use merges::Merges;

/// Everything that is ever run against the tables.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) staging: Staging,
    pub(super) records: Current,
    pub(super) relations: Current,
    pub(super) history: History,
    pub(super) merges: Merges,
}

impl Statements {
    pub(super) fn new(dialect: Dialect, columns: &Columns) -> Self {
        let staging = Staging::new(columns.count());
        Self {
            records: Current::new(dialect, "golden_records", columns, &staging),
            relations: Current::new(dialect, "relations", columns, &staging),
            history: History::new(dialect, columns, &staging),
            merges: Merges::new(dialect, &staging),
            staging,
        }
    }
}

const KEY: [(&str, Type); 2] = [("tenant", Type::Text), ("subject", Type::Text)];

fn names(columns: &[(Name, Type)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_ref()).collect();
    names.join(", ")
}
