//! What somebody reaches who sends in a client's name while its handshake is under way.
//! SECURITY.md: the attempt may begin again, and comes up.

use crate::common::configs::{Configs, Ends, server_name};
use crate::common::crowd::{Crowd, hellos, home, sendable, server_path};
use crate::common::judged::{CHOICES, judged};
use bytes::BytesMut;
use sealgram::DtlsConnection;
use sealgram::config::{DatagramPolicy, PlaintextAlerts, Versions};
use sealgram::endpoint::EndpointPolicy;
use std::time::Duration;

/// The longest that a client may notice of it: its hello is sent again once or twice.
const SOON: Duration = Duration::from_secs(4);

const KINDS: [Versions; 3] = [Versions::V1_2, Versions::V1_3, Versions::ALL];

const ALERTS: [PlaintextAlerts; 2] = [PlaintextAlerts::Believe, PlaintextAlerts::Ignore];

/// Both ends with these versions and this belief in alerts.
fn ends(client: Versions, server: Versions, alerts: PlaintextAlerts) -> Ends {
    let policy = DatagramPolicy::default().plaintext_alerts(alerts);
    let mut ends = Ends::new().datagram(&policy);
    ends.client = ends.client.versions(client);
    ends.server = ends.server.versions(server);
    ends
}

/// The two hellos of a stranger of this version.
fn strangers(versions: Versions) -> (Vec<u8>, Vec<u8>) {
    hellos(&Ends::new().versions(versions).build())
}

/// What the client makes of one datagram that reaches the server in its name, so long after it has
/// begun.
fn meddled(configs: &Configs, after: u64, datagram: &[u8]) -> Result<Duration, String> {
    let mut crowd = Crowd::new(configs, EndpointPolicy::default());
    crowd.begin(home(), &configs.client, usize::MAX);
    crowd.run(Duration::from_millis(after));
    crowd.inject(home(), datagram);
    crowd.wait_for(home())
}

/// RFC 6347 §4.2.1, RFC 9147 §5.1: the request for a cookie has the number of the hello that it
/// answers, so a stranger chooses which of the client's hellos it seems to answer.
#[test]
fn a_blind_hello_of_any_number_does_not_end_an_attempt() {
    for (client, server) in [(0, 0), (1, 1), (2, 2), (0, 2), (2, 0), (1, 2), (2, 1)] {
        for alerts in ALERTS {
            let configs = ends(KINDS[client], KINDS[server], alerts).build();
            for (forged, number) in [0, 1]
                .into_iter()
                .flat_map(|it| [(it, 0u16), (it, 1), (it, 2)])
            {
                let mut hello = strangers(KINDS[forged]).0;
                hello[17..19].copy_from_slice(&number.to_be_bytes());
                for after in (0..120).step_by(10) {
                    let fate = meddled(&configs, after, &hello);
                    assert!(
                        fate.as_ref().is_ok_and(|wait| *wait < SOON),
                        "client {:?}, server {:?}, {alerts:?}: a hello of {:?} with number {number} after {after} ms: {fate:?}",
                        KINDS[client],
                        KINDS[server],
                        KINDS[forged]
                    );
                }
            }
        }
    }
}

/// RFC 9147 §5.1: a hello with a cookie that the server does not know is refused with an alert in
/// the clear, and a stranger can have the client told so at any moment.
#[test]
fn a_refusal_that_a_stranger_set_off_does_not_end_an_attempt() {
    let refused = strangers(Versions::V1_3).1;
    for (client, server) in [(1, 1), (1, 2), (2, 1), (2, 2), (0, 2)] {
        for alerts in ALERTS {
            let configs = ends(KINDS[client], KINDS[server], alerts).build();
            for after in 0..100 {
                let fate = meddled(&configs, after, &refused);
                assert!(
                    fate.as_ref().is_ok_and(|wait| *wait < SOON),
                    "client {:?}, server {:?}, {alerts:?} after {after} ms: {fate:?}",
                    KINDS[client],
                    KINDS[server]
                );
            }
        }
    }
}

/// The same, again and again. Each of the five tries is lost if such a hello comes within about a
/// round trip and a half of it, here 60 ms: a few a second do not hit them all.
#[test]
fn a_few_hellos_of_a_stranger_a_second_do_not_keep_a_client_out() {
    for versions in KINDS {
        for alerts in ALERTS {
            let configs = ends(versions, versions, alerts).build();
            let (first_12, _) = strangers(Versions::V1_2);
            let (first_13, refused) = strangers(Versions::V1_3);
            for every in [200, 500, 1000] {
                for hello in [&first_12, &first_13, &refused] {
                    let mut crowd = Crowd::new(&configs, EndpointPolicy::default());
                    crowd.run(Duration::from_millis(7));
                    crowd.begin(home(), &configs.client, usize::MAX);
                    let over = |crowd: &Crowd| crowd.clients[&home()].fate(crowd.now).is_ok();
                    for _ in 0..10_000 / every {
                        crowd.inject(home(), hello);
                        crowd.run_until(Duration::from_millis(every), over);
                    }
                    let fate = crowd.wait_for(home());
                    assert!(
                        fate.as_ref()
                            .is_ok_and(|wait| *wait < Duration::from_secs(20)),
                        "{versions:?} {alerts:?} every {every} ms: {fate:?}"
                    );
                }
            }
        }
    }
}

/// RFC 9147 §5.8.1: the client is in doubt about what it was answered, and the honest answer is
/// lost once. It begins again in the very moment in which the server repeats itself: neither end
/// waits for the other until its deadline.
#[test]
fn a_doubt_and_the_repetition_of_a_lost_answer_do_not_wait_for_each_other() {
    let mut hello = strangers(Versions::V1_3).0;
    hello[17..19].copy_from_slice(&1u16.to_be_bytes());
    for (versions, alerts) in [Versions::V1_3, Versions::ALL]
        .into_iter()
        .flat_map(|it| ALERTS.map(|alerts| (it, alerts)))
    {
        let policy = DatagramPolicy::default().plaintext_alerts(alerts);
        for seed in 0..100 {
            let ends = Ends::new().versions(versions).repeating(seed);
            let configs = ends.datagram_as_it_is(&policy).build();
            let mut crowd = Crowd::new(&configs, EndpointPolicy::default());
            crowd.begin(home(), &configs.client, usize::MAX);
            crowd.run(Duration::from_millis(50));
            crowd.inject(home(), &hello);
            // What the stranger has set off arrives after 70 ms, the honest answer after 80 ms.
            crowd.run(Duration::from_millis(21));
            let until = crowd.now + Duration::from_millis(15);
            crowd.clients.get_mut(&home()).unwrap().deaf_until = until;
            let fate = crowd.wait_for(home());
            assert!(
                fate.as_ref()
                    .is_ok_and(|wait| *wait < Duration::from_secs(20)),
                "{versions:?} {alerts:?}, seed {seed}: {fate:?}"
            );
        }
    }
}

/// Both ends with so many protocols that a hello needs two datagrams.
fn with_long_hellos(versions: Versions, alerts: PlaintextAlerts) -> Configs {
    let mut ends = ends(versions, versions, alerts);
    let names: Vec<Vec<u8>> = (b'a'..b'j').map(|letter| vec![letter; 200]).collect();
    let names: Vec<&[u8]> = names.iter().map(|name| &name[..]).collect();
    ends.client = ends.client.alpn(&names).unwrap();
    ends.server = ends.server.alpn(&names).unwrap();
    ends.build()
}

/// The second piece of another client's first hello.
fn tail(configs: &Configs) -> Vec<u8> {
    let now = crate::common::configs::start();
    let mut other =
        DtlsConnection::connect(now, configs.client.clone(), server_name(), server_path()).unwrap();
    let pieces = sendable(&mut other, now);
    assert_eq!(pieces.len(), 2);
    pieces[1].clone()
}

/// RFC 6347 §4.2.3: the pieces of a hello are in the clear, and one of them may be somebody else's:
/// it makes no hello with the others.
#[test]
fn a_strangers_piece_of_a_hello_does_not_spoil_the_clients() {
    for versions in [Versions::V1_3, Versions::ALL] {
        for alerts in ALERTS {
            let configs = with_long_hellos(versions, alerts);
            let mut tail = tail(&configs);
            *tail.last_mut().unwrap() ^= 1;
            for ahead in [0, 5, 500, 1500, 1900, 2100] {
                let mut crowd = Crowd::new(&configs, EndpointPolicy::default());
                crowd.inject(home(), &tail);
                crowd.run(Duration::from_millis(ahead));
                let fate = crowd.connect(home(), &configs.client);
                assert!(
                    fate.as_ref().is_ok_and(|wait| *wait < SOON),
                    "{versions:?} {alerts:?} {ahead} ms ahead: {fate:?}"
                );
            }
            for after in [1, 5, 19, 25, 45, 65] {
                let fate = meddled(&configs, after, &tail);
                assert!(
                    fate.as_ref().is_ok_and(|wait| *wait < SOON),
                    "{versions:?} {alerts:?} after {after} ms: {fate:?}"
                );
            }
        }
    }
}

/// The same without malice: a piece of an attempt's hello is lost, and its host starts again.
#[test]
fn a_host_that_starts_again_behind_a_lost_piece_is_served() {
    for versions in [Versions::V1_3, Versions::ALL] {
        for lost in 0..2 {
            for wait in [300, 900, 1500] {
                let configs = with_long_hellos(versions, PlaintextAlerts::Believe);
                let mut crowd = Crowd::new(&configs, EndpointPolicy::default());
                crowd.begin(home(), &configs.client, 2);
                let piece = *crowd.link.keys().nth(lost).unwrap();
                crowd.link.remove(&piece);
                crowd.run(Duration::from_millis(wait));
                let fate = crowd.connect(home(), &configs.client);
                assert!(
                    fate.as_ref().is_ok_and(|wait| *wait < SOON),
                    "{versions:?} without piece {lost}, after {wait} ms: {fate:?}"
                );
            }
        }
    }
}

/// An event loop may call a little early, by as much as `timer_slack` says: a doubt is resolved all
/// the same.
#[test]
fn a_doubt_is_resolved_also_by_a_loop_that_calls_early() {
    for &coarse in CHOICES {
        a_doubt_is_resolved(if coarse { 5 } else { 0 });
    }
}

/// By a loop that calls this many milliseconds early, with a slack of twice as many.
fn a_doubt_is_resolved(early: u64) {
    let early = Duration::from_millis(early);
    let ends = Ends::new().versions(Versions::V1_3);
    let configs = judged!(ends, timer_slack: early * 2).build();
    let mut crowd = Crowd::new(&configs, EndpointPolicy::default());
    // A stranger's hello is answered; the client takes that answer for its own.
    crowd.begin(home(), &configs.client, 0);
    crowd.inject(home(), &strangers(Versions::V1_3).0);
    crowd.run(crowd.latency);
    let client = crowd.clients.get_mut(&home()).unwrap();
    let second = client.sent.last().unwrap().clone();
    crowd.inject(home(), &second);
    let mut calls = 0;
    while crowd.clients[&home()].fate(crowd.now).is_err() && calls < 100 {
        crowd.run_until(crowd.latency * 2, |_| false);
        let client = crowd.clients.get_mut(&home()).unwrap();
        client.may_send = usize::MAX;
        let Some(timer) = client.connection.poll_timeout() else {
            break;
        };
        crowd.now = crowd.now.max(timer - early);
        let _ = client.connection.handle_timeout(crowd.now);
        crowd.listen_to(home());
        calls += 1;
    }
    let fate = crowd.clients[&home()].fate(crowd.now);
    assert!(fate.as_ref().is_ok_and(|wait| *wait < SOON), "{fate:?}");
    assert!(calls < 10, "{calls}");
}

/// A cookie bears when it was issued, as a number of 32 bits that comes round; nobody starts a
/// server again for that.
#[test]
fn a_service_that_runs_for_forty_years_knows_the_cookies_that_it_gave() {
    const YEAR: u64 = 31_557_600;
    for versions in KINDS {
        for years in [8, 9, 17, 18, 40] {
            let configs = Ends::new().versions(versions).build();
            let mut crowd = Crowd::new(&configs, EndpointPolicy::default());
            crowd.now += Duration::from_secs(years * YEAR);
            crowd.server.handle_timeout(crowd.now);
            let fate = crowd.connect(home(), &configs.client);
            assert!(
                fate.as_ref()
                    .is_ok_and(|wait| *wait < Duration::from_millis(200)),
                "{versions:?} after {years} years: {fate:?}"
            );
        }
    }
}

/// RFC 6347 §4.2.1, RFC 9147 §5.1: a client whose network was gone for longer than its cookie is
/// good is asked for another one. Its flight is repeated once a minute by then: one for the hello
/// that meets an old cookie, at 1.2 one more for the doubt in a second request.
#[test]
fn a_cookie_that_has_grown_old_in_an_outage_is_replaced() {
    for versions in KINDS {
        for outage in [140, 160, 400] {
            let policy = DatagramPolicy::default().handshake_deadline(None);
            let configs = Ends::new().versions(versions).datagram(&policy).build();
            let mut crowd = Crowd::new(&configs, EndpointPolicy::default());
            crowd.begin(home(), &configs.client, 1);
            for _ in 0..outage {
                crowd.run(Duration::from_secs(1));
                let client = crowd.clients.get_mut(&home()).unwrap();
                let _ = client.connection.handle_timeout(crowd.now);
                crowd.listen_to(home());
            }
            crowd.clients.get_mut(&home()).unwrap().may_send = usize::MAX;
            let fate = crowd.wait_for(home());
            let most = Duration::from_secs(outage + 125);
            assert!(
                fate.as_ref().is_ok_and(|wait| *wait < most),
                "{versions:?} after {outage} s: {fate:?}"
            );
        }
    }
}

/// SECURITY.md, what is not promised: who reads the path and sends from the client's address has
/// hellos as good as the client's own. Two of them in the middle of an attempt take its place at
/// the server, and its client is sent another one's flight.
fn read_and_sent_in_its_name(versions: Versions) -> (Crowd, Configs, Result<Duration, String>) {
    let configs = Ends::new().versions(versions).build();
    let mut crowd = Crowd::new(&configs, EndpointPolicy::default());
    crowd.begin(home(), &configs.client, usize::MAX);
    crowd.run(Duration::from_millis(45));
    let (config, name) = (configs.client.clone(), server_name());
    let mut reader = DtlsConnection::connect(crowd.now, config, name, server_path()).unwrap();
    for _ in 0..2 {
        for datagram in sendable(&mut reader, crowd.now) {
            crowd.inject(home(), &datagram);
        }
        for answer in crowd.take(home()) {
            let answer = BytesMut::from(&answer[..]);
            let _ = reader.handle_datagram(crowd.now, server_path(), answer);
        }
    }
    crowd.link.clear();
    let fate = crowd.wait_for(home());
    (crowd, configs, fate)
}

/// RFC 9147 §5.1: at 1.3 nothing under the keys of such a ServerHello comes, and the attempt begins
/// again.
#[test]
fn somebody_who_reads_the_path_delays_an_attempt_of_1_3_for_seconds() {
    for versions in [Versions::V1_3, Versions::ALL] {
        let (_, _, fate) = read_and_sent_in_its_name(versions);
        assert!(
            fate.as_ref()
                .is_ok_and(|wait| *wait < Duration::from_secs(60)),
            "{versions:?}: {fate:?}"
        );
    }
}

/// At 1.2 the signature says that the flight belongs to another hello: that attempt ends, with a
/// clear error, and the next one comes up.
#[test]
fn somebody_who_reads_the_path_ends_one_attempt_of_1_2_and_not_the_next() {
    let (mut crowd, configs, fate) = read_and_sent_in_its_name(Versions::V1_2);
    assert!(
        fate.as_ref().is_err_and(|why| why.contains("BadSignature")),
        "{fate:?}"
    );
    let fate = crowd.connect(home(), &configs.client);
    assert!(fate.as_ref().is_ok_and(|wait| *wait < SOON), "{fate:?}");
}
