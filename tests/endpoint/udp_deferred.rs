//! Keys on another thread, and real event loops that go on when they are woken.

#![cfg(feature = "net")]

use crate::common::configs::{Configs, Pki, server_name, start};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use sealgram::config::Versions;
use sealgram::endpoint::EndpointPolicy;
use sealgram::net::{TlsStream, UdpEndpoint, UdpEvent};
use sealgram::{
    CertifiedKey, ClientConfig, Credential, EndpointEvent, Event, Reply, ServerConfig,
    SignHandshake, SignatureScheme, SigningKey,
};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A key whose signatures are made by a thread, which wakes the event loop.
#[derive(Debug)]
struct Threaded {
    key: Arc<SigningKey>,
    waker: Arc<Waker>,
}

impl SignHandshake for Threaded {
    fn schemes(&self) -> &[SignatureScheme] {
        self.key.schemes()
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8], signature: Reply<Vec<u8>>) {
        let (key, waker, message) = (self.key.clone(), self.waker.clone(), message.to_vec());
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            signature.send(key.sign(scheme, &message).unwrap());
            waker.wake().unwrap();
        });
    }
}

/// Ends whose server signs on another thread; tokens 0 and 1 are left to the sockets.
fn configs(poll: &Poll, versions: Versions) -> Configs {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    let (leaf, key) = pki.leaf_and_key(&rcgen::PKCS_ED25519, |_| {});
    let signer = Threaded {
        key: Arc::new(SigningKey::new(&key).unwrap()),
        waker: Arc::new(Waker::new(poll.registry(), Token(2)).unwrap()),
    };
    let certified = CertifiedKey::with_signer(vec![leaf], Arc::new(signer)).unwrap();
    let server = ServerConfig::with_credential(Credential::Certificate(certified));
    let client = ClientConfig::with_roots(pki.roots()).unwrap();
    Configs {
        client: Arc::new(client.versions(versions).build().unwrap()),
        server: Arc::new(server.versions(versions).build().unwrap()),
    }
}

fn localhost() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Far longer than a wake takes: who is not woken is late.
const LATE: Duration = Duration::from_secs(4);

#[test]
fn a_key_on_another_thread_wakes_an_endpoint() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let mut poll = Poll::new().unwrap();
        let configs = configs(&poll, versions);
        let policy = EndpointPolicy::default();
        let mut server =
            UdpEndpoint::bind(localhost(), policy.clone(), Some(configs.server)).unwrap();
        let address = server.local_addr().unwrap();
        let mut client = UdpEndpoint::connected_to(address, policy).unwrap();
        client.register(poll.registry(), Token(0)).unwrap();
        server.register(poll.registry(), Token(1)).unwrap();
        client
            .connect(configs.client, server_name(), address)
            .unwrap();
        let begun = start();
        let mut ready = Events::with_capacity(8);
        let complete = |event: UdpEvent| {
            matches!(
                event,
                UdpEvent::Association(
                    _,
                    EndpointEvent::Association(Event::HandshakeComplete { .. })
                )
            )
        };
        let mut completed = [false; 2];
        while completed != [true; 2] {
            for (endpoint, completed) in [&mut client, &mut server].into_iter().zip(&mut completed)
            {
                endpoint.turn().unwrap();
                while let Some(event) = endpoint.poll_event() {
                    *completed |= complete(event);
                }
            }
            assert!(start() < begun + LATE);
            if completed != [true; 2] {
                poll.poll(&mut ready, Some(LATE)).unwrap();
            }
        }
        assert!(start() >= begun + Duration::from_millis(50));
    }
}

#[test]
fn a_key_on_another_thread_wakes_a_stream() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let mut poll = Poll::new().unwrap();
        let configs = configs(&poll, versions);
        let listener = TcpListener::bind(localhost()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TlsStream::connect(configs.client, server_name(), address).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let mut server = TlsStream::server(TcpStream::from_std(accepted), configs.server).unwrap();
        let both = Interest::READABLE | Interest::WRITABLE;
        let registry = poll.registry();
        registry.register(&mut client, Token(0), both).unwrap();
        registry.register(&mut server, Token(1), both).unwrap();
        let begun = start();
        let mut ready = Events::with_capacity(8);
        let complete = |event| matches!(event, Event::HandshakeComplete { .. });
        let mut completed = [false; 2];
        while completed != [true; 2] {
            for (stream, completed) in [&mut client, &mut server].into_iter().zip(&mut completed) {
                stream.turn().unwrap();
                while let Some(event) = stream.poll_event() {
                    *completed |= complete(event);
                }
            }
            assert!(start() < begun + LATE);
            if completed != [true; 2] {
                poll.poll(&mut ready, Some(LATE)).unwrap();
            }
        }
        assert!(start() >= begun + Duration::from_millis(50));
    }
}
