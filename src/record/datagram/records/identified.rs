//! The connection IDs of an association: what the peer's records carry, and this end's
//! (RFC 9146 §3, RFC 9147 §9).
//!
//! At 1.2 each epoch has the ones that its handshake has agreed on. At 1.3 an association has them,
//! and either end may give the other more.

use super::{Form, Records};
use crate::protocol::{ConnectionId, ConnectionIds, Epoch, RecordNumber};
use std::ops::{Deref, DerefMut};

/// How many connection IDs the peer may use at a time.
const MAX_GIVEN: usize = 16;

/// The connection IDs of an association that has some, or may come to have some. Every association
/// that is asleep keeps this, so it is small where there is one ID and no handshake runs.
#[derive(Default)]
pub(super) struct Identification {
    /// What the peer was given, in this order.
    given: GivenIds,
    /// What the handshake has agreed on that runs, if one does.
    next: Option<Box<Next>>,
}

/// What a handshake has agreed on, until it is done.
struct Next {
    /// What this end writes in every epoch that is installed from here on.
    theirs: ConnectionId,
    /// Whether paths may be checked.
    checks: bool,
}

/// A list of what the peer was given.
enum GivenIds {
    /// As most have for ever.
    One(Given),
    /// None, or several.
    Several(Box<[Given]>),
}

impl Default for GivenIds {
    fn default() -> Self {
        Self::Several(Box::default())
    }
}

impl Deref for GivenIds {
    type Target = [Given];

    #[inline]
    fn deref(&self) -> &[Given] {
        match self {
            Self::One(given) => std::slice::from_ref(given),
            Self::Several(given) => given,
        }
    }
}

impl DerefMut for GivenIds {
    fn deref_mut(&mut self) -> &mut [Given] {
        match self {
            Self::One(given) => std::slice::from_mut(given),
            Self::Several(given) => given,
        }
    }
}

/// A connection ID that the peer was given.
struct Given {
    id: ConnectionId,
    /// The first epoch that it belongs to; `None` while it is only offered. Those of 1.2 have 16
    /// bits, and at 1.3 an agreement is in force from the handshake on.
    since: Option<u16>,
    /// Its place, from 1, among those that were heard, by when each was heard last; 0 for never.
    /// Kept where there are several.
    heard: u8,
    /// Whether the handshake that was completed last has agreed on checks of paths: the same in the
    /// whole list, where there is room for it.
    checks: bool,
}

impl Given {
    fn new(since: Option<Epoch>, id: ConnectionId, checks: bool) -> Self {
        let since = since.map(|it| u16::try_from(it.number()).unwrap_or(u16::MAX));
        Self {
            id,
            since,
            heard: 0,
            checks,
        }
    }

    #[inline]
    fn since(&self) -> Option<Epoch> {
        self.since.map(|it| Epoch::new(it.into()))
    }
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
        let agreed = |it: &&Given| it.since().is_some_and(|since| since <= epoch);
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
        let may_be_next = self.given.iter().all(|it| it.since() < Some(epoch));
        let is_offered = |it: &Given| it.since.is_none() && known(it);
        agreed || may_be_next && self.given.iter().any(is_offered)
    }

    /// Adds one. `false` if there is no room: what the peer may still use is not forgotten.
    fn give(&mut self, since: Option<Epoch>, id: ConnectionId) -> bool {
        if self.given.len() == MAX_GIVEN && !self.make_room() {
            return false;
        }
        let given = Given::new(since, id, self.checks());
        self.change(|all| {
            all.reserve_exact(1);
            all.push(given);
        });
        true
    }

    /// Forgets the one that was heard longest ago, if the peer has used another one since.
    fn make_room(&mut self) -> bool {
        let newest = self.newest();
        let given = self.given.iter().enumerate();
        let left = given.filter(|(_, it)| it.heard > 0 && it.heard != newest);
        let oldest = left.min_by_key(|(_, it)| it.heard).map(|(place, _)| place);
        let Some(oldest) = oldest else {
            return false;
        };
        self.change(|given| drop(given.remove(oldest)));
        true
    }

    /// A record with this connection ID has authenticated, and is newer than any before.
    fn heard(&mut self, id: &[u8]) {
        let newest = self.newest();
        let known = self.given.iter_mut().find(|it| it.id.as_bytes() == id);
        let Some(known) = known.filter(|it| it.heard == 0 || it.heard != newest) else {
            return;
        };
        known.heard = u8::MAX;
        // Those that were forgotten have left gaps.
        let mut places = [0; MAX_GIVEN];
        for (place, it) in places.iter_mut().zip(self.given.iter()) {
            *place = it.heard;
        }
        for it in self.given.iter_mut().filter(|it| it.heard > 0) {
            let up_to = 1..=it.heard;
            let rank = places.iter().filter(|place| up_to.contains(place)).count();
            it.heard = u8::try_from(rank).unwrap_or(u8::MAX);
        }
    }

    /// The place of the one that was heard last; 0 if none was.
    fn newest(&self) -> u8 {
        let heard = self.given.iter().map(|it| it.heard);
        heard.max().unwrap_or_default()
    }

    fn checks(&self) -> bool {
        self.given.first().is_some_and(|it| it.checks)
    }

    /// Changes the list, which takes no more memory than it needs: most have one entry, for ever.
    fn change(&mut self, change: impl FnOnce(&mut Vec<Given>)) {
        let mut given = match std::mem::take(&mut self.given) {
            GivenIds::One(given) => vec![given],
            GivenIds::Several(given) => given.into_vec(),
        };
        change(&mut given);
        self.given = match given.pop() {
            Some(only) if given.is_empty() => GivenIds::One(only),
            last => {
                given.extend(last);
                GivenIds::Several(given.into())
            }
        };
    }

    /// Forgets what belongs to epochs before `oldest` alone.
    fn forget_before(&mut self, oldest: Epoch) {
        while let [first, second, ..] = &self.given[..]
            && first.since.is_some()
            && second.since().is_some_and(|since| since <= oldest)
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
        ids.next = Some(Box::new(Next {
            theirs: agreed.theirs,
            checks: agreed.checks,
        }));
    }

    /// What is written from here on carries this connection ID.
    pub(in super::super) fn use_id(&mut self, theirs: ConnectionId) {
        self.write.use_id(&theirs);
    }

    /// What the epochs that are installed from here on are written with.
    pub(in super::super) fn next_write_id(&self) -> ConnectionId {
        let next = self.ids.as_ref().and_then(|ids| ids.next.as_ref());
        match next {
            Some(next) => next.theirs.clone(),
            None => ConnectionId::new(self.write.current_id()),
        }
    }

    /// The handshake is done that has agreed on them.
    pub(super) fn ids_established(&mut self) {
        if let Some(ids) = &mut self.ids {
            if let Some(next) = ids.next.take() {
                ids.given.iter_mut().for_each(|it| it.checks = next.checks);
            }
            let is_empty = ids.given.iter().all(|it| it.id.is_empty());
            if is_empty && self.write.current_id().is_empty() && !ids.checks() {
                self.ids = None;
            }
        }
    }

    /// It comes to nothing.
    pub(super) fn ids_abandoned(&mut self) {
        let in_force = self.in_force;
        if let Some(ids) = &mut self.ids {
            let is_in_force = |it: &Given| it.since().is_some_and(|since| since <= in_force);
            ids.change(|given| given.retain(is_in_force));
            ids.next = None;
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
        self.ids.as_ref().is_some_and(|ids| ids.checks())
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
        last.is_some_and(|last| last.since() > Some(self.in_force) && last.id.is_empty())
    }

    /// Whether no record had a higher number than this one, which was read.
    pub(in super::super) fn is_newest(&self, number: RecordNumber) -> bool {
        self.read.is_newest(number)
    }

    /// What the peer puts into its records, the newest, and what this end puts into its own, as the
    /// handshake has agreed that is in force; `None` if it has not.
    pub(in super::super) fn ids(&self) -> Option<(ConnectionId, ConnectionId)> {
        let ids = self.ids.as_ref()?;
        let in_force = |it: &&Given| it.since().is_some_and(|since| since <= self.in_force);
        let ours = ids.given.iter().rev().find(in_force)?.id.clone();
        let theirs = ConnectionId::new(self.write.current_id());
        // What is left of an earlier agreement is for records that are late.
        let agreed = ids.checks() || !ours.is_empty() || !theirs.is_empty();
        agreed.then_some((ours, theirs))
    }

    /// Whether these bytes of a header begin with a connection ID that the peer was given.
    pub(in super::super) fn knows_id(&self, at: &[u8]) -> bool {
        let ids = self.ids.as_ref();
        ids.is_some_and(|ids| ids.length(at).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u16) -> ConnectionId {
        ConnectionId::new(&number.to_be_bytes())
    }

    fn knows(ids: &Identification, number: u16) -> bool {
        ids.length(&number.to_be_bytes()).is_some()
    }

    /// RFC 9147 §9: what the peer may still use is known, however often it has changed before.
    #[test]
    fn n52_06_a_full_list_forgets_what_was_heard_longest_ago() {
        let mut ids = Identification::default();
        let since = Some(Epoch::PLAINTEXT);
        for number in 0..16 {
            assert!(ids.give(since, id(number)));
        }
        assert!(!ids.give(since, id(16)), "none was heard");
        ids.heard(id(3).as_bytes());
        assert!(
            !ids.give(since, id(16)),
            "the only one that was heard is in use"
        );
        for number in [5, 3, 9] {
            ids.heard(id(number).as_bytes());
        }
        assert!(ids.give(since, id(16)));
        assert!(!knows(&ids, 5) && knows(&ids, 3) && knows(&ids, 9));
        assert!(ids.give(since, id(17)));
        assert!(!knows(&ids, 3) && knows(&ids, 9));
        assert!(!ids.give(since, id(18)));
        // The peer goes on to the next one each time, for longer than a byte can count.
        let mut used = 9;
        for number in 18..1000 {
            let next = if number < 32 { number - 2 } else { number - 1 };
            ids.heard(id(next).as_bytes());
            assert!(ids.give(since, id(number)), "{number}");
            assert!(!knows(&ids, used) && knows(&ids, next), "{number}");
            assert_eq!(ids.given.len(), MAX_GIVEN);
            used = next;
        }
    }

    /// A list of one takes no memory of its own.
    #[test]
    fn one_is_kept_in_place() {
        let mut ids = Identification::default();
        ids.give(None, id(1));
        assert!(matches!(ids.given, GivenIds::One(_)));
        ids.give(None, id(2));
        assert!(matches!(&ids.given, GivenIds::Several(given) if given.len() == 2));
        ids.change(|given| given.truncate(1));
        assert!(matches!(&ids.given, GivenIds::One(one) if one.id == id(1)));
        ids.change(Vec::clear);
        assert!(matches!(&ids.given, GivenIds::Several(given) if given.is_empty()));
        #[cfg(target_pointer_width = "64")]
        assert_eq!(size_of::<Identification>(), 40);
    }
}
