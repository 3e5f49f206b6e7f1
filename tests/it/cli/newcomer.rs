//! The first commands of somebody new, on a machine where nothing is set and nothing is there.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::program::{Ran, VARIABLES, dir_with, goldwire};
use crate::config::certificate;

/// Runs the program in `dir` with these variables and no other.
fn with(dir: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let ran = Command::new(env!("CARGO_BIN_EXE_goldwire"))
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran {
        code: ran.status.code().unwrap(),
        out: text(ran.stdout),
        err: text(ran.stderr),
    }
}

pub(super) fn bare(dir: &Path, arguments: &[&str]) -> Ran {
    with(dir, &[], arguments)
}

pub(super) fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

/// A folder in which `goldwire init` ran.
fn begun() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let ran = bare(dir.path(), &["init"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    dir
}

#[test]
fn what_init_writes_passes_check_with_the_one_variable_that_it_says_to_set() {
    let dir = begun();
    let ran = bare(dir.path(), &["check"]);
    assert_eq!(ran.code, 64);
    assert!(
        ran.err.starts_with(
            "sources.hook.webhook.secrets[0]: found ${WEBHOOK_SECRET}, which is not set"
        ),
        "{}",
        ran.err
    );
    assert_eq!(ran.err.lines().count(), 2, "{}", ran.err);
    let set = [("WEBHOOK_SECRET", "a-secret-for-tests")];
    for words in [&["check"][..], &["check", "--connect"]] {
        let ran = with(dir.path(), &set, words);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{words:?}");
        let here = dir.path().canonicalize().unwrap();
        let here = here.display();
        assert_eq!(
            ran.out,
            format!(
                "ok: 1 source, 2 sinks\n  \
                 configuration: {here}/goldwire.yaml\n  \
                 data_dir: {here}/goldwire-data, which `goldwire run` makes\n  \
                 sink events: files in ./goldwire-data/events\n  \
                 sink lake: sqlite:./goldwire-data/warehouse.db\n"
            )
        );
    }
    // Nothing was made by asking.
    assert_eq!(files(dir.path()), ["event.json", "goldwire.yaml"]);
}

#[test]
fn all_of_what_init_can_write_passes_check_and_no_file_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("event.json"), "mine").unwrap();
    let ran = goldwire(dir.path(), &["init", "--full"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    certificate(dir.path());
    let ran = goldwire(dir.path(), &["check"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.starts_with("ok: 2 sources, 2 sinks\n"),
        "{}",
        ran.out
    );
    let again = goldwire(dir.path(), &["init"]);
    assert_eq!(again.code, 64);
    assert!(
        again.err.contains("exists and is left alone"),
        "{}",
        again.err
    );
    let printed = goldwire(dir.path(), &["init", "--full", "--output", "-"]);
    let written = std::fs::read_to_string(dir.path().join("goldwire.yaml")).unwrap();
    assert_eq!(printed.out, written);

    let other = goldwire(dir.path(), &["init", "--output", "other.yaml"]);
    assert_eq!(other.code, 0, "{}", other.err);
    assert!(other.out.contains("left as it is: /"), "{}", other.out);
    assert!(
        other.out.contains("goldwire run --config other.yaml\n"),
        "{}",
        other.out
    );
    let event = std::fs::read_to_string(dir.path().join("event.json")).unwrap();
    assert_eq!(event, "mine");
}

#[test]
fn what_flows_where_is_told_while_no_variable_is_set() {
    let dir = tempfile::tempdir().unwrap();
    bare(dir.path(), &["init", "--full"]);
    let ran = bare(dir.path(), &["topology"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    for told in [
        "goldwire for tenant ${RELTIO_TENANT}\n",
        "source stream (kafka reltio.${RELTIO_TENANT}.entities.changes)\n",
        "sink crm (salesforce Contact at ${SALESFORCE_URL})\n",
        "sink lake (warehouse sqlite:./goldwire-data/warehouse.db)\n",
    ] {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    let crm = bare(dir.path(), &["schema", "salesforce", "crm"]);
    assert_eq!((crm.code, crm.err.as_str()), (0, ""));
    assert!(crm.out.contains("Reltio_Guard__c"), "{}", crm.out);
}

#[test]
fn what_decides_about_the_answer_has_to_be_set_and_is_named() {
    let dir = dir_with(crate::config::FULL);
    let ran = bare(dir.path(), &["schema", "warehouse", "lake"]);
    assert_eq!((ran.code, ran.out.as_str()), (64, ""));
    let why = "sinks.lake.warehouse.url: found ${WAREHOUSE_URL}, which is not set; ";
    assert!(ran.err.starts_with(why), "{}", ran.err);
    let set = [("WAREHOUSE_URL", "postgres://me:canary@h/d")];
    let ran = with(dir.path(), &set, &["schema", "warehouse", "lake"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("jsonb"), "{}", ran.out);

    // Where no text can stand for the value, nothing is told without it.
    let text = crate::config::FULL.replace("address: 127.0.0.1:9464", "address: ${ADMIN}");
    let text = text.replace("start: earliest", "start: ${START}");
    let ran = bare(dir_with(&text).path(), &["topology"]);
    assert_eq!(ran.code, 64, "{}", ran.out);
    assert!(
        ran.err.contains("found ${START}, which is not set"),
        "{}",
        ran.err
    );
    let ran = with(
        dir_with(&text).path(),
        &[("START", "latest")],
        &["topology"],
    );
    assert_eq!(ran.code, 64, "{}", ran.out);
    assert!(
        ran.err.contains("admin.address: found ${ADMIN}, which is"),
        "{}",
        ran.err
    );

    let text = crate::config::FULL.replace("/var/lib/goldwire\n", "${DATA}\n");
    let dir = dir_with(&text);
    assert_eq!(bare(dir.path(), &["topology"]).code, 0);
    let ran = bare(dir.path(), &["dlq", "list"]);
    assert_eq!(ran.code, 64, "{}", ran.out);
    assert!(
        ran.err
            .starts_with("data_dir: found ${DATA}, which is not set"),
        "{}",
        ran.err
    );
}

#[test]
fn a_file_that_is_not_there_is_told_with_the_directory_where_it_was_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    for verb in ["check", "run", "topology"] {
        let ran = bare(dir.path(), &[verb]);
        let here = dir.path().canonicalize().unwrap();
        let told = format!(
            "goldwire.yaml: there is no such file; give a readable file, or write one with \
             `goldwire init`\nlooked in {}\n",
            here.display()
        );
        assert_eq!((ran.code, ran.err), (64, told));
    }
}

#[test]
fn other_mistakes_are_told_with_variables_unset() {
    let text = crate::config::FULL.replace("partitions: 8", "partitions: many");
    let ran = bare(dir_with(&text).path(), &["topology"]);
    assert_eq!(ran.code, 64, "{}", ran.out);
    assert!(
        ran.err.starts_with("log.partitions: found \"many\""),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("1 problem in /"), "{}", ran.err);
}

#[test]
fn g10_a_secret_file_that_cannot_be_read_is_missed_by_run_and_not_by_dlq() {
    let text = "
tenant: t
data_dir: data
sources: { hook: { webhook: { path: /hook, scheme: reltio, secrets: [{ file: nowhere }] } } }
webhook: { address: 127.0.0.1:0, insecure_plain_http: true }
sinks: { lake: { warehouse: { url: 'sqlite:deep/er/lake.db' } } }
admin: { address: 127.0.0.1:1 }
";
    let dir = dir_with(text);
    assert_eq!(bare(dir.path(), &["topology"]).code, 0);
    let ran = bare(dir.path(), &["dlq", "list"]);
    assert_eq!(ran.code, 69, "{}", ran.err);
    assert!(
        ran.err
            .contains("goldwire has never run there; start `goldwire run`"),
        "{}",
        ran.err
    );
    let ran = bare(dir.path(), &["check", "--connect"]);
    assert_eq!(ran.code, 64);
    assert!(
        ran.err.contains("secrets[0].file: found \"nowhere\""),
        "{}",
        ran.err
    );
    // The folder of the database is made by `run`, and asking makes none.
    std::fs::write(dir.path().join("nowhere"), "secret").unwrap();
    let ran = bare(dir.path(), &["check", "--connect"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(!dir.path().join("deep").exists());
    // A file where the folder would be is in the way.
    std::fs::write(dir.path().join("deep"), "").unwrap();
    let ran = bare(dir.path(), &["check", "--connect"]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(
        ran.err
            .starts_with("sinks.lake: deep/er/lake.db cannot be made: "),
        "{}",
        ran.err
    );
}

#[test]
fn letters_are_read_without_any_secret_of_a_sink() {
    let dir = dir_with(crate::config::FULL);
    let path = dir.path().join("goldwire.yaml");
    let data = dir.path().join("data").display().to_string();
    let text = crate::config::FULL.replace("/var/lib/goldwire\n", &format!("{data}\n"));
    std::fs::write(&path, text).unwrap();
    let set = |name: &str| {
        let known = VARIABLES.iter().find(|(known, _)| *known == name);
        known.map_or("t0ken", |(_, value)| value).to_owned()
    };
    let config = goldwire::topology::load(&path, &|name| Some(set(name))).unwrap();
    drop(goldwire::runtime::Files::open(&config).unwrap());
    let ran = bare(dir.path(), &["dlq", "list"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "open: none\n"),
        "{}",
        ran.err
    );
    // A process has the directory: it is asked, with its token.
    let open = goldwire::runtime::Files::open(&config).unwrap();
    let ran = bare(dir.path(), &["dlq", "list"]);
    assert_eq!(ran.code, 64, "{}", ran.out);
    assert!(
        ran.err
            .starts_with("admin.token: found ${ADMIN_TOKEN}, which is not set"),
        "{}",
        ran.err
    );
    drop(open);
}
