//! Who the peer was before a renegotiation in which it has shown another identity.

use super::Connection;
use crate::handshake::Completed;
use crate::identity::Identity;
use crate::protocol::Epoch;
use crate::record::RecordLayer;
use std::collections::VecDeque;

/// How many earlier identities are remembered: more than one lets wait between two calls of `recv`.
const MAX_FORMER: usize = 8;

/// Earlier identities, each with the last epoch in which it was in force; the newest last.
#[derive(Default)]
pub(super) struct Former(VecDeque<(Epoch, Option<Identity>)>);

impl<R: RecordLayer> Connection<R> {
    /// Who the peer had proved to be in this epoch, which is that of something received: where a
    /// renegotiation may change identities
    /// ([`IdentityChange`](crate::config::IdentityChange)), what was sent before it and is fetched
    /// after it belongs to the earlier one. `None` if it had proved nothing, and for an epoch of
    /// eight identities ago.
    pub fn peer_identity_in(&self, epoch: Epoch) -> Option<&Identity> {
        let former = self.former.iter().flat_map(|former| &former.0);
        let mut former = former.skip_while(|(last, _)| *last < epoch);
        match former.next() {
            Some((_, identity)) => identity.as_ref(),
            None => self.peer_identity(),
        }
    }

    /// Remembers the identity that has been in force until now, if `next` has another one.
    pub(super) fn remember_identity(&mut self, next: &Completed) {
        let Some(current) = self.phase.established() else {
            return;
        };
        let identity = &current.agreed().peer_identity;
        if *identity == next.agreed().peer_identity {
            return;
        }
        let last = (current.read_epoch(), identity.clone());
        let former = &mut self.former.get_or_insert_default().0;
        former.push_back(last);
        if former.len() > MAX_FORMER {
            former.pop_front();
        }
    }
}
