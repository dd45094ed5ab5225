//! DTLS 1.3 with BoringSSL, wolfSSL and dimpl: handshakes in both roles, HelloRetryRequest, client
//! certificates, resumption, key updates from each side; and over a path that loses a tenth of all
//! datagrams.

use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::sealgram::Sealgram;
use sealgram_interop::version13::{Stack, all, lossy, program, run};

fn passes(stack: Stack) {
    Sealgram::program().expect("the program under test");
    program(stack).expect("the peer");
    let pki = Pki::generate().expect("certificates");
    let name = format!("{stack:?}, DTLS 1.3");
    run_all(&all(stack), AT_ONCE, |case| run(case, &pki)).conclude(&name);
    let cases: Vec<_> = SEEDS
        .into_iter()
        .flat_map(|seed| lossy(stack, seed))
        .collect();
    let name = format!("{stack:?}, DTLS 1.3, a tenth lost");
    run_all(&cases, LOSSY_AT_ONCE, |case| run(case, &pki)).conclude(&name);
}

#[test]
fn boringssl_and_we_speak_dtls_1_3() {
    passes(Stack::Boring);
}

#[test]
fn wolfssl_and_we_speak_dtls_1_3() {
    passes(Stack::Wolf);
}

#[test]
fn dimpl_and_we_speak_dtls_1_3() {
    passes(Stack::Dimpl);
}

const SEEDS: [u64; 3] = [1, 2, 3];

const AT_ONCE: usize = 8;

const LOSSY_AT_ONCE: usize = 16;
