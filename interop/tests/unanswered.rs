//! A peer that ignores every request to renegotiate, as webrtc-rs does: data continues under the
//! old keys after a few seconds, none of it is lost, and the application is told that there was no
//! answer.

use std::fmt::{self, Display, Formatter};
use std::thread;
use std::time::Duration;

use sealgram_interop::association::{Association, Delivery, Route};
use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::{Failure, Outcome};
use sealgram_interop::peer::{Implementation, Role, Transport};
use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::process::Process;
use sealgram_interop::rekeying::{plain, wait_for_event};
use sealgram_interop::sealgram::{Sealgram, events};

/// Who asks for new keys, and why.
#[derive(Debug, Clone, Copy)]
struct Case {
    ours: Role,
    request: Request,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    /// `R`.
    Command,
    /// A policy: after a number of bytes.
    Policy,
}

impl Display for Case {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "our-{:?}/{:?}", self.ours, self.request)
    }
}

#[test]
fn a_handshake_with_webrtc_carries_data_both_ways() {
    let pki = Pki::generate().expect("certificates");
    let settings = plain(&pki, Transport::Dtls, true);
    let (us, them) = (Implementation::Sealgram, Implementation::WebRtc);
    for (client, server) in [(us, them), (them, us)] {
        let deadline = Deadline::after(LIMIT);
        Association::establish(client, server, &settings, Route::Direct, deadline)
            .and_then(|mut association| {
                association.converse(5, Delivery::Exact, deadline)?;
                association.close(deadline)
            })
            .unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn a_peer_that_ignores_renegotiation_stops_data_for_five_seconds_at_most() {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    let mut cases = Vec::new();
    for ours in [Role::Client, Role::Server] {
        cases.extend([Request::Command, Request::Policy].map(|request| Case { ours, request }));
    }
    run_all(&cases, cases.len(), |case| run(case, &pki)).conclude("webrtc-rs, unanswered");
}

/// One direction of a stream of lines.
struct Lane {
    sent: Vec<u8>,
    arrived: usize,
    latest: Deadline,
    longest_gap: Duration,
}

impl Lane {
    fn new() -> Self {
        Self {
            sent: Vec::new(),
            arrived: 0,
            latest: Deadline::after(Duration::ZERO),
            longest_gap: Duration::ZERO,
        }
    }

    fn send(&mut self, sender: &mut Process, number: u32) -> Outcome<()> {
        let line = format!("line {number} {}\n", "x".repeat(60));
        self.sent.extend(line.as_bytes());
        sender.write(line.as_bytes())
    }

    fn look(&mut self, receiver: &Process) {
        let arrived = receiver.transcript().stdout.len();
        self.longest_gap = self.longest_gap.max(self.latest.elapsed());
        if arrived > self.arrived {
            self.arrived = arrived;
            self.latest = Deadline::after(Duration::ZERO);
        }
    }

    /// Checks that everything has arrived.
    fn check(&self, receiver: &Process, deadline: Deadline) -> Outcome<()> {
        receiver.wait_for("all lines", deadline, |transcript| {
            (transcript.stdout == self.sent).then_some(())
        })
    }
}

/// The longest pause in each direction.
struct Gaps {
    up: Duration,
    down: Duration,
}

/// The pause is compared in the best of some attempts: a machine that stands still itself for more
/// than what the limit leaves makes it longer.
fn run(case: &Case, pki: &Pki) -> Outcome<String> {
    let mut stood = Vec::new();
    for _ in 0..ATTEMPTS {
        let Gaps { up, down } = attempt(case, pki)?;
        if up.max(down) <= LONGEST_GAP {
            let (up, down) = (up.as_millis(), down.as_millis());
            return Ok(format!("longest gap {up} ms up, {down} ms down"));
        }
        stood.push(up.max(down));
    }
    Err(Failure::new(format!("data stood still for {stood:?}")))
}

fn attempt(case: &Case, pki: &Pki) -> Outcome<Gaps> {
    let mut settings = plain(pki, Transport::Dtls, true);
    let (us, them) = (Implementation::Sealgram, Implementation::WebRtc);
    let (client, server) = match case.ours {
        Role::Client => (us, them),
        Role::Server => (them, us),
    };
    if case.request == Request::Policy {
        let arguments = ["--rekey-bytes", "20000"].map(String::from).into();
        match case.ours {
            Role::Client => settings.client_arguments = arguments,
            Role::Server => settings.server_arguments = arguments,
        }
    }
    let deadline = Deadline::after(LIMIT);
    let mut association =
        Association::establish(client, server, &settings, Route::Direct, deadline)?;
    let outcome = stream(case, &mut association, deadline);
    let gaps = outcome.map_err(|failure| failure.with_evidence(association.evidence()))?;
    association.close(deadline)?;
    Ok(gaps)
}

/// Lines both ways from before the request until some seconds after the event that the peer did not
/// answer.
fn stream(case: &Case, association: &mut Association, deadline: Deadline) -> Outcome<Gaps> {
    let (mut up, mut down) = (Lane::new(), Lane::new());
    let mut told: Option<Deadline> = None;
    for number in 0.. {
        up.send(&mut association.client.process, number)?;
        down.send(&mut association.server.process, number)?;
        let ours = match case.ours {
            Role::Client => &mut association.client.process,
            Role::Server => &mut association.server.process,
        };
        if number == REQUEST_AT && case.request == Request::Command {
            ours.write(b"R\n")?;
        }
        let unanswered =
            events(&ours.transcript()).any(|event| event.value("reason") == Some("unanswered"));
        if unanswered && told.is_none() {
            told = Some(Deadline::after(AFTERWARDS));
        }
        if told.is_some_and(|end| end.has_passed()) || deadline.has_passed() {
            break;
        }
        for _ in 0..LOOKS {
            thread::sleep(LOOK);
            up.look(&association.server.process);
            down.look(&association.client.process);
        }
    }
    up.check(&association.server.process, deadline.at_most(LONGEST_GAP))?;
    down.check(&association.client.process, deadline.at_most(LONGEST_GAP))?;
    let ours = match case.ours {
        Role::Client => &association.client.process,
        Role::Server => &association.server.process,
    };
    wait_for_event(ours, "that the peer does not answer", deadline, |event| {
        event.name() == "renegotiation_refused" && event.value("reason") == Some("unanswered")
    })?;
    Ok(Gaps {
        up: up.longest_gap,
        down: down.longest_gap,
    })
}

/// The longest pause that is allowed.
const LONGEST_GAP: Duration = Duration::from_secs(5);

/// How often that is tried.
const ATTEMPTS: usize = 3;

/// The line after which `R` is given.
const REQUEST_AT: u32 = 20;

/// How long data is watched after the request was given up.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// How often output is checked between two lines, and for how long each time.
const LOOKS: u32 = 5;
const LOOK: Duration = Duration::from_millis(10);

/// An attempt is given up after half a minute.
const LIMIT: Duration = Duration::from_secs(60);
