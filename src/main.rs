//! The `goldwire` program.

fn main() {}
