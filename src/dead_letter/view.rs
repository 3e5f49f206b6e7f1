//! A letter as people and programs read it: everything but the record itself.

use serde::{Deserialize, Serialize};

use super::{DeadLetter, LetterName, headers, shown_sink};
use crate::time::Millis;

/// A letter without its record, which may hold personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields of DeadLetter, documented in proto/goldwire/v1/store.proto"
)]
pub struct LetterView {
    pub name: String,
    pub sink: String,
    pub id: String,
    pub round: u32,
    pub source: String,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub tenant: String,
    pub subject: String,
    pub object_type: String,
    pub kind: String,
    pub version: Option<i64>,
    pub commit_time: Option<Millis>,
    pub stage: String,
    pub action: String,
    pub reason: String,
    pub code: String,
    #[serde(default)]
    pub detail: String,
    pub fields: Vec<String>,
    pub attempts: u32,
    /// RFC 3339.
    pub first_time: String,
    /// RFC 3339.
    pub last_time: String,
    pub processor: String,
    /// Bytes of the record.
    pub original_bytes: u64,
    /// As Kafka Connect names them.
    pub headers: Vec<(String, String)>,
}

impl From<&DeadLetter> for LetterView {
    fn from(letter: &DeadLetter) -> Self {
        let kind = letter
            .kind()
            .as_str_name()
            .trim_start_matches("KIND_")
            .to_lowercase();
        Self {
            name: LetterName::of(letter).to_string(),
            sink: shown_sink(&letter.sink).to_owned(),
            id: letter.id.clone(),
            round: letter.round,
            source: letter.source.clone(),
            topic: letter.topic.clone(),
            partition: letter.partition,
            offset: letter.offset,
            tenant: letter.tenant.clone(),
            subject: letter.subject.clone(),
            object_type: letter.object_type.clone(),
            kind,
            version: letter.version,
            commit_time: letter.commit_time,
            stage: letter.stage.clone(),
            action: letter.action.clone(),
            reason: letter.reason.clone(),
            code: letter.code.clone(),
            detail: letter.detail.clone(),
            fields: letter.fields.clone(),
            attempts: letter.attempts,
            first_time: rfc3339(letter.first_time),
            last_time: rfc3339(letter.last_time),
            processor: letter.processor.clone(),
            original_bytes: letter
                .original_bytes
                .max(u64::try_from(letter.original.len()).unwrap_or(u64::MAX)),
            headers: headers(letter),
        }
    }
}

fn rfc3339(time: Millis) -> String {
    jiff::Timestamp::from_millisecond(time).map_or_else(|_| time.to_string(), |at| at.to_string())
}
