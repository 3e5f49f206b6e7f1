//! The world around a goldwire, to load it, to show it and to judge it: a simulated Reltio tenant
//! with the truth about it, fakes of Reltio, Salesforce, Snowflake, Power BI and Tableau, a broker, and the
//! comparison of what its sinks hold with what is true.
//!
//! It depends on nothing of goldwire's: it speaks JSON, HTTP, Kafka and SQL, as users' systems do.
//! A mistake in goldwire's own types can therefore not hide itself on both sides.
//!
//! ```text
//! tenant ─ script ─► feed ─► broker, webhooks ─► goldwire ─► fake_salesforce, warehouse
//!    │                           fake_reltio ◄─ reads ┘              │
//!    └─ truth ─────────────────────────────────────────► judge ◄─────┘
//! ```

mod broker;
pub mod embedded_broker;
pub mod fake_power_bi;
pub mod fake_reltio;
pub mod fake_salesforce;
pub mod fake_snowflake;
pub mod fake_tableau;
pub mod feed;
pub mod judge;
pub mod outside;
mod served;
pub mod signature;
pub mod tenant;
pub mod time;
pub mod tls;
