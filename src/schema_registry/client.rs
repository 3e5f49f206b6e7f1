//! The registry's REST API: `GET /schemas/ids/{id}`, and `GET /subjects/{subject}/versions/{version}`
//! for what a schema refers to.
//!
//! Guarantee (G10): errors are codes and names of subjects; no address, header or body reaches one.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use reqwest::{RequestBuilder, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::config::{SchemaRegistryConfig, address, authorities};
use super::{Fault, SchemaReader};
use crate::config::Secret;
use crate::decode::schema::{Language, Reference, SchemaText};
use crate::tls;

/// Largest answer taken.
const LARGEST_ANSWER: usize = 8 << 20;
/// Schemas that one may refer to, one way or another.
const MOST_REFERENCES: usize = 256;
const LONGEST_CONNECT: Duration = Duration::from_secs(5);
/// The code that says that there is no schema of an id.
const NO_SCHEMA: u32 = 40403;
/// The largest id; no one has it.
const NOBODY: u32 = i32::MAX.cast_unsigned();

/// A registry.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    user: Option<(String, Secret)>,
    bearer: Option<Secret>,
}

/// A schema, by its id or by its subject and version.
#[derive(Debug, Deserialize)]
struct Answer {
    schema: String,
    /// Avro, where it is not said.
    #[serde(rename = "schemaType")]
    language: Option<Language>,
    #[serde(default)]
    references: Option<Vec<Referred>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Referred {
    name: String,
    subject: String,
    version: i64,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    error_code: u32,
}

impl Client {
    /// A client of the registry that `config` names.
    ///
    /// # Errors
    /// One sentence: what is wrong with the configuration.
    pub(super) fn new(config: &SchemaRegistryConfig) -> Result<Self, String> {
        tls::use_ring();
        let timeout = config.timeout.get();
        let mut builder = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(LONGEST_CONNECT))
            .redirect(redirect::Policy::none());
        if let Some(file) = &config.ca_file {
            let of_file = authorities(file);
            let of_file = of_file.map_err(|why| format!("ca_file: {}: {why}", file.display()))?;
            builder = builder.tls_certs_merge(of_file);
        }
        let http = builder.build().map_err(|_| {
            "no TLS client can be made; install the operating system's CA certificates".to_owned()
        })?;
        let base = address(&config.url, config.insecure_plaintext);
        let base = base.map_err(|remedy| format!("url: {remedy}"))?;
        let user = config.username.clone().zip(config.password.clone());
        let bearer = config.bearer.clone();
        Ok(Self {
            http,
            base,
            user,
            bearer,
        })
    }

    /// Whether it answers as a registry does; a sentence if not.
    pub(super) async fn probe(&self) -> Option<String> {
        let id = NOBODY.to_string();
        let asked: Result<Answer, Fault> = self.get(&["schemas", "ids", &id]).await;
        match asked {
            Ok(_) | Err(Fault::Unknown) => None,
            Err(Fault::Away(why) | Fault::Unusable(why)) => Some(format!("the registry {why}")),
        }
    }

    fn request(&self, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let accepts = "application/vnd.schemaregistry.v1+json, application/json";
        let mut request = self.http.get(url).header("accept", accepts);
        if let Some((user, password)) = &self.user {
            request = request.basic_auth(user, Some(password.reveal()));
        }
        if let Some(token) = &self.bearer {
            request = request.bearer_auth(token.reveal());
        }
        request
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, Fault> {
        let (status, body) = send(self.request(path)).await.map_err(Fault::Away)?;
        match status {
            200 => serde_json::from_slice(&body).map_err(|_| {
                let what = "answers what is no registry's answer; see that `url` ends where its \
                            API begins";
                Fault::Away(what.to_owned())
            }),
            404 => match serde_json::from_slice::<Refusal>(&body) {
                Ok(refusal) if refusal.error_code == NO_SCHEMA => Err(Fault::Unknown),
                Ok(refusal) if (40400..40500).contains(&refusal.error_code) => {
                    Err(Fault::Unusable(format!("it says {}", refusal.error_code)))
                }
                // A proxy's, or another service's.
                Ok(_) | Err(_) => Err(Fault::Away(
                    "answers 404 to everything; see that `url` ends where its API begins"
                        .to_owned(),
                )),
            },
            401 | 403 => Err(Fault::Away(format!(
                "refuses the credentials ({status}); correct `username` and `password`, or \
                 `bearer`, and give their owner the right to read"
            ))),
            _ => Err(Fault::Away(format!("answers {status}"))),
        }
    }

    /// What `of` refers to, each after what it refers to itself.
    async fn references(&self, of: &Answer, language: Language) -> Result<Vec<Reference>, Fault> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let mut open = vec![(None, pending(of))];
        while let Some((_, waiting)) = open.last_mut() {
            let Some(next) = waiting.pop_front() else {
                let done = open.pop().and_then(|(reference, _)| reference);
                found.extend(done);
                continue;
            };
            let Referred {
                name,
                subject,
                version,
            } = next;
            // Of Protobuf, a schema may be imported by two names.
            let named = (language == Language::Protobuf).then(|| name.clone());
            if !seen.insert((named, subject.clone(), version)) {
                continue;
            }
            if seen.len() > MOST_REFERENCES {
                let why = format!("it refers to more than {MOST_REFERENCES} schemas");
                return Err(Fault::Unusable(why));
            }
            let number = version.to_string();
            let path = ["subjects", &subject, "versions", &number];
            let answer: Answer = match self.get(&path).await {
                Err(Fault::Unknown | Fault::Unusable(_)) => {
                    return Err(Fault::Unusable(format!(
                        "its reference {name} (subject {subject}, version {version}) is not in the \
                         registry"
                    )));
                }
                answered => answered?,
            };
            let waiting = pending(&answer);
            let text = answer.schema;
            open.push((Some(Reference { name, text }), waiting));
        }
        Ok(found)
    }
}

fn pending(answer: &Answer) -> VecDeque<Referred> {
    answer.references.iter().flatten().cloned().collect()
}

#[async_trait::async_trait]
impl SchemaReader for Client {
    async fn read(&self, id: u32) -> Result<SchemaText, Fault> {
        let answer: Answer = self.get(&["schemas", "ids", &id.to_string()]).await?;
        let language = answer.language.unwrap_or(Language::Avro);
        Ok(SchemaText {
            references: self.references(&answer, language).await?,
            language,
            text: answer.schema,
        })
    }
}

/// Sends `request` and reads its answer to the end; what is wrong if there is none.
async fn send(request: RequestBuilder) -> Result<(u16, Vec<u8>), String> {
    let mut response = request.send().await.map_err(|error| trouble(&error))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| trouble(&error))? {
        if body.len().saturating_add(chunk.len()) > LARGEST_ANSWER {
            return Err(format!("answers more than {} MiB", LARGEST_ANSWER >> 20));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((response.status().as_u16(), body))
}

fn trouble(error: &reqwest::Error) -> String {
    let code = if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "connect"
    } else {
        "transport"
    };
    format!("does not answer ({code})")
}
