//! TLS over real TCP on the loopback, at 1.2 and 1.3, AES-128-GCM: `TlsStream` beside rustls with
//! ring on sockets of the same kind, in the same run. One thread writes 64 KiB, flushes, and reads
//! what has come into a buffer of 16 KiB, until 4 MiB have passed; the time is that of the thread,
//! so of both ends and of the system's work for them. Printed are the medians of five runs of 25
//! interleaved rounds.
//!
//! Both ends use the socket's own buffers and the stack's own defaults. rustls: `writer().write`,
//! `write_tls` and `read_tls` on the socket while there is something, `process_new_packets`,
//! `reader().read`. Ours: `write`, `flush`, `read`.

mod support;

use sealgram::CipherSuite;
use sealgram::net::TlsStream;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use support::{Configs, Rustls, processor_time, report_all};

const TURN: usize = 1 << 16;
const TOTAL: usize = 1 << 22;

/// Both ends of a connection.
trait Ends {
    /// Writes what there is room for and gives it to the socket. How many bytes were taken.
    fn write(&mut self, data: &[u8]) -> usize;
    /// Reads everything that has come. How many bytes that were.
    fn read(&mut self, buffer: &mut [u8]) -> usize;
}

/// Two ends of a TCP connection that never block.
fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    for socket in [&client, &server] {
        socket.set_nonblocking(true).unwrap();
        socket.set_nodelay(true).unwrap();
    }
    (client, server)
}

/// What is here now, where having nothing is no error.
fn ready(result: std::io::Result<usize>) -> Option<usize> {
    match result {
        Ok(length) => Some(length),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

struct Ours {
    client: TlsStream,
    server: TlsStream,
}

impl Ours {
    fn new(suite: CipherSuite) -> Self {
        let (client, server) = Configs::with_suite(suite).tcp_streams(sockets());
        Self { client, server }
    }
}

impl Ends for Ours {
    fn write(&mut self, data: &[u8]) -> usize {
        let taken = ready(self.client.write(data)).unwrap_or(0);
        ready(self.client.flush().map(|()| 0));
        taken
    }

    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut received = 0;
        while let Some(length) = ready(self.server.read(buffer)) {
            received += length;
        }
        received
    }
}

struct Theirs {
    client: (rustls::ClientConnection, TcpStream),
    server: (rustls::ServerConnection, TcpStream),
}

impl Theirs {
    fn new(rustls: &Rustls) -> Self {
        let (client, server) = rustls.connections();
        let sockets = sockets();
        Self {
            client: (client, sockets.0),
            server: (server, sockets.1),
        }
    }
}

impl Ends for Theirs {
    fn write(&mut self, data: &[u8]) -> usize {
        let (client, socket) = &mut self.client;
        let taken = client.writer().write(data).unwrap();
        while client.wants_write() && ready(client.write_tls(socket)).is_some() {}
        taken
    }

    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let (server, socket) = &mut self.server;
        let mut received = 0;
        while ready(server.read_tls(socket)).is_some() {
            let mut left = server.process_new_packets().unwrap();
            while left.plaintext_bytes_to_read() > 0 {
                received += server.reader().read(buffer).unwrap();
                left = server.process_new_packets().unwrap();
            }
        }
        received
    }
}

fn pass(ends: &mut dyn Ends, data: &[u8], buffer: &mut [u8]) {
    let (mut sent, mut received) = (0, 0);
    while received < TOTAL {
        let rest = data.len().min(TOTAL - sent);
        sent += ends.write(&data[..rest]);
        received += ends.read(buffer);
    }
    assert_eq!((sent, received), (TOTAL, TOTAL));
}

/// Only one stack, for counting its system calls from outside: `tcp ours 12`.
fn alone(stack: &str, version: &str) {
    let (mut ours, mut theirs) = both(version);
    let ends: &mut dyn Ends = if stack == "ours" {
        &mut ours
    } else {
        &mut theirs
    };
    let (data, mut buffer) = (vec![7; TURN], vec![0; 1 << 14]);
    for _ in 0..100 {
        pass(ends, &data, &mut buffer);
    }
}

fn both(version: &str) -> (Ours, Theirs) {
    if version == "12" {
        let suite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
        (Ours::new(suite), Theirs::new(&Rustls::new(false)))
    } else {
        let suite = CipherSuite::TLS_AES_128_GCM_SHA256;
        (Ours::new(suite), Theirs::new(&Rustls::new_13()))
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, stack, version, ..] = &arguments[..]
        && ["ours", "rustls"].contains(&&stack[..])
    {
        return alone(stack, version);
    }
    let (data, mut buffer) = (vec![7; TURN], vec![0; 1 << 14]);
    for version in ["12", "13"] {
        let (mut ours, mut theirs) = both(version);
        let names = [
            format!("TLS {version} over TCP, throughput: ours, x rustls"),
            format!("TLS {version} over TCP, ours, us per MiB"),
        ];
        report_all(&names, || {
            let theirs = processor_time(|| pass(&mut theirs, &data, &mut buffer)).as_secs_f64();
            let ours = processor_time(|| pass(&mut ours, &data, &mut buffer)).as_secs_f64();
            [theirs / ours, ours * 1e6 / (TOTAL >> 20) as f64]
        });
    }
}
