//! The program with `--tls` from outside: the same commands over TCP.

mod program;

use program::{Directory, Program, value};
use sealgram::bytes::BytesMut;
use sealgram::identity::{CertifiedKey, Credential};
use sealgram::{ServerConfig, TlsConnection};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

/// A server with a self-signed certificate, that certificate's file, and the server's address.
fn server(directory: &Directory, arguments: &[&str]) -> (Program, String, String) {
    let certificate = directory.file("server.pem");
    let mut all = vec![
        "server",
        "--tls",
        "--listen",
        "127.0.0.1:0",
        "--self-signed",
    ];
    all.extend(["--cert-out", &certificate]);
    all.extend(arguments);
    let mut server = Program::start(&all);
    let address = value(&server.event("listening"), "addr").to_owned();
    (server, certificate, address)
}

fn client(address: &str, certificate: &str, arguments: &[&str]) -> Program {
    let all = ["client", "--tls", address, "--ca", certificate];
    Program::start(&[&all[..], arguments].concat())
}

#[test]
fn lines_come_back_from_an_echo_server_and_both_ends_close() {
    let suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    echo_and_close(
        "1.2",
        &[("version", "TLSv1.2"), ("suite", suite), ("epoch", "1")],
    );
    let suite = "TLS_AES_128_GCM_SHA256";
    echo_and_close(
        "1.3",
        &[("version", "TLSv1.3"), ("suite", suite), ("epoch", "3")],
    );
}

fn echo_and_close(version: &str, expected: &[(&str, &str)]) {
    let directory = Directory::new(&format!("tls-echo-{version}"));
    let (mut server, certificate, address) = server(&directory, &["--alpn", "b,c"]);
    let arguments = ["--alpn", "a,b", "--versions", version];
    let mut client = client(&address, &certificate, &arguments);
    // Typed before the handshake can be complete.
    client.write("early\n");
    assert_eq!(client.line(), "early");
    client.write("late\nand one without an end");
    client.close_stdin();
    assert_eq!(client.line(), "late");
    assert_eq!(client.line(), "and one without an end");
    for end in [&mut server, &mut client] {
        let complete = end.event("handshake_complete");
        for (name, said) in expected {
            assert_eq!(value(&complete, name), *said);
        }
        // The hybrid group belongs to 1.3, and over streams its share is in the first hello.
        let hybrid = version == "1.3";
        let group = if hybrid { "X25519MLKEM768" } else { "x25519" };
        assert_eq!(value(&complete, "group"), group);
        assert_eq!(value(&complete, "kind"), "full");
        assert_eq!(value(&complete, "renegotiation"), "false");
        assert_eq!(value(&complete, "client_cert"), "none");
        assert_eq!(value(&complete, "alpn"), "b");
    }
    client.event("closed");
    assert_eq!(client.end().0, Some(0));
    server.event("peer_closed");
    server.event("closed");
}

#[test]
fn a_stdio_server_talks_to_every_client() {
    let directory = Directory::new("tls-stdio");
    let (mut server, certificate, address) = server(&directory, &["--stdio"]);
    // Lines wait until there is a client.
    server.write("for the first\n");
    let mut first = client(&address, &certificate, &[]);
    assert_eq!(first.line(), "for the first");
    let mut second = client(&address, &certificate, &[]);
    second.event("handshake_complete");
    second.write("from the second\n");
    assert_eq!(server.line(), "from the second");
    server.write("for both\n");
    assert_eq!(first.line(), "for both");
    assert_eq!(second.line(), "for both");
    second.close_stdin();
    assert_eq!(second.end().0, Some(0));
    // The end of its input does not end a server.
    server.close_stdin();
    first.write("from the first\n");
    assert_eq!(server.line(), "from the first");
}

/// More than all queues hold, written while the echo already comes back: if either end stopped
/// reading, everything would stop.
#[test]
fn megabytes_of_lines_come_back_in_order() {
    const LINES: usize = 60_000;
    let directory = Directory::new("tls-bulk");
    let (_server, certificate, address) = server(&directory, &[]);
    let mut client = client(&address, &certificate, &[]);
    let line = |number: usize| format!("{number} {}", "x".repeat(number % 150));
    let text: String = (0..LINES).map(|number| line(number) + "\n").collect();
    client.write(&text);
    client.close_stdin();
    for number in 0..LINES {
        assert_eq!(client.line(), line(number));
    }
    assert_eq!(client.end().0, Some(0));
}

#[test]
fn many_clients_are_served_at_once() {
    let directory = Directory::new("tls-many");
    let (_server, certificate, address) = server(&directory, &[]);
    let mut clients: Vec<_> = (0..12)
        .map(|_| client(&address, &certificate, &[]))
        .collect();
    // A silent client keeps no other waiting.
    let _silent = TcpStream::connect(&address).unwrap();
    for round in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.write(&format!("{number} in round {round}\n"));
        }
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.line(), format!("{number} in round {round}"));
        }
    }
    for mut client in clients {
        client.close_stdin();
        assert_eq!(client.end().0, Some(0));
    }
}

#[test]
fn both_ends_update_their_keys_by_a_line() {
    let directory = Directory::new("tls-key-update");
    let (mut server, certificate, address) = server(&directory, &["--stdio"]);
    let mut client = client(&address, &certificate, &[]);
    client.event("handshake_complete");
    for (by_client, line, directions) in [
        (true, "k", &["sent"][..]),
        (true, "K", &["sent", "received"]),
        (false, "k", &["received"]),
        (false, "K", &["received", "sent"]),
    ] {
        let (asking, other) = match by_client {
            true => (&mut client, &mut server),
            false => (&mut server, &mut client),
        };
        asking.write(&format!("before {line}\n{line}\nafter {line}\n"));
        assert_eq!(other.line(), format!("before {line}"));
        assert_eq!(other.line(), format!("after {line}"));
        for direction in directions {
            let updated = client.event("keys_updated");
            assert_eq!(value(&updated, "direction"), *direction);
        }
    }
    client.close_stdin();
    assert_eq!(client.end().0, Some(0));
}

#[test]
fn both_ends_renegotiate_by_a_line() {
    let directory = Directory::new("tls-renegotiate");
    let arguments = ["--stdio", "--allow-client-renegotiation=0"];
    let (mut server, certificate, address) = server(&directory, &arguments);
    let mut client = client(&address, &certificate, &["--versions", "1.2"]);
    client.event("handshake_complete");
    for (by_client, line, kind, epoch) in [
        (true, "R", "full", "2"),
        (true, "r", "resumed", "3"),
        (false, "R", "resumed", "4"),
    ] {
        let (asking, other) = match by_client {
            true => (&mut client, &mut server),
            false => (&mut server, &mut client),
        };
        asking.write(&format!("before {line}\n{line}\nafter {line}\n"));
        assert_eq!(other.line(), format!("before {line}"));
        assert_eq!(other.line(), format!("after {line}"));
        let complete = client.event("handshake_complete");
        assert_eq!(value(&complete, "renegotiation"), "true");
        assert_eq!(value(&complete, "kind"), kind);
        assert_eq!(value(&complete, "epoch"), epoch);
    }
    client.close_stdin();
    assert_eq!(client.end().0, Some(0));
}

/// The session is resumed by another process.
#[test]
fn a_session_in_a_file_is_resumed() {
    let directory = Directory::new("tls-session");
    let (_server, certificate, address) = server(&directory, &[]);
    let file = directory.file("session");
    for (option, kind) in [("--session-out", "full"), ("--session-in", "resumed")] {
        let mut client = client(&address, &certificate, &[option, &file]);
        let complete = client.event("handshake_complete");
        assert_eq!(value(&complete, "kind"), kind);
        client.close_stdin();
        assert_eq!(client.end().0, Some(0));
    }
}

#[test]
fn a_server_that_is_not_trusted_ends_the_client_with_a_reason() {
    let directory = Directory::new("tls-untrusted");
    let (mut server, _, address) = server(&directory, &[]);
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = directory.write("other.pem", &other.cert.pem());
    let (code, said) = client(&address, &other, &[]).end();
    assert_eq!(code, Some(1), "{said}");
    let error = said.lines().last().unwrap();
    assert!(
        error.starts_with("event=error reason=\"the peer's certificate was refused"),
        "{error}"
    );
    assert!(error.contains("not trusted; add the right root"), "{error}");
    assert!(error.ends_with(&format!("peer={address}")), "{error}");
    assert!(server.event("error").contains("unknown_ca"));
}

#[test]
fn a_required_client_certificate_is_checked() {
    let directory = Directory::new("tls-client-cert");
    let made = rcgen::generate_simple_self_signed(["a client".to_owned()]).unwrap();
    let chain = directory.write("client.pem", &made.cert.pem());
    let key = directory.write("client.key", &made.signing_key.serialize_pem());
    let (mut server, certificate, address) = server(&directory, &["--client-ca", &chain]);

    // Nobody can insert an alert into a stream without breaking it, so the refusal is believed at
    // once.
    for (version, remedy) in [
        ("1.2", "requires a client certificate"),
        ("1.3", "configure a client certificate"),
    ] {
        let nameless = ["--versions", version];
        let (code, said) = client(&address, &certificate, &nameless).end();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(remedy), "{said}");
        assert!(server.event("error").contains("client sent no certificate"));
    }

    let mut known = client(&address, &certificate, &["--cert", &chain, "--key", &key]);
    assert_eq!(
        value(&known.event("handshake_complete"), "client_cert"),
        "present"
    );
    assert_eq!(
        value(&server.event("handshake_complete"), "client_cert"),
        "present"
    );
    known.close_stdin();
    assert_eq!(known.end().0, Some(0));
}

#[test]
fn an_unreachable_address_ends_the_client_at_once() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let address = free.to_string();
    let (code, said) = Program::start(&["client", "--tls", &address, "--insecure"]).end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot be reached"), "{said}");
    assert!(said.contains("check its address"), "{said}");
    assert!(said.ends_with(&format!("peer={address}")), "{said}");
}

/// A peer that is silent, one that does not speak TLS, and one that hangs up: each ends alone, and
/// the server goes on.
#[test]
fn strangers_do_not_disturb_a_server() {
    let directory = Directory::new("tls-strangers");
    let (mut server, certificate, address) = server(&directory, &["--timeout", "1"]);
    let mut silent = TcpStream::connect(&address).unwrap();
    assert!(server.event("error").contains("no answer within 1 s"));
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).unwrap();

    let mut lost = TcpStream::connect(&address).unwrap();
    lost.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(server.event("error").contains("broke the protocol"));
    let mut alert = Vec::new();
    lost.read_to_end(&mut alert).unwrap();
    assert_eq!(alert[..1], [21], "an alert tells it why");

    drop(TcpStream::connect(&address).unwrap());
    assert!(server.event("error").contains("ended the stream"));

    let mut client = client(&address, &certificate, &[]);
    client.write("still there\n");
    assert_eq!(client.line(), "still there");
}

/// RFC 5246 §7.2.1: an end without close_notify is told apart from one with it.
#[test]
fn a_client_that_is_killed_is_no_client_that_has_left() {
    let directory = Directory::new("tls-killed");
    let (mut server, certificate, address) = server(&directory, &[]);
    let mut client = client(&address, &certificate, &[]);
    client.write("still here\n");
    assert_eq!(client.line(), "still here");
    drop(client);
    assert!(server.event("error").contains("close_notify"));
}

#[test]
fn datagram_sizes_and_streams_exclude_each_other() {
    let arguments = [
        "client",
        "--tls",
        "127.0.0.1:1",
        "--insecure",
        "--mtu",
        "600",
    ];
    let (code, said) = Program::start(&arguments).end();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--tls"), "{said}");
}

/// RFC 5246 §7.2.1, RFC 8446 §6.1: an end that has sent close_notify need not wait for the peer's,
/// and many peers send none.
#[test]
fn a_client_that_closed_first_succeeds_whatever_the_server_says_then() {
    for version in ["1.2", "1.3"] {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let directory = Directory::new(&format!("tls-first-{version}"));
        let chain = directory.write("server.pem", &made.cert.pem());
        let key = directory.write("server.key", &made.signing_key.serialize_pem());
        let certified = CertifiedKey::from_pem_files(chain.as_ref(), key.as_ref()).unwrap();
        let config = ServerConfig::with_credential(Credential::Certificate(certified));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let config = Arc::new(config.build().unwrap());
        let server = thread::spawn(move || serve_without_close_notify(&listener, config));
        let named = ["--name", "localhost", "--versions", version];
        let mut client = client(&address, &chain, &named);
        client.event("handshake_complete");
        client.close_stdin();
        let (code, said) = client.end();
        assert_eq!(code, Some(0), "{version}: {said}");
        assert!(said.contains("event=closed"), "{version}: {said}");
        server.join().unwrap();
    }
}

/// Completes a handshake with one client, receives its close_notify, and ends the TCP connection.
fn serve_without_close_notify(listener: &TcpListener, config: Arc<ServerConfig>) {
    let (mut socket, _) = listener.accept().unwrap();
    let mut tls = TlsConnection::accept(Instant::now(), config).unwrap();
    let (mut buffer, mut input, mut out) = ([0; 4096], BytesMut::new(), Vec::new());
    while !tls.is_read_closed() {
        let length = socket.read(&mut buffer).unwrap();
        assert!(length > 0, "the client closes");
        input.extend_from_slice(&buffer[..length]);
        tls.handle_bytes(Instant::now(), &mut input).unwrap();
        if !tls.is_read_closed() {
            out.clear();
            tls.poll_transmit(Instant::now(), &mut out);
            socket.write_all(&out).unwrap();
        }
    }
}

/// A client that is served and then silent is dropped too.
#[test]
fn an_idle_connection_ends_after_the_configured_time() {
    let directory = Directory::new("tls-idle");
    let (mut server, certificate, address) = server(&directory, &["--idle-timeout", "1"]);
    let mut client = client(&address, &certificate, &[]);
    client.write("once\n");
    assert_eq!(client.line(), "once");
    let error = server.event("error");
    assert!(
        error.contains("idle") || error.contains("nothing"),
        "{error}"
    );
    client.event("peer_closed");
    client.close_stdin();
    assert_eq!(client.end().0, Some(0));
}

/// The help says what applies to streams.
#[test]
fn the_help_names_the_deadline_of_streams() {
    let mut help = Program::start(&["server", "--help"]);
    let mut text = String::new();
    while !text.contains("--idle-timeout") {
        text += &(help.line() + " ");
    }
    let words: Vec<_> = text.split_whitespace().collect();
    let text = words.join(" ");
    let told = "[default: 120; a server with --tls: 10 for the first handshake]";
    assert!(text.contains(told), "{text}");
}
