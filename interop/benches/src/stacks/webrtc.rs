//! webrtc-rs (`dtls`): DTLS 1.2 on tokio, here with a runtime of one thread for each end. Its
//! server always wants a cookie.

use crate::measure::thread_cpu;
use crate::pki::{Pki, SERVER};
use crate::sockets::{self, PATIENCE};
use crate::transfer::{Pace, Rx, Tx};
use dtls::config::{Config, ExtendedMasterSecretType};
use dtls::conn::DTLSConn;
use dtls::crypto::{Certificate, CryptoPrivateKey};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use std::net::UdpSocket;
use std::sync::Arc;
use std::thread;
use tokio::runtime::{Builder, Runtime};
use webrtc_util::Conn;

/// One end, with the runtime that its tasks live in.
pub struct End {
    runtime: Runtime,
    connection: DTLSConn,
}

fn config(pki: &Pki, client: bool) -> Config {
    let mut config = Config {
        extended_master_secret: ExtendedMasterSecretType::Request,
        server_name: SERVER.to_owned(),
        ..Config::default()
    };
    if client {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from(pki.root.clone());
        roots.add(root).expect("a root");
        config.roots_cas = roots;
    } else {
        let key = rcgen_of_dtls::KeyPair::try_from(&pki.key[..]).expect("PKCS #8");
        config.certificates = vec![Certificate {
            certificate: vec![CertificateDer::from(pki.leaf.clone())],
            private_key: CryptoPrivateKey::try_from(&key).expect("it has the curve"),
        }];
    }
    config
}

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("the system has threads")
}

fn end(pki: &Pki, client: bool, socket: UdpSocket) -> End {
    let runtime = runtime();
    let config = config(pki, client);
    let connection = runtime.block_on(async {
        socket.set_nonblocking(true).expect("a new socket");
        let socket = tokio::net::UdpSocket::from_std(socket).expect("a new socket");
        let transport: Arc<dyn Conn + Send + Sync> = Arc::new(socket);
        DTLSConn::new(transport, config, client, None).await
    });
    End {
        connection: connection.expect("nothing is lost"),
        runtime,
    }
}

struct Sender {
    end: End,
    payload: Vec<u8>,
}

/// How many datagrams the runtime is entered for.
const TURN: u64 = 64;

impl Tx for Sender {
    fn send(&mut self, pace: &mut Pace<'_>) -> u64 {
        let mut count = 0;
        let Self { end, payload } = self;
        while pace.goes_on(count) {
            end.runtime.block_on(async {
                for _ in 0..TURN {
                    let sent = end.connection.write(payload, None).await;
                    sent.expect("loopback takes it");
                }
            });
            count += TURN;
        }
        count
    }
}

struct Receiver(End);

impl Rx for Receiver {
    fn receive(&mut self) -> u64 {
        let End {
            runtime,
            connection,
        } = &self.0;
        runtime.block_on(async {
            let mut data = [0; 2048];
            let mut count = 0;
            let over = tokio::time::sleep(PATIENCE);
            tokio::pin!(over);
            while count < TURN {
                tokio::select! {
                    biased;
                    received = connection.read(&mut data, None) => {
                        received.expect("nobody closes");
                        count += 1;
                    }
                    () = &mut over => break,
                }
            }
            count
        })
    }
}

/// For the row of bulk.
pub fn bulk(pki: &Pki, bytes: usize) -> (Box<dyn Tx>, Box<dyn Rx>) {
    let (one, other) = sockets::pair();
    let (client, server) = thread::scope(|scope| {
        let client = scope.spawn(|| end(pki, true, one));
        let server = end(pki, false, other);
        (client.join().expect("it connects"), server)
    });
    let payload = vec![3; bytes];
    (
        Box::new(Sender {
            end: client,
            payload,
        }),
        Box::new(Receiver(server)),
    )
}

/// Both ends on its own pipe, in one runtime.
pub struct Piped {
    runtime: Runtime,
    client: DTLSConn,
    server: DTLSConn,
}

impl Piped {
    /// A handshake.
    pub fn new(pki: &Pki) -> Self {
        let runtime = runtime();
        let (client, server) = runtime.block_on(async {
            let (one, other) = webrtc_util::conn::conn_pipe::pipe();
            let client = DTLSConn::new(Arc::new(one), config(pki, true), true, None);
            let server = DTLSConn::new(Arc::new(other), config(pki, false), false, None);
            tokio::join!(client, server)
        });
        Self {
            client: client.expect("nothing is lost"),
            server: server.expect("nothing is lost"),
            runtime,
        }
    }

    /// The processor time of a record, sealed and opened.
    pub fn cpu_ns(&mut self, calls: u32, payload: &[u8]) -> f64 {
        let Self {
            runtime,
            client,
            server,
        } = self;
        runtime.block_on(async {
            let (start, mut data) = (thread_cpu(), [0; 2048]);
            for _ in 0..calls {
                client.write(payload, None).await.expect("nobody closes");
                let read = server.read(&mut data, None).await;
                assert_eq!(read.expect("nobody closes"), payload.len());
            }
            (thread_cpu() - start).as_secs_f64() * 1e9 / f64::from(calls)
        })
    }
}
