//! The configuration of a log in Kafka, and what librdkafka is given for each of its clients. Pure.
//!
//! Guarantee (G1, G2): no property can make an acknowledgement come before the brokers have the
//! record, or move a position behind goldwire's back: what acknowledges, commits, resets or isolates
//! is goldwire's own, and refused as a property.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{ByteSize, Period};
use crate::kafka::{self, GroupProtocol, Properties, Unfit};

/// Properties that goldwire sets itself, and what to use instead.
const OWNED: [(&str, &str); 30] = [
    ("bootstrap.servers", "use the key `bootstrap_servers`"),
    ("metadata.broker.list", "use the key `bootstrap_servers`"),
    ("group.id", "it is `{app}.{sink}`; remove it"),
    ("group.instance.id", "use the key `instance`"),
    ("group.protocol", "use the key `group_protocol`"),
    ("group.remote.assignor", "remove it"),
    (
        "partition.assignment.strategy",
        "it is always `cooperative-sticky`; remove it",
    ),
    ("session.timeout.ms", "use the key `session_timeout`"),
    ("heartbeat.interval.ms", "use the key `session_timeout`"),
    ("auto.offset.reset", "offsets are never reset; remove it"),
    ("enable.auto.commit", COMMITS),
    ("enable.auto.offset.store", COMMITS),
    ("enable.partition.eof", "remove it"),
    (
        "isolation.level",
        "it is always `read_committed`; remove it",
    ),
    ("acks", ACKS),
    ("request.required.acks", ACKS),
    ("enable.idempotence", "it is always on; remove it"),
    ("enable.gapless.guarantee", "remove it"),
    (
        "transactional.id",
        "goldwire keeps one for each sink; remove it",
    ),
    (
        "transaction.timeout.ms",
        "use the key `transaction_timeout`",
    ),
    ("delivery.timeout.ms", "remove it"),
    ("message.timeout.ms", "remove it"),
    ("message.max.bytes", "use the key `max_record`"),
    (
        "queue.buffering.max.kbytes",
        "it is bounded already; remove it",
    ),
    (
        "queue.buffering.max.messages",
        "it is bounded already; remove it",
    ),
    (
        "queued.max.messages.kbytes",
        "it is bounded already; remove it",
    ),
    ("fetch.max.bytes", "it is bounded already; remove it"),
    (
        "delivery.report.only.error",
        "every record has its report; remove it",
    ),
    (
        "allow.auto.create.topics",
        "goldwire makes its topics itself; remove it",
    ),
    ("statistics.interval.ms", "remove it"),
];
const ACKS: &str = "it is always `all`; remove it";
const COMMITS: &str = "positions are committed with what they stand for; remove it";

/// What librdkafka is given unless the properties say otherwise.
const DEFAULTS: [(&str, &str); 4] = [
    ("client.id", "goldwire"),
    ("topic.metadata.refresh.interval.ms", "30000"),
    ("topic.metadata.propagation.max.ms", "10000"),
    ("log.connection.close", "false"),
];

/// A record that the brokers do not acknowledge for so long is reported as unknown, and appended
/// again.
const DELIVERY: Duration = Duration::from_secs(30);
/// Bytes that wait for the brokers, save for one larger record.
pub(super) const QUEUE: u64 = 32 << 20;
/// Bytes that a fetch of all partitions brings, save for a larger record.
const FETCH: u64 = 8 << 20;
/// Beside the body, what a record of the log has.
const ENVELOPE: u64 = 1 << 20;
/// librdkafka's own, enough for the fetches of smaller records.
const RECEIVE: u64 = 100_000_000;

/// The event log in Kafka, for more than one instance. Topics are made by goldwire: `{prefix}.events`,
/// and `{prefix}.{sink}.changelog` for each sink.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaLogConfig {
    /// Brokers: `host:port,host:port`.
    pub bootstrap_servers: String,
    /// Any property of librdkafka: `security.protocol`, `sasl.username`, `compression.type`, …
    #[serde(default)]
    pub properties: Properties,
    /// Sends golden records and passwords in clear text to brokers on other machines.
    #[serde(default)]
    pub insecure_plaintext: bool,
    /// Partitions of the event log, and of each changelog; fixed when the topics are made. No more
    /// instances than that work at once.
    #[serde(default = "partitions")]
    #[schemars(range(min = 1, max = 1024))]
    pub partitions: u16,
    /// Copies of each partition, on as many brokers. From three on, two of them have to have a
    /// record before it is acknowledged.
    #[serde(default = "replication")]
    #[schemars(range(min = 1, max = 15))]
    pub replication: u16,
    /// What the topics' names begin with; `app` without it.
    pub topic_prefix: Option<String>,
    /// A name of this instance that no other has, the same after every restart: a restart within
    /// `session_timeout` then moves no partitions. Without it a restart does.
    pub instance: Option<String>,
    /// How the brokers divide the partitions among instances: `classic`, or `consumer` (KIP-848,
    /// Kafka 4.0 and later).
    #[serde(default)]
    pub group_protocol: GroupProtocol,
    /// After how long the brokers end a transaction that an instance left open, at their next look. Who
    /// takes its partitions over ends it sooner, where it finds out whose it was.
    #[serde(default = "ten_seconds")]
    pub transaction_timeout: Period,
    /// After how long without a sign of life an instance's partitions go to others. With `consumer`
    /// the brokers say so (`group.consumer.session.timeout.ms`).
    #[serde(default = "ten_seconds")]
    pub session_timeout: Period,
    /// Largest record; larger than every source's `max_body` by 1MiB without it. A larger event becomes
    /// a dead letter.
    pub max_record: Option<ByteSize>,
}

fn partitions() -> u16 {
    8
}
fn replication() -> u16 {
    3
}
fn ten_seconds() -> Period {
    "10s".into()
}

impl KafkaLogConfig {
    /// Every problem that a reader of the configuration cannot see in the schema, with its key. No
    /// secret is in them (G10).
    pub fn problems(&self) -> Vec<Unfit> {
        let mut problems = Vec::new();
        if self.bootstrap_servers.trim().is_empty() {
            let why = "missing; add it: `host:port,host:port`";
            problems.push(Unfit::key("bootstrap_servers", why));
        }
        kafka::check_owned(&OWNED, &self.properties, &mut problems);
        kafka::check_credentials(&self.properties, &mut problems);
        kafka::check_each(&self.properties, &mut problems);
        kafka::check_encrypted(
            "bootstrap_servers",
            &self.bootstrap_servers,
            &self.properties,
            self.insecure_plaintext,
            &mut problems,
        );
        problems
    }

    /// Makes a client that knows no broker, and drops it: whether the properties go together, and
    /// the files that they name can be read.
    ///
    /// # Errors
    /// What librdkafka says, without a property's value.
    pub fn try_out(&self) -> Result<(), String> {
        let mut client = self.client();
        client.remove("bootstrap.servers");
        let made: Result<BaseConsumer, _> = client.create();
        made.map(drop)
            .map_err(|error| kafka::complaint(&self.properties, &error))
    }

    /// What the topics' names begin with.
    pub fn prefix<'a>(&'a self, app: &'a str) -> &'a str {
        self.topic_prefix.as_deref().unwrap_or(app)
    }

    /// The largest record, given the largest body that a source takes.
    pub fn largest(&self, body: u64) -> u64 {
        let written = self.max_record.as_ref().map(ByteSize::get);
        written.unwrap_or_else(|| body.saturating_add(ENVELOPE))
    }

    /// What every client is given.
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        for (key, value) in DEFAULTS {
            client.set(key, value);
        }
        for (key, value) in &self.properties {
            client.set(key, value.reveal());
        }
        client
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("allow.auto.create.topics", "false");
        if self.group_protocol == GroupProtocol::Classic {
            // librdkafka compares it with `max.poll.interval.ms` in every client.
            let session = self.session_timeout.get();
            client.set("session.timeout.ms", session.as_millis().to_string());
        }
        client
    }

    /// An idempotent producer of records up to `largest`.
    pub fn producer(&self, largest: u64) -> ClientConfig {
        let mut client = self.client();
        if client.get("linger.ms").is_none() {
            client.set("linger.ms", "2");
        }
        // Room for the largest beside what `QUEUE` bounds already.
        let queue = QUEUE.saturating_add(largest) / 1024;
        client
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.max.bytes", largest.to_string())
            .set("delivery.timeout.ms", DELIVERY.as_millis().to_string())
            .set("queue.buffering.max.kbytes", queue.to_string())
            .set("queue.buffering.max.messages", (QUEUE / 32).to_string());
        client
    }

    /// A producer of transactions.
    pub fn transactional(&self, id: &str, largest: u64) -> ClientConfig {
        let timeout = self.transaction_timeout.get();
        let mut client = self.producer(largest);
        client
            .set("transactional.id", id)
            .set("transaction.timeout.ms", timeout.as_millis().to_string())
            // No longer than the transaction it is in.
            .set(
                "delivery.timeout.ms",
                timeout.min(DELIVERY).as_millis().to_string(),
            )
            .set("linger.ms", "0");
        client
    }

    /// How long a process may stand still before its group may have given it up in silence, see
    /// [`Member::may_be_given_up`](super::Member::may_be_given_up). A heartbeat may be a third of a
    /// session old when it begins.
    pub(super) fn longest_silence(&self) -> Option<Duration> {
        let unsure = self.group_protocol == GroupProtocol::Classic && self.instance.is_some();
        unsure.then(|| self.session_timeout.get() / 2)
    }

    /// A consumer of records up to `largest` that knows a group, and is no member of it.
    pub fn consumer(&self, group: &str, largest: u64) -> ClientConfig {
        let mut client = self.client();
        let receive = FETCH.saturating_add(largest).saturating_add(ENVELOPE);
        client
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("fetch.max.bytes", FETCH.to_string())
            .set(
                "receive.message.max.bytes",
                receive.max(RECEIVE).to_string(),
            )
            .set("fetch.queue.backoff.ms", "10");
        client
    }

    /// A member of a group.
    pub fn member(&self, group: &str, largest: u64) -> ClientConfig {
        let mut client = self.consumer(group, largest);
        if let Some(instance) = &self.instance {
            client.set("group.instance.id", instance);
        }
        match self.group_protocol {
            GroupProtocol::Classic => {
                let heartbeat = self.session_timeout.get() / 10;
                client
                    .set("group.protocol", "classic")
                    .set("partition.assignment.strategy", "cooperative-sticky")
                    .set("heartbeat.interval.ms", heartbeat.as_millis().to_string());
            }
            GroupProtocol::Consumer => {
                client.set("group.protocol", "consumer");
            }
        }
        client
    }
}
