//! Data directories of earlier releases: opened by this one with nothing missing, and gone on from.

mod archive;
mod content;
mod kafka;
mod scenario;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use goldwire::dead_letter::{DeadLetters as _, Filter, StoredLetters};
use goldwire::runtime::Files;
use goldwire::store::FORMAT_VERSION;
use sqlx::{Connection as _, Row as _, SqliteConnection};
use tempfile::TempDir;

use content::content;
use scenario::{config, run_until_caught_up, written};

/// The file of a format's fixture, by the store's engine.
fn fixture(format: u32, engine: &str, file: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folder = match engine {
        "sled" => format!("format-{format}"),
        engine => format!("format-{format}-{engine}"),
    };
    fixtures.join(folder).join(file)
}

/// A copy of what the release of format 1 left behind.
fn copy(engine: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    archive::unpack(&fixture(1, engine, "data.tar.gz"), dir.path());
    dir
}

/// Open letters as `sink reason subject round`.
async fn letters(files: &Files) -> BTreeSet<String> {
    let letters = StoredLetters::new(Arc::clone(&files.store))
        .page(&Filter::default(), None, 100)
        .await
        .unwrap()
        .letters;
    let line = |letter: &goldwire::dead_letter::DeadLetter| {
        let parts = [
            &*letter.sink,
            &letter.reason,
            &letter.subject,
            &letter.round.to_string(),
        ];
        parts.join(" ").trim_start().to_owned()
    };
    letters.iter().map(line).collect()
}

fn lines(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[tokio::test]
async fn every_record_register_cursor_and_letter_of_format_1_is_there_in_sled() {
    everything_is_there("sled").await;
}

#[tokio::test]
async fn every_record_register_cursor_and_letter_of_format_1_is_there_in_fjall() {
    everything_is_there("fjall").await;
}

async fn everything_is_there(engine: &str) {
    let dir = copy(engine);
    let files = Files::open(&config(engine, dir.path())).unwrap();
    let expected = std::fs::read_to_string(fixture(1, engine, "content.txt")).unwrap();
    assert_eq!(content(&files).await, expected);
    let open = [
        "crm rejected entities/ada 2",
        "lake exhausted entities/exhausted 0",
        "needs_hydration  0",
        "unknown_tenant  0",
    ];
    assert_eq!(letters(&files).await, lines(&open));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_goes_on_from_format_1_to_the_right_end_with_sled() {
    goes_on_to_the_right_end("sled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_goes_on_from_format_1_to_the_right_end_with_fjall() {
    goes_on_to_the_right_end("fjall").await;
}

async fn goes_on_to_the_right_end(engine: &str) {
    let dir = copy(engine);
    let config = config(engine, dir.path());
    run_until_caught_up(&config, None).await;
    let files = Files::open(&config).unwrap();
    let open = [
        "crm rejected entities/ada 2",
        "lake exhausted entities/exhausted 0",
        "needs_hydration  0",
        "undecodable  1",
        "unknown_tenant  0",
    ];
    assert_eq!(letters(&files).await, lines(&open));
    warehouse_ends_right(dir.path()).await;
}

async fn warehouse_ends_right(dir: &Path) {
    let subjects = [
        "entities/ada alive Ada 3",
        "entities/bob alive Bob 1",
        "entities/cleo removed",
        "entities/dora alive Dora 2",
        "entities/ed absorbed",
        "entities/fay erased",
        "entities/hal alive Hal 1",
        "entities/rejected alive Rejected 1",
    ];
    let current = "SELECT subject || ' ' || state || CASE state WHEN 'alive' THEN ' ' || label ELSE '' END FROM golden_records";
    assert_eq!(rows(dir, current).await, subjects);
    let relations = "SELECT subject || ' ' || state FROM relations";
    assert_eq!(rows(dir, relations).await, ["relations/r1 alive"]);
    let history = "SELECT version || ' ' || is_current FROM golden_record_history WHERE subject = 'entities/ada'";
    assert_eq!(rows(dir, history).await, ["1 0", "2 0", "3 1"]);
}

/// Rows of one column, in order.
async fn rows(dir: &Path, select: &'static str) -> Vec<String> {
    let url = format!("sqlite:{}", dir.join("lake.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let rows = sqlx::query(select)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let mut rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes a fixture, which is done once a format"]
async fn write_the_fixture_of_this_format_in_sled() {
    write_the_fixture("sled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes a fixture, which is done once a format"]
async fn write_the_fixture_of_this_format_in_fjall() {
    write_the_fixture("fjall").await;
}

async fn write_the_fixture(engine: &str) {
    let dir = tempfile::tempdir().unwrap();
    let files = written(engine, dir.path()).await;
    let text = content(&files).await;
    drop(files);
    let fixture = |file| fixture(FORMAT_VERSION, engine, file);
    std::fs::create_dir_all(fixture("")).unwrap();
    std::fs::write(fixture("content.txt"), text).unwrap();
    archive::pack(dir.path(), &fixture("data.tar.gz"));
}
