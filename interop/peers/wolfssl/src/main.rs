//! wolfSSL as a peer.

mod raw_keys;
mod shared_keys;

use peer_frame::{Association, Fact, Options, run};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::path::Path;
use std::ptr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use wolfssl_sys as ffi;

fn main() {
    // SAFETY: called once, before anything else of the library.
    unsafe { ffi::wolfSSL_Init() };
    let ticket = Rc::new(RefCell::new(ptr::null_mut()));
    let mut context = None;
    run(move |options| {
        let context = match context {
            Some(context) => context,
            None => *context.insert(make_context(options)?),
        };
        Wolf::new(context, options, &ticket)
    });
}

/// The session of the last association.
type Ticket = Rc<RefCell<*mut ffi::WOLFSSL_SESSION>>;

fn c_path(path: &Path) -> Result<CString, String> {
    CString::new(path.to_string_lossy().as_bytes()).map_err(|error| error.to_string())
}

fn check(what: &str, outcome: c_int) -> Result<(), String> {
    match outcome {
        1 => Ok(()),
        code => Err(format!("{what}: {code}")),
    }
}

fn make_context(options: &Options) -> Result<*mut ffi::WOLFSSL_CTX, String> {
    // SAFETY: plain calls of the library with live objects and strings; every outcome is checked.
    unsafe {
        let method = match (options.server, options.v13) {
            (true, true) => ffi::wolfDTLSv1_3_server_method(),
            (false, true) => ffi::wolfDTLSv1_3_client_method(),
            (true, false) => ffi::wolfDTLSv1_2_server_method(),
            (false, false) => ffi::wolfDTLSv1_2_client_method(),
        };
        let context = ffi::wolfSSL_CTX_new(method);
        if context.is_null() {
            return Err("no context".into());
        }
        if let (Some(cert), Some(key)) = (&options.cert, &options.key) {
            let (cert, key) = (c_path(cert)?, c_path(key)?);
            let outcome = ffi::wolfSSL_CTX_use_certificate_chain_file(context, cert.as_ptr());
            check("certificate", outcome)?;
            let outcome = ffi::wolfSSL_CTX_use_PrivateKey_file(context, key.as_ptr(), PEM);
            check("key", outcome)?;
        }
        if let Some(ca) = &options.ca {
            let ca = c_path(ca)?;
            let outcome = ffi::wolfSSL_CTX_load_verify_locations(context, ca.as_ptr(), ptr::null());
            check("roots", outcome)?;
        }
        let mode = match (options.server, options.client_auth) {
            (false, _) if options.psk.is_some() => ffi::WOLFSSL_VERIFY_NONE,
            (true, false) => ffi::WOLFSSL_VERIFY_NONE,
            (true, true) => ffi::WOLFSSL_VERIFY_PEER | ffi::WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT,
            (false, _) => ffi::WOLFSSL_VERIFY_PEER,
        };
        ffi::wolfSSL_CTX_set_verify(context, mode as c_int, None);
        raw_keys::use_raw_keys(context, mode as c_int, options)?;
        shared_keys::use_shared_key(context, options)?;
        if let Some(list) = &options.ciphers {
            let list = CString::new(list.as_str()).map_err(|error| error.to_string())?;
            let outcome = ffi::wolfSSL_CTX_set_cipher_list(context, list.as_ptr());
            check("ciphers", outcome)?;
        }
        ffi::wolfSSL_CTX_SetIORecv(context, Some(receive));
        ffi::wolfSSL_CTX_SetIOSend(context, Some(send));
        Ok(context)
    }
}

/// A renegotiation goes on when the data that came with it has been read.
const DATA_FIRST: c_int = ffi::wolfSSL_ErrorCodes_APP_DATA_READY as c_int;

/// The longest connection ID (RFC 9146 §3).
const ID_LIMIT: usize = 255;

const PEM: c_int = ffi::WOLFSSL_FILETYPE_PEM as c_int;

fn groups(options: &Options) -> Vec<c_int> {
    let known = |name: &String| match name.as_str() {
        "p256" => ffi::WOLFSSL_ECC_SECP256R1 as c_int,
        "p384" => ffi::WOLFSSL_ECC_SECP384R1 as c_int,
        "x25519mlkem768" => ffi::WOLFSSL_X25519MLKEM768 as c_int,
        _ => ffi::WOLFSSL_ECC_X25519 as c_int,
    };
    options.groups.iter().map(known).collect()
}

/// The number of a length in max_fragment_length (RFC 6066 §4).
fn max_fragment(length: u16) -> Result<u8, String> {
    let known = [512, 1024, 2048, 4096].iter().position(|&it| it == length);
    let number = known.ok_or("fragments of 512, 1024, 2048 or 4096")?;
    Ok(number as u8 + 1)
}

/// The datagrams on their way in and out, and what else the library's callbacks leave.
#[derive(Default)]
struct Queues {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
    /// How many handshakes are complete.
    handshakes: u32,
}

unsafe extern "C" fn receive(
    _: *mut ffi::WOLFSSL,
    buffer: *mut c_char,
    size: c_int,
    queues: *mut c_void,
) -> c_int {
    // SAFETY: the association owns the queues and outlives the object that calls this.
    let queues = unsafe { &mut *queues.cast::<Queues>() };
    let Some(datagram) = queues.incoming.pop_front() else {
        return ffi::IOerrors_WOLFSSL_CBIO_ERR_WANT_READ as c_int;
    };
    let length = datagram.len().min(size as usize);
    // SAFETY: the library's buffer has `size` bytes.
    unsafe { ptr::copy_nonoverlapping(datagram.as_ptr(), buffer.cast(), length) };
    length as c_int
}

unsafe extern "C" fn send(
    _: *mut ffi::WOLFSSL,
    buffer: *mut c_char,
    size: c_int,
    queues: *mut c_void,
) -> c_int {
    // SAFETY: as above; the library's buffer has `size` bytes.
    let (queues, datagram) = unsafe {
        let datagram = std::slice::from_raw_parts(buffer.cast::<u8>(), size as usize);
        (&mut *queues.cast::<Queues>(), datagram)
    };
    queues.outgoing.push(datagram.to_vec());
    size
}

unsafe extern "C" fn complete(_: *mut ffi::WOLFSSL, queues: *mut c_void) -> c_int {
    // SAFETY: as above.
    unsafe { (*queues.cast::<Queues>()).handshakes += 1 };
    0
}

struct Wolf {
    ssl: *mut ffi::WOLFSSL,
    queues: Box<Queues>,
    server: bool,
    /// The handshake fails without a certificate of the peer; this build cannot show it.
    demands: bool,
    done: bool,
    /// How many handshakes have been reported.
    reported: u32,
    identified: bool,
    over: bool,
    ticket: Ticket,
    /// When the stack's timer was last read; the stack says only how long it is.
    since: Instant,
}

impl Wolf {
    fn new(
        context: *mut ffi::WOLFSSL_CTX,
        options: &Options,
        ticket: &Ticket,
    ) -> Result<Self, String> {
        raw_keys::forget();
        let mut queues = Box::<Queues>::default();
        // SAFETY: plain calls of the library with live objects; the queues are boxed, so they do
        // not move.
        let ssl = unsafe {
            let ssl = ffi::wolfSSL_new(context);
            if ssl.is_null() {
                return Err("no association".into());
            }
            let place: *mut Queues = &mut *queues;
            ffi::wolfSSL_SetIOReadCtx(ssl, place.cast());
            ffi::wolfSSL_SetIOWriteCtx(ssl, place.cast());
            ffi::wolfSSL_dtls_set_using_nonblock(ssl, 1);
            let outcome = ffi::wolfSSL_SetHsDoneCb(ssl, Some(complete), place.cast());
            check("callback", outcome)?;
            if !options.v13 {
                let outcome = ffi::wolfSSL_UseSecureRenegotiation(ssl);
                check("renegotiation", outcome)?;
            }
            if let Some(mut id) = options.cid.clone() {
                check("connection IDs", ffi::wolfSSL_dtls_cid_use(ssl))?;
                let length = id.len() as c_uint;
                let outcome = ffi::wolfSSL_dtls_cid_set(ssl, id.as_mut_ptr(), length);
                check("connection ID", outcome)?;
            }
            let mut groups = groups(options);
            if !groups.is_empty() {
                let count = groups.len() as c_int;
                check(
                    "groups",
                    ffi::wolfSSL_set_groups(ssl, groups.as_mut_ptr(), count),
                )?;
            }
            if options.server {
                ffi::wolfSSL_dtls13_allow_ch_frag(ssl, 1);
            } else {
                if let Some(group) = groups.first() {
                    check("share", ffi::wolfSSL_UseKeyShare(ssl, *group as u16))?;
                }
                if let Some(length) = options.max_fragment {
                    let code = max_fragment(length)?;
                    check("fragments", ffi::wolfSSL_UseMaxFragment(ssl, code))?;
                }
                let name = CString::new(options.name.as_str()).map_err(|it| it.to_string())?;
                let kind = ffi::WOLFSSL_SNI_HOST_NAME as u8;
                let (bytes, length) = (name.as_ptr().cast(), options.name.len() as u16);
                check("name", ffi::wolfSSL_UseSNI(ssl, kind, bytes, length))?;
                if !options.raw_peer {
                    check("name", ffi::wolfSSL_check_domain_name(ssl, name.as_ptr()))?;
                }
                let session = *ticket.borrow();
                if !session.is_null() {
                    check("session", ffi::wolfSSL_set_session(ssl, session))?;
                }
            }
            ssl
        };
        Ok(Self {
            ssl,
            queues,
            server: options.server,
            demands: !options.server || options.client_auth,
            done: false,
            reported: 0,
            identified: options.cid.is_some(),
            over: false,
            ticket: ticket.clone(),
            since: Instant::now(),
        })
    }

    fn text(&self, text: *const c_char) -> String {
        if text.is_null() {
            return "?".into();
        }
        // SAFETY: the library's strings are static and end with zero.
        unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned()
    }

    fn agreed(&self) -> String {
        // SAFETY: the association is alive.
        let (version, cipher, group, resumed, most) = unsafe {
            (
                ffi::wolfSSL_get_version(self.ssl),
                ffi::wolfSSL_get_cipher_name(self.ssl),
                ffi::wolfSSL_get_curve_name(self.ssl),
                ffi::wolfSSL_session_reused(self.ssl) == 1,
                ffi::wolfSSL_GetMaxOutputSize(self.ssl),
            )
        };
        let version = match self.text(version).as_str() {
            "DTLSv1.3" => "1.3",
            _ => "1.2",
        };
        let word = |yes: bool| if yes { "yes" } else { "no" };
        let raw = raw_keys::shown().map(|raw| format!(" peer_rpk={raw}"));
        format!(
            "version={version} cipher={} group={} resumed={} peer_cert={} most={most}{}",
            self.text(cipher),
            self.text(group),
            word(resumed),
            word(self.demands),
            raw.unwrap_or_default()
        )
    }

    /// The connection IDs in use; empty ones if the peer has negotiated none.
    fn connection_ids(&self) -> Fact {
        let (mut received, mut sent) = (vec![0; ID_LIMIT], vec![0; ID_LIMIT]);
        let (mut received_length, mut sent_length) = (0, 0);
        // SAFETY: the association is alive, and the buffers have the size that is given.
        unsafe {
            let size = ID_LIMIT as c_uint;
            ffi::wolfSSL_dtls_cid_get_rx_size(self.ssl, &mut received_length);
            ffi::wolfSSL_dtls_cid_get_rx(self.ssl, received.as_mut_ptr(), size);
            ffi::wolfSSL_dtls_cid_get_tx_size(self.ssl, &mut sent_length);
            ffi::wolfSSL_dtls_cid_get_tx(self.ssl, sent.as_mut_ptr(), size);
        }
        received.truncate(received_length as usize);
        sent.truncate(sent_length as usize);
        Fact::ConnectionIds { received, sent }
    }

    /// Reports the handshakes that have been completed since this was called last.
    fn report(&mut self, facts: &mut Vec<Fact>) {
        while self.reported < self.queues.handshakes {
            self.reported += 1;
            facts.push(Fact::Handshake(self.agreed()));
            if self.identified {
                facts.push(self.connection_ids());
            }
        }
    }

    fn error(&self, outcome: c_int) -> c_int {
        // SAFETY: the association is alive.
        unsafe { ffi::wolfSSL_get_error(self.ssl, outcome) }
    }

    fn waits(error: c_int) -> bool {
        error == ffi::WOLFSSL_ERROR_WANT_READ as c_int || error == 3
    }
}

impl Association for Wolf {
    fn take(&mut self, datagram: &[u8]) {
        self.queues.incoming.push_back(datagram.to_vec());
        if !self.done {
            // Later, data would keep the timer of a renegotiation or a key update from ever ending.
            self.since = Instant::now();
        }
    }

    fn drive(&mut self) -> Vec<Fact> {
        let mut facts = Vec::new();
        if self.over {
            return facts;
        }
        if !self.done {
            // SAFETY: the association is alive.
            let outcome = unsafe { ffi::wolfSSL_negotiate(self.ssl) };
            if outcome != 1 {
                let error = self.error(outcome);
                if !Self::waits(error) {
                    self.over = true;
                    facts.push(Fact::Failed(format!("handshake: {error}")));
                }
                return facts;
            }
            self.done = true;
        }
        self.report(&mut facts);
        let mut buffer = vec![0_u8; 1 << 14];
        loop {
            let size = buffer.len() as c_int;
            // SAFETY: the buffer has that size.
            let length = unsafe { ffi::wolfSSL_read(self.ssl, buffer.as_mut_ptr().cast(), size) };
            self.report(&mut facts);
            if length > 0 {
                facts.push(Fact::Data(buffer[..length as usize].to_vec()));
                continue;
            }
            let error = self.error(length);
            if error == DATA_FIRST {
                continue;
            }
            if Self::waits(error) {
                break;
            }
            self.over = true;
            facts.push(if error == ffi::WOLFSSL_ERROR_ZERO_RETURN as c_int {
                Fact::Closed
            } else {
                Fact::Failed(format!("read: {error}"))
            });
            break;
        }
        facts
    }

    fn outgoing(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.queues.outgoing)
    }

    fn timeout(&mut self) -> Option<Duration> {
        // SAFETY: the association is alive.
        let (seconds, quick) = unsafe {
            (
                ffi::wolfSSL_dtls_get_current_timeout(self.ssl),
                ffi::wolfSSL_dtls13_use_quick_timeout(self.ssl) != 0,
            )
        };
        let whole = Duration::from_secs(seconds.max(0) as u64);
        let wanted = if quick { whole / 4 } else { whole };
        Some(wanted.saturating_sub(self.since.elapsed()))
    }

    fn timed_out(&mut self) {
        self.since = Instant::now();
        // SAFETY: the association is alive.
        unsafe { ffi::wolfSSL_dtls_got_timeout(self.ssl) };
    }

    fn send(&mut self, data: &[u8]) -> Result<(), String> {
        // SAFETY: the data has that length.
        let outcome =
            unsafe { ffi::wolfSSL_write(self.ssl, data.as_ptr().cast(), data.len() as c_int) };
        if outcome > 0 {
            Ok(())
        } else {
            Err(format!("write: {}", self.error(outcome)))
        }
    }

    fn key_update(&mut self, request: bool) -> Result<(), String> {
        if !request {
            return Err("not-supported: a key update without a request".into());
        }
        // SAFETY: the association is alive.
        let outcome = unsafe { ffi::wolfSSL_update_keys(self.ssl) };
        match self.error(outcome) {
            _ if outcome == 1 => Ok(()),
            error if Self::waits(error) => Ok(()),
            error => Err(format!("key update: {error}")),
        }
    }

    fn renegotiate(&mut self) -> Result<(), String> {
        // SAFETY: the association is alive.
        let outcome = unsafe { ffi::wolfSSL_Rehandshake(self.ssl) };
        match self.error(outcome) {
            _ if outcome == 1 => Ok(()),
            error if Self::waits(error) => Ok(()),
            error => Err(format!("renegotiation: {error}")),
        }
    }

    fn close(&mut self) {
        // SAFETY: the association is alive.
        unsafe {
            if !self.server {
                *self.ticket.borrow_mut() = ffi::wolfSSL_get1_session(self.ssl);
            }
            ffi::wolfSSL_shutdown(self.ssl);
        }
    }
}

impl Drop for Wolf {
    fn drop(&mut self) {
        // SAFETY: nobody else has it.
        unsafe { ffi::wolfSSL_free(self.ssl) };
    }
}
