//! Captured lines, and what becomes of them.

use std::time::Duration;

use serde_json::Value;

use super::Replay;
use crate::run::scenario::{Rate, Scenario};

/// A line of version `version` of entity `uri`, captured at `time`.
fn line(time: &str, uri: &str, version: i64) -> String {
    format!(
        r#"{{"time":{time},"headers":{{"objectVersion":"{version}","tenantId":"acme"}},"value":{{"type":"ENTITY_CHANGED","object":{{"uri":"entities/{uri}","n":1.50}}}}}}"#
    )
}

const BARE: &str = r#"{"type":"ENTITY_REMOVED","uri":"entities/a","objectVersion":70,"object":{}}"#;

fn replay(lines: &[String]) -> Result<Replay, String> {
    Replay::of("--replay x.ndjson", &lines.join("\n"))
}

fn steady() -> Scenario {
    Scenario::find("steady").unwrap()
}

#[test]
fn captured_spacing_is_kept_and_shortened_by_the_speed() {
    let replay = replay(&[
        line("1000", "a", 5),
        line("4000", "b", 1),
        line("\"1970-01-01T00:00:02Z\"", "a", 3),
        String::new(),
        line("5000", "a", 5),
    ]);
    let (replay, mut scenario) = (replay.unwrap(), steady());
    replay.fit(&mut scenario, None, Some(2.0), 1.0).unwrap();
    assert_eq!(scenario.seconds, 3);
    let plan = replay.plan(&scenario, 1, Some(2.0));
    let at: Vec<_> = plan.iter().map(|due| due.at.as_millis()).collect();
    // What is older than the line before it is sent at once.
    assert_eq!(at, [0, 1500, 1500, 2000]);
    let kinds: Vec<_> = plan.iter().map(|due| (due.copy, due.late)).collect();
    let (first, late, copy) = ((false, false), (false, true), (true, false));
    assert_eq!(kinds, [first, first, late, copy]);
    let shortened = Scenario {
        seconds: 1,
        ..steady()
    };
    assert_eq!(replay.plan(&shortened, 1, None).len(), 1);
}

#[test]
fn lines_without_times_are_sent_at_the_scenario_s_rate() {
    let all: Vec<_> = (0..2001).map(|_| BARE.to_owned()).collect();
    let (replay, mut scenario) = (replay(&all).unwrap(), steady());
    replay.fit(&mut scenario, None, None, 1.0).unwrap();
    assert_eq!(scenario.seconds, 3);
    let plan = replay.plan(&scenario, 1, None);
    assert_eq!(plan.len(), 2001);
    assert_eq!(plan[2000].at, Duration::from_secs(2));
}

#[test]
fn a_version_is_found_by_what_a_sink_shows_and_told_as_it_was_captured() {
    let replay = replay(&[line("1", "b", 900), line("2", "b", 7), line("3", "b", 900)]);
    let names = replay.unwrap().names;
    let (old, new) = (names.event("entities/b", 7), names.event("entities/b", 900));
    assert_eq!((old.unwrap().version, new.unwrap().version), (1, 2));
    assert_eq!(names.told(new.unwrap()), Some(("entities/b", 900)));
    assert_eq!(names.event("entities/b", 8), None);
    assert_eq!(names.event("entities/a", 7), None);
}

#[test]
fn a_body_is_sent_as_it_was_and_by_webhook_with_its_headers_around_it() {
    let replay = replay(&[line("1", "a", 5)]).unwrap();
    let message = |by_webhook| {
        let message = replay.message(0, by_webhook).unwrap();
        (String::from_utf8(message.body).unwrap(), message.headers)
    };
    let (body, headers) = message(false);
    assert!(body.ends_with(r#""object":{"uri":"entities/a","n":1.50}}"#));
    assert_eq!(headers[0].1, "5");
    let (wrapped, _) = message(true);
    assert!(wrapped.contains(&body));
    let wrapped: Value = serde_json::from_str(&wrapped).unwrap();
    assert_eq!(wrapped["messageAttributes"]["objectVersion"], "5");
    assert!(replay.message(1, false).is_err());
}

#[test]
fn a_bad_line_is_told_with_its_number_and_a_remedy() {
    let envelope = |more: &str| format!(r#"{{"value":{BARE}{more}}}"#);
    for (bad, words) in [
        ("{".to_owned(), "it is no JSON object"),
        ("7".to_owned(), "give one whole event, on one line"),
        (
            envelope(r#","header":{}"#),
            "there may be time, key, and headers",
        ),
        (
            envelope(r#","headers":{"a":1}"#),
            "there may be time, key, and headers",
        ),
        (
            r#"{"value":[]}"#.to_owned(),
            "give the event's body as it was",
        ),
        (
            BARE.replace("entities", "users"),
            "give `object.uri`, or the header",
        ),
        (
            BARE.replace("70", "-1"),
            "give \"headers\":{\"objectVersion\":\"7\"}",
        ),
        (
            BARE.replace("\"type\"", "\"kind\""),
            "give `type` in the body",
        ),
        (
            BARE.replace("ENTITY_REMOVED", "ENTITIES_MERGED"),
            "leave it out: a line is one of",
        ),
        (
            BARE.replace("REMOVED", "CHANGED"),
            "it does not hold its `object`",
        ),
        (
            envelope(r#","time":"1.1.""#),
            "give ms since 1970, or RFC 3339",
        ),
        (envelope(r#","time":5"#), "give it in all or in none"),
    ] {
        let refused = replay(&[BARE.to_owned(), bad]).unwrap_err();
        let begin = "--replay x.ndjson: line 2: ";
        assert!(
            refused.starts_with(begin) && refused.contains(words),
            "{refused}"
        );
    }
    assert!(replay(&[]).unwrap_err().contains("there is no event"));
}

#[test]
fn a_rate_or_a_tenant_that_does_not_fit_is_refused() {
    let (timed, bare) = (replay(&[line("1", "a", 5)]), replay(&[BARE.to_owned()]));
    let (timed, bare) = (timed.unwrap(), bare.unwrap());
    let refused = |replay: &Replay, rate, speed, times| {
        let mut scenario = Scenario { rate, ..steady() };
        let refused = replay.fit(&mut scenario, None, speed, times);
        refused.unwrap_err().to_string()
    };
    let spike = Scenario::find("spike").unwrap().rate;
    let steady = Rate::Steady { per_second: 1.0 };
    assert!(refused(&timed, spike, None, 1.0).contains("take one with a steady rate"));
    assert!(refused(&timed, steady, None, 2.0).contains("give --replay-speed"));
    assert!(refused(&bare, steady, Some(2.0), 1.0).contains("give --times"));
    assert!(timed.check_tenant("acme").is_ok());
    let other = timed.check_tenant("other").unwrap_err().to_string();
    assert!(other.contains("events of tenant acme"), "{other}");
}
