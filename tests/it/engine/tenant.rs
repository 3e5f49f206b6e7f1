//! A Reltio that answers from its past: what it shows lags behind what is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use std::time::Duration;

use async_trait::async_trait;
use goldwire::event::Object;
use goldwire::reltio::{Answer, Found, RecordReader, ReltioError};
use goldwire::time::{Millis, SharedClock};
use serde_json::{Value, json};

/// How far the API's answers lag.
pub(super) const LAG: Millis = 1500;

#[derive(Debug)]
pub(super) struct Tenant {
    clock: SharedClock,
    past: Mutex<BTreeMap<String, Vec<(Millis, Found)>>>,
    reads: AtomicU64,
    ahead: AtomicI64,
    unreadable: Mutex<Option<String>>,
}

/// An individual as Reltio prints one.
pub(super) fn person(uri: &str, name: &str) -> Value {
    json!({
        "uri": uri,
        "type": "configuration/entityTypes/Individual",
        "attributes": { "FirstName": [{ "ov": true, "value": name }] },
        "crosswalks": [],
    })
}

impl Tenant {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            past: Mutex::default(),
            reads: AtomicU64::new(0),
            ahead: AtomicI64::new(0),
            unreadable: Mutex::default(),
        }
    }

    /// Reltio's clock is so far ahead of the host's.
    pub(super) fn is_ahead(&self, millis: Millis) {
        self.ahead.store(millis, Ordering::Relaxed);
    }

    fn now(&self) -> Millis {
        self.clock.now() + self.ahead.load(Ordering::Relaxed)
    }

    /// From now on `uri` cannot be read.
    pub(super) fn refuses(&self, uri: &str) {
        *self.unreadable.lock().unwrap() = Some(uri.to_owned());
    }

    fn set(&self, uri: &str, found: Found) {
        let now = self.now();
        let mut past = self.past.lock().unwrap();
        past.entry(uri.to_owned()).or_default().push((now, found));
    }

    /// From now on `uri` is this object.
    pub(super) fn lives(&self, uri: &str, object: &Value) {
        let object = Object::parse(object.to_string().as_bytes()).unwrap();
        self.set(uri, Found::Alive(Arc::new(object)));
    }

    /// From now on `uri` answers with its survivor.
    pub(super) fn absorbed(&self, uri: &str, survivor: &Value) {
        let object = Object::parse(survivor.to_string().as_bytes()).unwrap();
        self.set(uri, Found::Survivor(Arc::new(object)));
    }

    /// From now on `uri` is not there.
    pub(super) fn removed(&self, uri: &str) {
        self.set(uri, Found::Nothing);
    }

    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl RecordReader for Tenant {
    async fn read(&self, uri: &str) -> Result<Answer, ReltioError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let now = self.now();
        tokio::time::sleep(Duration::from_millis(40)).await;
        if self.unreadable.lock().unwrap().as_deref() == Some(uri) {
            return Err(ReltioError::Rejected {
                code: "403".to_owned(),
            });
        }
        let past = self.past.lock().unwrap();
        let of_subject = past.get(uri).map(Vec::as_slice).unwrap_or_default();
        let seen = of_subject
            .iter()
            .rev()
            .find(|(since, _)| *since <= now - LAG);
        let found = seen.map_or(Found::Nothing, |(_, found)| found.clone());
        Ok(Answer {
            date: now / 1000 * 1000,
            found,
        })
    }

    async fn by_crosswalk(&self, _: &str, _: &str) -> Result<Answer, ReltioError> {
        Err(ReltioError::Rejected {
            code: "not_scripted".to_owned(),
        })
    }
}
