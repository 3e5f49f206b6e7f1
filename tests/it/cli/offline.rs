//! Dead letters in a data directory that no one has open.

use std::path::Path;

use goldwire::dead_letter::DeadLetter;
use goldwire::runtime::Files;
use goldwire::topology::{self, Config};
use tempfile::TempDir;

use super::fixture::{letter, records, undecodable, write};
use super::program::{dir_with, goldwire};

const CONFIG: &str = "
tenant: t
data_dir: DIR
sources:
  hook:
    webhook: { path: /hook, scheme: reltio, secrets: [s] }
webhook: { address: 127.0.0.1:0, insecure_plain_http: true }
sinks:
  lake: { warehouse: { url: 'sqlite:lake.db' } }
admin: { address: 127.0.0.1:1 }
";

fn prepared(letters: &[DeadLetter]) -> (TempDir, Config) {
    prepared_in("sled", letters)
}

fn prepared_in(store: &str, letters: &[DeadLetter]) -> (TempDir, Config) {
    let data = tempfile::tempdir().unwrap().keep();
    let text = CONFIG.replace("DIR", &data.display().to_string());
    let text = format!("store: {store}{text}");
    let config = topology::parse(&text, &|_| None).unwrap();
    let files = Files::open(&config).unwrap();
    write(files.store.as_ref(), letters);
    (dir_with(&text), config)
}

fn out(dir: &Path, words: &[&str]) -> String {
    let ran = goldwire(dir, words);
    assert_eq!(ran.code, 0, "{words:?}: {}", ran.err);
    ran.out
}

#[tokio::test]
async fn letters_are_listed_redriven_and_discarded_in_the_files_themselves() {
    let letters = [
        letter("lake", "a", "rejected"),
        letter("lake", "b", "exhausted"),
        undecodable("d"),
    ];
    let (dir, config) = prepared(&letters);
    let listed = out(dir.path(), &["dlq", "list"]);
    assert!(listed.ends_with("open: ingest 1, lake 2\n"), "{listed}");
    let redriven = out(dir.path(), &["dlq", "redrive", "--reason", "rejected"]);
    assert_eq!(redriven, "1 redriven\n  1 rejected\n");
    assert_eq!(
        out(dir.path(), &["dlq", "redrive", "ingest/d:0"]),
        "1 redriven\n  1 undecodable\n"
    );
    assert_eq!(
        out(dir.path(), &["dlq", "discard", "--all"]),
        "1 discarded\n  1 exhausted\n"
    );
    let words = ["dlq", "list", "--config", "./goldwire.yaml"];
    assert_eq!(out(dir.path(), &words), "open: none\n");
    let files = Files::open(&config).unwrap();
    assert_eq!(records(files.log.as_ref()).await.len(), 1);
    assert_eq!(records(files.inbox.as_ref()).await.len(), 1);
    drop(files);
    std::fs::remove_dir_all(&config.data_dir).unwrap();
}

#[test]
fn a_directory_where_goldwire_never_ran_is_refused_and_not_made() {
    let text = CONFIG.replace("DIR", "mistyped");
    let dir = dir_with(&text);
    // One that is there and holds something else is no data directory either.
    for exists in [false, true] {
        if exists {
            std::fs::create_dir(dir.path().join("mistyped")).unwrap();
        }
        let ran = goldwire(dir.path(), &["dlq", "list"]);
        assert_eq!(ran.code, 69, "{}", ran.out);
        assert!(
            ran.err
                .contains("/mistyped: goldwire has never run there; start `goldwire run` first"),
            "{}",
            ran.err
        );
        assert!(!dir.path().join("mistyped/store").exists());
    }
}

#[tokio::test]
async fn a_sink_that_is_neither_configured_nor_left_letters_is_64() {
    let (dir, config) = prepared(&[letter("old", "a", "rejected")]);
    for verb in ["list", "redrive", "discard"] {
        let ran = goldwire(dir.path(), &["dlq", verb, "--sink", "lage"]);
        assert_eq!(ran.code, 64, "{verb}: {}", ran.out);
        let why =
            "--sink \"lage\": there is no such sink, and it has no letters; known: ingest, lake";
        assert!(ran.err.starts_with(why), "{}", ran.err);
        for known in ["lake", "ingest"] {
            out(dir.path(), &["dlq", verb, "--sink", known]);
        }
    }
    let listed = out(dir.path(), &["dlq", "list", "--sink", "old"]);
    assert!(listed.starts_with("old/a:0 "), "{listed}");
    std::fs::remove_dir_all(&config.data_dir).unwrap();
}

#[tokio::test]
async fn files_that_another_process_has_open_are_left_alone() {
    let (dir, config) = prepared(&[letter("lake", "a", "rejected")]);
    let files = Files::open(&config).unwrap();
    let ran = goldwire(dir.path(), &["dlq", "list"]);
    assert_eq!(ran.code, 69, "{}", ran.out);
    assert!(
        ran.err
            .contains("nothing answers at admin.address 127.0.0.1:1"),
        "{}",
        ran.err
    );
    drop(files);
    std::fs::remove_dir_all(&config.data_dir).unwrap();
}

#[test]
fn a_store_on_fjall_is_read_and_refused_where_the_configuration_says_sled() {
    let (dir, config) = prepared_in("fjall", &[letter("lake", "a", "rejected")]);
    assert!(out(dir.path(), &["dlq", "list"]).contains("rejected"));
    let path = dir.path().join("goldwire.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("store: fjall", "store: sled")).unwrap();
    let ran = goldwire(dir.path(), &["dlq", "list"]);
    assert_ne!(ran.code, 0);
    let why = "was made with `store: fjall`";
    assert!(ran.err.contains(why), "{}", ran.err);
    let ran = goldwire(dir.path(), &["check"]);
    assert!(ran.code == 1 && ran.err.contains(why), "{}", ran.err);
    std::fs::remove_dir_all(&config.data_dir).unwrap();
}
