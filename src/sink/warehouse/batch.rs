//! A batch is one transaction on a connection of the pool; each write is answered by itself (G7).
//!
//! A batch that fails for what may be one record's sake is halved until that record is alone. What
//! is open is bounded by the connections (G8). A batch that is cut short closes its connection, and
//! the database takes back what was not committed.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{OnceCell, Semaphore};

use super::columns;
use super::connection::{Connection, Failed};
use super::fault::{Fault, Phase};
use super::row::Prepared;
use super::schema;
use super::statements::Statements;
use super::target::Target;
use super::write::write;
use crate::sink::columns::Columns;
use crate::sink::{Effect, SinkError, UNANSWERED, Write};

/// A batch whose transaction gave way to another writer is written so often before its rows hear
/// of it. It waits for that writer's locks each time.
const GIVES_WAY: u32 = 5;

type Answer = Result<Effect, SinkError>;

/// The connections, and how a batch is written through one of them.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) target: Target,
    statements: Statements,
    columns: Columns,
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
    /// The folder of a SQLite file was made, once: one that goes later took acknowledged rows with
    /// it, and is not made again without a word.
    folder: OnceCell<()>,
}

impl Pool {
    /// A pool of so many connections. Each is made when it is first needed.
    pub(super) fn new(target: Target, columns: Columns, connections: usize) -> Self {
        Self {
            statements: Statements::new(target.dialect(), &columns),
            columns,
            target,
            permits: Semaphore::new(connections),
            idle: Mutex::new(Vec::new()),
            folder: OnceCell::new(),
        }
    }

    /// The columns of the mapping.
    pub(super) fn columns(&self) -> &Columns {
        &self.columns
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A panic under this lock cannot leave the list half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes `batch`; an answer for each, in the same order, after its transaction is committed.
    pub(super) async fn write(&self, batch: &[Write]) -> Vec<Answer> {
        let mut answers: Vec<Answer> = vec![Err(UNANSWERED); batch.len()];
        let mut say = |place: usize, answer: Answer| {
            if let Some(slot) = answers.get_mut(place) {
                *slot = answer;
            }
        };
        let mut rows = Vec::with_capacity(batch.len());
        for (place, write) in batch.iter().enumerate() {
            match Prepared::of(write, place, &self.columns) {
                Ok(prepared) => rows.push(prepared),
                Err(error) => say(place, Err(error)),
            }
        }
        // No one closes the semaphore.
        let _permit = self.permits.acquire().await;
        while !rows.is_empty() {
            let (mut part, later) = once_each(rows);
            // Every writer locks in this order.
            part.sort_unstable_by_key(|prepared| prepared.key);
            self.settle(part, &mut say).await;
            rows = later;
        }
        answers
    }

    async fn settle(&self, batch: Vec<Prepared<'_>>, say: &mut impl FnMut(usize, Answer)) {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            match self.transact(&part).await {
                Ok(effects) => {
                    for (prepared, effect) in part.iter().zip(effects) {
                        say(prepared.place, Ok(effect));
                    }
                }
                Err(fault) if fault.of_a_record && part.len() > 1 => {
                    let half = part.split_off(part.len() / 2);
                    parts.push(half);
                    parts.push(part);
                }
                Err(fault) => {
                    // The target's failure is everybody's; a record's is its own.
                    if !fault.of_a_record {
                        part.extend(parts.drain(..).flatten());
                    }
                    for prepared in part {
                        say(prepared.place, Err(fault.error.clone()));
                    }
                }
            }
        }
    }

    /// One transaction, written again where that is no record's matter.
    async fn transact(&self, part: &[Prepared<'_>]) -> Result<Vec<Effect>, Fault> {
        let mut gave_way = 0;
        loop {
            let idle = self.idle().pop();
            let kept = idle.is_some();
            let mut connection = match idle {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            let written = write(&mut connection, &self.statements, &self.columns, part);
            let broken = match written.await {
                Ok(effects) => {
                    self.idle().push(connection);
                    return Ok(effects);
                }
                Err(broken) => broken,
            };
            let fault = Fault::of(&broken.failed, broken.phase);
            if fault.lost {
                if matches!(broken.failed, Failed::Moved) {
                    // Its files are let go before others of these names are opened.
                    connection.close().await;
                } else {
                    drop(connection);
                }
                // A kept connection that died of idleness says nothing about the server now.
                let idled = kept && broken.phase == Phase::Begin;
                if !idled || matches!(broken.failed, Failed::Timeout) {
                    return Err(fault);
                }
                continue;
            }
            if connection.roll_back().await.is_ok() {
                self.idle().push(connection);
            }
            gave_way += 1;
            if !fault.gave_way || gave_way >= GIVES_WAY {
                return Err(fault);
            }
        }
    }

    /// A connection whose tables are as this program knows them, and have the mapping's columns.
    async fn connect(&self) -> Result<Connection, Fault> {
        let ready = async {
            let made = self.folder.get_or_try_init(|| self.target.make_folder());
            // Where it cannot be made, SQLite says what is wrong with the file.
            made.await.ok();
            let mut connection = Connection::open(&self.target).await?;
            match schema::migrate(&mut connection).await? {
                schema::VERSION => columns::settle(&mut connection, &self.columns).await?,
                newer => return Err(Failed::Newer(newer)),
            }
            Ok(connection)
        };
        ready
            .await
            .map_err(|failed| Fault::of(&failed, Phase::Connect))
    }
}

/// The first write of each subject, and the rest in the order in which it came.
fn once_each(rows: Vec<Prepared<'_>>) -> (Vec<Prepared<'_>>, Vec<Prepared<'_>>) {
    let mut keys = HashSet::with_capacity(rows.len());
    rows.into_iter()
        .partition(|prepared| keys.insert(prepared.key))
}
