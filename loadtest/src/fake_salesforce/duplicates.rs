//! A duplicate rule of an object, and how a row that it refuses is answered.

use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::State;
use super::org::{FakeObject, FakeRecord, failed};

/// Records with the same text in these fields are duplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DuplicateRule {
    /// The fields that are compared, whatever their case.
    pub fields: &'static [&'static str],
    /// It blocks; if not, it alerts, and `allowSave=true` saves past it.
    pub blocks: bool,
    /// Whether the answer names the records.
    pub tells: bool,
}

/// Notes whether a request's header says that what a rule alerts about is to be saved.
pub(super) fn heed(state: &mut State, headers: &HeaderMap) {
    let header = headers.get("sforce-duplicate-rule-header");
    let header = header.and_then(|value| value.to_str().ok());
    let parts = header.into_iter().flat_map(|header| header.split(';'));
    let mut parts = parts.filter_map(|part| part.trim().split_once('='));
    let saves =
        parts.any(|(name, value)| name == "allowSave" && value.eq_ignore_ascii_case("true"));
    for object in state.objects.values_mut() {
        object.saves_duplicates = saves;
    }
}

impl FakeObject {
    pub(super) fn check_duplicates(
        &self,
        before: Option<&FakeRecord>,
        row: &Map<String, Value>,
    ) -> Result<(), Value> {
        let rule = self.duplicates;
        let Some(rule) = rule.filter(|rule| rule.blocks || !self.saves_duplicates) else {
            return Ok(());
        };
        let text = |value: Option<&Value>| value?.as_str().map(str::to_lowercase);
        let given = |field: &str| {
            let old = || before.and_then(|before| before.fields.get(field));
            text(row.get(field).or_else(old))
        };
        let alike = |record: &FakeRecord, field: &str| {
            given(field).is_some_and(|it| text(record.fields.get(field)) == Some(it))
        };
        let same = |record: &&FakeRecord| {
            let other = before.is_none_or(|before| before.id != record.id);
            other && rule.fields.iter().all(|field| alike(record, field))
        };
        let found = self.records.values().filter(same);
        let matched: Vec<Value> = found.map(|record| self.matched(record)).collect();
        if matched.is_empty() {
            return Ok(());
        }
        let mut answer = failed("DUPLICATES_DETECTED", "Use one of these records?", &[]);
        let error = answer.pointer_mut("/errors/0");
        if let (true, Some(error)) = (rule.tells, error.and_then(Value::as_object_mut)) {
            let result = self.result(rule, &matched);
            error.insert("duplicateResult".to_owned(), result);
        }
        Err(answer)
    }

    fn result(&self, rule: DuplicateRule, matched: &[Value]) -> Value {
        json!({
            "allowSave": !rule.blocks, "duplicateRule": "Standard_Contact_Duplicate_Rule",
            "duplicateRuleEntityType": self.table.sobject,
            "errorMessage": "Use one of these records?",
            "matchResults": [{
                "entityType": self.table.sobject, "errors": [], "matchEngine": "FuzzyMatchEngine",
                "matchRecords": matched, "rule": "Standard_Contact_Match_Rule_v1_1",
                "size": matched.len(), "success": true,
            }],
        })
    }

    fn matched(&self, record: &FakeRecord) -> Value {
        json!({
            "additionalInformation": [], "fieldDiffs": [], "matchConfidence": 100.0,
            "record": { "attributes": { "type": self.table.sobject }, "Id": record.id },
        })
    }
}
