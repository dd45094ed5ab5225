//! Standard output, for received data.

use crate::problem::Problem;
use std::io::{self, Write as _};

/// Writes `data` unchanged, at once.
pub(crate) fn write(data: &[u8]) -> Result<(), Problem> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(data)
        .and_then(|()| stdout.flush())
        .map_err(|error| Problem::failure(format!("standard output cannot be written: {error}")))
}
