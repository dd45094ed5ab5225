//! Later handshakes of a scripted peer: renegotiations and resumptions.

use super::hello::length_prefixed;
use super::{EXTENDED_MASTER_SECRET, ScriptedPeer, random};
use crate::protocol::{CipherSuite, ExtensionType, Side};
use crate::secrets::schedule12::{MASTER_SECRET_LEN, MasterSecret};

/// What a scripted peer keeps of a handshake to resume it, honestly or not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptedSession {
    /// The session ID that the server gave it; empty for none.
    pub id: Vec<u8>,
    /// The ticket that the server issued; empty for none.
    pub ticket: Vec<u8>,
    /// The suite.
    pub suite: u16,
    /// The master secret.
    pub master: [u8; MASTER_SECRET_LEN],
}

impl ScriptedPeer {
    /// Prepares for a renegotiation: messages are numbered from 0 again (RFC 6347 §4.2.2), randoms
    /// are fresh, no session is offered, and renegotiation_info will hold the verify_data of the
    /// last handshake that was completed (RFC 5746 §3.5, §3.7). An attempt that failed is
    /// forgotten.
    pub fn renegotiate(&mut self) {
        if self.verified.take().is_some() {
            self.epoch += 1;
            self.bound = self.finished.clone();
        }
        self.next_seq = 0;
        self.transcript.clear();
        self.exchange = None;
        self.secret.clear();
        self.master = None;
        self.keyed = false;
        self.resuming = None;
        self.inbound.begin_again();
        match self.side {
            Side::Client => self.renew_offer(),
            Side::Server => {
                self.choice.random = random();
                self.choice.extensions.clear();
                if !self.choice.session_id.is_empty() {
                    self.choice.session_id = random().to_vec();
                }
            }
        }
    }

    fn renew_offer(&mut self) {
        let offer = &mut self.offer;
        offer.random = random();
        offer.session_id.clear();
        offer
            .suites
            .retain(|&suite| suite != CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV.0);
        let info = length_prefixed(&self.bound[0]);
        offer.set_extension(ExtensionType::RENEGOTIATION_INFO.0, &info);
        if offer.extension(ExtensionType::SESSION_TICKET.0).is_some() {
            offer.set_extension(ExtensionType::SESSION_TICKET.0, &[]);
        }
    }

    /// The contents of a server's renegotiation_info: the verify_data of both ends, or nothing in a
    /// first handshake.
    pub fn server_info(&self) -> Vec<u8> {
        self.bound.concat()
    }

    /// The session of the handshake that is done, with the ticket that was issued in it.
    pub fn session(&self) -> ScriptedSession {
        let master = self.master.as_ref().map(|master| *master.as_bytes());
        ScriptedSession {
            id: self.choice.session_id.clone(),
            ticket: self.ticket.clone(),
            suite: self.choice.suite,
            master: master.unwrap_or([0; MASTER_SECRET_LEN]),
        }
    }

    /// Resumes this session. A client offers it, by ticket if there is one; a server echoes
    /// whatever ID the client offers and answers with the session's suite. The secret is used if
    /// the ID is echoed.
    pub fn resume(&mut self, session: &ScriptedSession) {
        self.resuming = Some(session.clone());
        if self.side == Side::Server {
            self.choice.suite = session.suite;
            return;
        }
        self.offer.session_id = session.id.clone();
        if session.ticket.is_empty() {
            return;
        }
        if session.id.is_empty() {
            // RFC 5077 §3.4: the echo of an ID shows that the ticket was taken.
            self.offer.session_id = random().to_vec();
        }
        let ticket = ExtensionType::SESSION_TICKET.0;
        self.offer.set_extension(ticket, &session.ticket);
    }

    /// Whether the ServerHello that was sent or received resumes a session.
    pub fn is_resuming(&self) -> bool {
        let echoed =
            !self.choice.session_id.is_empty() && self.choice.session_id == self.offer.session_id;
        self.resuming.is_some() && echoed
    }

    /// The master secret of this handshake: the session's, or one from whatever was exchanged.
    pub(super) fn agree(&self) -> MasterSecret {
        let hash = self.suite().hash;
        match &self.resuming {
            Some(session) if self.is_resuming() => MasterSecret::from_bytes(hash, session.master),
            _ if self.choice.extension(EXTENDED_MASTER_SECRET).is_some() => {
                MasterSecret::extended(hash, &self.secret, &self.transcript_hash())
            }
            _ => MasterSecret::legacy(hash, &self.secret, &self.randoms()),
        }
    }

    /// A server that resumes echoes the session ID of the client's hello.
    pub(super) fn echo_session(&mut self) {
        if self.resuming.is_some() && !self.offer.session_id.is_empty() {
            self.choice.session_id = self.offer.session_id.clone();
        }
    }
}
