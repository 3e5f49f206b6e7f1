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
use super::percent::percent_decoded;
use super::proxies::Proxies;
use super::signature::standard_names;
use crate::decode::reads_header;
use crate::event::{Header, Origin, SourceRecord};
use crate::listener::Peer;
use crate::telemetry::Metrics;
use crate::time::{Millis, SharedClock};

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
    pub(super) proxies: Proxies,
}

/// One request on its way.
#[derive(Debug)]
struct Visit {
    intake: Arc<Intake>,
    endpoint: Option<Arc<Endpoint>>,
    /// Who is held off if it fails authentication: see [`super::limit`].
    address: Option<IpAddr>,
    /// It comes in clear text, and not from the proxy.
    stranger: bool,
    deadline: Instant,
    authenticated: bool,
    /// Its body was not read: on HTTP/1 nothing can follow it.
    unread: bool,
}

/// A request with its body, and what it holds of the budget.
#[derive(Debug)]
struct Received {
    endpoint: Arc<Endpoint>,
    headers: HeaderMap,
    body: Bytes,
    claim: Claim,
}

/// Takes a request, and answers it within the deadline.
pub(super) async fn take(
    State(intake): State<Arc<Intake>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let version = parts.version;
    let mut visit = Visit {
        deadline: peer.head_read(version) + intake.deadline,
        endpoint: intake.endpoints.get(parts.uri.path()).cloned(),
        address: intake.address_of(&peer, &parts.headers),
        stranger: intake.proxies.refuse(peer.address().ip()),
        intake: Arc::clone(&intake),
        authenticated: false,
        unread: false,
    };
    let outcome = visit.admit(parts, body).await;
    if let (Err(refusal), Some(endpoint)) = (&outcome, &visit.endpoint) {
        endpoint.refused.note(&endpoint.source, *refusal);
    }
    let mut response = answer(outcome);
    if visit.unread && version < Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    // The path of an unknown endpoint is the sender's text, and no label.
    let name = visit.endpoint.as_ref().map(|endpoint| &endpoint.source);
    let code = response.status().as_u16();
    intake.metrics.webhook(name, visit.authenticated, code);
    response
}

impl Intake {
    fn address_of(&self, peer: &Peer, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer.address().ip();
        if !self.proxies.hold(peer) {
            return Some(peer);
        }
        let last = headers.get_all("x-forwarded-for").iter().next_back()?;
        last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
    }
}

impl Visit {
    async fn admit(&mut self, parts: request::Parts, mut body: Body) -> Result<(), Refusal> {
        let received = timeout_at(self.deadline, self.receive(&parts, &mut body)).await;
        let (endpoint, body, claim) = match received.unwrap_or(Err(Refusal::Unavailable)) {
            Ok(received) => received,
            Err(refusal) => {
                self.unread = !body.is_end_stream();
                // One who waits for leave to send the body is not given it.
                if self.unread && !parts.headers.contains_key(header::EXPECT) {
                    body::linger(body, self.deadline);
                }
                return Err(refusal);
            }
        };
        let received = Received {
            endpoint,
            headers: parts.headers,
            body,
            claim,
        };
        let examined = timeout_at(self.deadline, self.examine(received)).await;
        let (record, claim) = examined.unwrap_or(Err(Refusal::Unavailable))?;
        self.intake.inbox.append(record, claim, self.deadline).await
    }

    /// Everything that needs no more than the head, then the body.
    async fn receive(
        &self,
        parts: &request::Parts,
        body: &mut Body,
    ) -> Result<(Arc<Endpoint>, Bytes, Claim), Refusal> {
        if self.stranger {
            return Err(Refusal::Stranger);
        }
        let endpoint = self.endpoint.clone().ok_or(Refusal::NotFound)?;
        if parts.method != Method::POST {
            return Err(Refusal::Method);
        }
        let held_off = self
            .address
            .and_then(|address| endpoint.failures.held_off(address));
        if let Some(wait) = held_off {
            return Err(Refusal::TooMany(wait));
        }
        let mut claim = self.intake.budget.claim()?;
        let body = body::read(&parts.headers, body, endpoint.max_body, &mut claim).await?;
        Ok((endpoint, body, claim))
    }

    /// Checks who sent it, and makes the inbox's record of it.
    async fn examine(&mut self, received: Received) -> Result<(Bytes, Claim), Refusal> {
        let compressed = received.headers.contains_key(header::CONTENT_ENCODING);
        let heavy = compressed || received.body.len() > LARGE;
        let (now, address) = (self.intake.clock.now(), self.address);
        let work = move || {
            let Received {
                endpoint,
                headers,
                body,
                ..
            } = &received;
            let Err(doubt) = endpoint.authenticate(headers, body, now) else {
                return (true, record(received, now));
            };
            if let Some(address) = address {
                endpoint.failures.note(address);
            }
            (false, Err(Refusal::Unauthorized(doubt)))
        };
        let (authenticated, examined) = if heavy {
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|_| Refusal::Unavailable)?
        } else {
            work()
        };
        self.authenticated = authenticated;
        examined
    }
}

/// The inbox's record of an authenticated request.
fn record(received: Received, now: Millis) -> Result<(Bytes, Claim), Refusal> {
    let Received {
        endpoint,
        headers,
        body,
        mut claim,
    } = received;
    endpoint.rate.draw().map_err(Refusal::TooMany)?;
    let encoding = Encoding::of(&headers)?;
    let body = body::inflate(encoding, body, endpoint.max_body, &mut claim)?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let [id_name, ..] = standard_names(&headers);
    // The others, signatures and tokens among them, are not stored.
    let kept = headers.keys().filter(|name| reads_header(name.as_str()));
    let kept = kept.filter_map(|name| {
        let header = Header::named(name.as_str())?;
        let value = percent_decoded(header, text(name.as_str())?);
        Some((header.key().to_owned(), value))
    });
    let record = SourceRecord {
        source: endpoint.source.to_string(),
        received_time: now,
        headers: kept.collect(),
        origin: Some(Origin {
            source: endpoint.source.to_string(),
            topic: endpoint.path.clone(),
            message_id: text(id_name).unwrap_or_default().to_owned(),
            ..Origin::default()
        }),
        body,
        ..SourceRecord::default()
    };
    Ok((record.encode_to_vec().into(), claim))
}
