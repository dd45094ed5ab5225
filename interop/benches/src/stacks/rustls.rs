//! rustls over `ring`: TLS 1.2 and 1.3, in memory.

use super::sealgram::Version;
use crate::pki::{Pki, SERVER};
use rustls::client::{Resumption, Tls12Resumption};
use rustls::crypto::ring::{Ticketer, cipher_suite, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::io::{Read as _, Write as _};
use std::sync::Arc;

/// Configurations of both ends.
pub struct Rustls {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Rustls {
    /// AES-128-GCM and one group, without sessions.
    pub fn new(pki: &Pki, version: Version, x25519: bool) -> Self {
        let (mut client, mut server) = Self::configs(pki, version, x25519);
        client.resumption = Resumption::disabled();
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Self {
            client: Arc::new(client),
            server: Arc::new(server),
        }
    }

    /// With tickets: one for each handshake at 1.3.
    pub fn resuming(pki: &Pki, version: Version) -> Self {
        let (mut client, mut server) = Self::configs(pki, version, true);
        client.resumption = Resumption::in_memory_sessions(64)
            .tls12_resumption(Tls12Resumption::SessionIdOrTickets);
        server.ticketer = Ticketer::new().expect("randomness");
        server.send_tls13_tickets = 1;
        Self {
            client: Arc::new(client),
            server: Arc::new(server),
        }
    }

    fn configs(pki: &Pki, version: Version, x25519: bool) -> (ClientConfig, ServerConfig) {
        let mut provider = default_provider();
        let (versions, suite) = match version {
            Version::V12 => (
                [&rustls::version::TLS12],
                cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            ),
            Version::V13 => (
                [&rustls::version::TLS13],
                cipher_suite::TLS13_AES_128_GCM_SHA256,
            ),
        };
        provider.cipher_suites = vec![suite];
        provider.kx_groups = vec![if x25519 {
            kx_group::X25519
        } else {
            kx_group::SECP256R1
        }];
        let provider = Arc::new(provider);
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from(pki.root.clone());
        roots.add(root).expect("a root");
        let key = PrivateKeyDer::try_from(pki.key.clone()).expect("PKCS #8");
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)
            .expect("it has the suite")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .expect("it has the suite")
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(pki.leaf.clone())], key)
            .expect("they belong together");
        (client, server)
    }

    /// A handshake, and what follows it.
    pub fn connections(&self) -> (ClientConnection, ServerConnection) {
        let name = SERVER.try_into().expect("a valid name");
        let client = ClientConnection::new(self.client.clone(), name);
        let mut client = client.expect("randomness");
        let server = ServerConnection::new(self.server.clone());
        let mut server = server.expect("randomness");
        let mut out = Vec::new();
        loop {
            out.clear();
            while client.wants_write() {
                client.write_tls(&mut out).expect("a list grows");
            }
            let said = !out.is_empty();
            let mut rest = &out[..];
            while !rest.is_empty() {
                server.read_tls(&mut rest).expect("a list is read");
                server.process_new_packets().expect("they agree");
            }
            out.clear();
            while server.wants_write() {
                server.write_tls(&mut out).expect("a list grows");
            }
            if !said && out.is_empty() {
                return (client, server);
            }
            let mut rest = &out[..];
            while !rest.is_empty() {
                client.read_tls(&mut rest).expect("a list is read");
                client.process_new_packets().expect("they agree");
            }
        }
    }
}

/// A client that sends and a server that receives, with the buffers that their callers keep.
pub struct Stream {
    client: ClientConnection,
    server: ServerConnection,
    wire: Vec<u8>,
    received: Vec<u8>,
}

impl Stream {
    /// For pieces of this many bytes.
    pub fn new(rustls: &Rustls, bytes: usize) -> Self {
        let (client, server) = rustls.connections();
        Self {
            client,
            server,
            wire: Vec::new(),
            received: vec![0; bytes],
        }
    }

    /// From the sender's buffer to the receiver's.
    pub fn pass(&mut self, data: &[u8]) {
        self.wire.clear();
        self.client.writer().write_all(data).expect("there is room");
        while self.client.wants_write() {
            self.client.write_tls(&mut self.wire).expect("a list grows");
        }
        let (mut rest, mut length) = (&self.wire[..], 0);
        while !rest.is_empty() {
            self.server.read_tls(&mut rest).expect("a list is read");
            self.server.process_new_packets().expect("they agree");
            while let Ok(count) = self.server.reader().read(&mut self.received[length..]) {
                length += count;
                if count == 0 {
                    break;
                }
            }
        }
        assert_eq!(length, data.len());
    }
}
