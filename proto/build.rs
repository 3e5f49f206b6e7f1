//! Compiles the protobuf schemas with a compiler written in Rust: no system `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let schemas = [
        "proto/goldwire/v1/event.proto",
        "proto/goldwire/v1/ledger.proto",
    ];
    for schema in schemas {
        println!("cargo:rerun-if-changed={schema}");
    }
    let descriptors = protox::compile(schemas, ["proto"])?;
    prost_build::Config::new()
        .bytes(["."])
        .compile_fds(descriptors)?;
    Ok(())
}
