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
            let version = letter
                .version
                .and_then(|version| u32::try_from(version).ok());
            if let (Some(entity), Some(version)) = (Uri::entity(&letter.subject), version) {
                // What could not be taken in reaches no sink at all.
                let sink = (letter.sink != "ingest").then_some(letter.sink.as_str());
                ledger.dead_lettered(sink, Event { entity, version });
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}
