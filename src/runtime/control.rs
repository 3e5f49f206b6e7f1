//! Sinks that a person holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::admin::{Control, ControlError};
use crate::engine::gate::Gate;
use crate::store::{Batch, Store, keys, store_blocking};
use crate::time::SharedClock;

/// Holds the sinks of one instance.
#[derive(Debug)]
pub(super) struct SinkControl {
    pub(super) store: Arc<dyn Store>,
    pub(super) gates: BTreeMap<String, Arc<Gate>>,
    pub(super) clock: SharedClock,
}

impl SinkControl {
    fn gate(&self, sink: &str) -> Result<&Arc<Gate>, ControlError> {
        self.gates.get(sink).ok_or_else(|| {
            let known: Vec<&str> = self.gates.keys().map(String::as_str).collect();
            ControlError::Unknown(known.join(", "))
        })
    }

    async fn commit(&self, batch: Batch) -> Result<(), ControlError> {
        store_blocking(&self.store, move |store| store.commit(batch)).await?;
        Ok(())
    }
}

#[async_trait]
impl Control for SinkControl {
    async fn pause(&self, sink: &str) -> Result<(), ControlError> {
        let gate = self.gate(sink)?;
        let mut batch = Batch::default();
        let since = self.clock.now().to_string();
        batch.put(keys::held(sink), since.into_bytes());
        self.commit(batch).await?;
        gate.hold();
        tracing::warn!(sink, "paused by a person; its records wait in the log");
        Ok(())
    }

    async fn resume(&self, sink: &str) -> Result<(), ControlError> {
        let gate = self.gate(sink)?;
        let mut batch = Batch::default();
        batch.remove(keys::held(sink));
        self.commit(batch).await?;
        gate.go_on();
        tracing::info!(sink, "a person lets the sink go on");
        Ok(())
    }
}
