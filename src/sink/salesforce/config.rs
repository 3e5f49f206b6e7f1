//! The configuration of a `salesforce` sink.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::preview::preview;
use super::schema::schema_text;
use super::{Deps, Salesforce, takes};
use crate::config::{At, Period, Rules, Secret};
use crate::event::{Filter, Kind, Subject, short_name};
use crate::sink::preview::Previewed;
use crate::sink::registry::{Described, SinkDeps, SinkKind, without_user};
use crate::sink::{Mode, Sink, Write};

/// Salesforce records kept equal to living golden records.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SalesforceSink {
    /// The org's My Domain: `https://example.my.salesforce.com`. Tokens come from here. With `jwt`
    /// also `https://login.salesforce.com`, or `https://test.salesforce.com` for a sandbox.
    pub login_url: String,
    /// OAuth client id, the app's consumer key.
    pub client_id: String,
    /// OAuth client secret: the client credentials flow. Either this or `jwt`.
    pub client_secret: Option<Secret>,
    /// The JWT bearer flow instead: a key in place of the secret.
    pub jwt: Option<Jwt>,
    /// REST API version.
    #[serde(default = "api_version")]
    pub api_version: String,
    /// Short name of the Reltio source whose crosswalks name records of this org; of its long form,
    /// `configuration/sources/SFDC`, the last part counts. Case counts: Reltio is asked by it.
    #[serde(deserialize_with = "source_name")]
    pub crosswalk_source: String,
    /// What each entity type becomes. Of a path or a dotted name the last part counts:
    /// `com.example.Individual` is `Individual`.
    #[serde(deserialize_with = "by_short_name")]
    #[schemars(extend("minProperties" = 1))]
    pub objects: BTreeMap<String, SalesforceObject>,
    /// Event types delivered, in either vocabulary (`*` and `?` match). Erasures always are.
    #[serde(default = "every")]
    pub event_types: Vec<String>,
    /// Whether the org has the validation rule that `goldwire schema salesforce` prints.
    #[serde(default)]
    pub guard: Declared,
    /// Requests a second at most.
    #[serde(default = "quota")]
    pub quota: Quota,
    /// What the sink may use of the org's API calls in any 24 hours, above 0 and up to 1. The first
    /// half of it at any speed, the second half spread over 24 hours; then the sink pauses. It also
    /// pauses while less than a tenth of the org's calls (or than what is not its share) is left for
    /// all clients. Several processes with this sink count apart.
    #[serde(default = "daily_share")]
    #[schemars(range(min = 0, max = 1))]
    pub daily_share: f64,
    /// Requests at the same time at most.
    #[serde(default = "concurrency")]
    #[schemars(range(min = 1))]
    pub concurrency: usize,
    /// Records of one write at most. Lower it where the org's triggers and flows do not bear 200:
    /// a write that fails as a whole is halved until it passes, and each half is a call.
    #[serde(default = "batch")]
    #[schemars(range(min = 1, max = 200))]
    pub batch: usize,
    /// What the org's duplicate rules may do about a write (API v52.0 and later). A rule whose
    /// action is to block refuses either way.
    #[serde(default)]
    pub duplicate_rules: DuplicateRules,
    /// What becomes of a golden record whose new record a duplicate rule refuses because of
    /// exactly one other. Several, or none that is told, are always a dead letter with their ids.
    #[serde(default)]
    pub on_duplicate: OnDuplicate,
    /// How long requests wait for company, so that one carries up to `batch` records.
    #[serde(default = "linger")]
    pub linger: Period,
    /// Longest a request may take here before it counts as ambiguous.
    #[serde(default = "request_timeout")]
    pub request_timeout: Period,
    /// Longest a request may run at Salesforce, plus the longest pause of a lane: how long after
    /// an ambiguous write or an archived record the newest state is asserted once more.
    #[serde(default = "longest_request")]
    pub longest_request: Period,
    /// Sends the client secret in clear text. For tests.
    #[serde(default)]
    pub insecure_plain_http: bool,
}

/// Login with a signed assertion. The app holds the key's certificate, and is pre-authorised for
/// the user.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// The user that the sink works as.
    pub username: String,
    /// PEM text of the RSA private key, unencrypted.
    pub private_key: Secret,
    /// Audience of the assertion; left out, `https://test.salesforce.com` for a sandbox, else
    /// `https://login.salesforce.com`.
    pub audience: Option<String>,
}

/// Two names that are one type are refused by the rules.
fn by_short_name<'de, D: serde::Deserializer<'de>>(
    written: D,
) -> Result<BTreeMap<String, SalesforceObject>, D::Error> {
    let objects = BTreeMap::<String, SalesforceObject>::deserialize(written)?;
    let short = |(name, object): (String, _)| (short_name(&name).to_owned(), object);
    Ok(objects.into_iter().map(short).collect())
}

fn source_name<'de, D: serde::Deserializer<'de>>(written: D) -> Result<String, D::Error> {
    let written = String::deserialize(written)?;
    Ok(short_name(written.trim()).to_owned())
}

/// Whether the target has the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Declared {
    /// The validation rule is in place: older content is refused by the org itself.
    Version,
    /// It is not: G4 holds eventually.
    #[default]
    None,
}

/// What duplicate rules may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateRules {
    /// Rules that only alert do not keep a record from being saved.
    #[default]
    Allow,
    /// Rules that alert refuse, as those that block do.
    Refuse,
}

/// What becomes of a golden record of which the org has one record already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDuplicate {
    /// A dead letter with the record's id.
    #[default]
    DeadLetter,
    /// The record becomes the golden record's, as if it had been created for it, unless it is
    /// another's: goldwire wrote it before, or a crosswalk in Reltio names it. Else a dead letter.
    Link,
}

fn api_version() -> String {
    "v66.0".to_owned()
}
fn every() -> Vec<String> {
    vec!["*".to_owned()]
}
/// A rate.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Requests a second.
    #[schemars(range(min = 1))]
    pub per_second: u32,
}

fn quota() -> Quota {
    Quota { per_second: 20 }
}
fn daily_share() -> f64 {
    0.5
}
fn concurrency() -> usize {
    8
}
/// Rows of one sObject Collections request at most.
pub(super) const LARGEST: usize = 200;

fn batch() -> usize {
    LARGEST
}
fn linger() -> Period {
    "20ms".into()
}
fn request_timeout() -> Period {
    "60s".into()
}
fn longest_request() -> Period {
    "11m".into()
}

/// What an entity type becomes in Salesforce.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SalesforceObject {
    /// The sObject: `Contact`.
    pub sobject: String,
    /// External id, unique and case-sensitive: the entity that the record stands for.
    #[serde(default = "ext_field")]
    pub ext_field: String,
    /// The entity whose lane wrote last.
    #[serde(default = "mark_field")]
    pub mark_field: String,
    /// The entity that the record was created for.
    #[serde(default = "home_field")]
    pub home_field: String,
    /// Out of use.
    #[serde(default = "archived_field")]
    pub archived_field: String,
    /// The record that took over.
    #[serde(default = "merged_into_field")]
    pub merged_into_field: String,
    /// The time that the content stands for, ms (number, 18 digits).
    #[serde(default = "guard_field")]
    pub guard_field: String,
    /// What becomes of the record of an entity that is not active now.
    #[serde(default)]
    pub ended: Ended,
    /// Target field → where its value comes from.
    #[schemars(extend("minProperties" = 1))]
    pub fields: BTreeMap<String, FieldSource>,
}

/// What becomes of the record of an entity that is not active now: its end date has passed, its start
/// date is still to come, or all its crosswalks are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It is out of use, and none is created; it comes back into use when the entity is active again.
    #[default]
    Archive,
    /// It is written like any other.
    Keep,
}

fn ext_field() -> String {
    "Reltio_Id__c".to_owned()
}
fn mark_field() -> String {
    "Reltio_Writer__c".to_owned()
}
fn home_field() -> String {
    "Reltio_Home__c".to_owned()
}
fn archived_field() -> String {
    "Reltio_Archived__c".to_owned()
}
fn merged_into_field() -> String {
    "Reltio_Merged_Into__c".to_owned()
}
fn guard_field() -> String {
    "Reltio_Guard__c".to_owned()
}

/// Where a field's value comes from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldSource {
    /// Path of an attribute, nested ones with dots: `Address.City`.
    Attribute(String),
    /// Path of an attribute, and what is to be done when the golden record has no value.
    AttributeOr(AttributeField),
    /// Always this.
    Constant(serde_json::Value),
    /// A member of the object itself: `label`, `uri`, `updatedTime`.
    Member(String),
}

/// An attribute that may be absent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributeField {
    /// Path of the attribute.
    pub path: String,
    /// What stands there when the golden record has no value. With `on_empty: keep`: what a new
    /// record gets.
    #[serde(default)]
    pub default: serde_json::Value,
    /// What becomes of a value that stands there, when the golden record has none.
    #[serde(default)]
    pub on_empty: OnEmpty,
    /// Empties the field also where nothing shows that the path is right: neither Reltio's
    /// configuration nor a golden record with a value there.
    #[serde(default)]
    pub clear: bool,
}

/// What becomes of a field for which a golden record has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnEmpty {
    /// It is emptied, or gets the default. A checkbox is unchecked.
    #[default]
    Clear,
    /// It is left as it is.
    Keep,
}

impl FieldSource {
    /// Path of the attribute, if it comes from one.
    pub(super) fn path(&self) -> Option<&str> {
        match self {
            Self::Attribute(path) => Some(path),
            Self::AttributeOr(field) => Some(&field.path),
            Self::Constant(_) | Self::Member(_) => None,
        }
    }

    /// What becomes of the field where there is no value, and whether that was said for certain.
    pub(super) fn on_empty(&self) -> (OnEmpty, bool) {
        match self {
            Self::AttributeOr(field) => (
                field.on_empty,
                field.clear || field.on_empty == OnEmpty::Keep,
            ),
            Self::Attribute(_) | Self::Constant(_) | Self::Member(_) => (OnEmpty::Clear, false),
        }
    }
}

impl SalesforceSink {
    /// Which kinds of events it takes.
    pub(super) fn filter(&self) -> Filter {
        Filter::new(None, Some(&self.event_types), false)
    }
}

impl SinkKind for SalesforceSink {
    fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
        super::rules::check(top, section, rules);
    }

    fn described(&self) -> Described {
        let tables: BTreeSet<&str> = self
            .objects
            .values()
            .map(|it| it.sobject.as_str())
            .collect();
        let tables = tables.into_iter().collect::<Vec<_>>().join(", ");
        Described {
            target: format!("{tables} at {}", without_user(&self.login_url)),
            mode: Mode::Latest,
            guarded: self.guard == Declared::Version,
            dedupe: None,
        }
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        takes(&self.filter(), &self.objects, subject, object_type, kind)
    }

    fn preview(&self, _tenant: &str, write: &Write) -> Previewed {
        preview(self, write)
    }

    fn open(&self, name: &str, deps: SinkDeps) -> Result<Arc<dyn Sink>, String> {
        let Some(reltio) = deps.reltio else {
            let needs = "merges in a CRM need Reltio's API; add the key `reltio`";
            return Err(format!("sinks.{name}: {needs}"));
        };
        let deps = Deps {
            reltio,
            tell: deps.tell,
            settle: deps.settle,
            clock: deps.clock,
            metrics: deps.metrics,
            portion: deps.portion,
        };
        Ok(Arc::new(Salesforce::new(name, self, deps)?))
    }

    fn schema(&self, word: &str) -> Option<String> {
        (word == "salesforce").then(|| schema_text(self))
    }

    fn schema_needs(&self) -> &'static [&'static str] {
        &["objects"]
    }

    fn reads_reltio(&self) -> bool {
        true
    }
}
