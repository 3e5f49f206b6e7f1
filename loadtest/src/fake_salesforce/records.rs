//! Records by id, and by the text in the fields that clients look them up by: an org of many records
//! answers as quickly as one of few.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::org::FakeRecord;

/// Ids of records, by a field's text in lower case.
type Index = BTreeMap<String, BTreeSet<String>>;

#[derive(Debug, Clone)]
pub(super) struct Records {
    by_id: BTreeMap<String, FakeRecord>,
    /// By the field's name.
    indexes: BTreeMap<String, Index>,
}

impl Records {
    /// None yet; they will be found quickly by these fields, and by others too.
    pub(super) fn indexed_by<'a>(fields: impl Iterator<Item = &'a String>) -> Self {
        Self {
            by_id: BTreeMap::new(),
            indexes: fields.map(|name| (name.clone(), Index::new())).collect(),
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&FakeRecord> {
        self.by_id.get(id)
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &FakeRecord> {
        self.by_id.values()
    }

    /// At least those whose `field` has this text, in whatever case; all of them where the field has
    /// no index.
    pub(super) fn alike(
        &self,
        field: &str,
        text: &str,
    ) -> Box<dyn Iterator<Item = &FakeRecord> + '_> {
        let Some(index) = self.indexes.get(field) else {
            return Box::new(self.values());
        };
        let ids = index.get(&text.to_ascii_lowercase());
        let found = ids.into_iter().flatten().filter_map(|id| self.get(id));
        Box::new(found)
    }

    pub(super) fn insert(&mut self, record: FakeRecord) {
        let id = record.id.clone();
        self.change(&id, |kept| *kept = record);
    }

    /// Changes the record `id`, which is made if it is not there.
    pub(super) fn change(&mut self, id: &str, change: impl FnOnce(&mut FakeRecord)) {
        let record = self.by_id.entry(id.to_owned()).or_default();
        let before = texts(&self.indexes, record);
        change(record);
        id.clone_into(&mut record.id);
        let after = texts(&self.indexes, record);
        self.reindex(id, before, after);
    }

    pub(super) fn remove(&mut self, id: &str) {
        if let Some(record) = self.by_id.remove(id) {
            let before = texts(&self.indexes, &record);
            let after = vec![None; before.len()];
            self.reindex(id, before, after);
        }
    }

    fn reindex(&mut self, id: &str, before: Vec<Option<String>>, after: Vec<Option<String>>) {
        let changes = self.indexes.values_mut().zip(before.into_iter().zip(after));
        for (index, (before, after)) in changes.filter(|(_, (before, after))| before != after) {
            if let Some(text) = before
                && let Some(ids) = index.get_mut(&text)
            {
                ids.remove(id);
                if ids.is_empty() {
                    index.remove(&text);
                }
            }
            if let Some(text) = after {
                index.entry(text).or_default().insert(id.to_owned());
            }
        }
    }
}

/// The text under which each index has the record.
fn texts(indexes: &BTreeMap<String, Index>, record: &FakeRecord) -> Vec<Option<String>> {
    let text = |field| {
        let value = record.fields.get(field).and_then(Value::as_str);
        value.map(str::to_ascii_lowercase)
    };
    indexes.keys().map(text).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(records: &Records, field: &str, text: &str) -> Vec<String> {
        let found = records.alike(field, text).filter(|record| {
            let value = record.fields.get(field).and_then(Value::as_str);
            value.is_some_and(|value| value.eq_ignore_ascii_case(text))
        });
        found.map(|record| record.id.clone()).collect()
    }

    #[test]
    fn a_record_is_found_by_what_it_holds_now_with_an_index_and_without() {
        for indexed in ["Key", "Other"].map(ToOwned::to_owned) {
            let mut records = Records::indexed_by([&indexed].into_iter());
            let mut set = |id: &str, key: Option<&str>| {
                records.change(id, |record| {
                    record.fields = key
                        .map(|key| ("Key".to_owned(), json!(key)))
                        .into_iter()
                        .collect();
                });
                records.clone()
            };
            set("2", Some("one"));
            let both = set("1", Some("ONE"));
            assert_eq!(found(&both, "Key", "One"), ["1", "2"]);
            let one = set("1", Some("two"));
            assert_eq!(found(&one, "Key", "one"), ["2"]);
            assert_eq!(found(&one, "Key", "two"), ["1"]);
            let mut none = set("2", None);
            assert_eq!(found(&none, "Key", "one"), [""; 0]);
            none.remove("1");
            assert_eq!(found(&none, "Key", "two"), [""; 0]);
            assert_eq!(none.len(), 1);
        }
    }
}
