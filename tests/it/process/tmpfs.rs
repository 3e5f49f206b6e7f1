//! A disk that is full: goldwire's whole directory on a file system of 64 MiB.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::running::Running;
use super::sender::{Sender, event};
use super::{DEADLINE, all_distinct, arrives, folder, history, until};

/// A file system in memory, until dropped.
struct Mounted(TempDir);

impl Mounted {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = ["-t", "tmpfs", "-o", "size=64m", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(dir.path()).status();
        assert!(mounted.unwrap().success(), "only root may mount");
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: also while something in it is still open.
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        // A second failure while a test fails would hide the first.
        if !std::thread::panicking() {
            assert!(unmounted.unwrap().success());
        }
    }
}

fn free(dir: &Path) -> u64 {
    let stat = rustix::fs::statvfs(dir).unwrap();
    stat.f_bavail * stat.f_frsize
}

/// Takes room until `left` bytes are left.
fn fill(dir: &Path, left: u64) {
    let mut filler = File::options()
        .create(true)
        .append(true)
        .open(dir.join("filler"))
        .unwrap();
    let piece = vec![0; 64 << 10];
    while free(dir) > left {
        filler.write_all(&piece).unwrap();
    }
}

/// Sends events of 64 KiB until the answer is 503; what was taken before.
async fn send_until_full(sender: &Sender, name: &str) -> BTreeSet<(String, i64)> {
    let mut taken = BTreeSet::new();
    let large = "a".repeat(64 << 10);
    for number in 0..2000 {
        let uri = format!("entities/{name}{number}");
        match sender.send(event(&uri, 1, &large).to_string()).await {
            Some(200) => taken.insert((uri, 1)),
            Some(503) => return taken,
            other => panic!("answered {other:?}"),
        };
    }
    panic!("never full")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root to mount a tmpfs"]
async fn g1_g8_tmpfs_a_full_disk_stops_intake_alone_and_everything_answered_arrives() {
    let (disk, folder) = (Mounted::new(), folder());
    let text = std::fs::read_to_string(folder.path().join("goldwire.yaml")).unwrap();
    let log = "log: { partitions: 2, disk_reserve: 16MiB, segment: 1MiB, keep: 1s }";
    let text = text.replace("log: { partitions: 2, disk_reserve: 1MiB }", log);
    std::fs::write(disk.path().join("goldwire.yaml"), text).unwrap();
    let mut running = Running::start(disk.path()).await;
    let sender = Sender::to(running.webhooks);
    let mut taken = sender.good("entities/first").await;
    arrives(disk.path(), &taken).await;

    // Somebody else takes the room but for a little more than the reserve.
    fill(disk.path(), 18 << 20);
    taken.extend(send_until_full(&sender, "a").await);
    assert!(running.lives());
    let refused = event("entities/refused", 1, "Ada").to_string();
    assert_eq!(sender.send(refused.clone()).await, Some(503));
    assert!(running.said().contains("webhooks are answered 503"));
    assert_eq!(running.get("/livez").await.0, 200);

    // Given room again, it goes on by itself.
    std::fs::remove_file(disk.path().join("filler")).unwrap();
    until("webhooks are taken again", async || {
        sender.send(refused.clone()).await == Some(200)
    })
    .await;
    taken.insert(("entities/refused".to_owned(), 1));
    arrives(disk.path(), &taken).await;
    assert!(running.said().contains("the inbox takes webhooks again"));
    let said = running.stop().await;
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root to mount a tmpfs"]
async fn g1_tmpfs_a_disk_without_a_byte_left_loses_nothing_that_was_answered() {
    let (disk, folder) = (Mounted::new(), folder());
    std::fs::copy(
        folder.path().join("goldwire.yaml"),
        disk.path().join("goldwire.yaml"),
    )
    .unwrap();
    let mut running = Running::start(disk.path()).await;
    let sender = Sender::to(running.webhooks);
    let mut taken = sender.good("entities/first").await;
    arrives(disk.path(), &taken).await;
    fill(disk.path(), 4 << 20);
    taken.extend(send_until_full(&sender, "a").await);
    // The reserve is for the store; this one has no regard for it.
    let mut rest = vec![0; 64 << 10];
    let mut filler = File::create(disk.path().join("rest")).unwrap();
    while !rest.is_empty() {
        if filler.write_all(&rest).is_err() {
            rest.truncate(rest.len() / 2);
        }
    }
    drop(filler);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(3);
    while tokio::time::Instant::now() < deadline {
        let refused = event("entities/refused", 1, "Ada").to_string();
        assert_eq!(sender.send(refused).await, Some(503));
    }
    assert!(running.lives(), "{}", running.said());
    for name in ["filler", "rest"] {
        std::fs::remove_file(disk.path().join(name)).unwrap();
    }
    let again = tokio::time::timeout(DEADLINE * 3, async {
        let mut rows = Vec::new();
        while !taken.iter().all(|row| rows.contains(row)) {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            rows = history(disk.path()).await;
        }
        all_distinct(&rows);
    });
    assert!(again.await.is_ok(), "{}", running.said());
    until("the position is durable", async || running.lag("goldwire.lake").await == 0).await;
    let said = running.stop().await;
    assert!(!said.contains("panicked"), "{said}");
    println!("{said}");
}
