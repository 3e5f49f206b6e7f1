//! Bytes that are no event: each ends with its code, without a panic, without their content.

use goldwire::decode::{DecodeError, MAX_DEPTH, reads_header};

use super::carrier::{Carrier, zip};
use super::{code, decode, decoded, record, settings};

fn code_of(body: impl Into<Vec<u8>>) -> &'static str {
    decode(&record(&[], body), &settings()).unwrap_err().code()
}

const TABLE: [(&str, &str); 41] = [
    ("", "empty"),
    (" \n\t", "empty"),
    ("{", "not_json"),
    ("{\"type\":", "not_json"),
    ("{\"type\":\"UPDATE\",\"uri\":\"entities/a\"} x", "not_json"),
    ("{\"type\":\"UPDATE\",\"object\":{\"a\":01}}", "not_json"),
    (
        "{\"type\":\"UPDATE\",\"object\":{\"a\":\"\n\"}}",
        "not_json",
    ),
    ("<event/>", "not_json"),
    ("]", "not_json"),
    ("\u{feff}{}", "not_json"),
    ("[]", "bad_member"),
    ("[\"ENTITY_CHANGED\",{}]", "bad_member"),
    ("17", "bad_member"),
    ("{}", "no_type"),
    ("null", "bad_member"),
    ("{\"object\":{\"uri\":\"entities/a\"}}", "no_type"),
    ("{\"type\":\"UPDATE\"}", "no_subject"),
    ("{\"type\":\"UPDATE\",\"uris\":[]}", "no_subject"),
    ("{\"type\":\"UPDATE\",\"uri\":\"entities/\"}", "bad_subject"),
    (
        "{\"type\":\"UPDATE\",\"uri\":\"entities/..\"}",
        "bad_subject",
    ),
    (
        "{\"type\":\"UPDATE\",\"uri\":\"entities/a/attributes/b\"}",
        "bad_subject",
    ),
    (
        "{\"type\":\"UPDATE\",\"uri\":\"entities/a?b\"}",
        "bad_subject",
    ),
    (
        "{\"type\":\"UPDATE\",\"uri\":\"entities/a\\u0000\"}",
        "bad_subject",
    ),
    (
        "{\"type\":\"UPDATE\",\"uri\":\"interactions/a\"}",
        "bad_subject",
    ),
    (
        "{\"type\":\"UPDATE\",\"uris\":[\"entities/a\",\"b\"]}",
        "bad_subject",
    ),
    ("{\"type\":\"UPDATE\",\"uri\":{}}", "bad_member"),
    ("{\"type\":\"UPDATE\",\"uris\":{}}", "bad_member"),
    (
        "{\"type\":\"UPDATE\",\"object\":[\"entities/a\"]}",
        "bad_member",
    ),
    ("{\"type\":[],\"uri\":\"entities/a\"}", "bad_member"),
    (
        "{\"type\":\"UPDATE\",\"type\":\"MERGE\",\"uri\":\"entities/a\"}",
        "bad_member",
    ),
    (
        "{\"type\":\"UPDATE\",\"uri\":\"entities/a\",\"commitTime\":1720773510}",
        "bad_member",
    ),
    (
        "{\"type\":\"UPDATE\",\"uri\":\"entities/a\",\"objectVersion\":1.5}",
        "bad_member",
    ),
    (
        "{\"type\":\"UPDATE\",\"uri\":\"entities/a\",\"objectVersion\":-1}",
        "bad_member",
    ),
    ("{\"messageAttributes\":{},\"body\":[]}", "bad_envelope"),
    ("{\"messageAttributes\":{},\"body\":\"\"}", "empty"),
    ("{\"messageAttributes\":[],\"body\":{}}", "bad_member"),
    ("{\"body\":\"hello\"}", "not_json"),
    ("H4sI", "bad_zip"),
    ("H4sIAAAAAAAAAKtWKkmtKFGy####", "bad_zip"),
    ("H4sIAAAAAAAAAKtWKkmtKFGyUlDySM3JyVcozy/KSVGq", "bad_zip"),
    (
        "H4sIAAAAAAAAAKtWKkmtKFGyUlDySM3JyVcozy/KSVGqBQD//REqFwAAAA==",
        "no_type",
    ),
];

#[test]
fn every_kind_of_bad_input_has_its_code() {
    for (body, expected) in TABLE {
        assert_eq!(code_of(body), expected, "{body}");
    }
}

/// What is wrong, where, and what is expected instead: enough to mend the sender by.
const DETAILS: [(&str, &str); 22] = [
    (
        r#"{"type":"UPDATE","uri":"entities/a","commitTime":1720773510}"#,
        "`commitTime`: found a number of 10 digits, expected ms since 1970; it looks like seconds",
    ),
    (
        r#"{"type":"UPDATE","uri":"entities/a","commitTime":"1720773510454000"}"#,
        "`commitTime`: found a number of 16 digits, expected ms since 1970; it looks like microseconds",
    ),
    (
        r#"{"type":"UPDATE","uri":"entities/a","commitTime":"2024-07-12T08:38:30"}"#,
        "`commitTime`: found a date or a time without an offset, expected ms since 1970, or ISO-8601 with an offset (2024-07-12T08:38:30.454Z)",
    ),
    (
        r#"{"type":"UPDATE","uri":"entities/a","objectVersion":1.5}"#,
        "`objectVersion`: found a number with a sign, a fraction or an exponent, expected a whole number below 2^63",
    ),
    (
        r#"{"type":"UPDATE","uri":"entities/a","objectVersion":true}"#,
        "`objectVersion`: found true or false, expected text or a number",
    ),
    (
        r#"{"type":"UPDATE","type":"MERGE","uri":"entities/a"}"#,
        "`type`: found the same member twice, expected one of a name",
    ),
    (
        r#"{"type":"UPDATE","URIs":[],"uris":[]}"#,
        "`uris`: found the same member twice, expected one of a name",
    ),
    (
        r#"{"type":"UPDATE","object":{"uri":"entities/a","uri":"entities/a"}}"#,
        "`object`: found the same member twice, expected one of a name in it",
    ),
    (
        r#"{"type":"UPDATE","object":["entities/a"]}"#,
        "`object`: found an array, expected an object",
    ),
    (
        r#"{"type":"UPDATE","uris":{}}"#,
        "`uris`: found an object, expected an array of URIs",
    ),
    (
        r#"{"type":"UPDATE","uri":"Ada Lovelace"}"#,
        "`uri` is not the URI of an entity or a relation: it begins with neither `entities/` nor `relations/`",
    ),
    (
        r#"{"type":"UPDATE","uris":["entities/Ada Lovelace"]}"#,
        "`uris` is not the URI of an entity or a relation: after `entities/` or `relations/` comes no id of letters, digits, `-`, `_`, `.` and `:`",
    ),
    (
        r#"{"type":"UPDATE","uri":"entities/a","object":{"uri":"entities/b"}}"#,
        "the event contradicts itself about `sourceObjectUri`: `uri` and `object.uri` differ",
    ),
    (
        r#"{"messageAttributes":{"objectVersion":"2"},"body":{"type":"UPDATE","uri":"entities/a","objectVersion":3}}"#,
        "the event contradicts itself about `objectVersion`: the envelope's attributes and the event differ",
    ),
    (
        r#"{"type":"ENTITY_CHANGED","uri":"relations/a"}"#,
        "the event contradicts itself about `entities or relations`: the event and `sourceObjectUri` differ",
    ),
    (
        r#"{"messageAttributes":[],"body":{}}"#,
        "`messageAttributes`: found an array, expected an object",
    ),
    (
        r#"{"messageAttributes":{},"body":[]}"#,
        "the envelope's `body`: found an array, expected an object, or text that holds one",
    ),
    (
        "[]",
        "`body`: found an array, expected an object, text that holds one, or an array of one object",
    ),
    (
        "17",
        "`body`: found a number of 2 digits, expected an object, text that holds one, or an array of one object",
    ),
    (
        r#"{"type":"UPDATE","uri":"entities/a","tenantId":"other"}"#,
        "`tenantId` is not the configured tenant",
    ),
    (
        r#"{"type":"UPDATE"}"#,
        "neither `sourceObjectUri` nor `uri` says which object the event is about",
    ),
    (
        "{\"type\":",
        "the body is not JSON from line 1, column 8 on",
    ),
];

#[test]
fn a_refusal_names_the_place_and_the_shape_of_what_is_there_and_what_is_expected() {
    for (body, detail) in DETAILS {
        let error = decode(&record(&[], body), &settings()).unwrap_err();
        assert_eq!(error.to_string(), detail, "{body}");
    }
    let header = decoded(&[("commitTime", "soon")], r#"{"type":"UPDATE"}"#).unwrap_err();
    assert!(
        header
            .to_string()
            .starts_with("`commitTime`: found text of 4 characters, ")
    );
    let differs = decoded(&[("objectVersion", "2")], r#"{"objectVersion":3}"#).unwrap_err();
    assert!(
        differs
            .to_string()
            .ends_with("the headers and the event differ")
    );
    let utf8 = decode(&record(&[], b"{\"a\":\"\xff\"}".to_vec()), &settings()).unwrap_err();
    assert_eq!(utf8.to_string(), "the body is not UTF-8 from byte 6 on");
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    assert_eq!(
        code_of(b"{\"type\":\"UPDATE\",\"label\":\"\xff\"}".to_vec()),
        "not_utf8"
    );
    let utf_16: Vec<u8> = "{\"a\":1}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(code_of(utf_16), "not_json");
    assert_eq!(code_of(zip(b"{\"type\":\"\xc3(\"}")), "not_utf8");
}

#[test]
fn nesting_is_bounded_and_takes_no_stack() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!("{{\"type\":\"UPDATE\",\"object\":{{\"uri\":\"entities/a\",\"x\":{open}{close}}}}}")
    };
    assert!(decoded(&[], &nested(MAX_DEPTH - 2)).is_ok());
    for depth in [MAX_DEPTH - 1, 10_000, 300_000] {
        assert_eq!(code(&[], &nested(depth)), "too_deep");
        assert_eq!(code_of("[".repeat(depth + 2)), "too_deep");
        assert_eq!(code_of(zip(nested(depth).as_bytes())), "too_deep");
    }
    let mut quoted = "{\"type\":\"UPDATE\",\"uri\":\"entities/a\"}".to_owned();
    for _ in 0..8 {
        quoted = serde_json::to_string(&quoted).unwrap();
    }
    assert_eq!(code_of(quoted), "bad_envelope");
}

#[test]
fn g8_size_is_bounded_before_and_after_decompression() {
    let limit = settings().max_bytes;
    let body = |size: usize| {
        let text = "x".repeat(size - 43);
        format!("{{\"type\":\"UPDATE\",\"uri\":\"entities/a\",\"t\":{text:?}}}")
    };
    let exact = body(limit);
    assert_eq!(exact.len(), limit);
    assert!(decoded(&[], &exact).is_ok());
    assert!(decode(&Carrier::Zipped.carry(&[], &exact), &settings()).is_ok());
    let larger = body(limit + 1);
    assert_eq!(code(&[], &larger), "too_large");
    assert_eq!(code_of(zip(larger.as_bytes())), "too_large");
}

#[test]
fn g8_a_zip_bomb_is_too_large() {
    // 64 MiB of zeros in 90 kB of base64, in itself and as an envelope's body.
    let bomb = zip(&vec![b'0'; 64 << 20]);
    assert!(bomb.len() < settings().max_bytes / 8);
    assert_eq!(code_of(bomb.clone()), "too_large");
    assert_eq!(
        code_of(format!(
            "{{\"messageAttributes\":{{}},\"body\":\"{bomb}\"}}"
        )),
        "too_large"
    );
}

#[test]
fn another_tenants_events_are_refused_wherever_they_say_so() {
    let body = "{\"type\":\"UPDATE\",\"uri\":\"entities/a\"}";
    for carrier in Carrier::all() {
        let carried = carrier.carry(&[("tenantId", "somebody")], body);
        assert_eq!(
            decode(&carried, &settings()),
            Err(DecodeError::UnknownTenant),
            "{carrier:?}"
        );
        let carried = carrier.carry(&[("tenantId", "acme")], body);
        assert!(decode(&carried, &settings()).is_ok(), "{carrier:?}");
    }
    assert_eq!(decoded(&[], body).unwrap()[0].tenant, "acme");
}

#[test]
fn g10_no_error_shows_what_was_in_the_payload() {
    let secret = "Margarethe";
    for body in [
        format!("{{\"type\":\"{secret}\",\"uri\":\"{secret}\" {secret}"),
        format!("{{\"type\":\"UPDATE\",\"uri\":\"{secret}\"}}"),
        format!("{{\"type\":\"UPDATE\",\"uri\":\"entities/a\",\"commitTime\":\"{secret}\"}}"),
        format!("{{\"type\":\"UPDATE\",\"tenantId\":\"{secret}\",\"uri\":\"entities/a\"}}"),
        format!("{{\"{secret}\":1,\"type\":\"UPDATE\",\"type\":\"{secret}\"}}"),
        secret.to_owned(),
    ] {
        let error = decode(&record(&[], body), &settings()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
    }
}

#[test]
fn only_headers_that_decoding_reads_need_to_be_kept() {
    for name in [
        "tenantid",
        "eventtype",
        "sourceobjecturi",
        "objectversion",
        "committime",
        "messageid",
    ] {
        assert!(reads_header(name), "{name}");
    }
    for name in [
        "traceparent",
        "ce-tenantid",
        "ce_id",
        "x-goog-pubsub-message-id",
    ] {
        assert!(reads_header(name), "{name}");
    }
    for name in [
        "authorization",
        "x-reltio-signature",
        "content-type",
        "ce-specversion",
        "",
    ] {
        assert!(!reads_header(name), "{name}");
    }
}
