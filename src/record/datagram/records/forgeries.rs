//! Records that do not authenticate, counted for each key (RFC 9325 §4.4, RFC 9147 §4.5.3).

use super::Records;
use super::epochs::Protected;
use super::opening::NotOpened;
use crate::protocol::Epoch;
use crate::record::{Discard, Fault, protection};

impl Protected {
    /// Counts a record that does not authenticate, and says what is wrong with it.
    #[cold]
    pub(super) const fn not_opened(&mut self, why: protection::NotOpened) -> NotOpened {
        match why {
            // Nothing was tried against the key.
            protection::NotOpened::TooShort => {}
            protection::NotOpened::Forged => self.forgeries += 1,
            protection::NotOpened::NoContentType => {
                return NotOpened::Fault(Fault::NoContentType);
            }
            protection::NotOpened::Overlong => return NotOpened::Fault(Fault::RecordOverflow),
            // RFC 8449 §4 leaves the choice between this and an end.
            protection::NotOpened::BeyondLimit => {
                return NotOpened::Discard(Discard::OverlongRecord);
            }
        }
        NotOpened::Discard(Discard::Unauthenticated)
    }
}

impl Records {
    /// What comes of it that a record of `epoch` does not authenticate.
    #[cold]
    pub(super) fn weigh_forgeries(&mut self, epoch: Epoch) -> NotOpened {
        let known = self.read.find(epoch);
        let Some((forgeries, limit)) = known.and_then(|it| it.protection.forgeries()) else {
            return Discard::Unauthenticated.into();
        };
        let is_old = epoch < self.in_force;
        if forgeries <= limit {
            // RFC 9147 §4.5.3: new keys are wanted before the limit. Those of an old epoch are
            // gone soon anyway.
            if forgeries > limit / 2 && !is_old {
                self.attacked = Some(Box::new(epoch));
            }
            return Discard::Unauthenticated.into();
        }
        // RFC 9325 §4.4: beyond the limit a forgery becomes likely, so the key must not go on. What
        // is late under an old one is worth less than the association.
        if is_old {
            self.read.retain(|known| known != epoch);
            return Discard::OldEpoch.into();
        }
        NotOpened::Fault(Fault::TooManyForgeries)
    }

    /// As if so many records of this epoch, or of the newest one, had been forged.
    #[cfg(test)]
    pub(in super::super) fn suffer(&mut self, epoch: Option<Epoch>, forgeries: u64) {
        let epoch = epoch.unwrap_or(self.read.newest());
        let read = self.read.find(epoch).expect("it can be read");
        let super::epochs::Reading::Protected(protected) = &mut read.protection else {
            panic!("the epoch has keys");
        };
        protected.forgeries = forgeries;
    }
}
