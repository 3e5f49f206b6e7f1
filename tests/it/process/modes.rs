//! Who else may read what a process makes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use goldwire::runtime::Files;
use tracing::Level;

use super::running::Running;
use super::sender::Sender;
use super::{arrives, folder_on};
use crate::logged::Logged;

/// What others than the user may do with `path`, and with what is in it.
fn open_to_others(path: &Path, found: &mut Vec<String>) {
    let metadata = std::fs::metadata(path).unwrap();
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        found.push(format!("{mode:o} {}", path.display()));
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            open_to_others(&entry.unwrap().path(), found);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g10_a_process_makes_its_data_for_its_user_alone_whatever_the_umask() {
    for store in ["sled", "fjall"] {
        let dir = folder_on(store);
        let running = Running::start(dir.path()).await;
        let sender = Sender::to(running.webhooks);
        arrives(dir.path(), &sender.good("entities/first").await).await;
        running.stop().await;
        let mut found = Vec::new();
        open_to_others(&dir.path().join("data"), &mut found);
        open_to_others(&dir.path().join("lake.db"), &mut found);
        assert_eq!(found, Vec::<String>::new(), "{store}");
    }
}

#[test]
fn g10_a_data_directory_that_others_may_read_is_told_with_the_remedy() {
    let dir = folder_on("sled");
    let data = dir.path().join("data");
    let path = dir.path().join("goldwire.yaml");
    let mut config = goldwire::topology::load(&path, &|_| None).unwrap();
    config.data_dir.clone_from(&data);
    let told = |modes: [u32; 2]| {
        std::fs::create_dir_all(data.join("log")).unwrap();
        for (path, mode) in [(data.join("log"), modes[1]), (data.clone(), modes[0])] {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(path, mode).unwrap();
        }
        let logged = Logged::down_to(Level::WARN);
        Files::open(&config).unwrap();
        logged.text()
    };
    let text = told([0o755, 0o755]);
    assert!(
        text.contains(&format!("chmod -R go= {}", data.display())),
        "{text}"
    );
    assert_eq!(told([0o700, 0o755]), "", "nobody gets there");
    assert_eq!(told([0o755, 0o700]), "", "as where a volume is mounted");
}
