//! The HTTP under the client: TLS, timeouts, redirects, bodies of bounded size.
//!
//! Guarantee (G10): errors are codes; no URL, header or body reaches one.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Url, redirect};

use super::ReltioApi;
use crate::tls;

/// Largest answer taken. Reltio's own limits keep an entity far below it.
pub(super) const LARGEST_ANSWER: usize = 64 << 20;
/// What an answer beyond [`LARGEST_ANSWER`] is called.
pub(super) const TOO_LARGE: &str = "answer_too_large";

const LONGEST_CONNECT: Duration = Duration::from_secs(10);
const MOST_REDIRECTS: usize = 5;

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// A client for Reltio's hosts.
///
/// # Errors
/// If the operating system's certificates cannot be used.
pub(super) fn client(config: &ReltioApi) -> Result<reqwest::Client, String> {
    tls::use_ring();
    let timeout = config.request_timeout.get();
    reqwest::Client::builder()
        .https_only(!config.insecure_plain_http)
        .timeout(timeout)
        .connect_timeout(timeout.min(LONGEST_CONNECT))
        .redirect(redirect::Policy::custom(same_host))
        .build()
        .map_err(|_| {
            "reltio: no TLS client can be made; install the operating system's CA certificates"
                .to_owned()
        })
}

/// A merged entity's URI may redirect to its survivor; the token goes to no other host.
fn same_host(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let first = attempt.previous().first().map(Url::origin);
    if first != Some(attempt.url().origin()) || attempt.previous().len() > MOST_REDIRECTS {
        attempt.stop()
    } else {
        attempt.follow()
    }
}

/// Sends `request` and reads its answer; the transport's code if there is none.
pub(super) async fn send(request: RequestBuilder) -> Result<Reply, &'static str> {
    let mut response = request.send().await.map_err(|error| code(&error))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| code(&error))? {
        if body.len().saturating_add(chunk.len()) > LARGEST_ANSWER {
            return Err(TOO_LARGE);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply {
        status: response.status().as_u16(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

fn code(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "connect"
    } else {
        "transport"
    }
}

/// The address `text` of configuration key `key`, fit to carry a secret.
///
/// # Errors
/// One sentence, if it is not an `https` address, or plain `http` without leave.
pub(super) fn address(key: &str, text: &str, plain_http: bool) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|_| format!("{key}: not an address; write https://host/path in full"))?;
    if url.cannot_be_a_base() || url.host_str().is_none() {
        return Err(format!(
            "{key}: names no host; write https://host/path in full"
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "{key}: holds credentials; write them as reltio.client_id and reltio.client_secret"
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{key}: holds a query or a fragment; leave it out"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if plain_http => Ok(url),
        "http" => Err(format!(
            "{key}: found http://{}, which sends the client secret in clear text; use https://, \
             or, for a test, set reltio.insecure_plain_http",
            url.host_str().unwrap_or_default()
        )),
        other => Err(format!("{key}: found {other}://; use https://")),
    }
}
