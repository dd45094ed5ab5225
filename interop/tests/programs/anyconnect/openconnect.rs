//! openconnect as the client of our end, which speaks as much of the protocol as there is between
//! the cookie and the packets.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::{Failure, Outcome};
use sealgram_interop::pki::Pki;
use sealgram_interop::port::next_free_port;
use sealgram_interop::process::Process;

use super::packet::{ANSWER, PROBE, Packet, answers, echo_request};
use super::{REKEYINGS, told};
use crate::cell::{Surroundings, expect, with_evidence};
use crate::curl;
use crate::ours::{End, Peer, Settings, Transport, Version};

/// It re-handshakes as often as we have told it to, while packets pass.
pub(super) fn rekeys(it: &Surroundings<'_>) -> Outcome<String> {
    converse(it, Version::V1_2, |server, far, tunnel| {
        let mut handshakes = Vec::new();
        while handshakes.len() < 1 + REKEYINGS {
            far.pass(tunnel, it.deadline)?;
            let soon = it.deadline.at_most(MOMENT);
            handshakes.extend(server.handshake(handshakes.len(), soon));
            if it.deadline.has_passed() {
                return Err(Failure::new("it does not rekey"));
            }
        }
        far.pass(tunnel, it.deadline)?;
        told(&handshakes)
    })
}

/// At 1.3 its library takes a re-handshake for new keys, and asks us for ours.
pub(super) fn updates_keys(it: &Surroundings<'_>) -> Outcome<String> {
    converse(it, Version::V1_3, |server, far, tunnel| {
        for count in 1..=REKEYINGS {
            while server.remarks("KeysUpdated { sender: Client }") < count {
                far.pass(tunnel, it.deadline)?;
                if it.deadline.has_passed() {
                    return Err(Failure::new("it does not rekey"));
                }
                thread::sleep(MOMENT);
            }
        }
        far.pass(tunnel, it.deadline)?;
        server.remark("KeysUpdated { sender: Server }", it.deadline)?;
        Ok(server.handshake(0, it.deadline)?.remark())
    })
}

fn converse(
    it: &Surroundings<'_>,
    version: Version,
    check: impl Fn(&End, &mut Far<'_>, &Tunnel) -> Outcome<String>,
) -> Outcome<String> {
    let mut settings = Settings::new(it.pki, version);
    settings.renegotiation = true;
    let server = End::server(Transport::Tls, &settings)?;
    let tunnel = Tunnel::new(it)?;
    let openconnect = Openconnect::start(it, &server, &tunnel, &["--cookie", "any"])?;
    let outcome = (|| {
        let peer = accept(&server, it.deadline)?;
        check(&server, &mut Far::new(&server, peer), &tunnel)
    })();
    with_evidence(outcome, &[&server], &[&openconnect.process])
}

/// Answers the request for a tunnel.
fn accept(server: &End, deadline: Deadline) -> Outcome<Peer> {
    let (peer, request) = server.receive_until(deadline, curl::complete)?;
    let connects = request.contains("CONNECT /CSCOSSLC/tunnel HTTP/1.1\r\n");
    expect("that it connects", connects, true)?;
    let head = "HTTP/1.1 200 CONNECTED\r
X-CSTP-Version: 1\r
X-CSTP-Address: 192.0.2.77\r
X-CSTP-Netmask: 255.255.255.0\r
X-CSTP-MTU: 1300\r
X-CSTP-Rekey-Time: 1\r
X-CSTP-Rekey-Method: ssl\r
\r
";
    server.send(peer, head.as_bytes());
    Ok(peer)
}

/// Our end of the tunnel.
struct Far<'a> {
    server: &'a End,
    peer: Peer,
    stream: Vec<u8>,
    sequence: u16,
}

impl<'a> Far<'a> {
    fn new(server: &'a End, peer: Peer) -> Self {
        Self {
            server,
            peer,
            stream: Vec::new(),
            sequence: 0,
        }
    }

    /// A packet goes there, and comes back. It is repeated until it has arrived: nobody says when
    /// the tunnel is open.
    fn pass(&mut self, tunnel: &Tunnel, deadline: Deadline) -> Outcome<()> {
        self.sequence += 1;
        let packet = echo_request([192, 0, 2, 77], [192, 0, 2, 1], self.sequence);
        tunnel.send(&packet)?;
        loop {
            match self.receive(deadline.at_most(MOMENT)) {
                Ok(came) if came.kind == PROBE => {
                    let kind = ANSWER;
                    self.server
                        .send(self.peer, &Packet { kind, ..came }.encode());
                }
                Ok(came) if came.payload == packet => break,
                Ok(_) => {}
                Err(failure) if deadline.has_passed() => return Err(failure),
                Err(_) => tunnel.send(&packet)?,
            }
        }
        self.server
            .send(self.peer, &Packet::data(packet.clone()).encode());
        tunnel.receive(deadline, |came| came == packet)
    }

    fn receive(&mut self, deadline: Deadline) -> Outcome<Packet> {
        loop {
            if let Some(packet) = Packet::take(&mut self.stream) {
                return Ok(packet);
            }
            let (_, bytes) = self.server.receive(deadline)?;
            self.stream.extend(bytes);
        }
    }
}

/// What openconnect has instead of an interface: a socket of ours, to which socat passes packets.
pub(super) struct Tunnel {
    socket: UdpSocket,
    port: u16,
    /// The file in which its address is.
    told: PathBuf,
}

impl Tunnel {
    pub(super) fn new(it: &Surroundings<'_>) -> Outcome<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = next_free_port()?;
        let told = it.directory.path().join("address");
        Ok(Self { socket, port, told })
    }

    /// The address that openconnect was given.
    pub(super) fn address(&self, deadline: Deadline) -> Outcome<[u8; 4]> {
        while !deadline.has_passed() {
            let text = fs::read_to_string(&self.told).unwrap_or_default();
            if let Ok(address) = text.trim().parse::<Ipv4Addr>() {
                return Ok(address.octets());
            }
            thread::sleep(MOMENT);
        }
        Err(Failure::new("openconnect was given no address"))
    }

    pub(super) fn send(&self, packet: &[u8]) -> Outcome<()> {
        self.socket
            .send_to(packet, (Ipv4Addr::LOCALHOST, self.port))?;
        Ok(())
    }

    /// Waits for a packet of this kind.
    pub(super) fn receive(&self, deadline: Deadline, is_it: impl Fn(&[u8]) -> bool) -> Outcome<()> {
        let mut buffer = [0; 2048];
        while !deadline.has_passed() {
            self.socket.set_read_timeout(Some(MOMENT))?;
            if let Ok(length) = self.socket.recv(&mut buffer)
                && is_it(&buffer[..length])
            {
                return Ok(());
            }
        }
        Err(Failure::new("nothing has come through the tunnel"))
    }

    /// Repeats an echo request until it is answered: nobody says when the tunnel is open.
    pub(super) fn ping(&self, from: [u8; 4], to: [u8; 4], deadline: Deadline) -> Outcome<()> {
        for sequence in 1.. {
            self.send(&echo_request(from, to, sequence))?;
            let answered = self.receive(deadline.at_most(MOMENT), |it| answers(it, sequence));
            if answered.is_ok() {
                return Ok(());
            }
            if deadline.has_passed() {
                break;
            }
        }
        Err(Failure::new("no answer has come through the tunnel"))
    }
}

/// A running openconnect. Dropping it stops it with the program that has its packets.
pub(super) struct Openconnect {
    pub(super) process: Process,
    patience: Deadline,
}

impl Openconnect {
    /// Connects to `server`, and has that tunnel.
    pub(super) fn start(
        it: &Surroundings<'_>,
        server: &End,
        tunnel: &Tunnel,
        options: &[&str],
    ) -> Outcome<Self> {
        let mut command = command(it, server.address().port(), tunnel)?;
        command.args(options);
        Ok(Self {
            process: it.start(command)?,
            patience: it.deadline,
        })
    }
}

impl Drop for Openconnect {
    fn drop(&mut self) {
        // If it were killed that program would go on.
        if self.process.signal("TERM").is_ok() {
            let _ = self.process.wait_for_exit(self.patience);
        }
    }
}

fn command(it: &Surroundings<'_>, port: u16, tunnel: &Tunnel) -> Outcome<Command> {
    let script = it.directory.path().join("tunnel.sh");
    let to = tunnel.socket.local_addr()?;
    let text = format!(
        "#!/bin/sh\necho $INTERNAL_IP4_ADDRESS > {}\n\
         exec socat FD:$VPNFD UDP4:{to},bind=127.0.0.1:{}\n",
        tunnel.told.display(),
        tunnel.port
    );
    fs::write(&script, text)?;
    fs::set_permissions(&script, Permissions::from_mode(0o700))?;
    let mut command = Command::new("openconnect");
    command.args(["--verbose", "--non-inter", "--no-dtls", "--cafile"]);
    command.arg(it.pki.server_authority());
    command.args(["--script-tun", "--script"]).arg(script);
    let name = Pki::NAME;
    command.args(["--resolve", &format!("{name}:127.0.0.1")]);
    command.arg(format!("https://{name}:{port}"));
    Ok(command)
}

/// How long to wait for one thing before looking for another.
const MOMENT: Duration = Duration::from_millis(50);
