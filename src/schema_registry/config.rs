//! The configuration of a schema registry, and what only several of its keys together can violate.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use reqwest::Url;
use reqwest::tls::Certificate;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{At, Period, Rules, Secret, read_file};

/// Confluent's Schema Registry, or one that speaks its REST API (Karapace, Apicurio), from which the
/// schemas of the topic's values are read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SchemaRegistryConfig {
    /// Where its API begins: `https://registry.example.com`; at Apicurio's,
    /// `https://host/apis/ccompat/v7`.
    pub url: String,
    /// User of its basic authentication; at Confluent Cloud, the API key.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// A bearer token, instead of user and password.
    pub bearer: Option<Secret>,
    /// PEM file of the authorities that its certificate may be of, besides the operating system's.
    pub ca_file: Option<PathBuf>,
    /// Where its answers are kept, so that a registry that is away stops no one who has seen the
    /// schema: `schemas` in `data_dir` without it.
    pub cache_dir: Option<PathBuf>,
    /// Longest a request may take.
    #[serde(default = "timeout")]
    pub timeout: Period,
    /// Asks a registry on another machine in clear text, and sends it the password so.
    #[serde(default)]
    pub insecure_plaintext: bool,
}

fn timeout() -> Period {
    "10s".into()
}

/// The rules of a section `schema_registry`.
pub(crate) fn check(section: &At<'_>, rules: &mut Rules<'_>) {
    if let Some(at) = section.get("url")
        && let Some(text) = at.text()
        && let Err(remedy) = address(text, section.is_true("insecure_plaintext"))
    {
        rules.refuse(&at, remedy);
    }
    for (key, other) in [("username", "password"), ("password", "username")] {
        if section.get(key).is_some() && section.get(other).is_none() {
            rules.missing(section, other, format!("missing; `{key}` goes with it"));
        }
    }
    if let (Some(at), Some(_)) = (section.get("bearer"), section.get("username")) {
        rules.refuse(&at, "keep either `bearer` or `username` and `password`");
    }
    rules.period(section, &["timeout"], ("1s", "5m"));
    if rules.serve()
        && let Some(at) = section.get("ca_file")
        && let Some(text) = at.text()
        && let Err(why) = authorities(Path::new(text))
    {
        rules.refuse(&at, format!("{text}: {why}"));
    }
}

/// The address `text`, fit to carry a password.
///
/// # Errors
/// What to write instead.
pub(super) fn address(text: &str, insecure: bool) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(Url::has_host);
    let Some(url) = url else {
        return Err("write its address in full, such as https://registry.example.com".to_owned());
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("write user and password as `username` and `password`".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("leave out what stands behind `?` or `#`".to_owned());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if insecure || is_loopback(&url) => Ok(url),
        "http" => Err(
            "use https://: nothing is encrypted on the way to another machine \
             (`insecure_plaintext` is for networks that no one listens to)"
                .to_owned(),
        ),
        _ => Err("write an address that begins with https://".to_owned()),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The certificates in a file.
///
/// # Errors
/// Why there are none.
pub(super) fn authorities(file: &Path) -> Result<Vec<Certificate>, String> {
    let give = "give the authorities' certificates as PEM";
    let pem = read_file(file).map_err(|why| format!("{why}; {give}"))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(format!("it holds no certificate; {give}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_text_goes_to_this_machine_alone_unless_it_is_meant() {
        for here in [
            "http://127.0.0.1:8081",
            "http://localhost/apis",
            "http://[::1]:1",
        ] {
            assert!(address(here, false).is_ok(), "{here}");
        }
        assert!(address("http://registry:8081", false).is_err());
        assert!(address("http://registry:8081", true).is_ok());
        assert!(address("https://registry:8081/api", false).is_ok());
    }

    #[test]
    fn an_address_is_whole_and_holds_nothing_else() {
        for (bad, remedy) in [
            ("registry:8081", "in full"),
            ("/path", "in full"),
            ("https://u:p@registry", "`username`"),
            ("https://registry?x=1", "behind `?`"),
            ("ftp://registry", "https://"),
        ] {
            let said = address(bad, false).unwrap_err();
            assert!(said.contains(remedy), "{bad}: {said}");
        }
    }
}
