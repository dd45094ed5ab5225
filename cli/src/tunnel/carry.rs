//! The data path: plain datagrams into an association, and what an association has received to a
//! plain socket. Both ends have both.

use super::plain::{Outlet, Plain, Run, Sent, count};
use super::status::Counters;
use sealgram::endpoint::AssociationId;
use sealgram::error::SendError;
use sealgram::net::UdpEndpoint;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// What happened beside what the counters say.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Sealed {
    /// How many datagrams were taken.
    pub(super) taken: u64,
    /// The longest datagram that did not fit, and the longest that would have.
    pub(super) too_large: Option<(usize, usize)>,
}

/// Sends datagrams of one sender through an association. Where its queue is full the socket is
/// given what waits; if that does not help, the rest is dropped.
///
/// # Errors
///
/// If the socket cannot be used.
pub(super) fn seal(
    endpoint: &mut UdpEndpoint,
    id: AssociationId,
    run: Run<'_>,
    counters: &mut Counters,
) -> io::Result<Sealed> {
    let mut sealed = Sealed::default();
    let mut datagrams = run.datagrams.chunks(run.size.max(1)).peekable();
    let mut was_flushed = false;
    'full: while datagrams.peek().is_some() {
        let Some(mut association) = endpoint.association(id) else {
            break;
        };
        while let Some(datagram) = datagrams.peek() {
            match association.send(datagram) {
                Ok(()) => {
                    sealed.taken += 1;
                    was_flushed = false;
                }
                Err(SendError::TooLarge { max } | SendError::BeyondPeerLimit { max }) => {
                    counters.dropped_too_large += 1;
                    let longest = sealed.too_large.map_or(0, |(length, _)| length);
                    sealed.too_large = Some((longest.max(datagram.len()), max));
                }
                Err(SendError::Backlog) if !was_flushed => {
                    drop(association);
                    endpoint.flush()?;
                    was_flushed = true;
                    continue 'full;
                }
                Err(SendError::Backlog | SendError::Renegotiating) => {
                    counters.dropped_backlog += 1;
                }
                Err(_) => counters.dropped_closed += 1,
            }
            datagrams.next();
        }
    }
    counters.dropped_closed += count(datagrams.count());
    counters.sealed += sealed.taken;
    Ok(sealed)
}

/// Gives everything that an association has received to a plain socket. Returns how many datagrams
/// that were, and what the system says about the plain side.
pub(super) fn open(
    endpoint: &mut UdpEndpoint,
    id: AssociationId,
    outlet: &mut Outlet,
    plain: &Plain,
    (to, from): (SocketAddr, Option<IpAddr>),
    counters: &mut Counters,
) -> (u64, Option<io::Error>) {
    let (mut received, mut said) = (0, None);
    let Some(mut association) = endpoint.association(id) else {
        return (0, None);
    };
    let next = |room: &mut [u8]| {
        let (length, _) = association.recv_into(room)?;
        received += 1;
        Some(length)
    };
    outlet.carry(plain, next, |datagrams, size| {
        let Sent {
            datagrams,
            bytes,
            lost,
            error,
        } = plain.send(to, from, datagrams, size);
        counters.plain_sent += datagrams;
        counters.plain_sent_bytes += bytes;
        counters.dropped_unsent += lost;
        said = error.or(said.take());
    });
    (received, said)
}
