//! The connection IDs of an association: what the peer's records carry, and this end's
//! (RFC 9146 §3, RFC 9147 §9).
//!
//! At 1.2 each epoch has the ones that its handshake has agreed on. At 1.3 an association has them,
//! and either end may give the other more.

use super::{Form, Records};
use crate::protocol::{ConnectionId, ConnectionIds, Epoch, RecordNumber};

/// How many connection IDs the peer may use at a time.
const MAX_GIVEN: usize = 16;

/// The connection IDs of an association that has some, or may come to have some.
#[derive(Default)]
pub(super) struct Identification {
    /// What the peer was given, in this order.
    given: Box<[Given]>,
    /// What this end writes in every epoch that is installed from here on, while a handshake runs.
    theirs: Option<Box<ConnectionId>>,
    /// When the last one was heard that was not the one before, counted from 1.
    clock: u32,
    /// Whether the handshake that was completed last has agreed on checks of paths, and whether the
    /// one that runs has.
    checks: bool,
    checks_next: bool,
}

/// A connection ID that the peer was given.
struct Given {
    /// The first epoch that it belongs to; `None` while it is only offered.
    since: Option<Epoch>,
    id: ConnectionId,
    /// When it was heard last, by the clock of the list; 0 for never. Kept where there are several.
    heard: u32,
}

impl Identification {
    /// How long the connection ID is that these bytes begin with, if the peer was given it.
    #[inline]
    pub(super) fn length(&self, bytes: &[u8]) -> Option<usize> {
        let mut given = self.given.iter().rev();
        let found = given.find(|it| !it.id.is_empty() && bytes.starts_with(it.id.as_bytes()))?;
        Some(found.id.len())
    }

    /// The connection ID that records of `epoch` carry at 1.2, as far as it was agreed on.
    fn of_12(&self, epoch: Epoch) -> Option<&ConnectionId> {
        let agreed = |it: &&Given| it.since.is_some_and(|since| since <= epoch);
        let given = self.given.iter().rev().find(agreed)?;
        Some(&given.id).filter(|id| !id.is_empty())
    }

    /// Whether records of `epoch` carry a connection ID.
    #[inline]
    pub(super) fn is_expected(&self, epoch: Epoch) -> bool {
        self.of_12(epoch).is_some()
    }

    /// Whether a record of `epoch` may carry `id`. An epoch after those that are agreed on may turn
    /// out to be what `id` was offered for.
    pub(super) fn admits(&self, form: Form, epoch: Epoch, id: &[u8]) -> bool {
        let known = |it: &Given| it.id.as_bytes() == id;
        if form == Form::Unified {
            return self.given.iter().any(known);
        }
        let agreed = self.of_12(epoch).is_some_and(|it| it.as_bytes() == id);
        let may_be_next = self.given.iter().all(|it| it.since < Some(epoch));
        let is_offered = |it: &Given| it.since.is_none() && known(it);
        agreed || may_be_next && self.given.iter().any(is_offered)
    }

    /// Adds one. `false` if there is no room: what the peer may still use is not forgotten.
    fn give(&mut self, since: Option<Epoch>, id: ConnectionId) -> bool {
        if self.given.len() == MAX_GIVEN && !self.make_room() {
            return false;
        }
        let heard = 0;
        self.change(|given| {
            given.reserve_exact(1);
            given.push(Given { since, id, heard });
        });
        true
    }

    /// Forgets the one that was heard longest ago, if the peer has used another one since.
    fn make_room(&mut self) -> bool {
        let clock = self.clock;
        let given = self.given.iter().enumerate();
        let left = given.filter(|(_, it)| it.heard > 0 && it.heard != clock);
        let oldest = left.min_by_key(|(_, it)| it.heard).map(|(place, _)| place);
        let Some(oldest) = oldest else {
            return false;
        };
        self.change(|given| drop(given.remove(oldest)));
        true
    }

    /// A record with this connection ID has authenticated, and is newer than any before.
    fn heard(&mut self, id: &[u8]) {
        let known = self.given.iter_mut().find(|it| it.id.as_bytes() == id);
        if let Some(known) = known.filter(|it| it.heard == 0 || it.heard != self.clock) {
            self.clock = self.clock.checked_add(1).unwrap_or(1);
            known.heard = self.clock;
        }
    }

    /// Changes the list, which takes no more memory than it needs: most have one entry, for ever.
    fn change(&mut self, change: impl FnOnce(&mut Vec<Given>)) {
        let mut given = std::mem::take(&mut self.given).into_vec();
        change(&mut given);
        self.given = given.into();
    }

    /// Forgets what belongs to epochs before `oldest` alone.
    fn forget_before(&mut self, oldest: Epoch) {
        while let [first, second, ..] = &self.given[..]
            && first.since.is_some()
            && second.since.is_some_and(|since| since <= oldest)
        {
            self.change(|given| drop(given.remove(0)));
        }
    }
}

impl Records {
    /// The peer may be told of these connection IDs from here on. Those of 1.2 and of a first
    /// handshake count once the hellos have agreed on them; the records that carry them may
    /// overtake the hello that says so.
    ///
    /// Returns how many of them: there is a limit, and what the peer may still use counts.
    pub(in super::super) fn admit_ids(&mut self, ours: &[ConnectionId]) -> usize {
        let since = (self.form == Form::Unified).then_some(Epoch::PLAINTEXT);
        let wanted = ours.iter().filter(|id| !id.is_empty());
        wanted
            .take_while(|&id| self.ids.get_or_insert_default().give(since, id.clone()))
            .count()
    }

    /// A record with this connection ID has authenticated. One that is late says nothing about what
    /// the peer uses now.
    #[inline]
    pub(super) fn heard_id(&mut self, number: RecordNumber, id: &[u8]) {
        if let Some(ids) = &mut self.ids
            && ids.given.len() > 1
            && self.read.is_newest(number)
        {
            ids.heard(id);
        }
    }

    /// Every epoch that is installed from here on has these connection IDs.
    pub(in super::super) fn agree_on_ids(&mut self, agreed: ConnectionIds) {
        if self.ids.is_none() && agreed == ConnectionIds::default() {
            return;
        }
        let since = match self.form {
            Form::Unified => Epoch::HANDSHAKE_13,
            _ => self.in_force.next(Epoch::LIMIT_12).unwrap_or(self.in_force),
        };
        let ids = self.ids.get_or_insert_default();
        ids.change(|given| given.retain(|it| it.since.is_some()));
        ids.give(Some(since), agreed.ours);
        ids.theirs = Some(Box::new(agreed.theirs));
        ids.checks_next = agreed.checks;
    }

    /// What is written from here on carries this connection ID.
    pub(in super::super) fn use_id(&mut self, theirs: ConnectionId) {
        self.write.use_id(&theirs);
    }

    /// What the epochs that are installed from here on are written with.
    pub(in super::super) fn next_write_id(&self) -> ConnectionId {
        let agreed = self.ids.as_ref().and_then(|ids| ids.theirs.as_deref());
        match agreed {
            Some(agreed) => agreed.clone(),
            None => ConnectionId::new(self.write.current_id()),
        }
    }

    /// The handshake is done that has agreed on them.
    pub(super) fn ids_established(&mut self) {
        if let Some(ids) = &mut self.ids {
            ids.checks = ids.checks_next;
            ids.theirs = None;
            let is_empty = ids.given.iter().all(|it| it.id.is_empty());
            if is_empty && self.write.current_id().is_empty() && !ids.checks {
                self.ids = None;
            }
        }
    }

    /// It comes to nothing.
    pub(super) fn ids_abandoned(&mut self) {
        let in_force = self.in_force;
        if let Some(ids) = &mut self.ids {
            let is_in_force = |it: &Given| it.since.is_some_and(|since| since <= in_force);
            ids.change(|given| given.retain(is_in_force));
            ids.theirs = None;
            ids.checks_next = ids.checks;
        }
    }

    /// What belonged to epochs that are gone alone is gone as well.
    pub(super) fn forget_old_ids(&mut self) {
        let oldest = self.read.oldest();
        if let (Some(ids), Form::Full) = (&mut self.ids, self.form) {
            ids.forget_before(oldest);
        }
    }

    /// Whether paths may be checked (RFC 9853 §3).
    pub(in super::super) fn checks_paths(&self) -> bool {
        self.ids.as_ref().is_some_and(|ids| ids.checks)
    }

    /// Whether the records of the peer that are in force carry a connection ID.
    pub(in super::super) fn is_identified(&self) -> bool {
        let ids = self.ids.as_ref();
        ids.is_some_and(|ids| ids.is_expected(self.in_force))
    }

    /// Whether the handshake that runs has agreed that the records of the peer carry none any more.
    /// Those that come next are then found by their address alone.
    pub(in super::super) fn goes_anonymous(&self) -> bool {
        let last = self.ids.as_ref().and_then(|ids| ids.given.last());
        last.is_some_and(|last| last.since > Some(self.in_force) && last.id.is_empty())
    }

    /// Whether no record had a higher number than this one, which was read.
    pub(in super::super) fn is_newest(&self, number: RecordNumber) -> bool {
        self.read.is_newest(number)
    }

    /// What the peer puts into its records, the newest, and what this end puts into its own, as the
    /// handshake has agreed that is in force; `None` if it has not.
    pub(in super::super) fn ids(&self) -> Option<(ConnectionId, ConnectionId)> {
        let ids = self.ids.as_ref()?;
        let in_force = |it: &&Given| it.since.is_some_and(|since| since <= self.in_force);
        let ours = ids.given.iter().rev().find(in_force)?.id.clone();
        let theirs = ConnectionId::new(self.write.current_id());
        // What is left of an earlier agreement is for records that are late.
        let agreed = ids.checks || !ours.is_empty() || !theirs.is_empty();
        agreed.then_some((ours, theirs))
    }

    /// Whether these bytes of a header begin with a connection ID that the peer was given.
    pub(in super::super) fn knows_id(&self, at: &[u8]) -> bool {
        let ids = self.ids.as_ref();
        ids.is_some_and(|ids| ids.length(at).is_some())
    }
}
