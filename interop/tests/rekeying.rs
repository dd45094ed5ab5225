//! Renegotiation with each foreign peer: started by each end, full and abbreviated, over both
//! transports, with data before, during and after it; and over a path that loses a tenth of all
//! datagrams.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use sealgram_interop::association::{Association, Delivery, Route};
use sealgram_interop::clock::Deadline;
use sealgram_interop::peer::{Implementation, Transport};
use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::rekeying::{
    Case, plain, resume_as_client, resume_as_server, run, run_lossy, wait_for_event,
};
use sealgram_interop::sealgram::Sealgram;

#[test]
fn openssl_and_we_renegotiate() {
    renegotiate(Implementation::OpenSsl, "OpenSSL, renegotiation");
}

#[test]
fn gnutls_and_we_renegotiate() {
    renegotiate(Implementation::GnuTls, "GnuTLS, renegotiation");
}

#[test]
fn erlang_and_we_renegotiate() {
    renegotiate(Implementation::Erlang, "Erlang, renegotiation");
}

#[test]
fn botan_and_we_renegotiate() {
    renegotiate(Implementation::Botan, "Botan, renegotiation");
}

/// With the cookies that are its servers' default.
#[test]
fn mbedtls_and_we_renegotiate() {
    renegotiate(Implementation::MbedTls, "Mbed TLS, renegotiation");
}

#[test]
fn mbedtls_without_cookies_and_we_renegotiate() {
    renegotiate(
        Implementation::MbedTlsWithoutCookies,
        "Mbed TLS without cookies, renegotiation",
    );
}

fn renegotiate(foreign: Implementation, title: &str) {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    run_all(&Case::all(foreign), AT_ONCE, |case| run(case, &pki)).conclude(title);
}

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
fn openssl_and_we_renegotiate_over_a_lossy_path() {
    survive(Implementation::OpenSsl, "OpenSSL, lossy renegotiation");
}

#[test]
fn gnutls_and_we_renegotiate_over_a_lossy_path() {
    survive(Implementation::GnuTls, "GnuTLS, lossy renegotiation");
}

#[test]
fn erlang_and_we_renegotiate_over_a_lossy_path() {
    survive(Implementation::Erlang, "Erlang, lossy renegotiation");
}

#[test]
fn botan_and_we_renegotiate_over_a_lossy_path() {
    survive(Implementation::Botan, "Botan, lossy renegotiation");
}

#[test]
fn mbedtls_and_we_renegotiate_over_a_lossy_path() {
    survive(Implementation::MbedTls, "Mbed TLS, lossy renegotiation");
}

#[test]
fn mbedtls_without_cookies_and_we_renegotiate_over_a_lossy_path() {
    survive(
        Implementation::MbedTlsWithoutCookies,
        "Mbed TLS without cookies, lossy renegotiation",
    );
}

fn survive(foreign: Implementation, title: &str) {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    let lossy = |case: &Case| case.transport == Transport::Dtls && case.trigger.survives_loss();
    let cases: Vec<Lossy> = Case::all(foreign)
        .into_iter()
        .filter(lossy)
        .flat_map(|case| SEEDS.map(|seed| Lossy { case, seed }))
        .collect();
    run_all(&cases, LOSSY_AT_ONCE, |lossy| {
        run_lossy(&lossy.case, &pki, lossy.seed)
    })
    .conclude(title);
}

/// A session that one of our processes saves is resumed by the next; and foreign clients resume
/// with our server.
#[test]
fn sessions_are_resumed_in_both_roles() {
    let pki = Pki::generate().expect("certificates");
    for transport in [Transport::Dtls, Transport::Tls] {
        for tickets in [true, false] {
            for foreign in [Implementation::OpenSsl, Implementation::GnuTls] {
                let what = format!("{transport:?} {foreign:?} tickets: {tickets}");
                let deadline = Deadline::after(LIMIT);
                resume_as_client(&pki, transport, tickets, foreign, deadline)
                    .unwrap_or_else(|failure| panic!("our client, {what}: {failure}"));
                resume_as_server(&pki, transport, tickets, foreign, deadline)
                    .unwrap_or_else(|failure| panic!("our server, {what}: {failure}"));
            }
        }
    }
}

/// OpenSSL's server refuses by default, with a warning: our client reports it, and its association
/// goes on.
#[test]
fn a_default_openssl_server_refuses_politely_and_we_carry_on() {
    let pki = Pki::generate().expect("certificates");
    for transport in [Transport::Dtls, Transport::Tls] {
        let deadline = Deadline::after(LIMIT);
        let mut settings = plain(&pki, transport, true);
        settings.renegotiation = false;
        let (us, them) = (Implementation::Sealgram, Implementation::OpenSsl);
        let mut association = Association::establish(us, them, &settings, Route::Direct, deadline)
            .expect("handshake");
        association
            .converse(2, Delivery::Exact, deadline)
            .expect("data before");
        // Over datagrams OpenSSL counts a hello that it has refused, takes the next one for a
        // repetition, and does not answer.
        let commands: &[&[u8]] = match transport {
            Transport::Dtls => &[b"R\n"],
            Transport::Tls => &[b"R\n", b"r\n"],
        };
        for command in commands {
            association
                .client
                .process
                .write(command)
                .expect("a command");
            association
                .converse(3, Delivery::Exact, deadline)
                .expect("data after the refusal");
        }
        let ours = &association.client.process;
        wait_for_event(ours, "its refusal", deadline, |event| {
            event.name() == "renegotiation_refused"
                && event.value("reason") == Some("no_renegotiation")
        })
        .expect("the refusal is reported");
        association.close(deadline).expect("a close");
    }
}

/// Erlang's server refuses a client's second renegotiation within about twelve seconds, with a
/// warning.
#[test]
fn an_erlang_server_refuses_a_hasty_second_renegotiation_and_we_carry_on() {
    let pki = Pki::generate().expect("certificates");
    for transport in [Transport::Dtls, Transport::Tls] {
        let deadline = Deadline::after(LIMIT);
        let settings = plain(&pki, transport, true);
        let (us, them) = (Implementation::Sealgram, Implementation::Erlang);
        let mut association = Association::establish(us, them, &settings, Route::Direct, deadline)
            .expect("handshake");
        let outcomes = [("handshake_complete", "2"), ("renegotiation_refused", "")];
        for (wanted, epoch) in outcomes {
            let client = &mut association.client.process;
            client.write(b"R\n").expect("a command");
            wait_for_event(client, wanted, deadline, |event| {
                event.name() == wanted && event.value("epoch").unwrap_or_default() == epoch
            })
            .unwrap_or_else(|failure| panic!("{failure}\n{}", association.evidence()));
            association
                .converse(3, Delivery::Exact, deadline)
                .expect("data after it");
        }
        association.close(deadline).expect("a close");
    }
}

/// Our policy: after a number of bytes the keys are replaced, whoever the peer is.
#[test]
fn keys_are_replaced_after_so_many_bytes() {
    let pki = Pki::generate().expect("certificates");
    for transport in [Transport::Dtls, Transport::Tls] {
        for them in [Implementation::OpenSsl, Implementation::GnuTls] {
            let deadline = Deadline::after(LIMIT);
            let mut settings = plain(&pki, transport, true);
            settings.client_arguments = ["--rekey-bytes", "1500"].map(String::from).into();
            let us = Implementation::Sealgram;
            let mut association =
                Association::establish(us, them, &settings, Route::Direct, deadline)
                    .expect("handshake");
            association
                .converse(12, Delivery::Exact, deadline)
                .expect("data under several keys");
            let ours = &association.client.process;
            wait_for_event(ours, "its third epoch", deadline, |event| {
                event.value("epoch") == Some("3") && event.value("kind") == Some("full")
            })
            .expect("two renegotiations");
            association.close(deadline).expect("a close");
        }
    }
}

const AT_ONCE: usize = 8;
const LOSSY_AT_ONCE: usize = 24;
const SEEDS: [u64; 3] = [1, 2, 3];
const LIMIT: Duration = Duration::from_secs(30);
