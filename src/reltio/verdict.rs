//! What an answer's status and headers mean. Pure.
//!
//! Reltio's advice: 401 a new token once; 403, 404 and 500 no retry; 502, 503 and 504 exponential
//! backoff of 2^n − 1 s, given up after 10, 12 and 5 attempts; 429 too many requests. A 500 is tried
//! a few times all the same: it may be a fault of the moment, and the alternative is a dead letter.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::ReltioError;
use crate::time::{Millis, until};

/// Attempts of one request: the fewest that Reltio advises. Callers that must have an answer ask
/// again later, as long as nothing else is answered either.
pub(super) const ATTEMPTS: u32 = 5;
/// Attempts of a request that is answered 500.
pub(super) const ATTEMPTS_AT_500: u32 = 3;
/// Upper bound of any wait between attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// What to do about a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// 2xx, and 404, whose body tells what is missing.
    Answered,
    /// 401: the token is not taken.
    Renew,
    /// Wait, then send it again.
    Again,
    /// Wait, then send it again, a few times; then it will not succeed for this subject.
    AgainAFewTimes,
    /// Will not succeed for any subject: what a person must do.
    Refused(&'static str),
    /// Will not succeed for this subject.
    Rejected,
}

pub(super) fn verdict(status: u16) -> Verdict {
    match status {
        200..=299 | 404 => Verdict::Answered,
        401 => Verdict::Renew,
        408 | 425 | 429 | 502..=504 | 520..=599 => Verdict::Again,
        500 => Verdict::AgainAFewTimes,
        403 => Verdict::Refused(
            "give the client a role that may read the tenant, and let this machine's address \
             through the tenant's allow list",
        ),
        300..=399 => Verdict::Refused("it redirects to another host; correct reltio.url"),
        405 => Verdict::Refused("it takes no such request; correct reltio.url"),
        _ => Verdict::Rejected,
    }
}

impl Verdict {
    /// The error of a status that is final.
    pub(super) fn error(self, status: u16) -> ReltioError {
        let code = status.to_string();
        match self {
            Self::Refused(remedy) => ReltioError::Refused {
                code,
                remedy: remedy.to_owned(),
            },
            Self::Renew => ReltioError::Refused {
                code,
                remedy: "it does not take a token that it has just given; see that \
                         reltio.auth_url belongs to reltio.url, and that the client may use \
                         this tenant"
                    .to_owned(),
            },
            Self::Rejected | Self::AgainAFewTimes => ReltioError::Rejected { code },
            Self::Answered | Self::Again => ReltioError::Unavailable { code },
        }
    }
}

/// The wait before the next attempt, after `attempt` (from 1) failed; `jitter` is from 0 to 1.
pub(super) fn wait(attempt: u32, jitter: f64) -> Duration {
    let bound = 2_u64.saturating_pow(attempt).saturating_sub(1);
    Duration::from_secs(bound)
        .min(LONGEST_WAIT)
        .mul_f64(jitter.clamp(0.0, 1.0))
}

/// The answer's `Date`, ms.
pub(super) fn date(headers: &HeaderMap) -> Option<Millis> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// The pause that the answer asks for: seconds, or a date measured against its own `Date`.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    Some(until(date(headers)?, http_date(text)?))
}

fn http_date(text: &str) -> Option<Millis> {
    let time = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(time.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn headers(date: &'static str, retry_after: &'static str) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert(DATE, HeaderValue::from_static(date));
        map.insert(RETRY_AFTER, HeaderValue::from_static(retry_after));
        map
    }

    #[test]
    fn the_date_is_read_in_ms() {
        let map = headers("Sun, 06 Nov 1994 08:49:37 GMT", "3");
        assert_eq!(date(&map), Some(784_111_777_000));
        assert_eq!(date(&headers("yesterday", "3")), None);
    }

    #[test]
    fn a_pause_is_seconds_or_a_date() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let seconds = Some(Duration::from_secs(3));
        assert_eq!(retry_after(&headers(date, "3")), seconds);
        let at = "Sun, 06 Nov 1994 08:49:40 GMT";
        assert_eq!(retry_after(&headers(date, at)), seconds);
        assert_eq!(retry_after(&headers(date, "soon")), None);
    }

    #[test]
    fn waits_grow_as_reltio_advises_and_end() {
        let whole: Vec<_> = (1..=5)
            .map(|attempt| wait(attempt, 1.0).as_secs())
            .collect();
        assert_eq!(whole, [1, 3, 7, 15, 15]);
        assert_eq!(wait(200, 1.0), LONGEST_WAIT);
    }

    #[test]
    fn what_would_not_succeed_is_final_and_a_500_nearly() {
        for status in [400, 413, 507] {
            assert_eq!(verdict(status), Verdict::Rejected, "{status}");
        }
        assert_eq!(verdict(500), Verdict::AgainAFewTimes);
        for status in [429, 502, 503, 504] {
            assert_eq!(verdict(status), Verdict::Again, "{status}");
        }
    }
}
