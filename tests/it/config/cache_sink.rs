//! Rules of `cache` sinks.

use serde_json::json;

use super::rules::refused;
use super::{problems, with};

#[test]
fn a_cache_outside_loopback_needs_tls() {
    let mut tree = with("/sinks/reads/cache/address", "0.0.0.0:9465");
    assert_eq!(problems(&tree), Vec::<String>::new());
    let section = tree["sinks"]["reads"]["cache"].as_object_mut().unwrap();
    let tls = section.remove("tls").unwrap();
    let path = "sinks.reads.cache.address";
    refused(&tree, path, "add tls with cert_file and key_file");
    refused(&tree, path, "insecure_plain_http: true");
    tree["sinks"]["reads"]["cache"]["insecure_plain_http"] = json!(true);
    assert_eq!(problems(&tree), Vec::<String>::new());
    tree["sinks"]["reads"]["cache"]["tls"] = tls;
    refused(&tree, "sinks.reads.cache.tls", "remove insecure_plain_http");
    let odd = with("/sinks/reads/cache/address", "localhost:1");
    refused(&odd, path, "write an IP address and a port");
}

#[test]
fn a_cache_is_not_without_a_token_and_has_a_directory_of_its_own() {
    let path = "/sinks/reads/cache/tokens";
    assert_eq!(problems(&with(path, json!([]))).len(), 1);
    assert_eq!(problems(&with(path, json!([""]))).len(), 1);
    let dir = "/sinks/reads/cache/dir";
    let shown = "sinks.reads.cache.dir";
    refused(
        &with(dir, "/var/lib/goldwire/store"),
        shown,
        "its own files there",
    );
    refused(
        &with(dir, "/var/lib/goldwire-events"),
        shown,
        "sinks.events has this directory",
    );
    let memory = with("/sinks/reads/cache/memory", "1MiB");
    refused(&memory, "sinks.reads.cache.memory", "at least 8MiB");
}
