//! Records that do not tell all of their subject: none of it is lost, whatever comes first.

use goldwire::sink::Mode;
use serde_json::{Value, json};

use super::delivery::rejected;
use super::rig::{Rig, Running, at};
use super::scripted::Scripted;

const A: &str = "entities/a";

fn object(attributes: &[(&str, &str)]) -> Value {
    let attributes: serde_json::Map<String, Value> = attributes
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!([{ "ov": true, "value": value }])))
        .collect();
    json!({
        "uri": A, "type": "configuration/entityTypes/Individual",
        "attributes": attributes, "crosswalks": [],
    })
}

fn whole(text: &str) -> Value {
    object(&[("FirstName", text), ("LastName", text)])
}

/// The person at a version, as each source tells it. Reltio has it from now on.
fn lives(rig: &Rig, version: i64) {
    rig.tenant.lives(A, &whole(&format!("v{version}")));
}

fn told(rig: &Rig, source: &str, version: i64) {
    let text = format!("v{version}");
    let object = match source {
        "first" => object(&[("FirstName", &text)]),
        "last" => object(&[("LastName", &text)]),
        _ => whole(&text),
    };
    rig.told(source, at(version, version * 10_000), &object);
}

fn held(running: &Running) -> Vec<String> {
    running.sink.attributes(A).into_values().collect()
}

#[tokio::test(start_paused = true)]
async fn g5_two_sources_that_tell_a_change_in_parts_tell_all_of_it() {
    for mode in [Mode::Latest, Mode::History] {
        for sources in [["first", "last"], ["last", "first"], ["values", "first"]] {
            let rig = Rig::new();
            let running = rig.sink(Scripted::new("crm", mode, None));
            lives(&rig, 1);
            for source in sources {
                told(&rig, source, 1);
                rig.caught_up(&running).await;
            }
            assert_eq!(held(&running), ["v1", "v1"], "{sources:?}");
            let deliveries = running.sink.deliveries(A);
            for source in sources {
                told(&rig, source, 1);
                rig.caught_up(&running).await;
            }
            assert_eq!(running.sink.deliveries(A), deliveries, "copies");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_source_of_some_fields_costs_no_reads() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    for version in [1, 2, 4, 3, 4] {
        told(&rig, "first", version);
        rig.caught_up(&running).await;
    }
    assert_eq!(held(&running), ["v4"]);
    assert_eq!((rig.tenant.reads(), running.sink.deliveries(A)), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn g9_an_older_whole_record_after_a_newer_partial_one_is_not_lost() {
    for older in ["fed", "values", "last"] {
        let rig = Rig::new();
        let running = rig.latest("crm");
        lives(&rig, 3);
        lives(&rig, 4);
        told(&rig, "first", 4);
        rig.caught_up(&running).await;
        rig.pass(60_000).await;
        told(&rig, older, 3);
        rig.caught_up(&running).await;
        assert_eq!(held(&running), ["v4", "v4"], "{older}");
    }
}

#[tokio::test(start_paused = true)]
async fn g4_without_an_api_an_older_record_goes_nowhere_whatever_it_tells() {
    let mut rig = Rig::new();
    rig.has_api = false;
    let running = rig.latest("crm");
    told(&rig, "first", 4);
    rig.caught_up(&running).await;
    told(&rig, "fed", 3);
    rig.caught_up(&running).await;
    assert_eq!(held(&running), ["v4"]);
    told(&rig, "last", 4);
    rig.caught_up(&running).await;
    assert_eq!(
        held(&running),
        ["v4", "v4"],
        "a copy brings what was lacked"
    );
}

#[tokio::test(start_paused = true)]
async fn g2_a_record_of_some_fields_closes_no_letter_of_one_that_tells_more() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    running.sink.answers(|delivery| {
        let version = delivery.current.as_ref()?.version;
        (version == Some(3)).then(|| Err(rejected()))
    });
    told(&rig, "fed", 3);
    told(&rig, "first", 4);
    rig.caught_up(&running).await;
    rig.pass(60_000).await;
    assert_eq!(held(&running), ["v4"]);
    assert_eq!(rig.letters("crm").len(), 1, "its LastName is nowhere else");

    told(&rig, "fed", 5);
    rig.caught_up(&running).await;
    assert!(rig.letters("crm").is_empty(), "superseded");
}

#[tokio::test(start_paused = true)]
async fn a_letter_of_some_fields_is_closed_by_a_newer_record_of_the_same() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    running.sink.answers(|delivery| {
        let version = delivery.current.as_ref()?.version;
        (version == Some(3)).then(|| Err(rejected()))
    });
    told(&rig, "first", 3);
    rig.caught_up(&running).await;
    told(&rig, "last", 4);
    rig.caught_up(&running).await;
    assert_eq!(rig.letters("crm").len(), 1);
    told(&rig, "first", 5);
    rig.caught_up(&running).await;
    assert!(rig.letters("crm").is_empty());
}
