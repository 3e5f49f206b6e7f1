//! The built program: exit codes, standard output and standard error.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::config::certificate;

/// What `goldwire init` and the full example name.
pub(crate) const VARIABLES: [(&str, &str); 17] = [
    ("TLS_CERT", "cert.pem"),
    ("TLS_KEY", "key.pem"),
    ("RELTIO_TENANT", "abc123"),
    ("RELTIO_ENVIRONMENT", "dev"),
    ("RELTIO_CLIENT_ID", "id"),
    ("RELTIO_CLIENT_SECRET", "s"),
    ("KAFKA_BROKERS", "b:9092"),
    ("KAFKA_KEY", "k"),
    ("KAFKA_SECRET", "s"),
    ("KAFKA_PASSWORD", "s"),
    ("WEBHOOK_SECRET", "s"),
    ("HOOK_SECRET", "s"),
    ("SALESFORCE_URL", "https://example.my.salesforce.com"),
    ("SALESFORCE_CLIENT_ID", "id"),
    ("SALESFORCE_CLIENT_SECRET", "s"),
    ("SF_SECRET", "s"),
    ("WAREHOUSE_URL", "sqlite:x.db"),
];

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the program in `dir` and waits for its end.
pub(crate) fn goldwire(dir: &Path, arguments: &[&str]) -> Ran {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_goldwire"))
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .envs(VARIABLES)
        .env("ADMIN_TOKEN", "t0ken")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran {
        code: status.code().unwrap(),
        out: text(stdout),
        err: text(stderr),
    }
}

pub(crate) fn dir_with(config: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("goldwire.yaml"), config).unwrap();
    std::fs::create_dir(dir.path().join("tls")).unwrap();
    certificate(&dir.path().join("tls"));
    dir
}

#[test]
fn three_mistakes_are_three_lines_and_64() {
    let text = crate::config::FULL
        .replace("deadline: 4s", "deadline: 9s")
        .replace("partitions: 8", "partitions: many")
        .replace("tenant: abc123\n", "tenantt: abc123\n");
    let ran = goldwire(dir_with(&text).path(), &["check"]);
    // A misspelt required key is unknown and missing.
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!((ran.code, lines.len()), (64, 5), "{}", ran.err);
    assert!(lines[0].starts_with("log.partitions: found \"many\"; write a whole number"));
    assert!(lines[1].starts_with("tenant: missing; add it: "));
    assert!(lines[2].starts_with("tenantt: found an unknown key; did you mean `tenant`?"));
    assert!(lines[3].starts_with("webhook.deadline: found \"9s\"; must be from"));
    assert!(lines[4].starts_with("4 problems in /") && lines[4].ends_with("/goldwire.yaml"));
    assert_eq!(ran.out, "");

    let text = text
        .replace("tenantt", "tenant")
        .replace("keep: 1h", "keep: long");
    let ran = goldwire(dir_with(&text).path(), &["check"]);
    assert_eq!((ran.code, ran.err.lines().count()), (64, 4), "{}", ran.err);
}

#[test]
fn with_four_mistakes_no_port_is_bound_and_no_directory_made() {
    // Both ports are taken: whoever tried to bind one would end with 69.
    let taken = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (webhook, admin) = (taken(), taken());
    let text = crate::config::FULL
        .replace("0.0.0.0:8443", &webhook.local_addr().unwrap().to_string())
        .replace("127.0.0.1:9464", &admin.local_addr().unwrap().to_string())
        .replace("/var/lib/goldwire", "data")
        .replace("deadline: 4s", "deadline: 9s")
        .replace("tls/key.pem", "tls/nothing.pem")
        .replace("sasl.mechanism", "sasl.mechanics");
    let dir = dir_with(&text);
    let ran = goldwire(dir.path(), &["run"]);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!((ran.code, lines.len()), (64, 5), "{}", ran.err);
    assert!(lines[0].starts_with("sinks.golden.kafka.properties[\"sasl.mechanics\"]: "));
    assert!(lines[1].starts_with("sources.topic.kafka.properties[\"sasl.mechanics\"]: "));
    assert!(lines[2].starts_with("webhook.deadline: "));
    assert!(lines[3].starts_with("webhook.tls.key_file: "));
    assert!(!dir.path().join("data").exists());
}

#[test]
fn what_a_sink_cannot_be_made_of_is_64_for_check_and_run() {
    let text = crate::config::FULL
        .replace(
            "url: https://dev.reltio.com",
            "url: https://me@dev.reltio.com",
        )
        .replace("/var/lib/goldwire", "data");
    let dir = dir_with(&text);
    for command in ["check", "run"] {
        let ran = goldwire(dir.path(), &[command]);
        assert_eq!(ran.code, 64, "{}", ran.err);
        assert!(
            ran.err.starts_with("reltio.url: holds credentials"),
            "{}",
            ran.err
        );
    }
    assert!(!dir.path().join("data").exists());
}

#[test]
fn a_part_of_the_sinks_that_cannot_run_is_64_before_anything_is_opened() {
    let text = "
tenant: t
data_dir: data
sources: { hook: { webhook: { path: /hook, scheme: reltio, secrets: [s] } } }
webhook: { address: 127.0.0.1:0, insecure_plain_http: true }
sinks: { lake: { warehouse: { url: 'sqlite:lake.db' } } }
";
    let dir = dir_with(text);
    for (words, why) in [
        (&["--only", "laek"][..], "`laek`; did you mean `lake`?"),
        (&["--only", "lake"], "needs its log in Kafka"),
        (&["--no-ingest"], "needs its log in Kafka"),
        (&["--ingest-only"], "needs its log in Kafka"),
        (&["--only", "lake", "--ingest-only"], "cannot be used with"),
    ] {
        let ran = goldwire(dir.path(), &[&["run"], words].concat());
        assert_eq!(ran.code, 64, "{words:?}: {}", ran.err);
        assert!(ran.err.contains(why), "{words:?}: {}", ran.err);
    }
    assert!(!dir.path().join("data").exists());
}

#[test]
fn the_admin_port_is_taken_before_a_webhook_is() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = "
tenant: t
data_dir: data
sources: { hook: { webhook: { path: /hook, scheme: reltio, secrets: [s] } } }
webhook: { address: 127.0.0.1:0, insecure_plain_http: true }
sinks: { lake: { warehouse: { url: 'sqlite:lake.db' } } }
admin: { address: ADDRESS }
";
    let dir = dir_with(&text.replace("ADDRESS", &taken.local_addr().unwrap().to_string()));
    let ran = goldwire(dir.path(), &["run"]);
    assert_eq!(ran.code, 69, "{}", ran.err);
    assert!(
        ran.err
            .contains("stop what listens there, or choose another"),
        "{}",
        ran.err
    );
    assert!(!ran.out.contains("listening for webhooks"), "{}", ran.out);
    assert!(!dir.path().join("data").exists());
    let ran = goldwire(dir.path(), &["check"]);
    assert!(ran.out.starts_with("ok: 1 source, 1 sink\n"), "{}", ran.out);
}

#[test]
fn init_names_every_variable_that_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let printed = goldwire(dir.path(), &["init", "--full"]).out;
    let bare = Command::new(env!("CARGO_BIN_EXE_goldwire"))
        .arg("check")
        .current_dir(dir.path())
        .env_clear()
        .output()
        .unwrap();
    let err = String::from_utf8(bare.stderr).unwrap();
    assert_eq!(bare.status.code(), Some(64));
    for name in [
        "RELTIO_TENANT",
        "KAFKA_SECRET",
        "WEBHOOK_SECRET",
        "SALESFORCE_CLIENT_SECRET",
    ] {
        assert!(
            err.contains(&format!("set the environment variable {name}")),
            "{name}: {err}"
        );
        // It said so before.
        assert!(
            printed.contains(&format!("\n  export {name}=\n")),
            "{printed}"
        );
    }
    let mut lines: Vec<&str> = err.lines().collect();
    let last = lines.pop().unwrap();
    assert!(last.starts_with("13 problems in /"), "{err}");
    let (tls, others): (Vec<&str>, Vec<&str>) = lines
        .iter()
        .partition(|line| line.starts_with("webhook.tls."));
    assert!(
        others.iter().all(|line| line.contains("which is not set")),
        "{err}"
    );
    assert_eq!(tls.len(), 2);
    assert!(tls[0].contains("/etc/goldwire/tls.crt"), "{err}");
}

#[test]
fn the_topology_says_what_flows_where() {
    let dir = dir_with(crate::config::FULL);
    let ran = goldwire(dir.path(), &["topology"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(
        ran.out,
        "goldwire for tenant abc123\n\
         source hook (webhook /reltio-webhook signed reltio)\n  \
         -> log inbox -> ingest, group goldwire.inbox, dead letters ingest -> log events\n\
         source stream (kafka reltio.abc123.entities.changes)\n  \
         -> ingest, group crm-sync-consumer, dead letters ingest -> log events\n\
         source topic (kafka reltio.abc123.entities.changes)\n  \
         -> ingest, group goldwire-ingest, dead letters ingest -> log events\n\
         log inbox (journal, 1 partition, quota 1.0 GiB)\n\
         log events (journal, 8 partitions, quota 10.0 GiB)\n  \
         -> sink by_type (kafka mdm.households, mdm.people at 127.0.0.1:9092)\n     \
         group goldwire.by_type, mode latest, guard none, on full stall, dead letters by_type\n  \
         -> sink crm (salesforce Contact at https://example.my.salesforce.com)\n     \
         group goldwire.crm, mode latest, guard version, on full stall, dead letters crm\n  \
         -> sink events (file files in /var/lib/goldwire-events)\n     \
         group goldwire.events, mode history, guard none, ids kept for 7days, on full stall, dead letters events\n  \
         -> sink files (lake files in s3://acme-lake/bronze/reltio)\n     \
         group goldwire.files, mode history, guard none, ids kept for 8days, on full stall, dead letters files\n  \
         -> sink golden (kafka mdm.abc123.golden at broker.example.com:9093)\n     \
         group goldwire.golden, mode latest, guard none, on full stall, dead letters golden\n  \
         -> sink lake (warehouse sqlite:x.db)\n     \
         group goldwire.lake, mode history, guard version, on full stall, dead letters lake\n     \
         -> refresh finance (tableau datasource 9f9e9d9c-8b8a-8f8e-7d7c-7b7a6f6d6e6d at \
         https://10ax.online.tableau.com), 8 a day at most\n     \
         -> refresh sales (power_bi dataset cfafbeb1-8037-4d0c-896e-a46fb27ff229 at \
         https://api.powerbi.com), 8 a day at most\n     \
         -> refresh service (tableau workbook 1a1b1c1d-2e2f-2a2b-3c3d-3e3f4a4b4c4d at \
         https://tableau.example.com), 8 a day at most\n  \
         -> sink live (power_bi_rows table changes of dataset cfafbeb1-8037-4d0c-896e-a46fb27ff229 at \
         https://api.powerbi.com)\n     \
         group goldwire.live, mode history, guard none, ids kept for 8days, on full stall, dead letters live\n  \
         -> sink partner (salesforce Contact at https://test.salesforce.com)\n     \
         group goldwire.partner, mode latest, guard none, on full stall, dead letters partner\n  \
         -> sink reads (cache /var/lib/goldwire-cache, served at 0.0.0.0:9465)\n     \
         group goldwire.reads, mode latest, guard version, on full stall, dead letters reads\n  \
         -> sink snow (snowflake MDM.RELTIO.GOLDEN_RECORD_CHANGES at myorg-myaccount)\n     \
         group goldwire.snow, mode history, guard none, ids kept for 8days, on full stall, dead letters snow\n"
    );
    let json = goldwire(dir.path(), &["topology", "--json"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["logs"][1]["partitions"], 8);
}

#[test]
fn the_schema_is_json_and_accepts_the_full_example() {
    let dir = tempfile::tempdir().unwrap();
    let schema = goldwire(dir.path(), &["schema"]).out;
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let example: serde_json::Value = serde_saphyr::from_str(crate::config::FULL).unwrap();
    assert!(
        jsonschema::validator_for(&schema)
            .unwrap()
            .is_valid(&example)
    );
}

#[test]
fn the_schema_of_a_target_is_printed_for_the_sinks_that_have_one() {
    let dir = dir_with(crate::config::FULL);
    let ran = |words: &[&str]| goldwire(dir.path(), &[&["schema"], words].concat());
    let cloud = ran(&["snowflake", "snow"]);
    assert!(
        cloud.code == 0
            && cloud
                .out
                .contains("CREATE TABLE IF NOT EXISTS MDM.RELTIO.GOLDEN_RECORD_CHANGES ("),
        "{}{}",
        cloud.out,
        cloud.err
    );
    let crm = ran(&["salesforce", "crm"]);
    assert_eq!((crm.code, crm.err.as_str()), (0, ""));
    assert!(crm.out.contains("Reltio_Guard__c"), "{}", crm.out);
    let lake = ran(&["warehouse", "lake"]);
    assert_eq!((lake.code, lake.err.as_str()), (0, ""));
    assert!(lake.out.contains("golden_record_history"), "{}", lake.out);
    let files = ran(&["databricks", "files"]);
    assert_eq!((files.code, files.err.as_str()), (0, ""));
    let wanted = "STREAM read_files(\n  's3://acme-lake/bronze/reltio',\n  format => 'parquet'";
    assert!(files.out.contains(wanted), "{}", files.out);
    let live = ran(&["power_bi_rows", "live"]);
    assert_eq!((live.code, live.err.as_str()), (0, ""));
    let definition: serde_json::Value = serde_json::from_str(&live.out).unwrap();
    assert_eq!(definition["defaultMode"], "Push");
    for (words, why) in [
        (
            vec!["databricks", "lake"],
            "sinks.lake is of kind `warehouse`, not `databricks`",
        ),
        (
            vec!["salesforce", "lake"],
            "sinks.lake is of kind `warehouse`, not `salesforce`",
        ),
        (
            vec!["salesforce", "nobody"],
            "there is no sink \"nobody\"; the configuration has: ",
        ),
        (
            vec!["kafka", "golden"],
            "a sink of kind `kafka` asks nothing of its target beforehand",
        ),
        (vec!["salesforce"], "<NAME>"),
    ] {
        let wrong = ran(&words);
        assert_eq!((wrong.code, wrong.out.as_str()), (64, ""), "{words:?}");
        assert!(wrong.err.contains(why), "{words:?}: {}", wrong.err);
    }
}

#[test]
fn every_command_explains_itself_with_examples_and_the_top_with_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    for command in [
        "run",
        "demo",
        "check",
        "topology",
        "dlq",
        "dlq list",
        "dlq show",
        "dlq redrive",
        "dlq discard",
        "init",
        "webhook",
        "webhook sign",
        "schema",
        "map",
    ] {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let ran = goldwire(dir.path(), &words);
        assert_eq!(ran.code, 0, "{command}: {}", ran.err);
        assert!(
            ran.out
                .contains(&format!("Examples:\n  goldwire {command}")),
            "{}",
            ran.out
        );
    }
    let top = goldwire(dir.path(), &["--help"]).out;
    for code in ["0 ", "1 ", "64", "69", "70"] {
        assert!(top.contains(&format!("\n  {code}  ")), "{top}");
    }
    let wrong = goldwire(dir.path(), &["chekc"]);
    assert_eq!((wrong.code, wrong.out.as_str()), (64, ""));
    assert!(wrong.err.contains("check"), "{}", wrong.err);
    let absent = goldwire(dir.path(), &["check", "--config", "nowhere.yaml"]);
    assert_eq!(absent.code, 64);
    assert!(absent.err.starts_with("nowhere.yaml: "), "{}", absent.err);
}

#[test]
fn dlq_asks_which_letters_are_meant_before_it_touches_any() {
    let dir = dir_with(crate::config::FULL);
    for words in [
        &["dlq", "discard"][..],
        &["dlq", "redrive", "--all", "--sink", "crm"],
    ] {
        let ran = goldwire(dir.path(), words);
        assert_eq!(ran.code, 64, "{}", ran.err);
        assert!(ran.err.contains("say which letters"), "{}", ran.err);
    }
    let ran = goldwire(dir.path(), &["dlq", "show", "nonsense"]);
    assert!(
        ran.code == 64 && ran.err.contains("names no letter"),
        "{}",
        ran.err
    );
    let ran = goldwire(dir.path(), &["dlq", "list", "--from", "yesterday"]);
    assert!(
        ran.code == 64 && ran.err.contains("--from \"yesterday\""),
        "{}",
        ran.err
    );
}
