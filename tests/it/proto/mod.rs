//! The proto files against their baseline: data that a release wrote is read by every later one.
//!
//! `proto/goldwire/v1/baseline.txt` is the schema as it was released. What was added since passes;
//! whatever else differs is refused. `cargo test --test it renew_the_baseline -- --ignored` takes
//! additions into the baseline: before each release, and never over a breaking change.
//!
//! `proto/goldwire/v1/messages.rs` is what the proto files come to in Rust, so that who builds
//! goldwire need not build their compiler. `cargo test --test it renew_the_messages -- --ignored`
//! writes it after a change of the proto files.

mod mutated;
mod schema;

use std::path::PathBuf;

use prost_types::FileDescriptorSet;

use schema::{Schema, additions, breaks};

fn baseline() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/proto/goldwire/v1/baseline.txt"
    ))
}

/// The proto files as they are now.
fn compiled() -> FileDescriptorSet {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    let dir = std::fs::read_dir(format!("{root}/goldwire/v1")).unwrap();
    let files = dir.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "proto"))
        .collect();
    files.sort();
    protox::compile(files, [root]).unwrap()
}

fn messages() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/proto/goldwire/v1/messages.rs"
    ))
}

/// The proto files as Rust.
fn generated() -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut config = prost_build::Config::new();
    config.bytes(["."]).out_dir(dir.path());
    config.compile_fds(compiled()).unwrap();
    std::fs::read_to_string(dir.path().join("goldwire.v1.rs")).unwrap()
}

#[test]
fn the_messages_in_rust_are_what_the_proto_files_say() {
    let held = std::fs::read_to_string(messages()).unwrap();
    assert!(
        held == generated(),
        "proto/goldwire/v1/messages.rs is not of these proto files: \
         cargo test --test it renew_the_messages -- --ignored"
    );
}

#[test]
#[ignore = "writes the messages"]
fn renew_the_messages() {
    std::fs::write(messages(), generated()).unwrap();
}

#[test]
fn no_change_of_the_proto_files_breaks_what_was_written() {
    let before = Schema::parse(&std::fs::read_to_string(baseline()).unwrap());
    let now = Schema::of(&compiled());
    let broken = breaks(&before, &now);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    for added in additions(&before, &now) {
        println!("{added} is new: renew the baseline before it is released (see tests/it/proto)");
    }
}

#[test]
#[ignore = "writes the baseline"]
fn renew_the_baseline() {
    let now = Schema::of(&compiled());
    if let Ok(text) = std::fs::read_to_string(baseline()) {
        let broken = breaks(&Schema::parse(&text), &now);
        assert!(broken.is_empty(), "not renewed: {}", broken.join("\n"));
    }
    std::fs::write(baseline(), now.to_string()).unwrap();
}
