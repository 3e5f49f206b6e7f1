//! What decoding is given of a record: its bytes, or what a schema registry's schema makes of them.
//!
//! Guarantee (G6): a record whose schema is known waits for no one; one whose schema is not waits by
//! itself, like one that needs a read of Reltio, and is never dead-lettered because a registry does
//! not answer.

use bytes::Bytes;

use super::letter::Refused;
use super::process::SourceRules;
use crate::decode::schema::{Frame, Schema, frame};
use crate::event::Received;
use crate::schema_registry::{Refusal, SchemaRegistry};

impl SourceRules {
    /// The body of `record`; nothing if its schema is not known yet.
    pub(super) fn body(&self, record: &Received) -> Result<Option<Bytes>, Refused> {
        let Some((registry, id, datum)) = self.framed(record)? else {
            return Ok(Some(record.body.clone()));
        };
        match registry.known(id) {
            Some(schema) => self.opened(id, &*schema?, &datum).map(Some),
            None => Ok(None),
        }
    }

    /// The body of `record`, however long its schema takes.
    pub(super) async fn body_with_schema(&self, record: &Received) -> Result<Bytes, Refused> {
        let Some((registry, id, datum)) = self.framed(record)? else {
            return Ok(record.body.clone());
        };
        let schema = registry.schema(id).await?;
        self.opened(id, &schema, &datum)
    }

    /// The registry, the schema's id and what it describes, if the record has such a head and its
    /// source a registry.
    fn framed(&self, record: &Received) -> Result<Option<(&SchemaRegistry, u32, Bytes)>, Refused> {
        let Some(registry) = &self.schemas else {
            return Ok(None);
        };
        match frame(&record.body) {
            Frame::Plain => Ok(None),
            Frame::Framed(id, datum) => Ok(Some((registry, id, datum))),
            Frame::Cut => Err(refused(
                "schema_mismatch",
                "the value begins like a schema registry's, and is too short to name a schema"
                    .to_owned(),
            )),
        }
    }

    fn opened(&self, id: u32, schema: &Schema, datum: &Bytes) -> Result<Bytes, Refused> {
        let body = schema.body(datum, self.decode.max_bytes);
        body.map_err(|unfit| {
            let language = schema.language().name();
            let detail = format!("the value does not fit schema {id} ({language}): {unfit}");
            refused(unfit.code(), detail)
        })
    }
}

fn refused(code: &str, detail: String) -> Refused {
    Refused {
        stage: "decode",
        reason: "undecodable",
        code: code.to_owned(),
        detail,
    }
}

impl From<Refusal> for Refused {
    fn from(Refusal { code, detail }: Refusal) -> Self {
        refused(code, detail)
    }
}
