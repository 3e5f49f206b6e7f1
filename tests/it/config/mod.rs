//! Configuration: every mistake is found at once, and named by its exact path.

mod admin;
mod cache_sink;
mod clear_text;
mod columns;
mod every_key;
mod files;
mod kafka_log;
mod kafka_sink;
mod lake;
mod power_bi_rows;
mod refreshes;
mod rules;
mod salesforce;
mod snowflake;

pub(crate) use files::certificate;
use goldwire::config::LoadError;
use goldwire::topology::{self, Config};
use serde_json::Value;

pub(crate) const FULL: &str = include_str!("full.yaml");

/// The environment that the full example expects.
pub(crate) fn env(name: &str) -> Option<String> {
    let value = match name {
        "RELTIO_CLIENT_ID" => "client",
        "RELTIO_CLIENT_SECRET" | "KAFKA_PASSWORD" | "HOOK_SECRET" | "SF_SECRET" | "ADMIN_TOKEN" => {
            "s3cret!"
        }
        "WAREHOUSE_URL" => "postgres://u:s3cret!@h/d?sslmode=require",
        _ => return None,
    };
    Some(value.to_owned())
}

pub(crate) fn parse(text: &str) -> Result<Config, LoadError> {
    topology::parse(text, &env)
}

/// The full example as a tree.
fn full() -> Value {
    serde_saphyr::from_str(FULL).unwrap()
}

/// The full example with its log in Kafka.
fn in_kafka() -> Value {
    let mut tree = full();
    tree["log"] = serde_saphyr::from_str(include_str!("kafka_log.yaml")).unwrap();
    tree
}

/// The problems of a tree, as `path: …` lines.
fn problems(tree: &Value) -> Vec<String> {
    match parse(&tree.to_string()) {
        Ok(_) => Vec::new(),
        Err(error) => error.0.iter().map(ToString::to_string).collect(),
    }
}

/// The problems of a warehouse with these columns.
pub(crate) fn with_columns(columns: &Value) -> Vec<String> {
    problems(&with("/sinks/lake/warehouse/columns", columns.clone()))
}

/// The full example with the value at `pointer` replaced; the last part may be new.
fn with(pointer: &str, value: impl Into<Value>) -> Value {
    let mut tree = full();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    tree.pointer_mut(parent).unwrap()[key] = value.into();
    tree
}

/// The full example without what stands at `pointer`.
fn without(pointer: &str) -> Value {
    let mut tree = full();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    tree.pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove(key)
        .unwrap();
    tree
}

#[test]
fn the_full_example_is_valid() {
    let config = parse(FULL).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.sources.len(), 3);
    assert_eq!(config.reltio.unwrap().client_secret.reveal(), "s3cret!");
}

/// INT-004 section 2.2, letter by letter, comments included.
const INT_004: &str = r#"
# Reltio Streams subscription configuration
{
  "streamName": "customer_golden_record_changes",
  "entityTypes": ["com.example.Individual", "com.example.Organization"],
  "eventTypes": ["MERGE", "UPDATE", "CREATE", "UNMERGE"],
  "attributes": ["*"],                  // Subscribe to all attribute changes
  "includeRelationships": true,
  "kafkaConfig": {
    "bootstrapServers": "streams.reltio.com:9092",
    "topic": "reltio.{tenant}.entities.changes",
    "consumerGroup": "crm-sync-consumer",
    "securityProtocol": "SASL_SSL",
    "saslMechanism": "PLAIN"
  }
}
"#;

#[test]
fn the_subscription_of_int_004_is_taken_as_it_stands() {
    let indented = INT_004.replace('\n', "\n        ");
    let text = format!(
        "tenant: abc\ndata_dir: d\nsources:\n  streams:\n    kafka:\n      properties: {{ \
         sasl.username: u, sasl.password: p }}\n      subscription:\n{indented}\n\
         reltio: {{ url: 'https://r/api/abc', client_id: c, client_secret: s }}\n\
         sinks: {{ lake: {{ warehouse: {{ url: 'sqlite:x' }} }} }}\n"
    );
    let config = parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let kafka = config.sources["streams"].kafka.as_ref().unwrap();
    let subscription = kafka.subscription.as_ref().unwrap();
    assert_eq!(
        subscription.event_types,
        ["MERGE", "UPDATE", "CREATE", "UNMERGE"]
    );
    assert!(subscription.include_relationships);
    assert_eq!(
        subscription.kafka_config.consumer_group,
        "crm-sync-consumer"
    );
}

#[test]
fn the_example_of_int_004_is_valid() {
    let text = include_str!("../../../docs/int-004.yaml");
    let env = |name: &str| match name {
        "SALESFORCE_URL" => Some("https://example.my.salesforce.com".to_owned()),
        "WAREHOUSE_URL" => Some("postgres://u:p@h/d?sslmode=require".to_owned()),
        "GOLDWIRE_DATA" => None,
        _ => Some("value".to_owned()),
    };
    let config = topology::parse(text, &env).unwrap();
    let crm = config.sinks["crm"].salesforce.as_ref().unwrap();
    assert_eq!(crm.event_types, ["MERGE", "UPDATE"]);
    assert_eq!(crm.crosswalk_source, "SFDC_CONTACT");
}

#[test]
fn three_mistakes_are_three_messages_with_path_value_and_remedy() {
    let text = FULL
        .replace("login_url: https", "login_url: http")
        .replace("deadline: 4s", "deadline: 9s")
        .replace("batch: 500", "batch: lots");
    let error = parse(&text).unwrap_err();
    let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{error}");
    assert_eq!(
        lines[0],
        "sinks.crm.salesforce.login_url: found \"http://example.my.salesforce.com\"; use https://; \
         secrets are sent there (insecure_plain_http is for tests)"
    );
    assert_eq!(
        lines[1],
        "sinks.lake.warehouse.batch: found \"lots\"; write a whole number"
    );
    assert_eq!(
        lines[2],
        "webhook.deadline: found \"9s\"; must be from 100ms to 4500ms"
    );
}

#[test]
fn a_missing_environment_variable_is_named_with_its_path() {
    let error =
        topology::parse(FULL, &|name| env(name).filter(|_| name != "SF_SECRET")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "sinks.crm.salesforce.client_secret: found ${SF_SECRET}, which is not set; set the \
         environment variable SF_SECRET, or write ${SF_SECRET:-…}"
    );
}

#[test]
fn an_empty_environment_variable_is_named_with_its_path() {
    let empty = |name: &str| match name {
        "RELTIO_CLIENT_ID" | "SF_SECRET" => Some(String::new()),
        name => env(name),
    };
    let error = topology::parse(FULL, &empty).unwrap_err().to_string();
    assert_eq!(
        error,
        "reltio.client_id: found ${RELTIO_CLIENT_ID}, which is empty; set it, or write \
         ${RELTIO_CLIENT_ID:-…}\n\
         sinks.crm.salesforce.client_secret: found ${SF_SECRET}, which is empty; set it, or write \
         ${SF_SECRET:-…}"
    );
}

#[test]
fn a_document_that_is_no_mapping_is_named_as_the_configuration() {
    for text in ["[]", "42", "goldwire"] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with("configuration: found "), "{error}");
    }
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    let tree = with("/sinks/crm/salesforce/loginUrl", "x");
    assert_eq!(
        problems(&tree),
        ["sinks.crm.salesforce.loginUrl: found an unknown key; did you mean `login_url`?"]
    );
    let tree = with("/log/zebra", 1);
    assert_eq!(
        problems(&tree),
        [
            "log.zebra: found an unknown key; remove it; known here: disk_reserve, kafka, keep, partitions, \
          quota, segment"
        ]
    );
}

#[test]
fn a_key_that_stands_twice_is_refused_with_its_line() {
    let error = parse("tenant: a\ndata_dir: d\ntenant: b\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 3, column 1: found the key `tenant` a second time; keep one of them"
    );
}

#[test]
fn a_variable_cannot_change_the_structure() {
    let text = FULL.replace("tenant: abc123", "tenant: ${TENANT}");
    let env = |name: &str| match name {
        "TENANT" => Some("a\nadmin: {address: 0.0.0.0:1}".to_owned()),
        name => env(name),
    };
    let error = topology::parse(&text, &env).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("tenant: found the value of a variable;"),
        "{error}"
    );
}

#[test]
fn a_secret_file_is_read_without_its_line_break_and_a_missing_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "from-file\n").unwrap();
    let secret = serde_json::json!({ "file": file.display().to_string() });
    let config = parse(&with("/reltio/client_secret", secret).to_string()).unwrap();
    assert_eq!(config.reltio.unwrap().client_secret.reveal(), "from-file");

    let absent = serde_json::json!({ "file": "/nowhere/secret" });
    assert_eq!(
        problems(&with("/reltio/client_secret", absent)),
        [
            "reltio.client_secret.file: found \"/nowhere/secret\"; there is no such file; name a \
          readable file"
        ]
    );
}

#[test]
fn g10_no_problem_shows_a_secret() {
    let wrong = [
        with("/sources/hook/webhook/secrets", "s3cret-list"),
        with("/sources/topic/kafka/properties", "sasl.password=s3cret"),
        with("/sources/hook/webhook", "s3cret"),
        with("/sinks/lake/warehouse/url", "mysql://u:s3cret@h/d"),
        with("/webhook/deadline", "${HOOK_SECRET}"),
        with("/admin/token", serde_json::json!(["s3cret"])),
    ];
    for tree in wrong {
        let lines = problems(&tree);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(!lines[0].contains("s3cret"), "{lines:?}");
    }
    let broken = parse("admin: {token: s3cret\n  x: [\n")
        .unwrap_err()
        .to_string();
    assert!(
        broken.contains("line ") && !broken.contains("s3cret"),
        "{broken}"
    );
    let config = format!("{:?}", parse(FULL).unwrap());
    assert!(!config.contains("s3cret"), "{config}");
}
