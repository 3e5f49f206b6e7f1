//! The `goldwire` program.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    goldwire::cli::main(std::env::args_os()).await
}
