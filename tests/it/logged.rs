//! What is logged on the thread of a test.

use std::io;
use std::sync::{Arc, Mutex, Once};

use tracing::Level;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// Keeps the lines until it is dropped.
pub(crate) struct Logged {
    lines: Lines,
    _logging: DefaultGuard,
}

impl Logged {
    /// From now on, down to a level.
    pub(crate) fn down_to(level: Level) -> Self {
        static EVERYWHERE: Once = Once::new();
        // A line that other threads meet first, where no one listens, would be off for all.
        EVERYWHERE.call_once(|| {
            tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
        });
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(level)
            .with_writer(lines.clone());
        Self {
            lines,
            _logging: tracing::subscriber::set_default(subscriber.finish()),
        }
    }

    /// All lines so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }
}

#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
