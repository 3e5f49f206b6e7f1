//! The senders, a process of their own: as fast as they are answered, or at a rate.
//!
//! At a rate, request number `n` is due at `n / rate` whatever was answered by then, on whichever
//! connection is free. Its latency counts from that time, so that what a slow answer holds up is
//! counted, too.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::connection::{Connection, request};
use super::{CONNECTIONS, PACED_SECONDS, SECONDS};

/// How long the pacer sleeps at least: a request is sent so much late at most on a quiet machine.
const TICK: Duration = Duration::from_micros(100);
/// For the connections to be made.
const AHEAD: Duration = Duration::from_millis(200);

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}

async fn send_until(until: Instant, mut connection: Connection) -> u64 {
    let mut accepted = 0;
    while Instant::now() < until {
        connection.send().await;
        accepted += 1;
    }
    accepted
}

/// Every connection sends when it is answered. Prints how many were accepted.
pub(crate) fn saturate(address: SocketAddr) {
    let request = request();
    block_on(async {
        let until = Instant::now() + Duration::from_secs(SECONDS);
        let mut all = Vec::new();
        for _ in 0..CONNECTIONS {
            let connection = Connection::new(address, &request).await;
            all.push(tokio::spawn(send_until(until, connection)));
        }
        let mut accepted = 0;
        for one in all {
            accepted += one.await.unwrap();
        }
        println!("{accepted}");
    });
}

/// What is due, and what of it is taken.
struct Schedule {
    begin: Instant,
    every: Duration,
    requests: u32,
    /// One permit for each request that is due.
    due: Semaphore,
    taken: AtomicU32,
}

impl Schedule {
    fn at(&self, number: u32) -> Instant {
        self.begin + self.every * number
    }

    /// Tells what is due, until all of it is. A timer of tokio is no finer than a millisecond, so a
    /// thread of its own keeps the time.
    fn keep(&self) {
        let mut told = 0;
        while told < self.requests {
            let wait = self.at(told).saturating_duration_since(Instant::now());
            std::thread::sleep(wait.max(TICK));
            let (now, mut more) = (Instant::now(), 0);
            while told < self.requests && self.at(told) <= now {
                told += 1;
                more += 1;
            }
            self.due.add_permits(more);
        }
        // No one waits when all is taken.
        self.due.add_permits(CONNECTIONS);
    }

    /// Sends what is due, one after the other. Returns the latencies.
    async fn take(self: Arc<Self>, mut connection: Connection) -> Vec<Duration> {
        let mut latencies = Vec::new();
        loop {
            self.due.acquire().await.unwrap().forget();
            let number = self.taken.fetch_add(1, Ordering::Relaxed);
            if number >= self.requests {
                return latencies;
            }
            connection.send().await;
            latencies.push(Instant::now() - self.at(number));
        }
    }
}

/// So many requests a second. Prints the rate reached, and p50, p99 and p99.9 in milliseconds.
pub(crate) fn pace(address: SocketAddr, rate: u32) {
    let request = request();
    block_on(async {
        let requests = rate * PACED_SECONDS;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::new(address, &request).await);
        }
        let schedule = Arc::new(Schedule {
            begin: Instant::now() + AHEAD,
            every: Duration::from_secs(1) / rate,
            requests,
            due: Semaphore::new(0),
            taken: AtomicU32::new(0),
        });
        let pacer = Arc::clone(&schedule);
        let pacer = std::thread::spawn(move || pacer.keep());
        let all = connections
            .into_iter()
            .map(|connection| tokio::spawn(Arc::clone(&schedule).take(connection)))
            .collect::<Vec<_>>();
        let mut latencies = Vec::new();
        for one in all {
            latencies.extend(one.await.unwrap());
        }
        let took = schedule.begin.elapsed();
        pacer.join().unwrap();
        latencies.sort_unstable();
        assert_eq!(u32::try_from(latencies.len()).unwrap(), requests);
        print!("{}", f64::from(requests) / took.as_secs_f64());
        for part in [500, 990, 999] {
            let latency = latencies.get(latencies.len() * part / 1000).unwrap();
            print!(" {}", latency.as_secs_f64() * 1e3);
        }
        println!();
    });
}
