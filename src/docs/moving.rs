//! Peers whose address changes: connection IDs, and who is followed where.
//!
//! A NAT forgets a device that sleeps, a phone goes from one network to another, a balancer hashes
//! anew: the same peer then sends from another address. Found by its address, an association is
//! lost with it, and each such change costs a handshake. A *connection ID* in the header of each
//! protected record names the association instead (RFC 9146 at version 1.2, RFC 9147 §9 at 1.3).
//!
//! # Who wants one
//!
//! Each end says how long the one is that the *other* puts into its records
//! ([`DatagramPolicy::connection_ids`]). A server of clients that move wants one, and eight bytes
//! are enough for it. A client of a server that stays where it is wants none, but has to take part:
//!
//! ```
//! use sealgram::config::{DatagramPolicy, Migration};
//! use sealgram::endpoint::EndpointPolicy;
//! use sealgram::net::UdpEndpoint;
//! use sealgram::{ClientConfig, Event, ServerConfig};
//! # use sealgram::identity::{CertifiedKey, Credential, Fingerprint, PinnedFingerprint};
//! # use sealgram::pki_types::PrivateKeyDer;
//! # use std::error::Error;
//! # use std::net::SocketAddr;
//! # use std::sync::Arc;
//! # use std::time::{Duration, Instant};
//!
//! # fn main() -> Result<(), Box<dyn Error>> {
//! # let made = rcgen::generate_simple_self_signed(["server.test".to_owned()])?;
//! # let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//! # let certified = CertifiedKey::new(vec![made.cert.der().clone()], &key)?;
//! # let credential = Credential::Certificate(certified);
//! # let pinned = Arc::new(PinnedFingerprint::new([Fingerprint::of(made.cert.der())]));
//! // `credential` is the server's, and `pinned` a verifier that knows it.
//! let of_server = DatagramPolicy::default()
//!     .connection_ids(Some(8))?
//!     .migration(Migration::Validated);
//! let of_client = DatagramPolicy::default().connection_ids(Some(0))?;
//!
//! let config = ServerConfig::with_credential(credential).datagram(of_server).build()?;
//! let local: SocketAddr = "127.0.0.1:0".parse()?;
//! let mut server = UdpEndpoint::bind(local, EndpointPolicy::default(), Some(config.into()))?;
//! let remote = server.local_addr()?;
//!
//! let config = ClientConfig::with_verifier(pinned).datagram(of_client).build()?;
//! let mut client = UdpEndpoint::bind(local, EndpointPolicy::default(), None)?;
//! let id = client.connect(config.into(), "server.test".try_into()?, remote)?;
//!
//! let (mut moved_to, mut heard) = (None, Vec::new());
//! # let end = Instant::now() + Duration::from_secs(20);
//! while moved_to.is_none() || heard.is_empty() {
//! #   assert!(Instant::now() < end, "nothing has moved");
//! #   std::thread::sleep(Duration::from_millis(1));
//!     client.turn()?;
//!     while let Some((_, event)) = client.poll_event() {
//!         if let Event::HandshakeComplete { .. } = event {
//!             // Another network, which here is another port.
//!             client.rebind(local)?;
//!             client.association(id).ok_or("gone")?.send(b"still me")?;
//!         }
//!     }
//!     client.flush()?;
//!     server.turn()?;
//!     while let Some((id, event)) = server.poll_event() {
//!         match (event, server.association(id)) {
//!             (Event::PathChanged(change), _) => moved_to = Some(change.to.remote()),
//!             (Event::Readable, Some(mut peer)) => {
//!                 heard.extend(peer.recv().map(|received| received.data));
//!             }
//!             _ => {}
//!         }
//!     }
//!     server.flush()?;
//! }
//! assert_eq!(moved_to, Some(client.local_addr()?));
//! assert_eq!(heard, ["still me"]);
//! # Ok(())
//! # }
//! ```
//!
//! An [`Endpoint`] makes them so that it finds the association without a table, and so that nobody
//! else sees which of them belong together. A [`DtlsConnection`] without an endpoint draws them at
//! random; whoever has several finds out by another way whose a datagram is. Every handshake agrees
//! anew, renegotiations included.
//!
//! # Who is followed
//!
//! Data is received wherever it comes from; each piece tells the address and the connection ID that
//! it came with ([`Received::path`], [`Received::connection_id`]). What is *sent* goes to another
//! address only if a record that is newer than any before has come from there, and as
//! [`Migration`] says: by default once the peer has answered a challenge at that address
//! (RFC 9853). Until then everything but the challenge goes to the old one, and no more than three
//! times what came from the new one goes there, so nobody is flooded in whose name somebody sends.
//! [`Event::PathChanged`] and [`Event::PathNotValidated`] tell what came of it. Handshakes,
//! renegotiations and key updates go on meanwhile.
//!
//! Who has observed a datagram of the peer can send a copy of it from an address of its own, and
//! may be faster than the original. With [`Migration::Validated`] it then receives the challenge,
//! and can pass that on to the peer: the association goes through it until the peer's next record
//! comes by the straight way. With [`Migration::Enhanced`] the peer is asked at its old address
//! first, where it answers, and nothing moves.
//!
//! # What an eavesdropper sees
//!
//! At version 1.2 a connection ID is in the clear and lasts for an epoch, so records of one peer
//! are seen to belong together wherever they come from (RFC 9146 §8); a renegotiation changes it,
//! unless the policy is to keep it ([`RenegotiatedConnectionId`]). At 1.3 either end can change
//! it: [`DtlsConnection::renew_connection_id`] gives the peer a fresh one, and
//! [`DtlsConnection::request_connection_ids`] asks for some that are used where the peer is next.
//!
//! # Two associations with one peer
//!
//! A client whose own records are found by connection ID can have several associations with one
//! server from one socket, one after the other: the next one can begin when the handshake of the
//! one before is done.
//!
//! # What stays behind
//!
//! A client that begins again without a word, at the same address, leaves an association that is
//! found by its connection ID alone. It ends by the idle timeout
//! ([`EndpointPolicy::idle_timeout`]): it could as well belong to somebody whose address a NAT has
//! given away, and who is going to come back.
//!
//! [`DatagramPolicy::connection_ids`]: crate::config::DatagramPolicy::connection_ids
//! [`DtlsConnection`]: crate::DtlsConnection
//! [`DtlsConnection::renew_connection_id`]: crate::DtlsConnection::renew_connection_id
//! [`DtlsConnection::request_connection_ids`]: crate::DtlsConnection::request_connection_ids
//! [`Endpoint`]: crate::endpoint::Endpoint
//! [`EndpointPolicy::idle_timeout`]: crate::endpoint::EndpointPolicy::idle_timeout
//! [`Event::PathChanged`]: crate::Event::PathChanged
//! [`Event::PathNotValidated`]: crate::Event::PathNotValidated
//! [`Migration`]: crate::config::Migration
//! [`Migration::Enhanced`]: crate::config::Migration::Enhanced
//! [`Migration::Validated`]: crate::config::Migration::Validated
//! [`Received::connection_id`]: crate::record::Received::connection_id
//! [`Received::path`]: crate::record::Received::path
//! [`RenegotiatedConnectionId`]: crate::config::RenegotiatedConnectionId
