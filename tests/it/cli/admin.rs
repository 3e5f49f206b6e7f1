//! The admin listener, over HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use goldwire::admin::{self, AdminState, Handle, Health, HealthReport, Listed};
use goldwire::admin::{Admin, Control, ControlError};
use goldwire::config::Secret;
use goldwire::dead_letter::{Report, Work};
use goldwire::topology::{Config, Topology};
use reqwest::{Client, RequestBuilder, StatusCode};

use super::fixture::{Fixture, fixture, letter, records, undecodable};
use crate::logged::Logged;

/// Healthy but for one sink, which is halted.
#[derive(Debug)]
struct Halted {
    live: bool,
}

impl Health for Halted {
    fn livez(&self) -> HealthReport {
        let mut report = HealthReport::default();
        report.add("sink crm/0", true, "halted");
        report.add("sink lake/0", self.live, "no progress for 60 s");
        report
    }

    fn readyz(&self) -> HealthReport {
        let mut report = HealthReport::default();
        report.add("inbox", true, "accepts");
        report
    }
}

fn json_of(config: &Config) -> serde_json::Value {
    serde_json::to_value(Topology::of(config)).unwrap()
}

/// What a listener over the fixture shows.
pub(crate) fn state(fixture: &Fixture, live: bool) -> AdminState {
    fixture.metrics.dead_letter_depth("crm", 7);
    let config = crate::config::parse(crate::config::FULL).unwrap();
    AdminState {
        redrive: fixture.redrive.clone(),
        topology: Arc::new(json_of(&config)),
        registry: fixture.registry.clone(),
        health: Arc::new(Halted { live }),
        control: Arc::new(Names),
    }
}

/// Knows one sink.
#[derive(Debug)]
struct Names;

#[async_trait]
impl Control for Names {
    async fn pause(&self, sink: &str) -> Result<(), ControlError> {
        let known = (sink == "crm").then_some(());
        known.ok_or_else(|| ControlError::Unknown("crm".to_owned()))
    }

    async fn resume(&self, sink: &str) -> Result<(), ControlError> {
        self.pause(sink).await
    }
}

pub(crate) async fn serve(fixture: &Fixture, token: Option<&str>, live: bool) -> Handle {
    let admin = Admin {
        address: ([127, 0, 0, 1], 0).into(),
        token: token.map(Secret::new),
        ..Admin::default()
    };
    admin::serve(&admin, state(fixture, live)).await.unwrap()
}

fn client() -> Client {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    Client::builder().no_proxy().build().unwrap()
}

fn get(handle: &Handle, path: &str) -> RequestBuilder {
    client().get(format!("http://{}{path}", handle.address()))
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_halted_sink_is_live_and_ready_and_a_stuck_task_is_not_live() {
    let fixture = fixture(&[]);
    let well = serve(&fixture, None, true).await;
    assert_eq!(status(get(&well, "/livez")).await, 200);
    assert_eq!(status(get(&well, "/readyz")).await, 200);
    let stuck = serve(&fixture, None, false).await;
    let answer = get(&stuck, "/livez").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("no progress for 60 s")
    );
    assert_eq!(status(get(&stuck, "/readyz")).await, 200);
}

#[tokio::test]
async fn with_a_token_only_health_is_open() {
    let fixture = fixture(&[]);
    let handle = serve(&fixture, Some("t0ken"), true).await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(status(get(&handle, path)).await, 200, "{path}");
    }
    for path in ["/metrics", "/topology", "/dlq", "/dlq/crm/a:0"] {
        assert_eq!(status(get(&handle, path)).await, 401, "{path}");
        assert_eq!(
            status(get(&handle, path).bearer_auth("t0kem")).await,
            401,
            "{path}"
        );
        let refused = get(&handle, path).send().await.unwrap();
        assert_eq!(refused.headers()["www-authenticate"], "Bearer");
        assert!(refused.text().await.unwrap().contains("admin.token"));
        let right = status(get(&handle, path).bearer_auth("t0ken")).await;
        assert!(right == 200 || right == 404, "{path} {right}");
    }
}

#[tokio::test]
async fn without_a_token_another_hosts_name_is_refused_so_that_no_web_page_gets_in() {
    let fixture = fixture(&[]);
    let handle = serve(&fixture, None, true).await;
    assert_eq!(status(get(&handle, "/dlq")).await, 200);
    assert_eq!(
        status(get(&handle, "/dlq").header("host", "evil.example")).await,
        403
    );
}

#[tokio::test]
async fn without_a_token_no_page_of_another_site_gets_in_and_what_is_no_browser_does() {
    let fixture = fixture(&[]);
    let handle = serve(&fixture, None, true).await;
    for (name, value, expected) in [
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "same-origin", 200),
        ("sec-fetch-site", "none", 200),
        ("origin", "http://127.0.0.1:9464", 200),
        ("user-agent", "curl/8", 200),
    ] {
        let asked = status(get(&handle, "/dlq").header(name, value)).await;
        assert_eq!(asked, expected, "{name}: {value}");
    }
    let handle = serve(&fixture, Some("t0ken"), true).await;
    let page = get(&handle, "/dlq").header("origin", "https://console.example");
    assert_eq!(status(page.bearer_auth("t0ken")).await, 200);
}

#[tokio::test]
async fn outside_loopback_there_is_no_listener_without_a_token_and_tls() {
    let mut open = Admin {
        address: ([0, 0, 0, 0], 0).into(),
        ..Admin::default()
    };
    let why = admin::bind(&open).await.unwrap_err();
    assert!(why.contains("add admin.token"), "{why}");
    open.token = Some(Secret::new("t0ken"));
    let why = admin::bind(&open).await.unwrap_err();
    for key in ["admin.tls", "admin.insecure_plain_http: true"] {
        assert!(why.contains(key), "{why}");
    }
    let logged = Logged::down_to(tracing::Level::INFO);
    open.insecure_plain_http = true;
    assert!(admin::bind(&open).await.is_ok());
    assert!(logged.text().contains("clear text"), "loud");
}

#[tokio::test]
async fn metrics_and_topology_are_shown() {
    let fixture = fixture(&[]);
    let handle = serve(&fixture, None, true).await;
    let text = get(&handle, "/metrics")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        text.contains("goldwire_dead_letter_depth{sink=\"crm\"} 7"),
        "{text}"
    );
    let topology = get(&handle, "/topology").send().await.unwrap();
    let topology: serde_json::Value = topology.json().await.unwrap();
    let sinks = topology["sinks"].as_array().unwrap();
    assert!(sinks.iter().any(|sink| sink["group"] == "goldwire.crm"));
    assert_eq!(topology["sources"][0]["through"], "inbox");
}

/// The whole of a backlog was once one answer, bodies and all in memory.
#[tokio::test]
async fn g8_an_answer_holds_a_page_of_letters_whatever_is_asked_for() {
    let letters: Vec<_> = (0..1500)
        .map(|n| letter("crm", &format!("{n:04}"), "rejected"))
        .collect();
    let fixture = fixture(&letters);
    let handle = serve(&fixture, None, true).await;
    let page = async |path: &str| -> Listed {
        let answer = get(&handle, path).send().await.unwrap();
        answer.json().await.unwrap()
    };
    let first = page("/dlq?max=1000000").await;
    assert_eq!((first.letters.len(), first.depth["crm"]), (1000, 1500));
    assert_eq!(first.next.as_deref(), Some("crm/0999:0"));
    let second = page("/dlq?after=crm/0999:0").await;
    assert_eq!((second.letters.len(), second.next), (500, None));
    assert_eq!(second.letters[0].name, "crm/1000:0");
    assert_eq!(status(get(&handle, "/dlq?after=nonsense")).await, 400);
}

#[tokio::test]
async fn letters_are_listed_shown_redriven_and_discarded_over_http() {
    let fixture = fixture(&[letter("crm", "a", "rejected"), undecodable("d")]);
    let handle = serve(&fixture, None, true).await;
    let listed: Listed = get(&handle, "/dlq?sink=crm")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (listed.letters.len(), listed.letters[0].name.as_str()),
        (1, "crm/a:0")
    );
    assert_eq!(listed.depth["ingest"], 1);
    let absent = get(&handle, "/dlq/crm/zz:0").send().await.unwrap();
    assert_eq!(absent.status(), 404);
    assert_eq!(absent.text().await.unwrap(), "no letter crm/zz:0 is open\n");
    assert_eq!(status(get(&handle, "/else")).await, 404);
    assert_eq!(status(get(&handle, "/dlq/crm/zz")).await, 400);
    let original = get(&handle, "/dlq/ingest/d:0/original")
        .send()
        .await
        .unwrap();
    assert_eq!(original.text().await.unwrap(), "{not json");

    let mut work = Work::default();
    let post = |path: &str, work: &Work| {
        let url = format!("http://{}{path}", handle.address());
        client().post(url).json(work)
    };
    assert_eq!(
        status(post("/dlq/discard", &work)).await,
        400,
        "everything at once is refused"
    );
    work.filter.sink = Some("crm".to_owned());
    let report: Report = post("/dlq/redrive", &work)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (report.done, records(fixture.log.as_ref()).await.len()),
        (1, 1)
    );
    work.filter.sink = Some("ingest".to_owned());
    let report: Report = post("/dlq/discard", &work)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (report.done, records(fixture.inbox.as_ref()).await.len()),
        (1, 0)
    );
}
