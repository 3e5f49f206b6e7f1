//! From when and until when an object is active: Reltio's start and end dates.
//!
//! Guarantee: every form of a date that Reltio or a client may print says the same. Pure: the time
//! at which an object is judged is passed in, since a date may lie ahead.

use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::fmt::{rfc2822, strtime};
use jiff::tz::TimeZone;
use memchr::memmem::Finder;
use serde_json::Value;

use super::json;
use crate::time::Millis;

/// The members that are dates.
static DATES: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| ["startDate", "endDate", "deleteDate"].map(Finder::new));

/// When an object is active. Reltio keeps one that has ended (a soft delete), and tells it and its
/// changes like any other: "Using Activeness" in Reltio's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// `startDate`, ms since 1970; active from this moment on.
    pub from: Option<Millis>,
    /// `endDate`, ms since 1970, or when the last of its crosswalks was deleted; active until and at
    /// this moment.
    pub until: Option<Millis>,
}

impl Activity {
    /// Of the text of an object; no dates if it is none.
    pub(crate) fn of_text(text: &str) -> Self {
        let text = text.as_bytes();
        let tree = Self::is_told(text).then(|| json::tree(text).ok()).flatten();
        tree.map_or_else(Self::default, |tree| Self::of(&tree))
    }

    /// Whether a text has one of the dates anywhere. Most have none, and to search them is many
    /// times quicker than to build their tree.
    pub(super) fn is_told(text: &[u8]) -> bool {
        DATES.iter().any(|member| member.find(text).is_some())
    }

    /// What an entity or a relation says of itself: its dates, those of its member `activeness`, and
    /// its crosswalks. Of two the narrower counts.
    pub(super) fn of(object: &Value) -> Self {
        let places = [Some(object), object.get("activeness")];
        let dates = |member: &'static str| {
            let said = places.into_iter().flatten();
            said.filter_map(move |place| date(place.get(member)?))
        };
        let ends = dates("endDate").chain(crosswalks_deleted(object));
        Self {
            from: dates("startDate").max(),
            until: ends.min(),
        }
    }

    /// Whether it is active at `now`.
    pub fn is_active(self, now: Millis) -> bool {
        !self.is_ended(now) && !self.is_pending(now)
    }

    /// Whether it has ended at `now`.
    pub fn is_ended(self, now: Millis) -> bool {
        self.until.is_some_and(|until| until < now)
    }

    /// The next moment after `now` at which it is something else by time alone.
    pub fn next(self, now: Millis) -> Option<Millis> {
        let ends = self.until.map(|until| until.saturating_add(1));
        let moments = self.from.into_iter().chain(ends);
        moments.filter(|moment| *moment > now).min()
    }

    /// Whether it is not active yet at `now`.
    pub fn is_pending(self, now: Millis) -> bool {
        self.from.is_some_and(|from| from > now)
    }
}

/// When the last crosswalk of an object was deleted; nothing while one is not, or none is told.
fn crosswalks_deleted(object: &Value) -> Option<Millis> {
    let list = object.get("crosswalks")?.as_array()?;
    let mut newest = None;
    for crosswalk in list {
        newest = newest.max(Some(deleted(crosswalk)?));
    }
    newest
}

/// When a crosswalk was deleted: its `deleteDate`. One that cannot be read says that it was.
pub(super) fn deleted(crosswalk: &Value) -> Option<Millis> {
    let said = crosswalk.get("deleteDate")?;
    let is_absent = match said {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    };
    if is_absent {
        return None;
    }
    Some(date(said).unwrap_or(Millis::MIN))
}

/// A date as Reltio's API takes and prints it (ms since 1970), or as other clients print one: ms as
/// text, ISO-8601 with or without an offset (then UTC) or a time, RFC 2822, Java's `Date`.
pub(crate) fn date(said: &Value) -> Option<Millis> {
    match said {
        Value::Number(number) => {
            let whole = number.as_i64().map(Some);
            whole.unwrap_or_else(|| whole_millis(number.as_f64()?))
        }
        Value::String(text) => date_text(text.trim()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn date_text(text: &str) -> Option<Millis> {
    if let Ok(millis) = text.parse::<Millis>() {
        return Some(millis);
    }
    let utc = |time: DateTime| time.to_zoned(TimeZone::UTC).ok();
    let java = |zone: &str| strtime::parse(format!("%a %b %d %H:%M:%S {zone} %Y"), text).ok();
    let zoned = (text.parse::<jiff::Timestamp>().ok())
        .map(|at| at.to_zoned(TimeZone::UTC))
        .or_else(|| text.parse::<DateTime>().ok().and_then(utc))
        .or_else(|| rfc2822::parse(text).ok())
        .or_else(|| {
            ["UTC", "GMT"]
                .iter()
                .find_map(|zone| utc(java(zone)?.to_datetime().ok()?))
        });
    zoned.map(|time| time.timestamp().as_millisecond())
}

/// A number with a fraction or an exponent, in whole ms.
fn whole_millis(number: f64) -> Option<Millis> {
    format!("{number:.0}").parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOON: Millis = 1_700_049_600_000;

    #[test]
    fn a_date_is_read_in_every_form_that_reltio_or_a_client_prints() {
        for said in [
            json!(1_700_049_600_000_i64),
            json!(1_700_049_600_000.0),
            json!("1700049600000"),
            json!(" 2023-11-15T12:00:00.000Z "),
            json!("2023-11-15T12:00:00Z"),
            json!("2023-11-15T14:00:00+02:00"),
            json!("2023-11-15T12:00:00.000+0000"),
            json!("2023-11-15T12:00:00"),
            json!("2023-11-15 12:00:00.000"),
            json!("Wed, 15 Nov 2023 12:00:00 GMT"),
            json!("Wed Nov 15 12:00:00 UTC 2023"),
            json!("Wed Nov 15 12:00:00 GMT 2023"),
        ] {
            assert_eq!(date(&said), Some(NOON), "{said}");
            assert_eq!(deleted(&json!({ "deleteDate": said })), Some(NOON));
        }
        let midnight = json!("2023-11-15");
        assert_eq!(date(&midnight), Some(NOON - 12 * 3_600_000));
        for absent in [json!(null), json!(""), json!("  "), json!(false)] {
            assert_eq!(deleted(&json!({ "deleteDate": absent })), None, "{absent}");
        }
        for odd in [json!("yesterday"), json!(true), json!({}), json!([])] {
            assert_eq!(date(&odd), None, "{odd}");
            let of = json!({ "deleteDate": odd });
            assert_eq!(deleted(&of), Some(Millis::MIN), "{odd}");
        }
    }

    #[test]
    fn an_object_is_active_from_its_start_until_its_end_both_included() {
        let between = |from, until| {
            Activity::of(&json!({ "startDate": from, "activeness": { "endDate": until } }))
        };
        let activity = between(NOON, NOON + 10);
        assert!(activity.is_pending(NOON - 1) && !activity.is_active(NOON - 1));
        assert!(activity.is_active(NOON) && activity.is_active(NOON + 10));
        assert!(activity.is_ended(NOON + 11) && !activity.is_active(NOON + 11));
        assert_eq!(activity.next(NOON - 1), Some(NOON));
        assert_eq!(activity.next(NOON), Some(NOON + 11));
        assert_eq!(activity.next(NOON + 11), None);
        let always = Activity::of(&json!({ "endDate": null, "crosswalks": [] }));
        assert_eq!(always, Activity::default());
        assert!(always.is_active(Millis::MIN) && always.is_active(Millis::MAX));
    }

    #[test]
    fn of_two_dates_the_narrower_counts() {
        let activity = Activity::of(&json!({
            "startDate": 5, "endDate": "90", "activeness": { "startDate": 7, "endDate": 80 },
        }));
        let narrow = Activity {
            from: Some(7),
            until: Some(80),
        };
        assert_eq!(activity, narrow);
    }

    #[test]
    fn an_object_ends_when_the_last_of_its_crosswalks_is_deleted() {
        let of = |dates: &[Value]| {
            let list = dates.iter().map(|date| json!({ "deleteDate": date }));
            Activity::of(&json!({ "crosswalks": list.collect::<Vec<_>>() })).until
        };
        assert_eq!(of(&[json!(5), json!(null)]), None);
        assert_eq!(of(&[json!(5), json!(9), json!(7)]), Some(9));
        assert_eq!(of(&[]), None);
    }
}
