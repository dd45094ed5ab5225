//! Our CoAP client, which asks `coap-server`.

use std::process::Command;

use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::Outcome;
use sealgram_interop::port::{self, Listening, next_free_port};
use sealgram_interop::process::{Process, Transcript};

use super::message::{CONTENT, CREATED, GET, Kind, Message, OBSERVE, PUT, URI_PATH};
use super::prove;
use crate::cell::{Surroundings, expect, with_evidence};
use crate::ours::{End, Proof, Settings, Transport, Version};

pub(super) fn asks(it: &Surroundings<'_>, library: &str, proof: Proof) -> Outcome<String> {
    let (server, port) = start(it, library, proof)?;
    let mut settings = Settings::new(it.pki, Version::V1_2).mutual();
    settings.proof = proof;
    let address = ([127, 0, 0, 1], port).into();
    let end = End::client(Transport::Dtls, &settings, address)?;
    let outcome = converse(&end, it.deadline);
    with_evidence(outcome, &[&end], &[&server])
}

pub(super) fn knows_no_version_13(it: &Surroundings<'_>, library: &str) -> Outcome<()> {
    let (server, port) = start(it, library, Proof::Certificates)?;
    let settings = Settings::new(it.pki, Version::V1_3).mutual();
    let address = ([127, 0, 0, 1], port).into();
    let end = End::client(Transport::Dtls, &settings, address)?;
    with_evidence(
        end.remark("handshake_failure(40)", it.deadline),
        &[&end],
        &[&server],
    )
}

fn converse(end: &End, deadline: Deadline) -> Outcome<String> {
    let remark = end.handshake(0, deadline)?.remark();
    let mut client = Client {
        end,
        deadline,
        id: 0x5ea1,
    };
    let core = client.ask(GET, ".well-known/core", None, b"")?;
    expect("the code for the list", core.code, CONTENT)?;
    let list = String::from_utf8_lossy(&core.payload).into_owned();
    expect("</time> in the list", list.contains("</time>"), true)?;

    let created = client.ask(PUT, "example_data", None, b"ours now")?;
    expect("the code for what is new", created.code, CREATED)?;
    let data = client.ask(GET, "example_data", None, b"")?;
    expect(
        "what is there now",
        data.payload.as_slice(),
        b"ours now".as_slice(),
    )?;

    // Every second another message that nobody asks for (RFC 7641).
    client.ask(GET, "time", Some(0), b"")?;
    for _ in 0..2 {
        let notice = client.receive()?;
        expect("the code of a notice", notice.code, CONTENT)?;
        if notice.kind == Kind::Confirmable {
            end.send(0, &notice.acknowledgement().encode());
        }
    }
    client.ask(GET, "time", Some(1), b"")?;
    end.close(0);
    Ok(remark)
}

struct Client<'a> {
    end: &'a End,
    deadline: Deadline,
    id: u16,
}

impl Client<'_> {
    fn ask(
        &mut self,
        code: u8,
        path: &str,
        observe: Option<u8>,
        payload: &[u8],
    ) -> Outcome<Message> {
        self.id += 1;
        // Zero is no byte at all (RFC 7252 §3.2).
        let observe = observe.map(|value| (OBSERVE, if value == 0 { vec![] } else { vec![value] }));
        let path = path.split('/').map(|it| (URI_PATH, it.as_bytes().to_vec()));
        let request = Message {
            kind: Kind::Confirmable,
            code,
            id: self.id,
            token: self.id.to_be_bytes().to_vec(),
            options: observe.into_iter().chain(path).collect(),
            payload: payload.to_owned(),
        };
        self.end.send(0, &request.encode());
        loop {
            let answer = self.receive()?;
            // What was observed may say something at the same time.
            if answer.kind == Kind::Acknowledgement && answer.id == request.id {
                expect("the token", &answer.token, &request.token)?;
                return Ok(answer);
            }
        }
    }

    fn receive(&self) -> Outcome<Message> {
        let (_, datagram) = self.end.receive(self.deadline)?;
        Message::decode(&datagram)
    }
}

/// It speaks DTLS on the port after the one that it is given.
fn start(it: &Surroundings<'_>, library: &str, proof: Proof) -> Outcome<(Process, u16)> {
    let name = format!("coap-server-{library}");
    let command = |port: u16| {
        let mut command = Command::new(&name);
        command.args(["-A", "127.0.0.1", "-p", &(port - 1).to_string(), "-v", "7"]);
        prove(&mut command, it, proof, false)?;
        Ok(command)
    };
    let ports = || {
        next_free_port()?;
        next_free_port()
    };
    port::start(&name, ports, command, listening, it.deadline)
}

fn listening(transcript: &Transcript, port: u16) -> Option<Listening> {
    let said = String::from_utf8_lossy(&transcript.stdout).into_owned()
        + &String::from_utf8_lossy(&transcript.stderr);
    if said.contains("Address already in use") {
        return Some(Listening::Taken);
    }
    let endpoint = format!("created DTLS endpoint 127.0.0.1:{port}\n");
    said.contains(&endpoint).then_some(Listening::On(port))
}
