//! What every client of a Kafka broker shares: properties as they were configured, and what is wrong
//! with them.

mod address;
mod properties;

pub use address::check_encrypted;
pub use properties::{
    Properties, Unfit, check_credentials, check_each, check_owned, complaint, redact,
};
