//! Records whose schema a registry has to tell: what waits, what does not, and what is refused.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use goldwire::decode::schema::{Language, SchemaText};
use goldwire::schema_registry::{Fault, SchemaReader, SchemaRegistry};
use tempfile::TempDir;
use tokio::sync::watch;

use super::batches::{letters, logged};
use super::rig::{Rig, event};
use crate::logged::Logged;

/// A registry that answers, or does not.
#[derive(Debug)]
struct Registry {
    schemas: Mutex<HashMap<u32, SchemaText>>,
    answers: watch::Sender<bool>,
    asked: AtomicUsize,
}

impl Registry {
    /// Schema 1 is a string, schema 2 a structure of one, 3 is JSON, 4 is none.
    fn new() -> Arc<Self> {
        let avro = |text: &str| (Language::Avro, text.to_owned());
        let record =
            r#"{"type":"record","name":"R","fields":[{"name":"payload","type":"string"}]}"#;
        let schemas = [
            (1, avro(r#""string""#)),
            (2, avro(record)),
            (3, (Language::Json, "{}".to_owned())),
            (4, avro("{")),
        ];
        let schemas = schemas.map(|(id, (language, text))| {
            let references = Vec::new();
            (
                id,
                SchemaText {
                    language,
                    text,
                    references,
                },
            )
        });
        Arc::new(Self {
            schemas: Mutex::new(schemas.into()),
            answers: watch::Sender::new(true),
            asked: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl SchemaReader for Registry {
    async fn read(&self, id: u32) -> Result<SchemaText, Fault> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if !*self.answers.borrow() {
            return Err(Fault::Away("does not answer (connect)".to_owned()));
        }
        let schemas = self.schemas.lock().unwrap();
        schemas.get(&id).cloned().ok_or(Fault::Unknown)
    }
}

/// A rig whose source has `registry`, with its cache in `dir`.
fn rig(registry: &Arc<Registry>, dir: &TempDir) -> Rig {
    let reader = Arc::<Registry>::clone(registry);
    let url = "https://registry";
    Rig::with(Some(Arc::new(SchemaRegistry::of(
        "told",
        reader,
        dir.path(),
        url,
    ))))
}

/// A value with the head of schema `id`.
fn framed(id: u32, datum: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], datum].concat()
}

/// An event as Avro's string.
fn string(event: &[u8]) -> Vec<u8> {
    let mut length = Vec::new();
    prost::encoding::encode_varint(event.len() as u64 * 2, &mut length);
    [&length, event].concat()
}

#[tokio::test(start_paused = true)]
async fn records_of_each_language_and_of_none_are_taken_from_one_topic() {
    let (registry, dir) = (Registry::new(), TempDir::new().unwrap());
    let rig = rig(&registry, &dir);
    let bodies = vec![
        event(1, 1),
        framed(1, &string(&event(2, 1))),
        framed(2, &string(&event(3, 1))),
        framed(3, &event(4, 1)),
    ];
    rig.send(0, 0, bodies);
    rig.pass(5000).await;
    let mut subjects: Vec<_> = logged(&rig)
        .await
        .into_iter()
        .map(|event| event.subject)
        .collect();
    subjects.sort();
    assert_eq!(
        subjects,
        ["entities/1", "entities/2", "entities/3", "entities/4"]
    );
    assert_eq!(rig.taken.of(0), Some(4));
    // From here on no one waits, and no one is asked.
    rig.send(
        0,
        4,
        (0..500)
            .map(|of| framed(1, &string(&event(of, 2))))
            .collect(),
    );
    rig.pass(1000).await;
    assert_eq!(rig.taken.of(0), Some(504));
    assert_eq!(registry.asked.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn g6_a_registry_that_is_away_stops_nobody_who_has_seen_the_schema() {
    let (registry, dir) = (Registry::new(), TempDir::new().unwrap());
    let first = rig(&registry, &dir);
    first.send(0, 0, vec![framed(1, &string(&event(1, 1)))]);
    first.pass(1000).await;
    assert_eq!(first.taken.of(0), Some(1));
    first.stop().await;
    registry.answers.send_replace(false);
    // Another process, with the same disk.
    let second = rig(&registry, &dir);
    second.send(0, 1, vec![framed(1, &string(&event(2, 1)))]);
    second.pass(1000).await;
    assert_eq!(second.taken.of(0), Some(2));
    assert_eq!(registry.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn g2_records_of_an_unknown_schema_wait_for_the_registry_and_are_never_dead_letters() {
    let logged_lines = Logged::down_to(tracing::Level::INFO);
    let (registry, dir) = (Registry::new(), TempDir::new().unwrap());
    registry.answers.send_replace(false);
    let rig = rig(&registry, &dir);
    let bodies = (0..20).map(|of| match of % 4 {
        0 => event(of, 1),
        1 => framed(2, &string(&event(of, 1))),
        _ => framed(1, &string(&event(of, 1))),
    });
    rig.send(0, 10, bodies.collect());
    rig.pass(3_600_000).await;
    // What is plain went on; the position stands before the first that waits.
    assert_eq!(logged(&rig).await.len(), 5);
    assert_eq!(rig.taken.of(0), Some(11));
    assert_eq!(rig.status.borrow().in_flight, 15);
    assert_eq!(letters(&rig).await, []);
    let told = |part: &str| logged_lines.text().matches(part).count();
    assert_eq!(
        told("the schema registry does not answer"),
        1,
        "{}",
        logged_lines.text()
    );
    assert!(
        registry.asked.load(Ordering::Relaxed) < 500,
        "two ask, with pauses"
    );
    registry.answers.send_replace(true);
    rig.pass(60_000).await;
    assert_eq!(logged(&rig).await.len(), 20);
    assert_eq!(rig.taken.of(0), Some(30));
    assert_eq!(letters(&rig).await, []);
    assert_eq!(told("the schema registry answers again"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_registry_does_not_know_and_what_does_not_fit_are_letters_that_say_so() {
    let (registry, dir) = (Registry::new(), TempDir::new().unwrap());
    let rig = rig(&registry, &dir);
    let bodies = vec![
        framed(77, b"secret"),
        framed(2, &string(b"secret\xff")),
        framed(4, b"secret"),
        vec![0, 0, 0],
        framed(1, &string(b"secret")),
    ];
    rig.send(0, 0, bodies.clone());
    rig.pass(20_000).await;
    assert_eq!(rig.taken.of(0), Some(5), "nobody waits for them");
    let mut told: Vec<_> = letters(&rig)
        .await
        .into_iter()
        .map(|letter| {
            assert!(!letter.detail.contains("secret"), "{}", letter.detail);
            assert_eq!(
                (letter.stage.as_str(), letter.reason.as_str()),
                ("decode", "undecodable")
            );
            let offset = usize::try_from(letter.offset).unwrap();
            assert_eq!(
                letter.original, bodies[offset],
                "its bytes are as they came"
            );
            (letter.offset, letter.code, letter.detail)
        })
        .collect();
    told.sort();
    for ((offset, code, detail), (at, expected, part)) in told.iter().zip([
        (0, "unknown_schema", "the registry has no schema 77"),
        (
            1,
            "schema_mismatch",
            "schema 2 (Avro): field `payload`: a string that is not UTF-8",
        ),
        (
            2,
            "unusable_schema",
            "schema 4 cannot be used: it is no JSON",
        ),
        (3, "schema_mismatch", "too short to name a schema"),
        (4, "not_json", "not JSON"),
    ]) {
        assert_eq!((*offset, code.as_str()), (at, expected));
        assert!(detail.contains(part), "{detail}");
    }
    assert_eq!(told.len(), 5);
    // A schema that turns up later is found: an unknown one is not unknown without end.
    let text = registry.schemas.lock().unwrap()[&1].clone();
    registry.schemas.lock().unwrap().insert(77, text);
    rig.pass(60_000).await;
    rig.send(0, 5, vec![framed(77, &string(&event(1, 1)))]);
    rig.pass(5000).await;
    assert_eq!(logged(&rig).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_of_the_cache_is_asked_for_again() {
    let (registry, dir) = (Registry::new(), TempDir::new().unwrap());
    let first = rig(&registry, &dir);
    first.send(0, 0, vec![framed(1, &string(&event(1, 1)))]);
    first.pass(1000).await;
    first.stop().await;
    let folder = std::fs::read_dir(dir.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let file = folder.path().join("1.schema");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("string", "double")).unwrap();
    let second = rig(&registry, &dir);
    second.send(0, 1, vec![framed(1, &string(&event(2, 1)))]);
    second.pass(1000).await;
    assert_eq!(second.taken.of(0), Some(2));
    assert_eq!(registry.asked.load(Ordering::Relaxed), 2);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}
