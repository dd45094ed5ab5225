//! webrtc-rs as a peer: DTLS 1.2 that ignores every request to renegotiate.
//!
//! ```text
//! webrtc-peer server --port P --cert FILE --key FILE [--client-ca FILE] [--mtu N] [--bind ADDRESS]
//! webrtc-peer client --port P --name NAME --ca FILE [--cert FILE --key FILE] [--mtu N]
//!             [--bind ADDRESS]
//! ```
//!
//! A line of standard input is data to send, `Q` closes. Received data goes to standard output as
//! it came. Facts go to standard error, one on each line: `ready PORT`, `handshake`, `closed`,
//! `error TEXT`.
//!
//! One client is served, then the program ends.

use std::error::Error;
use std::fs;
use std::io::{Write as _, stdout};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use dtls::config::{ClientAuthType, Config, ExtendedMasterSecretType};
use dtls::conn::DTLSConn;
use dtls::crypto::{Certificate, CryptoPrivateKey};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UdpSocket;

struct Options {
    server: bool,
    port: u16,
    bind: IpAddr,
    name: String,
    cert: Option<String>,
    key: Option<String>,
    ca: Option<String>,
    mtu: usize,
}

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // The peer around rustls, in this workspace, turns another provider on, and then there is no
    // default one.
    let _unless_there_is_one = rustls::crypto::ring::default_provider().install_default();
    let outcome = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => run(options).await,
        Err(error) => Err(error),
    };
    // A thread is still reading standard input, and the runtime would wait for it.
    std::process::exit(match outcome {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error {error}");
            1
        }
    });
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = Self {
            server: arguments.next().as_deref() == Some("server"),
            port: 0,
            bind: Ipv4Addr::LOCALHOST.into(),
            name: "localhost".into(),
            cert: None,
            key: None,
            ca: None,
            mtu: 0,
        };
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(format!("{name} needs a value"))?;
            match name.as_str() {
                "--port" => options.port = value.parse()?,
                "--bind" => options.bind = value.parse()?,
                "--name" => options.name = value,
                "--cert" => options.cert = Some(value),
                "--key" => options.key = Some(value),
                "--ca" | "--client-ca" => options.ca = Some(value),
                "--mtu" => options.mtu = value.parse()?,
                _ => return Err(format!("{name} is unknown").into()),
            }
        }
        Ok(options)
    }

    fn config(&self) -> Outcome<Config> {
        let mut config = Config {
            extended_master_secret: ExtendedMasterSecretType::Request,
            server_name: self.name.clone(),
            mtu: self.mtu,
            ..Config::default()
        };
        if let (Some(chain), Some(key)) = (&self.cert, &self.key) {
            let key = rcgen::KeyPair::from_pem(&fs::read_to_string(key)?)?;
            config.certificates = vec![Certificate {
                certificate: CertificateDer::pem_file_iter(chain)?.collect::<Result<_, _>>()?,
                private_key: CryptoPrivateKey::try_from(&key)?,
            }];
        }
        if let Some(file) = &self.ca {
            let mut roots = RootCertStore::empty();
            for root in CertificateDer::pem_file_iter(file)? {
                roots.add(root?)?;
            }
            if self.server {
                config.client_cas = roots;
                config.client_auth = ClientAuthType::RequireAndVerifyClientCert;
            } else {
                config.roots_cas = roots;
            }
        }
        Ok(config)
    }
}

async fn run(options: Options) -> Outcome<()> {
    let config = options.config()?;
    let socket = join(&options).await?;
    let association = DTLSConn::new(Arc::new(socket), config, !options.server, None).await?;
    eprintln!("handshake");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut data = vec![0; 1 << 16];
    loop {
        tokio::select! {
            received = association.read(&mut data, None) => match received {
                Ok(length) if length > 0 => {
                    let mut out = stdout().lock();
                    out.write_all(&data[..length])?;
                    out.flush()?;
                }
                // It has no other error for the peer's close_notify.
                Ok(_) | Err(_) => {
                    eprintln!("closed");
                    return Ok(());
                }
            },
            line = lines.next_line() => match line? {
                Some(line) if line != "Q" => {
                    association.write(format!("{line}\n").as_bytes(), None).await?;
                }
                Some(_) | None => {
                    association.close().await?;
                    return Ok(());
                }
            },
        }
    }
}

/// A connected socket: a server waits for its client first.
async fn join(options: &Options) -> Outcome<UdpSocket> {
    if options.server {
        let socket = UdpSocket::bind((options.bind, options.port)).await?;
        eprintln!("ready {}", socket.local_addr()?.port());
        let client = socket.peek_sender().await?;
        socket.connect(client).await?;
        Ok(socket)
    } else {
        let any = if options.bind.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect((options.bind, options.port)).await?;
        Ok(socket)
    }
}
