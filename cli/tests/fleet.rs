//! Servers that stand in for each other: threads of one program, and programs on one port. Linux
//! alone deals clients out among them.

#![cfg(target_os = "linux")]

mod program;

use program::{Directory, Program, value};
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

/// What all servers of a test have in common, in files.
struct Fleet {
    directory: Directory,
    certificate: String,
    key: String,
    secret: String,
}

impl Fleet {
    fn new(test: &str) -> Self {
        let directory = Directory::new(test);
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let secret = directory.file("secret");
        fs::write(&secret, [7; 32]).unwrap();
        Self {
            certificate: directory.write("cert.pem", &made.cert.pem()),
            key: directory.write("key.pem", &made.signing_key.serialize_pem()),
            secret,
            directory,
        }
    }

    /// A server at this address, and where that is.
    fn server(&self, listen: &str, arguments: &[&str]) -> (Program, String) {
        let mut all = vec!["server", "--listen", listen, "--fleet-secret", &self.secret];
        all.extend(["--cert", &self.certificate, "--key", &self.key]);
        all.extend(arguments);
        let mut server = Program::start(&all);
        let address = value(&server.event("listening"), "addr").to_owned();
        (server, address)
    }

    /// A client that has sent a line and got it back, and what it says of its handshake.
    fn client(&self, address: &str, arguments: &[&str]) -> (Program, String) {
        let mut all = vec!["client", address, "--name", "localhost"];
        all.extend(["--ca", &self.certificate]);
        all.extend(arguments);
        let mut client = Program::start(&all);
        client.write("hello\n");
        assert_eq!(client.line(), "hello");
        let complete = client.event("handshake_complete");
        (client, complete)
    }
}

/// Which of the servers has completed a handshake since it was asked last.
fn served_by(servers: &mut [Program; 2]) -> usize {
    loop {
        for (index, server) in servers.iter_mut().enumerate() {
            let completed = |line: &str| line.starts_with("event=handshake_complete");
            let moment = Duration::from_millis(20);
            if server.event_within(moment, completed).is_some() {
                return index;
            }
        }
    }
}

/// Two processes on one port, of which one is killed without a word: its clients hear nothing any
/// more, and when they connect again they resume at the other, which has nothing from the first but
/// the secret that both have read.
#[test]
fn clients_of_a_process_that_was_killed_resume_at_the_other() {
    for version in ["1.2", "1.3"] {
        let fleet = Fleet::new(&format!("killed-{version}"));
        let (one, address) = fleet.server("127.0.0.1:0", &["--threads", "1"]);
        let (other, same) = fleet.server(&address, &["--threads", "1"]);
        assert_eq!(address, same);
        let mut servers = [one, other];

        let mut clients = Vec::new();
        let mut seen = BTreeSet::new();
        // Three clients or more, until both processes have one; never more than 40 are needed.
        while clients.len() < 3 || seen.len() < 2 {
            assert!(clients.len() < 40, "every client came to the same process");
            let session = fleet.directory.file(&format!("session-{}", clients.len()));
            let arguments = ["--versions", version, "--session-out", &session];
            let (client, complete) = fleet.client(&address, &arguments);
            assert_eq!(value(&complete, "kind"), "full");
            let server = served_by(&mut servers);
            seen.insert(server);
            clients.push((client, session, server));
        }

        let dead = 0;
        servers[dead].signal("KILL");
        let [killed, mut alive] = servers;
        assert_eq!(killed.end().0, None, "it did not end by itself");
        for (mut client, session, server) in clients {
            client.write("again\n");
            if server != dead {
                // Of two members one is gone: nobody else moves.
                assert_eq!(client.line(), "again");
                continue;
            }
            let arguments = ["--versions", version, "--session-in", &session];
            let (_, complete) = fleet.client(&address, &arguments);
            assert_eq!(value(&complete, "kind"), "resumed", "{version}");
            let complete = alive.event("handshake_complete");
            assert_eq!(value(&complete, "kind"), "resumed", "{version}");
        }
        alive.signal("TERM");
        let strays = alive.event("endpoint_counters");
        assert_ne!(value(&strays, "strays"), "0", "{strays}");
    }
}

/// Over TCP nothing but tickets is shared, and those by the same secret.
#[test]
fn a_tls_session_of_one_server_is_resumed_at_another() {
    for version in ["1.2", "1.3"] {
        let fleet = Fleet::new(&format!("tls-{version}"));
        let session = fleet.directory.file("session");
        for (option, kind) in [("--session-out", "full"), ("--session-in", "resumed")] {
            let (_server, address) = fleet.server("127.0.0.1:0", &["--tls"]);
            let arguments = ["--tls", "--versions", version, option, &session];
            let (_client, complete) = fleet.client(&address, &arguments);
            assert_eq!(value(&complete, "kind"), kind, "{version}");
        }
    }
}

/// Every thread has clients, all end together, and each reports what it did.
#[test]
fn threads_serve_on_one_port_and_end_together() {
    let fleet = Fleet::new("threads");
    let (mut server, address) = fleet.server("127.0.0.1:0", &["--threads", "2"]);
    let clients: Vec<_> = (0..12).map(|_| fleet.client(&address, &[]).0).collect();
    server.signal("TERM");
    for mut client in clients {
        client.event("peer_closed");
    }
    let accepted = [(); 2].map(|()| {
        let counters = server.event("endpoint_counters");
        value(&counters, "accepted").parse::<u32>().unwrap()
    });
    assert_eq!(accepted.iter().sum::<u32>(), 12);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn a_secret_of_another_length_is_refused_with_a_remedy() {
    let directory = Directory::new("secret");
    let short = directory.write("short", "correct horse battery staple");
    let server = ["server", "--listen", "127.0.0.1:0", "--self-signed"];
    for (file, said) in [
        (short.as_str(), "it has 28 bytes, and a secret has 32"),
        ("/does/not/exist", "No such file"),
    ] {
        let (code, line) = Program::start(&[&server[..], &["--fleet-secret", file]].concat()).end();
        assert_eq!(code, Some(2), "{line}");
        assert!(line.contains(said), "{line}");
    }
}
