//! Commands that ask the running process, since it has the data directory open.

use std::net::SocketAddr;
use std::path::Path;

use goldwire::admin::{self, Admin};
use goldwire::config::Secret;
use goldwire::tls::Tls;
use tempfile::TempDir;

use super::admin::{serve, state};
use super::fixture::{fixture, letter, records, undecodable};
use super::program::{Ran, dir_with, goldwire};

/// A configuration whose data directory cannot be opened, and whose admin listener is `address`.
fn config(address: SocketAddr) -> TempDir {
    config_with(address, "")
}

/// The same with this in place of the example's `admin.tls`.
fn config_with(address: SocketAddr, tls: &str) -> TempDir {
    let example = "  tls: { cert_file: tls/admin.pem, key_file: tls/admin-key.pem }\n";
    let text = crate::config::FULL
        .replace(
            "data_dir: /var/lib/goldwire",
            "data_dir: goldwire.yaml/not-a-directory",
        )
        .replace("address: 127.0.0.1:9464", &format!("address: {address}"))
        .replace(example, tls);
    dir_with(&text)
}

/// The program runs beside the server that it asks.
async fn run(dir: &TempDir, words: &'static [&'static str]) -> Ran {
    let dir = dir.path().to_owned();
    tokio::task::spawn_blocking(move || goldwire(&dir, words))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_handled_by_the_process_that_has_them_open() {
    let fixture = fixture(&[letter("crm", "a", "rejected"), undecodable("d")]);
    let handle = serve(&fixture, Some("t0ken"), true).await;
    let dir = config(handle.address());

    let listed = run(&dir, &["dlq", "list", "--sink", "crm"]).await;
    assert_eq!(listed.code, 0, "{}", listed.err);
    assert!(
        listed
            .out
            .starts_with("crm/a:0  rejected  REQUIRED_FIELD_MISSING  entities/a  ")
    );
    assert!(
        listed.out.ends_with("open: crm 1, ingest 1\n"),
        "{}",
        listed.out
    );

    let shown = run(&dir, &["dlq", "show", "crm/a:0"]).await.out;
    assert!(
        shown.contains("__connect.errors.connector.name: crm\n"),
        "{shown}"
    );
    assert!(!shown.contains("Ada"), "{shown}");
    let original = run(&dir, &["dlq", "show", "ingest/d:0", "--original"]).await;
    assert_eq!(original.out, "{not json");

    let payload = run(&dir, &["dlq", "show", "crm/a:0", "--payload"]).await;
    assert_eq!(payload.out, "Ada Lovelace", "{}", payload.err);

    let dry = run(&dir, &["dlq", "redrive", "--all", "--dry-run"]).await;
    assert_eq!(
        dry.out, "2 would be redriven\n  1 rejected\n  1 undecodable\n",
        "{}",
        dry.err
    );
    assert_eq!(records(fixture.log.as_ref()).await.len(), 0);
    let done = run(&dir, &["dlq", "redrive", "crm/a:0", "--json"]).await;
    assert!(
        done.out.contains("\"done\": 1"),
        "{} {}",
        done.out,
        done.err
    );
    assert_eq!(records(fixture.log.as_ref()).await.len(), 1);
    let again = run(&dir, &["dlq", "redrive", "crm/a:0"]).await;
    assert_eq!(again.code, 64);
    assert!(
        again.out.contains("crm/a:0 stays: no such letter is open"),
        "{}",
        again.out
    );
    let gone = run(&dir, &["dlq", "discard", "--sink", "ingest"]).await;
    assert_eq!(gone.out, "1 discarded\n  1 undecodable\n", "{}", gone.err);
    let listed = run(&dir, &["dlq", "list"]).await;
    assert_eq!(listed.out, "open: none\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_letters_are_redriven_in_parts_and_reported_as_one() {
    let mut letters: Vec<_> = (0..450)
        .map(|n| letter("crm", &format!("{n:03}"), "rejected"))
        .collect();
    letters.push(letter("old", "a", "exhausted"));
    let fixture = fixture(&letters);
    let handle = serve(&fixture, Some("t0ken"), true).await;
    let dir = config(handle.address());
    let some = run(&dir, &["dlq", "redrive", "--all", "--max", "210"]).await;
    assert!(some.out.starts_with("210 redriven\n"), "{}", some.out);
    let rest = run(&dir, &["dlq", "redrive", "--all"]).await;
    let stays = "old/a:0 stays: its sink is not configured any more; discard it";
    assert_eq!(
        rest.out,
        format!("240 redriven\n  240 rejected\n{stays}\n"),
        "{}",
        rest.err
    );
    assert_eq!(records(fixture.log.as_ref()).await.len(), 450);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_comes_in_pages_and_says_where_the_next_one_begins() {
    let letters: Vec<_> = (0..1205)
        .map(|n| letter("crm", &format!("{n:04}"), "rejected"))
        .collect();
    let fixture = fixture(&letters);
    let handle = serve(&fixture, Some("t0ken"), true).await;
    let dir = config(handle.address());
    let listed = run(&dir, &["dlq", "list", "--max", "1201"]).await;
    let lines: Vec<&str> = listed.out.lines().collect();
    assert_eq!(lines.len(), 1203, "{}", listed.err);
    for (number, line) in lines[..1201].iter().enumerate() {
        assert!(line.starts_with(&format!("crm/{number:04}:0 ")), "{line}");
    }
    assert_eq!(
        lines[1201..],
        ["more: --after crm/1200:0", "open: crm 1205"]
    );
    let rest = run(&dir, &["dlq", "list", "--after", "crm/1200:0"]).await;
    assert_eq!(rest.out.lines().count(), 5, "{}", rest.out);
    assert!(rest.out.starts_with("crm/1201:0 "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_token_is_told_and_nobody_at_home_is_69() {
    let fixture = fixture(&[]);
    let handle = serve(&fixture, Some("another"), true).await;
    let dir = config(handle.address());
    let refused = run(&dir, &["dlq", "list"]).await;
    assert_eq!(refused.code, 69);
    assert!(
        refused.err.contains("another admin.token"),
        "{}",
        refused.err
    );
    handle.shutdown(std::time::Duration::from_secs(5)).await;
    let nobody = run(&dir, &["dlq", "list"]).await;
    assert_eq!(nobody.code, 69);
    assert!(
        nobody.err.contains("nothing answers at admin.address"),
        "{}",
        nobody.err
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_containers_health_check_is_the_liveness_of_the_running_process() {
    let fixture = fixture(&[]);
    let well = serve(&fixture, Some("t0ken"), true).await;
    let dir = config(well.address());
    // The process has read its key; who asks for its health need not.
    std::fs::remove_dir_all(dir.path().join("tls")).unwrap();
    let ran = run(&dir, &["check", "--live"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let stuck = serve(&fixture, Some("t0ken"), false).await;
    let ran = run(&config(stuck.address()), &["check", "--live"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no progress for 60 s"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_commands_believe_the_certificate_of_the_configuration_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (listeners, others) = (files(folder.path(), "a"), files(folder.path(), "b"));
    let fixture = fixture(&[letter("crm", "a", "rejected")]);
    let admin = Admin {
        address: ([127, 0, 0, 1], 0).into(),
        token: Some(Secret::new("t0ken")),
        tls: Some(listeners.clone()),
        ..Admin::default()
    };
    let handle = admin::serve(&admin, state(&fixture, true)).await.unwrap();
    let with = |tls: &Tls| {
        let (cert, key) = (tls.cert_file.display(), tls.key_file.display());
        let tls = format!("  tls: {{ cert_file: {cert}, key_file: {key} }}\n");
        config_with(handle.address(), &tls)
    };
    let right = with(&listeners);
    let listed = run(&right, &["dlq", "list"]).await;
    assert!(listed.out.ends_with("open: crm 1\n"), "{}", listed.err);
    assert_eq!(run(&right, &["check", "--live"]).await.code, 0);
    for stranger in [with(&others), config(handle.address())] {
        let refused = run(&stranger, &["dlq", "list"]).await;
        assert_eq!(refused.code, 69, "{}", refused.out);
        assert_eq!(run(&stranger, &["check", "--live"]).await.code, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_is_paused_and_resumed_by_who_has_the_token() {
    let fixture = fixture(&[]);
    let handle = serve(&fixture, Some("t0ken"), true).await;
    let dir = config(handle.address());
    let paused = run(&dir, &["sink", "pause", "crm"]).await;
    assert_eq!((paused.code, paused.err.as_str()), (0, ""));
    assert!(paused.out.starts_with("crm is paused"), "{}", paused.out);
    let resumed = run(&dir, &["sink", "resume", "crm"]).await;
    assert_eq!((resumed.code, resumed.out.as_str()), (0, "crm goes on\n"));
    let mistyped = run(&dir, &["sink", "pause", "crn"]).await;
    assert_eq!(mistyped.code, 64);
    assert!(
        mistyped.err.contains("known: by_type, crm, "),
        "{}",
        mistyped.err
    );
    let url = format!("http://{}/sinks/crm/pause", handle.address());
    goldwire::tls::use_ring();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.post(&url).send().await.unwrap().status(), 401);
    let url = url.replace("crm", "crn");
    let unknown = client.post(url).bearer_auth("t0ken").send().await.unwrap();
    assert_eq!(unknown.status(), 404);
}

/// A certificate for no name that the commands use.
fn files(folder: &Path, name: &str) -> Tls {
    let made = rcgen::generate_simple_self_signed(vec!["goldwire.example".to_owned()]).unwrap();
    let tls = Tls {
        cert_file: folder.join(format!("{name}.pem")),
        key_file: folder.join(format!("{name}.key")),
    };
    std::fs::write(&tls.cert_file, made.cert.pem()).unwrap();
    std::fs::write(&tls.key_file, made.signing_key.serialize_pem()).unwrap();
    tls
}
