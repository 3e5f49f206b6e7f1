//! JSON as it is written: bounded, and never a tree.

use std::fmt::Display;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::super::MAX_DEPTH;
use super::Unfit;

/// The member of an event that decoding takes as an object only.
const OBJECT: &str = "object";

/// A JSON text under way.
#[derive(Debug)]
pub(super) struct Json {
    text: Vec<u8>,
    limit: usize,
    depth: usize,
}

impl Json {
    /// Nothing so far, and at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            text: Vec::new(),
            limit,
            depth: 0,
        }
    }

    /// What was written.
    pub(super) fn finish(self) -> Vec<u8> {
        self.text
    }

    fn within_limit(&self) -> Result<(), Unfit> {
        if self.text.len() > self.limit {
            return Err(Unfit::too_large(self.limit));
        }
        Ok(())
    }

    /// Text that is JSON already.
    pub(super) fn raw(&mut self, json: &str) -> Result<(), Unfit> {
        self.text.extend_from_slice(json.as_bytes());
        self.within_limit()
    }

    /// A number, or whatever prints as JSON.
    pub(super) fn number(&mut self, number: impl Display) -> Result<(), Unfit> {
        // A vector takes everything.
        write!(self.text, "{number}").ok();
        self.within_limit()
    }

    /// A text that needs no escape.
    pub(super) fn plain(&mut self, text: impl Display) -> Result<(), Unfit> {
        write!(self.text, "\"{text}\"").ok();
        self.within_limit()
    }

    /// Any text.
    pub(super) fn string(&mut self, text: &str) -> Result<(), Unfit> {
        serde_json::to_writer(&mut self.text, text)
            .map_err(|_| Unfit::because("a text that JSON cannot hold"))?;
        self.within_limit()
    }

    /// Bytes, as base64.
    pub(super) fn base64(&mut self, bytes: &[u8]) -> Result<(), Unfit> {
        // A third more comes out: it is not even made if it is too much.
        if bytes.len() > self.limit {
            return Err(Unfit::too_large(self.limit));
        }
        self.plain(STANDARD.encode(bytes))
    }

    /// A number in floating point: as few digits as tell it from its neighbours; what JSON has no
    /// number for, as text.
    pub(super) fn float<F: Serialize + Display>(&mut self, number: F) -> Result<(), Unfit> {
        match number.to_string().as_str() {
            "NaN" => return self.plain("NaN"),
            "inf" => return self.plain("Infinity"),
            "-inf" => return self.plain("-Infinity"),
            _ => {}
        }
        serde_json::to_writer(&mut self.text, &number)
            .map_err(|_| Unfit::because("a number that JSON cannot hold"))?;
        self.within_limit()
    }

    /// Text that holds JSON: what it holds. Text that does not, as text.
    pub(super) fn embedded(&mut self, text: &str) -> Result<(), Unfit> {
        match serde_json::from_str::<&RawValue>(text) {
            Ok(json) => self.raw(json.get()),
            Err(_) => self.string(text),
        }
    }

    /// Text. Where only an object can stand, text that holds one stands for it: what is in an
    /// event's object differs too much between tenants for a schema to say it.
    pub(super) fn text_of(&mut self, place: Place, text: &str) -> Result<(), Unfit> {
        if place == Place::Object && text.trim_ascii_start().starts_with('{') {
            return self.embedded(text);
        }
        self.string(text)
    }

    /// Opens an object or an array.
    pub(super) fn open(&mut self, bracket: char) -> Result<(), Unfit> {
        if self.depth == MAX_DEPTH {
            return Err(Unfit::too_deep());
        }
        self.depth += 1;
        self.number(bracket)
    }

    /// Closes it.
    pub(super) fn close(&mut self, bracket: char) -> Result<(), Unfit> {
        self.depth = self.depth.saturating_sub(1);
        self.number(bracket)
    }

    /// The next element of an array, or member of an object, begins.
    pub(super) fn next(&mut self) -> Result<(), Unfit> {
        if matches!(self.text.last(), Some(b'{' | b'[')) {
            return Ok(());
        }
        self.number(',')
    }

    /// The next member of an object begins; where its value stands.
    pub(super) fn member(&mut self, name: &str) -> Result<Place, Unfit> {
        self.next()?;
        self.string(name)?;
        self.number(':')?;
        let of_event = self.depth == 1 && name == OBJECT;
        Ok(if of_event {
            Place::Object
        } else {
            Place::Anywhere
        })
    }
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Where an event has its object.
    Object,
    /// Anywhere else.
    Anywhere,
}
