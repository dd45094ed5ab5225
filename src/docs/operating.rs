//! Operating a service: counters, log lines, key logs and Wireshark.
//!
//! ```
//! use sealgram::config::KeyLog;
//! use sealgram::{DtlsConnection, Path};
//! # use sealgram::identity::{CertifiedKey, Credential, Fingerprint, PinnedFingerprint};
//! # use sealgram::pki_types::PrivateKeyDer;
//! # use sealgram::{ClientConfig, ServerConfig};
//! use std::error::Error;
//! use std::fmt::Write as _;
//! use std::sync::{Arc, Mutex};
//! use std::time::Instant;
//!
//! /// All counters of one association that are not zero, as `key=value`.
//! fn counters(connection: &DtlsConnection) -> String {
//!     let stats = connection.stats();
//!     let mut line = format!(
//!         "records_sent={} records_received={} flights_retransmitted={}",
//!         stats.records_sent(),
//!         stats.records_received(),
//!         stats.flights_retransmitted(),
//!     );
//!     for (cause, count) in stats.discards() {
//!         let _ = write!(line, " {cause}={count}");
//!     }
//!     line
//! }
//!
//! /// The secrets of handshakes, in memory. `KeyLogFile::from_env()` writes them to the file that
//! /// the environment variable SSLKEYLOGFILE names.
//! #[derive(Debug, Default)]
//! struct Secrets(Mutex<Vec<String>>);
//!
//! impl KeyLog for Secrets {
//!     fn log(&self, label: &str, _client_random: &[u8], _secret: &[u8]) {
//!         self.0.lock().expect("no panic").push(label.to_owned());
//!     }
//! }
//!
//! # fn carry(now: Instant, from: &mut DtlsConnection, to: &mut DtlsConnection)
//! # -> Result<Vec<u8>, Box<dyn Error>> {
//! #     let (mut datagram, mut last) = (Vec::new(), Vec::new());
//! #     while from.poll_transmit(now, 1, &mut datagram).is_some() {
//! #         to.handle_datagram(now, Path::UNSPECIFIED, datagram[..].into())?;
//! #         last = std::mem::take(&mut datagram);
//! #     }
//! #     Ok(last)
//! # }
//! # fn main() -> Result<(), Box<dyn Error>> {
//! # let made = rcgen::generate_simple_self_signed(["server.test".to_owned()])?;
//! # let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//! # let certified = CertifiedKey::new(vec![made.cert.der().clone()], &key)?;
//! # let builder = ServerConfig::with_credential(Credential::Certificate(certified));
//! // `builder` has the server's certificate.
//! let secrets = Arc::new(Secrets::default());
//! let config = builder.key_log(secrets.clone()).build()?;
//! # let pinned = PinnedFingerprint::new([Fingerprint::of(made.cert.der())]);
//! # let client = ClientConfig::with_verifier(Arc::new(pinned)).build()?;
//! # let (now, path) = (Instant::now(), Path::UNSPECIFIED);
//! # let mut server = DtlsConnection::listen(now, config.into(), path)?;
//! # let name = "server.test".try_into()?;
//! # let mut client = DtlsConnection::connect(now, client.into(), name, path)?;
//! # for _ in 0..4 {
//! #     carry(now, &mut client, &mut server)?;
//! #     carry(now, &mut server, &mut client)?;
//! # }
//!
//! // After a handshake in memory, with `carry` of the chapter `sans_io`, which returns what it has
//! // brought: a datagram of data, a copy of it, and one that was altered on its way.
//! client.send(now, b"hello")?;
//! let datagram = carry(now, &mut client, &mut server)?;
//! server.handle_datagram(now, path, datagram[..].into())?;
//! client.send(now, b"hello again")?;
//! let mut altered = Vec::new();
//! client.poll_transmit(now, 1, &mut altered);
//! *altered.last_mut().ok_or("nothing was sent")? ^= 1;
//! server.handle_datagram(now, path, altered[..].into())?;
//! assert!(counters(&server).ends_with(" replay=1 unauthenticated=1"), "{}", counters(&server));
//!
//! let labels = secrets.0.lock().expect("no panic").join(" ");
//! assert!(labels.contains("CLIENT_TRAFFIC_SECRET_0"), "{labels}");
//! # Ok(())
//! # }
//! ```
//!
//! # Counters
//!
//! They only grow, and nobody has to switch them on.
//!
//! * [`EndpointStats`], one for each endpoint: what strangers have sent, and how many were served.
//!   [`limits`](super::limits) says which counter belongs to which limit.
//! * [`Stats`], one for each association: records, flights that were sent again, keys that were
//!   replaced, and by cause ([`Discard`]) what was dropped. Take them before the association's last
//!   event, or with it: afterwards it is gone.
//!
//! * *`flights_retransmitted`:* loss during handshakes, or a first timeout that is shorter than the
//!   round trip.
//! * *`old_message`, `replay`:* the same, seen from the other end: copies, which do no harm.
//! * *`change_cipher_spec`:* one for each handshake of DTLS 1.2, whose epochs say the same.
//! * *`unauthenticated`:* forgeries, damage, or a peer with other keys.
//! * *`old_epoch`:* late datagrams of before a rekeying.
//! * *`future_epoch`:* data that has overtaken a handshake, more than is kept.
//! * *`receive_queue_full`:* the application fetches too slowly.
//! * *`plaintext_alert`:* somebody forges alerts, or a peer has lost its keys and says so.
//! * *`unknown_connection_id`:* datagrams of another association: a balancer, or a peer of before a
//!   restart.
//!
//! The programs' own lines are `key=value` as well: `sealgram server` writes all counters to
//! standard error at its end and on SIGUSR1.
//!
//! # Log lines
//!
//! The library speaks to [`tracing`](https://docs.rs/tracing). With a subscriber, for example
//! `tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).init()`, every line about an
//! association stands in a span `association` that names it: `side`, `peer` and, at an endpoint,
//! the `id` that events have.
//!
//! ```text
//! DEBUG association{side=server peer=192.0.2.1:5000 id=#0.0}: sealgram::connection: failed …
//! ```
//!
//! * *`warn`:* what an operator should know: any certificate is accepted, a root cannot be read,
//!   the key log cannot be written.
//! * *`debug`:* each handshake message, failures, alerts, refused hellos, peers that move.
//! * *`trace`:* each datagram or record that is dropped, with its cause; flights.
//!
//! Spans are made where a subscriber wants the level `debug`. Nothing that is secret is logged.
//!
//! # Key logs and Wireshark
//!
//! With the secrets of a key log Wireshark shows what was said. Anybody who can read the log can do
//! so too, so a log is for tests:
//!
//! ```
//! use sealgram::config::KeyLogFile;
//! # use std::sync::Arc;
//! # let pinned = sealgram::identity::PinnedFingerprint::new([]);
//! # let builder = sealgram::ClientConfig::with_verifier(Arc::new(pinned));
//! // Writes nothing unless SSLKEYLOGFILE names a file.
//! let builder = builder.key_log(Arc::new(KeyLogFile::from_env()));
//! # builder.build().expect("a configuration");
//! ```
//!
//! ```sh
//! SSLKEYLOGFILE=keys.log sealgram client 192.0.2.2:4433 --ca ca.pem --key-log --versions 1.2
//! # in another terminal
//! tshark -i any -f 'udp port 4433' -o tls.keylog_file:keys.log -d udp.port==4433,dtls
//! ```
//!
//! With `-Y data -T fields -e data.data` it prints the data alone, in hexadecimal digits. In the
//! window of Wireshark the file is named by the preference *(Pre)-Master-Secret log filename* of
//! TLS, also for DTLS, and the port is a matter of *Decode As … DTLS*.
//!
//! Version 4.0 opens DTLS 1.2, also with connection IDs, TLS 1.2 and TLS 1.3. It finds no records
//! of DTLS 1.3, and at DTLS 1.2 it loses the keys with a renegotiation, also between two ends of
//! OpenSSL; so set [`Versions::V1_2`] for a capture that is to be read.
//!
//! # While it runs
//!
//! * *a new certificate:* [`serve`] with a new configuration;
//!   [`certificates`](super::certificates).
//! * *no new clients, before a restart:* [`stop_accepting`], then [`close_all`], and the loop until
//!   nobody is left.
//! * *who is here:* [`associations`], and the getters of each [`connection`].
//! * *one peer's datagram size or timeout:* [`set_mtu`], [`set_initial_timeout`] of
//!   [`association`].
//! * *new keys now:* [`rekeying`](super::rekeying).
//!
//! # What goes wrong, and how it shows
//!
//! A [`Failure`] is one line: what happened and what to change, at which end, in which state, with
//! which peer, and the alert that was sent. The state is named after the message that was waited
//! for. Failures of peers are no errors of the service: count them (`handshakes_failed`), and log
//! them at a level that a flood cannot fill the disk with.
//!
//! [`Discard`]: crate::record::Discard
//! [`EndpointStats`]: crate::endpoint::EndpointStats
//! [`Failure`]: crate::Failure
//! [`Stats`]: crate::record::Stats
//! [`Versions::V1_2`]: crate::config::Versions::V1_2
//! [`association`]: crate::net::UdpEndpoint::association
//! [`associations`]: crate::endpoint::Endpoint::associations
//! [`close_all`]: crate::net::UdpEndpoint::close_all
//! [`connection`]: crate::endpoint::Endpoint::connection
//! [`serve`]: crate::net::UdpEndpoint::serve
//! [`set_initial_timeout`]: crate::DtlsConnection::set_initial_timeout
//! [`set_mtu`]: crate::DtlsConnection::set_mtu
//! [`stop_accepting`]: crate::net::UdpEndpoint::stop_accepting
