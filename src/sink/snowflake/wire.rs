//! The requests of a channel: open, append, status.
//!
//! Guarantee: what became of the channel is told apart from what passes: see [`Fault`].

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Url};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::config::SnowflakeSink;
use super::http::{self, Answer};
use super::session::{Scoped, Session};
use crate::http::client;
use crate::sink::SinkError;
use crate::time::SharedClock;

/// Why an append was not taken.
#[derive(Debug)]
pub(super) enum Fault {
    /// The continuation token is not the channel's: it was used, or another opened the channel.
    Stale,
    /// The channel is not there any more, or has to be opened again.
    Gone,
    /// Anything else.
    Other(SinkError),
}

/// What a channel came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    /// The offset token of the newest append that is committed.
    pub(super) last_committed_offset_token: Option<String>,
    /// Rows refused so far.
    #[serde(alias = "rows_errors")]
    rows_error_count: Option<u64>,
    /// The offset token of the newest append that has a refused row.
    pub(super) last_error_offset_upper_bound: Option<String>,
    /// What Snowflake says of it. May quote a value of the row.
    pub(super) last_error_message: Option<String>,
}

impl Status {
    /// Rows refused so far.
    pub(super) fn errors(&self) -> u64 {
        self.rows_error_count.unwrap_or_default()
    }
}

/// A channel that was opened.
#[derive(Debug, Deserialize)]
pub(super) struct Opened {
    /// What the next append has to bring.
    pub(super) next_continuation_token: String,
    /// What it came to before.
    pub(super) channel_status: Status,
}

#[derive(Debug, Deserialize)]
struct Appended {
    next_continuation_token: String,
}

#[derive(Debug, Deserialize)]
struct Statuses {
    channel_statuses: std::collections::BTreeMap<String, Status>,
}

/// What an append brings.
#[derive(Debug)]
pub(super) struct Append<'a> {
    pub(super) channel: &'a str,
    /// What the request before it was answered.
    pub(super) continuation: &'a str,
    /// The offset token.
    pub(super) token: &'a str,
    /// NDJSON, zstd.
    pub(super) rows: Bytes,
}

/// Snowpipe Streaming of one pipe.
#[derive(Debug)]
pub(super) struct Wire {
    http: reqwest::Client,
    session: Session,
    names: [String; 3],
    table: String,
}

impl Wire {
    /// That which `config` names. Nothing is connected yet.
    ///
    /// # Errors
    /// What is wrong with a URL or the key, as one sentence.
    pub(super) fn new(config: &SnowflakeSink, clock: SharedClock) -> Result<Self, String> {
        let http = client(config.request_timeout.get(), config.insecure_plain_http)?;
        Url::parse(&config.control()).map_err(|error| format!("url: {error}; write https://…"))?;
        Ok(Self {
            session: Session::new(http.clone(), config, clock)?,
            http,
            names: [
                config.database.clone(),
                config.schema.clone(),
                config.pipe(),
            ],
            table: config.place(),
        })
    }

    /// Opens a channel, which is made if it is not there: no other can append to it any more, and
    /// what was not committed is gone.
    ///
    /// # Errors
    /// If it is not known to be open.
    pub(super) async fn open(&self, channel: &str) -> Result<Opened, SinkError> {
        let request = |token: &Scoped| {
            let url = self.url(token, &["v2", "streaming"], &["channels", channel])?;
            let request = self.http.request(Method::PUT, url);
            Some(request.header(CONTENT_TYPE, "application/json").body("{}"))
        };
        let answer = self.call(request, false).await?;
        if answer.0.status == 409 {
            // Another opening is under way; it is of this channel's owner, or of one before.
            return Err(http::away(&answer.code()));
        }
        self.read(&answer)
    }

    /// Appends rows; the continuation token of the next request.
    ///
    /// # Errors
    /// If they are not known to be taken.
    pub(super) async fn append(&self, append: Append<'_>) -> Result<String, Fault> {
        let id = Uuid::new_v4().to_string();
        let request = |token: &Scoped| {
            let place = ["channels", append.channel, "rows"];
            let mut url = self.url(token, &["v2", "streaming", "data"], &place)?;
            url.query_pairs_mut()
                .append_pair("continuationToken", append.continuation)
                .append_pair("startOffsetToken", append.token)
                .append_pair("endOffsetToken", append.token)
                .append_pair("requestId", &id);
            let request = self.http.request(Method::POST, url);
            Some(
                request
                    .header(CONTENT_TYPE, "application/x-ndjson")
                    .header(CONTENT_ENCODING, "zstd")
                    .body(append.rows.clone()),
            )
        };
        let answer = self.call(request, true).await.map_err(Fault::Other)?;
        if answer.is_stale() {
            return Err(Fault::Stale);
        }
        let code = answer.code();
        match answer.0.status {
            409 | 410 => Err(Fault::Gone),
            404 if code.contains("CHANNEL") => Err(Fault::Gone),
            200 => match serde_json::from_slice::<Appended>(&answer.0.body) {
                Ok(appended) => Ok(appended.next_continuation_token),
                Err(_) => Err(Fault::Other(SinkError::Retryable {
                    code: "answer_unreadable".to_owned(),
                    ambiguous: true,
                    outage: true,
                })),
            },
            _ => Err(Fault::Other(self.refused(&answer))),
        }
    }

    /// What a channel came to; nothing if it is not there.
    ///
    /// # Errors
    /// If that is not known.
    pub(super) async fn status(&self, channel: &str) -> Result<Option<Status>, SinkError> {
        let body = json!({ "channel_names": [channel] }).to_string();
        let [database, schema, pipe] = &self.names;
        let pipe = format!("{pipe}:bulk-channel-status");
        let request = |token: &Scoped| {
            let mut url = Url::parse(&token.ingest).ok()?;
            let path = ["v2", "streaming", "databases", database, "schemas", schema];
            url.path_segments_mut()
                .ok()?
                .extend(path)
                .extend(["pipes", &pipe]);
            let request = self.http.request(Method::POST, url);
            let request = request.header(CONTENT_TYPE, "application/json");
            Some(request.body(body.clone()))
        };
        let answer = self.call(request, false).await?;
        let statuses: Statuses = self.read(&answer)?;
        let mut statuses = statuses.channel_statuses.into_iter();
        let found = statuses.find(|(name, _)| name.eq_ignore_ascii_case(channel));
        Ok(found.map(|(_, status)| status))
    }

    /// A path of the pipe at the host that takes rows.
    fn url(&self, token: &Scoped, head: &[&str], tail: &[&str]) -> Option<Url> {
        let [database, schema, pipe] = &self.names;
        let mut url = Url::parse(&token.ingest).ok()?;
        url.path_segments_mut()
            .ok()?
            .extend(head)
            .extend(["databases", database, "schemas", schema, "pipes", pipe])
            .extend(tail);
        Some(url)
    }

    /// Sends a request with a token; once more with another if it is refused, and tells what passes
    /// as an error.
    async fn call(
        &self,
        request: impl Fn(&Scoped) -> Option<RequestBuilder>,
        appends: bool,
    ) -> Result<Answer, SinkError> {
        let mut token = self.session.token(None).await?;
        let mut renewed = false;
        loop {
            let answer = self.once(&request, &token, appends).await?;
            // A pipe that failed over is at another host.
            let moved = answer.0.status == 410;
            if (moved || answer.is_expired()) && !renewed {
                token = self.session.token(Some(&token)).await?;
                renewed = true;
                if moved {
                    return Ok(answer);
                }
                continue;
            }
            return match answer.passing(appends) {
                Some(error) => Err(error),
                None => Ok(answer),
            };
        }
    }

    async fn once(
        &self,
        request: &impl Fn(&Scoped) -> Option<RequestBuilder>,
        token: &Arc<Scoped>,
        appends: bool,
    ) -> Result<Answer, SinkError> {
        let request = request(token).ok_or_else(|| http::away("hostname_unreadable"))?;
        http::send(request.bearer_auth(token.bearer.reveal()), appends).await
    }

    fn read<T: serde::de::DeserializeOwned>(&self, answer: &Answer) -> Result<T, SinkError> {
        if answer.0.status != 200 {
            return Err(self.refused(answer));
        }
        let read = serde_json::from_slice(&answer.0.body);
        read.map_err(|_| http::away("answer_unreadable"))
    }

    /// What a person has to mend.
    fn refused(&self, answer: &Answer) -> SinkError {
        let table = &self.table;
        let remedy = match answer.0.status {
            410 => return http::away(&answer.code()),
            401 | 403 => format!(
                "grant the user's default role INSERT on {table}, OPERATE on its pipe, and USAGE on \
                 their database and schema, as `goldwire schema snowflake` prints"
            ),
            404 => format!(
                "make {table} as `goldwire schema snowflake` prints, and check database, schema, \
                 table and pipe; what the role may not use is not found either"
            ),
            _ => "Snowflake does not take the request; report it with this code".to_owned(),
        };
        SinkError::Systemic {
            code: answer.code(),
            remedy,
        }
    }
}
