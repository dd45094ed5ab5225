//! OpenSSL as a peer, over TLS.

use foreign_types_shared::ForeignTypeRef as _;
use openssl::error::ErrorStack;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslMode, SslSession,
    SslSessionCacheMode, SslStream, SslVerifyMode, SslVersion,
};
use openssl_sys as ffi;
use peer_frame::{Association, Fact, Options, run_stream};
use std::ffi::c_int;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn main() {
    let sessions: Sessions = Arc::default();
    let mut context = None;
    run_stream(move |options| {
        let context = match &mut context {
            Some(context) => context,
            empty => empty.insert(make_context(options, &sessions).map_err(|it| it.to_string())?),
        };
        OpenSsl::new(context, options, &sessions).map_err(|error| error.to_string())
    });
}

/// The sessions that a client has received, the newest last.
type Sessions = Arc<Mutex<Vec<SslSession>>>;

fn make_context(options: &Options, sessions: &Sessions) -> Result<SslContext, ErrorStack> {
    let mut builder = SslContextBuilder::new(SslMethod::tls())?;
    let version = |newer: bool| {
        if newer {
            SslVersion::TLS1_3
        } else {
            SslVersion::TLS1_2
        }
    };
    builder.set_min_proto_version(Some(version(!options.v12)))?;
    builder.set_max_proto_version(Some(version(options.v13)))?;
    // What waits to be sent moves when the queue grows.
    builder.set_mode(SslMode::ACCEPT_MOVING_WRITE_BUFFER);
    if !options.groups.is_empty() {
        builder.set_groups_list(&groups(options))?;
    }
    if let (Some(cert), Some(key)) = (&options.cert, &options.key) {
        builder.set_certificate_chain_file(cert)?;
        builder.set_private_key_file(key, SslFiletype::PEM)?;
    }
    if let Some(ca) = &options.ca {
        builder.set_ca_file(ca)?;
    }
    builder.set_verify(match (options.server, options.client_auth) {
        (true, false) => SslVerifyMode::NONE,
        (true, true) => SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
        (false, _) => SslVerifyMode::PEER,
    });
    if options.server {
        builder.set_session_id_context(b"peer")?;
    } else {
        builder.set_session_cache_mode(SslSessionCacheMode::CLIENT);
        let sessions = sessions.clone();
        builder.set_new_session_callback(move |_, session| {
            sessions.lock().expect("no panic").push(session);
        });
    }
    Ok(builder.build())
}

fn groups(options: &Options) -> String {
    let names = options.groups.iter().map(|name| match name.as_str() {
        "p256" => "P-256",
        "p384" => "P-384",
        "x25519mlkem768" => "X25519MLKEM768",
        _ => "X25519",
    });
    names.collect::<Vec<_>>().join(":")
}

/// The bytes on their way in and out.
#[derive(Default)]
struct Queues {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    ended: bool,
}

impl Read for Queues {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() && !self.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = self.incoming.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.incoming[..length]);
        self.incoming.drain(..length);
        Ok(length)
    }
}

impl Write for Queues {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct OpenSsl {
    stream: SslStream<Queues>,
    server: bool,
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
        if !options.server {
            ssl.set_hostname(&options.name)?;
            ssl.param_mut().set_host(&options.name)?;
            if let Some(session) = sessions.lock().expect("no panic").pop() {
                // SAFETY: the session was made with the same context.
                unsafe { ssl.set_session(&session)? };
            }
        }
        Ok(Self {
            stream: SslStream::new(ssl, Queues::default())?,
            server: options.server,
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
        format!("version={version} cipher={cipher} resumed={resumed} peer_cert={certificate}")
    }
}

unsafe extern "C" {
    fn SSL_key_update(ssl: *mut ffi::SSL, kind: c_int) -> c_int;
}

impl Association for OpenSsl {
    fn take(&mut self, bytes: &[u8]) {
        self.stream.get_mut().incoming.extend_from_slice(bytes);
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
        let bytes = std::mem::take(&mut self.stream.get_mut().outgoing);
        if bytes.is_empty() {
            Vec::new()
        } else {
            vec![bytes]
        }
    }

    fn timeout(&mut self) -> Option<Duration> {
        None
    }

    fn timed_out(&mut self) {}

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

    fn close(&mut self) {
        let _said = self.stream.shutdown();
    }

    fn ended(&mut self) {
        self.stream.get_mut().ended = true;
    }
}
