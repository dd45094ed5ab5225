//! The one way to an association.

use super::association::Association;
use super::associations::Associations;
use super::id::AssociationId;
use crate::config::ClientAuthentication;
use crate::connection::DtlsConnection;
use crate::error::{ConfigError, ConnectionIdError, KeyUpdateError, RenegotiateError, SendError};
use crate::protocol::{AlertDescription, Path};
use crate::record::Received;
use crate::wire::key_update::KeyUpdate;
use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

/// One association of an [`Endpoint`](crate::endpoint::Endpoint): the getters of
/// [`DtlsConnection`], and its commands.
///
/// What the commands lead to (timers, datagrams to be sent, events) is brought up to date once,
/// when this is dropped.
pub struct AssociationMut<'a> {
    associations: &'a mut Associations,
    id: AssociationId,
    now: Instant,
    touched: Touched,
}

/// What is to be brought up to date. Data that was sent is not: whoever sends it does that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Touched {
    Nothing,
    /// Data was fetched.
    Received,
    /// Anything may have changed.
    Everything,
}

impl<'a> AssociationMut<'a> {
    /// The association with this name, unless its last event has been polled.
    #[inline]
    pub(super) fn new(
        now: Instant,
        associations: &'a mut Associations,
        id: AssociationId,
    ) -> Option<Self> {
        associations.find(id)?;
        Some(Self {
            associations,
            id,
            now,
            touched: Touched::Nothing,
        })
    }

    /// Its name.
    pub const fn id(&self) -> AssociationId {
        self.id
    }

    /// Sends `data` as one datagram, whole or not at all. It leaves with the endpoint's next
    /// `poll_transmit`.
    ///
    /// # Errors
    ///
    /// As [`DtlsConnection::send`](crate::Connection::send).
    #[inline]
    pub fn send(&mut self, data: &[u8]) -> Result<(), SendError> {
        let now = self.now;
        self.associations.lend_buffer(self.id);
        let association = self.entry();
        if let Err(error) = association.connection.send(now, data) {
            if association.connection.is_closed() {
                // The keys are used up: the peer is told, and so is the application.
                self.touched = Touched::Everything;
            }
            self.associations.take_buffer_back(self.id);
            return Err(error);
        }
        association.last_active = now;
        self.associations.enqueue(self.id);
        Ok(())
    }

    /// The next received datagram; see [`DtlsConnection::recv`](crate::Connection::recv).
    #[inline]
    pub fn recv(&mut self) -> Option<Received> {
        let received = self.entry().connection.recv()?;
        self.touched = self.touched.max(Touched::Received);
        Some(received)
    }

    /// Copies the next received datagram into `out`; see
    /// [`DtlsConnection::recv_into`](crate::Connection::recv_into).
    #[inline]
    pub fn recv_into(&mut self, out: &mut [u8]) -> Option<(usize, Path)> {
        let received = self.entry().connection.recv_into(out)?;
        self.touched = self.touched.max(Touched::Received);
        Some(received)
    }

    /// Schedules a renegotiation; see
    /// [`DtlsConnection::renegotiate`](crate::Connection::renegotiate).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn renegotiate(&mut self) -> Result<(), RenegotiateError> {
        self.change(|connection, _| connection.renegotiate())
    }

    /// Schedules a renegotiation that resumes the session in force, if this end is a client; see
    /// [`DtlsConnection::renegotiate_abbreviated`](crate::Connection::renegotiate_abbreviated).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn renegotiate_abbreviated(&mut self) -> Result<(), RenegotiateError> {
        self.change(|connection, _| connection.renegotiate_abbreviated())
    }

    /// Asks the client for its certificate, in a renegotiation; see
    /// [`request_client_certificate`](crate::Connection::request_client_certificate).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn request_client_certificate(
        &mut self,
        policy: ClientAuthentication,
    ) -> Result<(), RenegotiateError> {
        self.change(|connection, _| connection.request_client_certificate(policy))
    }

    /// Schedules a key update; see [`DtlsConnection::key_update`](crate::Connection::key_update).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn key_update(&mut self, update: KeyUpdate) -> Result<(), KeyUpdateError> {
        self.change(|connection, _| connection.key_update(update))
    }

    /// Asks the peer for more connection IDs; see
    /// [`DtlsConnection::request_connection_ids`](crate::DtlsConnection::request_connection_ids).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn request_connection_ids(&mut self, count: u8) -> Result<(), ConnectionIdError> {
        self.change(|connection, _| connection.request_connection_ids(count))
    }

    /// Gives the peer a fresh connection ID; see
    /// [`DtlsConnection::renew_connection_id`](crate::DtlsConnection::renew_connection_id).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn renew_connection_id(&mut self) -> Result<(), ConnectionIdError> {
        self.change(|connection, _| connection.renew_connection_id())
    }

    /// Closes the association: the peer is told, and [`Event::Closed`](crate::Event::Closed)
    /// follows.
    pub fn close(&mut self) {
        self.change(DtlsConnection::close);
    }

    /// Ends the association at once with a fatal alert of the application's choice: the peer is
    /// told, and [`Event::Failed`](crate::Event::Failed) follows.
    pub fn abort(&mut self, alert: AlertDescription) {
        self.change(|connection, _| connection.abort(alert));
    }

    /// Changes the largest datagram that is sent to this peer, in bytes of UDP payload; see
    /// [`DtlsConnection::set_mtu`](crate::Connection::set_mtu).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn set_mtu(&mut self, bytes: usize) -> Result<(), ConfigError> {
        self.change(|connection, _| connection.set_mtu(bytes))
    }

    /// Changes the first retransmission timeout; see
    /// [`DtlsConnection::set_initial_timeout`](crate::Connection::set_initial_timeout).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn set_initial_timeout(&mut self, timeout: Duration) -> Result<(), ConfigError> {
        self.change(|connection, _| connection.set_initial_timeout(timeout))
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut DtlsConnection, Instant) -> T) -> T {
        self.touched = Touched::Everything;
        let now = self.now;
        change(&mut self.entry().connection, now)
    }

    #[inline]
    fn entry(&mut self) -> &mut Association {
        self.associations.find_mut(self.id).expect(EXISTS)
    }
}

/// The guard is made for one that exists, holds all of them, and removes nothing before it is
/// dropped.
const EXISTS: &str = "an association outlives its guard";

/// There is no `DerefMut`: another connection in its place would be the endpoint's undoing.
impl Deref for AssociationMut<'_> {
    type Target = DtlsConnection;

    fn deref(&self) -> &DtlsConnection {
        &self.associations.find(self.id).expect(EXISTS).connection
    }
}

impl Drop for AssociationMut<'_> {
    #[inline]
    fn drop(&mut self) {
        match self.touched {
            Touched::Nothing => {}
            Touched::Received => self.associations.settle_received(self.id),
            Touched::Everything => self.associations.settle(self.now, self.id),
        }
    }
}

impl fmt::Debug for AssociationMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AssociationMut").field(&self.id).finish()
    }
}
