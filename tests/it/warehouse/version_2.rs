//! Tables of version 2, which did not know since when and until when a subject is active.

use goldwire::sink::warehouse::Dialect;

use super::place::{Place, deliver};
use super::{event, person};

/// From what this version makes back to what version 2 made.
const BACK: &str = "DROP VIEW merges_resolved;
DROP TABLE goldwire_columns;
DROP TABLE goldwire_backfill;
DROP VIEW golden_record_history;
DROP VIEW golden_records_live;
DROP VIEW relations_live;
DROP VIEW merges_active;
DROP INDEX golden_records_by_type;
DROP INDEX relations_by_type;
DROP INDEX golden_record_changes_by_time;
ALTER TABLE golden_records DROP COLUMN active_from;
ALTER TABLE golden_records DROP COLUMN active_until;
ALTER TABLE relations DROP COLUMN active_from;
ALTER TABLE relations DROP COLUMN active_until;
ALTER TABLE golden_record_changes DROP COLUMN active_from;
ALTER TABLE golden_record_changes DROP COLUMN active_until;
CREATE VIEW golden_record_history AS
  SELECT tenant, subject, commit_time, version, event_id, kind, object_type, state, absorbed_by,
   object, object_exact, observed, received_time,
   commit_time AS valid_from,
   lead(commit_time) OVER later AS valid_to,
   lead(commit_time) OVER later IS NULL AS is_current
  FROM golden_record_changes
  WINDOW later AS (PARTITION BY tenant, subject ORDER BY commit_time, version);
CREATE VIEW golden_records_live AS
  SELECT tenant, subject, object_type, version, commit_time, stands_for, label, object, updated_at
  FROM golden_records WHERE state = 'alive';
CREATE VIEW relations_live AS
  SELECT tenant, subject, object_type, start_entity, end_entity, version, stands_for, object
  FROM relations WHERE state = 'alive';
CREATE VIEW merges_active AS
  SELECT tenant, loser, winner, merged_at FROM merges WHERE active;
DELETE FROM goldwire_schema;
INSERT INTO goldwire_schema (version, applied_at) VALUES (2, 0);";

pub(super) async fn as_version_2(place: &Place) {
    deliver(&place.open(), &[event("entities/first", 1, 1, person("x"))]).await;
    place.execute(BACK).await;
}

/// Snapshots as they were stored, and what is known of them now.
const STORED: [(&str, &str, &str); 11] = [
    (r#"{"label": "x"}"#, "~", "~"),
    (r#"{"endDate": 1700000000000}"#, "~", "1700000000000"),
    (
        r#"{"endDate": " 1700000000000 ", "startDate": 5}"#,
        "5",
        "1700000000000",
    ),
    (
        r#"{"startDate": "2023-11-14T22:13:20.123Z"}"#,
        "1700000000123",
        "~",
    ),
    (
        r#"{"endDate": "2023-11-14T22:13:20"}"#,
        "~",
        "1700000000000",
    ),
    (
        r#"{"endDate": 90, "activeness": {"startDate": 7, "endDate": 80}}"#,
        "7",
        "80",
    ),
    (r#"{"endDate": null, "startDate": "yesterday"}"#, "~", "~"),
    (
        r#"{"crosswalks": [{"deleteDate": 5}, {"value": "a"}]}"#,
        "~",
        "~",
    ),
    (
        r#"{"crosswalks": [{"deleteDate": 5}, {"deleteDate": "9"}]}"#,
        "~",
        "9",
    ),
    (
        r#"{"crosswalks": [{"deleteDate": "long ago"}]}"#,
        "~",
        "-9223372036854775808",
    ),
    (r#"{"crosswalks": [], "x": "deleteDate"}"#, "~", "~"),
];

pub(super) async fn knows_since_when_afterwards(place: Place) {
    as_version_2(&place).await;
    for (at, (json, ..)) in STORED.iter().enumerate() {
        let insert = format!(
            "INSERT INTO golden_records
              (tenant, subject, object_type, state, stands_for, object, alive_at, erased_at, updated_at)
             VALUES ('acme', 'entities/{at:02}', 'Individual', 'alive', 1, '{json}', 1, 0, 1);
             INSERT INTO golden_record_changes VALUES ('acme', 'entities/{at:02}', 1, 1, 'e', 'changed',
              'Individual', 'alive', NULL, '{json}', NULL, false, 1)"
        );
        place.execute(&insert).await;
    }
    deliver(&place.open(), &[event("entities/later", 2, 2, person("y"))]).await;
    for table in ["golden_records", "golden_record_history"] {
        let stored = format!("{table} WHERE subject < 'entities/f'");
        let rows = place
            .rows(&["subject", "active_from", "active_until"], &stored)
            .await;
        assert_eq!(rows.len(), STORED.len());
        for (row, (json, from, until)) in rows.iter().zip(STORED) {
            assert_eq!((&*row[1], &*row[2]), (from, until), "{table}: {json}");
        }
    }
    let live = place.rows(&["subject"], "golden_records_live").await;
    let live: Vec<&str> = live
        .iter()
        .map(|row| row[0].trim_start_matches("entities/"))
        .collect();
    assert_eq!(live, ["00", "03", "06", "07", "10", "first", "later"]);
    assert_eq!(place.one("max(version)", "goldwire_schema").await, "4");
    if place.dialect == Dialect::Postgres {
        let left = "pg_proc WHERE proname LIKE 'goldwire_%'";
        assert_eq!(place.one("count(*)", left).await, "0");
    }
}

pub(super) async fn keeps_its_readers(place: Place) {
    as_version_2(&place).await;
    let views = [
        "golden_record_history",
        "golden_records_live",
        "relations_live",
        "merges_active",
    ];
    for view in views {
        place
            .execute(&format!("GRANT SELECT ON {view} TO PUBLIC"))
            .await;
    }
    // A view of somebody's own upon it stays.
    place
        .execute("CREATE VIEW ours AS SELECT subject, label FROM golden_records_live")
        .await;
    deliver(&place.open(), &[event("entities/a", 2, 2, person("y"))]).await;
    let public = "information_schema.table_privileges
     WHERE table_schema = current_schema() AND grantee = 'PUBLIC' AND privilege_type = 'SELECT'";
    let rows = place.rows(&["table_name"], public).await;
    assert_eq!(rows.len(), views.len(), "{rows:?}");
    assert_eq!(place.rows(&["label"], "ours").await.len(), 2);
}
