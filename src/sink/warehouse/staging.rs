//! PostgreSQL's staging table: how a batch gets there by one binary `COPY`.
//!
//! A row is a subject's current state, a change, or mostly both, with one and the same snapshot: so
//! a snapshot crosses the wire once, and is parsed once, for both tables. The table is temporary:
//! each server process has its own, none of it is in the server's log, and a commit empties it.

use std::borrow::Cow;

use super::columns::staged;
use super::content::Content;
use super::row::{ChangeRow, CurrentRow, Prepared};

/// How the table is made, and filled.
#[derive(Debug)]
pub(super) struct Staging {
    /// Its name. Other columns want another one: a process that outlives this program keeps the
    /// table, empty.
    pub(super) table: String,
    /// Run in each transaction, for the case that this server process does not have the table: behind
    /// a pooler that may be another process each time.
    pub(super) create: String,
    /// Fills it, all columns in their order.
    pub(super) copy: String,
    /// Columns of the mapping.
    typed: usize,
}

impl Staging {
    /// Of a mapping with so many columns.
    pub(super) fn new(typed: usize) -> Self {
        let name = match typed {
            0 => "goldwire_incoming_3".to_owned(),
            typed => format!("goldwire_incoming_3_{typed}"),
        };
        let more: Vec<String> = (0..typed)
            .map(|n| format!(", {} text", staged(n)))
            .collect();
        Self {
            create: format!(
                "CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({COLUMNS}{}) ON COMMIT DELETE ROWS",
                more.concat()
            ),
            copy: format!("COPY pg_temp.{name} FROM STDIN (FORMAT binary)"),
            table: format!("pg_temp.{name}"),
            typed,
        }
    }
}

const COLUMNS: &str = "
 n integer, relation boolean, tells boolean, tenant text, subject text,
 object_type text, state text, absorbed_by text, version bigint, commit_time bigint,
 stands_for bigint, label text, start_entity text, end_entity text, alive_at bigint,
 erased_at bigint,
 changed_at bigint, changed_version bigint, event_id text, kind text,
 change_type text, change_state text, change_absorbed_by text, observed boolean,
 received_time bigint,
 object jsonb, object_exact text, active_from bigint, active_until bigint
";

/// Columns of the table, but for those of the mapping.
const FIXED: usize = 29;
/// Of these the ones of the current state, before the ones of the change.
const OF_CURRENT: usize = 11;
const OF_CHANGE: usize = 9;

/// Bytes that are sent at once.
const CHUNK: usize = 256 << 10;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// Version of `jsonb` on the wire: text follows.
const JSONB: u8 = 1;

/// A value that is too large for the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a value is larger than 2 GiB")]
pub(super) struct TooLarge;

/// A row of the staging table.
#[derive(Debug)]
pub(super) struct Staged<'b, 'a> {
    of: &'b Prepared<'a>,
    /// Set in one row of each subject.
    tells: Option<&'b CurrentRow<'a>>,
    change: Option<&'b ChangeRow<'a>>,
    content: Option<&'b Content<'a>>,
}

/// The rows of `prepared`. `merged` is the content of a partial snapshot after it was laid over the
/// row; `unknown` stands for a current state of which nothing is told.
pub(super) fn rows<'b, 'a>(
    prepared: &'b Prepared<'a>,
    merged: Option<&'b Content<'a>>,
    unknown: &'b CurrentRow<'a>,
) -> impl Iterator<Item = Staged<'b, 'a>> {
    let current = prepared.current.as_ref();
    let tells = current.unwrap_or(unknown);
    let content = merged.unwrap_or(&tells.content);
    // The change that brings the current content, or any where there is no content.
    let fits = |change: &ChangeRow<'_>| match &change.content {
        None => true,
        Some(own) => own.object.is_none() && content.object.is_none(),
    };
    let shared = prepared.changes.iter().position(fits);
    let alone = shared.is_none().then_some(Staged {
        of: prepared,
        tells: Some(tells),
        change: None,
        content: Some(content),
    });
    let changes = prepared.changes.iter().enumerate();
    let changes = changes.map(move |(index, change)| Staged {
        of: prepared,
        tells: (shared == Some(index)).then_some(tells),
        change: Some(change),
        content: change.content(current),
    });
    alone.into_iter().chain(changes)
}

/// A batch as `COPY` wants it, chunk by chunk.
#[derive(Debug)]
pub(super) struct Encoder {
    chunk: Vec<u8>,
    rows: i32,
    /// Columns of the mapping.
    typed: usize,
}

impl Encoder {
    pub(super) fn new(staging: &Staging) -> Self {
        let mut chunk = Vec::with_capacity(CHUNK + CHUNK / 4);
        chunk.extend_from_slice(HEADER);
        Self {
            chunk,
            rows: 0,
            typed: staging.typed,
        }
    }

    /// What has to be sent now, if it is enough.
    pub(super) fn full(&self) -> Option<&[u8]> {
        (self.chunk.len() >= CHUNK).then_some(&self.chunk)
    }

    pub(super) fn sent(&mut self) {
        self.chunk.clear();
    }

    /// The rest.
    pub(super) fn end(&mut self) -> &[u8] {
        self.chunk.extend_from_slice(&TRAILER);
        &self.chunk
    }

    pub(super) fn row(&mut self, row: &Staged<'_, '_>) -> Result<(), TooLarge> {
        let columns = i16::try_from(FIXED + self.typed).map_err(|_| TooLarge)?;
        self.chunk.extend_from_slice(&columns.to_be_bytes());
        self.bytes(&[&self.rows.to_be_bytes()])?;
        self.rows += 1;
        self.flag(row.of.is_relation)?;
        self.flag(row.tells.is_some())?;
        self.text(row.of.key.0)?;
        self.text(row.of.key.1)?;
        match row.tells {
            Some(current) => self.current(row, current)?,
            None => self.nulls(OF_CURRENT),
        }
        match row.change {
            Some(change) => self.change(change)?,
            None => self.nulls(OF_CHANGE),
        }
        match row.content.and_then(|content| content.object.as_deref()) {
            Some(object) => self.bytes(&[&[JSONB], object.as_bytes()])?,
            None => self.nulls(1),
        }
        self.maybe(row.content.and_then(|content| content.exact.as_ref()))?;
        let activity = row.content.map(|content| content.activity);
        let activity = activity.unwrap_or_default();
        self.int(activity.from)?;
        self.int(activity.until)?;
        self.typed(row.content)
    }

    /// The columns of the mapping; a subject without content has none.
    fn typed(&mut self, content: Option<&Content<'_>>) -> Result<(), TooLarge> {
        let values = content.map(|content| content.columns.as_slice());
        let values = values.unwrap_or_default();
        for value in values {
            match value {
                Some(value) => self.text(value)?,
                None => self.nulls(1),
            }
        }
        self.nulls(self.typed.saturating_sub(values.len()));
        Ok(())
    }

    fn current(&mut self, row: &Staged<'_, '_>, current: &CurrentRow<'_>) -> Result<(), TooLarge> {
        let content = row.content;
        self.text(&row.of.object_type)?;
        self.text(current.state)?;
        self.maybe(current.absorbed_by.as_ref())?;
        self.int(current.version)?;
        self.int(current.commit_time)?;
        self.int(Some(current.content_time))?;
        self.maybe(content.and_then(|content| content.label.as_ref()))?;
        self.maybe(content.and_then(|content| content.start.as_ref()))?;
        self.maybe(content.and_then(|content| content.end.as_ref()))?;
        self.int(Some(row.of.alive_at))?;
        self.int(Some(row.of.erased_at))
    }

    fn change(&mut self, change: &ChangeRow<'_>) -> Result<(), TooLarge> {
        self.int(Some(change.commit_time))?;
        self.int(Some(change.version))?;
        self.text(&change.event_id)?;
        self.text(change.kind)?;
        self.text(&change.object_type)?;
        self.text(change.state)?;
        self.maybe(change.absorbed_by.as_ref())?;
        self.flag(change.observed)?;
        self.int(Some(change.received_time))
    }

    /// A cell: its length, then its bytes.
    fn bytes(&mut self, parts: &[&[u8]]) -> Result<(), TooLarge> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length = i32::try_from(length).map_err(|_| TooLarge)?;
        self.chunk.extend_from_slice(&length.to_be_bytes());
        for part in parts {
            self.chunk.extend_from_slice(part);
        }
        Ok(())
    }

    fn nulls(&mut self, count: usize) {
        for _ in 0..count {
            self.chunk.extend_from_slice(&(-1_i32).to_be_bytes());
        }
    }

    fn text(&mut self, text: &str) -> Result<(), TooLarge> {
        self.bytes(&[text.as_bytes()])
    }

    fn maybe(&mut self, text: Option<&Cow<'_, str>>) -> Result<(), TooLarge> {
        if let Some(text) = text {
            return self.text(text);
        }
        self.nulls(1);
        Ok(())
    }

    fn int(&mut self, int: Option<i64>) -> Result<(), TooLarge> {
        if let Some(int) = int {
            return self.bytes(&[&int.to_be_bytes()]);
        }
        self.nulls(1);
        Ok(())
    }

    fn flag(&mut self, flag: bool) -> Result<(), TooLarge> {
        self.bytes(&[&[u8::from(flag)]])
    }
}
