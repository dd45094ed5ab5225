//! Coming from OpenSSL or LibreSSL: call by call.
//!
//! What a program with `SSL_read`, `SSL_write` and a socket for each peer looks like here: a client
//! on a blocking socket of the standard library, in which the wait that `DTLSv1_get_timeout` used
//! to say is the socket's own timeout.
//!
//! ```
//! use sealgram::{ClientConfig, DtlsConnection, Path};
//! # use sealgram::endpoint::EndpointPolicy;
//! # use sealgram::identity::{CertifiedKey, Credential, Fingerprint, PinnedFingerprint};
//! # use sealgram::net::UdpEndpoint;
//! # use sealgram::pki_types::PrivateKeyDer;
//! # use sealgram::{Event, ServerConfig};
//! use std::error::Error;
//! use std::io::ErrorKind;
//! use std::net::{SocketAddr, UdpSocket};
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//!
//! struct Client {
//!     ssl: DtlsConnection,
//!     socket: UdpSocket,
//! }
//!
//! impl Client {
//!     /// SSL_new, SSL_set1_host, SSL_set_connect_state, and what BIO_s_datagram does.
//!     fn new(
//!         config: Arc<ClientConfig>,
//!         name: &str,
//!         server: SocketAddr,
//!     ) -> Result<Self, Box<dyn Error>> {
//!         let socket = UdpSocket::bind("0.0.0.0:0")?;
//!         socket.connect(server)?;
//!         let name = name.to_owned().try_into()?;
//!         let ssl = DtlsConnection::connect(Instant::now(), config, name, Path::new(server))?;
//!         Ok(Self { ssl, socket })
//!     }
//!
//!     /// Sends what waits.
//!     fn flush(&mut self) -> Result<(), Box<dyn Error>> {
//!         let mut out = Vec::new();
//!         while self.ssl.poll_transmit(Instant::now(), 1, &mut out).is_some() {
//!             self.socket.send(&out)?;
//!             out.clear();
//!         }
//!         Ok(())
//!     }
//!
//!     /// Sends what waits, then waits for a datagram or the next timer.
//!     fn step(&mut self) -> Result<(), Box<dyn Error>> {
//!         self.flush()?;
//!         // DTLSv1_get_timeout. A timeout of zero would mean none at all to the socket.
//!         let wait = self.ssl.poll_timeout().map(|at| {
//!             at.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
//!         });
//!         self.socket.set_read_timeout(wait)?;
//!         let mut datagram = vec![0; 1 << 16];
//!         match self.socket.recv(&mut datagram).map_err(|error| (error.kind(), error)) {
//!             Ok(length) => {
//!                 let path = self.ssl.path();
//!                 self.ssl.handle_datagram(Instant::now(), path, datagram[..length].into())?;
//!             }
//!             // DTLSv1_handle_timeout.
//!             Err((ErrorKind::WouldBlock | ErrorKind::TimedOut, _)) => {
//!                 self.ssl.handle_timeout(Instant::now())?;
//!             }
//!             // A port without a service, if that is no forgery: the timers decide.
//!             Err((ErrorKind::ConnectionRefused, _)) => {}
//!             Err((_, error)) => return Err(error.into()),
//!         }
//!         Ok(())
//!     }
//! }
//! #
//! # fn main() -> Result<(), Box<dyn Error>> {
//! # let made = rcgen::generate_simple_self_signed(["server.test".to_owned()])?;
//! # let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//! # let certified = CertifiedKey::new(vec![made.cert.der().clone()], &key)?;
//! # let config = ServerConfig::with_credential(Credential::Certificate(certified)).build()?;
//! # let (local, policy) = ("127.0.0.1:0".parse()?, EndpointPolicy::default());
//! # let mut server = UdpEndpoint::bind(local, policy, Some(config.into()))?;
//! # let remote = server.local_addr()?;
//! # let service = std::thread::spawn(move || -> std::io::Result<()> {
//! #     let end = Instant::now() + Duration::from_secs(20);
//! #     let mut is_done = false;
//! #     while Instant::now() < end && !is_done {
//! #         server.turn()?;
//! #         while let Some((id, event)) = server.poll_event() {
//! #             match (event, server.association(id)) {
//! #                 (Event::Readable, Some(mut peer)) => while let Some(it) = peer.recv() {
//! #                     let _ = peer.send(&it.data);
//! #                 },
//! #                 (Event::PeerClosed, Some(mut peer)) => peer.close(),
//! #                 (Event::Closed, _) => is_done = true,
//! #                 _ => {}
//! #             }
//! #         }
//! #         server.flush()?;
//! #         std::thread::sleep(Duration::from_millis(1));
//! #     }
//! #     if is_done { Ok(()) } else { Err(ErrorKind::TimedOut.into()) }
//! # });
//! # let pinned = PinnedFingerprint::new([Fingerprint::of(made.cert.der())]);
//! # let config = Arc::new(ClientConfig::with_verifier(Arc::new(pinned)).build()?);
//! // `config` is that of the chapter `first_service`, at `remote` is its server.
//! let mut client = Client::new(config, "server.test", remote)?;
//! // SSL_connect
//! while client.ssl.is_handshaking() {
//!     client.step()?;
//! }
//! // SSL_write, SSL_read
//! client.ssl.send(Instant::now(), b"hello")?;
//! let answer = loop {
//!     match client.ssl.recv() {
//!         Some(received) => break received.data,
//!         None => client.step()?,
//!     }
//! };
//! assert_eq!(answer, b"hello"[..]);
//! // SSL_shutdown
//! client.ssl.close(Instant::now());
//! client.flush()?;
//! # service.join().expect("no panic")?;
//! # Ok(())
//! # }
//! ```
//!
//! A server has one socket for all of its clients, and nothing to do with cookies, tables or
//! timers: [`first_service`](super::first_service), [`many_peers`](super::many_peers).
//!
#![doc = include_str!("from_openssl.md")]
//!
//! # Where this differs
//!
//! * *A datagram never ends an association that has keys,* unless it authenticates; and no call
//!   returns an error for one that does not.
//! * *Names.* A subjectAltName is needed; OpenSSL also takes a CN. And what `openssl req -x509`
//!   makes is the certificate of an authority, which is not taken for a server's own:
//!   [`certificates`](super::certificates).
//! * *Refused renegotiations* are events, not the end ([`rekeying`]).
//! * *DTLS 1.3* is spoken where the peer has it; OpenSSL has it from 4.1 on. With those before, and
//!   with LibreSSL, version 1.2 is agreed on; a DTLS server of LibreSSL has to be offered
//!   [`Versions::V1_2`] alone.
//! * *CBC suites, static RSA, DTLS 1.0, compression* are not there at all.
//!
//! # What goes wrong, and how it shows
//!
//! * *`openssl s_server` sends flights in datagrams of 228 bytes* unless it is given `-mtu`. They
//!   are put together.
//! * *"the peer sent the fatal protocol_version(70) alert …; compare the versions …":* LibreSSL,
//!   see above.
//! * *"the peer sent the fatal handshake_failure(40) alert …; compare the cipher suites, …":* most
//!   often a list of ciphers with CBC or static RSA alone at the peer.
//! * *A read that never returns, in the example above:* the answer was lost, as it may be over UDP;
//!   repeating is up to the application.
//!
//! [`Algorithms`]: crate::config::Algorithms
//! [`AnswerHello`]: crate::server::AnswerHello
//! [`AnswerRequest`]: crate::client::AnswerRequest
//! [`AssociationId`]: crate::endpoint::AssociationId
//! [`CertifiedKey::from_pem_files`]: crate::identity::CertifiedKey::from_pem_files
//! [`ChooseSharedKey`]: crate::identity::ChooseSharedKey
//! [`ClientConfig`]: crate::ClientConfig
//! [`ClientConfig::dangerous`]: crate::ClientConfig::dangerous
//! [`Cookies`]: crate::endpoint::Cookies
//! [`DtlsConnection::accept`]: crate::DtlsConnection::accept
//! [`Endpoint`]: crate::endpoint::Endpoint
//! [`Failure`]: crate::Failure
//! [`FindSharedKey`]: crate::identity::FindSharedKey
//! [`FleetSecret`]: crate::config::FleetSecret
//! [`HandshakeComplete`]: crate::Event::HandshakeComplete
//! [`KeyLog`]: crate::config::KeyLog
//! [`Newcomers::Ask`]: crate::endpoint::Newcomers::Ask
//! [`Path`]: crate::Path
//! [`PeerClosed`]: crate::Event::PeerClosed
//! [`Roots::add`]: crate::identity::Roots::add
//! [`Roots::from_pem_file`]: crate::identity::Roots::from_pem_file
//! [`ServerConfig`]: crate::ServerConfig
//! [`SignHandshake`]: crate::identity::SignHandshake
//! [`Tickets`]: crate::session::Tickets
//! [`TlsStream`]: crate::net::TlsStream
//! [`UdpEndpoint`]: crate::net::UdpEndpoint
//! [`VerifyClient`]: crate::identity::VerifyClient
//! [`VerifyServer`]: crate::identity::VerifyServer
//! [`Versions::V1_2`]: crate::config::Versions::V1_2
//! [`alpn`]: crate::server::ServerConfigBuilder::alpn
//! [`cipher_suite`]: crate::Connection::cipher_suite
//! [`client_authentication`]: crate::server::ServerConfigBuilder::client_authentication
//! [`close`]: crate::Connection::close
//! [`export_keying_material`]: crate::Connection::export_keying_material
//! [`fleet`]: crate::server::ServerConfigBuilder::fleet
//! [`handle_bytes`]: crate::TlsConnection::handle_bytes
//! [`handle_datagram`]: crate::DtlsConnection::handle_datagram
//! [`handle_timeout`]: crate::Connection::handle_timeout
//! [`handle_too_large`]: crate::DtlsConnection::handle_too_large
//! [`handshake_kind`]: crate::Connection::handshake_kind
//! [`identity_hint`]: crate::server::ServerConfigBuilder::identity_hint
//! [`import_session`]: crate::ClientConfig::import_session
//! [`is_handshaking`]: crate::Connection::is_handshaking
//! [`max_payload`]: crate::DtlsConnection::max_payload
//! [`mtu`]: crate::config::DatagramPolicy::mtu
//! [`peer_identity`]: crate::Connection::peer_identity
//! [`poll_timeout`]: crate::Connection::poll_timeout
//! [`recv`]: crate::Connection::recv
//! [`rekeying`]: super::rekeying
//! [`request_client_certificate`]: crate::Connection::request_client_certificate
//! [`retransmission_timeouts`]: crate::config::DatagramPolicy::retransmission_timeouts
//! [`send`]: crate::DtlsConnection::send
//! [`session`]: crate::Connection::session
//! [`set_initial_timeout`]: crate::DtlsConnection::set_initial_timeout
//! [`set_mtu`]: crate::DtlsConnection::set_mtu
//! [`srtp_profile`]: crate::Connection::srtp_profile
//! [`srtp_profiles`]: crate::server::ServerConfigBuilder::srtp_profiles
//! [`turn`]: crate::net::UdpEndpoint::turn
//! [`version`]: crate::Connection::version
//! [`versions`]: crate::server::ServerConfigBuilder::versions
//! [agreed]: crate::Connection::alpn
//! [stores]: crate::session
//! [transmit]: crate::DtlsConnection::poll_transmit
