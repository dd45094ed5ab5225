//! What an association says about itself. What its last handshake has agreed on, and who the peer
//! is, it says also when it is over, until it is dropped.

use super::phase::Phase;
use super::{Connection, HandshakeKind, Role};
use crate::error::Failure;
use crate::handshake::{Completed, CompletedKind};
use crate::identity::Identity;
use crate::protocol::{
    Alert, CipherSuite, Epoch, NamedGroup, ProtocolVersion, RecordLimits, Side, SignatureScheme,
    SrtpProfile,
};
use crate::record::{RecordLayer, Stats};
use crate::session::{Agreed, Session};

impl<R: RecordLayer> Connection<R> {
    /// Which end this is.
    pub fn side(&self) -> Side {
        self.role.side()
    }

    fn agreed(&self) -> Option<&Agreed> {
        self.phase.agreed()
    }

    /// The version in force, once the handshake is done; like all that was agreed it is known after
    /// the end of the association too.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.agreed().map(|agreed| agreed.version)
    }

    /// The cipher suite in force, once the handshake is done.
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        self.agreed().map(|agreed| agreed.suite.id)
    }

    /// The group of the key exchange, once the handshake is done; `None` where a pre-shared key is
    /// the only secret. Where a session of 1.2 was resumed it is that of the session; at 1.3 a
    /// resumption has an exchange of its own.
    pub fn key_exchange_group(&self) -> Option<NamedGroup> {
        self.phase.outcome()?.group
    }

    /// How much data a record has at most under the keys in force, in each direction
    /// (record_size_limit, RFC 8449; max_fragment_length, RFC 6066 §4). Over datagrams
    /// [`max_payload`](crate::DtlsConnection::max_payload) is less where the path carries less.
    pub fn record_limits(&self) -> RecordLimits {
        RecordLimits {
            sent: self.records.max_sent(),
            received: self.records.max_received(),
        }
    }

    /// How the keys in force came about, once the handshake is done.
    pub fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.phase.outcome().map(HandshakeKind::of)
    }

    /// A client's session, to be kept outside and put back with
    /// [`ClientConfig::import_session`](crate::ClientConfig::import_session); `None` before the
    /// handshake is done, after the end of the association, or if the server does not resume; at
    /// 1.3 until a ticket has come ([`Event::TicketReceived`](crate::Event::TicketReceived)). A
    /// server's sessions are in its store or in its tickets.
    pub fn session(&self) -> Option<Session> {
        let established = self.phase.established()?;
        if let Role::Server(_) = self.role {
            return None;
        }
        match &established.kind {
            CompletedKind::V12(established) => {
                let session = &established.session;
                let resumes = self.role.parameters().resumes(session);
                resumes.then(|| Session::from(session.clone()))
            }
            CompletedKind::V13(post) => post.latest_ticket().cloned().map(Session::from),
        }
    }

    /// The epoch that this end sends in, or has sent in until the end: 0 before the handshake is
    /// done.
    pub fn epoch(&self) -> Epoch {
        let epoch = match &self.phase {
            Phase::Closed { last } => last.as_ref().map(|it| it.epoch),
            live => live.established().map(Completed::epoch),
        };
        epoch.unwrap_or(Epoch::PLAINTEXT)
    }

    /// Who the peer has proved to be, also when the association is over; `None` before that, and
    /// for a client that showed no certificate and named no key.
    pub fn peer_identity(&self) -> Option<&Identity> {
        self.agreed()?.peer_identity.as_ref()
    }

    /// What the peer has proved that with: the scheme of its signature over the handshake, or over
    /// the one that has made the session which was resumed. `None` where nothing was signed: where
    /// [`Connection::peer_identity`] is `None`, or a pre-shared key.
    pub fn peer_signature_scheme(&self) -> Option<SignatureScheme> {
        self.agreed()?.peer_scheme
    }

    /// What this end has claimed to be in the handshake whose keys are in force; `None` if nothing,
    /// as where a session was resumed. With several credentials it tells which one was chosen.
    pub fn local_identity(&self) -> Option<&Identity> {
        self.phase.outcome()?.shown.as_deref()
    }

    /// The application protocol that was agreed (RFC 7301).
    pub fn alpn(&self) -> Option<&[u8]> {
        self.agreed()?.alpn.as_deref()
    }

    /// The profile of SRTP that was agreed (RFC 5764): never over a stream.
    pub fn srtp_profile(&self) -> Option<SrtpProfile> {
        self.phase.outcome()?.srtp
    }

    /// The DNS name that the client asked for.
    pub fn server_name(&self) -> Option<&str> {
        self.agreed()?.server_name.as_deref()
    }

    /// Whether the session is bound to its handshake (RFC 7627); at version 1.3 every one is.
    pub fn extended_master_secret(&self) -> bool {
        match &self.phase {
            Phase::Closed { last } => last.as_ref().is_some_and(|it| it.extended_master_secret),
            live => live
                .established()
                .is_some_and(Completed::extended_master_secret),
        }
    }

    /// Whether the server has asked for a second ClientHello, to prove the client's address or to
    /// change the group (RFC 8446 §4.1.4). `false` at version 1.2, whose HelloVerifyRequest is
    /// something else, and before the handshake is done.
    pub fn is_hello_retried(&self) -> bool {
        self.phase.outcome().is_some_and(|outcome| outcome.retried)
    }

    /// By how many seconds the ticket that was resumed with is older by the client's clock than by
    /// this server's, at 1.3 (RFC 8446 §4.2.11.1); negative if it is younger. It includes the time
    /// that the ticket and the hello took to arrive. `None` at a client and for any other
    /// handshake.
    pub fn ticket_age_skew(&self) -> Option<i32> {
        match &self.phase {
            Phase::Closed { last } => last.as_ref()?.ticket_age_skew,
            live => live.established()?.post_ref()?.ticket_age_skew(),
        }
    }

    /// Whether the first handshake is still going on. For a renegotiation see
    /// [`Connection::renegotiate_pending`].
    pub fn is_handshaking(&self) -> bool {
        matches!(self.phase, Phase::Initial(_))
    }

    /// The counters.
    pub fn stats(&self) -> &Stats {
        self.records.stats()
    }

    /// Why the association failed, with the state, the peer and the alert; `None` before an input
    /// has returned an error.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_deref()
    }

    /// A fatal alert that came without protection although keys exist. It was not believed and
    /// changed nothing.
    ///
    /// Anybody can forge one. But at version 1.2 a server's refusal of a client's certificate can
    /// come in no other form, so this may say why a handshake hangs. If the handshake times out,
    /// [`Error::TimedOut`](crate::Error::TimedOut) has it too.
    pub fn unauthenticated_alert(&self) -> Option<Alert> {
        self.records.disbelieved_alert()
    }
}
