//! Taking erased subjects out of files (GDPR).
//!
//! Guarantee: beside each file with an erasure a note is put, before the file. From time to time every
//! file is looked through for what the notes name, and one that holds some is written again under its name,
//! whole, without it. A note goes when all files were looked through after it was put. Of two that look
//! through the files at the same time, none puts a file over what the other made of it: a file is
//! replaced only as it was read, and a directory is one's at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::body::BodyError;
use super::config::Format;
use super::piece::Targets;
use super::rewrite::{Erased, Erasure, without};
use super::target::{Replaced, Target};
use crate::sink::SinkError;

/// Where the notes are. What begins with `_` is no one's data, as to Spark and Auto Loader.
const NOTES: &str = "_goldwire/erasures";
/// Looked after so many times within the time that is promised.
const TIMES: u32 = 4;
/// How often a file is read again that another replaced meanwhile.
const ATTEMPTS: usize = 5;

/// The note of a file.
pub(super) fn note(file: &str, erasures: &[Erasure]) -> Option<(String, Bytes)> {
    let stem = file.rsplit('/').next().unwrap_or(file);
    let text = serde_json::to_vec(erasures).ok()?;
    (!erasures.is_empty()).then(|| (format!("{NOTES}/{stem}.json"), text.into()))
}

/// Looks through the files again and again, so that what was erased is out of them `within` a time.
pub(super) async fn keep_up(sink: String, format: Format, targets: Arc<Targets>, within: Duration) {
    let mut rhythm = tokio::time::interval(within / TIMES);
    loop {
        rhythm.tick().await;
        match look_through(format, &targets).await {
            Ok(0) => {}
            Ok(files) => tracing::info!(sink, files, "erased records were taken out of files"),
            Err(error) => {
                tracing::error!(
                    sink,
                    "erased records could not be taken out of files: {error}"
                );
            }
        }
    }
}

/// Looks through all files once: how many were written again.
///
/// # Errors
/// If some could not be; the notes stay then.
pub(super) async fn look_through(format: Format, targets: &Targets) -> Result<usize, SinkError> {
    let notes = targets.first.list(NOTES).await?;
    let mut erased = Erased::default();
    for name in &notes {
        // Another that looked through the files at the same time may be done with it.
        let Some(note) = targets.first.find(name).await? else {
            continue;
        };
        let known: Vec<Erasure> =
            serde_json::from_slice(&note.file).map_err(|_| unreadable(name))?;
        for one in known {
            erased.add(one);
        }
    }
    if erased.is_empty() {
        return Ok(0);
    }
    let erased = Arc::new(erased);
    let mut files = 0;
    for target in std::iter::once(&targets.first).chain(&targets.mirror) {
        let _lock = target.lock().await?;
        for name in target.list("").await? {
            if !name.starts_with('_') {
                files += usize::from(clean(format, target, &name, &erased).await?);
            }
        }
    }
    for name in &notes {
        targets.first.remove(name).await?;
    }
    Ok(files)
}

/// Takes what was erased out of one file; whether there was some. A file that is gone has none.
async fn clean(
    format: Format,
    target: &Target,
    name: &str,
    erased: &Arc<Erased>,
) -> Result<bool, SinkError> {
    for _ in 0..ATTEMPTS {
        let Some(found) = target.find(name).await? else {
            return Ok(false);
        };
        let (file, erased) = (found.file.clone(), Arc::clone(erased));
        let made = tokio::task::spawn_blocking(move || without(format, &file, &erased)).await;
        let made = made.map_err(std::io::Error::other);
        let made = made.map_err(BodyError::from).flatten();
        let made = made.map_err(|error| SinkError::Systemic {
            code: error.to_string(),
            remedy: format!("{name}: take the erased records out of it, and remove its note"),
        })?;
        let Some(file) = made else {
            return Ok(false);
        };
        if target.replace(name, file, found).await? == Replaced::Yes {
            return Ok(true);
        }
    }
    Err(SinkError::Retryable {
        code: format!("{name} is changed by another again and again"),
        ambiguous: false,
        outage: false,
    })
}

fn unreadable(name: &str) -> SinkError {
    SinkError::Systemic {
        code: "unreadable_note".to_owned(),
        remedy: format!("{name}: restore it; it names subjects that were erased"),
    }
}

#[cfg(test)]
#[path = "erasure_tests.rs"]
mod tests;
