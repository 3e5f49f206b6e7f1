//! What a sink of rows for Power BI has to say, and what it must not.

use serde_json::json;

use super::rules::refused;
use super::{problems, with, without};

#[test]
fn that_rows_of_erased_subjects_stay_has_to_be_said() {
    let path = "sinks.live.power_bi_rows.keeps_erased_records";
    for tree in [
        without("/sinks/live/power_bi_rows/keeps_erased_records"),
        with("/sinks/live/power_bi_rows/keeps_erased_records", false),
    ] {
        refused(&tree, path, "deletes no single row");
    }
}

#[test]
fn no_more_is_sent_than_power_bi_takes() {
    let interval = "sinks.live.power_bi_rows.min_interval";
    let tree = with("/sinks/live/power_bi_rows/min_interval", "100ms");
    refused(&tree, interval, "from 500ms to 1h");
    let mut tree = with("/sinks/live/power_bi_rows/batch", 139);
    refused(
        &tree,
        "sinks.live.power_bi_rows.batch",
        "1,000,000 rows an hour",
    );
    tree["sinks"]["live"]["power_bi_rows"]["min_interval"] = json!("1s");
    assert_eq!(problems(&tree), Vec::<String>::new());
}

#[test]
fn columns_have_names_of_their_own_and_paths_and_ids_are_parts_of_an_address() {
    let at = "sinks.live.power_bi_rows";
    for (name, path, remedy) in [
        ("Subject", "X", "a column of goldwire's own"),
        (" x", "X", "without a blank around it"),
        ("x", "attributes.X", "without `attributes.` before it"),
        ("x", "X..Y", "nested ones with dots"),
    ] {
        let columns = json!({ name: path });
        let tree = with("/sinks/live/power_bi_rows/columns", columns);
        let found = problems(&tree).join("\n");
        assert!(found.contains(remedy), "{name} {path}: {found}");
    }
    let many = (0..65).map(|number| (format!("c{number}"), json!("X")));
    let many: serde_json::Map<_, _> = many.collect();
    let tree = with("/sinks/live/power_bi_rows/columns", many);
    refused(&tree, &format!("{at}.columns"), "64 at most");
    let tree = with("/sinks/live/power_bi_rows/group_id", "a/b");
    refused(&tree, &format!("{at}.group_id"), "write the id alone");
    let tree = with("/sinks/live/power_bi_rows/url", "http://api.powerbi.com");
    refused(&tree, &format!("{at}.url"), "use https://");
}
