//! Suites, groups, keys and client certificates with the stacks of `peers/`: cases that cover every
//! pair of values, without loss.

use sealgram_interop::case::run;
use sealgram_interop::matrix::{Case, Matrix};
use sealgram_interop::pairwise::choose;
use sealgram_interop::peer::Implementation;
use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::sealgram::Sealgram;

#[test]
fn erlang_and_we_agree() {
    agree(Implementation::Erlang, "Erlang, DTLS 1.2");
}

#[test]
fn botan_and_we_agree() {
    agree(Implementation::Botan, "Botan, DTLS 1.2");
}

#[test]
fn mbedtls_and_we_agree() {
    agree(Implementation::MbedTls, "Mbed TLS, DTLS 1.2");
}

#[test]
fn webrtc_and_we_agree() {
    agree(Implementation::WebRtc, "webrtc-rs, DTLS 1.2");
}

#[test]
fn wolfssl_and_we_agree() {
    agree(Implementation::WolfSsl, "wolfSSL, DTLS 1.2");
}

#[test]
fn openssl_3_6_and_we_agree() {
    agree(Implementation::OpenSsl36, "OpenSSL 3.6, DTLS 1.2");
}

fn agree(foreign: Implementation, title: &str) {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    let matrix = Matrix::against(foreign);
    matrix.print_empty_cells();
    // These programs accept no list of suites, so ours names the suite, which it does only if the
    // case has an MTU.
    let pinned: Vec<Case> = matrix
        .cases
        .into_iter()
        .filter(|case| case.mtu.is_some())
        .collect();
    run_all(&choose(&pinned, CASES), AT_ONCE, |case| run(case, &pki)).conclude(title);
}

const CASES: usize = 24;
const AT_ONCE: usize = 6;
