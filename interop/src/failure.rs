//! The error type of this crate: a sentence, to which each caller adds what it was doing.

use std::fmt::{self, Display, Formatter};

/// Why a case failed, outermost circumstance first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

/// The result of everything in this crate that can fail.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// Makes a failure out of a sentence.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// Puts `circumstance` before the reason.
    #[must_use]
    pub fn during(self, circumstance: impl Display) -> Self {
        Self(format!("{circumstance}: {}", self.0))
    }

    /// Appends `evidence`, captured output for example, on lines of its own.
    #[must_use]
    pub fn with_evidence(self, evidence: impl Display) -> Self {
        Self(format!("{}\n{evidence}", self.0))
    }
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}
