//! # Rekeying long-lived associations
//!
//! Keys of an association that lives for weeks should not live as long. AEAD algorithms allow a key only so many records
//! (RFC 9325 §4.4), and whoever steals a key should read little with it. At version 1.2 keys are replaced by a *renegotiation*:
//! a new handshake inside the association, protected by the keys in force, bound to the handshake before it (RFC 5746), and
//! followed by a new epoch. The association, its identities and its data go on.
//!
//! ## What leads to which handshake
//!
//! | on the client | TLS 1.2 | DTLS 1.2 |
//! | --- | --- | --- |
//! | [`renegotiate`](crate::Connection::renegotiate) | full: a new key exchange | full |
//! | [`renegotiate_abbreviated`](crate::Connection::renegotiate_abbreviated) | offers the session in force | offers the session in force |
//! | the server's HelloRequest | offers the session in force | **full, the historical rule of DTLS** |
//! | a limit of [`RekeyPolicy`] | full | full |
//!
//! On a server both calls are the same: they send a HelloRequest, and the client decides what comes of it. A session that
//! is offered is only an offer; [`Event::HandshakeComplete`](crate::Event::HandshakeComplete) says by its `kind` what
//! happened. A server that always needs a full handshake sets [`RekeyPolicy::resume`] to `false`; one that wants to see its
//! client's certificate calls [`request_client_certificate`](crate::Connection::request_client_certificate).
//!
//! At version 1.3, on either end and over either transport:
//!
//! | | what is sent | what changes |
//! | --- | --- | --- |
//! | [`key_update`](crate::Connection::key_update)`(`[`NotRequested`](crate::KeyUpdate::NotRequested)`)` | KeyUpdate(update_not_requested) | this end's sending keys |
//! | `key_update(`[`Requested`](crate::KeyUpdate::Requested)`)` | KeyUpdate(update_requested) | this end's, then the peer's |
//! | the peer's request | KeyUpdate(update_not_requested), with the next output | this end's; the peer's have changed already |
//! | a limit of [`RekeyPolicy`] | as `Requested`; as `NotRequested` while the peer still owes its own | |
//!
//! ## The calls, beside those of the manual pages
//!
//! | OpenSSL, LibreSSL | here |
//! | --- | --- |
//! | `SSL_renegotiate` | [`Connection::renegotiate`](crate::Connection::renegotiate) |
//! | `SSL_renegotiate_abbreviated` | [`Connection::renegotiate_abbreviated`](crate::Connection::renegotiate_abbreviated) |
//! | `SSL_renegotiate_pending` | [`Connection::renegotiate_pending`](crate::Connection::renegotiate_pending) |
//! | `SSL_num_renegotiations` | [`Connection::renegotiations`](crate::Connection::renegotiations), and by who began them [`Stats::renegotiations_by`](crate::Stats::renegotiations_by) |
//! | `SSL_key_update` | [`Connection::key_update`](crate::Connection::key_update) |
//! | `SSL_get_key_update_type` | [`Connection::key_update_type`](crate::Connection::key_update_type) |
//! | `BIO_set_ssl_renegotiate_bytes` | [`RekeyPolicy::bytes`] |
//! | `BIO_set_ssl_renegotiate_timeout` | [`RekeyPolicy::interval`] |
//! | `SSL_OP_NO_RENEGOTIATION` on a client | [`RekeyPolicy::follow_hello_requests`] |
//! | `SSL_OP_ALLOW_CLIENT_RENEGOTIATION` | [`RekeyPolicy::client_renegotiation`] |
//! | `SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION` | [`RekeyPolicy::resume`] |
//! | `SSL_set_verify`, then `SSL_renegotiate`, on a server | [`Connection::request_client_certificate`](crate::Connection::request_client_certificate) |
//!
//! A call schedules, as there: the next input or output begins the handshake. Of two calls before that the later one decides.
//!
//! ## Where this differs, and why
//!
//! * *Pending* lasts until the handshake has ended. LibreSSL's page says "scheduled but not yet acted on"; OpenSSL 3.0, 4.0
//!   and LibreSSL 4.3 all answer 1 until the end of the handshake, and do so for handshakes that the peer began. After a
//!   failed one OpenSSL stays at 1; here it is over.
//! * *A client's certificate asked for later* is asked for: that handshake resumes nothing. In OpenSSL and LibreSSL a TLS client
//!   resumes its session, and the renegotiation succeeds without any certificate.
//! * *Counting.* OpenSSL counts when a ClientHello or HelloRequest is sent, and a server never counts what its clients begin.
//!   Here a renegotiation counts when it has completed, at both ends.
//! * *A call during a handshake* is an error here (`Pending`). OpenSSL counts it without effect, LibreSSL runs a second
//!   handshake afterwards.
//! * *Before the first handshake* the call is an error, as in LibreSSL. OpenSSL accepts it and fails later.
//! * *Limits that are too small* are refused with the range. LibreSSL ignores fewer than 512 bytes, and turns less than 60
//!   seconds into 5.
//! * *Refusals do not end the association.* RFC 5246 §7.2.2 leaves that to whoever asked. OpenSSL and LibreSSL answer
//!   no_renegotiation with a fatal alert; here it is an event and the old keys go on.
//! * *Data never kills a renegotiation.* Data of the old epoch is delivered whenever it arrives. OpenSSL and LibreSSL die of data
//!   behind the ServerHello, which mere reordering brings about, and Botan 2 of data behind a HelloRequest; so by default this
//!   end sends none there (`Hold`), for as long as the peer takes part, and some seconds more.
//! * *Silence never stops the data for long.* A peer that says nothing to a renegotiation holds data up for four seconds and a half
//!   ([`RekeyPolicy::hold_data_for`]); then it flows on under the old keys, while the attempt goes on for a quarter of the
//!   handshake's deadline, 30 seconds.
//! * *HelloRequests are repeated* until they are answered, as in LibreSSL and not as in OpenSSL; and one that crosses a
//!   ClientHello does no harm. A client of ours takes the answer at message_seq 0 or 1. Those of OpenSSL and LibreSSL wait for
//!   message 0, so when a server's flight is sent again a HelloVerifyRequest stands there, which they answer, and then the numbers
//!   agree. For the same reason nothing is resumed behind a HelloRequest over datagrams.
//!
//! * *Key updates.* `key_update_type` is what is scheduled *or sent and not yet acknowledged*, also when the peer has asked
//!   for it; OpenSSL's tells only what is scheduled, and has no DTLS 1.3. A call while one is under way is an error here
//!   (`Pending`), and so is a second request before the peer has answered the first (RFC 9846 §4.7.3); OpenSSL replaces the
//!   scheduled type. Data flows on: nothing waits for a key update.
//! * *A server whose client ignores a HelloRequest over a stream* stays in that state: an answer may still come, so
//!   `renegotiate_pending` remains true. Over datagrams the request is given up with `Unanswered`.
//!
//! ## A renegotiation that a DTLS server asks for
//!
//! ```text
//!  client                                    server                                   epoch, message_seq
//!    │                                         │  renegotiate()
//!    │ ◄───────────────────── HelloRequest ────┤  repeated until a ClientHello comes    n, 0
//!    │ ◄═══════════════════════════ data ═════►│  the client's flows on; the server's waits from here
//!    ├──── ClientHello ───────────────────────►│  offers no session; the last cookie     n, 0
//!    │       renegotiation_info: client's last Finished; from here on the client's data waits
//!    │ ◄─────────────── ServerHello, Certificate, ServerKeyExchange, ServerHelloDone ──┤ n, 1 2 3 4
//!    │       renegotiation_info: both last Finished
//!    ├──── ClientKeyExchange ─────────────────►│                                         n, 1
//!    ├──── [ChangeCipherSpec] ────────────────►│  the last record of the client's epoch n
//!    ├──── Finished ──────────────────────────►│                                         n+1, 2
//!    │ ◄──────────────── NewSessionTicket ─────┤                                         n, 5
//!    │ ◄────────────── [ChangeCipherSpec] ─────┤  the last record of the server's epoch n
//!    │ ◄────────────────────── Finished ───────┤                                         n+1, 6
//!    │ ◄═══════════════════════════ data ═════►│  what has waited leaves now             n+1
//! ```
//!
//! Records of epoch n that are late are taken for four minutes more (twice the maximum segment lifetime), then its keys are
//! dropped.
//!
//! ## A key update over datagrams
//!
//! ```text
//!  one end                                   the other                                epoch
//!    │  key_update(Requested)                  │
//!    ├──── KeyUpdate(update_requested) ───────►│  its reading keys: n+1, and n for a while   n
//!    │ ◄═══════════════════════════ data ═════►│  flows on                              n
//!    │ ◄──────────────────────────────── ACK ──┤
//!    │  its sending keys: n+1                  │
//!    │ ◄─── KeyUpdate(update_not_requested) ───┤  with the next output                  n
//!    ├──── ACK ───────────────────────────────►│  its sending keys: n+1                 n+1
//! ```
//!
//! A KeyUpdate is repeated for as long as the association lives, until it is acknowledged; new keys are never used before
//! (RFC 9147 §8), so at most two generations of a direction are in use. A stream delivers everything, so its new keys count
//! from the next record on. Peers that update without end, with no data between, are an error after 32.
//!
//! ## What can come of it
//!
//! | what happens | datagrams | stream |
//! | --- | --- | --- |
//! | the peer says no_renegotiation before this end has switched keys | [`RenegotiationRefused`](crate::Event::RenegotiationRefused)`(NoRenegotiation)`, old keys go on | the same |
//! | the policy of this end refuses the peer's wish | the peer is told, `RenegotiationRefused(Policy)`, old keys go on, unless [`RekeyPolicy::refusals`] says otherwise | the same |
//! | silence before this end has switched keys | after 4.5 s data flows again, after 30 s, or 120 s if the peer had begun to answer, `RenegotiationRefused(Unanswered)`, old keys go on; another attempt repeats the identical ClientHello | before any answer: the same, but the handshake stays pending; later: the connection fails |
//! | silence after this end has switched keys | the association fails | the connection fails |
//! | a fatal alert, a wrong renegotiation_info, another certificate, a bad Finished | the association fails | the connection fails |
//! | epoch 65,535 is in force, and so no other can follow | [`RenegotiateError::EpochsExhausted`](crate::RenegotiateError::EpochsExhausted), and the end when the keys are used up | the same |
//!
//! After a refusal automatic rekeying waits ([`RekeyPolicy::retry_after`]), after each further attempt in a row without an answer
//! twice as long as before it, and a peer that has ignored seven is left alone until a limit of the algorithm comes near. A key that has protected as many records as it may,
//! and was not replaced, ends the association with [`Error::KeyExhausted`](crate::Error::KeyExhausted). One that has seen half as
//! many forgeries as it may (RFC 9147 §4.5.3) is to be replaced as well; at the limit
//! [`Error::TooManyForgeries`](crate::Error::TooManyForgeries) is the end, and the peer gets the alert bad_record_mac.
//!
//! ## Who can be rekeyed with, and what happens
//!
//! At version 1.3 everybody: a key update is part of it. BoringSSL, pion, wolfSSL, OpenSSL and GnuTLS follow one, and no data waits.
//! **Where the version can be chosen, choose 1.3 for associations that are to be rekeyed.** At 1.2 it depends on the peer, and
//! the column *limits* is what [`RekeyPolicy::bytes`] and [`RekeyPolicy::interval`] lead to; those of the AEAD algorithms come to the
//! same, only much later.
//!
//! | peer at 1.2 | a client of ours begins | a server of ours asks | limits |
//! | --- | --- | --- | --- |
//! | OpenSSL 1.1.1 to 4.0 | works, but servers from 3.0 on refuse unless `SSL_OP_ALLOW_CLIENT_RENEGOTIATION` is set | works; a hello that crosses the request costs a second over datagrams | safe; it dies of data behind ServerHello, so keep `Hold` |
//! | LibreSSL 4.3 | works; always full, as it has no extended_master_secret; a DTLS server of it refuses a hello that offers 1.3 beside 1.2, so set [`Versions::V1_2`](crate::config::Versions::V1_2) | works; its DTLS client dies of an abbreviated handshake, which none is | safe, as with OpenSSL |
//! | GnuTLS 3.7 | works if the application follows `GNUTLS_E_REHANDSHAKE`, else it is ignored; behind a HelloRequest of its own a DTLS server drops the first hello, which costs a second | works on the same condition; a HelloRequest that crosses its own hello is fatal to it | safe |
//! | Mbed TLS 2.28, 3.6 | works if the application allows it (`mbedtls_ssl_conf_renegotiation`), else no_renegotiation; a DTLS server dies of its own cookie, so that is not repeated ([`RekeyPolicy::repeat_cookie`]) | works on the same condition | safe |
//! | wolfSSL 5.9 | works if it is built with secure renegotiation and that is switched on | the same | safe then |
//! | Botan 2.19 | works if its policy allows it (`allow_client_initiated_renegotiation`), else no_renegotiation; always full, as it has no extended_master_secret | the same (`allow_server_initiated_renegotiation`); its client dies of data behind the request, so keep [`RekeyPolicy::hold_behind_hello_request`] | safe |
//! | Erlang/OTP 25 | works; always full, with a new cookie each time; a second one within some 12 s is refused | works | safe at intervals of a minute and more |
//! | NSS 3.87, over TLS | works | not known | |
//! | BoringSSL | **a fatal alert: the association ends** | **the same** | **the certain end**: set none |
//! | pion, webrtc-rs, werift, dimpl, tinydtls | ignored: `Unanswered` after 30 s | ignored, the same | a gap of 4.5 s each time, ever more seldom, until the peer is left alone; the keys stay |
//!
//! A peer that refuses with no_renegotiation, as RFC 5246 §7.2.2 has it, costs a round trip and no gap. OpenSSL and LibreSSL do not bear
//! such a refusal from this end: asked to renegotiate where a policy here says no, they are told, and end the association themselves.
//!
//! ## Who the peer is afterwards
//!
//! The same as before, unless [`RekeyPolicy::identity_change`] allows something else: another certificate, a missing one or
//! another server name is a fatal error. A client that had shown no certificate may show one. Every handshake is bound to the
//! one before it by RFC 5746 and by extended_master_secret (RFC 7627), unless a policy gives that up, and has the latter exactly if
//! the one before it had.
//!
//! [`RekeyPolicy`]: crate::config::RekeyPolicy
//! [`RekeyPolicy::bytes`]: crate::config::RekeyPolicy::bytes
//! [`RekeyPolicy::interval`]: crate::config::RekeyPolicy::interval
//! [`RekeyPolicy::hold_data_for`]: crate::config::RekeyPolicy::hold_data_for
//! [`RekeyPolicy::hold_behind_hello_request`]: crate::config::RekeyPolicy::hold_behind_hello_request
//! [`RekeyPolicy::repeat_cookie`]: crate::config::RekeyPolicy::repeat_cookie
//! [`RekeyPolicy::resume`]: crate::config::RekeyPolicy::resume
//! [`RekeyPolicy::refusals`]: crate::config::RekeyPolicy::refusals
//! [`RekeyPolicy::retry_after`]: crate::config::RekeyPolicy::retry_after
//! [`RekeyPolicy::identity_change`]: crate::config::RekeyPolicy::identity_change
//! [`RekeyPolicy::client_renegotiation`]: crate::config::RekeyPolicy::client_renegotiation
//! [`RekeyPolicy::follow_hello_requests`]: crate::config::RekeyPolicy::follow_hello_requests
