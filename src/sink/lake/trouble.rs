//! What an object store's refusals mean for what is to be delivered.

use std::error::Error as _;

use object_store::Error;

use crate::sink::SinkError;
use crate::sink::directory::is_lasting;

/// Letters of a message at most.
const MOST: usize = 160;

/// Whether to try again, or what a person has to do.
pub(super) fn trouble(error: &Error) -> SinkError {
    let remedy = match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            "let the sink's credentials get, put and list objects under its url"
        }
        Error::NotFound { .. } => "make the bucket that the sink's url names",
        Error::NotSupported { .. } | Error::NotImplemented { .. } => {
            "the object store must take a put with `If-None-Match: *`; name one that does"
        }
        Error::InvalidPath { .. } | Error::UnknownConfigurationKey { .. } => {
            "correct the sink's url and options"
        }
        Error::Generic { .. } if lasts(error) => {
            "make the sink's url a directory that this process may write to"
        }
        // A connection, a time limit, the store's own trouble: files are whole or not there.
        Error::Generic { .. }
        | Error::JoinError { .. }
        | Error::AlreadyExists { .. }
        | Error::Precondition { .. }
        | Error::NotModified { .. }
        | _ => {
            return SinkError::Retryable {
                code: innermost(error),
                ambiguous: false,
                outage: true,
            };
        }
    };
    SinkError::Systemic {
        code: innermost(error),
        remedy: remedy.to_owned(),
    }
}

/// Whether it comes of a directory that a person has to mend.
fn lasts(error: &Error) -> bool {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<std::io::Error>() {
            return is_lasting(error.kind());
        }
        source = inner.source();
    }
    false
}

/// What the innermost of its sources says, in one line. No row is part of it: files are named by
/// where they come from.
pub(super) fn innermost(error: &Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        said = inner.to_string();
        source = inner.source();
    }
    let line = said.lines().next().unwrap_or_default();
    line.chars().take(MOST).collect()
}
