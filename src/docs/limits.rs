//! Limits and floods: what strangers can make a service do, and how to see it.
//!
//! Anybody can send datagrams, from addresses that are not theirs. So a server keeps nothing about
//! a client that has not shown a *cookie*, which proves that it receives at its address; everything
//! after that has a limit, and a rule for what goes when the limit is reached.
//!
//! ```
//! use sealgram::endpoint::{Endpoint, EndpointPolicy, Eviction};
//! use sealgram::{Path, ServerConfig};
//! # use sealgram::ClientConfig;
//! # use sealgram::identity::{CertifiedKey, Credential, Fingerprint, PinnedFingerprint};
//! # use sealgram::pki_types::PrivateKeyDer;
//! use std::error::Error;
//! # use std::sync::Arc;
//! use std::time::{Duration, Instant};
//!
//! # fn main() -> Result<(), Box<dyn Error>> {
//! # let made = rcgen::generate_simple_self_signed(["server.test".to_owned()])?;
//! # let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//! # let certified = CertifiedKey::new(vec![made.cert.der().clone()], &key)?;
//! # let config = ServerConfig::with_credential(Credential::Certificate(certified)).build()?;
//! let policy = EndpointPolicy::default()
//!     .max_associations(50_000)?
//!     .max_half_open(512, Eviction::OldestHalfOpen)?
//!     .max_buffered(64 << 20)?
//!     .idle_timeout(Some(Duration::from_secs(300)));
//! // `config` has a certificate, as in the chapter `first_service`.
//! let now = Instant::now();
//! let mut server = Endpoint::new(now, policy, Some(config.into()))?;
//!
//! # let pinned = PinnedFingerprint::new([Fingerprint::of(made.cert.der())]);
//! # let client = ClientConfig::with_verifier(Arc::new(pinned)).build()?;
//! # let mut honest = Endpoint::new(now, EndpointPolicy::default(), None)?;
//! # let path = Path::new(([192, 0, 2, 1], 4433).into());
//! # honest.connect(now, client.into(), "server.test".try_into()?, path)?;
//! # let mut hello = Vec::new();
//! # honest.poll_transmit(now, 1, &mut hello);
//! // A flood: a client's `hello` from 10,000 forged addresses, and as much rubbish.
//! let mut answers = Vec::new();
//! for number in 0..10_000_u16 {
//!     let forged = Path::new(([198, 51, 100, 7], number).into());
//!     server.handle_datagram(now, forged, hello[..].into());
//!     server.handle_datagram(now, forged, b"rubbish"[..].into());
//!     while server.poll_transmit(now, 1, &mut answers).is_some() {}
//! }
//!
//! // Each hello was answered with a cookie, by fewer bytes than it had, and nothing was kept.
//! assert_eq!(server.stats().retry_requests, 10_000);
//! assert_eq!(server.stats().strays, 10_000);
//! assert!(answers.len() < 10_000 * hello.len());
//! assert_eq!((server.len(), server.buffered()), (0, 0));
//! # Ok(())
//! # }
//! ```
//!
#![doc = include_str!("limits.md")]
//!
//! # What matters next
//!
//! * *Who may come at all* is for the application to say: [`Newcomers::Ask`] shows address and
//!   hello before there is an association, and before any costly work
//!   ([`many_peers`](super::many_peers)).
//! * *Behind a proxy all clients have one address.* [`Eviction::OldestHalfOpen`] is fair between
//!   hosts, and there is one; floods are the proxy's business then.
//! * *Alerts before there are keys* can be forged. By default they are believed, so that a refusal
//!   is seen at once; [`PlaintextAlerts::Ignore`] is for paths on which somebody forges them.
//! * *Resumption without a cookie* ([`ResumptionCookies::Spare`]) saves a round trip and gives some
//!   of this up. Its page says what.
//! * `SECURITY.md` says what is promised, with the tests, and what is not: what fills the link is
//!   not prevented by anything here.
//!
//! # What goes wrong, and how it shows
//!
//! * *New clients are not served in a burst:* `hellos_refused` grows, and nothing else is wrong.
//!   The clients repeat their hellos; raise `max_half_open`.
//! * *`evicted` grows:* clients begin and do not finish. A flood from real addresses, or a path
//!   that loses the second flight: an MTU that is too large for it.
//! * *`replies_dropped` grows:* a flood, or a loop that does not drain `poll_transmit`.
//! * *`strays` grows:* scans, or peers of before a restart; `unknown_connection_ids` the same, with
//!   connection IDs.
//! * *`unauthenticated` of one association grows:* somebody injects, or the path damages datagrams.
//!   It never ends an association below the limit of the algorithm.
//!
//! [`Backlog`]: crate::error::SendError::Backlog
//! [`EndpointStats`]: crate::endpoint::EndpointStats
//! [`Eviction`]: crate::endpoint::Eviction
//! [`Eviction::OldestHalfOpen`]: crate::endpoint::Eviction::OldestHalfOpen
//! [`Newcomers::Ask`]: crate::endpoint::Newcomers::Ask
//! [`PlaintextAlerts::Ignore`]: crate::config::PlaintextAlerts::Ignore
//! [`ResumptionCookies::Spare`]: crate::endpoint::ResumptionCookies::Spare
//! [`handshake_deadline`]: crate::config::DatagramPolicy::handshake_deadline
//! [`idle_timeout`]: crate::endpoint::EndpointPolicy::idle_timeout
//! [`max_associations`]: crate::endpoint::EndpointPolicy::max_associations
//! [`max_buffered`]: crate::endpoint::EndpointPolicy::max_buffered
//! [`max_half_open`]: crate::endpoint::EndpointPolicy::max_half_open
//! [`max_message`]: crate::config::DatagramPolicy::max_message
//! [`receive_queue`]: crate::config::DatagramPolicy::receive_queue
//! [`send_queue`]: crate::config::DatagramPolicy::send_queue
