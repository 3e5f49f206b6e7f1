//! Requests of many rows that fail as a whole, and what triggers and flows wrap.

use goldwire::sink::SinkError;
use loadtest::fake_salesforce::{Automation, Faults, Once, Settings, Told};
use serde_json::json;

use super::bench::{bench, bench_with, contact, golden};
use super::faults::many;

const ALL: [Told; 3] = [Told::ByTrigger, Told::ByFlow, Told::ByRequest];

#[tokio::test]
async fn g7_a_batch_beyond_the_limits_of_the_org_s_automation_is_halved_and_no_row_rejected() {
    for told in ALL {
        let bench = bench().await;
        let automation = Automation {
            told,
            rows: 7,
            fails_on: None,
        };
        bench.org.set_faults(Faults {
            automation: Some(automation),
            ..Faults::default()
        });
        let fine = many(&bench, 0, 60).await;
        assert!(fine.iter().all(Result::is_ok), "{told:?}: {fine:?}");
        assert_eq!(bench.contacts().len(), 60, "{told:?}");
    }
}

#[tokio::test]
async fn g7_a_row_on_which_a_trigger_fails_for_all_is_found_and_rejected_alone() {
    for told in ALL {
        let bench = bench().await;
        let automation = Automation {
            told,
            rows: 0,
            fails_on: Some("N17"),
        };
        bench.org.set_faults(Faults {
            automation: Some(automation),
            ..Faults::default()
        });
        let answers = many(&bench, 0, 60).await;
        for (n, answer) in answers.iter().enumerate() {
            let rejected = matches!(
                answer,
                Err(SinkError::Rejected {
                    action: "create",
                    ..
                })
            );
            assert_eq!(rejected, n == 17, "{told:?}, row {n}: {answer:?}");
            assert_eq!(answer.is_ok(), n != 17, "{told:?}, row {n}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn g7_a_row_that_exceeds_a_limit_alone_is_rejected() {
    let bench = bench().await;
    let automation = Automation {
        told: Told::ByTrigger,
        rows: 1,
        fails_on: Some("N0"),
    };
    bench.org.set_faults(Faults {
        automation: Some(automation),
        ..Faults::default()
    });
    let answers = many(&bench, 0, 3).await;
    assert!(
        matches!(&answers[0], Err(SinkError::Rejected { code, .. })
            if code == "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"),
        "{answers:?}"
    );
    assert!(answers[1..].iter().all(Result::is_ok), "{answers:?}");
}

#[tokio::test]
async fn a_lock_that_a_trigger_or_a_flow_met_is_a_lock() {
    for told in ALL {
        let bench = bench().await;
        bench.org.inject(Once::LockWithin(told));
        let locked = bench.lives(&golden("entities/a", "Ada", &[]), 1).await;
        assert!(
            matches!(
                &locked,
                Err(SinkError::Retryable { code, ambiguous: false, outage: false })
                    if code == "UNABLE_TO_LOCK_ROW"
            ),
            "{told:?}: {locked:?}"
        );
    }
}

#[tokio::test]
async fn a_write_that_is_too_large_as_a_whole_is_halved() {
    let bench = bench().await;
    bench.org.set_faults(Faults {
        largest_body: 2000,
        ..Faults::default()
    });
    let fine = many(&bench, 0, 60).await;
    assert!(fine.iter().all(Result::is_ok), "{fine:?}");
    assert_eq!(bench.contacts().len(), 60);
}

#[tokio::test]
async fn no_write_has_more_rows_than_the_configured_batch() {
    let bench = bench_with(Settings::of(vec![contact()]), |config| {
        config["batch"] = json!(9);
    })
    .await;
    assert!(many(&bench, 0, 60).await.iter().all(Result::is_ok));
    let seen = bench.org.seen();
    let mut writes = seen.iter().filter(|seen| seen.method != "QUERY");
    assert!(writes.all(|seen| seen.rows <= 9), "{seen:?}");
}
