//! Where the brokers are, and whether the way to them is encrypted.

use std::net::IpAddr;

use super::properties::{Properties, Unfit};

/// Refuses clear text to brokers on other machines unless it is meant (`insecure`). `key` is the one
/// that holds `bootstrap`.
pub fn check_encrypted(
    key: &str,
    bootstrap: &str,
    properties: &Properties,
    insecure: bool,
    problems: &mut Vec<Unfit>,
) {
    let protocol = properties.get("security.protocol");
    let protocol = protocol.map_or_else(String::new, |text| text.reveal().to_uppercase());
    let encrypted = matches!(protocol.as_str(), "SSL" | "SASL_SSL");
    if encrypted || insecure || is_loopback(bootstrap) {
        return;
    }
    let why = "nothing is encrypted on the way to another machine: set \
               `properties.security.protocol` to SASL_SSL or SSL (`insecure_plaintext` is for \
               networks that no one listens to)";
    problems.push(Unfit::key(key, why));
}

/// Whether every broker of `host:port,host:port` is on this machine, as its name or address says.
fn is_loopback(bootstrap: &str) -> bool {
    bootstrap.split(',').all(|broker| {
        let broker = broker.trim();
        let broker = broker.rsplit_once("://").map_or(broker, |(_, rest)| rest);
        let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let by_address = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        by_address || host.eq_ignore_ascii_case("localhost")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broker_elsewhere_is_enough_to_be_elsewhere() {
        for here in [
            "127.0.0.1:9092",
            "localhost:1, [::1]:2",
            "PLAINTEXT://127.1.2.3:9",
        ] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in ["b:9092", "127.0.0.1:1,b:2", "10.0.0.1:9092", ""] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
