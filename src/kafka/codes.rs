//! What librdkafka's codes mean for a client.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// The code of an error.
pub(crate) fn code(error: &KafkaError) -> Code {
    error.rdkafka_error_code().unwrap_or(Code::Unknown)
}

/// Whether the producer is of no use any more.
pub(crate) fn is_fatal(code: Code) -> bool {
    matches!(
        code,
        Code::Fatal
            // No producer id, so an idempotent producer never gets further.
            | Code::ClusterAuthorizationFailed
            | Code::Fenced
            | Code::OutOfOrderSequenceNumber
            | Code::InvalidProducerEpoch
            | Code::UnknownProducerId
            | Code::ProducerFenced
            | Code::InvalidProducerIdMapping
    )
}
