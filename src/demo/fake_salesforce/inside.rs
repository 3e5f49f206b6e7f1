//! The org without a socket: what the sink's requests come to, at once. For models that keep time
//! and trouble themselves.
//!
//! Everything between the procedure and the org is the product's own: queries, rows, and what the
//! answers mean.

use std::collections::BTreeSet;

use serde_json::Value;

use super::org::FakeObject;
use super::soql;
use crate::sink::SinkError;
use crate::sink::salesforce::{Record, Sought, Write, Written, answer, queries, record, row};

impl FakeObject {
    fn mapped(&self) -> BTreeSet<String> {
        let own = self.table.fields();
        let names = self.fields.keys();
        names
            .filter(|name| !own.contains(&name.as_str()))
            .cloned()
            .collect()
    }

    /// What the sink's query finds.
    pub fn find(&self, sought: &Sought) -> Vec<Record> {
        let columns = self.mapped();
        let queries = queries(&self.table, columns.iter(), std::slice::from_ref(sought));
        let mut found: Vec<Record> = queries
            .iter()
            .filter_map(|query| soql::run(query, |_| Some(self)).ok())
            .flatten()
            .filter_map(|row| record(&self.table, &columns, &row))
            .filter(|record| sought.finds(record))
            .collect();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        found.dedup_by(|one, other| one.id == other.id);
        found
    }

    /// Every record, as the sink reads one.
    pub fn read(&self) -> Vec<Record> {
        let sought = Sought {
            entity: String::new(),
            homes: false,
            ids: self.records.keys().cloned().collect(),
        };
        self.find(&sought)
    }

    /// What the sink's write comes to.
    ///
    /// # Errors
    /// As the row's answer says.
    pub fn write(&mut self, write: &Write) -> Result<Written, SinkError> {
        let sent = row(&self.table, write);
        let sent = sent.as_object().cloned().unwrap_or_default();
        if let Err((code, _)) = self.parses(&sent) {
            return Err(SinkError::Rejected {
                code: code.to_owned(),
                fields: Vec::new(),
                action: write.action,
            });
        }
        let answered: Value = match write.id {
            None => self.create(&sent),
            Some(_) => self.update(&sent),
        };
        answer(&answered, &self.table, write.action)
    }
}
