//! Rows pushed into a table of Power BI: what they hold, what is refused, what comes twice.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use goldwire::event::{Kind, Object, Subject, SubjectState};
use goldwire::pace::Portion;
use goldwire::sink::power_bi_rows::{PowerBiRows, PowerBiRowsSink};
use goldwire::sink::{Change, Sink as _, SinkError, Write};
use goldwire::telemetry::Metrics;
use goldwire::time::{SharedClock, SystemClock};
use goldwire::topology;
use loadtest::fake_power_bi::{
    CLIENT, DATASET, FakePowerBi, GROUP, PowerBiFault, PowerBiSettings, SECRET as APP_SECRET,
    TENANT,
};
use serde_json::{Value, json};

use crate::cli::program::goldwire;
use crate::process::running::Running;
use crate::process::sender::{SECRET, Sender, event};
use crate::process::until;

const TABLE: &str = "changes";

async fn fake() -> FakePowerBi {
    let fake = FakePowerBi::start(PowerBiSettings {
        clock: Arc::new(loadtest::time::SystemClock),
        daily: None,
        lasts: Duration::ZERO,
        token_life: Duration::from_hours(1),
    });
    fake.await.unwrap()
}

/// A configuration of the sink that writes to `fake`.
fn config(fake: &FakePowerBi, more: &Value) -> Value {
    let mut config = json!({
        "tenant_id": TENANT, "client_id": CLIENT, "client_secret": APP_SECRET, "group_id": GROUP,
        "dataset_id": DATASET, "url": fake.url(), "login_url": fake.url(),
        "insecure_plain_http": true, "keeps_erased_records": true, "min_interval": "1ms",
        "columns": { "First name": "FirstName", "City": "Address.City" },
    });
    let members = config.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    config
}

/// The sink, whose dataset is created as a person does, from what `goldwire schema` prints.
fn sink(fake: &FakePowerBi, more: &Value) -> PowerBiRows {
    let config = config(fake, more);
    let dir = tempfile::tempdir().unwrap();
    write_config(dir.path(), &config);
    let printed = goldwire(dir.path(), &["schema", "power_bi_rows", "live"]);
    assert_eq!(printed.code, 0, "{}", printed.err);
    fake.define(&serde_json::from_str(&printed.out).unwrap(), 200_000);
    let config: PowerBiRowsSink = serde_json::from_value(config).unwrap();
    let clock: SharedClock = Arc::new(SystemClock);
    let metrics = Arc::new(Metrics::noop());
    PowerBiRows::new("live", &config, &clock, metrics, Portion::whole()).unwrap()
}

fn write_config(dir: &Path, sink: &Value) {
    // The rules want no more requests than Power BI takes.
    let mut sink = sink.clone();
    sink["min_interval"] = json!("500ms");
    let config = json!({
        "tenant": "acme", "data_dir": "data",
        "webhook": { "address": "127.0.0.1:0", "insecure_plain_http": true },
        "sources": { "hook": { "webhook": {
            "path": "/hook", "scheme": "reltio", "secrets": [SECRET] } } },
        "sinks": { "live": { "power_bi_rows": sink } },
        "log": { "partitions": 2, "disk_reserve": "1MiB" },
        "admin": { "address": "127.0.0.1:0" },
    });
    std::fs::write(dir.join("goldwire.yaml"), config.to_string()).unwrap();
}

fn write(uri: &str, kind: Kind, state: SubjectState) -> Write {
    Write {
        subject: Subject::new("acme", uri),
        object_type: "Individual".into(),
        current: None,
        changes: vec![Change {
            id: format!("id of {uri}").into(),
            kind,
            version: 7,
            commit_time: 1_767_225_600_001,
            received_time: 1_767_225_601_000,
            state,
            observed: false,
        }],
        newest: 0,
        targets: Vec::new(),
        hops: 0,
        record: None,
    }
}

fn person(uri: &str, city: &str) -> Write {
    let object = json!({
        "uri": uri, "type": "configuration/entityTypes/Individual", "attributes": {
            "FirstName": [{ "ov": true, "value": "Ada" }],
            "Address": [{ "ov": true, "value": { "City": [{ "ov": true, "value": city }] } }],
        },
    });
    let object = Object::parse(object.to_string().as_bytes()).unwrap();
    write(uri, Kind::Changed, SubjectState::Alive(Arc::new(object)))
}

fn people(count: usize) -> Vec<Write> {
    let uris = (0..count).map(|number| format!("entities/{number}"));
    uris.map(|uri| person(&uri, "Rome")).collect()
}

/// Of each answer whether it was delivered, or what else it was.
async fn outcomes(sink: &PowerBiRows, writes: &[Write]) -> Vec<String> {
    let answers = sink.write(writes).await.into_iter();
    answers
        .map(|answer| match answer {
            Ok(_) => "delivered".to_owned(),
            Err(SinkError::Retryable { ambiguous, .. }) => format!("retried {ambiguous}"),
            Err(SinkError::Throttled { pause, .. }) => format!("pause {pause:?}"),
            Err(SinkError::Rejected { code, fields, .. }) => format!("rejected {code} {fields:?}"),
            Err(SinkError::Systemic { code, .. }) => format!("halted {code}"),
        })
        .collect()
}

/// The subjects of the rows, in their order.
fn subjects(fake: &FakePowerBi) -> Vec<String> {
    let rows = fake.rows(TABLE).into_iter();
    rows.map(|row| row["subject"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn every_kind_of_change_is_a_row_of_the_table_that_schema_prints() {
    let fake = fake().await;
    let sink = sink(&fake, &json!({}));
    assert_eq!(sink.probe().await, Vec::<String>::new());
    let by = Some("entities/w".to_owned());
    let writes = [
        person("entities/a", "Rome"),
        write("entities/b", Kind::Absorbed, SubjectState::Absorbed { by }),
        write("entities/c", Kind::Erased, SubjectState::Erased),
    ];
    assert_eq!(outcomes(&sink, &writes).await, ["delivered"; 3]);
    let rows = fake.rows(TABLE);
    let whole = json!({
        "id": "id of entities/a", "tenant": "acme", "subject": "entities/a",
        "object_type": "Individual", "kind": "changed", "version": 7,
        "commit_time": "2026-01-01T00:00:00.001Z", "received_time": "2026-01-01T00:00:01Z",
        "observed": false, "state": "alive", "absorbed_by": null,
        "First name": "Ada", "City": "Rome",
    });
    assert_eq!(rows[0], whole);
    assert_eq!(rows[1]["absorbed_by"], "entities/w");
    assert_eq!(
        (&rows[2]["state"], &rows[2]["City"]),
        (&json!("erased"), &Value::Null)
    );
}

#[tokio::test]
async fn g8_requests_have_no_more_rows_and_begin_no_sooner_than_they_may() {
    let fake = fake().await;
    let sink = sink(&fake, &json!({ "batch": 3, "min_interval": "40ms" }));
    assert_eq!(outcomes(&sink, &people(8)).await, vec!["delivered"; 8]);
    let posts = fake.posts();
    let sizes: Vec<usize> = posts.iter().map(|(_, rows)| *rows).collect();
    assert_eq!(sizes, [3, 3, 2]);
    // The fake's clock ticks in milliseconds, and the first request signs in before it arrives.
    let took = posts[2].0 - posts[1].0;
    assert!(took >= 30, "{posts:?}");
}

#[tokio::test]
async fn a_pause_is_kept_and_a_token_that_has_ended_is_renewed() {
    let fake = fake().await;
    let sink = sink(&fake, &json!({}));
    assert_eq!(outcomes(&sink, &people(1)).await, ["delivered"]);
    fake.inject(PowerBiFault::Throttle(7));
    assert_eq!(outcomes(&sink, &people(2)).await, ["pause 7s", "pause 7s"]);
    assert_eq!(fake.rows(TABLE).len(), 1);
    fake.expire_tokens();
    assert_eq!(outcomes(&sink, &people(2)).await, ["delivered"; 2]);
    assert_eq!((fake.rows(TABLE).len(), fake.tokens_granted()), (3, 2));
    assert_eq!(fake.row_answers(), [200, 429, 401, 200]);
}

#[tokio::test]
async fn g3_an_answer_that_is_lost_is_ambiguous_and_its_rows_may_come_twice_with_one_id() {
    let fake = fake().await;
    let sink = sink(&fake, &json!({ "batch": 1 }));
    fake.inject(PowerBiFault::LoseAnswer);
    // The second one was not sent.
    let lost = ["retried true", "retried false"];
    assert_eq!(outcomes(&sink, &people(2)).await, lost);
    fake.inject(PowerBiFault::LoseRequest);
    assert_eq!(outcomes(&sink, &people(2)).await, lost);
    fake.inject(PowerBiFault::Unavailable);
    assert_eq!(outcomes(&sink, &people(2)).await, lost);
    assert_eq!(outcomes(&sink, &people(2)).await, ["delivered"; 2]);
    assert_eq!(subjects(&fake), ["entities/0", "entities/0", "entities/1"]);
    let rows = fake.rows(TABLE);
    assert_eq!(rows[0], rows[1]);
}

#[tokio::test]
async fn g7_a_row_that_is_refused_takes_no_other_with_it() {
    let fake = fake().await;
    let sink = sink(&fake, &json!({}));
    fake.refuse_rows_with("Atlantis");
    let mut writes = people(7);
    writes[4] = person("entities/4", "Atlantis");
    writes[1] = person("entities/1", &"x".repeat(4001));
    let outcomes = outcomes(&sink, &writes).await;
    let mut expected = vec!["delivered".to_owned(); 7];
    expected[4] = "rejected InvalidRequest []".to_owned();
    expected[1] = "rejected too_long [\"City\"]".to_owned();
    assert_eq!(outcomes, expected);
    let taken = [0, 2, 3, 5, 6].map(|number| format!("entities/{number}"));
    assert_eq!(subjects(&fake), taken);
}

#[tokio::test]
async fn a_dataset_or_table_that_is_not_there_halts_the_sink_and_check_says_so() {
    let fake = fake().await;
    let other = sink(&fake, &json!({ "dataset_id": "another" }));
    let halted = ["halted PowerBIEntityNotFound"; 2];
    assert_eq!(outcomes(&other, &people(2)).await, halted);
    let said = other.probe().await.join("\n");
    assert!(
        said.contains("check group_id, dataset_id and table"),
        "{said}"
    );
    let config = config(&fake, &json!({ "table": "people" }));
    let config: PowerBiRowsSink = serde_json::from_value(config).unwrap();
    let clock: SharedClock = Arc::new(SystemClock);
    let metrics = Arc::new(Metrics::noop());
    let other = PowerBiRows::new("live", &config, &clock, metrics, Portion::whole()).unwrap();
    assert_eq!(outcomes(&other, &people(2)).await, halted);
    let said = other.probe().await.join("\n");
    assert!(said.contains("no table \"people\""), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g5_every_change_is_one_row_through_a_restart_and_a_full_table_loses_its_oldest() {
    let fake = fake().await;
    let config = config(&fake, &json!({}));
    let dir = tempfile::tempdir().unwrap();
    write_config(dir.path(), &config);
    let printed = goldwire(dir.path(), &["schema", "power_bi_rows", "live"]);
    fake.define(&serde_json::from_str(&printed.out).unwrap(), 25);
    let running = Running::start(dir.path()).await;
    let twice = async |sender: &Sender, uris: Range<usize>| {
        for number in uris {
            let body = event(&format!("entities/{number}"), 1, "Ada").to_string();
            for copy in [body.clone(), body] {
                assert_eq!(sender.send(copy).await, Some(200));
            }
        }
    };
    twice(&Sender::to(running.webhooks), 0..20).await;
    until("all are there", async || fake.rows(TABLE).len() == 20).await;
    running.stop().await;
    let found: BTreeSet<_> = subjects(&fake).into_iter().collect();
    assert_eq!(found.len(), 20);

    let running = Running::start(dir.path()).await;
    twice(&Sender::to(running.webhooks), 20..30).await;
    let taken = || fake.posts().iter().map(|(_, rows)| rows).sum::<usize>();
    until("all are there", async || taken() == 30).await;
    running.stop().await;
    assert_eq!((taken(), fake.rows(TABLE).len()), (30, 25));
}

/// The example of the page.
#[test]
fn the_example_of_the_page_is_taken() {
    let page = include_str!("../../docs/power-bi-rows.md");
    let example = page.split("```yaml\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let text = format!(
        "tenant: acme\ndata_dir: data\n\
         webhook: {{ address: 127.0.0.1:0, insecure_plain_http: true }}\n\
         sources: {{ hook: {{ webhook: {{ path: /h, scheme: reltio, secrets: [s] }} }} }}\n{example}"
    );
    let config = topology::parse(&text, &|_| Some("s3cret".to_owned()));
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    assert!(config.sinks["live"].power_bi_rows.is_some());
}
