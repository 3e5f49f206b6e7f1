//! What was erased goes out of the files, and nothing else.

use std::path::Path;

use goldwire::event::{Kind, SubjectState};
use goldwire::sink::pieces::Pieces;
use goldwire::sink::{Sink as _, Write};
use serde_json::json;

use super::pieces::{alive, change, lake, lines, place, write};
use super::{files, rows, text};

const SECRET: &str = "Ada Lovelace";

pub(super) async fn land(pieces: &dyn Pieces, batch: &[Write]) {
    pieces.gather(batch).await;
    let seal = pieces.seal(1).unwrap();
    pieces.land(&seal).await.unwrap();
}

pub(super) fn person(uri: &str, version: i64) -> Write {
    let object = format!("{{\"uri\":\"{uri}\",\"name\":\"{SECRET}\"}}");
    write(uri, vec![change(version, Kind::Changed, alive(&object))])
}

/// What every file below `dir` tells: whom it is about, the state, and whether the name is there.
fn told(dir: &Path) -> Vec<(String, String, bool)> {
    let mut told = Vec::new();
    for file in files(dir) {
        if file.extension().is_some_and(|end| end == "gz") {
            told.extend(lines(&file).into_iter().map(|line| {
                let text = |member: &str| line[member].as_str().unwrap().to_owned();
                let named = line["object"]["name"] == SECRET;
                (text("subject"), text("state"), named)
            }));
        } else {
            told.extend(rows(&file).into_iter().map(|row| {
                let named = format!("{:?}", row["object"]).contains(SECRET);
                (text(&row, "subject"), text(&row, "state"), named)
            }));
        }
    }
    told.sort();
    told
}

#[tokio::test]
async fn what_was_erased_is_taken_out_of_all_files_and_the_rest_stays() {
    for format in ["parquet", "ndjson"] {
        let (dir, mirror) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let lake = lake(
            dir.path(),
            &json!({
                "erase_within": "4h", "keeps_erased_records": false, "format": format,
                "mirror": { "url": mirror.path() },
            }),
        );
        let pieces = lake.pieces(&place(2)).unwrap();
        let pieces = pieces.as_ref();
        land(pieces, &[person("entities/a", 1), person("entities/b", 1)]).await;
        land(pieces, &[person("entities/c", 1)]).await;
        let names = files(dir.path());
        let erased = change(2, Kind::Erased, SubjectState::Erased);
        let later = [write("entities/a", vec![erased]), person("entities/a", 3)];
        land(pieces, &later).await;
        let before = [
            ("entities/a", "alive", true),
            ("entities/a", "alive", true),
            ("entities/a", "erased", false),
            ("entities/b", "alive", true),
            ("entities/c", "alive", true),
        ];
        let before = before.map(|(uri, state, named)| (uri.into(), state.into(), named));
        assert_eq!(told(dir.path()), before);
        let notes = dir.path().join("_goldwire/erasures");
        assert_eq!(std::fs::read_dir(&notes).unwrap().count(), 1);

        assert_eq!(
            lake.take_out_erased().await.unwrap(),
            2,
            "one in each place"
        );
        assert_eq!(told(dir.path()), before[1..]);
        assert_eq!(told(mirror.path()), before[1..]);
        let now = files(dir.path());
        assert!(now.len() == 3 && names.iter().all(|name| now.contains(name)));
        assert_eq!(std::fs::read_dir(&notes).unwrap().count(), 0);
        assert_eq!(lake.take_out_erased().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_directory_is_looked_through_by_one_at_a_time_and_a_file_that_is_gone_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(
        dir.path(),
        &json!({ "erase_within": "4h", "keeps_erased_records": false }),
    );
    let pieces = lake.pieces(&place(2)).unwrap();
    let pieces = pieces.as_ref();
    land(pieces, &[person("entities/a", 1)]).await;
    land(pieces, &[person("entities/b", 1)]).await;
    let erased = change(2, Kind::Erased, SubjectState::Erased);
    land(pieces, &[write("entities/a", vec![erased])]).await;

    let folder = dir.path().join("_goldwire/erasing");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = std::fs::File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let why = lake.take_out_erased().await.unwrap_err().to_string();
    assert!(why.contains("another process"), "{why}");
    assert_eq!(told(dir.path()).len(), 3, "nothing was changed");
    lock.unlock().unwrap();
    std::fs::remove_file(&files(dir.path())[1]).unwrap();
    lake.take_out_erased().await.unwrap();
    let left = told(dir.path());
    assert!(
        left.iter()
            .all(|(uri, state, _)| uri == "entities/b" || state == "erased")
    );
    assert_eq!(
        std::fs::read_dir(dir.path().join("_goldwire/erasures"))
            .unwrap()
            .count(),
        0
    );
}
