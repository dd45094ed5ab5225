//! A handshake on the wire: flights, cookie and timers.
//!
#![doc = include_str!("../../docs/handshake.svg")]
//!
//! A *flight* is what one end says before it waits for the other. Over UDP any part of it may be
//! lost, so whoever waits for an answer sends its flight again when none comes. The same with a
//! network in memory, one arrow for each datagram:
//!
//! ```
//! use sealgram::Path;
//! use sealgram::config::Versions;
//! use sealgram::endpoint::{Endpoint, EndpointPolicy};
//! # use sealgram::identity::{CertifiedKey, Credential, Fingerprint, PinnedFingerprint};
//! # use sealgram::pki_types::PrivateKeyDer;
//! # use sealgram::{ClientConfig, ServerConfig};
//! use std::error::Error;
//! # use std::sync::Arc;
//! use std::time::Instant;
//!
//! /// A handshake without loss: `>` is a datagram of the client, `<` one of the server.
//! fn datagrams(versions: Versions) -> Result<String, Box<dyn Error>> {
//! #   let made = rcgen::generate_simple_self_signed(["server.test".to_owned()])?;
//! #   let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//! #   let certified = CertifiedKey::new(vec![made.cert.der().clone()], &key)?;
//! #   let credential = Credential::Certificate(certified);
//! #   let server_config = ServerConfig::with_credential(credential).build()?;
//! #   let pinned = PinnedFingerprint::new([Fingerprint::of(made.cert.der())]);
//! #   let client_config = ClientConfig::with_verifier(Arc::new(pinned));
//! #   let client_config = client_config.versions(versions).build()?;
//! #   let here = Path::new(([192, 0, 2, 1], 5000).into());
//! #   let there = Path::new(([192, 0, 2, 2], 4433).into());
//!     // The configurations and paths are those of the chapter `sans_io`.
//!     let now = Instant::now();
//!     let mut server = Endpoint::new(now, EndpointPolicy::default(), Some(server_config.into()))?;
//!     let mut client = Endpoint::new(now, EndpointPolicy::default(), None)?;
//!     client.connect(now, client_config.into(), "server.test".try_into()?, there)?;
//!     let (mut seen, mut before) = (String::new(), None);
//!     while before != Some(seen.len()) {
//!         before = Some(seen.len());
//!         let mut datagram = Vec::new();
//!         while client.poll_transmit(now, 1, &mut datagram).is_some() {
//!             seen.push('>');
//!             server.handle_datagram(now, here, datagram[..].into());
//!             datagram.clear();
//!         }
//!         while server.poll_transmit(now, 1, &mut datagram).is_some() {
//!             seen.push('<');
//!             client.handle_datagram(now, there, datagram[..].into());
//!             datagram.clear();
//!         }
//!     }
//!     Ok(seen)
//! }
//!
//! # fn main() -> Result<(), Box<dyn Error>> {
//! assert_eq!(datagrams(Versions::V1_3)?, "><><><>");
//! assert_eq!(datagrams(Versions::V1_2)?, "><><><");
//! # Ok(())
//! # }
//! ```
//!
//! * *The cookie.* After its answer to the first hello the server keeps nothing (but parts of
//!   hellos in pieces, in a small pool and for two seconds): what it must know later is in the
//!   cookie, which only somebody gets who receives at that address.
//! * *Epochs.* Records say under which keys they are. At 1.3 epoch 0 is in the clear, 2 protects
//!   the handshake, 3 and the following the data; at 1.2 epoch 1 is the first with keys, and each
//!   renegotiation makes the next.
//! * *What is sent again.* At 1.2 the whole flight; whoever has sent the last one keeps it, in case
//!   the other end repeats its own. At 1.3 records are acknowledged (ACK, RFC 9147 §7), and what
//!   was acknowledged is not sent again.
//! * *When data can flow.* [`Event::HandshakeComplete`] says so: at 1.3 a client has it before its
//!   last flight has arrived, and data can overtake that flight; it is kept for a moment.
//!
//! # The settings that matter
//!
//! * [`retransmission_timeouts`]: 1 s, doubled each time up to 60 s.
//! * [`timer_jitter`]: up to 25 % longer, drawn each time.
//! * [`handshake_deadline`]: 120 s.
//! * [`max_retransmissions`]: as many as fit.
//! * [`mtu`]: datagrams of 1,400 bytes; a flight is cut to it, to less after two tries without an
//!   answer.
//! * [`hybrid_share`]: a first hello with X25519MLKEM768 takes two datagrams, so it is not sent
//!   unless this says so.
//! * [`set_initial_timeout`]: for one association whose round trip is known.
//!
//! # What goes wrong, and how it shows
//!
//! * *"no answer within 120 s and … retransmissions":* nobody is there; or an answer that is larger
//!   than the path carries never comes. Smaller datagrams are tried by themselves.
//! * *`flights_retransmitted` grows although nothing is lost:* the round trip is longer than the
//!   first timeout. It does no harm but to the traffic.
//! * *A handshake takes a second, or three:* one datagram of it was lost, or two.
//! * *"the handshake was complete, but within … the peer did not acknowledge this end's part of
//!   it":* a client of 1.3 whose last flight never arrived.
//!
//! The messages of a renegotiation and of a key update are drawn in [`rekeying`](super::rekeying).
//!
//! [`Event::HandshakeComplete`]: crate::Event::HandshakeComplete
//! [`handshake_deadline`]: crate::config::DatagramPolicy::handshake_deadline
//! [`hybrid_share`]: crate::config::DatagramPolicy::hybrid_share
//! [`max_retransmissions`]: crate::config::DatagramPolicy::max_retransmissions
//! [`mtu`]: crate::config::DatagramPolicy::mtu
//! [`retransmission_timeouts`]: crate::config::DatagramPolicy::retransmission_timeouts
//! [`set_initial_timeout`]: crate::DtlsConnection::set_initial_timeout
//! [`timer_jitter`]: crate::config::DatagramPolicy::timer_jitter
