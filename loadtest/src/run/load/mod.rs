//! What is sent when: all of it follows from the scenario and a seed, and nothing from how the
//! system under test does.

mod plan;
mod rates;
mod schedule;
mod sizes;
mod subjects;
#[cfg(test)]
mod tests;

pub(crate) use plan::{Due, Plan};
pub(crate) use rates::steps;
pub(crate) use schedule::Schedule;
pub(crate) use sizes::Sizes;

/// The nearest whole number; 0 for what is below, the largest for what is above all of them.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the standard library has no other way; it stops at the bounds"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
