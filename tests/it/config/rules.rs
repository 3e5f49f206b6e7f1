//! What only several keys together can violate.

use serde_json::{Value, json};

use super::{parse, problems, with, without};

#[track_caller]
pub(super) fn refused(tree: &Value, path: &str, remedy: &str) {
    let found = problems(tree);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(&format!("{path}: ")),
        "{path} is not {found:?}"
    );
    assert!(found[0].contains(remedy), "{remedy} is not in {found:?}");
}

#[test]
fn a_source_and_a_sink_have_exactly_one_kind() {
    refused(
        &with("/sinks/lake", json!({})),
        "sinks.lake",
        "add exactly one of",
    );
    let url = json!({ "url": "sqlite:x" });
    refused(
        &with("/sinks/crm/warehouse", url),
        "sinks.crm",
        "keep one of",
    );
    refused(
        &with("/sources/hook", json!({})),
        "sources.hook",
        "add exactly one of",
    );
}

#[test]
fn a_webhook_source_needs_a_listener_and_the_listener_tls() {
    refused(&without("/webhook"), "webhook", "add the listener");
    let mut tree = without("/webhook/tls");
    assert_eq!(problems(&tree), Vec::<String>::new());
    tree["webhook"]["trusted_proxy"] = json!("ingress");
    refused(&tree, "webhook.trusted_proxy", "address or network");
    tree["webhook"]["trusted_proxy"] = json!(["fd00::1", "10.0.0.0/33"]);
    refused(&tree, "webhook.trusted_proxy[1]", "address or network");
    tree["webhook"]["trusted_proxy"] = json!("10.0.0.7");
    assert_eq!(problems(&tree), Vec::<String>::new());
    tree["webhook"]["trusted_proxy"] = Value::Null;
    refused(&tree, "webhook.tls", "trusted_proxy");
    tree["webhook"]["insecure_plain_http"] = json!(true);
    assert_eq!(problems(&tree), Vec::<String>::new());
    refused(
        &with("/webhook/insecure_plain_http", true),
        "webhook.tls",
        "remove it",
    );
    refused(
        &with("/webhook/address", "localhost:1"),
        "webhook.address",
        "IP address and a port",
    );
}

#[test]
fn the_listeners_do_not_get_in_each_others_way() {
    let both = |webhook: &str, admin: &str| {
        let mut tree = with("/webhook/address", webhook);
        tree["admin"]["address"] = json!(admin);
        tree
    };
    for (webhook, admin) in [
        ("0.0.0.0:19464", "127.0.0.1:19464"),
        ("127.0.0.1:19464", "127.0.0.1:19464"),
        ("127.0.0.1:19464", "0.0.0.0:19464"),
        ("[::]:19464", "127.0.0.1:19464"),
        ("127.0.0.1:19464", "[::]:19464"),
    ] {
        refused(&both(webhook, admin), "admin.address", "another port");
    }
    for (webhook, admin) in [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:19464", "127.0.0.2:19464"),
        ("0.0.0.0:19464", "[::1]:19464"),
    ] {
        assert_eq!(problems(&both(webhook, admin)), Vec::<String>::new());
    }
    let mut tree = with("/webhook/address", "0.0.0.0:9464");
    tree.as_object_mut().unwrap().remove("admin");
    refused(&tree, "webhook.address", "127.0.0.1:9464 is admin.address");
}

#[test]
fn g10_a_warehouse_url_is_read_as_the_sink_reads_it() {
    for (url, remedy) in [
        ("sqlite:", "names no file"),
        ("sqlite::memory:", "names no file"),
        ("sqlite:./lake.db?bogus=1", "is not a SQLite URL"),
        ("postgres://u:s3cret@h:99999/d", "is not a PostgreSQL URL"),
        ("postgres://u:s3cret/@127.0.0.1/d", "/ as %2F"),
        ("postgres://u:s3cret@@127.0.0.1/d", "@ as %40"),
        (
            "postgres://u:s3cret@127.0.0.1/d?s3cret=1",
            "a parameter that is not known",
        ),
        ("mysql://u:s3cret@h/d", "names no database"),
    ] {
        let tree = with("/sinks/lake/warehouse/url", url);
        refused(&tree, "sinks.lake.warehouse.url", remedy);
        assert!(!problems(&tree)[0].contains("s3cret"));
    }
}

#[test]
fn g10_every_property_of_librdkafka_that_does_not_do_is_named_at_once() {
    let properties = json!({
        "security.protocl": "s3cret",
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "u",
        "isolation.level": "s3cret",
        "queued.max.messages.kbytes": "1000000",
        "enable.partition.eof": "true",
        "group.instance.id": "a",
    });
    let found = problems(&with("/sources/topic/kafka/properties", properties));
    let expected = [
        ("enable.partition.eof", "goldwire sets this itself"),
        ("group.instance.id", "use the key `instance`"),
        ("isolation.level", "does not take this value"),
        ("queued.max.messages.kbytes", "at most 65536 kB"),
        ("sasl.password", "missing; add it"),
        ("security.protocl", "knows no such property"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, (key, why)) in found.iter().zip(expected) {
        let path = format!("sources.topic.kafka.properties[\"{key}\"]: ");
        assert!(found.starts_with(&path) && found.contains(why), "{found}");
        assert!(!found.contains("s3cret"), "{found}");
    }
    let tree = without("/sources/stream/kafka/properties");
    let found = problems(&tree);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("sources.stream.kafka.properties[\"sasl.password\"]: missing"));
    let twice = with(
        "/sources/stream/kafka/properties/security.protocol",
        "SASL_SSL",
    );
    let path = "sources.stream.kafka.properties[\"security.protocol\"]";
    refused(&twice, path, "keep one of the two");
}

#[test]
fn partitions_are_drained_before_they_are_taken_away() {
    let path = "/sources/topic/kafka/properties/max.poll.interval.ms";
    let path_shown = "sources.topic.kafka.properties[\"max.poll.interval.ms\"]";
    refused(
        &with(path, "20000"),
        path_shown,
        "longer than `delivery.drain_timeout`",
    );
    assert_eq!(problems(&with(path, "60000")), Vec::<String>::new());
}

#[test]
fn what_needs_the_api_is_refused_without_it() {
    let mut tree = without("/reltio");
    let found = problems(&tree);
    let paths: Vec<&str> = found
        .iter()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "reltio",
            "sources.hook.webhook.completeness",
            "sources.stream.kafka.subscription.entityTypes[0]",
            "sources.stream.kafka.subscription.eventTypes[0]",
            "sources.topic.kafka.entity_types[0]",
            "sources.topic.kafka.event_types[0]",
        ]
    );
    assert!(found[0].contains("missing; add Reltio's API"), "{found:?}");
    assert!(found[1].contains("found a mapping; add the"), "{found:?}");
    assert!(
        found[5].contains("MERGE") && found[5].contains("leave out merges"),
        "{found:?}"
    );
    tree["sinks"]
        .as_object_mut()
        .unwrap()
        .retain(|name, _| name != "crm" && name != "partner");
    tree["sources"]["hook"]["webhook"]["completeness"] = json!("mixed");
    let stream = &mut tree["sources"]["stream"]["kafka"]["subscription"];
    stream["entityTypes"] = json!(["*"]);
    stream["eventTypes"] = json!(["UPDATE", "CREATE"]);
    tree["sources"]["topic"]["kafka"]["entity_types"] = Value::Null;
    tree["sources"]["topic"]["kafka"]["event_types"] = json!(["ENTITY_*", "*_SPLITTED"]);
    let found = problems(&tree);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains("completeness") && found[0].contains("mixed"),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("sources.topic.kafka.event_types[1]"),
        "{found:?}"
    );
    tree["sources"]["hook"]["webhook"]["completeness"] = json!("ov_only");
    tree["sources"]["topic"]["kafka"]["event_types"] = json!(["ENTITY_*"]);
    assert_eq!(problems(&tree), Vec::<String>::new());
}

#[test]
fn a_subscription_excludes_the_direct_keys_and_their_absence_demands_it() {
    let topic = with("/sources/stream/kafka/topic", "t");
    refused(
        &topic,
        "sources.stream.kafka.topic",
        "remove it, or remove `subscription`",
    );
    refused(
        &without("/sources/topic/kafka/group"),
        "sources.topic.kafka.group",
        "missing",
    );
    let some = with(
        "/sources/stream/kafka/subscription/attributes",
        json!(["FirstName"]),
    );
    refused(
        &some,
        "sources.stream.kafka.subscription.attributes",
        "only [\"*\"] so far",
    );
}

#[test]
fn a_topic_knows_the_tenant_and_no_other_variable() {
    let tree = with("/sources/topic/kafka/topic", "reltio.{env}.changes");
    refused(&tree, "sources.topic.kafka.topic", "{tenant}");
}

#[test]
fn two_webhook_sources_do_not_share_a_path() {
    let hook =
        json!({ "webhook": { "path": "/reltio-webhook", "scheme": "reltio", "secrets": ["x"] } });
    let tree = with("/sources/second", hook);
    refused(
        &tree,
        "sources.second.webhook.path",
        "sources.hook has this path",
    );
}

#[test]
fn a_standard_secret_is_whsec_and_base64() {
    let mut tree = with("/sources/hook/webhook/scheme", "standard");
    let found = problems(&tree);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].starts_with("sources.hook.webhook.secrets[1]: found a text; a secret of"));
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    tree["sources"]["hook"]["webhook"]["secrets"] = json!([secret]);
    assert_eq!(problems(&tree), Vec::<String>::new());
}

#[test]
fn plain_http_is_meant_or_refused() {
    refused(
        &with("/reltio/url", "http://h/a"),
        "reltio.url",
        "use https://",
    );
    let braces = "https://{environment}.reltio.com/reltio/api/t";
    refused(&with("/reltio/url", braces), "reltio.url", "braces");
    let mut tree = with("/reltio/url", "http://127.0.0.1:1/reltio/api/t");
    tree["reltio"]["insecure_plain_http"] = json!(true);
    assert_eq!(problems(&tree), Vec::<String>::new());
}

#[test]
fn durations_and_sizes_are_sensible() {
    refused(
        &with("/webhook/deadline", "5s"),
        "webhook.deadline",
        "from 100ms to 4500ms",
    );
    refused(
        &with("/delivery/drain_timeout", "10m"),
        "delivery.drain_timeout",
        "to 4m",
    );
    refused(
        &with("/reltio/settle", "1s"),
        "reltio.settle",
        "longer than clock_skew",
    );
    refused(
        &with("/delivery/retry/longest", "100ms"),
        "delivery.retry.longest",
        "retry.first",
    );
    refused(
        &with("/log/quota", "100MiB"),
        "log.quota",
        "two segments a partition",
    );
    refused(&with("/inbox/quota", "1MiB"), "inbox.quota", "two segments");
    let beyond = "99999999999999999999999d";
    refused(&with("/log/keep", beyond), "log.keep", "write a duration");
    refused(&with("/log/keep", "soon"), "log.keep", "write a duration");
    refused(
        &with("/webhook/connections", 5_000_000_000_u64),
        "webhook.connections",
        "at most",
    );
}

#[test]
fn names_that_goldwire_uses_itself_are_refused() {
    let sink = json!({ "warehouse": { "url": "sqlite:x" } });
    refused(
        &with("/sinks/inbox", sink.clone()),
        "sinks.inbox",
        "name it otherwise",
    );
    refused(
        &with("/sinks/a b", sink),
        "sinks[\"a b\"]",
        "letters, digits",
    );
}

#[test]
fn properties_that_another_key_says_are_refused() {
    let tree = with(
        "/sources/topic/kafka/properties",
        json!({ "group.id": "g", "security.protocol": "SSL" }),
    );
    let path = "sources.topic.kafka.properties[\"group.id\"]";
    refused(&tree, path, "the key `group` says it");
}

#[test]
fn a_number_with_a_point_is_the_whole_number_it_is() {
    assert_eq!(
        problems(&with("/log/partitions", 4.0)),
        Vec::<String>::new()
    );
    refused(
        &with("/log/partitions", 4.5),
        "log.partitions",
        "write a whole number",
    );
}

#[test]
fn a_dotted_entity_type_is_its_last_part_and_two_of_one_type_are_refused() {
    let dotted = super::FULL.replace("        Individual:", "        com.example.Individual:");
    let config = super::parse(&dotted).unwrap();
    let crm = config.sinks["crm"].salesforce.as_ref().unwrap();
    assert!(crm.objects.contains_key("Individual"), "{:?}", crm.objects);
    let mut tree = super::full();
    let objects = tree
        .pointer_mut("/sinks/crm/salesforce/objects")
        .unwrap()
        .as_object_mut()
        .unwrap();
    let individual = objects["Individual"].clone();
    objects.insert("com.example.Individual".to_owned(), individual);
    let problems = super::problems(&tree);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].contains("is the same type as") && problems[0].contains("keep one of them"),
        "{problems:?}"
    );
}

#[test]
fn what_is_no_mapping_at_all_is_named_the_configuration() {
    for text in ["", "- a\n- b", "tenant"] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with("configuration: found "), "{error}");
    }
}

#[test]
fn a_file_sink_has_to_be_allowed_to_keep_what_was_erased() {
    let path = "sinks.events.file.keeps_erased_records";
    for tree in [
        without("/sinks/events/file/keeps_erased_records"),
        with("/sinks/events/file/keeps_erased_records", false),
    ] {
        refused(&tree, path, "lines of erased subjects (GDPR) may stay");
    }
}

#[test]
fn g5_ids_are_kept_for_as_long_as_a_copy_may_come() {
    let path = "/sinks/events/file/dedupe/window";
    let shown = "sinks.events.file.dedupe.window";
    refused(&with(path, "74h"), shown, "from 75h to 365d");
    let mut tree = with(path, "75h");
    tree["log"]["keep"] = json!("4d");
    refused(&tree, shown, "not be shorter than log.keep");
    tree["sinks"]["events"]["file"]["dedupe"] = json!({});
    assert_eq!(problems(&tree), Vec::<String>::new());
    tree["log"]["keep"] = json!("8d");
    refused(&tree, "sinks.events.file", "longer than the default of 7d");
}

#[test]
fn a_file_sink_has_a_directory_of_its_own() {
    let path = "/sinks/events/file/dir";
    for dir in [
        "/var/lib/goldwire",
        "/var/lib/goldwire/log/3",
        "/var/lib/goldwire/store",
    ] {
        refused(
            &with(path, dir),
            "sinks.events.file.dir",
            "its own files there",
        );
    }
    let below = with(path, "/var/lib/goldwire/events");
    assert_eq!(problems(&below), Vec::<String>::new());
    refused(
        &with(path, ""),
        "sinks.events.file.dir",
        "path of a directory",
    );
    let twin =
        json!({ "file": { "dir": "/var/lib/goldwire-events/", "keeps_erased_records": true } });
    refused(
        &with("/sinks/twin", twin),
        "sinks.twin.file.dir",
        "sinks.events has this directory",
    );
    refused(
        &with("/sinks/events/file/roll", "1KiB"),
        "sinks.events.file.roll",
        "4KiB",
    );
}
