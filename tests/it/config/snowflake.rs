//! What a Snowflake sink has to say, and what it must not.

use serde_json::json;

use super::rules::refused;
use super::{problems, with, without};

const AT: &str = "sinks.snow.snowflake";

#[test]
fn that_rows_of_erased_subjects_stay_has_to_be_meant() {
    let path = format!("{AT}.keeps_erased_records");
    let pointer = "/sinks/snow/snowflake/keeps_erased_records";
    refused(&without(pointer), &path, "goldwire schema snowflake");
    refused(&with(pointer, false), &path, "goldwire schema snowflake");
}

#[test]
fn golden_records_go_to_snowflake_in_clear_text_only_where_that_is_meant() {
    let mut tree = with("/sinks/snow/snowflake/url", "http://127.0.0.1:9");
    refused(&tree, &format!("{AT}.url"), "use https://");
    tree["sinks"]["snow"]["snowflake"]["insecure_plain_http"] = json!(true);
    assert_eq!(problems(&tree), Vec::<String>::new());
}

#[test]
fn an_account_is_its_identifier_and_a_name_needs_no_quotes() {
    for (key, value, remedy) in [
        (
            "account",
            "https://a.snowflakecomputing.com",
            "identifier alone",
        ),
        ("account", "a.snowflakecomputing.com", "leave out"),
        ("database", "my db", "without quotes"),
        ("schema", "\"s\"", "without quotes"),
        ("table", "t-1", "without quotes"),
        ("pipe", "1; drop table t", "without quotes"),
    ] {
        let tree = with(&format!("/sinks/snow/snowflake/{key}"), value);
        refused(&tree, &format!("{AT}.{key}"), remedy);
    }
    for account in ["myorg-my_account", "xy12345.eu-central-1"] {
        let tree = with("/sinks/snow/snowflake/account", account);
        assert_eq!(problems(&tree), Vec::<String>::new());
    }
}

#[test]
fn a_piece_whose_rows_were_deleted_is_named_as_the_halt_shows_it() {
    let pointer = "/sinks/snow/snowflake/deleted_pieces";
    let tree = with(
        pointer,
        json!(["0195f2c17a307c449d0e5a1b2c3d4e5f", "piece 7"]),
    );
    refused(
        &tree,
        &format!("{AT}.deleted_pieces[1]"),
        "32 hexadecimal digits",
    );
}

#[test]
fn an_append_is_made_and_committed_in_bounded_time() {
    let tree = with("/sinks/snow/snowflake/roll/age", "2d");
    refused(&tree, &format!("{AT}.roll.age"), "from 1s to 1d");
    let tree = with("/sinks/snow/snowflake/commit_timeout", "0s");
    refused(&tree, &format!("{AT}.commit_timeout"), "from 1s to 1h");
}
