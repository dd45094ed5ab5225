//! Both ends begin a renegotiation at the same time: a HelloRequest and a ClientHello cross on the
//! way.
//!
//! RFC 5246 §7.4.1.1 lets a client ignore a HelloRequest in the middle of a handshake. OpenSSL's
//! client does so without counting its message_seq, and then waits for ever for a ServerHello with
//! the number 0, unless the server withdraws its request.

use std::time::Duration;

use sealgram_interop::association::{Association, Delivery, Route};
use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::Outcome;
use sealgram_interop::loss::{Direction, Loss};
use sealgram_interop::peer::{
    Implementation::{self, OpenSsl, Sealgram},
    Transport,
};
use sealgram_interop::pki::Pki;
use sealgram_interop::rekeying::{plain, wait_for_event};

#[test]
fn a_hello_request_of_ours_crosses_openssls_hello() {
    cross(OpenSsl, Sealgram, b"R\n").unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_hello_of_ours_crosses_openssls_hello_request() {
    cross(Sealgram, OpenSsl, b"r\n").unwrap_or_else(|failure| panic!("{failure}"));
}

/// The proxy holds what goes to the client until both have begun, so that the messages cross for
/// certain; twice in a row.
fn cross(client: Implementation, server: Implementation, request: &[u8]) -> Outcome<()> {
    let pki = Pki::generate()?;
    let settings = plain(&pki, Transport::Dtls, true);
    let deadline = Deadline::after(LIMIT);
    let route = Route::Proxied(Loss::NONE);
    let mut association = Association::establish(client, server, &settings, route, deadline)?;
    for round in 1..=ROUNDS {
        association.converse(1, Delivery::Exact, deadline)?;
        association.proxy().hold(Direction::ToClient);
        association.server.process.write(request)?;
        association.proxy().wait_for_held(1, deadline)?;
        let sent = association.proxy().count(Direction::ToServer);
        association.client.process.write(b"R\n")?;
        association
            .proxy()
            .wait_for_count(Direction::ToServer, sent + 1, deadline)?;
        // The answer to the hello is held as well, after the HelloRequest.
        association.proxy().wait_for_held(2, deadline)?;
        association.proxy().release();
        let ours = match client {
            Sealgram => &association.client.process,
            _ => &association.server.process,
        };
        let begun = Deadline::after(Duration::ZERO);
        let epoch = (round + 1).to_string();
        wait_for_event(ours, "the end of the renegotiation", deadline, |event| {
            event.value("renegotiation") == Some("true")
                && event.value("epoch") == Some(epoch.as_str())
        })
        .map_err(|failure| failure.with_evidence(association.evidence()))?;
        println!(
            "{} to {}, round {round}: {} ms after the crossing",
            client.name(),
            server.name(),
            begun.elapsed().as_millis()
        );
        association.converse(3, Delivery::Exact, deadline)?;
    }
    association.close(deadline)
}

const ROUNDS: u64 = 2;
const LIMIT: Duration = Duration::from_secs(30);
