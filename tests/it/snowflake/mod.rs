//! The Snowflake sink against a fake of Snowpipe Streaming: no row lost, none doubled.

mod bench;
mod documented;
mod errors;
mod faults;
mod killed;
mod owners;
mod pieces;
mod sign_in;
mod simulated;
