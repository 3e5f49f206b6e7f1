//! Files on a disk: what is in them, and when they are there.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use goldwire::event::{Kind, Object, Subject, SubjectState};
use goldwire::sink::lake::{Lake, LakeSink};
use goldwire::sink::pieces::{Landed, Pieces, Place, Seal};
use goldwire::sink::{Change, Sink as _, Write};
use goldwire::telemetry::Metrics;
use goldwire::time::SystemClock;
use parquet::record::Field;
use serde_json::{Value, json};

use super::{files, number, rows, text};

pub(super) fn lake(dir: &Path, more: &Value) -> Lake {
    let mut config = json!({ "url": dir, "keeps_erased_records": true });
    let members = config.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    let config: LakeSink = serde_json::from_value(config).unwrap();
    let metrics = Arc::new(Metrics::noop());
    Lake::open("lake", &config, Arc::new(SystemClock), metrics).unwrap()
}

/// One partition of four.
pub(super) fn place(partition: u16) -> Place {
    Place {
        partition,
        log: "log-of-a-test".to_owned(),
        partitions: 4,
    }
}

pub(super) fn pieces(dir: &Path, more: &Value) -> Arc<dyn Pieces> {
    lake(dir, more).pieces(&place(2)).unwrap()
}

/// The lines of a compressed file.
pub(super) fn lines(file: &Path) -> Vec<Value> {
    let mut text = String::new();
    let mut reader = flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap());
    reader.read_to_string(&mut text).unwrap();
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

pub(super) fn change(version: i64, kind: Kind, state: SubjectState) -> Change {
    Change {
        id: format!("id {version}").into(),
        kind,
        version,
        commit_time: version * 10,
        received_time: version * 10 + 5,
        state,
        observed: version % 2 == 0,
    }
}

pub(super) fn write(uri: &str, changes: Vec<Change>) -> Write {
    Write {
        subject: Subject::new("acme", uri),
        object_type: "Individual".into(),
        current: None,
        changes,
        newest: 0,
        targets: Vec::new(),
        hops: 0,
        record: None,
    }
}

pub(super) fn alive(text: &str) -> SubjectState {
    SubjectState::Alive(Object::parse(text.as_bytes()).unwrap().into())
}

/// Three writes of five rows.
pub(super) fn writes(text: &str) -> Vec<Write> {
    let absorbed = SubjectState::Absorbed {
        by: Some("entities/w".to_owned()),
    };
    vec![
        write(
            "entities/a",
            vec![
                change(1, Kind::Created, alive(text)),
                change(2, Kind::Changed, alive("{}")),
                change(3, Kind::Absorbed, absorbed),
            ],
        ),
        write(
            "entities/b",
            vec![change(4, Kind::Erased, SubjectState::Erased)],
        ),
        write(
            "relations/c",
            vec![change(5, Kind::Removed, SubjectState::Removed)],
        ),
    ]
}

#[tokio::test]
async fn g7_every_change_is_a_row_with_typed_columns_and_its_object_as_it_came() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let pieces = pieces(&lake, &json!({}));
    let object = "{\"b\": 0.10000000000000000000001,\n \"a\":1e400, \"c\": \"é\"}";
    let answers = pieces.gather(&writes(object)).await;
    assert!(answers.len() == 3 && answers.iter().all(Result::is_ok));
    assert_eq!(pieces.gathered().rows, 5);
    let seal = pieces.seal(77).unwrap();
    assert_eq!(pieces.gathered().rows, 0);
    assert!(files(&lake).is_empty(), "nothing is there before it landed");
    assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);

    let [file] = files(&lake).try_into().unwrap();
    let name = file
        .strip_prefix(&lake)
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(name, seal.0);
    assert!(name.starts_with("date=20") && name.contains("/log-of-a-test-p2-000000000077-"));
    let found = rows(&file);
    let of = |column: &str| {
        found
            .iter()
            .map(|row| text(row, column))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("id"), ["id 1", "id 2", "id 3", "id 4", "id 5"]);
    assert_eq!(
        of("kind"),
        ["created", "changed", "absorbed", "erased", "removed"]
    );
    assert_eq!(
        of("state"),
        ["alive", "alive", "absorbed", "erased", "removed"]
    );
    assert_eq!(text(&found[0], "object"), object);
    assert_eq!(text(&found[2], "absorbed_by"), "entities/w");
    assert_eq!(found[3]["object"], Field::Null);
    assert_eq!(
        (
            number(&found[4], "version"),
            number(&found[4], "commit_time")
        ),
        (5, 50)
    );
    assert_eq!(found[1]["observed"], Field::Bool(true));
    assert_eq!(text(&found[4], "subject"), "relations/c");
}

#[tokio::test]
async fn lines_of_json_are_as_the_file_sink_writes_them() {
    let dir = tempfile::tempdir().unwrap();
    let pieces = pieces(dir.path(), &json!({ "format": "ndjson" }));
    pieces.gather(&writes("{\"a\":1}")).await;
    let seal = pieces.seal(1).unwrap();
    pieces.land(&seal).await.unwrap();
    let [file] = files(dir.path()).try_into().unwrap();
    assert!(file.to_str().unwrap().ends_with(".ndjson.gz"));
    let lines = lines(&file);
    assert_eq!(lines.len(), 5);
    assert_eq!(
        (&lines[0]["object"], &lines[4]["kind"]),
        (&json!({ "a": 1 }), &json!("removed"))
    );
}

#[tokio::test]
async fn g5_a_file_that_a_recovery_did_not_find_never_lands() {
    for format in ["parquet", "ndjson"] {
        let dir = tempfile::tempdir().unwrap();
        let format = json!({ "format": format });
        let (late, recovery) = (pieces(dir.path(), &format), pieces(dir.path(), &format));
        late.gather(&writes("{}")).await;
        let seal = late.seal(1).unwrap();
        for _ in 0..2 {
            assert_eq!(recovery.landed(&seal).await.unwrap(), Landed::Never);
        }
        assert_eq!(late.land(&seal).await.unwrap(), Landed::Never);
        let [file] = files(dir.path()).try_into().unwrap();
        if format == json!({ "format": "parquet" }) {
            assert!(rows(&file).is_empty(), "a file that readers take");
        }
    }
}

#[tokio::test]
async fn g5_a_file_that_landed_is_found_by_a_recovery_and_brought_to_the_mirror() {
    for format in ["parquet", "ndjson"] {
        let (dir, mirror) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let alone = pieces(dir.path(), &json!({ "format": format }));
        alone.gather(&writes("{}")).await;
        let seal = alone.seal(1).unwrap();
        assert_eq!(alone.land(&seal).await.unwrap(), Landed::Yes);
        let more = json!({ "format": format, "mirror": { "url": mirror.path() } });
        let recovery = pieces(dir.path(), &more);
        for _ in 0..2 {
            assert_eq!(recovery.landed(&seal).await.unwrap(), Landed::Yes);
        }
        let read = |dir: &Path| std::fs::read(dir.join(&seal.0)).unwrap();
        assert_eq!(read(dir.path()), read(mirror.path()));
    }
}

#[tokio::test]
async fn g8_a_piece_says_what_it_holds_so_that_memory_and_the_size_of_a_file_are_bounded() {
    // Of four partitions, each half.
    let by_memory = json!({ "memory": "8MiB", "roll": { "rows": 1_000_000 } });
    let by_size = json!({ "roll": { "rows": 1_000_000, "bytes": "256KiB" } });
    for (more, most) in [(by_memory, 1 << 20), (by_size, 256 << 10)] {
        is_closed_at(most, &more).await;
    }
}

async fn is_closed_at(bytes: usize, more: &Value) {
    let dir = tempfile::tempdir().unwrap();
    let pieces = pieces(dir.path(), more);
    let limits = pieces.limits();
    assert_eq!(limits.bytes, bytes);
    let object = format!("{{\"a\":\"{}\"}}", "x".repeat(2000));
    let (mut sent, mut most) = (0, 0);
    while !pieces.gathered().is_due(&limits) {
        assert!(sent < 1_000_000);
        pieces.gather(&writes(&object)).await;
        sent += 5;
        most = most.max(pieces.gathered().bytes);
    }
    assert!(most < limits.bytes + 10_000);
    let seal = pieces.seal(1).unwrap();
    pieces.land(&seal).await.unwrap();
    let [file] = files(dir.path()).try_into().unwrap();
    assert_eq!(rows(&file).len(), sent);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_to_is_told_with_its_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let pieces = pieces(&file, &json!({}));
    pieces.gather(&writes("{}")).await;
    let seal: Seal = pieces.seal(1).unwrap();
    let error = pieces.land(&seal).await.unwrap_err().to_string();
    assert!(
        error.contains("make ") && error.contains("a directory"),
        "{error}"
    );
}
