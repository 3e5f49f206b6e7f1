//! kafka_source
