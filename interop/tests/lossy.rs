//! Our program with each foreign peer over a path that loses a fifth of all datagrams.
//!
//! For each peer 24 cases that cover every pair of values, each with three different choices of
//! losses; 24 at once, 90 seconds for each, never retried.

use std::fmt::{self, Display, Formatter};

use sealgram_interop::case::run_lossy;
use sealgram_interop::loss::Loss;
use sealgram_interop::matrix::{Case, Matrix};
use sealgram_interop::pairwise::choose;
use sealgram_interop::peer::Implementation;
use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::sealgram::Sealgram;

/// A case with one choice of losses.
struct Lossy {
    case: Case,
    seed: u64,
}

impl Display for Lossy {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/seed-{}", self.case, self.seed)
    }
}

#[test]
fn openssl_and_we_get_through() {
    survive(Implementation::OpenSsl, "OpenSSL, lossy");
}

#[test]
fn gnutls_and_we_get_through() {
    survive(Implementation::GnuTls, "GnuTLS, lossy");
}

fn survive(foreign: Implementation, title: &str) {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    let cases: Vec<_> = choose(&Matrix::against(foreign).cases, CASES)
        .into_iter()
        .flat_map(|case| SEEDS.map(|seed| Lossy { case, seed }))
        .collect();
    run_all(&cases, AT_ONCE, |lossy| {
        run_lossy(
            &lossy.case,
            &pki,
            Loss::of(lossy.case, LOSS_PERCENT, lossy.seed),
        )
    })
    .conclude(title);
}

const CASES: usize = 24;
const SEEDS: [u64; 3] = [1, 2, 3];
const AT_ONCE: usize = 24;
const LOSS_PERCENT: u8 = 20;
