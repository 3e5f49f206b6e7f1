//! What is measured: a goldwire of the run's own around embedded brokers, or a system that is there
//! already, whatever it is.

mod embedded;
mod given;
mod warm_up;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use embedded::Embedded;
pub(crate) use given::GivenArgs;

use super::RunArgs;
use super::ledger::Keeps;
use super::sample::Watched;
use super::scenario::Scenario;
use super::send::Secret;
use crate::Failed;
use loadtest::embedded_broker::Condition;

/// Where events go, and where they come out.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Brokers and topic that events go to.
    pub(crate) topic: Option<(String, String)>,
    /// URL, secret and certificate (PEM) of the webhook that they go to.
    pub(crate) hook: Option<(String, Secret, Option<String>)>,
    /// Where they come out.
    pub(crate) outlets: Vec<Outlet>,
    /// What is looked at meanwhile.
    pub(crate) watched: Arc<Mutex<Watched>>,
    /// URL of goldwire's admin listener, where dead letters are told.
    pub(crate) admin: Option<String>,
    /// Programs and their versions.
    pub(crate) versions: BTreeMap<String, String>,
}

/// Where events come out at one sink.
#[derive(Debug, Clone)]
pub(crate) struct Outlet {
    pub(crate) name: String,
    pub(crate) keeps: Keeps,
    /// The content is the object as it was sent.
    pub(crate) exact: bool,
    pub(crate) at: At,
}

/// What a sink writes to.
#[derive(Debug, Clone)]
pub(crate) enum At {
    /// Brokers and topic.
    Topic(String, String),
    /// A folder of NDJSON files.
    Files(PathBuf),
}

/// What is measured.
#[derive(Debug)]
pub(crate) enum System {
    /// It is there already.
    Given(Place),
    /// It is the run's own.
    Embedded(Box<Embedded>),
}

impl System {
    /// What the command line says. It may have to be started.
    ///
    /// # Errors
    /// What is missing, does not start, or cannot be done with it.
    pub(crate) async fn of(scenario: &Scenario, args: &RunArgs) -> Result<Self, Failed> {
        if !args.given.is_given() {
            let embedded = Embedded::new(scenario, args.goldwire.as_deref()).await?;
            return Ok(Self::Embedded(Box::new(embedded)));
        }
        if scenario.backlog || !scenario.trouble.is_empty() {
            return Err(
                "this scenario starts and stops parts of the system, which needs embedded \
                        ones: leave --bootstrap and --webhook out"
                    .into(),
            );
        }
        Ok(Self::Given(given::place(&args.given)?))
    }

    /// Where events go, and where they come out.
    pub(crate) fn place(&self) -> &Place {
        match self {
            Self::Given(place) => place,
            Self::Embedded(embedded) => &embedded.place,
        }
    }

    /// Starts what is not there yet.
    ///
    /// # Errors
    /// What it said, if it does not start.
    pub(crate) async fn start(&mut self) -> Result<(), Failed> {
        match self {
            Self::Given(_) => Ok(()),
            Self::Embedded(embedded) => embedded.start().await,
        }
    }

    /// Waits until events come through.
    ///
    /// # Errors
    /// If they do not.
    pub(crate) async fn warm_up(&self) -> Result<(), Failed> {
        match self {
            Self::Given(_) => Ok(()),
            Self::Embedded(embedded) => embedded.warm_up().await,
        }
    }

    /// From now on the sinks' broker is like that; or well again.
    pub(crate) fn set_condition(&self, condition: Option<Condition>) {
        match self {
            Self::Given(_) => {}
            Self::Embedded(embedded) => embedded.set_condition(condition),
        }
    }

    /// Stops what the run started.
    ///
    /// # Errors
    /// If it does not end in order.
    pub(crate) async fn stop(self) -> Result<(), Failed> {
        match self {
            Self::Given(_) => Ok(()),
            Self::Embedded(embedded) => embedded.stop().await,
        }
    }
}
