//! Snowpipe is told of every file that landed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use goldwire::sink::SinkError;
use goldwire::sink::pieces::{Landed, Pieces, Seal};
use loadtest::fake_snowflake::{
    FILE_PIPE, FakeSnowflake, PRIVATE_KEY, SnowflakeFault, SnowflakeSettings, SnowpipeFile, USER,
};
use serde_json::{Value, json};

use super::pieces::{pieces, writes};

async fn fake() -> FakeSnowflake {
    let fake = FakeSnowflake::start(SnowflakeSettings {
        clock: Arc::new(loadtest::time::SystemClock),
        commit_lag: Duration::ZERO,
        token_life: Duration::from_hours(1),
    });
    fake.await.unwrap()
}

fn config(fake: &FakeSnowflake, pipe: &str) -> Value {
    json!({ "snowpipe": {
        "account": "fake-account", "user": USER, "private_key": PRIVATE_KEY, "pipe": pipe,
        "stage_path": "/bronze/reltio/", "url": fake.url(), "insecure_plain_http": true,
    } })
}

fn process(dir: &Path, fake: &FakeSnowflake) -> Arc<dyn Pieces> {
    pieces(dir, &config(fake, FILE_PIPE))
}

async fn sealed(pieces: &dyn Pieces) -> Seal {
    for answer in pieces.gather(&writes("{\"a\":1}")).await {
        answer.unwrap();
    }
    pieces.seal(7).unwrap()
}

fn paths(fake: &FakeSnowflake) -> Vec<String> {
    fake.told().into_iter().map(|file| file.path).collect()
}

#[tokio::test]
async fn a_file_is_told_with_its_place_below_the_stage_and_its_size_once_it_is_there() {
    let (dir, fake) = (tempfile::tempdir().unwrap(), fake().await);
    let pieces = process(dir.path(), &fake);
    let seal = sealed(pieces.as_ref()).await;
    assert_eq!(fake.told(), []);
    assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);
    let size = std::fs::metadata(dir.path().join(&seal.0)).unwrap().len();
    let file = SnowpipeFile {
        path: format!("bronze/reltio/{}", seal.0),
        size: Some(size),
    };
    assert_eq!(fake.told(), [file]);
}

#[tokio::test]
async fn g3_a_file_of_which_snowpipe_did_not_answer_has_not_landed_and_is_told_again() {
    let (dir, fake) = (tempfile::tempdir().unwrap(), fake().await);
    for (fault, told) in [
        (SnowflakeFault::Unavailable, 1),
        (SnowflakeFault::LoseRequest, 1),
        (SnowflakeFault::LoseAnswer, 2),
    ] {
        let pieces = process(dir.path(), &fake);
        let seal = sealed(pieces.as_ref()).await;
        let before = paths(&fake).len();
        fake.inject(fault);
        let error = pieces.land(&seal).await.unwrap_err();
        let passes = matches!(error, SinkError::Retryable { outage: true, .. });
        assert!(passes, "{fault:?}: {error}");
        assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);
        assert_eq!(paths(&fake).len() - before, told, "{fault:?}");
    }
    fake.inject(SnowflakeFault::Throttle(7));
    let pieces = process(dir.path(), &fake);
    let seal = sealed(pieces.as_ref()).await;
    let error = pieces.land(&seal).await.unwrap_err();
    let pause = Duration::from_secs(7);
    assert!(matches!(error, SinkError::Throttled { pause: it, .. } if it == pause));
}

#[tokio::test]
async fn g1_a_file_that_landed_before_a_crash_is_told_by_who_takes_over_and_no_other_is() {
    let (dir, fake) = (tempfile::tempdir().unwrap(), fake().await);
    let before = process(dir.path(), &fake);
    let seal = sealed(before.as_ref()).await;
    fake.inject(SnowflakeFault::Unavailable);
    before.land(&seal).await.unwrap_err();
    let after = process(dir.path(), &fake);
    assert_eq!(after.landed(&seal).await.unwrap(), Landed::Yes);
    assert_eq!(paths(&fake), [format!("bronze/reltio/{}", seal.0)]);

    let never = sealed(after.as_ref()).await;
    let later = process(dir.path(), &fake);
    assert_eq!(later.landed(&never).await.unwrap(), Landed::Never);
    assert_eq!(paths(&fake).len(), 1, "a file without rows is not told");
}

#[tokio::test]
async fn what_a_person_has_to_mend_is_said() {
    let (dir, fake) = (tempfile::tempdir().unwrap(), fake().await);
    let other = config(&fake, "MDM.RELTIO.OTHER");
    let mut stranger = config(&fake, FILE_PIPE);
    stranger["snowpipe"]["user"] = json!("SOMEONE");
    for (more, code) in [(other, "http 404"), (stranger, "http 401")] {
        let pieces = pieces(dir.path(), &more);
        let seal = sealed(pieces.as_ref()).await;
        let error = pieces.land(&seal).await.unwrap_err();
        let SinkError::Systemic { code: is, remedy } = error else {
            panic!("{error}");
        };
        assert_eq!(is, code);
        assert!(
            remedy.contains("OPERATE") && remedy.contains("RSA_PUBLIC_KEY"),
            "{remedy}"
        );
    }
    assert_eq!(fake.told(), []);
}
