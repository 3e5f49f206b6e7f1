//! Letters that are many, and large: what a list loads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use goldwire::dead_letter::{
    DeadLetter, Filter, LARGEST_PAGE, LetterName, Redrive, StoredLetters, Work, put,
};
use goldwire::log::MemoryLog;
use goldwire::store::{Batch, MemoryStore, Pair, Store, StoreError};

use super::fixture::{fixture, letter, records, write};

/// Bytes of a letter's record.
const LARGE: usize = 200_000;

/// Weighs what is loaded: all of it, and the most in one call.
#[derive(Debug, Default)]
struct Scales {
    store: MemoryStore,
    loaded: AtomicUsize,
    most: AtomicUsize,
}

impl Scales {
    fn weigh(&self, bytes: usize) {
        self.loaded.fetch_add(bytes, Ordering::SeqCst);
        self.most.fetch_max(bytes, Ordering::SeqCst);
    }

    /// What was loaded since it was last asked for, and the most in one call.
    fn read(&self) -> (usize, usize) {
        (
            self.loaded.swap(0, Ordering::SeqCst),
            self.most.swap(0, Ordering::SeqCst),
        )
    }
}

impl Store for Scales {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.store.get(key)?;
        self.weigh(value.as_ref().map_or(0, Vec::len));
        Ok(value)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        let pairs = self.store.scan(prefix, after, limit)?;
        self.weigh(pairs.iter().map(|(_, value)| value.len()).sum());
        Ok(pairs)
    }

    fn scan_keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        self.store.scan_keys(prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.store.commit(batch)
    }

    fn blocks(&self) -> bool {
        false
    }
}

fn large(number: usize) -> DeadLetter {
    DeadLetter {
        id: format!("{number:04}"),
        source: "feed".to_owned(),
        reason: "undecodable".to_owned(),
        original: vec![7; LARGE].into(),
        ..letter("", "x", "undecodable")
    }
}

/// What [`Letters`] does with a hundred large letters, as this version writes them or as the
/// release before did.
fn scales(before: bool) -> (Arc<Scales>, Redrive, Arc<MemoryLog>) {
    let scales = Arc::new(Scales::default());
    let with = fixture(&[]);
    let letters: Vec<_> = (0..100).map(large).collect();
    if before {
        write(scales.as_ref(), &letters);
    } else {
        let mut batch = Batch::default();
        for letter in &letters {
            put(&mut batch, letter);
        }
        scales.commit(batch).unwrap();
    }
    let letters = Arc::new(StoredLetters::new(Arc::<Scales>::clone(&scales)));
    let redrive = Redrive {
        letters,
        ..with.redrive
    };
    (scales, redrive, with.inbox)
}

#[tokio::test]
async fn g8_letters_are_counted_listed_and_filtered_without_their_records() {
    let (scales, redrive, _) = scales(false);
    let letters = redrive.letters;
    assert_eq!(letters.depth().await.unwrap()["ingest"], 100);
    assert_eq!(scales.read(), (0, 0), "a count loads nothing");
    let rejected = Filter {
        reason: Some("rejected".to_owned()),
        ..Filter::default()
    };
    for (filter, found) in [(Filter::default(), 100), (rejected, 0)] {
        let page = letters.page(&filter, None, LARGEST_PAGE).await.unwrap();
        assert_eq!(page.letters.len(), found);
        assert!(
            page.letters
                .iter()
                .all(|letter| letter.original_bytes == 200_000)
        );
        let (loaded, _) = scales.read();
        assert!(loaded < LARGE, "{loaded} bytes for a list of a hundred");
    }
}

#[tokio::test]
async fn g8_letters_of_the_release_before_are_read_one_by_one() {
    let (scales, redrive, _) = scales(true);
    let letters = redrive.letters;
    assert_eq!(letters.depth().await.unwrap()["ingest"], 100);
    assert_eq!(scales.read(), (0, 0), "a count loads nothing");
    let page = letters
        .page(&Filter::default(), None, LARGEST_PAGE)
        .await
        .unwrap();
    assert_eq!(page.letters.len(), 100);
    assert!(
        page.letters
            .iter()
            .all(|letter| letter.original_bytes == 200_000)
    );
    assert!(page.letters.iter().all(|letter| letter.original.is_empty()));
    let (_, most) = scales.read();
    assert!(most < LARGE + 1000, "{most} bytes at once");
    let name: LetterName = "ingest/0042:0".parse().unwrap();
    assert_eq!(letters.show(&name).await.unwrap(), Some(large(42)));
}

#[tokio::test]
async fn g1_a_redrive_takes_some_records_at_a_time_and_brings_every_one_back_as_it_was() {
    for before in [false, true] {
        let (scales, redrive, inbox) = scales(before);
        scales.read();
        let report = redrive.run(&Work::default(), &|_| ()).await.unwrap();
        assert_eq!(report.done, 100);
        let (_, most) = scales.read();
        assert!(most < LARGE + 1000, "{most} bytes at once");
        let records = records(inbox.as_ref()).await;
        assert_eq!(records.len(), 100);
        assert!(redrive.letters.depth().await.unwrap().is_empty());
        assert!(
            scales.scan(b"", None, 9).unwrap().len() <= 1,
            "nothing but the format is left"
        );
    }
}

#[tokio::test]
async fn pages_follow_each_other_and_each_letter_is_on_one() {
    let letters: Vec<_> = (0..25)
        .map(|n| letter("crm", &format!("{n:02}"), "rejected"))
        .collect();
    let fixture = fixture(&letters);
    let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let letters = &fixture.redrive.letters;
        let page = letters
            .page(&Filter::default(), after.as_ref(), 10)
            .await
            .unwrap();
        assert!(page.letters.len() <= 10);
        found.extend(page.letters.into_iter().map(|letter| letter.id));
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let all: Vec<_> = letters.into_iter().map(|letter| letter.id).collect();
    assert_eq!((found, pages), (all, 3));
}
