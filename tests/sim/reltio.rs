//! Reltio's API: answers from a replica that lags, fails, and cannot answer for some objects.

use std::sync::Arc;

use async_trait::async_trait;
use goldwire::reltio::{Answer, Found, RecordReader, ReltioError};
use goldwire::time::Millis;
use rand::RngExt as _;

use super::fault::Fault;
use super::host::Host;
use super::plan::LAG;
use super::script::{Moment, Truth};

/// The API.
#[derive(Debug)]
pub(crate) struct Replica(pub(crate) Arc<Host>);

impl Replica {
    /// The time that the answering replica has reached, and Reltio's clock; or no answer.
    async fn reach(&self) -> Result<(Millis, Millis), ReltioError> {
        let world = &self.0;
        world.pause(100).await;
        if world.hits(Fault::ReltioOutage) || world.hits(Fault::ReadFails) {
            return Err(ReltioError::Unavailable {
                code: "503".to_owned(),
            });
        }
        if world.hits(Fault::ReadRejected) {
            return Err(ReltioError::Rejected {
                code: "500".to_owned(),
            });
        }
        let (reached, date) = {
            let mut state = world.lock();
            let now = state.now();
            let lag = state.rng.random_range(0..=LAG);
            (now - lag, now / 1000 * 1000)
        };
        world.pause(100).await;
        Ok((reached, date))
    }
}

fn found(asked: &str, uri: Option<&str>, moment: Option<&Moment>) -> Found {
    match moment.map(|moment| &moment.truth) {
        Some(Truth::Alive(object)) if uri == Some(asked) => Found::Alive(Arc::clone(object)),
        Some(Truth::Alive(object)) => Found::Survivor(Arc::clone(object)),
        Some(Truth::Absorbed { .. } | Truth::Removed | Truth::Erased) | None => Found::Nothing,
    }
}

#[async_trait]
impl RecordReader for Replica {
    async fn read(&self, uri: &str) -> Result<Answer, ReltioError> {
        let (reached, date) = self.reach().await?;
        let (chain, moment) = self.0.script.survivor(uri, reached);
        let at = chain.last().map_or(uri, String::as_str);
        self.0.note(|| {
            format!(
                "read {uri} as of {reached}: {:?}",
                moment.map(|moment| moment.seq)
            )
        });
        Ok(Answer {
            date,
            found: found(uri, Some(at), moment),
        })
    }

    async fn by_crosswalk(&self, _: &str, value: &str) -> Result<Answer, ReltioError> {
        let (reached, date) = self.reach().await?;
        let owner = self.0.script.named(value, reached);
        let (uri, moment) = owner.unzip();
        Ok(Answer {
            date,
            found: found(uri.unwrap_or_default(), uri, moment),
        })
    }
}
