//! One unauthenticated datagram: it ends an association of OpenSSL 3.0.19, but none of ours.
//!
//! The first test is the positive control of the others: it shows that injected datagrams arrive,
//! and that a library without the defence fails.

use std::time::Duration;

use sealgram_interop::algorithm::{Aead, Group, KeyType};
use sealgram_interop::association::{Association, Delivery, Route};
use sealgram_interop::case::establish;
use sealgram_interop::clock::Deadline;
use sealgram_interop::loss::{Direction, Loss};
use sealgram_interop::matrix::Case;
use sealgram_interop::openssl::OpenSsl as OpenSslProgram;
use sealgram_interop::peer::Implementation::{self, GnuTls, OpenSsl, Sealgram};
use sealgram_interop::pki::Pki;
use sealgram_interop::record::{APPLICATION_DATA, forge};

/// CVE-2026-75806: an epoch-1 record too short to hold an explicit nonce and a tag is taken for a
/// fatal error instead of noise.
fn short_record() -> Vec<u8> {
    forge(APPLICATION_DATA, 1, FORGED_SEQUENCE, &[0; 8])
}

#[test]
fn one_short_record_ends_an_openssl_3_0_19_association() {
    let version = OpenSslProgram::version().expect("openssl is installed");
    if !is_vulnerable(&version) {
        println!("NO POSITIVE CONTROL: OpenSSL {version} is later than 3.0.19");
        return;
    }
    let pki = Pki::generate().expect("certificates");
    for direction in [Direction::ToServer, Direction::ToClient] {
        let mut association = joined(OpenSsl, OpenSsl, &pki);
        association
            .proxy()
            .inject(direction, &short_record())
            .expect("the proxy sends");
        let end = Deadline::after(VICTIM_LIMIT);
        let after = association.converse(MESSAGES, Delivery::Exact, end);
        assert!(
            after.is_err(),
            "OpenSSL {version} survived the datagram {direction}\n{}",
            association.evidence()
        );
        println!("OpenSSL {version}: one datagram {direction} ended the association");
    }
}

#[test]
fn one_short_record_does_nothing_to_our_associations() {
    for_each_of_our_roles(|association, direction| {
        association
            .proxy()
            .inject(direction, &short_record())
            .expect("the proxy sends");
    });
}

/// Every length from nothing to more than a nonce and a tag, every content type, epochs 0 to 3.
#[test]
fn no_forged_record_does_anything_to_our_associations() {
    for_each_of_our_roles(|association, direction| {
        let mut sequence = FORGED_SEQUENCE;
        for content_type in FORGED_TYPES {
            for epoch in 0..=3 {
                for length in 0..=40 {
                    let fragment: Vec<u8> = (0..length).collect();
                    let record = forge(content_type, epoch, sequence, &fragment);
                    association
                        .proxy()
                        .inject(direction, &record)
                        .expect("the proxy sends");
                    sequence += 1;
                }
                // No more at a time than a socket's receive buffer holds.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
}

/// Connects our program in both roles with both peers, lets `attack` send to our side, and requires
/// that five messages each way and an orderly close follow.
fn for_each_of_our_roles(attack: impl Fn(&Association, Direction)) {
    let pki = Pki::generate().expect("certificates");
    let roles = [
        (Sealgram, OpenSsl, Direction::ToClient),
        (OpenSsl, Sealgram, Direction::ToServer),
        (Sealgram, GnuTls, Direction::ToClient),
        (GnuTls, Sealgram, Direction::ToServer),
        (Sealgram, Sealgram, Direction::ToClient),
        (Sealgram, Sealgram, Direction::ToServer),
    ];
    for (client, server, direction) in roles {
        let mut association = joined(client, server, &pki);
        attack(&association, direction);
        let deadline = Deadline::after(LIMIT);
        association
            .converse(MESSAGES, Delivery::Exact, deadline)
            .and_then(|()| association.close(deadline))
            .unwrap_or_else(|failure| {
                panic!(
                    "{} to {}, attacked {direction}: {failure}",
                    client.name(),
                    server.name()
                )
            });
    }
}

/// A handshake and one message each way, through a proxy without loss.
fn joined(client: Implementation, server: Implementation, pki: &Pki) -> Association {
    let case = Case {
        client,
        server,
        aead: Aead::Aes128Gcm,
        server_key: KeyType::EcdsaP256,
        group: Group::X25519,
        client_key: None,
        mtu: Some(1400),
    };
    let deadline = Deadline::after(LIMIT);
    let mut association = establish(&case, pki, Route::Proxied(Loss::NONE), deadline)
        .unwrap_or_else(|failure| panic!("{case}: {failure}"));
    association
        .converse(1, Delivery::Exact, deadline)
        .unwrap_or_else(|failure| panic!("{case}: {failure}"));
    association
}

/// Whether this is OpenSSL 3.0 up to 3.0.19.
fn is_vulnerable(version: &str) -> bool {
    version
        .strip_prefix("3.0.")
        .and_then(|patch| patch.parse::<u32>().ok())
        .is_some_and(|patch| patch <= 19)
}

/// Above every number that the peers reach, so that no replay window drops the record first.
const FORGED_SEQUENCE: u64 = 100_000;

/// Every content type of DTLS 1.2, its neighbours, and the ends of the range.
const FORGED_TYPES: [u8; 9] = [0, 19, 20, 21, 22, 23, 24, 25, 255];

const MESSAGES: usize = 5;

const LIMIT: Duration = Duration::from_secs(30);

/// How long to wait for an answer of an association that should be dead.
const VICTIM_LIMIT: Duration = Duration::from_secs(5);
