//! Values that a schema registry's serializers wrote: Avro, Protobuf and JSON Schema in Confluent's
//! wire format.
//!
//! Guarantee: what comes out is the body that decoding takes everywhere else, or a refusal that
//! names the field and never a value (G10). Bytes that do not fit their schema to the last one are
//! refused, since a wrong schema reads most bytes as something. No input panics; what comes out is
//! never larger than the source's limit, nor nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH)
//! (G8). Numbers keep their digits.
//!
//! Pure: a [`Schema`] is made of texts that somebody else has read from the registry.

mod avro;
mod frame;
mod logical;
mod output;
mod protobuf;
mod unfit;

pub use frame::{Frame, frame};
pub use unfit::Unfit;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a schema is written in, as the registry's `schemaType` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// Avro; the registry leaves the type out.
    #[serde(rename = "AVRO")]
    Avro,
    /// Protobuf, as the text of a `.proto` file.
    #[serde(rename = "PROTOBUF")]
    Protobuf,
    /// JSON Schema.
    #[serde(rename = "JSON")]
    Json,
}

impl Language {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avro => "Avro",
            Self::Protobuf => "Protobuf",
            Self::Json => "JSON Schema",
        }
    }
}

/// A schema as the registry has it, with all that it refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaText {
    /// Its language.
    pub language: Language,
    /// Its text.
    pub text: String,
    /// What it refers to, each after what it refers to itself.
    pub references: Vec<Reference>,
}

/// A schema that another one refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// As what it is referred to: the path of an import, or a full name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A schema, ready to read values.
#[derive(Debug)]
pub struct Schema {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Avro(avro::Avro),
    Protobuf(protobuf::Protobuf),
    Json,
}

impl Schema {
    /// Makes a text ready.
    ///
    /// # Errors
    /// Why it is no schema, in one sentence.
    pub fn compile(text: &SchemaText) -> Result<Self, String> {
        let kind = match text.language {
            Language::Avro => Kind::Avro(avro::Avro::compile(&text.text, &text.references)?),
            Language::Protobuf => {
                Kind::Protobuf(protobuf::Protobuf::compile(&text.text, &text.references)?)
            }
            Language::Json => Kind::Json,
        };
        Ok(Self { kind })
    }

    /// Its language.
    pub fn language(&self) -> Language {
        match self.kind {
            Kind::Avro(_) => Language::Avro,
            Kind::Protobuf(_) => Language::Protobuf,
            Kind::Json => Language::Json,
        }
    }

    /// The body in `datum`, which is what follows the frame's head: at most `limit` bytes. A string
    /// or bytes alone are the body themselves; what JSON Schema describes is JSON already, and is
    /// not copied.
    ///
    /// # Errors
    /// [`Unfit`]: where the bytes are not what the schema says.
    pub fn body(&self, datum: &Bytes, limit: usize) -> Result<Bytes, Unfit> {
        match &self.kind {
            Kind::Avro(avro) => avro.body(datum, limit),
            Kind::Protobuf(protobuf) => protobuf.body(datum, limit),
            Kind::Json => Ok(datum.clone()),
        }
    }
}
