//! A system that is there already: goldwire, or any consumer that writes to a topic or to files.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::Args;

use super::{At, Outlet, Place};
use crate::Failed;
use crate::run::ledger::Keeps;
use crate::run::sample::{Lags, Watched};
use crate::run::send::Secret;

/// Where a system that is there already takes events, and where they come out. Without any of these
/// the run starts a goldwire of its own.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "A system that is there already")]
pub(crate) struct GivenArgs {
    /// Its brokers, `host:port,…`
    #[arg(long, value_name = "SERVERS")]
    bootstrap: Option<String>,
    /// The topic that events go to; has to be there
    #[arg(long, requires = "bootstrap")]
    topic: Option<String>,
    /// The webhook that events go to
    #[arg(long, value_name = "URL", requires = "webhook_secret")]
    webhook: Option<String>,
    /// A file with the webhook's secret; one that begins with whsec_ signs as Standard Webhooks say,
    /// another as Reltio does
    #[arg(long, value_name = "FILE")]
    webhook_secret: Option<PathBuf>,
    /// A file with the only certificate that the webhook's server may have, PEM
    #[arg(long, value_name = "FILE")]
    webhook_ca: Option<PathBuf>,
    /// A topic that a sink writes the newest state of each subject to
    #[arg(long, value_name = "TOPIC", requires = "bootstrap")]
    sink_topic: Vec<String>,
    /// A topic that a sink writes every change to
    #[arg(long, value_name = "TOPIC", requires = "bootstrap")]
    sink_changes_topic: Vec<String>,
    /// Brokers of the sinks' topics, if they are others
    #[arg(long, value_name = "SERVERS", requires = "bootstrap")]
    sink_bootstrap: Option<String>,
    /// A folder that a sink writes every change to, a line of JSON each, in files `*.ndjson`
    #[arg(long, value_name = "DIRECTORY")]
    sink_files: Vec<PathBuf>,
    /// A folder of such files with the newest state of each subject; one that was made and removed
    /// before the sink looked may be missing. `loadtest crm` writes such a folder
    #[arg(long, value_name = "DIRECTORY")]
    sink_newest_files: Vec<PathBuf>,
    /// Its consumer group, whose lag is watched; may be given more than once
    #[arg(long, value_name = "GROUP", requires = "topic")]
    group: Vec<String>,
    /// goldwire's admin listener, for lags and dead letters, as `http://127.0.0.1:9600`
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// A process of its on this machine, whose memory and CPU time are watched, as `goldwire=4711`
    #[arg(long, value_name = "NAME=PID", value_parser = process)]
    pid: Vec<(String, u32)>,
}

fn process(text: &str) -> Result<(String, u32), String> {
    let parts = text.split_once('=');
    let parsed = parts.and_then(|(name, pid)| Some((name.to_owned(), pid.parse().ok()?)));
    parsed.ok_or_else(|| format!("{text:?} is no NAME=PID, as goldwire=4711"))
}

impl GivenArgs {
    /// Whether there is one.
    pub(crate) fn is_given(&self) -> bool {
        self.bootstrap.is_some() || self.webhook.is_some()
    }
}

/// Where events go, and where they come out.
///
/// # Errors
/// What is missing, or cannot be read.
pub(super) fn place(args: &GivenArgs) -> Result<Place, Failed> {
    let topic = args.bootstrap.clone().zip(args.topic.clone());
    if topic.is_none() && args.webhook.is_none() {
        return Err("events have to go somewhere: give --topic, or --webhook".into());
    }
    let outlets = outlets(args);
    if outlets.is_empty() {
        return Err(
            "what comes out has to be seen somewhere: give --sink-topic, \
                        --sink-changes-topic, --sink-files or --sink-newest-files"
                .into(),
        );
    }
    let lags = args
        .admin
        .clone()
        .map(|url| Lags::Admin(url.trim_end_matches('/').to_owned()));
    let groups = topic.iter().flat_map(|(bootstrap, topic)| {
        args.group.iter().map(|group| Lags::Group {
            bootstrap: bootstrap.clone(),
            group: group.clone(),
            topic: topic.clone(),
        })
    });
    let mut processes: BTreeMap<_, _> = args.pid.iter().cloned().collect();
    processes.insert("load test".to_owned(), std::process::id());
    Ok(Place {
        watched: Arc::new(Mutex::new(Watched {
            lags: lags.into_iter().chain(groups).collect(),
            processes,
        })),
        hook: hook(args)?,
        topic,
        outlets,
        admin: args
            .admin
            .clone()
            .map(|url| url.trim_end_matches('/').to_owned()),
        versions: BTreeMap::new(),
    })
}

type Hook = (String, Secret, Option<String>);

fn hook(args: &GivenArgs) -> Result<Option<Hook>, Failed> {
    let (Some(url), Some(secret)) = (&args.webhook, &args.webhook_secret) else {
        return Ok(None);
    };
    let read = |path: &PathBuf| {
        fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let secret = read(secret)?.trim_end_matches(['\r', '\n']).to_owned();
    let secret = if secret.starts_with("whsec_") {
        Secret::Standard(secret)
    } else {
        Secret::Reltio(secret)
    };
    let certificate = args.webhook_ca.as_ref().map(read).transpose()?;
    Ok(Some((url.clone(), secret, certificate)))
}

fn outlets(args: &GivenArgs) -> Vec<Outlet> {
    let servers = args.sink_bootstrap.as_ref().or(args.bootstrap.as_ref());
    let topics = |topics: &[String], keeps| {
        let outlets =
            topics
                .iter()
                .zip(std::iter::repeat(servers))
                .filter_map(|(topic, servers)| {
                    let at = At::Topic(servers?.clone(), topic.clone());
                    Some(Outlet {
                        name: topic.clone(),
                        keeps,
                        exact: false,
                        at,
                    })
                });
        outlets.collect::<Vec<_>>()
    };
    let mut outlets = topics(&args.sink_topic, Keeps::Newest);
    outlets.extend(topics(&args.sink_changes_topic, Keeps::All));
    outlets.extend(folders(&args.sink_files, Keeps::All));
    outlets.extend(folders(&args.sink_newest_files, Keeps::Living));
    outlets
}

fn folders(dirs: &[PathBuf], keeps: Keeps) -> impl Iterator<Item = Outlet> {
    dirs.iter().map(move |dir| Outlet {
        name: dir.display().to_string(),
        keeps,
        exact: false,
        at: At::Files(dir.clone()),
    })
}
