//! `goldwire run` as a process: started, listened to, asked, stopped, killed.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use goldwire::admin::Listed;
use serde_json::Value;

use super::until;
use crate::cli::program::{Ran, goldwire};

/// What a process wrote, to both of its outputs.
type Lines = Arc<Mutex<Vec<String>>>;

/// A process that was started, whether it runs yet or not. Dropped, it is killed.
pub(crate) struct Started {
    child: Child,
    lines: Lines,
    readers: Vec<JoinHandle<()>>,
}

impl Started {
    /// `goldwire run` with the configuration of `dir`, in it.
    pub(crate) fn new(dir: &Path, log: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_goldwire"))
            .args(["run", "--log-format", "json"])
            .current_dir(dir)
            .env_clear()
            .env("GOLDWIRE_LOG", log)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Lines::default();
        let readers = vec![
            collect(child.stdout.take().unwrap(), &lines),
            collect(child.stderr.take().unwrap(), &lines),
        ];
        Self {
            child,
            lines,
            readers,
        }
    }

    /// All that it wrote so far.
    pub(crate) fn said(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Waits for its end; the exit code, or nothing if a signal ended it.
    pub(crate) async fn end(&mut self) -> Option<i32> {
        let mut status = None;
        until("the process has ended", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        status.unwrap().code()
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Both fail if it has ended, which is as well.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn collect(from: impl Read + Send + 'static, lines: &Lines) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    })
}

/// A process that runs.
pub(crate) struct Running {
    process: Started,
    dir: PathBuf,
    pub(crate) webhooks: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Running {
    /// Starts `goldwire run` in `dir` and waits until it runs.
    pub(crate) async fn start(dir: &Path) -> Self {
        Self::start_with(dir, "info").await
    }

    /// As [`Self::start`], with these log lines.
    pub(crate) async fn start_with(dir: &Path, log: &str) -> Self {
        let mut process = Started::new(dir, log);
        let lines = Arc::clone(&process.lines);
        let mut runs = Value::Null;
        until("goldwire runs", async || {
            assert!(!process.has_ended(), "it ended: {}", process.said());
            let lines = lines.lock().unwrap();
            let mut parsed = lines.iter().filter_map(|it| serde_json::from_str(it).ok());
            let line = parsed.find(|it: &Value| it["message"] == "goldwire runs");
            runs = line.unwrap_or_default();
            !runs.is_null()
        })
        .await;
        let address = |name: &str| runs[name].as_str().unwrap().parse().unwrap();
        let (webhooks, admin) = (address("webhooks"), address("admin"));
        let written = std::fs::read_to_string(dir.join("goldwire.yaml")).unwrap();
        let (head, tail) = written.rsplit_once("127.0.0.1:0").unwrap();
        let told = format!("{head}{admin}{tail}");
        std::fs::write(dir.join("told.yaml"), told).unwrap();
        Self {
            process,
            dir: dir.to_owned(),
            webhooks,
            admin,
        }
    }

    /// All that it wrote so far.
    pub(crate) fn said(&self) -> String {
        self.process.said()
    }

    /// Whether it has not ended.
    pub(crate) fn lives(&mut self) -> bool {
        !self.process.has_ended()
    }

    /// SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.process.child.kill().unwrap();
        assert_eq!(self.process.end().await, None);
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.process.child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; the exit code and all that it wrote.
    pub(crate) async fn end(mut self) -> (Option<i32>, String) {
        let code = self.process.end().await;
        (code, self.said())
    }

    /// SIGTERM, after which it must end in order.
    pub(crate) async fn stop(self) -> String {
        self.terminate();
        let (code, said) = self.end().await;
        assert_eq!(code, Some(0), "{said}");
        said
    }

    /// `VmHWM` or `VmRSS`, in bytes.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.process.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.unwrap().trim_matches([':', '\t', ' ', 'k', 'B']);
        kib.parse::<u64>().unwrap() * 1024
    }

    /// `GET` of the admin listener: status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.admin);
        let http = super::sender::client();
        let answer = http.get(url).bearer_auth(ADMIN_TOKEN).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The value of the one series of `name` whose labels are these.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let (_, text) = self.get("/metrics").await;
        let mut series = text.lines().filter(|line| {
            let labels = labels
                .iter()
                .map(|(key, value)| format!("{key}=\"{value}\""));
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{'))
                && labels.into_iter().all(|label| line.contains(&label))
        });
        let value = series.next().and_then(|line| line.rsplit(' ').next());
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// Records that a group has not committed yet.
    pub(crate) async fn lag(&self, group: &str) -> u64 {
        let (_, text) = self.get("/metrics").await;
        let group = format!("consumergroup=\"{group}\"");
        let of_group =
            |line: &&str| line.starts_with("goldwire_lag_records{") && line.contains(&group);
        let lag = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        text.lines().filter(of_group).map(lag).sum()
    }

    /// Open letters.
    pub(crate) async fn letters(&self) -> Listed {
        serde_json::from_str(&self.get("/dlq").await.1).unwrap()
    }

    /// Runs another goldwire, which finds this one at its admin address.
    pub(crate) async fn command(&self, words: &[&str]) -> Ran {
        let words = words.iter().map(|word| (*word).to_owned());
        let mut words: Vec<String> = words.collect();
        words.extend(["--config".to_owned(), "told.yaml".to_owned()]);
        let dir = self.dir.clone();
        let run = move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            goldwire(&dir, &words)
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }
}

/// The token that is sent to every admin listener, whether it asks for one or not.
pub(crate) const ADMIN_TOKEN: &str = "canary-admin-token";
