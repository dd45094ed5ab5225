//! The program with raw public keys (RFC 7250) from outside: two ends that know each other's
//! fingerprints, and need no certificate.

mod program;

use program::{Directory, Program, value};
use rcgen::{KeyPair, PublicKeyData as _};
use std::process::Command;

/// A private key in a file, and its fingerprint as OpenSSL computes it.
fn key(directory: &Directory, name: &str) -> (String, String) {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let file = directory.write(name, &key.serialize_pem());
    let info = sealgram::pki_types::SubjectPublicKeyInfoDer::from(key.subject_public_key_info());
    let fingerprint = sealgram::identity::Fingerprint::of_key(&info).to_string();
    (file, fingerprint)
}

fn server(arguments: &[&str]) -> (Program, String, String) {
    let all = ["server", "--listen", "127.0.0.1:0"];
    let mut server = Program::start(&[&all[..], arguments].concat());
    let fingerprint = value(&server.event("raw_key"), "fingerprint").to_owned();
    let address = value(&server.event("listening"), "addr").to_owned();
    (server, address, fingerprint)
}

/// RFC 7250: what one end prints is what the other is told, and both say by which key they know the
/// other.
#[test]
fn two_ends_know_each_other_by_their_keys() {
    let directory = Directory::new("raw-keys");
    let (server_file, server_key) = key(&directory, "server.key");
    let (client_file, client_key) = key(&directory, "client.key");
    for transport in [&[][..], &["--tls"]] {
        for version in ["1.2", "1.3"] {
            let arguments = ["--raw-key", &server_file, "--peer-key", &client_key];
            let (mut server, address, printed) = server(&[&arguments[..], transport].concat());
            assert_eq!(printed, server_key);
            let arguments = ["client", &address, "--versions", version];
            let keys = ["--raw-key", &client_file, "--peer-key", &server_key];
            let all = [&arguments[..], &keys, transport].concat();
            let mut client = Program::start(&all);
            assert_eq!(value(&client.event("raw_key"), "fingerprint"), client_key);
            client.write("a line\n");
            assert_eq!(client.line(), "a line");
            for (end, key) in [(&mut client, &server_key), (&mut server, &client_key)] {
                let line = end.event("handshake_complete");
                assert_eq!(value(&line, "peer_identity"), "raw_key");
                assert_eq!(value(&line, "peer_key"), key);
                assert_eq!(value(&line, "client_cert"), "none");
            }
            client.close_stdin();
            assert_eq!(client.end().0, Some(0));
        }
    }
}

/// A key that is not named is refused at either end, and both say why.
#[test]
fn a_key_that_is_not_named_is_refused() {
    let directory = Directory::new("raw-keys-refused");
    let (server_file, server_key) = key(&directory, "server.key");
    let (client_file, client_key) = key(&directory, "client.key");
    for (client_pins, server_pins) in [(&client_key, &client_key), (&server_key, &server_key)] {
        let arguments = ["--raw-key", &server_file, "--peer-key", server_pins];
        let (mut server, address, _) = server(&arguments);
        let keys = ["--raw-key", &client_file, "--peer-key", client_pins];
        let mut client = Program::start(&[&["client", &address][..], &keys].concat());
        let refuses = match client_pins == &client_key {
            true => client.event("error"),
            false => server.event("error"),
        };
        assert!(refuses.contains("fingerprint"), "{refuses}");
        assert!(refuses.contains("--peer-key"), "{refuses}");
        assert_eq!(client.end().0, Some(1));
    }
}

/// Certificates and raw keys side by side: a client of either kind is served, and the line says
/// which it was.
#[test]
fn a_server_has_both_kinds() {
    let directory = Directory::new("raw-keys-both");
    let (file, fingerprint) = key(&directory, "server.key");
    let certificate = directory.file("server.pem");
    let made = ["--self-signed", "--cert-out", &certificate];
    let (_server, address, _) = server(&[&["--raw-key", &file][..], &made].concat());
    for (trust, kind) in [
        (&["--peer-key", &fingerprint][..], "raw_key"),
        (&["--ca", &certificate], "certificate"),
        (
            &["--ca", &certificate, "--peer-key", &fingerprint],
            "certificate",
        ),
    ] {
        let mut client = Program::start(&[&["client", &address][..], trust].concat());
        let line = client.event("handshake_complete");
        assert_eq!(value(&line, "peer_identity"), kind, "{trust:?}");
        client.close_stdin();
        assert_eq!(client.end().0, Some(0));
    }
}

/// What cannot be used is told at once, with the option that it is about.
#[test]
fn wrong_options_end_with_2() {
    let directory = Directory::new("raw-keys-wrong");
    let (file, fingerprint) = key(&directory, "a.key");
    let absent = directory.file("absent.key");
    for (arguments, words) in [
        (&["--raw-key", &absent][..], "absent.key"),
        (
            &["--raw-key", &file, "--peer-key", "12"],
            "64 hexadecimal digits",
        ),
        (
            &["--raw-key", &file, "--client-auth", "required"],
            "--peer-key",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_sealgram"))
            .args(["server", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(words), "{text}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_sealgram"))
        .args([
            "client",
            "127.0.0.1:1",
            "--insecure",
            "--peer-key",
            &fingerprint,
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}
