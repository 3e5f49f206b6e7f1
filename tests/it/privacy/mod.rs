//! G10: no secret and no personal data leaves by a log line, a metric, an answer of the admin
//! listener, a dead letter's description or a sentence about a mistake.

mod mistakes;
mod outside;
mod scan;

use std::path::Path;
use std::time::Duration;

use goldwire::dead_letter::{
    DeadLetters as _, Filter, LARGEST_PAGE, LetterView, StoredLetters, headers,
};
use goldwire::runtime::Files;
use goldwire::topology::Config;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::running::{ADMIN_TOKEN, Running};
use crate::process::sender::{SECRET, Sender, event};
use crate::process::{DEADLINE, execute, until};
use scan::leak;

/// Every key that holds a secret holds a canary.
async fn folder() -> TempDir {
    let (http, postgres) = (outside::http().await, outside::postgres().await);
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "tenant: acme
data_dir: data
reltio:
  url: http://{http}/reltio/api/acme
  auth_url: http://{http}/reltio/token
  client_id: goldwire
  client_secret: canary-reltio-secret
  insecure_plain_http: true
  requests_per_second: 1000
  settle: 20ms
  clock_skew: 10ms
webhook: {{ address: 127.0.0.1:0, trusted_proxy: 127.0.0.1 }}
sources:
  hook:
    webhook:
      path: /hook
      scheme: reltio
      secrets: [{{ file: secret }}]
      bearer: canary-bearer
      rate_limit: {{ per_second: 100000, burst: 100000 }}
  topic:
    kafka:
      bootstrap_servers: 127.0.0.1:1
      topic: changes
      group: ingest
      start: earliest
      properties:
        security.protocol: SASL_PLAINTEXT
        sasl.mechanism: PLAIN
        sasl.username: goldwire
        sasl.password: canary-kafka-password
sinks:
  lake:
    warehouse: {{ url: \"sqlite:lake.db\" }}
  pg:
    warehouse: {{ url: \"postgres://me:canary-password@{postgres}/db?sslmode=disable\" }}
  reads:
    cache: {{ dir: cache, address: 127.0.0.1:0, tokens: [canary-cache-token] }}
  crm:
    salesforce:
      login_url: http://{http}
      client_id: goldwire
      client_secret: canary-salesforce-secret
      insecure_plain_http: true
      crosswalk_source: SFDC
      linger: 5ms
      longest_request: 1s
      request_timeout: 1s
      objects:
        Individual:
          sobject: Contact
          fields:
            FirstName: {{ attribute: FirstName }}
            LastName: {{ attribute_or: {{ path: LastName, default: Unknown }} }}
            Description: {{ member: label }}
log: {{ partitions: 2, disk_reserve: 1MiB }}
delivery: {{ drain_timeout: 1s, retry: {{ attempts: 2, first: 10ms, longest: 50ms }} }}
admin: {{ token: {ADMIN_TOKEN}, address: 127.0.0.1:0 }}
"
    );
    std::fs::write(dir.path().join("goldwire.yaml"), config).unwrap();
    std::fs::write(dir.path().join("secret"), SECRET).unwrap();
    dir
}

/// An event whose attributes, label and crosswalks are personal.
fn person(uri: &str, version: i64) -> Value {
    let mut event = event(uri, version, "canary-first-name");
    event["object"]["label"] = json!("canary-label");
    event["object"]["attributes"]["LastName"] = json!([{ "value": "canary-name", "ov": true }]);
    event["object"]["crosswalks"] =
        json!([{ "type": "configuration/sources/HR", "value": "canary-crosswalk" }]);
    event
}

/// Says nothing of its object: it has to be read.
fn hint(uri: &str) -> Value {
    let mut event = person(uri, 1);
    let members = event.as_object_mut().unwrap();
    members.remove("object");
    members.insert(
        "deltas".to_owned(),
        json!({ "delta": [{ "newValue": "canary-delta" }] }),
    );
    event
}

async fn send(sender: &Sender, body: impl Into<Vec<u8>>) -> u16 {
    let request = sender.signed_with(SECRET, body);
    let request = request
        .bearer_auth("canary-bearer")
        .header("x-forwarded-for", "192.0.2.7, canary-address")
        .header("cookie", "session=canary-cookie")
        .header("messageid", "canary-message-id")
        .header("user-agent", "canary-agent");
    request.send().await.unwrap().status().as_u16()
}

/// Sends what no one can take, in every way that there is.
async fn provoke(sender: &Sender) {
    let whole = person("entities/whole", 1).to_string();
    let mut other = person("entities/other", 1);
    other["tenantId"] = json!("canary-tenant");
    let mut kind = person("entities/kind", 1);
    kind["type"] = json!("canary-kind");
    let mut about = person("entities/about", 1);
    about["sourceObjectUri"] = json!("canary-uri");
    let mut clock = person("entities/clock", 1);
    clock["objectVersion"] = json!("canary-version");
    let undecodable = [
        whole.as_bytes()[..whole.len() - 5].to_vec(),
        [whole.as_bytes(), b"\xff"].concat(),
        b"canary-text".to_vec(),
        other.to_string().into(),
        about.to_string().into(),
        clock.to_string().into(),
    ];
    for body in undecodable {
        assert_eq!(send(sender, body).await, 200);
    }
    for uri in [
        "broken",
        "foreign",
        "garbled",
        "moved",
        "forbidden",
        "missing",
    ] {
        let body = hint(&format!("entities/{uri}")).to_string();
        assert_eq!(send(sender, body).await, 200);
    }
    // Its clocks disagree with those of the good one, so that Reltio is asked.
    let mut asks = person("entities/good", 3);
    asks["objectVersion"] = json!(1);
    for body in [asks, kind, person("entities/refused", 1)] {
        assert_eq!(send(sender, body.to_string()).await, 200);
    }
    let forged = [
        sender
            .unsigned(whole.clone())
            .header("x-reltio-signature", "canary-signature"),
        sender
            .signed_with("canary-guess", whole.clone())
            .bearer_auth("canary-bearer"),
        sender
            .signed_with(SECRET, whole)
            .bearer_auth("canary-token"),
    ];
    for request in forged {
        let request = request.header("x-forwarded-for", "canary-address");
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
}

/// What must go wrong: codes of letters by sink, and words of the log.
const LETTERS: [(&str, &str); 9] = [
    ("ingest", "not_json"),
    ("ingest", "not_utf8"),
    ("ingest", "unknown_tenant"),
    ("ingest", "bad_member"),
    ("ingest", "500"),
    ("ingest", "404 (7)"),
    ("lake", "SQLITE_1811"),
    ("lake", "500"),
    ("crm", "unnamed"),
];
const WORDS: [&str; 4] = [
    "Reltio refuses: 403",
    "127.0.0.1:1 does not answer",
    "the sink is halted: 28P01",
    "the sink is halted: unnamed",
];

/// Spans of the work, each with a line when it ends.
const SPANS: [&str; 5] = ["batch", "lookup", "write", "commit", "read"];

/// Waits until everything went wrong that can.
async fn all_is_wrong(running: &Running, sender: &Sender) {
    let mut more = 0;
    let mut missing = Vec::new();
    let waited = tokio::time::timeout(DEADLINE, async {
        loop {
            more += 1;
            let one_more = person(&format!("entities/more{more}"), 1);
            send(sender, one_more.to_string()).await;
            let (listed, said) = (running.letters().await, running.said());
            let absent = |(sink, code): &&(&str, &str)| {
                let mut letters = listed.letters.iter();
                !letters.any(|letter| letter.sink == *sink && letter.code == *code)
            };
            let letters = LETTERS.iter().filter(absent).map(|it| format!("{it:?}"));
            let words = WORDS.iter().filter(|words| !said.contains(**words));
            missing = letters.chain(words.map(ToString::to_string)).collect();
            if missing.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let over = waited.await.is_err();
    assert!(!over, "did not happen: {missing:?}\n{}", running.said());
}

/// Everything that the process and its commands say about what happened.
async fn told(running: &Running, dir: &Path) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for path in ["/metrics", "/livez", "/readyz", "/topology", "/dlq"] {
        told.push((path.to_owned(), running.get(path).await.1));
    }
    for command in [
        "dlq list",
        "dlq list --json",
        "dlq redrive --all --dry-run",
        "check",
        "check --live",
        "topology --json",
        "schema",
        "webhook sign --scheme standard --secret-file secret",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let ran = running.command(&words).await;
        told.push((command.to_owned(), format!("{}\n{}", ran.out, ran.err)));
    }
    // A broker that does not answer is waited for too long.
    let path = dir.join("told.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once("  topic:\n").unwrap();
    let (_, tail) = rest.split_once("sinks:\n").unwrap();
    std::fs::write(&path, format!("{head}sinks:\n{tail}")).unwrap();
    let ran = running.command(&["check", "--connect"]).await;
    assert_eq!((ran.code, ran.err.lines().count()), (1, 5), "{}", ran.err);
    told.push(("check --connect".to_owned(), ran.err));
    // One of each kind, and not the hundreds that are alike.
    let mut letters = running.letters().await.letters;
    letters.sort_by_key(|letter| (letter.sink.clone(), letter.code.clone()));
    letters.dedup_by_key(|letter| (letter.sink.clone(), letter.code.clone()));
    for LetterView { name, .. } in letters {
        let ran = running.command(&["dlq", "show", &name]).await;
        assert!(
            ran.out.contains("__connect.errors.exception.message: "),
            "{}",
            ran.err
        );
        told.push((
            format!("dlq show {name}"),
            format!("{}\n{}", ran.out, ran.err),
        ));
    }
    told
}

/// The configuration as the process has it, with paths that do not depend on where it runs.
fn config(dir: &Path) -> Config {
    let text = std::fs::read_to_string(dir.join("goldwire.yaml")).unwrap();
    let at = |name: &str| dir.join(name).display().to_string();
    let text = text.replace("data_dir: data", &format!("data_dir: {}", at("data")));
    let text = text.replace("file: secret", &format!("file: {}", at("secret")));
    goldwire::topology::parse(&text, &|_| None).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g10_nothing_personal_and_no_secret_is_told() {
    let dir = folder().await;
    let running = Running::start_with(dir.path(), "trace").await;
    let sender = Sender::to(running.webhooks);
    assert_eq!(
        send(&sender, person("entities/good", 2).to_string()).await,
        200
    );
    let labels = [("sink", "lake"), ("outcome", "delivered")];
    until("a good event is in the lake", async || {
        running.metric("goldwire_outcomes_total", &labels).await == 1
    })
    .await;
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON golden_record_changes \
                  BEGIN SELECT RAISE(ABORT, 'canary-sqlite: Ada Lovelace'); END";
    execute(&dir.path().join("lake.db"), refuse).await;
    provoke(&sender).await;
    all_is_wrong(&running, &sender).await;

    let mut told = told(&running, dir.path()).await;
    // The scanner does find what is there: in the one place where it may be.
    let letters = running.letters().await.letters;
    let garbled = letters
        .iter()
        .find(|letter| letter.code == "not_json")
        .unwrap();
    let shown = running
        .command(&["dlq", "show", &garbled.name, "--original"])
        .await;
    assert!(leak(&shown.out).is_some(), "{}", shown.out);

    let log = running.stop().await;
    for span in SPANS {
        let ends = |line: &Value| line["message"] == "close" && line["span"]["name"] == span;
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        assert!(lines.into_iter().any(|line| ends(&line)), "{span}\n{log}");
    }
    told.push(("run".to_owned(), log));
    let config = config(dir.path());
    told.push(("the configuration".to_owned(), format!("{config:?}")));
    let letters = StoredLetters::new(Files::open(&config).unwrap().store);
    let page = letters.page(&Filter::default(), None, LARGEST_PAGE).await;
    for letter in page.unwrap().letters {
        let text = format!("{:?}\n{:?}", headers(&letter), LetterView::from(&letter));
        told.push((format!("the headers of {}", letter.id), text));
    }
    for (what, text) in &told {
        assert!(!text.trim().is_empty(), "{what} says nothing");
        assert_eq!(leak(text), None, "{what} tells");
    }
}
