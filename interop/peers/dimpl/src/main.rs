//! dimpl as a peer.

use dimpl::{Config, Dtls, DtlsCertificate, NamedGroup, Output, PskResolver};
use peer_frame::{Association, Fact, Options, run};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn main() {
    run(|options| Dimpl::new(options));
}

/// The first block of a PEM file.
fn der(path: Option<&Path>) -> Result<Vec<u8>, String> {
    let Some(path) = path else {
        return Err("dimpl needs --cert and --key in both roles".into());
    };
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let body: String = text
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN"))
        .skip(1)
        .take_while(|line| !line.starts_with("-----END"))
        .collect();
    decode_base64(&body).ok_or_else(|| format!("{} is not PEM", path.display()))
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes().filter(|&byte| byte != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

/// The key that both ends share, at version 1.2.
struct Shared {
    identity: Vec<u8>,
    key: Vec<u8>,
}

impl PskResolver for Shared {
    fn resolve(&self, identity: &[u8]) -> Option<Vec<u8>> {
        (identity == self.identity).then(|| self.key.clone())
    }
}

struct Dimpl {
    v13: bool,
    dtls: Dtls,
    due: Option<Instant>,
    outgoing: Vec<Vec<u8>>,
    failed: Option<String>,
    peer_cert: bool,
    over: bool,
}

impl Dimpl {
    fn new(options: &Options) -> Result<Self, String> {
        let groups: Vec<_> = options.groups.iter().map(|name| group(name)).collect();
        let mut builder = Config::builder().require_client_certificate(options.client_auth);
        if !groups.is_empty() {
            builder = builder.kx_groups(&groups);
        }
        if let Some((identity, key)) = options.psk.clone() {
            let identity = identity.into_bytes();
            let shared = Arc::new(Shared {
                identity: identity.clone(),
                key,
            });
            builder = match options.server {
                true => builder.with_psk_server(None, shared),
                false => builder.with_psk_client(identity, shared),
            };
        }
        let config = Arc::new(builder.build().map_err(|error| error.to_string())?);
        let now = Instant::now();
        let certificate = || {
            Ok::<_, String>(DtlsCertificate {
                certificate: der(options.cert.as_deref())?,
                private_key: der(options.key.as_deref())?,
            })
        };
        let mut dtls = match (options.v13, &options.psk) {
            (true, _) => Dtls::new_13(config, certificate()?, now),
            (false, None) => Dtls::new_12(config, certificate()?, now),
            (false, Some(_)) => Dtls::new_12_psk(config, now),
        };
        dtls.set_active(!options.server);
        let mut peer = Self {
            v13: options.v13,
            dtls,
            due: None,
            outgoing: Vec::new(),
            failed: None,
            peer_cert: false,
            over: false,
        };
        // It requires the time before anything else.
        let begun = peer.dtls.handle_timeout(now);
        peer.note(begun);
        Ok(peer)
    }

    fn note(&mut self, outcome: Result<(), dimpl::Error>) {
        if let Err(error) = outcome {
            self.failed.get_or_insert(error.to_string());
        }
    }
}

fn group(name: &str) -> NamedGroup {
    match name {
        "p256" => NamedGroup::Secp256r1,
        "p384" => NamedGroup::Secp384r1,
        _ => NamedGroup::X25519,
    }
}

impl Association for Dimpl {
    fn take(&mut self, datagram: &[u8]) {
        let outcome = self.dtls.handle_packet(datagram);
        self.note(outcome);
    }

    fn drive(&mut self) -> Vec<Fact> {
        let mut facts = Vec::new();
        if self.over {
            return facts;
        }
        let mut buffer = vec![0; 1 << 14];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(datagram) => self.outgoing.push(datagram.to_vec()),
                Output::Timeout(at) => {
                    self.due = Some(at);
                    break;
                }
                Output::Connected => {
                    let certificate = if self.peer_cert { "yes" } else { "no" };
                    let version = if self.v13 { "1.3" } else { "1.2" };
                    facts.push(Fact::Handshake(format!(
                        "version={version} cipher=? group=? resumed=no peer_cert={certificate}"
                    )));
                }
                Output::PeerCert(_) => self.peer_cert = true,
                Output::ApplicationData(data) => facts.push(Fact::Data(data.to_vec())),
                Output::CloseNotify => {
                    self.over = true;
                    facts.push(Fact::Closed);
                    return facts;
                }
                _ => {}
            }
        }
        if let Some(reason) = self.failed.take() {
            self.over = true;
            facts.push(Fact::Failed(reason));
        }
        facts
    }

    fn outgoing(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.outgoing)
    }

    fn timeout(&mut self) -> Option<Duration> {
        let due = self.due?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    fn timed_out(&mut self) {
        let outcome = self.dtls.handle_timeout(Instant::now());
        self.note(outcome);
    }

    fn send(&mut self, data: &[u8]) -> Result<(), String> {
        let sent = self.dtls.send_application_data(data);
        sent.map(|_| ()).map_err(|error| error.to_string())
    }

    fn key_update(&mut self, _: bool) -> Result<(), String> {
        Err("not-supported: a key update by call".into())
    }

    fn close(&mut self) {
        let outcome = self.dtls.close();
        self.note(outcome);
        self.drive();
    }
}
