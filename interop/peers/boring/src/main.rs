//! BoringSSL as a peer.

use boring::error::ErrorStack;
use boring::pkey::{PKey, PKeyRef, Public};
use boring::sha::sha256;
use boring::ssl::{
    ErrorCode, Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslOptions, SslSession,
    SslSessionCacheMode, SslStream, SslVerifyMode, SslVersion,
};
use boring_sys as ffi;
use foreign_types_shared::{ForeignType as _, ForeignTypeRef as _};
use peer_frame::{Association, Fact, Options, hex, run};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn main() {
    let sessions: Sessions = Arc::default();
    let mut context = None;
    run(move |options| {
        let context = match &mut context {
            Some(context) => context,
            empty => empty.insert(make_context(options, &sessions).map_err(|it| it.to_string())?),
        };
        Boring::new(context, options, &sessions).map_err(|error| error.to_string())
    });
}

/// The sessions that a client has received, the newest last.
type Sessions = Arc<Mutex<Vec<SslSession>>>;

fn make_context(options: &Options, sessions: &Sessions) -> Result<SslContext, ErrorStack> {
    let mut builder = SslContextBuilder::new(SslMethod::dtls())?;
    let min = if options.v12 {
        SslVersion::DTLS1_2
    } else {
        SslVersion::DTLS1_3
    };
    let max = if options.v13 {
        SslVersion::DTLS1_3
    } else {
        SslVersion::DTLS1_2
    };
    builder.set_min_proto_version(Some(min))?;
    builder.set_max_proto_version(Some(max))?;
    builder.set_options(SslOptions::NO_QUERY_MTU);
    if !options.groups.is_empty() && !options.default_hello {
        builder.set_curves_list(&groups(options))?;
    } else if !options.default_hello {
        builder.set_curves_list("X25519:P-256:P-384")?;
    }
    if let (Some(cert), Some(key)) = (&options.cert, &options.key) {
        builder.set_certificate_chain_file(cert)?;
        builder.set_private_key_file(key, SslFiletype::PEM)?;
    }
    if let Some(ca) = &options.ca {
        builder.set_ca_file(ca)?;
    }
    if let Some((identity, key)) = &options.psk {
        import(&mut builder, identity, key)?;
    }
    let mode = match (options.server, options.client_auth) {
        (true, false) => SslVerifyMode::NONE,
        (false, _) if options.psk.is_some() => SslVerifyMode::NONE,
        (true, true) => SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
        (false, _) => SslVerifyMode::PEER,
    };
    builder.set_verify(mode);
    use_raw_keys(&mut builder, mode, options)?;
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

/// The context of a key that both ends share.
const CONTEXT: &[u8] = b"interop";

/// Adds a key that both ends share; BoringSSL uses it through the importer of RFC 9258 alone.
fn import(builder: &mut SslContextBuilder, identity: &str, key: &[u8]) -> Result<(), ErrorStack> {
    // SAFETY: plain calls of the library with live objects, whose outcomes are checked; it copies
    // what it is given, and counts the references to the credential.
    let added = unsafe {
        let credential = ffi::SSL_CREDENTIAL_new_pre_shared_key(
            key.as_ptr(),
            key.len(),
            identity.as_ptr(),
            identity.len(),
            ffi::EVP_sha256(),
            CONTEXT.as_ptr(),
            CONTEXT.len(),
        );
        let added =
            !credential.is_null() && ffi::SSL_CTX_add1_credential(builder.as_ptr(), credential) == 1;
        ffi::SSL_CREDENTIAL_free(credential);
        added
    };
    match added {
        true => Ok(()),
        false => Err(ErrorStack::get()),
    }
}

/// Raw public keys at either end, as far as the options want them.
fn use_raw_keys(
    builder: &mut SslContextBuilder,
    mode: SslVerifyMode,
    options: &Options,
) -> Result<(), ErrorStack> {
    const RAW: [u8; 1] = [ffi::TLSEXT_cert_type_rpk as u8];
    if let Some(file) = &options.raw_key {
        let key = PKey::private_key_from_pem(&std::fs::read(file).unwrap_or_default())?;
        // SAFETY: all objects are live, and the context has a reference of its own.
        unsafe {
            let credential = ffi::SSL_CREDENTIAL_new_raw_public_key(key.as_ptr());
            let added = ffi::SSL_CTX_add1_credential(builder.as_ptr(), credential);
            ffi::SSL_CREDENTIAL_free(credential);
            assert_eq!(added, 1, "the raw public key");
        }
    }
    if options.raw_peer {
        // SAFETY: the list is copied.
        let set = unsafe {
            ffi::SSL_CTX_set1_accepted_peer_cert_types(builder.as_ptr(), RAW.as_ptr(), RAW.len())
        };
        assert_eq!(set, 1, "the types of certificates");
        builder.set_custom_verify_callback(mode, |_| Ok(()));
    }
    Ok(())
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

/// The datagrams on their way in and out.
#[derive(Default)]
struct Queues {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
}

impl Read for Queues {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(datagram) = self.incoming.pop_front() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let length = datagram.len().min(buffer.len());
        buffer[..length].copy_from_slice(&datagram[..length]);
        Ok(length)
    }
}

impl Write for Queues {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.outgoing.push(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Boring {
    stream: SslStream<Queues>,
    server: bool,
    done: bool,
    over: bool,
}

impl Boring {
    fn new(
        context: &SslContext,
        options: &Options,
        sessions: &Sessions,
    ) -> Result<Self, ErrorStack> {
        let mut ssl = Ssl::new(context)?;
        ssl.set_mtu(1400)?;
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

    fn raw(&self) -> *mut ffi::SSL {
        self.stream.ssl().as_ptr()
    }

    fn agreed(&self) -> String {
        let ssl = self.stream.ssl();
        let version = match ssl.version_str() {
            "DTLSv1.3" => "1.3",
            _ => "1.2",
        };
        let cipher = ssl.current_cipher().map_or("?", |cipher| cipher.name());
        let resumed = if ssl.session_reused() { "yes" } else { "no" };
        let certificate = match ssl.peer_certificate() {
            Some(_) => "yes",
            None => "no",
        };
        let group = ssl.curve_name().unwrap_or("?");
        let raw = self.raw_key_of_peer().map(|raw| format!(" peer_rpk={raw}"));
        format!(
            "version={version} cipher={cipher} group={group} resumed={resumed} peer_cert={certificate}{}",
            raw.unwrap_or_default()
        )
    }

    /// The digest of the raw public key that the peer has shown.
    fn raw_key_of_peer(&self) -> Option<String> {
        // SAFETY: the association is alive, and owns the key.
        let key = unsafe { ffi::SSL_get0_peer_rpk(self.raw()) };
        if key.is_null() {
            return None;
        }
        // SAFETY: as above.
        let key: &PKeyRef<Public> = unsafe { PKeyRef::from_ptr(key) };
        Some(hex(&sha256(&key.public_key_to_der().ok()?)))
    }
}

impl Association for Boring {
    fn take(&mut self, datagram: &[u8]) {
        self.stream.get_mut().incoming.push_back(datagram.to_vec());
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
        let mut left = ffi::timeval {
            tv_sec: 0,
            tv_usec: 0,
        };
        // SAFETY: the stream owns the object, and the function only fills in the time.
        let armed = unsafe { ffi::DTLSv1_get_timeout(self.raw(), &mut left) };
        let seconds = u64::try_from(left.tv_sec).unwrap_or_default();
        let micros = u64::try_from(left.tv_usec).unwrap_or_default();
        (armed == 1).then(|| Duration::from_secs(seconds) + Duration::from_micros(micros))
    }

    fn timed_out(&mut self) {
        // SAFETY: the stream owns the object.
        unsafe { ffi::DTLSv1_handle_timeout(self.raw()) };
    }

    fn send(&mut self, data: &[u8]) -> Result<(), String> {
        let sent = self.stream.ssl_write(data);
        sent.map(|_| ()).map_err(|error| error.to_string())
    }

    fn key_update(&mut self, request: bool) -> Result<(), String> {
        // SAFETY: the stream owns the object.
        match unsafe { ffi::SSL_key_update(self.raw(), i32::from(request)) } {
            1 => Ok(()),
            _ => Err("key update refused".into()),
        }
    }

    fn close(&mut self) {
        let _said = self.stream.shutdown();
    }
}
