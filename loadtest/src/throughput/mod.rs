//! Throughput: events into a topic, what a program without durability makes of them, and whether
//! every one of them is accounted for.
//!
//! `tests/real/run throughput` puts the three together with a broker and a goldwire. Everything
//! here is a function of the seed, so that no file of expectations is passed on.

mod account;
mod bare;
pub(crate) mod event;
mod expected;
mod fill;
mod hops;
mod kafka;
mod stream;

use clap::Args;

pub(crate) use account::{AccountArgs, run as account};
pub(crate) use bare::{BareArgs, run as bare};
pub(crate) use fill::{FillArgs, run as fill};
pub(crate) use hops::{HopsArgs, run as hops};

/// The events that are meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoadArgs {
    /// What everything follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many events, copies included.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// How many entities they are about.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..0x0fff_ffff))]
    entities: u32,
    /// The first events are the first versions of all entities, in order.
    #[arg(long)]
    each_once: bool,
}

impl LoadArgs {
    fn stream(&self) -> stream::Stream {
        let stream = stream::Stream::new(self.seed, self.events, self.entities);
        if self.each_once {
            stream.each_once()
        } else {
            stream
        }
    }
}
