//! Keys that are put away while nobody uses them.
//!
//! ```text
//!   ready ── nothing read or written for a while ──► dormant
//!     ▲                                                │
//!     └── a record is written ◄────────────────────────┤
//!     └── a record authenticates ◄─────────────────────┘
//! ```
//!
//! A key that is ready for use is expanded, and takes half a kilobyte, which most of many
//! associations do not need at any moment. Dormant, it is the bytes that it was made from. The
//! numbers that belong to it stay. Anybody can send a record that has to be opened: unless it
//! authenticates, the keys that were made ready for it are dropped again.

use super::Records;
use super::epochs::{Protected, Reading, WriteEpoch, Writing};
use super::opening::{NotOpened, Opened};
use super::replay::ReplayWindow;
use crate::record::protection::{Opener, Sealer};
use crate::secrets::traffic::{Protections, RecordProtection};

/// A dormant epoch that can be read.
pub(super) struct Dormant {
    protection: RecordProtection,
    window: ReplayWindow,
    forgeries: u64,
    misses: u32,
    integrity_limit: u64,
    most: u16,
}

/// The same of one that can be written.
pub(super) struct DormantWriting {
    protection: RecordProtection,
    pub(super) max_contents: u16,
}

impl Reading {
    /// The most that a record may protect, in bytes; `None` without keys.
    pub(super) fn most(&self) -> Option<u16> {
        match self {
            Self::Plaintext => None,
            Self::Protected(protected) => Some(protected.opener.most()),
            Self::Dormant(dormant) => Some(dormant.most),
        }
    }

    /// One more than the highest number that was read; 0 if there was none.
    pub(super) fn next(&self) -> u64 {
        match self {
            Self::Plaintext => 0,
            Self::Protected(protected) => protected.window.next(),
            Self::Dormant(dormant) => dormant.window.next(),
        }
    }

    /// How many records have failed to authenticate, and how many may; `None` without keys.
    pub(super) fn forgeries(&self) -> Option<(u64, u64)> {
        match self {
            Self::Plaintext => None,
            Self::Protected(it) => Some((it.forgeries, it.opener.integrity_limit())),
            Self::Dormant(it) => Some((it.forgeries, it.integrity_limit)),
        }
    }

    /// Opens a record under keys that are at rest. They stay ready if it authenticates.
    #[cold]
    pub(super) fn open_dormant(
        &mut self,
        open: impl FnOnce(&mut Protected) -> Result<Opened, NotOpened>,
    ) -> Result<Opened, NotOpened> {
        let Self::Dormant(dormant) = self else {
            return Err(NotOpened::NoKeys);
        };
        let mut opener = Opener::new(&dormant.protection);
        opener.limit_to(dormant.most);
        let mut protected = Box::new(Protected {
            opener,
            window: std::mem::take(&mut dormant.window),
            forgeries: dormant.forgeries,
            misses: dormant.misses,
        });
        let opened = open(&mut protected);
        if let Err(NotOpened::Discard(_)) = opened {
            dormant.window = protected.window;
            dormant.forgeries = protected.forgeries;
            dormant.misses = protected.misses;
        } else {
            *self = Self::Protected(protected);
        }
        opened
    }
}

impl WriteEpoch {
    /// Makes keys ready that were dormant.
    #[inline]
    pub(super) fn wake(&mut self) {
        if let Writing::Dormant(_) = self.protection {
            self.make_ready();
        }
    }

    #[cold]
    fn make_ready(&mut self) {
        if let Writing::Dormant(dormant) = &self.protection {
            let mut sealer = Sealer::new(&dormant.protection);
            sealer.limit_contents(dormant.max_contents);
            self.protection = Writing::Protected(Box::new(sealer));
        }
    }
}

impl Records {
    /// How many records have come and gone in the epochs in force.
    pub(in super::super) fn used(&self) -> u64 {
        self.write.written() + self.read.newest.protection.next()
    }

    /// Whether the keys in force are dormant, in both directions.
    #[inline]
    pub(in super::super) const fn is_dormant(&self) -> bool {
        matches!(self.write.current.protection, Writing::Dormant(_))
            && matches!(self.read.newest.protection, Reading::Dormant(_))
    }

    /// Puts the keys away that were made from these protections. Those of older epochs stay as they
    /// are: what they were made from is gone.
    pub(in super::super) fn put_away(&mut self, protections: Protections) {
        let Protections { read, write } = protections;
        self.input = None;
        let newest = &mut self.read.newest;
        if newest.epoch == read.0
            && let Reading::Protected(protected) = &mut newest.protection
        {
            newest.protection = Reading::Dormant(Box::new(Dormant {
                protection: read.1,
                window: std::mem::take(&mut protected.window),
                forgeries: protected.forgeries,
                misses: protected.misses,
                integrity_limit: protected.opener.integrity_limit(),
                most: protected.opener.most(),
            }));
        }
        let current = &mut self.write.current;
        if current.epoch == write.0
            && let Writing::Protected(sealer) = &current.protection
        {
            current.protection = Writing::Dormant(Box::new(DormantWriting {
                protection: write.1,
                max_contents: sealer.max_contents(),
            }));
        }
    }
}
