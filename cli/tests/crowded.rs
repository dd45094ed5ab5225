//! A TLS server without room for one more: which connection goes, which waits, and what the log
//! says.

#![cfg(unix)]

mod program;

use program::{Directory, Program, value};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// A server with a limit on its descriptors, its certificate's file, and its address.
fn server(directory: &Directory, descriptors: u32) -> (Program, String, String) {
    let certificate = directory.file("server.pem");
    let mut all = vec!["server", "--tls", "--listen", "127.0.0.1:0"];
    all.extend(["--self-signed", "--cert-out", &certificate]);
    let mut server = Program::start_limited(descriptors, &all);
    let address = value(&server.event("listening"), "addr").to_owned();
    (server, certificate, address)
}

fn client(address: &str, certificate: &str) -> Program {
    Program::start(&["client", "--tls", address, "--ca", certificate])
}

/// Echoes a line, and returns how long that took from the start of the client.
fn echo(address: &str, certificate: &str) -> (Program, Duration) {
    let began = Instant::now();
    let mut client = client(address, certificate);
    client.write("hello\n");
    assert_eq!(client.line(), "hello");
    (client, began.elapsed())
}

const AT_ONCE: Duration = Duration::from_secs(2);

/// Runs this test in a process of its own that may have many descriptors. Returns whether this is
/// that process.
fn has_descriptors(test: &str) -> bool {
    const MARK: &str = "SEALGRAM_TEST_HAS_DESCRIPTORS";
    if env::var_os(MARK).is_some() {
        return true;
    }
    let ran = Command::new("sh")
        .args(["-c", "ulimit -n 4096 && exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(MARK, "1")
        .status();
    assert!(ran.unwrap().success());
    false
}

/// More silent strangers than a server holds connections: the oldest of them goes for the next one,
/// and established clients stay.
#[test]
fn more_than_a_thousand_silent_clients_do_not_keep_others_waiting() {
    if !has_descriptors("more_than_a_thousand_silent_clients_do_not_keep_others_waiting") {
        return;
    }
    let directory = Directory::new("silent-crowd");
    let (mut server, certificate, address) = server(&directory, 4096);
    let (mut first, _) = echo(&address, &certificate);
    let crowd: Vec<_> = (0..1100)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    let (mut good, waited) = echo(&address, &certificate);
    assert!(waited < AT_ONCE, "{waited:?}");
    assert!(server.event("error").contains("to make room for new ones"));
    first.write("still here\n");
    assert_eq!(first.line(), "still here");
    for client in [&mut first, &mut good] {
        client.close_stdin();
    }
    assert_eq!(first.end().0, Some(0));
    assert_eq!(good.end().0, Some(0));
    drop(crowd);
}

/// A system that has no descriptor left refuses new connections whatever the program does; a silent
/// one goes.
#[test]
fn a_server_without_descriptors_gives_up_who_says_nothing() {
    let directory = Directory::new("no-descriptors-silent");
    let (server, certificate, address) = server(&directory, 32);
    let crowd: Vec<_> = (0..60)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    let (mut good, waited) = echo(&address, &certificate);
    assert!(waited < AT_ONCE, "{waited:?}");
    good.close_stdin();
    assert_eq!(good.end().0, Some(0));
    drop(crowd);
    server.signal("TERM");
    let (_, said) = server.end();
    assert!(!said.contains("cannot be accepted"), "{said}");
}

/// If every client is being served, new ones wait: that is reported once, takes no processor time,
/// and ends when a client leaves.
#[test]
fn a_server_full_of_served_clients_says_so_once_and_rests() {
    let directory = Directory::new("no-descriptors-served");
    let (mut server, certificate, address) = server(&directory, 32);
    let mut served = Vec::new();
    let line = loop {
        served.push(client(&address, &certificate));
        let is_full = |line: &str| line.contains("cannot be accepted");
        if let Some(line) = server.event_within(Duration::from_millis(250), is_full) {
            break line;
        }
        assert!(served.len() < 40);
    };
    assert!(line.starts_with("event=error"), "{line}");
    let waiting: Vec<_> = (0..5).map(|_| client(&address, &certificate)).collect();
    let before = processor_time(server.id());
    thread::sleep(Duration::from_secs(1));
    let used = processor_time(server.id()) - before;
    assert!(used < 20, "{used} ticks in a second");
    // Six go, six come.
    for mut client in served.drain(..7) {
        client.event("handshake_complete");
        client.close_stdin();
        assert_eq!(client.end().0, Some(0));
    }
    for mut client in waiting {
        client.write("at last\n");
        assert_eq!(client.line(), "at last");
    }
    server.signal("TERM");
    let (_, said) = server.end();
    let told = said.matches("cannot be accepted").count();
    assert!((1..=2).contains(&told), "{said}");
}

/// The processor time that a process has used, in hundredths of a second.
fn processor_time(id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let behind_name = stat.rsplit(')').next().unwrap();
    let fields: Vec<_> = behind_name.split_whitespace().collect();
    [11, 12]
        .map(|at| fields[at].parse::<u64>().unwrap())
        .iter()
        .sum()
}
