//! Columns of attributes in the files.

use goldwire::event::{Kind, SubjectState};
use goldwire::sink::Sink as _;
use parquet::record::Field;
use serde_json::{Value, json};

use super::erasure::land;
use super::pieces::{alive, change, lake, lines, place, write};
use super::{Row, files, rows};

fn mapping() -> Value {
    json!({
        "email": "Email.Email",
        "born": { "attribute": "DateOfBirth", "type": "date" },
        "amount": { "attribute": "Amount", "type": "decimal" },
        "size": { "attribute": "Size", "type": "integer", "object_type": "Organization" },
        "vip": { "attribute": "Vip", "type": "boolean" },
        "order": { "attribute": "Seen", "type": "timestamp" },
    })
}

fn object(uri: &str, born: &str, amount: &str) -> String {
    json!({
        "uri": uri, "type": "configuration/entityTypes/Individual",
        "attributes": {
            "Email": [{ "ov": true, "value": { "Email": [{ "ov": true, "value": "a\u{0}é@x" }] } }],
            "DateOfBirth": [{ "ov": true, "value": born }],
            "Amount": [{ "ov": true, "value": amount }],
            "Size": [{ "ov": true, "value": "7" }],
            "Vip": [{ "ov": true, "value": "true" }],
            "Seen": [{ "ov": true, "value": "1970-01-01T01:00:00.5+01:00" }],
        },
    })
    .to_string()
}

fn of<'a>(row: &'a Row, names: &[&str]) -> Vec<&'a Field> {
    names.iter().map(|name| &row[*name]).collect()
}

#[tokio::test]
async fn a_column_has_the_attributes_value_in_its_own_type_or_null() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path(), &json!({ "columns": mapping() }));
    let pieces = lake.pieces(&place(2)).unwrap();
    let fits = object("entities/a", "1980-05-17", "-12.50");
    let not = object("entities/b", "long ago", "1e30");
    let changes = vec![
        change(1, Kind::Created, alive(&fits)),
        change(2, Kind::Changed, alive(&not)),
        change(3, Kind::Removed, SubjectState::Removed),
    ];
    land(pieces.as_ref(), &[write("entities/a", changes)]).await;
    let [file] = files(dir.path()).try_into().unwrap();
    let rows = rows(&file);
    let names = ["email", "born", "size", "vip", "order"];
    let text = Field::Str("a\u{fffd}é@x".to_owned());
    let (vip, seen) = (Field::Bool(true), Field::TimestampMillis(500));
    assert_eq!(
        of(&rows[0], &names),
        [&text, &Field::Date(3789), &Field::Null, &vip, &seen]
    );
    let Field::Decimal(amount) = &rows[0]["amount"] else {
        panic!("{:?}", rows[0]["amount"]);
    };
    let unscaled = -12_500_000_000_000_000_000_i128;
    assert_eq!(
        (amount.data(), amount.precision(), amount.scale()),
        (unscaled.to_be_bytes().as_slice(), 38, 18)
    );
    assert_eq!(
        of(&rows[1], &["email", "born", "amount"]),
        [&text, &Field::Null, &Field::Null]
    );
    assert!(of(&rows[2], &names).iter().all(|it| **it == Field::Null));
}

#[tokio::test]
async fn a_line_has_the_columns_as_members() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(
        dir.path(),
        &json!({ "columns": mapping(), "format": "ndjson" }),
    );
    let pieces = lake.pieces(&place(2)).unwrap();
    let object = object("entities/a", "1980-05-17", "-12.50");
    let changes = vec![
        change(1, Kind::Created, alive(&object)),
        change(2, Kind::Removed, SubjectState::Removed),
    ];
    land(pieces.as_ref(), &[write("entities/a", changes)]).await;
    let [file] = files(dir.path()).try_into().unwrap();
    let lines = lines(&file);
    assert_eq!(lines[0]["object"]["uri"], "entities/a");
    let amount: Value = serde_json::from_str("-12.50").unwrap();
    for (name, wanted) in [
        ("email", json!("a\u{fffd}é@x")),
        ("born", json!("1980-05-17")),
        ("amount", amount),
        ("size", json!(null)),
        ("vip", json!(true)),
        ("order", json!("1970-01-01T00:00:00.500Z")),
    ] {
        assert_eq!(lines[0][name], wanted, "{name}");
        assert_eq!(lines[1].get(name), Some(&Value::Null), "{name}");
    }
}

#[tokio::test]
async fn an_erasure_keeps_the_columns_that_a_file_was_made_with() {
    for format in ["parquet", "ndjson"] {
        let dir = tempfile::tempdir().unwrap();
        let with = |columns: &Value| {
            let more = json!({
                "erase_within": "4h", "keeps_erased_records": false, "format": format,
                "columns": columns,
            });
            lake(dir.path(), &more)
        };
        let old = with(&mapping());
        let old = old.pieces(&place(2)).unwrap();
        let person = |uri: &str| {
            let object = object(uri, "1980-05-17", "1");
            write(uri, vec![change(1, Kind::Created, alive(&object))])
        };
        land(old.as_ref(), &[person("entities/a"), person("entities/b")]).await;
        let [file] = files(dir.path()).try_into().unwrap();
        let new = with(&json!({ "city": "City" }));
        let pieces = new.pieces(&place(2)).unwrap();
        let erased = change(2, Kind::Erased, SubjectState::Erased);
        land(pieces.as_ref(), &[write("entities/a", vec![erased])]).await;
        assert_eq!(new.take_out_erased().await.unwrap(), 1);
        if format == "ndjson" {
            let lines = lines(&file);
            assert_eq!((lines.len(), &lines[0]["born"]), (1, &json!("1980-05-17")));
            continue;
        }
        let rows = rows(&file);
        assert_eq!(rows.len(), 1);
        let left = of(&rows[0], &["subject", "born", "size", "order"]);
        let subject = Field::Str("entities/b".to_owned());
        let seen = Field::TimestampMillis(500);
        assert_eq!(left, [&subject, &Field::Date(3789), &Field::Null, &seen]);
        assert!(!rows[0].contains_key("city"));
    }
}
