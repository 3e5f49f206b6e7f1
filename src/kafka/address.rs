//! Where the brokers are.

use std::net::IpAddr;

/// Whether every broker of `host:port,host:port` is on this machine, as its name or address says.
pub fn is_loopback(bootstrap: &str) -> bool {
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
