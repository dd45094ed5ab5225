//! The end under test, over either transport, and what both transports have in common.

use crate::Failed;
use crate::clock::SimulatedClock;
use crate::wire::{Packet, Wire};
use bytes::BytesMut;
use sealgram::pki_types::ServerName;
use sealgram::{ClientConfig, DtlsConnection, Event, Path, ServerConfig, TlsConnection};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

/// What an end is made of.
pub(crate) enum Role {
    Client(Arc<ClientConfig>, ServerName<'static>),
    Server(Arc<ServerConfig>),
}

/// The end, the connection to the runner, and what is between them.
pub(crate) struct End {
    pub(crate) connection: Connection,
    pub(crate) wire: Wire,
    pub(crate) clock: Arc<SimulatedClock>,
    /// What has come on a stream and was not processed: like BoringSSL, the shim processes one
    /// record at a time, and only when it wants to read, because some tests depend on it.
    waiting: BytesMut,
    /// Bytes of a stream that were not taken yet.
    input: BytesMut,
    /// What a stream that is stuck could not send; `None` while it is not.
    stuck: Option<Vec<u8>>,
    /// Whether the runner has closed.
    pub(crate) ended: bool,
    /// Events of the connection that were not asked for yet.
    pub(crate) events: Vec<Event>,
}

pub(crate) enum Connection {
    Dtls(Box<DtlsConnection>),
    Tls(Box<TlsConnection>),
}

/// Calls a method that both kinds of connection have.
macro_rules! either {
    ($end:expr, $connection:ident => $call:expr) => {
        match $end {
            $crate::end::Connection::Dtls($connection) => $call,
            $crate::end::Connection::Tls($connection) => $call,
        }
    };
}
pub(crate) use either;

impl End {
    pub(crate) fn new(
        role: Role,
        dtls: bool,
        wire: Wire,
        clock: Arc<SimulatedClock>,
    ) -> Result<Self, Failed> {
        let now = clock.now();
        let connection = match (role, dtls) {
            (Role::Server(config), true) => {
                Connection::Dtls(Box::new(DtlsConnection::listen(now, config, path())?))
            }
            (Role::Server(config), false) => {
                Connection::Tls(Box::new(TlsConnection::accept(now, config)?))
            }
            (Role::Client(config, name), true) => Connection::Dtls(Box::new(
                DtlsConnection::connect(now, config, name, path())?,
            )),
            (Role::Client(config, name), false) => {
                Connection::Tls(Box::new(TlsConnection::connect(now, config, name)?))
            }
        };
        Ok(Self {
            connection,
            wire,
            clock,
            waiting: BytesMut::new(),
            input: BytesMut::new(),
            stuck: None,
            ended: false,
            events: Vec::new(),
        })
    }

    /// Sends everything that waits.
    pub(crate) fn flush(&mut self) -> Result<(), Failed> {
        let now = self.clock.now();
        let mut out = Vec::new();
        match &mut self.connection {
            Connection::Tls(tls) => {
                while tls.poll_transmit(now, &mut out).is_some() {}
                match &mut self.stuck {
                    Some(stuck) => stuck.append(&mut out),
                    None => self.wire.write(&out)?,
                }
            }
            Connection::Dtls(dtls) => {
                while let Some(transmit) = {
                    out.clear();
                    dtls.poll_transmit(now, 1, &mut out)
                } {
                    let size = transmit.segment_size.unwrap_or(transmit.len).max(1);
                    for datagram in out.chunks(size) {
                        self.wire.write_datagram(datagram)?;
                    }
                }
            }
        }
        let events = &mut self.events;
        either!(&mut self.connection, it => events.extend(std::iter::from_fn(|| it.poll_event())));
        Ok(())
    }

    /// The stream accepts no more bytes.
    pub(crate) fn get_stuck(&mut self) {
        self.stuck = Some(Vec::new());
    }

    pub(crate) const fn is_stuck(&self) -> bool {
        self.stuck.is_some()
    }

    /// A stream that is stuck accepts one of the waiting bytes.
    pub(crate) fn let_one_byte_through(&mut self) -> Result<(), Failed> {
        let first: Vec<u8> = self
            .stuck
            .iter_mut()
            .filter(|it| !it.is_empty())
            .map(|it| it.remove(0))
            .collect();
        Ok(self.wire.write(&first)?)
    }

    /// The stream accepts everything again.
    pub(crate) fn get_unstuck(&mut self) -> Result<(), Failed> {
        match self.stuck.take() {
            Some(stuck) => Ok(self.wire.write(&stuck)?),
            None => Ok(()),
        }
    }

    /// Waits for something from the runner and hands it to the connection. What the connection
    /// answers is sent, alerts included.
    pub(crate) fn turn(&mut self) -> Result<(), Failed> {
        self.flush()?;
        let outcome = match self.connection {
            Connection::Tls(_) => self.turn_stream(),
            _ => self.turn_packet(),
        };
        let flushed = self.flush();
        outcome?;
        flushed?;
        self.check_failure()
    }

    /// The connection's failure, also one that was not the result of an input.
    pub(crate) fn check_failure(&self) -> Result<(), Failed> {
        let failure = either!(&self.connection, it => it.failure().cloned());
        failure.map_or(Ok(()), |failure| Err(failure.error.into()))
    }

    fn turn_stream(&mut self) -> Result<(), Failed> {
        let now = self.clock.now();
        if self.waiting.is_empty() {
            let bytes = self.wire.read()?;
            if bytes.is_empty() {
                self.ended = true;
            }
            self.waiting.extend_from_slice(&bytes);
        }
        let Connection::Tls(tls) = &mut self.connection else {
            return Ok(());
        };
        if self.ended {
            return Ok(tls.handle_eof()?);
        }
        let next = to_end_of_record(&self.input, &self.waiting);
        let record = self.waiting.split_to(next);
        self.input.extend_from_slice(&record);
        Ok(tls.handle_bytes(now, &mut self.input)?)
    }

    /// Processes bytes for which there was no room before.
    pub(crate) fn resume_input(&mut self) -> Result<(), Failed> {
        let now = self.clock.now();
        match &mut self.connection {
            Connection::Tls(tls) if !self.input.is_empty() => {
                Ok(tls.handle_bytes(now, &mut self.input)?)
            }
            _ => Ok(()),
        }
    }

    fn turn_packet(&mut self) -> Result<(), Failed> {
        match self.wire.read_packet()? {
            Packet::Datagram(datagram) => self.take_datagram(&datagram),
            Packet::Elapsed(nanoseconds) => {
                self.wire.confirm_elapsed()?;
                self.clock.advance(nanoseconds);
                self.fire_timers()
            }
            Packet::Mtu(bytes) => match &mut self.connection {
                Connection::Dtls(dtls) => Ok(dtls.set_mtu(bytes)?),
                _ => Ok(()),
            },
            Packet::ExpectTimeout(expected) => self.check_timeout(expected),
            Packet::InitialTimeout(ms) => match &mut self.connection {
                Connection::Dtls(dtls) => {
                    let timeout = Duration::from_millis(ms.into());
                    Ok(dtls.set_initial_timeout(timeout)?)
                }
                _ => Ok(()),
            },
            Packet::End => {
                self.ended = true;
                Ok(())
            }
        }
    }

    fn take_datagram(&mut self, datagram: &[u8]) -> Result<(), Failed> {
        let now = self.clock.now();
        let datagram = BytesMut::from(datagram);
        match &mut self.connection {
            Connection::Dtls(dtls) => {
                dtls.handle_datagram(now, path(), datagram)?;
            }
            Connection::Tls(_) => {}
        }
        Ok(())
    }

    /// Advances the clock without a command, and does what becomes due.
    pub(crate) fn let_time_pass(&mut self, duration: Duration) -> Result<(), Failed> {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.clock.advance(nanoseconds);
        self.fire_timers()?;
        self.flush()
    }

    fn fire_timers(&mut self) -> Result<(), Failed> {
        let now = self.clock.now();
        if let Connection::Dtls(dtls) = &mut self.connection {
            dtls.handle_timeout(now)?;
            while dtls.poll_timeout().is_some_and(|due| due <= now) {
                dtls.handle_timeout(now)?;
            }
        }
        Ok(())
    }

    fn check_timeout(&self, expected: Option<u64>) -> Result<(), Failed> {
        let now = self.clock.now();
        let due = match &self.connection {
            Connection::Dtls(dtls) => dtls.retransmission_deadline(),
            Connection::Tls(_) => None,
        };
        let due = due.map(|due| due.saturating_duration_since(now));
        let expected = expected.map(Duration::from_nanos);
        if due == expected {
            return Ok(());
        }
        let text =
            |due: Option<Duration>| due.map_or("never".to_owned(), |due| format!("in {due:?}"));
        let (found, expected) = (text(due), text(expected));
        Err(Failed::new(format!(
            "the next timeout is due {found}, not {expected}"
        )))
    }
}

/// How many bytes of `waiting` belong to the record that `begun` begins, or that it begins itself
/// (RFC 8446 §5.1).
fn to_end_of_record(begun: &[u8], waiting: &[u8]) -> usize {
    let byte = |at: usize| {
        let after = at.checked_sub(begun.len());
        let byte = after.map_or_else(|| begun.get(at), |at| waiting.get(at));
        byte.copied().map(usize::from)
    };
    let (Some(high), Some(low)) = (byte(3), byte(4)) else {
        return waiting.len();
    };
    let length = 5 + (high << 8 | low);
    length.saturating_sub(begun.len()).min(waiting.len())
}

/// The only path.
fn path() -> Path {
    Path::new((Ipv6Addr::LOCALHOST, 1).into())
}
