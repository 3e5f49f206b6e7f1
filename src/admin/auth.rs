//! Who may ask.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use crate::config::Secret;

/// The token, if there is one. It does not print.
#[derive(Debug, Clone)]
pub(super) struct Access {
    token: Option<Secret>,
}

impl Access {
    pub(super) fn new(token: Option<Secret>) -> Self {
        Self { token }
    }

    fn allows(&self, headers: &HeaderMap) -> Result<(), StatusCode> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        match &self.token {
            Some(token) => {
                let given =
                    text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
                let right = given.is_some_and(|given| same(given, token.reveal()));
                if right {
                    Ok(())
                } else {
                    Err(StatusCode::UNAUTHORIZED)
                }
            }
            // A web page whose name is rebound to 127.0.0.1 still sends its own name.
            None if text(header::HOST).is_none_or(is_local) => Ok(()),
            None => Err(StatusCode::FORBIDDEN),
        }
    }
}

pub(super) async fn check(State(access): State<Access>, request: Request, next: Next) -> Response {
    match access.allows(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(code) => code.into_response(),
    }
}

/// Compares digests, and all of their bytes: the time says nothing about the token.
fn same(given: &str, token: &str) -> bool {
    let (given, token) = (Sha256::digest(given), Sha256::digest(token));
    given
        .iter()
        .zip(token.iter())
        .fold(0, |differ, (one, other)| differ | (one ^ other))
        == 0
}

fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<IpAddr>().is_ok()
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
    fn a_token_is_compared_whole() {
        assert!(same("secret", "secret"));
        assert!(!same("secre", "secret"));
        assert!(!same("", "secret"));
    }
}
