//! The peer's address changes: whether it is followed, and how the new one is proved (RFC 9146 §6,
//! RFC 9853).
//!
//! ```text
//!             a newer record than any before, from elsewhere
//!   at rest ─────────────────────────────────────────────────► check
//!      ▲                                                         │
//!      │   (enhanced: the old path is asked first)               │
//!      ├── path_response on the old path: nothing moves ◄────────┤
//!      │                    path_drop, or silence                ▼
//!      ├── path_response on the new path: the association moves ◄┤
//!      └── silence: nothing moves ◄──────────────────────────────┘
//! ```
//!
//! Until then everything but challenges goes to the old address, and no more than three times what
//! came from the new one goes there. There is one candidate at a time; what comes from a third
//! address meanwhile starts nothing (RFC 9853 §5), and its newest record after the check does.

use super::phase::Phase;
use super::{Connection, Event, PathChange};
use crate::config::Migration;
use crate::error::Error;
use crate::protocol::Path;
use crate::record::{Discard, Elsewhere, RecordLayer};
use crate::wire::return_routability::{COOKIE_LEN, Cookie, PathMessage};
use std::time::{Duration, Instant};

/// How many challenges one path gets in one check: RFC 9853 §5.3 lets there be several, so that the
/// loss of one costs no more than a part of the time.
const CHALLENGES: u32 = 3;

/// How many times what came from an address that is not proved is sent there at most
/// (RFC 9853 §2).
const AMPLIFICATION: usize = 3;

/// Which path is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    /// The one in use: whether the peer has really left it.
    Old,
    /// The one that the peer seems to use now.
    New,
}

/// A check that runs.
pub(super) struct PathCheck {
    candidate: Path,
    /// What may still be sent to the candidate, in bytes.
    budget: usize,
    asked: Asked,
    /// What was asked on that path. Each is answered once.
    cookies: Vec<Cookie>,
    /// How many challenges are to come.
    left: u32,
    /// When the next challenge is sent, or the check of this path is over.
    next: Instant,
}

impl<R: RecordLayer> Connection<R> {
    /// Looks at where the last datagram came from.
    #[inline]
    pub(super) fn follow_path(&mut self, now: Instant) -> Result<(), Error> {
        match self.records.take_elsewhere() {
            None => Ok(()),
            Some(elsewhere) => self.came_from_elsewhere(now, &elsewhere),
        }
    }

    /// Something under keys has come from another address than the peer's.
    #[cold]
    fn came_from_elsewhere(&mut self, now: Instant, elsewhere: &Elsewhere) -> Result<(), Error> {
        let Elsewhere {
            path,
            bytes,
            answered,
            newest,
        } = *elsewhere;
        // The answer to a challenge has come from where the association has just moved.
        if path.is_same_way(&self.records.path()) {
            return Ok(());
        }
        if let Some(check) = &mut self.path_check {
            if check.candidate.is_same_way(&path) {
                check.budget = (check.budget + AMPLIFICATION * bytes).saturating_sub(answered);
            }
            return Ok(());
        }
        // RFC 9146 §6: a record that is late or was held back says nothing about where the peer is.
        let is_up = !matches!(self.phase, Phase::Initial(_) | Phase::Closed { .. });
        if !newest || !is_up {
            return Ok(());
        }
        let budget = (AMPLIFICATION * bytes).saturating_sub(answered);
        match self.role.parameters().datagram.migration {
            Migration::Never => Ok(()),
            Migration::Newest => {
                self.move_to(path, false);
                Ok(())
            }
            // RFC 9146 §6: without a way to prove the address nothing moves.
            Migration::Validated | Migration::Enhanced if !self.records.checks_paths() => Ok(()),
            Migration::Validated => self.begin_check(now, path, budget, Asked::New),
            Migration::Enhanced => self.begin_check(now, path, budget, Asked::Old),
        }
    }

    fn begin_check(
        &mut self,
        now: Instant,
        candidate: Path,
        budget: usize,
        asked: Asked,
    ) -> Result<(), Error> {
        tracing::debug!(%candidate, ?asked, "the peer seems to have moved");
        self.path_check = Some(Box::new(PathCheck {
            candidate,
            budget,
            asked,
            cookies: Vec::new(),
            left: CHALLENGES,
            next: now,
        }));
        self.go_on_checking(now)
    }

    /// Asks once more, or gives up, if it is time.
    pub(super) fn go_on_checking(&mut self, now: Instant) -> Result<(), Error> {
        // RFC 9853 §5.5: three round trips, or a second where nobody knows how long one takes. That
        // is what the first retransmission timeout is as well.
        let pace = self.records.round_trip_limit() / CHALLENGES;
        let Some(check) = self.path_check.as_mut().filter(|it| it.next <= now) else {
            return Ok(());
        };
        if check.left == 0 {
            return self.path_is_silent(now);
        }
        check.left -= 1;
        check.next = now + pace.max(MIN_PACE);
        let path = match check.asked {
            Asked::Old => self.records.path(),
            Asked::New => check.candidate,
        };
        let mut cookie = [0; COOKIE_LEN];
        self.role.parameters().random.fill(&mut cookie)?;
        let message = PathMessage::Challenge(cookie).encode();
        let length = self.records.path_message_len();
        if check.asked == Asked::New {
            if length > check.budget {
                return Ok(());
            }
            check.budget -= length;
        }
        check.cookies.push(cookie);
        self.records.send_path_message(path, &message);
        Ok(())
    }

    /// Nothing has come back.
    fn path_is_silent(&mut self, now: Instant) -> Result<(), Error> {
        let Some(mut check) = self.path_check.take() else {
            return Ok(());
        };
        if check.asked == Asked::Old {
            check.ask_new(now);
            self.path_check = Some(check);
            return self.go_on_checking(now);
        }
        tracing::debug!(candidate = %check.candidate, "the peer is not there");
        let path = Box::new(check.candidate);
        self.events.push_back(Event::PathNotValidated(path));
        Ok(())
    }

    /// A message about paths has come by `path`.
    #[cold]
    pub(super) fn take_path_message(
        &mut self,
        now: Instant,
        path: Path,
        contents: &[u8],
    ) -> Result<(), Error> {
        let message = PathMessage::decode(contents);
        let Some(message) = message.filter(|_| self.records.checks_paths()) else {
            self.records.stats_mut().discard(Discard::PathCheck);
            return Ok(());
        };
        match message {
            PathMessage::Challenge(cookie) => self.answer_challenge(path, cookie),
            PathMessage::Response(cookie) => return self.path_answered(now, path, &cookie, true),
            PathMessage::Drop(cookie) => return self.path_answered(now, path, &cookie, false),
            PathMessage::Unknown => {}
        }
        Ok(())
    }

    /// RFC 9853 §5.4: at once, once, and by the way that the challenge came. This end has left the
    /// local addresses that it does not send from any more.
    fn answer_challenge(&mut self, path: Path, cookie: Cookie) {
        let preferred = self.records.path().local();
        let left = match (preferred, path.local()) {
            (Some(preferred), Some(arrived)) => preferred != arrived,
            _ => false,
        };
        let answer = match left {
            false => PathMessage::Response(cookie),
            true => PathMessage::Drop(cookie),
        };
        if !self.records.send_path_message(path, &answer.encode()) {
            self.records.stats_mut().discard(Discard::PathCheck);
        }
    }

    /// The peer has received a challenge; `stays` is whether it still uses that path.
    fn path_answered(
        &mut self,
        now: Instant,
        path: Path,
        cookie: &Cookie,
        stays: bool,
    ) -> Result<(), Error> {
        let in_use = self.records.path();
        let answered = self.path_check.take_if(|check| {
            // An answer by another way than it was asked on proves nothing about that one.
            let asked = match check.asked {
                Asked::Old => &in_use,
                Asked::New => &check.candidate,
            };
            asked.is_same_way(&path) && check.cookies.contains(cookie)
        });
        let Some(mut check) = answered else {
            self.records.stats_mut().discard(Discard::PathCheck);
            return Ok(());
        };
        match (check.asked, stays) {
            // Somebody has copied the peer's datagram from elsewhere (RFC 9853 §5.2).
            (Asked::Old, true) => tracing::debug!(candidate = %check.candidate, "the peer stays"),
            (Asked::Old, false) => {
                check.ask_new(now);
                self.path_check = Some(check);
                return self.go_on_checking(now);
            }
            (Asked::New, true) => self.move_to(check.candidate, true),
            (Asked::New, false) => {}
        }
        Ok(())
    }

    /// From here on the peer is there.
    fn move_to(&mut self, to: Path, validated: bool) {
        let from = self.records.path();
        tracing::debug!(%from, %to, validated, "the peer has moved");
        self.records.move_to(to);
        self.use_fresh_connection_id();
        self.events
            .push_back(Event::PathChanged(Box::new(PathChange {
                from,
                to,
                validated,
            })));
    }

    /// RFC 9147 §9: what is in the clear must not show that two paths lead to one peer. Whoever has
    /// no connection ID to spare, and everybody at version 1.2, goes on with the one in use.
    pub(super) fn use_fresh_connection_id(&mut self) {
        if let Some(id) = self.phase.post().and_then(|post| post.take_spare()) {
            self.records.use_connection_id(id);
        }
    }

    /// When a check goes on.
    #[inline]
    pub(super) fn path_deadline(&self) -> Option<Instant> {
        self.path_check.as_ref().map(|check| check.next)
    }
}

/// The shortest time between two challenges.
const MIN_PACE: Duration = Duration::from_millis(1);

impl PathCheck {
    /// The peer has left the path in use, or is not heard there.
    fn ask_new(&mut self, now: Instant) {
        self.asked = Asked::New;
        self.cookies.clear();
        self.left = CHALLENGES;
        self.next = now;
    }
}
