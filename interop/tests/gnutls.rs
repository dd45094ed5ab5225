//! Our program with GnuTLS, in both roles: the full matrix, without loss.

use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use sealgram_interop::case::run;
use sealgram_interop::clock::Deadline;
use sealgram_interop::matrix::Matrix;
use sealgram_interop::peer::{Implementation, Transport};
use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::port::{self, next_free_port};
use sealgram_interop::rekeying::plain;
use sealgram_interop::sealgram::Sealgram;

#[test]
fn every_case_of_the_matrix_passes() {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    let matrix = Matrix::against(Implementation::GnuTls);
    matrix.print_empty_cells();
    run_all(&matrix.cases, AT_ONCE, |case| run(case, &pki)).conclude("GnuTLS, full matrix");
}

/// What happens if another process takes the port between the check and the server's start.
#[test]
fn a_server_that_finds_its_port_taken_is_started_with_another() {
    let pki = Pki::generate().expect("certificates");
    for transport in [Transport::Dtls, Transport::Tls] {
        let settings = plain(&pki, transport, true);
        let server = Implementation::GnuTls.peer();
        let taken = next_free_port().expect("a port");
        let _datagrams = UdpSocket::bind(("127.0.0.1", taken)).expect("a socket");
        let _streams = TcpListener::bind(("127.0.0.1", taken)).expect("a socket");
        let mut first = Some(taken);
        let (_process, port) = port::start(
            "gnutls server",
            || first.take().map_or_else(next_free_port, Ok),
            |port| server.server_command(&settings, port),
            |transcript, port| server.listening(transcript, port),
            Deadline::after(LIMIT),
        )
        .expect("a server");
        assert_eq!(first, None, "the taken port was tried");
        assert_ne!(port, taken);
    }
}

const LIMIT: Duration = Duration::from_secs(30);
const AT_ONCE: usize = 8;
