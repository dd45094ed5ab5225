//! What goes through `sealgram tunnel`: sizes, addresses, keys that are replaced, and more programs
//! than it serves.

#![cfg(unix)]

mod program;
mod tunnel;

use program::{Directory, value};
use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};
use tunnel::{ANY, Echo, Local, PATIENCE, client, counter, key, server};

/// A datagram whose contents follow from its number.
fn numbered(number: u32) -> Vec<u8> {
    // Runs of one size, and sizes that differ each time.
    let length = match number / 50 % 3 {
        0 => 1200,
        1 => 4 + number * 7919 % 1300,
        _ => 64,
    };
    let length = usize::try_from(length).unwrap();
    let mut datagram: Vec<u8> = number.to_be_bytes().into();
    datagram.extend((4..length).map(|index| u8::try_from((index * 31) % 251).unwrap()));
    datagram
}

#[test]
fn datagrams_of_all_sizes_come_back_as_they_were() {
    let directory = Directory::new("tunnel-sizes");
    let key = key(&directory);
    let echo = Echo::new();
    let (_server, at) = server(ANY, echo.address, &["--psk-file", &key]);
    let (_client, at) = client(ANY, &at, &["--psk-file", &key]);
    let local = Local::to(&at);
    local.ask("there");
    local
        .socket
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut missing: BTreeSet<u32> = (0..3000).collect();
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = [0; 2048];
    // Ten at once are asked for, and what a full buffer has lost is asked for again.
    while !missing.is_empty() {
        assert!(Instant::now() < deadline, "{missing:?}");
        let asked: Vec<_> = missing.iter().copied().take(10).collect();
        for &number in &asked {
            local.socket.send(&numbered(number)).unwrap();
        }
        for _ in &asked {
            let Ok(length) = local.socket.recv(&mut buffer) else {
                break;
            };
            let number = u32::from_be_bytes(buffer[5..9].try_into().unwrap());
            assert_eq!(buffer[5..length], numbered(number), "{number}");
            missing.remove(&number);
        }
    }
}

#[test]
fn data_flows_while_keys_are_replaced() {
    thread::scope(|scope| {
        for version in ["1.2", "1.3"] {
            scope.spawn(move || {
                let directory = Directory::new(&format!("tunnel-rekey-{version}"));
                let key = key(&directory);
                let echo = Echo::new();
                let options = ["--psk-file", &key, "--versions", version];
                let (mut server, at) = server(ANY, echo.address, &options);
                // The server does not let clients begin, so it does that itself at 1.2.
                let options = [&options[..], &["--rekey-bytes", "20000"]].concat();
                let (mut client, at) = client(ANY, &at, &options);
                let local = Local::to(&at);
                let (port, _) = local.ask("first");
                let text = "x".repeat(1000);
                for round in 0..200 {
                    assert_eq!(local.ask(&format!("{text} {round}")).0, port);
                }
                if version == "1.3" {
                    assert!(counter(&mut client, "keys_replaced") > 5);
                    assert!(counter(&mut server, "keys_replaced") > 5);
                }
                assert_eq!(counter(&mut client, "flows_opened"), 1);
                assert_eq!(counter(&mut client, "associations_failed"), 0);
            });
        }
    });
}

/// At 1.2 a server begins renegotiations of its own accord.
#[test]
fn a_server_of_version_12_replaces_keys_too() {
    let directory = Directory::new("tunnel-rekey-server");
    let key = key(&directory);
    let echo = Echo::new();
    let options = ["--psk-file", &key, "--versions", "1.2"];
    let limit = [&options[..], &["--rekey-bytes", "20000"]].concat();
    let (mut server, at) = server(ANY, echo.address, &limit);
    let (mut client, at) = client(ANY, &at, &options);
    let local = Local::to(&at);
    let (port, _) = local.ask("first");
    let text = "x".repeat(1000);
    for round in 0..200 {
        assert_eq!(local.ask(&format!("{text} {round}")).0, port);
    }
    for end in [&mut server, &mut client] {
        assert!(counter(end, "keys_replaced") > 5);
        assert_eq!(counter(end, "flows_opened"), 1);
    }
}

/// A socket that is connected takes nothing from elsewhere.
#[test]
fn answers_come_from_the_address_that_was_asked() {
    let directory = Directory::new("tunnel-addresses");
    let key = key(&directory);
    let echo = Echo::new();
    let (_server, at) = server("[::]:0", echo.address, &["--psk-file", &key]);
    let port = at.rsplit(':').next().unwrap().to_owned();
    let server_at = format!("127.0.0.1:{port}");
    let (_client, at) = client("0.0.0.0:0", &server_at, &["--psk-file", &key]);
    let port = at.rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
        Local::to(&format!("{host}:{port}")).ask(host);
    }
}

#[test]
fn more_programs_than_are_served_do_no_harm() {
    let directory = Directory::new("tunnel-flood");
    let key = key(&directory);
    let echo = Echo::new();
    let (first_server, server_at) = server(ANY, echo.address, &["--psk-file", &key]);
    drop(first_server);
    let options = [
        "--psk-file",
        &key,
        "--max-flows",
        "100",
        "--max-backoff",
        "1",
    ];
    let (mut client, at) = client(ANY, &server_at, &options);
    let locals: Vec<_> = (0..400).map(|_| UdpSocket::bind(ANY).unwrap()).collect();
    for local in &locals {
        local.send_to(b"let me in", &at).unwrap();
    }
    let refused = client.event("flow_refused");
    assert!(refused.contains("every flow is in use"), "{refused}");
    let deadline = Instant::now() + PATIENCE;
    while counter(&mut client, "plain_received") < 400 {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(counter(&mut client, "flows"), 100);
    assert_eq!(counter(&mut client, "dropped_no_flow"), 300);
    assert!(counter(&mut client, "handshaking") <= 64);

    // Those that were first are served once there is somebody.
    let (_second_server, _) = server(&server_at, echo.address, &["--psk-file", &key]);
    locals[0].connect(&at).unwrap();
    let first = Local {
        socket: locals.into_iter().next().unwrap(),
    };
    first.ask("after all");
}

/// The certificate of a first try stays as it is when files are read anew.
#[test]
fn a_certificate_that_was_made_on_the_spot_outlives_a_hangup() {
    let directory = Directory::new("tunnel-self-signed");
    let echo = Echo::new();
    let file = directory.file("server.pem");
    let options = ["--self-signed", "--cert-out", &file];
    let (mut server, at) = server(ANY, echo.address, &options);
    let made = std::fs::read(&file).unwrap();
    server.signal("HUP");
    server.event("reloaded");
    assert_eq!(std::fs::read(&file).unwrap(), made);
    let (mut client, at) = client(ANY, &at, &["--ca", &file]);
    Local::to(&at).ask("trusted");
    let complete = client.event("handshake_complete");
    assert_eq!(value(&complete, "peer_identity"), "certificate");
}
