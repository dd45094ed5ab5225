//! Tickets of version 1.2 (RFC 5077).

use crate::session::{ServerSessions, Session12};
use crate::wire::new_session_ticket::NewSessionTicket;
use pki_types::UnixTime;
use std::sync::Arc;

/// A ticket for `session`; an empty one if none can be made, because one was promised
/// (RFC 5077 §3.3).
pub(super) fn new_session_ticket(
    sessions: &ServerSessions,
    session: &Arc<Session12>,
    now: UnixTime,
) -> Vec<u8> {
    let tickets = sessions.tickets.as_ref();
    let ticket = tickets.and_then(|tickets| tickets.seal(&session.clone().into(), now));
    let message = NewSessionTicket {
        lifetime_hint: if ticket.is_some() {
            session.remaining(now)
        } else {
            0
        },
        ticket: ticket.unwrap_or_default(),
    };
    let mut body = Vec::with_capacity(8 + message.ticket.len());
    message.encode(&mut body);
    body
}
