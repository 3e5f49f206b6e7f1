//! One run of the demo, from the script to the verdict.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use loadtest::feed::{self, Doors, Sent};
use loadtest::judge::{self, Comparison, Difference};
use loadtest::outside::{CACHE_TOKEN, Outside, door};
use loadtest::tenant::{Carrier, Simulator, SimulatorSettings};
use loadtest::time::{Clock as _, Millis, SystemClock};
use prometheus::Registry;

use super::report::{self, Gauges};
use super::sabotage::{Sabotage, Scheme};
use crate::dead_letter::{DeadLetters as _, Filter, LARGEST_PAGE, StoredLetters};
use crate::progress::Progress;
use crate::runtime::{Deps, Instance};
use crate::telemetry::{Metrics, names};
use crate::time;
use crate::topology;

/// The script begins this long after the start, ms; what takes longer to come up sends late.
const LEAD: Millis = 2000;
/// Everything that was sent has its outcome after this, or the demo has failed.
const PATIENCE: Duration = Duration::from_mins(3);
/// The CRM is away for so long, from a third of the run on.
const OUTAGE: Duration = Duration::from_secs(2);
/// Differences printed.
const SHOWN: usize = 20;

/// What to play.
#[derive(Debug, Clone)]
pub struct DemoSettings {
    /// Distinct events of the tenant.
    pub events: usize,
    /// Events a second.
    pub rate: u32,
    /// Everything random follows from it, but for the times.
    pub seed: u64,
    /// The folder for configuration, journal, store and warehouse.
    pub dir: PathBuf,
    /// One delivery broken on purpose.
    pub sabotage: Option<Sabotage>,
}

impl DemoSettings {
    fn seconds(&self) -> f64 {
        let events = u32::try_from(self.events).unwrap_or(u32::MAX);
        f64::from(events) / f64::from(self.rate.max(1))
    }
}

/// A demo that is up: an instance, and everything around it.
#[derive(Debug)]
pub struct Demo {
    /// The instance.
    pub instance: Instance,
    settings: DemoSettings,
    start: Millis,
    simulator: Simulator,
    scheme: Option<Scheme>,
    outside: Arc<Outside>,
}

impl Demo {
    /// Starts everything; nothing has happened yet.
    ///
    /// # Errors
    /// One sentence, if something of the demo itself did not work.
    pub async fn start(settings: &DemoSettings, metrics: Arc<Metrics>) -> Result<Self, String> {
        let start = SystemClock.now() + LEAD;
        let simulator = Simulator::new(&script(settings, start));
        let outside = Outside::start(&settings.dir, &simulator, settings.seed).await?;
        let outside = Arc::new(outside);
        let path = outside.write_config()?;
        let config = topology::load(&path, &|_| None).map_err(|error| error.to_string())?;
        let sabotage = settings.sabotage;
        let scheme = sabotage.map(|sabotage| Scheme::new(sabotage, settings.events));
        let with = Deps {
            clock: Arc::new(time::SystemClock),
            metrics,
            seed: settings.seed,
            wrap: scheme.as_ref().map(Scheme::wrap),
        };
        let instance = Instance::start(&config, &with)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Self {
            instance,
            settings: settings.clone(),
            start,
            simulator,
            scheme,
            outside,
        })
    }

    /// Plays the script and compares the sinks with the truth: everything that is not as it should
    /// be. Writes progress to standard error and the table to `out`.
    ///
    /// # Errors
    /// One sentence, if something of the demo itself did not work.
    pub async fn play(
        &self,
        registry: &Registry,
        out: &mut (dyn Write + Send),
    ) -> Result<Vec<Difference>, String> {
        let webhooks = self.instance.webhook_address();
        let sent = Arc::new(Sent::default());
        let doors = Doors {
            outside: Arc::clone(&self.outside),
            webhooks: webhooks.ok_or("the webhook listener is not up")?,
            http: feed::client(&self.outside.certificate)?,
            sent: Arc::clone(&sent),
        };
        let emissions = self.simulator.emissions();
        let progress = Progress::new();
        let played = async {
            let fed = feed::play(emissions, self.start, &doors);
            tokio::join!(fed, outage(&self.outside, &self.settings)).0
        };
        watched(played, &progress, &sent, emissions.len()).await?;
        progress.show("delivering what is in flight");
        caught_up(&self.instance, registry, sent.all()).await?;
        progress.clear();
        let dead = dead_letters(&self.instance).await?;
        let table = report::table(&Gauges::read(registry), &sent, &dead);
        writeln!(out, "\n{table}").map_err(|error| error.to_string())?;
        let differences = self.verdict(&dead, out).await?;
        self.scheme.as_ref().map_or(Ok(()), Scheme::check)?;
        Ok(differences)
    }

    /// Compares every sink, and the dead letters, with the truth, and says what came of it.
    async fn verdict(
        &self,
        dead: &[(String, usize)],
        out: &mut (dyn Write + Send),
    ) -> Result<Vec<Difference>, String> {
        let (outside, truth) = (&self.outside, self.simulator.truth());
        let warehouse = judge::warehouse(&outside.dir.join("warehouse.db"), truth).await?;
        let lake = judge::lake(&outside.dir.join("lake"), truth).await?;
        let cache = self.cache().ok_or("the cache is not up")?;
        let cache = judge::cache(cache, CACHE_TOKEN, truth).await?;
        let cloud = judge::snowflake(&outside.snowflake.rows(), truth);
        outside.write_table()?;
        let crm = judge::salesforce(&outside.salesforce.records("Contact"), truth);
        let counts = (
            self.simulator.malformed(),
            self.simulator.undated_erasures(),
        );
        let letters = judge::letters(dead, counts, &["lake", "cloud"]);
        let compared = [
            ("warehouse", warehouse),
            ("lake", lake),
            ("cache", cache),
            ("snowflake", cloud),
            ("crm", crm),
            ("dead letters", letters),
        ];
        tell(compared, out)
    }

    /// Where the cache answers.
    fn cache(&self) -> Option<SocketAddr> {
        self.instance.served().next()
    }

    /// How a golden record is asked for, as a line for a shell.
    pub fn cache_example(&self) -> Option<String> {
        let address = self.cache()?;
        let mut entities = self.simulator.truth().alive();
        let (uri, _) = entities.find(|(uri, _)| uri.starts_with("entities/"))?;
        Some(format!(
            "curl -H 'Authorization: Bearer {CACHE_TOKEN}' http://{address}/v1/golden-records/{uri}"
        ))
    }

    /// The paths of the webhooks.
    pub fn webhook_paths() -> Vec<&'static str> {
        let carriers = [
            Carrier::Webhook,
            Carrier::WebhookFields,
            Carrier::WebhookOvOnly,
        ];
        let doors = carriers.into_iter().filter_map(door);
        doors.map(|(path, _)| path).collect()
    }

    /// Stops the instance, then what stands around it.
    pub async fn stop(self) {
        self.instance.stop().await;
        if let Some(outside) = Arc::into_inner(self.outside) {
            outside.stop().await;
        }
    }
}

fn script(settings: &DemoSettings, start: Millis) -> SimulatorSettings {
    let events = Millis::try_from(settings.events).unwrap_or(Millis::MAX / 1000);
    SimulatorSettings {
        seed: settings.seed,
        tenant_name: "demo".to_owned(),
        events: settings.events,
        start,
        duration: events.saturating_mul(1000) / Millis::from(settings.rate.max(1)),
        ..SimulatorSettings::default()
    }
}

/// Shows how far the script is while it is played.
async fn watched(
    played: impl Future<Output = Result<(), String>>,
    progress: &Progress,
    sent: &Sent,
    messages: usize,
) -> Result<(), String> {
    let mut played = pin!(played);
    let mut rhythm = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            ended = &mut played => return ended,
            _ = rhythm.tick() => progress.show(&format!("{} of {messages} sent", sent.all())),
        }
    }
}

/// The CRM refuses for a while in the middle of the run.
async fn outage(outside: &Outside, settings: &DemoSettings) {
    let third = Duration::from_secs_f64(settings.seconds() / 3.0);
    tokio::time::sleep(Duration::from_millis(LEAD.unsigned_abs()) + third).await;
    outside.salesforce.set_outage(true);
    tokio::time::sleep(OUTAGE).await;
    outside.salesforce.set_outage(false);
}

/// Waits until everything sent was received and has its outcome everywhere, and stays so.
async fn caught_up(instance: &Instance, registry: &Registry, sent: u64) -> Result<(), String> {
    let sent = u32::try_from(sent).map_or(f64::MAX, f64::from);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut still = 0;
    while tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let received = Gauges::read(registry).total(names::RECEIVED, &[]);
        still = if received >= sent && instance.is_caught_up() {
            still + 1
        } else {
            0
        };
        if still == 4 {
            return Ok(());
        }
    }
    Err(format!(
        "not everything was delivered within {PATIENCE:?}: {} of {sent} messages received, {:?}",
        Gauges::read(registry).total(names::RECEIVED, &[]),
        instance
            .sinks()
            .iter()
            .map(|sink| sink.gate.status())
            .collect::<Vec<_>>()
    ))
}

/// Open dead letters by sink and reason.
async fn dead_letters(instance: &Instance) -> Result<Vec<(String, usize)>, String> {
    let letters = StoredLetters::new(Arc::clone(&instance.files().store));
    let (mut counted, mut after) = (BTreeMap::<String, usize>::new(), None);
    let any = Filter::default();
    loop {
        let page = letters.page(&any, after.as_ref(), LARGEST_PAGE);
        let page = page.await.map_err(|error| error.to_string())?;
        for letter in page.letters {
            let sink = if letter.sink.is_empty() {
                "ingest"
            } else {
                &letter.sink
            };
            *counted
                .entry(format!("{sink}, {}", letter.reason))
                .or_default() += 1;
        }
        after = page.next;
        if after.is_none() {
            return Ok(counted.into_iter().collect());
        }
    }
}

/// Says what the comparisons came to.
fn tell<'a>(
    compared: impl IntoIterator<Item = (&'a str, Comparison)>,
    out: &mut (dyn Write + Send),
) -> Result<Vec<Difference>, String> {
    let mut differences = Vec::new();
    for (name, comparison) in compared {
        let Comparison {
            compared,
            differences: found,
        } = comparison;
        say(
            out,
            &format!(
                "  {name:<12} {compared} compared with the truth, {} differ",
                found.len()
            ),
        )?;
        differences.extend(found);
    }
    for difference in differences.iter().take(SHOWN) {
        say(out, &format!("  {difference}"))?;
    }
    let last = if differences.is_empty() {
        "  every sink ends equal to the truth".to_owned()
    } else {
        format!("  differences: {}", differences.len())
    };
    say(out, &last)?;
    Ok(differences)
}

fn say(out: &mut (dyn Write + Send), line: &str) -> Result<(), String> {
    writeln!(out, "{line}").map_err(|error| error.to_string())
}
