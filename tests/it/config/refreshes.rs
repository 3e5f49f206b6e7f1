//! Rules of refreshes.

use serde_json::json;

use super::rules::refused;
use super::{with, without};

#[test]
fn a_refresh_follows_a_sink_that_there_is_and_refreshes_one_thing() {
    let tree = with("/refreshes/sales/after", "laek");
    refused(&tree, "refreshes.sales.after", "there are by_type, crm");
    let tree = without("/refreshes/sales/power_bi");
    refused(
        &tree,
        "refreshes.sales",
        "exactly one of `power_bi` and `tableau`",
    );
    let tree = with("/refreshes/a.b", json!({ "after": "lake", "power_bi": {} }));
    let found = super::problems(&tree);
    assert!(
        found
            .iter()
            .any(|it| it.contains("letters, digits, `-` and `_`")),
        "{found:?}"
    );
}

#[test]
fn secrets_go_over_https_and_ids_are_parts_of_an_address() {
    for (key, value, remedy) in [
        (
            "sales/power_bi/url",
            "http://api.powerbi.com",
            "use https://",
        ),
        ("sales/power_bi/login_url", "http://login", "use https://"),
        ("sales/power_bi/group_id", "a/b", "write the id alone"),
        ("sales/power_bi/dataset_id", "", "write the id alone"),
        ("finance/tableau/url", "http://tableau", "use https://"),
        ("finance/tableau/datasource", "../x", "write the id alone"),
        ("sales/min_interval", "10s", "must be from 1m to 24h"),
        (
            "sales/power_bi/request_timeout",
            "2m",
            "must be from 1s to 1m",
        ),
    ] {
        let tree = with(&format!("/refreshes/{key}"), value);
        refused(
            &tree,
            &format!("refreshes.{}", key.replace('/', ".")),
            remedy,
        );
    }
}

#[test]
fn one_way_to_sign_in_and_one_extract() {
    let tree = without("/refreshes/service/tableau/workbook");
    refused(
        &tree,
        "refreshes.service.tableau.datasource",
        "add it or `workbook`",
    );
    let tree = with("/refreshes/service/tableau/datasource", "x");
    refused(&tree, "refreshes.service.tableau.workbook", "not both");
    let tree = without("/refreshes/finance/tableau/personal_access_token");
    let missing = "refreshes.finance.tableau.personal_access_token";
    refused(&tree, missing, "add it or `connected_app`");
    let token = json!({ "name": "n", "secret": "s" });
    let tree = with("/refreshes/service/tableau/personal_access_token", token);
    refused(&tree, "refreshes.service.tableau.connected_app", "not both");
}
