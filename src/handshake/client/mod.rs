//! A client's states.
//!
//! ```text
//!  ClientHello                  ──►
//!                               ◄──  HelloVerifyRequest            ExpectServerHello
//!  ClientHello (with cookie)    ──►
//!                               ◄──  ServerHello                   ExpectServerHello
//!                               ◄──  Certificate                   ExpectCertificate
//!                               ◄──  ServerKeyExchange             ExpectServerKeyExchange
//!                               ◄──  CertificateRequest (maybe)    ExpectCertificateRequest
//!                               ◄──  ServerHelloDone               ExpectServerHelloDone
//!    (is this server trusted?)                                     ExpectServerVerified
//!  Certificate (if asked)       ──►
//!  ClientKeyExchange            ──►
//!    (sign, with a certificate)                                    ExpectSignature
//!  CertificateVerify            ──►
//!  [ChangeCipherSpec]           ──►
//!  Finished                     ──►
//!                               ◄──  NewSessionTicket (promised)   ExpectTicket
//!                               ◄──  [ChangeCipherSpec]
//!                               ◄──  Finished                      ExpectFinished
//! ```
//!
//! Under a suite with a shared key there are no certificates, and so fewer messages
//! (`v12/shared_key`). After a ServerHello of version 1.3 the flow is that of [`v13`].
//!
//! When the server resumes the session that was offered:
//!
//! ```text
//!  ClientHello                  ──►
//!                               ◄──  ServerHello                   ExpectServerHello
//!                               ◄──  NewSessionTicket (promised)   ExpectResumedTicket
//!                               ◄──  [ChangeCipherSpec]
//!                               ◄──  Finished                      ExpectResumedFinished
//!  [ChangeCipherSpec]           ──►
//!  Finished                     ──►
//! ```

mod compose;
mod cookie;
mod hello;
mod offer;
mod psk;
mod resumed;
mod retry;
mod shares;
mod v12;
mod v13;

pub(crate) use super::state::OfferedHello;
pub(super) use hello::start;
pub(crate) use hello::{Renegotiating, Settings};
pub(crate) use offer::dns_name;
