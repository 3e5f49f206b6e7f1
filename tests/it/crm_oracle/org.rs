//! The fake org without a socket: what the sink's requests come to, at once. For models that keep
//! time and trouble themselves.
//!
//! Everything between the procedure and the org is the product's own: queries, rows, and what the
//! answers mean.

use std::collections::BTreeSet;

use goldwire::sink::SinkError;
use goldwire::sink::salesforce::{
    Record, RecordWrite, Sought, Table, Written, answer, queries, record, row,
};
use loadtest::fake_salesforce::{FakeObject, Field, Kind};

/// Contacts with two fields of content.
#[derive(Debug)]
pub(crate) struct Contacts {
    pub(crate) fake: FakeObject,
    pub(super) table: Table,
    columns: BTreeSet<String>,
}

impl Contacts {
    /// The object of contacts as the sink's schema says.
    pub(crate) fn new() -> Self {
        let name = |text: &str| text.to_owned();
        let table = Table {
            sobject: name("Contact"),
            ext: name("ext"),
            mark: name("mark"),
            home: name("home"),
            archived: name("archived"),
            merged_into: name("into"),
            guard: name("guard"),
        };
        let content = [
            ("of", Field::of(Kind::Text(80))),
            ("index", Field::of(Kind::Number)),
        ];
        Self {
            fake: FakeObject::new(fake_table(&table), "003", &content),
            columns: content.iter().map(|(name, _)| (*name).to_owned()).collect(),
            table,
        }
    }

    /// What the sink's query finds.
    pub(crate) fn find(&self, sought: &Sought) -> Vec<Record> {
        let (table, columns) = (&self.table, &self.columns);
        let queries = queries(table, columns.iter(), &[sought]);
        let mut found: Vec<Record> = queries
            .iter()
            .flat_map(|query| self.fake.query(query).unwrap())
            .filter_map(|row| record(table, columns, &row))
            .filter(|record| sought.finds(record))
            .collect();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        found.dedup_by(|one, other| one.id == other.id);
        found
    }

    /// Every record, as the sink reads one.
    pub(crate) fn read(&self) -> Vec<Record> {
        let sought = Sought {
            entity: String::new(),
            homes: false,
            ids: self
                .fake
                .records()
                .map(|record| record.id.clone())
                .collect(),
        };
        self.find(&sought)
    }

    /// What the sink's write comes to.
    pub(crate) fn write(&mut self, write: &RecordWrite) -> Result<Written, SinkError> {
        let sent = row(&self.table, write);
        let answered = self.fake.write(sent.as_object().unwrap());
        answer(&answered.unwrap(), &self.table, write.action)
    }
}

/// The object's fields as the org's administrator adds them.
pub(crate) fn fake_table(table: &Table) -> loadtest::fake_salesforce::Table {
    let Table {
        sobject,
        ext,
        mark,
        home,
        archived,
        merged_into,
        guard,
    } = table.clone();
    loadtest::fake_salesforce::Table {
        sobject,
        ext,
        mark,
        home,
        archived,
        merged_into,
        guard,
    }
}
