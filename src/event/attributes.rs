//! The value of an attribute that counts: the operational one.
//!
//! Guarantee: the same snapshot always gives the same value, whatever the order of its lists. Pure.

use serde_json::Value;

use super::Object;

impl Object {
    /// The operational value at a dotted path of attributes: `Address.City`.
    pub(crate) fn operational_value(&self, path: &str) -> Option<Value> {
        let (first, below) = first_step(path);
        operational_at(&self.attribute(first)?, below)
    }
}

/// The attribute that a dotted path begins with, and the path below it.
pub(crate) fn first_step(path: &str) -> (&str, Option<&str>) {
    match path.split_once('.') {
        Some((first, below)) => (first, Some(below)),
        None => (path, None),
    }
}

/// The operational value at `below`, a dotted path, within `values`, all values of an attribute; at
/// the attribute itself if `below` is nothing. On each level the choice is made among the operational
/// values of that level, so that parts of one nested attribute come from the same one.
pub(crate) fn operational_at(values: &Value, below: Option<&str>) -> Option<Value> {
    let mut values = values;
    let mut steps = below.into_iter().flat_map(|below| below.split('.'));
    loop {
        let chosen = operational(values)?;
        let value = chosen.get("value");
        let Some(step) = steps.next() else {
            let plain = value.and_then(scalar);
            // A nested attribute as a whole has a label, if the tenant gives it one.
            return plain.or_else(|| chosen.get("label").and_then(scalar));
        };
        values = value?.get(step)?;
    }
}

/// The operational value of a list. Several may be: then the one of the lowest URI, then text.
pub(crate) fn operational(values: &Value) -> Option<&Value> {
    let operational = |value: &&Value| value.get("ov").and_then(Value::as_bool) != Some(false);
    let text = |value: &Value| value.get("value").map(ToString::to_string);
    let values = values.as_array()?.iter().filter(operational);
    values.min_by(|one, other| {
        uri(one)
            .cmp(&uri(other))
            .then_with(|| text(one).cmp(&text(other)))
    })
}

fn uri(value: &Value) -> Option<&str> {
    value.get("uri").and_then(Value::as_str)
}

/// A value that is a text, a number, true or false.
pub(crate) fn scalar(value: &Value) -> Option<Value> {
    let is_scalar = value.is_string() || value.is_number() || value.is_boolean();
    is_scalar.then(|| value.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_of_a_nested_attribute_come_from_the_same_operational_value() {
        let object = json!({"attributes": {"Address": [
            {"ov": true, "uri": "b/2", "value": {"City": [{"value": "Rome"}]}},
            {"ov": false, "uri": "b/0", "value": {"City": [{"value": "Oslo"}], "Zip": [{"value": 1}]}},
            {"ov": true, "uri": "b/1", "label": "Paris 75", "value": {"Zip": [
                {"value": "75", "ov": true}, {"value": "76", "ov": false},
            ]}},
        ]}});
        let object = Object::parse(object.to_string().as_bytes()).unwrap();
        let at = |path| object.operational_value(path);
        assert_eq!(at("Address.Zip"), Some(json!("75")));
        assert_eq!(at("Address.City"), None, "Rome is another address");
        assert_eq!(at("Address"), Some(json!("Paris 75")));
        for absent in ["Phone", "Address.Zip.Code", "", "Address."] {
            assert_eq!(at(absent), None, "{absent}");
        }
    }
}
