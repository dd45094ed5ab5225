//! Resumption: the second handshake costs less than the first.
//!
//! A handshake leaves a *session* at both ends. The next one with the same server offers it, and if
//! the server still can, nobody signs and nothing is verified: at version 1.3 keys are exchanged
//! anew and a round trip stays the same, at 1.2 one round trip and the exchange are saved. Nothing
//! has to be switched on. Whoever connects twice under the same [`ClientConfig`] resumes:
//!
//! ```
//! use sealgram::session::Session;
//! use sealgram::{ClientConfig, DtlsConnection, HandshakeKind, Path, ServerConfig};
//! # use sealgram::identity::{CertifiedKey, Credential, Fingerprint, PinnedFingerprint};
//! # use sealgram::pki_types::PrivateKeyDer;
//! use std::error::Error;
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! # fn carry(now: Instant, from: &mut DtlsConnection, to: &mut DtlsConnection)
//! # -> Result<(), Box<dyn Error>> {
//! #     let mut datagram = Vec::new();
//! #     while from.poll_transmit(now, 1, &mut datagram).is_some() {
//! #         to.handle_datagram(now, Path::UNSPECIFIED, datagram[..].into())?;
//! #         datagram.clear();
//! #     }
//! #     Ok(())
//! # }
//! /// A handshake in memory, with `carry` of the chapter `sans_io`; returns the client's end.
//! fn connect(
//!     client: &Arc<ClientConfig>,
//!     server: &Arc<ServerConfig>,
//! ) -> Result<DtlsConnection, Box<dyn Error>> {
//!     let (now, path) = (Instant::now(), Path::UNSPECIFIED);
//!     let name = "server.test".try_into()?;
//!     let mut server = DtlsConnection::listen(now, server.clone(), path)?;
//!     let mut client = DtlsConnection::connect(now, client.clone(), name, path)?;
//!     for _ in 0..4 {
//!         carry(now, &mut client, &mut server)?;
//!         carry(now, &mut server, &mut client)?;
//!     }
//!     Ok(client)
//! }
//!
//! # fn main() -> Result<(), Box<dyn Error>> {
//! # let made = rcgen::generate_simple_self_signed(["server.test".to_owned()])?;
//! # let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//! # let certified = CertifiedKey::new(vec![made.cert.der().clone()], &key)?;
//! # let server = ServerConfig::with_credential(Credential::Certificate(certified)).build()?;
//! # let pin = || Arc::new(PinnedFingerprint::new([Fingerprint::of(made.cert.der())]));
//! # let server = Arc::new(server);
//! // `server` is a configuration, and `pin` makes a verifier that knows its certificate.
//! let client = Arc::new(ClientConfig::with_verifier(pin()).build()?);
//! assert_eq!(connect(&client, &server)?.handshake_kind(), Some(HandshakeKind::Full));
//!
//! let again = connect(&client, &server)?;
//! assert_eq!(again.handshake_kind(), Some(HandshakeKind::Resumed));
//!
//! // A client that will be started again keeps its session outside, like a private key.
//! let kept = again.session().ok_or("the server resumes nothing")?.to_bytes();
//!
//! let restarted = Arc::new(ClientConfig::with_verifier(pin()).build()?);
//! let session = Session::from_bytes(&kept).map_err(|error| error.to_string())?;
//! restarted.import_session(&"server.test".try_into()?, session)?;
//! assert_eq!(connect(&restarted, &server)?.handshake_kind(), Some(HandshakeKind::Resumed));
//! # Ok(())
//! # }
//! ```
//!
//! What a session is bound to is compared by both ends: protocol, version, cipher suite,
//! extended_master_secret, server name, application protocol, the identities, and whether a client
//! certificate is required. One that does not fit is a full handshake, never an error.
//!
//! # What matters next
//!
//! The settings, and what they are by default:
//!
//! * [`session_store`][client store] of a client; `None` makes every handshake a full one: in
//!   memory, 256 servers.
//! * [`tickets`][client tickets] of a client: yes; without them it resumes by session ID, at 1.2.
//! * [`session_lifetime`]: two hours, a day at most.
//! * [`tickets`][server tickets] of a server: under keys of this configuration; `None` for none.
//! * [`tickets_per_handshake`] at 1.3: 2; a client uses each once, and keeps 4.
//! * [`session_store`][server store] of a server, for session IDs of 1.2: in memory, 10,000
//!   sessions.
//! * [`resumption_cookies`]: a client that resumes shows a cookie like everybody.
//!
//! And what they are about:
//!
//! * *A server that is started again, or one of many:* tickets stay good with a [`fleet`]. Within a
//!   process two configurations can share [`Tickets`], for example the one before and the one after
//!   a renewed certificate.
//! * *A client's configuration is its memory.* Sessions made under one are never offered under
//!   another, because another verifier may have wanted otherwise. So keep the `Arc`.
//! * *Trust.* A server's certificate is not judged again when its session is resumed, a client's
//!   is, unless the verifier says otherwise ([`verifies_resumed`]). A day is the longest that a
//!   certificate can be outlived in this way.
//! * *A renegotiation that resumes* is another matter: [`rekeying`](super::rekeying).
//!
//! # What goes wrong, and how it shows
//!
//! * *Every handshake is a full one:* the client makes a new configuration for each connection; the
//!   server was started again without a [`fleet`]; the lifetime is over; or the peer has no
//!   extended_master_secret, without which nothing is resumed at 1.2
//!   ([`ExtendedMasterSecret`](crate::config::ExtendedMasterSecret)).
//! * *The first connections of several at once are full:* there is no session before the first
//!   handshake is done, and at 1.3 no ticket before [`Event::TicketReceived`].
//! * *"… the server had begun to resume a session, for which it may hold another secret; this end
//!   has forgotten the session, so connect again":* the two ends do not mean the same session.
//!   Connecting again makes a full handshake.
//! * *`session` is `None`:* the server issues none, or the ticket has not come yet.
//!
//! [`ClientConfig`]: crate::ClientConfig
//! [`Event::TicketReceived`]: crate::Event::TicketReceived
//! [`Tickets`]: crate::session::Tickets
//! [`fleet`]: super::fleets
//! [`resumption_cookies`]: crate::endpoint::EndpointPolicy::resumption_cookies
//! [`session_lifetime`]: crate::server::ServerConfigBuilder::session_lifetime
//! [`tickets_per_handshake`]: crate::server::ServerConfigBuilder::tickets_per_handshake
//! [`verifies_resumed`]: crate::identity::VerifyServer::verifies_resumed
//! [client store]: crate::client::ClientConfigBuilder::session_store
//! [client tickets]: crate::client::ClientConfigBuilder::tickets
//! [server store]: crate::server::ServerConfigBuilder::session_store
//! [server tickets]: crate::server::ServerConfigBuilder::tickets
