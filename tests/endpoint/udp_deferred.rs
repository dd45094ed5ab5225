//! Keys on another thread, and real event loops that sleep until the answer wakes them.

#![cfg(feature = "net")]

use crate::common::configs::{Configs, Pki, server_name, start};
use crate::common::readiness::wait_for;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use sealgram::config::Versions;
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::identity::{CertifiedKey, Credential, SignHandshake, SigningKey};
use sealgram::net::{TlsStream, UdpEndpoint};
use sealgram::{ClientConfig, Event, Reply, ServerConfig, SignatureScheme};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// A key whose signatures are made by a thread. It knows nothing of the event loop.
#[derive(Debug)]
struct Threaded(Arc<SigningKey>);

impl SignHandshake for Threaded {
    fn schemes(&self) -> &[SignatureScheme] {
        self.0.schemes()
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8], signature: Reply<Vec<u8>>) {
        let (key, message) = (self.0.clone(), message.to_vec());
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            signature.send(key.sign(scheme, &message).unwrap());
        });
    }
}

/// Ends whose server signs on another thread.
fn configs(versions: Versions) -> Configs {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    let (leaf, key) = pki.leaf_and_key(&rcgen::PKCS_ED25519, |_| {});
    let signer = Threaded(Arc::new(SigningKey::new(&key).unwrap()));
    let certified = CertifiedKey::with_signer(vec![leaf], Arc::new(signer)).unwrap();
    let server = ServerConfig::with_credential(Credential::Certificate(certified));
    let client = ClientConfig::with_roots(pki.roots()).unwrap();
    Configs {
        client: Arc::new(client.versions(versions).build().unwrap()),
        server: Arc::new(server.versions(versions).build().unwrap()),
    }
}

/// A poll, and what wakes it; tokens 0 and 1 are left to the sockets.
fn poll_and_waker() -> (Poll, Arc<Waker>) {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(poll.registry(), Token(2)).unwrap();
    (poll, Arc::new(waker))
}

/// Runs a loop that has no deadline of its own. One that nothing wakes is late.
fn in_time(event_loop: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let begun = start();
    thread::spawn(move || {
        event_loop();
        done.send(()).unwrap();
    });
    wait.recv_timeout(LATE).expect("the loop was woken");
    assert!(start() >= begun + Duration::from_millis(50));
}

fn localhost() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Far longer than a wake takes.
const LATE: Duration = Duration::from_secs(10);

fn is_complete(event: &(AssociationId, Event)) -> bool {
    matches!(event, (_, Event::HandshakeComplete { .. }))
}

#[test]
fn a_key_on_another_thread_wakes_an_endpoint() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        in_time(move || {
            let (mut poll, waker) = poll_and_waker();
            let Configs { client, server } = configs(versions);
            let policy = EndpointPolicy::default();
            let mut server = UdpEndpoint::bind(localhost(), policy.clone(), Some(server)).unwrap();
            server.set_waker(waker);
            let address = server.local_addr().unwrap();
            let config = client;
            let mut client = UdpEndpoint::connected_to(address, policy).unwrap();
            client.register(poll.registry(), Token(0)).unwrap();
            server.register(poll.registry(), Token(1)).unwrap();
            client.connect(config, server_name(), address).unwrap();
            let mut ready = Events::with_capacity(8);
            let mut completed = [false; 2];
            while completed != [true; 2] {
                let both = [&mut client, &mut server];
                for (endpoint, completed) in both.into_iter().zip(&mut completed) {
                    endpoint.turn().unwrap();
                    while let Some(event) = endpoint.poll_event() {
                        *completed |= is_complete(&event);
                    }
                }
                if completed != [true; 2] {
                    wait_for(&mut poll, &mut ready, None);
                }
            }
        });
    }
}

/// Wakes a poll, as what an async runtime brings wakes its task.
struct Wakes(Arc<Waker>);

impl std::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.wake().unwrap();
    }
}

/// The same for a loop that is not mio's, which is told what it would be registered for.
#[test]
fn a_key_on_another_thread_wakes_a_loop_of_another_kind() {
    in_time(|| {
        let (mut poll, waker) = poll_and_waker();
        let Configs { client, server } = configs(Versions::V1_3);
        let policy = EndpointPolicy::default();
        let mut server = UdpEndpoint::bind(localhost(), policy.clone(), Some(server)).unwrap();
        server.set_task_waker(Arc::new(Wakes(waker)).into());
        let address = server.local_addr().unwrap();
        let mut endpoint = UdpEndpoint::connected_to(address, policy).unwrap();
        endpoint.register(poll.registry(), Token(0)).unwrap();
        server.register(poll.registry(), Token(1)).unwrap();
        endpoint.connect(client, server_name(), address).unwrap();
        let mut ready = Events::with_capacity(8);
        let mut completed = [false; 2];
        while completed != [true; 2] {
            let both = [&mut endpoint, &mut server];
            for (endpoint, completed) in both.into_iter().zip(&mut completed) {
                endpoint.turn().unwrap();
                assert!(!endpoint.has_unread() && !endpoint.wants_write());
                while let Some(event) = endpoint.poll_event() {
                    *completed |= is_complete(&event);
                }
            }
            if completed != [true; 2] {
                wait_for(&mut poll, &mut ready, None);
            }
        }
    });
}

#[test]
fn a_key_on_another_thread_wakes_a_stream() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        in_time(move || {
            let (mut poll, waker) = poll_and_waker();
            let configs = configs(versions);
            let listener = TcpListener::bind(localhost()).unwrap();
            let address = listener.local_addr().unwrap();
            let mut client = TlsStream::connect(configs.client, server_name(), address).unwrap();
            let (accepted, _) = listener.accept().unwrap();
            accepted.set_nonblocking(true).unwrap();
            let accepted = TcpStream::from_std(accepted);
            let mut server = TlsStream::server(accepted, configs.server).unwrap();
            server.set_waker(waker);
            let both = Interest::READABLE | Interest::WRITABLE;
            let registry = poll.registry();
            registry.register(&mut client, Token(0), both).unwrap();
            registry.register(&mut server, Token(1), both).unwrap();
            let mut ready = Events::with_capacity(8);
            let complete = |event| matches!(event, Event::HandshakeComplete { .. });
            let mut completed = [false; 2];
            while completed != [true; 2] {
                let both = [&mut client, &mut server];
                for (stream, completed) in both.into_iter().zip(&mut completed) {
                    stream.turn().unwrap();
                    while let Some(event) = stream.poll_event() {
                        *completed |= complete(event);
                    }
                }
                if completed != [true; 2] {
                    wait_for(&mut poll, &mut ready, None);
                }
            }
        });
    }
}
