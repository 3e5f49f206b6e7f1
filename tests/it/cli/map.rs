//! `goldwire map`: what each sink would do with an event, from the configuration alone.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::newcomer::{bare, files};
use super::program::{Ran, dir_with};

const CONFIG: &str = "
tenant: acme
data_dir: data
reltio:
  url: https://dev.reltio.com/reltio/api/acme
  client_id: ${RELTIO_CLIENT_ID}
  client_secret: ${RELTIO_CLIENT_SECRET}
sources:
  hook:
    webhook:
      path: /hook
      scheme: reltio
      secrets: [{ file: /nowhere/secret }]
      entity_types: [Individual]
      event_types: [ENTITY_CHANGED, ENTITIES_MERGED, ENTITY_REMOVED]
  stream:
    kafka: { bootstrap_servers: 'b:9092', topic: t, group: g, completeness: { fields: [attributes.FirstName] },
      properties: { security.protocol: SASL_SSL, sasl.mechanism: PLAIN, sasl.username: u, sasl.password: '${KAFKA_PASSWORD}' } }
webhook: { address: 127.0.0.1:0, insecure_plain_http: true }
sinks:
  crm:
    salesforce:
      login_url: ${SALESFORCE_URL}
      client_id: id
      client_secret: ${SF_SECRET}
      crosswalk_source: SFDC_CONTACT
      event_types: [ENTITY_CHANGED]
      objects:
        Individual:
          sobject: Contact
          fields:
            FirstName: { attribute: FirstName }
            LastName: { attribute_or: { path: LastName, default: '(unknown)' } }
            MailingCity: { attribute: Address.City }
            LeadSource: { constant: MDM }
            Description: { member: label }
  events: { file: { dir: events, keeps_erased_records: true } }
  golden: { kafka: { bootstrap_servers: '127.0.0.1:9', topic: 'mdm.{tenant}.golden' } }
  lake: { warehouse: { url: 'sqlite:lake.db' } }
";

/// An event with two operational first names and one that is not.
fn event() -> Value {
    json!({
        "type": "ENTITY_CHANGED", "sourceObjectUri": "entities/e",
        "objectVersion": 3, "commitTime": 1_767_225_600_000_i64,
        "object": {
            "uri": "entities/e", "type": "configuration/entityTypes/Individual", "label": "Ada L",
            "attributes": {
                "FirstName": [
                    { "ov": true, "value": "Augusta", "uri": "e/7" },
                    { "ov": false, "value": "A.", "uri": "e/1" },
                    { "ov": true, "value": "Ada", "uri": "e/3" },
                ],
                "Address": [{ "ov": true, "uri": "e/9", "value": {
                    "City": [{ "ov": true, "value": "London", "uri": "e/9/1" }] } }],
            },
            "crosswalks": [{ "type": "configuration/sources/SFDC_CONTACT", "value": "003000000000001" }],
        },
    })
}

fn dir_of(event: &Value) -> TempDir {
    let dir = dir_with(CONFIG);
    std::fs::write(dir.path().join("event.json"), event.to_string()).unwrap();
    dir
}

fn map(dir: &Path, more: &[&str]) -> Ran {
    bare(dir, &[&["map", "--event", "event.json"], more].concat())
}

/// What is told as JSON of the only event.
fn told(event: &Value, more: &[&str]) -> (i32, Value) {
    let ran = map(dir_of(event).path(), &[&["--json"], more].concat());
    let told: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err));
    (ran.code, told[0].clone())
}

/// Value and origin of a field.
fn field<'a>(preview: &'a Value, name: &str) -> (&'a Value, &'a str) {
    let values = preview["values"].as_array().unwrap();
    let found = values.iter().find(|value| value["field"] == name);
    let found = found.unwrap_or_else(|| panic!("{name}: {preview}"));
    (&found["value"], found["from"].as_str().unwrap())
}

#[test]
fn every_value_of_a_record_is_shown_with_where_it_comes_from() {
    let dir = dir_of(&event());
    let before = files(dir.path());
    let ran = map(dir.path(), &["--json"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(files(dir.path()), before, "something was made");
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let record = &told[0]["records"][0];
    for (member, value) in [
        ("subject", json!("entities/e")),
        ("kind", json!("changed")),
        ("state", json!("alive")),
        ("type", json!("Individual")),
        ("version", json!(3)),
        ("commit_time", json!("2026-01-01T00:00:00Z")),
        ("completeness", json!("whole")),
    ] {
        assert_eq!(record[member], value, "{member}");
    }
    let [crm, events, golden, lake] = record["sinks"].as_array().unwrap().as_slice() else {
        panic!("{record}");
    };
    assert_eq!(crm["rule"], "applied: nothing is known of the subject yet");
    let contact = &crm["writes"][0];
    assert_eq!(contact["target"], "Contact");
    for (name, value, from) in [
        ("Id", json!("003000000000001AAA"), "crosswalk SFDC_CONTACT"),
        (
            "FirstName",
            json!("Ada"),
            "attributes.FirstName, e/3 of 3 values",
        ),
        (
            "LastName",
            json!("(unknown)"),
            "the default, if not attributes.LastName: LastName is not there",
        ),
        ("MailingCity", json!("London"), "attributes.Address.City"),
        ("LeadSource", json!("MDM"), "a constant of the mapping"),
        ("Description", json!("Ada L"), "object.label"),
        ("Reltio_Id__c", json!("entities/e"), "the entity"),
    ] {
        let (found, origin) = field(contact, name);
        assert_eq!(*found, value, "{name}");
        assert!(origin.starts_with(from), "{name}: {origin}");
    }
    let line = field(&events["writes"][0], "line").0.as_str().unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["object"], event()["object"]);
    let produced = &golden["writes"][0];
    assert_eq!(produced["target"], "topic mdm.acme.golden");
    assert_eq!(*field(produced, "key").0, "entities/e");
    assert_eq!(*field(produced, "header goldwire.version").0, "3");
    let tables: Vec<&Value> = lake["writes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["target"])
        .collect();
    assert_eq!(tables, ["golden_records", "golden_record_changes"]);
    assert_eq!(*field(&lake["writes"][0], "label").0, "Ada L");

    let text = map(dir.path(), &["--sink", "crm"]).out;
    let line = "\n      FirstName = Ada  <- attributes.FirstName, e/3 of 3 values\n";
    assert!(text.contains(line), "{text}");
    assert!(!text.contains("sink lake"), "{text}");
}

#[test]
fn what_is_left_out_is_told_with_the_rule_that_leaves_it_out() {
    let mut removed = event();
    removed["type"] = json!("ENTITY_REMOVED");
    let (code, told_removed) = told(&removed, &[]);
    assert_eq!(code, 0);
    let sinks = &told_removed["records"][0]["sinks"];
    assert_eq!(sinks[0]["decision"], "filtered");
    assert_eq!(sinks[0]["rule"], "event_types leaves `removed` out");
    assert_eq!(*field(&sinks[2]["writes"][0], "value").0, Value::Null);

    let mut created = event();
    created["type"] = json!("ENTITY_CREATED");
    let rule = "filtered by sources.hook: event_types, which leaves `created` out";
    assert_eq!(told(&created, &[]).1["records"][0]["ingest"], rule);
    let mut household = event();
    household["object"]["type"] = json!("configuration/entityTypes/Household");
    let rule = "filtered by sources.hook: entity_types, which leaves Household out";
    assert_eq!(told(&household, &[]).1["records"][0]["ingest"], rule);
    // The other source takes all types and tells one member of the object.
    let (_, by_stream) = told(&household, &["--source", "stream"]);
    let record = &by_stream["records"][0];
    assert_eq!(record["completeness"], "fields attributes.FirstName");
    let rule = "its type Household is not one that the sink takes";
    assert_eq!(record["sinks"][0]["rule"], rule);
    let (_, by_stream) = told(&event(), &["--source", "stream", "--sink", "crm"]);
    let contact = &by_stream["records"][0]["sinks"][0]["writes"][0];
    let kept = "kept, since the event does not tell: Description, LastName, MailingCity";
    assert_eq!(field(contact, "-").1, kept);
}

#[test]
fn what_would_be_a_dead_letter_is_told_with_code_and_reason_and_ends_with_1() {
    let (code, other) = told(&event(), &["--header", "tenantId=other"]);
    assert_eq!(
        (code, &other["dead_letter"]["code"]),
        (1, &json!("unknown_tenant"))
    );
    let mut nobody = event();
    nobody["sourceObjectUri"] = json!("people/1");
    nobody["object"]["uri"] = json!("people/1");
    let (code, nobody) = told(&nobody, &[]);
    assert_eq!(
        (code, &nobody["dead_letter"]["reason"]),
        (1, &json!("undecodable"))
    );
    assert_eq!(nobody["dead_letter"]["code"], "bad_subject");

    let mut alien = event();
    alien["object"]["crosswalks"][0]["value"] = json!("customer 17");
    let (code, alien) = told(&alien, &["--sink", "crm"]);
    let sink = &alien["records"][0]["sinks"][0];
    assert_eq!((code, &sink["decision"]), (1, &json!("dead letter")));
    assert_eq!(sink["dead_letter"]["code"], "bad_crosswalk");

    // A merge says who was absorbed; what the winner is now is read.
    let merged = json!({ "type": "ENTITIES_MERGED", "uris": ["entities/w", "entities/l"],
        "sourceObjectUri": "entities/w", "objectVersion": 4, "commitTime": 1_767_225_600_000_i64 });
    let (code, read) = told(&merged, &[]);
    assert_eq!(code, 0, "{read}");
    let ingest = read["records"][0]["ingest"].as_str().unwrap();
    assert!(ingest.starts_with("Reltio is read first"), "{ingest}");
    assert_eq!(read["records"][1]["absorbed_by"], "entities/w");
    let writes = &read["records"][1]["sinks"][3]["writes"];
    assert_eq!(
        writes,
        &json!([]),
        "its type is not told, so Reltio is read"
    );

    let mut unclear = event();
    unclear.as_object_mut().unwrap().remove("commitTime");
    let (code, unclear) = told(&unclear, &["--sink", "crm"]);
    let sink = &unclear["records"][0]["sinks"][0];
    assert_eq!(code, 0);
    assert!(
        sink["rule"].as_str().unwrap().starts_with("in doubt: "),
        "{sink}"
    );
    assert_eq!(*field(&sink["writes"][0], "FirstName").0, "Ada");
}

#[test]
fn events_are_taken_with_headers_by_line_and_from_the_standard_input() {
    let mut body = event();
    let head = body.as_object_mut().unwrap();
    let said =
        ["sourceObjectUri", "objectVersion", "commitTime"].map(|name| (name, head.remove(name)));
    let headers: Value = said
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.unwrap()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let carried = json!({ "headers": headers, "body": body });
    let (code, one) = told(&carried, &[]);
    assert_eq!((code, &one["records"][0]["version"]), (0, &json!(3)));
    assert_eq!(
        one["headers"],
        json!(["sourceObjectUri", "objectVersion", "commitTime"])
    );
    // An envelope around it, as a queue prints it.
    let queued = json!({ "MessageId": "m", "messageAttributes": {}, "body": event().to_string() });
    assert_eq!(told(&queued, &[]).1["carriers"], json!(["an SQS message"]));

    let dir = dir_with(CONFIG);
    let mut child = Command::new(env!("CARGO_BIN_EXE_goldwire"))
        .args(["map", "--event", "-", "--sink", "crm"])
        .current_dir(dir.path())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = format!("{}\n{carried}\n", event());
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(
        out.starts_with("event 1\n") && out.contains("\nevent 2\n"),
        "{out}"
    );
    assert_eq!(out.matches("FirstName = Ada ").count(), 2, "{out}");
}

#[test]
fn a_mistake_on_the_command_line_is_64_with_the_remedy() {
    let dir = dir_of(&event());
    for (more, why) in [
        (
            &["--sink", "nobody"][..],
            "--sink \"nobody\": there is none of this name; the configuration has: crm, events, golden, lake",
        ),
        (&["--source", "x"], "the configuration has: hook, stream"),
        (&["--header", "tenantId"], "write NAME=VALUE"),
    ] {
        let ran = map(dir.path(), more);
        assert_eq!(ran.code, 64, "{}", ran.out);
        assert!(ran.err.contains(why), "{}", ran.err);
    }
    let ran = bare(dir.path(), &["map", "--event", "nowhere.json"]);
    assert!(
        ran.code == 64 && ran.err.contains("name a file, or -"),
        "{}",
        ran.err
    );
    std::fs::write(
        dir.path().join("goldwire.yaml"),
        CONFIG.replace("tenant: acme", "tenant: ${TENANT}"),
    )
    .unwrap();
    let ran = map(dir.path(), &[]);
    assert_eq!(ran.code, 64, "{}", ran.out);
    assert!(
        ran.err
            .starts_with("tenant: found ${TENANT}, which is not set"),
        "{}",
        ran.err
    );
}
