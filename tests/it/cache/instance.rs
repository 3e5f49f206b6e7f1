//! A cache in a running instance: from the webhook to the answer.

use std::path::Path;
use std::sync::Arc;

use goldwire::runtime::{Deps, Instance};
use goldwire::telemetry::Metrics;
use goldwire::time::SystemClock;
use goldwire::topology::{self, Config};
use serde_json::Value;

use super::TOKEN;
use crate::process::sender::{SECRET, Sender, client, event};
use crate::process::until;

fn config(dir: &Path) -> Config {
    let dir = dir.display();
    let text = format!(
        "tenant: acme
data_dir: {dir}/data
webhook: {{ address: 127.0.0.1:0, insecure_plain_http: true }}
sources:
  hook: {{ webhook: {{ path: /hook, scheme: reltio, secrets: [\"{SECRET}\"] }} }}
sinks:
  reads: {{ cache: {{ dir: {dir}/cache, address: 127.0.0.1:0, tokens: [\"{TOKEN}\"] }} }}
log: {{ partitions: 2, disk_reserve: 1MiB }}
"
    );
    topology::parse(&text, &|_| None).unwrap()
}

async fn start(config: &Config) -> Instance {
    let with = Deps {
        clock: Arc::new(SystemClock),
        metrics: Arc::new(Metrics::noop()),
        seed: 1,
        wrap: None,
    };
    Instance::start(config, &with).await.unwrap()
}

/// The answer for an entity, once there is one that is not stale.
async fn current(instance: &Instance, uri: &str) -> Value {
    let address = instance.served().next().unwrap();
    let url = format!("http://{address}/v1/golden-records/{uri}");
    let (http, mut body) = (client(), Value::Null);
    until("the cache has everything", async || {
        let answer = http.get(&url).bearer_auth(TOKEN).send().await.unwrap();
        let is_there = answer.status() == 200;
        body = answer.json().await.unwrap();
        is_there && body["stale"] == false
    })
    .await;
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_what_was_answered_200_is_served_and_kept_through_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let instance = start(&config).await;
    let sender = Sender::to(instance.webhook_address().unwrap());
    for version in [2, 1] {
        let body = event("entities/a", version, &format!("name {version}"));
        assert_eq!(sender.send(body.to_string()).await, Some(200));
    }
    let before = current(&instance, "entities/a").await;
    assert_eq!(before["version"], 2);
    let address = instance.served().next().unwrap();
    instance.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());

    let instance = start(&config).await;
    let after = current(&instance, "entities/a").await;
    assert_eq!(after["record"], before["record"]);
    assert!(after["asOf"].as_i64() > before["asOf"].as_i64());
    instance.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config(dir.path());
    let sink = config.sinks.get_mut("reads").unwrap();
    sink.cache.as_mut().unwrap().address = taken.local_addr().unwrap();
    let with = Deps {
        clock: Arc::new(SystemClock),
        metrics: Arc::new(Metrics::noop()),
        seed: 1,
        wrap: None,
    };
    let why = Instance::start(&config, &with)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        why.starts_with("sinks.reads.cache.address 127.0.0.1:"),
        "{why}"
    );
}

/// The configuration in `docs/cache.md`.
#[test]
fn the_documented_configuration_is_valid() {
    let page = include_str!("../../../docs/cache.md");
    let (_, block) = page.split_once("```yaml\n").unwrap();
    let (sinks, _) = block.split_once("```").unwrap();
    let text = format!(
        "tenant: acme\ndata_dir: data\nwebhook: {{ address: 127.0.0.1:0, insecure_plain_http: true }}\n\
         sources: {{ hook: {{ webhook: {{ path: /hook, scheme: reltio, secrets: [x] }} }} }}\n{sinks}"
    );
    let env = |name: &str| (name == "CACHE_TOKEN").then(|| "x".to_owned());
    let config = topology::parse(&text, &env).unwrap();
    assert!(config.sinks["reads"].cache.is_some());
}
