//! What a person must do where no record would be accepted.

/// The remedy for a SQLSTATE; nothing if it is no such case.
pub(super) fn of_sqlstate(code: &str) -> Option<&'static str> {
    let remedy = match (code.get(..2).unwrap_or_default(), code) {
        (_, "25006") => "the server takes no writes; let the URL lead to the primary",
        ("28", _) => "the server refuses user or password; correct `url`",
        (_, "3D000") => "the database does not exist; create it or correct `url`",
        (_, "3F000") => "the user's search_path names no schema; create it or set search_path",
        (_, "42501") => {
            "the user lacks rights; grant TEMPORARY on the database, and USAGE and CREATE on the \
             schema, or make the tables with `goldwire schema warehouse` and grant SELECT, INSERT \
             and UPDATE on them; tables of an older version are changed by their owner"
        }
        (_, "2BP01") => {
            "the tables are of an older version, and a view of yours depends on columns that go: \
             drop it, and make it again on golden_record_history, which is a view now"
        }
        (_, "42P07") => {
            "a table of that name exists and is not goldwire's; give goldwire a schema of its own"
        }
        (_, "26000" | "42P05") => {
            "prepared statements do not survive: a pooler hands out other connections; use its \
             session mode or connect to the server itself"
        }
        ("42" | "0A", _) => {
            "the tables are not as `goldwire schema warehouse` prints them, or the server is older \
             than PostgreSQL 12; correct them"
        }
        _ => return None,
    };
    Some(remedy)
}

/// The remedy for a primary result code of SQLite; nothing if it is no such case.
pub(super) fn of_sqlite(primary: i64) -> Option<&'static str> {
    let remedy = match primary {
        // PERM, READONLY, CANTOPEN, AUTH
        3 | 8 | 14 | 23 => {
            "the file cannot be written; make its folder, and let the process write there"
        }
        // CORRUPT, NOTADB
        11 | 26 => "the file is damaged or no SQLite database; restore it, or name another",
        // ERROR, SCHEMA
        1 | 17 => {
            "the tables are not as `goldwire schema warehouse` prints them; restore them, or name \
             another file"
        }
        _ => return None,
    };
    Some(remedy)
}
