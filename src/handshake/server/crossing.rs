//! A ClientHello that crosses this end's HelloRequest over datagrams.
//!
//! RFC 6347 §4.2.2 numbers a HelloRequest like any message, so that the ServerHello after it is
//! message 1. A client that began by itself before the HelloRequest came waits for message 0, and
//! OpenSSL and LibreSSL drop the HelloRequest without counting it (RFC 5246 §7.4.1.1): they wait
//! for ever. Nothing in a hello says which of the two it is.
//!
//! ```text
//!  client that has counted the HelloRequest   client that began before it
//!    ├── ClientHello, 0 ────────────────►       ├── ClientHello, 0 ────────────────►
//!    │ ◄────── ServerHello, 1 … ─────────┤      │ ◄────── ServerHello, 1 … ─────────┤  it awaits 0
//!    ├── ClientKeyExchange, 1 … ────────►       │                                   │  1 s later
//!                                               │ ◄─ HelloVerifyRequest, 0 ─────────┤
//!     with loss, HelloVerifyRequest, 0,         │ ◄────── ServerHello, 1 … ─────────┤  as before
//!     is an old message to it                   ├── ClientHello, 1, with the cookie ►
//!                                               ├── ClientKeyExchange, 2 … ────────►
//! ```
//!
//! So a flight that is sent again has HelloVerifyRequest where its HelloRequest was: a message that
//! such a client must take (§4.2.1), and after which the numbers agree. The flight itself stays
//! what it was, because the client may have parts of it; only the hello at the front of the
//! transcript is another one.

use crate::crypto::hash::HashAlgorithm;
use crate::error::{Error, PeerMisbehaved};
use crate::handshake::{Action, Outbox};
use crate::secrets::transcript::Transcript;
use crate::wire::client_hello::ClientHello;
use crate::wire::handshake::InboundMessage;

/// The hello that was answered after a HelloRequest.
pub(super) struct Crossing(Box<ClientHello>);

impl Crossing {
    pub(super) fn of(hello: &ClientHello) -> Self {
        Self(Box::new(hello.clone()))
    }

    /// The client has said its hello again, with a cookie, so it waits for the flight that was sent
    /// before. The hello takes the place of the first one in the transcript.
    ///
    /// # Errors
    ///
    /// `ChangedHello` if something else in it is not as it was.
    pub(super) fn cross(
        self,
        hello: &ClientHello,
        inbound: &InboundMessage,
        (hash, transcript): (HashAlgorithm, &mut Transcript),
        outbox: &mut Outbox,
    ) -> Result<(), Error> {
        let Self(mut first) = self;
        // RFC 6347 §4.2.1: the same parameters as before, and the cookie.
        first.cookie.clone_from(&hello.cookie);
        if *first != *hello {
            return Err(PeerMisbehaved::ChangedHello.into());
        }
        transcript.replace_first(hash, inbound.typ, inbound.seq, &inbound.body);
        outbox.push(Action::RepeatFlight);
        Ok(())
    }
}
