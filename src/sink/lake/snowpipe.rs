//! Snowpipe is told of each file.
//!
//! Guarantee: a file counts as written once Snowpipe has recorded its name, so that none is left out;
//! whoever has the partition after a crash tells it again. A name that comes twice is loaded once:
//! Snowpipe knows those of the last 14 days. What is recorded is not loaded yet.
//! <https://docs.snowflake.com/en/user-guide/data-load-snowpipe-rest-apis>

use reqwest::Url;
use serde_json::json;
use uuid::Uuid;

use super::config::Snowpipe;
use crate::http::snowflake::{Signer, control, signed};
use crate::http::{self, Failure};
use crate::sink::SinkError;
use crate::time::SharedClock;

const REMEDY: &str = "check snowpipe.account, user and pipe: the user's RSA_PUBLIC_KEY must be that of \
                      private_key, its role must have OPERATE and MONITOR on the pipe, and the pipe \
                      must be one without AUTO_INGEST";

/// A pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    http: reqwest::Client,
    signer: Signer,
    url: Url,
    /// Where the files are below the pipe's stage, with its slash.
    folder: String,
    clock: SharedClock,
}

impl Pipe {
    /// The pipe that the configuration names. Connects to nothing.
    ///
    /// # Errors
    /// What is wrong with the key or the URL, as one sentence.
    pub(super) fn new(config: &Snowpipe, clock: SharedClock) -> Result<Self, String> {
        let host = control(&config.account, config.url.as_deref());
        let url = format!("{host}/v1/data/pipes/{}/insertFiles", config.pipe);
        let url = Url::parse(&url).map_err(|why| format!("url: {why}; correct account or url"))?;
        let folder = config.stage_path.trim_matches('/');
        Ok(Self {
            http: http::client(config.request_timeout.get(), config.insecure_plain_http)?,
            signer: Signer::new(&config.account, &config.user, config.private_key.reveal())?,
            url,
            folder: match folder {
                "" => String::new(),
                folder => format!("{folder}/"),
            },
            clock,
        })
    }

    /// Tells it of a file, with its size where that is known.
    ///
    /// # Errors
    /// If Snowpipe is not known to have recorded it; telling it again does no harm.
    pub(super) async fn tell(&self, name: &str, size: Option<usize>) -> Result<(), SinkError> {
        let token = self.signer.token(self.clock.now());
        let token = token.ok_or_else(|| Failure::Unreachable("token_unsigned".to_owned()))?;
        let mut file = json!({ "path": format!("{}{name}", self.folder) });
        if let (Some(size), Some(file)) = (size, file.as_object_mut()) {
            file.insert("size".to_owned(), size.into());
        }
        let request = self.http.post(self.url.clone());
        let request = request
            .query(&[("requestId", Uuid::new_v4().to_string())])
            .json(&json!({ "files": [file] }));
        let answer = http::send(signed(request, &token)).await;
        let answer = answer.map_err(Failure::of_question)?;
        if answer.status == 200 {
            return Ok(());
        }
        Err(answer.failure(None, REMEDY).of_question().into())
    }
}
