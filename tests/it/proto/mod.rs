//! The proto files against their baseline: data that a release wrote is read by every later one.
//!
//! `proto/goldwire/v1/baseline.txt` is the schema as it was released. What was added since passes;
//! whatever else differs is refused. `cargo test --test it renew_the_baseline -- --ignored` takes
//! additions into the baseline: before each release, and never over a breaking change.

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
    let files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "proto"))
        .collect();
    protox::compile(files, [root]).unwrap()
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
