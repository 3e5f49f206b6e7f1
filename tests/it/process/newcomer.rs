//! What a first start makes by itself.

use super::running::Running;
use super::sender::Sender;
use super::{folder_with, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_of_a_database_is_made_and_the_log_says_where_everything_goes() {
    let dir = folder_with("sqlite:deep/er/lake.db");
    let running = Running::start(dir.path()).await;
    Sender::to(running.webhooks).good("entities/a").await;
    let file = dir.path().join("deep/er/lake.db");
    until("the file is there", async || file.exists()).await;
    let said = running.said();
    assert!(
        said.contains("writes to warehouse sqlite:deep/er/lake.db"),
        "{said}"
    );
    let here = dir.path().display();
    assert!(said.contains(&format!("{here}/goldwire.yaml")), "{said}");
    assert!(said.contains(&format!("{here}/data")), "{said}");
    running.stop().await;
}
