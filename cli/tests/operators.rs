//! What an operator needs: whom to trust, signals, counters, clear messages.

#![cfg(unix)]

mod program;

use program::{Directory, Program, value};
use sealgram::identity::Fingerprint;
use sealgram::pki_types::CertificateDer;
use sealgram::pki_types::pem::PemObject as _;
use std::net::TcpStream;
use std::time::Duration;

/// A server with a self-signed certificate, that certificate's file, and the server's address.
fn server(directory: &Directory, arguments: &[&str]) -> (Program, String, String) {
    let certificate = directory.file("server.pem");
    let mut all = vec!["server", "--self-signed", "--cert-out", &certificate];
    if !arguments.contains(&"--listen") {
        all.extend(["--listen", "127.0.0.1:0"]);
    }
    all.extend(arguments);
    let mut server = Program::start(&all);
    let address = value(&server.event("listening"), "addr").to_owned();
    (server, certificate, address)
}

fn succeeds(mut client: Program) {
    client.event("handshake_complete");
    client.close_stdin();
    let (code, said) = client.end();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_server_is_known_by_its_fingerprint() {
    let directory = Directory::new("fingerprint");
    let (_server, certificate, address) = server(&directory, &[]);
    let leaf = CertificateDer::from_pem_file(&certificate).unwrap();
    let right = Fingerprint::of(&leaf).to_string().replace(':', "");
    let pairs: Vec<_> = right.as_bytes().chunks(2).collect();
    let colons = String::from_utf8(pairs.join(&b':')).unwrap().to_uppercase();
    for fingerprint in [&right, &colons] {
        // The certificate has no such name, which does not matter with a fingerprint.
        let pinned = ["--fingerprint", fingerprint, "--name", "elsewhere.example"];
        succeeds(Program::start(
            &[&["client", &address][..], &pinned].concat(),
        ));
    }
    let wrong = "00".repeat(32);
    let (code, said) = Program::start(&["client", &address, "--fingerprint", &wrong]).end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("see --fingerprint"), "{said}");
    let (code, said) = Program::start(&["client", &address, "--fingerprint", "0011"]).end();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("64 hexadecimal digits"), "{said}");
}

/// rustls-native-certs reads the system's roots from the file that OpenSSL's variable names.
#[test]
fn a_client_without_options_trusts_the_systems_roots() {
    let directory = Directory::new("system-roots");
    let (_server, certificate, address) = server(&directory, &[]);
    let trusted = [("SSL_CERT_FILE", certificate.as_str())];
    succeeds(Program::start_in(&trusted, &["client", &address]));
    let nothing = directory.write("empty.pem", "");
    let nowhere = directory.file("no-such-directory");
    let no_roots = [
        ("SSL_CERT_FILE", nothing.as_str()),
        ("SSL_CERT_DIR", nowhere.as_str()),
    ];
    let (code, said) = Program::start_in(&no_roots, &["client", &address]).end();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--ca FILE"), "{said}");
}

#[test]
fn a_profile_of_srtp_is_agreed_on() {
    let directory = Directory::new("srtp");
    let profiles = "SRTP_AEAD_AES_256_GCM,SRTP_AEAD_AES_128_GCM";
    let (mut server, certificate, address) = server(&directory, &["--srtp", profiles]);
    let client = ["client", &address, "--ca", &certificate, "--srtp"];
    let mut one = Program::start(&[&client[..], &["srtp_aead_aes_128_gcm"]].concat());
    for end in [&mut one, &mut server] {
        let complete = end.event("handshake_complete");
        assert_eq!(value(&complete, "srtp"), "SRTP_AEAD_AES_128_GCM");
    }
    let (code, said) = Program::start(&[&client[..], &["SRTP_NULL"]].concat()).end();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("SRTP_AES128_CM_HMAC_SHA1_80"), "{said}");
}

#[test]
fn a_server_listens_at_a_name() {
    for transport in [&[][..], &["--tls"]] {
        let directory = Directory::new("listen-name");
        let listen = [&["--listen", "localhost:0"][..], transport].concat();
        let (_server, certificate, address) = server(&directory, &listen);
        let client = [
            "client",
            &address,
            "--ca",
            &certificate,
            "--name",
            "localhost",
        ];
        succeeds(Program::start(&[&client[..], transport].concat()));
    }
    let (code, said) = Program::start(&["server", "--listen", "localhost", "--self-signed"]).end();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("HOST:PORT"), "{said}");
}

#[test]
fn a_signal_to_a_server_closes_every_association_and_is_a_success() {
    for (signal, transport) in [("TERM", &[][..]), ("INT", &[]), ("TERM", &["--tls"])] {
        let directory = Directory::new(&format!("stop-{signal}-{}", transport.len()));
        let (mut server, certificate, address) = server(&directory, transport);
        let client = ["client", &address, "--ca", &certificate];
        let mut clients = [(); 2].map(|()| Program::start(&[&client[..], transport].concat()));
        for client in &mut clients {
            client.write("hello\n");
            assert_eq!(client.line(), "hello");
        }
        server.event("handshake_complete");
        server.signal(signal);
        server.event("stopping");
        for mut client in clients {
            client.event("peer_closed");
            let (code, said) = client.end();
            assert_eq!(code, Some(0), "{said}");
            // Counters are reported at the end of each program.
            assert!(said.contains("event=peer_counters"), "{said}");
        }
        let counted = server.event("endpoint_counters");
        assert_eq!(value(&counted, "accepted"), "2");
        let (code, said) = server.end();
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn a_signal_to_a_client_closes_its_association_and_is_a_success() {
    for transport in [&[][..], &["--tls"]] {
        let directory = Directory::new(&format!("stop-client-{}", transport.len()));
        let (mut server, certificate, address) = server(&directory, transport);
        let client = ["client", &address, "--ca", &certificate];
        let mut client = Program::start(&[&client[..], transport].concat());
        client.event("handshake_complete");
        client.signal("INT");
        client.event("closed");
        let (code, said) = client.end();
        assert_eq!(code, Some(0), "{said}");
        server.event("peer_closed");
    }
    // Also while the server does not answer.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let mut client = Program::start(&["client", &address, "--insecure"]);
    client.event("connecting");
    client.signal("TERM");
    let (code, said) = client.end();
    assert_eq!(code, Some(0), "{said}");
}

/// Over TCP close_notify is answered, but not here: after one signal the client waits a moment,
/// after a second it ends.
#[test]
fn a_second_signal_ends_it_at_once() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    for (signals, code) in [(1, 0), (2, 130)] {
        let mut client = Program::start(&["client", &address, "--insecure", "--tls"]);
        client.event("connecting");
        for _ in 0..signals {
            client.signal("INT");
            std::thread::sleep(Duration::from_millis(100));
        }
        let (ended, said) = client.end();
        assert_eq!(ended, Some(code), "{said}");
    }
}

#[test]
fn a_signal_asks_for_counters_and_nothing_else() {
    let directory = Directory::new("counters");
    let (mut server, certificate, address) = server(&directory, &[]);
    let mut client = Program::start(&["client", &address, "--ca", &certificate]);
    for round in ["first", "second"] {
        client.write(&format!("{round}\n"));
        assert_eq!(client.line(), round);
        for (end, other) in [
            (&mut server, "endpoint_counters"),
            (&mut client, "peer_counters"),
        ] {
            end.signal("USR1");
            let counted = end.event("peer_counters");
            assert_ne!(value(&counted, "records_received"), "0");
            if other == "endpoint_counters" {
                assert_eq!(value(&end.event(other), "peers"), "1");
            }
        }
    }
}

#[test]
fn a_key_log_without_a_file_is_reported() {
    let client = ["client", "127.0.0.1:1", "--insecure", "--key-log"];
    let (code, said) = Program::start(&client).end();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("SSLKEYLOGFILE"), "{said}");
    let unusable = [("SSLKEYLOGFILE", "/nonexistent/keys")];
    let (code, said) = Program::start_in(&unusable, &client).end();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("/nonexistent/keys"), "{said}");

    let directory = Directory::new("key-log");
    let (_server, certificate, address) = server(&directory, &[]);
    let keys = directory.file("keys");
    let usable = [("SSLKEYLOGFILE", keys.as_str())];
    let client = ["client", &address, "--ca", &certificate, "--key-log"];
    succeeds(Program::start_in(&usable, &client));
    assert!(std::fs::read_to_string(keys).unwrap().contains("SECRET"));
}

#[test]
fn ranges_are_stated_in_words() {
    for (option, number, words) in [
        ("--timeout", "86401", "seconds, from 1 to 86,400"),
        ("--mtu", "100", "bytes, from 128 to 65,507"),
        ("--rekey-bytes", "511", "bytes, at least 512"),
        ("--rekey-interval", "59", "seconds, at least 60"),
        ("--max-message", "many", "bytes, from 4,096 to 131,072"),
    ] {
        let client = ["client", "127.0.0.1:1", "--insecure", option, number];
        let (code, said) = Program::start(&client).end();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(said.contains(option), "{said}");
    }
}

#[test]
fn verbose_lines_name_the_association_and_its_peer() {
    for (transport, name) in [(&[][..], "id=#"), (&["--tls"], "association{")] {
        let directory = Directory::new(&format!("verbose-{}", transport.len()));
        let (server, certificate, address) = server(&directory, &[&["-v"], transport].concat());
        let client = ["client", &address, "--ca", &certificate];
        succeeds(Program::start(&[&client[..], transport].concat()));
        server.signal("TERM");
        let (_, said) = server.end();
        let messages: Vec<_> = said
            .lines()
            .filter(|line| line.contains("state="))
            .collect();
        assert!(messages.len() > 1, "{said}");
        // The hello came before the association had a name.
        for line in &messages[1..] {
            assert!(
                line.contains("peer=127.0.0.1:") && line.contains(name),
                "{line}"
            );
        }
    }
}

#[test]
fn a_client_renegotiates_no_more_often_than_the_server_says_it_may() {
    let directory = Directory::new("interval");
    let (mut server, certificate, address) = server(&directory, &["--allow-client-renegotiation"]);
    let limit = server.event("client_renegotiation");
    assert_eq!(value(&limit, "min_seconds"), "10");
    let client = [
        "client",
        &address,
        "--ca",
        &certificate,
        "--versions",
        "1.2",
    ];
    let mut client = Program::start(&client);
    client.event("handshake_complete");
    client.write("R\n");
    let refused = client.event("renegotiation_refused");
    assert_eq!(value(&refused, "reason"), "no_renegotiation");
}

/// A reset in the middle of a handshake, as a port scan makes it.
#[test]
fn a_client_that_resets_its_handshake_is_not_told_to_check_that_it_listens() {
    let directory = Directory::new("reset");
    let (mut server, _, address) = server(&directory, &["--tls"]);
    let stranger = TcpStream::connect(&address).unwrap();
    // The server is in its handshake by then.
    std::thread::sleep(Duration::from_millis(200));
    socket2::SockRef::from(&stranger)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stranger);
    let error = server.event("error");
    assert!(error.contains("the client has gone"), "{error}");
    assert!(!error.contains("listens"), "{error}");
}
