//! The engine.

pub mod fence;
