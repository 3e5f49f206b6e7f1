//! `loadtest crm`: a Salesforce org of its own for whatever consumer is measured, and Reltio's API,
//! for a goldwire whose sink asks it.
//!
//! What the org takes can be written to a folder as it is taken, a line of JSON for each row, named
//! by its event: `loadtest run --sink-newest-files` looks there.

mod newest;
mod reltio;
mod rows;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueHint};
use loadtest::fake_salesforce::{FakeObject, FakeSalesforce, Faults, Field, Kind, Settings, Table};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::Failed;
use newest::Newest;
use reltio::Reltio;

const OBJECT: &str = "Contact";
const EXTERNAL_ID: &str = "Reltio_URI__c";
/// No run uses up the org's calls of a day.
const DAILY_CALLS: usize = 1_000_000_000;

/// An org that answers as Salesforce does, until SIGTERM.
///
/// Prints a line of JSON when it listens, with all that a client needs, and one with what it took when
/// it ends.
#[derive(Debug, Args)]
pub(crate) struct CrmArgs {
    /// Where it listens; port 0 is any that is free
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    address: SocketAddr,
    /// Answers each call after so many ms at the earliest
    #[arg(long, value_name = "MS", default_value_t = 0)]
    answer_after: u64,
    /// A folder where each row that is taken becomes a line of rows.ndjson
    #[arg(long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    rows_to: Option<PathBuf>,
    /// The brokers of the topic that events go to, `host:port,…`
    #[arg(long, value_name = "SERVERS", requires = "topic")]
    bootstrap: Option<String>,
    /// That topic. It is read, so that Reltio's API shows what the newest event of an entity says;
    /// without it the API knows no entity
    #[arg(long, requires = "bootstrap")]
    topic: Option<String>,
}

/// Runs it.
///
/// # Errors
/// If it cannot listen, or the file cannot be written.
pub(crate) async fn run(args: &CrmArgs) -> Result<(), Failed> {
    let mut stop = signal(SignalKind::terminate())?;
    let org = FakeSalesforce::start(settings(args.address)).await;
    let org = org.map_err(|error| format!("{}: {error}", args.address))?;
    org.set_faults(Faults {
        slow: Duration::from_millis(args.answer_after),
        ..Faults::default()
    });
    let newest = args.bootstrap.as_ref().zip(args.topic.as_ref());
    let newest = newest.map(|(bootstrap, topic)| Newest::of(bootstrap, topic));
    let reltio = Reltio::start(newest.transpose()?).await?;
    let file = args.rows_to.as_ref().map(|dir| {
        fs::create_dir_all(dir)?;
        File::create(dir.join("rows.ndjson"))
    });
    let file = file.transpose()?;
    let taken = org.taken();
    let writer = thread::spawn(move || rows::keep(taken, file, &table()));
    let Settings {
        client_id,
        client_secret,
        ..
    } = settings(args.address);
    let told = json!({
        "url": org.url(), "client_id": client_id, "client_secret": client_secret,
        "object": OBJECT, "external_id": EXTERNAL_ID,
        "reltio": reltio.told(),
    });
    writeln!(io::stdout(), "{told}")?;
    tokio::select! {
        _ = stop.recv() => {}
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    let (requests, records) = (org.requests(), org.count(OBJECT));
    // Ends the thread as well.
    org.stop().await;
    let rows = writer
        .join()
        .map_err(|_| "the thread that writes rows ended by a panic")??;
    let told = json!({ "requests": requests, "rows": rows, "records": records });
    writeln!(io::stdout(), "{told}")?;
    Ok(())
}

/// Contacts, with goldwire's fields and those that a load test's events fill.
fn settings(address: SocketAddr) -> Settings {
    let text = |length| Field::of(Kind::Text(length));
    let last_name = Field {
        required: true,
        ..text(80)
    };
    let mapped = [
        ("FirstName", text(40)),
        ("LastName", last_name),
        (rows::NAME, text(40)),
    ];
    let contacts = FakeObject::new(table(), "003", &mapped);
    Settings {
        address,
        client_id: "loadtest".to_owned(),
        client_secret: "not-a-secret".to_owned(),
        daily_calls: DAILY_CALLS,
        ..Settings::of(vec![contacts])
    }
}

fn table() -> Table {
    Table {
        sobject: OBJECT.to_owned(),
        ext: EXTERNAL_ID.to_owned(),
        ..Table::default()
    }
}
