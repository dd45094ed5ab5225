//! The key that both ends share, at either version.

use peer_frame::Options;
use std::ffi::{CStr, c_char, c_uint};
use std::ptr;
use std::sync::OnceLock;
use wolfssl_sys as ffi;

/// The key and its identity.
static SHARED: OnceLock<(String, Vec<u8>)> = OnceLock::new();

/// The suite that the key goes with at version 1.3.
const SUITE: &CStr = c"TLS13-AES128-GCM-SHA256";

/// Sets the key of the options, if they have one.
pub(crate) fn use_shared_key(
    context: *mut ffi::WOLFSSL_CTX,
    options: &Options,
) -> Result<(), String> {
    let Some(shared) = &options.psk else {
        return Ok(());
    };
    let _only_once = SHARED.set(shared.clone());
    // SAFETY: plain calls of the library with a live object.
    unsafe {
        match (options.server, options.v13) {
            (true, true) => ffi::wolfSSL_CTX_set_psk_server_tls13_callback(context, Some(find_13)),
            (false, true) => ffi::wolfSSL_CTX_set_psk_client_tls13_callback(context, Some(name_13)),
            (true, false) => ffi::wolfSSL_CTX_set_psk_server_callback(context, Some(find)),
            (false, false) => ffi::wolfSSL_CTX_set_psk_client_callback(context, Some(name)),
        }
        match options
            .psk_alone
            .then(|| ffi::wolfSSL_CTX_no_dhe_psk(context))
        {
            None | Some(0) => Ok(()),
            Some(code) => Err(format!("without an exchange: {code}")),
        }
    }
}

/// Writes the key that both ends share, and says how long it is; 0 without one.
///
/// # Safety
///
/// There is room for `limit` bytes at `key`.
unsafe fn give_key(key: *mut u8, limit: c_uint) -> c_uint {
    let Some((_, bytes)) = SHARED.get().filter(|(_, it)| it.len() <= limit as usize) else {
        return 0;
    };
    // SAFETY: the caller promises it.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), key, bytes.len()) };
    bytes.len() as c_uint
}

unsafe extern "C" fn name(
    _: *mut ffi::WOLFSSL,
    _hint: *const c_char,
    identity: *mut c_char,
    identity_limit: c_uint,
    key: *mut u8,
    key_limit: c_uint,
) -> c_uint {
    let Some((name, _)) = SHARED
        .get()
        .filter(|(it, _)| it.len() < identity_limit as usize)
    else {
        return 0;
    };
    // SAFETY: the library's buffers have the sizes that it says; the identity ends with a zero.
    unsafe {
        ptr::copy_nonoverlapping(name.as_ptr(), identity.cast(), name.len());
        *identity.add(name.len()) = 0;
        give_key(key, key_limit)
    }
}

unsafe extern "C" fn find(
    _: *mut ffi::WOLFSSL,
    identity: *const c_char,
    key: *mut u8,
    key_limit: c_uint,
) -> c_uint {
    // SAFETY: the library gives a string; its buffer has the size that it says.
    unsafe {
        let named = CStr::from_ptr(identity).to_bytes();
        let known = SHARED
            .get()
            .is_some_and(|(name, _)| name.as_bytes() == named);
        if known { give_key(key, key_limit) } else { 0 }
    }
}

unsafe extern "C" fn name_13(
    ssl: *mut ffi::WOLFSSL,
    hint: *const c_char,
    identity: *mut c_char,
    identity_limit: c_uint,
    key: *mut u8,
    key_limit: c_uint,
    suite: *mut *const c_char,
) -> c_uint {
    // SAFETY: as above, and `suite` is a place for a pointer.
    unsafe {
        *suite = SUITE.as_ptr();
        name(ssl, hint, identity, identity_limit, key, key_limit)
    }
}

unsafe extern "C" fn find_13(
    ssl: *mut ffi::WOLFSSL,
    identity: *const c_char,
    key: *mut u8,
    key_limit: c_uint,
    suite: *mut *const c_char,
) -> c_uint {
    // SAFETY: as above.
    unsafe {
        *suite = SUITE.as_ptr();
        find(ssl, identity, key, key_limit)
    }
}
