//! Pre-shared keys at version 1.2 with OpenSSL (3.0 and 3.6), GnuTLS, Mbed TLS, wolfSSL and dimpl,
//! in both roles, over both transports where the peer has them: each suite and group, resumed,
//! renegotiated, and over a path that loses a tenth of all datagrams.

use sealgram_interop::peer::Implementation;
use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::sealgram::Sealgram;
use sealgram_interop::shared_keys::{Case, run};

#[test]
fn k6_k8_openssl_and_we_share_keys() {
    agree(Implementation::OpenSsl, "OpenSSL, pre-shared keys");
}

#[test]
fn k8_gnutls_and_we_share_keys() {
    agree(Implementation::GnuTls, "GnuTLS, pre-shared keys");
}

/// With the cookies that are its servers' default.
#[test]
fn k6_k8_mbedtls_and_we_share_keys() {
    agree(Implementation::MbedTls, "Mbed TLS, pre-shared keys");
}

/// K6: and without cookies.
#[test]
fn k6_mbedtls_without_cookies_and_we_share_keys() {
    let foreign = Implementation::MbedTlsWithoutCookies;
    agree(foreign, "Mbed TLS without cookies, pre-shared keys");
}

#[test]
fn wolfssl_and_we_share_keys() {
    agree(Implementation::WolfSsl, "wolfSSL, pre-shared keys");
}

#[test]
fn openssl_3_6_and_we_share_keys() {
    agree(Implementation::OpenSsl36, "OpenSSL 3.6, pre-shared keys");
}

#[test]
fn dimpl_and_we_share_keys() {
    agree(Implementation::Dimpl, "dimpl, pre-shared keys");
}

fn agree(foreign: Implementation, title: &str) {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    run_all(&Case::all(foreign), AT_ONCE, |case| run(case, &pki)).conclude(title);
}

#[test]
fn openssl_and_we_share_keys_over_a_lossy_path() {
    survive(Implementation::OpenSsl, "OpenSSL, pre-shared keys, lossy");
}

#[test]
fn gnutls_and_we_share_keys_over_a_lossy_path() {
    survive(Implementation::GnuTls, "GnuTLS, pre-shared keys, lossy");
}

#[test]
fn mbedtls_and_we_share_keys_over_a_lossy_path() {
    survive(Implementation::MbedTls, "Mbed TLS, pre-shared keys, lossy");
}

#[test]
fn wolfssl_and_we_share_keys_over_a_lossy_path() {
    survive(Implementation::WolfSsl, "wolfSSL, pre-shared keys, lossy");
}

#[test]
fn openssl_3_6_and_we_share_keys_over_a_lossy_path() {
    survive(
        Implementation::OpenSsl36,
        "OpenSSL 3.6, pre-shared keys, lossy",
    );
}

#[test]
fn dimpl_and_we_share_keys_over_a_lossy_path() {
    survive(Implementation::Dimpl, "dimpl, pre-shared keys, lossy");
}

fn survive(foreign: Implementation, title: &str) {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    run_all(&Case::lossy(foreign), LOSSY_AT_ONCE, |case| run(case, &pki)).conclude(title);
}

const AT_ONCE: usize = 6;

const LOSSY_AT_ONCE: usize = 16;
