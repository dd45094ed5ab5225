//! Secrets for debuggers: the NSS key log format.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

/// Receives the secrets of each session, so that a tool such as Wireshark can decrypt a capture.
///
/// Anybody who can read the log can read the traffic: never install one in production.
pub trait KeyLog: Send + Sync + fmt::Debug {
    /// One secret: a label such as `CLIENT_RANDOM`, the client's random, and the secret itself.
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]);
}

/// Appends to the file that the environment variable `SSLKEYLOGFILE` names; does nothing if it is
/// not set.
///
/// A file that cannot be written is reported once by `tracing` and then ignored.
#[derive(Debug)]
pub struct KeyLogFile {
    file: Mutex<Option<File>>,
}

impl KeyLogFile {
    /// Opens the file that the environment names now.
    pub fn from_env() -> Self {
        let path = std::env::var_os("SSLKEYLOGFILE").map(PathBuf::from);
        Self {
            file: Mutex::new(path.and_then(|path| Self::open(&path))),
        }
    }

    /// Opens `path`.
    pub fn new(path: &std::path::Path) -> Self {
        Self {
            file: Mutex::new(Self::open(path)),
        }
    }

    fn open(path: &std::path::Path) -> Option<File> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .inspect_err(|error| tracing::warn!(%error, "the key log cannot be opened"))
            .ok()
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        // A thread that panicked while it held the lock leaves the file usable.
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(open) = file.as_mut() else { return };
        let line = format!("{label} {} {}\n", Hex(client_random), Hex(secret));
        if let Err(error) = open.write_all(line.as_bytes()) {
            tracing::warn!(%error, "the key log cannot be written; no more is written to it");
            *file = None;
        }
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
