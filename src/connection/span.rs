//! The span that says which association a line of the log is about.

use super::Connection;
use crate::protocol::Side;
use crate::record::RecordLayer;
use std::fmt;
use std::net::SocketAddr;
use tracing::field::{Empty, display};
use tracing::span::{EnteredSpan, Span};

/// The span of one association; `None`, which takes no memory, where no subscriber wants it.
pub(super) fn of(side: Side, peer: Option<SocketAddr>) -> Option<Box<Span>> {
    let span = tracing::debug_span!("association", %side, peer = peer.map(display), id = Empty);
    (!span.is_disabled()).then(|| Box::new(span))
}

impl<R: RecordLayer> Connection<R> {
    /// Whatever is logged until the guard is dropped is about this association.
    #[inline]
    pub(super) fn enter_span(&self) -> Option<EnteredSpan> {
        self.span.as_ref().map(|span| Span::clone(span).entered())
    }

    pub(super) fn log_peer(&self, remote: SocketAddr) {
        if let Some(span) = &self.span {
            span.record("peer", display(remote));
        }
    }

    /// Says by which name the owner knows this association.
    pub(crate) fn log_id(&self, id: impl fmt::Display) {
        if let Some(span) = &self.span {
            span.record("id", display(id));
        }
    }
}
