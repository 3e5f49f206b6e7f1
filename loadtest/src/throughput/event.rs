//! One event as Reltio streams it: its metadata in headers, a whole object in its body.
//!
//! Every part follows from the entity's number and the version, so that a copy is equal to the
//! byte, and so is what a judge expects.

use std::fmt::{self, Write as _};

/// 2025-01-01T00:00:00Z in ms.
const BEGIN: u64 = 1_735_689_600_000;
const DAY: u64 = 86_400_000;
/// Between two versions of an entity, ms: more than clocks may be skewed.
const STEP: u64 = 60_000;
/// One even version of so many is a removal; the version after it creates the entity again.
const REMOVALS: u64 = 64;

/// The tenant that the events are of.
pub(crate) const TENANT: &str = "acme";

const FIRST: [&str; 8] = [
    "Ada", "Grace", "Edsger", "Barbara", "Zoë", "José", "李", "Tony",
];
const LAST: [&str; 8] = [
    "Lovelace",
    "Hopper",
    "Dijkstra",
    "Liskov",
    "O'Neil",
    "Muñoz",
    "van der Berg",
    "Hoare",
];
const STREET: [&str; 4] = [
    "Main Street",
    "Rue de l'Église",
    "Hauptstraße",
    "Elm \\\"Old\\\" Road",
];
const CITY: [&str; 4] = ["Springfield", "Montréal", "Zürich", "São Paulo"];
const CONSONANTS: &[u8; 16] = b"bdfghklmnprstvwz";
const VOWELS: &[u8; 4] = b"aeio";

/// A version of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Event {
    /// The entity's number.
    pub(crate) entity: u32,
    /// Its version, from 1.
    pub(crate) version: u32,
}

/// The URI of an entity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Uri(pub(crate) u32);

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entities/{:07x}", self.0)
    }
}

impl Uri {
    /// The entity that a URI names, if it is one of these.
    pub(crate) fn entity(text: &str) -> Option<u32> {
        let number = text.strip_prefix("entities/")?;
        (number.len() == 7).then(|| u32::from_str_radix(number, 16).ok())?
    }
}

impl Event {
    /// The entity's URI.
    pub(crate) fn uri(self) -> Uri {
        Uri(self.entity)
    }

    /// Whether this version is a removal.
    pub(crate) fn is_removal(self) -> bool {
        self.version > 1 && self.version.is_multiple_of(2) && self.mixed(1).is_multiple_of(REMOVALS)
    }

    /// Reltio's name of what happened.
    pub(crate) fn event_type(self) -> &'static str {
        let before = Self {
            version: self.version - 1,
            ..self
        };
        if self.is_removal() {
            "ENTITY_REMOVED"
        } else if self.version == 1 || before.is_removal() {
            "ENTITY_CREATED"
        } else {
            "ENTITY_CHANGED"
        }
    }

    /// Reltio's commit time, ms. Grows with the version by half a minute at least.
    pub(crate) fn commit_time(self) -> u64 {
        let first = Self { version: 0, ..self };
        BEGIN + first.mixed(2) % DAY + u64::from(self.version) * STEP + self.mixed(2) % (STEP / 2)
    }

    /// The newest version of an entity at a time, ms; nothing before its first.
    pub(crate) fn at(entity: u32, time: u64) -> Option<Self> {
        let first = Self { entity, version: 0 };
        let since = time.checked_sub(BEGIN + first.mixed(2) % DAY)?;
        let version = u32::try_from(since / STEP).ok()?;
        // The version of this number may be committed a little later.
        let newest = [version, version.saturating_sub(1)].into_iter();
        let newest = newest
            .map(|version| Self { entity, version })
            .find(|event| event.commit_time() <= time)?;
        (newest.version > 0).then_some(newest)
    }

    /// A number that looks like chance.
    pub(crate) fn mixed(self, salt: u64) -> u64 {
        let mut mixed = (u64::from(self.entity) << 32 | u64::from(self.version))
            .wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one_of(self, salt: u64, words: &[&'static str]) -> &'static str {
        let count = u64::try_from(words.len()).unwrap_or(1);
        let at = usize::try_from(self.mixed(salt) % count).unwrap_or_default();
        words.get(at).copied().unwrap_or_default()
    }

    /// Appends the event's JSON, with so many bytes of notes if it has an object.
    pub(crate) fn write_body(self, out: &mut String, notes: u32) {
        out.push_str("{\"type\":\"");
        out.push_str(self.event_type());
        out.push_str("\",\"object\":");
        if self.is_removal() {
            let uri = self.uri();
            // Writing to a string does not fail.
            write!(
                out,
                "{{\"uri\":\"{uri}\",\"type\":\"configuration/entityTypes/Individual\"}}}}"
            )
            .ok();
            return;
        }
        self.write_object(out, notes);
        out.push_str(",\"ovChanged\":true}");
    }

    /// Appends the event's JSON with an object that has its name alone.
    pub(crate) fn write_small_body(self, out: &mut String) {
        let (kind, uri, version) = (self.event_type(), self.uri(), self.version);
        // Writing to a string does not fail.
        write!(
            out,
            "{{\"type\":\"{kind}\",\"object\":{{\"uri\":\"{uri}\",\
             \"type\":\"configuration/entityTypes/Individual\",\"attributes\":{{\
             \"Seq\":[{{\"ov\":true,\"value\":\"{uri}@{version}\",\
             \"uri\":\"{uri}/attributes/Seq/1\"}}]}}}},\"ovChanged\":true}}"
        )
        .ok();
    }

    /// Appends the object's JSON, which is what a sink has to pass on to the byte: the numbers have
    /// more digits than a floating-point number keeps. With 0 bytes of notes it has no such
    /// attribute.
    pub(crate) fn write_object(self, out: &mut String, notes: u32) {
        let (uri, updated, rating) = (self.uri(), self.commit_time(), self.mixed(9));
        let created = Self { version: 1, ..self }.commit_time();
        write!(
            out,
            "{{\"uri\":\"{uri}\",\"type\":\"configuration/entityTypes/Individual\",\
             \"createdBy\":\"loader\",\"createdTime\":{created},\"updatedBy\":\"steward\",\
             \"updatedTime\":{updated},\"attributes\":{{"
        )
        .ok();
        let (first, last) = (self.one_of(3, &FIRST), self.one_of(4, &LAST));
        self.write_attribute(out, "FirstName", format_args!("{first}"));
        self.write_attribute(out, "LastName", format_args!("{last}"));
        let street = self.one_of(5, &STREET);
        self.write_attribute(
            out,
            "AddressLine1",
            format_args!("{} {street}", rating % 999),
        );
        self.write_attribute(out, "City", format_args!("{}", self.one_of(6, &CITY)));
        self.write_attribute(out, "Email", format_args!("p{}@example.com", self.entity));
        self.write_attribute(
            out,
            "Phone",
            format_args!("+1555{:07}", rating % 10_000_000),
        );
        self.write_attribute(out, "Seq", format_args!("{uri}@{}", self.version));
        if notes > 0 {
            self.write_attribute(out, "Notes", format_args!("{}", self.notes(notes)));
        }
        out.pop();
        write!(
            out,
            "}},\"crosswalks\":[{{\"uri\":\"{uri}/crosswalks/1\",\
             \"type\":\"configuration/sources/CRM\",\"value\":\"C-{}\",\
             \"updateDate\":\"2025-01-01T00:00:00Z\"}}],\"label\":\"{first} {last}\",\
             \"consolidatedRating\":4.{rating:020}}}",
            self.entity
        )
        .ok();
    }

    /// Words of made-up syllables, no two events' alike: they compress no better than prose.
    fn notes(self, bytes: u32) -> String {
        let bytes = usize::try_from(bytes).unwrap_or_default();
        let (mut text, mut salt) = (String::with_capacity(bytes + 16), 10);
        while text.len() < bytes {
            let word = self.mixed(salt);
            salt += 1;
            for syllable in 0..2 + word % 3 {
                let bits = word >> (8 + 6 * syllable);
                text.push(letter(CONSONANTS, bits & 15));
                text.push(letter(VOWELS, bits >> 4 & 3));
            }
            text.push(' ');
        }
        text.truncate(bytes);
        text
    }

    fn write_attribute(self, out: &mut String, name: &str, value: fmt::Arguments<'_>) {
        let uri = self.uri();
        write!(
            out,
            "\"{name}\":[{{\"type\":\"configuration/entityTypes/Individual/attributes/{name}\",\
             \"ov\":true,\"value\":\"{value}\",\"uri\":\"{uri}/attributes/{name}/1\"}}],"
        )
        .ok();
    }
}

fn letter(of: &[u8], at: u64) -> char {
    let at = usize::try_from(at).unwrap_or_default();
    of.get(at).copied().map_or(' ', char::from)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn events() -> impl Iterator<Item = Event> {
        (0..300).flat_map(|entity| (1..20).map(move |version| Event { entity, version }))
    }

    #[test]
    fn bodies_are_json_of_about_1600_bytes_and_hold_the_object_to_the_byte() {
        for event in events().filter(|event| !event.is_removal()) {
            let (mut body, mut object) = (String::new(), String::new());
            event.write_body(&mut body, 0);
            event.write_object(&mut object, 0);
            assert!((1_450..1_750).contains(&body.len()), "{}", body.len());
            assert!(body.contains(&object));
            let tree: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(tree["object"]["uri"], event.uri().to_string());
        }
    }

    #[test]
    fn small_bodies_are_json_that_names_the_event() {
        for event in events() {
            let mut body = String::new();
            event.write_small_body(&mut body);
            let tree: Value = serde_json::from_str(&body).unwrap();
            let name = format!("{}@{}", event.uri(), event.version);
            assert_eq!(tree["object"]["attributes"]["Seq"][0]["value"], name);
            assert_eq!(tree["object"]["uri"], event.uri().to_string());
        }
    }

    #[test]
    fn commit_times_grow_with_versions_and_removals_are_followed_by_creations() {
        let mut removals = 0;
        for event in events() {
            let next = Event {
                version: event.version + 1,
                ..event
            };
            assert!(next.commit_time() >= event.commit_time() + STEP / 2);
            if event.is_removal() {
                removals += 1;
                assert_eq!(next.event_type(), "ENTITY_CREATED");
                assert_eq!(event.event_type(), "ENTITY_REMOVED");
            }
        }
        assert!(removals > 10, "{removals} removals");
    }

    #[test]
    fn a_time_names_the_version_that_is_the_newest_then() {
        for event in events() {
            let next = Event {
                version: event.version + 1,
                ..event
            };
            let (from, to) = (event.commit_time(), next.commit_time());
            for time in [from, from + 1, to - 1] {
                assert_eq!(Event::at(event.entity, time), Some(event));
            }
        }
        assert_eq!(Event::at(1, 0), None);
        let first = Event {
            entity: 1,
            version: 1,
        };
        assert_eq!(Event::at(1, first.commit_time() - 1), None);
    }

    #[test]
    fn a_uri_names_its_entity() {
        let uri = Uri(0x1f).to_string();
        assert_eq!(
            (uri.as_str(), Uri::entity(&uri)),
            ("entities/000001f", Some(0x1f))
        );
        assert_eq!(Uri::entity("relations/000001f"), None);
    }
}
