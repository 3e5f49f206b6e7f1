//! Loading: the steps from a file to what it configures, each of which adds its problems.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path as FilePath;

use serde_json::Value;

use super::comments::without_comments;
use super::loose::{self, Loose};
use super::path::{Path, Step};
use super::schema::{Shape, schema};
use super::validate::Check;
use super::variables::{Environment, Variables};
use super::{Problem, Problems, Root, rules};

/// The largest file that is read: far above what a person writes, and no device without an end.
const LARGEST_FILE: u64 = 4 << 20;

/// Everything that is wrong with a configuration. Prints one line a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError(pub Vec<Problem>);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for LoadError {}

/// Loads the configuration file at `path`. `env` looks up environment variables. Paths inside the
/// file are relative to the working directory.
///
/// # Errors
/// Every problem at once, each with its path, the value (never a secret) and the remedy.
pub(crate) fn load<T: Root>(path: &FilePath, env: Environment<'_>) -> Result<T, LoadError> {
    parse(&text_of(path)?, env)
}

/// As [`load`], for what looks at a configuration and connects to nothing: variables that are not
/// set, and secrets whose files cannot be read, are no problem until they are needed. While there
/// are some, what only several keys together can violate is not looked at.
///
/// # Errors
/// As [`load`], and where the text `${NAME}` cannot stand for a value that is not set.
pub(crate) fn load_loosely<T: Root>(
    path: &FilePath,
    env: Environment<'_>,
) -> Result<Loose<T>, LoadError> {
    parse_for(&text_of(path)?, env, How::Loosely)
}

/// As [`load`], for a process that serves: also reads what that one opens on this machine, the
/// listener's certificate and key and the files that properties of librdkafka name.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_to_serve<T: Root>(
    path: &FilePath,
    env: Environment<'_>,
) -> Result<T, LoadError> {
    parse_for(&text_of(path)?, env, How::ToServe).map(|loaded| loaded.config)
}

/// What a configuration is loaded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// As it is.
    Strictly,
    /// The files that a process opens are looked at, too.
    ToServe,
    /// Without what comes from outside, where that is not there.
    Loosely,
}

fn text_of(path: &FilePath) -> Result<String, LoadError> {
    let unreadable = |why: String| {
        let remedy = format!("{why}; give a readable file, or write one with `goldwire init`");
        LoadError(vec![problem(
            path.display().to_string(),
            String::new(),
            remedy,
        )])
    };
    let bytes = read_file(path).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".to_owned()))
}

/// The content of a file that the configuration names.
///
/// # Errors
/// Why not, in words that need no operating system's manual.
pub(crate) fn read_file(path: &FilePath) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        // One byte more, to see that it goes on.
        file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)
    });
    match read {
        Ok(read) if u64::try_from(read).is_ok_and(|read| read <= LARGEST_FILE) => Ok(bytes),
        Ok(_) => Err(format!("it is longer than {} MiB", LARGEST_FILE >> 20)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err("there is no such file".to_owned())
        }
        Err(error) => Err(error.kind().to_string()),
    }
}

/// As [`load`], from the file's text.
///
/// # Errors
/// As [`load`].
pub(crate) fn parse<T: Root>(text: &str, env: Environment<'_>) -> Result<T, LoadError> {
    parse_for(text, env, How::Strictly).map(|loaded| loaded.config)
}

fn parse_for<T: Root>(text: &str, env: Environment<'_>, how: How) -> Result<Loose<T>, LoadError> {
    let mut root = yaml(text)?;
    let mut problems = Problems::default();
    let mut variables = Variables::new(env);
    variables.replace(&Path::default(), &mut root, &mut problems);
    let Variables {
        replaced,
        refused,
        unset,
        ..
    } = variables;

    let schema = schema::<T>();
    let shape = Shape { root: &schema };
    let validator = jsonschema::validator_for(&schema).map_err(|error| {
        let found = error.to_string();
        LoadError(vec![problem(
            "schema".to_owned(),
            found,
            "report this".to_owned(),
        )])
    })?;
    let check = Check {
        shape,
        root: &root,
        replaced: &replaced,
        refused: &refused,
        serves: how == How::ToServe,
    };
    let mut found = Problems::default();
    check.violations(&validator, &mut found);

    let mut unread = Problems::default();
    let mut with_secrets = read_secrets(shape, &root, &mut unread);
    let mut unknown = Vec::new();
    if how == How::Loosely {
        unknown = loose::unknown(&unset, &found, &mut problems);
        leave_unread(shape, &mut with_secrets);
        unknown.append(&mut unread.0);
    }
    found.0.append(&mut unread.0);
    if unknown.is_empty() {
        let check = Check {
            shape,
            root: &with_secrets,
            ..check
        };
        rules::check::<T>(&check, &mut found);
    }

    // A value whose variable is missing is wrong for that reason alone.
    let refused: BTreeSet<String> = refused.iter().map(ToString::to_string).collect();
    problems.0.extend(
        found
            .0
            .into_iter()
            .filter(|problem| !refused.contains(&problem.path)),
    );
    let config = finish(with_secrets, problems, &unknown)?;
    Ok(Loose { config, unknown })
}

/// The process's environment, for [`load`].
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the environment is read"
)]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn finish<T: Root>(root: Value, problems: Problems, unknown: &[Problem]) -> Result<T, LoadError> {
    let mut problems = problems.0;
    problems.sort_by(|one, other| (&one.path, &one.found).cmp(&(&other.path, &other.found)));
    problems.dedup();
    if !problems.is_empty() {
        return Err(LoadError(problems));
    }
    serde_json::from_value(root).map_err(|_| {
        if !unknown.is_empty() {
            // The text of a variable that is not set stands where an address, say, has to.
            return LoadError(unknown.to_vec());
        }
        // Its text could quote a secret. The schema has accepted what serde refuses.
        let remedy = "the configuration does not match the schema; report this".to_owned();
        LoadError(vec![problem(
            "configuration".to_owned(),
            String::new(),
            remedy,
        )])
    })
}

fn problem(path: String, found: String, remedy: String) -> Problem {
    Problem {
        path,
        found,
        remedy,
    }
}

/// The tree of a YAML document. A key that stands there twice is an error, never a choice.
fn yaml(text: &str) -> Result<Value, LoadError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
    };
    let text = without_comments(text);
    serde_saphyr::from_str_with_options(&text, options).map_err(|error| {
        let place = error.location().map_or_else(
            || "configuration".to_owned(),
            |at| format!("line {}, column {}", at.line(), at.column()),
        );
        if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error.without_snippet() {
            let key = key.as_deref().unwrap_or_default();
            let found = format!("the key `{key}` a second time");
            return LoadError(vec![problem(place, found, "keep one of them".to_owned())]);
        }
        // The parser's text may quote the line, and the line may hold a secret.
        let remedy = "this is not YAML; check indentation, colons, quotes".to_owned();
        LoadError(vec![problem(place, String::new(), remedy)])
    })
}

/// The tree with `{file: PATH}` replaced by the file's content wherever the schema has a secret.
fn read_secrets(shape: Shape<'_>, root: &Value, problems: &mut Problems) -> Value {
    let mut files = Vec::new();
    find_files(&Path::default(), root, &mut files);
    let mut read = root.clone();
    for (path, file) in files {
        if !shape.is(&path, "Secret") {
            continue;
        }
        let text = read_file(FilePath::new(&file));
        let text = text
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()));
        match text {
            Ok(text) if text.trim().is_empty() => {
                problems.add(
                    path.key("file").to_string(),
                    format!("{file:?}"),
                    "the file is empty",
                );
            }
            // An editor ends the file with a line break that is no part of the secret.
            Ok(text) => put(&mut read, &path, text.trim_end_matches(['\r', '\n'])),
            Err(why) => {
                let remedy = format!("{why}; name a readable file");
                problems.add(path.key("file").to_string(), format!("{file:?}"), remedy);
            }
        }
    }
    read
}

/// Empty texts for the secrets whose files could not be read. No one uses them: who needs one asks
/// [`Loose::need`] first.
fn leave_unread(shape: Shape<'_>, root: &mut Value) {
    let mut files = Vec::new();
    find_files(&Path::default(), root, &mut files);
    for (path, _) in files {
        if shape.is(&path, "Secret") {
            put(root, &path, "");
        }
    }
}

fn find_files(path: &Path, value: &Value, files: &mut Vec<(Path, String)>) {
    match value {
        Value::Object(entries) => {
            if let (1, Some(Value::String(file))) = (entries.len(), entries.get("file")) {
                files.push((path.clone(), file.clone()));
            }
            for (key, entry) in entries {
                find_files(&path.key(key), entry, files);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find_files(&path.index(index), item, files);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn put(root: &mut Value, path: &Path, text: &str) {
    let found = path.0.iter().try_fold(root, |at, step| match step {
        Step::Key(key) => at.get_mut(key),
        Step::Index(index) => at.get_mut(index),
    });
    if let Some(found) = found {
        *found = Value::from(text);
    }
}
