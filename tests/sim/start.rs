//! Starts an instance over what is simulated around it.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use goldwire::dead_letter::Redrive;
use goldwire::engine::TaskError;
use goldwire::log::Log;
use goldwire::reltio::RecordReader;
use goldwire::runtime::{Deps, Files, Instance, Parts, StartError};
use goldwire::sink::OnFull;
use goldwire::sink::Sink;
use goldwire::sink::salesforce::Declared;
use goldwire::source::InboxError;
use goldwire::store::StoreError;
use goldwire::telemetry::Metrics;
use goldwire::time::SharedClock;
use goldwire::topology::Config;
use goldwire::webhook::Reception;

use super::broker::Consumer;
use super::crm::CrmSink;
use super::host::Host;
use super::pieces::PieceSink;
use super::plan::{Kind, Plan};
use super::reltio::Replica;
use super::sink::SimSink;
use super::watch::watch;
use super::world::HostClock;

const CONFIG: &str = "
tenant: acme
data_dir: unused
reltio:
  url: https://reltio.invalid/reltio/api/acme
  auth_url: https://reltio.invalid/oauth/token
  client_id: simulated
  client_secret: simulated
  settle: 3200ms
  clock_skew: 200ms
sources:
  topic:
    kafka: { bootstrap_servers: '127.0.0.1:9092', topic: changes, group: ingest, start: earliest, include_relationships: true }
  hook:
    webhook: { path: /hook, scheme: standard, secrets: [whsec_Z29sZHdpcmUgc2ltdWxhdGlvbiBzZWNyZXQ=], rate_limit: { per_second: 100000, burst: 100000 }, include_relationships: true }
  part:
    webhook: { path: /part, scheme: standard, secrets: [whsec_Z29sZHdpcmUgc2ltdWxhdGlvbiBzZWNyZXQ=], rate_limit: { per_second: 100000, burst: 100000 }, include_relationships: true, completeness: { fields: [uri, type, attributes] } }
webhook: { address: '127.0.0.1:18080', insecure_plain_http: true }
sinks:
  crm:
    salesforce:
      login_url: https://org.invalid
      client_id: simulated
      client_secret: simulated
      crosswalk_source: SFDC
      longest_request: 6s
      objects:
        Individual: { sobject: Contact, fields: { FirstName: { attribute: FirstName } } }
";

/// An instance that runs, and what its webhooks and its letters are reached by.
pub(crate) struct Started {
    pub(crate) instance: Instance,
    pub(crate) reception: Reception,
    pub(crate) redrive: Redrive,
}

/// Starts it again, as a supervisor does, where only the disk failed.
pub(crate) async fn supervise(
    host: &Arc<Host>,
    start: impl Fn() -> Result<Started, StartError>,
) -> Option<Started> {
    loop {
        match start() {
            Ok(started) => {
                watch(host, &started.instance);
                return Some(started);
            }
            Err(
                StartError::Store(StoreError::Io(_))
                | StartError::Task(TaskError::Store(StoreError::Io(_)))
                | StartError::Inbox(InboxError::Store(StoreError::Io(_))),
            ) => {}
            Err(error) => {
                host.violate("G2", || format!("it does not start again: {error}"));
                return None;
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        // A start reads the store a hundred times: with bad luck not one comes up before.
        if host.now() >= host.plan.calm() {
            host.lock().calm = true;
        }
    }
}

/// Starts it once, with parts as `change` has them.
pub(crate) fn start(
    host: &Arc<Host>,
    files: Files,
    change: impl FnOnce(&mut Parts),
) -> Result<Started, StartError> {
    host.note(|| format!("START #{}", host.slot));
    let plan = &host.plan;
    let config = config(plan);
    let clock: SharedClock = Arc::new(HostClock(Arc::clone(&host.world)));
    let reltio: Arc<dyn RecordReader> = Arc::new(Replica(Arc::clone(host)));
    let metrics = Arc::new(Metrics::noop());
    let (inbox, log) = (Arc::clone(&files.inbox), Arc::clone(&files.log));
    let sinks = plan.sinks.iter().map(|kind| {
        let sink: Arc<dyn Sink> = match kind {
            Kind::Crm => Arc::new(CrmSink::new(host, &config, &reltio, &log)),
            Kind::Pieces => Arc::new(PieceSink(Arc::clone(host))),
            Kind::Guarded | Kind::Unguarded | Kind::History => Arc::new(SimSink::new(host, *kind)),
        };
        (sink, OnFull::Stall)
    });
    let with = Deps {
        clock: Arc::clone(&clock),
        metrics: Arc::clone(&metrics),
        seed: plan.seed,
        wrap: None,
    };
    let mut parts = Parts {
        sinks: sinks.collect(),
        reltio: Some(reltio),
        sources: vec![(Box::new(Consumer::new(host)), "ingest".to_owned())],
        ..Parts::over(files)
    };
    change(&mut parts);
    let letters = Arc::clone(&parts.letters);
    let instance = Instance::assemble(&config, &with, parts)?;
    let endpoints = ["hook", "part"].map(|name| {
        let endpoint = config.sources[name].webhook.clone().unwrap();
        (name.to_owned(), endpoint)
    });
    let reception = Reception::new(
        config.webhook.as_ref().unwrap(),
        endpoints.into(),
        Arc::<dyn Log>::clone(&inbox),
        Arc::clone(&clock),
        metrics,
    );
    let names = plan.sinks.iter().map(|kind| kind.name().to_owned());
    Ok(Started {
        instance,
        reception: reception.unwrap(),
        redrive: Redrive {
            letters,
            inbox,
            log,
            sinks: names.collect(),
            clock,
        },
    })
}

/// The configuration of a plan.
fn config(plan: &Plan) -> Config {
    static PARSED: OnceLock<Mutex<Config>> = OnceLock::new();
    let parsed =
        PARSED.get_or_init(|| Mutex::new(goldwire::topology::parse(CONFIG, &|_| None).unwrap()));
    let mut config = parsed.lock().unwrap().clone();
    config.delivery.in_flight = plan.in_flight;
    config.delivery.commit_interval = format!("{}ms", plan.commit_interval).as_str().into();
    config.delivery.retry.attempts = plan.attempts;
    config.log.partitions = plan.partitions;
    let crm = config.sinks.get_mut("crm").unwrap();
    crm.salesforce.as_mut().unwrap().guard = if plan.guarded {
        Declared::Version
    } else {
        Declared::None
    };
    config
}
