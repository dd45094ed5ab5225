//! ocserv as the server of our client, which is known by its certificate.

use std::fs::{self, OpenOptions};
use std::process::Command;
use std::thread;
use std::time::Duration;

use sealgram_interop::algorithm::KeyType;
use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::{Failure, Outcome};
use sealgram_interop::port::{self, Listening, next_free_port};
use sealgram_interop::process::{Process, Transcript};

use super::packet::{ANSWER, PROBE, Packet, answers, echo_request};
use super::{REKEYINGS, told};
use crate::cell::{Cell, Surroundings, expect, wait_for_tcp, with_evidence};
use crate::ours::{End, Settings, Transport, Version};

/// A cell that is empty where no interface can be made.
pub(super) fn cell(
    name: String,
    check: impl Fn(&Surroundings<'_>) -> Outcome<String> + Send + Sync + 'static,
) -> Cell {
    Cell::new(name, move |it| match may_make_interfaces() {
        true => check(it),
        false => {
            Ok("empty here: ocserv needs an interface, and this user can make none".to_owned())
        }
    })
}

/// It listens as whoever runs the test, and makes an interface for each client.
fn may_make_interfaces() -> bool {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun");
    let capable = fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        let mut lines = status.lines();
        let mask = lines.find_map(|line| line.strip_prefix("CapEff:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & CAP_NET_ADMIN != 0)
    });
    opened.is_ok() && capable
}

/// Our client replaces its keys as often as ocserv lets it, while packets pass.
pub(super) fn rekeys(it: &Surroundings<'_>, version: Version) -> Outcome<String> {
    let (network, method) = match version {
        Version::V1_2 => (Network::A, "ssl"),
        // It knows that nobody re-handshakes at 1.3, and keys are updated without its knowledge.
        Version::V1_3 => (Network::B, "new-tunnel"),
    };
    let ocserv = Ocserv::start(it, version, network)?;
    let settings = Settings::new(it.pki, version).mutual();
    let client = End::client(
        Transport::Tls,
        &settings,
        ([127, 0, 0, 1], ocserv.port).into(),
    )?;
    let outcome = (|| {
        let mut near = Near::connect(&client, network, method, it.deadline)?;
        near.ping(it.deadline)?;
        let mut handshakes = vec![client.handshake(0, it.deadline)?];
        for number in 1..=REKEYINGS {
            // It takes a second one within half of its time for an attack.
            thread::sleep(PAUSE);
            client.renegotiate(0);
            match version {
                Version::V1_2 => handshakes.push(client.handshake(number, it.deadline)?),
                Version::V1_3 => client.remark("KeysUpdated", it.deadline)?,
            }
            near.ping(it.deadline)?;
        }
        told(&handshakes)
    })();
    with_evidence(outcome, &[&client], &[&ocserv.process])
}

/// Our end of the tunnel.
struct Near<'a> {
    client: &'a End,
    network: Network,
    address: [u8; 4],
    stream: Vec<u8>,
    sequence: u16,
}

impl<'a> Near<'a> {
    /// Shows a certificate, gets a cookie, and for that a tunnel.
    fn connect(
        client: &'a End,
        network: Network,
        wanted: &str,
        deadline: Deadline,
    ) -> Outcome<Self> {
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                    <config-auth client=\"vpn\" type=\"init\">\
                    <version who=\"vpn\">v9.01</version></config-auth>\n";
        let head = format!(
            "POST / HTTP/1.1\r\n{AGENT}X-Transcend-Version: 1\r\nX-Aggregate-Auth: 1\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client.send(0, (head + body).as_bytes());
        let (_, answer) = client.receive_until(deadline, |stream| {
            let text = String::from_utf8_lossy(stream);
            text.contains("</config-auth>").then(|| text.into_owned())
        })?;
        let cookie = answer
            .split("webvpn=")
            .nth(1)
            .and_then(|rest| rest.split(';').next())
            .ok_or_else(|| Failure::new(format!("no cookie: {answer}")))?;
        let request = format!(
            "CONNECT /CSCOSSLC/tunnel HTTP/1.1\r\n{AGENT}Cookie: webvpn={cookie}\r\n\
             X-CSTP-Version: 1\r\nX-CSTP-Hostname: sealgram\r\nX-CSTP-Base-MTU: 1400\r\n\
             X-CSTP-Address-Type: IPv4\r\n\r\n"
        );
        client.send(0, request.as_bytes());
        let (_, (answer, stream)) = client.receive_until(deadline, head_and_rest)?;
        expect("acceptance", answer.starts_with("HTTP/1.1 200 "), true)?;
        let method = answer
            .lines()
            .find_map(|line| line.strip_prefix("X-CSTP-Rekey-Method: "));
        expect("how it wants new keys", method, Some(wanted))?;
        let address = answer
            .lines()
            .find_map(|line| line.strip_prefix("X-CSTP-Address: "))
            .and_then(|text| text.parse::<std::net::Ipv4Addr>().ok())
            .ok_or_else(|| Failure::new(format!("no address: {answer}")))?;
        Ok(Self {
            client,
            network,
            address: address.octets(),
            stream,
            sequence: 0,
        })
    }

    /// The system at the other end of the tunnel answers.
    fn ping(&mut self, deadline: Deadline) -> Outcome<()> {
        self.sequence += 1;
        let request = echo_request(self.address, self.network.gateway(), self.sequence);
        self.client.send(0, &Packet::data(request).encode());
        loop {
            while let Some(packet) = Packet::take(&mut self.stream) {
                if packet.kind == PROBE {
                    let kind = ANSWER;
                    self.client.send(0, &Packet { kind, ..packet }.encode());
                } else if answers(&packet.payload, self.sequence) {
                    return Ok(());
                }
            }
            let (_, bytes) = self.client.receive(deadline)?;
            self.stream.extend(bytes);
        }
    }
}

/// The head of an answer, and what has come after it: the system has something to say as soon as
/// there is an interface.
fn head_and_rest(stream: &[u8]) -> Option<(String, Vec<u8>)> {
    let end = stream.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&stream[..end]).into_owned();
    Some((head, stream[end..].to_vec()))
}

/// The networks for documentation (RFC 5737), which nobody else uses: one for each ocserv.
#[derive(Debug, Clone, Copy)]
pub(super) enum Network {
    A,
    B,
    C,
}

impl Network {
    const fn prefix(self) -> &'static str {
        match self {
            Self::A => "192.0.2",
            Self::B => "198.51.100",
            Self::C => "203.0.113",
        }
    }

    /// The address of ocserv's end.
    pub(super) const fn gateway(self) -> [u8; 4] {
        match self {
            Self::A => [192, 0, 2, 1],
            Self::B => [198, 51, 100, 1],
            Self::C => [203, 0, 113, 1],
        }
    }
}

/// A running ocserv. Dropping it stops it with its workers.
pub(super) struct Ocserv {
    pub(super) process: Process,
    pub(super) port: u16,
    patience: Deadline,
}

impl Ocserv {
    pub(super) fn start(
        it: &Surroundings<'_>,
        version: Version,
        network: Network,
    ) -> Outcome<Self> {
        let directory = it.directory.path();
        let file = directory.join("ocserv.conf");
        let credential = it.pki.server(KeyType::EcdsaP256);
        let command = |port: u16| {
            let configuration = format!(
                "auth = \"certificate\"
cert-user-oid = 2.5.4.3
tcp-port = {port}
listen-host = 127.0.0.1
run-as-user = root
run-as-group = root
socket-file = {directory}/ocserv.sock
pid-file = {directory}/ocserv.pid
server-cert = {}
server-key = {}
ca-cert = {}
tls-priorities = \"NORMAL:-VERS-ALL:+VERS-TLS{}\"
isolate-workers = false
use-occtl = false
cisco-client-compat = true
max-clients = 4
rekey-time = {REKEY_SECONDS}
rekey-method = ssl
device = sgvpn
predictable-ips = true
ipv4-network = {}.0
ipv4-netmask = 255.255.255.0
",
                credential.certificate.display(),
                credential.key.display(),
                it.pki.client_authority().display(),
                version.name(),
                network.prefix(),
                directory = directory.display(),
            );
            fs::write(&file, configuration)?;
            let mut command = Command::new("ocserv");
            command.args(["-f", "-d", "3", "-c"]).arg(&file);
            Ok(command)
        };
        let (process, port) =
            port::start("ocserv", next_free_port, command, listening, it.deadline)?;
        wait_for_tcp(port, it.deadline)?;
        Ok(Self {
            process,
            port,
            patience: it.deadline,
        })
    }
}

impl Drop for Ocserv {
    fn drop(&mut self) {
        // If it were killed its workers would go on.
        if self.process.signal("TERM").is_ok() {
            let _ = self.process.wait_for_exit(self.patience);
        }
    }
}

fn listening(transcript: &Transcript, port: u16) -> Option<Listening> {
    let said = String::from_utf8_lossy(&transcript.stdout).into_owned()
        + &String::from_utf8_lossy(&transcript.stderr);
    if said.contains("Address already in use") {
        return Some(Listening::Taken);
    }
    said.contains("initialized ocserv")
        .then_some(Listening::On(port))
}

const AGENT: &str = "Host: localhost\r\nUser-Agent: Open AnyConnect VPN Agent v9.01\r\n";

const CAP_NET_ADMIN: u64 = 1 << 12;

/// After which its clients are to replace their keys.
const REKEY_SECONDS: u64 = 2;

const PAUSE: Duration = Duration::from_millis(1500);
