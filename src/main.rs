//! The `goldwire` program.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use tikv_jemallocator::Jemalloc;
use tokio::runtime::Builder;

/// Every event passes some short-lived buffers between threads, which is where the C library's
/// allocator is slow. The C libraries use this one, too, so that they share what is free; how soon
/// that goes back to the system is set in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

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
    // Dropped, the runtime would wait for them without end.
    runtime.shutdown_timeout(PATIENCE);
    code
}
