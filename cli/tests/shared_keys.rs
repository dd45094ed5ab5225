//! The program with pre-shared keys.

#![cfg(unix)]

mod program;

use program::{Directory, Program, value};

const KEYS: &str =
    "device-7:000102030405060708090a0b0c0d0e0f\n#00ff:101112131415161718191a1b1c1d1e1f\n";
const WRONG: &str = "device-7:f00102030405060708090a0b0c0d0e0f\n";

fn server(file: &str, options: &[&str]) -> (Program, String) {
    let all = ["server", "--listen", "127.0.0.1:0", "--psk-file", file];
    let mut server = Program::start(&[&all[..], options].concat());
    let address = value(&server.event("listening"), "addr").to_owned();
    (server, address)
}

/// Without any certificate, at either version of the transport; both ends report the identity.
#[test]
fn a_key_of_a_file_is_enough_at_either_end() {
    let directory = Directory::new("psk");
    let (keys, one) = (directory.write("keys", KEYS), directory.write("one", WRONG));
    for transport in [&["--versions=1.2"][..], &["--versions=1.2", "--tls"]] {
        let (mut server, address) = server(&keys, transport);
        for options in [
            &["--psk-file", &keys, "--psk-identity", "device-7"][..],
            &[
                "--psk-identity",
                "device-7",
                "--psk-hex",
                "000102030405060708090a0b0c0d0e0f",
            ],
        ] {
            let all = [&["client", &address][..], options, transport].concat();
            let mut client = Program::start(&all);
            for end in [&mut client, &mut server] {
                let complete = end.event("handshake_complete");
                assert_eq!(value(&complete, "psk"), "device-7");
                assert_eq!(value(&complete, "client_cert"), "none");
                assert!(value(&complete, "suite").starts_with("TLS_ECDHE_PSK_"));
            }
            client.close_stdin();
            let (code, said) = client.end();
            assert_eq!(code, Some(0), "{said}");
            // A key on the command line is never taken silently.
            assert_eq!(
                said.contains("event=warning"),
                options.contains(&"--psk-hex"),
                "{said}"
            );
        }
        let wrong = ["client", &address, "--psk-file", &one, "--timeout=4"];
        let (code, said) = Program::start(&[&wrong[..], transport].concat()).end();
        assert_eq!(code, Some(1));
        assert!(said.contains("pre-shared key"), "{said}");
    }
}

/// K14: what is missing and what is written otherwise than was said are errors that name the
/// option.
#[test]
fn k14_the_command_line_says_how_keys_are_written() {
    let directory = Directory::new("psk-errors");
    let keys = directory.write("keys", KEYS);
    let text = directory.write("text", "device:a secret that people can read\n");
    let short = directory.write("short", "device:secretPSK\n");
    let twice = directory.write("twice", &[KEYS, KEYS].concat());
    let empty = directory.write("empty", "\n");
    for (options, word) in [
        (&["--psk-file", &keys][..], "--psk-identity"),
        (
            &["--psk-file", &keys, "--psk-identity", "Device-7"],
            "no key",
        ),
        (&["--psk-identity", "device-7"], "--psk-file"),
        (&["--psk-file", &text], "--psk-text-file"),
        (&["--psk-text-file", &short], "--allow-short-psk"),
        (&["--psk-file", &twice], "already"),
        (&["--psk-file", &empty], "no key"),
        (&["--psk-hex", "00"], "--psk-identity"),
        (
            &["--psk-identity", "a", "--psk-hex", "secret"],
            "hexadecimal",
        ),
    ] {
        let all = [&["client", "127.0.0.1:9"][..], options].concat();
        let (code, said) = Program::start(&all).end();
        assert_eq!(code, Some(2), "{options:?}: {said}");
        assert!(said.contains(word), "{options:?}: {said}");
        assert!(!said.contains("a secret"), "{said}");
    }
    let both = [
        "--psk-text-file",
        &short,
        "--allow-short-psk",
        "--versions=1.2",
    ];
    let listen = ["server", "--listen", "127.0.0.1:0"];
    let mut server = Program::start(&[&listen[..], &both].concat());
    let address = value(&server.event("listening"), "addr").to_owned();
    let mut client = Program::start(&[&["client", &address][..], &both].concat());
    assert_eq!(value(&client.event("handshake_complete"), "psk"), "device");
}
