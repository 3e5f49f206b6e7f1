//! The engine from a source's record to a sink's state, under paused time: ingest, log, task,
//! fence, store, dead letters. Sources, sinks and Reltio are scripted; everything between is the
//! program's own.

mod careful;
mod clocks;
mod delivery;
mod detach;
mod ended;
mod expiry;
mod files;
mod flaky;
mod hour;
mod ids;
mod landed;
mod landing;
mod letters;
mod lookups;
mod memory;
mod outage;
mod outside;
mod parts;
mod paused;
mod poison;
mod replay;
pub(crate) mod rig;
pub(crate) mod runtime;
mod scripted;
mod semantics;
mod supervisor;
mod table;
mod tenant;
mod unflushed;
mod unreachable;
