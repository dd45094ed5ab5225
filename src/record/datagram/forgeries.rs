//! Records that do not authenticate, counted for each key (RFC 9325 §4.4, RFC 9147 §4.5.3).

use super::epochs::Reading;
use super::inbound::NotOpened;
use super::{Datagram, Progress};
use crate::protocol::Epoch;
use crate::record::Discard;

impl Datagram {
    /// The epoch that the peer writes in, as far as is known.
    fn read_in_force(&self) -> Option<Epoch> {
        match &self.progress {
            Progress::Handshaking { current, .. } => Some(*current),
            Progress::Established { epoch, .. } => Some(*epoch),
            Progress::Continuous(_) => self.read.newest(),
        }
    }

    /// Counts a record of `epoch` that does not authenticate, and says what comes of it.
    #[cold]
    pub(super) fn count_forgery(&mut self, epoch: Epoch) -> NotOpened {
        let in_force = self.read_in_force();
        let Some(Reading::Protected(protected)) =
            self.read.find(epoch).map(|it| &mut it.protection)
        else {
            return Discard::Unauthenticated.into();
        };
        protected.forgeries += 1;
        let (forgeries, limit) = (protected.forgeries, protected.opener.integrity_limit());
        let is_old = in_force.is_some_and(|in_force| epoch < in_force);
        if forgeries <= limit {
            // RFC 9147 §4.5.3: new keys are wanted before the limit. Those of an old epoch are gone soon anyway.
            if forgeries > limit / 2 && !is_old {
                self.attacked = Some(epoch);
            }
            return Discard::Unauthenticated.into();
        }
        // RFC 9325 §4.4: beyond the limit a forgery becomes likely, so the key must not go on. What is late under an old one is
        // less than the association.
        if is_old {
            self.read.retain(|known| known != epoch);
            return Discard::OldEpoch.into();
        }
        NotOpened::TooManyForgeries
    }

    /// As if so many records of the newest epoch had been forged.
    #[cfg(test)]
    pub(crate) fn suffer(&mut self, forgeries: u64) {
        let newest = self.read.newest().expect("there are keys");
        self.suffer_in(newest, forgeries);
    }

    /// As if so many records of this epoch had been forged.
    #[cfg(test)]
    pub(crate) fn suffer_in(&mut self, epoch: Epoch, forgeries: u64) {
        let read = self.read.find(epoch).expect("it can be read");
        let Reading::Protected(protected) = &mut read.protection else {
            panic!("the epoch has keys");
        };
        protected.forgeries = forgeries;
    }
}
