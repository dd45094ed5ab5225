//! How long records are: record_size_limit (RFC 8449) and max_fragment_length (RFC 6066 §4), read
//! from what passes between the programs.

mod programs;
mod tap;
mod wire;

use std::env;
use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::case::VERBOSE;
use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::loss::{Direction, Loss};
use crate::peer::{Role, Transport};
use crate::pki::Pki;
use crate::process::Process;
use crate::proxy::Proxy;
use crate::rekeying::wait_for_event;
use programs::Programs;
use tap::Tap;
use wire::Seen;

/// A foreign stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// GnuTLS, which announces what each end takes.
    GnuTls,
    /// OpenSSL, Debian's program, whose client asks for one length in both directions.
    OpenSsl,
    /// Mbed TLS 2.28, the same.
    Mbed,
    /// wolfSSL, the same, over DTLS.
    Wolf,
}

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 1.2.
    V12,
    /// 1.3.
    V13,
}

/// What both ends want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// By record_size_limit: we take [`OURS`], they take [`THEIRS`].
    Size,
    /// As `Size`, and their client offers version 1.3 as well.
    SizeOfBothVersions,
    /// The client asks for this length by max_fragment_length.
    Fragment(usize),
}

/// One case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The other program.
    pub stack: Stack,
    /// Our program's role.
    pub role: Role,
    /// What carries the records.
    pub transport: Transport,
    /// The only version.
    pub version: Version,
    /// What is wanted.
    pub limit: Limit,
    /// The choice of losses, if a tenth of all datagrams is lost.
    pub seed: Option<u64>,
}

impl Display for Case {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (stack, role, limit) = (self.stack, self.role, self.limit);
        let (transport, version) = (self.transport, self.version);
        write!(
            formatter,
            "{stack:?}/our-{role:?}/{transport:?}/{version:?}/{limit:?}"
        )?;
        match self.seed {
            Some(seed) => write!(formatter, "/seed-{seed}"),
            None => Ok(()),
        }
    }
}

impl Case {
    /// Every case with this stack, those over datagrams with losses too. What it cannot do is
    /// printed with its reason.
    #[must_use]
    pub fn all(stack: Stack) -> Vec<Self> {
        let limits: &[Limit] = match stack {
            Stack::GnuTls => &[Limit::Size],
            _ => &[Limit::Fragment(512), Limit::Fragment(1024)],
        };
        let mut cases = Vec::new();
        for transport in [Transport::Dtls, Transport::Tls] {
            for version in [Version::V12, Version::V13] {
                if let Some(reason) = lacks(stack, transport, version) {
                    println!("empty: {stack:?}, {transport:?} {version:?}: {reason}");
                    continue;
                }
                for role in [Role::Client, Role::Server] {
                    for &limit in limits {
                        let case = Self {
                            stack,
                            role,
                            transport,
                            version,
                            limit,
                            seed: None,
                        };
                        let seeds = [1, 2, 3].map(Some);
                        cases.push(case);
                        if let Some((_, reason)) = refusal(&case) {
                            println!("empty, but tried: {case}: {reason}");
                        } else if transport == Transport::Dtls {
                            cases.extend(seeds.map(|seed| Self { seed, ..case }));
                        }
                    }
                }
            }
        }
        if stack == Stack::GnuTls {
            let both = Self {
                stack,
                role: Role::Server,
                transport: Transport::Tls,
                version: Version::V12,
                limit: Limit::SizeOfBothVersions,
                seed: None,
            };
            println!("empty, but tried: {both}: {}", GNUTLS_COUNTS_AS_1_3);
            cases.push(both);
        }
        cases
    }

    /// The most data that a record in this direction may have.
    fn most(&self, direction: Direction) -> usize {
        let to_us = match self.role {
            Role::Client => Direction::ToClient,
            Role::Server => Direction::ToServer,
        };
        match self.limit {
            // We count the type within a record of version 1.3 (RFC 8446 §5.4); others do not.
            Limit::Fragment(length) if self.version == Version::V13 && direction != to_us => {
                length - 1
            }
            Limit::Fragment(length) => length,
            Limit::Size | Limit::SizeOfBothVersions if direction == to_us => OURS,
            Limit::Size | Limit::SizeOfBothVersions => THEIRS,
        }
    }
}

/// Why a stack does not have this.
fn lacks(stack: Stack, transport: Transport, version: Version) -> Option<&'static str> {
    match (stack, transport, version) {
        (Stack::GnuTls | Stack::OpenSsl, Transport::Dtls, Version::V13) => {
            Some("it has no DTLS 1.3")
        }
        (Stack::Mbed, _, Version::V13) => Some("version 2.28 has no 1.3"),
        (Stack::Wolf, Transport::Tls, _) => Some("its program speaks DTLS"),
        _ => None,
    }
}

/// What a stack says that refuses this, and why: a case that is tried all the same, and fails when
/// it does not say so.
fn refusal(case: &Case) -> Option<(&'static str, &'static str)> {
    match (
        case.stack,
        case.role,
        case.transport,
        case.version,
        case.limit,
    ) {
        (Stack::Wolf, Role::Client, _, Version::V13, Limit::Fragment(512)) => Some((
            "error handshake: -132",
            "its server of DTLS 1.3 ends with 512, with its own client too",
        )),
        (Stack::Mbed, Role::Server, Transport::Tls, _, Limit::Fragment(512)) => Some((
            "error -0x7080 the handshake",
            "it takes no messages over TCP that are cut, as ours are to fill a record",
        )),
        (.., Limit::SizeOfBothVersions) => Some((
            "A TLS record packet with invalid length was received.",
            GNUTLS_COUNTS_AS_1_3,
        )),
        _ => None,
    }
}

const GNUTLS_COUNTS_AS_1_3: &str = "its client that offers version 1.3 announces one byte more, \
     for the type within a record, and does not take it at version 1.2";

/// What lies between the two.
enum Path {
    Datagrams(Proxy),
    Stream(Tap),
}

impl Path {
    fn start(case: &Case, server: SocketAddr) -> Outcome<Self> {
        if case.transport == Transport::Tls {
            return Ok(Self::Stream(Tap::start(server)?));
        }
        let loss = match case.seed {
            None => Loss::NONE,
            Some(seed) => Loss::of(case, 10, seed),
        };
        Ok(Self::Datagrams(Proxy::start(server, loss)?))
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Datagrams(proxy) => proxy.address(),
            Self::Stream(tap) => tap.address(),
        }
    }

    /// The records of a direction.
    fn seen(&self, case: &Case, direction: Direction) -> Outcome<Vec<Seen>> {
        let pieces = match self {
            Self::Stream(tap) => vec![tap.captured(direction)],
            Self::Datagrams(proxy) => {
                let captured = proxy.captured().into_iter();
                let of_direction = captured.filter(|it| it.direction == direction);
                of_direction.map(|it| it.bytes).collect()
            }
        };
        wire::read(case.transport, case.version, &pieces)
    }
}

/// Runs a case: a handshake with a chain above 3 kB, a record as long as may be in each direction,
/// or as many as it takes.
///
/// # Errors
///
/// When an end says something else than the case wants, or a record has another length.
pub fn run(case: &Case, pki: &Pki) -> Outcome<String> {
    let deadline = Deadline::after(LIMIT);
    let programs = Programs { case, pki };
    let (mut server, port) = programs.start_server(deadline)?;
    let path = Path::start(case, ([127, 0, 0, 1], port).into())?;
    let mut client = Process::spawn("client", programs.client(path.address())?)?;
    if let Some((said, reason)) = refusal(case) {
        return refused(case, said, &mut client, &mut server, deadline)
            .map(|()| reason.to_owned())
            .map_err(|it| it.with_evidence(format!("{}{}", client.evidence(), server.evidence())));
    }
    let directions = [Direction::ToServer, Direction::ToClient];
    let outcome = exchange(&programs, &mut client, &mut server, deadline).and_then(|()| {
        // The last record may still be on its way to the proxy.
        thread::sleep(SETTLE);
        let seen = |direction| path.seen(case, direction);
        directions
            .into_iter()
            .try_for_each(|it| check(case, it, &seen(it)?))
    });
    outcome.map_err(|failure| {
        let proxy = match &path {
            Path::Datagrams(proxy) => proxy.evidence(),
            Path::Stream(_) => String::new(),
        };
        failure.with_evidence(format!("{}{}{proxy}", client.evidence(), server.evidence()))
    })?;
    if env::var_os(VERBOSE).is_some() {
        return Ok(match &path {
            Path::Datagrams(proxy) => format!("\n{}", proxy.evidence()),
            Path::Stream(_) => String::new(),
        });
    }
    Ok(String::new())
}

/// The foreign end says that it refuses; a client does so when it has come to data.
fn refused(
    case: &Case,
    said: &str,
    client: &mut Process,
    server: &mut Process,
    deadline: Deadline,
) -> Outcome<()> {
    if case.limit == Limit::SizeOfBothVersions {
        wait_for_event(server, "its handshake", deadline, |event| {
            event.name() == "handshake_complete"
        })?;
        server.write(format!("{}\n", "w".repeat(2 * THEIRS)).as_bytes())?;
    }
    let theirs = match case.role {
        Role::Client => server,
        Role::Server => client,
    };
    theirs.wait_for(said, deadline, |transcript| {
        let mut lines = transcript.stdout_lines().chain(transcript.stderr_lines());
        lines.any(|line| line.contains(said)).then_some(())
    })
}

fn exchange(
    programs: &Programs<'_>,
    client: &mut Process,
    server: &mut Process,
    deadline: Deadline,
) -> Outcome<()> {
    let case = programs.case;
    let ours = match case.role {
        Role::Client => &*client,
        Role::Server => &*server,
    };
    let event = wait_for_event(ours, "its handshake", deadline, |event| {
        event.name() == "handshake_complete"
    })?;
    let [up, down] = [Direction::ToServer, Direction::ToClient].map(|it| case.most(it));
    let (sent, received) = match case.role {
        Role::Client => (up, down),
        Role::Server => (down, up),
    };
    let told = |key| event.value(key).and_then(|it| it.parse().ok());
    if (told("record_sent"), told("record_received")) != (Some(sent), Some(received)) {
        let wanted = format!("{sent} and {received} were wanted: {event:?}");
        return Err(Failure::new(wanted));
    }
    let theirs = match case.role {
        Role::Client => &*server,
        Role::Server => &*client,
    };
    for said in programs.said() {
        theirs.wait_for(&said, deadline, |transcript| {
            let mut lines = transcript.stdout_lines().chain(transcript.stderr_lines());
            lines.any(|line| line.contains(&said)).then_some(())
        })?;
    }
    for step in programs.conversation() {
        let from = match step.from {
            Role::Client => &mut *client,
            Role::Server => &mut *server,
        };
        from.write(&step.bytes)?;
        let Some((to, shown)) = &step.shown else {
            continue;
        };
        // A datagram may be lost.
        loop {
            let process = match to {
                Role::Client => &*client,
                Role::Server => &*server,
            };
            let soon = deadline.at_most(PATIENCE);
            let seen = process.wait_for("the line", soon, |transcript| {
                transcript.stdout_after(0, shown)
            });
            match seen {
                Ok(_) => break,
                Err(failure) if deadline.has_passed() => return Err(failure),
                Err(_) => {}
            }
            match step.from {
                Role::Client => client.write(&step.bytes)?,
                Role::Server => server.write(&step.bytes)?,
            }
        }
    }
    Ok(())
}

/// No record has more data than it may, and one has as much as it may.
fn check(case: &Case, direction: Direction, seen: &[Seen]) -> Outcome<()> {
    // The type within a record of version 1.3 is encrypted too; for record_size_limit a stack
    // announces one more because of it (RFC 8449 §4).
    let most = match case.version {
        Version::V12 => case.most(direction),
        Version::V13 => case.most(direction) + 1,
    };
    let longest = |protected: bool| {
        let records = seen.iter().filter(|it| it.protected == protected);
        records.map(|it| it.data).max()
    };
    if longest(true) != Some(most) {
        let found = format!(
            "{direction}: the longest record of {most}: {:?}",
            longest(true)
        );
        return Err(Failure::new(found));
    }
    // RFC 8449 §4 leaves out what is not protected; RFC 6066 §4 does not, once it is agreed on,
    // which it is when a server sends more than its hello, at version 1.3 in a protected record.
    let fragments = matches!(case.limit, Limit::Fragment(_)) && case.version == Version::V12;
    let limited = fragments && direction == Direction::ToClient;
    if limited && longest(false).is_some_and(|it| it > case.most(direction)) {
        let found = format!(
            "{direction}: a plain record is too long: {:?}",
            longest(false)
        );
        return Err(Failure::new(found));
    }
    Ok(())
}

/// The most data that our end takes in a record, in bytes: less than what `gnutls-serv` echoes at
/// once.
pub const OURS: usize = 200;

/// The most data that a foreign end takes in a record, in bytes, where it can say so.
pub const THEIRS: usize = 700;

/// How long to wait for a line before it is sent again.
const PATIENCE: Duration = Duration::from_secs(1);

const SETTLE: Duration = Duration::from_millis(200);

const LIMIT: Duration = Duration::from_secs(60);
