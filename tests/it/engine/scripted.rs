//! A sink that does as it is told and remembers what it was told, and a source that is fed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use goldwire::event::{Kind, SourceRecord, Subject, SubjectState};
use goldwire::sink::{Ack, Capabilities, Effect, Mode, Sink, SinkError, Write, each};
use goldwire::source::{Batch, Committing, Room, Source, SourceEvent};
use serde_json::Value;
use tokio::sync::mpsc;

/// What the sink answers; `None` lets it take the delivery.
pub(super) type Answers = Box<dyn FnMut(&Write) -> Option<Result<Ack, SinkError>> + Send>;

pub(super) struct Scripted {
    name: String,
    pub(super) capabilities: Capabilities,
    answers: Mutex<Answers>,
    wants: Mutex<Box<dyn Fn(Kind) -> bool + Send>>,
    hangs: AtomicBool,
    /// How long each write takes.
    takes: Mutex<Duration>,
    /// A subject whose write never ends.
    kills: Mutex<Option<String>>,
    seen: Mutex<Vec<Write>>,
    current: Mutex<BTreeMap<String, String>>,
    attributes: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
    rows: Mutex<BTreeMap<(String, i64, i64), Kind>>,
    /// What an append-only target holds: URI, version, whether it was read afterwards.
    lines: Mutex<Vec<(String, i64, bool)>>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    pub(super) fn new(name: &str, mode: Mode, reassert_after: Option<Duration>) -> Self {
        Self {
            name: name.to_owned(),
            capabilities: Capabilities {
                reassert_after,
                ..Capabilities::new(mode)
            },
            answers: Mutex::new(Box::new(|_| None)),
            wants: Mutex::new(Box::new(|_| true)),
            hangs: AtomicBool::new(false),
            takes: Mutex::default(),
            kills: Mutex::default(),
            seen: Mutex::default(),
            current: Mutex::default(),
            attributes: Mutex::default(),
            rows: Mutex::default(),
            lines: Mutex::default(),
        }
    }

    /// A sink that appends, and whose ids are kept for `window`.
    pub(super) fn appending(name: &str, window: Duration) -> Self {
        let mut appending = Self::new(name, Mode::History, None);
        appending.capabilities.dedupe = Some(window);
        appending
    }

    pub(super) fn answers(
        &self,
        answers: impl FnMut(&Write) -> Option<Result<Ack, SinkError>> + Send + 'static,
    ) {
        *self.answers.lock().unwrap() = Box::new(answers);
    }

    /// From now on each write takes so long.
    pub(super) fn takes(&self, takes: Duration) {
        *self.takes.lock().unwrap() = takes;
    }

    /// Writes of this subject never end: stands for a process that dies in the middle of them.
    pub(super) fn kills(&self, uri: Option<&str>) {
        *self.kills.lock().unwrap() = uri.map(ToOwned::to_owned);
    }

    /// From now on it accepts deliveries and never answers.
    pub(super) fn hangs(&self) {
        self.hangs.store(true, Ordering::Relaxed);
    }

    pub(super) fn wants_only(&self, wants: impl Fn(Kind) -> bool + Send + 'static) {
        *self.wants.lock().unwrap() = Box::new(wants);
    }

    /// What the target holds of a subject: `Ann`, `absorbed by …`, `removed`.
    pub(super) fn holds(&self, uri: &str) -> Option<String> {
        self.current.lock().unwrap().get(uri).cloned()
    }

    /// What is written behind the engine's back: a late write that lands.
    pub(super) fn lands(&self, uri: &str, text: &str) {
        self.current
            .lock()
            .unwrap()
            .insert(uri.to_owned(), text.to_owned());
    }

    pub(super) fn rows(&self) -> Vec<(String, i64, i64)> {
        self.rows.lock().unwrap().keys().cloned().collect()
    }

    /// The newest delivery of a subject.
    pub(super) fn last(&self, uri: &str) -> Write {
        let seen = self.seen.lock().unwrap();
        let mut of_subject = seen.iter().filter(|one| one.subject.uri() == uri);
        of_subject.next_back().unwrap().clone()
    }

    /// What the target holds of a subject's attributes; a delivery of some fields leaves the others.
    pub(super) fn attributes(&self, uri: &str) -> BTreeMap<String, String> {
        let attributes = self.attributes.lock().unwrap();
        attributes.get(uri).cloned().unwrap_or_default()
    }

    /// The lines of an append-only target, in order.
    pub(super) fn lines(&self) -> Vec<(String, i64, bool)> {
        self.lines.lock().unwrap().clone()
    }

    /// Deliveries of a subject's state so far.
    pub(super) fn deliveries(&self, uri: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|one| one.subject.uri() == uri && one.current.is_some())
            .count()
    }

    fn take(&self, delivery: &Write) {
        let uri = delivery.subject.uri().to_owned();
        if let Some(current) = &delivery.current {
            self.current
                .lock()
                .unwrap()
                .insert(uri.clone(), text_of(&current.state));
            let mut attributes = self.attributes.lock().unwrap();
            let held = attributes.entry(uri.clone()).or_default();
            if current.fields.is_none() {
                held.clear();
            }
            if let SubjectState::Alive(object) = &current.state {
                held.extend(attributes_of(object.json()));
            }
        }
        for change in &delivery.changes {
            let line = (uri.clone(), change.version, change.observed);
            self.lines.lock().unwrap().push(line);
            let key = (uri.clone(), change.version, change.commit_time);
            self.rows.lock().unwrap().insert(key, change.kind);
        }
    }
}

fn attributes_of(object: &Value) -> impl Iterator<Item = (String, String)> {
    let attributes = object["attributes"].as_object();
    attributes.into_iter().flatten().map(|(name, values)| {
        let value = values[0]["value"].as_str().unwrap_or_default();
        (name.clone(), value.to_owned())
    })
}

pub(super) fn text_of(state: &SubjectState) -> String {
    match state {
        SubjectState::Alive(object) => {
            let name = object.json().pointer("/attributes/FirstName/0/value");
            name.and_then(|name| name.as_str())
                .unwrap_or("nameless")
                .to_owned()
        }
        SubjectState::Absorbed { by } => format!("absorbed by {}", by.as_deref().unwrap_or("?")),
        SubjectState::Removed => "removed".to_owned(),
        SubjectState::Erased => "erased".to_owned(),
        SubjectState::Gone => "gone".to_owned(),
    }
}

#[async_trait]
impl Sink for Scripted {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> String {
        format!("{}.example:443", self.name)
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn accepts(&self, _: &Subject, _: &str, kind: Kind) -> bool {
        (self.wants.lock().unwrap())(kind)
    }

    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        each(batch, |write| self.one(write)).await
    }

    async fn probe(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Scripted {
    async fn one(&self, delivery: &Write) -> Result<Ack, SinkError> {
        self.seen.lock().unwrap().push(delivery.clone());
        let kills = self.kills.lock().unwrap().as_deref() == Some(delivery.subject.uri());
        if kills || self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let takes = *self.takes.lock().unwrap();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        let scripted = (self.answers.lock().unwrap())(delivery);
        if let Some(Err(error)) = scripted {
            return Err(error);
        }
        self.take(delivery);
        Ok(match scripted {
            Some(Ok(delivered)) => delivered,
            _ => Ack {
                effect: Effect::Delivered,
                second_look: false,
                read: None,
            },
        })
    }
}

/// A source of one partition that is fed by the test.
#[derive(Debug)]
pub(super) struct Fed {
    pub(super) records: mpsc::UnboundedReceiver<SourceRecord>,
    pub(super) announced: bool,
    pub(super) read: u64,
    pub(super) committed: Arc<AtomicU64>,
    pub(super) commit: Duration,
}

#[async_trait]
impl Source for Fed {
    fn name(&self) -> &'static str {
        "fed"
    }

    async fn next(&mut self, room: Room) -> SourceEvent {
        if !self.announced {
            self.announced = true;
            return SourceEvent::Assigned {
                partitions: vec![0],
            };
        }
        if room.is_none() {
            return std::future::pending().await;
        }
        let Some(first) = self.records.recv().await else {
            return std::future::pending().await;
        };
        let mut batch = Batch::default();
        batch.records.push_back(first.into());
        while batch.records.len() < room.records
            && batch.bytes() < room.bytes
            && let Ok(record) = self.records.try_recv()
        {
            batch.records.push_back(record.into());
        }
        self.read += u64::try_from(batch.records.len()).unwrap();
        SourceEvent::Batch(batch)
    }

    fn commit(&mut self, positions: &[(i32, u64)]) -> Committing {
        let (wait, position) = (self.commit, positions[0].1);
        let committed = Arc::clone(&self.committed);
        Box::pin(async move {
            tokio::time::sleep(wait).await;
            committed.store(position, Ordering::Relaxed);
            Ok(())
        })
    }

    fn lag(&self) -> Vec<(i32, u64)> {
        let waiting = u64::try_from(self.records.len()).unwrap();
        let committed = self.committed.load(Ordering::Relaxed);
        vec![(0, self.read.saturating_sub(committed) + waiting)]
    }
}
