//! `sealgram tunnel` as those see it who operate it: status, reload, systemd, configuration files.

#![cfg(unix)]

mod program;
mod tunnel;

use program::{Directory, Program, value};
use std::io::Read as _;
use std::net::UdpSocket;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, Instant};
use tunnel::{ANY, Echo, Local, PATIENCE, client, counter, key, server};

#[test]
fn counters_are_told_as_json_every_second_and_by_a_socket() {
    let directory = Directory::new("tunnel-status");
    let key = key(&directory);
    let echo = Echo::new();
    let socket = directory.file("status");
    // What a tunnel that was killed has left behind.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let options = ["--psk-file", &key, "--status", &socket];
    let (server, at) = server(ANY, echo.address, &options);
    let (mut client, at) = client(ANY, &at, &["--psk-file", &key, "--status", "-"]);
    let local = Local::to(&at);
    local.ask("counted");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let line: serde_json::Value = serde_json::from_str(&client.line()).unwrap();
        assert_eq!(
            (&line["role"], &line["format"]),
            (&"client".into(), &1.into())
        );
        if line["flows"] == 1 && line["plain_sent"].as_u64() > Some(0) {
            break;
        }
        assert!(Instant::now() < deadline, "{line}");
    }
    for _ in 0..2 {
        let mut text = String::new();
        UnixStream::connect(&socket)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        let flows =
            "# TYPE sealgram_tunnel_flows gauge\nsealgram_tunnel_flows{role=\"server\"} 1\n";
        assert!(text.contains(flows), "{text}");
    }
    // A second one does not take the first one's place.
    let again = [
        "tunnel",
        "server",
        "--listen",
        ANY,
        "--forward",
        "127.0.0.1:1",
    ];
    let (code, said) = Program::start(&[&again[..], &options].concat()).end();
    assert_eq!(code, Some(2), "{said}");
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
    assert!(!std::path::Path::new(&socket).exists());
}

/// A certificate and its key, in these two files.
fn certificate(directory: &Directory, name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (
        directory.write(name, &made.cert.pem()),
        directory.write(&format!("{name}.key"), &made.signing_key.serialize_pem()),
    )
}

#[test]
fn a_hangup_has_certificates_read_anew_and_leaves_associations_alone() {
    let directory = Directory::new("tunnel-reload");
    let (chain, private) = certificate(&directory, "server.pem");
    let (new, new_private) = certificate(&directory, "new.pem");
    let echo = Echo::new();
    let options = ["--cert", &chain, "--key", &private];
    let (mut server, at) = server(ANY, echo.address, &options);
    let trust = |ca| ["--ca", ca, "--name", "localhost"];
    let old = directory.file("old.pem");
    std::fs::copy(&chain, &old).unwrap();
    let (_client, first) = client(ANY, &at, &trust(&old));
    let (mut other, second) = client(ANY, &at, &trust(&new));
    let local = Local::to(&first);
    let (port, _) = local.ask("before");

    std::fs::write(&private, "no key").unwrap();
    server.signal("HUP");
    assert!(server.event("reload_failed").contains("server.pem.key"));
    Local::to(&first).ask("served by the old one");

    std::fs::copy(&new, &chain).unwrap();
    std::fs::copy(&new_private, &private).unwrap();
    server.signal("HUP");
    server.event("reloaded");
    Local::to(&second).ask("served by the new one");
    other.event("handshake_complete");
    assert_eq!(local.ask("after").0, port, "its association goes on");
    assert_eq!(counter(&mut server, "reloads"), 1);
    assert_eq!(counter(&mut server, "reloads_failed"), 1);
}

#[test]
fn a_hangup_has_a_clients_keys_read_anew() {
    let directory = Directory::new("tunnel-reload-client");
    let key = key(&directory);
    let others = directory.write("client.psk", &format!("tunnel:{}\n", "77".repeat(32)));
    let echo = Echo::new();
    let (_server, at) = server(ANY, echo.address, &["--psk-file", &key]);
    let options = [
        "--psk-file",
        &others,
        "--timeout",
        "1",
        "--max-backoff",
        "1",
    ];
    let (mut client, at) = client(ANY, &at, &options);
    let local = Local::to(&at);
    assert_eq!(
        local.ask_once("the wrong key", Duration::from_millis(500)),
        None
    );
    std::fs::copy(&key, &others).unwrap();
    client.signal("HUP");
    client.event("reloaded");
    local.ask("the right key");
}

#[test]
fn systemd_passes_a_socket_and_is_told_how_things_are() {
    let directory = Directory::new("tunnel-systemd");
    let key = key(&directory);
    let echo = Echo::new();
    let socket = UdpSocket::bind(ANY).unwrap();
    let at = socket.local_addr().unwrap().to_string();
    let service = echo.address.to_string();
    let server = [
        "tunnel",
        "server",
        "--listen",
        "systemd",
        "--forward",
        &service,
    ];
    let options = ["--psk-file", &key];
    let mut server = Program::start_passing(socket, &[&server[..], &options].concat());
    assert_eq!(value(&server.event("listening"), "addr"), at);

    let path = directory.file("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut buffer = [0; 1000];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let client = ["tunnel", "client", "--listen", ANY, "--connect", &at];
    let environment = [("NOTIFY_SOCKET", path.as_str())];
    let mut client = Program::start_in(&environment, &[&client[..], &options].concat());
    let at = value(&client.event("listening"), "addr").to_owned();
    assert!(told().contains("READY=1\nSTATUS=0 flows"));
    Local::to(&at).ask("through a passed socket");
    client.signal("HUP");
    let reloading = told();
    assert!(reloading.contains("RELOADING=1"), "{reloading}");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    assert!(told().contains("READY=1"));
    client.signal("TERM");
    loop {
        // How many flows there are may be told before.
        if told().contains("STOPPING=1") {
            break;
        }
    }
    assert_eq!(client.end().0, Some(0));
}

#[test]
fn a_configuration_file_stands_in_for_flags_and_its_errors_name_a_line() {
    let directory = Directory::new("tunnel-config");
    let key = key(&directory);
    let echo = Echo::new();
    let text = format!(
        "# The service of this test.\nlisten = \"{ANY}\"\nforward = \"{}\"\npsk-file = \"{key}\"\n\
         idle-timeout = 60\nversions = [\"1.3\"]\n",
        echo.address
    );
    let file = directory.write("server.toml", &text);
    let mut server = Program::start(&["tunnel", "server", "--config", &file]);
    let at = value(&server.event("listening"), "addr").to_owned();
    let file = directory.write(
        "client.toml",
        &format!("listen = \"{ANY}\"\nconnect = \"127.0.0.1:1\"\npsk-file = \"{key}\"\n"),
    );
    let client = ["tunnel", "client", "--config", &file, "--connect", &at];
    let mut client = Program::start(&client);
    let at = value(&client.event("listening"), "addr").to_owned();
    Local::to(&at).ask("by files");
    let complete = client.event("handshake_complete");
    assert_eq!(value(&complete, "version"), "DTLSv1.3");

    let broken = directory.write("broken.toml", &format!("{text}max-flow = 3\n"));
    let (code, said) = Program::start(&["tunnel", "server", "--config", &broken]).end();
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("broken.toml, line 7: there is no option max-flow"),
        "{said}"
    );
    let none = directory.file("none.toml");
    let (code, said) = Program::start(&["tunnel", "server", "--config", &none]).end();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("none.toml"), "{said}");
}

/// SIGTERM says goodbye, so the other end knows at once; and it is over in a moment.
#[test]
fn an_end_that_is_asked_to_stop_tells_the_other() {
    let directory = Directory::new("tunnel-stop");
    let key = key(&directory);
    let echo = Echo::new();
    let (mut server, server_at) = server(ANY, echo.address, &["--psk-file", &key]);
    let (mut client, at) = client(ANY, &server_at, &["--psk-file", &key]);
    let local = Local::to(&at);
    local.ask("before");
    server.signal("TERM");
    server.event("tunnel_counters");
    assert_eq!(server.end().0, Some(0));
    let deadline = Instant::now() + PATIENCE;
    while counter(&mut client, "associations_closed") == 0 {
        assert!(Instant::now() < deadline);
    }
    let (mut server, _) = tunnel::server(&server_at, echo.address, &["--psk-file", &key]);
    let (_, took) = local.ask("after");
    assert!(took < Duration::from_secs(5), "{took:?}");
    client.signal("TERM");
    assert_eq!(client.end().0, Some(0));
    let closed = server.event("flow_closed");
    assert!(closed.contains("closed by the peer"), "{closed}");
}
