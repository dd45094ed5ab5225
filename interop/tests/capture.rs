//! Rules about record numbers, message numbers and nonces, checked on captured handshakes of our
//! program with each peer, in both roles.

use std::time::Duration;

use sealgram_interop::algorithm::{Aead, Group, KeyType};
use sealgram_interop::association::{Delivery, Route};
use sealgram_interop::audit::audit;
use sealgram_interop::case::establish;
use sealgram_interop::clock::Deadline;
use sealgram_interop::loss::{Direction, Loss};
use sealgram_interop::matrix::Case;
use sealgram_interop::peer::Implementation::{self, GnuTls, OpenSsl, Sealgram};
use sealgram_interop::pki::Pki;
use sealgram_interop::proxy::Captured;
use sealgram_interop::record::{CLIENT_HELLO, HELLO_VERIFY_REQUEST, SERVER_HELLO, records};

/// One handshake message as a capture shows it, once for each fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    direction: Direction,
    message_type: u8,
    message_seq: u16,
    record_sequence: u64,
}

#[test]
fn our_server_numbers_records_and_messages_by_rfc_6347() {
    let pki = Pki::generate().expect("certificates");
    for client in [OpenSsl, GnuTls, Sealgram] {
        let seen = messages(&capture(&pki, client, Sealgram, Aead::Aes128Gcm));
        let hellos = of_type(&seen, CLIENT_HELLO);
        let verify_request = of_type(&seen, HELLO_VERIFY_REQUEST)[0];
        let server_hello = of_type(&seen, SERVER_HELLO)[0];
        let name = client.name();
        // RFC 6347 §4.2.1: a HelloVerifyRequest carries the record number of the ClientHello that
        // it answers, and so does the ServerHello, because no state came before it.
        assert_eq!(
            verify_request.record_sequence, hellos[0].record_sequence,
            "{name}: {seen:?}"
        );
        let second_hello = hellos.last().expect("two ClientHellos");
        assert_eq!(
            server_hello.record_sequence, second_hello.record_sequence,
            "{name}: {seen:?}"
        );
        // RFC 6347 §4.2.2: HelloVerifyRequest is message 0 of the server, ServerHello message 1.
        assert_eq!(verify_request.message_seq, 0, "{name}: {seen:?}");
        assert_eq!(server_hello.message_seq, 1, "{name}: {seen:?}");
        assert_rising(&seen, Direction::ToClient, name);
    }
}

#[test]
fn our_client_numbers_records_and_messages_by_rfc_6347() {
    let pki = Pki::generate().expect("certificates");
    for server in [OpenSsl, GnuTls] {
        let seen = messages(&capture(&pki, Sealgram, server, Aead::Aes256Gcm));
        let hellos = of_type(&seen, CLIENT_HELLO);
        let name = server.name();
        assert_eq!(hellos.len(), 2, "{name}: {seen:?}");
        // RFC 6347 §4.2.2: the first message of each side is number 0, and each new one, the
        // ClientHello with the cookie too, has the next number.
        assert_eq!(hellos[0].message_seq, 0, "{name}: {seen:?}");
        assert_eq!(hellos[1].message_seq, 1, "{name}: {seen:?}");
        assert!(
            hellos[0].record_sequence < hellos[1].record_sequence,
            "{name}: {seen:?}"
        );
        assert_rising(&seen, Direction::ToServer, name);
    }
}

#[test]
fn our_records_never_repeat_a_number_and_carry_it_as_their_nonce() {
    let pki = Pki::generate().expect("certificates");
    let pairs = [
        (Sealgram, OpenSsl),
        (Sealgram, GnuTls),
        (OpenSsl, Sealgram),
        (GnuTls, Sealgram),
        (Sealgram, Sealgram),
    ];
    for (client, server) in pairs {
        for aead in Aead::ALL {
            let captured = capture(&pki, client, server, aead);
            for (implementation, direction) in
                [(client, Direction::ToServer), (server, Direction::ToClient)]
            {
                if implementation != Sealgram {
                    continue;
                }
                let audited = audit(&captured, direction, aead).unwrap_or_else(|failure| {
                    panic!(
                        "{} to {}, {aead:?}: {failure}",
                        client.name(),
                        server.name()
                    )
                });
                // At least Finished and five lines.
                assert!(audited.protected >= 6, "{audited:?}");
                assert!(audited.plaintext >= 3, "{audited:?}");
            }
        }
    }
}

/// Runs a case through a proxy without loss and returns all of its datagrams.
fn capture(pki: &Pki, client: Implementation, server: Implementation, aead: Aead) -> Vec<Captured> {
    let case = Case {
        client,
        server,
        aead,
        server_key: KeyType::EcdsaP256,
        group: Group::X25519,
        client_key: Some(KeyType::EcdsaP256),
        mtu: Some(1400),
    };
    let deadline = Deadline::after(Duration::from_secs(30));
    let run = || {
        let mut association = establish(&case, pki, Route::Proxied(Loss::NONE), deadline)?;
        association.converse(5, Delivery::Exact, deadline)?;
        association.close(deadline)?;
        Ok(association.proxy().captured())
    };
    run().unwrap_or_else(|failure: sealgram_interop::failure::Failure| panic!("{case}: {failure}"))
}

fn messages(captured: &[Captured]) -> Vec<Seen> {
    captured
        .iter()
        .flat_map(|datagram| {
            records(&datagram.bytes)
                .expect("a peer sends whole records")
                .into_iter()
                .flat_map(|record| {
                    record
                        .handshake_headers()
                        .into_iter()
                        .map(move |header| Seen {
                            direction: datagram.direction,
                            message_type: header.message_type,
                            message_seq: header.message_seq,
                            record_sequence: record.sequence,
                        })
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

fn of_type(seen: &[Seen], message_type: u8) -> Vec<Seen> {
    let found: Vec<_> = seen
        .iter()
        .filter(|message| message.message_type == message_type)
        .copied()
        .collect();
    assert!(
        !found.is_empty(),
        "no message of type {message_type}: {seen:?}"
    );
    found
}

/// Without loss each message of a side has the number after its predecessor's (its fragments share
/// it), and record numbers never decrease.
fn assert_rising(seen: &[Seen], direction: Direction, name: &str) {
    let ours: Vec<_> = seen
        .iter()
        .filter(|message| message.direction == direction)
        .collect();
    assert_eq!(ours[0].message_seq, 0, "{name}: {seen:?}");
    for pair in ours.windows(2) {
        let step = pair[1].message_seq - pair[0].message_seq;
        assert!(step <= 1, "{name}: {seen:?}");
        assert!(
            pair[0].record_sequence <= pair[1].record_sequence,
            "{name}: {seen:?}"
        );
    }
}
