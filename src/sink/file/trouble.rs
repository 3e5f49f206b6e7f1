//! What can be wrong with the directory, and what that means for what is to be delivered.

use std::io;

use crate::sink::SinkError;
use crate::sink::directory::is_lasting;

/// Why nothing was appended.
#[derive(Debug)]
pub enum Trouble {
    /// Another process has the directory.
    InUse,
    /// The file system.
    Io(io::Error),
    /// The thread that wrote ended: no one knows what it wrote.
    Ended,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Trouble> for SinkError {
    fn from(trouble: Trouble) -> Self {
        let systemic = |code: String, remedy: &str| Self::Systemic {
            code,
            remedy: remedy.to_owned(),
        };
        match trouble {
            Trouble::InUse => systemic(
                "in_use".to_owned(),
                "another process writes to the sink's `dir`; stop it, or give each a `dir` of its \
                 own",
            ),
            Trouble::Io(error) if is_lasting(error.kind()) => systemic(
                format!("{:?}", error.kind()),
                "make the sink's `dir` a directory that this process may write to",
            ),
            // No record is to blame, and what was written is cut off again.
            Trouble::Io(error) => Self::Retryable {
                code: format!("{:?}", error.kind()),
                ambiguous: false,
                outage: true,
            },
            Trouble::Ended => Self::Retryable {
                code: "writer_ended".to_owned(),
                ambiguous: true,
                outage: true,
            },
        }
    }
}
