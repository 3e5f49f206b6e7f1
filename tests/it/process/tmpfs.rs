//! A disk that is full: goldwire's whole directory on a file system of 64 MiB.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::running::Running;
use super::sender::{Sender, event};
use super::{arrives, connect, folder, folder_on, until};

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
    // And what was taken may be trimmed by now, which gives back two MiB at most.
    fill(disk.path(), 12 << 20);
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

/// Leaves nothing at all.
fn fill_up(dir: &Path) {
    let mut rest = vec![0; 64 << 10];
    let mut filler = File::create(dir.join("rest")).unwrap();
    while !rest.is_empty() {
        if filler.write_all(&rest).is_err() {
            rest.truncate(rest.len() / 2);
        }
    }
}

/// Sends for a while what there is no room for.
async fn refuses_and_lives(running: &mut Running, sender: &Sender) {
    let pause = tokio::time::Instant::now() + std::time::Duration::from_secs(3);
    while tokio::time::Instant::now() < pause {
        let refused = event("entities/refused", 1, "Ada").to_string();
        assert_eq!(sender.send(refused).await, Some(503));
        assert!(running.lives(), "{}", running.said());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root to mount a tmpfs"]
async fn g1_g3_tmpfs_sled_without_a_byte_left_goes_on_when_there_is_room() {
    goes_on_when_there_is_room("sled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root to mount a tmpfs"]
async fn g1_g3_tmpfs_fjall_without_a_byte_left_goes_on_when_there_is_room() {
    goes_on_when_there_is_room("fjall").await;
}

async fn goes_on_when_there_is_room(store: &str) {
    let (disk, folder) = (Mounted::new(), folder_on(store));
    let text = std::fs::read_to_string(folder.path().join("goldwire.yaml")).unwrap();
    let lake = folder.path().join("lake.db");
    let text = text.replace("sqlite:lake.db", &format!("sqlite:{}", lake.display()));
    std::fs::write(disk.path().join("goldwire.yaml"), text).unwrap();
    let mut running = Running::start(disk.path()).await;
    let sender = Sender::to(running.webhooks);
    let mut taken = sender.good("entities/first").await;
    arrives(folder.path(), &taken).await;

    assert_eq!(sender.send("broken").await, Some(200));
    until("there is a dead letter", async || {
        running.letters().await.letters.len() == 1
    })
    .await;

    // The sink is held back, so that it has to commit when there is no room left.
    let mut writer = connect(&lake).await;
    let begin = sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut writer);
    begin.await.unwrap();
    for number in 0..1000 {
        taken.extend(sender.good(&format!("entities/held{number}")).await);
    }
    until("all of it is in the log", async || {
        running.lag("goldwire.inbox").await == 0 && running.lag("goldwire.lake").await == 1000
    })
    .await;
    fill_up(disk.path());
    let release = sqlx::raw_sql("ROLLBACK").execute(&mut writer);
    release.await.unwrap();
    arrives(folder.path(), &taken).await;
    refuses_and_lives(&mut running, &sender).await;
    std::fs::remove_file(disk.path().join("rest")).unwrap();
    until("the position is durable", async || {
        running.lag("goldwire.lake").await == 0
    })
    .await;
    taken.extend(sender.good("entities/last").await);
    arrives(folder.path(), &taken).await;
    let said = running.stop().await;
    assert!(said.contains("the store was opened again"), "{said}");
    assert!(!said.contains("panicked"), "{said}");

    // What was durable before is there, and the directory is sound.
    let running = Running::start(disk.path()).await;
    assert_eq!(running.letters().await.letters.len(), 1);
    running.stop().await;
}
