//! Ingest by itself: what a source hands over against what the log and the source are told.

mod batches;
mod commits;
mod rig;
mod schemas;
mod too_large;
