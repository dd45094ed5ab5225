//! What a load needs of an endpoint beyond what servers and clients need.

use super::protocol::{self, Data, Message, Partial};
use crate::endpoint::{Endpoint, TcpEndpoint};
use crate::problem::Problem;
use sealgram::ClientConfig;
use sealgram::error::SendError;
use sealgram::net::UdpEndpoint;
use sealgram::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;

/// An endpoint that carries the messages of [`protocol`].
pub(super) trait Traffic: Endpoint {
    /// Whether messages share a stream, so that each needs its length before it.
    const STREAM: bool;

    /// The longest message that a peer can be sent, in bytes.
    fn max_message(&self, id: Self::Id) -> usize;

    /// Gives every message that has come from a peer to `take`. `buffer` is scratch space for one
    /// of them.
    fn drain(
        &mut self,
        id: Self::Id,
        partial: &mut Partial,
        buffer: &mut [u8],
        take: impl FnMut(&[u8]),
    );

    /// Sends up to `count` data messages. Returns how many there was room for.
    fn send_data(&mut self, id: Self::Id, data: &mut Data, count: u64) -> Result<u64, SendError>;

    /// Sends one message. It is lost if there is no room for it.
    fn say(&mut self, id: Self::Id, message: Message) {
        self.echo(id, &message.encode());
    }

    /// Sends one message that is encoded already.
    fn echo(&mut self, id: Self::Id, message: &[u8]) {
        let _lost = match Self::STREAM {
            true => self.send(id, &protocol::framed(message)),
            false => self.send(id, message),
        };
    }
}

/// An endpoint that connects to the server of the bench.
pub(super) trait Dial: Traffic {
    /// Starts a connection from a port of its own.
    fn dial(
        &mut self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        remote: SocketAddr,
    ) -> Result<Self::Id, Problem>;
}

/// Takes the result of one attempt to send. Returns whether it was sent, or that there is no room.
pub(super) fn was_sent(result: Result<(), SendError>) -> Result<bool, SendError> {
    match result {
        Ok(()) => Ok(true),
        Err(SendError::Backlog | SendError::Renegotiating) => Ok(false),
        Err(error) => Err(error),
    }
}

impl Traffic for UdpEndpoint {
    const STREAM: bool = false;

    fn max_message(&self, id: Self::Id) -> usize {
        let connection = self.endpoint().connection(id);
        connection.map_or(0, |connection| connection.max_payload())
    }

    fn drain(
        &mut self,
        id: Self::Id,
        _: &mut Partial,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]),
    ) {
        let Some(mut association) = self.association(id) else {
            return;
        };
        while let Some((length, _)) = association.recv_into(buffer) {
            take(&buffer[..length]);
        }
    }

    fn send_data(&mut self, id: Self::Id, data: &mut Data, count: u64) -> Result<u64, SendError> {
        let Some(mut association) = self.association(id) else {
            return Err(SendError::Closed);
        };
        for sent in 0..count {
            if !was_sent(association.send(data.message()))? {
                return Ok(sent);
            }
            data.advance();
        }
        Ok(count)
    }
}

impl Traffic for TcpEndpoint {
    const STREAM: bool = true;

    /// Its length has two bytes.
    fn max_message(&self, _: Self::Id) -> usize {
        u16::MAX.into()
    }

    fn drain(
        &mut self,
        id: Self::Id,
        partial: &mut Partial,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]),
    ) {
        while let Some(length) = self.recv_into(id, buffer) {
            partial.add(&buffer[..length], &mut take);
        }
    }

    fn send_data(&mut self, id: Self::Id, data: &mut Data, count: u64) -> Result<u64, SendError> {
        for sent in 0..count {
            if !was_sent(self.send(id, data.message()))? {
                return Ok(sent);
            }
            data.advance();
        }
        Ok(count)
    }
}

impl Dial for TcpEndpoint {
    fn dial(
        &mut self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        remote: SocketAddr,
    ) -> Result<Self::Id, Problem> {
        let started = self.connect(config, name, remote);
        started.map_err(|error| Problem::failure(format!("{remote} cannot be reached: {error}")))
    }
}
