//! The `goldwire` program.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Builder;

/// How long the end of the program waits for calls that wait for a disk.
const PATIENCE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            // There is nowhere left to complain if the standard error is closed.
            writeln!(std::io::stderr(), "no threads to run on: {error}").ok();
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(goldwire::cli::main(std::env::args_os()));
    // Dropped, the runtime would wait for them for ever.
    runtime.shutdown_timeout(PATIENCE);
    code
}
