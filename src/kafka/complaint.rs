//! What librdkafka's errors mean for the person who reads the log.
//!
//! Guarantee (G10): codes and remedies, never the broker's own text.

use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use tokio::time::Instant;

/// The same trouble is told this often.
const AGAIN: Duration = Duration::from_secs(30);

/// Where something is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) bootstrap: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) group: &'a str,
}

/// What was told, and when.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    told: Vec<Told>,
}

#[derive(Debug)]
struct Told {
    code: RDKafkaErrorCode,
    at: Instant,
    since: u64,
}

impl Complaints {
    /// What `code` means, and how often it came since that was told, unless that was lately.
    pub(crate) fn tell(
        &mut self,
        place: &Place<'_>,
        code: RDKafkaErrorCode,
    ) -> Option<(String, u64)> {
        let now = Instant::now();
        let lately = |told: &Told| now.duration_since(told.at) < AGAIN;
        // Follows every other trouble with a connection, and says less.
        if code == RDKafkaErrorCode::AllBrokersDown && self.told.iter().any(lately) {
            return None;
        }
        let known = self.told.iter().position(|told| told.code == code);
        let suppressed = match known.and_then(|at| self.told.get_mut(at)) {
            Some(told) if lately(told) => {
                told.since += 1;
                return None;
            }
            Some(told) => {
                told.at = now;
                std::mem::take(&mut told.since)
            }
            None => {
                self.told.push(Told {
                    code,
                    at: now,
                    since: 0,
                });
                0
            }
        };
        Some((meaning(place, code), suppressed))
    }

    /// It works again: the next trouble is told at once.
    pub(crate) fn clear(&mut self) {
        self.told.clear();
    }
}

/// One sentence without an end: what is wrong, and what to do.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "librdkafka has over a hundred codes; those without advice are told by name"
)]
fn meaning(place: &Place<'_>, code: RDKafkaErrorCode) -> String {
    use RDKafkaErrorCode as Code;
    let Place {
        bootstrap,
        topic,
        group,
    } = place;
    match code {
        Code::Authentication | Code::SaslAuthenticationFailed => format!(
            "the broker at {bootstrap} refuses the credentials: correct `sasl.username` and \
             `sasl.password` here or at the broker"
        ),
        Code::UnsupportedSASLMechanism | Code::IllegalSASLState => format!(
            "the broker at {bootstrap} does not speak this SASL mechanism: correct `sasl.mechanism`"
        ),
        Code::SSL => format!(
            "no TLS with the broker at {bootstrap}: correct `ssl.ca.location`, or the names in the \
             broker's certificate"
        ),
        Code::AllBrokersDown | Code::BrokerTransportFailure | Code::OperationTimedOut => {
            format!("the broker at {bootstrap} does not answer")
        }
        Code::Resolve => format!("{bootstrap} is not known to the name server"),
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            format!("topic `{topic}` does not exist at the broker: make it, or correct `topic`")
        }
        Code::TopicAuthorizationFailed => {
            format!("no permission to read topic `{topic}`: grant Read and Describe on it")
        }
        Code::GroupAuthorizationFailed => {
            format!("no permission to use group `{group}`: grant Read on it")
        }
        Code::PollExceeded => format!(
            "group `{group}` took the partitions away because the reader did not ask for longer \
             than `max.poll.interval.ms`"
        ),
        code => format!("Kafka: {code}"),
    }
}

/// Whether a position was lost with this, so that nothing can be read until a person acts.
pub(crate) fn is_lost_position(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AutoOffsetReset | Code::LogTruncation | Code::OffsetOutOfRange | Code::NoOffset
    )
}

/// Whether there is nothing to read for us until somebody makes or grants it.
pub(crate) fn is_absence(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
    )
}

/// Whether a commit was refused because its partitions are somebody else's.
pub(crate) fn is_fence(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::UnknownMemberId
            | Code::IllegalGeneration
            | Code::FencedInstanceId
            | Code::AssignmentLost
            | Code::Fenced
    )
}
