//! The simulated tenant: the same for the same seed, true to itself, and varied.

mod lag;
mod messages;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goldwire::event::Object;
use loadtest::tenant::{
    Emission, End, EntityType, EventType, Meaning, ObjectState, SALESFORCE_SOURCE, Simulator,
    SimulatorSettings, World,
};
use serde_json::Value;

fn settings() -> SimulatorSettings {
    SimulatorSettings {
        seed: 11,
        events: 2500,
        ..SimulatorSettings::default()
    }
}

/// One script for all tests that only read it.
fn script() -> &'static Simulator {
    static SCRIPT: LazyLock<Simulator> = LazyLock::new(|| Simulator::new(&settings()));
    &SCRIPT
}

fn changes(simulator: &Simulator) -> impl Iterator<Item = &Emission> {
    let change = |emission: &&Emission| matches!(emission.meaning, Meaning::Change(_));
    simulator.emissions().iter().filter(change)
}

/// Metadata and body of a message, whatever its form.
fn opened(emission: &Emission) -> (BTreeMap<String, String>, Value) {
    let unzipped = |text: &str| -> Value {
        let bytes = STANDARD.decode(text).unwrap();
        let mut json = String::new();
        let mut gzip = flate2::read::GzDecoder::new(bytes.as_slice());
        gzip.read_to_string(&mut json).unwrap();
        serde_json::from_str(&json).unwrap()
    };
    let text = std::str::from_utf8(&emission.body).unwrap();
    let form = emission.form;
    if form.enveloped {
        let (attributes, body) = unwrapped(&serde_json::from_str(text).unwrap());
        let body = match body.as_str() {
            Some(text) if form.compressed => unzipped(text),
            Some(text) => serde_json::from_str(text).unwrap(),
            None => body,
        };
        return (attributes, body);
    }
    let headers = emission.headers.iter();
    let headers = headers.map(|(name, value)| ((*name).to_owned(), value.clone()));
    let body = if form.compressed {
        unzipped(text)
    } else {
        serde_json::from_str(text).unwrap()
    };
    (headers.collect(), body)
}

/// Metadata and body of an envelope.
fn unwrapped(envelope: &Value) -> (BTreeMap<String, String>, Value) {
    let decoded = |text: &Value| {
        let bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
        Value::from(String::from_utf8(bytes).unwrap())
    };
    if envelope["specversion"] == "1.0" {
        let names = [
            "tenantId",
            "messageId",
            "eventType",
            "sourceObjectUri",
            "objectVersion",
            "commitTime",
        ];
        let said = names.iter().filter_map(|name| {
            let text = envelope[name.to_lowercase()].as_str()?;
            Some(((*name).to_owned(), text.to_owned()))
        });
        let body = if envelope["data_base64"].is_null() {
            envelope["data"].clone()
        } else {
            decoded(&envelope["data_base64"])
        };
        return (said.collect(), body);
    }
    let message = &envelope["message"];
    let (attributes, body) = if message.is_object() {
        (&message["attributes"], decoded(&message["data"]))
    } else {
        let of = |names: [&str; 3]| {
            let known = names.map(|name| &envelope[name]);
            known.into_iter().find(|value| !value.is_null()).unwrap()
        };
        let attributes = of(["messageAttributes", "MessageAttributes", "UserProperties"]);
        (attributes, of(["body", "Body", "Message"]).clone())
    };
    let text = |value: &Value| {
        let forms = [value, &value["StringValue"], &value["Value"]];
        let text = forms.into_iter().find_map(Value::as_str);
        text.unwrap().to_owned()
    };
    let said = attributes.as_object().unwrap().iter();
    (
        said.map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        body,
    )
}

#[test]
fn the_same_seed_writes_the_same_script() {
    let (one, two) = (Simulator::new(&settings()), Simulator::new(&settings()));
    assert_eq!(one.emissions(), two.emissions());
    assert_eq!(one.truth(), two.truth());
    assert_eq!(one.salesforce_seed(), two.salesforce_seed());
    let other = Simulator::new(&SimulatorSettings {
        seed: 12,
        ..settings()
    });
    assert_ne!(one.emissions(), other.emissions());
}

#[test]
fn another_start_moves_the_script_and_changes_nothing_else() {
    let late = SimulatorSettings {
        start: settings().start + 86_400_000,
        ..settings()
    };
    let (one, two) = (Simulator::new(&settings()), Simulator::new(&late));
    let plan = |simulator: &Simulator| -> Vec<_> {
        let of = |emission: &Emission| (emission.at, emission.form, emission.subjects.clone());
        simulator.emissions().iter().map(of).collect()
    };
    assert_eq!(plan(&one), plan(&two));
}

#[test]
fn versions_and_true_times_grow_and_commit_times_are_skewed_by_less_than_said() {
    let settings = settings();
    let simulator = script();
    let tenant = simulator.tenant();
    let (mut least, mut most) = (0, 0);
    for (uri, moments) in tenant.subjects() {
        for (number, moment) in moments.iter().enumerate() {
            assert_eq!(moment.version, i64::try_from(number).unwrap() + 1, "{uri}");
            least = least.min(moment.commit_time - moment.at);
            most = most.max(moment.commit_time - moment.at);
        }
        assert!(
            moments.windows(2).all(|pair| pair[0].at <= pair[1].at),
            "{uri}"
        );
    }
    assert!(most - least > 0 && most - least < settings.clock_skew);
}

#[test]
fn the_truth_is_what_the_history_ends_with() {
    let simulator = script();
    let (tenant, truth) = (simulator.tenant(), simulator.truth());
    let (mut chains, mut orphans) = (0, 0);
    for (uri, moments) in tenant.subjects() {
        let last = &moments.last().unwrap().state;
        match &truth.ends[uri] {
            End::Alive(object) => {
                assert_eq!(object["uri"], uri);
                assert_eq!(*last, ObjectState::Alive(Arc::clone(object)));
            }
            End::Absorbed { by, survivor } => {
                assert_eq!(*last, ObjectState::Absorbed { by: by.clone() });
                let active = |merge: &&loadtest::tenant::Merge| {
                    merge.active && merge.loser == uri && merge.winner == *by
                };
                assert_eq!(truth.merges.iter().filter(active).count(), 1, "{uri}");
                match survivor {
                    Some(survivor) => assert!(matches!(truth.ends[survivor], End::Alive(_))),
                    None => orphans += 1,
                }
                chains += usize::from(survivor.as_ref().is_some_and(|survivor| survivor != by));
            }
            End::Removed => assert_eq!(*last, ObjectState::Removed),
            End::Erased => assert_eq!(*last, ObjectState::Erased),
        }
    }
    assert!(
        chains > 0 && orphans > 0,
        "chains {chains}, orphans {orphans}"
    );
    assert!(truth.merges.iter().any(|merge| !merge.active));
}

#[test]
fn every_crosswalk_is_of_one_living_entity_and_every_salesforce_one_is_listed() {
    let simulator = script();
    let seed: BTreeMap<_, _> = simulator.salesforce_seed().into_iter().collect();
    let mut owners = BTreeMap::new();
    let mut several = 0;
    for (uri, object) in simulator.truth().alive() {
        if uri.starts_with("relations/") {
            continue;
        }
        let object = Object::parse(object.to_string().as_bytes()).unwrap();
        let crosswalks = object.crosswalks().unwrap();
        let salesforce = |source: &str| source == SALESFORCE_SOURCE;
        let own: Vec<_> = crosswalks
            .iter()
            .filter(|own| salesforce(&own.source))
            .collect();
        several += usize::from(own.len() > 1);
        for crosswalk in crosswalks {
            let key = (crosswalk.source.clone(), crosswalk.value.clone());
            assert_eq!(owners.insert(key, uri.to_owned()), None, "{uri}");
            assert!(crosswalk.created.ends_with('Z'));
        }
        assert!(
            own.iter()
                .all(|own| seed.contains_key(&own.value) && own.value.len() == 18)
        );
    }
    assert!(several > 0);
}

#[test]
fn an_unmerged_entity_has_its_crosswalks_again() {
    let simulator = script();
    let tenant = simulator.tenant();
    let values = |object: &Value| -> BTreeSet<String> {
        let list = object["crosswalks"].as_array().unwrap().iter();
        list.map(|crosswalk| crosswalk["value"].to_string())
            .collect()
    };
    let mut unmerged = 0;
    for (uri, moments) in tenant.subjects() {
        for three in moments.windows(3) {
            let [before, lost, after] = three else {
                unreachable!()
            };
            if let (ObjectState::Alive(before), ObjectState::Absorbed { .. }) =
                (&before.state, &lost.state)
            {
                let ObjectState::Alive(after) = &after.state else {
                    panic!("{uri} can only come back");
                };
                // The winner may have gained crosswalks of its own, the spawn none.
                assert_eq!(values(before), values(after), "{uri}");
                unmerged += 1;
            }
        }
    }
    assert!(unmerged > 0);
}

#[test]
fn relations_follow_merges_and_go_back() {
    let mut world = World::new("acme", 3, 200);
    let [ada, bob, cy] = [1, 2, 3].map(|at| world.create(at, EntityType::Individual, false));
    let company = world.create(4, EntityType::Organization, false);
    let job = world.relate(5, &bob, &company).unwrap();
    assert!(world.merge(6, &ada, &bob));
    assert!(world.merge(7, &cy, &ada));
    assert!(!world.unmerge(8, &bob), "ada does not live now");
    assert!(world.unmerge(9, &ada));
    assert!(world.unmerge(10, &bob));
    assert!(world.remove(11, &bob));
    let tenant = world.into_tenant();
    let start = |time| {
        let job = tenant.read(&job, time)?;
        Some(job["startObject"]["objectURI"].as_str()?.to_owned())
    };
    let expected = [
        (5, &bob),
        (6, &ada),
        (7, &cy),
        (8, &cy),
        (9, &ada),
        (10, &bob),
    ];
    for (time, uri) in expected {
        assert_eq!(start(time).as_ref(), Some(uri), "at {time}");
    }
    assert_eq!(start(11), None);
}

#[test]
fn a_merge_is_three_events_of_two_changes() {
    let simulator = script();
    let truth = simulator.truth();
    for merge in &truth.merges {
        let of = |uri: &str| {
            let change = truth
                .changes
                .iter()
                .filter(|change| change.subject == uri && change.commit_time == merge.commit_time);
            change
                .flat_map(|change| change.kinds.clone())
                .collect::<Vec<_>>()
        };
        let winner = of(&merge.winner);
        assert!(winner.ends_with(&[EventType::Changed, EventType::Merged]));
        assert!(of(&merge.loser).contains(&EventType::LostMerge));
    }
}
