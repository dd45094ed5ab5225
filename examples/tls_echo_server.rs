//! Sends everything back to its sender, over TLS, to any number of clients in one thread.
//!
//! ```sh
//! cargo run --example tls_echo_server -- 127.0.0.1:4433 /tmp/server.pem
//! cargo run --example tls_client -- 127.0.0.1:4433 /tmp/server.pem
//! ```
//!
//! `unwrap` keeps the example short: it is used only where this machine, not a peer, is at fault.

use sealgram::ServerConfig;
use sealgram::identity::{CertifiedKey, Credential};
use sealgram::net::TlsStream;
use sealgram::net::mio::net::{TcpListener, TcpStream};
use sealgram::net::mio::{Events, Interest, Poll, Registry, Token};
use sealgram::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::{env, fs};

/// A client, and the data that is to be sent back to it.
struct Client {
    tls: TlsStream,
    echo: Vec<u8>,
}

const LISTENER: Token = Token(0);

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let listen = arguments.next().unwrap_or("127.0.0.1:4433".into());
    let certificate = arguments
        .next()
        .map_or(env::temp_dir().join("sealgram.pem"), PathBuf::from);
    let credential = self_signed(&certificate);
    let config = Arc::new(ServerConfig::with_credential(credential).build().unwrap());

    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(listen.parse().unwrap())?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("listening on {}", listener.local_addr()?);

    let mut clients = BTreeMap::new();
    let mut accepted = LISTENER.0;
    let mut ready = Events::with_capacity(64);
    loop {
        let timeout = clients
            .values()
            .filter_map(|client: &Client| client.tls.poll_timeout())
            .min();
        match poll.poll(&mut ready, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        // Readiness is reported only when it begins, so every client that waits is accepted now. A
        // real server would limit their number.
        while let Ok((socket, remote)) = listener.accept() {
            accepted += 1;
            match accept(poll.registry(), Token(accepted), socket, &config) {
                Ok(client) => drop(clients.insert(Token(accepted), client)),
                Err(error) => println!("{remote}: {error}"),
            }
        }
        // An idle client costs a call; a real server would look at `ready` and at each timeout.
        clients.retain(|Token(number), client| match serve(client) {
            Ok(()) => !client.tls.is_ended(),
            // One client's failure is no reason to stop serving the others.
            Err(error) => {
                println!("client {number}: {error}");
                false
            }
        });
    }
}

fn accept(
    registry: &Registry,
    token: Token,
    socket: TcpStream,
    config: &Arc<ServerConfig>,
) -> io::Result<Client> {
    let mut tls = TlsStream::server(socket, config.clone())?;
    registry.register(&mut tls, token, Interest::READABLE | Interest::WRITABLE)?;
    let echo = Vec::new();
    Ok(Client { tls, echo })
}

/// Reads and writes in turn until neither makes progress. While nothing can be sent back, nothing
/// is read.
fn serve(client: &mut Client) -> io::Result<()> {
    let mut buffer = [0; 16 << 10];
    client.tls.turn()?;
    loop {
        let moved = match client.echo.is_empty() {
            true => client.tls.read(&mut buffer),
            false => client.tls.write(&client.echo),
        };
        match moved {
            // The client has closed, and that was answered.
            Ok(0) => break,
            Ok(length) if client.echo.is_empty() => client.echo.extend(&buffer[..length]),
            Ok(length) => drop(client.echo.drain(..length)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    client.tls.turn()
}

/// Makes a certificate for this machine and writes it where the client finds it. A real server
/// would load one: `CertifiedKey::from_pem_files`.
fn self_signed(file: &PathBuf) -> Credential {
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    fs::write(file, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    Credential::Certificate(CertifiedKey::new(vec![made.cert.der().clone()], &key).unwrap())
}
