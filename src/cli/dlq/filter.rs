//! Which letters are meant, as options.

use clap::Args;

use super::CliError;
use crate::dead_letter::Filter;
use crate::time::{Millis, as_millis};

#[derive(Debug, Clone, Args)]
pub(super) struct FilterArgs {
    /// Of this sink; `ingest` for what could not be decoded or hydrated
    #[arg(long)]
    sink: Option<String>,
    /// With this reason: `rejected`, `exhausted`, `undecodable`, `too_large`, …
    #[arg(long)]
    reason: Option<String>,
    /// With this code of the target or the decoder
    #[arg(long)]
    code: Option<String>,
    /// About this subject: entities/…
    #[arg(long)]
    subject: Option<String>,
    /// Last attempted since: `2026-03-01T00:00:00Z`, or `2h` for two hours ago
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Last attempted before
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl FilterArgs {
    pub(super) fn read(self, now: Millis) -> Result<Filter, CliError> {
        let time = |option: &str, text: Option<String>| {
            text.map(|text| time(option, &text, now)).transpose()
        };
        Ok(Filter {
            names: Vec::new(),
            sink: self.sink,
            reason: self.reason,
            code: self.code,
            subject: self.subject,
            from: time("--from", self.from)?,
            until: time("--until", self.until)?,
        })
    }
}

/// A time as a person writes it.
pub(in crate::cli) fn time(option: &str, text: &str, now: Millis) -> Result<Millis, CliError> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(at.as_millisecond());
    }
    let ago = humantime::parse_duration(text).map_err(|_| {
        let remedy = "write a time such as 2026-03-01T00:00:00Z, or 2h for two hours ago";
        CliError::Usage(format!("{option} {text:?}: {remedy}"))
    })?;
    Ok(now.saturating_sub(as_millis(ago)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_timestamp_or_so_long_ago() {
        assert_eq!(time("--from", "1970-01-01T00:00:01Z", 0).unwrap(), 1000);
        assert_eq!(time("--from", "2h", 7_200_001).unwrap(), 1);
        assert!(time("--from", "yesterday", 0).is_err());
    }
}
