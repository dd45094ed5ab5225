//! `sealgram tunnel`: an unmodified service through it, whatever happens to the way, the ends, the
//! service and the local programs.

#![cfg(unix)]

mod program;
mod tunnel;

use program::{Directory, Program, value};
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tunnel::{ANY, Echo, Local, Lossy, PATIENCE, client, counter, key, server};

#[test]
fn a_service_works_under_loss_and_survives_a_restart_of_either_end() {
    thread::scope(|scope| {
        for version in ["1.2", "1.3"] {
            scope.spawn(move || survive(version));
        }
    });
}

fn survive(version: &str) {
    let directory = Directory::new(&format!("tunnel-restart-{version}"));
    let key = key(&directory);
    let secret = directory.write("fleet", &"7".repeat(32));
    let options = ["--psk-file", &key, "--versions", version];
    let with_secret = [&options[..], &["--fleet-secret", &secret]].concat();
    let echo = Echo::new();
    let (first_server, at) = server(ANY, echo.address, &with_secret);
    let way = Lossy::to(&at, 5);
    let (mut first_client, local_at) = client(ANY, &way.address, &options);
    let local = Local::to(&local_at);
    for round in 0..100 {
        local.ask(&format!("before {round}"));
    }
    let complete = first_client.event("handshake_complete");
    assert_eq!(value(&complete, "version"), format!("DTLSv{version}"));

    // Killed, so it says nothing to anybody.
    drop(first_server);
    assert_eq!(
        local.ask_once("nobody is there", Duration::from_millis(200)),
        None
    );
    let (_second_server, _) = server(&at, echo.address, &with_secret);
    let (_, took) = local.ask("after the server's restart");
    // Three seconds without an answer, three more to the question, a pause, and losses.
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert!(first_client.event("unanswered").contains(&way.address));
    let again = first_client.event("handshake_complete");
    assert_eq!(value(&again, "kind"), "resumed", "{again}");
    for round in 0..20 {
        local.ask(&format!("between {round}"));
    }

    drop(first_client);
    let (_second_client, _) = client(&local_at, &way.address, &options);
    let (_, took) = local.ask("after the client's restart");
    assert!(took < Duration::from_secs(15), "{took:?}");
}

/// Whoever can send from the server's address cannot make a client believe that its association is
/// still there.
#[test]
fn what_is_not_protected_is_no_sign_of_life() {
    for version in ["1.2", "1.3"] {
        let directory = Directory::new(&format!("tunnel-impostor-{version}"));
        let key = key(&directory);
        let options = ["--psk-file", &key, "--versions", version];
        let echo = Echo::new();
        let (server, at) = server(ANY, echo.address, &options);
        let options = [&options[..], &["--unanswered", "1"]].concat();
        let (mut client, local_at) = client(ANY, &at, &options);
        let local = Local::to(&local_at);
        local.ask("before");
        drop(server);
        let impostor = UdpSocket::bind(&at).unwrap();
        impostor
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| speak_in_the_clear(&impostor, &over));
            let began = Instant::now();
            let found = (0..80).any(|_| {
                local.socket.send(b"nobody").unwrap();
                let tick = Duration::from_millis(100);
                let told = client.event_within(tick, |line| line.contains("event=unanswered"));
                told.is_some()
            });
            over.store(true, Ordering::Relaxed);
            assert!(found, "{version}: {:?}", began.elapsed());
        });
    }
}

/// Answers everything by an alert, a HelloRequest and an acknowledgement, each in a record of epoch
/// 0.
fn speak_in_the_clear(impostor: &UdpSocket, over: &AtomicBool) {
    let mut buffer = [0; 2048];
    while !over.load(Ordering::Relaxed) {
        let Ok((_, client)) = impostor.recv_from(&mut buffer) else {
            continue;
        };
        for (kind, contents) in [(21, &[1, 90][..]), (22, &[0; 12]), (26, &[0, 0])] {
            let length = u8::try_from(contents.len()).unwrap();
            let header = [kind, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, length];
            let record = [&header, contents].concat();
            impostor.send_to(&record, client).unwrap();
        }
    }
}

#[test]
fn every_local_address_is_an_association_and_an_address_at_the_service() {
    let directory = Directory::new("tunnel-many");
    let key = key(&directory);
    let echo = Echo::new();
    let (mut server, at) = server(ANY, echo.address, &["--psk-file", &key]);
    let (mut client, at) = client(ANY, &at, &["--psk-file", &key, "--max-half-open", "8"]);
    let locals: Vec<_> = (0..100).map(|_| Local::to(&at)).collect();
    // All at once: what does not get a handshake at once waits for it.
    for local in &locals {
        local.socket.send(b"early").unwrap();
    }
    let mut ports: Vec<_> = locals
        .iter()
        .map(|local| local.ask("who am I?").0)
        .collect();
    let asked_again: Vec<_> = locals.iter().map(|local| local.ask("and now?").0).collect();
    assert_eq!(ports, asked_again);
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), locals.len());
    for end in [&mut server, &mut client] {
        assert_eq!(counter(end, "flows"), 100);
        assert_eq!(counter(end, "flows_opened"), 100);
    }
    // The first of them have brought tickets, which later ones use.
    assert!(counter(&mut client, "handshakes_resumed") > 0);
}

#[test]
fn a_datagram_that_does_not_fit_is_counted_and_the_size_that_does_is_told() {
    let directory = Directory::new("tunnel-large");
    let key = key(&directory);
    let echo = Echo::new();
    let (mut server, at) = server(ANY, echo.address, &["--psk-file", &key, "--mtu", "600"]);
    let (mut client, at) = client(ANY, &at, &["--psk-file", &key, "--mtu", "700"]);
    let local = Local::to(&at);
    local.ask("first");
    let fits: usize = value(&client.event("handshake_complete"), "max_payload")
        .parse()
        .unwrap();
    assert!((600..700).contains(&fits), "{fits}");
    local.socket.send(&vec![b'x'; fits + 1]).unwrap();
    let told = client.event("too_large");
    assert_eq!(value(&told, "bytes"), (fits + 1).to_string());
    assert_eq!(value(&told, "fits"), fits.to_string());
    assert_eq!(counter(&mut client, "dropped_too_large"), 1);
    // It fits there, but the answer is too large for the other end's datagrams.
    local.socket.send(&vec![b'x'; fits]).unwrap();
    let told = server.event("too_large");
    assert_eq!(value(&told, "bytes"), (fits + 5).to_string());
    local.ask("goes on");
    local.socket.send(b"").unwrap();
    local.ask("and on");
    assert_eq!(counter(&mut client, "dropped_empty"), 1);
}

#[test]
fn flows_are_limited_and_the_one_that_was_idle_longest_goes() {
    let directory = Directory::new("tunnel-evicted");
    let key = key(&directory);
    let echo = Echo::new();
    let (_server, at) = server(ANY, echo.address, &["--psk-file", &key]);
    let options = ["--psk-file", &key, "--max-flows", "2", "--evict-idle", "4"];
    let (mut client, at) = client(ANY, &at, &options);
    let (first, second, third) = (Local::to(&at), Local::to(&at), Local::to(&at));
    first.ask("one");
    second.ask("two");
    assert_eq!(third.ask_once("three", Duration::from_millis(300)), None);
    client.event("flow_refused");
    assert_eq!(counter(&mut client, "dropped_no_flow"), 1);
    thread::sleep(Duration::from_secs(2));
    second.ask("still in use");
    thread::sleep(Duration::from_millis(2500));
    third.ask("three");
    let evicted = client.event("flow_closed");
    assert_eq!(value(&evicted, "reason"), "evicted");
    let first = first.socket.local_addr().unwrap().to_string();
    assert_eq!(value(&evicted, "local"), first);
}

#[test]
fn a_server_evicts_too_and_idle_flows_end_at_both_ends() {
    let directory = Directory::new("tunnel-idle");
    let key = key(&directory);
    let echo = Echo::new();
    let options = ["--psk-file", &key, "--idle-timeout", "2"];
    let limit = [&options[..], &["--max-flows", "1"]].concat();
    let (mut server, at) = server(ANY, echo.address, &limit);
    let (mut client, at) = client(ANY, &at, &options);
    let (first, second) = (Local::to(&at), Local::to(&at));
    let (port, _) = first.ask("one");
    assert_eq!(second.ask_once("two", Duration::from_millis(500)), None);
    server.event("flow_refused");
    let closed = client.event("flow_closed");
    assert_eq!(value(&closed, "reason"), "idle");
    // Either may be the first to notice.
    server.event("flow_closed");
    let (other, _) = second.ask("two");
    assert_ne!(port, other);
}

#[test]
fn what_waits_for_a_handshake_is_bounded() {
    let directory = Directory::new("tunnel-queue");
    let key = key(&directory);
    // Nobody is there.
    let silent = UdpSocket::bind(ANY).unwrap();
    let silent_at = silent.local_addr().unwrap().to_string();
    let limits = ["--queue", "1000", "--total-queue", "1500"];
    let (mut client, at) = client(
        ANY,
        &silent_at,
        &[&limits[..], &["--psk-file", &key]].concat(),
    );
    let (one, other) = (Local::to(&at), Local::to(&at));
    for local in [one, other] {
        for _ in 0..10 {
            // 100 bytes, and 64 that each takes beside its own.
            local.socket.send(&[7; 100]).unwrap();
        }
    }
    let deadline = Instant::now() + PATIENCE;
    while counter(&mut client, "plain_received") < 20 {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(counter(&mut client, "queued_datagrams"), 9);
    assert_eq!(counter(&mut client, "dropped_queue_full"), 11);
}

#[test]
fn a_service_that_vanishes_is_told_of_and_may_come_back() {
    let directory = Directory::new("tunnel-vanished");
    let key = key(&directory);
    let echo = Echo::new();
    let service = echo.address;
    let (mut server, at) = server(ANY, service, &["--psk-file", &key]);
    let (_client, at) = client(ANY, &at, &["--psk-file", &key]);
    let local = Local::to(&at);
    let (port, _) = local.ask("there");
    drop(echo);
    assert_eq!(local.ask_once("gone", Duration::from_millis(200)), None);
    let report = server.event("unreachable");
    assert_eq!(value(&report, "service"), service.to_string());
    let _echo = Echo::at(service);
    // Its address at the service is the same as before.
    assert_eq!(local.ask("back").0, port);
}

#[test]
fn strangers_and_programs_that_are_gone_do_not_end_a_tunnel() {
    let directory = Directory::new("tunnel-strangers");
    let key = key(&directory);
    let echo = Echo::new();
    let (mut server, server_at) = server(ANY, echo.address, &["--psk-file", &key]);
    let (mut client, at) = client(ANY, &server_at, &["--psk-file", &key]);
    let local = Local::to(&at);
    local.ask("before");
    let stranger = UdpSocket::bind(ANY).unwrap();
    for first in 0..=255_u8 {
        for length in [1, 13, 100, 1400] {
            stranger.send_to(&vec![first; length], &server_at).unwrap();
        }
    }
    local.ask("after strangers");
    assert!(counter(&mut server, "strays") > 100);
    // It asks, and is gone when the answer comes.
    for round in 0..20 {
        Local::to(&at)
            .socket
            .send(format!("{round}").as_bytes())
            .unwrap();
    }
    local.ask("after programs that are gone");
    // An end without a key gets nowhere.
    let other = directory.write("other.psk", &format!("tunnel:{}\n", "66".repeat(32)));
    let options = ["--psk-file", &other, "--timeout", "2"];
    let (_client, wrong) = tunnel::client(ANY, &server_at, &options);
    assert_eq!(
        Local::to(&wrong).ask_once("let me in", Duration::from_secs(1)),
        None
    );
    local.ask("after a wrong key");
    assert_eq!(counter(&mut client, "associations_failed"), 0);
}

/// The server answers nothing but questions whether it is there: that is no reason to connect
/// again.
#[test]
fn a_service_that_only_takes_keeps_its_association() {
    let directory = Directory::new("tunnel-silent");
    let key = key(&directory);
    let service = UdpSocket::bind(ANY).unwrap();
    service.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut ends = Vec::new();
    for version in ["1.2", "1.3"] {
        let options = ["--psk-file", &key, "--versions", version];
        let (server, at) = server(ANY, service.local_addr().unwrap(), &options);
        let options = [&options[..], &["--unanswered", "2"]].concat();
        let (client, at) = client(ANY, &at, &options);
        ends.push((server, client, Local::to(&at)));
    }
    let mut buffer = [0; 100];
    // Longer than a server that does not answer would be borne with.
    for _ in 0..80 {
        for (_, _, local) in &ends {
            local.socket.send(b"measured").unwrap();
            service.recv_from(&mut buffer).unwrap();
        }
        thread::sleep(Duration::from_millis(100));
    }
    for (_, client, _) in &mut ends {
        assert!(counter(client, "liveness_checks") > 0);
        for none in [
            "associations_dead",
            "associations_failed",
            "associations_closed",
        ] {
            assert_eq!(counter(client, none), 0, "{none}");
        }
    }
}

/// A way that carries nothing from the port that a client has, as a NAT that has forgotten it.
#[test]
fn a_client_with_a_connection_id_goes_on_from_another_port() {
    for version in ["1.2", "1.3"] {
        let directory = Directory::new(&format!("tunnel-moving-{version}"));
        let key = key(&directory);
        let echo = Echo::new();
        let options = ["--psk-file", &key, "--cid", "8", "--versions", version];
        let (mut server, at) = server(ANY, echo.address, &options);
        let way = Forgetful::to(&at);
        let options = [&options[..], &["--unanswered", "2"]].concat();
        let (mut client, at) = client(ANY, &way.address, &options);
        let local = Local::to(&at);
        let (port, _) = local.ask("before");
        way.forget();
        let (again, _) = local.ask("after");
        // The same association has the same socket at the service.
        assert_eq!(port, again, "{version}");
        server.event("path_changed");
        assert_eq!(counter(&mut client, "associations_dead"), 0);
    }
}

/// A way that carries datagrams of clients until it forgets the ports that they have then.
struct Forgetful {
    address: String,
    /// Taken when the ports are forgotten.
    forget: std::sync::mpsc::SyncSender<()>,
}

impl Forgetful {
    fn to(server: &str) -> Self {
        let server: std::net::SocketAddr = server.parse().unwrap();
        let front = UdpSocket::bind(ANY).unwrap();
        front
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        let address = front.local_addr().unwrap().to_string();
        let (forget, forgets) = std::sync::mpsc::sync_channel(0);
        thread::spawn(move || {
            let mut known: Vec<(std::net::SocketAddr, UdpSocket)> = Vec::new();
            let mut forgotten = Vec::new();
            let mut buffer = [0; 2048];
            loop {
                if forgets.try_recv().is_ok() {
                    forgotten.extend(known.drain(..).map(|(client, _)| client));
                }
                if let Ok((length, from)) = front.recv_from(&mut buffer)
                    && !forgotten.contains(&from)
                {
                    if !known.iter().any(|(client, _)| *client == from) {
                        let back = UdpSocket::bind(ANY).unwrap();
                        back.set_nonblocking(true).unwrap();
                        known.push((from, back));
                    }
                    let (_, back) = known.iter().find(|(client, _)| *client == from).unwrap();
                    let _gone = back.send_to(&buffer[..length], server);
                }
                for (client, back) in &known {
                    while let Ok(length) = back.recv(&mut buffer) {
                        let _gone = front.send_to(&buffer[..length], client);
                    }
                }
            }
        });
        Self { address, forget }
    }

    fn forget(&self) {
        self.forget.send(()).unwrap();
    }
}

/// A service that sends on and on to whoever has asked it once.
fn stream() -> (UdpSocket, std::net::SocketAddr) {
    let service = UdpSocket::bind(ANY).unwrap();
    let address = service.local_addr().unwrap();
    let sender = service.try_clone().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 100];
        let mut askers = Vec::new();
        let tick = Some(Duration::from_millis(50));
        sender.set_read_timeout(tick).unwrap();
        loop {
            if let Ok((_, from)) = sender.recv_from(&mut buffer) {
                askers.push(from);
            }
            for asker in &askers {
                let _gone = sender.send_to(b"more", asker);
            }
        }
    });
    (service, address)
}

#[test]
fn a_service_that_sends_to_a_client_that_is_gone_is_stopped() {
    let directory = Directory::new("tunnel-gone");
    let key = key(&directory);
    let (_service, address) = stream();
    for version in ["1.2", "1.3"] {
        let options = ["--psk-file", &key, "--versions", version];
        let patience = [&options[..], &["--unanswered", "2"]].concat();
        let (mut server, at) = server(ANY, address, &patience);
        let (client, at) = client(ANY, &at, &options);
        let local = Local::to(&at);
        local.socket.send(b"begin").unwrap();
        let mut buffer = [0; 10];
        local.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // The program says nothing more, and the client answers for it.
        let began = Instant::now();
        let mut checks = 0;
        // Longer than a client that does not answer would be borne with.
        while checks == 0 || began.elapsed() < Duration::from_secs(5) {
            assert!(began.elapsed() < PATIENCE);
            for _ in 0..20 {
                // A signal ends a wait of the system early.
                while let Err(error) = local.socket.recv(&mut buffer) {
                    assert_eq!(error.kind(), ErrorKind::Interrupted);
                }
            }
            checks = counter(&mut server, "liveness_checks");
        }
        assert_eq!(counter(&mut server, "flows"), 1);
        drop(client);
        let closed = server.event("flow_closed");
        assert_eq!(value(&closed, "reason"), "unanswered");
        assert_eq!(counter(&mut server, "associations_dead"), 1);
    }
}

/// What comes for a program does not show that it is there.
#[test]
fn a_service_that_sends_to_a_program_that_is_gone_is_stopped() {
    let directory = Directory::new("tunnel-gone-program");
    let key = key(&directory);
    let (_service, address) = stream();
    let (mut server, at) = server(ANY, address, &["--psk-file", &key]);
    let (mut client, at) = client(ANY, &at, &["--psk-file", &key, "--idle-timeout", "2"]);
    Local::to(&at).socket.send(b"begin").unwrap();
    let closed = client.event("flow_closed");
    assert_eq!(value(&closed, "reason"), "idle");
    let closed = server.event("flow_closed");
    assert!(closed.contains("closed by the peer"), "{closed}");
}

/// A server without room closes the newcomer's association at once: that is no reason to begin a
/// handshake with every datagram.
#[test]
fn a_server_without_room_is_not_asked_again_with_every_datagram() {
    let directory = Directory::new("tunnel-no-room");
    let key = key(&directory);
    let echo = Echo::new();
    let (_server, at) = server(ANY, echo.address, &["--psk-file", &key, "--max-flows", "1"]);
    let (mut client, at) = client(ANY, &at, &["--psk-file", &key]);
    let (first, second) = (Local::to(&at), Local::to(&at));
    for round in 0..100 {
        first.ask(&format!("in use {round}"));
        second.socket.send(b"no room").unwrap();
        thread::sleep(Duration::from_millis(30));
    }
    let closed = counter(&mut client, "associations_closed");
    assert!((2..8).contains(&closed), "{closed}");
}

/// Sockets that the system does not give are flows that wait.
#[test]
fn a_client_without_descriptors_goes_on() {
    let directory = Directory::new("tunnel-descriptors");
    let key = key(&directory);
    let echo = Echo::new();
    let (_server, at) = server(ANY, echo.address, &["--psk-file", &key]);
    let arguments = ["tunnel", "client", "--listen", ANY, "--connect", &at];
    let options = ["--psk-file", &key, "--idle-timeout", "3"];
    let mut client = Program::start_limited(24, &[&arguments[..], &options].concat());
    let at = value(&client.event("listening"), "addr").to_owned();
    let locals: Vec<_> = (0..40).map(|_| Local::to(&at)).collect();
    for local in &locals {
        local.socket.send(b"one of many").unwrap();
    }
    client.event("error");
    // Those that were served end, and others have their turn.
    locals[39].ask("at last");
    assert!(counter(&mut client, "handshakes_failed") > 0);
}

/// It names a peer, so that a test that waits for nothing else sees the program's own words.
#[test]
fn an_end_that_cannot_be_what_it_is_told_to_be_says_so() {
    for (arguments, told) in [
        (
            &[
                "client",
                "--listen",
                ANY,
                "--connect",
                "127.0.0.1:1",
                "--tls",
            ][..],
            "--tls",
        ),
        (
            &["server", "--listen", ANY, "--forward", "127.0.0.1:1"][..],
            "a certificate",
        ),
        (
            &["server", "--listen", "systemd", "--forward", "127.0.0.1:1"][..],
            "LISTEN_FDS",
        ),
    ] {
        let (code, said) = Program::start(&[&["tunnel"], arguments].concat()).end();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(told), "{said}");
    }
}
