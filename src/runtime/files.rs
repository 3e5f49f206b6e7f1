//! The files of a data directory, opened in this order, refused with a sentence each.
//!
//! Guarantee: nothing is derived from a log whose identity is not the one that the store's cursors
//! were made against.

use std::path::Path;
use std::sync::Arc;

use super::StartError;
use super::in_kafka::InKafka;
use crate::config::ByteSize;
use crate::dir_lock::{create_dirs, is_open_to_others};
use crate::log::journal::{Journal, JournalSettings};
use crate::log::kafka::KafkaLog;
use crate::log::{Log, LogError};
use crate::store::{self, Batch, Engine, FjallStore, SledStore, Store, Tallied, keys};
use crate::topology::Config;

/// Where the store is in a data directory.
const STORE: &str = "store";
/// Files of one data directory.
#[derive(Debug, Clone)]
pub struct Files {
    /// Registers, cursors, dead letters.
    pub store: Arc<dyn Store>,
    /// Webhook requests and redriven records.
    pub inbox: Arc<dyn Log>,
    /// Events.
    pub log: Arc<dyn Log>,
}

impl Files {
    /// Whether `dir` is a data directory that was opened before.
    pub fn are_in(dir: &Path) -> bool {
        dir.join(STORE).is_dir()
    }

    /// Why `config` cannot open its data directory, as far as it shows without opening it.
    pub fn unfit(config: &Config) -> Option<String> {
        store::made_otherwise(&config.data_dir.join(STORE), config.store.name())
    }

    /// Opens the data directory of `config`, making it if need be.
    ///
    /// # Errors
    /// If another process holds it, its format is newer, a log is damaged or is not the one that
    /// the cursors were made against.
    pub fn open(config: &Config) -> Result<Self, StartError> {
        make_dir(&config.data_dir)?;
        let log = journal(config, "log", config.log.partitions, &config.log.quota)?;
        Self::over(config, Arc::new(log))
    }

    /// The same, with a log that is elsewhere.
    fn over(config: &Config, log: Arc<dyn Log>) -> Result<Self, StartError> {
        let dir = &config.data_dir;
        let inbox: Arc<dyn Log> = Arc::new(journal(config, "inbox", 1, &config.inbox.quota)?);
        let place = dir.join(STORE);
        let store: Arc<dyn Store> = match config.store {
            Engine::Sled => tallied(SledStore::open(&place)?)?,
            Engine::Fjall => tallied(FjallStore::open(&place)?)?,
        };
        same_log(store.as_ref(), "events", log.as_ref(), dir)?;
        same_log(store.as_ref(), "inbox", inbox.as_ref(), dir)?;
        Ok(Self { store, inbox, log })
    }

    /// As [`Self::open`], and waits for the brokers where the log is in Kafka.
    pub(super) async fn reach(config: &Config) -> Result<(Self, Option<InKafka>), StartError> {
        let Some(kafka) = &config.log.kafka else {
            return Ok((Self::open(config)?, None));
        };
        make_dir(&config.data_dir)?;
        let there = InKafka::open(config, kafka).await?;
        let log: Arc<dyn Log> = Arc::<KafkaLog>::clone(&there.log);
        Ok((Self::over(config, log)?, Some(there)))
    }
}

fn make_dir(dir: &Path) -> Result<(), StartError> {
    create_dirs(dir).map_err(|error| {
        StartError::Refused(format!(
            "data_dir {}: {error}; make it writable",
            dir.display()
        ))
    })?;
    tell_if_open(dir);
    Ok(())
}

fn journal(
    config: &Config,
    name: &str,
    partitions: u16,
    quota: &ByteSize,
) -> Result<Journal, LogError> {
    Journal::open(JournalSettings {
        dir: config.data_dir.join(name),
        partitions,
        quota: quota.get(),
        disk_reserve: config.log.disk_reserve.get(),
        keep: config.log.keep.get(),
        segment: config.log.segment.get(),
    })
}

/// An existing directory keeps its mode: a group may be meant to read it, as one that makes copies.
fn tell_if_open(dir: &Path) {
    let inner = ["log", "inbox", STORE].map(|name| dir.join(name));
    if is_open_to_others(dir) && inner.iter().any(|inner| is_open_to_others(inner)) {
        let dir = dir.display();
        tracing::warn!(
            "data_dir {dir}: others than its user may read the golden records in it; \
             chmod -R go= {dir}"
        );
    }
}

/// Dead letters are counted as they come and go.
fn tallied(store: impl Store + 'static) -> Result<Arc<dyn Store>, StartError> {
    Ok(Arc::new(Tallied::over(store, keys::DEAD_LETTERS)?))
}

/// Cursors and registers mean nothing against another log.
fn same_log(store: &dyn Store, name: &str, log: &dyn Log, dir: &Path) -> Result<(), StartError> {
    let identity = log.identity();
    let here = format!("{}/{}", identity.id, identity.partitions);
    let key = keys::log_identity(name);
    match store.get(&key)? {
        Some(known) if known == here.as_bytes() => Ok(()),
        Some(known) => Err(StartError::Refused(format!(
            "{}: the store was made against the {name} log {}, but the directory holds {here}; \
             restore both from the same copy, or start with an empty data_dir",
            dir.display(),
            String::from_utf8_lossy(&known)
        ))),
        None => {
            let mut batch = Batch::default();
            batch.put(key, here.into_bytes());
            Ok(store.commit(batch)?)
        }
    }
}
