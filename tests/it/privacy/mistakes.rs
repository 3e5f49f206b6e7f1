//! What `goldwire check` says about a mistake never repeats a secret, wherever one was written.

use goldwire::topology::parse;

use super::scan::leak;
use crate::cli::program::{dir_with, goldwire};
use crate::config::FULL;

/// What stands in the full example, and what a mistake makes of it.
const MISTAKES: [(&str, &str); 26] = [
    (
        "client_secret: ${RELTIO_CLIENT_SECRET}",
        "client_secret: [canary-a]",
    ),
    (
        "client_secret: ${RELTIO_CLIENT_SECRET}",
        "client_secret: {value: canary-a}",
    ),
    (
        "client_secret: ${RELTIO_CLIENT_SECRET}",
        "client_secret: {file: /canary/no, text: canary-a}",
    ),
    (
        "client_secret: ${RELTIO_CLIENT_SECRET}",
        "client_secrett: canary-a",
    ),
    (
        "client_secret: ${RELTIO_CLIENT_SECRET}",
        "client_secret: \"canary-a",
    ),
    (
        "client_secret: ${RELTIO_CLIENT_SECRET}",
        "client_secret: canary-a: canary-b",
    ),
    (
        "client_secret: ${RELTIO_CLIENT_SECRET}",
        "client_secret: canary-a\n  client_secret: canary-b",
    ),
    ("client_secret: ${SF_SECRET}", "client_secret: ${canary-a"),
    (
        "client_secret: ${SF_SECRET}",
        "client_secret: \"${canary-a}\"",
    ),
    (
        "secrets: [\"${HOOK_SECRET}\", another-secret]",
        "secrets: canary-a",
    ),
    (
        "secrets: [\"${HOOK_SECRET}\", another-secret]",
        "secrets: {one: canary-a}",
    ),
    (
        "secrets: [\"${HOOK_SECRET}\", another-secret]",
        "secrets: [[canary-a], 7]",
    ),
    (
        "scheme: reltio\n      secrets: [\"${HOOK_SECRET}\"",
        "scheme: standard\n      secrets: [canary-a",
    ),
    (
        "scheme: reltio\n      secrets: [\"${HOOK_SECRET}\"",
        "scheme: none\n      secrets: [canary-b",
    ),
    ("bearer: ${HOOK_SECRET}", "bearer: [canary-a]"),
    (
        "sasl.password: ${KAFKA_PASSWORD}",
        "sasl.password: [canary-a]",
    ),
    (
        "sasl.password: ${KAFKA_PASSWORD}",
        "sasl.passwort: canary-a",
    ),
    (
        "properties: { sasl.username: key, sasl.password: \"${KAFKA_PASSWORD}\" }",
        "properties: canary-a",
    ),
    ("url: ${WAREHOUSE_URL}", "url: mysql://me:canary-a@host/db"),
    (
        "url: ${WAREHOUSE_URL}",
        "url: [\"postgres://me:canary-a@host/db\"]",
    ),
    (
        "url: ${WAREHOUSE_URL}",
        "urls: postgres://me:canary-a@host/db",
    ),
    ("token: ${ADMIN_TOKEN}", "token: {canary-a: canary-b}"),
    ("partitions: 8", "partitions: ${SECRET}"),
    ("tenant: abc123\n", "tenant: \"${SECRET} x\"\n"),
    (
        "url: https://dev.reltio.com/",
        "url: http://me:canary-a@dev.reltio.com/",
    ),
    ("login_url: https://", "login_url: http://me:canary-a@"),
];

#[test]
fn g10_a_mistake_is_told_without_the_secret_that_stands_there() {
    let env = |name: &str| Some(format!("canary-{}", name.to_lowercase()));
    let mut leaks = Vec::new();
    for (right, wrong) in MISTAKES {
        let text = FULL.replacen(right, wrong, 1);
        assert_ne!(text, FULL, "{right}");
        let refused = match parse(&text, &env) {
            Ok(_) => panic!("taken: {wrong}"),
            Err(error) => format!("{error}\n{error:?}"),
        };
        leaks.extend(leak(&refused).map(|line| format!("{wrong}: {line}")));
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[test]
fn g10_so_do_the_commands_that_load_it() {
    let (right, wrong) = MISTAKES[0];
    let dir = dir_with(&FULL.replacen(right, wrong, 1));
    for command in ["check", "run", "topology"] {
        let ran = goldwire(dir.path(), &[command]);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""));
        assert!(ran.err.contains("client_secret"), "{}", ran.err);
        assert_eq!(leak(&ran.err), None);
    }
}
