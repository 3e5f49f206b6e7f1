//! Against a fake Tableau.

use std::time::Duration;

use loadtest::fake_tableau::{
    APP_CLIENT, APP_SECRET, APP_SECRET_ID, APP_USER, DATASOURCE, FakeTableau, SITE, TOKEN_NAME,
    TOKEN_SECRET, TableauFault, TableauSettings,
};
use serde_json::{Value, json};

use super::world::{World, clocks};

const WAITS: Duration = Duration::from_mins(5);
const LASTS: Duration = Duration::from_mins(10);
const NOTICED: Duration = Duration::from_secs(40);

/// What a fake is like, but for its times.
#[derive(Clone, Copy)]
struct Like {
    is_admin: bool,
    refuses_while_running: bool,
}

const ADMIN: Like = Like {
    is_admin: true,
    refuses_while_running: true,
};
const USER: Like = Like {
    is_admin: false,
    ..ADMIN
};

fn by_token() -> Value {
    json!({ "personal_access_token": { "name": TOKEN_NAME, "secret": TOKEN_SECRET } })
}

fn by_app() -> Value {
    json!({ "connected_app": {
        "client_id": APP_CLIENT, "secret_id": APP_SECRET_ID, "secret": APP_SECRET,
        "username": APP_USER,
    } })
}

async fn world(like: Like, proof: Value) -> (FakeTableau, World) {
    let (clock, theirs) = clocks();
    let fake = FakeTableau::start(TableauSettings {
        clock: theirs,
        waits: WAITS,
        lasts: LASTS,
        session_life: Duration::from_hours(4),
        is_admin: like.is_admin,
        refuses_while_running: like.refuses_while_running,
    });
    let fake = fake.await.unwrap();
    let mut tableau = json!({
        "url": fake.url(), "site": SITE, "datasource": DATASOURCE, "insecure_plain_http": true,
    });
    let more = proof.as_object().unwrap().clone();
    tableau.as_object_mut().unwrap().extend(more);
    let config = json!({ "after": "lake", "budget_per_day": 24, "tableau": tableau });
    let world = World::new(&clock, &serde_json::from_value(config).unwrap());
    world.own(0);
    (fake, world)
}

/// Statuses of the answers so far, but for those that a session had ended.
fn without_401(fake: &FakeTableau) -> Vec<u16> {
    let answers = fake.answers().into_iter();
    answers.filter(|status| *status != 401).collect()
}

#[tokio::test(start_paused = true)]
async fn one_change_is_one_job_whoever_signs_in_and_however_instances_change() {
    for proof in [by_token(), by_app()] {
        let (fake, world) = world(USER, proof).await;
        world.change(0);
        world.pass(NOTICED).await;
        assert_eq!(fake.jobs().len(), 1);
        world.own(1);
        world.pass(Duration::from_hours(24)).await;
        assert_eq!(fake.jobs().len(), 1);
        world.change(1);
        world.pass(Duration::from_hours(24)).await;
        assert_eq!(fake.jobs().len(), 2);
        assert_eq!(without_401(&fake), [202, 202]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_queued_already_is_taken_for_the_one_that_was_asked_for() {
    let (fake, world) = world(ADMIN, by_token()).await;
    fake.queue();
    world.change(0);
    world.pass(Duration::from_hours(24)).await;
    assert_eq!((fake.jobs().len(), fake.answers()), (1, vec![409]));
    world.change(0);
    world.pass(Duration::from_hours(1)).await;
    assert_eq!(fake.jobs().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_has_begun_may_lack_the_change_and_another_is_queued_after_it() {
    // Who may not list jobs does not know whether it has begun.
    for (like, before) in [(ADMIN, WAITS + NOTICED), (USER, Duration::ZERO)] {
        let (fake, world) = world(like, by_token()).await;
        fake.queue();
        world.pass(before).await;
        world.change(0);
        world.pass(Duration::from_hours(24)).await;
        let (jobs, answers) = (fake.jobs(), fake.answers());
        assert_eq!(jobs.len(), 2, "{answers:?}");
        assert!(jobs[1].begins >= jobs[0].ends);
        assert_eq!(answers.last(), Some(&202));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_is_looked_for_by_the_next_instance_too() {
    let (fake, world) = world(ADMIN, by_token()).await;
    fake.inject(TableauFault::LoseAnswer);
    world.change(0);
    world.pass(NOTICED).await;
    world.kill(0);
    world.own(1);
    world.pass(Duration::from_hours(24)).await;
    assert_eq!((fake.jobs().len(), fake.answers().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn who_may_not_list_jobs_asks_again_and_tableau_queues_none_twice() {
    let (fake, world) = world(USER, by_token()).await;
    fake.inject(TableauFault::LoseAnswer);
    world.change(0);
    world.pass(WAITS + LASTS).await;
    assert_eq!(fake.jobs().len(), 1, "{:?}", fake.answers());
    world.pass(Duration::from_hours(24)).await;
    assert_eq!(
        fake.jobs().len(),
        2,
        "one more, since nobody says what became of it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_ended_is_opened_again_and_a_failed_job_asked_for_again() {
    let (fake, world) = world(USER, by_app()).await;
    world.change(0);
    world.pass(Duration::from_hours(1)).await;
    assert_eq!(fake.signed_in(), 1, "a session is kept");
    fake.expire_sessions();
    fake.inject(TableauFault::Fail);
    world.change(0);
    world.pass(Duration::from_mins(30)).await;
    assert_eq!((fake.jobs().len(), fake.signed_in()), (2, 2));
    world.pass(Duration::from_hours(2)).await;
    assert_eq!(fake.jobs().len(), 3, "the second one failed");
    fake.inject(TableauFault::Throttle(300));
    world.change(0);
    world.pass(Duration::from_hours(2)).await;
    assert_eq!(fake.jobs().len(), 4);
    assert_eq!(without_401(&fake)[3..], [429, 202]);
}
