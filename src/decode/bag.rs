//! Attributes or properties that a carrier has for its sender to fill.
//!
//! Guarantee: every name that a header may have is read here, too; two values of one name must
//! agree, as any two places.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::DecodeError;
use super::found::{Found, Place};
use super::layer::{Text, text};
use super::metadata::Metadata;
use crate::event::{Header, members};

/// Those of the attributes that decoding reads.
pub(super) struct Bag<'a>(Vec<(Header, &'a RawValue)>);

impl<'a> Bag<'a> {
    /// The attributes in the member `field`.
    pub(super) fn read(field: &'static str, json: &'a RawValue) -> Result<Self, DecodeError> {
        members::object(json.get()).map_err(|_| DecodeError::BadMember {
            field,
            found: Found::json(json.get()),
            expected: "an object",
        })
    }

    /// Says all of them.
    pub(super) fn tell(&self, metadata: &mut Metadata<'a>) -> Result<(), DecodeError> {
        for (header, value) in &self.0 {
            metadata.take(*header, text(header.name(), value)?, Place::Attributes)?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Bag<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(BagVisitor)
    }
}

struct BagVisitor;

impl<'de> Visitor<'de> for BagVisitor {
    type Value = Bag<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut read = Vec::new();
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            match Header::named(&name) {
                Some(header) => {
                    if let Some(value) = map.next_value::<Option<&'de RawValue>>()? {
                        read.push((header, value));
                    }
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Bag(read))
    }
}
