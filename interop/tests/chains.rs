//! Long chains with each peer, in both roles: three intermediate certificates and more than 3 kB,
//! and four with more than 16 kB, shown by server and client alike. The cases of version 1.3 are in
//! `version13_dtls.rs` and `version13_tls.rs`.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use sealgram_interop::algorithm::KeyType;
use sealgram_interop::association::{Association, Delivery, Route};
use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::{Failure, Outcome};
use sealgram_interop::loss::Loss;
use sealgram_interop::peer::{Implementation, Transport};
use sealgram_interop::pki::{Chain, Pki};
use sealgram_interop::pool::run_all;
use sealgram_interop::rekeying::plain;
use sealgram_interop::sealgram::Sealgram;

/// Two programs that show each other a chain.
struct Case {
    client: Implementation,
    server: Implementation,
    transport: Transport,
    chain: Chain,
}

impl Display for Case {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:?}/{}-to-{}/{:?}",
            self.transport,
            self.client.name(),
            self.server.name(),
            self.chain
        )
    }
}

#[test]
fn long_chains_are_shown_and_verified_by_both_ends() {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    run_all(&cases(), AT_ONCE, |case| run(case, &pki)).conclude("long chains");
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for foreign in PEERS {
        for transport in [Transport::Dtls, Transport::Tls] {
            for chain in [Chain::Long, Chain::Huge] {
                if let Some(reason) = empty(foreign, transport, chain) {
                    println!(
                        "empty: {transport:?}/{}/{chain:?}, because {reason}",
                        foreign.name()
                    );
                    continue;
                }
                let us = Implementation::Sealgram;
                cases.extend([(us, foreign), (foreign, us)].map(|(client, server)| Case {
                    client,
                    server,
                    transport,
                    chain,
                }));
            }
        }
    }
    cases
}

fn empty(foreign: Implementation, transport: Transport, chain: Chain) -> Option<&'static str> {
    match (foreign, transport, chain) {
        (Implementation::MbedTls, _, Chain::Huge) => {
            Some("Mbed TLS accepts messages of 16 kB at most (MBEDTLS_SSL_IN_CONTENT_LEN)")
        }
        (Implementation::WebRtc, Transport::Tls, _) => Some("webrtc-rs has no TLS"),
        _ => None,
    }
}

fn run(case: &Case, pki: &Pki) -> Outcome<String> {
    let mut settings = plain(pki, case.transport, true);
    settings.chain = case.chain;
    settings.client_key = Some(KeyType::EcdsaP256);
    let deadline = Deadline::after(LIMIT);
    let (client, server) = (case.client, case.server);
    // Kept for its evidence.
    let route = match case.transport {
        Transport::Dtls => Route::Proxied(Loss::NONE),
        Transport::Tls => Route::Direct,
    };
    let mut association = Association::establish(client, server, &settings, route, deadline)?;
    let ours = match client {
        Implementation::Sealgram => association.client_handshake,
        _ => association
            .server_handshake
            .ok_or_else(|| Failure::new("our server reports its handshakes"))?,
    };
    if ours.client_certificate != Some(true) {
        return Err(Failure::new("the client has shown no certificate")
            .with_evidence(association.evidence()));
    }
    association.converse(LINES, Delivery::Exact, deadline)?;
    association.close(deadline)?;
    Ok(String::new())
}

const PEERS: [Implementation; 6] = [
    Implementation::OpenSsl,
    Implementation::GnuTls,
    Implementation::Erlang,
    Implementation::Botan,
    Implementation::MbedTls,
    Implementation::WebRtc,
];

const LINES: usize = 3;
const AT_ONCE: usize = 6;
const LIMIT: Duration = Duration::from_secs(30);
