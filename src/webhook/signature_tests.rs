use axum::http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

const STANDARD_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const SENT: Millis = 1_649_367_553_000;

fn key(scheme: SignatureScheme, secret: &str) -> Key {
    Key::new(scheme, &Secret::new(secret)).unwrap()
}

fn headers<'h>(pairs: impl IntoIterator<Item = (&'h str, String)>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        let name: HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_str(&value).unwrap());
    }
    map
}

fn signed(scheme: SignatureScheme, key: &Key, body: &[u8]) -> HeaderMap {
    headers(sign(scheme, key, "msg_1", SENT, body))
}

/// The example of the Standard Webhooks specification, which its libraries test with.
#[test]
fn the_published_example_of_standard_webhooks_is_taken() {
    let key = key(SignatureScheme::Standard, STANDARD_SECRET);
    let head = headers([
        (STANDARD_ID, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk".to_owned()),
        (STANDARD_TIMESTAMP, "1649367553".to_owned()),
        (
            STANDARD_SIGNATURE,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=".to_owned(),
        ),
    ]);
    let body = br#"{"email":"test@example.com","username":"test_user"}"#;
    assert!(is_signed(
        SignatureScheme::Standard,
        &[key],
        &head,
        body,
        SENT
    ));
}

/// GitHub's published example: the same HMAC-SHA256 over the body, in hex.
#[test]
fn a_published_example_of_a_hex_signature_is_taken_in_every_encoding() {
    let key = key(SignatureScheme::Reltio, "It's a Secret to Everybody");
    let hex_text = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let tag = hex::decode(hex_text).unwrap();
    let encodings = [
        hex_text.to_owned(),
        hex_text.to_uppercase(),
        general_purpose::STANDARD.encode(&tag),
        general_purpose::STANDARD_NO_PAD.encode(&tag),
        general_purpose::URL_SAFE.encode(&tag),
        general_purpose::URL_SAFE_NO_PAD.encode(&tag),
    ];
    for text in encodings {
        for value in [text.clone(), format!("sha256={text}")] {
            let head = headers([(RELTIO_SIGNATURE, value.clone())]);
            let keys = std::slice::from_ref(&key);
            let taken = is_signed(SignatureScheme::Reltio, keys, &head, b"Hello, World!", 0);
            assert!(taken, "{value}");
        }
    }
}

#[test]
fn the_window_is_five_minutes_both_ways_with_its_last_second() {
    let key = key(SignatureScheme::Standard, STANDARD_SECRET);
    let head = signed(SignatureScheme::Standard, &key, b"body");
    let at = |now| {
        is_signed(
            SignatureScheme::Standard,
            std::slice::from_ref(&key),
            &head,
            b"body",
            now,
        )
    };
    assert!(at(SENT - 300_000) && at(SENT + 300_999));
    assert!(!at(SENT - 300_001) && !at(SENT + 301_000));
}

#[test]
fn a_time_that_is_not_plain_digits_is_refused() {
    for text in [
        "",
        "+1649367553",
        "-1",
        " ",
        "1649367553.0",
        "1e9",
        "99999999999999999999",
    ] {
        assert_eq!(
            time_of(text).filter(|sent| *sent == seconds(SENT)),
            None,
            "{text}"
        );
    }
}

#[test]
fn several_signatures_and_other_versions_may_stand_in_the_list() {
    let key = key(SignatureScheme::Standard, STANDARD_SECRET);
    let mut head = signed(SignatureScheme::Standard, &key, b"body");
    let good = head[STANDARD_SIGNATURE].to_str().unwrap().to_owned();
    let list = format!("v1a,AAAA v1,AAAA {good} v2,x");
    head.insert(STANDARD_SIGNATURE, HeaderValue::from_str(&list).unwrap());
    assert!(is_signed(
        SignatureScheme::Standard,
        &[key],
        &head,
        b"body",
        SENT
    ));
}

#[test]
fn a_header_given_twice_is_refused() {
    let key = key(SignatureScheme::Reltio, "secret");
    let mut head = signed(SignatureScheme::Reltio, &key, b"body");
    head.append(RELTIO_SIGNATURE, HeaderValue::from_static("00"));
    assert!(!is_signed(
        SignatureScheme::Reltio,
        &[key],
        &head,
        b"body",
        0
    ));
}

#[test]
fn an_id_with_a_dot_is_refused() {
    let key = key(SignatureScheme::Standard, STANDARD_SECRET);
    let head = headers(sign(
        SignatureScheme::Standard,
        &key,
        "msg.1",
        SENT,
        b"body",
    ));
    assert!(!is_signed(
        SignatureScheme::Standard,
        &[key],
        &head,
        b"body",
        SENT
    ));
}

#[test]
fn a_secret_that_is_none_of_its_scheme_is_refused_with_a_sentence_without_it() {
    let check = |scheme, text: &str| check_secret(scheme, &Secret::new(text)).unwrap_err();
    let plain = check(SignatureScheme::Standard, "plain-secret");
    assert!(
        plain.contains("whsec_") && !plain.contains("plain-secret"),
        "{plain}"
    );
    assert!(check(SignatureScheme::Standard, "whsec_!!!").contains("not base64"));
    assert!(check(SignatureScheme::Standard, "whsec_AAAA").contains("holds 3 bytes"));
    assert!(check(SignatureScheme::Reltio, "").contains("empty"));
    assert_eq!(
        format!("{:?}", key(SignatureScheme::Reltio, "secret")),
        "<key>"
    );
}

#[test]
fn the_bearer_token_is_compared_whole() {
    let expected = Secret::new("token");
    let with = |value: &str| headers([("authorization", value.to_owned())]);
    assert!(has_bearer(&with("Bearer token"), &expected));
    assert!(has_bearer(&with("bearer token"), &expected));
    for value in [
        "Bearer",
        "Bearer ",
        "Bearer toke",
        "Bearer tokens",
        "Basic token",
        "token",
    ] {
        assert!(!has_bearer(&with(value), &expected), "{value}");
    }
    assert!(!has_bearer(&HeaderMap::new(), &expected));
}

fn scheme() -> impl Strategy<Value = SignatureScheme> {
    prop_oneof![
        Just(SignatureScheme::Reltio),
        Just(SignatureScheme::Standard)
    ]
}

fn key_of(scheme: SignatureScheme, bytes: [u8; 24]) -> Key {
    let text = general_purpose::STANDARD.encode(bytes);
    match scheme {
        SignatureScheme::Reltio => key(scheme, &text),
        SignatureScheme::Standard => key(scheme, &format!("whsec_{text}")),
    }
}

proptest! {
    #[test]
    fn what_any_live_secret_signed_is_taken(
        scheme in scheme(),
        secrets in proptest::collection::vec(any::<[u8; 24]>(), 1..4),
        pick in any::<proptest::sample::Index>(),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let keys: Vec<_> = secrets.iter().map(|bytes| key_of(scheme, *bytes)).collect();
        let head = signed(scheme, pick.get(&keys), &body);
        prop_assert!(is_signed(scheme, &keys, &head, &body, SENT));
    }

    #[test]
    fn another_secret_or_another_byte_is_refused(
        scheme in scheme(),
        ours in any::<[u8; 24]>(),
        theirs in any::<[u8; 24]>(),
        body in proptest::collection::vec(any::<u8>(), 1..200),
        at in any::<proptest::sample::Index>(),
        flip in 1..=u8::MAX,
    ) {
        prop_assume!(ours != theirs);
        let keys = [key_of(scheme, ours)];
        let head = signed(scheme, &key_of(scheme, theirs), &body);
        prop_assert!(!is_signed(scheme, &keys, &head, &body, SENT));
        let head = signed(scheme, &keys[0], &body);
        let mut other = body.clone();
        other[at.index(body.len())] ^= flip;
        prop_assert!(!is_signed(scheme, &keys, &head, &other, SENT));
    }

    #[test]
    fn no_header_whatever_it_holds_is_taken_or_panics(
        scheme in scheme(),
        value in "[ -~]{0,90}",
        stamp in "[ -~]{0,20}",
    ) {
        let keys = [key_of(scheme, [7; 24])];
        let head = headers([
            (RELTIO_SIGNATURE, value.clone()),
            (STANDARD_ID, "msg_1".to_owned()),
            (STANDARD_TIMESTAMP, stamp),
            (STANDARD_SIGNATURE, value),
        ]);
        prop_assert!(!is_signed(scheme, &keys, &head, b"body", SENT));
    }
}
