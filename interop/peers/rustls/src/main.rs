//! rustls over AWS-LC as a peer, over TLS.

use peer_frame::{Association, Fact, Options, run_stream};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, Connection, HandshakeKind, ProtocolVersion, RootCertStore,
    ServerConfig, ServerConnection, SupportedProtocolVersion, version,
};
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn main() {
    let mut ends = None;
    run_stream(move |options| {
        let ends = match &ends {
            Some(ends) => ends,
            None => ends.insert(Ends::new(options).map_err(|error| error.to_string())?),
        };
        ends.begin(options).map_err(|error| error.to_string())
    });
}

/// The configuration, which keeps a client's sessions.
enum Ends {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

impl Ends {
    fn new(options: &Options) -> Result<Self, Box<dyn Error>> {
        let provider = Arc::new(provider(options));
        let versions = versions(options);
        let roots = match &options.ca {
            Some(ca) => Arc::new(roots(ca)?),
            None => Arc::new(RootCertStore::empty()),
        };
        if !options.server {
            let builder = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&versions)?
                .with_root_certificates(roots);
            let mut config = match (&options.cert, &options.key) {
                (Some(cert), Some(key)) => {
                    let (chain, key) = credential(cert, key)?;
                    builder.with_client_auth_cert(chain, key)?
                }
                _ => builder.with_no_client_auth(),
            };
            config.resumption = Resumption::in_memory_sessions(4);
            return Ok(Self::Client(Arc::new(config)));
        }
        let (Some(cert), Some(key)) = (&options.cert, &options.key) else {
            return Err("a server needs a certificate".into());
        };
        let (chain, key) = credential(cert, key)?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)?;
        let builder = if options.client_auth {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build()?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, key)?;
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        Ok(Self::Server(Arc::new(config)))
    }

    fn begin(&self, options: &Options) -> Result<Rustls, Box<dyn Error>> {
        let connection = match self {
            Self::Client(config) => {
                let name = ServerName::try_from(options.name.clone())?;
                ClientConnection::new(config.clone(), name)?.into()
            }
            Self::Server(config) => ServerConnection::new(config.clone())?.into(),
        };
        Ok(Rustls {
            connection,
            told: false,
            over: false,
        })
    }
}

fn provider(options: &Options) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    let groups = options.groups.iter().map(|name| match name.as_str() {
        "p256" => aws_lc_rs::kx_group::SECP256R1,
        "p384" => aws_lc_rs::kx_group::SECP384R1,
        "x25519mlkem768" => aws_lc_rs::kx_group::X25519MLKEM768,
        _ => aws_lc_rs::kx_group::X25519,
    });
    let groups: Vec<_> = groups.collect();
    if !groups.is_empty() {
        provider.kx_groups = groups;
    }
    provider
}

fn versions(options: &Options) -> Vec<&'static SupportedProtocolVersion> {
    let all = [
        (options.v12, &version::TLS12),
        (options.v13, &version::TLS13),
    ];
    all.into_iter()
        .filter_map(|(wanted, version)| wanted.then_some(version))
        .collect()
}

fn roots(file: &Path) -> Result<RootCertStore, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file)? {
        roots.add(certificate?)?;
    }
    Ok(roots)
}

type Chain = Vec<CertificateDer<'static>>;

fn credential(cert: &Path, key: &Path) -> Result<(Chain, PrivateKeyDer<'static>), Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(cert)?.collect::<Result<_, _>>()?;
    Ok((chain, PrivateKeyDer::from_pem_file(key)?))
}

struct Rustls {
    connection: Connection,
    /// Whether the handshake was reported.
    told: bool,
    over: bool,
}

impl Rustls {
    fn agreed(&self) -> String {
        let version = match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            _ => "1.2",
        };
        let suite = self.connection.negotiated_cipher_suite();
        let cipher = suite.map_or_else(|| "?".into(), |suite| format!("{:?}", suite.suite()));
        let group = self.connection.negotiated_key_exchange_group();
        let group = group.map_or_else(|| "?".into(), |group| format!("{:?}", group.name()));
        let resumed = match self.connection.handshake_kind() {
            Some(HandshakeKind::Resumed) => "yes",
            _ => "no",
        };
        let certificate = match self.connection.peer_certificates() {
            Some(_) => "yes",
            None => "no",
        };
        format!(
            "version={version} cipher={cipher} group={group} resumed={resumed} peer_cert={certificate}"
        )
    }
}

impl Association for Rustls {
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.over {
            // What is wrong with it is found when it is processed.
            let _length = self.connection.read_tls(&mut bytes);
            if self.connection.process_new_packets().is_err() {
                return;
            }
        }
    }

    fn drive(&mut self) -> Vec<Fact> {
        let mut facts = Vec::new();
        if self.over {
            return facts;
        }
        let state = match self.connection.process_new_packets() {
            Ok(state) => state,
            Err(error) => {
                self.over = true;
                facts.push(Fact::Failed(error.to_string()));
                return facts;
            }
        };
        if !self.told && !self.connection.is_handshaking() {
            self.told = true;
            facts.push(Fact::Handshake(self.agreed()));
        }
        let mut data = vec![0; state.plaintext_bytes_to_read()];
        if self.connection.reader().read_exact(&mut data).is_ok() && !data.is_empty() {
            facts.push(Fact::Data(data));
        }
        if state.peer_has_closed() {
            self.over = true;
            facts.push(Fact::Closed);
        }
        facts
    }

    fn outgoing(&mut self) -> Vec<Vec<u8>> {
        let mut bytes = Vec::new();
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut bytes).is_err() {
                break;
            }
        }
        if bytes.is_empty() {
            Vec::new()
        } else {
            vec![bytes]
        }
    }

    fn timeout(&mut self) -> Option<Duration> {
        None
    }

    fn timed_out(&mut self) {}

    fn send(&mut self, data: &[u8]) -> Result<(), String> {
        let sent = self.connection.writer().write_all(data);
        sent.map_err(|error| error.to_string())
    }

    fn key_update(&mut self, request: bool) -> Result<(), String> {
        if !request {
            return Err("not-supported: rustls always asks for the peer's keys too".into());
        }
        let updated = self.connection.refresh_traffic_keys();
        updated.map_err(|error| error.to_string())
    }

    fn close(&mut self) {
        self.connection.send_close_notify();
    }

    fn ended(&mut self) {
        let mut nothing: &[u8] = &[];
        let _end = self.connection.read_tls(&mut nothing);
    }
}
