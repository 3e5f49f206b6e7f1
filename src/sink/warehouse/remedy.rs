//! What a person must do where no record would be accepted.

/// Of a database whose encoding does not hold every character.
pub(super) const ENCODING: &str = "the database's encoding is not UTF8, and does not hold what \
    records hold; make another (CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0), and let \
    `url` lead to it";

/// Of a SQLite file that is not the one of its name any more.
pub(super) const MOVED: &str = "the file of `url`, or the -wal file beside it, was removed, renamed or \
    replaced while goldwire wrote to it: what was delivered before is in the old one only. Put it back \
    while goldwire is stopped; otherwise the sink goes on with what is there now";

/// Of a setting that the server does not take.
pub(super) const SETTING: &str = "the server refuses a setting; correct `options` in `url`";

/// What a pooler says of itself in passing. `PgBouncer` answers everything of its own with 08P01,
/// what a person must mend and what passes alike: only the words differ.
const PASSES: [&str; 12] = [
    "timeout",
    "server_login_retry",
    "server conn crashed",
    "server closed",
    "cannot connect",
    "connect failed",
    "dns lookup failed",
    "shutting down",
    "shutdown",
    "paused",
    "too many",
    "no more connections",
];

/// The remedy for a protocol violation, which is how poolers refuse; nothing if it passes by
/// itself. The message is compared, and not kept (G10).
pub(super) fn of_pooler(message: &str) -> Option<&'static str> {
    let said = message.to_lowercase();
    let says = |words: &str| said.contains(words);
    if PASSES.iter().any(|words| says(words)) {
        return None;
    }
    let remedy = if says("startup parameter") {
        "the pooler refuses a parameter that is told while connecting; unset PGOPTIONS, and write \
         settings as `options[name]=value` into `url`"
    } else if says("transaction blocks") {
        "the pooler's statement mode takes no transactions; let it pool by transaction or session"
    } else if says("no such") || says("does not exist") || says("authentication") {
        "the pooler refuses database, user or password; correct `url`"
    } else if says("ssl") || says("tls") {
        "the pooler demands TLS, or a certificate; see `sslmode` and `sslcert` of the URL"
    } else {
        "the server, or a pooler before it, refuses what was sent; see its log, and that `url` leads \
         to PostgreSQL or to a pooler in transaction or session mode"
    };
    Some(remedy)
}

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
             and UPDATE on them, and DELETE on golden_record_changes; tables of an older version are \
             changed by their owner"
        }
        (_, "2BP01") => {
            "the tables or a column change, and a view of yours depends on columns that go: \
             drop it, and make it again afterwards; golden_record_history is a view now"
        }
        (_, "42P07") => {
            "a table of that name exists and is not goldwire's; give goldwire a schema of its own"
        }
        (_, "26000" | "34000" | "42P05") => {
            "a pooler ends or changes the connection within a transaction; let it pool by transaction \
             or session"
        }
        (_, "42704" | "55P02") => SETTING,
        (_, "42701") => {
            "a table has a column of that name which is not of `columns`; choose another name there"
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
