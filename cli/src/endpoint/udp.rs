//! Peers on one UDP socket.

use super::{Endpoint, FIRST_TOKEN, Happening};
use crate::input::{Command, Refused};
use crate::problem::Problem;
use crate::report::Line;
use mio::{Registry, Token};
use sealgram::endpoint::AssociationId;
use sealgram::error::{RenegotiateError, SendError};
use sealgram::net::{UdpEndpoint, Unreachable};
use sealgram::record::Datagram;
use sealgram::server::ClientAuthentication;
use sealgram::{ConnectionId, DtlsConnection, Event};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

impl Endpoint for UdpEndpoint {
    type Id = AssociationId;
    type Records = Datagram;

    fn register(&mut self, registry: &Registry) -> io::Result<()> {
        Self::register(self, registry, Token(FIRST_TOKEN))
    }

    /// There is one socket, which every turn checks.
    fn ready(&mut self, _: Token) {}

    fn turn(&mut self) -> io::Result<()> {
        Self::turn(self)
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::flush(self)
    }

    fn poll_event(&mut self) -> Option<Happening<AssociationId>> {
        if let Some(Unreachable { remote, error, .. }) = self.poll_unreachable() {
            return Some(Happening::Unreachable { remote, error });
        }
        let (id, event) = Self::poll_event(self)?;
        Some(match event {
            Event::Failed(failure) => Happening::Failed(id, Problem::from(&*failure)),
            Event::Closed => Happening::Closed(id),
            event => Happening::Connection(id, event),
        })
    }

    fn poll_timeout(&self) -> Option<Duration> {
        Self::poll_timeout(self)
    }

    fn connection(&self, id: AssociationId) -> Option<&DtlsConnection> {
        self.endpoint().connection(id)
    }

    fn peer(&self, id: AssociationId) -> Option<SocketAddr> {
        Some(self.endpoint().connection(id)?.path().remote())
    }

    fn connection_ids(&self, id: AssociationId) -> Option<(ConnectionId, ConnectionId)> {
        let connection = self.endpoint().connection(id)?;
        let received = connection.received_connection_id()?;
        Some((received, connection.sent_connection_id()?))
    }

    /// Data that a full queue has no room for is lost, as in a congested network.
    fn has_room(&self, _: AssociationId) -> bool {
        true
    }

    /// Sends one datagram. If the queue is full, the waiting datagrams are given to the socket
    /// first.
    fn send(&mut self, id: AssociationId, data: &[u8]) -> Result<(), SendError> {
        let send = |endpoint: &mut Self| match endpoint.association(id) {
            Some(mut association) => association.send(data),
            None => Err(SendError::Closed),
        };
        match send(self) {
            // An unusable socket shows in the loop's next turn.
            Err(SendError::Backlog) if Self::flush(self).is_ok() => send(self),
            result => result,
        }
    }

    fn recv(&mut self, id: AssociationId) -> Option<Vec<u8>> {
        Some(self.association(id)?.recv()?.data.into())
    }

    fn command(&mut self, id: AssociationId, command: Command) -> Result<(), Refused> {
        let Some(mut association) = self.association(id) else {
            return Err(RenegotiateError::Closed.into());
        };
        match command {
            Command::Renegotiate => association.renegotiate()?,
            Command::RenegotiateAbbreviated => association.renegotiate_abbreviated()?,
            Command::KeyUpdate(update) => association.key_update(update)?,
        }
        Ok(())
    }

    fn request_client_certificate(
        &mut self,
        id: AssociationId,
        policy: ClientAuthentication,
    ) -> Result<(), RenegotiateError> {
        match self.association(id) {
            Some(mut association) => association.request_client_certificate(policy),
            None => Err(RenegotiateError::Closed),
        }
    }

    fn close(&mut self, id: AssociationId) {
        if let Some(mut association) = self.association(id) {
            association.close();
        }
    }

    fn close_all(&mut self) {
        self.stop_accepting();
        Self::close_all(self);
    }

    fn is_empty(&self) -> bool {
        self.endpoint().is_empty()
    }

    fn counters(&self) -> Line {
        let endpoint = self.endpoint();
        let stats = endpoint.stats();
        Line::new("endpoint_counters")
            .field("peers", endpoint.len())
            .field("half_open", endpoint.half_open())
            .field("accepted", stats.accepted)
            .field("handshakes_failed", stats.handshakes_failed)
            .field("hello_verify_requests", stats.hello_verify_requests)
            .field("retry_requests", stats.retry_requests)
            .field("replies_dropped", stats.replies_dropped)
            .field("hello_fragments", stats.hello_fragments)
            .field("hellos_ignored", stats.hellos_ignored)
            .field("hellos_refused", stats.hellos_refused)
            .field("evicted", stats.evicted)
            .field("over_limit", stats.over_limit)
            .field("strays", stats.strays)
            .field("unknown_connection_ids", stats.unknown_connection_ids)
    }
}
