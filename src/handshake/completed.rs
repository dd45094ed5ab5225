//! What a handshake leaves behind.

use super::post::Post;
use super::renegotiation::Continuity;
use crate::identity::Identity;
use crate::protocol::{Epoch, NamedGroup, Side, SrtpProfile};
use crate::secrets::finished::FinishedVerified;
use crate::secrets::schedule12::Randoms;
use crate::secrets::traffic::Protections;
use crate::session::{Agreed, Session12};
use std::sync::Arc;

/// Everything that a completed handshake leaves behind. The handshake itself is dropped.
pub(crate) struct Completed {
    pub(crate) outcome: Outcome,
    /// What belongs to the version.
    pub(crate) kind: CompletedKind,
    /// No association without a verified Finished.
    pub(crate) _finished: FinishedVerified,
}

/// How a handshake of either version went, and what it has agreed on beside [`Agreed`].
pub(crate) struct Outcome {
    /// Whether an earlier session was resumed.
    pub(crate) resumed: bool,
    /// The group of the key exchange, of this handshake or of the session that it has resumed;
    /// `None` if there was no exchange.
    pub(crate) group: Option<NamedGroup>,
    /// Whether the server has asked for a second hello (RFC 8446 §4.1.4).
    pub(crate) retried: bool,
    /// What protects the media of this association (RFC 5764).
    pub(crate) srtp: Option<SrtpProfile>,
    /// What this end has claimed to be, if anything. It lasts as long as the association, and most
    /// clients have nothing.
    pub(crate) shown: Option<Box<Identity>>,
}

/// What an association that is over still says about the keys that were in force: none of them, and
/// no other secret, is left in it.
pub(crate) struct Concluded {
    /// What was agreed.
    pub(crate) agreed: Arc<Agreed>,
    pub(crate) outcome: Outcome,
    /// The epoch that this end wrote in.
    pub(crate) epoch: Epoch,
    /// Whether the session was bound to its handshake (RFC 7627).
    pub(crate) extended_master_secret: bool,
    /// By how much the ticket that a server has accepted was older by the client's clock, in
    /// seconds.
    pub(crate) ticket_age_skew: Option<i32>,
}

/// What a handshake of either version leaves behind.
pub(crate) enum CompletedKind {
    V12(Completed12),
    V13(Box<Post>),
}

/// What a handshake of version 1.2 leaves behind.
pub(crate) struct Completed12 {
    /// What was agreed.
    pub(crate) session: Arc<Session12>,
    /// The epoch that this handshake's keys protect.
    pub(crate) epoch: Epoch,
    pub(crate) randoms: Randoms,
    /// What the next handshake is bound to, if there may be one.
    pub(crate) continuity: Continuity,
    /// The cookie that the client shows again in the next handshake; empty for none.
    pub(crate) cookie: Box<[u8]>,
}

impl Completed {
    /// What only version 1.2 has.
    pub(crate) const fn v12(&self) -> Option<&Completed12> {
        match &self.kind {
            CompletedKind::V12(established) => Some(established),
            CompletedKind::V13(_) => None,
        }
    }

    /// What goes on after a handshake of version 1.3.
    pub(crate) fn post(&mut self) -> Option<&mut Post> {
        match &mut self.kind {
            CompletedKind::V12(_) => None,
            CompletedKind::V13(post) => Some(post),
        }
    }

    /// What goes on after a handshake of version 1.3, read only.
    pub(crate) const fn post_ref(&self) -> Option<&Post> {
        match &self.kind {
            CompletedKind::V12(_) => None,
            CompletedKind::V13(post) => Some(post),
        }
    }

    /// What was agreed.
    pub(crate) fn agreed(&self) -> &Agreed {
        match &self.kind {
            CompletedKind::V12(established) => &established.session.agreed,
            CompletedKind::V13(post) => post.agreed(),
        }
    }

    /// Whether the session is bound to its handshake (RFC 7627); at version 1.3 every one is.
    pub(crate) fn extended_master_secret(&self) -> bool {
        self.v12()
            .is_none_or(|established| established.session.extended_master_secret)
    }

    /// Drops every secret.
    pub(crate) fn conclude(self) -> Concluded {
        Concluded {
            epoch: self.epoch(),
            extended_master_secret: self.extended_master_secret(),
            ticket_age_skew: self.post_ref().and_then(Post::ticket_age_skew),
            agreed: match self.kind {
                CompletedKind::V12(established) => Arc::new(established.session.agreed.clone()),
                CompletedKind::V13(post) => post.into_agreed(),
            },
            outcome: self.outcome,
        }
    }

    /// What the records in force are protected with. `side` is this end's.
    pub(crate) fn protections(&self, side: Side) -> Protections {
        match &self.kind {
            CompletedKind::V12(established) => established.protections(side),
            CompletedKind::V13(post) => post.protections(),
        }
    }

    /// The epoch that this end writes in.
    pub(crate) const fn epoch(&self) -> Epoch {
        match &self.kind {
            CompletedKind::V12(established) => established.epoch,
            CompletedKind::V13(post) => post.write_epoch(),
        }
    }

    /// The epoch that the peer writes in, as far as is known.
    pub(crate) const fn read_epoch(&self) -> Epoch {
        match &self.kind {
            CompletedKind::V12(established) => established.epoch,
            CompletedKind::V13(post) => post.read_epoch(),
        }
    }
}

impl Completed12 {
    fn protections(&self, side: Side) -> Protections {
        let Session12 {
            agreed,
            master_secret,
            ..
        } = &*self.session;
        let expanded = master_secret.expanded();
        let [client, server] = expanded.protections(agreed.suite, &self.randoms);
        let (read, write) = match side {
            Side::Client => (server, client),
            Side::Server => (client, server),
        };
        Protections {
            read: (self.epoch, read),
            write: (self.epoch, write),
        }
    }
}
