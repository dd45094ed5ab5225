//! What a tunnel is tested with: a service, a lossy way between the ends, and local programs.

#![allow(dead_code, reason = "each test program uses a part of it")]

use crate::program::{Directory, Program, value};
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take, on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A UDP service that sends everything back, behind the port that it was asked from. It ends with
/// this.
pub(crate) struct Echo {
    pub(crate) address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Echo {
    pub(crate) fn new() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn at(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        let address = socket.local_addr().unwrap();
        let tick = Duration::from_millis(20);
        socket.set_read_timeout(Some(tick)).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !is_over.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer[5..]) {
                    buffer[..5].copy_from_slice(format!("{:05}", from.port()).as_bytes());
                    let _gone = socket.send_to(&buffer[..5 + length], from);
                }
            }
        });
        Self {
            address,
            over,
            thread: Some(thread),
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A local program behind the client.
pub(crate) struct Local {
    pub(crate) socket: UdpSocket,
}

impl Local {
    pub(crate) fn to(client: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(client).unwrap();
        Self { socket }
    }

    /// Asks once, and returns the port that the service was asked from.
    pub(crate) fn ask_once(&self, text: &str, patience: Duration) -> Option<u16> {
        self.socket.send(text.as_bytes()).unwrap();
        let deadline = Instant::now() + patience;
        let mut buffer = [0; 2048];
        loop {
            let left = deadline.checked_duration_since(Instant::now())?;
            self.socket
                .set_read_timeout(Some(left.max(Duration::from_millis(1))))
                .unwrap();
            // Answers to earlier questions may come first.
            if let Ok(length) = self.socket.recv(&mut buffer)
                && &buffer[5..length] == text.as_bytes()
            {
                let port = std::str::from_utf8(&buffer[..5]).unwrap();
                return Some(port.parse().unwrap());
            }
        }
    }

    /// Asks until there is an answer, as programs over UDP do. Returns the port, and how long it
    /// took.
    pub(crate) fn ask(&self, text: &str) -> (u16, Duration) {
        let began = Instant::now();
        for attempt in 0.. {
            let text = format!("{text} {attempt}");
            if let Some(port) = self.ask_once(&text, Duration::from_millis(300)) {
                return (port, began.elapsed());
            }
            assert!(began.elapsed() < PATIENCE, "no answer to {text}");
        }
        unreachable!()
    }
}

/// A way that loses one of twenty datagrams in each direction, and carries those of each client by
/// a port of its own. It ends with the process.
pub(crate) struct Lossy {
    pub(crate) address: String,
}

impl Lossy {
    pub(crate) fn to(server: &str, seed: u64) -> Self {
        let server: SocketAddr = server.parse().unwrap();
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let address = front.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let mut ways: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
            let mut buffer = [0; 2048];
            let mut dice = Dice(seed);
            // Reports about ends that are not there are no end.
            loop {
                let Ok((length, from)) = front.recv_from(&mut buffer) else {
                    continue;
                };
                let next = seed + u64::try_from(ways.len()).unwrap() + 1;
                let way = ways
                    .entry(from)
                    .or_insert_with(|| way_back(front.clone(), from, server, next));
                if !dice.loses() {
                    let _gone = way.send_to(&buffer[..length], server);
                }
            }
        });
        Self { address }
    }
}

fn way_back(
    front: Arc<UdpSocket>,
    client: SocketAddr,
    server: SocketAddr,
    seed: u64,
) -> Arc<UdpSocket> {
    let back = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
    let receiver = back.clone();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        let mut dice = Dice(seed);
        loop {
            if let Ok((length, from)) = receiver.recv_from(&mut buffer)
                && from == server
                && !dice.loses()
            {
                let _gone = front.send_to(&buffer[..length], client);
            }
        }
    });
    back
}

/// The same losses in each run with the same seed.
struct Dice(u64);

impl Dice {
    fn loses(&mut self) -> bool {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33).is_multiple_of(20)
    }
}

/// A file with a key that both ends share.
pub(crate) fn key(directory: &Directory) -> String {
    directory.write("tunnel.psk", &format!("tunnel:{}\n", "5a".repeat(32)))
}

/// A tunnel's server at this address, and where it listens.
pub(crate) fn server(listen: &str, service: SocketAddr, options: &[&str]) -> (Program, String) {
    let service = service.to_string();
    let arguments = [
        "tunnel",
        "server",
        "--listen",
        listen,
        "--forward",
        &service,
    ];
    let mut server = Program::start(&[&arguments, options].concat());
    let address = value(&server.event("listening"), "addr").to_owned();
    (server, address)
}

/// The same of a client.
pub(crate) fn client(listen: &str, server: &str, options: &[&str]) -> (Program, String) {
    let arguments = ["tunnel", "client", "--listen", listen, "--connect", server];
    let mut client = Program::start(&[&arguments, options].concat());
    let address = value(&client.event("listening"), "addr").to_owned();
    (client, address)
}

pub(crate) const ANY: &str = "127.0.0.1:0";

/// A counter of a tunnel's end, now.
#[cfg(unix)]
pub(crate) fn counter(end: &mut Program, name: &str) -> u64 {
    end.signal("USR1");
    value(&end.event("tunnel_counters"), name).parse().unwrap()
}
