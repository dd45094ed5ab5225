//! Keys, verifiers and applications that cannot answer at once: the handshake waits for them, and
//! nothing else does.

use crate::common::configs::{Configs, Pki, server_name, start};
use bytes::BytesMut;
use sealgram::client::{AnswerRequest, ReceivedRequest, RequestAnswer};
use sealgram::config::{DataDuringRenegotiation, RekeyPolicy, Versions};
use sealgram::endpoint::{Endpoint, EndpointPolicy, Eviction, ResumptionCookies};
use sealgram::error::{CertificateError, ConfigError};
use sealgram::identity::{
    CertifiedKey, Credential, Identity, SignHandshake, SigningKey, VerifyClient, VerifyServer,
    WebPkiClientVerifier, WebPkiServerVerifier,
};
use sealgram::pki_types::{ServerName, UnixTime};
use sealgram::server::{AnswerHello, ClientAuthentication, HelloAnswer, ReceivedHello};
use sealgram::session::{ClientSessionStore, MemoryClientSessions};
use sealgram::sim::{Conditions, Pair, StreamPair};
use sealgram::{
    AlertDescription, ClientConfig, DtlsConnection, Error, Event, HandshakeKind, Path, Reply,
    ServerConfig, SignatureScheme,
};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::time::Duration;

/// What is asked of a desk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Matter {
    Signature(SignatureScheme),
    Server,
    Client,
    Hello,
    Request,
}

/// An answer that somebody waits for: given if called with `true`, else the question is dropped.
type Answer = Box<dyn FnOnce(bool) + Send>;

/// Questions lie here until the test has them answered.
#[derive(Default)]
struct Desk {
    waiting: Mutex<Vec<(Matter, Answer)>>,
    asked: Mutex<Vec<Matter>>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    fn put<T: Send + 'static>(
        &self,
        matter: Matter,
        reply: Reply<T>,
        answer: impl FnOnce() -> T + Send + 'static,
    ) {
        self.asked.lock().unwrap().push(matter);
        let give = move |answered| {
            if answered {
                reply.send(answer());
            }
        };
        self.waiting.lock().unwrap().push((matter, Box::new(give)));
    }

    fn take(&self) -> Vec<(Matter, Answer)> {
        std::mem::take(&mut *self.waiting.lock().unwrap())
    }

    /// Answers everything that waits. How much that was.
    fn answer(&self) -> usize {
        let waiting = self.take();
        let count = waiting.len();
        waiting.into_iter().for_each(|(_, give)| give(true));
        count
    }
}

/// A key at the desk.
#[derive(Debug)]
struct Key {
    key: Arc<SigningKey>,
    schemes: Vec<SignatureScheme>,
    desk: Arc<Desk>,
}

impl SignHandshake for Key {
    fn schemes(&self) -> &[SignatureScheme] {
        &self.schemes
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8], signature: Reply<Vec<u8>>) {
        let (key, message) = (self.key.clone(), message.to_vec());
        self.desk
            .put(Matter::Signature(scheme), signature, move || {
                key.sign(scheme, &message).unwrap_or_default()
            });
    }
}

/// Verifiers and deciders at the desk.
#[derive(Debug)]
struct At<T> {
    inner: Arc<T>,
    desk: Arc<Desk>,
}

impl VerifyServer for At<WebPkiServerVerifier> {
    fn verify(
        &self,
        _: &Identity,
        _: &ServerName<'_>,
        _: UnixTime,
    ) -> Result<(), CertificateError> {
        unreachable!("asked of the desk")
    }

    fn verify_later(
        &self,
        claimed: Identity,
        name: ServerName<'static>,
        now: UnixTime,
        verdict: Reply<Result<(), CertificateError>>,
    ) {
        let inner = self.inner.clone();
        self.desk.put(Matter::Server, verdict, move || {
            inner.verify(&claimed, &name, now)
        });
    }
}

impl VerifyClient for At<WebPkiClientVerifier> {
    fn verify(&self, _: &Identity, _: UnixTime) -> Result<(), CertificateError> {
        unreachable!("asked of the desk")
    }

    fn verify_later(
        &self,
        claimed: Identity,
        now: UnixTime,
        verdict: Reply<Result<(), CertificateError>>,
    ) {
        let inner = self.inner.clone();
        self.desk
            .put(Matter::Client, verdict, move || inner.verify(&claimed, now));
    }
}

impl AnswerHello for At<()> {
    fn answer(&self, _: &ReceivedHello) -> Result<HelloAnswer, AlertDescription> {
        unreachable!("asked of the desk")
    }

    fn answer_later(
        &self,
        _: Box<ReceivedHello>,
        answer: Reply<Result<HelloAnswer, AlertDescription>>,
    ) {
        self.desk
            .put(Matter::Hello, answer, || Ok(HelloAnswer::default()));
    }
}

impl AnswerRequest for At<()> {
    fn answer(&self, _: &ReceivedRequest) -> Result<RequestAnswer, AlertDescription> {
        unreachable!("asked of the desk")
    }

    fn answer_later(
        &self,
        _: Box<ReceivedRequest>,
        answer: Reply<Result<RequestAnswer, AlertDescription>>,
    ) {
        self.desk
            .put(Matter::Request, answer, || Ok(RequestAnswer::AsConfigured));
    }
}

/// A credential whose key is at the desk.
fn credential(pki: &Pki, desk: &Arc<Desk>) -> Credential {
    let (leaf, key) = pki.leaf_and_key(&rcgen::PKCS_ED25519, |_| {});
    let key = Arc::new(SigningKey::new(&key).unwrap());
    let signer = Key {
        schemes: key.schemes().to_vec(),
        key,
        desk: desk.clone(),
    };
    Credential::Certificate(CertifiedKey::with_signer(vec![leaf], Arc::new(signer)).unwrap())
}

/// Two ends that decide nothing by themselves, with the desk of each.
struct Slow {
    configs: Configs,
    client: Arc<Desk>,
    server: Arc<Desk>,
}

impl Slow {
    fn new(versions: Versions) -> Self {
        Self::with(versions, RekeyPolicy::default(), None)
    }

    fn with(
        versions: Versions,
        rekey: RekeyPolicy,
        sessions: Option<Arc<dyn ClientSessionStore>>,
    ) -> Self {
        let pki = Pki::new(&rcgen::PKCS_ED25519);
        let (client_desk, server_desk) = (Arc::<Desk>::default(), Arc::<Desk>::default());
        let at = |desk: &Arc<Desk>| {
            let (inner, desk) = (Arc::new(()), desk.clone());
            Arc::new(At { inner, desk })
        };
        let verifier = At {
            inner: Arc::new(WebPkiServerVerifier::new(pki.roots()).unwrap()),
            desk: client_desk.clone(),
        };
        let client = ClientConfig::with_verifier(Arc::new(verifier))
            .versions(versions)
            .rekey(rekey.clone())
            .session_store(sessions)
            .answers(at(&client_desk))
            .add_credential(credential(&pki, &client_desk));
        let verifier = At {
            inner: Arc::new(WebPkiClientVerifier::new(pki.roots()).unwrap()),
            desk: server_desk.clone(),
        };
        let server = ServerConfig::with_credential(credential(&pki, &server_desk))
            .versions(versions)
            .rekey(rekey)
            .answers(at(&server_desk))
            .client_authentication(ClientAuthentication::Required(Arc::new(verifier)));
        Self {
            configs: Configs {
                client: Arc::new(client.build().unwrap()),
                server: Arc::new(server.build().unwrap()),
            },
            client: client_desk,
            server: server_desk,
        }
    }

    fn streams(&self) -> StreamPair {
        let Configs { client, server } = &self.configs;
        StreamPair::new(start(), client.clone(), server.clone(), server_name()).unwrap()
    }

    /// Answers what waits and lets both ends go on, as often as anything waits.
    fn run_streams(&self, pair: &mut StreamPair) {
        loop {
            pair.run();
            if self.client.answer() + self.server.answer() == 0 {
                return;
            }
            go_on(pair);
        }
    }

    /// Answers what waits and lets both ends go on.
    fn answer(&self, pair: &mut Pair) -> usize {
        let count = self.client.answer() + self.server.answer();
        pair.client.handle_answers(pair.now);
        pair.server.handle_answers(pair.now);
        count
    }

    fn asked(&self) -> [Vec<Matter>; 2] {
        [&self.client, &self.server].map(|desk| std::mem::take(&mut *desk.asked.lock().unwrap()))
    }
}

/// Lets both ends look for answers, and at what waited behind them.
fn go_on(pair: &mut StreamPair) {
    for end in [&mut pair.client, &mut pair.server] {
        if let Err(error) = end.connection.handle_answers(pair.now) {
            end.error = Some(error);
        }
        end.deliver(pair.now, &[]);
    }
}

const SIGNATURE: Matter = Matter::Signature(SignatureScheme::ED25519);
const OF_A_CLIENT: [Matter; 3] = [Matter::Request, Matter::Server, SIGNATURE];
const OF_A_SERVER: [Matter; 3] = [Matter::Hello, SIGNATURE, Matter::Client];

#[test]
fn every_answer_may_come_later_over_a_stream() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let slow = Slow::new(versions);
        let mut pair = slow.streams();
        slow.run_streams(&mut pair);
        assert_eq!(slow.asked(), [OF_A_CLIENT.to_vec(), OF_A_SERVER.to_vec()]);
        assert!(pair.server.connection.peer_identity().is_some());
        pair.client.connection.send(pair.now, b"data").unwrap();
        if versions == Versions::V1_2 {
            pair.server.connection.renegotiate().unwrap();
            slow.run_streams(&mut pair);
            assert_eq!(pair.client.connection.renegotiations(), 1);
            // A TLS client that is asked to renegotiate resumes.
            assert_eq!(slow.asked(), [vec![], vec![Matter::Hello, Matter::Client]]);
        }
        pair.run();
        assert_eq!(pair.server.received, b"data");
    }
}

#[test]
fn every_answer_may_come_later_over_datagrams() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let slow = Slow::new(versions);
        let mut pair = slow.configs.pair(1);
        while !pair.is_connected() {
            pair.run_for(Duration::from_millis(100));
            assert!(slow.answer(&mut pair) > 0 || pair.is_connected());
        }
        assert_eq!(slow.asked(), [OF_A_CLIENT.to_vec(), OF_A_SERVER.to_vec()]);
        if versions == Versions::V1_2 {
            let id = pair.server_id().unwrap();
            pair.server
                .association(pair.now, id)
                .unwrap()
                .renegotiate()
                .unwrap();
            while pair.client_connection().unwrap().renegotiations() == 0 {
                pair.run_for(Duration::from_millis(100));
                slow.answer(&mut pair);
            }
            pair.run_for(Duration::from_millis(100));
        }
        assert!(pair.exchange(3));
    }
}

/// RFC 6347 §4.2.4, RFC 9147 §7.1: who takes its time has had the peer's flight. It does not send
/// its own earlier one again, and at 1.3 it acknowledges, so that the peer does not either.
#[test]
fn a_slow_answer_is_no_lost_flight() {
    for (versions, repeats) in [(Versions::V1_2, true), (Versions::V1_3, false)] {
        for (matter, of_client) in [
            (Matter::Server, true),
            (SIGNATURE, true),
            (Matter::Client, false),
        ] {
            let slow = Slow::new(versions);
            let mut pair = slow.configs.pair(1);
            let place = usize::from(!of_client);
            while !slow.asked()[place].contains(&matter) {
                slow.answer(&mut pair);
                pair.run_for(Duration::from_millis(1));
            }
            pair.run_for(Duration::from_millis(300));
            let sent = |pair: &Pair| {
                let [client, server] = [pair.to_server.sent(), pair.to_client.sent()];
                if of_client {
                    [client, server]
                } else {
                    [server, client]
                }
            };
            let before = sent(&pair);
            pair.run_for(Duration::from_secs(30));
            let [ours, peers] = sent(&pair);
            assert_eq!(ours, before[0], "{versions:?} {matter:?}");
            // At 1.2 nothing can tell the peer that its flight has arrived.
            assert_eq!(peers > before[1], repeats, "{versions:?} {matter:?}");
            while !pair.is_connected() {
                slow.answer(&mut pair);
                pair.run_for(Duration::from_millis(100));
            }
            assert!(pair.exchange(3));
        }
    }
}

/// The same where somebody calls although nothing is due.
#[test]
fn an_early_look_at_the_timers_sends_nothing_again() {
    let slow = Slow::new(Versions::V1_2);
    let (now, path) = (start(), Path::new(([192, 0, 2, 1], 4433).into()));
    let Configs { client, server } = slow.configs;
    let mut client = DtlsConnection::connect(now, client, server_name(), path).unwrap();
    let mut server = DtlsConnection::listen(now, server, path).unwrap();
    let transmit = |from: &mut DtlsConnection, now| {
        let mut datagrams = Vec::new();
        let mut out = Vec::new();
        while let Some(sent) = from.poll_transmit(now, 1, &mut out) {
            assert_eq!(sent.len, out.len());
            datagrams.push(BytesMut::from(&out[..]));
            out.clear();
        }
        datagrams
    };
    while !slow.client.asked.lock().unwrap().contains(&Matter::Server) {
        for datagram in transmit(&mut client, now) {
            server.handle_datagram(now, path, datagram).unwrap();
        }
        slow.server.answer();
        server.handle_answers(now).unwrap();
        for datagram in transmit(&mut server, now) {
            client.handle_datagram(now, path, datagram).unwrap();
        }
        if !slow.client.asked.lock().unwrap().contains(&Matter::Server) {
            slow.client.answer();
            client.handle_answers(now).unwrap();
        }
    }
    for seconds in 1..60 {
        let now = now + Duration::from_secs(seconds);
        client.handle_timeout(now).unwrap();
        assert_eq!(transmit(&mut client, now), Vec::<BytesMut>::new());
        assert!(client.poll_timeout().unwrap() > now);
    }
    let now = now + Duration::from_secs(60);
    slow.client.answer();
    client.handle_answers(now).unwrap();
    slow.client.answer();
    client.handle_answers(now).unwrap();
    assert!(!transmit(&mut client, now).is_empty());
}

/// Any input looks whether the answer has come: a timer that fires is one.
#[test]
fn a_timer_takes_an_answer_too() {
    let slow = Slow::new(Versions::V1_3);
    let mut pair = slow.streams();
    pair.run();
    assert!(pair.server.connection.awaits_answer());
    assert_eq!(slow.server.answer(), 1);
    pair.server.connection.handle_timeout(pair.now).unwrap();
    // The next question: its key has the word.
    assert_eq!(slow.asked()[1], [Matter::Hello, SIGNATURE]);
    assert!(pair.server.connection.awaits_answer());
}

/// The deadline of the handshake runs on, and an answer behind it is lost.
#[test]
fn an_answer_that_never_comes_ends_at_the_deadline() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let slow = Slow::new(versions);
        let mut pair = slow.configs.pair(1);
        pair.run_for(Duration::from_millis(100));
        assert_eq!(slow.asked()[1], [Matter::Hello]);
        pair.run_for(Duration::from_secs(119));
        assert!(!pair.server.is_empty());
        pair.run_for(Duration::from_secs(2));
        assert!(pair.server.is_empty() && pair.client.is_empty());
        let ended = |event: &Event| {
            matches!(event, Event::Failed(failure)
                if matches!(failure.error, Error::TimedOut { .. }))
        };
        assert!(pair.server_events.iter().any(|(_, event)| ended(event)));
        assert_eq!(slow.answer(&mut pair), 1);
        assert!(pair.server.is_empty() && pair.server.poll_event().is_none());
    }
}

/// Whoever drops a question has no answer: the peer is told that this end is at fault.
#[test]
fn a_dropped_question_ends_the_handshake() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let all = OF_A_CLIENT.iter().chain(&OF_A_SERVER);
        for (&matter, side) in all.zip([true, true, true, false, false, false]) {
            let slow = Slow::new(versions);
            let mut pair = slow.streams();
            let desk = if side { &slow.client } else { &slow.server };
            loop {
                pair.run();
                let other = if side { &slow.server } else { &slow.client };
                other.answer();
                let mut dropped = false;
                for (asked, give) in desk.take() {
                    dropped |= asked == matter;
                    give(asked != matter);
                }
                go_on(&mut pair);
                if dropped {
                    break;
                }
            }
            pair.run();
            let (ours, peer) = match side {
                true => (&pair.client, &pair.server),
                false => (&pair.server, &pair.client),
            };
            assert!(
                matches!(ours.error, Some(Error::ReplyMissing(_))),
                "{matter:?} {:?}",
                ours.error
            );
            let told = match &peer.error {
                Some(Error::AlertReceived { alert, .. }) => Some(alert.description),
                _ => None,
            };
            assert_eq!(told, Some(AlertDescription::INTERNAL_ERROR), "{matter:?}");
        }
    }
}

/// While a renegotiation waits for a key, data of the epoch in force arrives, over datagrams; on a
/// stream it waits as well.
#[test]
fn data_arrives_while_a_renegotiation_waits() {
    let policy = RekeyPolicy::default();
    let policy = policy.data_during_renegotiation(DataDuringRenegotiation::Flow);
    let slow = Slow::with(Versions::V1_2, policy, None);
    let mut pair = slow.configs.pair(1);
    while !pair.is_connected() {
        pair.run_for(Duration::from_millis(100));
        slow.answer(&mut pair);
    }
    let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
    slow.asked();
    pair.server
        .association(pair.now, server)
        .unwrap()
        .renegotiate()
        .unwrap();
    while !slow.asked()[0].contains(&SIGNATURE) {
        slow.answer(&mut pair);
        pair.run_for(Duration::from_millis(1));
    }
    for number in 0..5_u8 {
        pair.server
            .association(pair.now, server)
            .unwrap()
            .send(&[number])
            .unwrap();
        pair.run_for(Duration::from_millis(100));
        let received = pair
            .client
            .association(pair.now, client)
            .unwrap()
            .recv()
            .unwrap();
        assert_eq!(received.data[..], [number]);
    }
    while pair.client_connection().unwrap().renegotiations() == 0 {
        slow.answer(&mut pair);
        pair.run_for(Duration::from_millis(100));
    }
    assert!(pair.exchange(3));
}

/// A server that spares resumptions the cookie does not where an application is asked about hellos:
/// strangers are not to ask it.
#[test]
fn a_resumption_whose_answers_come_later_is_asked_for_a_cookie() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let sessions = Arc::new(MemoryClientSessions::new(8));
        let slow = Slow::with(versions, RekeyPolicy::default(), Some(sessions));
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let policy = EndpointPolicy::default().resumption_cookies(ResumptionCookies::Spare);
            let server = slow.configs.server.clone();
            let mut pair = Pair::with_policy(server, policy, start(), 1).unwrap();
            let client = slow.configs.client.clone();
            pair.connect(client, server_name()).unwrap();
            while !pair.is_connected() {
                pair.run_for(Duration::from_millis(100));
                slow.answer(&mut pair);
            }
            // Tickets of 1.3 come behind the handshake.
            pair.run_for(Duration::from_millis(100));
            let client = pair.client_connection().unwrap();
            assert_eq!(client.handshake_kind(), Some(kind));
            assert_eq!(pair.server.stats().cookies_spared, 0);
            let [_, asked] = slow.asked();
            let hellos = asked.iter().filter(|matter| **matter == Matter::Hello);
            assert_eq!(hellos.count(), 1, "{versions:?}");
        }
    }
}

/// Whoever closes, or is closed on, waits no longer; the answer is lost.
#[test]
fn an_end_that_closes_waits_no_longer() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        for transport_ends in [true, false] {
            let slow = Slow::new(versions);
            let mut pair = slow.streams();
            pair.run();
            assert_eq!(slow.server.answer(), 1);
            go_on(&mut pair);
            pair.run();
            let server = &mut pair.server.connection;
            assert!(server.awaits_answer());
            if transport_ends {
                assert_eq!(server.handle_eof(), Err(Error::StreamEnded));
            } else {
                server.close(pair.now);
            }
            assert!(!server.awaits_answer());
            assert_eq!(slow.server.answer(), 1);
            assert_eq!(server.handle_answers(pair.now), Ok(()));
            assert!(server.is_closed());
        }
        let slow = Slow::new(versions);
        let mut pair = slow.configs.pair(1);
        pair.run_for(Duration::from_millis(100));
        let id = pair.server.associations().next().unwrap();
        pair.server.association(pair.now, id).unwrap().close();
        pair.run_for(Duration::from_millis(100));
        assert_eq!(slow.answer(&mut pair), 1);
        assert!(pair.server.is_empty());
    }
}

/// A refusal that comes later is one all the same.
#[test]
fn a_late_refusal_is_told_to_the_peer() {
    let slow = Slow::new(Versions::V1_3);
    let mut other = Slow::new(Versions::V1_3);
    other.configs.client = slow.configs.client.clone();
    let mut pair = other.streams();
    for _ in 0..4 {
        pair.run();
        slow.client.answer();
        other.server.answer();
        go_on(&mut pair);
    }
    pair.run();
    let refused = |error: &Option<Error>| matches!(error, Some(Error::InvalidCertificate(_)));
    assert!(refused(&pair.client.error), "{:?}", pair.client.error);
    assert!(matches!(
        pair.server.error,
        Some(Error::AlertReceived { .. })
    ));
}

/// Loss, duplicates and disorder, and answers that come at any moment.
#[test]
fn slow_ends_connect_over_bad_links() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        for seed in 0..150 {
            let slow = Slow::new(versions);
            let mut pair = slow.configs.pair(seed);
            pair.set_conditions(&Conditions {
                loss: 0.2,
                duplicate: 0.1,
                ..Conditions::default()
            });
            let mut steps = 0_u64;
            while !pair.is_connected() {
                pair.transmit();
                let soon = pair.now + Duration::from_millis(500);
                let moves = pair.next_moment().is_some_and(|next| next < soon);
                let answered = !moves || (steps + seed).is_multiple_of(3);
                if !answered || slow.answer(&mut pair) == 0 {
                    pair.step();
                }
                steps += 1;
                assert!(steps < 10_000, "{versions:?} {seed}");
                let failed = pair.client_events.iter().chain(&pair.server_events);
                let mut failed = failed.filter(|(_, event)| matches!(event, Event::Failed(_)));
                assert_eq!(failed.next(), None, "{versions:?} {seed}");
            }
            pair.set_conditions(&Conditions::default());
            pair.run_for(Duration::from_secs(70));
            assert!(pair.exchange(2), "{versions:?} {seed}");
        }
    }
}

/// RFC 8446 §4.2.3: at 1.3 an ECDSA scheme names the curve; RFC 5246 §7.4.1.4.1: at 1.2 the hash
/// alone.
#[test]
fn a_signer_is_asked_for_schemes_of_its_curve_at_1_3() {
    let p256 = SignatureScheme::ECDSA_SECP256R1_SHA256;
    let p384 = SignatureScheme::ECDSA_SECP384R1_SHA384;
    for (versions, expected) in [(Versions::V1_2, p256), (Versions::V1_3, p384)] {
        let pki = Pki::new(&rcgen::PKCS_ED25519);
        let desk = Arc::<Desk>::default();
        let (leaf, key) = pki.leaf_and_key(&rcgen::PKCS_ECDSA_P384_SHA384, |_| {});
        let signer = Key {
            key: Arc::new(SigningKey::new(&key).unwrap()),
            schemes: vec![p256, p384],
            desk: desk.clone(),
        };
        let certified = CertifiedKey::with_signer(vec![leaf], Arc::new(signer)).unwrap();
        let server = ServerConfig::with_credential(Credential::Certificate(certified));
        let client = ClientConfig::with_roots(pki.roots()).unwrap();
        let configs = Configs {
            client: Arc::new(client.versions(versions).build().unwrap()),
            server: Arc::new(server.build().unwrap()),
        };
        let mut pair = configs.pair(1);
        pair.run_for(Duration::from_millis(100));
        let asked = desk.asked.lock().unwrap().clone();
        assert_eq!(asked, [Matter::Signature(expected)]);
    }
}

#[test]
fn a_signer_of_another_kind_is_refused() {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    for (schemes, fits) in [
        (vec![SignatureScheme::ED25519], true),
        (vec![], false),
        (vec![SignatureScheme::RSA_PSS_RSAE_SHA256], false),
    ] {
        let (leaf, key) = pki.leaf_and_key(&rcgen::PKCS_ED25519, |_| {});
        let signer = Key {
            key: Arc::new(SigningKey::new(&key).unwrap()),
            schemes,
            desk: Arc::default(),
        };
        let outcome = CertifiedKey::with_signer(vec![leaf], Arc::new(signer));
        let refused = matches!(outcome, Err(ConfigError::KeyMismatch));
        assert_eq!(refused, !fits);
    }
}

/// How often somebody was woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    /// Since the last time.
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// Lets a client talk to an endpoint until neither has anything to say.
fn talk(client: &mut DtlsConnection, path: Path, server: &mut Endpoint) {
    let now = start();
    let mut out = Vec::new();
    let mut quiet = false;
    while !quiet {
        quiet = true;
        while client.poll_transmit(now, 1, &mut out).is_some() {
            server.handle_datagram(now, path, BytesMut::from(&out[..]));
            out.clear();
        }
        while let Some(sent) = server.poll_transmit(now, 1, &mut out) {
            assert_eq!(sent.path.remote(), path.remote());
            let datagram = BytesMut::from(&out[..]);
            client.handle_datagram(now, path, datagram).unwrap();
            out.clear();
            quiet = false;
        }
    }
}

/// Of a thousand that wait, one answer touches one, wakes the endpoint once, and has one flight
/// sent.
#[test]
fn one_answer_of_a_thousand_touches_one_association() {
    const COUNT: u16 = 1000;
    for versions in [Versions::V1_2, Versions::V1_3] {
        let slow = Slow::new(versions);
        let Configs { client, server } = slow.configs;
        let policy = EndpointPolicy::default()
            .max_half_open(2000, Eviction::RefuseNewcomer)
            .unwrap();
        let mut endpoint = Endpoint::new(start(), policy, Some(server)).unwrap();
        let wakes = Arc::new(Wakes::default());
        endpoint.set_waker(Waker::from(wakes.clone()));
        let mut clients = Vec::new();
        for number in 0..COUNT {
            let [high, low] = number.to_be_bytes();
            let path = Path::new(([10, 0, high, low], 4433).into());
            let client = DtlsConnection::connect(start(), client.clone(), server_name(), path);
            let mut client = client.unwrap();
            talk(&mut client, path, &mut endpoint);
            clients.push((client, path));
        }
        let mut waiting = slow.server.take();
        assert_eq!(waiting.len(), usize::from(COUNT));
        assert_eq!(endpoint.half_open(), usize::from(COUNT));
        assert_eq!((wakes.take(), endpoint.handle_answers(start())), (0, 0));
        let (matter, give) = waiting.remove(500);
        assert_eq!(matter, Matter::Hello);
        give(true);
        assert_eq!((wakes.take(), endpoint.handle_answers(start())), (1, 1));
        // The next question of the same association is to its key.
        assert_eq!(slow.server.answer(), 1);
        assert_eq!((wakes.take(), endpoint.handle_answers(start())), (1, 1));
        let (client, path) = &mut clients[500];
        talk(client, *path, &mut endpoint);
        assert!(!endpoint.has_transmit());
        waiting.into_iter().for_each(|(_, give)| give(true));
        let others = usize::from(COUNT) - 1;
        assert_eq!(
            (wakes.take(), endpoint.handle_answers(start())),
            (others, others)
        );
        assert_eq!(endpoint.handle_answers(start()), 0);
    }
}

/// Whoever comes to wait after an answer is woken at once, and an answer to nobody wakes nobody.
#[test]
fn a_waker_that_comes_late_and_an_answer_that_comes_too_late() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let slow = Slow::new(versions);
        let mut pair = slow.configs.pair(1);
        pair.run_for(Duration::from_millis(100));
        assert_eq!(slow.server.answer(), 1);
        let wakes = Arc::new(Wakes::default());
        pair.server.set_waker(Waker::from(wakes.clone()));
        assert_eq!(wakes.take(), 1);
        assert_eq!(pair.server.handle_answers(pair.now), 1);
        let id = pair.server.associations().next().unwrap();
        pair.server.association(pair.now, id).unwrap().close();
        pair.run_for(Duration::from_millis(100));
        assert_eq!(slow.server.answer(), 1);
        assert_eq!((wakes.take(), pair.server.handle_answers(pair.now)), (0, 0));
    }
}

/// A connection without an endpoint wakes for each of its questions, whenever its waker was set.
#[test]
fn a_connection_alone_is_woken_for_every_answer() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let slow = Slow::new(versions);
        let mut pair = slow.streams();
        let [client, server] = [Arc::new(Wakes::default()), Arc::new(Wakes::default())];
        let waker = Waker::from(server.clone());
        pair.server.connection.set_waker(waker);
        pair.run();
        assert_eq!(slow.server.answer(), 1);
        assert_eq!(server.take(), 1);
        go_on(&mut pair);
        while slow.client.asked.lock().unwrap().is_empty() {
            pair.run();
            slow.server.answer();
            go_on(&mut pair);
        }
        let waker = Waker::from(client.clone());
        pair.client.connection.set_waker(waker);
        slow.run_streams(&mut pair);
        // The key, and the verdict on the client.
        assert_eq!(server.take(), 2);
        // The request, the verdict on the server, and the key.
        assert_eq!(client.take(), 3);
        assert!(pair.server.connection.peer_identity().is_some());
    }
}
