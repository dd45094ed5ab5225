//! Raw public keys (RFC 7250) with GnuTLS, OpenSSL 3.6, BoringSSL and wolfSSL, in both roles.

use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::raw_keys::{Case, Stack, run};
use sealgram_interop::sealgram::Sealgram;

#[test]
fn gnutls_and_we_know_each_other_by_raw_keys() {
    agree(Stack::GnuTls, "GnuTLS, raw public keys");
}

#[test]
fn r1_openssl_and_we_know_each_other_by_raw_keys() {
    agree(Stack::OpenSsl, "OpenSSL 3.6, raw public keys");
}

#[test]
fn boringssl_and_we_know_each_other_by_raw_keys() {
    agree(Stack::Boring, "BoringSSL, raw public keys");
}

#[test]
fn wolfssl_and_we_know_each_other_by_raw_keys() {
    agree(Stack::Wolf, "wolfSSL, raw public keys");
}

#[test]
fn openssl_and_raw_keys_survive_a_lossy_path() {
    conclude(
        &Case::lossy(Stack::OpenSsl),
        "OpenSSL 3.6, raw public keys, lossy",
    );
}

#[test]
fn wolfssl_and_raw_keys_survive_a_lossy_path() {
    conclude(&Case::lossy(Stack::Wolf), "wolfSSL, raw public keys, lossy");
}

#[test]
fn gnutls_and_raw_keys_survive_a_lossy_path() {
    conclude(
        &Case::lossy(Stack::GnuTls),
        "GnuTLS, raw public keys, lossy",
    );
}

#[test]
fn boringssl_and_raw_keys_survive_a_lossy_path() {
    conclude(
        &Case::lossy(Stack::Boring),
        "BoringSSL, raw public keys, lossy",
    );
}

fn agree(stack: Stack, title: &str) {
    conclude(&Case::all(stack), title);
}

fn conclude(cases: &[Case], title: &str) {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    run_all(cases, AT_ONCE, |case| run(case, &pki)).conclude(title);
}

const AT_ONCE: usize = 4;
