//! A fleet: servers in processes of their own that share nothing but a secret in a file. Any of
//! them proves any cookie and resumes any ticket, behind nginx and behind a balancer that keeps
//! addresses.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use sealgram_interop::algorithm::KeyType;
use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::{Failure, Outcome};
use sealgram_interop::loss::{Direction, Loss};
use sealgram_interop::nginx::Nginx;
use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::process::Process;
use sealgram_interop::proxy::Proxy;
use sealgram_interop::sealgram::{Event, Sealgram, events};
use tempfile::TempDir;

/// A version of DTLS.
struct Case(&'static str);

impl Display for Case {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "DTLS {}", self.0)
    }
}

const CASES: [Case; 2] = [Case("1.2"), Case("1.3")];

/// What all members have in common, in files.
struct Fleet<'a> {
    pki: &'a Pki,
    version: &'static str,
    directory: TempDir,
    deadline: Deadline,
}

impl<'a> Fleet<'a> {
    fn new(pki: &'a Pki, case: &Case) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("secret"), SECRET)?;
        Ok(Self {
            pki,
            version: case.0,
            directory,
            deadline: Deadline::after(LIMIT),
        })
    }

    fn member(&self, name: &str) -> Outcome<Member> {
        let credential = self.pki.server(KeyType::EcdsaP256);
        let mut command = Command::new(Sealgram::program()?);
        command.args(["server", "--listen", "127.0.0.1:0", "--fleet-secret"]);
        command.arg(self.directory.path().join("secret"));
        command.arg("--cert").arg(&credential.certificate);
        command.arg("--key").arg(&credential.key);
        let process = Process::spawn(name, command)?;
        let listening = process.wait_for("its address", self.deadline, |transcript| {
            let mut events = events(transcript);
            let event = events.find(|event| event.name() == "listening")?;
            event.value("addr")?.parse().ok()
        })?;
        Ok(Member {
            process,
            address: listening,
            served: 0,
        })
    }

    /// The file for a client's session.
    fn session(&self, number: usize) -> PathBuf {
        self.directory.path().join(format!("session-{number}"))
    }

    fn client(&self, server: SocketAddr, option: &str, session: usize) -> Outcome<Client> {
        let mut command = Command::new(Sealgram::program()?);
        command.args(["client", &server.to_string(), "--name", Pki::NAME, "--ca"]);
        command.arg(self.pki.server_authority());
        command.args(["--versions", self.version]);
        command.arg(option).arg(self.session(session));
        Ok(Client {
            process: Process::spawn("client", command)?,
            deadline: self.deadline,
            lines: 0,
        })
    }
}

/// A server, which sends back what it gets.
struct Member {
    process: Process,
    address: SocketAddr,
    /// How many handshakes it has been seen to complete.
    served: usize,
}

impl Member {
    /// The kind of the next handshake that it has completed, if there is one.
    fn next_kind(&mut self) -> Option<String> {
        let transcript = self.process.transcript();
        let next = events(&transcript)
            .filter_map(|event| kind(&event))
            .nth(self.served);
        self.served += usize::from(next.is_some());
        next
    }

    /// Ends it, and returns its counters.
    fn counters(mut self, deadline: Deadline) -> Outcome<Event> {
        self.process.signal("TERM")?;
        self.process.wait_for_exit(deadline)?;
        let transcript = self.process.transcript();
        let counters = events(&transcript).find(|event| event.name() == "endpoint_counters");
        counters.ok_or_else(|| Failure::new("no counters"))
    }
}

/// Which of the members is the next to complete a handshake, and of which kind it is.
fn next_served(members: &mut [Member], deadline: Deadline) -> Outcome<(usize, String)> {
    while !deadline.has_passed() {
        for (index, member) in members.iter_mut().enumerate() {
            if let Some(kind) = member.next_kind() {
                return Ok((index, kind));
            }
        }
        // What a program has written is not yet read.
        thread::sleep(Duration::from_millis(1));
    }
    Err(Failure::new("no server has completed a handshake"))
}

/// The kind of a handshake that is complete.
fn kind(event: &Event) -> Option<String> {
    let complete = event.name() == "handshake_complete";
    event.value("kind").filter(|_| complete).map(str::to_owned)
}

struct Client {
    process: Process,
    deadline: Deadline,
    /// How many lines have come back.
    lines: usize,
}

impl Client {
    /// Sends a line, which comes back.
    fn echo(&mut self, line: &str) -> Outcome<()> {
        self.process.write(format!("{line}\n").as_bytes())?;
        self.lines += 1;
        let index = self.lines - 1;
        let echoed = self.process.wait_for(line, self.deadline, |transcript| {
            transcript.stdout_lines().nth(index)
        });
        match echoed.map_err(|failure| failure.with_evidence(self.process.evidence()))? {
            echoed if echoed == line => Ok(()),
            echoed => Err(Failure::new(format!("{echoed} came back for {line}"))),
        }
    }

    /// The kind of its handshake.
    fn kind(&self) -> Outcome<String> {
        let complete = "a handshake";
        self.process
            .wait_for(complete, self.deadline, |transcript| {
                events(transcript).find_map(|event| kind(&event))
            })
    }

    fn resumed(&mut self) -> Outcome<()> {
        self.echo("back again")?;
        expect("the kind of a second handshake", &self.kind()?, "resumed")
    }
}

fn expect(what: &str, found: &str, expected: &str) -> Outcome<()> {
    if found == expected {
        return Ok(());
    }
    Err(Failure::new(format!("{what} is {found}, not {expected}")))
}

/// One of two servers behind nginx is killed without a word. Those of its clients that connect
/// again resume at the other one, whose clients have noticed nothing.
#[test]
fn clients_behind_nginx_resume_at_another_server_when_theirs_is_killed() {
    run("nginx", |fleet| {
        let mut members = [fleet.member("one")?, fleet.member("other")?];
        let addresses = members.each_ref().map(|member| member.address);
        let nginx = Nginx::start(fleet.directory.path(), &addresses, fleet.deadline)?;
        let outcome = survive(fleet, &mut members, nginx.address());
        outcome.map_err(|failure| {
            let servers = members
                .each_ref()
                .map(|it| it.process.evidence())
                .join("\n");
            failure
                .with_evidence(servers)
                .with_evidence(nginx.evidence())
        })
    });
}

fn survive(fleet: &Fleet<'_>, members: &mut [Member; 2], nginx: SocketAddr) -> Outcome<()> {
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut client = fleet.client(nginx, "--session-out", number)?;
        client.echo("hello")?;
        expect("the kind of a first handshake", &client.kind()?, "full")?;
        let (server, _) = next_served(members, fleet.deadline)?;
        clients.push((client, server));
    }
    let served: BTreeSet<_> = clients.iter().map(|(_, server)| *server).collect();
    expect(
        "how many servers have clients",
        &served.len().to_string(),
        "2",
    )?;

    let dead = &mut members[DEAD].process;
    dead.signal("KILL")?;
    dead.wait_for_exit(fleet.deadline)?;
    for (client, server) in &mut clients {
        if *server != DEAD {
            client.echo("still here")?;
            continue;
        }
        // nginx notices with the third datagram of a session that its server is gone.
        for line in ["is", "anybody", "there"] {
            client.process.write(format!("{line}\n").as_bytes())?;
            thread::sleep(MOMENT);
        }
    }
    for number in 0..CLIENTS {
        fleet.client(nginx, "--session-in", number)?.resumed()?;
        let (server, kind) = next_served(members, fleet.deadline)?;
        if server == DEAD {
            return Err(Failure::new("the server that was killed has answered"));
        }
        expect("the kind of a second handshake", &kind, "resumed")?;
    }
    Ok(())
}

/// A balancer that keeps addresses sends the two hellos of a client to two servers, later the
/// client's records to one that knows nothing of it, and then its next handshake.
#[test]
fn one_server_proves_the_cookie_and_resumes_the_ticket_of_another() {
    run("a balancer that keeps addresses", |fleet| {
        let [asks, serves] = [fleet.member("one")?, fleet.member("other")?];
        let balancer = Proxy::start(asks.address, Loss::NONE)?;
        balancer.hold(Direction::ToClient);
        let mut client = fleet.client(balancer.address(), "--session-out", 0)?;
        balancer.wait_for_held(1, fleet.deadline)?;
        balancer.redirect(serves.address)?;
        balancer.release();
        client.echo("hello")?;
        expect("the kind of a first handshake", &client.kind()?, "full")?;

        // Until it has acknowledged its tickets, which it may put off, and says nothing by itself.
        thread::sleep(OWED);
        balancer.redirect(asks.address)?;
        let before = balancer.count(Direction::ToServer);
        client.process.write(b"lost\n")?;
        balancer.wait_for_count(Direction::ToServer, before + 1, fleet.deadline)?;
        client.process.signal("KILL")?;
        client.process.wait_for_exit(fleet.deadline)?;
        let lost = balancer.count(Direction::ToServer) - before;
        fleet
            .client(balancer.address(), "--session-in", 0)?
            .resumed()?;

        let (first, second) = (
            asks.counters(fleet.deadline)?,
            serves.counters(fleet.deadline)?,
        );
        let demands = match fleet.version {
            "1.2" => "hello_verify_requests",
            _ => "retry_requests",
        };
        for (counters, name, count) in [
            // Its own demand, and that of the client that came back.
            (&first, demands, 2),
            (&first, "accepted", 1),
            (&first, "strays", lost),
            (&second, demands, 0),
            (&second, "accepted", 1),
        ] {
            let found = counters.value(name).unwrap_or_default();
            expect(name, found, &count.to_string())?;
        }
        Ok(())
    });
}

fn run(title: &str, check: impl Fn(&Fleet<'_>) -> Outcome<()> + Sync) {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    let report = run_all(&CASES, CASES.len(), |case| {
        check(&Fleet::new(&pki, case)?)?;
        Ok(String::new())
    });
    report.conclude(title);
}

/// The secret of the fleet; a real one is random.
const SECRET: [u8; 32] = [0x5e; 32];

/// Which of the two servers is killed.
const DEAD: usize = 0;

/// How many clients the two servers share.
const CLIENTS: usize = 6;

/// Longer than an acknowledgement is put off: a quarter of the timeout, which is a second at first
/// (RFC 9147 §7.1).
const OWED: Duration = Duration::from_millis(500);

/// Between datagrams that must not arrive at the same time.
const MOMENT: Duration = Duration::from_millis(50);

const LIMIT: Duration = Duration::from_secs(60);
