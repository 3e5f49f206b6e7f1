//! What an error of a database means: who is concerned, and whether to try again.
//!
//! Only codes and names of columns and constraints are kept: a database's messages quote the
//! values that it refused (G10).

use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

use super::connection::Failed;
use super::{remedy, schema};
use crate::sink::SinkError;

/// How long to wait for a person to make room.
const FULL: Duration = Duration::from_mins(1);

/// How long the sink pauses after a transaction gave way again and again.
const CONTENDED: Duration = Duration::from_secs(1);

/// Where in a transaction an error happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Connecting, or making the tables.
    Connect,
    /// Before anything was written.
    Begin,
    /// Writing; nothing of it stays.
    Work,
    /// Committing: what was written may stay.
    Commit,
}

impl Phase {
    /// Whether a record may be at fault.
    fn has_begun(self) -> bool {
        matches!(self, Self::Work | Self::Commit)
    }
}

/// An error, judged.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: SinkError,
    /// It may be one record's: the others are worth a try without it.
    pub(super) of_a_record: bool,
    /// The connection is of no use any more.
    pub(super) lost: bool,
    /// The transaction gave way to another writer, and may begin again at once.
    pub(super) gave_way: bool,
}

impl Fault {
    /// Judges `failed`.
    pub(super) fn of(failed: &Failed, phase: Phase) -> Self {
        let ambiguous = phase == Phase::Commit;
        match failed {
            Failed::Timeout if phase == Phase::Connect => Self::away("connect_timeout", false),
            Failed::Timeout => Self::away("statement_timeout", ambiguous),
            Failed::Newer(found) => Self::systemic("newer_tables", &schema::newer(*found)),
            Failed::Moved => Self::systemic("file_moved", remedy::MOVED),
            Failed::Encoding => Self::systemic("encoding", remedy::ENCODING),
            Failed::Unfit(unfit) => Self::record(unfit.0, vec!["object".to_owned()]),
            Failed::Sql(sqlx::Error::Database(error)) => Self::of_database(error.as_ref(), phase),
            // The kind is one of the library's own names, and no text of the system's.
            Failed::Sql(sqlx::Error::Io(error)) => {
                Self::cut(&format!("connection: {}", error.kind()), phase)
            }
            Failed::Sql(sqlx::Error::Tls(_)) => Self::systemic(
                "tls",
                "the server's certificate was refused, or it speaks no TLS; see `sslmode` and \
                 `sslrootcert` of the URL",
            ),
            Failed::Sql(sqlx::Error::Configuration(_)) => Self::systemic(
                "configuration",
                "the driver refuses the URL; correct it, and the files that it names",
            ),
            Failed::Sql(sqlx::Error::Encode(_)) => Self::record("encode", Vec::new()),
            Failed::Sql(_) => Self::cut("driver", phase),
        }
    }

    fn of_database(error: &dyn DatabaseError, phase: Phase) -> Self {
        let code = error.code().unwrap_or_default();
        match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => {
                let names = [error.constraint(), error.column()];
                let names = names.into_iter().flatten().map(ToOwned::to_owned).collect();
                match remedy::of_pooler(error.message()).filter(|_| code == "08P01") {
                    Some(remedy) => Self::systemic(&code, remedy),
                    None => Self::of_sqlstate(&code, names, phase),
                }
            }
            None => Self::of_sqlite(&code, phase == Phase::Commit),
        }
    }

    /// By SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    fn of_sqlstate(code: &str, names: Vec<String>, phase: Phase) -> Self {
        let ambiguous = phase == Phase::Commit;
        let class = code.get(..2).unwrap_or_default();
        match (class, code) {
            (_, "40001" | "40P01" | "55P03") => Self::gave_way(code),
            (_, "57014") => Self::server(code, false),
            ("08", _) | (_, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300") => {
                Self::cut(code, phase)
            }
            (_, "53100") => Self::full(code),
            ("53", _) => Self::throttled(code, FULL / 2),
            ("58", _) => Self::server(code, ambiguous),
            // No record was sent yet.
            ("22", _) if !phase.has_begun() => Self::systemic(code, remedy::SETTING),
            ("22" | "23" | "44" | "54" | "P0", _) => Self::record(code, names),
            _ => match remedy::of_sqlstate(code) {
                Some(remedy) => Self::systemic(code, remedy),
                None if phase.has_begun() => Self::unknown(code),
                None => Self::away(code, false),
            },
        }
    }

    /// By result code, <https://www.sqlite.org/rescode.html>; the low byte is the primary one.
    fn of_sqlite(code: &str, ambiguous: bool) -> Self {
        let extended: i64 = code.parse().unwrap_or_default();
        let name = format!("SQLITE_{extended}");
        match extended & 0xff {
            // BUSY, LOCKED: another program writes; says nothing about any record.
            5 | 6 => Self::server(&name, false),
            // FULL
            13 => Self::full(&name),
            // NOMEM, INTERRUPT, IOERR, PROTOCOL
            7 | 9 | 10 | 15 => Self::away(&name, ambiguous),
            // TOOBIG, CONSTRAINT, MISMATCH, RANGE
            18 | 19 | 20 | 25 => Self::record(&name, Vec::new()),
            primary => match remedy::of_sqlite(primary) {
                Some(remedy) => Self::systemic(&name, remedy),
                None => Self::unknown(&name),
            },
        }
    }

    /// The target did not answer, and the connection with it.
    fn away(code: &str, ambiguous: bool) -> Self {
        Self {
            lost: true,
            ..Self::server(code, ambiguous)
        }
    }

    /// The connection ended by itself. In the middle of a write it may be what was written that
    /// ends it each time: such a record goes alone, and each try is counted.
    fn cut(code: &str, phase: Phase) -> Self {
        let writes = phase.has_begun();
        Self {
            of_a_record: writes,
            ..Self::away(code, writes)
        }
    }

    /// The target answered that it cannot now.
    fn server(code: &str, ambiguous: bool) -> Self {
        Self {
            error: SinkError::Retryable {
                code: code.to_owned(),
                ambiguous,
                outage: true,
            },
            of_a_record: false,
            lost: false,
            gave_way: false,
        }
    }

    /// Another program locks the same rows. Says nothing about any record, so no record's budget
    /// is spent; and at a commit, too, nothing was written.
    fn gave_way(code: &str) -> Self {
        Self {
            gave_way: true,
            ..Self::throttled(code, CONTENDED)
        }
    }

    /// Spends the record's budget, and no other's.
    fn unknown(code: &str) -> Self {
        Self {
            of_a_record: true,
            error: SinkError::Retryable {
                code: code.to_owned(),
                ambiguous: false,
                outage: false,
            },
            lost: false,
            gave_way: false,
        }
    }

    fn throttled(code: &str, pause: Duration) -> Self {
        Self {
            error: SinkError::Throttled {
                code: code.to_owned(),
                pause,
            },
            of_a_record: false,
            lost: false,
            gave_way: false,
        }
    }

    fn full(code: &str) -> Self {
        Self::throttled(code, FULL)
    }

    fn systemic(code: &str, remedy: &str) -> Self {
        Self {
            error: SinkError::Systemic {
                code: code.to_owned(),
                remedy: remedy.to_owned(),
            },
            of_a_record: false,
            lost: true,
            gave_way: false,
        }
    }

    fn record(code: &str, fields: Vec<String>) -> Self {
        Self {
            error: SinkError::Rejected {
                code: code.to_owned(),
                fields,
                action: "append",
            },
            of_a_record: true,
            lost: false,
            gave_way: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(fault: &Fault) -> &'static str {
        match &fault.error {
            SinkError::Retryable { outage: true, .. } => "outage",
            SinkError::Retryable { outage: false, .. } => "retry",
            SinkError::Throttled { .. } => "pause",
            SinkError::Rejected { .. } => "rejected",
            SinkError::Systemic { .. } => "halt",
        }
    }

    #[test]
    fn every_sqlstate_has_its_class() {
        for (code, wanted) in [
            ("08006", "outage"),
            ("57P01", "outage"),
            ("57014", "outage"),
            ("53300", "outage"),
            ("40001", "pause"),
            ("40P01", "pause"),
            ("55P03", "pause"),
            ("XX000", "retry"),
            ("53100", "pause"),
            ("53200", "pause"),
            ("22P05", "rejected"),
            ("23514", "rejected"),
            ("P0001", "rejected"),
            ("54000", "rejected"),
            ("42P01", "halt"),
            ("42703", "halt"),
            ("42501", "halt"),
            ("3D000", "halt"),
            ("28P01", "halt"),
            ("25006", "halt"),
        ] {
            assert_eq!(
                class(&Fault::of_sqlstate(code, vec![], Phase::Work)),
                wanted,
                "{code}"
            );
        }
    }

    #[test]
    fn g6_what_no_record_was_sent_for_is_no_record_s_fault() {
        for (code, wanted) in [("22023", "halt"), ("XX000", "outage"), ("42704", "halt")] {
            for phase in [Phase::Connect, Phase::Begin] {
                let fault = Fault::of_sqlstate(code, vec![], phase);
                assert_eq!(class(&fault), wanted, "{code}");
                assert!(!fault.of_a_record, "{code}");
            }
        }
    }

    #[test]
    fn what_a_pooler_refuses_halts_and_what_passes_is_tried_again() {
        for refused in [
            "unsupported startup parameter: options",
            "transaction blocks not allowed in statement pooling mode",
            "no such database: x",
            "SASL authentication failed",
            "SSL required",
            "expected password response, got message type 0",
        ] {
            assert!(remedy::of_pooler(refused).is_some(), "{refused}");
        }
        for passes in [
            "query_wait_timeout",
            "server conn crashed?",
            "pgbouncer cannot connect to server",
            "server login has been failing, try again later (server_login_retry)",
            "no more connections allowed (max_client_conn)",
            "client_login_timeout (server down)",
        ] {
            assert_eq!(remedy::of_pooler(passes), None, "{passes}");
        }
    }

    #[test]
    fn every_sqlite_code_has_its_class() {
        for (code, wanted) in [
            ("5", "outage"),
            ("517", "outage"),
            ("13", "pause"),
            ("1811", "rejected"),
            ("2067", "rejected"),
            ("14", "halt"),
            ("26", "halt"),
            ("1", "halt"),
            ("21", "retry"),
        ] {
            assert_eq!(class(&Fault::of_sqlite(code, false)), wanted, "{code}");
        }
    }

    #[test]
    fn g6_a_connection_that_ends_in_the_middle_of_a_write_may_do_so_for_one_record_s_sake() {
        let of = |phase| Fault::of_sqlstate("57P01", vec![], phase);
        for phase in [Phase::Work, Phase::Commit] {
            let fault = of(phase);
            assert!(fault.of_a_record && fault.lost);
            // An outage of which nothing is known spends the record's budget.
            let SinkError::Retryable {
                ambiguous: true,
                outage: true,
                ..
            } = fault.error
            else {
                panic!("{:?}", fault.error);
            };
        }
        for phase in [Phase::Connect, Phase::Begin] {
            let fault = of(phase);
            assert!(!fault.of_a_record && fault.lost, "the target's own");
        }
    }

    #[test]
    fn g3_of_what_is_not_answered_in_time_only_a_commit_is_ambiguous() {
        let ambiguous = |phase| {
            let fault = Fault::of(&Failed::Timeout, phase);
            matches!(
                fault.error,
                SinkError::Retryable {
                    ambiguous: true,
                    ..
                }
            )
        };
        assert!(ambiguous(Phase::Commit));
        assert!(!ambiguous(Phase::Work));
        assert!(!ambiguous(Phase::Connect));
    }
}
