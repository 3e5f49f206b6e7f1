//! Against a fake Power BI.

use std::time::Duration;

use loadtest::fake_power_bi::{
    CLIENT, DATASET, FakePowerBi, GROUP, PowerBiFault, PowerBiSettings, SECRET, TENANT,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::world::{DAY, HOUR, INSTANCES, MIDNIGHT, World, clocks};
use crate::refresh::RefreshConfig;
use crate::time::Millis;

/// A refresh lasts so long.
const LASTS: Duration = Duration::from_mins(10);
/// Longer than it takes until a change is seen, or a partition.
const NOTICED: Duration = Duration::from_secs(40);
/// Longer than it takes until a request without an answer is known not to have been sent.
const SURE: Duration = Duration::from_mins(4);

fn config(fake: &FakePowerBi, enhanced: bool) -> RefreshConfig {
    let mut config = json!({
        "after": "lake", "budget_per_day": 8, "min_interval": "15m",
        "power_bi": {
            "tenant_id": TENANT, "client_id": CLIENT, "client_secret": SECRET,
            "group_id": GROUP, "dataset_id": DATASET,
            "login_url": fake.url(), "url": fake.url(), "insecure_plain_http": true,
        },
    });
    if enhanced {
        config["power_bi"]["enhanced"] = json!({ "type": "full" });
    }
    serde_json::from_value(config).unwrap()
}

/// A shared capacity, and three instances of which the first has the first partition.
async fn world() -> (FakePowerBi, World) {
    of(Some(8), false).await
}

async fn of(daily: Option<usize>, enhanced: bool) -> (FakePowerBi, World) {
    let (clock, theirs) = clocks();
    let fake = FakePowerBi::start(PowerBiSettings {
        clock: theirs,
        daily,
        lasts: LASTS,
        token_life: Duration::from_hours(1),
    });
    let fake = fake.await.unwrap();
    let world = World::new(&clock, &config(&fake, enhanced));
    world.own(0);
    (fake, world)
}

/// When refreshes were started, ms after midnight.
fn starts(fake: &FakePowerBi) -> Vec<Millis> {
    let all = fake.refreshes().into_iter();
    all.map(|refresh| refresh.started - MIDNIGHT).collect()
}

#[tokio::test(start_paused = true)]
async fn with_a_budget_of_8_every_change_is_refreshed_within_3_hours_whoever_has_the_partition() {
    for seed in 0..2 {
        let (fake, world) = world().await;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut changes = Vec::new();
        // A quiet morning, then work around the clock, and one more at 23:59.
        let (mut now, late) = (rng.random_range(0..6 * HOUR), 2 * DAY - 60_000);
        let until = |now: Millis| Duration::from_millis(u64::try_from(now).unwrap());
        world.pass(until(now)).await;
        while now < late {
            world.change(rng.random_range(0..2));
            changes.push(now);
            if rng.random_bool(0.1) {
                world.own(rng.random_range(0..INSTANCES));
            }
            let wait = rng.random_range(60_000..20 * 60_000).min(late - now);
            now += wait;
            world.pass(until(wait)).await;
        }
        world.change(0);
        changes.push(late);
        world.pass(Duration::from_hours(12)).await;
        let starts = starts(&fake);
        for change in &changes {
            let by = change + 3 * HOUR + 40_000;
            let seen = starts.iter().any(|start| (*change..=by).contains(start));
            assert!(seen, "seed {seed}: {change} of {starts:?}");
        }
        for start in &starts {
            let day = starts
                .iter()
                .filter(|other| (*start..start + DAY).contains(other));
            assert!(day.count() <= 8, "seed {seed}: {starts:?}");
        }
        // Power BI never had to refuse one.
        let answers = fake.answers();
        assert!(answers.iter().all(|status| *status == 202), "{answers:?}");
        assert!(starts.len() >= 14, "{starts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_change_is_refreshed_once_and_none_not_at_all() {
    let (fake, world) = world().await;
    world.pass(Duration::from_hours(24)).await;
    assert!(starts(&fake).is_empty());
    world.change(1);
    world.pass(Duration::from_hours(48)).await;
    assert_eq!(starts(&fake).len(), 1);
    for instance in [1, 2, 0] {
        world.own(instance);
        world.pass(Duration::from_hours(12)).await;
    }
    assert_eq!(starts(&fake).len(), 1, "whoever takes over knows of it");
    assert_eq!(fake.refreshes()[0].kind, "ViaApi");
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_a_refresh_is_under_way_is_in_the_next() {
    let (fake, world) = world().await;
    world.change(0);
    world.pass(NOTICED).await;
    assert_eq!(starts(&fake).len(), 1);
    for _ in 0..20 {
        world.change(0);
        world.pass(Duration::from_secs(20)).await;
    }
    world.pass(Duration::from_hours(24)).await;
    let starts = starts(&fake);
    assert_eq!(starts.len(), 2, "all of them in one");
    assert!(starts[1] - starts[0] >= 3 * HOUR, "{starts:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_is_looked_for_and_the_refresh_not_asked_for_again() {
    for dies in [false, true] {
        let (fake, world) = world().await;
        fake.inject(PowerBiFault::LoseAnswer);
        world.change(0);
        world.pass(NOTICED).await;
        if dies {
            world.kill(0);
            world.own(1);
        }
        world.pass(Duration::from_hours(24)).await;
        assert_eq!(
            (starts(&fake).len(), fake.answers().len()),
            (1, 1),
            "{dies}"
        );
        // Its part of the budget is spent.
        world.change(0);
        world.pass(Duration::from_hours(24)).await;
        let starts = starts(&fake);
        assert!(
            starts.len() == 2 && starts[1] - starts[0] >= 3 * HOUR,
            "{starts:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_lost_is_made_again_once_it_is_sure_that_nothing_was_started() {
    for dies in [false, true] {
        let (fake, world) = world().await;
        fake.inject(PowerBiFault::LoseRequest);
        world.change(0);
        world.pass(NOTICED).await;
        if dies {
            world.kill(0);
            world.own(2);
        }
        assert!(starts(&fake).is_empty());
        world.pass(SURE).await;
        assert_eq!(
            (starts(&fake).len(), fake.answers().len()),
            (1, 2),
            "{dies}"
        );
        world.pass(Duration::from_hours(24)).await;
        assert_eq!(starts(&fake).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_lost_the_partition_without_being_told_asks_for_nothing() {
    let (fake, world) = world().await;
    world.pass(NOTICED).await;
    world.lose_silently(1);
    world.change(0);
    world.pass(Duration::from_hours(1)).await;
    assert_eq!(fake.answers(), Vec::<u16>::new());
    world.own(1);
    world.pass(NOTICED).await;
    assert_eq!(fake.answers(), [202]);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_of_somebody_else_that_is_under_way_is_waited_for() {
    let (fake, world) = world().await;
    fake.scheduled();
    world.change(0);
    world.pass(Duration::from_mins(5)).await;
    assert!(
        fake.answers().iter().all(|status| *status == 409),
        "{:?}",
        fake.answers()
    );
    world.pass(Duration::from_hours(24)).await;
    let refreshes = fake.refreshes();
    assert_eq!(
        refreshes.len(),
        2,
        "the change may not be in the one that ran"
    );
    assert_eq!(refreshes[1].kind, "ViaApi");
    assert_eq!(fake.answers().last(), Some(&202));
}

#[tokio::test(start_paused = true)]
async fn where_the_service_has_spent_the_budget_the_next_one_is_waited_for() {
    let (fake, world) = of(Some(2), false).await;
    for _ in 0..2 {
        fake.scheduled();
        world.pass(Duration::from_hours(1)).await;
    }
    world.change(0);
    world.pass(Duration::from_hours(1)).await;
    assert!(
        fake.answers().iter().all(|status| *status == 400),
        "{:?}",
        fake.answers()
    );
    assert!(fake.answers().len() < 10, "{:?}", fake.answers());
    world.pass(Duration::from_hours(24)).await;
    let starts = starts(&fake);
    assert!(starts.len() == 3 && starts[2] < DAY + HOUR, "{starts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_ended_is_renewed_and_a_pause_that_is_asked_for_is_made() {
    let (fake, world) = world().await;
    world.change(0);
    world.pass(Duration::from_mins(20)).await;
    let granted = fake.tokens_granted();
    fake.expire_tokens();
    world.pass(Duration::from_hours(4)).await;
    world.change(0);
    world.pass(NOTICED).await;
    assert!(fake.tokens_granted() > granted);
    assert_eq!(starts(&fake).len(), 2);

    world.pass(Duration::from_hours(4)).await;
    fake.inject(PowerBiFault::Throttle(600));
    world.change(0);
    world.pass(Duration::from_mins(9)).await;
    assert_eq!(fake.answers(), [202, 202, 429]);
    world.pass(Duration::from_mins(3)).await;
    assert_eq!(fake.answers(), [202, 202, 429, 202]);

    // The service fails, and says nothing of what it did: it is looked, and then asked again.
    world.pass(Duration::from_hours(4)).await;
    fake.inject(PowerBiFault::Unavailable);
    world.change(0);
    world.pass(SURE + NOTICED).await;
    assert_eq!(fake.answers()[4..], [503, 202]);
    assert_eq!(starts(&fake).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_failed_is_asked_for_again_in_its_turn() {
    let (fake, world) = world().await;
    fake.inject(PowerBiFault::Fail);
    world.change(0);
    world.pass(Duration::from_hours(2)).await;
    assert_eq!(starts(&fake).len(), 1);
    world.pass(Duration::from_hours(24)).await;
    let starts = starts(&fake);
    assert!(
        starts.len() == 2 && starts[1] - starts[0] >= 3 * HOUR,
        "{starts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_enhanced_refresh_is_one_on_premium_capacity_and_refused_on_a_shared_one() {
    let (fake, world) = of(None, true).await;
    world.change(0);
    world.pass(Duration::from_hours(1)).await;
    let refreshes = fake.refreshes();
    assert_eq!(refreshes.len(), 1);
    assert_eq!(refreshes[0].kind, "ViaEnhancedApi");
    assert_eq!(
        refreshes[0].body,
        json!({ "type": "full", "retryCount": 0 })
    );

    let (fake, world) = of(Some(8), true).await;
    world.change(0);
    world.pass(Duration::from_hours(1)).await;
    assert!(fake.refreshes().is_empty());
    let asked = fake.answers().len();
    assert!((5..20).contains(&asked), "asked now and then: {asked}");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_of_another_client_is_not_taken_for_one_that_was_dropped() {
    let (fake, world) = of(None, true).await;
    fake.inject(PowerBiFault::Drop);
    world.change(0);
    world.pass(NOTICED).await;
    fake.another_client();
    assert_eq!((starts(&fake).len(), fake.answers()), (1, vec![202]));
    world.pass(Duration::from_hours(24)).await;
    assert_eq!(fake.answers(), [202, 202], "it is asked for again");
    assert_eq!(starts(&fake).len(), 2);
}
