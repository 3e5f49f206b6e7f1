//! States and records of the model.

use goldwire::time::Millis;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Alive(Vec<String>),
    Absorbed(String),
    Dead,
}

/// A state of one entity, and which of its states it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    pub(crate) kind: Kind,
    pub(crate) index: usize,
}

impl State {
    pub(crate) fn named(&self) -> Option<&[String]> {
        match &self.kind {
            Kind::Alive(named) => Some(named),
            Kind::Absorbed(_) | Kind::Dead => None,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Says {
    State(State),
    /// Hydrated when it arrives.
    Nothing,
    /// A reconcile.
    Asks,
}

#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) version: Option<i64>,
    pub(crate) commit_time: Option<Millis>,
    pub(crate) at: Millis,
    pub(crate) says: Says,
    pub(crate) read: Option<Millis>,
    /// Tells neither crosswalks nor all else: the sink reads Reltio itself.
    pub(crate) partial: bool,
    pub(crate) hops: u32,
    pub(crate) targets: Vec<String>,
}
