//! The views: what is live now, and the history with its intervals.
//!
//! Guarantee: what is live is decided when it is asked, by the database's clock: a start or an end
//! that lies ahead comes true by itself. An entity or a relation is live while it is alive, from
//! `active_from` until `active_until`, both included. A relation is not live while an end of it is
//! known as removed, erased, gone, ended or not yet begun. An absorbed end does not end it: it goes
//! on at the winner.
//!
//! Each column of ms has one beside it that people read, `_ts`: `timestamptz` in PostgreSQL, ISO-8601
//! text in SQLite. Columns of an older version keep their places, so that PostgreSQL replaces a view
//! in place, with who may read it and the views upon it.

use super::dialect::Dialect;

/// Makes the views, in the place of those of an older version.
pub(super) fn views(dialect: Dialect) -> String {
    let view = |name: &str, body: String| match dialect {
        Dialect::Sqlite => format!("DROP VIEW IF EXISTS {name};\nCREATE VIEW {name} AS\n{body};\n"),
        Dialect::Postgres => format!("CREATE OR REPLACE VIEW {name} AS\n{body};\n"),
    };
    [
        view("golden_record_history", history(dialect)),
        view("golden_records_live", records(dialect)),
        view("relations_live", relations(dialect)),
        view("merges_active", merges(dialect)),
    ]
    .concat()
}

/// An interval that was stored would be written again with each change that comes after it: the
/// row, its page, and in PostgreSQL the page's image in the log.
fn history(dialect: Dialect) -> String {
    let times = [
        "valid_from",
        "valid_to",
        "received_time",
        "active_from",
        "active_until",
    ];
    format!(
        "  SELECT h.*,{times}
  FROM (SELECT tenant, subject, commit_time, version, event_id, kind, object_type, state,
    absorbed_by, object, object_exact, observed, received_time,
    commit_time AS valid_from,                            -- ms
    lead(commit_time) OVER later AS valid_to,             -- the next row's valid_from
    lead(commit_time) OVER later IS NULL AS is_current,
    active_from, active_until
   FROM golden_record_changes
   WINDOW later AS (PARTITION BY tenant, subject ORDER BY commit_time, version)) AS h",
        times = readable(dialect, "h", &times)
    )
}

fn records(dialect: Dialect) -> String {
    format!(
        "  SELECT g.tenant, g.subject, g.object_type, g.version, g.commit_time, g.stands_for, g.label,
   g.object, g.updated_at, g.active_from, g.active_until,{times}
  FROM golden_records AS g
  WHERE g.state = 'alive' AND {active}",
        times = readable(dialect, "g", &TIMES),
        active = active(dialect, "g"),
    )
}

fn relations(dialect: Dialect) -> String {
    format!(
        "  SELECT r.tenant, r.subject, r.object_type, r.start_entity, r.end_entity, r.version,
   r.stands_for, r.object, r.commit_time, r.updated_at, r.active_from, r.active_until,{times}
  FROM relations AS r
  WHERE r.state = 'alive' AND {active}
   AND NOT EXISTS (SELECT 1 FROM golden_records AS g
    WHERE g.tenant = r.tenant AND g.subject IN (r.start_entity, r.end_entity)
     AND (g.state IN ('removed', 'erased', 'gone') OR g.state = 'alive' AND NOT ({end_active})))",
        times = readable(dialect, "r", &TIMES),
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
