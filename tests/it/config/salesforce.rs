//! What only several keys of a Salesforce sink together can violate.

use serde_json::json;

use super::rules::refused;
use super::{with, without};

#[test]
fn a_salesforce_sink_logs_in_in_one_way_at_an_address_that_serves_it() {
    let crm = "sinks.crm.salesforce";
    for shared in [
        "https://login.salesforce.com",
        "https://TEST.salesforce.com/",
    ] {
        refused(
            &with("/sinks/crm/salesforce/login_url", shared),
            &format!("{crm}.login_url"),
            "My Domain",
        );
    }
    refused(
        &without("/sinks/crm/salesforce/client_secret"),
        &format!("{crm}.client_secret"),
        "or the key `jwt`",
    );
    let jwt = json!({ "username": "u@example.com", "private_key": "x" });
    refused(
        &with("/sinks/crm/salesforce/jwt", jwt),
        &format!("{crm}.jwt"),
        "keep this or client_secret",
    );
    refused(
        &with("/sinks/crm/salesforce/daily_share", 0.0),
        &format!("{crm}.daily_share"),
        "above 0",
    );
}
