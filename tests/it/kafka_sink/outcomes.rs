//! What becomes of a row when something is wrong.

use goldwire::sink::{Sink as _, SinkError};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::json;

use super::{TOPIC, cluster, read, sink, write};

const TEXT: &str = r#"{"uri":"entities/a"}"#;

#[tokio::test]
async fn g7_a_row_that_is_too_long_is_rejected_and_the_others_are_delivered() {
    let cluster = cluster(&[TOPIC]);
    let sink = sink(
        &cluster,
        &json!({ "properties": { "message.max.bytes": "5000" } }),
    );
    let long = format!(r#"{{"pad":"{}"}}"#, "x".repeat(6_000));
    let batch = [
        write("entities/a", 1, Some(TEXT)),
        write("entities/b", 1, Some(&long)),
        write("entities/c", 1, Some(TEXT)),
    ];
    let answers = sink.write(&batch).await;
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    let Err(error @ SinkError::Rejected { .. }) = &answers[1] else {
        panic!("{answers:?}");
    };
    assert_eq!(error.code(), "MessageSizeTooLarge");
    assert_eq!(read(&cluster, TOPIC).len(), 2);
}

#[tokio::test]
async fn a_broker_that_takes_less_than_the_producer_sends_halts_the_sink_and_blames_no_row() {
    let cluster = cluster(&[TOPIC]);
    let sink = sink(&cluster, &json!({}));
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
    let batch = ["entities/a", "entities/b"].map(|uri| write(uri, 1, Some(TEXT)));
    let answers = sink.write(&batch).await;
    let halted = |answer: &Result<_, SinkError>| matches!(answer, Err(SinkError::Systemic { remedy, .. }) if remedy.contains("max.message.bytes"));
    assert!(answers.iter().any(halted), "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|answer| answer.is_ok() || halted(answer))
    );
}

#[tokio::test]
async fn a_missing_right_and_a_missing_topic_halt_the_sink_with_the_remedy() {
    let cluster = cluster(&[TOPIC]);
    let more = json!({ "properties": { "topic.metadata.propagation.max.ms": "100" } });
    let sink = sink(&cluster, &more);
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
    let answer = sink.write_one(&write("entities/a", 1, Some(TEXT))).await;
    assert!(
        matches!(&answer, Err(SinkError::Systemic { remedy, .. }) if remedy.contains("grant Write")),
        "{answer:?}"
    );
    let unknown = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    cluster.topic_error("nowhere", unknown).unwrap();
    let more = json!({
        "topics": { "Individual": "nowhere" },
        "properties": { "topic.metadata.propagation.max.ms": "100" }
    });
    let sink = super::sink(&cluster, &more);
    let answer = sink.write_one(&write("entities/a", 1, Some(TEXT))).await;
    assert!(
        matches!(&answer, Err(SinkError::Systemic { remedy, .. }) if remedy.contains("`nowhere` does not exist")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn g4_a_broker_that_is_away_makes_the_outcome_ambiguous_and_the_next_write_works() {
    let cluster = cluster(&[TOPIC]);
    let sink = sink(&cluster, &json!({ "delivery_timeout": "1s" }));
    // A connection is made within seconds.
    let written = async |version| loop {
        let answer = sink
            .write_one(&write("entities/a", version, Some(TEXT)))
            .await;
        if !matches!(answer, Err(SinkError::Retryable { .. })) {
            return answer.unwrap();
        }
    };
    written(1).await;
    cluster.broker_down(1).unwrap();
    let answer = sink.write_one(&write("entities/a", 2, Some(TEXT))).await;
    assert!(
        matches!(
            answer,
            Err(SinkError::Retryable {
                ambiguous: true,
                outage: true,
                ..
            })
        ),
        "{answer:?}"
    );
    cluster.broker_up(1).unwrap();
    written(3).await;
    assert!(sink.capabilities().reassert_after.is_some());
    let found = read(&cluster, TOPIC);
    assert_eq!(found.last().unwrap().header("version"), Some("3"));
}

#[tokio::test]
async fn after_a_fatal_error_another_producer_is_made() {
    let cluster = cluster(&[TOPIC]);
    let sink = sink(&cluster, &json!({}));
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::InitProducerId, &[error]);
    let answer = sink.write_one(&write("entities/a", 1, Some(TEXT))).await;
    assert!(answer.is_err(), "{answer:?}");
    sink.write_one(&write("entities/a", 1, Some(TEXT)))
        .await
        .unwrap();
    assert_eq!(read(&cluster, TOPIC).len(), 1);
}

#[tokio::test]
async fn g7_a_write_that_was_given_up_leaves_nothing_that_the_next_could_be_confused_with() {
    let cluster = cluster(&[TOPIC]);
    let sink = sink(&cluster, &json!({ "queue": "1MiB" }));
    let text = format!(r#"{{"pad":"{}"}}"#, "x".repeat(100_000));
    let many: Vec<_> = (1..40)
        .map(|version| write("entities/a", version, Some(&text)))
        .collect();
    {
        let mut given_up = Box::pin(sink.write(&many));
        assert!(futures::poll!(&mut given_up).is_pending());
    }
    let answers = sink.write(&many[..3]).await;
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

#[tokio::test]
async fn the_probe_names_a_topic_that_is_not_there() {
    let cluster = cluster(&[TOPIC]);
    let good = sink(&cluster, &json!({}));
    assert_eq!(good.probe().await, Vec::<String>::new());
    let unknown = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    cluster.topic_error("nowhere", unknown).unwrap();
    let bad = sink(&cluster, &json!({ "topics": { "Individual": "nowhere" } }));
    let found = bad.probe().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("`nowhere` does not exist"), "{found:?}");
    assert_eq!(read(&cluster, TOPIC).len(), 0, "a probe leaves no trace");
}
