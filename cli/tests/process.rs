//! The program from outside: processes, pipes and exit codes.

mod program;

use program::{Directory, Program, value};

/// A server with a self-signed certificate, that certificate's file, and the server's address.
fn server(directory: &Directory, arguments: &[&str]) -> (Program, String, String) {
    let certificate = directory.file("server.pem");
    let mut all = vec![
        "server",
        "--listen",
        "127.0.0.1:0",
        "--self-signed",
        "--cert-out",
    ];
    all.push(&certificate);
    all.extend(arguments);
    let mut server = Program::start(&all);
    let address = value(&server.event("listening"), "addr").to_owned();
    (server, certificate, address)
}

#[test]
fn a_servers_first_line_tells_the_port_that_the_system_chose() {
    let mut server = Program::start(&["server", "--listen", "127.0.0.1:0", "--self-signed"]);
    let line = server.event("listening");
    let port = line
        .strip_prefix("event=listening addr=127.0.0.1:")
        .unwrap();
    assert_ne!(port.parse::<u16>().unwrap(), 0);
}

#[test]
fn lines_come_back_from_an_echo_server_and_both_ends_close() {
    let suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    echo_and_close(
        "1.2",
        &[("version", "DTLSv1.2"), ("suite", suite), ("epoch", "1")],
    );
    let suite = "TLS_AES_128_GCM_SHA256";
    echo_and_close(
        "1.3",
        &[("version", "DTLSv1.3"), ("suite", suite), ("epoch", "3")],
    );
}

fn echo_and_close(version: &str, expected: &[(&str, &str)]) {
    let directory = Directory::new(&format!("echo-{version}"));
    let (mut server, certificate, address) = server(&directory, &["--alpn", "b,c"]);
    let client = ["client", &address, "--ca", &certificate, "--alpn", "a,b"];
    let mut client = Program::start(&[&client[..], &["--versions", version]].concat());
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
        assert_eq!(value(&complete, "group"), "x25519");
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
    let directory = Directory::new("stdio");
    let (mut server, certificate, address) = server(&directory, &["--stdio"]);
    // Lines wait until there is a client.
    server.write("for the first\n");
    let mut first = Program::start(&["client", &address, "--ca", &certificate]);
    assert_eq!(first.line(), "for the first");
    let mut second = Program::start(&["client", &address, "--ca", &certificate]);
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

#[test]
fn chosen_suites_and_groups_are_used_or_fail_with_a_remedy() {
    let directory = Directory::new("suites");
    let suite = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    let (mut server, certificate, address) =
        server(&directory, &["--suites", suite, "--groups", "P-384,P-256"]);
    let client = ["client", &address, "--ca", &certificate];
    let mut fits = Program::start(&[&client[..], &["--groups", "p-256"]].concat());
    let complete = fits.event("handshake_complete");
    assert_eq!(value(&complete, "suite"), suite);
    assert_eq!(value(&complete, "group"), "secp256r1");

    let strange = Program::start(&[&client[..], &["--groups", "X25519"]].concat());
    let (code, said) = strange.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("handshake_failure"), "{said}");
    // The server reports it too, and goes on.
    assert!(server.event("error").contains("group"));
    fits.close_stdin();
    assert_eq!(fits.end().0, Some(0));
}

/// `--ciphers` is the same option; the suites of CCM_8 are there for those who name them, and a
/// name that is not there is answered by those that are.
#[test]
fn ccm_suites_are_chosen_by_name() {
    let directory = Directory::new("ciphers");
    let short = "TLS_AES_128_CCM_8_SHA256,TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8";
    let (_server, certificate, address) = server(&directory, &["--ciphers", short]);
    let client = ["client", &address, "--ca", &certificate];
    for (version, suite) in [
        ("1.3", "TLS_AES_128_CCM_8_SHA256"),
        ("1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"),
    ] {
        let choice = ["--ciphers", suite, "--versions", version];
        let mut fits = Program::start(&[&client[..], &choice].concat());
        let complete = fits.event("handshake_complete");
        assert_eq!(value(&complete, "suite"), suite);
        fits.close_stdin();
        assert_eq!(fits.end().0, Some(0));
    }
    let (code, said) = Program::start(&client).end();
    assert_eq!(code, Some(1), "CCM_8 is not offered: {said}");
    let strange = Program::start(&[&client[..], &["--ciphers", "AES128-CCM8"]].concat());
    let (_, said) = strange.end();
    assert!(said.contains("TLS_AES_128_CCM_SHA256"), "{said}");
    assert!(
        said.contains("TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"),
        "{said}"
    );
}

#[test]
fn a_server_that_is_not_trusted_ends_the_client_with_a_reason() {
    let directory = Directory::new("untrusted");
    let (mut server, _, address) = server(&directory, &[]);
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = directory.write("other.pem", &other.cert.pem());
    let (code, said) = Program::start(&["client", &address, "--ca", &other]).end();
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
fn a_server_of_another_name_is_refused_unless_the_name_is_given() {
    let directory = Directory::new("name");
    let (_server, certificate, address) = server(&directory, &[]);
    let client = ["client", &address, "--ca", &certificate, "--name"];
    let (code, said) = Program::start(&[&client[..], &["example.org"]].concat()).end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not valid for example.org"), "{said}");
    let mut right = Program::start(&[&client[..], &["localhost"]].concat());
    right.close_stdin();
    assert_eq!(right.end().0, Some(0));
    let mut insecure = Program::start(&["client", &address, "--insecure"]);
    insecure.event("warning");
    insecure.close_stdin();
    assert_eq!(insecure.end().0, Some(0));
}

#[test]
fn a_required_client_certificate_is_checked() {
    let directory = Directory::new("client-cert");
    let made = rcgen::generate_simple_self_signed(["a client".to_owned()]).unwrap();
    let chain = directory.write("client.pem", &made.cert.pem());
    let key = directory.write("client.key", &made.signing_key.serialize_pem());
    let (mut server, certificate, address) = server(&directory, &["--client-ca", &chain]);
    let client = ["client", &address, "--ca", &certificate];

    // The refusal comes unprotected although there are keys already, so the client does not believe
    // it and times out.
    let nameless = ["--timeout", "2", "--versions", "1.2"];
    let (code, said) = Program::start(&[&client[..], &nameless].concat()).end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("requires a client certificate"), "{said}");
    assert!(server.event("error").contains("client sent no certificate"));

    // At 1.3 the client is done before the server has looked, and the refusal is protected.
    let nameless = ["--versions", "1.3"];
    let (code, said) = Program::start(&[&client[..], &nameless].concat()).end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("configure a client certificate"), "{said}");
    assert!(server.event("error").contains("client sent no certificate"));

    let mut known = Program::start(&[&client[..], &["--cert", &chain, "--key", &key]].concat());
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
fn a_line_that_is_too_long_is_reported_and_the_others_go_through() {
    let directory = Directory::new("long");
    let (_server, certificate, address) = server(&directory, &[]);
    let mut client = Program::start(&["client", &address, "--ca", &certificate, "--mtu", "600"]);
    client.write("short\n");
    client.write(&"x".repeat(601));
    client.write("\nshort again\n");
    client.close_stdin();
    assert_eq!(client.line(), "short");
    assert_eq!(client.line(), "short again");
    assert!(client.event("lost").contains("at most"));
    let (code, said) = client.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--mtu"), "{said}");
}

#[test]
fn an_unreachable_address_is_reported_at_once_and_ends_the_handshake_in_time() {
    // A port that was free a moment ago, and that is not given to another process so soon.
    let free = std::net::UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let address = free.to_string();
    let mut client = Program::start(&["client", &address, "--insecure", "--timeout", "1"]);
    client.event("unreachable");
    let (code, said) = client.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no answer within 1 s"), "{said}");
    assert!(said.contains("check the peer's address"), "{said}");
}

#[test]
fn a_wrong_command_line_ends_with_2_and_says_what_to_do() {
    let cases: [(&[&str], &str); 8] = [
        (&[], "Usage"),
        (&["client", "127.0.0.1", "--insecure"], "HOST:PORT"),
        (
            &["client", "127.0.0.1:1", "--ca", "/nonexistent.pem"],
            "/nonexistent.pem",
        ),
        (
            &["client", "127.0.0.1:1", "--insecure", "--suites", "RC4"],
            "TLS_ECDHE_RSA",
        ),
        (
            &["client", "127.0.0.1:1", "--insecure", "--mtu", "1"],
            "from 128 to 65,507",
        ),
        (&["server", "--listen", "127.0.0.1:0"], "--self-signed"),
        (&["server", "--self-signed"], "--listen"),
        (
            &[
                "server",
                "--listen",
                "127.0.0.1:0",
                "--self-signed",
                "--client-auth",
                "required",
            ],
            "--client-ca",
        ),
    ];
    for (arguments, remedy) in cases {
        let (code, said) = Program::start(arguments).end();
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(remedy), "{arguments:?}: {said}");
    }
}

#[test]
fn the_demonstration_succeeds() {
    for arguments in [
        &["demo"][..],
        &["demo", "--datagrams", "50", "--loss", "0", "--quiet"],
    ] {
        let mut demo = Program::start(arguments);
        let mut table = Vec::new();
        for version in ["DTLSv1.2", "DTLSv1.3"] {
            table.push(demo.line());
            assert!(table.last().unwrap().contains(version), "{table:?}");
            while !table.last().unwrap().contains("throughput") {
                table.push(demo.line());
            }
        }
        let table = table.join("\n");
        let (code, said) = demo.end();
        assert_eq!(code, Some(0), "{table}\n{said}");
        assert!(table.contains("HelloVerifyRequest"), "{table}");
        assert!(table.contains("HelloRetryRequest"), "{table}");
        assert_eq!(
            table.contains(", 0 of them lost"),
            arguments.len() > 1,
            "{table}"
        );
        assert_eq!(said, "", "there is no bar where there is no terminal");
    }
}
