//! Protobuf's wire format, read in place: one field after the other, nothing copied.

use std::ops::Range;

use super::record::RecordError;

/// One field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    /// A varint: integers, enumerations, booleans.
    Number(u64),
    /// Where text, bytes or a message stand.
    Bytes(Range<usize>),
    /// A value of fixed width, which no field that is read has.
    Other,
}

/// Reads the fields of one message.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next field and its number; nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Field)>, RecordError> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).unwrap_or_default();
        if number == 0 {
            return Err(RecordError("a field of it has no number"));
        }
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.skip(8)?,
            2 => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                let start = self.at;
                self.skip(length)?;
                Field::Bytes(start..self.at)
            }
            5 => self.skip(4)?,
            _ => return Err(RecordError("a field of it has no known type")),
        };
        Ok(Some((number, field)))
    }

    fn skip(&mut self, length: usize) -> Result<Field, RecordError> {
        let end = self.at.saturating_add(length);
        if end > self.bytes.len() {
            return Err(RecordError("it is cut short"));
        }
        self.at = end;
        Ok(Field::Other)
    }

    fn varint(&mut self) -> Result<u64, RecordError> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self
                .bytes
                .get(self.at)
                .ok_or(RecordError("it is cut short"))?;
            self.at += 1;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(RecordError("a number of it is too long"))
    }
}
