//! Who may ask.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::Secret;

/// What a browser says of who asks, in words that no page can change.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What it says of this listener's own pages, and of an address that a person typed.
const OWN: [&str; 2] = ["same-origin", "none"];

/// The token, if there is one. It does not print.
#[derive(Debug, Clone)]
pub(super) struct Access {
    token: Option<Secret>,
}

impl Access {
    pub(super) fn new(token: Option<Secret>) -> Self {
        Self { token }
    }

    fn allows(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        match &self.token {
            Some(token) => {
                let given =
                    text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
                let right = given.is_some_and(|given| token.is(given));
                if right { Ok(()) } else { Err(Denied::Token) }
            }
            // A web page whose name is rebound to 127.0.0.1 still sends its own name.
            None if !text(header::HOST).is_none_or(is_local) => Err(Denied::Host),
            // A browser sends a page's request without a body anywhere, and says of which site it is.
            None if !text(header::ORIGIN).is_none_or(is_loopback)
                || !text(FETCH_SITE).is_none_or(|site| OWN.contains(&site)) =>
            {
                Err(Denied::Site)
            }
            None => Ok(()),
        }
    }
}

pub(super) async fn check(State(access): State<Access>, request: Request, next: Next) -> Response {
    match access.allows(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(denied) => denied.into_response(),
    }
}

/// Why a request is not answered.
enum Denied {
    Token,
    Host,
    Site,
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        match self {
            // RFC 9110 section 15.5.2 demands the header.
            Self::Token => (
                StatusCode::UNAUTHORIZED,
                [(header::WWW_AUTHENTICATE, "Bearer")],
                "send the token of admin.token as `Authorization: Bearer …`\n",
            )
                .into_response(),
            Self::Host => (
                StatusCode::FORBIDDEN,
                "without admin.token only an address or localhost is answered as `Host`\n",
            )
                .into_response(),
            Self::Site => (
                StatusCode::FORBIDDEN,
                "without admin.token no web page of another site is answered; set admin.token\n",
            )
                .into_response(),
        }
    }
}

fn is_local(host: &str) -> bool {
    let name = name(host);
    name == "localhost" || name.parse::<IpAddr>().is_ok()
}

/// Whether an origin, `http://127.0.0.1:9464`, is of this machine.
fn is_loopback(origin: &str) -> bool {
    let Some((_, host)) = origin.split_once("://") else {
        return false;
    };
    let name = name(host);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// A host without its port.
fn name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_local() {
        for host in ["127.0.0.1:9464", "[::1]:9464", "localhost", "localhost:1"] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "evil.example:9464",
            "localhost.evil.example",
            "",
            "127.0.0.1.evil.example",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn only_origins_of_this_machine_are_loopback() {
        for origin in [
            "http://127.0.0.1:9464",
            "https://[::1]",
            "http://localhost:3000",
        ] {
            assert!(is_loopback(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://10.0.0.7:9464",
            "https://localhost.evil.example",
        ] {
            assert!(!is_loopback(origin), "{origin}");
        }
    }
}
