//! The cache: what it answers over HTTP, asked as its clients do.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use reqwest::{Client, Response};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::warehouse::{as_answered, first_difference, newest};
use super::{Comparison, ever_by};
use crate::tenant::{End, Truth};

const SINK: &str = "cache";
/// Requests at once.
const AT_ONCE: usize = 16;
/// Longest one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What stands in an answer, as far as it is compared.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    uri: String,
    version: Option<i64>,
    survivor_of: Option<String>,
    record: Box<RawValue>,
}

/// Asks the cache at `address` for every entity, and compares the answers with the truth. It also
/// must have nothing for an unknown entity, nor for a client without a token.
///
/// # Errors
/// One sentence, if a request is not answered.
pub async fn compare(
    address: SocketAddr,
    token: &str,
    truth: &Truth,
) -> Result<Comparison, String> {
    crate::tls::use_ring();
    let http = Client::builder().no_proxy().timeout(PATIENCE).build();
    let http = http.map_err(|error| format!("client of the cache: {error}"))?;
    let url = |uri: &str| format!("http://{address}/v1/golden-records/{uri}");
    let mut comparison = Comparison::default();
    let newest = newest(truth);
    let entities = truth.ends.keys().filter(|uri| uri.starts_with("entities/"));
    let asked = entities.map(|uri| {
        let request = http.get(url(uri)).bearer_auth(token).send();
        async move { (uri, request.await) }
    });
    let mut answers = stream::iter(asked).buffered(AT_ONCE);
    while let Some((uri, answer)) = answers.next().await {
        let answer = answer.map_err(|error| format!("cache: {uri}: {error}"))?;
        let end = truth.ends.get(uri).unwrap_or(&End::Removed);
        let versions = newest.get(uri.as_str()).map(|(_, versions)| versions);
        let problem = wrong(truth, (uri, end), versions, answer).await;
        comparison.look(SINK, uri, problem);
    }
    let nobody = "entities/never-was";
    for (request, expected, whom) in [
        (http.get(url(nobody)).bearer_auth(token), 404, nobody),
        (http.get(url(nobody)), 401, "who has no token"),
    ] {
        let answer = request.send().await;
        let status = answer.map_err(|error| format!("cache: {error}"))?.status();
        let is_wrong = status != expected;
        let problem = is_wrong.then(|| format!("should be answered {expected}, is {status}"));
        comparison.look(SINK, whom, problem);
    }
    Ok(comparison)
}

/// What is wrong with the answer for `uri`.
async fn wrong(
    truth: &Truth,
    (uri, end): (&str, &End),
    versions: Option<&BTreeSet<i64>>,
    answer: Response,
) -> Option<String> {
    let status = answer.status().as_u16();
    let expected = match end {
        End::Alive(_)
        | End::Absorbed {
            survivor: Some(_), ..
        } => 200,
        End::Absorbed { survivor: None, .. } | End::Removed | End::Erased => 410,
    };
    if status != expected {
        return Some(format!("should be answered {expected}, is {status}"));
    }
    if expected != 200 {
        return None;
    }
    let Ok(answer) = answer.bytes().await else {
        return Some("has an answer that breaks off".to_owned());
    };
    let Ok(answer) = serde_json::from_slice::<Answer>(&answer) else {
        return Some("has an answer that cannot be read".to_owned());
    };
    match end {
        End::Alive(expected) => content(expected, uri, versions, &answer),
        End::Absorbed { .. } => led_on(truth, uri, &answer),
        End::Removed | End::Erased => None,
    }
}

/// Whether a living entity is answered with its newest content and version.
fn content(
    expected: &serde_json::Value,
    uri: &str,
    versions: Option<&BTreeSet<i64>>,
    answer: &Answer,
) -> Option<String> {
    if answer.uri != uri || answer.survivor_of.is_some() {
        return Some(format!("lives, and is answered with {}", answer.uri));
    }
    let object = as_answered(answer.record.get());
    if object.as_ref() != Some(expected) {
        let path = object.map(|object| first_difference(expected, &object));
        let path = path.unwrap_or_default();
        return Some(format!("lives, but its record differs at {path}"));
    }
    let version = answer.version?;
    let is_newest = versions.is_some_and(|versions| versions.contains(&version));
    (!is_newest).then(|| format!("should have version {versions:?}, has {version}"))
}

/// Whether who was merged is answered with one that took it over and lives. Of a winner that was split
/// off its own winner again the loser may have been told either.
fn led_on(truth: &Truth, uri: &str, answer: &Answer) -> Option<String> {
    if answer.survivor_of.as_deref() != Some(uri) {
        let said = &answer.survivor_of;
        return Some(format!(
            "was merged, and is answered as survivor of {said:?}"
        ));
    }
    let by = &answer.uri;
    let lives = matches!(truth.ends.get(by), Some(End::Alive(_)));
    let right = lives && ever_by(truth, uri).contains(by);
    (!right).then(|| format!("is answered with {by}, which is not its survivor"))
}
