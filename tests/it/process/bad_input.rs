//! Whatever is sent, the process lives, holds little, and takes what is good.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::running::Running;
use super::sender::{SECRET, Sender, event};
use super::{arrives, folder, history, until};

const MIB: u64 = 1 << 20;

/// Sends 100 MB of body and returns the first line of the answer.
async fn flood(to: &Running, chunked: bool) -> String {
    let length: usize = 100_000_000;
    let stream = TcpStream::connect(to.webhooks).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let framing = if chunked {
        "transfer-encoding: chunked".to_owned()
    } else {
        format!("content-length: {length}")
    };
    let head = format!("POST /hook HTTP/1.1\r\nhost: goldwire\r\n{framing}\r\n\r\n");
    let sending = tokio::spawn(async move {
        write.write_all(head.as_bytes()).await?;
        let piece = vec![b'a'; 1 << 16];
        for _ in 0..length.div_ceil(piece.len()) {
            if chunked {
                write.write_all(b"10000\r\n").await?;
            }
            write.write_all(&piece).await?;
            if chunked {
                write.write_all(b"\r\n").await?;
            }
        }
        // Held open until the answer is read.
        Ok::<_, std::io::Error>(write)
    });
    let mut answer = vec![0; 64];
    let count = read.read(&mut answer).await.unwrap();
    sending.abort();
    let text = String::from_utf8_lossy(&answer[..count]).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_bad_input_is_a_dead_letter_or_refused_and_memory_stays_bounded() {
    let dir = folder();
    let running = Running::start(dir.path()).await;
    let sender = Sender::to(running.webhooks);
    arrives(dir.path(), &sender.good("entities/before").await).await;
    let baseline = running.memory("VmHWM");

    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let whole = event("entities/bad", 1, "Ada").to_string();
    let deep = whole.replace("[{\"ov\":true,\"value\":\"Ada\"}]", &deep);
    assert!(deep.len() > 20_000);
    let cases: [(&str, Vec<u8>); 6] = [
        ("not_json", whole.as_bytes()[..whole.len() - 9].into()),
        ("not_utf8", [whole.as_bytes(), b"\xff\xfe"].concat()),
        ("empty", Vec::new()),
        ("too_deep", deep.into()),
        ("no_type", b"{\"object\":{}}".to_vec()),
        ("unknown_tenant", whole.replace("acme", "other").into()),
    ];
    for (code, body) in &cases {
        assert_eq!(sender.send(body.clone()).await, Some(200), "{code}");
    }
    assert_eq!(
        flood(&running, false).await,
        "HTTP/1.1 413 Payload Too Large"
    );
    assert_eq!(
        flood(&running, true).await,
        "HTTP/1.1 413 Payload Too Large"
    );

    until("the bad bodies are dead letters", async || {
        running.letters().await.letters.len() == cases.len()
    })
    .await;
    let letters = running.letters().await.letters;
    let mut codes: Vec<&str> = letters.iter().map(|letter| letter.code.as_str()).collect();
    codes.sort_unstable();
    let mut expected = cases.each_ref().map(|(code, _)| *code);
    expected.sort_unstable();
    assert_eq!(codes, expected);
    arrives(dir.path(), &sender.good("entities/after").await).await;
    let grown = running.memory("VmHWM").saturating_sub(baseline);
    assert!(grown <= 32 * MIB, "{} MiB more than before", grown / MIB);
    let said = running.stop().await;
    assert!(!said.contains("panicked"), "{said}");
    // The log calls the sink of these letters what `dlq --sink` calls it.
    let logged = |line: &&str| line.contains("\"sink\":\"ingest\"");
    assert_eq!(said.lines().filter(logged).count(), cases.len(), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forged_is_401_counted_and_not_stored() {
    let dir = folder();
    let running = Running::start(dir.path()).await;
    let sender = Sender::to(running.webhooks);
    let inbox = || {
        let segments = std::fs::read_dir(dir.path().join("data/inbox/0")).unwrap();
        let length = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().metadata().unwrap();
        segments.map(|entry| length(entry).len()).sum::<u64>()
    };
    let before = inbox();
    let body = event("entities/forged", 1, "Eve").to_string();
    let signed = sender.signed_with(SECRET, "another body").build().unwrap();
    let stolen = signed.headers()["x-reltio-signature"].clone();
    let forged = [
        sender.unsigned(body.clone()),
        sender.signed_with("a guess", body.clone()),
        sender
            .unsigned(body.clone())
            .header("x-reltio-signature", stolen),
        sender.unsigned(body).header("x-reltio-signature", ""),
    ];
    for request in forged {
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
    let labels = [
        ("endpoint", "hook"),
        ("authenticated", "false"),
        ("code", "401"),
    ];
    let counted = running
        .metric("goldwire_webhook_requests_total", &labels)
        .await;
    assert_eq!(counted, 4);
    assert_eq!(inbox(), before);
    assert!(running.letters().await.letters.is_empty());
    // In the order of the inbox: had one of them been taken, it would be there by now.
    arrives(dir.path(), &sender.good("entities/honest").await).await;
    assert_eq!(
        history(dir.path()).await,
        [("entities/honest".to_owned(), 1)]
    );
    running.stop().await;
}
