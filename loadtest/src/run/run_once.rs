//! One run, from the start of the system to the report.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use loadtest::time::{Clock as _, Millis, SystemClock, as_millis};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::console::Console;
use super::ledger::Ledger;
use super::load::{Due, Plan, Sizes};
use super::machine::{command, machine, rfc3339};
use super::replay::Replay;
use super::report::{FORMAT, Report, Sent};
use super::sample::{Sample, Watch};
use super::scenario::{Rate, Scenario};
use super::send::{Counter, Doors, Driven, Hook, Message, Topic, drive, message};
use super::sinks::{Files, SinkTopic, SinkWatcher};
use super::steps::{Ramp, Totals};
use super::system::{At, Outlet, Place, System};
use super::{RunArgs, dead_letters, tally};
use crate::Failed;

/// Sending begins so long after producers and readers were made: they connect meanwhile.
const LEAD: Duration = Duration::from_secs(1);
/// Between two looks whether all is settled.
const LOOK: Duration = Duration::from_millis(250);
/// So long without any progress, and what is open is lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of one webhook request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The sinks are looked at so long after all is settled, for what should not come.
const AFTER: Duration = Duration::from_secs(1);

/// Measures.
///
/// # Errors
/// What kept it from being measured.
pub(super) async fn run(
    scenario: &Scenario,
    args: &RunArgs,
    replay: Option<Replay>,
) -> Result<Report, Failed> {
    loadtest::tls::use_ring();
    let mut system = System::of(scenario, args).await?;
    if !scenario.backlog {
        system.start().await?;
        system.warm_up().await?;
    }
    let report = tokio::select! {
        report = measure(scenario, args, replay, &mut system) => report,
        _ = tokio::signal::ctrl_c() => Err("stopped before the end".into()),
    };
    match (report, system.stop().await) {
        (Ok(report), Ok(())) => Ok(report),
        (Err(why), Ok(())) | (Ok(_), Err(why)) => Err(why),
        (Err(why), Err(ended)) => Err(format!("{why}; {ended}").into()),
    }
}

/// What all parts of a run share.
#[derive(Debug)]
struct Shared {
    ledger: Arc<Ledger>,
    start: Instant,
    /// The wall clock's time of the start, ms.
    began: Millis,
    /// Nothing more is to be sent.
    enough: Arc<AtomicBool>,
    /// Nothing more is to be seen.
    over: Arc<AtomicBool>,
    console: Console,
}

/// Whatever way a run ends, no one goes on.
impl Drop for Shared {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        self.over.store(true, Ordering::Relaxed);
    }
}

async fn measure(
    scenario: &Scenario,
    args: &RunArgs,
    replay: Option<Replay>,
    system: &mut System,
) -> Result<Report, Failed> {
    let place = system.place().clone();
    let sinks: Vec<_> = place
        .outlets
        .iter()
        .map(|it| (it.name.clone(), it.keeps))
        .collect();
    let names = replay.as_ref().map(|replay| Arc::clone(&replay.names));
    let shared = Shared {
        ledger: Arc::new(Ledger::new(&sinks).naming(names)),
        start: Instant::now() + LEAD,
        began: SystemClock.now().saturating_add(as_millis(LEAD)),
        enough: Arc::default(),
        over: Arc::default(),
        console: Console::new(scenario.seconds),
    };
    let watchers = watchers(scenario, args, &place, &shared)?;
    let doors = doors(scenario, &place, &shared)?;
    let ramp = Ramp::new(scenario, Arc::clone(&shared.ledger));
    let http = client(None)?;
    let mut watch = Watch::new(Arc::clone(&place.watched), shared.start);
    let work = async {
        let admin = place.admin.as_deref().map(|admin| (&http, admin));
        let sent = async {
            let sent = sending(scenario, args, replay, &doors, &shared);
            tokio::join!(sent, trouble(scenario, system, shared.start)).0
        };
        let driven = tokio::select! {
            driven = sent => driven?,
            failed = judging(&ramp, &doors, &shared, admin) => match failed? {},
        };
        if scenario.backlog {
            shared.console.say("all is sent; goldwire starts");
            system.start().await?;
        }
        if let Some(hook) = &doors.hook {
            hook.flush().await;
        }
        let sent = shared.start.elapsed();
        let admin = system.place().admin.as_deref().map(|admin| (&http, admin));
        settle(&shared.ledger, admin).await;
        let settled = shared.start.elapsed().saturating_sub(sent);
        tokio::time::sleep(AFTER).await;
        if let Some((http, admin)) = admin {
            dead_letters::tell(http, admin, &shared.ledger).await?;
        }
        Ok::<_, Failed>((driven, settled))
    };
    let tell = |sample: &Sample| {
        let lags = sample.lag.values();
        ramp.lags(sample.at, lags.clone());
        let lag = (!sample.lag.is_empty()).then(|| lags.sum());
        let at = sample.at / 1_000_000;
        shared.console.tell(at, &shared.ledger.counts(), lag);
    };
    let (driven, settled) = watch.beside(work, tell).await?;
    shared.over.store(true, Ordering::Relaxed);
    for watcher in watchers {
        watcher
            .join()
            .map_err(|_| "a thread that looks at a sink ended by a panic")?;
    }
    report(
        scenario,
        args,
        (&shared, &doors, &ramp),
        watch,
        (driven, settled),
        place,
    )
}

/// All that was measured, judged.
fn report(
    scenario: &Scenario,
    args: &RunArgs,
    (shared, doors, ramp): (&Shared, &Doors, &Ramp),
    watch: Watch,
    (driven, settled): (Driven, Duration),
    place: Place,
) -> Result<Report, Failed> {
    let (samples, processes) = watch.told(shared.ledger.counts().accepted);
    let mut report = Report {
        format: FORMAT,
        scenario: scenario.name.clone(),
        about: scenario.about.clone(),
        command: command(),
        seed: args.seed,
        began: rfc3339(shared.began),
        seconds: driven.lasted.as_secs_f64(),
        settled: settled.as_secs_f64(),
        machine: machine(),
        versions: place.versions,
        sent: sent(&shared.ledger, &driven, doors.hook.as_deref()),
        stages: tally::stages(&shared.ledger)?,
        sinks: tally::accounts(&shared.ledger),
        timeline: tally::timeline(&shared.ledger, &samples)?,
        processes,
        ..Report::default()
    };
    let own = env!("CARGO_PKG_VERSION").to_owned();
    report.versions.insert("loadtest".to_owned(), own);
    let totals = totals(&shared.ledger, doors.hook.as_deref());
    ramp.tell(shared.start.elapsed(), totals, &mut report)?;
    report.verdicts = scenario.objectives.judge(&report);
    Ok(report)
}

/// What is due when, and the message that is made of it; as a webhook, where that is said.
type Messages = (
    Box<dyn Iterator<Item = Due> + Send>,
    Box<dyn FnMut(&Due, bool) -> Result<Message, Failed> + Send>,
);

/// Sends the plan on a thread of its own.
async fn sending(
    scenario: &Scenario,
    args: &RunArgs,
    replay: Option<Replay>,
    doors: &Doors,
    shared: &Shared,
) -> Result<Driven, Failed> {
    let unlimited = matches!(scenario.rate, Rate::Unlimited { .. });
    let unscheduled = unlimited.then(|| Duration::from_secs(scenario.seconds.into()));
    let (doors, ledger) = (doors.clone(), Arc::clone(&shared.ledger));
    let (start, enough) = (shared.start, Arc::clone(&shared.enough));
    let mut messages: Messages = match replay {
        None => {
            let plan = Plan::new(scenario, args.seed);
            (Box::new(plan), Box::new(|due, hook| Ok(message(due, hook))))
        }
        Some(all) => {
            let plan = all.plan(scenario, args.seed, args.replay_speed);
            let mut lines = 0..;
            let next = move |_: &Due, hook| all.message(lines.next().unwrap_or_default(), hook);
            (Box::new(plan.into_iter()), Box::new(next))
        }
    };
    let sends = move || {
        let (plan, message) = (&mut messages.0, &mut messages.1);
        drive(
            plan,
            message,
            unscheduled,
            &doors,
            &ledger,
            (start, &enough),
        )
    };
    tokio::task::spawn_blocking(sends).await?
}

/// Judges the steps of a ramp while it is sent.
async fn judging(
    ramp: &Ramp,
    doors: &Doors,
    shared: &Shared,
    admin: Option<(&reqwest::Client, &str)>,
) -> Result<Infallible, Failed> {
    let counted = async || {
        if let Some((http, admin)) = admin {
            // They are read once more at the end, where it is told if they cannot be.
            dead_letters::tell(http, admin, &shared.ledger).await.ok();
        }
        totals(&shared.ledger, doors.hook.as_deref())
    };
    let say = |what: &str| shared.console.say(what);
    ramp.watch(shared.start, counted, &shared.enough, say).await
}

/// What was counted so far.
fn totals(ledger: &Ledger, hook: Option<&Hook>) -> Totals {
    let (wrong, letters) = ledger.wrong();
    Totals {
        requests: hook.map_or(0, |hook| hook.requests.get()),
        answered: hook.map_or(0, |hook| hook.answered.get()),
        wrong,
        letters,
    }
}

/// What the scenario does to the sinks' broker, when it is due.
async fn trouble(scenario: &Scenario, system: &System, start: Instant) {
    for trouble in &scenario.trouble {
        let at = start + Duration::from_secs(trouble.at.into());
        tokio::time::sleep_until(at).await;
        system.set_condition(Some(trouble.sinks));
        tokio::time::sleep_until(at + Duration::from_secs(trouble.lasts.into())).await;
        system.set_condition(None);
    }
}

/// Waits until every accepted event is accounted for, or nothing has come for long.
async fn settle(ledger: &Ledger, admin: Option<(&reqwest::Client, &str)>) {
    let (mut open, mut since) = (u64::MAX, Instant::now());
    while open > 0 && since.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK).await;
        if let Some((http, admin)) = admin {
            // They are read once more at the end, where it is told if they cannot be.
            dead_letters::tell(http, admin, ledger).await.ok();
        }
        let now = ledger.open();
        if now != open {
            (open, since) = (now, Instant::now());
        }
    }
}

/// Threads that look at the sinks until it is over.
fn watchers(
    scenario: &Scenario,
    args: &RunArgs,
    place: &Place,
    shared: &Shared,
) -> Result<Vec<thread::JoinHandle<()>>, Failed> {
    let sizes = Arc::new(Sizes::new(&scenario.load, args.seed));
    let mut watchers = Vec::new();
    for (sink, Outlet { exact, at, .. }) in place.outlets.iter().enumerate() {
        let sizes = exact.then(|| Arc::clone(&sizes));
        // What was captured is not made from the seed.
        let sizes = sizes.filter(|_| args.replay.is_none());
        let plant = args.plant.filter(|_| sink == 0);
        let watcher = SinkWatcher::new(
            (Arc::clone(&shared.ledger), sink),
            shared.start,
            sizes,
            plant,
        );
        let over = Arc::clone(&shared.over);
        watchers.push(match at {
            At::Topic(servers, topic) => {
                let topic = SinkTopic::at_end(servers, topic)?;
                thread::spawn(move || topic.watch(&watcher, &over))
            }
            At::Files(dir) => {
                let (files, began) = (Files::at_end(dir), shared.began);
                thread::spawn(move || files.watch(&watcher, began, &over))
            }
        });
    }
    Ok(watchers)
}

/// Where the scenario's events go.
fn doors(scenario: &Scenario, place: &Place, shared: &Shared) -> Result<Doors, Failed> {
    let topic = place
        .topic
        .as_ref()
        .filter(|_| scenario.webhooks < 1.0 || place.hook.is_none());
    let topic = topic.map(|(servers, topic)| {
        Topic::new(servers, topic, Arc::clone(&shared.ledger), shared.start).map(Arc::new)
    });
    let hook = place
        .hook
        .as_ref()
        .filter(|_| scenario.webhooks > 0.0 || place.topic.is_none());
    let hook = hook.map(|(url, secret, certificate)| {
        Ok::<_, Failed>(Arc::new(Hook {
            url: url.clone(),
            secret: secret.clone(),
            http: client(certificate.as_deref())?,
            ledger: Arc::clone(&shared.ledger),
            start: shared.start,
            runtime: Handle::current(),
            under_way: TaskTracker::new(),
            requests: Counter::default(),
            answered: Counter::default(),
        }))
    });
    Ok(Doors {
        topic: topic.transpose()?,
        hook: hook.transpose()?,
    })
}

/// A client that trusts this certificate alone, or what the system trusts.
fn client(certificate: Option<&str>) -> Result<reqwest::Client, Failed> {
    if let Some(certificate) = certificate {
        return Ok(loadtest::feed::client(certificate)?);
    }
    Ok(reqwest::Client::builder().timeout(TIMEOUT).build()?)
}

fn sent(ledger: &Ledger, driven: &Driven, hook: Option<&Hook>) -> Sent {
    let counts = ledger.counts();
    Sent {
        scheduled: counts.sent,
        accepted: counts.accepted,
        refused: counts.refused,
        webhook_requests: hook.map_or(0, |hook| hook.requests.get()),
        webhook_accepted: hook.map_or(0, |hook| hook.answered.get()),
        copies: driven.copies,
        late: driven.late,
        bytes: driven.bytes,
        behind_p99_ms: driven.behind.at(99.0),
    }
}
