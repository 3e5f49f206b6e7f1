//! Where dead letters are kept: put, list, count, close.
//!
//! Guarantee (G2, G8): a letter that was put is durable. Listing and counting load no records.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::{DeadLetter, Filter, LetterName, shown_sink, stored};
use crate::mutation::{self, Mutation};
use crate::store::{Batch, Store, StoreError, keys, store_blocking};

/// Letters of one page at most.
pub const LARGEST_PAGE: usize = 1000;

/// Where dead letters are kept. With the journal it is the store. A record that is delivered after
/// all closes its letters in its task's commit, not here.
#[async_trait]
pub trait DeadLetters: Debug + Send + Sync {
    /// Puts letters, durably and all of them. One that is there already is replaced.
    ///
    /// # Errors
    /// If they could not be stored; then none of them may be taken as stored.
    async fn put(&self, letters: &[DeadLetter]) -> Result<(), StoreError>;

    /// Up to `max` letters, [`LARGEST_PAGE`] at most, that `filter` means and that come after the
    /// letter `after`. No record is kept in memory, and none is loaded unless the letter was
    /// written by a version that kept both together (G8).
    ///
    /// # Errors
    /// If they cannot be read.
    async fn page(
        &self,
        filter: &Filter,
        after: Option<&LetterName>,
        max: usize,
    ) -> Result<Page, StoreError>;

    /// The letter called `name` with its record, if it is open.
    ///
    /// # Errors
    /// As [`Self::page`].
    async fn show(&self, name: &LetterName) -> Result<Option<DeadLetter>, StoreError>;

    /// How many letters are open, by sink; `ingest` for ingest's own. None is loaded for it.
    ///
    /// # Errors
    /// As [`Self::page`].
    async fn depth(&self) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Returns when what is shown and counted here is all that there is, which may take as long as
    /// somebody else has to answer.
    ///
    /// # Errors
    /// If that cannot be known.
    async fn catch_up(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Closes letters, durably. One that is closed already stays closed.
    ///
    /// # Errors
    /// If they could not be closed; then none of them may be taken as closed.
    async fn close(&self, names: &[LetterName]) -> Result<(), StoreError>;
}

/// Dead letters in a [`Store`].
#[derive(Debug, Clone)]
pub struct StoredLetters {
    store: Arc<dyn Store>,
}

/// Some letters without their records, by sink and id.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The letters.
    pub letters: Vec<DeadLetter>,
    /// After which letter the next page begins, if there may be one.
    pub next: Option<LetterName>,
}

impl StoredLetters {
    /// The letters of `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl DeadLetters for StoredLetters {
    async fn put(&self, letters: &[DeadLetter]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for letter in letters {
            stored::put(&mut batch, letter);
        }
        store_blocking(&self.store, move |store| store.commit(batch)).await
    }

    async fn page(
        &self,
        filter: &Filter,
        after: Option<&LetterName>,
        max: usize,
    ) -> Result<Page, StoreError> {
        let (filter, after) = (filter.clone(), after.map(LetterName::key));
        store_blocking(&self.store, move |store| page(store, &filter, after, max)).await
    }

    async fn show(&self, name: &LetterName) -> Result<Option<DeadLetter>, StoreError> {
        let key = name.key();
        store_blocking(&self.store, move |store| stored::get(store, &key)).await
    }

    async fn depth(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let tally = |store: &dyn Store| store.tally(keys::DEAD_LETTERS);
        let tally = store_blocking(&self.store, tally).await?;
        let shown = |(sink, letters): (String, u64)| (shown_sink(&sink).to_owned(), letters);
        Ok(tally.into_iter().map(shown).collect())
    }

    async fn close(&self, names: &[LetterName]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for LetterName { sink, id, round } in names {
            let other = mutation::is(Mutation::OtherRoundClosed);
            stored::close(&mut batch, sink, id, round.saturating_add(u32::from(other)));
        }
        if batch.is_empty() {
            return Ok(());
        }
        store_blocking(&self.store, move |store| store.commit(batch)).await
    }
}

/// Reads a page of heads. Blocks on the disk.
fn page(
    store: &dyn Store,
    filter: &Filter,
    mut after: Option<Vec<u8>>,
    max: usize,
) -> Result<Page, StoreError> {
    let max = max.min(LARGEST_PAGE);
    let prefix = keys::dead_letters_of(filter.sink_stored());
    let mut page = Page::default();
    loop {
        let some = store.scan_keys(&prefix, after.as_deref(), LARGEST_PAGE)?;
        for key in &some {
            let Some(letter) = stored::get_head(store, key)? else {
                continue;
            };
            if filter.matches(&letter) {
                if page.letters.len() >= max {
                    page.next = page.letters.last().map(LetterName::of);
                    return Ok(page);
                }
                page.letters.push(letter);
            }
        }
        match some.last() {
            Some(last) if some.len() == LARGEST_PAGE => after = Some(last.clone()),
            _ => return Ok(page),
        }
    }
}
