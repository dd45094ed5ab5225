//! What the shim does on each connection of a test.

use crate::Failed;
use crate::answers::Answers;
use crate::end::{Connection, End, Role, either};
use crate::expectations;
use crate::options::{Options, Plan, Renegotiation};
use crate::settings::{self, Shared};
use crate::wire::Wire;
use sealgram::error::{KeyUpdateError, SendError};
use sealgram::pki_types::ServerName;
use sealgram::session::Session;
use sealgram::{AlertDescription, Event, KeyUpdate, RenegotiationRefusal};
use std::sync::Arc;
use std::time::Duration;

/// A test that is running.
pub(crate) struct Shim {
    /// The session of the last connection, to be resumed.
    session: Option<Session>,
}

/// How much one read returns at most.
const READ_SIZE_TLS: usize = 512;
const READ_SIZE_DTLS: usize = 16_384;

impl Shim {
    pub(crate) fn new() -> Self {
        Self { session: None }
    }

    /// Runs all connections of a test.
    pub(crate) fn run(&mut self, plan: &Plan) -> Result<(), Failed> {
        let shared = Shared::new()?;
        for number in 0..=plan.resume_count {
            let options = if number == 0 {
                &plan.initial
            } else {
                &plan.resume
            };
            let answers = Arc::new(Answers::new(options));
            let role = self.role(&shared, options, &answers)?;
            let wire = Wire::connect(plan.port, plan.ipv6, plan.shim_id)?;
            let mut exchange = Exchange {
                options,
                resumption: number > 0,
                answers,
                renegotiated: false,
                end: End::new(role, options.dtls, wire, shared.clock.clone())?,
            };
            let outcome = exchange.run();
            self.session = exchange.session();
            exchange.end.wire.finish();
            outcome?;
            let delay = Duration::from_secs(options.resumption_delay_s);
            shared
                .clock
                .advance(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    fn role(
        &mut self,
        shared: &Shared,
        options: &Options,
        answers: &Arc<Answers>,
    ) -> Result<Role, Failed> {
        if options.server {
            let config = shared.server(options, answers.clone())?;
            return Ok(Role::Server(Arc::new(config)));
        }
        let config = shared.client(options, answers.clone())?;
        let name: ServerName<'static> = settings::server_name(options)?;
        if let Some(session) = self.session.take() {
            config.import_session(&name, session)?;
        }
        Ok(Role::Client(Arc::new(config), name))
    }
}

/// One connection.
pub(crate) struct Exchange<'a> {
    pub(crate) options: &'a Options,
    /// Whether it is not the first of its test.
    pub(crate) resumption: bool,
    /// What was asked and answered.
    pub(crate) answers: Arc<Answers>,
    /// Whether a HelloRequest was followed by an explicit call.
    renegotiated: bool,
    pub(crate) end: End,
}

impl Exchange<'_> {
    fn run(&mut self) -> Result<(), Failed> {
        self.handshake()?;
        expectations::after_handshake(self)?;
        self.export()?;
        self.export_traffic_secrets()?;
        if self.options.send_alert {
            let alert = AlertDescription::DECOMPRESSION_FAILURE;
            either!(&mut self.end.connection, it => it.abort(alert));
            return self.end.flush();
        }
        if self.options.read_with_unfinished_write {
            self.end.get_stuck();
            self.write(b"hello")?;
            self.end.let_one_byte_through()?;
        } else if self.options.shim_writes_first {
            self.write(b"hello")?;
        }
        if !self.options.shim_shuts_down {
            self.echo()?;
        }
        expectations::at_end(self)?;
        self.shut_down()
    }

    fn handshake(&mut self) -> Result<(), Failed> {
        self.end.flush()?;
        while !self.is_complete() {
            if self.end.ended {
                return Err(Failed::new("the runner closed during the handshake"));
            }
            self.turn()?;
        }
        Ok(())
    }

    /// Waits for something from the runner; if a signature of a slow key is awaited then, time
    /// passes first.
    fn turn(&mut self) -> Result<(), Failed> {
        self.end.turn()?;
        while either!(&self.end.connection, it => it.awaits_answer()) {
            let delay = Duration::from_millis(self.options.private_key_delay_ms);
            self.end.let_time_pass(delay)?;
            self.answers.release();
            let now = self.end.clock.now();
            let outcome = either!(&mut self.end.connection, it => it.handle_answers(now));
            self.end.flush()?;
            outcome?;
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        either!(&self.end.connection, it => it.version().is_some() && !it.is_handshaking())
    }

    /// Sends exported keys as data.
    fn export(&mut self) -> Result<(), Failed> {
        let Some(length) = self.options.export_len else {
            return Ok(());
        };
        let mut keys = vec![0; length];
        let given = self.options.export_context.as_deref();
        let context = match given {
            None | Some([]) if !self.options.use_export_context => None,
            given => Some(given.unwrap_or_default()),
        };
        let label = self.options.export_label.as_bytes();
        either!(&self.end.connection, it => {
            it.export_keying_material(&mut keys, label, context).map_err(Failed::new)?;
        });
        self.write(&keys)
    }

    /// Sends the secrets in force as data: the length of one, what this end reads with, what it
    /// writes with.
    fn export_traffic_secrets(&mut self) -> Result<(), Failed> {
        let Connection::Tls(tls) = &self.end.connection else {
            return Ok(());
        };
        if !self.options.export_traffic_secrets {
            return Ok(());
        }
        let secrets = tls.traffic_secrets().map_err(Failed::new)?;
        let (read, write) = (secrets.read.secret, secrets.write.secret);
        let length = u16::try_from(read.len()).map_err(Failed::new)?;
        let told = [&length.to_le_bytes()[..], read, write].concat();
        self.write(&told)
    }

    /// Sends back everything that comes, with every bit turned.
    fn echo(&mut self) -> Result<(), Failed> {
        loop {
            if self.options.key_update_before_read {
                self.update_keys()?;
            }
            let Some(mut data) = self.read()? else {
                return Ok(());
            };
            self.end.get_unstuck()?;
            if self.options.key_update {
                self.update_keys()?;
            }
            data.iter_mut().for_each(|byte| *byte ^= 0xff);
            let size = self.options.read_size.unwrap_or(match self.options.dtls {
                true => READ_SIZE_DTLS,
                false => READ_SIZE_TLS,
            });
            for piece in data.chunks(size) {
                self.write(piece)?;
            }
        }
    }

    /// The next data; `None` after the last.
    fn read(&mut self) -> Result<Option<Vec<u8>>, Failed> {
        loop {
            let received = either!(&mut self.end.connection, it => it.recv());
            if let Some(received) = received {
                return Ok(Some(received.data.to_vec()));
            }
            self.end.resume_input()?;
            let closed = either!(&self.end.connection, it => it.is_read_closed());
            if closed || self.end.ended {
                return Ok(None);
            }
            self.follow_requests()?;
            self.turn()?;
            if self.options.exporter_between_reads {
                let mut byte = [0];
                either!(&self.end.connection, it => it.export_keying_material(&mut byte, b"", None))
                    .map_err(|error| Failed::new(format!("failed to export keying material: {error}")))?;
            }
        }
    }

    /// Follows HelloRequests if the library leaves that to its user: always, or once, or while
    /// nothing is half written.
    fn follow_requests(&mut self) -> Result<(), Failed> {
        for event in std::mem::take(&mut self.end.events) {
            let Event::RenegotiationRefused {
                reason: RenegotiationRefusal::Policy,
            } = event
            else {
                continue;
            };
            let again = std::mem::replace(&mut self.renegotiated, true);
            let once = self.options.renegotiation == Renegotiation::Once;
            match self.options.renegotiation {
                Renegotiation::Once | Renegotiation::Freely
                    if again && once || self.end.is_stuck() =>
                {
                    let alert = AlertDescription::NO_RENEGOTIATION;
                    either!(&mut self.end.connection, it => it.abort(alert));
                }
                Renegotiation::Once | Renegotiation::Freely | Renegotiation::Explicit => {
                    either!(&mut self.end.connection, it => it.renegotiate())
                        .map_err(Failed::new)?;
                }
                _ => {}
            }
            self.end.flush()?;
            self.end.check_failure()?;
        }
        Ok(())
    }

    fn write(&mut self, mut data: &[u8]) -> Result<(), Failed> {
        let now = self.end.clock.now();
        loop {
            let sent = match &mut self.end.connection {
                Connection::Dtls(dtls) => dtls.send(now, data).map(|()| data.len()),
                Connection::Tls(tls) => tls.send(now, data),
            };
            match sent {
                Ok(count) => data = &data[count..],
                Err(SendError::Backlog) => {}
                Err(error) => return Err(Failed::new(format!("{error:?}: {error}"))),
            }
            self.end.flush()?;
            if data.is_empty() {
                return Ok(());
            }
        }
    }

    fn update_keys(&mut self) -> Result<(), Failed> {
        let outcome = either!(&mut self.end.connection,
            it => it.key_update(KeyUpdate::NotRequested));
        match outcome {
            // An update that waits for its acknowledgement serves as well.
            Ok(()) | Err(KeyUpdateError::Pending) => self.end.flush(),
            Err(error) => Err(Failed::new(format!("{error:?}: {error}"))),
        }
    }

    fn shut_down(&mut self) -> Result<(), Failed> {
        if !self.options.check_close_notify {
            return Ok(());
        }
        let now = self.end.clock.now();
        either!(&mut self.end.connection, it => it.close(now));
        self.end.flush()?;
        if either!(&mut self.end.connection, it => it.recv().is_some()) {
            return Err(Failed::new("DataOnShutdown: data before our close_notify"));
        }
        while !either!(&self.end.connection, it => it.is_read_closed()) {
            self.follow_requests()?;
            if self.end.ended {
                return Err(Failed::new(
                    "Truncated: the runner closed without close_notify",
                ));
            }
            self.turn()?;
            if either!(&mut self.end.connection, it => it.recv().is_some()) {
                return Err(Failed::new("DataOnShutdown: data after our close_notify"));
            }
        }
        if self.end.events.contains(&Event::Truncated) {
            return Err(Failed::new(
                "Truncated: the stream ended without close_notify",
            ));
        }
        Ok(())
    }

    /// The session that a client can resume from this connection.
    fn session(&self) -> Option<Session> {
        if self.options.server {
            return None;
        }
        either!(&self.end.connection, it => it.session())
    }
}
