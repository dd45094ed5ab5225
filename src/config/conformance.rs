//! What a judge of conformance wants otherwise than this library does it.
//!
//! None of it is for users: it serves the shim of BoringSSL's protocol runner (`bogo/`), which the
//! feature `conformance` is for, and this library's own tests of the same choices. Without the
//! feature a [`Conformance`] cannot be set or named, takes no memory, and every question that the
//! code asks of it has an answer that the compiler knows.

// Without the feature nothing outside this file makes one, and no choice is ever made.
#![cfg_attr(
    not(feature = "conformance"),
    allow(dead_code, unreachable_pub, unnameable_types)
)]

use crate::protocol::Epoch;
use std::ops::Deref;
use std::time::Duration;

/// How many warning alerts in a row, without data between them, are tolerated. Honest peers send
/// one or two in the life of a connection; over datagrams a refused renegotiation is one, and a
/// peer that asks again is refused again.
pub(crate) const MAX_WARNINGS: u8 = 32;

/// What a peer gets that wants to renegotiate and may not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RenegotiationRefusals {
    /// The warning no_renegotiation (RFC 5246 §7.2.2). The association goes on, if the peer wants
    /// that. The default.
    Warn,
    /// Nothing: it may wait for ever.
    Ignore,
    /// The fatal alert no_renegotiation: the association is over. Over a stream, a HelloRequest in
    /// the middle of a handshake ends it as well, which RFC 5246 §7.4.1.1 would have ignored.
    Fail,
}

/// What a judge of conformance wants otherwise than this library does it.
///
/// The default changes nothing. Some of these choices make an association easier to attack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conformance {
    /// Datagrams: a message in the clear that does not decode or has no place ends the attempt with
    /// an alert. Else it is counted and ignored, because anybody can send it.
    pub fail_by_plaintext_faults: bool,
    /// Datagrams at 1.2: how long after the last flight of a handshake a repeated one of the peer
    /// is answered by the same again, at the earliest; else a quarter of the first timeout.
    pub repeat_last_flight_after: Option<Duration>,
    /// Datagrams: a retransmission timer with less than this left counts as expired; else none.
    pub timer_slack: Duration,
    /// Datagrams at 1.3: handshake records are acknowledged after a quarter of the retransmission
    /// timeout, so that one acknowledgement names more of them, earlier ones too; and what an
    /// acknowledgement has left out is sent again by the timer. Else both happen at once where
    /// something is missing in the middle of a flight, and after the handshake (RFC 9147 §7.1).
    pub acknowledge_patiently: bool,
    /// Datagrams at 1.3: a flight leaves as a whole, however many records it takes; else in bursts
    /// of ten (RFC 9147 §5.8.3).
    pub whole_flights: bool,
    /// Datagrams at 1.3: the first flights, which nothing protects, are acknowledged, and
    /// acknowledgements of them believed (RFC 9147 §7). Else not: anybody can make one, and what it
    /// names would not be sent again.
    pub acknowledge_plaintext: bool,
    /// Datagrams at 1.3: a client that never acknowledges a ticket is given up, with
    /// [`Error::Unacknowledged`](crate::Error); else the ticket is.
    pub need_tickets_acknowledged: bool,
    /// Datagrams at 1.3: the last epoch of an association, 3 to 2^48 − 1; what lies outside counts
    /// as the nearest end. Else it is 2^48 − 1 (RFC 9147 §8). A key update that would go beyond it
    /// is refused at this end and a fault of the peer.
    pub last_epoch: u64,
    /// Datagrams: data that overtakes the peer's Finished is dropped; else it is kept until that
    /// was verified.
    pub drop_overtaking_data: bool,
    /// Streams: how many warning alerts in a row, without data between them, are tolerated; else
    /// 32.
    pub max_warnings: u8,
    /// Streams at 1.3: protected records must bear the version 1.2 outside; else the field is
    /// ignored, as RFC 8446 §5.1 wants it.
    pub check_record_version: bool,
    /// Streams at 1.3: early data that is passed over is counted with the headers and tags of its
    /// records; else the limit is one on data (RFC 8446 §4.2.10).
    pub count_early_records_whole: bool,
    /// A Finished of 1.3 that has the wrong length is answered with decrypt_error, like one with
    /// the wrong contents; else with decode_error (RFC 8446 §6.2).
    pub compare_finished_of_any_length: bool,
    /// What a peer gets that wants to renegotiate and may not; else a warning.
    pub refusals: RenegotiationRefusals,
    /// The peer's request for a key update is answered only when there is data to be sent, so that
    /// one answer serves several requests (RFC 8446 §4.6.3). Else it is answered at once.
    pub answer_key_updates_with_data: bool,
    /// The application protocol of the first handshake stays for good: a client offers none when it
    /// renegotiates, and refuses a server that answers one nevertheless; a server answers none.
    /// Else it is agreed anew (RFC 7301 §3.1).
    pub keep_application_protocol: bool,
    /// No keying material is exported while a renegotiation runs; else that of the handshake in
    /// force is.
    pub refuse_export_during_renegotiation: bool,
    /// Sessions of 1.2 without extended_master_secret are resumed, and nothing is renegotiated
    /// under such a one. An attacker between the two ends can make both believe that they share a
    /// session (RFC 7627 §5.3, §5.4); else they are not resumed.
    pub resume_without_extended_master_secret: bool,
    /// A peer of 1.2 that does not bind renegotiations is renegotiated with, where it is served at
    /// all. An attacker can put its own data in front of the client's (RFC 5746 §4.2, §4.4); else
    /// nothing is renegotiated with it.
    pub renegotiate_unbound: bool,
    /// Clients: a handshake fails in which no credential fits what the server asks for, although
    /// there are some; else none is shown (RFC 5246 §7.4.6, RFC 8446 §4.4.2).
    pub need_fitting_credential: bool,
    /// Clients: the server may choose an application protocol that was not offered; else that ends
    /// the handshake (RFC 9325 §3.8).
    pub take_unoffered_alpn: bool,
    /// Clients: the hello says that it is a second attempt, with a lower version than the client
    /// could speak, and a server that could have spoken more refuses it (RFC 7507 §4).
    pub fall_back: bool,
    /// Servers: a client is not told that the name which it asked for was used (RFC 6066 §3).
    pub hide_server_name: bool,
    /// Servers at 1.3: a client that has sent no share of the group which the server prefers is
    /// asked for one (RFC 8446 §4.1.4); else a share of any group that both have is used.
    pub ask_for_preferred_group: bool,
    /// Servers at 1.2: a client that does not list its groups is refused; else the server chooses
    /// (RFC 8422 §4), P-256 if it can.
    pub require_supported_groups: bool,
    /// Servers: a client that lists X.509 as its only type of certificate, or none, is answered
    /// with illegal_parameter; else the first does no harm, and the second is a decode_error
    /// (RFC 7250 §4.1).
    pub refuse_needless_certificate_types: bool,
    /// Servers: a client that accepts no certificate of a kind that is here is treated like one
    /// that accepts no signature of it, with handshake_failure; else it gets
    /// unsupported_certificate (RFC 7250 §4.2).
    pub take_certificate_types_for_signatures: bool,
    /// Servers at 1.3: tickets hold an extension that stands for nothing (RFC 8701 §4.1).
    pub grease_tickets: bool,
    /// Servers at 1.3: a client whose shared keys are all unknown is told so with
    /// handshake_failure; else it is told the same as one that has a wrong key (RFC 8446 §E.6).
    pub tell_unknown_keys: bool,
}

impl Conformance {
    /// What holds where nothing was chosen: what the library does by itself.
    const USUAL: Self = Self {
        fail_by_plaintext_faults: false,
        repeat_last_flight_after: None,
        timer_slack: Duration::ZERO,
        acknowledge_patiently: false,
        whole_flights: false,
        acknowledge_plaintext: false,
        need_tickets_acknowledged: false,
        last_epoch: Epoch::LIMIT_13.number(),
        drop_overtaking_data: false,
        max_warnings: MAX_WARNINGS,
        check_record_version: false,
        count_early_records_whole: false,
        compare_finished_of_any_length: false,
        refusals: RenegotiationRefusals::Warn,
        answer_key_updates_with_data: false,
        keep_application_protocol: false,
        refuse_export_during_renegotiation: false,
        resume_without_extended_master_secret: false,
        renegotiate_unbound: false,
        need_fitting_credential: false,
        take_unoffered_alpn: false,
        fall_back: false,
        hide_server_name: false,
        ask_for_preferred_group: false,
        require_supported_groups: false,
        refuse_needless_certificate_types: false,
        take_certificate_types_for_signatures: false,
        grease_tickets: false,
        tell_unknown_keys: false,
    };

    /// [`last_epoch`](Self::last_epoch), within its range.
    pub(crate) fn last_epoch(&self) -> Epoch {
        let range = (Epoch::APPLICATION_13.number(), Epoch::LIMIT_13.number());
        Epoch::new(self.last_epoch.clamp(range.0, range.1))
    }
}

impl Default for Conformance {
    fn default() -> Self {
        Self::USUAL
    }
}

/// The [`Conformance`] in force: what was chosen where something can be, else the usual, and then
/// it is of no size.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct InForce {
    #[cfg(any(test, feature = "conformance"))]
    chosen: Conformance,
}

#[cfg(any(test, feature = "conformance"))]
impl From<Conformance> for InForce {
    fn from(chosen: Conformance) -> Self {
        Self { chosen }
    }
}

impl Deref for InForce {
    type Target = Conformance;

    #[cfg(any(test, feature = "conformance"))]
    #[inline]
    fn deref(&self) -> &Conformance {
        &self.chosen
    }

    #[cfg(not(any(test, feature = "conformance")))]
    #[inline]
    fn deref(&self) -> &Conformance {
        &Conformance::USUAL
    }
}

// A feature that is off costs nothing.
#[cfg(not(any(test, feature = "conformance")))]
const _: () = assert!(size_of::<InForce>() == 0);
