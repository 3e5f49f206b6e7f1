//! Who is admitted how far: intake ends where sinks do not.

use std::fs::File;
use std::sync::{Arc, Mutex, mpsc};

use futures::future::join_all;
use goldwire::log::journal::{Journal, JournalDeps, JournalSettings};
use goldwire::log::{LogAppender as _, LogError, Retention as _, Share};

use super::{kilobyte, settings};

const QUOTA: u64 = 1 << 20;

/// Intake once looked at the usage before it appended: thousands that looked together all found
/// room. Sinks once had the last of the quota only, filled it while one of them was away, and then
/// waited for each other's positions without end.
#[tokio::test]
async fn g6_thousands_of_appends_at_once_keep_to_the_quota_and_it_holds_no_sink_back() {
    let dir = tempfile::tempdir().unwrap();
    let (leave, may_leave) = mpsc::channel::<()>();
    let may_leave = Mutex::new(may_leave);
    let deps = JournalDeps {
        // Until the sender is dropped, so that all of them are under way together.
        before_write: Arc::new(move || {
            may_leave.lock().unwrap().recv().ok();
            Ok(())
        }),
        ..JournalDeps::default()
    };
    let settings = JournalSettings {
        quota: QUOTA,
        ..settings(dir.path(), 1)
    };
    let log = Journal::open_with(settings, deps).unwrap();
    let appends = join_all((0..5000).map(|number| log.append(0, vec![kilobyte(number)])));
    let (answers, ()) = tokio::join!(appends, async { drop(leave) });
    let taken = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(taken > 900 && taken < 1100, "{taken}");
    let refused = |answer: &Result<u64, LogError>| matches!(answer, Err(LogError::Full { .. }));
    assert!(answers.iter().all(|one| one.is_ok() || refused(one)));
    // Each batch under way may add the head of its frame.
    assert!(log.usage().0 <= QUOTA + 52 * 5, "{:?}", log.usage());
    assert!(refused(&log.append(0, vec![kilobyte(0)]).await));

    for number in 0..100 {
        let told = log.append_within(Share::Sinks, 0, vec![kilobyte(number)]);
        told.await.unwrap();
    }
    assert!(log.usage().0 > QUOTA);
    assert!(log.admits(Share::Sinks).is_ok());
    assert!(log.admits(Share::Intake).is_err());
}

/// A quota beyond the disk: the reserve is then what holds intake, and half of it the sinks.
#[tokio::test]
async fn g6_half_of_the_disk_reserve_is_for_the_sinks() {
    let dir = tempfile::tempdir().unwrap();
    let stat = rustix::fs::fstatvfs(File::open(dir.path()).unwrap()).unwrap();
    let free = stat.f_bavail * stat.f_frsize;
    let reserving = |disk_reserve: u64| JournalSettings {
        quota: u64::MAX,
        disk_reserve,
        ..settings(dir.path(), 1)
    };
    let log = Journal::open(reserving(free / 2 * 3)).unwrap();
    let refused = log.append(0, vec![kilobyte(0)]).await.unwrap_err();
    assert!(matches!(refused, LogError::DiskFull { .. }), "{refused}");
    assert!(refused.to_string().contains("log.disk_reserve"));
    assert!(log.admits(Share::Intake).is_err() && log.admits(Share::Sinks).is_ok());
    let told = log.append_within(Share::Sinks, 0, vec![kilobyte(0)]).await;
    assert_eq!(told.unwrap(), 0);
    drop(log);
    let log = Journal::open(reserving(free * 3)).unwrap();
    let told = log.append_within(Share::Sinks, 0, vec![kilobyte(1)]).await;
    assert!(matches!(told, Err(LogError::DiskFull { .. })), "{told:?}");
}
