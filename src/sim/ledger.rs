//! What each end has sent to each address, and what it had received from there: whether anybody can
//! make it flood a third party (RFC 9853 §5).

use super::pair::in_one_form;
use crate::connection::Event;
use crate::endpoint::{AssociationId, Endpoint};
use crate::protocol::Side;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Instant;

/// The traffic of one end with one address, in bytes of UDP payload.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Account {
    /// What has come from there, but for datagrams of which everything was discarded.
    pub received: u64,
    /// What was sent there.
    pub sent: u64,
    /// What was sent there before it was proved that the peer receives there.
    pub sent_unproved: u64,
    /// Since when that is proved: by the handshake, which has its cookie, or by a check of the
    /// path.
    pub proved: Option<Instant>,
}

/// An end has sent more to an address that was not proved than three times what it had received
/// from there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overdraft {
    /// Whose fault it is.
    pub side: Side,
    /// Where the datagram has gone.
    pub address: SocketAddr,
    /// What that made of the account.
    pub account: Account,
    /// When it was sent.
    pub at: Instant,
}

/// The accounts of both ends.
#[derive(Default, Debug)]
pub struct Ledger {
    accounts: HashMap<(Side, SocketAddr), Account>,
    /// Associations whose first path is known.
    known: HashSet<(Side, AssociationId)>,
    overdrafts: Vec<Overdraft>,
}

/// How many times what came from an address may be sent to it (RFC 9853 §2).
const AMPLIFICATION: u64 = 3;

impl Ledger {
    /// What `side` has to do with `address`.
    pub fn account(&self, side: Side, address: SocketAddr) -> Account {
        let key = (side, in_one_form(address));
        self.accounts.get(&key).copied().unwrap_or_default()
    }

    /// Every breach of the rule.
    pub fn overdrafts(&self) -> &[Overdraft] {
        &self.overdrafts
    }

    fn entry(&mut self, side: Side, address: SocketAddr) -> &mut Account {
        self.accounts
            .entry((side, in_one_form(address)))
            .or_default()
    }

    /// The first address of an association is proved by its cookie, or was chosen by the
    /// application.
    pub(super) fn learn_first_paths(&mut self, now: Instant, side: Side, endpoint: &Endpoint) {
        for id in endpoint.associations() {
            if self.known.insert((side, id))
                && let Some(connection) = endpoint.connection(id)
            {
                let address = connection.path().remote();
                self.entry(side, address).proved.get_or_insert(now);
            }
        }
    }

    /// An end was told something by its endpoint.
    pub(super) fn learns(&mut self, now: Instant, side: Side, event: &Event) {
        if let Event::PathChanged(change) = event
            && change.validated
        {
            let account = self.entry(side, change.to.remote());
            account.proved.get_or_insert(now);
        }
    }

    /// An end sends a datagram.
    pub(super) fn sends(&mut self, now: Instant, side: Side, address: SocketAddr, bytes: usize) {
        let account = self.entry(side, address);
        account.sent += bytes as u64;
        if account.proved.is_some() {
            return;
        }
        account.sent_unproved += bytes as u64;
        if account.sent_unproved > AMPLIFICATION * account.received {
            let account = *account;
            self.overdrafts.push(Overdraft {
                side,
                address,
                account,
                at: now,
            });
        }
    }

    /// An end receives a datagram by `take`.
    pub(super) fn receives(
        &mut self,
        side: Side,
        address: SocketAddr,
        bytes: usize,
        endpoint: &mut Endpoint,
        take: impl FnOnce(&mut Endpoint),
    ) {
        let (taken, discarded) = counts(endpoint);
        take(endpoint);
        let (taken_now, discarded_now) = counts(endpoint);
        // What reaches no association is a hello or a stray, and no counter tells which.
        if taken_now != taken || discarded_now <= discarded {
            self.entry(side, address).received += bytes as u64;
        }
    }
}

/// How many records the associations of an endpoint have taken, and how many things they have
/// discarded.
fn counts(endpoint: &Endpoint) -> (u64, u64) {
    let connections = endpoint
        .associations()
        .filter_map(|id| endpoint.connection(id));
    connections.fold((0, 0), |(taken, discarded), connection| {
        let stats = connection.stats();
        let all: u64 = stats.discards().map(|(_, count)| count).sum();
        (taken + stats.records_received(), discarded + all)
    })
}
