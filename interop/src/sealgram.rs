//! The `sealgram` program, in both roles, and its event lines.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::algorithm::{Group, Suite};
use crate::failure::{Failure, Outcome};
use crate::peer::{Handshake, Peer, Service, Settings, Transport};
use crate::pki::{Credential, Pki};
use crate::port::Listening;
use crate::process::Transcript;

/// The program of this workspace.
#[derive(Debug, Clone, Copy)]
pub struct Sealgram;

/// One line of the program's standard error: `event=NAME key=value …`, values with spaces quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    fields: Vec<(String, String)>,
}

impl Sealgram {
    /// The program: what `SEALGRAM_BIN` names, or else the workspace's release build.
    ///
    /// # Errors
    ///
    /// When there is no such file; the error says how to make it.
    pub fn program() -> Outcome<PathBuf> {
        let path = env::var_os("SEALGRAM_BIN").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/sealgram"),
            PathBuf::from,
        );
        if path.is_file() {
            Ok(path)
        } else {
            Err(Failure::new(format!(
                "the program {} is missing: run `cargo build --release -p sealgram-cli`, or name \
                 another one by the environment variable SEALGRAM_BIN",
                path.display()
            )))
        }
    }
}

impl Peer for Sealgram {
    fn name(&self) -> &'static str {
        "sealgram"
    }

    fn server_command(&self, settings: &Settings<'_>, _port: u16) -> Outcome<Command> {
        let mut command = Command::new(Self::program()?);
        command.args(["server", "--listen", &format!("{}:0", settings.listen)]);
        if settings.shared_key.is_none() {
            add_credential(&mut command, &settings.server_credential());
        }
        if settings.client_key.is_some() {
            command
                .args(["--client-auth", "required", "--client-ca"])
                .arg(settings.pki.client_authority());
        }
        command.arg(match settings.service {
            Service::Echo => "--echo",
            Service::Stdio => "--stdio",
        });
        if settings.renegotiation {
            // Cases renegotiate several times within a second.
            command.arg("--allow-client-renegotiation=0");
        }
        command.args(&settings.server_arguments);
        add_common(&mut command, settings);
        Ok(command)
    }

    fn client_command(&self, settings: &Settings<'_>, server: SocketAddr) -> Outcome<Command> {
        let mut command = Command::new(Self::program()?);
        let server = format!("{}:{}", settings.connect, server.port());
        command.args(["client", &server, "--name", Pki::NAME]);
        if settings.shared_key.is_none() {
            command.arg("--ca").arg(settings.pki.server_authority());
        }
        if let Some(credential) = settings.client_credential() {
            add_credential(&mut command, &credential);
        }
        command.args(&settings.client_arguments);
        add_common(&mut command, settings);
        Ok(command)
    }

    fn listening(&self, transcript: &Transcript, _port: u16) -> Option<Listening> {
        let event = find_event(transcript, "listening")?;
        let address: SocketAddr = event.value("addr")?.parse().ok()?;
        Some(Listening::On(address.port()))
    }

    fn server_handshake(&self, transcript: &Transcript) -> Option<Handshake> {
        handshake(transcript)
    }

    fn client_handshake(&self, transcript: &Transcript) -> Option<Handshake> {
        handshake(transcript)
    }

    fn server_saw_close(&self, transcript: &Transcript) -> Option<bool> {
        Some(find_event(transcript, "peer_closed").is_some())
    }

    /// The answer of `gnutls-serv` to the line that makes it request a handshake.
    fn chatter(&self) -> &'static [&'static str] {
        &["Successfully executed command"]
    }

    fn service(&self, settings: &Settings<'_>) -> Service {
        settings.service
    }

    fn server_reports_handshake(&self) -> bool {
        true
    }
}

impl Event {
    /// Reads a line. `None` when it is not an event.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = Vec::new();
        let mut rest = line.trim();
        while !rest.is_empty() {
            let (key, after_key) = rest.split_once('=')?;
            let (value, after_value) = match after_key.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after_key.split_once(' ').unwrap_or((after_key, "")),
            };
            fields.push((key.to_owned(), value.to_owned()));
            rest = after_value.trim_start();
        }
        (fields.first()?.0 == "event").then_some(Self { fields })
    }

    /// The value of `event`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.fields[0].1
    }

    /// The value of `key`.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }
}

/// The events that a program has printed so far.
pub fn events(transcript: &Transcript) -> impl Iterator<Item = Event> {
    transcript
        .stderr_lines()
        .filter_map(|line| Event::parse(&line))
}

/// The first of them with this name.
#[must_use]
pub fn find_event(transcript: &Transcript, name: &str) -> Option<Event> {
    events(transcript).find(|event| event.name() == name)
}

fn handshake(transcript: &Transcript) -> Option<Handshake> {
    let event = find_event(transcript, "handshake_complete")?;
    Some(Handshake {
        suite: event.value("suite").and_then(Suite::from_iana_name),
        group: event.value("group").and_then(Group::from_any_name),
        client_certificate: event.value("client_cert").map(|value| value == "present"),
        data_offset: 0,
    })
}

fn add_credential(command: &mut Command, credential: &Credential) {
    command.arg("--cert").arg(&credential.certificate);
    command.arg("--key").arg(&credential.key);
}

fn add_common(command: &mut Command, settings: &Settings<'_>) {
    // These matrices are about version 1.2, even if both ends could agree on a later one.
    command.args(["--versions", "1.2"]);
    let groups: Vec<_> = settings.groups.iter().map(|group| group.name()).collect();
    command.args(["--groups", &groups.join(",")]);
    if settings.transport == Transport::Tls {
        command.arg("--tls");
    }
    if !settings.tickets {
        command.arg("--no-tickets");
    }
    match settings.shared_key {
        Some(suite) => {
            command.args(["--suites", &suite.iana_name(), "--psk-file"]);
            command.arg(settings.pki.shared_key());
        }
        None if settings.pin_our_suite => {
            command.args(["--suites", &settings.suite.iana_name()]);
        }
        None => {}
    }
    if let Some(mtu) = settings.mtu {
        command.args(["--mtu", &mtu.to_string()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_line_is_read_with_its_quoted_values() {
        let event =
            Event::parse("event=error reason=\"no answer = no peer\" after=46s").expect("an event");
        assert_eq!(event.name(), "error");
        assert_eq!(event.value("reason"), Some("no answer = no peer"));
        assert_eq!(event.value("after"), Some("46s"));
        assert_eq!(event.value("peer"), None);
    }

    #[test]
    fn other_lines_are_no_events() {
        assert_eq!(Event::parse("thread 'main' panicked"), None);
        assert_eq!(Event::parse("level=info event=listening"), None);
        assert_eq!(Event::parse(""), None);
    }
}
