//! A report as files: `report.json`, from which all else can be drawn again, and `report.html`.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::html::html;
use super::{FORMAT, Report};
use crate::Failed;

/// The file that [`read`] reads.
const JSON: &str = "report.json";
/// The page.
const HTML: &str = "report.html";

/// Writes both files into a directory, which is made where it is missing.
///
/// # Errors
/// Which file could not be written, and why.
pub(crate) fn write(report: &Report, dir: &Path) -> Result<(), Failed> {
    fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut json = serde_json::to_vec_pretty(report)?;
    json.push(b'\n');
    for (name, content) in [(JSON, json), (HTML, html(report).into_bytes())] {
        let path = dir.join(name);
        fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// What every format has.
#[derive(Debug, Deserialize)]
struct Versioned {
    format: u32,
}

/// Reads a `report.json`, or that of a directory.
///
/// # Errors
/// Which file could not be read, and what is wrong with it.
pub(crate) fn read(path: &Path) -> Result<Report, Failed> {
    let file = if path.is_dir() {
        path.join(JSON)
    } else {
        path.to_owned()
    };
    let name = file.display();
    let json = fs::read(&file).map_err(|error| format!("{name}: {error}"))?;
    let versioned = serde_json::from_slice::<Versioned>(&json);
    let Versioned { format } = versioned.map_err(|error| format!("{name}: no report: {error}"))?;
    if format > FORMAT {
        return Err(format!(
            "{name}: it is of format {format}, and this loadtest reads {FORMAT} at most; read it \
             with the one that wrote it"
        )
        .into());
    }
    let report = serde_json::from_slice(&json);
    Ok(report.map_err(|error| format!("{name}: no report of format {format}: {error}"))?)
}
