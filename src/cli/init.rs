//! `goldwire init`: a commented configuration to begin with, and what to do next.
//!
//! Guarantee: the commands that it prints work in an empty directory, in their order;
//! `docs/first-steps.md` is a transcript of them that is run again and compared.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{CliError, absolute, print};

/// Runs on any machine once `WEBHOOK_SECRET` is set.
const STARTER: &str = include_str!("init.yaml");
/// Every part: it passes `goldwire check` when its variables are set and the certificate is there.
const FULL: &str = include_str!("init_full.yaml");
/// An event that the starter takes.
const EVENT: &str = include_str!("event.json");
const EVENT_FILE: &str = "event.json";

/// Write a commented configuration to begin with, and an event to try it with.
///
/// It takes signed webhooks on this machine into a SQLite file and files of JSON lines, and needs
/// nothing else but a secret in the environment. Prints the commands that come next. A file that
/// exists is never overwritten.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  goldwire init\n  goldwire init --full --output production.yaml\n  \
    goldwire init --output - | less"
)]
pub(super) struct InitArgs {
    /// Where to; `-` is the standard output
    #[arg(short, long, value_name = "FILE", default_value = "goldwire.yaml")]
    output: PathBuf,
    /// Every part instead: a Kafka topic, TLS, Reltio's API, Salesforce, a warehouse
    #[arg(long)]
    full: bool,
}

pub(super) fn run(args: &InitArgs, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let text = if args.full { FULL } else { STARTER };
    if args.output.as_os_str() == "-" {
        print(out, text)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !write(&args.output, text)? {
        let path = args.output.display();
        return Err(CliError::Usage(format!(
            "{path} exists and is left alone; give another --output"
        )));
    }
    let mut said = format!("wrote {}\n", absolute(&args.output));
    if args.full {
        said.push_str(&full_steps(&args.output));
    } else {
        let event = Path::new(EVENT_FILE);
        let verb = if write(event, EVENT)? {
            "wrote"
        } else {
            "left as it is:"
        };
        line(&mut said, &format!("{verb} {}", absolute(event)));
        said.push_str(&steps(&args.output));
    }
    print(out, said)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a file that is not there; false if it is.
fn write(path: &Path, text: &str) -> Result<bool, CliError> {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    match made {
        Ok(mut file) => print(&mut file, text).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(CliError::Unavailable(format!(
            "{}: {error}; give another --output",
            path.display()
        ))),
    }
}

/// How to name the file to the other commands, if it has to be.
fn option(path: &Path) -> String {
    if path == Path::new("goldwire.yaml") {
        String::new()
    } else {
        format!(" --config {}", path.display())
    }
}

fn steps(path: &Path) -> String {
    let config = option(path);
    format!(
        "next, in this directory:
  export WEBHOOK_SECRET=a-secret-for-tests
  goldwire check{config}
  goldwire map{config} --event {EVENT_FILE}
  goldwire run{config}
then, in another terminal in this directory, send the event and see what arrives:
  export WEBHOOK_SECRET=a-secret-for-tests
  goldwire webhook sign --scheme reltio --secret-env WEBHOOK_SECRET \\
    --url http://127.0.0.1:18080/reltio-webhook {EVENT_FILE} | sh
  cat goldwire-data/events/*.ndjson
  goldwire dlq{config} list
Ctrl-C ends `goldwire run`. `goldwire init --full --output full.yaml` writes every part.
"
    )
}

fn full_steps(path: &Path) -> String {
    let config = option(path);
    let mut text = "next, set what it names, each with its own value:\n".to_owned();
    for name in variables(FULL) {
        line(&mut text, &format!("  export {name}="));
    }
    text.push_str(
        "  export TLS_CERT= TLS_KEY=    # files of PEM; without them /etc/goldwire/tls.crt and tls.key\n",
    );
    let rest = format!(
        "then:
  goldwire check{config}
  goldwire schema{config} salesforce crm    # what the org needs
  goldwire check{config} --connect
  goldwire run{config}"
    );
    line(&mut text, &rest);
    text
}

/// The variables without a default that a configuration names outside its comments, each once.
fn variables(text: &str) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let names = lines.flat_map(|line| line.split("${").skip(1));
    let names = names.filter_map(|rest| rest.split('}').next());
    names
        .filter(|name| !name.contains(":-") && seen.insert(*name))
        .collect()
}

fn line(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    writeln!(text, "{line}").ok();
}
