//! What a configuration means, and what is refused.

use serde_json::{Value, json};

use super::super::config::KafkaSource;
use super::{KafkaSettings, StartAt};

fn resolve(config: Value) -> Result<KafkaSettings, Vec<String>> {
    let config: KafkaSource = serde_json::from_value(config).unwrap();
    KafkaSettings::resolve(&config, "acme")
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn direct() -> Value {
    json!({ "bootstrap_servers": "127.0.0.1:9092", "topic": "reltio.{tenant}.changes", "group": "g" })
}

fn with(key: &str, value: Value) -> Value {
    let mut config = direct();
    config[key] = value;
    config
}

/// INT-004 section 2.2, without its comment.
fn int_004() -> Value {
    json!({
        "subscription": {
            "streamName": "customer_golden_record_changes",
            "entityTypes": ["com.example.Individual", "com.example.Organization"],
            "eventTypes": ["MERGE", "UPDATE", "CREATE", "UNMERGE"],
            "attributes": ["*"],
            "includeRelationships": true,
            "kafkaConfig": {
                "bootstrapServers": "streams.reltio.com:9092",
                "topic": "reltio.{tenant}.entities.changes",
                "consumerGroup": "crm-sync-consumer",
                "securityProtocol": "SASL_SSL",
                "saslMechanism": "PLAIN"
            }
        },
        "properties": { "sasl.username": "key", "sasl.password": "hush-hush" }
    })
}

#[test]
fn the_direct_keys_are_taken_with_the_tenant_filled_in() {
    let settings = resolve(with("start", json!("earliest"))).unwrap();
    assert_eq!(settings.topic, "reltio.acme.changes");
    assert_eq!(
        (settings.bootstrap.as_str(), settings.group.as_str()),
        ("127.0.0.1:9092", "g")
    );
    assert_eq!(settings.start, Some(StartAt::Earliest));
}

#[test]
fn the_subscription_of_int_004_is_taken_as_it_stands() {
    let settings = resolve(int_004()).unwrap();
    assert_eq!(settings.topic, "reltio.acme.entities.changes");
    assert_eq!(settings.group, "crm-sync-consumer");
    let client = settings.client();
    assert_eq!(client.get("security.protocol"), Some("SASL_SSL"));
    assert_eq!(client.get("sasl.mechanism"), Some("PLAIN"));
    assert_eq!(settings.start, None);
}

#[test]
fn every_missing_key_is_named_at_once() {
    let problems = resolve(json!({})).unwrap_err();
    assert_eq!(problems.len(), 3);
    assert!(problems[0].starts_with("bootstrap_servers: missing"));
}

#[test]
fn both_ways_of_naming_the_broker_are_refused() {
    let mut config = int_004();
    config["topic"] = json!("t");
    config["properties"]["security.protocol"] = json!("SASL_SSL");
    let problems = resolve(config).unwrap_err();
    assert_eq!(problems.len(), 2);
    assert!(problems[0].starts_with("topic: set beside"));
    assert!(problems[1].starts_with("properties.security.protocol: set beside"));
}

#[test]
fn clear_text_from_another_machine_is_refused_unless_it_is_meant() {
    let said = |config: &Value| resolve(config.clone()).err().unwrap_or_default();
    for protocol in [
        None,
        Some("PLAINTEXT"),
        Some("plaintext"),
        Some("SASL_PLAINTEXT"),
    ] {
        let mut config = direct();
        config["bootstrap_servers"] = json!("127.0.0.1:9092,b:9092");
        config["properties"] = json!({ "sasl.mechanism": "GSSAPI" });
        if let Some(protocol) = protocol {
            config["properties"]["security.protocol"] = json!(protocol);
        }
        let found = said(&config);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("bootstrap_servers: nothing is encrypted"),
            "{found:?}"
        );
        config["insecure_plaintext"] = json!(true);
        assert_eq!(said(&config), Vec::<String>::new());
    }
    let mut config = int_004();
    config["subscription"]["kafkaConfig"]["securityProtocol"] = json!("SASL_PLAINTEXT");
    let found = said(&config);
    let key = "subscription.kafkaConfig.bootstrapServers: nothing is encrypted";
    assert!(found.len() == 1 && found[0].starts_with(key), "{found:?}");
}

#[test]
fn a_part_of_the_attributes_is_refused() {
    let mut config = int_004();
    config["subscription"]["attributes"] = json!(["FirstName"]);
    assert!(resolve(config).unwrap_err()[0].starts_with("subscription.attributes: only"));
}

#[test]
fn properties_that_move_positions_are_refused_with_the_key_to_use() {
    let owned = [
        "enable.auto.commit",
        "enable.auto.offset.store",
        "auto.offset.reset",
        "group.id",
        "bootstrap.servers",
    ];
    for key in owned {
        let problems = resolve(with("properties", json!({ key: "x-value" }))).unwrap_err();
        assert!(problems[0].starts_with(&format!("properties.{key}: goldwire sets this itself")));
        assert!(!problems[0].contains("x-value"));
    }
}

#[test]
fn offsets_are_never_reset_and_the_queue_is_bounded() {
    let client = resolve(direct()).unwrap().client();
    assert_eq!(client.get("auto.offset.reset"), Some("error"));
    assert_eq!(client.get("enable.auto.commit"), Some("false"));
    assert_eq!(client.get("enable.auto.offset.store"), Some("false"));
    let large = json!({ "queued.max.messages.kbytes": "1000000" });
    assert!(resolve(with("properties", large)).is_err());
}

#[test]
fn a_mechanism_without_its_secret_is_refused() {
    let mut config = int_004();
    config["properties"] = json!({ "sasl.username": "key" });
    let problems = resolve(config).unwrap_err();
    assert_eq!(
        problems,
        ["properties.sasl.password: missing; add it: SASL needs it"]
    );
}

#[test]
fn g10_every_property_is_tried_by_itself_and_no_value_is_repeated() {
    let properties = json!({
        "security.protocl": "hush-hush",
        "isolation.level": "hush-hush",
        "fetch.wait.max.ms": "many",
        "client.rack": "a",
    });
    let problems = resolve(with("properties", properties)).unwrap_err();
    let heads = [
        "fetch.wait.max.ms: librdkafka does not take this value",
        "isolation.level: librdkafka does not take this value",
        "security.protocl: librdkafka knows no such property",
    ];
    assert_eq!(problems.len(), heads.len(), "{problems:?}");
    for (problem, head) in problems.iter().zip(heads) {
        assert!(
            problem.starts_with(&format!("properties.{head}")),
            "{problem}"
        );
        assert!(
            !problem.contains("hush") && !problem.contains("many"),
            "{problem}"
        );
    }
}

#[test]
fn properties_that_do_not_go_together_are_found_without_a_broker() {
    let tried = |properties: Value| resolve(with("properties", properties)).unwrap().try_out();
    assert_eq!(tried(json!({})), Ok(()));
    let why = tried(json!({ "security.protocol": "SSL", "ssl.ca.location": "/no/such/ca.pem" }));
    assert!(
        why.clone().unwrap_err().contains("ssl.ca.location"),
        "{why:?}"
    );
    let why = tried(json!({ "security.protocol": "SASL_SSL", "sasl.mechanism": "BOGUS" }));
    assert!(why.is_err());
}

#[test]
fn a_start_is_a_word_or_a_time() {
    let start = |text: &str| resolve(with("start", json!(text))).map(|settings| settings.start);
    assert_eq!(start("latest").unwrap(), Some(StartAt::Latest));
    assert_eq!(
        start("1970-01-01T00:00:01Z").unwrap(),
        Some(StartAt::Time(1000))
    );
    assert!(start("yesterday").unwrap_err()[0].contains("`yesterday`"));
}

#[test]
fn g10_no_secret_is_printed() {
    let settings = resolve(int_004()).unwrap();
    assert!(!format!("{settings:?}").contains("hush-hush"));
    assert_eq!(
        crate::kafka::redact(&settings.properties, "bad value hush-hush!"),
        "bad value <value>!"
    );
}
