//! Requests and answers that are lost, refused, late.

use std::time::Duration;

use goldwire::sink::pieces::Landed;
use goldwire::sink::{Sink as _, SinkError};
use loadtest::fake_snowflake::SnowflakeFault;
use serde_json::json;

use super::bench::{Bench, halted, sealed};

#[tokio::test]
async fn g5_an_append_whose_answer_or_request_was_lost_is_in_the_table_once() {
    for fault in [SnowflakeFault::LoseAnswer, SnowflakeFault::LoseRequest] {
        let bench = Bench::new().await;
        let pieces = bench.process();
        let seal = sealed(pieces.as_ref(), 1..=3).await;
        bench.fake.inject(fault);
        let lost = pieces.land(&seal).await.unwrap_err();
        assert!(
            matches!(
                lost,
                SinkError::Retryable {
                    ambiguous: true,
                    ..
                }
            ),
            "{lost}"
        );
        // Rows that came meanwhile are in no worse a place for it.
        let next = [super::bench::write(4, "{}")];
        assert!(pieces.gather(&next).await[0].is_ok());
        assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes, "{fault:?}");
        let next = pieces.seal(8).unwrap();
        assert_eq!(pieces.land(&next).await.unwrap(), Landed::Yes, "{fault:?}");
        bench.holds(4);
    }
}

#[tokio::test]
async fn g5_an_append_that_is_buffered_when_its_answer_is_lost_is_not_made_again() {
    let bench = Bench::new().await;
    let pieces = bench.process();
    let seal = sealed(pieces.as_ref(), 1..=3).await;
    bench.fake.hold(true);
    bench.fake.inject(SnowflakeFault::LoseAnswer);
    pieces.land(&seal).await.unwrap_err();
    let landing = pieces.land(&seal);
    tokio::pin!(landing);
    // It is sent again, and refused: its continuation token is used.
    let early = tokio::time::timeout(Duration::from_millis(400), &mut landing).await;
    assert!(early.is_err(), "{early:?}");
    bench.fake.hold(false);
    assert_eq!(landing.await.unwrap(), Landed::Yes);
    assert_eq!(bench.fake.appends().0, 1);
    bench.holds(3);
}

#[tokio::test]
async fn g2_an_append_that_is_never_committed_is_discarded_and_its_records_are_read_again() {
    let bench = Bench::new().await;
    let pieces = bench.process();
    let seal = sealed(pieces.as_ref(), 1..=3).await;
    bench.fake.hold(true);
    assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Never);
    bench.fake.hold(false);
    bench.holds(0);
    let again = sealed(pieces.as_ref(), 1..=3).await;
    assert_eq!(pieces.land(&again).await.unwrap(), Landed::Yes);
    bench.holds(3);
}

#[tokio::test]
async fn a_channel_that_became_invalid_or_a_pipe_that_failed_over_is_opened_again() {
    for fault in [SnowflakeFault::Invalidate, SnowflakeFault::FailOver] {
        let bench = Bench::new().await;
        let pieces = bench.process();
        let first = sealed(pieces.as_ref(), 1..=2).await;
        assert_eq!(pieces.land(&first).await.unwrap(), Landed::Yes);
        let seal = sealed(pieces.as_ref(), 3..=4).await;
        bench.fake.inject(fault);
        assert_eq!(
            pieces.land(&seal).await.unwrap(),
            Landed::Never,
            "{fault:?}"
        );
        let again = sealed(pieces.as_ref(), 3..=4).await;
        assert_eq!(pieces.land(&again).await.unwrap(), Landed::Yes, "{fault:?}");
        bench.holds(4);
    }
}

#[tokio::test]
async fn a_pause_that_snowflake_asks_for_and_an_outage_are_told_and_pass() {
    let bench = Bench::new().await;
    let pieces = bench.process();
    let seal = sealed(pieces.as_ref(), 1..=2).await;
    bench.fake.inject(SnowflakeFault::Throttle(7));
    let throttled = pieces.land(&seal).await.unwrap_err();
    let SinkError::Throttled { pause, .. } = throttled else {
        panic!("{throttled}")
    };
    assert_eq!(pause, Duration::from_secs(7));
    bench.fake.inject(SnowflakeFault::Unavailable);
    let away = pieces.land(&seal).await.unwrap_err();
    assert!(
        matches!(away, SinkError::Retryable { outage: true, .. }),
        "{away}"
    );
    assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);
    bench.holds(2);
}

#[tokio::test]
async fn an_outage_while_the_channel_is_opened_holds_rows_back_and_spends_none() {
    let bench = Bench::new().await;
    let pieces = bench.process();
    for fault in [SnowflakeFault::Unavailable, SnowflakeFault::OpenInProgress] {
        bench.fake.inject(fault);
        let answers = pieces.gather(&[super::bench::write(1, "{}")]).await;
        let error = answers[0].as_ref().unwrap_err();
        assert!(error.is_outage(), "{fault:?}: {error}");
        assert!(pieces.gathered().is_empty());
    }
    let seal = sealed(pieces.as_ref(), 1..=1).await;
    assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);
    bench.holds(1);
}

#[tokio::test]
async fn a_token_that_ended_is_renewed_in_the_middle() {
    let bench = Bench::new().await;
    let pieces = bench.process();
    let seal = sealed(pieces.as_ref(), 1..=2).await;
    assert_eq!(bench.fake.tokens_granted(), 1);
    bench.fake.expire_tokens();
    assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);
    assert_eq!(bench.fake.tokens_granted(), 2);
    bench.holds(2);
}

#[tokio::test]
async fn what_a_person_has_to_grant_or_make_is_said() {
    let bench = Bench::new().await;
    let pieces = bench.process();
    let seal = sealed(pieces.as_ref(), 1..=2).await;
    bench.fake.inject(SnowflakeFault::Forbidden);
    let (code, remedy) = halted(pieces.land(&seal).await);
    assert_eq!(code, "ERR_NOT_AUTHORIZED");
    assert!(
        remedy.contains("INSERT on mdm.RELTIO.GOLDEN_RECORD_CHANGES"),
        "{remedy}"
    );
    // Mended, the sink goes on by itself.
    assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);

    assert_eq!(bench.sink(&json!({})).probe().await, Vec::<String>::new());
    let wrong = bench.sink(&json!({ "table": "ELSEWHERE" })).probe().await;
    assert!(
        wrong.len() == 1 && wrong[0].contains("make mdm.RELTIO.ELSEWHERE"),
        "{wrong:?}"
    );
}
