//! The columns of a warehouse.

use serde_json::{Value, json};

use super::rules::refused;
use super::{problems, with, with_columns};

#[test]
fn a_column_is_a_path_or_a_path_and_a_type() {
    let columns = json!({
        "email": "Email.Email",
        "born": {"attribute": "DateOfBirth", "type": "date"},
        "size": {"attribute": "Size", "object_type": "Organization"},
        "_2": "A",
    });
    assert_eq!(with_columns(&columns), Vec::<String>::new());
    let wrong = |column: Value| with("/sinks/lake/warehouse/columns", json!({ "x": column }));
    let at = "sinks.lake.warehouse.columns.x";
    refused(
        &wrong(json!(7)),
        at,
        "write an attribute's path, or {attribute: PATH",
    );
    refused(
        &wrong(json!({"type": "date"})),
        &format!("{at}.attribute"),
        "missing; add it: Path of the attribute",
    );
    let unknown = wrong(json!({"attribute": "A", "type": "float"}));
    refused(&unknown, &format!("{at}.type"), "`decimal` or `integer`");
    for path in ["", "A..B", ".A", "A. B", "attributes.A"] {
        refused(&wrong(json!(path)), at, "nested ones with dots");
        let typed = wrong(json!({"attribute": path}));
        refused(&typed, &format!("{at}.attribute"), "nested ones with dots");
    }
}

#[test]
fn a_column_has_a_name_that_both_databases_take_and_no_table_has() {
    for name in ["Email", "e-mail", "1st", "é", "a\"b", &"x".repeat(64)] {
        let found = with_columns(&json!({ name: "Email" }));
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert!(found[0].contains("small letters"), "{found:?}");
    }
    let many: serde_json::Map<String, Value> =
        (0..101).map(|at| (format!("c{at}"), json!("A"))).collect();
    let tree = with("/sinks/lake/warehouse/columns", many);
    refused(&tree, "sinks.lake.warehouse.columns", "100 at most");
    assert!(problems(&with("/sinks/lake/warehouse/columns", json!({}))).is_empty());
}
