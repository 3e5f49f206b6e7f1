//! A schema registry: what says of the records of a Kafka source what their bytes are.
//!
//! Guarantee: what a registry has told once is known from then on, in memory and on disk, so that a
//! registry that is away stops no one who has seen the schema (G6). One that is away makes the
//! records of an unknown schema wait, told once an episode, and never ends in a dead letter: only
//! the registry's own word that it has no such schema does, or a schema that cannot be read.
//! However many records wait for a schema, one request for it is under way.

mod cache;
mod client;
mod config;

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

pub use config::SchemaRegistryConfig;
pub(crate) use config::check;

use self::cache::Cache;
use self::client::Client;
use crate::backoff::Backoff;
use crate::decode::schema::{Schema, SchemaText};
use crate::telemetry::{Episode, InTrouble, Past};

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A registry of several nodes may learn of a schema later than who writes with it: so often it is
/// asked before it is believed that there is none, and so far apart.
const ATTEMPTS_AT_UNKNOWN: u32 = 3;
const UNKNOWN_WAIT: Duration = Duration::from_secs(1);
/// How long a refusal counts before the registry is asked again: somebody may have mended it.
const REFUSAL_IS_FRESH: Duration = Duration::from_mins(1);
/// Refusals remembered: any four bytes are an id.
const MOST_REFUSALS: usize = 1000;

/// Why a registry gave no schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It may be had later; what is wrong, to stand behind "the registry".
    Away(String),
    /// The registry says that it has none of that id.
    Unknown,
    /// There is one that cannot be used; why.
    Unusable(String),
}

/// Who reads schemas.
#[async_trait]
pub trait SchemaReader: Debug + Send + Sync {
    /// The schema of `id`, with all that it refers to.
    async fn read(&self, id: u32) -> Result<SchemaText, Fault>;
}

/// Why the records of a schema are for dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code.
    pub code: &'static str,
    /// The same in a sentence, which names the id.
    pub detail: String,
}

/// The schemas of one source.
#[derive(Debug)]
pub struct SchemaRegistry {
    source: String,
    reader: Arc<dyn SchemaReader>,
    cache: Cache,
    schemas: RwLock<HashMap<u32, Arc<Schema>>>,
    refusals: Mutex<HashMap<u32, (Instant, Refusal)>>,
    /// Who asks for a schema holds its lock.
    asked: Mutex<HashMap<u32, Arc<tokio::sync::Mutex<()>>>>,
    /// Records that wait for the registry.
    away: Episode,
    /// What was told of the episode: each fault has its remedy.
    told: Mutex<BTreeSet<String>>,
    /// Answers that the disk does not take.
    unkept: Mutex<bool>,
}

impl SchemaRegistry {
    /// The registry of `source` that `config` names; its answers are kept in `dir` unless the
    /// configuration says otherwise. Nothing is connected before a schema is needed.
    ///
    /// # Errors
    /// One sentence: what is wrong with the configuration.
    pub fn connect(
        source: &str,
        config: &SchemaRegistryConfig,
        dir: &Path,
    ) -> Result<Self, String> {
        let client = Client::new(config)?;
        let dir = config.cache_dir.as_deref().unwrap_or(dir);
        Ok(Self::of(source, Arc::new(client), dir, &config.url))
    }

    /// The same with another reader.
    pub fn of(source: &str, reader: Arc<dyn SchemaReader>, dir: &Path, url: &str) -> Self {
        Self {
            source: source.to_owned(),
            reader,
            cache: Cache::new(dir, url),
            schemas: RwLock::default(),
            refusals: Mutex::default(),
            asked: Mutex::default(),
            away: Episode::new(),
            told: Mutex::default(),
            unkept: Mutex::default(),
        }
    }

    /// The schema of `id`, or why there is none, as far as that is known without waiting.
    pub fn known(&self, id: u32) -> Option<Result<Arc<Schema>, Refusal>> {
        let schemas = self.schemas.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = schemas.get(&id) {
            return Some(Ok(Arc::clone(schema)));
        }
        let refusals = locked(&self.refusals);
        let (since, refusal) = refusals.get(&id)?;
        (since.elapsed() < REFUSAL_IS_FRESH).then(|| Err(refusal.clone()))
    }

    /// The schema of `id`, however long that takes.
    ///
    /// # Errors
    /// Why there is none, as the registry itself says.
    pub async fn schema(&self, id: u32) -> Result<Arc<Schema>, Refusal> {
        if let Some(known) = self.known(id) {
            return known;
        }
        let lock = Arc::clone(locked(&self.asked).entry(id).or_default());
        let _asking = lock.lock().await;
        // Who waited here is served by what the one before was told.
        if let Some(known) = self.known(id) {
            return known;
        }
        let found = self.find(id).await;
        match &found {
            Ok(schema) => {
                let mut schemas = self.schemas.write().unwrap_or_else(PoisonError::into_inner);
                schemas.insert(id, Arc::clone(schema));
            }
            Err(refusal) => {
                let mut refusals = locked(&self.refusals);
                if refusals.len() >= MOST_REFUSALS {
                    refusals.clear();
                }
                refusals.insert(id, (Instant::now(), refusal.clone()));
            }
        }
        locked(&self.asked).remove(&id);
        found
    }

    /// Reads the disk, then the registry.
    async fn find(&self, id: u32) -> Result<Arc<Schema>, Refusal> {
        let unusable = |why: String| Refusal {
            code: "unusable_schema",
            detail: format!("schema {id} cannot be used: {why}"),
        };
        if let Some(text) = self.kept(id).await {
            return compiled(text).await.map_err(unusable);
        }
        match self.ask(id).await {
            Ok(text) => {
                let schema = compiled(text.clone()).await.map_err(unusable)?;
                self.keep(id, text).await;
                Ok(schema)
            }
            Err(Fault::Unusable(why) | Fault::Away(why)) => Err(unusable(why)),
            Err(Fault::Unknown) => Err(Refusal {
                code: "unknown_schema",
                detail: format!("the registry has no schema {id}"),
            }),
        }
    }

    /// Asks the registry until it answers.
    async fn ask(&self, id: u32) -> Result<SchemaText, Fault> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, &format!("schema {id}"));
        let mut waiting: Option<InTrouble<'_>> = None;
        let mut unknown = 0;
        let answer = loop {
            match self.reader.read(id).await {
                Err(Fault::Away(why)) => {
                    waiting.get_or_insert_with(|| self.away.enter(|| locked(&self.told).clear()));
                    if locked(&self.told).insert(why.clone()) {
                        let source = &self.source;
                        tracing::error!(
                            source,
                            "the schema registry {why}; records of schema {id}, and of others \
                             that were never seen, wait, and it is asked again"
                        );
                    }
                    backoff.wait().await;
                }
                Err(Fault::Unknown) if unknown + 1 < ATTEMPTS_AT_UNKNOWN => {
                    unknown += 1;
                    tokio::time::sleep(UNKNOWN_WAIT).await;
                }
                answer => break answer,
            }
        };
        if let Some(waiting) = waiting {
            waiting.over(|Past { lasted, .. }| {
                let (source, seconds) = (&self.source, lasted.as_secs_f64());
                tracing::info!(source, seconds, "the schema registry answers again");
            });
        }
        answer
    }

    async fn kept(&self, id: u32) -> Option<SchemaText> {
        let cache = self.cache.clone();
        let read = spawn_blocking(move || cache.read(id)).await;
        match read {
            Ok(Ok(kept)) => kept,
            Ok(Err(error)) => {
                let (source, dir) = (&self.source, self.cache.dir().display());
                tracing::warn!(
                    source,
                    "schema {id} in {dir} is not used: {error}; the registry is asked for it"
                );
                None
            }
            // The process ends.
            Err(_) => None,
        }
    }

    async fn keep(&self, id: u32, text: SchemaText) {
        let cache = self.cache.clone();
        let written = spawn_blocking(move || cache.write(id, &text)).await;
        let failed = written.ok().and_then(Result::err);
        let before = std::mem::replace(&mut *locked(&self.unkept), failed.is_some());
        if let Some(error) = failed
            && !before
        {
            let (source, dir) = (&self.source, self.cache.dir().display());
            tracing::warn!(
                source,
                "schemas cannot be kept in {dir}: {error}; make room or make it writable: after a \
                 restart the registry has to answer"
            );
        }
    }
}

/// Whether the registry that `config` names answers; a sentence if not.
pub async fn probe(config: &SchemaRegistryConfig) -> Option<String> {
    match Client::new(config) {
        Ok(client) => client.probe().await,
        Err(why) => Some(why),
    }
}

/// A schema of somebody else's: what its compiler dies of is no reason to die.
async fn compiled(text: SchemaText) -> Result<Arc<Schema>, String> {
    let compiled = spawn_blocking(move || Schema::compile(&text)).await;
    let died = |_| Err("to read it is too much, which is a defect".to_owned());
    compiled.unwrap_or_else(died).map(Arc::new)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
