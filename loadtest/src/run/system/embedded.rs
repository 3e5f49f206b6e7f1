//! A goldwire of the run's own: one broker for the source, one for a sink, a folder for another. All
//! of it is on loopback, and gone after the run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use loadtest::embedded_broker::{Condition, EmbeddedBroker};
use tempfile::TempDir;
use tokio::process::Command;

use super::{At, Outlet, Place, warm_up};
use crate::Failed;
use crate::instance::{self, Instance};
use crate::run::ledger::Keeps;
use crate::run::sample::{Lags, Watched};
use crate::run::scenario::{Rate, Scenario};
use crate::run::send::Secret;

pub(super) const TOPIC: &str = "reltio.acme.entities.changes";
pub(super) const SINK_TOPIC: &str = "crm.contacts";
const SECRET: &str = "whsec_Z29sZHdpcmUgbG9hZCB0ZXN0LCBubyBzZWNyZXQ=";
/// Bytes that one partition is given, of the 5 MB that it holds.
const ROOM: f64 = 3_000_000.0;
/// Partitions at least, and at most.
const PARTITIONS: (i32, i32) = (16, 96);

/// The parts. Dropped, they end.
#[derive(Debug)]
pub(crate) struct Embedded {
    pub(crate) place: Place,
    dir: TempDir,
    program: PathBuf,
    sinks: EmbeddedBroker,
    source: EmbeddedBroker,
    instance: Option<Instance>,
}

impl Embedded {
    /// Starts the brokers; goldwire is started by [`Self::start`].
    ///
    /// # Errors
    /// What does not start, and what to do.
    pub(super) async fn new(scenario: &Scenario, program: Option<&Path>) -> Result<Self, Failed> {
        let program = match program {
            Some(program) => std::path::absolute(program)?,
            None => built().await?,
        };
        let source = EmbeddedBroker::start(&[(TOPIC, partitions(scenario))])?;
        let sinks = EmbeddedBroker::start(&[(SINK_TOPIC, PARTITIONS.0)])?;
        let dir = tempfile::tempdir()?;
        let certificate = loadtest::tls::certificate(dir.path())?;
        let version = version(&program).await?;
        let topic = At::Topic(sinks.servers().to_owned(), SINK_TOPIC.to_owned());
        let outlet = |name: &str, keeps, at| Outlet {
            name: name.to_owned(),
            keeps,
            exact: true,
            at,
        };
        let place = Place {
            topic: Some((source.servers().to_owned(), TOPIC.to_owned())),
            // The port is known once it runs.
            hook: Some((
                String::new(),
                Secret::Standard(SECRET.to_owned()),
                Some(certificate),
            )),
            outlets: vec![
                outlet("crm", Keeps::Newest, topic),
                outlet("lake", Keeps::All, At::Files(dir.path().join("lake"))),
            ],
            watched: Arc::new(Mutex::new(Watched {
                lags: Vec::new(),
                processes: BTreeMap::from([(
                    "load test and brokers".to_owned(),
                    std::process::id(),
                )]),
            })),
            admin: None,
            versions: BTreeMap::from([("goldwire".to_owned(), version)]),
        };
        Ok(Self {
            place,
            dir,
            program,
            sinks,
            source,
            instance: None,
        })
    }

    /// Starts goldwire.
    ///
    /// # Errors
    /// What it said, if it does not start.
    pub(super) async fn start(&mut self) -> Result<(), Failed> {
        let instance = Instance::start(&self.program, self.dir.path(), &self.config()).await?;
        let admin = format!("http://{}", instance.admin);
        self.place.admin = Some(admin.clone());
        if let Some((url, _, _)) = &mut self.place.hook {
            *url = format!("https://localhost:{}/hook", instance.webhooks.port());
        }
        let mut watched = self
            .place
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        watched.lags = vec![Lags::Admin(admin)];
        watched
            .processes
            .insert("goldwire".to_owned(), instance.pid());
        drop(watched);
        self.instance = Some(instance);
        Ok(())
    }

    /// Sends one event, and waits until both sinks have it: from then on the source's group is at
    /// work, which takes the embedded broker three seconds.
    ///
    /// # Errors
    /// If it does not come.
    pub(super) async fn warm_up(&self) -> Result<(), Failed> {
        let (source, sinks) = (
            self.source.servers().to_owned(),
            self.sinks.servers().to_owned(),
        );
        let lake = self.dir.path().join("lake");
        let warmed = tokio::task::spawn_blocking(move || warm_up::run(&source, &sinks, &lake));
        warmed.await?
    }

    /// From now on the sinks' broker is like that; or well again.
    pub(super) fn set_condition(&self, condition: Option<Condition>) {
        self.sinks.set_condition(condition);
    }

    /// Stops goldwire in order.
    ///
    /// # Errors
    /// If it does not end in order.
    pub(super) async fn stop(mut self) -> Result<(), Failed> {
        match self.instance.take() {
            Some(instance) => instance.stop().await,
            None => Ok(()),
        }
    }

    fn config(&self) -> String {
        let (source, sinks) = (self.source.servers(), self.sinks.servers());
        let dir = self.dir.path().display();
        format!(
            r#"tenant: acme
data_dir: {dir}/data
webhook:
  address: 127.0.0.1:0
  tls: {{ cert_file: {dir}/cert.pem, key_file: {dir}/key.pem }}
sources:
  reltio:
    kafka:
      bootstrap_servers: "{source}"
      topic: {TOPIC}
      group: loadtest
      start: earliest
      # The embedded broker answers a request that waits for records when its time is over.
      properties: {{ fetch.wait.max.ms: "5" }}
  push:
    webhook:
      path: /hook
      scheme: standard
      secrets: ["{SECRET}"]
      rate_limit: {{ per_second: 1000000, burst: 1000000 }}
sinks:
  crm:
    kafka: {{ bootstrap_servers: "{sinks}", topic: {SINK_TOPIC} }}
  lake:
    file: {{ dir: {dir}/lake, keeps_erased_records: true }}
log: {{ disk_reserve: 16MiB }}
admin: {{ address: 127.0.0.1:0 }}
"#
        )
    }
}

/// Enough that what waits is kept: all of a backlog; else some seconds of the highest rate.
fn partitions(scenario: &Scenario) -> i32 {
    let highest = match scenario.rate {
        Rate::Steady { per_second } => per_second,
        Rate::Ramp { from, to, .. } => from.max(to),
        Rate::Spike {
            per_second, times, ..
        } => per_second * times,
        Rate::Unlimited { .. } => 20_000.0,
    };
    let waiting = match scenario.rate {
        Rate::Unlimited { events } if scenario.backlog => {
            f64::from(u32::try_from(events).unwrap_or(u32::MAX))
        }
        Rate::Unlimited { .. } | Rate::Steady { .. } | Rate::Ramp { .. } | Rate::Spike { .. } => {
            highest * 10.0
        }
    };
    let (least, most) = PARTITIONS;
    let bytes = waiting * (f64::from(scenario.load.median_bytes) * 1.3 + 1000.0);
    let wanted = (1..most).find(|count| f64::from(*count) * ROOM > bytes);
    wanted.unwrap_or(most).max(least)
}

/// The goldwire beside this program; built, if Cargo runs this program and there is none, or an older
/// one.
async fn built() -> Result<PathBuf, Failed> {
    let program = std::env::current_exe()?.with_file_name("goldwire");
    let (cargo, manifest) = (env("CARGO"), env("CARGO_MANIFEST_DIR"));
    let (Some(cargo), Some(manifest)) = (cargo, manifest) else {
        return instance::beside();
    };
    let profile = program
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default();
    let profile = match profile.to_string_lossy().as_ref() {
        "debug" => "dev".to_owned(),
        other => other.to_owned(),
    };
    let status = Command::new(cargo)
        .args([
            "build",
            "--locked",
            "--package",
            "goldwire",
            "--bin",
            "goldwire",
            "--profile",
            &profile,
        ])
        .current_dir(Path::new(&manifest).join(".."))
        .stdin(Stdio::null())
        .status();
    if status.await?.success() {
        Ok(program)
    } else {
        Err("goldwire could not be built; see above".into())
    }
}

fn env(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

async fn version(program: &Path) -> Result<String, Failed> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .await;
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(said.trim_start_matches("goldwire ").to_owned())
}
