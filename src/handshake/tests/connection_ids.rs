//! Which connection IDs the hellos agree on (RFC 9146 §3, RFC 9147 §9, RFC 9853 §3).

use super::*;
use crate::error::PeerMisbehaved as P;
use crate::protocol::dialect::TLS;
use crate::protocol::{AlertDescription, ExtensionType, NamedGroup};
use crate::wire::codec::Writer;
use crate::wire::hello_verify_request::HelloVerifyRequest;
use std::sync::Mutex;

const VERSIONS: [Versions; 2] = [Versions::V1_2, Versions::V1_3];

/// Both ends have agreed on these lengths, each with the other's view of it.
fn assert_agreed(pair: &Pair, (client, server): Lengths) {
    let expected = match (id(client, 0xc1), id(server, 0x5e)) {
        (Some(ours), Some(theirs)) => ConnectionIds {
            ours,
            theirs,
            checks: true,
        },
        _ => ConnectionIds::default(),
    };
    assert_eq!(pair.0.agreed(), expected);
    let mirrored = ConnectionIds {
        ours: expected.theirs,
        theirs: expected.ours,
        checks: expected.checks,
    };
    assert_eq!(pair.1.agreed(), mirrored);
}

/// RFC 9146 §3: what one end wants says nothing about the other direction, and an offer is answered
/// by a server that wants none. RFC 9147 §9: at 1.3 it is the same, in the ServerHello.
#[test]
fn n51_03_n51_04_n52_02_each_direction_has_the_length_that_its_receiver_wants() {
    let lengths = [0, 1, 8, 20, 255].map(Some);
    for versions in VERSIONS {
        let setup = Setup::new(versions);
        for client in lengths {
            for server in lengths {
                let pair = setup.complete((client, server));
                assert_agreed(&pair, (client, server));
                let [hello] = &pair.0.client_hellos()[..] else {
                    panic!("one hello");
                };
                assert_eq!(hello.extensions.connection_id, id(client, 0xc1));
                let [hello] = &pair.1.server_hellos()[..] else {
                    panic!("one hello");
                };
                assert_eq!(hello.extensions.connection_id, id(server, 0x5e));
                assert!(hello.extensions.rrc);
            }
        }
    }
}

/// RFC 9146 §3: both ends must want to use them.
#[test]
fn n51_03_one_end_alone_uses_no_connection_ids() {
    for versions in VERSIONS {
        let setup = Setup::new(versions);
        for lengths in [(None, None), (None, Some(8)), (Some(8), None)] {
            let pair = setup.complete(lengths);
            assert_agreed(&pair, lengths);
            let offered = &pair.0.client_hellos()[0].extensions;
            assert_eq!(offered.connection_id.is_some(), lengths.0.is_some());
            assert_eq!(offered.rrc, lengths.0.is_some());
            let granted = &pair.1.server_hellos()[0].extensions;
            assert_eq!((granted.connection_id.as_ref(), granted.rrc), (None, false));
        }
    }
}

/// RFC 9146 §3: each handshake decides anew, one that resumes as well, by ID, by ticket or by the
/// ticket of 1.3.
#[test]
fn n51_05_n53_03_a_resumption_negotiates_anew() {
    let [ids, tickets] = [false, true].map(|it| Setup::with(&DTLS, Versions::V1_2, it));
    for setup in [ids, tickets, Setup::new(Versions::V1_3)] {
        let first = setup.complete((Some(8), Some(8)));
        for lengths in [(Some(4), Some(20)), (Some(0), Some(5)), (None, Some(8))] {
            let ends = setup.ends(lengths, Some(&first), false);
            let pair = setup.run(ends, |_, _| ()).unwrap();
            assert!(pair.0.completed.as_ref().unwrap().outcome.resumed);
            assert!(pair.1.completed.as_ref().unwrap().outcome.resumed);
            assert_agreed(&pair, lengths);
        }
    }
}

/// RFC 9146 §3: so does a renegotiation; one without connection IDs ends them, and the checks of
/// paths with them (RFC 9853 §3).
#[test]
fn n51_05_n53_03_a_renegotiation_negotiates_anew() {
    let setup = Setup::new(Versions::V1_2);
    let first = setup.complete((Some(8), Some(8)));
    for lengths in [(Some(4), Some(20)), (None, Some(8)), (Some(8), None)] {
        let ends = setup.ends(lengths, Some(&first), true);
        let pair = setup.run(ends, |_, _| ()).unwrap();
        assert_eq!(pair.0.completed.as_ref().unwrap().epoch(), Epoch::new(2));
        assert_agreed(&pair, lengths);
    }
}

/// Runs a handshake whose server says something else than it means.
fn with_server_hello(
    setup: &Setup,
    lengths: Lengths,
    alter: impl Fn(&mut ServerHello),
) -> Option<(Side, Option<AlertDescription>)> {
    let outcome = setup.run(setup.ends(lengths, None, false), |side, message| {
        if side == Side::Server && message.typ == HandshakeType::SERVER_HELLO {
            let mut hello = ServerHello::decode(&message.body).unwrap();
            alter(&mut hello);
            message.body.clear();
            hello.encode(&mut message.body);
        }
    });
    outcome.err().map(|(side, error)| (side, error.alert()))
}

/// RFC 5246 §7.4.1.4, RFC 8446 §4.2: only what was offered is answered; RFC 9853 §3: the one only
/// beside the other.
#[test]
fn n51_04_n53_01_an_answer_that_was_not_offered_or_is_half_of_one_is_a_fault() {
    let unsolicited = Some((Side::Client, Some(AlertDescription::UNSUPPORTED_EXTENSION)));
    let illegal = Some((Side::Client, Some(AlertDescription::ILLEGAL_PARAMETER)));
    for versions in VERSIONS {
        let setup = Setup::new(versions);
        let outcome = with_server_hello(&setup, (None, Some(8)), |hello| {
            hello.extensions.connection_id = id(Some(1), 1);
        });
        assert_eq!(outcome, unsolicited);
        let outcome = with_server_hello(&setup, (None, Some(8)), |hello| {
            hello.extensions.rrc = true;
        });
        assert_eq!(outcome, unsolicited);
        let outcome = with_server_hello(&setup, (Some(8), Some(8)), |hello| {
            hello.extensions.connection_id = None;
        });
        assert_eq!(outcome, illegal);
    }
}

/// RFC 9853 §3: a client that offers `rrc` alone gets no answer to it; one that does not offer it
/// has no checks.
#[test]
fn n53_01_n53_02_rrc_is_answered_beside_connection_id_alone() {
    for versions in VERSIONS {
        let setup = Setup::new(versions);
        for (keeps_id, keeps_rrc) in [(false, true), (true, false)] {
            let mut granted = None;
            // The transcripts differ, so this handshake fails later.
            let _failed = setup.run(setup.ends((Some(8), Some(8)), None, false), |_, message| {
                if message.typ == HandshakeType::CLIENT_HELLO {
                    let mut hello = ClientHello::decode(&DTLS, &message.body).unwrap();
                    assert!(hello.extensions.rrc);
                    hello.extensions.connection_id.take_if(|_| !keeps_id);
                    hello.extensions.rrc = keeps_rrc;
                    message.body.clear();
                    hello.encode(&DTLS, &mut message.body);
                } else if message.typ == HandshakeType::SERVER_HELLO {
                    granted = Some(ServerHello::decode(&message.body).unwrap().extensions);
                }
            });
            let granted = granted.unwrap();
            assert_eq!(granted.connection_id.is_some(), keeps_id);
            assert!(!granted.rrc);
        }
    }
}

/// A server that wants a group that the client has sent no share of.
fn retrying() -> Setup {
    let mut setup = Setup::new(Versions::V1_3);
    let mut server = test_server(Versions::V1_3);
    server.parameters.algorithms.groups = vec![NamedGroup::SECP256R1];
    setup.server = Arc::new(server);
    setup
}

/// RFC 9147 §9: a HelloRetryRequest has no connection ID; RFC 8446 §4.1.2: the second hello has
/// that of the first.
#[test]
fn n52_03_a_retry_changes_no_connection_id() {
    let setup = retrying();
    let pair = setup.run(setup.ends((Some(8), Some(4)), None, false), |_, _| ());
    let (client, server) = pair.unwrap();
    let hellos = client.client_hellos();
    assert_eq!(hellos.len(), 2);
    for hello in hellos {
        assert_eq!(hello.extensions.connection_id, id(Some(8), 0xc1));
        assert!(hello.extensions.rrc);
    }
    let [request, hello] = &server.server_hellos()[..] else {
        panic!("two hellos");
    };
    assert!(request.is_retry_request());
    assert_eq!(request.extensions.connection_id, None);
    assert!(!request.extensions.rrc);
    assert_eq!(hello.extensions.connection_id, id(Some(4), 0x5e));
}

/// RFC 9147 §9, RFC 8446 §4.2: neither has a place in a HelloRetryRequest.
#[test]
fn n52_03_a_retry_with_a_connection_id_is_a_fault() {
    let setup = retrying();
    for (lengths, alert) in [
        ((Some(8), Some(8)), AlertDescription::ILLEGAL_PARAMETER),
        ((None, Some(8)), AlertDescription::UNSUPPORTED_EXTENSION),
    ] {
        for alone in [false, true] {
            let outcome = with_server_hello(&setup, lengths, |hello| {
                hello.extensions.connection_id = id(Some(1), 1).filter(|_| !alone);
                hello.extensions.rrc = alone;
            });
            assert_eq!(outcome, Some((Side::Client, Some(alert))), "{alone}");
        }
    }
}

/// RFC 8446 §4.1.2: another connection ID in the second hello.
#[test]
fn n52_03_a_second_hello_with_another_connection_id_is_refused() {
    let setup = retrying();
    let mut hellos = 0;
    let outcome = setup.run(setup.ends((Some(8), Some(8)), None, false), |_, message| {
        if message.typ == HandshakeType::CLIENT_HELLO {
            hellos += 1;
            let mut hello = ClientHello::decode(&DTLS, &message.body).unwrap();
            if hellos == 2 {
                hello.extensions.connection_id = id(Some(8), 0xff);
            }
            message.body.clear();
            hello.encode(&DTLS, &mut message.body);
        }
    });
    let expected = (Side::Server, P::ChangedHello.into());
    assert_eq!(outcome.err(), Some(expected));
}

/// RFC 6347 §4.2.1: the hello with the cookie has the same parameters.
#[test]
fn n51_05_a_hello_with_a_cookie_repeats_the_connection_id() {
    let setup = Setup::new(Versions::V1_2);
    let (mut client, _) = setup.ends((Some(8), Some(8)), None, false);
    client.perform().unwrap();
    let mut body = Vec::new();
    let cookie = vec![7; 20];
    HelloVerifyRequest { cookie }.encode(&mut body);
    let request = InboundMessage {
        epoch: Epoch::PLAINTEXT,
        seq: MessageSeq::FIRST,
        typ: HandshakeType::HELLO_VERIFY_REQUEST,
        body,
    };
    take(&mut client, request).unwrap();
    client.perform().unwrap();
    let [mut first, second] = <[_; 2]>::try_from(client.client_hellos()).unwrap();
    assert_eq!(second.extensions.connection_id, id(Some(8), 0xc1));
    first.cookie = vec![7; 20];
    assert_eq!(first, second);
}

/// RFC 9146 §3: the extension is one of DTLS. Over a stream neither end says anything of it, even
/// if asked.
#[test]
fn n51_03_there_are_no_connection_ids_over_a_stream() {
    for versions in VERSIONS {
        let setup = Setup::with(&TLS, versions, true);
        let ends = setup.ends((Some(8), Some(8)), None, false);
        let (client, server) = setup.run(ends, |_, _| ()).unwrap();
        let said = |sent: &[InboundMessage], typ: ExtensionType, form: u8| {
            let mut needle = Vec::new();
            needle.put_u16(typ.0);
            needle.put_u16(u16::from(form) * 9);
            sent[0].body.windows(4).any(|window| window == needle)
        };
        for end in [&client, &server] {
            assert!(!end.did.iter().any(|did| matches!(did, Did::Agreed(_))));
            assert!(!said(&end.sent, ExtensionType::CONNECTION_ID, 1));
            assert!(!said(&end.sent, ExtensionType::RRC, 0));
        }
        let outcome = with_server_hello(&setup, (Some(8), Some(8)), |hello| {
            hello.extensions.connection_id = id(Some(1), 1);
        });
        let alert = Some(AlertDescription::UNSUPPORTED_EXTENSION);
        assert_eq!(outcome, Some((Side::Client, alert)));
    }
}

/// Keeps the words of each event.
struct Log(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = String::new();
        event.record(
            &mut |_: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                line += &format!("{value:?}");
            },
        );
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// What is logged meanwhile.
fn log_of(work: impl FnOnce()) -> Vec<String> {
    let lines = Arc::default();
    tracing::subscriber::with_default(Log(Arc::clone(&lines)), work);
    std::mem::take(&mut *lines.lock().unwrap())
}

/// A draft of RFC 9146 had another number and another MAC: the offer of that alone is no offer.
#[test]
fn n51_02_the_offer_of_the_draft_is_ignored() {
    for versions in VERSIONS {
        let setup = Setup::new(versions);
        let mut ends = setup.ends((None, Some(8)), None, false);
        ends.0.perform().unwrap();
        let mut hello = ends.0.sent[0].clone();
        let draft = [0, 53, 0, 2, 1, 9];
        let mut decoded = ClientHello::decode(&DTLS, &hello.body).unwrap();
        let before = hello.body.len();
        // The block of extensions is the last thing in the hello, after its length.
        let mut block = Vec::new();
        decoded.extensions.encode(&mut block);
        hello.body.truncate(before - block.len());
        let length = u16::try_from(block.len() - 2 + draft.len()).unwrap();
        hello.body.put_u16(length);
        hello.body.put(&block[2..]);
        hello.body.put(&draft);
        decoded.extensions.draft_connection_id = true;
        assert_eq!(ClientHello::decode(&DTLS, &hello.body), Ok(decoded));
        let lines = log_of(|| take(&mut ends.1, hello).unwrap());
        ends.1.perform().unwrap();
        let found = lines.iter().filter(|line| line.contains("draft"));
        assert_eq!(found.count(), 1, "{lines:?}");
        assert_eq!(ends.1.agreed(), ConnectionIds::default());
    }
}
