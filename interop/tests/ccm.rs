//! AES-CCM and CCM_8 at version 1.2 with OpenSSL (3.0 and 3.6), GnuTLS, Mbed TLS and wolfSSL, over
//! DTLS with and without losses, and over TLS. At 1.3 they are cells of `version13_tls.rs` and
//! `version13_dtls.rs`.

use sealgram_interop::ccm::{Case, run};
use sealgram_interop::peer::Implementation;
use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::sealgram::Sealgram;

fn agree(foreign: Implementation, title: &str) {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    run_all(&Case::all(foreign), AT_ONCE, |case| run(case, &pki)).conclude(title);
}

#[test]
fn openssl_and_we_speak_ccm() {
    agree(Implementation::OpenSsl, "OpenSSL, CCM at 1.2");
}

#[test]
fn gnutls_and_we_speak_ccm() {
    agree(Implementation::GnuTls, "GnuTLS, CCM at 1.2");
}

#[test]
fn mbedtls_and_we_speak_ccm() {
    agree(Implementation::MbedTls, "Mbed TLS, CCM at 1.2");
}

#[test]
fn openssl_3_6_and_we_speak_ccm() {
    agree(Implementation::OpenSsl36, "OpenSSL 3.6, CCM at 1.2");
}

#[test]
fn wolfssl_and_we_speak_ccm() {
    agree(Implementation::WolfSsl, "wolfSSL, CCM at 1.2");
}

const AT_ONCE: usize = 8;
