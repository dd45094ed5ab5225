//! `sealgram bench`: both ends in one process, and a client opposite a server over a link that
//! loses a known share.

#![cfg(unix)]

mod program;

use program::{Directory, Program, value};
use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Runs a bench to its end, and returns its line of JSON.
fn figures(arguments: &[&str]) -> Value {
    let all = [&["bench"], arguments, &["--json"]].concat();
    let mut bench = Program::start(&all);
    let line = bench.line();
    let (code, said) = bench.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said, "", "there is no bar where there is no terminal");
    serde_json::from_str(&line).unwrap()
}

fn number(figures: &Value, path: &str) -> f64 {
    let number = figures.pointer(path).and_then(Value::as_f64);
    number.unwrap_or_else(|| panic!("no {path} in {figures}"))
}

/// Both transports and versions, all phases, with figures that can be true.
#[test]
fn a_bench_of_this_machine_reports_every_phase() {
    for (transport, version) in [(&[][..], "DTLSv1.3"), (&["--tls"], "TLSv1.3")] {
        let all = [&["--duration", "1", "--peers", "3"], transport].concat();
        let figures = figures(&all);
        assert_eq!(figures["format"], 1);
        assert_eq!(figures["interrupted"], false);
        assert_eq!(figures["settings"]["version"], version);
        assert_eq!(figures["settings"]["server"], "loopback");
        assert!(number(&figures, "/machine/cores") >= 1.0);
        for phase in ["full", "resumed"] {
            let of = |key| number(&figures, &format!("/{phase}/{key}"));
            assert!(of("completed") > 0.0, "{figures}");
            assert_eq!(of("failed"), 0.0, "{figures}");
            assert!(of("time_us/p50") > 0.0 && of("time_us/p50") <= of("time_us/max"));
            assert!((0.5..10.0).contains(&of("seconds")), "{figures}");
        }
        assert_eq!(number(&figures, "/full/not_resumed"), 0.0);
        // Those that had no session yet, and no more.
        assert!(
            number(&figures, "/resumed/not_resumed") <= 16.0,
            "{figures}"
        );
        for phase in ["upload", "download"] {
            let of = |key| number(&figures, &format!("/{phase}/{key}"));
            assert!(of("received") > 0.0, "{figures}");
            assert_eq!(of("sent"), of("received") + of("lost"), "{figures}");
            assert!(of("mbit_per_second") > 0.0, "{figures}");
            // A stream loses nothing.
            assert!(transport.is_empty() || of("lost") == 0.0, "{figures}");
        }
        assert!(number(&figures, "/latency/round_trips") > 0.0);
        assert!(number(&figures, "/latency/time_us/p99") > 0.0);
        every_key_is_documented(&figures);
    }
}

/// Programs read the line, so each of its keys has a row in the documents.
fn every_key_is_documented(figures: &Value) {
    const DOCUMENT: &str = include_str!("../../docs/bench.md");
    if let Value::Object(fields) = figures {
        for (key, value) in fields {
            assert!(DOCUMENT.contains(&format!("`{key}`")), "{key}");
            every_key_is_documented(value);
        }
    }
}

#[test]
fn only_what_was_asked_for_is_measured_and_the_table_says_so() {
    let all = ["bench", "--duration", "1", "--phases", "latency,resumed"];
    let mut bench = Program::start(&[&all[..], &["--versions", "1.2"]].concat());
    let first = bench.line();
    assert!(first.contains("DTLSv1.2"), "{first}");
    let mut table = bench.line();
    assert!(table.contains("resumptions"), "{table}");
    while !table.contains("ns a round trip") {
        table += &bench.line();
    }
    assert!(!table.contains("upload"), "{table}");
    let (code, said) = bench.end();
    assert_eq!(code, Some(0), "{said}");
}

/// A server for benches, its certificate's file, and its address.
fn server(directory: &Directory, arguments: &[&str]) -> (Program, String, SocketAddr) {
    let certificate = directory.file("server.pem");
    let all = [
        "bench",
        "server",
        "--self-signed",
        "--cert-out",
        &certificate,
    ];
    let mut server = Program::start(&[&all[..], &["--listen", "127.0.0.1:0"], arguments].concat());
    let address = value(&server.event("listening"), "addr").parse().unwrap();
    (server, certificate, address)
}

/// A link that drops every `every`th long datagram, either way. Datagrams of the handshake are long
/// too, and are sent again.
struct Link {
    address: SocketAddr,
    dropped: Arc<[AtomicU64; 2]>,
    over: Arc<AtomicBool>,
}

impl Link {
    fn to(server: SocketAddr, every: u64, longer: usize) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = front.local_addr().unwrap();
        let back = UdpSocket::bind("127.0.0.1:0").unwrap();
        back.connect(server).unwrap();
        let dropped: Arc<[AtomicU64; 2]> = Arc::default();
        let over = Arc::new(AtomicBool::new(false));
        for socket in [&front, &back] {
            let pause = Some(Duration::from_millis(50));
            socket.set_read_timeout(pause).unwrap();
        }
        let (counted, ended) = (dropped.clone(), over.clone());
        thread::spawn(move || {
            let client = std::sync::OnceLock::new();
            thread::scope(|scope| {
                for direction in 0..2 {
                    let (front, back, client) = (&front, &back, &client);
                    let (dropped, ended) = (&counted[direction], &ended);
                    scope.spawn(move || {
                        let mut buffer = [0; 1 << 16];
                        let mut seen = 0_u64;
                        while !ended.load(Ordering::Relaxed) {
                            let from = [front, back][direction];
                            let Ok((length, remote)) = from.recv_from(&mut buffer) else {
                                continue;
                            };
                            if direction == 0 {
                                client.get_or_init(|| remote);
                            }
                            if length > longer {
                                seen += 1;
                                if seen.is_multiple_of(every) {
                                    dropped.fetch_add(1, Ordering::Relaxed);
                                    continue;
                                }
                            }
                            let _full = match (direction, client.get()) {
                                (0, _) => back.send(&buffer[..length]),
                                (_, Some(client)) => front.send_to(&buffer[..length], client),
                                _ => Ok(0),
                            };
                        }
                    });
                }
            });
        });
        Self {
            address,
            dropped,
            over,
        }
    }

    fn dropped(&self, direction: usize) -> f64 {
        self.dropped[direction].load(Ordering::Relaxed) as f64
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Data messages alone are longer than 1,300 bytes: the loss that is reported is the one that the
/// link made, to the message.
#[test]
fn the_loss_of_a_link_is_the_loss_that_is_reported() {
    let directory = Directory::new("bench-loss");
    let (server, certificate, address) = server(&directory, &["--mtu", "1472"]);
    for (phase, direction) in [("upload", 0), ("download", 1)] {
        let run = || {
            let link = Link::to(address, 10, 1400);
            let remote = link.address.to_string();
            let all = ["client", &remote, "--ca", &certificate, "--duration", "2"];
            // What comes late in a second finds room in the buffers of the sockets.
            let load = ["--rate", "1", "--size", "1420", "--mtu", "1472"];
            let figures = figures(&[&all[..], &load, &["--phases", phase]].concat());
            (figures, link.dropped(direction), remote)
        };
        let lost = |figures: &Value| number(figures, &format!("/{phase}/lost"));
        let (mut figures, mut dropped, mut remote) = run();
        for _ in 1..3 {
            if lost(&figures) != dropped {
                // A machine that stands still has the system drop what the link did not.
                (figures, dropped, remote) = run();
            }
        }
        let of = |key| number(&figures, &format!("/{phase}/{key}"));
        assert_eq!(of("lost"), dropped, "{figures}");
        assert!((9.0..=11.0).contains(&of("loss_percent")), "{figures}");
        // 1 Mbit/s are 176 messages in two seconds; a busy machine may be late.
        assert!((100.0..=180.0).contains(&of("sent")), "{figures}");
        assert_eq!(of("reordered"), 0.0);
        assert_eq!(figures["settings"]["server"], remote);
    }
    server.signal("TERM");
    let (code, said) = server.end();
    assert_eq!(code, Some(0), "{said}");
    for mode in ["discard", "source"] {
        assert!(
            said.contains(&format!("event=served mode={mode}")),
            "{said}"
        );
    }
}

#[test]
fn a_server_cuts_long_phases_short_and_refuses_what_it_cannot_send() {
    let directory = Directory::new("bench-limits");
    let (_server, certificate, address) = server(&directory, &["--max-duration", "1"]);
    let address = address.to_string();
    let client = ["client", &address, "--ca", &certificate];
    let long = ["--duration", "100", "--phases", "download"];
    let figures = figures(&[&client[..], &long].concat());
    assert!(number(&figures, "/download/seconds") < 10.0, "{figures}");
    let size = [
        "bench",
        "client",
        &address,
        "--ca",
        &certificate,
        "--size",
        "2000",
    ];
    let (code, said) = Program::start(&[&size[..], &["--phases", "upload"]].concat()).end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("smaller --size"), "{said}");
}

#[test]
fn a_signal_ends_a_bench_with_the_figures_so_far() {
    let all = ["bench", "--duration", "60", "--phases", "latency,upload"];
    let mut bench = Program::start(&[&all[..], &["--json"]].concat());
    thread::sleep(Duration::from_secs(2));
    bench.signal("INT");
    let figures: Value = serde_json::from_str(&bench.line()).unwrap();
    assert_eq!(figures["interrupted"], true);
    assert!(number(&figures, "/latency/round_trips") > 0.0, "{figures}");
    assert_eq!(figures.get("upload"), None);
    let (code, said) = bench.end();
    assert_eq!(code, Some(0), "{said}");
}

/// A server of something else, or none.
#[test]
fn a_client_without_a_server_of_benches_says_what_is_missing() {
    let directory = Directory::new("bench-nobody");
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let (code, said) = Program::start(&["bench", "client", &address, "--insecure"]).end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("sealgram bench server"), "{said}");

    let certificate = directory.file("server.pem");
    let all = ["server", "--self-signed", "--cert-out", &certificate];
    let mut echo = Program::start(&[&all[..], &["--listen", "127.0.0.1:0"]].concat());
    let address = value(&echo.event("listening"), "addr").to_owned();
    let client = ["bench", "client", &address, "--ca", &certificate];
    let (code, said) = Program::start(&client).end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("it is no `sealgram bench server`"), "{said}");
}

/// What is no order is no reason to do anything for a stranger.
#[test]
fn a_server_closes_on_those_who_do_not_speak_its_protocol() {
    let directory = Directory::new("bench-stranger");
    let (_server, certificate, address) = server(&directory, &[]);
    let mut client = Program::start(&["client", &address.to_string(), "--ca", &certificate]);
    client.event("handshake_complete");
    client.write("hello\n");
    client.event("peer_closed");
    let (code, said) = client.end();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_wrong_command_line_of_a_bench_ends_with_2_and_says_what_to_do() {
    let cases: [(&[&str], &str); 6] = [
        (&["--duration", "0"], "from 1"),
        (&["--size", "8"], "from 9"),
        (&["--phases", "everything"], "download"),
        (&["server", "--listen", "127.0.0.1:0"], "--self-signed"),
        (&["client", "127.0.0.1"], "HOST:PORT"),
        (&["--peers", "3", "server"], "cannot be used with"),
    ];
    for (arguments, remedy) in cases {
        let (code, said) = Program::start(&[&["bench"], arguments].concat()).end();
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(remedy), "{arguments:?}: {said}");
    }
}
