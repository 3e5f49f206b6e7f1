//! Whether the topics are there, and may be written to.
//!
//! Nothing is left behind: the right to write is asked with a record that the broker refuses for its
//! size, after it has looked at the right.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::Producer as _;

use super::errors;
use crate::kafka::{self, Producer, Properties, Reports, Row, code, queue};

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A topic that takes more at once is not asked: the question would be large.
const LARGEST: usize = 16 << 20;
/// librdkafka's own `message.max.bytes`.
const DEFAULT_MAX: usize = 1_000_000;

/// One sentence for each problem. `config` is what the sink's own producer is given.
pub(super) async fn probe(
    config: &ClientConfig,
    properties: &Properties,
    topics: &[String],
) -> Vec<String> {
    let mut problems = Vec::new();
    let own: usize = config
        .get("message.max.bytes")
        .and_then(|text| text.parse().ok())
        .unwrap_or(DEFAULT_MAX);
    for topic in topics {
        match ask(config, topic.clone()).await {
            Err(Trouble::Client(error)) => {
                return vec![format!("properties: {}", kafka::complaint(properties, &error))];
            }
            Err(Trouble::Away(code)) => {
                return vec![format!(
                    "the broker does not answer ({code:?}); check address, TLS and password"
                )];
            }
            Err(Trouble::Topic(code)) => {
                problems.push(errors::of_report(code, topic, None).to_string());
            }
            Ok(Some(limit)) if limit < own => problems.push(format!(
                "topic `{topic}` takes {limit} bytes at once, and the producer may send {own}: raise \
                 the topic's `max.message.bytes`, or set `message.max.bytes` and `batch.size` in \
                 `properties` below it"
            )),
            Ok(_) => {}
        }
    }
    problems
}

/// Why a topic is not as it should be.
enum Trouble {
    /// librdkafka makes no client.
    Client(KafkaError),
    /// No one answers.
    Away(Code),
    /// The broker says what is wrong with the topic.
    Topic(Code),
}

/// What the topic takes at once, bytes, where the broker tells.
async fn ask(config: &ClientConfig, topic: String) -> Result<Option<usize>, Trouble> {
    let admin: AdminClient<DefaultClientContext> = config.create().map_err(Trouble::Client)?;
    let named = topic.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let metadata = admin.inner().fetch_metadata(Some(&named), PATIENCE);
        (
            metadata.map(|of| of.topics().first().and_then(MetadataTopic::error)),
            admin,
        )
    });
    let Ok((metadata, admin)) = asked.await else {
        return Err(Trouble::Away(Code::Unknown));
    };
    match metadata {
        Err(error) => return Err(Trouble::Away(code(&error))),
        Ok(Some(error)) => return Err(Trouble::Topic(error.into())),
        Ok(None) => {}
    }
    let limit = limit(&admin, &topic).await;
    match limit.filter(|limit| *limit <= LARGEST) {
        Some(size) => may_write(config, &topic, size).await.map(|()| limit),
        None => Ok(limit),
    }
}

/// The topic's `max.message.bytes`; nothing where it may not be asked for.
async fn limit(admin: &AdminClient<DefaultClientContext>, topic: &str) -> Option<usize> {
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let described = admin
        .describe_configs(&[ResourceSpecifier::Topic(topic)], &options)
        .await;
    let resource = described.ok()?.into_iter().next()?.ok()?;
    resource
        .get("max.message.bytes")?
        .value
        .as_ref()?
        .parse()
        .ok()
}

/// Asks for the right to write with more bytes than the topic takes.
async fn may_write(config: &ClientConfig, topic: &str, size: usize) -> Result<(), Trouble> {
    let mut config = config.clone();
    config
        .set("message.max.bytes", (size + (64 << 10)).to_string())
        .set(
            "queue.buffering.max.kbytes",
            (2 * size / 1024 + 1024).to_string(),
        )
        .set("compression.type", "none")
        .set("delivery.timeout.ms", PATIENCE.as_millis().to_string());
    let producer: Producer = config
        .create_with_context(Reports::default())
        .map_err(Trouble::Client)?;
    let mut open = producer.context().open(1);
    open.begin(1);
    let question = vec![0; size + 1];
    let row = Row {
        number: 0,
        partition: None,
        key: b"goldwire check",
        value: Some(&question),
        headers: None,
    };
    queue(&producer, &open, topic, row).await;
    let answers = open.finish().await.unwrap_or_default();
    let answer = answers.into_iter().next().and_then(Result::err);
    match answer.map(|failure| failure.code) {
        Some(Code::MessageSizeTooLarge | Code::MessageBatchTooLarge) | None => Ok(()),
        Some(code @ Code::MessageTimedOut) => Err(Trouble::Away(code)),
        Some(code) => Err(Trouble::Topic(code)),
    }
}
