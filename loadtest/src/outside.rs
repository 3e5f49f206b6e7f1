//! Everything around goldwire in the demo: a broker, Reltio, a Salesforce org, Snowflake, a certificate,
//! a folder; and the configuration that points goldwire at them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::broker::Broker;
use crate::fake_reltio::{FakeReltio, FakeReltioSettings, FaultShares};
use crate::fake_salesforce::{FakeObject, FakeSalesforce, Faults, Field, Kind, Settings, Table};
use crate::fake_snowflake::{
    ACCOUNT, DATABASE, FakeSnowflake, PRIVATE_KEY, SCHEMA, SnowflakeFault, SnowflakeSettings, USER,
};
use crate::signature::Signer;
use crate::tenant::{Carrier, SELECTED_FIELDS, Simulator};
use crate::time::{Millis, SystemClock};

/// The API shows a change this long after it was committed, ms.
const LAG: (Millis, Millis) = (100, 700);
/// The secret of the webhooks: not one, since it is printed here.
const WEBHOOK_SECRET: &str = "whsec_Z29sZHdpcmUgZGVtbywgbm90IGEgc2VjcmV0ISE=";
/// The secret of the webhooks of scheme `reltio`.
const RELTIO_SECRET: &str = "goldwire demo, not a secret";

/// A token of the cache: not a secret either.
pub const CACHE_TOKEN: &str = "goldwire-demo";

/// What stands around goldwire.
#[derive(Debug)]
pub struct Outside {
    /// The folder for configuration and certificate.
    pub dir: PathBuf,
    pub(crate) broker: Broker,
    /// Reltio's API.
    pub reltio: FakeReltio,
    /// The CRM.
    pub salesforce: FakeSalesforce,
    /// Snowflake.
    pub snowflake: FakeSnowflake,
    /// The certificate of the webhooks' listener, PEM.
    pub certificate: String,
}

impl Outside {
    /// Starts everything.
    ///
    /// # Errors
    /// One sentence that names what does not start.
    pub async fn start(dir: &Path, simulator: &Simulator, seed: u64) -> Result<Self, String> {
        let reltio = FakeReltioSettings {
            // Tokens end in the middle of the run.
            token_lifetime: Duration::from_secs(5),
            lag: LAG,
            faults: FaultShares {
                throttled: 0.002,
                unavailable: 0.005,
            },
            seed,
            ..FakeReltioSettings::default()
        };
        let clock = Arc::new(SystemClock);
        let reltio = FakeReltio::start(&reltio, simulator.tenant(), clock);
        let reltio = reltio
            .await
            .map_err(|error| format!("fake Reltio: {error}"))?;
        let salesforce = FakeSalesforce::start(org(seed, &simulator.salesforce_seed())).await;
        let salesforce = salesforce.map_err(|error| format!("fake Salesforce: {error}"))?;
        salesforce.set_faults(Faults {
            row_lock: 0.01,
            unavailable: 0.01,
            lost_answer: 0.005,
            slow: Duration::from_millis(15),
            ..Faults::default()
        });
        let snowflake = snowflake().await?;
        let bytes = simulator
            .emissions()
            .iter()
            .map(|emission| emission.body.len() + 400)
            .sum();
        let broker = Broker::start(bytes)?;
        let certificate = crate::tls::certificate(dir)?;
        let dir = dir.to_owned();
        Ok(Self {
            dir,
            broker,
            reltio,
            salesforce,
            snowflake,
            certificate,
        })
    }

    /// Stops the servers.
    pub async fn stop(self) {
        self.salesforce.stop().await;
        if let Err(error) = self.reltio.stop().await {
            tracing::warn!("the fake Reltio ended badly: {error}");
        }
    }

    /// Writes the configuration, as a person would, and tells where.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_config(&self) -> Result<PathBuf, String> {
        let path = self.dir.join("goldwire.yaml");
        let text = self.config();
        let key = self.dir.join("snowflake.p8");
        std::fs::write(&key, PRIVATE_KEY).map_err(|error| format!("{}: {error}", key.display()))?;
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// Writes the rows of the table of Snowflake, a line each, and tells where.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_table(&self) -> Result<PathBuf, String> {
        let path = self.dir.join("snowflake.ndjson");
        let rows = self.snowflake.rows().into_iter();
        let lines = rows.map(|row| format!("{}\n", serde_json::Value::from(row)));
        let written = std::fs::write(&path, lines.collect::<String>());
        written.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// The section of the sink at Snowflake.
    fn cloud(&self) -> String {
        let (dir, snowflake) = (self.dir.display(), self.snowflake.url());
        format!(
            "  cloud:
    snowflake:
      account: {ACCOUNT}
      user: {USER}
      private_key: {{ file: {dir}/snowflake.p8 }}
      database: {DATABASE}
      schema: {SCHEMA}
      url: {snowflake}
      insecure_plain_http: true # a fake on loopback
      keeps_erased_records: true
      commit_timeout: 5s
      roll: {{ age: 1s }}
"
        )
    }

    fn config(&self) -> String {
        let dir = self.dir.display();
        let (servers, topic) = (self.broker.servers(), Broker::topic());
        let (reltio, auth) = (self.reltio.url(), self.reltio.auth_url());
        let (salesforce, cloud) = (self.salesforce.url(), self.cloud());
        let fields = SELECTED_FIELDS.join(", ");
        format!(
            r#"# Written by `goldwire demo`.
tenant: demo
data_dir: {dir}/data
reltio:
  url: {reltio}
  auth_url: {auth}
  client_id: goldwire
  client_secret: not-a-secret
  insecure_plain_http: true # a fake on loopback
  requests_per_second: 500
  settle: 1500ms
  clock_skew: 200ms
webhook:
  address: 127.0.0.1:0
  tls: {{ cert_file: {dir}/cert.pem, key_file: {dir}/key.pem }}
sources:
  reltio:
    kafka:
      bootstrap_servers: {servers}
      topic: {topic}
      group: goldwire-demo
      start: earliest
  push:
    webhook: {{ path: /push, scheme: standard, secrets: ["{WEBHOOK_SECRET}"] }}
  push_fields:
    webhook:
      path: /push-fields
      scheme: standard
      secrets: ["{WEBHOOK_SECRET}"]
      completeness: {{ fields: [{fields}] }}
  push_ov:
    webhook:
      path: /push-ov
      scheme: reltio
      secrets: ["{RELTIO_SECRET}"]
      completeness: ov_only
sinks:
  crm:
    salesforce:
      login_url: {salesforce}
      client_id: goldwire
      client_secret: not-a-secret
      insecure_plain_http: true # a fake on loopback
      crosswalk_source: SFDC_CONTACT
      guard: version
      quota: {{ per_second: 500 }}
      longest_request: 2s
      objects:
        Individual:
          sobject: Contact
          fields:
            FirstName: {{ attribute: FirstName }}
            LastName: {{ attribute_or: {{ path: LastName, default: Unknown }} }}
            Email: {{ attribute: Email }}
            MailingCity: {{ attribute: Address.City }}
            Description: {{ member: label }}
  warehouse:
    warehouse:
      url: sqlite:{dir}/warehouse.db
  lake:
    lake:
      url: {dir}/lake
      erase_within: 7d
      roll: {{ age: 1s }}
  cache: {{ cache: {{ dir: {dir}/cache, address: 127.0.0.1:0, tokens: ["{CACHE_TOKEN}"] }} }}
{cloud}log:
  disk_reserve: 16MiB
delivery:
  retry: {{ attempts: 10, first: 50ms, longest: 1s }}
admin:
  address: 127.0.0.1:0
"#
        )
    }
}

/// Snowflake, whose tokens end in the middle of the run, where answers are lost and channels become
/// invalid.
async fn snowflake() -> Result<FakeSnowflake, String> {
    let made = FakeSnowflake::start(SnowflakeSettings {
        clock: Arc::new(SystemClock),
        commit_lag: Duration::from_millis(300),
        token_life: Duration::from_secs(4),
    });
    let made = made
        .await
        .map_err(|error| format!("fake Snowflake: {error}"))?;
    for fault in [
        SnowflakeFault::LoseAnswer,
        SnowflakeFault::Unavailable,
        SnowflakeFault::Invalidate,
    ] {
        made.inject(fault);
    }
    Ok(made)
}

/// The org: Contacts with goldwire's fields, and those that people had made before.
fn org(seed: u64, known: &[(String, String)]) -> Settings {
    let text = |length| Field::of(Kind::Text(length));
    let last_name = Field {
        required: true,
        ..text(80)
    };
    let mapped = [
        ("FirstName", text(40)),
        ("LastName", last_name),
        ("Email", text(80)),
        ("MailingCity", text(40)),
        ("Description", text(32_000)),
    ];
    let mut contacts = FakeObject::new(Table::default(), "003", &mapped);
    for (id, _) in known {
        contacts.add_as(id, &[("LastName", "From the CRM".into())]);
    }
    Settings {
        client_id: "goldwire".to_owned(),
        client_secret: "not-a-secret".to_owned(),
        token_life: Duration::from_secs(4),
        seed,
        ..Settings::of(vec![contacts])
    }
}

/// The path that a carrier's webhook has, and how it is signed.
pub fn door(carrier: Carrier) -> Option<(&'static str, Signer<'static>)> {
    match carrier {
        Carrier::Kafka => None,
        Carrier::Webhook => Some(("/push", Signer::Standard(WEBHOOK_SECRET))),
        Carrier::WebhookFields => Some(("/push-fields", Signer::Standard(WEBHOOK_SECRET))),
        Carrier::WebhookOvOnly => Some(("/push-ov", Signer::Reltio(RELTIO_SECRET))),
    }
}
