//! Connection IDs of every length at both ends, at both versions, while the client's port changes
//! and the keys are replaced: wolfSSL and Mbed TLS with each other, which checks the harness and
//! shows whose fault a failure is, and each of them with us.

use sealgram_interop::connection_ids::{
    Stack::{self, Mbed, Sealgram, Wolf},
    Version::{self, V12, V13},
    all, lossy, resumed, run,
};
use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;

fn passes(pairs: &[(Stack, Stack, Version)], title: &str) {
    let pki = Pki::generate().expect("certificates");
    let cases: Vec<_> = pairs
        .iter()
        .flat_map(|&(client, server, version)| all(client, server, version))
        .collect();
    run_all(&cases, AT_ONCE, |case| run(case, &pki)).conclude(title);
}

fn survives(pairs: &[(Stack, Stack, Version)], title: &str) {
    let pki = Pki::generate().expect("certificates");
    let cases: Vec<_> = SEEDS
        .into_iter()
        .flat_map(|seed| pairs.iter().map(move |pair| (pair, seed)))
        .flat_map(|(&(client, server, version), seed)| lossy(client, server, version, seed))
        .collect();
    run_all(&cases, LOSSY_AT_ONCE, |case| run(case, &pki)).conclude(title);
}

const FOREIGN_1_2: &[(Stack, Stack, Version)] = &[
    (Wolf, Wolf, V12),
    (Mbed, Mbed, V12),
    (Wolf, Mbed, V12),
    (Mbed, Wolf, V12),
];

const FOREIGN_1_3: &[(Stack, Stack, Version)] = &[(Wolf, Wolf, V13)];

#[test]
fn foreign_peers_understand_each_other_at_1_2() {
    passes(FOREIGN_1_2, "foreign peers, connection IDs, 1.2");
}

#[test]
fn foreign_peers_understand_each_other_at_1_3() {
    passes(FOREIGN_1_3, "foreign peers, connection IDs, 1.3");
}

#[test]
fn foreign_peers_survive_losses() {
    let pairs = [FOREIGN_1_2, FOREIGN_1_3].concat();
    survives(&pairs, "foreign peers, connection IDs, a tenth lost");
}

const WITH_WOLFSSL: [(Stack, Stack, Version); 4] = [
    (Sealgram, Wolf, V12),
    (Wolf, Sealgram, V12),
    (Sealgram, Wolf, V13),
    (Wolf, Sealgram, V13),
];

const WITH_MBEDTLS: [(Stack, Stack, Version); 2] = [(Sealgram, Mbed, V12), (Mbed, Sealgram, V12)];

const OURSELVES: [(Stack, Stack, Version); 2] =
    [(Sealgram, Sealgram, V12), (Sealgram, Sealgram, V13)];

#[test]
fn wolfssl_and_we_have_connection_ids() {
    passes(&WITH_WOLFSSL, "wolfSSL, connection IDs");
}

#[test]
fn mbedtls_and_we_have_connection_ids() {
    passes(&WITH_MBEDTLS, "Mbed TLS, connection IDs");
}

#[test]
fn our_programs_have_connection_ids() {
    passes(&OURSELVES, "our own, connection IDs");
}

#[test]
fn connection_ids_survive_losses() {
    let pairs = [&WITH_WOLFSSL[..], &WITH_MBEDTLS, &OURSELVES].concat();
    survives(&pairs, "connection IDs, a tenth lost");
}

/// J8: a client that resumes, by session ID and by ticket.
#[test]
fn j08_resumptions_with_mbedtls_agree_anew() {
    let pki = Pki::generate().expect("certificates");
    let pairs = [
        (Mbed, Mbed),
        (Sealgram, Mbed),
        (Mbed, Sealgram),
        (Sealgram, Sealgram),
    ];
    let cases: Vec<_> = pairs
        .iter()
        .flat_map(|&(client, server)| resumed(client, server))
        .collect();
    run_all(&cases, AT_ONCE, |case| run(case, &pki)).conclude("resumptions, connection IDs");
}

const SEEDS: [u64; 3] = [1, 2, 3];

const AT_ONCE: usize = 8;

const LOSSY_AT_ONCE: usize = 16;
