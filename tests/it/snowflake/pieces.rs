//! Rows and appends as they should be.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goldwire::event::{Kind, SubjectState};
use goldwire::sink::pieces::Landed;
use goldwire::sink::{Sink as _, SinkError};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::bench::{Bench, place, sealed, write};

#[tokio::test]
async fn g7_every_change_is_a_row_of_the_columns_that_the_table_has() {
    let bench = Bench::new().await;
    let pieces = bench.process();
    let mut absorbed = write(2, "{}");
    absorbed.changes[0].kind = Kind::Absorbed;
    absorbed.changes[0].state = SubjectState::Absorbed {
        by: Some("entities/w".to_owned()),
    };
    let object = "{\"b\": 0.1,\n \"c\": \"é\"}";
    for answer in pieces.gather(&[write(1, object), absorbed]).await {
        answer.unwrap();
    }
    let seal = pieces.seal(77).unwrap();
    assert_eq!(pieces.gathered().rows, 0);
    assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);

    let rows = bench.fake.rows();
    let mut first = Value::from(rows[0].clone());
    let piece = first["piece"].take();
    assert!(seal.0.ends_with(piece.as_str().unwrap()), "{seal:?}");
    assert!(seal.0.starts_with("log-of-a-test.2.77."), "{seal:?}");
    assert_eq!(
        first,
        json!({
            "piece": null, "id": "id 1", "tenant": "acme", "subject": "entities/a",
            "object_type": "Individual", "kind": "changed", "version": 1, "commit_time": 10,
            "received_time": 15, "observed": false, "state": "alive", "absorbed_by": null,
            "object_exact": null, "object": { "b": 0.1, "c": "é" },
        })
    );
    assert_eq!(rows[1]["kind"], "absorbed");
    assert_eq!(rows[1]["absorbed_by"], "entities/w");
    assert_eq!(rows[1]["object"], Value::Null);
    let channels = bench.fake.channels();
    assert!(
        channels.len() == 1
            && channels[0].starts_with("GOLDWIRE-EVENTS-")
            && channels[0].ends_with("-P2"),
        "{channels:?}"
    );
}

#[tokio::test]
async fn g1_an_append_that_was_answered_has_not_landed_before_it_is_committed() {
    let bench = Bench::new().await;
    let pieces = bench.process();
    let seal = sealed(pieces.as_ref(), 1..=3).await;
    bench.fake.hold(true);
    let landing = pieces.land(&seal);
    tokio::pin!(landing);
    let early = tokio::time::timeout(Duration::from_millis(600), &mut landing).await;
    assert!(early.is_err(), "{early:?}");
    assert_eq!((bench.fake.waiting(), bench.fake.rows().len()), (3, 0));
    bench.fake.hold(false);
    assert_eq!(landing.await.unwrap(), Landed::Yes);
    bench.holds(3);
}

#[tokio::test]
async fn pieces_follow_each_other_in_one_session() {
    let bench = Bench::new().await;
    let pieces = bench.process();
    for first in [1, 3, 5] {
        let seal = sealed(pieces.as_ref(), first..=first + 1).await;
        assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);
    }
    assert!(pieces.seal(8).is_none());
    assert_eq!(bench.fake.appends().0, 3);
    bench.holds(6);
}

/// An object that does not compress.
fn noise(bytes: usize, chance: &mut ChaCha8Rng) -> String {
    let mut noise = vec![0; bytes / 4 * 3];
    chance.fill(noise.as_mut_slice());
    format!("{{\"a\":\"{}\"}}", STANDARD.encode(noise))
}

#[tokio::test]
async fn g8_an_append_is_never_larger_than_snowflake_takes_and_none_is_lost_for_it() {
    let bench = Bench::new().await;
    let pieces = bench.sink(&json!({ "roll": { "rows": 1_000_000, "age": "1d" } }));
    let pieces = pieces.pieces(&place("log")).unwrap();
    let mut chance = ChaCha8Rng::seed_from_u64(11);
    let (mut next, mut left, mut had_no_room) = (1, Vec::new(), 0);
    for _ in 0..3 {
        while !pieces.gathered().is_due(&pieces.limits()) {
            let mut batch = std::mem::take(&mut left);
            for _ in 0..16 {
                let size = chance.random_range(1..400_000);
                batch.push(write(next, &noise(size, &mut chance)));
                next += 1;
            }
            let answers = pieces.gather(&batch).await;
            for (write, answer) in batch.into_iter().zip(answers) {
                match answer {
                    Ok(_) => {}
                    Err(SinkError::Retryable {
                        code,
                        outage: false,
                        ..
                    }) if code == "piece_full" => {
                        had_no_room += 1;
                        left.push(write);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        let seal = pieces.seal(1).unwrap();
        assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);
    }
    let (_, largest) = bench.fake.appends();
    assert!((2_800_000..=4_000_000).contains(&largest), "{largest}");
    let found = bench.fake.rows().len() + left.len();
    assert_eq!(i64::try_from(found).unwrap(), next - 1);
    assert!(had_no_room > 0, "nothing was larger than the room");
}

#[tokio::test]
async fn a_row_that_no_append_takes_is_rejected_alone_and_says_why() {
    let bench = Bench::new().await;
    let pieces = bench.process();
    let mut chance = ChaCha8Rng::seed_from_u64(12);
    let batch = [
        write(1, &noise(6 << 20, &mut chance)),
        write(2, &format!("{{\"a\":\"{}\"}}", "x".repeat(17 << 20))),
        write(3, &format!("{{\"a\":\"{}\"}}", "x".repeat(15 << 20))),
    ];
    let answers = pieces.gather(&batch).await;
    let code = |at: usize| match &answers[at] {
        Err(SinkError::Rejected { code, .. }) => code.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(code(0), "row_above_4_mb");
    assert_eq!(code(1), "object_above_16_mb");
    assert!(answers[2].is_ok(), "{:?}", answers[2]);
    let seal = pieces.seal(1).unwrap();
    assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);
    assert_eq!(bench.fake.rows().len(), 1);
}
