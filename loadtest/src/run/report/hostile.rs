//! A report that means harm to who reads it, and what shows that it did none.

use super::Report;
use super::sample::ramp;

const HOSTILE: &str = "<script>alert(\"1\")</script>' onload='x' \u{1b}[2J&";

/// A report in which every text is hostile.
pub(super) fn hostile() -> Report {
    let report = serde_json::to_value(ramp()).unwrap();
    serde_json::from_value(spoilt(report)).unwrap()
}

fn spoilt(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    let named = [
        "delivered",
        "latency",
        "lag",
        "memory_mib",
        "cpu",
        "versions",
    ];
    match value {
        Value::String(text) => Value::String(format!("{text}{HOSTILE}")),
        Value::Array(all) => all.into_iter().map(spoilt).collect(),
        Value::Object(all) => {
            let entry = |(name, value): (String, Value)| {
                let mut value = spoilt(value);
                // What is named by the run, not by the format. A stage's latency is no such map.
                if let Value::Object(all) = &mut value
                    && named.contains(&name.as_str())
                    && !all.contains_key("p50")
                {
                    let spoilt = std::mem::take(all).into_iter();
                    all.extend(spoilt.map(|(name, value)| (name + HOSTILE, value)));
                }
                (name, value)
            };
            Value::Object(all.into_iter().map(entry).collect())
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

/// Fails where an element is not closed, or an attribute not quoted.
pub(super) fn assert_well_formed(html: &str) {
    let mut open = Vec::new();
    let (before, rest) = html.split_once("<style>").unwrap();
    let (_, after) = rest.split_once("</style>").unwrap();
    let html = format!("{before}{after}");
    let rest = html.strip_prefix("<!doctype html>").unwrap();
    for part in rest.split('<').skip(1) {
        let (tag, text) = part
            .split_once('>')
            .unwrap_or_else(|| panic!("not closed: <{part}"));
        assert!(!text.contains('>'), "a bare > in {text:?}");
        assert_eq!(tag.matches('"').count() % 2, 0, "a quote too many: <{tag}>");
        let name = tag.split([' ', '/']).find(|name| !name.is_empty()).unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name.to_owned()), "closed out of order");
        } else if !tag.ends_with('/') && name != "meta" {
            open.push(name.to_owned());
        }
    }
    assert_eq!(open, Vec::<String>::new());
}
