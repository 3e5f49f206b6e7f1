//! The demo's verdict, which everybody who tries goldwire relies on: right where all is well, and
//! wrong where a guarantee is broken on purpose.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::until;
use crate::cli::program::{Ran, goldwire};

fn demo(words: &[&str]) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    goldwire(dir.path(), &[&["demo"], words].concat())
}

/// A short run; every mode finds something to break in it.
fn short(words: &[&str]) -> Ran {
    demo(&[&["--events", "120", "--rate", "2000"], words].concat())
}

#[test]
fn the_demo_ends_with_0_where_every_sink_holds_what_the_tenant_says() {
    let ran = short(&[]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("every sink ends equal to the truth"),
        "{}",
        ran.out
    );
    let cache = ran.out.lines().find(|line| line.starts_with("  cache "));
    assert!(
        cache.is_some_and(|line| line.ends_with(" compared with the truth, 0 differ")),
        "{}",
        ran.out
    );
    let by_kind = ran
        .out
        .lines()
        .find(|line| line.contains("  ENTITY_CHANGED "));
    assert!(
        by_kind.is_some_and(|line| line.contains(" / ")),
        "{}",
        ran.out
    );
}

/// The subject that was broken is named in the log; it must be named in the verdict too.
fn finds(mode: &str) {
    let ran = short(&["--sabotage", mode]);
    assert_eq!(ran.code, 1, "{mode}: {}{}", ran.out, ran.err);
    let broken = ran.err.split("subject=demo/").nth(1).unwrap();
    let broken = broken.split_whitespace().next().unwrap();
    let verdict = format!("  warehouse: {broken}: ");
    assert!(
        ran.out.contains(&verdict),
        "{mode} of {broken}: {}",
        ran.out
    );
}

#[test]
fn a_lost_write_is_found_and_its_subject_named() {
    finds("lose");
}

#[test]
fn a_change_written_twice_is_found_and_its_subject_named() {
    finds("double");
}

#[test]
fn an_older_state_over_a_newer_one_is_found_and_its_subject_named() {
    finds("regress");
}

#[test]
fn a_sabotage_that_broke_nothing_is_no_success() {
    let ran = demo(&["--events", "1", "--rate", "1000", "--sabotage", "regress"]);
    assert_eq!(ran.code, 69, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("raise --events"), "{}", ran.err);
}

#[test]
fn what_the_demo_cannot_play_is_refused_with_its_value() {
    for flag in ["--events", "--rate"] {
        let ran = demo(&[flag, "0"]);
        assert_eq!(ran.code, 64, "{}", ran.err);
        assert!(ran.err.contains(&format!("'0' for '{flag}")), "{}", ran.err);
    }
    let used = tempfile::tempdir().unwrap();
    std::fs::write(used.path().join("warehouse.db"), "of another run").unwrap();
    let name = used.path().to_str().unwrap();
    let ran = demo(&["--keep", name]);
    assert_eq!(ran.code, 64, "{}", ran.err);
    assert!(
        ran.err.contains(name) && ran.err.contains("empty"),
        "{}",
        ran.err
    );
}

async fn interrupted(signal: &str) -> Option<i32> {
    let dir: TempDir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_goldwire"))
        .args([
            "demo", "--events", "2000", "--rate", "100", "--keep", "kept",
        ])
        .current_dir(dir.path())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Made when everything around it is up.
    let kept = dir.path().join("kept/goldwire.yaml");
    until("the demo is under way", async || Path::exists(&kept)).await;
    let kill = format!("kill -{signal} {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    let mut ended = None;
    until("the demo has ended", async || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    })
    .await;
    ended.unwrap().code()
}

#[tokio::test]
async fn a_demo_that_is_told_to_stop_stops_and_says_by_what() {
    assert_eq!(interrupted("INT").await, Some(130));
    assert_eq!(interrupted("TERM").await, Some(143));
}
