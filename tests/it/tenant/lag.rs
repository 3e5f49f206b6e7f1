//! What a lagging API says of the simulated tenant.

use std::sync::Arc;

use goldwire::reltio::{Found, RecordReader};
use loadtest::fake_reltio::{FakeReltio, FakeReltioSettings};
use loadtest::tenant::ObjectState;

use super::super::reltio_client::{HandClock, client_with};
use super::{script, settings};

#[tokio::test]
async fn the_fake_answers_with_the_state_of_now_less_its_lag() {
    const LAG: i64 = 700;
    let settings = settings();
    let simulator = script();
    let tenant = simulator.tenant();
    let clock = HandClock::at(settings.start);
    let lagging = FakeReltioSettings {
        lag: (LAG, LAG),
        ..FakeReltioSettings::default()
    };
    let shared = Arc::clone(&clock);
    let fake = FakeReltio::start(&lagging, simulator.tenant(), shared)
        .await
        .unwrap();
    let client = client_with(&fake, &clock, |_| {}).unwrap();
    let uris: Vec<_> = tenant.subjects().map(|(uri, _)| uri.to_owned()).collect();
    let (mut alive, mut survivors, mut nothing) = (0, 0, 0);
    for now in (0..=settings.duration + LAG).step_by(1500) {
        let now = settings.start + now;
        clock.set(now);
        for uri in uris.iter().step_by(17) {
            let answer = client.read(uri).await.unwrap();
            assert_eq!(answer.date, now / 1000 * 1000);
            let state = tenant.moment(uri, now - LAG).map(|moment| &moment.state);
            match (answer.found, state) {
                (Found::Alive(object), Some(ObjectState::Alive(truth))) => {
                    assert_eq!(object.json(), truth.as_ref());
                    alive += 1;
                }
                (Found::Survivor(object), Some(ObjectState::Absorbed { by })) => {
                    let truth = tenant.read(by, now - LAG).unwrap();
                    assert_eq!(object.json(), truth.as_ref());
                    survivors += 1;
                }
                (Found::Nothing, Some(ObjectState::Absorbed { by })) => {
                    assert_eq!(tenant.read(by, now - LAG), None);
                }
                (Found::Nothing, None | Some(ObjectState::Removed | ObjectState::Erased)) => {
                    nothing += 1;
                }
                (found, state) => panic!("{uri}: {found:?} where it was {state:?}"),
            }
        }
    }
    assert!(alive > 0 && survivors > 0 && nothing > 0);
}
