//! What was erased is answered no more, and leaves the files.

use std::path::Path;
use std::sync::Arc;

use goldwire::event::SubjectState;
use goldwire::sink::Sink as _;
use memchr::memmem;

use super::{NOW, Served, Set, alive, row, sink, snapshot, write};

const NAME: &str = "canary-name-of-a-person";
const ID: &str = "canary-id-of-a-person";
const HOUR: i64 = 3_600_000;

/// The files below `dir` in which `text` stands.
fn files_with(dir: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if memmem::find(&std::fs::read(&path).unwrap(), text.as_bytes()).is_some() {
            found.push(path.display().to_string());
        }
    }
    found
}

fn person() -> SubjectState {
    alive(&snapshot("entities/a", NAME, &[ID]))
}

#[tokio::test]
async fn no_answer_has_a_byte_of_what_was_erased() {
    let dir = tempfile::tempdir().unwrap();
    let rows = vec![
        row("entities/a", 1, person()),
        row("entities/l", 1, super::absorbed("entities/a")),
    ];
    let served = Served::over(dir.path(), rows).await;
    let paths = [
        "/v1/golden-records/entities/a".to_owned(),
        "/v1/golden-records/entities/l".to_owned(),
        format!("/v1/golden-records?source=SFDC&value={ID}"),
    ];
    for path in &paths {
        let answer = served.get(path, &[]).await;
        assert_eq!(answer.status(), 200);
        assert!(answer.text().await.unwrap().contains(NAME));
    }
    let erased = [write(row("entities/a", 2, SubjectState::Erased))];
    served.sink.write(&erased).await[0].clone().unwrap();
    for (path, status) in paths.iter().zip([410, 410, 404]) {
        let answer = served.get(path, &[]).await;
        assert_eq!(answer.status(), status, "{path}");
        let body = answer.text().await.unwrap();
        assert!(!body.contains(NAME) && !body.contains(ID), "{body}");
    }
}

#[tokio::test]
async fn what_was_erased_is_in_no_file_once_purge_after_has_passed() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Set::new();
    let cache = Arc::new(sink(dir.path(), &clock));
    let others = (0..200).map(|number| {
        let uri = format!("entities/{number}");
        let state = alive(&snapshot(&uri, "somebody else", &[&uri]));
        write(row(&uri, 1, state))
    });
    let others: Vec<_> = others.collect();
    cache.write(&others).await;
    for (time, state) in [(1, person()), (2, person()), (3, SubjectState::Erased)] {
        let written = cache.write(&[write(row("entities/a", time, state))]).await;
        written[0].clone().unwrap();
    }
    assert!(!files_with(dir.path(), NAME).is_empty());
    let due = |cache: &Arc<goldwire::sink::cache::Cache>| {
        let cache = Arc::clone(cache);
        tokio::task::spawn_blocking(move || cache.purge_if_due().unwrap())
    };
    clock.pass(HOUR - 1);
    assert!(!due(&cache).await.unwrap());
    // It is not forgotten when the process ends.
    drop(cache);
    let cache = Arc::new(sink(dir.path(), &clock));
    clock.pass(1);
    assert!(due(&cache).await.unwrap());
    assert_eq!(files_with(dir.path(), NAME), Vec::<String>::new());
    assert_eq!(files_with(dir.path(), ID), Vec::<String>::new());
    clock.pass(HOUR);
    assert!(!due(&cache).await.unwrap(), "once is enough");
    // What was not erased is there, and what is new is kept.
    let newer = write(row(
        "entities/7",
        9,
        alive(&snapshot("entities/7", "new", &[])),
    ));
    cache.write(&[newer]).await[0].clone().unwrap();
    drop(cache);
    let served = Served::over(dir.path(), Vec::new()).await;
    assert_eq!(
        served.record("entities/7").await.1["record"]["label"],
        "new"
    );
    let (status, other) = served.record("entities/8").await;
    assert_eq!(
        (status, &other["contentTime"]),
        (200, &serde_json::json!(NOW + 1))
    );
    assert_eq!(served.record("entities/a").await.0, 410);
}
