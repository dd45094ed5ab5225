//! What is changed about an endpoint, or about one of its associations, while it runs.

use super::association::Association;
use super::{AssociationId, Cookies, Endpoint};
use crate::config::ServerConfig;
use crate::connection::DtlsConnection;
use crate::error::{ConfigError, Error, KeyUpdateError, RenegotiateError, SendError};
use crate::protocol::AlertDescription;
use crate::wire::key_update::KeyUpdate;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Endpoint {
    /// Serves newcomers under `config` from now on, for example with a renewed certificate. Also an
    /// endpoint that has not accepted so far accepts then.
    ///
    /// Associations that exist keep the configuration that made them, in their renegotiations too.
    /// Cookies that were given out before are still good, so a client that is on its way is not
    /// sent back, unless it speaks 1.3 and `config` would have chosen another suite for it.
    /// Sessions and tickets belong to a configuration: to have those of the old one resumed, give
    /// the new one the same [`Tickets`](crate::config::Tickets) and session cache.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`] if there were no cookies before; nothing has changed then.
    pub fn serve(&mut self, now: Instant, config: Arc<ServerConfig>) -> Result<(), Error> {
        match &mut self.cookies {
            Some(cookies) => cookies.set_config(config.clone()),
            None => self.cookies = Some(Cookies::new(config.clone(), now)?),
        }
        self.server = Some(config);
        Ok(())
    }

    /// Serves no newcomers any more. They get no answer, so they may find another server; half-open
    /// and established associations go on, and [`Endpoint::serve`] opens the door again.
    pub fn stop_accepting(&mut self) {
        self.server = None;
    }

    /// Whether newcomers are served.
    pub fn is_accepting(&self) -> bool {
        self.server.is_some()
    }

    /// Closes every association, clients' and servers' alike: each peer is told, and each
    /// association that was told of ends with
    /// [`EndpointEvent::Closed`](super::EndpointEvent::Closed). Newcomers are still served; see
    /// [`Endpoint::stop_accepting`].
    pub fn close_all(&mut self, now: Instant) {
        let all: Vec<_> = self.associations().collect();
        for id in all {
            self.close(now, id);
        }
    }

    /// An association to be changed, unless it is over. What the changes lead to takes effect when
    /// the guard is dropped.
    ///
    /// ```
    /// # fn adapt(endpoint: &mut sealgram::Endpoint, id: sealgram::AssociationId, now: std::time::Instant)
    /// # -> Result<(), sealgram::ConfigError> {
    /// if let Some(mut association) = endpoint.association(id, now) {
    ///     association.set_mtu(1200)?;
    ///     association.set_initial_timeout(std::time::Duration::from_millis(100))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn association(&mut self, id: AssociationId, now: Instant) -> Option<AssociationMut<'_>> {
        self.table.get(id)?;
        Some(AssociationMut {
            endpoint: self,
            id,
            now,
        })
    }
}

/// One association of an [`Endpoint`], for its getters, which are those of [`DtlsConnection`], and
/// its commands.
///
/// What the commands lead to (timers, datagrams to be sent, events) is brought up to date when it
/// is dropped.
pub struct AssociationMut<'a> {
    endpoint: &'a mut Endpoint,
    id: AssociationId,
    now: Instant,
}

impl AssociationMut<'_> {
    /// Its name.
    pub const fn id(&self) -> AssociationId {
        self.id
    }

    /// Changes the largest datagram that is sent to this peer; see
    /// [`DtlsConnection::set_mtu`](crate::Connection::set_mtu).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn set_mtu(&mut self, bytes: usize) -> Result<(), ConfigError> {
        self.change(|connection| connection.set_mtu(bytes))
    }

    /// Changes the first retransmission timeout; see
    /// [`DtlsConnection::set_initial_timeout`](crate::Connection::set_initial_timeout).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn set_initial_timeout(&mut self, timeout: Duration) -> Result<(), ConfigError> {
        self.change(|connection| connection.set_initial_timeout(timeout))
    }

    /// As [`Endpoint::send`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send(&mut self, data: &[u8]) -> Result<(), SendError> {
        let now = self.now;
        let association = self.entry();
        association.connection.send(now, data)?;
        association.last_active = now;
        Ok(())
    }

    /// As [`Endpoint::renegotiate`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn renegotiate(&mut self) -> Result<(), RenegotiateError> {
        let now = self.now;
        self.change(|connection| connection.renegotiate(now))
    }

    /// As [`Endpoint::renegotiate_abbreviated`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn renegotiate_abbreviated(&mut self) -> Result<(), RenegotiateError> {
        let now = self.now;
        self.change(|connection| connection.renegotiate_abbreviated(now))
    }

    /// As [`Endpoint::key_update`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn key_update(&mut self, update: KeyUpdate) -> Result<(), KeyUpdateError> {
        let now = self.now;
        self.change(|connection| connection.key_update(now, update))
    }

    /// As [`Endpoint::close`].
    pub fn close(&mut self) {
        let now = self.now;
        self.change(|connection| connection.close(now));
    }

    /// As [`Endpoint::abort`].
    pub fn abort(&mut self, alert: AlertDescription) {
        let now = self.now;
        self.change(|connection| connection.abort(now, alert));
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut DtlsConnection) -> T) -> T {
        change(&mut self.entry().connection)
    }

    fn entry(&mut self) -> &mut Association {
        self.endpoint.table.get_mut(self.id).expect(EXISTS)
    }
}

/// The guard is made for one that exists, holds the endpoint, and removes nothing before it is
/// dropped.
const EXISTS: &str = "an association outlives its guard";

/// There is no `DerefMut`: another connection in its place would be the endpoint's undoing.
impl Deref for AssociationMut<'_> {
    type Target = DtlsConnection;

    fn deref(&self) -> &DtlsConnection {
        &self.endpoint.table.get(self.id).expect(EXISTS).connection
    }
}

impl Drop for AssociationMut<'_> {
    fn drop(&mut self) {
        self.endpoint.settle(self.now, self.id);
    }
}

impl fmt::Debug for AssociationMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AssociationMut").field(&self.id).finish()
    }
}
