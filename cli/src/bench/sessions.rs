//! The sessions of a bench: many of one server, for as many handshakes at once.

use sealgram::pki_types::UnixTime;
use sealgram::session::{ClientSessionStore, Session, SessionKey};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sessions with the only server of a client, so that nothing depends on the key. They are younger
/// than the bench, which lasts no longer than they do.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    reusable: Option<Session>,
    single_use: VecDeque<Session>,
}

/// How many tickets are kept that are used once: one for each handshake that may be under way.
const MOST: usize = 1000;

impl Sessions {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What a thread that has panicked has left is as good as before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Sessions {
    fn put(&self, _: &SessionKey, session: Session, _: UnixTime) {
        let mut kept = self.kept();
        if !session.is_single_use() {
            kept.reusable = Some(session);
            return;
        }
        if kept.single_use.len() >= MOST {
            kept.single_use.pop_front();
        }
        kept.single_use.push_back(session);
    }

    fn get(&self, _: &SessionKey, _: UnixTime) -> Option<Session> {
        let mut kept = self.kept();
        let newest = kept.single_use.pop_back();
        newest.or_else(|| kept.reusable.clone())
    }

    fn remove(&self, _: &SessionKey) {
        *self.kept() = Kept::default();
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}
