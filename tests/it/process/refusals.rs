//! What a process refuses to start with: a sentence, and 69.

use std::path::Path;

use goldwire::runtime::Files;
use goldwire::store::{Batch, SledStore, Store as _, keys};

use super::running::{Running, Started};
use super::sender::Sender;
use super::{arrives, folder};

async fn refusal(dir: &Path) -> String {
    let mut started = Started::new(dir, "info");
    let code = started.end().await;
    let said = started.said();
    assert_eq!(code, Some(69), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// Makes the data directory as a first start does.
fn made(dir: &Path) {
    let config = std::fs::read_to_string(dir.join("goldwire.yaml")).unwrap();
    let data = dir.join("data").display().to_string();
    let config = config.replace("data_dir: data", &format!("data_dir: {data}"));
    drop(Files::open(&goldwire::topology::parse(&config, &|_| None).unwrap()).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_one_data_directory_is_refused_and_the_first_goes_on() {
    let dir = folder();
    let running = Running::start(dir.path()).await;
    let said = refusal(dir.path()).await;
    assert!(
        said.contains("is in use by another process; stop it"),
        "{said}"
    );
    let sender = Sender::to(running.webhooks);
    arrives(dir.path(), &sender.good("entities/first").await).await;
    running.stop().await;
}

#[tokio::test]
async fn a_store_of_a_newer_format_is_refused() {
    let dir = folder();
    made(dir.path());
    let store = SledStore::open(&dir.path().join("data/store")).unwrap();
    let mut batch = Batch::default();
    batch.put(keys::FORMAT.to_vec(), b"99".to_vec());
    store.commit(batch).unwrap();
    drop(store);
    let said = refusal(dir.path()).await;
    assert!(
        said.contains("has format 99, and this version knows"),
        "{said}"
    );
}

#[tokio::test]
async fn a_store_of_the_other_engine_is_refused_until_the_configuration_names_it() {
    for (made_by, asked) in [("sled", "fjall"), ("fjall", "sled")] {
        let dir = folder();
        let path = dir.path().join("goldwire.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let on = |engine: &str| std::fs::write(&path, format!("store: {engine}\n{text}")).unwrap();
        on(made_by);
        made(dir.path());
        on(asked);
        let said = refusal(dir.path()).await;
        let why = format!("was made with `store: {made_by}`");
        assert!(said.contains(&why), "{said}");
        on(made_by);
        Running::start(dir.path()).await.stop().await;
    }
}

#[tokio::test]
async fn a_log_of_a_newer_format_is_refused() {
    let dir = folder();
    made(dir.path());
    let path = dir.path().join("data/log/identity.json");
    let mut identity: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    identity["format"] = 99.into();
    std::fs::write(&path, identity.to_string()).unwrap();
    let said = refusal(dir.path()).await;
    assert!(
        said.contains("has format 99, and this version knows"),
        "{said}"
    );
}

#[tokio::test]
async fn another_log_than_the_cursors_were_made_against_is_refused_until_the_right_one_is_back() {
    for (name, log) in [("log", "events"), ("inbox", "inbox")] {
        let dir = folder();
        made(dir.path());
        let place = dir.path().join("data").join(name);
        let aside = dir.path().join("aside");
        std::fs::rename(&place, &aside).unwrap();
        let said = refusal(dir.path()).await;
        let why = format!("the store was made against the {log} log");
        assert!(said.contains(&why), "{said}");
        assert!(said.contains("restore both from the same copy"), "{said}");
        std::fs::remove_dir_all(&place).unwrap();
        std::fs::rename(&aside, &place).unwrap();
        Running::start(dir.path()).await.stop().await;
    }
}
