//! The head that Confluent's serializers put before a value: a zero byte, then the schema's id, four
//! bytes, the highest first.

use bytes::Bytes;

/// The first byte. JSON, gzip's base64 and base64 begin otherwise.
const MAGIC: u8 = 0;
/// Bytes of the head.
const HEAD: usize = 5;

/// How a value is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Without a head: as a source without a registry has it.
    Plain,
    /// With the head of a schema's id before these bytes.
    Framed(u32, Bytes),
    /// With the magic byte, and then too short for an id.
    Cut,
}

/// Tells how `value` is written.
pub fn frame(value: &Bytes) -> Frame {
    if value.first() != Some(&MAGIC) {
        return Frame::Plain;
    }
    match value.get(1..HEAD).map(<[u8; 4]>::try_from) {
        Some(Ok(id)) => Frame::Framed(u32::from_be_bytes(id), value.slice(HEAD..)),
        Some(Err(_)) | None => Frame::Cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_magic_byte_makes_a_head() {
        let of = |value: &'static [u8]| frame(&Bytes::from_static(value));
        assert_eq!(of(b"{}"), Frame::Plain);
        assert_eq!(of(b""), Frame::Plain);
        for cut in [&b"\0"[..], b"\0\0\0\0"] {
            assert_eq!(of(cut), Frame::Cut);
        }
        let datum = Bytes::from_static(b"\0x");
        assert_eq!(of(b"\0\0\x01\0\x02\0x"), Frame::Framed(65538, datum));
        assert_eq!(of(b"\0\0\0\0\x07"), Frame::Framed(7, Bytes::new()));
    }
}
