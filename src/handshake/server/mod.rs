//! A server's states.
//!
//! ```text
//!  ClientHello                  ──►                                ExpectClientHello
//!                                      (what does the user say?)   ExpectHelloAnswer
//!                                      (is there a session?)       ExpectSession
//!                               ◄──  ServerHello
//!                               ◄──  Certificate
//!                                      (sign)                      ExpectSignature
//!                               ◄──  ServerKeyExchange
//!                               ◄──  CertificateRequest (maybe)
//!                               ◄──  ServerHelloDone
//!  Certificate (if asked)       ──►                                ExpectCertificate
//!                                      (is it trusted?)            ExpectClientVerified
//!  ClientKeyExchange            ──►                                ExpectClientKeyExchange
//!  CertificateVerify            ──►                                ExpectCertificateVerify
//!  [ChangeCipherSpec]           ──►
//!  Finished                     ──►                                ExpectFinished
//!                               ◄──  NewSessionTicket (maybe)
//!                               ◄──  [ChangeCipherSpec]
//!                               ◄──  Finished
//! ```
//!
//! When the session of the ClientHello is resumed:
//!
//! ```text
//!  ClientHello                  ──►                                ExpectClientHello
//!                                      (is there a session?)       ExpectSession
//!                                      (is its client trusted?)    ExpectSessionVerified
//!                               ◄──  ServerHello
//!                               ◄──  NewSessionTicket (maybe)
//!                               ◄──  [ChangeCipherSpec]
//!                               ◄──  Finished
//!  [ChangeCipherSpec]           ──►
//!  Finished                     ──►                                ExpectResumedFinished
//! ```
//!
//! Under a suite with a shared key there are no certificates, and so fewer messages
//! ([`shared_key`]). With a ClientHello of version 1.3 the flow is that of [`v13`].
//!
//! There is no HelloVerifyRequest: the cookie is checked before any handshake exists
//! (`endpoint/cookie`). The one that a crossing in a renegotiation leads to is made by the record
//! layer ([`crossing`]).

mod crossing;
mod full;
mod hello;
mod resumed;
mod shared_key;
mod terms;
mod ticket;
mod v12;
mod v13;

pub(crate) use hello::Settings;
pub(super) use hello::start;
pub(crate) use v13::choose;
