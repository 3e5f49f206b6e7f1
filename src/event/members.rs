//! The members of an object, read from its text.
//!
//! Guarantee: whatever a member's name is made of, it is a name, and the members around it are
//! read. Nothing is kept of those that are not asked for (G8).

use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

use super::json::text;

/// The struct that an object's members make up. `serde_json` itself gives up at a name with half of
/// a surrogate pair.
///
/// # Errors
/// As of [`serde_json::from_str`].
pub(crate) fn object<'a, T: Deserialize<'a>>(json: &'a str) -> serde_json::Result<T> {
    // Nearly every text is read by this.
    serde_json::from_str(json).or_else(|error| {
        let mut reader = serde_json::Deserializer::from_str(json);
        let object = T::deserialize(Lenient(&mut reader));
        let whole = object.and_then(|object| reader.end().map(|()| object));
        whole.map_err(|_| error)
    })
}

/// The members of an object as they stand in its text, names with their quotes.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(pub(crate) Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

/// A reader of one object whose names may be made of anything.
struct Lenient<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Lenient<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Names(visitor))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

/// A visitor or a map, of which the names are read first.
struct Names<T>(T);

impl<'de, V: Visitor<'de>> Visitor<'de> for Names<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Names(object))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Names<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let Some(name) = self.0.next_key::<&RawValue>()? else {
            return Ok(None);
        };
        let name = text(name.get()).map_err(A::Error::custom)?;
        let name: StringDeserializer<A::Error> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        uri: Option<&'a RawValue>,
    }

    fn uri(json: &str) -> Option<&str> {
        object::<Named<'_>>(json).ok()?.uri.map(RawValue::get)
    }

    #[test]
    fn members_are_the_text_that_they_are() {
        let text = r#"{"a":1e400,"\ud800":"\ud800","$serde_json::private::RawValue":"[1]"}"#;
        let Members(members) = serde_json::from_str(text).unwrap();
        let members: Vec<_> = members
            .iter()
            .map(|(name, value)| format!("{}:{}", name.get(), value.get()))
            .collect();
        assert_eq!(format!("{{{}}}", members.join(",")), text);
        assert!(serde_json::from_str::<Members<'_>>("[]").is_err());
    }

    #[test]
    fn a_name_of_any_kind_hides_no_other_member() {
        for odd in [
            r#""\ud800""#,
            r#""\udfff\u0000""#,
            r#""$serde_json::private::Number""#,
        ] {
            for value in ["1e999", "\"\\ud800\"", "[{\"\\ud800\":1}]"] {
                let json = format!(r#" {{{odd}:{value},"\u0075ri":"\ud800",{odd}:{value}}} "#);
                assert_eq!(uri(&json), Some("\"\\ud800\""), "{json}");
            }
        }
    }

    #[test]
    fn what_is_no_object_or_has_a_member_twice_is_refused() {
        for json in [
            r#"{"\ud800":1,"uri":1,"uri":2}"#,
            r#"{"\ud800":1} 1"#,
            r#"{"\ud800":1"#,
            r#"{"\ud80":1}"#,
            "[]",
            "7",
        ] {
            assert!(object::<Named<'_>>(json).is_err(), "{json}");
        }
    }
}
