//! A tenant of Reltio, made up from a seed: its objects over time, the events that it sends about
//! them in every form that Reltio has, and the truth that every sink must agree with in the end.
//!
//! Guarantee: the same settings make the same script, byte for byte. Nothing reads a clock: times
//! are `start` plus an offset, so a script made for now can be played as it happens.
//!
//! ```text
//! Simulator ─ operations ─► World ─┬─► Tenant     what each subject was at any moment
//!                                  ├─► Truth      what it is in the end, and every change
//!                                  └─► Emissions  what is sent: copies, forms, order, defects
//! ```
//!
//! Salesforce records: about half of the individuals have a crosswalk of the source
//! [`SALESFORCE_SOURCE`] whose value is the 18-character id of a Contact that must exist before the
//! script is played; [`Simulator::salesforce_seed`] lists them.

mod body;
mod defect;
mod delta;
mod dispatch;
mod emission;
mod entity;
mod event_type;
mod form;
mod history;
mod json;
mod merge;
mod model;
mod notes;
mod relation;
mod settings;
mod simulator;
mod truth;
mod words;
mod world;

pub use emission::{Carrier, Emission, Form, Meaning, Payload};
pub use entity::{EntityType, SALESFORCE_SOURCE};
pub use event_type::EventType;
pub use form::SELECTED_FIELDS;
pub use history::{Moment, ObjectState, Tenant};
pub use model::model;
pub use settings::{Payloads, Shares, SimulatorSettings};
pub use simulator::Simulator;
pub use truth::{End, Merge, TrueChange, Truth};
pub use world::{Happening, World};
