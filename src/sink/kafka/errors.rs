//! What librdkafka's errors mean for a record, and for the sink.
//!
//! Guarantee (G7, G10): each code has one meaning, which names topics and rights and never a value of
//! a record. A record is rejected only for what is wrong with itself.

use rdkafka::error::RDKafkaErrorCode as Code;

use crate::sink::SinkError;

/// What a record that was not acknowledged comes to. `topic` is where it was to go.
///
/// `trouble` is what the client itself complained of last, which is why records time out.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "librdkafka has over a hundred codes; one without a meaning of its own is ambiguous"
)]
pub(super) fn of_report(code: Code, topic: &str, trouble: Option<Code>) -> SinkError {
    match code {
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => systemic(
            code,
            format!("topic `{topic}` does not exist at the broker: make it, or correct the name"),
        ),
        Code::TopicAuthorizationFailed => systemic(
            code,
            format!("no permission to write to topic `{topic}`: grant Write and Describe on it"),
        ),
        Code::ClusterAuthorizationFailed => systemic(
            code,
            "no permission to be an idempotent producer: grant IdempotentWrite on the cluster, which \
             brokers before 3.0 ask for"
                .to_owned(),
        ),
        Code::PolicyViolation => systemic(
            code,
            format!("a policy of the broker forbids writing to topic `{topic}`: ask who set it"),
        ),
        // librdkafka refuses by itself what is longer than `message.max.bytes`. The broker refuses
        // whole batches, so that no one knows which record of one is too long.
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => systemic(
            code,
            format!(
                "topic `{topic}` takes less at once than the producer may send: raise its \
                 `max.message.bytes`, or set `message.max.bytes` and `batch.size` in `properties` below it"
            ),
        ),
        Code::InvalidRecord | Code::InvalidTimestamp => rejected(code),
        // Refused before anything was appended.
        Code::NotEnoughReplicas | Code::PurgeQueue | Code::BrokerNotAvailable => retryable(code, false),
        Code::MessageTimedOut => match trouble {
            Some(Code::Authentication | Code::SaslAuthenticationFailed) => systemic(
                Code::SaslAuthenticationFailed,
                "the broker refuses the credentials: correct `sasl.username` and `sasl.password` here \
                 or at the broker"
                    .to_owned(),
            ),
            Some(Code::UnsupportedSASLMechanism | Code::IllegalSASLState) => systemic(
                Code::UnsupportedSASLMechanism,
                "the broker does not speak this SASL mechanism: correct `sasl.mechanism`".to_owned(),
            ),
            Some(Code::SSL) => systemic(
                Code::SSL,
                "no TLS with the broker: correct `ssl.ca.location`, or the names in the broker's \
                 certificate"
                    .to_owned(),
            ),
            Some(_) | None => retryable(code, true),
        },
        _ => retryable(code, true),
    }
}

/// What a record comes to that librdkafka did not even queue. Nothing of it was sent.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is not about the record or the topic is about the client"
)]
pub(super) fn of_send(code: Code, topic: &str) -> SinkError {
    match code {
        Code::MessageSizeTooLarge => rejected(code),
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            of_report(code, topic, None)
        }
        _ => retryable(code, false),
    }
}

/// What everything comes to where librdkafka makes no producer.
pub(super) fn no_client(why: &str) -> SinkError {
    SinkError::Systemic {
        code: "no_client".to_owned(),
        remedy: format!("correct the property that librdkafka names: {why}"),
    }
}

fn systemic(code: Code, remedy: String) -> SinkError {
    SinkError::Systemic {
        code: format!("{code:?}"),
        remedy,
    }
}

fn rejected(code: Code) -> SinkError {
    SinkError::Rejected {
        code: format!("{code:?}"),
        fields: Vec::new(),
        action: "produce",
    }
}

fn retryable(code: Code, ambiguous: bool) -> SinkError {
    SinkError::Retryable {
        code: format!("{code:?}"),
        ambiguous,
        outage: true,
    }
}
