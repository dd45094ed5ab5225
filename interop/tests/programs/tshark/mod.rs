//! tshark, Wireshark's program for terminals: it opens our records with our key log.

mod pcap;
mod tap;

use std::fs;
use std::path::Path;
use std::process::Command;

use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::Outcome;
use sealgram_interop::loss::Loss;
use sealgram_interop::process::Process;
use sealgram_interop::proxy::Proxy;

use self::pcap::{Pcap, SERVER_PORT};
use self::tap::Tap;
use crate::cell::{self, Cell, Surroundings, expect, protocol, with_evidence};
use crate::ours::{End, Settings, Transport, Version};

#[test]
fn tshark_reads_our_records_with_our_key_log() {
    let all = LINES.map(|line| line.repeat(2)).concat();
    let mut cells = Vec::new();
    for (transport, version) in [
        (Transport::Dtls, Version::V1_2),
        (Transport::Tls, Version::V1_2),
        (Transport::Tls, Version::V1_3),
    ] {
        let session = Session {
            new_keys: transport == Transport::Tls,
            ..Session::new(transport, version)
        };
        let what = protocol(transport, version);
        let how = if session.new_keys { ", new keys" } else { "" };
        let all = all.clone();
        cells.push(Cell::new(format!("tshark, {what}{how}"), move |it| {
            read(it, &session, &all)
        }));
    }
    let plain = Session::new(Transport::Dtls, Version::V1_2);
    let with_ids = Session {
        connection_ids: Some(8),
        ..plain
    };
    cells.push(Cell::new("tshark, DTLS 1.2, connection IDs", move |it| {
        read(it, &with_ids, &all)
    }));
    cells.push(Cell::empty(
        "tshark, DTLS 1.2, new keys",
        "it loses the keys with the ClientHello of a renegotiation, those of OpenSSL too",
        move |it| {
            let new_keys = true;
            let renewed = Session { new_keys, ..plain };
            read(it, &renewed, &LINES[0].repeat(2)).map(drop)
        },
    ));
    cells.push(Cell::empty(
        "tshark, DTLS 1.3",
        "Debian's version knows no records of DTLS 1.3",
        |it| read(it, &Session::new(Transport::Dtls, Version::V1_3), "").map(drop),
    ));
    cell::run("tshark", &cells);
}

/// What is captured.
#[derive(Debug, Clone, Copy)]
struct Session {
    transport: Transport,
    version: Version,
    connection_ids: Option<usize>,
    /// After the first line.
    new_keys: bool,
}

impl Session {
    const fn new(transport: Transport, version: Version) -> Self {
        Self {
            transport,
            version,
            connection_ids: None,
            new_keys: false,
        }
    }
}

/// What tshark opens must be what was said, in its order, and in the capture itself there must be
/// none of it.
fn read(it: &Surroundings<'_>, session: &Session, opens: &str) -> Outcome<String> {
    let transport = session.transport;
    let keys = it.directory.path().join("keys");
    let mut settings = Settings::new(it.pki, session.version).mutual();
    settings.renegotiation = true;
    settings.connection_ids = session.connection_ids;
    let server = End::server(transport, &settings)?;
    settings.key_log = Some(keys.clone());
    let (capture, agreed) = match transport {
        Transport::Dtls => {
            let proxy = Proxy::start(server.address(), Loss::NONE)?;
            let client = End::client(transport, &settings, proxy.address())?;
            let agreed = converse(&client, &server, session, it.deadline)?;
            let mut capture = Pcap::new();
            for captured in proxy.captured() {
                capture.datagram(captured.direction, &captured.bytes);
            }
            (capture, agreed)
        }
        Transport::Tls => {
            let tap = Tap::start(server.address())?;
            let client = End::client(transport, &settings, tap.address())?;
            let agreed = converse(&client, &server, session, it.deadline)?;
            let mut capture = Pcap::new();
            capture.begin_stream();
            for (direction, bytes) in tap.parts() {
                capture.part(direction, &bytes);
            }
            (capture, agreed)
        }
    };
    let hello = LINES[0].as_bytes();
    let plain = capture.bytes().windows(hello.len()).any(|it| it == hello);
    expect("whether the capture is in plain", plain, false)?;
    let file = it.directory.path().join("capture.pcap");
    fs::write(&file, capture.bytes())?;
    let mut tshark = start(it, transport, &file, &keys)?;
    let outcome = (|| {
        tshark.wait_for_exit(it.deadline)?;
        let opened: Vec<u8> = tshark
            .transcript()
            .stdout_lines()
            .flat_map(|line| bytes(&line))
            .collect();
        expect(
            "what it has opened",
            String::from_utf8_lossy(&opened),
            opens,
        )?;
        Ok(agreed)
    })();
    with_evidence(outcome, &[&server], &[&tshark])
}

/// Each line goes there and comes back.
fn converse(client: &End, server: &End, session: &Session, deadline: Deadline) -> Outcome<String> {
    let agreed = client.handshake(0, deadline)?;
    for (number, line) in LINES.into_iter().enumerate() {
        if number == 1 && session.new_keys {
            client.renegotiate(0);
            match session.version {
                Version::V1_2 => drop(client.handshake(1, deadline)?),
                Version::V1_3 => client.remark("KeysUpdated", deadline)?,
            }
        }
        client.send(0, line.as_bytes());
        let (peer, received) = server.receive(deadline)?;
        server.send(peer, &received);
        let (_, back) = client.receive(deadline)?;
        expect("what came back", String::from_utf8_lossy(&back), line)?;
    }
    Ok(agreed.remark())
}

fn start(
    it: &Surroundings<'_>,
    transport: Transport,
    capture: &Path,
    keys: &Path,
) -> Outcome<Process> {
    let (kind, name) = match transport {
        Transport::Dtls => ("udp", "dtls"),
        Transport::Tls => ("tcp", "tls"),
    };
    let mut command = Command::new("tshark");
    // Neither settings of the user nor their names.
    command.env("HOME", it.directory.path());
    command.arg("-n").arg("-r").arg(capture);
    command.args(["-o", &format!("tls.keylog_file:{}", keys.display())]);
    command.args(["-d", &format!("{kind}.port=={SERVER_PORT},{name}")]);
    command.args(["-T", "fields", "-e", "data.data", "-Y", "data"]);
    it.start(command)
}

/// The bytes that hexadecimal digits stand for; there are commas between two records of a packet.
fn bytes(line: &str) -> Vec<u8> {
    let digits: Vec<_> = line.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).filter_map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect()
}

const LINES: [&str; 3] = [
    "what nobody else can read\n",
    "under other keys\n",
    "goodbye\n",
];
