//! The length of records: record_size_limit (RFC 8449) with GnuTLS, max_fragment_length (RFC 6066)
//! with OpenSSL, Mbed TLS and wolfSSL, in both roles, over both transports, over DTLS also with a
//! tenth of all datagrams lost. The longest record of each direction has as much data as it may, to
//! the byte, as captured.

use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::record_limits::{Case, Stack, run};
use sealgram_interop::sealgram::Sealgram;

#[test]
fn gnutls_and_we_announce_what_we_take() {
    agree(Stack::GnuTls, "GnuTLS, record_size_limit");
}

#[test]
fn openssl_and_we_agree_on_fragments() {
    agree(Stack::OpenSsl, "OpenSSL, max_fragment_length");
}

#[test]
fn mbedtls_and_we_agree_on_fragments() {
    agree(Stack::Mbed, "Mbed TLS, max_fragment_length");
}

#[test]
fn wolfssl_and_we_agree_on_fragments() {
    agree(Stack::Wolf, "wolfSSL, max_fragment_length");
}

fn agree(stack: Stack, title: &str) {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    run_all(&Case::all(stack), AT_ONCE, |case| run(case, &pki)).conclude(title);
}

const AT_ONCE: usize = 8;
