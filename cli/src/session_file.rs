//! The client's session in a file.

use crate::problem::Problem;
use sealgram::ClientConfig;
use sealgram::pki_types::ServerName;
use sealgram::session::Session;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// Offers the session in `file` to `server`.
pub(crate) fn read(
    file: &Path,
    config: &ClientConfig,
    server: &ServerName<'_>,
) -> Result<(), Problem> {
    let unusable = |reason: &dyn std::fmt::Display| {
        Problem::usage(format!("--session-in {}: {reason}", file.display()))
    };
    let bytes = fs::read(file).map_err(|error| unusable(&error))?;
    let session = Session::from_bytes(&bytes).map_err(|error| unusable(&error))?;
    config
        .import_session(server, session)
        .map_err(|error| unusable(&error))
}

/// Writes the session, readable for this user only.
pub(crate) fn write(file: &Path, session: &Session) -> Result<(), Problem> {
    let written = create(file).and_then(|mut out| out.write_all(&session.to_bytes()));
    written.map_err(|error| {
        Problem::failure(format!(
            "--session-out {} cannot be written: {error}",
            file.display()
        ))
    })
}

fn create(file: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}
