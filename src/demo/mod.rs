//! demo

pub mod fake_salesforce;
