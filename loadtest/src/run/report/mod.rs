//! What a run measured, and how it is shown.

mod compare;
mod figure;
mod frame;
#[cfg(test)]
mod hostile;
mod html;
mod latency;
mod markup;
mod model;
mod plot;
mod plots;
#[cfg(test)]
mod sample;
mod scale;
mod store;
mod summary;
mod tables;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use compare::compare;
pub(crate) use model::{
    Account, FORMAT, Latency, Machine, Process, Report, Second, Sent, Stage, Step, Verdict,
};
pub(crate) use store::{read, write};
pub(crate) use summary::summary;
