//! What the client makes of Reltio's answers.

use goldwire::reltio::{Found, RecordReader, ReltioError};
use loadtest::fake_reltio::{FakeReltioSettings, Fault};

use super::{START, Stage, client_with, stage};

#[tokio::test]
async fn a_read_finds_the_living_the_survivor_and_nothing() {
    let stage = stage().await;
    let client = stage.client();
    let answer = client.read(&stage.ada).await.unwrap();
    let Found::Alive(ada) = &answer.found else {
        panic!("{answer:?}");
    };
    assert_eq!(ada.uri(), Some(stage.ada.as_str()));
    assert_eq!(ada.object_type(), Some("Individual"));
    // Whole seconds, as Reltio writes them.
    assert_eq!(answer.date, (START + 30_000) / 1000 * 1000);

    let Found::Survivor(by) = client.read(&stage.bob).await.unwrap().found else {
        panic!("a loser is answered with its survivor");
    };
    assert_eq!(by.uri(), Some(stage.ada.as_str()));
    assert_eq!(client.read(&stage.cy).await.unwrap().found, Found::Nothing);
    let unknown = client.read("entities/never").await.unwrap();
    assert_eq!(unknown.found, Found::Nothing);

    let Found::Alive(job) = client.read(&stage.job).await.unwrap().found else {
        panic!("relations are read alike");
    };
    assert_eq!(job.object_type(), Some("Employment"));
}

#[tokio::test]
async fn a_lagging_answer_says_what_was_under_the_date_of_now() {
    let lag = (15_000, 15_000);
    let stage = Stage::new(FakeReltioSettings {
        lag,
        ..FakeReltioSettings::default()
    })
    .await;
    let client = stage.client();
    // 30 s after the start: the merge of second 10 is seen, the removal of second 20 is not.
    let cy = client.read(&stage.cy).await.unwrap();
    assert!(matches!(cy.found, Found::Alive(_)));
    assert_eq!(cy.date, (START + 30_000) / 1000 * 1000);
    let bob = client.read(&stage.bob).await.unwrap();
    assert!(matches!(bob.found, Found::Survivor(_)));
    stage.clock.advance(10);
    assert_eq!(client.read(&stage.cy).await.unwrap().found, Found::Nothing);
}

#[tokio::test]
async fn a_crosswalk_finds_the_entity_that_has_it_and_no_other() {
    let stage = stage().await;
    let client = stage.client();
    let found = client
        .by_crosswalk("SFDC_CONTACT", &stage.contact)
        .await
        .unwrap()
        .found;
    let Found::Alive(owner) = found else {
        panic!("{found:?}");
    };
    // Bob's crosswalk is Ada's since the merge.
    assert_eq!(owner.uri(), Some(stage.ada.as_str()));
    let nobody = [
        ("SFDC_CONTACT", "003000000000000AAA"),
        ("SFDC_CONTACT", "a/b c?d=é"),
        ("SAP", stage.contact.as_str()),
        // Reltio falls back to the entity whose id is the value.
        ("SFDC_CONTACT", stage.ada.strip_prefix("entities/").unwrap()),
    ];
    for (source, value) in nobody {
        let found = client.by_crosswalk(source, value).await.unwrap().found;
        assert_eq!(found, Found::Nothing, "{source} {value}");
    }
    // The default crosswalk's value is the entity's own id.
    let id = stage.ada.strip_prefix("entities/").unwrap();
    let found = client.by_crosswalk("Reltio", id).await.unwrap().found;
    assert!(matches!(found, Found::Alive(_)));
}

#[tokio::test]
async fn a_404_that_is_not_reltios_is_nobodys_death() {
    let stage = stage().await;
    stage.fake.fail_next(Fault::ForeignNotFound);
    let error = stage.client().read(&stage.ada).await.unwrap_err();
    assert!(matches!(error, ReltioError::Refused { .. }), "{error}");
    let elsewhere = client_with(&stage.fake, &stage.clock, |config| {
        config["url"] = stage.fake.url().replace("/acme", "/other").into();
    });
    let error = elsewhere.unwrap().read(&stage.ada).await.unwrap_err();
    assert!(error.to_string().contains("reltio.url"), "{error}");
}

#[tokio::test]
async fn an_answer_without_a_date_is_no_answer() {
    let stage = stage().await;
    stage.fake.fail_next(Fault::UnreadableDate);
    let error = stage.client().read(&stage.ada).await.unwrap_err();
    assert!(matches!(error, ReltioError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn a_uri_that_leads_elsewhere_is_not_sent() {
    let stage = stage().await;
    for uri in [
        "entities/../tenants",
        "entities/_byUris",
        "configuration",
        "entities/",
    ] {
        let error = stage.client().read(uri).await.unwrap_err();
        assert!(matches!(error, ReltioError::Rejected { .. }), "{uri}");
    }
    assert_eq!(stage.fake.counts().requests, 0);
}

#[tokio::test]
async fn g6_what_is_refused_while_others_are_answered_is_the_object_s_own() {
    let stage = stage().await;
    let client = stage.client();
    let refused = || Fault::Status {
        code: 403,
        retry_after: None,
    };
    for fault in [refused(), Fault::UnreadableDate] {
        for _ in 0..4 {
            stage.fake.fail_next(fault);
            let error = client.read(&stage.ada).await.unwrap_err();
            assert!(!matches!(error, ReltioError::Rejected { .. }), "{error}");
            client.read(&stage.cy).await.unwrap();
        }
        stage.fake.fail_next(fault);
        let error = client.read(&stage.ada).await.unwrap_err();
        assert!(matches!(error, ReltioError::Rejected { .. }), "{error}");
    }
}
