//! The URL of a PostgreSQL database: what is wrong with it, and what it sets.
//!
//! Guarantees: no sentence repeats a part of it (G10). What it sets is not told to the server while
//! connecting, which poolers refuse, but in each transaction.

use std::net::IpAddr;
use std::str::FromStr as _;

use reqwest::Url;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Parameters of the driver.
const KNOWN: [&str; 16] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
];

/// Parameters of other drivers, as providers print them in their URLs: they change nothing here.
const IGNORED: [&str; 14] = [
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "connection_limit",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "pgbouncer",
    "pool_timeout",
    "statement-cache-capacity",
    "target_session_attrs",
    "tcp_user_timeout",
];

const UNREADABLE: &str = "is not a PostgreSQL URL; special characters in its parts are written %XX";
const UNESCAPED: &str = "has a special character that is not escaped; in user and password write @ \
                         as %40, / as %2F, # as %23, ? as %3F and % as %25";
const UNKNOWN: &str = "has a parameter that is not known; remove it, or correct its name, and write \
                       ?, & and = in a password as %3F, %26 and %3D";
const NO_SETTING: &str = "has `options` that are no settings; write `options[name]=value`";

/// What a URL says.
pub(super) struct PostgresUrl {
    pub(super) options: PgConnectOptions,
    /// Settings of the server, name and value, in their order.
    pub(super) settings: Vec<(String, String)>,
}

impl PostgresUrl {
    /// Reads `text`.
    ///
    /// # Errors
    /// The rest of a sentence that does not hold the URL.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if !is_escaped(text) {
            return Err(UNESCAPED);
        }
        let mut url = Url::parse(text).map_err(|_| UNREADABLE)?;
        let mut settings = Vec::new();
        let mut kept = Vec::new();
        for (name, value) in url.query_pairs() {
            let setting = name.strip_prefix("options[");
            match setting.map(|name| name.strip_suffix(']')) {
                Some(Some(name)) => settings.push((name.to_owned(), value.into_owned())),
                Some(None) => return Err(NO_SETTING),
                None if name == "options" => settings.extend(flags(&value).ok_or(NO_SETTING)?),
                None if KNOWN.contains(&&*name) => {
                    kept.push((name.into_owned(), value.into_owned()));
                }
                None if IGNORED.contains(&&*name) => {}
                None => return Err(UNKNOWN),
            }
        }
        url.query_pairs_mut().clear().extend_pairs(kept);
        let options = PgConnectOptions::from_str(url.as_str()).map_err(|_| UNREADABLE)?;
        let options = if options.get_application_name().is_some() {
            options
        } else {
            options.application_name("goldwire")
        };
        let options = options.extra_float_digits(None);
        Ok(Self { options, settings })
    }
}

/// Whether clear text may leave this machine by these options. The driver's own `prefer` goes on in
/// clear text with whoever says that it speaks no TLS.
pub(super) fn is_exposed(options: &PgConnectOptions) -> bool {
    let encrypted = match options.get_ssl_mode() {
        PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => true,
        PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer => false,
    };
    !encrypted && options.get_socket().is_none() && !is_here(options.get_host())
}

/// Whether a host is this machine, as its name or address says, or the folder of a socket.
fn is_here(host: &str) -> bool {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let by_address = name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    by_address || name.eq_ignore_ascii_case("localhost") || host.starts_with('/')
}

/// Whether user and password can be told from the rest, by every program alike.
fn is_escaped(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let names = query
        .split('&')
        .map(|pair| pair.split('=').next().unwrap_or(pair));
    let at_sign_in_name = names.into_iter().any(|name| name.contains('@'));
    let ambiguous = authority.matches('@').count() > 1
        || path.contains('@')
        || at_sign_in_name
        || url.contains('#');
    !ambiguous && url.split('%').skip(1).all(is_escape)
}

/// Whether what follows a `%` are two digits.
fn is_escape(after: &str) -> bool {
    let digits = after.get(..2);
    digits.is_some_and(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// `-c name=value` and `--name=value`, as PostgreSQL reads its own `options`: words between spaces,
/// a backslash before one that belongs to a word.
fn flags(text: &str) -> Option<Vec<(String, String)>> {
    let mut settings = Vec::new();
    let mut words = words(text).into_iter();
    while let Some(word) = words.next() {
        let setting = match (word.as_str(), word.strip_prefix("--")) {
            ("-c", _) => words.next()?,
            (_, Some(setting)) => setting.to_owned(),
            (word, None) => word.strip_prefix("-c")?.to_owned(),
        };
        let (name, value) = setting.split_once('=')?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Some(settings)
}

fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, words.last_mut()) {
            ('\\', Some(word)) => word.extend(characters.next()),
            (space, _) if space.is_whitespace() => words.push(String::new()),
            (other, Some(word)) => word.push(other),
            (_, None) => {}
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<PostgresUrl, &'static str> {
        PostgresUrl::parse(url)
    }

    #[test]
    fn g10_an_unescaped_password_is_found_and_not_repeated() {
        for password in [
            "hunter@2",
            "hunter/2",
            "hunter#2",
            "hunter?2",
            "1/hunter",
            "1#hunter",
            "1?hunter",
            "hunter%2",
            "%zz",
            "a@hunter/2",
            "12?a=hunter",
            "12?hunter&x=y",
        ] {
            for tail in ["host/db", "host", "host:5432/db?sslmode=require"] {
                let refused = parse(&format!("postgres://me:{password}@{tail}"));
                let sentence = refused.err().unwrap_or_else(|| panic!("{password} {tail}"));
                assert!(sentence.contains("%3F"), "{password}: {sentence}");
                assert!(!sentence.contains("hunter"), "{sentence}");
            }
        }
    }

    #[test]
    fn an_escaped_password_is_the_one_that_was_meant() {
        let url = parse("postgres://me%40org:p%40%2F%23%3F%25w@host/db?user=a@b").unwrap();
        assert_eq!(url.options.get_host(), "host");
        assert_eq!(url.options.get_username(), "a@b");
        assert_eq!(url.options.get_database(), Some("db"));
        assert!(parse("postgres://host/db?application_name=a@b").is_ok());
        assert!(parse("postgres://me:pass:word@host/db").is_ok());
    }

    #[test]
    fn settings_are_kept_back_from_what_is_told_while_connecting() {
        let url = "postgres://h/d?options[search_path]=a,%22B%22&options=-c%20jit=off%20--lock-timeout\
                   =5s%20-cwork_mem=1MB%20-c%20x=a%5C%20b&channel_binding=require";
        let url = parse(url).unwrap();
        let settings: Vec<_> = url
            .settings
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            settings,
            [
                ("search_path", "a,\"B\""),
                ("jit", "off"),
                ("lock_timeout", "5s"),
                ("work_mem", "1MB"),
                ("x", "a b"),
            ]
        );
        assert_eq!(url.options.get_options(), None);
        for options in ["-B%2010", "-c", "-c%20x", "jit"] {
            assert!(
                parse(&format!("postgres://h/d?options={options}")).is_err(),
                "{options}"
            );
        }
        assert!(parse("postgres://h/d?options[x=1").is_err());
        assert!(parse("postgres://h/d?ssl_mode=require").is_err());
    }

    #[test]
    fn clear_text_leaves_the_machine_only_where_a_host_is_elsewhere() {
        let exposed = |url: &str| is_exposed(&parse(url).unwrap().options);
        for host in ["db", "10.0.0.1", "[2001:db8::1]", "localhost.example.com"] {
            for mode in ["", "?sslmode=disable", "?sslmode=allow", "?sslmode=prefer"] {
                assert!(
                    exposed(&format!("postgres://me:x@{host}/d{mode}")),
                    "{host} {mode}"
                );
            }
            for mode in ["require", "verify-ca", "verify-full"] {
                assert!(
                    !exposed(&format!("postgres://me:x@{host}/d?sslmode={mode}")),
                    "{host}"
                );
            }
        }
        for here in [
            "postgres://me:x@127.1.2.3/d",
            "postgres://localhost/d?sslmode=disable",
            "postgres://[::1]/d",
            "postgres://me@%2Fvar%2Frun%2Fpostgresql/d",
            "postgres://me@db/d?host=/run/pg",
        ] {
            assert!(!exposed(here), "{here}");
        }
    }
}
