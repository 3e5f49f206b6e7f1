//! `goldwire webhook sign`: the headers that make a body a lawful webhook, for tests of an endpoint.

use std::fs;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use sha2::{Digest as _, Sha256};

use crate::config::Secret;
use crate::time::SharedClock;
use crate::webhook::SignatureScheme;
use crate::webhook::signature::{Key, sign as signed};

/// The longest text in the command that is printed; Linux takes words up to 128 KiB.
const LONGEST_WORD: usize = 64 << 10;

/// Prints the headers that sign a body, as a sender would sign it now.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// How the endpoint's requests are signed
    #[arg(long, value_enum)]
    scheme: Scheme,
    #[command(flatten)]
    secret: SecretArgs,
    /// Print a curl command that sends the body there, instead of the headers alone
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The body; `-` is the standard input
    #[arg(default_value = "-", value_name = "FILE")]
    body: PathBuf,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SecretArgs {
    /// Environment variable that holds the secret
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// File that holds the secret
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scheme {
    /// X-Reltio-Signature
    Reltio,
    /// Standard Webhooks
    Standard,
}

impl From<Scheme> for SignatureScheme {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Reltio => Self::Reltio,
            Scheme::Standard => Self::Standard,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// A sentence with the remedy if the secret or the body cannot be had.
pub fn sign(args: &SignArgs, clock: &SharedClock, out: &mut impl Write) -> Result<(), String> {
    let scheme = args.scheme.into();
    let key = Key::new(scheme, &args.secret.read()?)?;
    let body = read_body(&args.body)?;
    let headers = signed(scheme, &key, &id_of(&body), clock.now(), &body);
    let lines = match &args.url {
        None => plain(&headers),
        Some(url) => curl(url, &headers, &data(&args.body, &body)?),
    };
    out.write_all(lines.as_bytes())
        .map_err(|error| format!("the output cannot be written: {error}"))
}

impl SecretArgs {
    fn read(&self) -> Result<Secret, String> {
        let text = match (&self.secret_env, &self.secret_file) {
            (Some(name), _) => from_environment(name)?,
            (None, Some(file)) => fs::read_to_string(file)
                .map_err(|error| format!("--secret-file: {}: {error}", file.display()))?,
            (None, None) => return Err("give --secret-env or --secret-file".to_owned()),
        };
        // An editor, or `echo`, ends the file with a line break that is no part of the secret.
        Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the variable is named on the command line"
)]
fn from_environment(name: &str) -> Result<String, String> {
    std::env::var(name)
        .map_err(|_| format!("--secret-env: {name} is not set, or is not text; export it first"))
}

fn read_body(file: &Path) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    let read = if file.as_os_str() == "-" {
        io::stdin().lock().read_to_end(&mut body)
    } else {
        fs::File::open(file).and_then(|mut file| file.read_to_end(&mut body))
    };
    read.map_err(|error| format!("the body {} cannot be read: {error}", file.display()))?;
    Ok(body)
}

/// The same body is the same message, however often it is sent.
fn id_of(body: &[u8]) -> String {
    let digest = hex::encode(Sha256::digest(body));
    format!("msg_{}", digest.get(..24).unwrap_or(&digest))
}

fn plain(headers: &[(&str, String)]) -> String {
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"));
    lines.chain([String::new()]).collect::<Vec<_>>().join("\n")
}

/// The option that gives curl the body: its file, or, of what was read once and is gone, the text.
fn data(file: &Path, body: &[u8]) -> Result<String, String> {
    if file.as_os_str() != "-" {
        let file = quoted(&format!("@{}", file.display()));
        return Ok(format!("--data-binary {file}"));
    }
    let text = std::str::from_utf8(body).ok();
    let fits = |text: &&str| text.len() <= LONGEST_WORD && !text.contains('\0');
    text.filter(fits)
        .map(|text| format!("--data-raw {}", quoted(text)))
        .ok_or_else(|| {
            "the body is too long for a command, or no text; save it, and name the file".to_owned()
        })
}

fn curl(url: &str, headers: &[(&str, String)], data: &str) -> String {
    let head = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"));
    let head = head.chain(["content-type: application/json".to_owned()]);
    let mut words = vec![format!("curl -i {}", quoted(url))];
    words.extend(head.map(|line| format!("-H {}", quoted(&line))));
    words.push(format!("{data}\n"));
    words.join(" \\\n  ")
}

/// Quoted for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;

    use super::*;
    use crate::time::{Clock, Millis};

    #[derive(Debug)]
    struct Then;

    impl Clock for Then {
        fn now(&self) -> Millis {
            1_649_367_553_000
        }
    }

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: SignArgs,
    }

    fn run(words: &[&str]) -> Result<String, String> {
        let words = std::iter::once("sign").chain(words.iter().copied());
        let command = Command::try_parse_from(words).map_err(|error| error.to_string())?;
        let clock: SharedClock = Arc::new(Then);
        let mut out = Vec::new();
        sign(&command.args, &clock, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    #[test]
    fn the_headers_of_a_published_example_come_out() {
        let folder = tempfile::tempdir().unwrap();
        let secret = file(&folder, "secret", "It's a Secret to Everybody\n");
        let body = file(&folder, "body", "Hello, World!");
        let printed = run(&["--scheme", "reltio", "--secret-file", &secret, &body]).unwrap();
        let tag = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(printed, format!("x-reltio-signature: sha256={tag}\n"));
    }

    #[test]
    fn with_a_url_a_command_for_the_shell_comes_out() {
        let folder = tempfile::tempdir().unwrap();
        let secret = file(&folder, "secret", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let body = file(&folder, "it's.json", "{}");
        let url = "https://example.com/hook";
        let words = [
            "--scheme",
            "standard",
            "--secret-file",
            &secret,
            "--url",
            url,
            &body,
        ];
        let printed = run(&words).unwrap();
        assert!(
            printed.starts_with("curl -i 'https://example.com/hook' \\\n"),
            "{printed}"
        );
        assert!(
            printed.contains("-H 'webhook-timestamp: 1649367553'"),
            "{printed}"
        );
        assert!(printed.contains(r"it'\''s.json'"), "{printed}");
        assert!(!printed.contains("whsec_"), "{printed}");
    }

    #[test]
    fn a_body_from_the_standard_input_stands_in_the_command_itself() {
        let stdin = Path::new("-");
        assert_eq!(
            data(stdin, b"@{\"n\":\"O'Hara\"}\n").unwrap(),
            "--data-raw '@{\"n\":\"O'\\''Hara\"}\n'"
        );
        let long = "a".repeat(LONGEST_WORD + 1);
        for body in [&b"\xff"[..], b"a\0", long.as_bytes()] {
            assert!(data(stdin, body).unwrap_err().contains("name the file"));
        }
        let file = data(Path::new("event.json"), b"\xff").unwrap();
        assert_eq!(file, "--data-binary '@event.json'");
    }

    #[test]
    fn one_secret_is_named_and_a_bad_one_refused_without_showing_it() {
        assert!(run(&["--scheme", "reltio"]).is_err());
        let folder = tempfile::tempdir().unwrap();
        let secret = file(&folder, "secret", "plain-secret");
        let words = ["--scheme", "standard", "--secret-file", &secret, "-"];
        let why = run(&words).unwrap_err();
        assert!(
            why.contains("whsec_") && !why.contains("plain-secret"),
            "{why}"
        );
    }
}
