//! The whole program against a fake Reltio and a fake org.

use std::sync::Arc;

use loadtest::fake_reltio::{FakeReltio, FakeReltioSettings};
use loadtest::fake_salesforce::{FakeRecord, FakeSalesforce, Settings};
use loadtest::tenant::{EntityType, World};
use loadtest::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::super::process::running::Running;
use super::super::process::sender::{SECRET, Sender};
use super::super::process::until;
use super::bench::{archived, contact, text};

fn config(reltio: &FakeReltio, org: &FakeSalesforce) -> String {
    let (api, auth, login) = (reltio.url(), reltio.auth_url(), org.url());
    format!(
        "tenant: acme
data_dir: data
reltio:
  url: {api}
  auth_url: {auth}
  client_id: goldwire
  client_secret: not-a-secret
  insecure_plain_http: true
  requests_per_second: 1000
  settle: 200ms
  clock_skew: 50ms
webhook: {{ address: 127.0.0.1:0, insecure_plain_http: true }}
sources:
  hook:
    webhook: {{ path: /hook, scheme: reltio, secrets: [\"{SECRET}\"] }}
sinks:
  crm:
    salesforce:
      login_url: {login}
      client_id: fake
      client_secret: fake-secret
      insecure_plain_http: true
      crosswalk_source: configuration/sources/SFDC_CONTACT
      guard: version
      quota: {{ per_second: 1000 }}
      objects:
        Individual:
          sobject: Contact
          fields:
            FirstName: {{ attribute: FirstName }}
            LastName: {{ attribute_or: {{ path: LastName, default: Unknown }} }}
log: {{ partitions: 2, disk_reserve: 1MiB }}
admin: {{ address: 127.0.0.1:0 }}
"
    )
}

/// Reltio sends changes of entities that lost a merge (its support article 6609674496909).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_loser_that_is_told_as_changed_stays_archived_into_its_winner() {
    let start = SystemClock.now() - 120_000;
    let mut world = World::new("acme", 3, 2);
    let win = world.create(start, EntityType::Individual, false);
    let lose = world.create(start, EntityType::Individual, false);
    assert!(world.merge(start + 10_000, &win, &lose));
    let tenant = Arc::new(world.into_tenant());
    let told = |kind: &str, uri: &str, version: i64, after: i64, object: Option<i64>| {
        let mut event = json!({
            "type": kind, "tenantId": "acme", "sourceObjectUri": uri,
            "objectVersion": version, "commitTime": start + after,
        });
        if let Some(at) = object {
            event["object"] = Value::clone(&tenant.read(uri, start + at).unwrap());
        }
        event
    };
    let settings = FakeReltioSettings::default();
    let shared = Arc::clone(&tenant);
    let reltio = FakeReltio::start(&settings, shared, Arc::new(SystemClock));
    let reltio = reltio.await.unwrap();
    let org = FakeSalesforce::start(Settings {
        client_id: "fake".to_owned(),
        ..Settings::of(vec![contact()])
    });
    let org = org.await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("goldwire.yaml"), config(&reltio, &org)).unwrap();
    let running = Running::start(dir.path()).await;
    let sender = Sender::to(running.webhooks);
    let home = |uri: &str| -> Option<FakeRecord> {
        let all = org.records("Contact").into_iter();
        let mut own = all.filter(|it| text(it, "Reltio_Home__c") == Some(uri));
        own.next()
    };

    for uri in [&win, &lose] {
        let created = told("ENTITY_CREATED", uri, 1, 0, Some(5_000));
        assert_eq!(sender.send(created.to_string()).await, Some(200));
    }
    until("both have a contact", async || {
        home(&win).is_some() && home(&lose).is_some()
    })
    .await;
    let mut merged = told("ENTITIES_MERGED", &win, 2, 10_000, None);
    merged["uris"] = json!([win, lose]);
    for event in [
        told("ENTITY_CHANGED", &win, 2, 10_000, Some(15_000)),
        merged,
        told("ENTITY_LOST_MERGE", &lose, 2, 10_000, None),
    ] {
        assert_eq!(sender.send(event.to_string()).await, Some(200));
    }
    let winner = home(&win).unwrap().id;
    let is_archived = || {
        let record = home(&lose).unwrap();
        archived(&record) && text(&record, "Reltio_Merged_Into__c") == Some(winner.as_str())
    };
    until("the loser's contact is archived", async || is_archived()).await;

    let before = reltio.counts().found;
    let echo = told("ENTITY_CHANGED", &lose, 3, 35_000, Some(5_000));
    assert_eq!(sender.send(echo.to_string()).await, Some(200));
    until("the change is answered", async || {
        reltio.counts().found > before && running.lag("goldwire.crm").await == 0
    })
    .await;
    assert!(is_archived());
    let winner = home(&win).unwrap();
    assert!(!archived(&winner));
    assert_eq!(text(&winner, "Reltio_Id__c"), Some(win.as_str()));
    assert_eq!(org.records("Contact").len(), 2);
    running.stop().await;
}
