//! Our CoAP service, asked by `coap-client`.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::Outcome;
use sealgram_interop::process::Process;

use super::message::{BLOCK2, CHANGED, CONTENT, GET, Message, NOT_FOUND, PUT};
use super::prove;
use crate::cell::{Surroundings, expect, with_evidence};
use crate::ours::{End, Proof, Settings, Transport, Version};

/// Each question is asked by a process, thus an association, of its own.
pub(super) fn serves(it: &Surroundings<'_>, library: &str, proof: Proof) -> Outcome<String> {
    let mut settings = Settings::new(it.pki, Version::V1_2).mutual();
    settings.proof = proof;
    let server = End::server(Transport::Dtls, &settings)?;
    let mut service = Service::new();
    let long = LONG.repeat(100);
    let mut remark = String::new();
    for (number, (method, path, text, answer)) in [
        ("get", ".well-known/core", "", "</notes>;ct=0,</long>;ct=0"),
        ("put", "notes", "buy milk", ""),
        ("get", "notes", "", "buy milk"),
        ("get", "long", "", &long),
    ]
    .into_iter()
    .enumerate()
    {
        let file = it.directory.path().join(format!("answer-{number}"));
        let mut command = client(it, library, proof, &server, (method, path))?;
        command.arg("-o").arg(&file);
        if !text.is_empty() {
            command.args(["-e", text]);
        }
        let mut client = it.start(command)?;
        let outcome = (|| {
            service.answer_while_running(&server, &mut client, it.deadline)?;
            let handshake = server.handshake(number, it.deadline)?;
            handshake.mutual()?;
            remark = handshake.remark();
            expect(
                "the answer",
                fs::read_to_string(&file).unwrap_or_default(),
                answer,
            )
        })();
        with_evidence(outcome, &[&server], &[&client])?;
    }
    Ok(remark)
}

pub(super) fn offers_no_version_13(it: &Surroundings<'_>, library: &str) -> Outcome<()> {
    let settings = Settings::new(it.pki, Version::V1_3).mutual();
    let server = End::server(Transport::Dtls, &settings)?;
    let client = it.start(client(
        it,
        library,
        Proof::Certificates,
        &server,
        GET_NOTES,
    )?)?;
    let refused = server.remark("no protocol version", it.deadline);
    with_evidence(refused, &[&server], &[&client])
}

fn client(
    it: &Surroundings<'_>,
    library: &str,
    proof: Proof,
    server: &End,
    (method, path): (&str, &str),
) -> Outcome<Command> {
    let mut command = Command::new(format!("coap-client-{library}"));
    prove(&mut command, it, proof, true)?;
    command.args(["-v", "7", "-B", "20", "-m", method]);
    let port = server.address().port();
    command.arg(format!("coaps://localhost:{port}/{path}"));
    Ok(command)
}

/// Texts under their names.
struct Service {
    texts: BTreeMap<String, Vec<u8>>,
}

impl Service {
    fn new() -> Self {
        let long = LONG.repeat(100).into_bytes();
        Self {
            texts: BTreeMap::from([("notes".to_owned(), Vec::new()), ("long".to_owned(), long)]),
        }
    }

    fn answer_while_running(
        &mut self,
        server: &End,
        client: &mut Process,
        deadline: Deadline,
    ) -> Outcome<()> {
        while client.is_running() && !deadline.has_passed() {
            if let Ok((peer, datagram)) = server.receive(deadline.at_most(MOMENT)) {
                let request = Message::decode(&datagram)?;
                if let Some(answer) = self.answer(&request) {
                    server.send(peer, &answer.encode());
                }
            }
        }
        client.wait_for_exit(deadline).map(drop)
    }

    fn answer(&mut self, request: &Message) -> Option<Message> {
        let path = request.path();
        match request.code {
            GET if path == ".well-known/core" => {
                let names: Vec<_> = self.texts.keys().rev().collect();
                let links: Vec<_> = names.iter().map(|name| format!("</{name}>;ct=0")).collect();
                Some(request.answer(CONTENT, links.join(",").as_bytes()))
            }
            GET => Some(match self.texts.get(&path) {
                Some(text) => block(request, text),
                None => request.answer(NOT_FOUND, b""),
            }),
            PUT => {
                self.texts.insert(path, request.payload.clone());
                Some(request.answer(CHANGED, b""))
            }
            // Acknowledgements, and the end of the conversation.
            _ => None,
        }
    }
}

/// The block of the text that is asked for (RFC 7959 §2.4): of 256 bytes unless smaller ones are
/// wanted.
fn block(request: &Message, text: &[u8]) -> Message {
    let asked = request.number(BLOCK2);
    let exponent = asked.map_or(LARGEST, |asked| (asked & 7).min(LARGEST));
    let number = asked.map_or(0, |asked| asked >> 4);
    let size = 16 << exponent;
    let start = usize::try_from(number)
        .unwrap_or(usize::MAX)
        .saturating_mul(size);
    let rest = text.get(start..).unwrap_or_default();
    let mut answer = request.answer(CONTENT, &rest[..rest.len().min(size)]);
    if text.len() > size {
        let more = u32::from(rest.len() > size) << 3;
        let [_, value @ ..] = (number << 4 | more | exponent).to_be_bytes();
        // A number has no leading zeros (RFC 7252 §3.2).
        let zeros = value.iter().take_while(|&&byte| byte == 0).count();
        answer.options = vec![(BLOCK2, value[zeros..].to_vec())];
    }
    answer
}

const GET_NOTES: (&str, &str) = ("get", "notes");

/// Blocks of 256 bytes.
const LARGEST: u32 = 4;

const LONG: &str = "not one datagram alone. ";

/// How long to wait for a datagram before looking whether the client has ended.
const MOMENT: Duration = Duration::from_millis(20);
