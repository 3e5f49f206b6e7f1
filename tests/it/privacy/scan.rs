//! The scanner: every secret and every piece of personal data of these tests holds the same word.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// What every canary begins with.
const MARK: &str = "canary-";

/// The first line of `text` that holds a canary: as it is, in hex, in base64, or as the numbers
/// of its bytes.
pub(super) fn leak(text: &str) -> Option<&str> {
    let disguises = disguises();
    text.lines().find(|line| {
        let lower = line.to_lowercase();
        lower.contains(MARK) || disguises.iter().any(|disguise| line.contains(disguise))
    })
}

fn disguises() -> Vec<String> {
    let bytes = MARK.as_bytes();
    let numbers: Vec<String> = bytes.iter().map(ToString::to_string).collect();
    let mut all = vec![
        hex::encode(bytes),
        hex::encode_upper(bytes),
        numbers.join(", "),
        numbers.join(","),
    ];
    // In base64 it looks different at each of three places; its first and last letter there hold
    // bits of their neighbours.
    all.extend((0..3_usize).map(|before| {
        let padded = [vec![0; before], bytes.to_vec()].concat();
        let text = STANDARD_NO_PAD.encode(&padded);
        text.get((before * 8).div_ceil(6)..padded.len() * 8 / 6)
            .unwrap()
            .to_owned()
    }));
    all
}

#[test]
fn a_canary_is_found_in_every_disguise() {
    let secret = "canary-secret";
    let pair = |before: &str| STANDARD_NO_PAD.encode(format!("{before}{secret}"));
    let lines = [
        format!("password={secret}"),
        format!("PASSWORD={}", secret.to_uppercase()),
        hex::encode(secret),
        hex::encode_upper(secret),
        format!("{:?}", secret.as_bytes()),
        pair("id:"),
        pair("me:x"),
        pair("me:xy"),
    ];
    for line in lines {
        let text = format!("innocent\n{line}\ninnocent");
        assert_eq!(leak(&text), Some(line.as_str()));
    }
    assert_eq!(leak("canaries are birds\nc2FuYXJpZXM="), None);
}
