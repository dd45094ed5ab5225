//! Coming from webrtc-rs (`dtls`, `webrtc-dtls`) or from dimpl.
//!
//! Media after ICE: one association for each pair of ends, on a socket that DTLS shares with STUN
//! and RTP. Both ends pin the fingerprint from the session description, and DTLS is there to agree
//! on the keys of SRTP. [`profiles::webrtc`] has the settings (RFC 8827, RFC 5764):
//!
//! ```
//! use sealgram::config::profiles::webrtc;
//! use sealgram::identity::{CertifiedKey, Credential, Fingerprint, PinnedFingerprint};
//! use sealgram::pki_types::PrivateKeyDer;
//! use sealgram::{ClientConfig, DtlsConnection, Path, ServerConfig, SrtpProfile};
//! use std::error::Error;
//! use std::net::SocketAddr;
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//!
//! /// A certificate for this session alone, and what the other end pins.
//! fn certificate() -> Result<(Credential, Fingerprint), Box<dyn Error>> {
//!     let made = rcgen::generate_simple_self_signed(["webrtc".to_owned()])?;
//!     let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//!     let certified = CertifiedKey::new(vec![made.cert.der().clone()], &key)?;
//!     let fingerprint = Fingerprint::of(made.cert.der());
//!     Ok((Credential::Certificate(certified), fingerprint))
//! }
//!
//! /// The keys of SRTP_AEAD_AES_128_GCM (RFC 5764 §4.2, RFC 7714 §12): 16 bytes each for the
//! /// client and the server, then 12 bytes of salt each.
//! fn srtp_keys(dtls: &DtlsConnection) -> Result<[u8; 56], Box<dyn Error>> {
//!     assert_eq!(dtls.srtp_profile(), Some(SrtpProfile::SRTP_AEAD_AES_128_GCM));
//!     let mut keys = [0; 56];
//!     dtls.export_keying_material(&mut keys, b"EXTRACTOR-dtls_srtp", None)?;
//!     Ok(keys)
//! }
//!
//! # fn carry(now: Instant, from: &mut DtlsConnection, to: &mut DtlsConnection)
//! # -> Result<(), Box<dyn Error>> {
//! #     let mut datagram = Vec::new();
//! #     while from.poll_transmit(now, 1, &mut datagram).is_some() {
//! #         let path = to.path();
//! #         to.handle_datagram(now, path, datagram[..].into())?;
//! #         datagram.clear();
//! #     }
//! #     Ok(())
//! # }
//! # fn main() -> Result<(), Box<dyn Error>> {
//! let (of_active, active_fingerprint) = certificate()?;
//! let (of_passive, passive_fingerprint) = certificate()?;
//! let pinned = PinnedFingerprint::new([passive_fingerprint]);
//! let active = webrtc::client(ClientConfig::with_verifier(Arc::new(pinned)))
//!     .add_credential(of_active)
//!     .build()?;
//! let pinned = PinnedFingerprint::new([active_fingerprint]);
//! let passive = webrtc::server(ServerConfig::with_credential(of_passive), pinned).build()?;
//!
//! // ICE has chosen the pair, so the passive end listens without a cookie.
//! let now = Instant::now();
//! let (near, far): (SocketAddr, SocketAddr) =
//!     (([192, 0, 2, 1], 5000).into(), ([192, 0, 2, 2], 6000).into());
//! let mut passive = DtlsConnection::listen(now, passive.into(), Path::new(near))?;
//! let name = "webrtc".try_into()?; // a pinned fingerprint is not asked for a name
//! let mut active = DtlsConnection::connect(now, active.into(), name, Path::new(far))?;
//! // ICE knows the round trip: 400 ms is patient.
//! active.set_initial_timeout(Duration::from_millis(400))?;
//!
//! // In a media stack: what begins with a byte from 20 to 63 goes to `handle_datagram`. Here both
//! // ends are in memory, with `carry` of the chapter `sans_io`.
//! for _ in 0..4 {
//!     carry(now, &mut active, &mut passive)?;
//!     carry(now, &mut passive, &mut active)?;
//! }
//! assert_eq!(srtp_keys(&active)?, srtp_keys(&passive)?);
//!
//! // Data channels go through the association itself.
//! active.send(now, b"SCTP")?;
//! carry(now, &mut active, &mut passive)?;
//! assert_eq!(passive.recv().ok_or("nothing came")?.data, b"SCTP"[..]);
//! # Ok(())
//! # }
//! ```
//!
#![doc = include_str!("from_webrtc.md")]
//!
//! # Where this differs
//!
//! * *Both versions.* webrtc-rs has 1.2, dimpl has 1.2 and 1.3; with either, the highest that both
//!   ends have is spoken.
//! * *Rekeying.* They ignore a request to renegotiate, which shows as `Unanswered` after 30 s;
//!   [`profiles::webrtc`] sets no limits that would begin one ([`rekeying`](super::rekeying)).
//! * *Resumption* is off in the profile: an association belongs to its session.
//!
//! # What goes wrong, and how it shows
//!
//! * *"its fingerprint is not the pinned one; …":* the description is that of another session, or
//!   the two ends have mixed up whose is whose.
//! * *"the peer sent a ClientHello instead of an answer, so both ends are clients; …":* both are
//!   `active`.
//! * *`srtp_profile` is `None`:* no profile in common; the handshake completes all the same.
//! * *The handshake takes a second more than it should:* the first flight was lost or came before
//!   the other end listened, and the timer is that of strangers: `set_initial_timeout`.
//!
//! [`Algorithms`]: crate::config::Algorithms
//! [`CertifiedKey`]: crate::identity::CertifiedKey
//! [`Cookies`]: crate::endpoint::Cookies
//! [`DtlsConnection`]: crate::DtlsConnection
//! [`Endpoint`]: crate::endpoint::Endpoint
//! [`Event::HandshakeComplete`]: crate::Event::HandshakeComplete
//! [`Event::PeerClosed`]: crate::Event::PeerClosed
//! [`PinnedFingerprint`]: crate::identity::PinnedFingerprint
//! [`Roots`]: crate::identity::Roots
//! [`UdpEndpoint`]: crate::net::UdpEndpoint
//! [`client_authentication`]: crate::server::ServerConfigBuilder::client_authentication
//! [`close`]: crate::Connection::close
//! [`connect`]: crate::DtlsConnection::connect
//! [`export_keying_material`]: crate::Connection::export_keying_material
//! [`handle_datagram`]: crate::DtlsConnection::handle_datagram
//! [`handle_timeout`]: crate::Connection::handle_timeout
//! [`handshake_deadline`]: crate::config::DatagramPolicy::handshake_deadline
//! [`listen`]: crate::DtlsConnection::listen
//! [`max_retransmissions`]: crate::config::DatagramPolicy::max_retransmissions
//! [`mtu`]: crate::config::DatagramPolicy::mtu
//! [`peer_identity`]: crate::Connection::peer_identity
//! [`poll_timeout`]: crate::Connection::poll_timeout
//! [`poll_transmit`]: crate::DtlsConnection::poll_transmit
//! [`profiles::webrtc`]: crate::config::profiles::webrtc
//! [`recv`]: crate::Connection::recv
//! [`retransmission_timeouts`]: crate::config::DatagramPolicy::retransmission_timeouts
//! [`send`]: crate::DtlsConnection::send
//! [`srtp_profile`]: crate::Connection::srtp_profile
//! [`srtp_profiles`]: crate::client::ClientConfigBuilder::srtp_profiles
//! [`versions`]: crate::client::ClientConfigBuilder::versions
