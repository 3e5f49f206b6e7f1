//! What a lake sink has to say, and what it must not.

use serde_json::json;

use super::rules::refused;
use super::{problems, with, without};

#[test]
fn what_becomes_of_erased_subjects_has_to_be_said() {
    let path = "sinks.files.lake.erase_within";
    let tree = without("/sinks/files/lake/erase_within");
    refused(&tree, path, "taken out of the files");
    let mut tree = tree;
    tree["sinks"]["files"]["lake"]["keeps_erased_records"] = json!(true);
    assert_eq!(problems(&tree), Vec::<String>::new());
    let both = with("/sinks/files/lake/keeps_erased_records", true);
    refused(&both, path, "remove keeps_erased_records");
    let soon = with("/sinks/files/lake/erase_within", "10m");
    refused(&soon, path, "from 1h to 90d");
}

#[test]
fn golden_records_go_to_a_store_in_clear_text_only_where_that_is_meant() {
    let endpoint = "/sinks/files/lake/options/endpoint";
    let tree = with(endpoint, "http://127.0.0.1:9000");
    let path = "sinks.files.lake.options.endpoint";
    refused(&tree, path, "use https://");
    let mut tree = tree;
    tree["sinks"]["files"]["lake"]["insecure_plain_http"] = json!(true);
    assert_eq!(problems(&tree), Vec::<String>::new());
}

#[test]
fn a_place_is_a_bucket_or_a_directory_and_the_mirror_another() {
    let path = "sinks.files.lake.url";
    for (url, remedy) in [
        ("https://bucket.s3.amazonaws.com/prefix", "write s3://"),
        (
            "s3://key:secret@bucket/prefix",
            "credentials go into options",
        ),
        (
            "gs://key:secret@bucket/prefix",
            "credentials go into options",
        ),
        (
            "abfss://raw:secret@acme.dfs.core.windows.net/p",
            "credentials go into options",
        ),
        (
            "az://raw/prefix?sv=2024&sig=secret",
            "credentials go into options",
        ),
        ("", "write a bucket"),
    ] {
        let tree = with("/sinks/files/lake/url", url);
        refused(&tree, path, remedy);
        let shown = problems(&tree).concat();
        assert!(!shown.contains("secret"), "G10: {shown}");
    }
    for url in [
        "./lake",
        "file:///srv/lake",
        "gs://bucket/prefix",
        "abfss://raw@acme.dfs.core.windows.net/p",
    ] {
        let tree = with("/sinks/files/lake/url", url);
        assert_eq!(problems(&tree), Vec::<String>::new(), "{url}");
    }
    let same = "s3://acme-lake/bronze/reltio";
    let tree = with("/sinks/files/lake/mirror/url", same);
    refused(&tree, "sinks.files.lake.mirror.url", "name another place");
}

#[test]
fn a_file_is_written_in_bounded_time_and_memory() {
    let tree = with("/sinks/files/lake/roll/age", "2d");
    refused(&tree, "sinks.files.lake.roll.age", "from 1s to 1d");
    let tree = with("/sinks/files/lake/memory", "1MiB");
    refused(&tree, "sinks.files.lake.memory", "at least 8MiB");
    let tree = with("/sinks/files/lake/roll/bytes", "1KiB");
    refused(&tree, "sinks.files.lake.roll.bytes", "at least 64KiB");
}

#[test]
fn a_column_has_a_name_of_its_own() {
    let column = |name: &str| with("/sinks/files/lake/columns", json!({ name: "Email.Email" }));
    for name in ["commit_time", "date", "loaded_at"] {
        let path = format!("sinks.files.lake.columns.{name}");
        refused(&column(name), &path, "a column of goldwire's own");
    }
    assert_eq!(problems(&column("label")), Vec::<String>::new());
}

#[test]
fn a_pipe_is_named_whole_and_told_over_tls() {
    let pointer = "/sinks/files/lake/snowpipe";
    for (key, value, remedy) in [
        ("pipe", "LAKE", "DATABASE.SCHEMA.PIPE"),
        ("pipe", "a.b.c d", "DATABASE.SCHEMA.PIPE"),
        ("account", "a.snowflakecomputing.com", "leave out"),
        ("url", "http://127.0.0.1:9", "use https://"),
        ("request_timeout", "0s", "from 1s to 10m"),
    ] {
        let tree = with(&format!("{pointer}/{key}"), value);
        refused(&tree, &format!("sinks.files.lake.snowpipe.{key}"), remedy);
    }
}
