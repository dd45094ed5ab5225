//! Raw public keys (RFC 7250) with foreign peers: each kind of key, shown by the server alone or by
//! both ends, over both transports and at both versions, full and resumed.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::algorithm::KeyType;
use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::loss::Loss;
use crate::peer::{Role, Transport};
use crate::pki::Pki;
use crate::port::{self, Listening};
use crate::process::{Process, Transcript};
use crate::proxy::Proxy;
use crate::rekeying::wait_for_event;
use crate::sealgram::{Sealgram, events};
use crate::{foreign, gnutls};

/// A stack that has raw public keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// GnuTLS's programs.
    GnuTls,
    /// OpenSSL 3.6.
    OpenSsl,
    /// BoringSSL, over DTLS.
    Boring,
    /// wolfSSL, over DTLS.
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

impl Version {
    const fn number(self) -> &'static str {
        match self {
            Self::V12 => "1.2",
            Self::V13 => "1.3",
        }
    }
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
    /// The keys of both ends.
    pub key: KeyType,
    /// Whether the client shows a key as well.
    pub mutual: bool,
    /// Whether a second connection resumes the session.
    pub resumes: bool,
    /// The choice of losses, if a tenth of all datagrams is lost.
    pub seed: Option<u64>,
}

impl Display for Case {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (stack, role, version) = (self.stack, self.role, self.version.number());
        let (shown, course) = (
            if self.mutual { "both" } else { "server" },
            if self.resumes { "resumed" } else { "full" },
        );
        write!(
            formatter,
            "{stack:?}/our-{role:?}/{:?}/{version}/{:?}/{shown}/{course}",
            self.transport, self.key
        )?;
        match self.seed {
            Some(seed) => write!(formatter, "/seed-{seed}"),
            None => Ok(()),
        }
    }
}

impl Case {
    /// Every case with this stack, without losses. What it cannot do is printed with its reason.
    #[must_use]
    pub fn all(stack: Stack) -> Vec<Self> {
        let mut cases = Vec::new();
        for role in [Role::Client, Role::Server] {
            for transport in [Transport::Dtls, Transport::Tls] {
                for version in [Version::V12, Version::V13] {
                    if let Some(reason) = lacks(stack, transport, version) {
                        println!("empty: {stack:?}, {transport:?} {version:?}: {reason}");
                        continue;
                    }
                    let case = |key, mutual, resumes| Self {
                        stack,
                        role,
                        transport,
                        version,
                        key,
                        mutual,
                        resumes,
                        seed: None,
                    };
                    for key in KeyType::ALL {
                        if let Some(reason) = lacks_key(stack, key, version) {
                            println!("empty: {stack:?}, {key:?}, {version:?}: {reason}");
                            continue;
                        }
                        let tried =
                            refusal(&case(key, false, false)).or(refusal(&case(key, true, false)));
                        if let Some((_, _, reason)) = tried {
                            println!(
                                "empty, but tried: {stack:?}, our {role:?}, {transport:?} {version:?}, {key:?}: {reason}"
                            );
                        }
                        cases.extend([false, true].map(|mutual| case(key, mutual, false)));
                    }
                    // `gnutls-cli` resumes within one run only, which is not driven here.
                    if !(stack == Stack::GnuTls && role == Role::Server) {
                        cases.push(case(KeyType::EcdsaP256, true, true));
                    }
                }
            }
        }
        cases
    }

    /// The full handshakes over datagrams with a tenth of them lost, three choices each.
    #[must_use]
    pub fn lossy(stack: Stack) -> Vec<Self> {
        let all = Self::all(stack).into_iter();
        all.filter(|case| case.transport == Transport::Dtls && !case.resumes)
            .filter(|case| case.key == KeyType::EcdsaP256)
            .flat_map(|case| {
                [1, 2, 3].map(|seed| Self {
                    seed: Some(seed),
                    ..case
                })
            })
            .collect()
    }
}

/// Why a stack does not have this.
fn lacks(stack: Stack, transport: Transport, version: Version) -> Option<&'static str> {
    match (stack, transport, version) {
        (Stack::GnuTls, Transport::Dtls, Version::V13) => Some("it has no DTLS 1.3"),
        (Stack::OpenSsl, Transport::Dtls, Version::V13) => Some("it has no DTLS 1.3"),
        (Stack::Boring | Stack::Wolf, Transport::Tls, _) => Some("its program speaks DTLS"),
        _ => None,
    }
}

/// Who says by what that a stack cannot do this, and why: a case that is tried all the same, and
/// fails when nobody says so.
fn refusal(case: &Case) -> Option<(Speaker, &'static str, &'static str)> {
    let foreign_shows = case.role == Role::Client || case.mutual;
    match (case.stack, case.role, case.transport, case.key) {
        (Stack::OpenSsl, Role::Client, Transport::Dtls, KeyType::Ed25519) => Some((
            Speaker::Ours,
            "handshake_failure(40)",
            "its server never chooses an Ed25519 key over DTLS 1.2",
        )),
        (Stack::Wolf, _, _, KeyType::Ed25519) => Some(match foreign_shows {
            true => (Speaker::Theirs, "error public key: 0", WITHOUT_ED25519),
            false => (Speaker::Ours, "no signature algorithm", WITHOUT_ED25519),
        }),
        _ => None,
    }
}

const WITHOUT_ED25519: &str = "wolfSSL is built without Ed25519 here";

/// One of the two programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    Ours,
    Theirs,
}

/// The one of both that refuses says so.
fn refused(
    case: &Case,
    (speaker, said, reason): (Speaker, &str, &str),
    client: &Process,
    server: &Process,
    deadline: Deadline,
) -> Outcome<String> {
    let ours_is_client = case.role == Role::Client;
    let process = match (speaker == Speaker::Ours) == ours_is_client {
        true => client,
        false => server,
    };
    process.wait_for(said, deadline, |transcript| {
        let mut lines = transcript.stdout_lines().chain(transcript.stderr_lines());
        lines.any(|line| line.contains(said)).then_some(())
    })?;
    Ok(reason.to_owned())
}

fn lacks_key(stack: Stack, key: KeyType, _: Version) -> Option<&'static str> {
    match (stack, key) {
        (Stack::Boring, KeyType::Ed25519) => Some("it takes no Ed25519 unless it is told to"),
        _ => None,
    }
}

/// A private key, its public half as PEM, and the fingerprint of that, by OpenSSL's program.
struct Key {
    private: PathBuf,
    public: PathBuf,
    /// The same as DER.
    der: PathBuf,
    fingerprint: String,
}

impl Key {
    fn of(private: &Path, case: &Case, owner: &str, pki: &Pki) -> Outcome<Self> {
        let public = pki.path_of(case, &format!("{owner}.pub"));
        let der = pki.path_of(case, &format!("{owner}.pub.der"));
        for (form, out) in [("PEM", &public), ("DER", &der)] {
            let mut command = Command::new("openssl");
            command.args(["pkey", "-pubout", "-outform", form, "-in"]);
            command.arg(private).arg("-out").arg(out);
            if !command.status()?.success() {
                return Err(Failure::new("openssl pkey failed"));
            }
        }
        let mut digest = Command::new("openssl");
        let digest = digest.args(["dgst", "-sha256", "-r"]).arg(&der).output()?;
        let text = String::from_utf8_lossy(&digest.stdout).into_owned();
        Ok(Self {
            private: private.to_owned(),
            public,
            der,
            fingerprint: text.split(' ').next().unwrap_or_default().to_owned(),
        })
    }
}

/// Both ends' keys.
struct Keys {
    client: Key,
    server: Key,
}

/// Runs a case.
///
/// # Errors
///
/// When any check fails; the error has the output of both programs.
pub fn run(case: &Case, pki: &Pki) -> Outcome<String> {
    let keys = Keys {
        client: Key::of(&pki.client(case.key).key, case, "client", pki)?,
        server: Key::of(&pki.server(case.key).key, case, "server", pki)?,
    };
    let deadline = Deadline::after(LIMIT);
    let (server, port) = match case.role {
        Role::Client => start_foreign_server(case, &keys, deadline)?,
        Role::Server => start_our_server(case, &keys, deadline)?,
    };
    let address = ([127, 0, 0, 1], port).into();
    let proxy = match case.seed {
        None => None,
        Some(seed) => Some(Proxy::start(address, Loss::of(case, 10, seed))?),
    };
    let port = proxy.as_ref().map_or(port, |proxy| proxy.address().port());
    let session = pki.path_of(case, "session");
    let visits = 1 + usize::from(case.resumes);
    for visit in 1..=visits {
        let command = match case.role {
            Role::Client => our_client(case, &keys, port, visit, &session)?,
            Role::Server => foreign_client(case, &keys, port)?,
        };
        let mut client = Process::spawn("client", command)?;
        if let Some(refusal) = refusal(case) {
            return refused(case, refusal, &client, &server, deadline);
        }
        let seen = visited(case, &keys, &server, &mut client, visit, deadline);
        seen.map_err(|failure| {
            failure.with_evidence(format!("{}{}", client.evidence(), server.evidence()))
        })?;
        // A client of the peers' frame connects again by itself.
        if case.role == Role::Server && case.resumes {
            break;
        }
    }
    Ok(String::new())
}

/// A client does what it came for, and both ends know whom they talk to.
fn visited(
    case: &Case,
    keys: &Keys,
    server: &Process,
    client: &mut Process,
    visit: usize,
    deadline: Deadline,
) -> Outcome<()> {
    let ours_is_client = case.role == Role::Client;
    let visits = if !ours_is_client && case.resumes {
        1..=2
    } else {
        visit..=visit
    };
    for visit in visits {
        let line = format!("line of visit {visit}");
        converse(client, &line, deadline)?;
        let ours = if ours_is_client { &*client } else { server };
        let nth = if ours_is_client { 1 } else { visit };
        let event = nth_handshake(ours, nth, deadline)?;
        let theirs = if ours_is_client {
            &keys.server
        } else {
            &keys.client
        };
        let knows = ours_is_client || case.mutual;
        let (kind, key) = match knows {
            true => ("raw_key", Some(theirs.fingerprint.as_str())),
            false => ("none", None),
        };
        let course = if visit == 1 { "full" } else { "resumed" };
        let fits = event.value("peer_identity") == Some(kind)
            && event.value("peer_key") == key
            && event.value("kind") == Some(course)
            && event
                .value("version")
                .is_some_and(|it| it.ends_with(case.version.number()));
        if !fits {
            return Err(Failure::new(format!(
                "something else was agreed: {event:?}"
            )));
        }
        if visit == 1 && !ours_is_client && case.resumes {
            client.write(b"Q\n")?;
        }
    }
    foreign_knows(case, keys, server, client, deadline)?;
    if ours_is_client || case.stack == Stack::GnuTls {
        client.close_stdin();
    } else {
        client.write(b"Q\n")?;
    }
    client.wait_for_exit(deadline)?;
    Ok(())
}

/// A program of the peers' frame tells the digest of the key that it was shown.
fn foreign_knows(
    case: &Case,
    keys: &Keys,
    server: &Process,
    client: &Process,
    deadline: Deadline,
) -> Outcome<()> {
    if case.stack == Stack::GnuTls {
        return Ok(());
    }
    let (theirs, key) = match case.role {
        Role::Client => (server, case.mutual.then_some(&keys.client)),
        Role::Server => (client, Some(&keys.server)),
    };
    let Some(key) = key else {
        return Ok(());
    };
    let told = format!("peer_rpk={}", key.fingerprint);
    theirs.wait_for("the key that it was shown", deadline, |transcript| {
        let mut lines = transcript.stdout_lines();
        lines
            .any(|line| line.starts_with("handshake ") && line.contains(&told))
            .then_some(())
    })
}

/// Writes a line until it comes back: over a lossy path a datagram may be gone.
fn converse(client: &mut Process, line: &str, deadline: Deadline) -> Outcome<()> {
    loop {
        client.write(format!("{line}\n").as_bytes())?;
        let soon = deadline.at_most(Duration::from_secs(2));
        let answered = client.wait_for("its line to come back", soon, |transcript| {
            let mut lines = transcript.stdout_lines();
            lines.any(|it| it.ends_with(line)).then_some(())
        });
        match answered {
            Ok(()) => return Ok(()),
            Err(failure) if deadline.has_passed() => return Err(failure),
            Err(failure) if !client.is_running() => return Err(failure),
            Err(_) => {}
        }
    }
}

fn nth_handshake(
    ours: &Process,
    number: usize,
    deadline: Deadline,
) -> Outcome<crate::sealgram::Event> {
    if number == 1 {
        return wait_for_event(ours, "its handshake", deadline, |event| {
            event.name() == "handshake_complete"
        });
    }
    ours.wait_for("another handshake", deadline, |transcript| {
        events(transcript)
            .filter(|event| event.name() == "handshake_complete")
            .nth(number - 1)
    })
}

fn our_client(
    case: &Case,
    keys: &Keys,
    port: u16,
    visit: usize,
    session: &Path,
) -> Outcome<Command> {
    let mut command = Command::new(Sealgram::program()?);
    command.args(["client", &format!("127.0.0.1:{port}"), "--name", Pki::NAME]);
    command.args(["--peer-key", &keys.server.fingerprint]);
    if case.mutual {
        command.arg("--raw-key").arg(&keys.client.private);
    }
    if case.resumes {
        let option = if visit == 1 {
            "--session-out"
        } else {
            "--session-in"
        };
        command.arg(option).arg(session);
    }
    add_common(&mut command, case);
    Ok(command)
}

fn start_our_server(case: &Case, keys: &Keys, deadline: Deadline) -> Outcome<(Process, u16)> {
    let program = Sealgram::program()?;
    port::start(
        "sealgram server",
        port::next_free_port,
        |_| {
            let mut command = Command::new(&program);
            command.args(["server", "--listen", "127.0.0.1:0", "--echo", "--raw-key"]);
            command.arg(&keys.server.private);
            if case.mutual {
                command.args(["--peer-key", &keys.client.fingerprint]);
            }
            add_common(&mut command, case);
            Ok(command)
        },
        |transcript, _| {
            let event = events(transcript).find(|event| event.name() == "listening")?;
            let (_, port) = event.value("addr")?.rsplit_once(':')?;
            Some(Listening::On(port.parse().ok()?))
        },
        deadline,
    )
}

fn add_common(command: &mut Command, case: &Case) {
    command.args(["--versions", case.version.number()]);
    if case.transport == Transport::Tls {
        command.arg("--tls");
    }
}

fn start_foreign_server(case: &Case, keys: &Keys, deadline: Deadline) -> Outcome<(Process, u16)> {
    port::start(
        "foreign server",
        port::next_free_port,
        |port| match case.stack {
            Stack::GnuTls => {
                let mut command = Command::new("gnutls-serv");
                command.args(["--echo", "--port", &port.to_string()]);
                add_gnutls(&mut command, case, &keys.server);
                command.arg(match case.mutual {
                    true => "--require-client-cert",
                    false => "--disable-client-cert",
                });
                Ok(command)
            }
            _ => {
                let mut command = frame(case, "server", port)?;
                command.arg("--echo");
                add_frame(&mut command, case, &keys.server);
                if case.mutual {
                    command.args(["--client-auth", "--raw-peer"]);
                }
                Ok(command)
            }
        },
        |transcript, port| match case.stack {
            Stack::GnuTls => gnutls::listening(transcript, port),
            _ => ready(transcript),
        },
        deadline,
    )
}

fn ready(transcript: &Transcript) -> Option<Listening> {
    let line = transcript
        .stdout_lines()
        .find(|line| line.starts_with("ready "))?;
    Some(Listening::On(line.strip_prefix("ready ")?.parse().ok()?))
}

fn foreign_client(case: &Case, keys: &Keys, port: u16) -> Outcome<Command> {
    if case.stack == Stack::GnuTls {
        let mut command = Command::new("gnutls-cli");
        // It knows raw keys by its own list of hosts, which is empty: what it sees we check.
        command.args(["--port", &port.to_string(), "--insecure"]);
        if case.mutual {
            add_gnutls(&mut command, case, &keys.client);
        } else {
            add_gnutls_common(&mut command, case);
        }
        command.arg("127.0.0.1");
        return Ok(command);
    }
    let mut command = frame(case, "client", port)?;
    command.args(["--name", Pki::NAME, "--raw-peer"]);
    if case.mutual {
        add_frame(&mut command, case, &keys.client);
    }
    if case.resumes {
        command.args(["--resume", "1"]);
    }
    Ok(command)
}

fn frame(case: &Case, side: &str, port: u16) -> Outcome<Command> {
    let program = match case.stack {
        Stack::Boring => "boring-peer",
        Stack::Wolf => "wolfssl-peer",
        _ => "openssl-peer",
    };
    let mut command = Command::new(foreign::program(program)?);
    let (port, version) = (port.to_string(), case.version.number());
    command.args([side, "--port", &port, "--versions", version]);
    if (case.stack, case.transport) == (Stack::OpenSsl, Transport::Dtls) {
        command.arg("--udp");
    }
    Ok(command)
}

fn add_frame(command: &mut Command, case: &Case, key: &Key) {
    command.arg("--raw-key").arg(&key.private);
    if case.stack == Stack::Wolf {
        command.arg("--raw-public").arg(&key.der);
    }
}

fn add_gnutls(command: &mut Command, case: &Case, key: &Key) {
    command.arg("--rawpkkeyfile").arg(&key.private);
    command.arg("--rawpkfile").arg(&key.public);
    add_gnutls_common(command, case);
}

fn add_gnutls_common(command: &mut Command, case: &Case) {
    let version = match (case.transport, case.version) {
        (Transport::Dtls, _) => "DTLS1.2",
        (Transport::Tls, Version::V12) => "TLS1.2",
        (Transport::Tls, Version::V13) => "TLS1.3",
    };
    let types = "-CTYPE-ALL:+CTYPE-SRV-RAWPK:+CTYPE-CLI-RAWPK";
    let priority = format!("NORMAL:-VERS-ALL:+VERS-{version}:{types}");
    command.args(["--priority", &priority]);
    if case.transport == Transport::Dtls {
        command.arg("--udp");
    }
}

const LIMIT: Duration = Duration::from_secs(60);
