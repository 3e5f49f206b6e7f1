//! What a sender is told: a status, a sentence that only depends on the status, and when to come
//! again. Nothing of what it sent, and nothing of why it is not believed (G10).

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::doubt::Doubt;
use super::limit::Exhausted;

/// INT-004's `retryDelay`.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No endpoint has this path.
    NotFound,
    /// In clear text, and not from the trusted proxy.
    Stranger,
    /// Not a POST.
    Method,
    /// More than the endpoint's `max_body`, before decompression or after.
    TooLarge,
    /// Too many requests; the next one may come after so long.
    TooMany(Duration),
    /// Signature, time or bearer. Which it was is for the log.
    Unauthorized(Doubt),
    /// A `Content-Encoding` other than gzip and deflate.
    Encoding,
    /// Cut off, or not compressed as the head says.
    Malformed,
    /// Not now: memory, the inbox or the time ran out.
    Unavailable,
}

impl From<Exhausted> for Refusal {
    fn from(Exhausted: Exhausted) -> Self {
        Self::Unavailable
    }
}

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Stranger => StatusCode::FORBIDDEN,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What the sender is told.
    fn sentence(self) -> &'static str {
        match self {
            Self::NotFound => "no endpoint has this path\n",
            Self::Stranger => "clear text is taken from the proxy that ends TLS alone; use https\n",
            Self::Method => "webhooks are sent by POST\n",
            Self::TooLarge => "the body is larger than this endpoint takes\n",
            Self::TooMany(_) => "too many requests; come again after Retry-After\n",
            Self::Unauthorized(_) => "signature, time or token are not those of this endpoint\n",
            Self::Encoding => "Content-Encoding is neither gzip nor deflate; leave it out\n",
            Self::Malformed => "the body was cut off, or is not what Content-Encoding says\n",
            Self::Unavailable => "not taken now; send it again after Retry-After\n",
        }
    }

    /// What the log says of it, where a person may have to act and nothing else tells it.
    pub(super) fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Method => Some("it was no POST; correct the sender's method"),
            Self::TooLarge => Some("its body is larger than max_body; raise it, or send less"),
            Self::TooMany(_) => Some(
                "more came than rate_limit lets in, or its address is held off for failed \
                 signatures; raise rate_limit, or correct the sender",
            ),
            Self::Encoding => Some(
                "its Content-Encoding is neither gzip nor deflate; correct the sender, or a proxy \
                 before goldwire",
            ),
            Self::Malformed => Some(
                "its body was cut off, or is not what Content-Encoding says; correct the sender, or \
                 a proxy before goldwire",
            ),
            // Told by the inbox, the proxy's rule and the metrics; and of no endpoint.
            Self::NotFound | Self::Stranger | Self::Unavailable | Self::Unauthorized(_) => None,
        }
    }

    fn header(self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Method => Some((header::ALLOW, HeaderValue::from_static("POST"))),
            // RFC 9110 section 15.5.2 demands the header.
            Self::Unauthorized(_) => Some((
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Signature"),
            )),
            Self::Encoding => Some((
                header::ACCEPT_ENCODING,
                HeaderValue::from_static("gzip, deflate"),
            )),
            Self::TooMany(wait) => Some(retry_after(wait)),
            Self::Unavailable => Some(retry_after(RETRY_AFTER)),
            Self::NotFound | Self::Stranger | Self::TooLarge | Self::Malformed => None,
        }
    }
}

/// Whole seconds, at least one: rounded down, the sender would come too early.
fn retry_after(wait: Duration) -> (HeaderName, HeaderValue) {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    (header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
}

/// The answer to a request that was taken, or not.
pub(super) fn answer(outcome: Result<(), Refusal>) -> Response {
    let mut response = Response::new(Body::empty());
    if let Err(refusal) = outcome {
        *response.body_mut() = Body::from(refusal.sentence());
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, text);
        *response.status_mut() = refusal.status();
        response.headers_mut().extend(refusal.header());
    }
    response
}
