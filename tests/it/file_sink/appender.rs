//! Files grow, roll, and are mended.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use goldwire::sink::file::{Appender, FileDeps, Trouble};
use goldwire::time::{Clock, Millis, SystemClock};

use super::{files, text};

fn appender(dir: &Path, roll: u64) -> Appender {
    Appender::new(dir, roll, FileDeps::real(Arc::new(SystemClock)))
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn g3_a_line_that_a_crash_tore_is_cut_and_what_was_acknowledged_stays() {
    let root = tempfile::tempdir().unwrap();
    let torn = ["", "{\"torn\":", "x", &"y".repeat(200_000)];
    for (number, torn) in torn.iter().enumerate() {
        let dir = root.path().join(number.to_string());
        appender(&dir, 1 << 20).append(b"one\ntwo\n").unwrap();
        let file = files(&dir).remove(0);
        std::fs::write(&file, format!("one\ntwo\n{torn}")).unwrap();
        appender(&dir, 1 << 20).append(b"three\n").unwrap();
        assert_eq!(text(&dir), "one\ntwo\nthree\n");
        assert_eq!(files(&dir).len(), 1);

        std::fs::write(&file, torn).unwrap();
        appender(&dir, 1 << 20).append(b"four\n").unwrap();
        assert_eq!(text(&dir), "four\n", "nothing of it was acknowledged");
    }
}

#[test]
fn g3_files_roll_in_order_and_only_the_newest_changes() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("made/as/needed");
    let mut expected = String::new();
    let mut sealed: Vec<(std::path::PathBuf, String)> = Vec::new();
    for round in 0..4 {
        // Anew each time: the numbers go on.
        let mut appender = appender(&dir, 100);
        for line in 0..10 {
            let line = format!("line {round} {line} of twenty-four\n");
            appender.append(line.as_bytes()).unwrap();
            expected.push_str(&line);
            for (path, content) in &sealed {
                assert_eq!(std::fs::read_to_string(path).unwrap(), *content);
            }
            let files = files(&dir);
            let before = files.split_last().unwrap().1;
            let read = |path: &std::path::PathBuf| std::fs::read_to_string(path).unwrap();
            sealed = before
                .iter()
                .map(|path| (path.clone(), read(path)))
                .collect();
        }
    }
    assert_eq!(text(&dir), expected);
    assert!(files(&dir).len() >= 10);
    for file in files(&dir) {
        assert!(file.metadata().unwrap().len() <= 100);
        assert_eq!(mode(&file), 0o600);
    }
    assert_eq!(mode(&dir), 0o700);
    appender(&dir, 100).append(&[b'z'; 1000]).unwrap();
    assert!(text(&dir).ends_with("zzz"), "a long line is whole");
}

#[derive(Debug)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Millis {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn g3_a_clock_that_is_set_back_does_not_turn_the_order_round() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SetClock(AtomicI64::new(5000)));
    let deps = || FileDeps::real(Arc::<SetClock>::clone(&clock));
    Appender::new(dir.path(), 1, deps()).append(b"1\n").unwrap();
    clock.0.store(10, Ordering::Relaxed);
    Appender::new(dir.path(), 1, deps()).append(b"2\n").unwrap();
    clock.0.store(9000, Ordering::Relaxed);
    Appender::new(dir.path(), 1, deps()).append(b"3\n").unwrap();
    assert_eq!(text(dir.path()), "1\n2\n3\n");
    let names = files(dir.path());
    let names: Vec<_> = names.iter().map(|path| path.file_stem().unwrap()).collect();
    assert_eq!(names, ["0000000005000", "0000000005001", "0000000009000"]);
}

#[test]
fn g3_what_a_failed_fsync_left_behind_is_cut_and_the_file_is_not_trusted_again() {
    let dir = tempfile::tempdir().unwrap();
    let fails = Arc::new(AtomicBool::new(false));
    let failing = Arc::clone(&fails);
    let deps = FileDeps {
        before_sync: Arc::new(move || {
            let fails = failing.load(Ordering::Relaxed);
            let full = || io::ErrorKind::StorageFull.into();
            if fails { Err(full()) } else { Ok(()) }
        }),
        ..FileDeps::real(Arc::new(SystemClock))
    };
    let mut appender = Appender::new(dir.path(), 1 << 20, deps);
    appender.append(b"one\n").unwrap();
    fails.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        appender.append(b"two\n").unwrap_err();
    }
    fails.store(false, Ordering::Relaxed);
    appender.append(b"two\n").unwrap();
    appender.append(b"three\n").unwrap();
    assert_eq!(text(dir.path()), "one\ntwo\nthree\n");
    let first = std::fs::read_to_string(&files(dir.path())[0]).unwrap();
    assert_eq!(first, "one\n");
}

#[test]
fn a_file_or_a_directory_that_somebody_deletes_takes_no_later_line_with_it() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("events");
    let mut appender = appender(&dir, 1 << 20);
    appender.append(b"one\n").unwrap();
    std::fs::remove_file(&files(&dir)[0]).unwrap();
    appender.append(b"two\n").unwrap();
    assert_eq!(text(&dir), "two\n");
    std::fs::remove_dir_all(&dir).unwrap();
    appender.append(b"three\n").unwrap();
    assert_eq!(text(&dir), "three\n");
}

#[test]
fn one_process_at_a_time_has_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, mut second) = (appender(dir.path(), 100), appender(dir.path(), 100));
    first.append(b"one\n").unwrap();
    let refused = second.append(b"two\n").unwrap_err();
    assert!(matches!(refused, Trouble::InUse), "{refused:?}");
    first.append(b"three\n").unwrap();
    drop(first);
    second.append(b"four\n").unwrap();
    assert_eq!(text(dir.path()), "one\nthree\nfour\n");
}
