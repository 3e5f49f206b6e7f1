//! What is tested against a real broker, named by `GOLDWIRE_TEST_KAFKA` (`host:port`, plain).
//! Run by `tests/real/run`; ignored otherwise.

mod group;
mod left_open;
mod letters;
mod log;
mod name_taken;
mod source;
mod vacancy;

#[expect(
    clippy::disallowed_methods,
    reason = "where the broker is, is said by who runs the test"
)]
fn broker() -> String {
    std::env::var("GOLDWIRE_TEST_KAFKA").expect("set GOLDWIRE_TEST_KAFKA to the broker's host:port")
}
