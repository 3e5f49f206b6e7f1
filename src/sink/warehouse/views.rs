//! The views: what is live now, the history with its intervals, and which entity stands for which.
//!
//! Guarantee: what is live is decided when it is asked, by the database's clock: a start or an end
//! that lies ahead comes true by itself. An entity or a relation is live while it is alive, from
//! `active_from` until `active_until`, both included. A relation is not live while an end of it is
//! known as removed, erased, gone, ended or not yet begun. An absorbed end does not end it: it goes
//! on at the winner.
//!
//! Each column of ms has one beside it that people read, `_ts`: `timestamptz` in PostgreSQL, ISO-8601
//! text in SQLite. Columns of an older version keep their places, so that PostgreSQL replaces a view
//! in place, with who may read it and the views upon it. Columns of the mapping come last, in the
//! order in which they came about.

use super::dialect::Dialect;

/// Makes the views, in the place of those of an older version or mapping. `columns` are the names of
/// all columns of attributes that the tables have, as SQL has them.
pub(super) fn views(dialect: Dialect, columns: &[String]) -> String {
    let view = |name: &str, body: String| match dialect {
        Dialect::Sqlite => format!("DROP VIEW IF EXISTS {name};\nCREATE VIEW {name} AS\n{body};\n"),
        Dialect::Postgres => format!("CREATE OR REPLACE VIEW {name} AS\n{body};\n"),
    };
    [
        view("golden_record_history", history(dialect, columns)),
        view("golden_records_live", records(dialect, columns)),
        view("relations_live", relations(dialect, columns)),
        view("merges_active", merges(dialect)),
        view("merges_resolved", RESOLVED.to_owned()),
    ]
    .concat()
}

/// Asks how many of the views with columns of attributes there are not.
pub(super) fn are_missing(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => {
            "SELECT 3 - count(*) FROM sqlite_master WHERE type = 'view'
 AND name IN ('golden_record_history', 'golden_records_live', 'relations_live')"
        }
        Dialect::Postgres => {
            "SELECT count(*) FROM (VALUES ('golden_record_history'), ('golden_records_live'),
  ('relations_live')) AS v(name) WHERE to_regclass(v.name) IS NULL"
        }
    }
}

/// The views that have columns of attributes.
const WITH_COLUMNS: [&str; 3] = [
    "golden_record_history",
    "golden_records_live",
    "relations_live",
];

/// Drops the views that have columns of attributes, since one of these becomes another. Who may read
/// them is noted for [`same_readers`].
pub(super) fn drop_with_columns(dialect: Dialect) -> String {
    let names = WITH_COLUMNS.map(|name| format!("'{name}'")).join(", ");
    let noted = match dialect {
        Dialect::Sqlite => String::new(),
        Dialect::Postgres => format!(
            "CREATE TEMPORARY TABLE goldwire_readers ON COMMIT DROP AS
 SELECT DISTINCT CAST(table_name AS text) AS name, CAST(grantee AS text) AS reader
 FROM information_schema.table_privileges WHERE table_schema = current_schema()
  AND privilege_type = 'SELECT' AND table_name IN ({names});
"
        ),
    };
    let dropped = WITH_COLUMNS.map(|name| format!("DROP VIEW IF EXISTS {name};\n"));
    format!("{noted}{}", dropped.concat())
}

/// Lets those read the views that could read them before.
pub(super) fn same_readers(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "",
        Dialect::Postgres => {
            "DO $$
DECLARE noted record;
BEGIN
  FOR noted IN SELECT name, reader FROM pg_temp.goldwire_readers LOOP
    EXECUTE format('GRANT SELECT ON %I TO %s', noted.name,
     CASE noted.reader WHEN 'PUBLIC' THEN noted.reader ELSE quote_ident(noted.reader) END);
  END LOOP;
END $$;
"
        }
    }
}

/// Who stands for a loser in the end. Merges that lead round in a circle, as out of date ones may for
/// a moment, have no end and no row; `UNION` walks each of them once.
const RESOLVED: &str = "  WITH RECURSIVE walk(tenant, loser, survivor) AS (
   SELECT tenant, loser, winner FROM merges WHERE active
   UNION
   SELECT w.tenant, w.loser, m.winner FROM walk AS w
    JOIN merges AS m ON m.tenant = w.tenant AND m.loser = w.survivor AND m.active)
  SELECT w.tenant, w.loser, w.survivor FROM walk AS w
  WHERE NOT EXISTS (SELECT 1 FROM merges AS m
   WHERE m.tenant = w.tenant AND m.loser = w.survivor AND m.active)";

/// Columns of attributes behind the others.
fn more(of: &str, columns: &[String]) -> String {
    let columns = columns.iter().map(|name| format!(",\n   {of}.{name}"));
    columns.collect::<Vec<_>>().concat()
}

/// An interval that was stored would be written again with each change that comes after it: the
/// row, its page, and in PostgreSQL the page's image in the log.
fn history(dialect: Dialect, columns: &[String]) -> String {
    let times = [
        "valid_from",
        "valid_to",
        "received_time",
        "active_from",
        "active_until",
    ];
    format!(
        "  SELECT h.tenant, h.subject, h.commit_time, h.version, h.event_id, h.kind, h.object_type, h.state,
   h.absorbed_by, h.object, h.object_exact, h.observed, h.received_time, h.valid_from, h.valid_to,
   h.is_current, h.active_from, h.active_until,{times}{shown}
  FROM (SELECT tenant, subject, commit_time, version, event_id, kind, object_type, state,
    absorbed_by, object, object_exact, observed, received_time,
    commit_time AS valid_from,                            -- ms
    lead(commit_time) OVER later AS valid_to,             -- the next row's valid_from
    lead(commit_time) OVER later IS NULL AS is_current,
    active_from, active_until{kept}
   FROM golden_record_changes AS c
   WINDOW later AS (PARTITION BY tenant, subject ORDER BY commit_time, version)) AS h",
        times = readable(dialect, "h", &times),
        shown = more("h", columns),
        kept = more("c", columns),
    )
}

fn records(dialect: Dialect, columns: &[String]) -> String {
    format!(
        "  SELECT g.tenant, g.subject, g.object_type, g.version, g.commit_time, g.stands_for, g.label,
   g.object, g.updated_at, g.active_from, g.active_until,{times}{more}
  FROM golden_records AS g
  WHERE g.state = 'alive' AND {active}",
        times = readable(dialect, "g", &TIMES),
        more = more("g", columns),
        active = active(dialect, "g"),
    )
}

fn relations(dialect: Dialect, columns: &[String]) -> String {
    format!(
        "  SELECT r.tenant, r.subject, r.object_type, r.start_entity, r.end_entity, r.version,
   r.stands_for, r.object, r.commit_time, r.updated_at, r.active_from, r.active_until,{times}{more}
  FROM relations AS r
  WHERE r.state = 'alive' AND {active}
   AND NOT EXISTS (SELECT 1 FROM golden_records AS g
    WHERE g.tenant = r.tenant AND g.subject IN (r.start_entity, r.end_entity)
     AND (g.state IN ('removed', 'erased', 'gone') OR g.state = 'alive' AND NOT ({end_active})))",
        times = readable(dialect, "r", &TIMES),
        more = more("r", columns),
        active = active(dialect, "r"),
        end_active = active(dialect, "g"),
    )
}

fn merges(dialect: Dialect) -> String {
    format!(
        "  SELECT m.tenant, m.loser, m.winner, m.merged_at,{}
  FROM merges AS m WHERE m.active",
        readable(dialect, "m", &["merged_at"])
    )
}

const TIMES: [&str; 5] = [
    "commit_time",
    "stands_for",
    "updated_at",
    "active_from",
    "active_until",
];

fn active(dialect: Dialect, of: &str) -> String {
    let now = match dialect {
        Dialect::Sqlite => dialect.now(),
        // The same within a query.
        Dialect::Postgres => "CAST(extract(epoch FROM now()) * 1000 AS bigint)",
    };
    format!(
        "({of}.active_from IS NULL OR {of}.active_from <= {now})
   AND ({of}.active_until IS NULL OR {of}.active_until >= {now})"
    )
}

/// Columns of ms as people read them; nothing outside of the years 1 to 9999.
fn readable(dialect: Dialect, of: &str, columns: &[&str]) -> String {
    let readable = |column: &&str| {
        let millis = format!("{of}.{column}");
        let text = match dialect {
            Dialect::Sqlite => {
                format!("strftime('%Y-%m-%dT%H:%M:%fZ', {millis} / 1000.0, 'unixepoch')")
            }
            Dialect::Postgres => format!("to_timestamp({millis} / 1000.0)"),
        };
        format!(
            "\n   CASE WHEN {millis} BETWEEN -62135596800000 AND 253402300799999
    THEN {text} END AS {column}_ts"
        )
    };
    let columns: Vec<String> = columns.iter().map(readable).collect();
    columns.join(",")
}
