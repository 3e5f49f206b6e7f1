//! What a process that serves opens on this machine is looked at before it starts.

use std::path::Path;

use goldwire::topology::{load, load_to_serve};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{env, full};

/// A folder with a certificate and its key, and the full example over them.
fn prepared() -> (TempDir, Value) {
    let dir = tempfile::tempdir().unwrap();
    certificate(dir.path());
    let mut tree = full();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let pair = |cert: &str, key: &str| json!({ "cert_file": file(cert), "key_file": file(key) });
    tree["webhook"]["tls"] = pair("cert.pem", "key.pem");
    tree["admin"]["tls"] = pair("admin.pem", "admin-key.pem");
    tree["sinks"]["reads"]["cache"]["tls"] = pair("cache.pem", "cache-key.pem");
    let authority = &mut tree["sources"]["topic"]["kafka"]["schema_registry"]["ca_file"];
    *authority = json!(file("ca.pem"));
    std::fs::copy(dir.path().join("cert.pem"), dir.path().join("ca.pem")).unwrap();
    (dir, tree)
}

/// Writes a certificate and its key for each listener.
pub(crate) fn certificate(dir: &Path) {
    for (cert, key) in [
        ("cert.pem", "key.pem"),
        ("admin.pem", "admin-key.pem"),
        ("cache.pem", "cache-key.pem"),
    ] {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(dir.join(cert), made.cert.pem()).unwrap();
        std::fs::write(dir.join(key), made.signing_key.serialize_pem()).unwrap();
    }
}

/// What stands in the way of serving with `tree`, a line a problem.
fn problems(dir: &TempDir, tree: &Value) -> Vec<String> {
    let file = dir.path().join("goldwire.yaml");
    std::fs::write(&file, tree.to_string()).unwrap();
    match load_to_serve(&file, &env) {
        Ok(_) => Vec::new(),
        Err(error) => error.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_certificate_and_its_key_are_read_before_anything_is_bound() {
    let (dir, tree) = prepared();
    assert_eq!(problems(&dir, &tree), Vec::<String>::new());

    let other = tempfile::tempdir().unwrap();
    certificate(other.path());
    std::fs::copy(other.path().join("key.pem"), dir.path().join("key.pem")).unwrap();
    let found = problems(&dir, &tree);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("webhook.tls.key_file: found "),
        "{found:?}"
    );
    assert!(found[0].ends_with("give the key of cert_file"), "{found:?}");

    std::fs::write(dir.path().join("cert.pem"), "no certificate").unwrap();
    std::fs::remove_file(dir.path().join("key.pem")).unwrap();
    let found = problems(&dir, &tree);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("webhook.tls.cert_file: found "),
        "{found:?}"
    );
    assert!(
        found[0].ends_with("it holds no certificate; give the chain as PEM"),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("webhook.tls.key_file: found "),
        "{found:?}"
    );
    assert!(found[1].contains("there is no such file"), "{found:?}");
}

#[test]
fn the_files_of_the_admin_listener_and_of_a_cache_are_read_too() {
    let (dir, tree) = prepared();
    std::fs::remove_file(dir.path().join("admin-key.pem")).unwrap();
    std::fs::remove_file(dir.path().join("cache-key.pem")).unwrap();
    let found = problems(&dir, &tree);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("admin.tls.key_file: found "));
    assert!(found[1].starts_with("sinks.reads.cache.tls.key_file: found "));
}

#[test]
fn who_only_reads_letters_needs_no_key() {
    let (dir, tree) = prepared();
    std::fs::remove_file(dir.path().join("key.pem")).unwrap();
    assert_eq!(problems(&dir, &tree).len(), 1);
    load(&dir.path().join("goldwire.yaml"), &env).unwrap();
}

#[test]
fn properties_that_do_not_go_together_are_found_without_a_broker() {
    let (dir, mut tree) = prepared();
    tree["sources"]["topic"]["kafka"]["properties"]["ssl.ca.location"] = json!("/nowhere/ca.pem");
    let found = problems(&dir, &tree);
    assert_eq!(found.len(), 1, "{found:?}");
    let head = "sources.topic.kafka.properties: librdkafka refuses them: ";
    assert!(found[0].starts_with(head), "{found:?}");
    assert!(found[0].contains("ssl.ca.location"), "{found:?}");

    // A mistake that is known already is told once.
    tree["sources"]["topic"]["kafka"]["properties"]["sasl.mechanism"] = json!("${UNSET}");
    let found = problems(&dir, &tree);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("${UNSET}, which is not set"), "{found:?}");
}

#[test]
fn a_file_without_an_end_is_refused() {
    let endless = Path::new("/dev/zero");
    let error = load(endless, &env).unwrap_err().to_string();
    assert!(
        error.starts_with("/dev/zero: it is longer than 4 MiB"),
        "{error}"
    );
    let (dir, mut tree) = prepared();
    tree["reltio"]["client_secret"] = json!({ "file": "/dev/zero" });
    tree["webhook"]["tls"]["key_file"] = json!("/dev/zero");
    let found = problems(&dir, &tree);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found
            .iter()
            .all(|line| line.contains("it is longer than 4 MiB")),
        "{found:?}"
    );
}
