//! Outside systems of our own for demonstrations and tests: small, but faithful. They fail the way
//! the real ones do.

pub mod fake_reltio;
pub mod fake_salesforce;
pub mod tenant;
