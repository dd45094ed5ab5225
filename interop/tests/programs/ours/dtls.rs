//! Many DTLS associations on one socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::net::UdpEndpoint;
use sealgram::net::mio::Poll;
use sealgram::{Event, KeyUpdate};
use sealgram_interop::failure::Outcome;

use super::settings::{Settings, Version, failure};
use super::{Command, Connections, Handshake, News, Peer, SOCKET};

pub(super) struct Associations {
    udp: UdpEndpoint,
    peers: Vec<AssociationId>,
    version: Version,
}

pub(super) fn server(settings: &Settings<'_>, poll: &Poll) -> Outcome<(Associations, SocketAddr)> {
    let local = (Ipv4Addr::LOCALHOST, 0).into();
    let config = Some(settings.server()?);
    let mut udp = UdpEndpoint::bind(local, EndpointPolicy::default(), config)?;
    udp.register(poll.registry(), SOCKET)?;
    let address = udp.local_addr()?;
    Ok((Associations::new(udp, settings), address))
}

pub(super) fn client(
    settings: &Settings<'_>,
    server: SocketAddr,
    poll: &Poll,
) -> Outcome<(Associations, SocketAddr)> {
    let mut udp = UdpEndpoint::connected_to(server, EndpointPolicy::default())?;
    udp.register(poll.registry(), SOCKET)?;
    udp.connect(settings.client()?, Settings::name()?, server)
        .map_err(failure)?;
    Ok((Associations::new(udp, settings), server))
}

impl Associations {
    fn new(udp: UdpEndpoint, settings: &Settings<'_>) -> Self {
        Self {
            udp,
            peers: Vec::new(),
            version: settings.version,
        }
    }

    fn number(&self, id: AssociationId) -> Peer {
        let known = self.peers.iter().position(|&peer| peer == id);
        known.unwrap_or(self.peers.len())
    }

    fn happened(&mut self, id: AssociationId, event: Event, tell: &mut dyn FnMut(News)) {
        let peer = self.number(id);
        match event {
            Event::HandshakeComplete { renegotiation, .. } => {
                if peer == self.peers.len() {
                    self.peers.push(id);
                }
                if let Some(handshake) = self.agreed(id, peer, renegotiation) {
                    tell(News::Handshake(handshake));
                }
            }
            Event::Readable => {
                if let Some(mut association) = self.udp.association(id) {
                    while let Some(received) = association.recv() {
                        tell(News::Data(peer, received.data.to_vec()));
                    }
                }
            }
            Event::PeerClosed => {
                if let Some(mut association) = self.udp.association(id) {
                    association.close();
                }
                tell(News::Ended(format!("peer {peer} has closed")));
            }
            Event::Failed(failure) => tell(News::Ended(format!("peer {peer}: {failure}"))),
            other => tell(News::Remark(format!("peer {peer}: {other:?}"))),
        }
    }

    fn agreed(&mut self, id: AssociationId, peer: Peer, renegotiation: bool) -> Option<Handshake> {
        let association = self.udp.association(id)?;
        let mut keys = vec![0; 60];
        let srtp = association.srtp_profile().and_then(|profile| {
            let label = b"EXTRACTOR-dtls_srtp";
            let exported = association.export_keying_material(&mut keys, label, None);
            exported.ok().map(|()| (profile, keys))
        });
        Some(Handshake {
            peer,
            version: association.version()?,
            suite: association.cipher_suite()?,
            kind: association.handshake_kind()?,
            renegotiation,
            identified: association.peer_identity().is_some(),
            srtp,
        })
    }
}

impl Connections for Associations {
    fn turn(&mut self, tell: &mut dyn FnMut(News)) -> io::Result<()> {
        self.udp.turn()?;
        while let Some((id, event)) = self.udp.poll_event() {
            self.happened(id, event, tell);
        }
        while let Some(report) = self.udp.poll_unreachable() {
            tell(News::Remark(format!("unreachable: {}", report.error)));
        }
        self.udp.flush()
    }

    fn obey(&mut self, command: Command) {
        let (Command::Send(peer, _) | Command::Renegotiate(peer) | Command::Close(peer)) = command
        else {
            return;
        };
        let Some(mut association) = self
            .peers
            .get(peer)
            .and_then(|&id| self.udp.association(id))
        else {
            return;
        };
        // What cannot be done has no effect, and the effect is what the test waits for.
        match command {
            Command::Send(_, bytes) => _ = association.send(&bytes),
            Command::Renegotiate(_) if self.version == Version::V1_3 => {
                _ = association.key_update(KeyUpdate::Requested);
            }
            Command::Renegotiate(_) => _ = association.renegotiate(),
            Command::Close(_) | Command::Stop => association.close(),
        }
    }

    fn timeout(&self) -> Option<Duration> {
        self.udp.poll_timeout()
    }

    fn close_all(&mut self) {
        self.udp.close_all();
    }
}
