//! The examples of `docs/carriers.md`.

use goldwire::event::{Kind, State};

use super::{COMMITTED, decode, record, settings};

const PAGE: &str = include_str!("../../../docs/carriers.md");

/// Headers and body of every example.
fn examples() -> Vec<(Vec<(&'static str, &'static str)>, &'static str)> {
    let blocks = PAGE.split("```text\n").skip(1);
    let blocks = blocks.map(|block| block.split_once("\n```").unwrap().0);
    blocks
        .map(|block| {
            let (headers, body) = block.split_once("\n\n").unwrap_or(("", block));
            let headers = headers.lines().map(|line| line.split_once(": ").unwrap());
            (headers.collect(), body)
        })
        .collect()
}

#[test]
fn g5_every_example_of_a_carrier_is_the_same_event() {
    let examples = examples();
    assert_eq!(examples.len(), 11);
    let mut ids = Vec::new();
    for (headers, body) in examples {
        let events = decode(&record(&headers, body), &settings());
        let events = events.unwrap_or_else(|error| panic!("{error}: {body}"));
        let [event] = events.as_slice() else {
            panic!("{body}")
        };
        assert_eq!(
            (event.kind(), event.state()),
            (Kind::Changed, State::Alive),
            "{body}"
        );
        assert_eq!(event.subject, "entities/hcp1", "{body}");
        assert_eq!(
            (event.version, event.commit_time),
            (Some(7), Some(COMMITTED)),
            "{body}"
        );
        ids.push(event.id.clone());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}
