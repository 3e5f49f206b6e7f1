//! The CRM: which Contact stands for whom, with which content, and what became of the others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Comparison;
use crate::fake_salesforce::FakeRecord;
use crate::tenant::{End, SALESFORCE_SOURCE, Truth};

const SINK: &str = "crm";

/// What a Contact is in the end.
#[derive(Debug, PartialEq)]
struct Fate<'a> {
    stands_for: Option<&'a str>,
    archived: bool,
    merged_into: Option<&'a str>,
}

/// Compares the org's Contacts with the truth.
pub fn compare(records: &[FakeRecord], truth: &Truth) -> Comparison {
    let mut comparison = Comparison::default();
    let ids: BTreeSet<&str> = records.iter().map(|record| record.id.as_str()).collect();
    let people: BTreeMap<&str, &Value> = truth
        .alive()
        .filter(|(_, object)| is_person(object))
        .map(|(uri, object)| (uri, object.as_ref()))
        .collect();
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    let mut chosen: BTreeMap<&str, &str> = BTreeMap::new();
    for (uri, object) in &people {
        let named = contacts(object);
        for id in &named {
            owners.insert(id.clone(), *uri);
        }
        let by_crosswalk = named.iter().find_map(|id| ids.get(id.as_str()).copied());
        let home = || {
            let mut at_home = records
                .iter()
                .filter(|record| text(record, "Reltio_Home__c") == Some(*uri));
            at_home.next().map(|record| record.id.as_str())
        };
        let problem = match by_crosswalk.or_else(home) {
            None => Some("lives, and has no Contact".to_owned()),
            Some(id) => {
                chosen.insert(uri, id);
                let record = records.iter().find(|record| record.id == id);
                record.and_then(|record| content(record, object))
            }
        };
        comparison.look(SINK, uri, problem);
    }
    for record in records {
        let problem = fate_of(record, truth, &owners, &chosen);
        comparison.look(SINK, &record.id, problem);
    }
    comparison
}

fn fate_of(
    record: &FakeRecord,
    truth: &Truth,
    owners: &BTreeMap<String, &str>,
    chosen: &BTreeMap<&str, &str>,
) -> Option<String> {
    let owner = owners.get(&record.id).copied().or_else(|| {
        let home = text(record, "Reltio_Home__c")?;
        survivor(truth, home)
    });
    let found = Fate {
        stands_for: text(record, "Reltio_Id__c"),
        archived: record.fields.get("Reltio_Archived__c") == Some(&Value::Bool(true)),
        merged_into: text(record, "Reltio_Merged_Into__c"),
    };
    let expected = match owner.map(|owner| (owner, chosen.get(owner).copied())) {
        Some((owner, Some(id))) if id == record.id => Fate {
            stands_for: Some(owner),
            archived: false,
            merged_into: None,
        },
        Some((_, into)) => Fate {
            stands_for: None,
            archived: true,
            merged_into: into,
        },
        // No one's, and goldwire never had a reason to look at it.
        None if record.ever_by.is_empty() => return None,
        None => Fate {
            stands_for: None,
            archived: true,
            merged_into: None,
        },
    };
    (found != expected).then(|| format!("should be {expected:?}, is {found:?}"))
}

/// Who answers for an entity in the end, if anybody does.
fn survivor<'a>(truth: &'a Truth, uri: &'a str) -> Option<&'a str> {
    match truth.ends.get(uri)? {
        End::Alive(_) => Some(uri),
        End::Absorbed { survivor, .. } => survivor.as_deref(),
        End::Removed | End::Erased => None,
    }
}

fn is_person(object: &Value) -> bool {
    object.get("type").and_then(Value::as_str) == Some("configuration/entityTypes/Individual")
}

/// The Contacts that an entity's crosswalks name, the earliest first.
fn contacts(object: &Value) -> Vec<String> {
    let member = |crosswalk: &Value, name: &str| {
        crosswalk
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let source = format!("configuration/sources/{SALESFORCE_SOURCE}");
    let all = object.get("crosswalks").and_then(Value::as_array);
    let mut named: Vec<(String, String)> = all
        .into_iter()
        .flatten()
        .filter(|crosswalk| member(crosswalk, "type") == source)
        .map(|crosswalk| (member(crosswalk, "createDate"), member(crosswalk, "value")))
        .collect();
    named.sort();
    named.into_iter().map(|(_, value)| value).collect()
}

fn text<'a>(record: &'a FakeRecord, field: &str) -> Option<&'a str> {
    record
        .fields
        .get(field)?
        .as_str()
        .filter(|text| !text.is_empty())
}

/// Which of the mapped fields is not one of the golden record's operational values.
fn content(record: &FakeRecord, object: &Value) -> Option<String> {
    let fields = [
        ("FirstName", vec!["FirstName"]),
        ("LastName", vec!["LastName"]),
        ("Email", vec!["Email"]),
        ("MailingCity", vec!["Address", "City"]),
    ];
    for (field, path) in fields {
        let mut allowed = operational(object.get("attributes"), &path);
        if allowed.is_empty() {
            allowed.insert(if field == "LastName" { "Unknown" } else { "" }.to_owned());
        }
        let found = text(record, field).unwrap_or_default();
        if !allowed.contains(found) {
            return Some(format!(
                "{field} of {} is not an operational value",
                record.id
            ));
        }
    }
    let label = object
        .get("label")
        .and_then(Value::as_str)
        .unwrap_or_default();
    (text(record, "Description").unwrap_or_default() != label.trim())
        .then(|| format!("Description of {} is not the label", record.id))
}

/// The operational values at a path of nested attributes.
fn operational(attributes: Option<&Value>, path: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let Some((first, rest)) = path.split_first() else {
        return found;
    };
    let values = attributes
        .and_then(|all| all.get(*first))
        .and_then(Value::as_array);
    for value in values.into_iter().flatten() {
        if value.get("ov") != Some(&Value::Bool(true)) {
            continue;
        }
        let inner = value.get("value");
        if rest.is_empty() {
            found.extend(
                inner
                    .and_then(Value::as_str)
                    .map(|text| text.trim().to_owned()),
            );
        } else {
            found.extend(operational(inner, rest));
        }
    }
    found
}
