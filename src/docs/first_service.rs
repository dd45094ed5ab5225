//! A service on a UDP socket and its client, in one program.
//!
//! ```toml
//! [dependencies]
//! sealgram = { path = "../sealgram" } # a clone of the repository
//! rcgen = "0.14"                      # makes a certificate for the trial
//! ```
//!
//! This is all of it. Both ends run in one process, so it needs nothing but itself; the two
//! functions are a server and a client that could as well be on two machines.
//!
//! ```
//! use sealgram::endpoint::EndpointPolicy;
//! use sealgram::identity::{CertifiedKey, Credential, Roots};
//! use sealgram::net::UdpEndpoint;
//! use sealgram::net::mio::{Events, Poll, Token};
//! use sealgram::pki_types::PrivateKeyDer;
//! use sealgram::{ClientConfig, Event, ServerConfig};
//! use std::error::Error;
//! use std::{io, thread};
//!
//! fn main() -> Result<(), Box<dyn Error>> {
//!     let made = rcgen::generate_simple_self_signed(["server.test".to_owned()])?;
//!     let certificate = made.cert.der().clone();
//!     let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//!
//!     // The server proves who it is with a certificate.
//!     let certified = CertifiedKey::new(vec![certificate.clone()], &key)?;
//!     let config = ServerConfig::with_credential(Credential::Certificate(certified)).build()?;
//!     let local = "127.0.0.1:0".parse()?;
//!     let server = UdpEndpoint::bind(local, EndpointPolicy::default(), Some(config.into()))?;
//!     let remote = server.local_addr()?;
//!     thread::spawn(move || serve(server));
//!
//!     // The client trusts what its roots have signed, and asks for a name.
//!     let mut roots = Roots::new();
//!     roots.add(&certificate)?;
//!     let config = ClientConfig::with_roots(roots)?.build()?;
//!     let mut client = UdpEndpoint::connected_to(remote, EndpointPolicy::default())?;
//!     client.connect(config.into(), "server.test".try_into()?, remote)?;
//!     let answer = ask(client, b"is anybody there?")?;
//!     assert_eq!(answer, b"is anybody there?");
//!     Ok(())
//! }
//!
//! /// Sends every datagram back to its sender, for any number of clients.
//! fn serve(mut server: UdpEndpoint) -> io::Result<()> {
//!     let (mut poll, mut ready) = (Poll::new()?, Events::with_capacity(16));
//!     server.register(poll.registry(), Token(0))?;
//!     loop {
//!         wait(&mut poll, &mut ready, &server)?;
//!         // Receives, fires timers, sends.
//!         server.turn()?;
//!         while let Some((id, event)) = server.poll_event() {
//!             let Some(mut peer) = server.association(id) else {
//!                 continue; // that was its last event
//!             };
//!             match event {
//!                 // Comes once until the queue was empty, so the queue is emptied here.
//!                 Event::Readable => {
//!                     while let Some(received) = peer.recv() {
//!                         // A full queue is like a full network: the datagram is lost.
//!                         let _ = peer.send(&received.data);
//!                     }
//!                 }
//!                 Event::PeerClosed => peer.close(),
//!                 _ => {}
//!             }
//!         }
//!         // Sends what the events led to.
//!         server.flush()?;
//!     }
//! }
//!
//! /// Sends one datagram and returns the first that comes back.
//! fn ask(mut client: UdpEndpoint, question: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
//!     let (mut poll, mut ready) = (Poll::new()?, Events::with_capacity(16));
//!     client.register(poll.registry(), Token(0))?;
//!     let mut answer = None;
//!     loop {
//!         client.turn()?;
//!         while let Some((id, event)) = client.poll_event() {
//!             match (event, client.association(id)) {
//!                 (Event::HandshakeComplete { .. }, Some(mut server)) => server.send(question)?,
//!                 (Event::Readable, Some(mut server)) => {
//!                     answer = server.recv().map(|received| received.data.to_vec());
//!                     server.close();
//!                 }
//!                 (Event::Failed(failure), _) => return Err(failure),
//!                 (Event::Closed, _) => return answer.ok_or("closed without an answer".into()),
//!                 _ => {}
//!             }
//!         }
//!         client.flush()?;
//!         wait(&mut poll, &mut ready, &client)?;
//!     }
//! }
//!
//! /// Waits for a datagram, or until a timer is due.
//! fn wait(poll: &mut Poll, ready: &mut Events, endpoint: &UdpEndpoint) -> io::Result<()> {
//!     match poll.poll(ready, endpoint.poll_timeout()) {
//!         // A signal has ended the wait early, which is not an error.
//!         Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
//!         result => result,
//!     }
//! }
//! ```
//!
//! The four calls of a loop keep their order: `turn` when the wait ends for whatever reason, then
//! every event, then `flush`, then a wait that is no longer than `poll_timeout` says. Whoever waits
//! longer repeats lost messages too late.
//!
//! # What matters next
//!
//! * A real server loads its certificate: [`CertifiedKey::from_pem_files`], and the chapter
//!   [`certificates`](super::certificates).
//! * Over UDP a question or its answer may be lost, and nobody repeats them: only the messages of
//!   handshakes are. This client would wait until the association is idle for 15 minutes
//!   ([`EndpointPolicy::idle_timeout`]).
//! * A datagram goes out whole or not at all. What fits says
//!   [`max_payload`](crate::DtlsConnection::max_payload); by default datagrams have at most 1,400
//!   bytes ([`DatagramPolicy::mtu`]).
//! * Version 1.3 is spoken where both ends can, else 1.2 ([`Versions`]).
//! * The whole configuration, to be copied: `examples/dtls_echo_server.rs` and
//!   `examples/dtls_client.rs`; on several cores `examples/dtls_echo_cores.rs`.
//!
//! # What goes wrong, and how it shows
//!
//! A handshake that fails is [`Event::Failed`], which says what happened, in which state, at which
//! end, and what to change:
//!
//! * *no answer within 120 s and … retransmissions; check the peer's address, …:* nobody is there,
//!   or a firewall is.
//! * *its issuer is not trusted; add the right root, or pin the fingerprint:* the roots are not the
//!   server's.
//! * *it is not valid for other.test; ask for a name that it has, …:* the name given to `connect`.
//! * *the peer sent the fatal unknown_ca(48) alert; …:* the other end has failed by one of these.
//! * *the peer sent a ClientHello instead of an answer, …:* both ends connect.
//!
//! A `main` that returns the failure shows its fields; print it with `{}` to read the sentence.
//!
//! `send` before [`Event::HandshakeComplete`] is an error, [`SendError::NotConnected`], and changes
//! nothing. Nobody at the server's port shows at once with a socket of
//! [`connected_to`](crate::net::UdpEndpoint::connected_to), in
//! [`poll_unreachable`](crate::net::UdpEndpoint::poll_unreachable); but anybody can forge such a
//! report, so the handshake goes on until its deadline
//! ([`handshake_deadline`](crate::config::DatagramPolicy::handshake_deadline)).
//!
//! [`CertifiedKey::from_pem_files`]: crate::identity::CertifiedKey::from_pem_files
//! [`DatagramPolicy::mtu`]: crate::config::DatagramPolicy::mtu
//! [`EndpointPolicy::idle_timeout`]: crate::endpoint::EndpointPolicy::idle_timeout
//! [`Event::Failed`]: crate::Event::Failed
//! [`Event::HandshakeComplete`]: crate::Event::HandshakeComplete
//! [`SendError::NotConnected`]: crate::error::SendError::NotConnected
//! [`Versions`]: crate::config::Versions
