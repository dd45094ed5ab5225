//! # Rekeying long-lived associations
//!
//! The keys of an association that lives for weeks should not live as long. AEAD algorithms allow a
//! key only so many records (RFC 9325 §4.4), and a stolen key should not reveal much. At version
//! 1.2 keys are replaced by a *renegotiation*: a new handshake inside the association, protected by
//! the keys in force, bound to the handshake before it (RFC 5746), and followed by a new epoch. The
//! association, its identities and its data go on.
//!
//! In a program it is one call, and an event later; a policy does it by itself. Between two ends in
//! memory:
//!
//! ```
//! use sealgram::config::{RekeyPolicy, Versions};
//! use sealgram::{DtlsConnection, Event, HandshakeKind, KeyUpdate, Side};
//! # use sealgram::identity::{CertifiedKey, Credential, Fingerprint, PinnedFingerprint};
//! # use sealgram::pki_types::PrivateKeyDer;
//! # use sealgram::{ClientConfig, Path, ServerConfig};
//! use std::error::Error;
//! # use std::sync::Arc;
//! use std::time::Duration;
//! # use std::time::Instant;
//!
//! # /// Carries datagrams to and fro, and returns what has happened at the client.
//! # fn exchange(
//! #     client: &mut DtlsConnection,
//! #     server: &mut DtlsConnection,
//! # ) -> Result<Vec<Event>, Box<dyn Error>> {
//! #     let (now, mut datagram) = (Instant::now(), Vec::new());
//! #     for _ in 0..6 {
//! #         while client.poll_transmit(now, 1, &mut datagram).is_some() {
//! #             server.handle_datagram(now, Path::UNSPECIFIED, datagram[..].into())?;
//! #             datagram.clear();
//! #         }
//! #         while server.poll_transmit(now, 1, &mut datagram).is_some() {
//! #             client.handle_datagram(now, Path::UNSPECIFIED, datagram[..].into())?;
//! #             datagram.clear();
//! #         }
//! #     }
//! #     Ok(std::iter::from_fn(|| client.poll_event()).collect())
//! # }
//! # fn pair(
//! #     versions: Versions,
//! #     policy: &RekeyPolicy,
//! # ) -> Result<(DtlsConnection, DtlsConnection), Box<dyn Error>> {
//! #     let made = rcgen::generate_simple_self_signed(["server.test".to_owned()])?;
//! #     let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//! #     let certified = CertifiedKey::new(vec![made.cert.der().clone()], &key)?;
//! #     let server = ServerConfig::with_credential(Credential::Certificate(certified)).build()?;
//! #     let pinned = PinnedFingerprint::new([Fingerprint::of(made.cert.der())]);
//! #     let client = ClientConfig::with_verifier(Arc::new(pinned)).versions(versions);
//! #     let client = client.rekey(policy.clone()).build()?;
//! #     let (now, path) = (Instant::now(), Path::UNSPECIFIED);
//! #     let mut server = DtlsConnection::listen(now, server.into(), path)?;
//! #     let name = "server.test".try_into()?;
//! #     let mut client = DtlsConnection::connect(now, client.into(), name, path)?;
//! #     exchange(&mut client, &mut server)?;
//! #     Ok((client, server))
//! # }
//! # fn main() -> Result<(), Box<dyn Error>> {
//! // `pair` makes two ends under a policy and completes their handshake; `exchange` brings each
//! // what the other has to send, and returns the client's events. The chapter `sans_io` has such
//! // code.
//!
//! // By itself after a gibibyte or an hour, whichever comes first.
//! let policy = RekeyPolicy::default()
//!     .bytes(Some(1 << 30))?
//!     .interval(Some(Duration::from_secs(3600)))?;
//!
//! // At 1.3, now: a key update, in both directions.
//! let (mut client, mut server) = pair(Versions::V1_3, &policy)?;
//! client.key_update(KeyUpdate::Requested)?;
//! let events = exchange(&mut client, &mut server)?;
//! assert!(events.contains(&Event::KeysUpdated { sender: Side::Client }));
//! assert!(events.contains(&Event::KeysUpdated { sender: Side::Server }));
//!
//! // At 1.2, now: a renegotiation, for which a server asks its client.
//! let (mut client, mut server) = pair(Versions::V1_2, &policy)?;
//! server.renegotiate()?;
//! let events = exchange(&mut client, &mut server)?;
//! let (kind, renegotiation) = (HandshakeKind::Full, true);
//! assert!(events.contains(&Event::HandshakeComplete { kind, renegotiation }));
//! assert_eq!(server.renegotiations(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Over sockets, with data in the meantime, it is `cargo run --example renegotiate` and
//! `cargo run --example key_update`.
//!
//! ## What leads to which handshake
//!
//! | on the client | TLS 1.2 | DTLS 1.2 |
//! | --- | --- | --- |
//! | [`renegotiate`] | full: a new key exchange | full |
//! | [`renegotiate_abbreviated`] | offers the session in force | offers the session in force |
//! | the server's HelloRequest | offers the session in force | **full, for historical reasons** |
//! | a limit of [`RekeyPolicy`] | full | full |
//!
//! On a server both calls do the same: they send a HelloRequest, and the client decides how to
//! answer it. A session that is offered is only an offer; the `kind` of [`HandshakeComplete`] says
//! what happened. A server that always needs a full handshake sets [`RekeyPolicy::resume`] to
//! `false`; one that wants to see its client's certificate calls [`request_client_certificate`].
//!
//! At version 1.3, at either end and over either transport:
//!
//! * [`key_update`] with [`NotRequested`] sends KeyUpdate(update_not_requested), and this end's
//!   sending keys change.
//! * [`key_update`] with [`Requested`] sends KeyUpdate(update_requested). This end's sending keys
//!   change, then the peer's.
//! * A request of the peer is answered with KeyUpdate(update_not_requested), together with the next
//!   output. This end's sending keys change; the peer's have already changed.
//! * A limit of [`RekeyPolicy`] acts like `Requested`, or like `NotRequested` while the peer still
//!   owes its own update.
//!
//! ## The calls, beside those of the manual pages
//!
//! | OpenSSL, LibreSSL | here |
//! | --- | --- |
//! | `SSL_renegotiate` | [`renegotiate`] |
//! | `SSL_renegotiate_abbreviated` | [`renegotiate_abbreviated`] |
//! | `SSL_renegotiate_pending` | [`renegotiate_pending`] |
//! | `SSL_num_renegotiations` | [`renegotiations`], and by initiator [`renegotiations_by`] |
//! | `SSL_key_update` | [`key_update`] |
//! | `SSL_get_key_update_type` | [`key_update_type`] |
//! | `BIO_set_ssl_renegotiate_bytes` | [`RekeyPolicy::bytes`] |
//! | `BIO_set_ssl_renegotiate_timeout` | [`RekeyPolicy::interval`] |
//! | `SSL_OP_NO_RENEGOTIATION` on a client | [`RekeyPolicy::follow_hello_requests`] |
//! | `SSL_OP_ALLOW_CLIENT_RENEGOTIATION` | [`RekeyPolicy::client_renegotiation`] |
//! | `SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION` | [`RekeyPolicy::resume`] |
//! | `SSL_set_verify`, `SSL_renegotiate` on a server | [`request_client_certificate`] |
//!
//! As there, a call only schedules: the next input or output begins the handshake. If there are two
//! calls before that, the later one decides.
//!
//! ## Where this differs, and why
//!
//! * *Pending* lasts until the handshake has ended. LibreSSL's page says "scheduled but not yet
//!   acted on"; OpenSSL 3.0, 4.0 and LibreSSL 4.3 all answer 1 until the end of the handshake, also
//!   for handshakes that the peer began. After a failed one OpenSSL stays at 1; here it is over.
//!   [`renegotiate_pending`](crate::Connection::renegotiate_pending) has a table of all cases.
//! * *A client's certificate that is asked for later* really is asked for: that handshake resumes
//!   nothing. With OpenSSL and LibreSSL a TLS client resumes its session, and the renegotiation
//!   succeeds without any certificate.
//! * *Counting.* OpenSSL counts when a ClientHello or HelloRequest is sent, and a server never
//!   counts what its clients begin. Here a renegotiation counts when it has completed, at both
//!   ends.
//! * *A call during a handshake* is an error here (`Pending`). OpenSSL counts it without effect,
//!   LibreSSL runs a second handshake afterwards.
//! * *Before the first handshake* the call is an error, as in LibreSSL. OpenSSL accepts it and
//!   fails later.
//! * *Limits that are too small* are refused, and the error names the range. LibreSSL ignores fewer
//!   than 512 bytes, and turns less than 60 seconds into 5.
//! * *Refusals do not end the association.* RFC 5246 §7.2.2 leaves that to the end that asked.
//!   OpenSSL and LibreSSL answer no_renegotiation with a fatal alert; here it is an event, and the
//!   old keys stay in force.
//! * *Data never ends a renegotiation.* Data of the old epoch is delivered whenever it arrives.
//!   OpenSSL and LibreSSL fail when data comes after the ServerHello, which mere reordering can
//!   cause, and Botan 2 fails when data comes after a HelloRequest. So by default (`Hold`) this end
//!   sends none at those times, for as long as the peer takes part, and some seconds more.
//! * *Silence does not hold data up for long.* A peer that does not answer a renegotiation holds
//!   data up for four and a half seconds ([`RekeyPolicy::hold_data_for`]); then data flows under
//!   the old keys, while the attempt goes on for a quarter of the handshake's deadline, 30 seconds.
//! * *HelloRequests are repeated* until they are answered, as in LibreSSL and unlike in OpenSSL;
//!   and one that crosses a ClientHello does no harm. Our client accepts the answer with
//!   message_seq 0 or 1. Those of OpenSSL and LibreSSL wait for message 0; so when a server's
//!   flight is sent again, a HelloVerifyRequest takes that number, which they answer, and then the
//!   numbers agree. For the same reason nothing is resumed after a HelloRequest over datagrams.
//! * *Key updates.* [`key_update_type`] is what is scheduled *or sent and not yet acknowledged*,
//!   also when the peer has asked for it; that of OpenSSL is only what is scheduled, and OpenSSL
//!   has no DTLS 1.3. A call while an update is under way is an error here (`Pending`), and so is a
//!   second request before the peer has answered the first (RFC 9846 §4.7.3); OpenSSL replaces the
//!   scheduled type. Data flows on: nothing waits for a key update.
//! * *A server whose client ignores a HelloRequest over a stream* stays in that state: an answer
//!   may still come, so [`renegotiate_pending`] remains true. Over datagrams the request is given
//!   up with `Unanswered`.
//!
//! ## A renegotiation that a DTLS server asks for
//!
//! ```text
//!  client                                    server                         epoch, message_seq
//!    │                                         │  renegotiate()
//!    │ ◄───────────────────── HelloRequest ────┤  until a ClientHello comes     n, 0
//!    │ ◄═══════════════════════════ data ═════►│  the client's data flows on;
//!    │                                         │  from here the server's waits
//!    ├──── ClientHello ───────────────────────►│  no session; the last cookie   n, 0
//!    │       renegotiation_info: the client's last Finished
//!    │       from here the client's data waits
//!    │ ◄──────── ServerHello, Certificate, ────┤                                n, 1 2
//!    │ ◄── ServerKeyExchange, ServerHelloDone ─┤                                n, 3 4
//!    │       renegotiation_info: both last Finished
//!    ├──── ClientKeyExchange ─────────────────►│                                n, 1
//!    ├──── [ChangeCipherSpec] ────────────────►│  the client's last record in n
//!    ├──── Finished ──────────────────────────►│                                n+1, 2
//!    │ ◄──────────────── NewSessionTicket ─────┤                                n, 5
//!    │ ◄────────────── [ChangeCipherSpec] ─────┤  the server's last record in n
//!    │ ◄────────────────────── Finished ───────┤                                n+1, 6
//!    │ ◄═══════════════════════════ data ═════►│  data that has waited leaves   n+1
//! ```
//!
//! Late records of epoch n are accepted for another four minutes (twice the maximum segment
//! lifetime); then its keys are dropped.
//!
//! ## A key update over datagrams
//!
//! ```text
//!  one end                                   the other                                epoch
//!    │  key_update(Requested)                  │
//!    ├──── KeyUpdate(update_requested) ───────►│  reads with n+1, and for a while n     n
//!    │ ◄═══════════════════════════ data ═════►│  flows on                              n
//!    │ ◄──────────────────────────────── ACK ──┤
//!    │  its sending keys: n+1                  │
//!    │ ◄─── KeyUpdate(update_not_requested) ───┤  with the next output                  n
//!    ├──── ACK ───────────────────────────────►│  its sending keys: n+1                 n+1
//! ```
//!
//! A KeyUpdate is repeated until it is acknowledged, for as long as the association lives; new keys
//! are never used before that (RFC 9147 §8), so at most two generations of a direction are in use.
//! A stream delivers everything, so its new keys count from the next record on. A peer that updates
//! its keys more than 32 times with no data in between is at fault, and the association ends.
//!
//! ## How it can end
//!
//! * *The peer says no_renegotiation before this end has switched keys:*
//!   [`RenegotiationRefused`]`(NoRenegotiation)`; the old keys stay in force.
//! * *This end's policy refuses a renegotiation that the peer asks for:* the peer is told, and
//!   `RenegotiationRefused(Policy)`; the old keys stay in force.
//! * *Silence before this end has switched keys, over datagrams:* data flows again after 4.5 s.
//!   After 30 s, or 120 s if the peer had begun to answer, `RenegotiationRefused(Unanswered)`; the
//!   old keys stay in force, and another attempt repeats the identical ClientHello.
//! * *The same over a stream:* before any answer as over datagrams, but the handshake stays
//!   pending; later the connection fails.
//! * *Silence after this end has switched keys:* the association fails.
//! * *A fatal alert, a wrong renegotiation_info, another certificate, a bad Finished:* the
//!   association fails.
//! * *Epoch 65,535 is in force, so no other can follow:* [`EpochsExhausted`], and the association
//!   ends when the keys are used up.
//!
//! After a refusal automatic rekeying waits for a minute. After each further attempt in a row
//! without an answer it waits twice as long, and a peer that has ignored seven is left alone until
//! a limit of the algorithm comes near. A key that has protected as many records as it may, and was
//! not replaced, ends the association with [`KeyExhausted`]. One that has seen half as many
//! forgeries as it may (RFC 9147 §4.5.3) should be replaced as well; at the limit the association
//! ends with [`TooManyForgeries`], and the peer gets the alert bad_record_mac.
//!
//! ## Which peers can be rekeyed with
//!
//! At version 1.3 every peer can: a key update is part of it. BoringSSL, pion, wolfSSL, OpenSSL and
//! GnuTLS follow one, and no data waits. **Where the version can be chosen, choose 1.3 for
//! associations that are to be rekeyed.** At 1.2 it depends on the peer. *Limits* below are those
//! of [`RekeyPolicy::bytes`] and [`RekeyPolicy::interval`]; those of the AEAD algorithms have the
//! same effect, only much later.
//!
//! * **OpenSSL 1.1.1 to 4.0.** Our client begins: works, but servers from 3.0 on refuse unless
//!   `SSL_OP_ALLOW_CLIENT_RENEGOTIATION` is set. Our server asks: works; a hello that crosses the
//!   request costs a second over datagrams. Limits: safe. It fails when data comes after the
//!   ServerHello, so keep `Hold`.
//! * **LibreSSL 4.3.** Our client begins: works, always as a full handshake, because it has no
//!   extended_master_secret. Its DTLS server refuses a hello that offers 1.3 beside 1.2, so set
//!   [`Versions::V1_2`]. Our server asks: works; its DTLS client fails in an abbreviated handshake,
//!   which does not occur, because without the extension nothing is resumed. Limits: safe, as with
//!   OpenSSL.
//! * **GnuTLS 3.7.** Our client begins: works if the application follows `GNUTLS_E_REHANDSHAKE`,
//!   otherwise it is ignored; after a HelloRequest of its own a DTLS server drops the first hello,
//!   which costs a second. Our server asks: works on the same condition; a HelloRequest that
//!   crosses its own hello is fatal to it. Limits: safe.
//! * **Mbed TLS 2.28, 3.6.** Our client begins: works if the application allows it
//!   (`mbedtls_ssl_conf_renegotiation`), otherwise no_renegotiation; a DTLS server fails when it
//!   gets its own cookie back, so that is not repeated ([`RekeyPolicy::repeat_cookie`]). Our server
//!   asks: works on the same condition. Limits: safe.
//! * **wolfSSL 5.9.** Both work if it is built with secure renegotiation and that is switched on.
//!   Limits: then safe.
//! * **Botan 2.19.** Our client begins: works if its policy allows it
//!   (`allow_client_initiated_renegotiation`), otherwise no_renegotiation; always a full handshake,
//!   because it has no extended_master_secret. Our server asks: the same
//!   (`allow_server_initiated_renegotiation`); its client fails when data comes after the request,
//!   so keep `Hold`. Limits: safe.
//! * **Erlang/OTP 25.** Our client begins: works, always as a full handshake, with a new cookie
//!   each time; a second one within some 12 s is refused. Our server asks: works. Limits: safe at
//!   intervals of a minute and more.
//! * **NSS 3.87, over TLS.** Our client begins: works. Our server asks: not known.
//! * **BoringSSL.** Either way **a fatal alert ends the association**. Limits: **they end it for
//!   certain**, so set none.
//! * **pion, webrtc-rs, werift, dimpl, tinydtls.** Either way ignored: `Unanswered` after 30 s.
//!   Limits: each time a gap of 4.5 s, less and less often, until the peer is left alone; the keys
//!   stay.
//!
//! A peer that refuses with no_renegotiation, as RFC 5246 §7.2.2 has it, costs a round trip and no
//! gap. OpenSSL and LibreSSL do not tolerate such a refusal from this end: if they ask for a
//! renegotiation that a policy here refuses, they are told so, and end the association themselves.
//!
//! ## Who the peer is afterwards
//!
//! The same as before, unless [`RekeyPolicy::identity_change`] allows something else: another
//! certificate, a missing one or another server name is a fatal error. A client that had shown no
//! certificate may show one. Every handshake is bound to the one before it by RFC 5746 and by
//! extended_master_secret (RFC 7627), unless a policy gives that up, and uses the latter exactly if
//! the one before it did.
//!
//! [`renegotiate`]: crate::Connection::renegotiate
//! [`renegotiate_abbreviated`]: crate::Connection::renegotiate_abbreviated
//! [`renegotiate_pending`]: crate::Connection::renegotiate_pending
//! [`renegotiations`]: crate::Connection::renegotiations
//! [`renegotiations_by`]: crate::record::Stats::renegotiations_by
//! [`request_client_certificate`]: crate::Connection::request_client_certificate
//! [`key_update`]: crate::Connection::key_update
//! [`key_update_type`]: crate::Connection::key_update_type
//! [`NotRequested`]: crate::KeyUpdate::NotRequested
//! [`Requested`]: crate::KeyUpdate::Requested
//! [`HandshakeComplete`]: crate::Event::HandshakeComplete
//! [`RenegotiationRefused`]: crate::Event::RenegotiationRefused
//! [`EpochsExhausted`]: crate::error::RenegotiateError::EpochsExhausted
//! [`KeyExhausted`]: crate::Error::KeyExhausted
//! [`TooManyForgeries`]: crate::Error::TooManyForgeries
//! [`Versions::V1_2`]: crate::config::Versions::V1_2
//! [`RekeyPolicy`]: crate::config::RekeyPolicy
//! [`RekeyPolicy::bytes`]: crate::config::RekeyPolicy::bytes
//! [`RekeyPolicy::interval`]: crate::config::RekeyPolicy::interval
//! [`RekeyPolicy::hold_data_for`]: crate::config::RekeyPolicy::hold_data_for
//! [`RekeyPolicy::repeat_cookie`]: crate::config::RekeyPolicy::repeat_cookie
//! [`RekeyPolicy::resume`]: crate::config::RekeyPolicy::resume
//! [`RekeyPolicy::identity_change`]: crate::config::RekeyPolicy::identity_change
//! [`RekeyPolicy::client_renegotiation`]: crate::config::RekeyPolicy::client_renegotiation
//! [`RekeyPolicy::follow_hello_requests`]: crate::config::RekeyPolicy::follow_hello_requests
