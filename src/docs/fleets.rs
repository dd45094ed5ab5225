//! # Servers on many cores and many machines
//!
//! A server that no longer fits a core, or a machine, becomes several. What a client has to notice
//! of that is nothing, as long as its datagrams come to the same one of them; and when they do not,
//! one new handshake, which resumes its session.
//!
//! | what | in one process | in several |
//! | --- | --- | --- |
//! | cookies | shared by a [group](crate::net::UdpEndpoint::bind_group) | shared by a [fleet] |
//! | tickets, at 1.3 and at 1.2 | belong to the [`ServerConfig`] | shared by a [fleet] |
//! | session IDs of 1.2 | belong to the [`ServerConfig`] | a [store] that asks elsewhere |
//! | associations | belong to one endpoint | belong to one endpoint |
//!
//! The last row is the one to design for. Records that reach an endpoint without an association for
//! them are dropped and counted ([`strays`]); their sender is not told, because everybody could
//! forge such a message. It has to find out by itself, by an answer that does not come, and connect
//! again. That costs two round trips and no signature: any member proves any member's cookies and
//! opens any member's tickets.
//!
//! ## A fleet is a secret
//!
//! Servers that are built with the same [`FleetSecret`] are a fleet. There is nothing else to set
//! up, and they never talk to each other: keys follow from the secret and the date, so clocks have
//! to agree within five seconds. A member should start when its clock is right: the dates of its
//! cookies never go back, so that one whose clock was ahead by more stays ahead of the others until
//! it is started again. A server that is started again is the member that it was. Members should be
//! configured alike; where they differ in what a session is bound to, a client makes a full
//! handshake instead of a resumed one.
//!
//! ```
//! use sealgram::ServerConfig;
//! use sealgram::config::FleetSecret;
//! # use sealgram::identity::{CertifiedKey, Credential};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let made = rcgen::generate_simple_self_signed(["server.test".to_owned()])?;
//! # let key = sealgram::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//! # let certified = CertifiedKey::new(vec![made.cert.der().clone()], &key)?;
//! # let credential = Credential::Certificate(certified);
//! # let file = std::env::temp_dir().join(format!("sealgram-fleet-{}", std::process::id()));
//! # std::fs::write(&file, [7; 32])?;
//! // 32 bytes, made once for all members: openssl rand -out fleet.secret 32
//! let secret = std::fs::read(&file)?.as_slice().try_into()?;
//! let config = ServerConfig::with_credential(credential)
//!     .fleet(FleetSecret::from_bytes(secret))
//!     .build()?;
//! # std::fs::remove_file(&file)?;
//! # Ok(())
//! # }
//! ```
//!
//! What is at stake when it is lost stands in `SECURITY.md`. To replace it, give every member a
//! configuration with the new one ([`serve`], or a restart): established associations go on, and
//! each client makes one full handshake the next time.
//!
//! ## Many cores
//!
//! [`bind_group`](crate::net::UdpEndpoint::bind_group) binds an endpoint for each thread to one
//! port, and Linux deals the clients out among them. `examples/dtls_echo_cores.rs` is such a
//! server.
//!
//! ## Behind a balancer
//!
//! The address at which a client is seen belongs to its cookie and to its association. So a
//! balancer has to send everything from one client to one server, from one address, for as long as
//! the association lives. One that keeps clients' addresses (direct routing, anycast with a hash)
//! does that as long as the number of servers stays the same.
//!
//! A proxy, such as the `stream` module of nginx, gives each client a *session*, which is a port of
//! the proxy's own. When a session ends, what its client sends next comes from another port, and
//! finds a stranger. This configuration is the one that the tests of this library run
//! (`interop/tests/fleet.rs`):
//!
//! ```nginx
//! stream {
//!     upstream fleet {
//!         zone fleet 64k;
//!         server 192.0.2.1:4433 fail_timeout=60s;
//!         server 192.0.2.2:4433 fail_timeout=60s;
//!     }
//!     server {
//!         listen 4433 udp reuseport;
//!         proxy_pass fleet;
//!         proxy_timeout 20m;
//!     }
//! }
//! ```
//!
//! * `reuseport`: a worker knows its own sessions only. Workers that share a socket get datagrams
//!   of each other's clients.
//! * `proxy_timeout` is how long a session outlives the last datagram: 10 minutes by default. It
//!   should be longer than [`idle_timeout`], so that an association that is idle ends at its server
//!   first. Clients that are silent for longer have to speak now and then.
//! * No `proxy_requests` and no `proxy_responses`: they end sessions after so many datagrams. With
//!   `proxy_requests 1` no handshake ever completes, because each hello comes from another port and
//!   no cookie fits.
//! * `zone`: nginx notices that a server is gone by the third datagram that it sends there
//!   (observed: 1.22), and then chooses another one for all new sessions. A client whose hellos are
//!   the ones to find out is served after about eight seconds.
//! * A reload of nginx begins new sessions for all clients (observed: 1.22): all of them have to
//!   connect again.
//! * Servers see one host, that of the proxy. Where a limit is fair between hosts
//!   ([`Eviction`](crate::endpoint::Eviction)), there is nobody left to be fair to; clients that
//!   flood are the proxy's business. `proxy_bind … transparent` keeps addresses.
//!
//! ## Peers that move
//!
//! With connection IDs of eight bytes or more ([`connection_ids`]) records name the member that has
//! their association, wherever they come from. Each member gets a number of its own ([`member`]),
//! and [`FleetMembers`], made from the same secret, reads it: of every datagram under keys, but not
//! of those of a first handshake, which go by address as before.
//!
//! ```
//! use sealgram::endpoint::FleetMembers;
//!
//! /// The member that a datagram is for, where `by_address` is the one for strangers.
//! fn member_for(members: &FleetMembers, datagram: &[u8], count: u16, by_address: u16) -> u16 {
//!     let named = members.member_of(datagram);
//!     named.filter(|&number| number < count).unwrap_or(by_address)
//! }
//! ```
//!
//! What is read there is not authenticated: a number that no member has is anybody's invention.
//! Whoever passes datagrams on can be a balancer, or each member that owns its socket and feeds an
//! [`Endpoint`](crate::endpoint::Endpoint) itself, before it calls `handle_datagram`. Either way:
//!
//! * The member has to learn where a datagram came from. A proxy gives each client and member a
//!   port of its own; between members the address travels in front of the datagram, and the
//!   receiver makes the [`Path`](crate::Path) from it. That channel needs protection from
//!   strangers, who could otherwise name any address.
//! * Answers have to leave from the address that the client sends to, so they go back by whoever
//!   passed the datagram on, or from a socket that is bound to the same address. A client behind a
//!   NAT does not hear anybody else.
//! * A proxy that deals out clients anew, or begins new sessions, is to its members a client that
//!   has moved: the new port is validated ([`Migration`](crate::config::Migration)), and the
//!   association goes on. Passing a datagram to a member at most once keeps two that disagree from
//!   sending it round in circles.
//! * A member that gets what is for another one drops it and [counts it][unknown].
//!
//! ## A client's side
//!
//! A server that ends in peace says goodbye: [`stop_accepting`], [`close_all`], and the loop goes
//! on until nobody is left; clients get [`PeerClosed`] and can connect again at once. One that was
//! killed says nothing. DTLS has no sign of life of its own, so a client that has to notice needs
//! answers: it asks something when it has heard nothing for a while, and connects again (after
//! [`close`](crate::Connection::close), from the same socket or another) when no answer comes. It
//! resumes by itself if it has the same [`ClientConfig`](crate::ClientConfig), which remembers
//! sessions.
//!
//! [fleet]: crate::server::ServerConfigBuilder::fleet
//! [store]: crate::session::ServerSessionStore
//! [`ServerConfig`]: crate::ServerConfig
//! [`FleetSecret`]: crate::config::FleetSecret
//! [`strays`]: crate::endpoint::EndpointStats::strays
//! [`serve`]: crate::endpoint::Endpoint::serve
//! [`idle_timeout`]: crate::endpoint::EndpointPolicy::idle_timeout
//! [`stop_accepting`]: crate::endpoint::Endpoint::stop_accepting
//! [`close_all`]: crate::endpoint::Endpoint::close_all
//! [`PeerClosed`]: crate::Event::PeerClosed
//! [`connection_ids`]: crate::config::DatagramPolicy::connection_ids
//! [`member`]: crate::endpoint::EndpointPolicy::member
//! [`FleetMembers`]: crate::endpoint::FleetMembers
//! [unknown]: crate::endpoint::EndpointStats::unknown_connection_ids
