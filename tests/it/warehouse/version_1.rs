//! Tables of version 1, whose history was a table that held its intervals.

use goldwire::sink::Sink as _;
use goldwire::sink::warehouse::Dialect;

use super::place::{Place, deliver};
use super::version_2::as_version_2;
use super::{event, person};

/// The history as version 1 made it, in the place of what this version makes.
const HISTORY: &str = "DROP VIEW golden_record_history;
DROP TABLE golden_record_changes;
CREATE TABLE golden_record_history (
  tenant text NOT NULL,
  subject text NOT NULL,
  commit_time bigint NOT NULL,
  version bigint NOT NULL,
  event_id text NOT NULL,
  kind text NOT NULL,
  object_type text NOT NULL,
  state text NOT NULL,
  absorbed_by text,
  object JSON,
  object_exact text,
  observed boolean NOT NULL,
  received_time bigint NOT NULL,
  valid_from bigint NOT NULL,
  valid_to bigint,
  is_current boolean NOT NULL,
  PRIMARY KEY (tenant, subject, commit_time, version)
);
INSERT INTO golden_record_history VALUES
 ('acme', 'entities/a', 1000, 1, 'e1', 'created', 'Individual', 'alive', NULL, '{\"n\": 1}', NULL,
  false, 1, 1000, 3000, false),
 ('acme', 'entities/a', 3000, 3, 'e3', 'changed', 'Individual', 'alive', NULL, '{\"n\": 3}', NULL,
  false, 3, 3000, NULL, true);
DELETE FROM goldwire_schema;
INSERT INTO goldwire_schema (version, applied_at) VALUES (1, 0);";

async fn as_version_1(place: &Place) {
    as_version_2(place).await;
    let json = match place.dialect {
        Dialect::Sqlite => "text",
        Dialect::Postgres => "jsonb",
    };
    place.execute(&HISTORY.replace("JSON", json)).await;
}

pub(super) async fn keeps_every_row(place: Place) {
    as_version_1(&place).await;
    let warehouse = place.open();
    assert!(warehouse.probe().await.is_empty(), "its owner may go on");
    deliver(&warehouse, &[event("entities/a", 2, 2000, person("two"))]).await;
    let columns = [
        "version",
        "event_id",
        "valid_from",
        "valid_to",
        "is_current",
    ];
    let rows = place
        .rows(
            &columns,
            "golden_record_history WHERE subject = 'entities/a'",
        )
        .await;
    let rows: Vec<String> = rows.iter().map(|row| row.join(" ")).collect();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!(rows[0], "1 e1 1000 2000 no");
    assert!(rows[1].ends_with("2000 3000 no"), "{rows:?}");
    assert_eq!(rows[2], "3 e3 3000 ~ yes");
    let newest = place.one("max(version)", "goldwire_schema").await;
    assert_eq!(newest, "4");
}

pub(super) async fn keeps_its_readers(place: Place) {
    as_version_1(&place).await;
    place
        .execute("GRANT SELECT ON golden_record_history TO PUBLIC")
        .await;
    deliver(
        &place.open(),
        &[event("entities/a", 2, 2000, person("two"))],
    )
    .await;
    let public = "information_schema.table_privileges
     WHERE table_schema = current_schema() AND grantee = 'PUBLIC' AND privilege_type = 'SELECT'
      AND table_name = 'golden_record_history'";
    assert_eq!(place.one("count(*)", public).await, "1");
}

pub(super) async fn names_views_that_depend_on_it(place: Place) {
    as_version_1(&place).await;
    place
        .execute("CREATE VIEW ours AS SELECT subject FROM golden_record_history WHERE is_current")
        .await;
    let warehouse = place.open();
    let answer = warehouse
        .write_one(&event("entities/a", 2, 2, person("x")))
        .await;
    let error = answer.unwrap_err().to_string();
    assert!(
        error.contains("2BP01") && error.contains("drop it"),
        "{error}"
    );
    place.execute("DROP VIEW ours").await;
    deliver(&warehouse, &[event("entities/a", 2, 2, person("x"))]).await;
}
