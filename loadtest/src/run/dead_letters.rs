//! What goldwire's dead letters hold, from its admin listener.

use serde::Deserialize;

use super::ledger::Ledger;
use crate::Failed;
use crate::throughput::event::{Event, Uri};

/// A page of `GET /dlq`.
#[derive(Debug, Deserialize)]
struct Page {
    letters: Vec<Letter>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Letter {
    sink: String,
    subject: String,
    version: Option<i64>,
}

/// Tells the ledger of each open letter.
///
/// # Errors
/// If they cannot be read.
pub(crate) async fn tell(
    http: &reqwest::Client,
    admin: &str,
    ledger: &Ledger,
) -> Result<(), Failed> {
    let told = ask(http, admin, ledger).await;
    told.map_err(|why| format!("the dead letters at {admin} cannot be read: {why}").into())
}

async fn ask(http: &reqwest::Client, admin: &str, ledger: &Ledger) -> Result<(), Failed> {
    let (url, mut after) = (format!("{admin}/dlq"), None::<String>);
    loop {
        let page = http
            .get(&url)
            .query(&after.map(|name| [("after", name)]))
            .send()
            .await?
            .error_for_status()?
            .bytes()
            .await?;
        let page: Page = serde_json::from_slice(&page)?;
        for letter in &page.letters {
            if let Some(event) = event(letter, ledger) {
                // What could not be taken in reaches no sink at all.
                let sink = (letter.sink != "ingest").then_some(letter.sink.as_str());
                ledger.dead_lettered(sink, event);
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// The event that a letter holds, if it is one of those that were sent.
fn event(letter: &Letter, ledger: &Ledger) -> Option<Event> {
    let version = letter.version?;
    if let Some(names) = ledger.names() {
        return names.event(&letter.subject, version);
    }
    Some(Event {
        entity: Uri::entity(&letter.subject)?,
        version: version.try_into().ok()?,
    })
}
