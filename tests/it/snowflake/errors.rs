//! Rows that Snowflake refuses when it commits them: 200 was answered long before.

use goldwire::sink::Sink as _;
use goldwire::sink::pieces::Landed;
use loadtest::fake_snowflake::{RowErrors, SnowflakeFault};

use serde_json::json;

use super::bench::{Bench, halted, place, sealed};

#[tokio::test]
async fn g2_rows_that_were_all_refused_halt_the_sink_and_are_appended_once_it_is_mended() {
    let bench = Bench::new().await;
    let pieces = bench.process();
    bench.fake.refuse(RowErrors::All);
    let seal = sealed(pieces.as_ref(), 1..=3).await;
    for _ in 0..2 {
        let (code, remedy) = halted(pieces.land(&seal).await);
        assert_eq!(code, "rows_refused");
        assert!(remedy.contains("refused 3 of 3 rows"), "{remedy}");
        assert!(remedy.contains("column \"VERSION\""), "{remedy}");
        assert!(!remedy.contains("Ada"), "G10: {remedy}");
    }
    bench.holds(0);
    bench.fake.refuse(RowErrors::None);
    assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);
    let next = sealed(pieces.as_ref(), 4..=5).await;
    assert_eq!(pieces.land(&next).await.unwrap(), Landed::Yes);
    bench.holds(5);
}

#[tokio::test]
async fn g2_a_takeover_finds_that_rows_were_refused_and_has_them_read_again() {
    let bench = Bench::new().await;
    let before = bench.process();
    bench.fake.refuse(RowErrors::All);
    let seal = sealed(before.as_ref(), 1..=3).await;
    bench.fake.inject(SnowflakeFault::LoseAnswer);
    before.land(&seal).await.unwrap_err();
    let owner = bench.process();
    for _ in 0..2 {
        assert_eq!(owner.landed(&seal).await.unwrap(), Landed::Never);
    }
    bench.fake.refuse(RowErrors::None);
    let again = sealed(owner.as_ref(), 1..=3).await;
    assert_eq!(owner.land(&again).await.unwrap(), Landed::Yes);
    bench.holds(3);
}

#[tokio::test]
async fn g5_a_takeover_finds_the_attempt_that_was_committed_after_one_that_was_refused() {
    let bench = Bench::new().await;
    let before = bench.process();
    bench.fake.refuse(RowErrors::All);
    let seal = sealed(before.as_ref(), 1..=3).await;
    halted(before.land(&seal).await);
    bench.fake.refuse(RowErrors::None);
    bench.fake.inject(SnowflakeFault::LoseAnswer);
    before.land(&seal).await.unwrap_err();
    assert_eq!(bench.process().landed(&seal).await.unwrap(), Landed::Yes);
    bench.holds(3);
}

#[tokio::test]
async fn rows_of_which_some_were_refused_are_not_appended_again_before_a_person_took_them_out() {
    let bench = Bench::new().await;
    let pieces = bench.process();
    let one = RowErrors::Where("id", "id 2".to_owned());
    bench.fake.refuse(one);
    let seal = sealed(pieces.as_ref(), 1..=3).await;
    let (code, remedy) = halted(pieces.land(&seal).await);
    assert_eq!(code, "rows_refused_in_part");
    let piece = seal.0.rsplit('.').next().unwrap();
    let delete = format!("DELETE FROM mdm.RELTIO.GOLDEN_RECORD_CHANGES WHERE piece = '{piece}'");
    assert!(remedy.contains(&delete), "{remedy}");
    bench.fake.refuse(RowErrors::None);
    for _ in 0..3 {
        assert_eq!(halted(pieces.land(&seal).await).0, code);
    }
    assert_eq!(bench.fake.appends().0, 1, "nothing is doubled by itself");
    for _ in 0..2 {
        let restarted = bench.process();
        assert_eq!(
            halted(restarted.landed(&seal).await),
            (code.clone(), remedy.clone())
        );
    }
    assert!(
        remedy.contains(&format!("deleted_pieces: [\"{piece}\"]")),
        "{remedy}"
    );
    let restarted = bench.sink(&json!({ "deleted_pieces": [piece] }));
    let restarted = restarted.pieces(&place("log-of-a-test")).unwrap();
    assert_eq!(restarted.landed(&seal).await.unwrap(), Landed::Never);
    let again = sealed(restarted.as_ref(), 1..=3).await;
    assert_eq!(restarted.land(&again).await.unwrap(), Landed::Yes);
    let rows = bench.fake.rows();
    let rows = rows.iter().filter(|row| row["piece"] != piece);
    assert_eq!(rows.count(), 3, "with the DELETE, each once");
}

#[tokio::test]
async fn refused_rows_of_a_piece_before_do_not_count_against_one_that_is_whole() {
    let bench = Bench::new().await;
    let pieces = bench.process();
    bench.fake.refuse(RowErrors::All);
    let seal = sealed(pieces.as_ref(), 1..=3).await;
    halted(pieces.land(&seal).await);
    bench.fake.refuse(RowErrors::None);
    assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);
    let next = sealed(pieces.as_ref(), 4..=4).await;
    bench.fake.inject(SnowflakeFault::LoseAnswer);
    pieces.land(&next).await.unwrap_err();
    assert_eq!(bench.process().landed(&next).await.unwrap(), Landed::Yes);
    bench.holds(4);
}
