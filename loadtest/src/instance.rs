//! A goldwire of the measurement's own: its configuration, its process, and what is seen of it from
//! outside.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::Failed;

/// A start, or an end in order, takes no longer.
const PATIENCE: Duration = Duration::from_mins(1);
/// Where its standard error goes.
const OUTPUT: &str = "goldwire.txt";

/// A process that runs. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Instance {
    child: Child,
    pid: u32,
    dir: PathBuf,
    /// Where it takes webhooks.
    pub(crate) webhooks: SocketAddr,
    /// Where it says how it is.
    pub(crate) admin: SocketAddr,
}

impl Instance {
    /// Starts `program` in `dir` with a configuration, and waits until it runs.
    pub(crate) async fn start(program: &Path, dir: &Path, config: &str) -> Result<Self, Failed> {
        fs::write(dir.join("goldwire.yaml"), config)?;
        let output = fs::File::create(dir.join(OUTPUT))?;
        let mut child = Command::new(program)
            .args(["run", "--log-format", "json"])
            .current_dir(dir)
            .env_clear()
            .env("GOLDWIRE_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()?;
        let started = Instant::now();
        loop {
            let said = fs::read_to_string(dir.join(OUTPUT))?;
            if let (Some((webhooks, admin)), Some(pid)) = (addresses(&said), child.id()) {
                let dir = dir.to_owned();
                return Ok(Self {
                    child,
                    pid,
                    dir,
                    webhooks,
                    admin,
                });
            }
            if child.try_wait()?.is_some() || started.elapsed() > PATIENCE {
                return Err(format!("goldwire does not start: {said}").into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Bytes in a folder of its directory.
    pub(crate) fn disk(&self, folder: &str) -> u64 {
        bytes_below(&self.dir.join(folder))
    }

    /// SIGTERM, then its end in order.
    pub(crate) async fn stop(mut self) -> Result<(), Failed> {
        let kill = Command::new("kill").arg(self.pid.to_string()).status();
        kill.await?;
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await??;
        let orderly = ended.success();
        orderly
            .then_some(())
            .ok_or_else(|| format!("goldwire ended with {ended}").into())
    }
}

/// The `goldwire` that lies beside this program.
///
/// # Errors
/// If there is none.
pub(crate) fn beside() -> Result<PathBuf, Failed> {
    let program = std::env::current_exe()?.with_file_name("goldwire");
    if program.is_file() {
        return Ok(program);
    }
    let program = program.display();
    Err(format!("{program} is not there; cargo build --release first").into())
}

fn addresses(said: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut lines = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let runs = lines.find(|line: &Value| {
        line.get("message").and_then(Value::as_str) == Some("goldwire runs")
    })?;
    let address = |name: &str| runs.get(name)?.as_str()?.parse().ok();
    Some((address("webhooks")?, address("admin")?))
}

/// What is deleted meanwhile counts for nothing.
fn bytes_below(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(of) if of.is_dir() => bytes_below(&entry.path()),
            Ok(of) => of.len(),
            Err(_) => 0,
        })
        .sum()
}
