//! The path of a request, from its head to its answer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Version, header, request};
use axum::response::Response;
use bytes::Bytes;
use prost::Message as _;
use tokio::time::{Instant, timeout_at};

use super::answer::{Refusal, answer};
use super::append::Inbox;
use super::body::{self, Encoding};
use super::endpoint::Endpoint;
use super::limit::{Budget, Claim};
use super::signature::STANDARD_ID;
use super::wire::Peer;
use crate::event::{Origin, SourceRecord};
use crate::telemetry::Metrics;
use crate::time::SharedClock;

/// Hashing more than this, or decompressing anything, is not done on the runtime's own threads.
const LARGE: usize = 256 << 10;

/// What all requests share.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) endpoints: HashMap<String, Arc<Endpoint>>,
    pub(super) inbox: Inbox,
    pub(super) clock: SharedClock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) budget: Budget,
    pub(super) deadline: Duration,
    pub(super) behind_proxy: bool,
}

/// What is known of a request when it is answered.
#[derive(Debug, Default)]
struct Known {
    authenticated: bool,
    /// Its body was not read: on HTTP/1 nothing can follow it.
    unread: bool,
}

/// A request with its body, and what it holds of the budget.
#[derive(Debug)]
struct Received {
    endpoint: Arc<Endpoint>,
    headers: HeaderMap,
    address: Option<IpAddr>,
    body: Bytes,
    claim: Claim,
}

/// Takes a request, and answers it within the deadline.
pub(super) async fn take(
    State(intake): State<Arc<Intake>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let deadline = peer.head_read(request.version()) + intake.deadline;
    let (parts, body) = request.into_parts();
    let endpoint = intake.endpoints.get(parts.uri.path()).cloned();
    // The path of an unknown one is the sender's text, and no label.
    let name = endpoint.as_ref().map_or("unknown", |endpoint| &endpoint.source).to_owned();
    let (version, mut known) = (parts.version, Known::default());
    let outcome = intake.admit(endpoint, &peer, parts, body, deadline, &mut known).await;
    let mut response = answer(outcome);
    if known.unread && version < Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    intake.metrics.webhook(&name, known.authenticated, response.status().as_u16());
    response
}

impl Intake {
    async fn admit(
        self: &Arc<Self>,
        endpoint: Option<Arc<Endpoint>>,
        peer: &Peer,
        parts: request::Parts,
        mut body: Body,
        deadline: Instant,
        known: &mut Known,
    ) -> Result<(), Refusal> {
        let address = self.address_of(peer, &parts.headers);
        let received = self.receive(endpoint, address, &parts, &mut body);
        let received = timeout_at(deadline, received).await.unwrap_or(Err(Refusal::Unavailable));
        let received = match received {
            Ok(received) => received,
            Err(refusal) => {
                known.unread = !body.is_end_stream();
                // One who waits for leave to send the body is not given it.
                if known.unread && !parts.headers.contains_key(header::EXPECT) {
                    body::linger(body, deadline);
                }
                return Err(refusal);
            }
        };
        let examined = timeout_at(deadline, self.examine(received, known)).await;
        let (record, claim) = examined.unwrap_or(Err(Refusal::Unavailable))?;
        self.inbox.append(record, claim, deadline).await
    }

    /// Everything that needs no more than the head, then the body.
    async fn receive(
        &self,
        endpoint: Option<Arc<Endpoint>>,
        address: Option<IpAddr>,
        parts: &request::Parts,
        body: &mut Body,
    ) -> Result<Received, Refusal> {
        let endpoint = endpoint.ok_or(Refusal::NotFound)?;
        if parts.method != Method::POST {
            return Err(Refusal::Method);
        }
        if let Some(wait) = address.and_then(|address| endpoint.failures.held_off(address)) {
            return Err(Refusal::TooMany(wait));
        }
        let mut claim = self.budget.claim()?;
        let body = body::read(&parts.headers, body, endpoint.max_body, &mut claim).await?;
        Ok(Received { endpoint, headers: parts.headers.clone(), address, body, claim })
    }

    /// Checks who sent it, and makes the inbox's record of it.
    async fn examine(
        self: &Arc<Self>,
        received: Received,
        known: &mut Known,
    ) -> Result<(Bytes, Claim), Refusal> {
        let heavy =
            received.body.len() > LARGE || received.headers.contains_key(header::CONTENT_ENCODING);
        let intake = Arc::clone(self);
        let work = move || {
            let now = intake.clock.now();
            let Received { endpoint, headers, body, .. } = &received;
            if endpoint.authenticates(headers, body, now) {
                (true, record(received, now))
            } else {
                if let Some(address) = received.address {
                    endpoint.failures.note(address);
                }
                (false, Err(Refusal::Unauthorized))
            }
        };
        let (authenticated, examined) = if heavy {
            tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Unavailable)?
        } else {
            work()
        };
        known.authenticated = authenticated;
        examined
    }

    /// Whom to hold off if the request fails: see [`super::limit`].
    fn address_of(&self, peer: &Peer, headers: &HeaderMap) -> Option<IpAddr> {
        if !self.behind_proxy {
            return Some(peer.address().ip());
        }
        let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
        last.rsplit(',').next()?.trim().parse().ok()
    }
}

/// The inbox's record of an authenticated request.
fn record(received: Received, now: i64) -> Result<(Bytes, Claim), Refusal> {
    let Received { endpoint, headers, body, mut claim, .. } = received;
    endpoint.rate.draw().map_err(Refusal::TooMany)?;
    let encoding = Encoding::of(&headers)?;
    let body = body::inflate(encoding, body, endpoint.max_body, &mut claim)?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let kept = headers.keys().filter(|name| keep(name.as_str()));
    let kept = kept.filter_map(|name| Some((name.to_string(), text(name.as_str())?.to_owned())));
    let record = SourceRecord {
        source: endpoint.source.clone(),
        received_time: now,
        headers: kept.collect(),
        origin: Some(Origin {
            source: endpoint.source.clone(),
            topic: endpoint.path.clone(),
            message_id: text(STANDARD_ID).unwrap_or_default().to_owned(),
            ..Origin::default()
        }),
        body,
        ..SourceRecord::default()
    };
    Ok((record.encode_to_vec().into(), claim))
}

/// Whether decoding reads this header. The others, signatures and tokens among them, are not stored.
fn keep(name: &str) -> bool {
    const READ: [&str; 8] = [
        "committime",
        "content-type",
        "eventtype",
        "messageid",
        "objectversion",
        "sourceobjecturi",
        "tenantid",
        "traceparent",
    ];
    READ.contains(&name)
}
