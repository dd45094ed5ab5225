//! Coming from rustls: the same words, and datagrams.
//!
//! rustls has no DTLS. Who knows it finds much the same here: configurations that are built once
//! and shared in an `Arc`, verifiers and signers as traits, names and certificates of
//! `rustls-pki-types`, roots judged by `rustls-webpki`, and a core that does no I/O. TLS comes from
//! the same engine, so a program that needs both needs one configuration:
//!
//! ```
//! use sealgram::bytes::BytesMut;
//! use sealgram::identity::{CertifiedKey, Credential, Roots};
//! use sealgram::pki_types::PrivateKeyDer;
//! use sealgram::{ClientConfig, DtlsConnection, Path, ServerConfig, TlsConnection};
//! use std::error::Error;
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! # fn main() -> Result<(), Box<dyn Error>> {
//! let made = rcgen::generate_simple_self_signed(["server.test".to_owned()])?;
//! let certificate = made.cert.der().clone();
//! let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//!
//! // ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)
//! let certified = CertifiedKey::new(vec![certificate.clone()], &key)?;
//! let server = ServerConfig::with_credential(Credential::Certificate(certified)).build()?;
//! let server = Arc::new(server);
//! // ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
//! let mut roots = Roots::new();
//! roots.add(&certificate)?;
//! let client = Arc::new(ClientConfig::with_roots(roots)?.build()?);
//!
//! // TLS: ClientConnection::new, ServerConnection::new, read_tls, write_tls, process_new_packets.
//! let now = Instant::now();
//! let mut near = TlsConnection::connect(now, client.clone(), "server.test".try_into()?)?;
//! let mut far = TlsConnection::accept(now, server.clone())?;
//! let (mut to_far, mut to_near) = (BytesMut::new(), BytesMut::new());
//! while near.is_handshaking() || far.is_handshaking() {
//!     let mut sealed = Vec::new();
//!     while near.poll_transmit(now, &mut sealed).is_some() {}
//!     to_far.extend_from_slice(&sealed);
//!     far.handle_bytes(now, &mut to_far)?;
//!     sealed.clear();
//!     while far.poll_transmit(now, &mut sealed).is_some() {}
//!     to_near.extend_from_slice(&sealed);
//!     near.handle_bytes(now, &mut to_near)?;
//! }
//! near.send(now, b"over a stream")?;
//! let mut sealed = Vec::new();
//! near.poll_transmit(now, &mut sealed);
//! to_far.extend_from_slice(&sealed);
//! far.handle_bytes(now, &mut to_far)?;
//! assert_eq!(far.recv().ok_or("nothing came")?.data, b"over a stream"[..]);
//!
//! // DTLS: the same two configurations.
//! let path = Path::UNSPECIFIED;
//! let mut near = DtlsConnection::connect(now, client, "server.test".try_into()?, path)?;
//! let mut far = DtlsConnection::listen(now, server, path)?;
//! # let carry = |from: &mut DtlsConnection, to: &mut DtlsConnection| {
//! #     let mut datagram = Vec::new();
//! #     while from.poll_transmit(now, 1, &mut datagram).is_some() {
//! #         to.handle_datagram(now, path, datagram[..].into())?;
//! #         datagram.clear();
//! #     }
//! #     Ok::<(), sealgram::Error>(())
//! # };
//! # for _ in 0..4 {
//! #     carry(&mut near, &mut far)?;
//! #     carry(&mut far, &mut near)?;
//! # }
//! // … datagrams go to and fro, as in the chapter `sans_io` …
//! near.send(now, b"in a datagram")?;
//! # carry(&mut near, &mut far)?;
//! assert_eq!(far.recv().ok_or("nothing came")?.data, b"in a datagram"[..]);
//! # Ok(())
//! # }
//! ```
//!
#![doc = include_str!("from_rustls.md")]
//!
//! # Where this differs
//!
//! * *Time goes in.* Handshakes over datagrams repeat messages, so every input has `now`, and
//!   [`poll_timeout`] has to be obeyed. Streams have deadlines too
//!   ([`StreamPolicy`](crate::config::StreamPolicy)).
//! * *Renegotiation.* At version 1.2 it is there, bound by RFC 5746, and clients may not begin one
//!   unless the policy says so ([`rekeying`](super::rekeying)).
//! * *extended_master_secret* is preferred by default, and can be required, as there.
//! * *What rustls has and this has not:* 0-RTT, ECH, a C API, FIPS, stapled OCSP, `no_std`.
//!
//! # What goes wrong, and how it shows
//!
//! * *A handshake over datagrams that works on a bench and hangs in the field:* `poll_timeout` is
//!   not obeyed. Nothing is lost on a bench.
//! * *`send` returns fewer bytes than it was given:* over a stream, when the queue is full. Over
//!   datagrams it is all or nothing.
//! * *Part of a record is missing:* [`handle_bytes`] leaves in its buffer what is no whole record
//!   yet. Append to the same buffer.
//!
//! [`Algorithms`]: crate::config::Algorithms
//! [`AnswerHello`]: crate::server::AnswerHello
//! [`AnswerRequest`]: crate::client::AnswerRequest
//! [`ClientSessionStore`]: crate::session::ClientSessionStore
//! [`Clock`]: crate::config::Clock
//! [`DtlsConnection`]: crate::DtlsConnection
//! [`Failure`]: crate::Failure
//! [`KeyLogFile`]: crate::config::KeyLogFile
//! [`PinnedKeys`]: crate::identity::PinnedKeys
//! [`RawKey`]: crate::identity::RawKey
//! [`Roots`]: crate::identity::Roots
//! [`ServerSessionStore`]: crate::session::ServerSessionStore
//! [`SignHandshake`]: crate::identity::SignHandshake
//! [`Tickets`]: crate::session::Tickets
//! [`TlsConnection`]: crate::TlsConnection
//! [`TlsStream`]: crate::net::TlsStream
//! [`VerifyClient`]: crate::identity::VerifyClient
//! [`VerifyServer`]: crate::identity::VerifyServer
//! [`add_credential`]: crate::client::ClientConfigBuilder::add_credential
//! [`close`]: crate::Connection::close
//! [`handle_bytes`]: crate::TlsConnection::handle_bytes
//! [`identity`]: crate::identity
//! [`key_update`]: crate::Connection::key_update
//! [`poll_timeout`]: crate::Connection::poll_timeout
//! [`poll_transmit`]: crate::TlsConnection::poll_transmit
//! [`recv`]: crate::Connection::recv
//! [`traffic_secrets`]: crate::TlsConnection::traffic_secrets
//! [send]: crate::TlsConnection::send
