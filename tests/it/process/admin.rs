//! The admin listener of a process that works, or whose sink does not.

use std::collections::BTreeSet;

use goldwire::admin::HealthReport;

use super::running::Running;
use super::sender::Sender;
use super::{arrives, execute, folder, folder_with, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_listed_and_redriven_while_the_process_runs() {
    let dir = folder();
    let running = Running::start(dir.path()).await;
    let sender = Sender::to(running.webhooks);
    arrives(dir.path(), &sender.good("entities/first").await).await;
    let lake = dir.path().join("lake.db");
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON golden_record_changes \
                  BEGIN SELECT RAISE(ABORT, 'no more'); END";
    execute(&lake, refuse).await;
    let sent = sender.good("entities/refused").await;
    until("the refused record is a dead letter", async || {
        running.letters().await.letters.len() == 1
    })
    .await;

    let listed = running.command(&["dlq", "list"]).await;
    assert_eq!(listed.code, 0, "{}", listed.err);
    assert!(listed.out.starts_with("lake/"), "{}", listed.out);
    assert!(
        listed
            .out
            .contains("  rejected  SQLITE_1811  entities/refused  ")
    );
    assert!(listed.out.ends_with("open: lake 1\n"), "{}", listed.out);
    execute(&lake, "DROP TRIGGER refuse").await;
    let redriven = running.command(&["dlq", "redrive", "--all"]).await;
    assert_eq!(
        redriven.out, "1 redriven\n  1 rejected\n",
        "{}",
        redriven.err
    );
    arrives(dir.path(), &sent).await;
    assert_eq!(running.command(&["dlq", "list"]).await.out, "open: none\n");
    assert_eq!(running.command(&["check", "--live"]).await.code, 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g6_while_its_sink_is_down_a_process_is_live_and_takes_webhooks() {
    // Bound and not listening any more: it refuses, and no one else is given it at once.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let dir = folder_with(&format!("postgres://me:canary-password@{address}/db"));
    let config = dir.path().join("goldwire.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    // What waits for the sink is not to hold up the end of the test.
    std::fs::write(
        &config,
        text.replace("drain_timeout: 20s", "drain_timeout: 1s"),
    )
    .unwrap();
    let running = Running::start(dir.path()).await;
    let sender = Sender::to(running.webhooks);
    for number in 0..20 {
        sender.good(&format!("entities/{number}")).await;
    }
    let labels = [("sink", "lake")];
    until("the breaker is open", async || {
        running.metric("goldwire_sink_state", &labels).await == 1
    })
    .await;
    for path in ["/livez", "/readyz"] {
        let (status, report) = running.get(path).await;
        assert_eq!(status, 200, "{path}: {report}");
    }
    until("all of it waits in the log", async || {
        running.lag("goldwire.lake").await == 20
    })
    .await;
    sender.good("entities/more").await;
    assert!(running.letters().await.letters.is_empty());
    let said = running.stop().await;
    assert!(!said.contains("canary-password"), "{said}");

    // With a sink that answers, nothing is missing.
    let url = format!("postgres://me:canary-password@{address}/db");
    std::fs::write(&config, text.replace(&url, "sqlite:lake.db")).unwrap();
    let running = Running::start(dir.path()).await;
    let numbers = (0..20).map(|number| number.to_string());
    let names = numbers.chain(["more".to_owned()]);
    let sent: BTreeSet<_> = names.map(|name| (format!("entities/{name}"), 1)).collect();
    arrives(dir.path(), &sent).await;
    running.stop().await;
}

/// Whoever sends webhooks here is answered 503, so no one is to be sent here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readyz_is_503_when_webhooks_are_and_both_say_that_it_is_the_disk() {
    let dir = folder();
    let config = dir.path().join("goldwire.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("disk_reserve: 1MiB", "disk_reserve: 1000TiB");
    std::fs::write(&config, text).unwrap();
    let running = Running::start(dir.path()).await;
    let report = async || {
        let (status, report) = running.get("/readyz").await;
        let report: HealthReport = serde_json::from_str(&report).unwrap();
        assert_eq!(status, if report.ok() { 200 } else { 503 });
        let part = |name: &str| {
            let part = report.parts.iter().find(|part| part.name == name).unwrap();
            (part.ok, part.state.clone())
        };
        (part("inbox"), part("webhook"))
    };
    let (inbox, webhook) = report().await;
    assert!(
        !inbox.0 && inbox.1.contains("log.disk_reserve"),
        "{inbox:?}"
    );
    assert_eq!(webhook, (true, "listens".to_owned()));
    assert_eq!(Sender::to(running.webhooks).send("{}").await, Some(503));
    let (_, webhook) = report().await;
    assert!(
        !webhook.0 && webhook.1.contains("log.disk_reserve"),
        "{webhook:?}"
    );
    assert_eq!(running.get("/livez").await.0, 200);
    let said = running.stop().await;
    assert!(
        said.contains("answered 503") && said.contains("lower the reserve"),
        "{said}"
    );
}
