//! What the options of the command line say, as OpenSSL wants it.

use crate::Sessions;
use openssl::error::ErrorStack;
use openssl::ssl::{
    SslContext, SslContextBuilder, SslFiletype, SslMethod, SslMode, SslOptions,
    SslSessionCacheMode, SslVerifyMode, SslVersion,
};
use openssl_sys as ffi;
use peer_frame::Options;
use std::ffi::{c_int, c_uchar};

pub(crate) fn make_context(
    options: &Options,
    sessions: &Sessions,
) -> Result<SslContext, ErrorStack> {
    let mut builder = SslContextBuilder::new(match options.udp {
        true => SslMethod::dtls(),
        false => SslMethod::tls(),
    })?;
    let version = |newer: bool| match (options.udp, newer) {
        (true, _) => SslVersion::DTLS1_2,
        (false, true) => SslVersion::TLS1_3,
        (false, false) => SslVersion::TLS1_2,
    };
    builder.set_min_proto_version(Some(version(!options.v12)))?;
    builder.set_max_proto_version(Some(version(options.v13)))?;
    // What waits to be sent moves when the queue grows.
    builder.set_mode(SslMode::ACCEPT_MOVING_WRITE_BUFFER);
    let mut flags = ALLOW_CLIENT_RENEGOTIATION;
    if options.udp {
        flags |= SslOptions::NO_QUERY_MTU.bits();
    }
    if options.psk_alone {
        flags |= ALLOW_NO_DHE_KEX | PREFER_NO_DHE_KEX;
    }
    builder.set_options(SslOptions::from_bits_retain(flags));
    if !options.groups.is_empty() {
        builder.set_groups_list(&groups(options))?;
    }
    use_ciphers(&mut builder, options)?;
    if let (Some(cert), Some(key)) = (&options.cert, &options.key) {
        builder.set_certificate_chain_file(cert)?;
        builder.set_private_key_file(key, SslFiletype::PEM)?;
    }
    if let Some(ca) = &options.ca {
        builder.set_ca_file(ca)?;
    }
    let mode = match (options.server, options.client_auth) {
        (true, false) => SslVerifyMode::NONE,
        (true, true) => SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
        (false, _) => SslVerifyMode::PEER,
    };
    builder.set_verify(mode);
    use_raw_keys(&mut builder, mode, options)?;
    use_shared_key(&mut builder, options);
    ask_for_fragments(&mut builder, options);
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

/// Those of version 1.3 have names that begin with `TLS_`.
fn use_ciphers(builder: &mut SslContextBuilder, options: &Options) -> Result<(), ErrorStack> {
    let Some(list) = &options.ciphers else {
        return Ok(());
    };
    let (newer, older): (Vec<_>, Vec<_>) =
        list.split(':').partition(|name| name.starts_with("TLS_"));
    if !newer.is_empty() {
        builder.set_ciphersuites(&newer.join(":"))?;
    }
    if !older.is_empty() {
        builder.set_cipher_list(&older.join(":"))?;
    }
    Ok(())
}

/// The key that both ends share, at either version.
fn use_shared_key(builder: &mut SslContextBuilder, options: &Options) {
    let Some((identity, key)) = options.psk.clone() else {
        return;
    };
    let give = |key: &[u8], place: &mut [u8]| match place.get_mut(..key.len()) {
        Some(place) => {
            place.copy_from_slice(key);
            key.len()
        }
        None => 0,
    };
    if options.server {
        builder.set_psk_server_callback(move |_, named, place| {
            let known = named == Some(identity.as_bytes());
            Ok(if known { give(&key, place) } else { 0 })
        });
    } else {
        builder.set_psk_client_callback(move |_, _, name, place| {
            let zero = [identity.as_bytes(), &[0]].concat();
            let named = give(&zero, name) > 0;
            Ok(if named { give(&key, place) } else { 0 })
        });
    }
}

/// Raw public keys at either end, as far as the options want them.
fn use_raw_keys(
    builder: &mut SslContextBuilder,
    mode: SslVerifyMode,
    options: &Options,
) -> Result<(), ErrorStack> {
    const RAW: [u8; 1] = [2];
    let [own, peers] = match options.server {
        true => [SSL_CTX_set1_server_cert_type, SSL_CTX_set1_client_cert_type],
        false => [SSL_CTX_set1_client_cert_type, SSL_CTX_set1_server_cert_type],
    };
    if let Some(file) = &options.raw_key {
        builder.set_private_key_file(file, SslFiletype::PEM)?;
        // SAFETY: the list is copied.
        let set = unsafe { own(builder.as_ptr(), RAW.as_ptr(), RAW.len()) };
        assert_eq!(set, 1, "the types of certificates");
    }
    if options.raw_peer {
        // SAFETY: as above.
        let set = unsafe { peers(builder.as_ptr(), RAW.as_ptr(), RAW.len()) };
        assert_eq!(set, 1, "the types of certificates");
        // Whoever it is: the digest is told.
        builder.set_verify_callback(mode, |_, _| true);
    }
    Ok(())
}

/// By max_fragment_length, whose lengths have numbers from 1 on (RFC 6066 §4).
fn ask_for_fragments(builder: &mut SslContextBuilder, options: &Options) {
    let Some(length) = options.max_fragment else {
        return;
    };
    let known = [512, 1024, 2048, 4096].iter().position(|&it| it == length);
    let number = known.map_or(0, |index| index as u8 + 1);
    // SAFETY: a plain call with a live object.
    let set = unsafe { SSL_CTX_set_tlsext_max_fragment_length(builder.as_ptr(), number) };
    assert!(set == 1 && number > 0, "512, 1024, 2048 or 4096");
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

/// What `openssl-sys` has no names for: a client may renegotiate; a shared key may be used, and is
/// preferred to be used, without an ephemeral exchange.
const ALLOW_CLIENT_RENEGOTIATION: u64 = 1 << 8;
const ALLOW_NO_DHE_KEX: u64 = 1 << 10;
const PREFER_NO_DHE_KEX: u64 = 1 << 35;

unsafe extern "C" {
    fn SSL_CTX_set1_client_cert_type(
        context: *mut ffi::SSL_CTX,
        types: *const c_uchar,
        count: usize,
    ) -> c_int;
    fn SSL_CTX_set1_server_cert_type(
        context: *mut ffi::SSL_CTX,
        types: *const c_uchar,
        count: usize,
    ) -> c_int;
    fn SSL_CTX_set_tlsext_max_fragment_length(context: *mut ffi::SSL_CTX, mode: c_uchar) -> c_int;
}
