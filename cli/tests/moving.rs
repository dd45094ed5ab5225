//! Clients whose address changes: a relay gives them another port, as a NAT does that has forgotten
//! them.

mod program;

use program::{Directory, Program, value};
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

/// A relay for one client, which can be told to take another port.
struct Nat {
    front: Arc<UdpSocket>,
    back: Arc<Mutex<Arc<UdpSocket>>>,
    client: Arc<Mutex<Option<SocketAddr>>>,
    server: SocketAddr,
}

impl Nat {
    fn new(server: &str) -> Self {
        let this = Self {
            front: Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap()),
            back: Arc::new(Mutex::new(Arc::new(
                UdpSocket::bind("127.0.0.1:0").unwrap(),
            ))),
            client: Arc::default(),
            server: server.parse().unwrap(),
        };
        this.rebind();
        let (front, back, client) = (this.front.clone(), this.back.clone(), this.client.clone());
        let server = this.server;
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = front.recv_from(&mut buffer) {
                *client.lock().unwrap() = Some(from);
                let back = back.lock().unwrap().clone();
                let _lost = back.send_to(&buffer[..length], server);
            }
        });
        this
    }

    /// From here on the client is seen at another port, and nothing comes by the old one.
    fn rebind(&self) -> SocketAddr {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        *self.back.lock().unwrap() = socket.clone();
        let (front, back, client) = (self.front.clone(), self.back.clone(), self.client.clone());
        let address = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok(length) = socket.recv(&mut buffer) {
                let is_in_use = Arc::ptr_eq(&socket, &back.lock().unwrap());
                let to = client.lock().unwrap().filter(|_| is_in_use);
                if let Some(to) = to {
                    let _lost = front.send_to(&buffer[..length], to);
                }
            }
        });
        address
    }

    fn address(&self) -> String {
        self.front.local_addr().unwrap().to_string()
    }
}

#[test]
fn a_client_behind_a_nat_that_forgets_it_is_followed() {
    for version in ["1.2", "1.3"] {
        let directory = Directory::new(&format!("moving-{version}"));
        let certificate = directory.file("server.pem");
        let listen = ["server", "--listen", "127.0.0.1:0", "--self-signed"];
        let options = ["--cert-out", &certificate, "--cid", "8"];
        let mut server = Program::start(&[&listen[..], &options].concat());
        let address = value(&server.event("listening"), "addr").to_owned();
        let nat = Nat::new(&address);
        let at = nat.address();
        let client = ["client", &at, "--ca", &certificate, "--cid", "0"];
        let mut client = Program::start(&[&client[..], &["--versions", version]].concat());
        client.write("before\n");
        assert_eq!(client.line(), "before");
        let (ours, theirs) = (
            client.event("connection_ids"),
            server.event("connection_ids"),
        );
        assert_eq!(value(&ours, "received"), "-");
        assert_eq!(value(&theirs, "sent"), "-");
        assert_eq!(value(&ours, "sent"), value(&theirs, "received"));
        assert_eq!(value(&ours, "sent").len(), 16);

        let port = nat.rebind();
        // The answer goes to the old port, but the way is learned from it.
        client.write("lost\n");
        let moved = server.event("path_changed");
        assert_eq!(value(&moved, "to"), port.to_string());
        assert_eq!(value(&moved, "validated"), "true");
        client.write("after\n");
        assert_eq!(client.line(), "after");
        client.close_stdin();
        assert_eq!(client.end().0, Some(0));
        server.event("peer_closed");
    }
}

#[test]
fn what_only_datagrams_have_is_refused_for_streams() {
    for options in [&["--cid", "8"][..], &["--cid", "8", "--migrate", "never"]] {
        let client = ["client", "127.0.0.1:1", "--insecure", "--tls"];
        let (code, said) = Program::start(&[&client[..], options].concat()).end();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("--tls"), "{said}");
    }
    for length in ["3", "21", "x"] {
        let client = ["client", "127.0.0.1:1", "--insecure", "--cid", length];
        let (code, said) = Program::start(&client).end();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("from 4 to 20, or 0"), "{said}");
    }
}
