//! Who may append: processes that take over, ones that wake up late, logs that were made again.

use std::sync::Arc;
use std::time::Duration;

use goldwire::sink::Sink as _;
use goldwire::sink::pieces::Landed;
use loadtest::fake_snowflake::SnowflakeFault;
use serde_json::json;

use super::bench::{Bench, halted, place, sealed};

#[tokio::test]
async fn g5_a_process_that_wakes_up_after_a_takeover_cannot_append_its_piece() {
    let bench = Bench::new().await;
    let (late, owner) = (bench.process(), bench.process());
    let seal = sealed(late.as_ref(), 1..=3).await;
    for _ in 0..2 {
        assert_eq!(owner.landed(&seal).await.unwrap(), Landed::Never);
    }
    assert_eq!(late.land(&seal).await.unwrap(), Landed::Never);
    let again = sealed(owner.as_ref(), 1..=3).await;
    assert_eq!(owner.land(&again).await.unwrap(), Landed::Yes);
    bench.holds(3);
    assert_eq!(bench.fake.appends().0, 1);
}

#[tokio::test]
async fn g5_what_was_not_committed_at_a_takeover_never_is() {
    let bench = Bench::new().await;
    let (late, owner) = (bench.process(), bench.process());
    let seal = sealed(late.as_ref(), 1..=3).await;
    bench.fake.hold(true);
    let landing = tokio::spawn({
        let (late, seal) = (Arc::clone(&late), seal.clone());
        async move { late.land(&seal).await }
    });
    while bench.fake.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(owner.landed(&seal).await.unwrap(), Landed::Never);
    bench.fake.hold(false);
    assert_eq!(landing.await.unwrap().unwrap(), Landed::Never);
    bench.holds(0);
}

#[tokio::test]
async fn g5_what_was_committed_before_a_takeover_is_found() {
    let bench = Bench::new().await;
    let (before, owner) = (bench.process(), bench.process());
    let seal = sealed(before.as_ref(), 1..=3).await;
    bench.fake.inject(SnowflakeFault::LoseAnswer);
    before.land(&seal).await.unwrap_err();
    bench.holds(3);
    for _ in 0..2 {
        assert_eq!(owner.landed(&seal).await.unwrap(), Landed::Yes);
    }
    let next = sealed(owner.as_ref(), 4..=5).await;
    assert_eq!(owner.land(&next).await.unwrap(), Landed::Yes);
    bench.holds(5);
}

#[tokio::test]
async fn g5_a_log_that_was_made_anew_neither_skips_nor_repeats_the_rows_of_the_one_before() {
    let bench = Bench::new().await;
    let before = bench.sink(&json!({})).pieces(&place("first")).unwrap();
    let seal = sealed(before.as_ref(), 1..=3).await;
    assert_eq!(before.land(&seal).await.unwrap(), Landed::Yes);
    // The same positions, other records.
    let anew = bench.sink(&json!({})).pieces(&place("second")).unwrap();
    let seal = sealed(anew.as_ref(), 4..=6).await;
    assert_eq!(anew.landed(&seal).await.unwrap(), Landed::Never);
    let seal = sealed(anew.as_ref(), 4..=6).await;
    assert_eq!(anew.land(&seal).await.unwrap(), Landed::Yes);
    assert_eq!(bench.fake.channels().len(), 2);
    bench.holds(6);
}

#[tokio::test]
async fn a_channel_that_snowflake_deleted_leaves_a_person_to_say_what_nobody_can_know() {
    let bench = Bench::new().await;
    let before = bench.process();
    let seal = sealed(before.as_ref(), 1..=3).await;
    before.land(&seal).await.unwrap();
    let never = bench.process();
    let young = sealed(bench.process().as_ref(), 4..=4).await;
    assert_eq!(never.landed(&young).await.unwrap(), Landed::Never);

    bench.time.pass_days(31);
    for _ in 0..2 {
        let (code, remedy) = halted(bench.process().landed(&seal).await);
        assert_eq!(code, "channel_lost");
        let count = "SELECT COUNT(*) FROM mdm.RELTIO.GOLDEN_RECORD_CHANGES WHERE piece = '";
        assert!(
            remedy.contains(count) && remedy.contains("if it is 3"),
            "{remedy}"
        );
    }
    assert_eq!(
        bench.fake.channels(),
        Vec::<String>::new(),
        "nothing was opened"
    );
    for (said, expected) in [("committed", Landed::Yes), ("not_committed", Landed::Never)] {
        let told = bench.sink(&json!({ "lost_channel": said }));
        let told = told.pieces(&place("log-of-a-test")).unwrap();
        assert_eq!(told.landed(&seal).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn the_piece_of_another_kind_of_sink_was_never_appended_here() {
    let bench = Bench::new().await;
    let file = "date=2026-11-30/log-p2-000000000077-1f.parquet".to_owned();
    let file = goldwire::sink::pieces::Seal(file);
    assert_eq!(bench.process().landed(&file).await.unwrap(), Landed::Never);
}

#[tokio::test]
async fn an_owner_whose_channel_another_opened_finds_out_in_bounded_time() {
    let bench = Bench::new().await;
    let owner = bench.process();
    let seal = sealed(owner.as_ref(), 1..=3).await;
    bench.fake.hold(true);
    let landing = owner.land(&seal);
    tokio::pin!(landing);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut landing).await;
    assert!(early.is_err(), "{early:?}");
    // One that does not know yet that the partition is not its own.
    sealed(bench.process().as_ref(), 1..=3).await;
    bench.fake.hold(false);
    assert_eq!(landing.await.unwrap(), Landed::Never);
    bench.holds(0);
}
