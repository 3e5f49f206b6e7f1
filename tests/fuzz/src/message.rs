//! Headers and a body as one text, so that a corpus can be read and mutated.

use std::collections::HashMap;

use goldwire::event::{Header, SourceRecord};

/// `name: value` lines up to the first empty line, then the body. Without an empty line, and with
/// a line above it that is no header, everything is body.
pub(crate) fn split(input: &[u8]) -> (Vec<(&str, &[u8])>, &[u8]) {
    let Some(at) = input.windows(2).position(|pair| pair == b"\n\n") else {
        return (Vec::new(), input);
    };
    let headers = input[..at].split(|byte| *byte == b'\n').map(header);
    match headers.collect() {
        Some(headers) => (headers, &input[at + 2..]),
        None => (Vec::new(), input),
    }
}

fn header(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = str::from_utf8(&line[..colon]).ok()?;
    Some((name, line[colon + 1..].trim_ascii()))
}

/// A record as a source would make it: of the headers only those that decoding reads.
pub(crate) fn record(input: &[u8]) -> SourceRecord {
    let (headers, body) = split(input);
    let headers: HashMap<_, _> = headers
        .into_iter()
        .filter_map(|(name, value)| {
            let key = Header::named(name)?.key().to_owned();
            Some((key, String::from_utf8(value.to_vec()).ok()?))
        })
        .collect();
    SourceRecord {
        source: "stream".to_owned(),
        received_time: 1_800_000_000_500,
        headers,
        body: body.to_vec().into(),
        ..SourceRecord::default()
    }
}
