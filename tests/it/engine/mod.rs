//! The engine from a source's record to a sink's state, under paused time: ingest, log, task,
//! fence, ledger, dead letters. Sources, sinks and Reltio are scripted; everything between is the
//! program's own.

mod careful;
mod clocks;
mod delivery;
mod detach;
mod expiry;
mod files;
mod flaky;
mod hour;
mod ids;
mod instance;
mod landed;
mod letters;
mod memory;
mod outage;
mod parts;
mod poison;
mod rig;
mod scripted;
mod semantics;
mod tenant;
