//! Letters as text.

use prost::Message as _;

use crate::admin::Listed;
use crate::cli::CliError;
use crate::dead_letter::{LetterName, LetterView, Report};
use crate::event::EventRecord;

/// One line a letter; on the last page, then where to go on and the depth of every sink.
pub(super) fn list(listed: &Listed, last: bool) -> String {
    let mut text = String::new();
    for letter in &listed.letters {
        let LetterView {
            name,
            reason,
            code,
            subject,
            last_time,
            ..
        } = letter;
        line(
            &mut text,
            &format!("{name}  {reason}  {code}  {subject}  {last_time}"),
        );
    }
    if !last {
        return text;
    }
    if let Some(next) = &listed.next {
        line(&mut text, &format!("more: --after {next}"));
    }
    let depth: Vec<_> = listed
        .depth
        .iter()
        .map(|(sink, letters)| format!("{sink} {letters}"))
        .collect();
    let depth = if depth.is_empty() {
        "none".to_owned()
    } else {
        depth.join(", ")
    };
    line(&mut text, &format!("open: {depth}"));
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// A line a field, then Kafka Connect's headers.
pub(super) fn letter(letter: &LetterView) -> String {
    let number = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let rows = [
        ("name", letter.name.clone()),
        (
            "subject",
            format!(
                "{} {} of {}",
                letter.subject, letter.object_type, letter.tenant
            ),
        ),
        ("kind", letter.kind.clone()),
        ("version", number(letter.version)),
        ("commit time", number(letter.commit_time)),
        ("reason", letter.reason.clone()),
        ("code", letter.code.clone()),
        ("detail", letter.detail.clone()),
        ("fields", letter.fields.join(", ")),
        ("stage", format!("{}, {}", letter.stage, letter.action)),
        ("attempts", letter.attempts.to_string()),
        ("first", letter.first_time.clone()),
        ("last", letter.last_time.clone()),
        ("source", letter.source.clone()),
        (
            "from",
            format!("{}[{}]@{}", letter.topic, letter.partition, letter.offset),
        ),
        (
            "record",
            format!("{} bytes; see --payload", letter.original_bytes),
        ),
    ];
    let mut text = String::new();
    for (name, value) in rows {
        line(&mut text, &format!("{name:12} {value}"));
    }
    for (name, value) in &letter.headers {
        line(&mut text, &format!("{name}: {value}"));
    }
    text
}

/// What the source sent: ingest's letters are that, a sink's hold a record with it.
pub(super) fn payload(name: &LetterName, original: Vec<u8>) -> Result<Vec<u8>, CliError> {
    if name.sink.is_empty() {
        return Ok(original);
    }
    let record = EventRecord::decode(original.as_slice()).map_err(|_| {
        CliError::Usage("its record cannot be read by this version; see --original".to_owned())
    })?;
    Ok(record.payload.to_vec())
}

/// What was done, by reason, and what was not.
pub(super) fn report(report: &Report, verb: &str) -> String {
    let mut text = format!("{} {verb}\n", report.done);
    for (reason, letters) in &report.reasons {
        line(&mut text, &format!("  {letters} {reason}"));
    }
    for skipped in &report.skipped {
        line(
            &mut text,
            &format!("{} stays: {}", skipped.name, skipped.why),
        );
    }
    text
}
