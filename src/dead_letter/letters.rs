//! The open letters of a store: list, count, close.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;

use super::{DeadLetter, Filter, LetterName, UNREADABLE, shown_sink};
use crate::ledger::{Batch, Store, StoreError, keys};
use crate::mutation::{self, Mutation};
use crate::task::store_blocking;

/// Letters read in one go. Ingest's hold whole bodies, so there are few of them (G8).
const PAGE: usize = 25;

/// The open letters of a store.
#[derive(Debug, Clone)]
pub struct Letters {
    store: Arc<dyn Store>,
}

/// A page of letters, and after which key the next one begins.
pub(super) struct Page {
    pub(super) letters: Vec<DeadLetter>,
    pub(super) next: Option<Vec<u8>>,
}

impl Letters {
    /// The letters of `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Up to `max` letters that `filter` means, by sink and id.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list(&self, filter: &Filter, max: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.page(filter, after).await?;
            found.extend(page.letters);
            found.truncate(max);
            after = page.next;
            if found.len() >= max || after.is_none() {
                return Ok(found);
            }
        }
    }

    /// The letter called `name`, if it is open.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub async fn show(&self, name: &LetterName) -> Result<Option<DeadLetter>, StoreError> {
        let key = name.key();
        store_blocking(&self.store, move |store| match store.get(&key)? {
            Some(value) => Ok(Some(decode(&key, &value))),
            None => Ok(None),
        })
        .await
    }

    /// How many letters are open, by sink; `ingest` for ingest's own.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn depth(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        store_blocking(&self.store, move |store| {
            let (mut depth, mut after) = (BTreeMap::new(), None::<Vec<u8>>);
            loop {
                let page = store.scan(&keys::dead_letters_of(None), after.as_deref(), PAGE)?;
                for (key, _) in &page {
                    *depth
                        .entry(shown_sink(&sink_of(key)).to_owned())
                        .or_default() += 1;
                }
                match page.last() {
                    Some((key, _)) if page.len() == PAGE => after = Some(key.clone()),
                    _ => return Ok(depth),
                }
            }
        })
        .await
    }

    /// Closes letters, durably. One that is closed already stays closed.
    ///
    /// # Errors
    /// If the store fails; then none of them may be taken as closed.
    pub async fn close(&self, names: &[LetterName]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for name in names {
            let mut name = name.clone();
            if mutation::is(Mutation::OtherRoundClosed) {
                name.round += 1;
            }
            batch.remove(name.key());
        }
        if batch.is_empty() {
            return Ok(());
        }
        store_blocking(&self.store, move |store| store.commit(batch)).await
    }

    /// The matching letters of the next page after a key.
    pub(super) async fn page(
        &self,
        filter: &Filter,
        after: Option<Vec<u8>>,
    ) -> Result<Page, StoreError> {
        let filter = filter.clone();
        store_blocking(&self.store, move |store| {
            let prefix = keys::dead_letters_of(filter.sink_stored());
            let pairs = store.scan(&prefix, after.as_deref(), PAGE)?;
            let next = pairs
                .last()
                .filter(|_| pairs.len() == PAGE)
                .map(|(key, _)| key.clone());
            let letters = pairs.iter().map(|(key, value)| decode(key, value));
            let letters = letters.filter(|letter| filter.matches(letter)).collect();
            Ok(Page { letters, next })
        })
        .await
    }
}

/// `d/{sink}\0…`
fn sink_of(key: &[u8]) -> String {
    let sink = key
        .get(2..)
        .unwrap_or_default()
        .split(|byte| *byte == 0)
        .next();
    String::from_utf8_lossy(sink.unwrap_or_default()).into_owned()
}

/// One letter that cannot be read does not hide the others: its key still tells its name.
fn decode(key: &[u8], value: &[u8]) -> DeadLetter {
    DeadLetter::decode(value).unwrap_or_else(|_| {
        let rest = key.split_last_chunk::<4>();
        let (name, round) = rest.unwrap_or((key, &[0; 4]));
        let id = name.split(|byte| *byte == 0).nth(1).unwrap_or_default();
        DeadLetter {
            sink: sink_of(key),
            id: String::from_utf8_lossy(id).into_owned(),
            round: u32::from_be_bytes(*round),
            stage: "store".to_owned(),
            reason: UNREADABLE.to_owned(),
            code: "of_another_version".to_owned(),
            ..DeadLetter::default()
        }
    })
}
