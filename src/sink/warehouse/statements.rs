//! The statements, one text for both databases. What makes the tables exact is here, in SQL, and
//! not in what this process remembers.

use super::dialect::{Dialect, Statement, Type};
use super::schema::{CONTENT, MARKS};

/// Everything that is ever run against the tables.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) records: Current,
    pub(super) relations: Current,
    pub(super) append: Statement,
    pub(super) blank: Statement,
    pub(super) intervals: Statement,
    pub(super) absorbed: Statement,
    pub(super) merges: Statement,
}

/// The statements of one current table.
#[derive(Debug)]
pub(super) struct Current {
    /// Reads what a partial snapshot is laid over.
    pub(super) content: Statement,
    /// Writes what is not older than the row (guard, G4), and tells which rows it wrote.
    pub(super) assert: Statement,
    /// Writes only what holds in any order: type, last known life, erasure.
    pub(super) facts: Statement,
}

impl Statements {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            records: current(dialect, "golden_records", &[]),
            relations: current(dialect, "relations", &["start_entity", "end_entity"]),
            append: append(),
            blank: blank(),
            intervals: intervals(),
            absorbed: absorbed(dialect),
            merges: merges(dialect),
        }
    }
}

const KEY: [(&str, Type); 2] = [("tenant", Type::Text), ("subject", Type::Text)];
const FACTS: [(&str, Type); 3] = [
    ("object_type", Type::Text),
    ("alive_at", Type::Int),
    ("erased_at", Type::Int),
];
const STATE: [(&str, Type); 8] = [
    ("state", Type::Text),
    ("absorbed_by", Type::Text),
    ("version", Type::Int),
    ("commit_time", Type::Int),
    ("stands_for", Type::Int),
    ("label", Type::Text),
    ("object", Type::Json),
    ("object_exact", Type::Text),
];

fn names(columns: &[(&'static str, Type)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

fn current(dialect: Dialect, table: &str, ends: &[&'static str]) -> Current {
    let now = dialect.now();
    let lock = dialect.for_update();
    let content = format!(
        " SELECT g.tenant, g.subject, coalesce(g.object_exact, CAST(g.object AS text))
 FROM {table} AS g JOIN incoming AS i ON g.tenant = i.tenant AND g.subject = i.subject
 WHERE g.state = 'alive'{lock}"
    );

    let mut columns = KEY.to_vec();
    columns.extend(FACTS);
    columns.extend(STATE);
    columns.extend(ends.iter().map(|name| (*name, Type::Text)));
    let replaced = STATE
        .iter()
        .map(|(name, _)| *name)
        .chain(ends.iter().copied());
    let replaced: Vec<String> = replaced
        .filter(|name| *name != "commit_time")
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    let all = names(&columns);
    let assert = format!(
        " INSERT INTO {table} AS g ({all}, updated_at)
 SELECT {all}, {now} FROM incoming WHERE true ORDER BY tenant, subject
 ON CONFLICT (tenant, subject) DO UPDATE SET {replaced},
  commit_time = CASE WHEN excluded.stands_for = g.stands_for
   THEN coalesce(excluded.commit_time, g.commit_time) ELSE excluded.commit_time END,
  object_type = CASE WHEN excluded.object_type = ''
   THEN g.object_type ELSE excluded.object_type END,
  {later}, updated_at = excluded.updated_at
 WHERE excluded.stands_for >= g.stands_for
  AND (excluded.state <> 'alive' OR excluded.stands_for > g.erased_at)
 RETURNING tenant, subject, erased_at",
        replaced = replaced.join(", "),
        later = LATER,
    );

    let mut known = KEY.to_vec();
    known.extend(FACTS);
    let facts = format!(
        " INSERT INTO {table} AS g ({all}, state, stands_for, updated_at)
 SELECT {all}, 'unknown', 0, {now} FROM incoming WHERE true ORDER BY tenant, subject
 ON CONFLICT (tenant, subject) DO UPDATE SET
  object_type = CASE WHEN g.object_type = ''
   THEN excluded.object_type ELSE g.object_type END,
  {LATER}
 RETURNING tenant, subject, erased_at",
        all = names(&known),
    );

    Current {
        content: Statement {
            columns: KEY.to_vec(),
            returns: CONTENT,
            body: content,
        },
        assert: Statement {
            columns,
            returns: MARKS,
            body: assert,
        },
        facts: Statement {
            columns: known,
            returns: MARKS,
            body: facts,
        },
    }
}

/// The newest of each, whatever comes first.
const LATER: &str = "alive_at = CASE WHEN excluded.alive_at > g.alive_at
   THEN excluded.alive_at ELSE g.alive_at END,
  erased_at = CASE WHEN excluded.erased_at > g.erased_at
   THEN excluded.erased_at ELSE g.erased_at END";

/// A row for every distinct change (G5). Of two with the same clocks a payload wins over what was
/// read, then what was received first.
fn append() -> Statement {
    let columns = vec![
        ("tenant", Type::Text),
        ("subject", Type::Text),
        ("commit_time", Type::Int),
        ("version", Type::Int),
        ("event_id", Type::Text),
        ("kind", Type::Text),
        ("object_type", Type::Text),
        ("state", Type::Text),
        ("absorbed_by", Type::Text),
        ("object", Type::Json),
        ("object_exact", Type::Text),
        ("observed", Type::Flag),
        ("received_time", Type::Int),
    ];
    let replaced: Vec<String> = columns
        .iter()
        .skip(4)
        .map(|(name, _)| format!("{name} = excluded.{name}"))
        .collect();
    let body = format!(
        " INSERT INTO golden_record_history AS h ({all}, valid_from, is_current)
 SELECT {all}, commit_time, true FROM incoming WHERE true
 ORDER BY tenant, subject, commit_time, version
 ON CONFLICT (tenant, subject, commit_time, version) DO UPDATE SET {replaced}
 WHERE (excluded.observed, excluded.received_time, excluded.event_id)
  < (h.observed, h.received_time, h.event_id)",
        all = names(&columns),
        replaced = replaced.join(", "),
    );
    Statement {
        columns,
        returns: &[],
        body,
    }
}

/// Takes the content out of what an erasure is about.
fn blank() -> Statement {
    let mut columns = KEY.to_vec();
    columns.push(("erased_at", Type::Int));
    Statement {
        columns,
        returns: &[],
        body: " UPDATE golden_record_history AS h SET object = NULL, object_exact = NULL
 FROM incoming AS i WHERE h.tenant = i.tenant AND h.subject = i.subject
  AND h.commit_time <= i.erased_at AND h.object IS NOT NULL"
            .to_owned(),
    }
}

/// The intervals of new rows and of the rows before them: a few look-ups by key, however many
/// versions a subject has. A new row is taken for the newest, so that where it is, it stays as it
/// was inserted.
fn intervals() -> Statement {
    let mut columns = KEY.to_vec();
    columns.extend([("commit_time", Type::Int), ("version", Type::Int)]);
    let before = |column: &str| {
        format!(
            "(SELECT p.{column} FROM golden_record_history AS p
   WHERE p.tenant = i.tenant AND p.subject = i.subject
    AND (p.commit_time, p.version) < (i.commit_time, i.version)
   ORDER BY p.commit_time DESC, p.version DESC LIMIT 1)"
        )
    };
    let body = format!(
        ", before(tenant, subject, commit_time, version) AS (
  SELECT i.tenant, i.subject, {}, {} FROM incoming AS i),
 touched(tenant, subject, commit_time, version) AS (
  SELECT tenant, subject, commit_time, version FROM incoming
  UNION SELECT tenant, subject, commit_time, version FROM before),
 spans(tenant, subject, commit_time, version, valid_to) AS MATERIALIZED (
  SELECT t.tenant, t.subject, t.commit_time, t.version,
   (SELECT n.commit_time FROM golden_record_history AS n
    WHERE n.tenant = t.tenant AND n.subject = t.subject
     AND (n.commit_time, n.version) > (t.commit_time, t.version)
    ORDER BY n.commit_time, n.version LIMIT 1) FROM touched AS t)
 UPDATE golden_record_history AS h SET valid_to = s.valid_to, is_current = (s.valid_to IS NULL)
 FROM spans AS s WHERE h.tenant = s.tenant AND h.subject = s.subject
  AND h.commit_time = s.commit_time AND h.version = s.version
  AND (h.valid_to IS DISTINCT FROM s.valid_to OR h.is_current <> (s.valid_to IS NULL))",
        before("commit_time"),
        before("version"),
    );
    Statement {
        columns,
        returns: &[],
        body,
    }
}

/// Notes that losers were absorbed. Whether they still are is decided by [`merges`].
fn absorbed(dialect: Dialect) -> Statement {
    Statement {
        columns: vec![
            ("tenant", Type::Text),
            ("loser", Type::Text),
            ("winner", Type::Text),
            ("merged_at", Type::Int),
            ("last_seen_at", Type::Int),
        ],
        returns: &[],
        body: format!(
            " INSERT INTO merges AS m
  (tenant, loser, winner, merged_at, last_seen_at, active, updated_at)
 SELECT tenant, loser, winner, merged_at, last_seen_at, false, {} FROM incoming WHERE true
 ORDER BY tenant, loser, winner
 ON CONFLICT (tenant, loser, winner) DO UPDATE SET
  merged_at = CASE WHEN excluded.merged_at < m.merged_at
   THEN excluded.merged_at ELSE m.merged_at END,
  last_seen_at = CASE WHEN excluded.last_seen_at > m.last_seen_at
   THEN excluded.last_seen_at ELSE m.last_seen_at END",
            dialect.now()
        ),
    }
}

/// A merge is active while the loser was not seen alive, or absorbed by another, later than by
/// this winner. That a subject is gone or removed does not undo its merge.
fn merges(dialect: Dialect) -> Statement {
    // At the same time, what the current table says counts.
    let lives = "(g.alive_at > m.last_seen_at
   OR g.alive_at = m.last_seen_at AND g.state = 'alive')";
    let overtaken = "EXISTS (SELECT 1 FROM merges AS o
   WHERE o.tenant = m.tenant AND o.loser = m.loser
    AND (o.last_seen_at, o.winner) > (m.last_seen_at, m.winner))";
    Statement {
        columns: KEY.to_vec(),
        returns: &[],
        body: format!(
            " UPDATE merges AS m SET
  active = NOT {lives} AND NOT {overtaken},
  unmerged_at = CASE WHEN {lives} THEN coalesce(
   (SELECT h.commit_time FROM golden_record_history AS h
    WHERE h.tenant = m.tenant AND h.subject = m.loser AND h.state = 'alive'
     AND h.commit_time > m.last_seen_at
    ORDER BY h.commit_time LIMIT 1), g.alive_at) END,
  updated_at = {}
 FROM incoming AS i JOIN golden_records AS g
  ON g.tenant = i.tenant AND g.subject = i.subject
 WHERE m.tenant = i.tenant AND m.loser = i.subject",
            dialect.now()
        ),
    }
}
