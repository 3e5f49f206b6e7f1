//! The whole program with a Snowflake sink, killed again and again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use loadtest::fake_snowflake::{
    FakeSnowflake, PRIVATE_KEY, SnowflakeFault, SnowflakeSettings, TABLE,
};
use loadtest::time::SystemClock;

use crate::process::{each_change_gets_one_row, folder_for, killed_while_webhooks_come};

/// Changes that are in the table, and how often.
fn changes(fake: &FakeSnowflake) -> BTreeMap<(String, i64), usize> {
    let mut changes = BTreeMap::new();
    for row in fake.rows() {
        let subject = row["subject"].as_str().unwrap().to_owned();
        let key = (subject, row["version"].as_i64().unwrap());
        *changes.entry(key).or_default() += 1;
    }
    changes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_g3_g5_killed_again_and_again_every_change_is_one_row() {
    let fake = FakeSnowflake::start(SnowflakeSettings {
        clock: Arc::new(SystemClock),
        commit_lag: Duration::from_millis(300),
        token_life: Duration::from_secs(3),
    });
    let fake = fake.await.unwrap();
    let key = PRIVATE_KEY.replace('\n', "\\\\n");
    let sink = format!(
        "events:\n    snowflake:\n      account: fake-account\n      user: goldwire\n      \
         private_key: \"{key}\"\n      database: MDM\n      schema: RELTIO\n      table: {TABLE}\n      \
         url: {}\n      insecure_plain_http: true\n      keeps_erased_records: true\n      \
         commit_timeout: 2s\n      roll: {{ rows: 10, age: 1s }}",
        fake.url()
    );
    let dir = folder_for(
        &sink,
        "commit_interval: 50ms, retry: { attempts: 9, first: 10ms, longest: 100ms }",
    );
    let between = || {
        for fault in [
            SnowflakeFault::LoseAnswer,
            SnowflakeFault::Unavailable,
            SnowflakeFault::Invalidate,
            SnowflakeFault::LoseRequest,
        ] {
            fake.inject(fault);
        }
    };
    let (taken, _) = killed_while_webhooks_come(dir.path(), 6, between).await;
    each_change_gets_one_row(dir.path(), &taken, || changes(&fake)).await;
    assert!(fake.appends().0 > 3);
}
