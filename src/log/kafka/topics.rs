//! What each of goldwire's topics has to be like. Pure, but for the question to the brokers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::error::RDKafkaErrorCode as Code;

use super::cluster::Trouble;
use crate::kafka::{Reports, code};

/// Beside the record, what a letter has.
const LETTER: u64 = 1 << 20;

/// A topic that goldwire keeps something in.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Its name at the brokers.
    pub name: String,
    /// Its partitions; their number never changes.
    pub partitions: u16,
    /// What it keeps.
    pub kind: Kind,
}

/// What a topic keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Records until every sink has passed them. `expires`: or until the brokers delete them.
    Events {
        /// Every sink may be gone on without.
        expires: bool,
    },
    /// The newest value of each key.
    Changelog,
    /// Letters until they are closed.
    DeadLetters,
    /// Requests until ingest has them.
    Inbox,
}

/// A topic as it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) partitions: usize,
    pub(super) replication: usize,
    /// Nothing where the brokers do not tell.
    pub(super) settings: BTreeMap<String, String>,
}

impl Kind {
    fn is_compacted(self) -> bool {
        matches!(self, Self::Changelog | Self::DeadLetters)
    }

    /// The largest record, given that of the event log: a letter holds one, and says why.
    pub(crate) fn largest(self, record: u64) -> u64 {
        match self {
            Self::DeadLetters => record.saturating_add(LETTER),
            Self::Events { .. } | Self::Changelog | Self::Inbox => record,
        }
    }

    /// What the topic is made with.
    pub(super) fn settings(self, largest: u64, replication: u16) -> Vec<(&'static str, String)> {
        let set = |key, value: &str| (key, value.to_owned());
        let mut settings = vec![("max.message.bytes", self.largest(largest).to_string())];
        if replication >= 3 {
            settings.push(set("min.insync.replicas", "2"));
        }
        if self.is_compacted() {
            settings.push(set("cleanup.policy", "compact"));
            // Stores that are older than half of it are made again.
            settings.push(set("delete.retention.ms", "86400000"));
        } else {
            settings.push(set("cleanup.policy", "delete"));
            settings.push(set("retention.ms", "-1"));
            settings.push(set("retention.bytes", "-1"));
        }
        if self == Self::Changelog {
            // Only closed segments are compacted. What is restored is what was not.
            settings.push(set("segment.ms", "3600000"));
            settings.push(set("segment.bytes", "67108864"));
            settings.push(set("min.cleanable.dirty.ratio", "0.3"));
        }
        settings
    }

    /// The same, as people write it.
    pub(super) fn words(self, largest: u64, replication: u16) -> String {
        let settings = self.settings(largest, replication).into_iter();
        let words: Vec<_> = settings
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        words.join(", ")
    }
}

impl Topic {
    /// Why the topic as it is does not do: one sentence with the remedy.
    pub(super) fn unfit(&self, found: &Found, largest: u64) -> Result<(), String> {
        let (name, wanted) = (&self.name, self.partitions);
        if found.partitions != usize::from(wanted) {
            let there = found.partitions;
            return Err(match self.kind {
                Kind::Events { .. } => format!(
                    "topic {name} has {there} partitions, and log.kafka.partitions says {wanted}: \
                     set it to {there}; the partitions of a log are fixed, since each subject has \
                     its own"
                ),
                Kind::Changelog | Kind::DeadLetters | Kind::Inbox => format!(
                    "topic {name} has {there} partitions and needs {wanted}: stop all instances, \
                     and delete it if nothing is in it; else restore it as it was"
                ),
            });
        }
        let is = |key: &str| found.settings.get(key).map(String::as_str);
        let policy = if self.kind.is_compacted() {
            "compact"
        } else {
            "delete"
        };
        if let Some(other) = is("cleanup.policy").filter(|is| *is != policy) {
            return Err(format!(
                "topic {name} has cleanup.policy={other}, which loses what it keeps: set it to \
                 {policy}"
            ));
        }
        let expires = matches!(self.kind, Kind::Events { expires: true });
        for key in ["retention.ms", "retention.bytes"] {
            if let Some(limit) = is(key).filter(|is| *is != "-1")
                && !self.kind.is_compacted()
                && !expires
            {
                return Err(format!(
                    "topic {name} has {key}={limit}: the brokers would delete what was not read, \
                     however long a sink is down. Set it to -1: goldwire deletes what every sink \
                     has passed. Or let every sink have on_full: detach"
                ));
            }
        }
        let most = is("max.message.bytes").and_then(|is| is.parse::<u64>().ok());
        let needed = self.kind.largest(largest);
        if let Some(most) = most.filter(|most| *most < needed) {
            return Err(format!(
                "topic {name} takes records of {most} bytes, and log.kafka.max_record is {largest}: \
                 raise the topic's max.message.bytes to {needed}, or lower max_record and the \
                 sources' max_body"
            ));
        }
        Ok(())
    }
}

/// The topic as the brokers describe it; nothing if it is not there.
pub(super) async fn find(
    admin: &Arc<AdminClient<Reports>>,
    name: &str,
    patience: Duration,
) -> Result<Option<Found>, Trouble> {
    let (asked, of) = (Arc::clone(admin), name.to_owned());
    let described = tokio::task::spawn_blocking(move || {
        let metadata = asked.inner().fetch_metadata(Some(&of), patience);
        metadata.map(|metadata| {
            let topic = metadata.topics().first();
            topic.map_or((None, 0, 0), |topic| {
                let copies = topic.partitions().iter().map(|of| of.replicas().len());
                (
                    topic.error().map(Code::from),
                    topic.partitions().len(),
                    copies.min().unwrap_or_default(),
                )
            })
        })
    });
    let described = described.await.map_err(|_| Trouble::Retry(Code::Unknown))?;
    let (error, partitions, replication) =
        described.map_err(|error| Trouble::Retry(code(&error)))?;
    match error {
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => return Ok(None),
        Some(Code::TopicAuthorizationFailed) => {
            return Err(Trouble::Refused(format!(
                "no permission to see topic {name}: grant Describe, Read and Write on it"
            )));
        }
        Some(code) => return Err(Trouble::Retry(code)),
        None if partitions == 0 => return Ok(None),
        None => {}
    }
    Ok(Some(Found {
        partitions,
        replication,
        settings: settings(admin, name, patience).await,
    }))
}

/// The topic's settings; nothing where they may not be asked for.
async fn settings(
    admin: &AdminClient<Reports>,
    name: &str,
    patience: Duration,
) -> BTreeMap<String, String> {
    let options = AdminOptions::new().request_timeout(Some(patience));
    let asked = [ResourceSpecifier::Topic(name)];
    let described = admin.describe_configs(&asked, &options).await;
    let resource = described.ok().and_then(|all| all.into_iter().next()?.ok());
    let Some(resource) = resource else {
        tracing::warn!(
            topic = name,
            "the topic's settings cannot be seen: grant DescribeConfigs on it, or see yourself \
             that it keeps what it gets"
        );
        return BTreeMap::new();
    };
    let entries = resource.entries.into_iter();
    entries
        .filter_map(|entry| Some((entry.name, entry.value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(settings: &[(&str, &str)]) -> Found {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Found {
            partitions: 4,
            replication: 1,
            settings: settings.iter().map(owned).collect(),
        }
    }

    fn unfit(kind: Kind, found: &Found) -> String {
        let topic = Topic {
            name: "app.t".to_owned(),
            partitions: 4,
            kind,
        };
        topic.unfit(found, 1000).err().unwrap_or_default()
    }

    const STALL: Kind = Kind::Events { expires: false };

    #[test]
    fn g2_a_topic_that_loses_what_it_keeps_is_refused_with_the_remedy() {
        let aged = found(&[("retention.ms", "604800000")]);
        assert!(unfit(STALL, &aged).contains("Set it to -1"));
        assert_eq!(unfit(Kind::Events { expires: true }, &aged), "");
        assert_eq!(unfit(Kind::Changelog, &aged), "");
        let compacted = found(&[("cleanup.policy", "compact")]);
        assert!(unfit(STALL, &compacted).contains("set it to delete"));
        assert!(unfit(Kind::Inbox, &compacted).contains("set it to delete"));
        let both = found(&[("cleanup.policy", "compact,delete")]);
        assert!(unfit(Kind::DeadLetters, &both).contains("set it to compact"));
        let small = found(&[("max.message.bytes", "999")]);
        assert!(unfit(STALL, &small).contains("max_record is 1000"));
    }

    #[test]
    fn g4_another_partition_count_is_refused() {
        let mut other = found(&[]);
        other.partitions = 8;
        let why = unfit(STALL, &other);
        assert!(
            why.contains("log.kafka.partitions says 4: set it to 8"),
            "{why}"
        );
        assert!(unfit(Kind::Changelog, &other).contains("needs 4"));
    }

    #[test]
    fn what_is_made_is_fit() {
        for kind in [STALL, Kind::Changelog, Kind::DeadLetters, Kind::Inbox] {
            let settings = kind.settings(1000, 3);
            let settings: Vec<_> = settings
                .iter()
                .map(|(key, of)| (*key, of.as_str()))
                .collect();
            assert_eq!(unfit(kind, &found(&settings)), "");
        }
    }
}
