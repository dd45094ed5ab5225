//! Connection IDs (RFC 9146 at version 1.2, RFC 9147 §9 at 1.3) through a proxy that changes the
//! client's port: what is tried, and how one case runs.
//!
//! ```text
//!   handshake ----- which IDs do the ends report, and do the records carry them?
//!   line, line
//!   the client's port changes, if the case has that
//!   line, line ---- where do the server's datagrams go now?
//!   renegotiation (1.2) or key update (1.3)
//!   line, line ---- the same questions again
//!   close
//! ```
//!
//! A server of `interop/peers` sends to wherever the newest datagram came from (`--follow`), which
//! is a policy of the program. What ours does is a setting of the case.

mod ends;
mod matrix;
mod resumption;
mod wire;

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::loss::{Direction, Loss};
use crate::peer::Role;
use crate::pki::Pki;
use crate::proxy::{OldPort, Proxy};
use ends::{Ends, Identity};
pub use matrix::{all, empty, lossy, resumed};
use wire::Carried;

/// A program that has connection IDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// Ours.
    Sealgram,
    /// wolfSSL.
    Wolf,
    /// Mbed TLS 3.5, which has them at version 1.2 only.
    Mbed,
}

/// The version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// DTLS 1.2, with its own content type for records that carry a connection ID.
    V12,
    /// DTLS 1.3, with a bit in the header.
    V13,
}

/// When a server believes that its client has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrate {
    /// Never: `--migrate never`.
    Never,
    /// When the client has answered a challenge at the new address: our default.
    Validated,
    /// When the newest record came from there: `--migrate newest`, and `--follow` of the others.
    Newest,
}

/// What happens to the client's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Nothing.
    Stays,
    /// It changes.
    Moves(OldPort, Migrate),
}

/// How a session is resumed at version 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// By session ID.
    Id,
    /// By ticket (RFC 5077).
    Ticket,
}

/// One case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The program that connects.
    pub client: Stack,
    /// The program that listens.
    pub server: Stack,
    /// What they speak.
    pub version: Version,
    /// The length of the connection ID that the client receives, in bytes; it wants none if 0.
    pub client_id: usize,
    /// The same for the server.
    pub server_id: usize,
    /// What the proxy does.
    pub path: Path,
    /// The end that starts the renegotiation or the key update, if there is one.
    pub refresh: Option<Role>,
    /// How the client comes back when the first association has ended, if it does.
    pub resume: Option<Resume>,
    /// What the path loses.
    pub loss: Loss,
}

impl Display for Case {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:?}-to-{:?}/{:?}/client-{}/server-{}/",
            self.client, self.server, self.version, self.client_id, self.server_id
        )?;
        match self.path {
            Path::Stays => write!(formatter, "stays")?,
            Path::Moves(old, migrate) => write!(formatter, "moves-old-{old:?}-{migrate:?}")?,
        }
        if let Some(role) = self.refresh {
            write!(formatter, "/{role:?}-refreshes")?;
        }
        if let Some(resume) = self.resume {
            write!(formatter, "/resumes-by-{resume:?}")?;
        }
        if self.loss.percent > 0 {
            write!(
                formatter,
                "/loss-{}-seed-{}",
                self.loss.percent, self.loss.seed
            )?;
        }
        Ok(())
    }
}

impl Case {
    const fn stack(&self, role: Role) -> Stack {
        match role {
            Role::Client => self.client,
            Role::Server => self.server,
        }
    }

    const fn id_length(&self, role: Role) -> usize {
        match role {
            Role::Client => self.client_id,
            Role::Server => self.server_id,
        }
    }

    /// Whether this end has another connection ID after a renegotiation, or a resumption. wolfSSL
    /// gives the one that it has, and ends (-454) when its peer's is not what it was.
    fn renews(&self, role: Role) -> bool {
        self.version == Version::V12
            && self.stack(role) != Stack::Wolf
            && self.stack(other(role)) != Stack::Wolf
            && self.id_length(role) > 0
    }
}

/// Runs a case.
///
/// # Errors
///
/// When any check fails; the error has the output of both programs.
pub fn run(case: &Case, pki: &Pki) -> Outcome<String> {
    let deadline = Deadline::after(LIMIT);
    let mut ends = Ends::start(case, pki, deadline)?;
    steps(case, &mut ends, pki, deadline).map_err(|failure| ends.blame(failure))?;
    Ok(String::new())
}

fn steps(case: &Case, ends: &mut Ends, pki: &Pki, deadline: Deadline) -> Outcome<()> {
    let before = ends.identities(case, 1, deadline)?;
    ends.exchange("before", deadline)?;
    check_records(case, &ends.proxy, &before)?;
    if let Path::Moves(old, migrate) = case.path {
        move_client(ends, old, migrate, deadline)?;
    }
    if let Some(role) = case.refresh {
        refresh(case, ends, role, &before, deadline)?;
    }
    ends.close(case, deadline)?;
    match case.resume {
        Some(_) => resumption::come_back(case, ends, pki, &before, deadline),
        None => Ok(()),
    }
}

/// Renegotiates or updates the keys, and checks that both directions have new ones.
fn refresh(
    case: &Case,
    ends: &mut Ends,
    by: Role,
    before: &Identities,
    deadline: Deadline,
) -> Outcome<()> {
    ends.refresh(case.version, by)?;
    for round in 0.. {
        // A request for new keys is answered before the next data, which may have crossed it.
        ends.exchange(&format!("refreshed {round}"), deadline)?;
        if are_new(case, &ends.proxy)? {
            break;
        }
        if deadline.has_passed() {
            return Err(Failure::new("the keys stay as they are"));
        }
    }
    let after = match case.version {
        Version::V12 => ends.identities(case, 2, deadline)?,
        Version::V13 => before.clone(),
    };
    check_renewal(case, before, &after)?;
    check_records(case, &ends.proxy, &before.and(&after))?;
    check_latest(case, &ends.proxy, &after)
}

/// Each end has another connection ID than before, or the same, as the case says.
fn check_renewal(case: &Case, before: &Identities, after: &Identities) -> Outcome<()> {
    for role in [Role::Client, Role::Server] {
        let changes = before.of(role) != after.of(role);
        if changes != case.renews(role) {
            return Err(Failure::new(format!(
                "{role:?} receives {:02x?} after {:02x?}",
                after.of(role),
                before.of(role)
            )));
        }
    }
    Ok(())
}

/// Whether records of both directions have had new keys.
fn are_new(case: &Case, proxy: &Proxy) -> Outcome<bool> {
    let first = match case.version {
        Version::V12 => 1,
        Version::V13 => 3,
    };
    for role in [Role::Client, Role::Server] {
        let records = carried(case, proxy, role)?;
        if !records.iter().any(|record| record.epoch > first) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Changes the client's port, and checks where the server sends then.
fn move_client(ends: &mut Ends, old: OldPort, migrate: Migrate, deadline: Deadline) -> Outcome<()> {
    let left = ends.proxy.port();
    let port = ends.proxy.rebind(old)?;
    ends.exchange("moved", deadline)?;
    ends.wait_for_path(migrate, left, port, deadline)?;
    ends.exchange("settled", deadline)?;
    let wanted = match migrate {
        Migrate::Never => left,
        Migrate::Validated | Migrate::Newest => port,
    };
    let captured = ends.proxy.captured();
    let answer = captured
        .iter()
        .rfind(|captured| captured.direction == Direction::ToClient);
    match answer.map(|captured| captured.port) {
        Some(port) if port == wanted => Ok(()),
        other => Err(Failure::new(format!(
            "the server's latest datagram went to {other:?} instead of {wanted}"
        ))),
    }
}

/// Every protected record, the Finished included, carries a connection ID of its receiver, or none
/// if that wants none.
fn check_records(case: &Case, proxy: &Proxy, identities: &Identities) -> Outcome<()> {
    for role in [Role::Client, Role::Server] {
        let known = identities.of(role);
        let records = carried(case, proxy, role)?;
        if records.is_empty() {
            return Err(Failure::new(format!("{role:?} was sent nothing protected")));
        }
        if let Some(stranger) = records.iter().find(|record| !known.contains(&record.id)) {
            return Err(Failure::new(format!(
                "{role:?} was sent {stranger:02x?}, and is one of {known:02x?}"
            )));
        }
    }
    Ok(())
}

/// The records of the latest keys carry the latest connection IDs.
fn check_latest(case: &Case, proxy: &Proxy, identities: &Identities) -> Outcome<()> {
    for role in [Role::Client, Role::Server] {
        let records = carried(case, proxy, role)?;
        let epoch = records.iter().map(|record| record.epoch).max();
        let latest = |record: &&Carried| Some(record.epoch) == epoch;
        let known = |record: &Carried| identities.of(role).contains(&record.id);
        if let Some(late) = records.iter().filter(latest).find(|it| !known(it)) {
            return Err(Failure::new(format!(
                "{role:?} was sent {late:02x?} under its latest keys: {identities:02x?}"
            )));
        }
    }
    Ok(())
}

/// All protected records that were sent to `role`.
fn carried(case: &Case, proxy: &Proxy, role: Role) -> Outcome<Vec<Carried>> {
    let direction = match role {
        Role::Client => Direction::ToClient,
        Role::Server => Direction::ToServer,
    };
    let mut all = Vec::new();
    for captured in proxy.captured() {
        if captured.direction == direction {
            all.extend(wire::carried(&captured.bytes, case.id_length(role))?);
        }
    }
    Ok(all)
}

/// The connection IDs of both ends.
#[derive(Debug, Clone)]
struct Identities {
    client: Vec<Identity>,
    server: Vec<Identity>,
}

impl Identities {
    fn of(&self, role: Role) -> &[Identity] {
        match role {
            Role::Client => &self.client,
            Role::Server => &self.server,
        }
    }

    fn and(&self, later: &Self) -> Self {
        Self {
            client: [&self.client[..], &later.client].concat(),
            server: [&self.server[..], &later.server].concat(),
        }
    }
}

const fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// How long a case may take. With losses the handshake alone can take half of that.
const LIMIT: Duration = Duration::from_secs(90);
