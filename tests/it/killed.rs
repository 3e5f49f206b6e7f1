//! A test that runs itself again as a child process and kills it at any moment.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const DIR: &str = "GOLDWIRE_TEST_CHILD_DIR";
/// Begins the lines that a child says; the test harness has others.
const SAYS: &str = "said ";

/// The directory to work in, if this process is a child.
pub(crate) fn child_dir() -> Option<PathBuf> {
    let dir: Option<OsString> = std::env::var_os(DIR);
    dir.map(PathBuf::from)
}

/// Says a line to the parent.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{SAYS}{line}").unwrap();
    out.flush().unwrap();
}

/// Runs the test called `test` as a child until it has said `lines` lines, kills it (SIGKILL) and
/// returns all that it said.
pub(crate) fn run_and_kill(test: &str, dir: &Path, lines: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    let mut killed = false;
    for line in BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
    {
        // The harness begins a line of its own and does not end it.
        if let Some((_, words)) = line.split_once(SAYS) {
            said.push(words.to_owned());
        }
        if said.len() >= lines && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    let status = child.wait().unwrap();
    assert!(
        killed,
        "the child ended by itself: {status}, having said {said:?}"
    );
    said
}
