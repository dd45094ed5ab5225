//! TLS 1.3 with OpenSSL, GnuTLS, Mbed TLS and rustls: handshakes in both roles, HelloRetryRequest,
//! client certificates, shared keys, resumption, key updates from each side.

use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::sealgram::Sealgram;
use sealgram_interop::version13::{Stack, all, run};

fn passes(stack: Stack) {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    let name = format!("{stack:?}, TLS 1.3");
    run_all(&all(stack), AT_ONCE, |case| run(case, &pki)).conclude(&name);
}

#[test]
fn openssl_and_we_speak_tls_1_3() {
    passes(Stack::OpenSsl);
}

#[test]
fn openssl_3_6_and_we_speak_tls_1_3() {
    passes(Stack::OpenSsl36);
}

#[test]
fn rustls_and_we_speak_tls_1_3() {
    passes(Stack::Rustls);
}

#[test]
fn mbedtls_3_5_and_we_speak_tls_1_3() {
    passes(Stack::Mbed);
}

#[test]
fn gnutls_and_we_speak_tls_1_3() {
    passes(Stack::GnuTls);
}

const AT_ONCE: usize = 8;
