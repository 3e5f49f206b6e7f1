//! The whole program and a dashboard: what a sink has committed is refreshed, once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use goldwire::topology;
use loadtest::fake_power_bi::{
    CLIENT, DATASET, FakePowerBi, GROUP, PowerBiSettings, SECRET as APP_SECRET, TENANT,
};
use loadtest::time::SystemClock;
use serde_json::json;

use crate::cli::program::{Ran, goldwire};
use crate::process::running::Running;
use crate::process::sender::{SECRET, Sender};
use crate::process::until;

fn write_config(dir: &Path, power_bi: &FakePowerBi, secret: &str) {
    let url = power_bi.url();
    let config = format!(
        "tenant: acme
data_dir: data
webhook: {{ address: 127.0.0.1:0, insecure_plain_http: true }}
sources: {{ hook: {{ webhook: {{ path: /hook, scheme: reltio, secrets: [\"{SECRET}\"] }} }} }}
sinks: {{ lake: {{ warehouse: {{ url: \"sqlite:lake.db\" }} }} }}
log: {{ partitions: 2, disk_reserve: 1MiB }}
admin: {{ address: 127.0.0.1:0 }}
refreshes:
  sales:
    after: lake
    power_bi:
      tenant_id: {TENANT}
      client_id: {CLIENT}
      client_secret: {secret}
      group_id: {GROUP}
      dataset_id: {DATASET}
      login_url: {url}
      url: {url}
      insecure_plain_http: true
"
    );
    std::fs::write(dir.join("goldwire.yaml"), config).unwrap();
}

async fn power_bi() -> FakePowerBi {
    let fake = FakePowerBi::start(PowerBiSettings {
        clock: Arc::new(SystemClock),
        daily: Some(8),
        lasts: Duration::from_hours(1),
        token_life: Duration::from_hours(1),
    });
    fake.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_what_a_sink_has_committed_is_refreshed_once_and_not_again_after_a_restart() {
    let power_bi = power_bi().await;
    let dir = tempfile::tempdir().unwrap();
    write_config(dir.path(), &power_bi, APP_SECRET);
    let running = Running::start(dir.path()).await;
    let sender = Sender::to(running.webhooks);
    for number in 0..20 {
        let event = json!({
            "type": "ENTITY_CHANGED", "tenantId": "acme", "objectVersion": 1,
            "sourceObjectUri": format!("entities/{number}"), "commitTime": 1_800_000_000_000_i64,
            "object": { "uri": format!("entities/{number}"),
                "type": "configuration/entityTypes/HCP" },
        });
        assert_eq!(sender.send(event.to_string()).await, Some(200));
    }
    // It is drained: what follows goes by what is committed.
    running.stop().await;
    let before = power_bi.refreshes().len();
    assert!(before <= 1, "{before}");

    let running = Running::start(dir.path()).await;
    until("it is refreshed", async || power_bi.refreshes().len() == 1).await;
    until("that is told", async || under_way(&running).await).await;
    running.kill().await;
    let running = Running::start(dir.path()).await;
    until("the next one knows of it", async || {
        under_way(&running).await
    })
    .await;
    running.stop().await;
    assert_eq!(power_bi.answers(), [202]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_connects_to_a_dashboard_and_says_what_it_refuses() {
    let power_bi = power_bi().await;
    let dir = tempfile::tempdir().unwrap();
    write_config(dir.path(), &power_bi, APP_SECRET);
    let checked = check(dir.path()).await;
    assert_eq!(checked.code, 0, "{}", checked.err);
    let shown = format!("refresh sales: dataset {DATASET}");
    assert!(checked.out.contains(&shown), "{}", checked.out);

    write_config(dir.path(), &power_bi, "canary");
    let checked = check(dir.path()).await;
    let said = checked.err;
    assert_eq!(checked.code, 1, "{said}");
    let wanted = "refreshes.sales: token invalid_client: check tenant_id, client_id";
    assert!(said.contains(wanted) && !said.contains("canary"), "{said}");
}

/// Whether the program says that a refresh is under way.
async fn under_way(running: &Running) -> bool {
    let labels = [("refresh", "sales")];
    running.metric("goldwire_refresh_under_way", &labels).await == 1
}

/// `goldwire check --connect` in `dir`.
async fn check(dir: &Path) -> Ran {
    let dir = dir.to_owned();
    let run = move || goldwire(&dir, &["check", "--connect"]);
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// The example of the page.
#[test]
fn the_example_of_the_page_is_taken_and_shown_in_the_topology() {
    let page = include_str!("../../docs/dashboards.md");
    let example = page.split("```yaml\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let text = format!(
        "tenant: acme\ndata_dir: data\n\
         webhook: {{ address: 127.0.0.1:0, insecure_plain_http: true }}\n\
         sources: {{ hook: {{ webhook: {{ path: /h, scheme: reltio, secrets: [s] }} }} }}\n\
         sinks: {{ lake: {{ warehouse: {{ url: \"sqlite:a.db\" }} }} }}\n{example}"
    );
    let config = topology::parse(&text, &|_| Some("s3cret".to_owned()));
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let shown = topology::Topology::of(&config).describe();
    for line in [
        "-> refresh finance (tableau datasource 9f9e9d9c-8b8a-8f8e-7d7c-7b7a6f6d6e6d at \
         https://10ax.online.tableau.com), 48 a day at most",
        "-> refresh sales (power_bi dataset cfafbeb1-8037-4d0c-896e-a46fb27ff229 at \
         https://api.powerbi.com), 8 a day at most",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
}
