//! A server's states of version 1.3.
//!
//! ```text
//!  ClientHello                  ──►                                ExpectClientHello
//!                               ◄──  HelloRetryRequest (maybe)     ExpectSecondHello
//!  ClientHello                  ──►
//!                                      (was a ticket dropped?)     ExpectDroppedTicket
//!                                      (is there a ticket?)        ExpectTicket
//!                                      (is its client trusted?)    ExpectTicketVerified
//!                                      (is there a shared key?)    ExpectSharedKey
//!                               ◄──  ServerHello
//!                               ◄──  {EncryptedExtensions}
//!                               ◄──  {CertificateRequest} (maybe)
//!                               ◄──  {Certificate}
//!                                      (sign)                      ExpectSignature
//!                               ◄──  {CertificateVerify}
//!                               ◄──  {Finished}
//!  {Certificate} (if asked)     ──►                                ExpectCertificate
//!                                      (is it trusted?)            ExpectClientVerified
//!  {CertificateVerify}          ──►                                ExpectCertificateVerify
//!  {Finished}                   ──►                                ExpectFinished
//! ```
//!
//! Braces stand for epoch 2. With a ticket or a shared key there are no certificates. Over
//! datagrams the HelloRetryRequest comes from the endpoint, before any handshake exists
//! (`endpoint/cookie`).

mod choice;
mod flight;
mod proof;
mod psk;

pub(crate) use choice::choose;
pub(super) use choice::start;
