//! Entities: what each source contributes, and which values survive.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::words::{self, digits, id, pick};
use crate::time::Millis;

/// The type of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntityType {
    /// A person.
    Individual,
    /// A company.
    Organization,
}

impl EntityType {
    /// Short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Individual => "Individual",
            Self::Organization => "Organization",
        }
    }

    pub(super) fn attributes(self) -> &'static [&'static str] {
        match self {
            Self::Individual => &[
                "FirstName",
                "LastName",
                "Email",
                "Phone",
                "Address",
                "Status",
                "BirthDate",
            ],
            Self::Organization => &["Name", "Website", "Address", "Status"],
        }
    }
}

/// The source whose crosswalks name Salesforce records.
pub const SALESFORCE_SOURCE: &str = "SFDC_CONTACT";

/// A crosswalk: a source record that contributes to an entity.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) id: String,
    pub(super) source: &'static str,
    pub(super) table: Option<&'static str>,
    pub(super) value: String,
    pub(super) created: Millis,
    pub(super) updated: Millis,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// Text.
    Text(String),
    /// A code of a lookup table, as the source wrote it and as it is called.
    Lookup {
        code: &'static str,
        raw: &'static str,
        name: &'static str,
    },
    /// A nested attribute: name, id and text of each part.
    Nested(Vec<(&'static str, String, String)>),
}

/// A value that a crosswalk contributes. Of two, the one contributed last survives.
#[derive(Debug, Clone)]
pub(super) struct Contribution {
    pub(super) attribute: &'static str,
    pub(super) id: String,
    pub(super) content: Content,
    pub(super) link: String,
    pub(super) turn: u64,
}

/// A living entity.
#[derive(Debug, Clone)]
pub(super) struct Entity {
    pub(super) uri: String,
    pub(super) kind: EntityType,
    pub(super) created: Millis,
    pub(super) updated: Millis,
    pub(super) links: Vec<Link>,
    pub(super) values: Vec<Contribution>,
}

impl Entity {
    /// The id in the URI.
    pub(super) fn id(&self) -> &str {
        self.uri.rsplit('/').next().unwrap_or_default()
    }

    /// Whether `value` is an operational value: every mail address and phone number is, of
    /// anything else the newest.
    pub(super) fn survives(&self, value: &Contribution) -> bool {
        if matches!(value.attribute, "Email" | "Phone") {
            return true;
        }
        let newest = self
            .values
            .iter()
            .filter(|other| other.attribute == value.attribute)
            .max_by_key(|other| (other.turn, &other.id));
        newest.is_some_and(|newest| newest.id == value.id)
    }

    /// Adds a crosswalk of `source` that contributes every attribute.
    pub(super) fn link(
        &mut self,
        source: &'static str,
        rng: &mut ChaCha8Rng,
        at: Millis,
        turn: u64,
    ) {
        let value = match source {
            SALESFORCE_SOURCE => words::salesforce_id(rng),
            "Reltio" => self.id().to_owned(),
            "SAP" => format!("{:0>10}", digits(rng, 7)),
            _ => format!("W-{}", digits(rng, 8)),
        };
        let link = Link {
            id: id(rng, 7),
            source,
            table: (source == "SAP").then_some("KNA1"),
            value,
            created: at,
            updated: at,
        };
        for attribute in self.kind.attributes() {
            // The default crosswalk and the web form know little.
            if matches!(source, "Reltio" | "WEB") && rng.random_bool(0.5) {
                continue;
            }
            let content = content(attribute, rng);
            self.values.push(Contribution {
                attribute,
                id: id(rng, 8),
                content,
                link: link.id.clone(),
                turn,
            });
        }
        self.links.push(link);
    }

    /// Changes one contributed value.
    pub(super) fn change(&mut self, rng: &mut ChaCha8Rng, at: Millis, turn: u64) {
        if self.values.is_empty() {
            return self.link("WEB", rng, at, turn);
        }
        let index = rng.random_range(0..self.values.len());
        let Some(value) = self.values.get_mut(index) else {
            return;
        };
        value.content = content(value.attribute, rng);
        value.turn = turn;
        if let Some(link) = self.links.iter_mut().find(|link| link.id == value.link) {
            link.updated = at;
        }
    }
}

fn content(attribute: &str, rng: &mut ChaCha8Rng) -> Content {
    Content::Text(match attribute {
        "FirstName" => pick(rng, &words::FIRST).to_owned(),
        "LastName" => pick(rng, &words::LAST).to_owned(),
        "Email" => format!("{}@example.com", id(rng, 9).to_lowercase()),
        "Phone" => format!("+1 555 {}", digits(rng, 7)),
        "BirthDate" => format!(
            "{}-{:02}-{:02}",
            rng.random_range(1930..2008),
            rng.random_range(1..=12),
            rng.random_range(1..=28)
        ),
        "Name" => format!(
            "{} {}",
            pick(rng, &words::COMPANY),
            pick(rng, &words::ENDING)
        ),
        "Website" => format!("https://{}.example.com", id(rng, 6).to_lowercase()),
        "Status" => return status(rng),
        "Address" => return address(rng),
        _ => id(rng, 12),
    })
}

fn status(rng: &mut ChaCha8Rng) -> Content {
    let (code, raw, name) = pick(
        rng,
        &[
            ("ACTV", "active", "Active"),
            ("PROS", "P", "Prospect"),
            ("INAC", "0", "Inactive"),
        ],
    );
    Content::Lookup { code, raw, name }
}

fn address(rng: &mut ChaCha8Rng) -> Content {
    let (city, zip, country) = pick(rng, &words::CITY);
    let line = format!("{} {}", rng.random_range(1..400), pick(rng, &words::STREET));
    Content::Nested(vec![
        ("AddressLine1", id(rng, 8), line),
        ("City", id(rng, 8), city.to_owned()),
        ("Zip", id(rng, 8), zip.to_owned()),
        ("Country", id(rng, 8), country.to_owned()),
    ])
}
