//! What every client of a Kafka broker shares: properties as they were configured, what is wrong with
//! them, and how a process is a member of a group.

mod address;
mod client;
mod codes;
mod complaint;
mod heard;
mod membership;
mod properties;
mod pulse;
mod query;
mod rejoin;
mod reports;
mod share;
mod vacancy;

pub use address::check_encrypted;
pub(crate) use client::{Client, Producer, Row, queue};
pub(crate) use codes::code;
pub(crate) use complaint::{Complaints, Place, is_absence, is_fence, is_lost_position};
pub(crate) use heard::{Heard, Said, retire};
pub use membership::{GroupProtocol, MEMBERSHIP_OWNED, Membership};
pub use properties::{
    Properties, Unfit, check_credentials, check_each, check_owned, complaint, redact,
};
pub(crate) use pulse::pulse;
pub(crate) use query::Query;
pub(crate) use rejoin::{FENCED, Fenced, NAME_TAKEN, Rejoin, is_fenced, is_name_taken};
pub(crate) use reports::{Failure, MOST_ROWS, Open, Reports, RowResult};
pub(crate) use share::{QUEUED, Share};
pub(crate) use vacancy::{Holds, VACANT, Vacancy};
