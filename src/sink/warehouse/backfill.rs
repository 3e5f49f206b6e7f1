//! Start and end dates of snapshots that were stored before they had columns.
//!
//! A date that the database cannot read stays unknown until the subject's next change.

use super::dialect::Dialect;

/// The moment of what was deleted at a time that cannot be read: as early as can be.
const EARLIEST: &str = "(-9223372036854775807 - 1)";

/// Fills the columns of `tables`. The rules are those of `Activity`: of two dates the narrower, and
/// an object ends when the last of its crosswalks was deleted.
pub(super) fn backfill(dialect: Dialect, tables: &[&str]) -> String {
    let updates = tables.iter().map(|table| match dialect {
        Dialect::Sqlite => sqlite(table),
        Dialect::Postgres => postgres(table),
    });
    let updates: String = updates.collect();
    match dialect {
        Dialect::Sqlite => updates,
        Dialect::Postgres => format!(
            "{FUNCTIONS}{updates}DROP FUNCTION pg_temp.goldwire_crosswalks(jsonb);
DROP FUNCTION pg_temp.goldwire_date(jsonb);
"
        ),
    }
}

const FUNCTIONS: &str = "CREATE FUNCTION pg_temp.goldwire_date(said jsonb) RETURNS bigint
 LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE written text := btrim(said #>> '{}');
BEGIN
  IF jsonb_typeof(said) NOT IN ('number', 'string') THEN RETURN NULL; END IF;
  IF written ~ '^-?[0-9]+([.][0-9]+)?$' THEN RETURN round(written::numeric); END IF;
  IF written !~ '[0-9]{4}' THEN RETURN NULL; END IF;
  RETURN round(extract(epoch FROM written::timestamptz) * 1000);
EXCEPTION WHEN others THEN RETURN NULL;
END $$;
CREATE FUNCTION pg_temp.goldwire_crosswalks(object jsonb) RETURNS bigint LANGUAGE sql AS $$
  SELECT CASE WHEN bool_and(deleted IS NOT NULL) THEN max(deleted) END FROM (
   SELECT CASE WHEN coalesce(btrim(c.value ->> 'deleteDate'), '') NOT IN ('', 'false')
    THEN coalesce(pg_temp.goldwire_date(c.value -> 'deleteDate'), (-9223372036854775807 - 1)) END
    AS deleted
   FROM jsonb_array_elements(CASE jsonb_typeof(object -> 'crosswalks')
    WHEN 'array' THEN object -> 'crosswalks' ELSE '[]' END) AS c) AS all_of_them
$$;
";

fn postgres(table: &str) -> String {
    let date = |path: &str| format!("pg_temp.goldwire_date(object #> '{{{path}}}')");
    format!(
        "UPDATE {table} SET
 active_from = greatest({}, {}),
 active_until = least({}, {}, pg_temp.goldwire_crosswalks(object))
 WHERE object ?| ARRAY['startDate', 'endDate', 'activeness']
  OR object @? '$.crosswalks[*].deleteDate';
",
        date("startDate"),
        date("activeness,startDate"),
        date("endDate"),
        date("activeness,endDate"),
    )
}

fn sqlite(table: &str) -> String {
    let member = |path: &str| date(&format!("json_extract(object, '$.{path}')"));
    format!(
        "UPDATE {table} SET
 active_from = (SELECT max(column1) FROM (VALUES ({}), ({}))),
 active_until = (SELECT min(column1) FROM (VALUES ({}), ({}), (
  (SELECT CASE WHEN count(*) = count(deleted) THEN max(deleted) END
   FROM (SELECT CASE WHEN trim(coalesce(d, '')) NOT IN ('', '0')
     THEN coalesce({}, {EARLIEST}) END AS deleted
    FROM (SELECT json_extract(value, '$.deleteDate') AS d
     FROM json_each(object, '$.crosswalks')))))))
 WHERE instr(object, 'startDate') OR instr(object, 'endDate') OR instr(object, 'deleteDate');
",
        member("startDate"),
        member("activeness.startDate"),
        member("endDate"),
        member("activeness.endDate"),
        date("d"),
    )
}

fn date(said: &str) -> String {
    format!(
        "CASE typeof({said}) WHEN 'integer' THEN {said} WHEN 'real' THEN CAST(round({said}) AS INTEGER)
  WHEN 'text' THEN CASE WHEN trim({said}) GLOB '[0-9]*' AND trim({said}) NOT GLOB '*[^0-9]*'
   THEN CAST(trim({said}) AS INTEGER) WHEN trim({said}) GLOB '[0-9][0-9][0-9][0-9]-*'
   THEN CAST(round(unixepoch(trim({said}), 'subsec') * 1000) AS INTEGER) END END"
    )
}
