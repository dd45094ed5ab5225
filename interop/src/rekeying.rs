//! Renegotiations and resumptions with a foreign peer: who begins, and what the result must be.

use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::time::Duration;

use crate::algorithm::{Aead, Group, KeyType, Suite};
use crate::association::{Association, Delivery, Route};
use crate::audit::audit;
use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::loss::{Direction, Loss};
use crate::peer::{Implementation, Role, Service, Settings, Transport};
use crate::pki::{Chain, Pki};
use crate::process::Process;
use crate::sealgram::{Event, events};

/// What begins a renegotiation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// `R` at our client: a full handshake.
    OurClient,
    /// `r` at our client: an abbreviated one.
    OurClientAbbreviated,
    /// `R` at our server: a HelloRequest.
    OurServer,
    /// `R` at `openssl s_client`.
    OpenSslClient,
    /// `r` at `openssl s_server`: a HelloRequest.
    OpenSslServer,
    /// `gnutls-cli --rehandshake`, after the first handshake.
    GnuTlsClient,
    /// A line that makes `gnutls-serv` send a HelloRequest.
    GnuTlsServer,
    /// `R` at a client of `peers/`.
    PeerClient,
    /// `R` at a server of `peers/`: a HelloRequest.
    PeerServer,
}

/// One combination of peer, role, transport and trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Case {
    /// What carries the records.
    pub transport: Transport,
    /// The other program.
    pub foreign: Implementation,
    /// What begins.
    pub trigger: Trigger,
    /// Whether there are tickets.
    pub tickets: bool,
}

/// The required kind of a renegotiation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Full,
    Resumed,
    /// The foreign client decides, which may depend on its version.
    Either,
}

impl Trigger {
    const ALL: [Self; 9] = [
        Self::OurClient,
        Self::OurClientAbbreviated,
        Self::OurServer,
        Self::OpenSslClient,
        Self::OpenSslServer,
        Self::GnuTlsClient,
        Self::GnuTlsServer,
        Self::PeerClient,
        Self::PeerServer,
    ];

    /// Our program's role.
    const fn our_role(self) -> Role {
        match self {
            Self::OurClient
            | Self::OurClientAbbreviated
            | Self::OpenSslServer
            | Self::GnuTlsServer
            | Self::PeerServer => Role::Client,
            Self::OurServer | Self::OpenSslClient | Self::GnuTlsClient | Self::PeerClient => {
                Role::Server
            }
        }
    }

    fn fits(self, foreign: Implementation) -> bool {
        match self {
            Self::OurClient | Self::OurClientAbbreviated | Self::OurServer => true,
            Self::OpenSslClient | Self::OpenSslServer => foreign == Implementation::OpenSsl,
            Self::GnuTlsClient | Self::GnuTlsServer => foreign == Implementation::GnuTls,
            Self::PeerClient | Self::PeerServer => foreign.is_behind_a_program_of_ours(),
        }
    }

    /// Whether lines may be under way while it begins. The programs of GnuTLS end if data comes
    /// during a handshake that began with a HelloRequest; `s_client` loses lines that it reads in
    /// the middle of one.
    const fn allows_data(self) -> bool {
        matches!(
            self,
            Self::OurClient | Self::OurClientAbbreviated | Self::OpenSslServer
        )
    }

    /// Whether a path may lose what begins it: OpenSSL never repeats a HelloRequest, and the line
    /// that makes GnuTLS send one is data.
    #[must_use]
    pub const fn survives_loss(self) -> bool {
        !matches!(self, Self::OpenSslServer | Self::GnuTlsServer)
    }
}

impl Case {
    /// Every combination with this peer. Combinations that the peer cannot do are printed with
    /// their reason.
    #[must_use]
    pub fn all(foreign: Implementation) -> Vec<Self> {
        let mut cases = Vec::new();
        for transport in [Transport::Dtls, Transport::Tls] {
            for trigger in Trigger::ALL {
                for tickets in [true, false] {
                    let case = Self {
                        transport,
                        foreign,
                        trigger,
                        tickets,
                    };
                    match case.empty() {
                        Some(reason) => println!("empty: {case}, because {reason}"),
                        None if trigger.fits(foreign) => cases.push(case),
                        None => {}
                    }
                }
            }
        }
        cases
    }

    /// The reason why the peer cannot do it.
    fn empty(&self) -> Option<&'static str> {
        let resumes = self.trigger == Trigger::OurClientAbbreviated
            || self.trigger == Trigger::GnuTlsServer && self.transport == Transport::Tls;
        (self.foreign == Implementation::GnuTls && resumes && self.tickets).then_some(
            "GnuTLS 3.7.9's server sends a ticket after a resumed renegotiation's Finished and fails with \"Cannot \
             perform this action while handshake is in progress\"",
        )
    }

    /// The table of triggers: a DTLS client answers a HelloRequest with a full handshake, a TLS
    /// client resumes.
    const fn kind(&self) -> Kind {
        match (self.trigger, self.transport) {
            _ if !self.resumes_at_renegotiation() => Kind::Full,
            (Trigger::OurClient | Trigger::OpenSslClient, _) => Kind::Full,
            (Trigger::OurClientAbbreviated, _) => Kind::Resumed,
            (Trigger::OpenSslServer | Trigger::GnuTlsServer, Transport::Dtls) => Kind::Full,
            (Trigger::OpenSslServer | Trigger::GnuTlsServer, Transport::Tls) => Kind::Resumed,
            (Trigger::OurServer | Trigger::GnuTlsClient, _) => Kind::Either,
            (Trigger::PeerClient | Trigger::PeerServer, _) => Kind::Full,
        }
    }

    /// Erlang lacks extended_master_secret, and a session without it is never resumed
    /// (RFC 7627 §5.4); Mbed TLS resumes nothing within an association.
    const fn resumes_at_renegotiation(&self) -> bool {
        matches!(
            self.foreign,
            Implementation::OpenSsl | Implementation::GnuTls | Implementation::Botan
        )
    }

    /// The direction in which nothing may be lost: Erlang's server never repeats its last flight,
    /// and Botan's takes a repeated ClientHello, whose record may say DTLS 1.0, for another
    /// version, and ends.
    fn spared(&self) -> Option<Direction> {
        let foreign = matches!(self.foreign, Implementation::Erlang | Implementation::Botan);
        (foreign && self.trigger.our_role() == Role::Client).then_some(Direction::ToClient)
    }

    fn settings<'a>(&self, pki: &'a Pki) -> Settings<'a> {
        let mut settings = plain(pki, self.transport, self.tickets);
        if self.trigger == Trigger::GnuTlsClient {
            settings.client_arguments.push("--rehandshake".to_owned());
        }
        settings
    }

    /// How many renegotiations the case makes.
    const fn rounds(&self) -> u64 {
        match (self.trigger, self.foreign) {
            (Trigger::GnuTlsClient, _) => 1,
            // It refuses a second one that a client begins within about twelve seconds.
            (Trigger::OurClient | Trigger::OurClientAbbreviated, Implementation::Erlang) => 1,
            _ => 3,
        }
    }
}

impl Display for Case {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let tickets = if self.tickets { "tickets" } else { "ids" };
        write!(
            formatter,
            "{:?}/{}/{:?}/{tickets}",
            self.transport,
            self.foreign.name(),
            self.trigger
        )
    }
}

/// The settings of both programs if nothing special is required.
#[must_use]
pub fn plain(pki: &Pki, transport: Transport, tickets: bool) -> Settings<'_> {
    Settings {
        shared_key: None,
        pki,
        suite: Suite {
            aead: AEAD,
            authentication: KeyType::EcdsaP256.authentication(),
        },
        groups: vec![Group::X25519, Group::P256],
        server_key: KeyType::EcdsaP256,
        client_key: None,
        chain: Chain::Leaf,
        listen: "127.0.0.1",
        connect: "127.0.0.1",
        mtu: Some(1400).filter(|_| transport == Transport::Dtls),
        pin_our_suite: true,
        service: Service::Stdio,
        transport,
        tickets,
        renegotiation: true,
        client_arguments: Vec::new(),
        server_arguments: Vec::new(),
    }
}

/// Renegotiates several times in a row, with lines before, during and after.
///
/// # Errors
///
/// When a renegotiation does not complete, is of the wrong kind or epoch, or a line is lost.
pub fn run(case: &Case, pki: &Pki) -> Outcome<String> {
    renegotiate(case, pki, Route::Direct, Deadline::after(CASE_LIMIT))
}

/// The same on a path that loses a tenth of all datagrams; lines are sent again by the test.
///
/// # Errors
///
/// As [`run`], and when a record of ours breaks a rule of [`crate::audit`].
pub fn run_lossy(case: &Case, pki: &Pki, seed: u64) -> Outcome<String> {
    let loss = Loss {
        spared: case.spared(),
        ..Loss::of(case, LOSS_PERCENT, seed)
    };
    let deadline = Deadline::after(LOSSY_CASE_LIMIT);
    renegotiate(case, pki, Route::Proxied(loss), deadline)
}

fn renegotiate(case: &Case, pki: &Pki, route: Route, deadline: Deadline) -> Outcome<String> {
    let settings = case.settings(pki);
    let (client, server) = match case.trigger.our_role() {
        Role::Client => (Implementation::Sealgram, case.foreign),
        Role::Server => (case.foreign, Implementation::Sealgram),
    };
    let delivery = match route {
        Route::Direct => Delivery::Exact,
        Route::Proxied(_) => Delivery::Repeated,
    };
    let mut association = Association::establish(client, server, &settings, route, deadline)?;
    for round in 1..=case.rounds() {
        if case.trigger != Trigger::GnuTlsClient {
            association.converse(1, delivery, deadline)?;
        }
        pull(case, &mut association)?;
        if case.trigger.allows_data() {
            association.converse(LINES, delivery, deadline)?;
        }
        completed(case, &association, round, deadline)
            .map_err(|failure| failure.with_evidence(association.evidence()))?;
        association.converse(LINES, delivery, deadline)?;
    }
    match route {
        Route::Direct => association.close(deadline)?,
        Route::Proxied(_) => {
            association.close_unheard(deadline)?;
            let direction = match case.trigger.our_role() {
                Role::Client => Direction::ToServer,
                Role::Server => Direction::ToClient,
            };
            audit(&association.proxy().captured(), direction, AEAD)
                .map_err(|failure| failure.with_evidence(association.evidence()))?;
            return Ok(association.proxy().decisions());
        }
    }
    Ok(String::new())
}

fn pull(case: &Case, association: &mut Association) -> Outcome<()> {
    let client = &mut association.client.process;
    let server = &mut association.server.process;
    match case.trigger {
        Trigger::OurClient | Trigger::OpenSslClient | Trigger::PeerClient => client.write(b"R\n"),
        Trigger::OurClientAbbreviated => client.write(b"r\n"),
        Trigger::OurServer | Trigger::PeerServer => server.write(b"R\n"),
        Trigger::OpenSslServer => server.write(b"r\n"),
        Trigger::GnuTlsServer => client.write(b"**REHANDSHAKE**\n"),
        Trigger::GnuTlsClient => Ok(()),
    }
}

/// Waits until our program reports `rounds` renegotiations, and checks what it reports about the
/// last.
fn completed(
    case: &Case,
    association: &Association,
    rounds: u64,
    deadline: Deadline,
) -> Outcome<()> {
    let ours = match case.trigger.our_role() {
        Role::Client => &association.client.process,
        Role::Server => &association.server.process,
    };
    let wanted = format!("renegotiation {rounds}");
    let last = ours.wait_for(&wanted, deadline, |transcript| {
        let renegotiated: Vec<Event> = events(transcript)
            .filter(|event| event.value("renegotiation") == Some("true"))
            .collect();
        let enough = renegotiated.len() as u64 >= rounds;
        enough.then(|| renegotiated.last().cloned()).flatten()
    })?;
    let epoch = (1 + rounds).to_string();
    if last.value("epoch") != Some(epoch.as_str()) {
        return Err(Failure::new(format!("epoch {epoch} was wanted: {last:?}")));
    }
    let kind = last.value("kind");
    let fits = match case.kind() {
        Kind::Full => kind == Some("full"),
        Kind::Resumed => kind == Some("resumed"),
        Kind::Either => kind.is_some(),
    };
    if fits {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "{:?} was wanted, and not {kind:?}",
            case.kind()
        )))
    }
}

/// Connects our client twice to one foreign server: the first leaves a session in a file, the
/// second resumes it.
///
/// # Errors
///
/// When a handshake fails, or the second is not a resumption.
pub fn resume_as_client(
    pki: &Pki,
    transport: Transport,
    tickets: bool,
    foreign: Implementation,
    deadline: Deadline,
) -> Outcome<()> {
    let case = format!("our-Client/{}/{transport:?}/{tickets}", foreign.name());
    let file = pki.path_of(case, "session");
    let settings = plain(pki, transport, tickets);
    resume_as_client_with(settings, &file, foreign, deadline)
}

/// The same with other settings, and with this file.
///
/// # Errors
///
/// As [`resume_as_client`].
pub fn resume_as_client_with(
    mut settings: Settings<'_>,
    file: &Path,
    foreign: Implementation,
    deadline: Deadline,
) -> Outcome<()> {
    let file = file.display().to_string();
    let (server, address) = foreign.start_server(&settings, deadline)?;
    for (argument, kind) in [("--session-out", "full"), ("--session-in", "resumed")] {
        settings.client_arguments = vec![argument.to_owned(), file.clone()];
        let mut client = Implementation::Sealgram.start_client(&settings, address)?;
        let evidence = |failure: Failure, client: &Process| {
            failure.with_evidence(format!(
                "{}{}",
                client.evidence(),
                server.process.evidence()
            ))
        };
        let event = wait_for_event(&client.process, "its handshake", deadline, |event| {
            event.name() == "handshake_complete"
        })
        .map_err(|failure| evidence(failure, &client.process))?;
        if event.value("kind") != Some(kind) {
            let failure = Failure::new(format!("{kind} was wanted: {event:?}"));
            return Err(evidence(failure, &client.process));
        }
        client.process.write(b"line of a resumed session\n")?;
        client.process.close_stdin();
        client.process.wait_for_exit(deadline)?;
    }
    Ok(())
}

/// Lets a foreign client connect to our server, and connect again with its session.
///
/// # Errors
///
/// When a handshake fails, or our server does not report a resumption.
pub fn resume_as_server(
    pki: &Pki,
    transport: Transport,
    tickets: bool,
    foreign: Implementation,
    deadline: Deadline,
) -> Outcome<()> {
    let case = format!("our-Server/{}/{transport:?}/{tickets}", foreign.name());
    let file = pki.path_of(case, "session");
    let settings = plain(pki, transport, tickets);
    resume_as_server_with(settings, &file, foreign, deadline)
}

/// The same with other settings, and with this file.
///
/// # Errors
///
/// As [`resume_as_server`].
pub fn resume_as_server_with(
    mut settings: Settings<'_>,
    file: &Path,
    foreign: Implementation,
    deadline: Deadline,
) -> Outcome<()> {
    let file = file.display().to_string();
    let (server, address) = Implementation::Sealgram.start_server(&settings, deadline)?;
    let visits: &[&[&str]] = match foreign {
        Implementation::OpenSsl => &[&["-sess_out", &file], &["-sess_in", &file]],
        // They connect twice on their own.
        _ if foreign.is_framed() => &[&["--resume", "1"]],
        _ => &[&["--resume", "--waitresumption"]],
    };
    for (visit, arguments) in visits.iter().enumerate() {
        settings.client_arguments = arguments.iter().map(|&text| text.to_owned()).collect();
        let mut client = foreign.start_client(&settings, address)?;
        let wanted = (visit + 1).max(3 - visits.len());
        if foreign.is_framed() {
            // Once it is connected it closes, and comes back.
            client.process.write(b"Q\n")?;
        }
        server
            .process
            .wait_for("its handshakes", deadline, |transcript| {
                let complete = events(transcript)
                    .filter(|event| event.name() == "handshake_complete")
                    .count();
                (complete >= wanted).then_some(())
            })
            .map_err(|failure| {
                let (ours, theirs) = (server.process.evidence(), client.process.evidence());
                failure.with_evidence(format!("{ours}{theirs}"))
            })?;
        // A client that has completed its handshake has written its session.
        client.wait_for_handshake(deadline)?;
        client.process.close_stdin();
        client.process.wait_for_exit(deadline)?;
    }
    wait_for_event(&server.process, "a resumption", deadline, |event| {
        event.value("kind") == Some("resumed") && event.value("renegotiation") == Some("false")
    })
    .map(|_| ())
    .map_err(|failure| failure.with_evidence(server.process.evidence()))
}

/// Waits for an event of our program.
///
/// # Errors
///
/// When it does not come before `deadline`.
pub fn wait_for_event(
    ours: &Process,
    what: &str,
    deadline: Deadline,
    wanted: impl Fn(&Event) -> bool,
) -> Outcome<Event> {
    ours.wait_for(what, deadline, |transcript| {
        events(transcript).find(|event| wanted(event))
    })
}

const AEAD: Aead = Aead::Aes128Gcm;

/// Lines each way, during and after each renegotiation.
const LINES: usize = 3;

const LOSS_PERCENT: u8 = 10;

const CASE_LIMIT: Duration = Duration::from_secs(40);

/// How long a case may take.
const LOSSY_CASE_LIMIT: Duration = Duration::from_secs(90);
