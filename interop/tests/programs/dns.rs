//! A DNS server (dnsmasq) and `dig` through `sealgram tunnel`: neither knows of it. A twentieth of
//! the datagrams between its ends is lost, and either end is killed and started again.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use sealgram_interop::failure::{Failure, Outcome};
use sealgram_interop::loss::Loss;
use sealgram_interop::port::{self, Listening, next_free_port};
use sealgram_interop::process::{Process, Transcript};
use sealgram_interop::proxy::Proxy;
use sealgram_interop::sealgram::{Sealgram, find_event};

use crate::cell::{self, Cell, Surroundings, expect, with_evidence};
use crate::ours::Version;

#[test]
fn dig_asks_dnsmasq_through_a_tunnel() {
    let cells = [Version::V1_2, Version::V1_3].map(|version| {
        let name = format!("dnsmasq and dig, tunnel of DTLS {}", version.name());
        Cell::new(name, move |it| ask(it, version))
    });
    cell::run("dnsmasq and dig", &cells);
}

fn ask(it: &Surroundings<'_>, version: Version) -> Outcome<String> {
    let (dnsmasq, service) = dns_server(it)?;
    let (server, at) = tunnel_server(it, version, service, ANY)?;
    let proxy = Proxy::start(at, Loss::new(5, 7))?;
    let (client, local) = tunnel_client(it, version, proxy.address(), ANY)?;
    let dig = Dig::new(it, local)?;
    let mut programs = vec![dnsmasq, server, client];
    let outcome = (|| {
        for number in 0..QUESTIONS {
            dig.ask_patiently(&format!("host-{number}.test"))?;
        }
        expect("a long answer", dig.long_answer()?, LONG)?;

        programs[1].signal("KILL")?;
        programs.push(tunnel_server(it, version, service, &at.to_string())?.0);
        let server_back = dig.ask_patiently("after-the-server.test")?;
        dig.ask_patiently("and-again.test")?;

        programs[2].signal("KILL")?;
        programs.push(tunnel_client(it, version, proxy.address(), &local.to_string())?.0);
        let client_back = dig.ask_patiently("after-the-client.test")?;
        Ok(format!(
            "{QUESTIONS} questions; back after {server_back:.1?} and {client_back:.1?}"
        ))
    })();
    let all: Vec<_> = programs.iter().collect();
    with_evidence(outcome, &[], &all)
}

/// dnsmasq, which knows every name below `test`, and where it listens.
fn dns_server(it: &Surroundings<'_>) -> Outcome<(Process, SocketAddr)> {
    let command = |port: u16| {
        let mut command = Command::new("dnsmasq");
        command.args(["--no-daemon", "--conf-file=/dev/null", "--no-resolv"]);
        command.args([
            "--no-hosts",
            "--bind-interfaces",
            "--listen-address=127.0.0.1",
        ]);
        command.args([&format!("--port={port}"), "--pid-file="]);
        command.arg(format!("--address=/test/{ANSWER}"));
        command.arg(format!("--txt-record=long.example,{}", pieces().join(",")));
        Ok(command)
    };
    let listening = |transcript: &Transcript, port| {
        let said = String::from_utf8_lossy(&transcript.stderr);
        if said.contains("Address already in use") {
            return Some(Listening::Taken);
        }
        said.contains("started,").then_some(Listening::On(port))
    };
    let (process, port) = port::start("dnsmasq", next_free_port, command, listening, it.deadline)?;
    Ok((process, ([127, 0, 0, 1], port).into()))
}

fn tunnel_server(
    it: &Surroundings<'_>,
    version: Version,
    service: SocketAddr,
    listen: &str,
) -> Outcome<(Process, SocketAddr)> {
    let mut command = Command::new(Sealgram::program()?);
    command.args(["tunnel", "server", "--listen", listen]);
    command.args(["--forward", &service.to_string()]);
    tunnel(it, version, command)
}

fn tunnel_client(
    it: &Surroundings<'_>,
    version: Version,
    server: SocketAddr,
    listen: &str,
) -> Outcome<(Process, SocketAddr)> {
    let mut command = Command::new(Sealgram::program()?);
    command.args(["tunnel", "client", "--listen", listen]);
    command.args(["--connect", &server.to_string()]);
    tunnel(it, version, command)
}

/// An end of the tunnel, and where it listens.
fn tunnel(
    it: &Surroundings<'_>,
    version: Version,
    mut command: Command,
) -> Outcome<(Process, SocketAddr)> {
    let key = it.directory.path().join("tunnel.psk");
    fs::write(&key, format!("tunnel:{}\n", "5a".repeat(32)))?;
    command.arg("--psk-file").arg(key);
    command.args(["--versions", version.name()]);
    let process = it.start(command)?;
    let at = process.wait_for("where it listens", it.deadline, |transcript| {
        let event = find_event(transcript, "listening")?;
        event.value("addr")?.parse().ok()
    });
    let at = at.map_err(|failure| failure.with_evidence(process.evidence()))?;
    Ok((process, at))
}

/// `dig`, from one local port, which the tunnel takes for one program.
struct Dig<'a> {
    it: &'a Surroundings<'a>,
    server: SocketAddr,
    port: u16,
}

impl<'a> Dig<'a> {
    fn new(it: &'a Surroundings<'a>, server: SocketAddr) -> Outcome<Self> {
        let port = next_free_port()?;
        Ok(Self { it, server, port })
    }

    /// What it prints for this name, with two tries of a second each.
    fn ask(&self, name: &str, kind: &str) -> Outcome<String> {
        let mut command = Command::new("dig");
        command.args(["-r", "-b", &format!("127.0.0.1#{}", self.port)]);
        command.args([
            &format!("@{}", self.server.ip()),
            "-p",
            &self.server.port().to_string(),
        ]);
        command.args(["+short", "+time=1", "+tries=2", "+ignore", name, kind]);
        let mut dig = self.it.start(command)?;
        dig.wait_for_exit(self.it.deadline)?;
        let said = String::from_utf8_lossy(&dig.transcript().stdout).into_owned();
        Ok(said.trim().to_owned())
    }

    /// Asks for an address until there is an answer. Returns how long that took.
    fn ask_patiently(&self, name: &str) -> Outcome<Duration> {
        let began = self.it.deadline.remaining();
        while !self.it.deadline.has_passed() {
            if self.ask(name, "A")? == ANSWER {
                return Ok(began.saturating_sub(self.it.deadline.remaining()));
            }
        }
        Err(Failure::new(format!("there was no answer for {name}")))
    }

    /// The length of the text of a record that nearly fills a datagram.
    fn long_answer(&self) -> Outcome<usize> {
        for _ in 0..5 {
            let said = self.ask("long.example", "TXT")?;
            let text = said.replace(['"', ' '], "");
            if text.starts_with("aaa") {
                return Ok(text.len());
            }
        }
        Ok(0)
    }
}

/// The strings of the long record.
fn pieces() -> Vec<String> {
    vec!["a".repeat(LONG / 5); 5]
}

/// A moment's port of this machine.
const ANY: &str = "127.0.0.1:0";

/// What every name has for its address.
const ANSWER: &str = "192.0.2.7";

/// How much text the long record has; `dig` takes answers of 1,232 bytes.
const LONG: usize = 1100;

const QUESTIONS: u32 = 40;
