//! Without a socket: datagrams and the time go in; datagrams, events and a deadline come out.
//!
//! Everything here stands on a core that knows no socket, no clock and no thread. It is for event
//! loops that this library does not know, for tests in virtual time, for media stacks in which DTLS
//! shares a socket with STUN and RTP, and for simulations. Two floors of it are public:
//!
//! * [`Endpoint`]: many associations, cookies, limits. A server of strangers needs this one.
//! * [`DtlsConnection`]: one association; [`TlsConnection`] is the same over a stream of bytes.
//!
//! This is a client and a server in one program, with a network between them that loses the first
//! datagram, and a clock that jumps to the next deadline:
//!
//! ```
//! use sealgram::bytes::BytesMut;
//! use sealgram::endpoint::{Endpoint, EndpointPolicy};
//! use sealgram::{Event, Path};
//! # use sealgram::identity::{CertifiedKey, Credential, Fingerprint, PinnedFingerprint};
//! # use sealgram::pki_types::PrivateKeyDer;
//! # use sealgram::{ClientConfig, ServerConfig};
//! use std::collections::VecDeque;
//! use std::error::Error;
//! use std::net::SocketAddr;
//! # use std::sync::Arc;
//! use std::time::{Duration, Instant};
//!
//! /// What is under way: who has sent it, to whom, and the bytes.
//! type Network = VecDeque<(SocketAddr, SocketAddr, BytesMut)>;
//!
//! /// Takes what an endpoint wants to send, one datagram at a time.
//! fn collect(now: Instant, from: SocketAddr, endpoint: &mut Endpoint, network: &mut Network) {
//!     let mut datagram = Vec::new();
//!     while let Some(transmit) = endpoint.poll_transmit(now, 1, &mut datagram) {
//!         network.push_back((from, transmit.path.remote(), datagram[..].into()));
//!         datagram.clear();
//!     }
//! }
//!
//! # fn configurations() -> Result<(Arc<ServerConfig>, Arc<ClientConfig>), Box<dyn Error>> {
//! #     let made = rcgen::generate_simple_self_signed(["server.test".to_owned()])?;
//! #     let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//! #     let certified = CertifiedKey::new(vec![made.cert.der().clone()], &key)?;
//! #     let server = ServerConfig::with_credential(Credential::Certificate(certified)).build()?;
//! #     let pinned = PinnedFingerprint::new([Fingerprint::of(made.cert.der())]);
//! #     let client = ClientConfig::with_verifier(Arc::new(pinned)).build()?;
//! #     Ok((server.into(), client.into()))
//! # }
//! fn main() -> Result<(), Box<dyn Error>> {
//!     // As in the chapter `first_service`.
//!     let (server_config, client_config) = configurations()?;
//!     let (here, there): (SocketAddr, SocketAddr) =
//!         (([192, 0, 2, 1], 5000).into(), ([192, 0, 2, 2], 4433).into());
//!     let start = Instant::now();
//!     let mut now = start;
//!     let mut server = Endpoint::new(now, EndpointPolicy::default(), Some(server_config))?;
//!     let mut client = Endpoint::new(now, EndpointPolicy::default(), None)?;
//!     client.connect(now, client_config, "server.test".try_into()?, Path::new(there))?;
//!
//!     let (mut network, mut is_first, mut heard) = (Network::new(), true, Vec::new());
//!     while heard.is_empty() {
//!         collect(now, here, &mut client, &mut network);
//!         collect(now, there, &mut server, &mut network);
//!         if std::mem::take(&mut is_first) {
//!             network.clear(); // the client's hello is lost
//!         }
//!         if let Some((from, to, datagram)) = network.pop_front() {
//!             let end = if to == there { &mut server } else { &mut client };
//!             end.handle_datagram(now, Path::new(from), datagram);
//!         } else {
//!             // Nothing is under way: the next thing to happen is a timer.
//!             let next = [client.poll_timeout(), server.poll_timeout()];
//!             now = next.into_iter().flatten().min().ok_or("nobody waits")?;
//!             client.handle_timeout(now);
//!             server.handle_timeout(now);
//!         }
//!         while let Some((id, event)) = client.poll_event() {
//!             match (event, client.association(now, id)) {
//!                 (Event::HandshakeComplete { .. }, Some(mut peer)) => peer.send(b"hello")?,
//!                 (Event::Failed(failure), _) => return Err(failure),
//!                 _ => {}
//!             }
//!         }
//!         while let Some((id, _)) = server.poll_event() {
//!             if let Some(received) = server.association(now, id).and_then(|mut it| it.recv()) {
//!                 heard = received.data.to_vec();
//!             }
//!         }
//!     }
//!     assert_eq!(heard, b"hello");
//!     // The hello was sent again after a second, and up to a quarter more.
//!     let took = now - start;
//!     assert!(took >= Duration::from_secs(1) && took <= Duration::from_millis(1250));
//!     Ok(())
//! }
//! ```
//!
//! The rule of the loop: an input or a command; then `poll_transmit` until there is nothing; then
//! `poll_event`; then `poll_timeout`. Inputs never fail at an [`Endpoint`]. At a [`DtlsConnection`]
//! an error of an input is the end of that association, and is what an endpoint calls
//! [`Event::Failed`].
//!
//! # One association
//!
//! Without an endpoint there are no addresses to tell apart and no cookies: two ends and what goes
//! between them. Other chapters use this `carry`.
//!
//! ```
//! use sealgram::{DtlsConnection, Path};
//! # use sealgram::identity::{CertifiedKey, Credential, Fingerprint, PinnedFingerprint};
//! # use sealgram::pki_types::PrivateKeyDer;
//! # use sealgram::{ClientConfig, ServerConfig};
//! use std::error::Error;
//! # use std::sync::Arc;
//! use std::time::Instant;
//!
//! /// Brings to one end what the other has to send.
//! fn carry(
//!     now: Instant,
//!     from: &mut DtlsConnection,
//!     to: &mut DtlsConnection,
//! ) -> Result<(), Box<dyn Error>> {
//!     let mut datagram = Vec::new();
//!     while from.poll_transmit(now, 1, &mut datagram).is_some() {
//!         to.handle_datagram(now, Path::UNSPECIFIED, datagram[..].into())?;
//!         datagram.clear();
//!     }
//!     Ok(())
//! }
//!
//! # fn main() -> Result<(), Box<dyn Error>> {
//! # let made = rcgen::generate_simple_self_signed(["server.test".to_owned()])?;
//! # let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//! # let certified = CertifiedKey::new(vec![made.cert.der().clone()], &key)?;
//! # let server = ServerConfig::with_credential(Credential::Certificate(certified)).build()?;
//! # let pinned = PinnedFingerprint::new([Fingerprint::of(made.cert.der())]);
//! # let client = ClientConfig::with_verifier(Arc::new(pinned)).build()?;
//! // `server` and `client` are configurations.
//! let (now, path) = (Instant::now(), Path::UNSPECIFIED);
//! let mut server = DtlsConnection::listen(now, server.into(), path)?;
//! let mut client = DtlsConnection::connect(now, client.into(), "server.test".try_into()?, path)?;
//! while client.is_handshaking() || server.is_handshaking() {
//!     carry(now, &mut client, &mut server)?;
//!     carry(now, &mut server, &mut client)?;
//! }
//! client.send(now, b"hello")?;
//! carry(now, &mut client, &mut server)?;
//! assert_eq!(server.recv().ok_or("nothing came")?.data, b"hello"[..]);
//! # Ok(())
//! # }
//! ```
//!
//! # What matters next
//!
//! * `now` never goes back. It need not be the present: only differences count. Dates, for
//!   certificates and sessions, come from the configuration's [`Clock`]; random numbers from
//!   [`SecureRandom`], though the provider of cryptography draws those of key exchanges and
//!   signatures itself.
//! * One association whose address is known to be the peer's own, as after ICE, needs no cookie:
//!   [`DtlsConnection::listen`]. Everybody else would make a server send floods to whom they like.
//! * [`Cookies`] alone are for a server that has a table of associations of its own.
//! * [`handle_datagrams`] and `poll_transmit` with more than one
//!   datagram fit `recvmsg` with GRO and `sendmsg` with GSO: segments of equal size, for one peer.
//! * A datagram that the system refuses as too large (`EMSGSIZE`):
//!   [`handle_too_large`].
//! * A buffer of its own for each datagram that comes is the simplest. Slices of a large one are
//!   kept alive by data that nobody has fetched: [`detach_unread`].
//! * An answer of the application that comes later, from an HSM for example, wakes the loop by
//!   [`set_waker`]; then [`handle_answers`].
//! * With the default features off there is no mio:
//!   `default-features = false, features = ["ring"]`.
//!
//! # What goes wrong, and how it shows
//!
//! * *The handshake never completes, although nothing is lost:* `poll_timeout` or `poll_transmit`
//!   is not asked after every input, or `handle_timeout` is not called when it is due.
//! * *A loop that never sleeps:* `poll_timeout` has passed, and `handle_timeout` was not called.
//!   After the call it is later than `now`.
//! * *Nothing comes after the first `Readable`:* that event is given once, until the queue was
//!   emptied.
//! * *Datagrams that belong to nobody* are counted in [`EndpointStats::strays`], and what is wrong
//!   with those of one association in its [`Stats`] ([`operating`](super::operating)).
//!
//! [`Clock`]: crate::config::Clock
//! [`Cookies`]: crate::endpoint::Cookies
//! [`DtlsConnection`]: crate::DtlsConnection
//! [`DtlsConnection::listen`]: crate::DtlsConnection::listen
//! [`Endpoint`]: crate::endpoint::Endpoint
//! [`EndpointStats::strays`]: crate::endpoint::EndpointStats::strays
//! [`Event::Failed`]: crate::Event::Failed
//! [`SecureRandom`]: crate::config::SecureRandom
//! [`Stats`]: crate::record::Stats
//! [`TlsConnection`]: crate::TlsConnection
//! [`detach_unread`]: crate::endpoint::Endpoint::detach_unread
//! [`handle_answers`]: crate::endpoint::Endpoint::handle_answers
//! [`handle_datagrams`]: crate::endpoint::Endpoint::handle_datagrams
//! [`handle_too_large`]: crate::endpoint::Endpoint::handle_too_large
//! [`set_waker`]: crate::endpoint::Endpoint::set_waker
