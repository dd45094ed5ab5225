//! Many peers on one socket, in a mio loop that also does other things.
//!
//! A [`UdpEndpoint`] is a socket with all of its associations, a server's and a client's alike. It
//! is one source of a [mio] loop among others; nothing in it blocks, spawns or locks. This program
//! is such a loop: clients are asked for before they are served, each has a name, what one says
//! goes to all others, and the service ends in peace.
//!
//! ```
//! use sealgram::endpoint::{AssociationId, EndpointPolicy, Newcomers};
//! use sealgram::net::{UdpEndpoint, mio};
//! use sealgram::{AlertDescription, Event};
//! # use sealgram::identity::{CertifiedKey, Credential, Fingerprint, PinnedFingerprint};
//! # use sealgram::pki_types::PrivateKeyDer;
//! # use sealgram::{ClientConfig, ServerConfig};
//! use std::collections::HashMap;
//! # use std::error::Error;
//! use std::io;
//! # use std::sync::Arc;
//! # use std::thread;
//! # use std::time::{Duration, Instant};
//!
//! const SOCKET: mio::Token = mio::Token(0);
//! const STOP: mio::Token = mio::Token(1);
//!
//! /// A room: what one peer says all others hear.
//! struct Room {
//!     udp: UdpEndpoint,
//!     /// Who is here, and what the application keeps of them.
//!     peers: HashMap<AssociationId, String>,
//! }
//!
//! impl Room {
//!     /// Serves until another thread wakes `STOP`, and everybody has been told goodbye.
//!     fn run(mut self, mut poll: mio::Poll) -> io::Result<()> {
//!         self.udp.register(poll.registry(), SOCKET)?;
//!         let mut ready = mio::Events::with_capacity(64);
//!         while self.udp.endpoint().is_accepting() || !self.udp.endpoint().is_empty() {
//!             match poll.poll(&mut ready, self.udp.poll_timeout()) {
//!                 Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
//!                 result => result?,
//!             }
//!             if ready.iter().any(|it| it.token() == STOP) {
//!                 self.udp.stop_accepting();
//!                 self.udp.close_all();
//!             }
//!             // Whatever woke the loop: timers may be due, and a turn may have left a rest.
//!             self.udp.turn()?;
//!             self.decide();
//!             while let Some((id, event)) = self.udp.poll_event() {
//!                 self.handle(id, event);
//!             }
//!             self.udp.flush()?;
//!         }
//!         Ok(())
//!     }
//!
//!     /// Who may come in. There is no association yet, and nothing of the hello is proved but
//!     /// that the client receives at its address.
//!     fn decide(&mut self) {
//!         while let Some(incoming) = self.udp.poll_incoming() {
//!             match incoming.hello().server_name.as_deref() {
//!                 Some("room.test") => drop(self.udp.accept(incoming)),
//!                 _ => self.udp.refuse(incoming, AlertDescription::UNRECOGNIZED_NAME),
//!             }
//!         }
//!     }
//!
//!     fn handle(&mut self, id: AssociationId, event: Event) {
//!         match event {
//!             Event::HandshakeComplete { renegotiation: false, .. } => {
//!                 self.peers.insert(id, format!("peer {id}"));
//!             }
//!             Event::Readable => self.pass_on(id),
//!             Event::PeerClosed => {
//!                 self.pass_on(id); // what came before the goodbye
//!                 if let Some(mut peer) = self.udp.association(id) {
//!                     peer.close();
//!                 }
//!             }
//!             // The last event of an association. One peer's failure is none of the others'.
//!             Event::Closed => drop(self.peers.remove(&id)),
//!             Event::Failed(failure) => {
//!                 println!("{:?}: {failure}", self.peers.remove(&id));
//!             }
//!             _ => {}
//!         }
//!     }
//!
//!     fn pass_on(&mut self, from: AssociationId) {
//!         while let Some(said) = self.udp.association(from).and_then(|mut it| it.recv()) {
//!             for &id in self.peers.keys().filter(|&&id| id != from) {
//!                 if let Some(mut peer) = self.udp.association(id) {
//!                     // Backlog: this peer's queue is full, and the datagram is lost to it.
//!                     let _ = peer.send(&said.data);
//!                 }
//!             }
//!         }
//!     }
//! }
//! #
//! # fn main() -> Result<(), Box<dyn Error>> {
//! # let made = rcgen::generate_simple_self_signed(["room.test".to_owned()])?;
//! # let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//! # let certified = CertifiedKey::new(vec![made.cert.der().clone()], &key)?;
//! # let config = ServerConfig::with_credential(Credential::Certificate(certified)).build()?;
//!
//! // The service, on a thread of its own; `config` is that of the chapter `first_service`.
//! let policy = EndpointPolicy::default().newcomers(Newcomers::Ask);
//! let udp = UdpEndpoint::bind("127.0.0.1:0".parse()?, policy, Some(config.into()))?;
//! let remote = udp.local_addr()?;
//! let poll = mio::Poll::new()?;
//! let stop = mio::Waker::new(poll.registry(), STOP)?;
//! let room = Room { udp, peers: HashMap::new() };
//! let service = thread::spawn(move || room.run(poll));
//!
//! // Ten clients on one socket cannot reach one server, so each has its own.
//! # let pinned = PinnedFingerprint::new([Fingerprint::of(made.cert.der())]);
//! # let config = Arc::new(ClientConfig::with_verifier(Arc::new(pinned)).build()?);
//! let mut clients = Vec::new();
//! for _ in 0..10 {
//!     let mut udp = UdpEndpoint::connected_to(remote, EndpointPolicy::default())?;
//!     let id = udp.connect(config.clone(), "room.test".try_into()?, remote)?;
//!     clients.push((udp, id, 0));
//! }
//! # let end = Instant::now() + Duration::from_secs(20);
//! # let (mut here, mut said) = (0, None::<Instant>);
//! # while clients.iter().any(|(udp, ..)| !udp.endpoint().is_empty()) {
//! #     assert!(Instant::now() < end);
//! #     for (udp, _, heard) in &mut clients {
//! #         udp.turn()?;
//! #         while let Some((id, event)) = udp.poll_event() {
//! #             match (event, udp.association(id)) {
//! #                 (Event::HandshakeComplete { .. }, _) => here += 1,
//! #                 (Event::Readable, Some(mut peer)) => while peer.recv().is_some() {
//! #                     *heard += 1;
//! #                 },
//! #                 (Event::PeerClosed, Some(mut peer)) => peer.close(),
//! #                 (Event::Failed(failure), _) => return Err(failure),
//! #                 _ => {}
//! #             }
//! #         }
//! #         udp.flush()?;
//! #     }
//! #     // Again and again: the last one to come in may not have been there yet.
//! #     let is_due = said.is_none_or(|last| last.elapsed() > Duration::from_millis(200));
//! #     let all_heard = clients[1..].iter().all(|(_, _, heard)| *heard > 0);
//! #     if here == 10 && is_due && !all_heard {
//! #         said = Some(Instant::now());
//! #         let (udp, id, _) = &mut clients[0];
//! #         udp.association(*id).ok_or("gone")?.send(b"hello")?;
//! #         udp.flush()?;
//! #     }
//! #     if all_heard {
//! #         stop.wake()?;
//! #     }
//! #     thread::sleep(Duration::from_millis(1));
//! # }
//!
//! // … a loop with `turn`, `poll_event` and `flush` for each, as in `first_service` …
//! // One of them has said hello, the nine others have heard it, and STOP was woken.
//! assert_eq!(clients[0].2, 0);
//! assert!(clients[1..].iter().all(|(_, _, heard)| *heard > 0));
//! service.join().expect("no panic")?;
//! # Ok(())
//! # }
//! ```
//!
//! An [`AssociationId`] names an association for as long as it lives, whatever its peer's address,
//! and is never given again. What an application keeps of a peer belongs into a map with this key,
//! and leaves it with [`Event::Closed`] or [`Event::Failed`], one of which comes last.
//! [`association`](crate::net::UdpEndpoint::association) is the way to one peer and its commands;
//! the getters, without a mutable borrow, are at
//! [`connection`](crate::endpoint::Endpoint::connection) of
//! [`endpoint`](crate::net::UdpEndpoint::endpoint).
//!
//! # What matters next
//!
//! * *Client and server in one.* An endpoint that serves can [`connect`] as well, from the same
//!   socket, to other addresses: at most one association with each, unless both ends have
//!   connection IDs ([`moving`](super::moving)).
//! * *Several cores.* [`bind_group`] binds an endpoint for each thread to one port:
//!   `examples/dtls_echo_cores.rs`, and the chapter [`fleets`](super::fleets).
//! * *Bursts.* A turn receives a megabyte at most, so that others get theirs; the rest waits, and
//!   [`poll_timeout`](crate::net::UdpEndpoint::poll_timeout) is zero then. Datagrams leave in
//!   batches, so send all that there is before `flush`.
//! * *A key on another thread* wakes the loop:
//!   [`set_waker`](crate::net::UdpEndpoint::set_waker).
//! * *A newcomer's decision* may take five seconds; a whole association is made only for those who
//!   are accepted. With [`Newcomers::Accept`], the default, everybody is served within the limits
//!   ([`limits`](super::limits)).
//! * *A restart with the same certificate* loses the associations: [`fleets`](super::fleets) has
//!   what clients do then.
//!
//! # What goes wrong, and how it shows
//!
//! * *The loop stands still although datagrams come:* mio tells of readiness once. `turn` has to be
//!   called after every wait; it takes all that is there, or says so by a timeout of zero.
//! * *`SendError::Backlog`:* more is sent than leaves. Data is lost or kept by the application; the
//!   endpoint never buffers more than [`send_queue`](crate::config::DatagramPolicy::send_queue)
//!   for one peer.
//! * *Data is missing at a receiver that was busy:* `receive_queue_full` among the association's
//!   discards, or, before the library sees them, the socket's own drops (`/proc/net/udp`).
//! * *`ConnectError::AddressInUse`:* a second association with one address.
//! * *A peer that has gone without a word* stays for 15 minutes
//!   ([`idle_timeout`](crate::endpoint::EndpointPolicy::idle_timeout)), then fails with "nothing
//!   came from the peer within the idle timeout".
//!
//! [mio]: crate::net::mio
//! [`AssociationId`]: crate::endpoint::AssociationId
//! [`Event::Closed`]: crate::Event::Closed
//! [`Event::Failed`]: crate::Event::Failed
//! [`Newcomers::Accept`]: crate::endpoint::Newcomers::Accept
//! [`UdpEndpoint`]: crate::net::UdpEndpoint
//! [`bind_group`]: crate::net::UdpEndpoint::bind_group
//! [`connect`]: crate::net::UdpEndpoint::connect
