//! The topology.
