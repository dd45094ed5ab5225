//! The span that says which association a line of the log is about.

use super::Connection;
use crate::protocol::Side;
use crate::record::Records;
use std::fmt;
use std::net::SocketAddr;
use tracing::field::{Empty, display};
use tracing::span::{EnteredSpan, Span};

/// The span of one association. Where nobody listens it is empty, and to enter it is to see that.
pub(super) fn of(side: Side, peer: Option<SocketAddr>) -> Span {
    tracing::debug_span!("association", %side, peer = peer.map(display), id = Empty)
}

impl<R: Records> Connection<R> {
    /// Whatever is logged until the guard is dropped is about this association.
    #[inline]
    pub(super) fn enter_span(&self) -> Option<EnteredSpan> {
        // A copy that holds nothing costs some nanoseconds too, which is a hundredth of a small
        // record.
        (!self.span.is_disabled()).then(|| self.span.clone().entered())
    }

    pub(super) fn log_peer(&self, remote: SocketAddr) {
        self.span.record("peer", display(remote));
    }

    /// Says by which name the owner knows this association.
    pub(crate) fn log_id(&self, id: impl fmt::Display) {
        self.span.record("id", display(id));
    }
}
