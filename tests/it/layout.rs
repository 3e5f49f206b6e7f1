//! Which part of the program may know which: the arrows of `docs/architecture.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each part after those that it may know. The root of the configuration knows all that it declares.
const KNOWS: [(&str, &[&str]); 34] = [
    ("backoff", &[]),
    ("mutation", &[]),
    ("pace", &["mutation"]),
    ("progress", &[]),
    ("time", &[]),
    ("oauth", &["time"]),
    ("telemetry", &[]),
    ("dir_lock", &[]),
    ("listener", &[]),
    ("config", &[]),
    ("tls", &["config", "listener"]),
    ("serving", &["listener", "tls"]),
    ("http", &["config", "oauth", "time", "tls"]),
    ("event", &["time", "mutation"]),
    ("log", &["config", "dir_lock", "event", "kafka", "time"]),
    ("store", &["backoff", "dir_lock", "event", "time"]),
    ("kafka", &["config"]),
    ("decode", &["event", "mutation", "time"]),
    (
        "reltio",
        &[
            "backoff",
            "config",
            "event",
            "oauth",
            "pace",
            "telemetry",
            "time",
            "tls",
        ],
    ),
    ("refresh", &["config", "event", "http", "oauth", "time"]),
    (
        "dead_letter",
        &[
            "backoff",
            "event",
            "kafka",
            "store",
            "log",
            "mutation",
            "telemetry",
            "time",
        ],
    ),
    (
        "sink",
        &[
            "config",
            "dir_lock",
            "event",
            "http",
            "kafka",
            "log",
            "oauth",
            "pace",
            "reltio",
            "serving",
            "store",
            "telemetry",
            "time",
            "tls",
        ],
    ),
    (
        "schema_registry",
        &[
            "backoff",
            "config",
            "decode",
            "dir_lock",
            "telemetry",
            "tls",
        ],
    ),
    (
        "source",
        &[
            "backoff",
            "config",
            "event",
            "kafka",
            "schema_registry",
            "store",
            "log",
            "time",
        ],
    ),
    (
        "webhook",
        &[
            "config",
            "decode",
            "event",
            "listener",
            "log",
            "mutation",
            "pace",
            "telemetry",
            "time",
            "tls",
        ],
    ),
    (
        "engine",
        &[
            "backoff",
            "config",
            "dead_letter",
            "event",
            "store",
            "log",
            "mutation",
            "reltio",
            "sink",
            "telemetry",
            "time",
        ],
    ),
    (
        "changelog",
        &[
            "backoff", "engine", "event", "kafka", "log", "mutation", "store", "time",
        ],
    ),
    (
        "ingest",
        &[
            "backoff",
            "dead_letter",
            "decode",
            "engine",
            "event",
            "log",
            "mutation",
            "reltio",
            "schema_registry",
            "source",
            "telemetry",
            "time",
        ],
    ),
    (
        "admin",
        &[
            "config",
            "dead_letter",
            "store",
            "serving",
            "telemetry",
            "time",
            "tls",
        ],
    ),
    // The root of the configuration, and what follows from it.
    (
        "topology",
        &[
            "admin",
            "config",
            "dead_letter",
            "engine",
            "event",
            "log",
            "refresh",
            "reltio",
            "sink",
            "source",
            "store",
            "webhook",
        ],
    ),
    // What puts the parts together knows them.
    ("runtime", ALL),
    ("demo", ALL),
    ("cli", ALL),
    ("lib", ALL),
];
const ALL: &[&str] = &["*"];

#[test]
fn no_part_knows_what_stands_after_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let may: BTreeMap<&str, &[&str]> = KNOWS.into_iter().collect();
    let mut arrows = BTreeMap::new();
    for file in sources(&src) {
        let inner = file.strip_prefix(&src).unwrap();
        let first = inner.components().next().unwrap().as_os_str();
        let part = first.to_str().unwrap().trim_end_matches(".rs").to_owned();
        let known = named(&fs::read_to_string(&file).unwrap());
        let of_part: &mut BTreeSet<String> = arrows.entry(part).or_default();
        of_part.extend(known);
    }
    let mut wrong = Vec::new();
    for (part, knows) in &arrows {
        if part == "main" {
            continue;
        }
        let may = may.get(part.as_str());
        let may = may.unwrap_or_else(|| panic!("{part} is not in the table"));
        for known in knows {
            if known != part && *may != ALL && !may.contains(&known.as_str()) {
                wrong.push(format!("{part} -> {known}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    // What is in the table and is not so any more is taken out of it.
    for (part, may) in KNOWS.into_iter().filter(|(_, may)| *may != ALL) {
        let knows = &arrows[part];
        let gone: Vec<_> = may.iter().filter(|may| !knows.contains(**may)).collect();
        assert!(gone.is_empty(), "{part} does not know {gone:?} any more");
    }
}

#[test]
fn no_file_is_longer_than_450_lines_and_half_of_them_than_150() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut lengths = Vec::new();
    for file in ["src", "loadtest/src", "tests"]
        .into_iter()
        .flat_map(|folder| sources(&root.join(folder)))
    {
        let length = fs::read_to_string(&file).unwrap().lines().count();
        assert!(length <= 450, "{}: {length} lines", file.display());
        lengths.push(length);
    }
    lengths.sort_unstable();
    assert!(lengths[lengths.len() / 2] <= 150, "{lengths:?}");
}

/// All Rust files of a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().unwrap() != "target" {
                found.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// The parts that a file names as `crate::part`, or in `use crate::{part, …}`.
fn named(text: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        let letters = text.chars();
        letters
            .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
            .collect()
    };
    let mut found = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        if let Some(list) = rest.strip_prefix('{') {
            let list = list.split_once('}').map_or(list, |(list, _)| list);
            found.extend(list.split(',').map(|part| word(part.trim())));
        } else {
            found.insert(word(rest));
        }
    }
    found.retain(|part| !part.is_empty());
    found
}
