//! Data from one end to the other, as much as goes through or at a given rate.

use super::load::{Sender, Sent};
use super::phase::{Peer, Work};
use super::protocol::Order;
use super::traffic::Dial;
use crate::event_loop::Step;
use crate::problem::Problem;
use std::collections::BTreeMap;
use std::time::Instant;

/// Data from the client to the server.
pub(super) struct Upload<E: Dial> {
    order: Order,
    senders: BTreeMap<E::Id, Sender>,
}

impl<E: Dial> Upload<E> {
    /// What `order` says, from the client's end.
    pub(super) const fn new(order: Order) -> Self {
        Self {
            order,
            senders: BTreeMap::new(),
        }
    }

    /// How many messages were sent.
    pub(super) fn sent(&self) -> u64 {
        self.senders.values().map(Sender::sent).sum()
    }
}

impl<E: Dial> Work<E> for Upload<E> {
    /// A server that was told to drop everything sends none.
    fn data(&mut self, _: &mut E, _: &mut Peer<E::Id>, _: u64) {}

    fn advance(
        &mut self,
        now: Instant,
        endpoint: &mut E,
        peers: &mut BTreeMap<E::Id, Peer<E::Id>>,
    ) -> Result<Step, Problem> {
        let mut until = None::<Instant>;
        let mut more = false;
        for &id in peers.keys() {
            let order = &self.order;
            let sender = self.senders.entry(id);
            let sender = sender.or_insert_with(|| Sender::new(now, order, E::STREAM));
            if !endpoint.has_room(id) {
                continue;
            }
            match sender.advance(now, endpoint, id).map_err(unsent)? {
                Sent::Some => more = true,
                Sent::Full => {}
                Sent::NotBefore(moment) => {
                    until = Some(until.map_or(moment, |until| until.min(moment)));
                }
            }
        }
        Ok(match more {
            true => Step::Again,
            false => Step::Wait(until),
        })
    }
}

fn unsent(error: sealgram::error::SendError) -> Problem {
    Problem::failure(format!("a message could not be sent: {error}"))
}

/// Data from the server to the client, which only counts them.
pub(super) struct Download;

impl<E: Dial> Work<E> for Download {
    fn data(&mut self, _: &mut E, _: &mut Peer<E::Id>, _: u64) {}

    fn advance(
        &mut self,
        _: Instant,
        _: &mut E,
        _: &mut BTreeMap<E::Id, Peer<E::Id>>,
    ) -> Result<Step, Problem> {
        Ok(Step::Wait(None))
    }
}
