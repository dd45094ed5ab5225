//! Our program with GnuTLS, in both roles: the full matrix, without loss.

use sealgram_interop::case::run;
use sealgram_interop::matrix::Matrix;
use sealgram_interop::peer::Implementation;
use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::sealgram::Sealgram;

#[test]
fn every_case_of_the_matrix_passes() {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    let matrix = Matrix::against(Implementation::GnuTls);
    matrix.print_empty_cells();
    run_all(&matrix.cases, AT_ONCE, |case| run(case, &pki)).conclude("GnuTLS, full matrix");
}

const AT_ONCE: usize = 8;
