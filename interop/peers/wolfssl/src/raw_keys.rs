//! Raw public keys (RFC 7250) at either end.

use crate::{PEM, c_path, check};
use peer_frame::{Options, hex};
use std::cell::RefCell;
use std::ffi::{c_char, c_int};
use wolfssl_sys as ffi;

thread_local! {
    /// The digest of the key that the peer of the association has shown.
    static SHOWN: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Forgets what an earlier peer has shown.
pub(crate) fn forget() {
    SHOWN.take();
}

/// The digest of the key that the peer has shown.
pub(crate) fn shown() -> Option<String> {
    SHOWN.with_borrow(|digest| digest.as_deref().map(hex))
}

/// Shows the key of the options, and wants nothing else of the peer if they say so, verified in
/// this mode.
pub(crate) fn use_raw_keys(
    context: *mut ffi::WOLFSSL_CTX,
    mode: c_int,
    options: &Options,
) -> Result<(), String> {
    const RAW: [c_char; 1] = [ffi::WOLFSSL_CERT_TYPE_RPK as c_char];
    let set = |server: bool| {
        let of = match server {
            true => ffi::wolfSSL_CTX_set_server_cert_type,
            false => ffi::wolfSSL_CTX_set_client_cert_type,
        };
        // SAFETY: the list is copied.
        check("the types of certificates", unsafe {
            of(context, RAW.as_ptr(), RAW.len() as c_int)
        })
    };
    if let (Some(key), Some(public)) = (&options.raw_key, &options.raw_public) {
        let (key, public) = (c_path(key)?, c_path(public)?);
        let der = ffi::WOLFSSL_FILETYPE_ASN1 as c_int;
        // SAFETY: plain calls of the library with live objects and strings.
        unsafe {
            let outcome = ffi::wolfSSL_CTX_use_certificate_file(context, public.as_ptr(), der);
            check("public key", outcome)?;
            let outcome = ffi::wolfSSL_CTX_use_PrivateKey_file(context, key.as_ptr(), PEM);
            check("key", outcome)?;
        }
        set(options.server)?;
    }
    if options.raw_peer {
        set(!options.server)?;
        // SAFETY: a plain call of the library with a live object.
        unsafe { ffi::wolfSSL_CTX_set_verify(context, mode, Some(accept)) };
    }
    Ok(())
}

/// Takes whatever key it is, whose digest is told.
unsafe extern "C" fn accept(_: c_int, store: *mut ffi::WOLFSSL_X509_STORE_CTX) -> c_int {
    // SAFETY: the library gives what the peer has shown, one key.
    let key = unsafe {
        let store = &*store;
        if store.certs.is_null() || store.totalCerts < 1 {
            return 0;
        }
        let key = &*store.certs;
        std::slice::from_raw_parts(key.buffer, key.length as usize)
    };
    SHOWN.replace(Some(digest(key)));
    1
}

fn digest(key: &[u8]) -> Vec<u8> {
    let mut digest = vec![0; ffi::WC_SHA256_DIGEST_SIZE as usize];
    // SAFETY: a state of which zeros are a form, and which is initialised before it is used; the
    // digest has its length.
    let done = unsafe {
        let mut state: ffi::wc_Sha256 = std::mem::zeroed();
        ffi::wc_InitSha256(&mut state) == 0
            && ffi::wc_Sha256Update(&mut state, key.as_ptr(), key.len() as u32) == 0
            && ffi::wc_Sha256Final(&mut state, digest.as_mut_ptr()) == 0
    };
    assert!(done, "SHA-256");
    digest
}
