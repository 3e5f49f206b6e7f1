//! The topic of dead letters at the brokers.
//!
//! Guarantee (G1, G2): a record counts as put when its own delivery report says that every in-sync
//! replica has it. What is read are records of committed transactions, in their order.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer as _;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::{LetterTopic, TopicError, TopicPage, TopicRecord};
use crate::kafka::{self, Client, Failure, Heard, Row, code, queue};
use crate::log::kafka::{KafkaCluster, Topic};
use crate::log::{LogError, LogIdentity, OffsetRange, partition_of_key};

/// How long the brokers have for one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a read waits for the first record.
const WAIT: Duration = Duration::from_millis(500);
/// What one read gives at most, but for its last record.
const RECORDS: usize = 1000;
const BYTES: usize = 2 << 20;

/// The topic.
#[derive(Debug)]
pub struct KafkaTopic {
    identity: LogIdentity,
    name: String,
    client: Client,
    reader: Arc<Reader>,
}

/// A consumer of no group's member.
struct Reader {
    topic: String,
    partitions: u16,
    consumer: BaseConsumer<Heard>,
    /// Where it reads on.
    stands: Mutex<Vec<u64>>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl KafkaTopic {
    /// The topic, which was prepared.
    ///
    /// # Errors
    /// If librdkafka makes no client of the configuration.
    pub fn open(cluster: &KafkaCluster, topic: &Topic) -> Result<Self, LogError> {
        let (config, name) = (cluster.config(), topic.name.clone());
        let largest = topic.kind.largest(cluster.largest());
        let mut client = config.consumer(&name, largest);
        client.set("enable.partition.eof", "true");
        let consumer = client.create_with_context(Heard::default());
        let consumer = consumer.map_err(|error| {
            let why = kafka::complaint(&config.properties, &error);
            LogError::Refused(format!("log.kafka.{why}"))
        })?;
        let reader = Reader {
            topic: name.clone(),
            partitions: topic.partitions,
            consumer,
            stands: Mutex::default(),
        };
        Ok(Self {
            identity: LogIdentity {
                id: format!("kafka:{}/{name}", cluster.id()),
                partitions: topic.partitions,
            },
            client: Client::new(config.producer(largest), config.properties.clone()),
            name,
            reader: Arc::new(reader),
        })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "librdkafka has over a hundred codes; the others are told by name"
    )]
    fn not_put(&self, failure: &Failure) -> TopicError {
        let name = &self.name;
        TopicError::Retry(match failure.code {
            Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => format!(
                "a letter is larger than topic {name} takes; raise its max.message.bytes and \
                 log.kafka.max_record: the record waits until then, since without its bytes it \
                 could not be tried again"
            ),
            Code::TopicAuthorizationFailed => {
                format!("no permission to write to topic {name}: grant Write and Describe on it")
            }
            Code::MessageTimedOut => {
                let trouble = self.client.complaint();
                let trouble = trouble.unwrap_or_else(|| "no answer".to_owned());
                format!("the brokers did not take it in time: {trouble}")
            }
            code => format!("the brokers did not take it: {code:?}"),
        })
    }
}

#[async_trait]
impl LetterTopic for KafkaTopic {
    async fn ranges(&self) -> Result<(LogIdentity, Vec<OffsetRange>), TopicError> {
        let ranges = self.reader.ask(Reader::ranges_now).await?;
        Ok((self.identity.clone(), ranges))
    }

    async fn put(&self, records: Vec<TopicRecord>) -> Result<Vec<(u16, u64)>, TopicError> {
        let producer = self.client.producer().map_err(TopicError::Retry)?;
        let mut open = producer.context().open(records.len());
        let mut partitions = Vec::with_capacity(records.len());
        for (number, record) in records.iter().enumerate() {
            let partition = partition_of_key(&record.key, self.identity.partitions);
            partitions.push(partition);
            open.begin(1);
            let row = Row {
                number,
                partition: Some(i32::from(partition)),
                key: &record.key,
                value: record.value.as_deref(),
                headers: None,
            };
            queue(&producer, &open, &self.name, row).await;
        }
        let ended = || TopicError::Retry("the producer ended".to_owned());
        let rows = open.finish().await.ok_or_else(ended)?;
        let placed = partitions.into_iter().zip(rows).map(|(partition, row)| {
            let placed = row.map_err(|failure| self.not_put(&failure))?;
            Ok((partition, u64::try_from(placed.last).unwrap_or_default()))
        });
        placed.collect()
    }

    async fn read(&self, from: &[u64]) -> Result<Vec<TopicPage>, TopicError> {
        let from = from.to_vec();
        self.reader.ask(move |reader| reader.read_now(&from)).await
    }
}

impl Reader {
    /// Asks off the runtime's threads.
    async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        ask: impl FnOnce(&Self) -> Result<T, TopicError> + Send + 'static,
    ) -> Result<T, TopicError> {
        let reader = Arc::clone(self);
        let asked = tokio::task::spawn_blocking(move || ask(&reader)).await;
        asked.map_err(|failed| TopicError::Retry(failed.to_string()))?
    }

    fn ranges_now(&self) -> Result<Vec<OffsetRange>, TopicError> {
        let range = |partition: u16| {
            let told = self
                .consumer
                .fetch_watermarks(&self.topic, i32::from(partition), ANSWER);
            let (low, high) = told.map_err(|error| trouble(&error))?;
            let unsigned = |offset: i64| u64::try_from(offset).unwrap_or_default();
            Ok(OffsetRange {
                start: unsigned(low),
                end: unsigned(high),
            })
        };
        (0..self.partitions).map(range).collect()
    }

    /// What comes from these positions on, within a moment.
    fn read_now(&self, from: &[u64]) -> Result<Vec<TopicPage>, TopicError> {
        let mut stands = self.stands.lock().unwrap_or_else(PoisonError::into_inner);
        if stands.as_slice() != from {
            self.assign(from).map_err(|error| trouble(&error))?;
            from.clone_into(&mut stands);
        }
        let pages = self.poll();
        match &pages {
            Ok(pages) => {
                for page in pages {
                    if let Some(stands) = stands.get_mut(usize::from(page.partition)) {
                        *stands = (*stands).max(page.next);
                    }
                }
            }
            // What was polled before the error is polled once more.
            Err(_) => stands.clear(),
        }
        pages
    }

    fn assign(&self, from: &[u64]) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::with_capacity(from.len());
        for (partition, from) in (0..).zip(from) {
            let offset = Offset::Offset(i64::try_from(*from).unwrap_or(i64::MAX));
            list.add_partition_offset(&self.topic, partition, offset)?;
        }
        self.consumer.assign(&list)
    }

    fn poll(&self) -> Result<Vec<TopicPage>, TopicError> {
        let mut pages = BTreeMap::new();
        let (mut records, mut bytes, mut patience) = (0, 0, WAIT);
        while records < RECORDS && bytes < BYTES {
            match self.consumer.poll(patience) {
                Some(Ok(message)) => {
                    let value = message.payload().map(Bytes::copy_from_slice);
                    records += 1;
                    bytes += message.payload_len();
                    let page = page_of(&mut pages, message.partition());
                    page.next = u64::try_from(message.offset()).unwrap_or_default() + 1;
                    page.records.push(TopicRecord {
                        key: Bytes::copy_from_slice(message.key().unwrap_or_default()),
                        value,
                    });
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    // Behind the last record there may be what is none: markers of transactions.
                    if let Some(next) = self.position(partition) {
                        let page = page_of(&mut pages, partition);
                        page.next = page.next.max(next);
                    }
                }
                Some(Err(error)) if kafka::is_lost_position(code(&error)) => {
                    return Err(TopicError::OutOfRange(format!("{:?}", code(&error))));
                }
                Some(Err(error)) if kafka::is_absence(code(&error)) => return Err(trouble(&error)),
                // What befalls a connection passes; that it lasts is seen where the ends are asked for.
                Some(Err(_)) => {}
                None => break,
            }
            patience = Duration::ZERO;
        }
        Ok(pages.into_values().filter(|page| page.next > 0).collect())
    }

    fn position(&self, partition: i32) -> Option<u64> {
        let positions = self.consumer.position().ok()?;
        match positions.find_partition(&self.topic, partition)?.offset() {
            Offset::Offset(offset) => u64::try_from(offset).ok(),
            Offset::Beginning
            | Offset::End
            | Offset::Stored
            | Offset::Invalid
            | Offset::OffsetTail(_) => None,
        }
    }
}

fn page_of(pages: &mut BTreeMap<i32, TopicPage>, partition: i32) -> &mut TopicPage {
    pages.entry(partition).or_insert_with(|| TopicPage {
        partition: u16::try_from(partition).unwrap_or_default(),
        records: Vec::new(),
        next: 0,
    })
}

fn trouble(error: &KafkaError) -> TopicError {
    TopicError::Retry(format!("the brokers say: {:?}", code(error)))
}
