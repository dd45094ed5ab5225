//! OpenSSL as a peer, over TLS, or over DTLS 1.2 with `--udp`.

mod settings;

use foreign_types_shared::ForeignTypeRef as _;
use openssl::error::ErrorStack;
use openssl::pkey::{PKeyRef, Public};
use openssl::sha::sha256;
use openssl::ssl::{ErrorCode, Ssl, SslContext, SslSession, SslStream};
use openssl_sys as ffi;
use peer_frame::{Association, Fact, Options, hex, run_stream};
use std::collections::VecDeque;
use std::ffi::{c_int, c_long};
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn main() {
    let sessions: Sessions = Arc::default();
    let mut context = None;
    run_stream(move |options| {
        let context = match &mut context {
            Some(context) => context,
            empty => {
                let made = settings::make_context(options, &sessions);
                empty.insert(made.map_err(|it| it.to_string())?)
            }
        };
        OpenSsl::new(context, options, &sessions).map_err(|error| error.to_string())
    });
}

/// The sessions that a client has received, the newest last.
type Sessions = Arc<Mutex<Vec<SslSession>>>;

/// What is on its way in and out, in the pieces in which it came or was written.
#[derive(Default)]
struct Queues {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
    /// Whether each piece is a datagram, of which nothing is left over.
    datagrams: bool,
    ended: bool,
}

impl Read for Queues {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(mut piece) = self.incoming.pop_front() else {
            return match self.ended {
                true => Ok(0),
                false => Err(io::ErrorKind::WouldBlock.into()),
            };
        };
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        if length < piece.len() && !self.datagrams {
            self.incoming.push_front(piece.split_off(length));
        }
        Ok(length)
    }
}

impl Write for Queues {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct OpenSsl {
    stream: SslStream<Queues>,
    server: bool,
    datagrams: bool,
    done: bool,
    over: bool,
}

impl OpenSsl {
    fn new(
        context: &SslContext,
        options: &Options,
        sessions: &Sessions,
    ) -> Result<Self, ErrorStack> {
        let mut ssl = Ssl::new(context)?;
        if options.udp {
            // Its way to the socket is not one that it could ask.
            ssl.set_mtu(MTU)?;
        }
        if !options.server {
            ssl.set_hostname(&options.name)?;
            ssl.param_mut().set_host(&options.name)?;
            if let Some(session) = sessions.lock().expect("no panic").pop() {
                // SAFETY: the session was made with the same context.
                unsafe { ssl.set_session(&session)? };
            }
        }
        let queues = Queues {
            datagrams: options.udp,
            ..Queues::default()
        };
        Ok(Self {
            stream: SslStream::new(ssl, queues)?,
            server: options.server,
            datagrams: options.udp,
            done: false,
            over: false,
        })
    }

    fn agreed(&self) -> String {
        let ssl = self.stream.ssl();
        let version = match ssl.version_str() {
            "TLSv1.3" => "1.3",
            _ => "1.2",
        };
        let cipher = ssl.current_cipher().map_or("?", |cipher| cipher.name());
        let resumed = if ssl.session_reused() { "yes" } else { "no" };
        let certificate = match ssl.peer_certificate() {
            Some(_) => "yes",
            None => "no",
        };
        let raw = self.raw_key_of_peer().map(|raw| format!(" peer_rpk={raw}"));
        format!(
            "version={version} cipher={cipher} resumed={resumed} peer_cert={certificate}{}",
            raw.unwrap_or_default()
        )
    }

    /// The digest of the raw public key that the peer has shown.
    fn raw_key_of_peer(&self) -> Option<String> {
        // SAFETY: the stream owns the object, and that the key.
        let key = unsafe { SSL_get0_peer_rpk(self.stream.ssl().as_ptr()) };
        if key.is_null() {
            return None;
        }
        // SAFETY: as above.
        let key: &PKeyRef<Public> = unsafe { PKeyRef::from_ptr(key) };
        Some(hex(&sha256(&key.public_key_to_der().ok()?)))
    }
}

unsafe extern "C" {
    fn SSL_key_update(ssl: *mut ffi::SSL, kind: c_int) -> c_int;
    fn SSL_renegotiate(ssl: *mut ffi::SSL) -> c_int;
    fn SSL_get0_peer_rpk(ssl: *const ffi::SSL) -> *mut ffi::EVP_PKEY;
}

/// A `struct timeval`.
#[repr(C)]
#[derive(Default)]
struct Left {
    seconds: c_long,
    microseconds: c_long,
}

impl Left {
    fn duration(&self) -> Duration {
        let part = |number: c_long| u64::try_from(number).unwrap_or(0);
        Duration::from_secs(part(self.seconds)) + Duration::from_micros(part(self.microseconds))
    }
}

/// The largest datagram, in bytes.
const MTU: u32 = 1400;

/// The numbers of two calls about the timer of datagrams, which are macros in its header.
const GET_TIMEOUT: c_int = 73;
const HANDLE_TIMEOUT: c_int = 74;

impl Association for OpenSsl {
    fn take(&mut self, bytes: &[u8]) {
        self.stream.get_mut().incoming.push_back(bytes.to_vec());
    }

    fn drive(&mut self) -> Vec<Fact> {
        let mut facts = Vec::new();
        if self.over {
            return facts;
        }
        if !self.done {
            let step = if self.server {
                self.stream.accept()
            } else {
                self.stream.connect()
            };
            match step {
                Ok(()) => {
                    self.done = true;
                    facts.push(Fact::Handshake(self.agreed()));
                }
                Err(error) if error.code() == ErrorCode::WANT_READ => return facts,
                Err(error) => {
                    self.over = true;
                    facts.push(Fact::Failed(format!("handshake: {error}")));
                    return facts;
                }
            }
        }
        let mut buffer = vec![0; 1 << 14];
        loop {
            match self.stream.ssl_read(&mut buffer) {
                Ok(length) => facts.push(Fact::Data(buffer[..length].to_vec())),
                Err(error) if error.code() == ErrorCode::WANT_READ => break,
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    self.over = true;
                    facts.push(Fact::Closed);
                    break;
                }
                Err(error) => {
                    self.over = true;
                    facts.push(Fact::Failed(format!("read: {error}")));
                    break;
                }
            }
        }
        facts
    }

    fn outgoing(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.stream.get_mut().outgoing)
    }

    fn timeout(&mut self) -> Option<Duration> {
        let mut left = Left::default();
        let place = (&raw mut left).cast();
        // SAFETY: the stream owns the object, and the place is what the call writes.
        let runs = self.datagrams
            && unsafe { ffi::SSL_ctrl(self.stream.ssl().as_ptr(), GET_TIMEOUT, 0, place) } == 1;
        runs.then(|| left.duration())
    }

    fn timed_out(&mut self) {
        if self.datagrams {
            // SAFETY: the stream owns the object.
            unsafe {
                ffi::SSL_ctrl(
                    self.stream.ssl().as_ptr(),
                    HANDLE_TIMEOUT,
                    0,
                    std::ptr::null_mut(),
                );
            }
        }
    }

    fn send(&mut self, data: &[u8]) -> Result<(), String> {
        let sent = self.stream.ssl_write(data);
        sent.map(|_| ()).map_err(|error| error.to_string())
    }

    fn key_update(&mut self, request: bool) -> Result<(), String> {
        // SAFETY: the stream owns the object.
        match unsafe { SSL_key_update(self.stream.ssl().as_ptr(), c_int::from(request)) } {
            // It is sent by the next call that reads or writes.
            1 => self
                .stream
                .do_handshake()
                .map_err(|error| error.to_string()),
            _ => Err("key update refused".into()),
        }
    }

    fn renegotiate(&mut self) -> Result<(), String> {
        // SAFETY: the stream owns the object.
        if unsafe { SSL_renegotiate(self.stream.ssl().as_ptr()) } != 1 {
            return Err("renegotiation refused".into());
        }
        match self.stream.do_handshake() {
            Err(error) if error.code() != ErrorCode::WANT_READ => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    fn close(&mut self) {
        let _said = self.stream.shutdown();
    }

    fn ended(&mut self) {
        self.stream.get_mut().ended = true;
    }
}
