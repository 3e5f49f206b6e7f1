//! What the simulated tenant sends: every form, in disorder, with defects.

use std::collections::{BTreeMap, BTreeSet};

use goldwire::event::Object;
use loadtest::tenant::{Carrier, Emission, Meaning, Payload, SELECTED_FIELDS};

use super::{changes, opened, script, settings};

#[test]
fn every_message_that_is_not_malformed_can_be_opened_and_says_whom_it_is_about() {
    let simulator = script();
    for emission in changes(simulator) {
        let (metadata, body) = opened(emission);
        assert_eq!(metadata["sourceObjectUri"], emission.subjects[0]);
        assert_eq!(metadata["tenantId"], "demo");
        assert_eq!(body["type"], metadata["eventType"].as_str());
        assert_eq!(metadata.contains_key("objectVersion"), emission.form.clocks);
        match emission.form.payload {
            Payload::IdOnly | Payload::Oversize => {
                assert!(!body.to_string().contains(&emission.subjects[0]), "{body}");
            }
            Payload::Participants => assert!(body["uris"].is_array()),
            Payload::Delta => assert!(body["object"].is_null() && body["deltas"].is_object()),
            Payload::Whole | Payload::WholeWithDelta | Payload::Fields | Payload::OvOnly => {
                let object = Object::parse(body["object"].to_string().as_bytes()).unwrap();
                assert_eq!(object.uri(), Some(emission.subjects[0].as_str()));
            }
        }
    }
}

#[test]
fn every_variant_occurs() {
    let simulator = script();
    let seen: BTreeSet<_> = changes(simulator)
        .map(|emission| (emission.carrier, emission.form.payload))
        .collect();
    for payload in [
        Payload::Whole,
        Payload::WholeWithDelta,
        Payload::Delta,
        Payload::IdOnly,
        Payload::Oversize,
        Payload::Participants,
    ] {
        assert!(seen.contains(&(Carrier::Kafka, payload)), "{payload:?}");
        assert!(seen.contains(&(Carrier::Webhook, payload)), "{payload:?}");
    }
    assert!(seen.contains(&(Carrier::WebhookFields, Payload::Fields)));
    assert!(seen.contains(&(Carrier::WebhookOvOnly, Payload::OvOnly)));
    assert_eq!(
        seen.len(),
        14,
        "partial payloads have carriers of their own"
    );

    let name = |emission: &Emission| match emission.meaning {
        Meaning::Change(event) => event.name(),
        Meaning::Noise => "noise",
        Meaning::Malformed { reason } => reason,
    };
    let events: BTreeSet<_> = simulator.emissions().iter().map(name).collect();
    assert_eq!(
        events.len(),
        13,
        "ten event types, noise, two reasons: {events:?}"
    );
    for trait_of in [
        |emission: &Emission| emission.form.compressed && emission.form.enveloped,
        |emission: &Emission| emission.form.int004,
        |emission: &Emission| emission.form.upper_case_uri,
        |emission: &Emission| !emission.form.clocks,
        |emission: &Emission| emission.duplicate,
    ] {
        assert!(changes(simulator).any(trait_of));
    }
}

#[test]
fn partial_payloads_hold_what_their_source_declares() {
    let simulator = script();
    for emission in changes(simulator) {
        let (_, body) = opened(emission);
        if emission.carrier == Carrier::WebhookFields {
            let known = |name: &String| SELECTED_FIELDS.contains(&name.as_str()) || name == "URI";
            assert!(body["object"].as_object().unwrap().keys().all(known));
        }
        if emission.carrier == Carrier::WebhookOvOnly {
            let attributes = body["object"]["attributes"].as_object();
            let values = attributes.into_iter().flat_map(|map| map.values());
            for value in values.flat_map(|list| list.as_array().unwrap()) {
                assert_eq!(value["ov"], true);
            }
        }
    }
}

#[test]
fn every_event_is_sent_with_both_clocks_after_its_commit_and_some_out_of_order() {
    let settings = settings();
    let simulator = script();
    let mut sent: BTreeSet<(String, i64)> = BTreeSet::new();
    let (mut newest, mut overtaken) = (BTreeMap::new(), 0);
    for emission in changes(simulator) {
        let (metadata, _) = opened(emission);
        let Some(version) = metadata.get("objectVersion") else {
            continue;
        };
        let version: i64 = version.parse().unwrap();
        let subject = emission.subjects[0].clone();
        let committed: i64 = metadata["commitTime"].parse().unwrap();
        assert!(settings.start + emission.at > committed);
        let known = newest.entry(subject.clone()).or_insert(version);
        overtaken += usize::from(version < *known);
        *known = version.max(*known);
        sent.insert((subject, version));
    }
    let truth = simulator.truth().changes.iter();
    let changes: BTreeSet<_> = truth
        .map(|change| (change.subject.clone(), change.version))
        .collect();
    assert_eq!(sent, changes);
    assert!(overtaken > 50, "{overtaken} out of order");
    let times: Vec<_> = simulator
        .emissions()
        .iter()
        .map(|emission| emission.at)
        .collect();
    assert!(times.is_sorted() && times.iter().all(|at| *at >= 0));
}

#[test]
fn malformed_messages_are_all_different() {
    let simulator = script();
    let malformed = simulator
        .emissions()
        .iter()
        .filter_map(|emission| match emission.meaning {
            Meaning::Malformed { .. } => Some((&emission.headers, &emission.body)),
            Meaning::Change(_) | Meaning::Noise => None,
        });
    let different: BTreeSet<_> = malformed.collect();
    assert!(!different.is_empty());
    assert_eq!(different.len(), simulator.malformed());
}
