//! A server that wants its client's certificate only when the association has lived for a while.

use crate::common::configs::Ends;
use crate::common::renegotiating::Moody;
use crate::common::transport::{BOTH, Duo, Transport, complete, refused};
use sealgram::config::{RekeyPolicy, Versions};
use sealgram::error::{CertificateError, PeerIncompatible, RenegotiateError};
use sealgram::server::ClientAuthentication::{self, Optional, Required};
use sealgram::{Error, HandshakeKind, RenegotiationRefusal, Side};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A server that asks nobody, and its verifier for later; a client with a certificate, or without.
struct House {
    ends: Ends,
    verifier: Arc<Moody>,
}

impl House {
    fn new(has_certificate: bool) -> Self {
        let ends = Ends::new().resuming();
        let verifier = Moody::new(&ends);
        let mut ends = if has_certificate { ends.mutual() } else { ends };
        ends.server = ends
            .server
            .client_authentication(ClientAuthentication::None);
        Self { ends, verifier }
    }

    fn connected(self, transport: Transport) -> (Duo, Arc<Moody>) {
        let duo = Duo::connected(transport, &self.ends.build());
        assert!(duo.identity(Side::Server).is_none());
        (duo, self.verifier)
    }
}

/// What `SSL_set_verify` and `SSL_renegotiate` are used for, but that a TLS client which offers its
/// session is asked all the same.
#[test]
fn a_certificate_that_is_asked_for_later_is_shown_over_either_transport() {
    for transport in BOTH {
        for demands in [true, false] {
            let (mut duo, verifier) = House::new(true).connected(transport);
            let policy = match demands {
                true => Required(verifier.clone()),
                false => Optional(verifier.clone()),
            };
            let asked = duo.request_client_certificate(Side::Server, policy);
            assert_eq!(asked, Ok(()));
            assert!(duo.is_pending(Side::Server));
            duo.settle();
            duo.assert_agreed(2);
            let full = complete(HandshakeKind::Full, true);
            assert_eq!(duo.handshakes(Side::Server).last(), Some(&full));
            assert!(duo.identity(Side::Server).is_some(), "{transport:?}");
            assert_eq!(verifier.asked.load(Ordering::Relaxed), 1);
            // Later ones may resume, and know who the client is.
            duo.renegotiate(Side::Client, true).unwrap();
            duo.settle();
            duo.renegotiate(Side::Server, false).unwrap();
            duo.settle();
            assert!(duo.identity(Side::Server).is_some() && duo.exchange());
            let kind = match transport {
                Transport::Dtls => HandshakeKind::Full,
                Transport::Tls => HandshakeKind::Resumed,
            };
            let last = complete(kind, true);
            assert_eq!(duo.handshakes(Side::Server).last(), Some(&last));
        }
    }
}

/// A client without a certificate stays nobody where that is allowed, and is the end of the
/// association where it is not.
#[test]
fn a_client_without_the_certificate_stays_nobody_or_is_sent_away() {
    for transport in BOTH {
        let (mut duo, verifier) = House::new(false).connected(transport);
        let policy = Optional(verifier.clone());
        duo.request_client_certificate(Side::Server, policy)
            .unwrap();
        duo.settle();
        duo.assert_agreed(2);
        assert!(duo.identity(Side::Server).is_none());
        let policy = Required(verifier);
        duo.request_client_certificate(Side::Server, policy)
            .unwrap();
        duo.settle();
        let lacks = PeerIncompatible::ClientCertificateRequired;
        assert_eq!(duo.error(Side::Server), Some(Error::from(lacks)));
    }
}

/// A certificate that is not accepted ends the association, as in a first handshake.
#[test]
fn a_certificate_that_the_verifier_refuses_ends_the_association() {
    for transport in BOTH {
        let (mut duo, verifier) = House::new(true).connected(transport);
        verifier.refuses.store(true, Ordering::Relaxed);
        let policy = Required(verifier);
        duo.request_client_certificate(Side::Server, policy)
            .unwrap();
        duo.settle();
        let expired = CertificateError::Expired;
        assert_eq!(duo.error(Side::Server), Some(Error::from(expired)));
    }
}

/// RFC 5246 §7.2.2: a client may refuse; then nothing has been shown, and the policy waits for the
/// next handshake.
#[test]
fn a_client_that_refuses_is_asked_in_the_next_handshake() {
    for transport in BOTH {
        let mut house = House::new(true);
        let stubborn = RekeyPolicy::default().follow_hello_requests(false);
        house.ends.client = house.ends.client.rekey(stubborn);
        house.ends.server = house
            .ends
            .server
            .rekey(crate::common::renegotiating::allowing(
                RekeyPolicy::default(),
            ));
        let (mut duo, verifier) = house.connected(transport);
        let policy = Required(verifier);
        duo.request_client_certificate(Side::Server, policy)
            .unwrap();
        duo.settle();
        let told = refused(RenegotiationRefusal::NoRenegotiation);
        assert_eq!(duo.handshakes(Side::Server).last(), Some(&told));
        assert!(duo.identity(Side::Server).is_none() && duo.exchange());
        // The client's own wish, in which it offers its session.
        duo.renegotiate(Side::Client, true).unwrap();
        duo.settle();
        duo.assert_agreed(2);
        assert!(duo.identity(Side::Server).is_some());
    }
}

/// RFC 8446 §4.6.2: at 1.3 nothing is asked for that the client did not offer; and no client asks
/// at all.
#[test]
fn a_certificate_is_asked_for_by_servers_of_1_2_alone() {
    for transport in BOTH {
        let (mut duo, verifier) = House::new(true).connected(transport);
        let asked = duo.request_client_certificate(Side::Client, Optional(verifier));
        assert_eq!(asked, Err(RenegotiateError::NotAServer));
        duo.assert_agreed(1);

        let mut house = House::new(true);
        house.ends.client = house.ends.client.versions(Versions::V1_3);
        house.ends.server = house.ends.server.versions(Versions::V1_3);
        let (mut duo, verifier) = house.connected(transport);
        let asked = duo.request_client_certificate(Side::Server, Optional(verifier));
        assert_eq!(asked, Err(RenegotiateError::NotSupportedByVersion));
        assert!(duo.exchange());
    }
}
