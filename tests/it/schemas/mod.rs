//! Values of a schema registry's serializers, against encoders that are not ours.

mod avro;
mod avro_random;
mod connect;
mod http;
mod protobuf;
mod protobuf_random;

use bytes::Bytes;
use goldwire::decode::schema::{Language, Reference, Schema, SchemaText};
use serde_json::Value;

/// What a source takes.
const LIMIT: usize = 1 << 20;

fn text(language: Language, text: &str, references: &[(&str, &str)]) -> SchemaText {
    let references = references.iter().map(|(name, text)| Reference {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
    });
    SchemaText {
        language,
        text: text.to_owned(),
        references: references.collect(),
    }
}

fn schema(language: Language, of: &str, references: &[(&str, &str)]) -> Result<Schema, String> {
    Schema::compile(&text(language, of, references))
}

/// What comes out of `datum`, as JSON; the refusal's code and sentence, if it is one.
fn body(schema: &Schema, datum: &[u8]) -> Result<Value, (&'static str, String)> {
    match schema.body(&Bytes::copy_from_slice(datum), LIMIT) {
        Ok(body) => Ok(serde_json::from_slice(&body).unwrap()),
        Err(unfit) => Err((unfit.code(), unfit.to_string())),
    }
}
