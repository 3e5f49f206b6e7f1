//! The simulated tenant's events in random stacks of carriers.

use std::sync::LazyLock;

use goldwire::decode::DecodeError;
use goldwire::event::{EventRecord, SourceRecord};
use loadtest::tenant::{Emission, Meaning, Simulator, SimulatorSettings};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::wrap::Wrap;
use super::{decode, record, settings};

/// An event, six layers in all: the limit.
const ROOM: usize = 5;

/// Everything that the tenant sends and that can be decoded.
fn emissions() -> &'static [Emission] {
    static SENT: LazyLock<Vec<Emission>> = LazyLock::new(|| {
        let script = Simulator::new(&SimulatorSettings {
            tenant_name: "acme".to_owned(),
            events: 400,
            ..SimulatorSettings::default()
        });
        let good = |sent: &&Emission| !matches!(sent.meaning, Meaning::Malformed { .. });
        script.emissions().iter().filter(good).cloned().collect()
    });
    &SENT
}

/// Without what names the copy.
fn nameless(record: &SourceRecord) -> Result<Vec<EventRecord>, DecodeError> {
    let decoded = decode(record, &settings())?;
    let nameless = decoded.into_iter().map(|event| EventRecord {
        origin: None,
        ..event
    });
    Ok(nameless.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn g5_an_event_means_the_same_in_every_stack_of_carriers(
        which in any::<Index>(),
        wraps in proptest::collection::vec(select(Wrap::ALL.to_vec()), 1..5),
        says in any::<Index>(),
    ) {
        let emission = which.get(emissions());
        let said: Vec<_> = emission.headers.iter().map(|(name, value)| (*name, &**value)).collect();
        let text = str::from_utf8(&emission.body).unwrap();
        // Two for a push of Pub/Sub.
        let form = emission.form;
        let mut room = ROOM - 2 * usize::from(form.enveloped) - usize::from(form.compressed);
        let mut stack = Vec::new();
        for wrap in wraps {
            if let Some(left) = room.checked_sub(wrap.layers()) {
                room = left;
                stack.push(wrap);
            }
        }
        // One of them says the metadata, or the headers do.
        let saying: Vec<_> = stack.iter().enumerate().filter(|(_, wrap)| wrap.says()).map(|(at, _)| at).collect();
        let saying = saying.get(says.index(saying.len() + 1)).copied();
        let mut body = text.to_owned();
        for (at, wrap) in stack.iter().enumerate() {
            body = wrap.around(if saying == Some(at) { &said } else { &[] }, &body);
        }
        let carried = record(if saying.is_none() { &said } else { &[] }, body);
        let plain = record(&said, text);
        let plain = nameless(&plain).unwrap();
        prop_assert_eq!(Ok(plain), nameless(&carried), "{:?}", stack);
    }
}
