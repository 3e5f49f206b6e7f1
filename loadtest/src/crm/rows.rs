//! What the org took, as lines of JSON that name their events.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};

use loadtest::fake_salesforce::Table;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::throughput::event::{Event, Uri};

/// The field in which a consumer sends an event's own name.
pub(super) const NAME: &str = "Seq__c";
/// So many rows are written before the file is flushed, at most.
const AT_ONCE: usize = 1000;

/// Writes the rows that are taken until the org is gone: how many there were.
pub(super) fn keep(
    mut taken: UnboundedReceiver<Map<String, Value>>,
    file: Option<File>,
    table: &Table,
) -> io::Result<u64> {
    let mut out = file.map(BufWriter::new);
    let (mut rows, mut some) = (0, Vec::new());
    while taken.blocking_recv_many(&mut some, AT_ONCE) > 0 {
        for row in some.drain(..) {
            rows += 1;
            let Some(out) = &mut out else { continue };
            if let Some(line) = line(table, row) {
                writeln!(out, "{line}")?;
            }
        }
        if let Some(out) = &mut out {
            out.flush()?;
        }
    }
    Ok(rows)
}

/// What is written of a row: the row, and the name of the event that it shows. Nothing where it only
/// takes the external id off a record: that is a step on the way, and shows no event yet.
fn line(table: &Table, mut row: Map<String, Value>) -> Option<Value> {
    row.remove("attributes");
    let is_archived = row.get(&table.archived) == Some(&Value::Bool(true));
    let only_frees =
        row.get(&table.ext) == Some(&Value::Null) && !is_archived && !row.contains_key(NAME);
    if only_frees {
        return None;
    }
    let name = row.get(NAME).and_then(Value::as_str);
    let name = name.map(ToOwned::to_owned).or_else(|| {
        let event = dated(table, &row).filter(|_| is_archived)?;
        Some(format!("{}@{}", event.uri(), event.version))
    });
    Some(json!({ "name": name, "row": row }))
}

/// The event of a row without its name, as of an entity that was removed: by who wrote it, and the
/// time that its content stands for.
fn dated(table: &Table, row: &Map<String, Value>) -> Option<Event> {
    let text = |field: &str| row.get(field).and_then(Value::as_str);
    let entity = text(&table.mark).or_else(|| text(&table.ext))?;
    let time = row.get(&table.guard)?.as_u64()?;
    Event::at(Uri::entity(entity)?, time)
}

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::*;

    fn line_of(row: Value) -> Option<Value> {
        let Value::Object(row) = row else {
            panic!("{row} is no object")
        };
        line(&table(), row)
    }

    fn name_of(row: Value) -> Value {
        line_of(row).unwrap()["name"].clone()
    }

    #[test]
    fn a_row_is_named_by_its_own_field_or_else_by_who_wrote_it_and_its_time() {
        let row = json!({ "Reltio_URI__c": "entities/000001f", "Seq__c": "entities/000001f@7" });
        assert_eq!(name_of(row), "entities/000001f@7");
        let event = Event {
            entity: 0x1f,
            version: 8,
        };
        let archived = json!({
            "Reltio_URI__c": null, "Reltio_Archived__c": true,
            "Reltio_Writer__c": "entities/000001f", "Reltio_Guard__c": event.commit_time(),
        });
        assert_eq!(name_of(archived), "entities/000001f@8");
    }

    #[test]
    fn a_row_that_names_no_event_stays_a_line_so_that_it_is_found() {
        let row = json!({ "Reltio_URI__c": "entities/000001f", "LastName": "Lovelace" });
        assert_eq!(name_of(row), Value::Null);
        let odd = json!({
            "Reltio_Archived__c": true, "Reltio_Writer__c": "entities/000001f", "Reltio_Guard__c": 5,
        });
        assert_eq!(name_of(odd), Value::Null);
    }

    #[test]
    fn a_row_that_only_frees_the_external_id_shows_nothing() {
        let row = json!({
            "id": "003FK0000000001AAA", "Reltio_URI__c": null, "Reltio_Writer__c": "entities/000001f",
            "Reltio_Guard__c": 5,
        });
        assert_eq!(line_of(row), None);
    }

    #[test]
    fn every_row_is_counted_and_those_that_show_an_event_are_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.ndjson");
        let (told, taken) = tokio::sync::mpsc::unbounded_channel();
        for row in [
            json!({ "Seq__c": "entities/000001f@1" }),
            json!({ "Reltio_URI__c": null }),
            json!({ "Seq__c": "entities/000001f@2" }),
        ] {
            told.send(row.as_object().unwrap().clone()).unwrap();
        }
        drop(told);
        assert_eq!(
            keep(taken, Some(File::create(&path).unwrap()), &table()).unwrap(),
            3
        );
        let text = std::fs::read_to_string(&path).unwrap();
        let names: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["name"].clone())
            .collect();
        assert_eq!(names, ["entities/000001f@1", "entities/000001f@2"]);
    }
}
