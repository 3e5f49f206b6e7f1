//! Redrive: a letter's record goes through the system again, and the letter is closed.
//!
//! Guarantee (G1): the letter is closed after the record is durable in its log. Guarantee (G4):
//! the record passes the same fence as any other, so that an old one overwrites nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::future::try_join_all;
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::{DeadLetter, DeadLetters, Filter, LetterName, UNREADABLE};
use crate::event::{EventRecord, Origin, SourceRecord};
use crate::log::{LogAppender, LogError, partition_of};
use crate::store::StoreError;
use crate::time::{Millis, SharedClock};

/// Letters looked at in one go.
const PAGE: usize = 100;
/// Bytes of records that are appended together, but for the last one.
const AT_ONCE: usize = 1 << 20;

/// What is needed to redrive and to discard.
#[derive(Debug, Clone)]
pub struct Redrive {
    /// The letters.
    pub letters: Arc<dyn DeadLetters>,
    /// Where ingest's letters go back to.
    pub inbox: Arc<dyn LogAppender>,
    /// Where the sinks' letters go back to.
    pub log: Arc<dyn LogAppender>,
    /// The configured sinks: a record addressed to another would be read by no one.
    pub sinks: BTreeSet<String>,
    /// The time.
    pub clock: SharedClock,
}

/// How much is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Work {
    /// Which letters.
    pub filter: Filter,
    /// Do nothing, and report what would be done.
    pub dry_run: bool,
    /// So many letters at most; all without it.
    pub max: Option<u64>,
    /// When it began, ms, if it is done in parts: letters written since are left alone.
    pub began: Option<Millis>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// Letters redriven or discarded; with `dry_run`, those that would be.
    pub done: u64,
    /// The same, by reason.
    pub reasons: BTreeMap<String, u64>,
    /// Letters that stay, and why.
    pub skipped: Vec<Skipped>,
}

impl Report {
    /// Adds what the next part of the same work came to.
    pub fn add(&mut self, part: Self) {
        self.done = self.done.saturating_add(part.done);
        for (reason, letters) in part.reasons {
            *self.reasons.entry(reason).or_default() += letters;
        }
        // Each part goes past the letters that stay.
        self.skipped.extend(part.skipped);
        self.skipped.sort_unstable();
        self.skipped.dedup();
    }
}

/// A letter that stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// Why a redrive ended early. What was done before stays done; doing it again is safe.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A log.
    #[error("{0}")]
    Log(#[from] LogError),
}

/// Where one record goes back to.
enum Way {
    Inbox(Bytes),
    Log(u16, Bytes),
}

impl Redrive {
    /// Redrives what `work` says; `progress` hears the letters done so far.
    ///
    /// Letters written since the start are left alone, so that a record which fails again is not
    /// redriven in a circle. Letters that are named are all meant, and reported if they are not
    /// there.
    ///
    /// # Errors
    /// If a log or the store fails, as when the log is full.
    pub async fn run(
        &self,
        work: &Work,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Report, RedriveError> {
        self.each_page(work, progress, true).await
    }

    /// Closes what `work` says without another try.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn discard(
        &self,
        work: &Work,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Report, RedriveError> {
        self.each_page(work, progress, false).await
    }

    async fn each_page(
        &self,
        work: &Work,
        progress: &(dyn Fn(u64) + Sync),
        again: bool,
    ) -> Result<Report, RedriveError> {
        let began = work.began.unwrap_or_else(|| self.clock.now());
        let named = &work.filter.names;
        let mut missing: BTreeSet<String> = named.iter().cloned().collect();
        let (mut report, mut after) = (Report::default(), None);
        loop {
            let page = self
                .letters
                .page(&work.filter, after.as_ref(), PAGE)
                .await?;
            let mut letters = page.letters;
            for letter in &letters {
                missing.remove(&LetterName::of(letter).to_string());
            }
            if named.is_empty() {
                let later = |letter: &mut DeadLetter| letter.last_time >= began;
                let later: Vec<_> = letters.extract_if(.., later).collect();
                report.skipped.extend(self.in_future(&later));
            }
            let left = work
                .max
                .map_or(u64::MAX, |max| max.saturating_sub(report.done));
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            if again {
                self.again(&letters, left, work.dry_run, &mut report)
                    .await?;
            } else {
                letters.truncate(left);
                let done = letters.iter().map(|it| (LetterName::of(it), &*it.reason));
                self.done(done.collect(), work.dry_run, &mut report).await?;
            }
            progress(report.done);
            after = page.next;
            let enough = work.max.is_some_and(|max| report.done >= max);
            if enough || after.is_none() {
                if !enough {
                    report
                        .skipped
                        .extend(missing.into_iter().map(|name| Skipped {
                            name,
                            why: "no such letter is open".to_owned(),
                        }));
                }
                return Ok(report);
            }
        }
    }

    /// Of letters that are left alone, those that a later redrive would leave alone as well.
    fn in_future(&self, letters: &[DeadLetter]) -> impl Iterator<Item = Skipped> {
        let now = self.clock.now();
        let ahead = letters.iter().filter(move |letter| letter.last_time > now);
        ahead.map(|letter| Skipped {
            name: LetterName::of(letter).to_string(),
            why: "it is dated in the future, as by a clock that was set back; name it".to_owned(),
        })
    }

    /// Redrives `left` letters at most, with few of their records in memory at a time (G8).
    async fn again(
        &self,
        heads: &[DeadLetter],
        left: usize,
        dry_run: bool,
        report: &mut Report,
    ) -> Result<(), RedriveError> {
        let (mut ways, mut done, mut bytes) = (Vec::new(), Vec::new(), 0);
        let enough = report
            .done
            .saturating_add(u64::try_from(left).unwrap_or(u64::MAX));
        for head in heads {
            let so_far = u64::try_from(done.len()).unwrap_or(u64::MAX);
            if report.done.saturating_add(so_far) >= enough {
                break;
            }
            let name = LetterName::of(head);
            let Some(letter) = self.letters.show(&name).await? else {
                // Closed meanwhile.
                continue;
            };
            match self.way(&letter) {
                Ok(way) if !dry_run => ways.push(way),
                Ok(_) => {}
                Err(why) => {
                    let name = name.to_string();
                    report.skipped.push(Skipped { name, why });
                    continue;
                }
            }
            done.push((name, &*head.reason));
            bytes += letter.original.len();
            if bytes >= AT_ONCE {
                self.append(std::mem::take(&mut ways)).await?;
                self.done(std::mem::take(&mut done), dry_run, report)
                    .await?;
                bytes = 0;
            }
        }
        self.append(ways).await?;
        self.done(done, dry_run, report).await
    }

    /// Closes letters, with their reasons, and counts them.
    async fn done(
        &self,
        letters: Vec<(LetterName, &str)>,
        dry_run: bool,
        report: &mut Report,
    ) -> Result<(), RedriveError> {
        let mut names = Vec::with_capacity(letters.len());
        let mut reasons = Vec::with_capacity(letters.len());
        for (name, reason) in letters {
            names.push(name);
            reasons.push(reason);
        }
        if !dry_run {
            self.letters.close(&names).await?;
        }
        for reason in reasons {
            *report.reasons.entry(reason.to_owned()).or_default() += 1;
            report.done = report.done.saturating_add(1);
        }
        Ok(())
    }

    /// Durable when this returns (G1). Appends made at the same time share an fsync.
    async fn append(&self, ways: Vec<Way>) -> Result<(), LogError> {
        let appends = ways.into_iter().map(|way| match way {
            Way::Inbox(bytes) => self.inbox.append(0, vec![bytes]),
            Way::Log(partition, bytes) => self.log.append(partition, vec![bytes]),
        });
        try_join_all(appends).await?;
        Ok(())
    }

    fn way(&self, letter: &DeadLetter) -> Result<Way, String> {
        if letter.reason == UNREADABLE {
            return Err("it cannot be read by this version".to_owned());
        }
        if letter.sink.is_empty() {
            return Ok(Way::Inbox(source_record(letter).encode_to_vec().into()));
        }
        if !self.sinks.contains(&letter.sink) {
            return Err("its sink is not configured any more; discard it".to_owned());
        }
        let mut record = EventRecord::decode(letter.original.as_ref())
            .map_err(|_| "its record cannot be read by this version".to_owned())?;
        record.sink.clone_from(&letter.sink);
        record.round = letter.round.saturating_add(1);
        let partition = partition_of(&record.subject_key(), self.log.identity().partitions);
        Ok(Way::Log(partition, record.encode_to_vec().into()))
    }
}

/// What ingest received, again. Its arrival was not later than its first attempt.
fn source_record(letter: &DeadLetter) -> SourceRecord {
    SourceRecord {
        source: letter.source.clone(),
        received_time: letter.first_time,
        headers: letter.headers.clone(),
        origin: Some(Origin {
            source: letter.source.clone(),
            topic: letter.topic.clone(),
            partition: letter.partition,
            offset: letter.offset,
            ..Origin::default()
        }),
        sink: String::new(),
        round: letter.round.saturating_add(1),
        body: letter.original.clone(),
    }
}
