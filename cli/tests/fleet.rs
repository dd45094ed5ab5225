//! Servers that stand in for each other: threads of one program, and programs on one port. Linux
//! alone deals clients out among them.

#![cfg(target_os = "linux")]

mod program;

use program::{Directory, Program, value};
use sealgram::config::FleetSecret;
use sealgram::endpoint::FleetMembers;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
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

/// The socket towards a member for each client that it has heard.
type Sessions = HashMap<(SocketAddr, usize), Arc<UdpSocket>>;

/// A balancer in front of two members, with a port of its own for each client and member. It reads
/// the member in connection IDs; everything else goes by address, until it deals out anew.
struct Balancer {
    front: Arc<UdpSocket>,
    /// The member of everybody who is not named.
    stranger: Arc<AtomicUsize>,
    sessions: Arc<Mutex<Sessions>>,
}

impl Balancer {
    fn new(members: [SocketAddr; 2]) -> Self {
        let this = Self {
            front: Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap()),
            stranger: Arc::default(),
            sessions: Arc::default(),
        };
        let front = this.front.clone();
        let (stranger, sessions) = (this.stranger.clone(), this.sessions.clone());
        let reader = FleetMembers::new(&FleetSecret::from_bytes([7; 32]));
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = front.recv_from(&mut buffer) {
                let named = reader.member_of(&buffer[..length]).map(usize::from);
                let member = named.unwrap_or_else(|| stranger.load(Ordering::SeqCst));
                let mut sessions = sessions.lock().unwrap();
                let session = sessions
                    .entry((from, member))
                    .or_insert_with(|| session(&front, from));
                let _lost = session.send_to(&buffer[..length], members[member]);
            }
        });
        this
    }

    /// As a reload does: other members for strangers, and a new session for everybody.
    fn deal_anew(&self, member: usize) {
        self.stranger.store(member, Ordering::SeqCst);
        self.sessions.lock().unwrap().clear();
    }
}

/// A port for one client, whose answers leave from the balancer's address.
fn session(front: &Arc<UdpSocket>, client: SocketAddr) -> Arc<UdpSocket> {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
    let (front, back) = (front.clone(), socket.clone());
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok(length) = back.recv(&mut buffer) {
            let _lost = front.send_to(&buffer[..length], client);
        }
    });
    socket
}

/// J22: associations go on where they are when a balancer deals out its clients anew, and what
/// comes back leaves from its address, or the client's socket would drop it.
#[test]
fn associations_outlive_a_balancer_that_deals_out_its_clients_anew() {
    for version in ["1.2", "1.3"] {
        let fleet = Fleet::new(&format!("anew-{version}"));
        let [one, other] = ["0", "1"]
            .map(|number| fleet.server("127.0.0.1:0", &["--cid", "8", "--member", number]));
        let balancer = Balancer::new([&one, &other].map(|(_, at)| at.parse().unwrap()));
        let mut servers = [one.0, other.0];
        let at = balancer.front.local_addr().unwrap().to_string();
        let mut clients = Vec::new();
        for member in [0, 1] {
            balancer.deal_anew(member);
            let arguments = ["--versions", version, "--cid", "0"];
            clients.push(fleet.client(&at, &arguments).0);
            servers[member].event("handshake_complete");
        }
        // Strangers of each member are the other's from here on.
        for (member, client) in clients.iter_mut().enumerate() {
            balancer.deal_anew(1 - member);
            client.write("moved\n");
            assert_eq!(client.line(), "moved");
            let moved = servers[member].event("path_changed");
            assert_eq!(value(&moved, "validated"), "true");
            client.write("again\n");
            assert_eq!(client.line(), "again");
        }
        for mut server in servers {
            server.signal("TERM");
            let counters = server.event("endpoint_counters");
            assert_eq!(value(&counters, "strays"), "0", "{counters}");
            assert_eq!(
                value(&counters, "unknown_connection_ids"),
                "0",
                "{counters}"
            );
        }
    }
}
