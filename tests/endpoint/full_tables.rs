//! Who takes the places of others at a server, and how long those wait: full tables, restarts, slow
//! answers, spared cookies.

use crate::common::configs::{Configs, Ends, exact};
use crate::common::crowd::{Crowd, home, host};
use sealgram::config::Versions;
use sealgram::endpoint::{EndpointPolicy, Eviction, ResumptionCookies};
use sealgram::error::ConfigError;
use sealgram::server::{AnswerHello, HelloAnswer, ReceivedHello};
use sealgram::sim::Fate;
use sealgram::{AlertDescription, Reply};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A client's hello is sent again twice.
const SOON: Duration = Duration::from_secs(4);

/// Both versions, which are starved alike.
const BOTH: [Versions; 2] = [Versions::V1_2, Versions::V1_3];

fn half_open(count: usize) -> EndpointPolicy {
    EndpointPolicy::default()
        .max_half_open(count, Eviction::OldestHalfOpen)
        .unwrap()
}

/// Both ends with randoms that repeat, and timers that are spread as they are by default.
fn spread(versions: Versions, seed: u64) -> Configs {
    Ends::new()
        .versions(versions)
        .repeating(seed)
        .datagram_as_it_is(&Default::default())
        .build()
}

/// RFC 6347 §4.2.1: what the server answers is lost for a while, and the half-open association goes
/// for a newcomer. The client repeats its hello and knows no other cookie: it is good once more.
#[test]
fn a_client_that_was_evicted_behind_a_lossy_link_is_served_when_it_is_heard_again() {
    for versions in BOTH {
        for deaf in [1500, 2900] {
            let configs = Ends::new().versions(versions).build();
            let mut crowd = Crowd::new(&configs, half_open(4));
            crowd.begin(home(), &configs.client, usize::MAX);
            assert!(crowd.run_until(SOON, |it| it.server.half_open() == 1));
            crowd.clients.get_mut(&home()).unwrap().deaf_until =
                crowd.now + Duration::from_millis(deaf);
            (0..3).for_each(|number| crowd.begin(host(number), &configs.client, 2));
            crowd.run(Duration::from_millis(2100));
            crowd.begin(host(9), &configs.client, 2);
            crowd.run(Duration::from_millis(300));
            let fate = crowd.wait_for(home());
            assert!(
                fate.as_ref()
                    .is_ok_and(|wait| *wait < Duration::from_secs(10)),
                "{versions:?} deaf for {deaf} ms: {fate:?}"
            );
        }
    }
}

/// The same where the server's deadline is shorter than the client's, and than an outage.
#[test]
fn a_client_whose_server_has_given_up_before_it_is_served() {
    for versions in BOTH {
        let mut ends = Ends::new().versions(versions);
        let impatient = exact().handshake_deadline(Some(Duration::from_secs(10)));
        ends.server = ends.server.datagram(impatient);
        let mut pair = ends.build().pair(1);
        while pair.server.half_open() == 0 {
            pair.step();
        }
        pair.to_client.clear();
        pair.to_client.script(|_, _| Fate::Drop);
        pair.run_for(Duration::from_secs(11));
        assert_eq!(pair.server.half_open(), 0, "{versions:?}");
        pair.to_client.set_conditions(Default::default());
        let connected = pair.run_until_connected(Duration::from_secs(30));
        assert!(connected, "{versions:?}: {:?}", pair.client_events);
    }
}

/// RFC 6347 §4.2.8: a host that starts again takes its own place, where there is no other.
#[test]
fn a_host_that_starts_again_at_a_full_table_takes_its_own_place() {
    let refuse = EndpointPolicy::default()
        .max_half_open(1, Eviction::RefuseNewcomer)
        .unwrap();
    let one = EndpointPolicy::default().max_associations(1).unwrap();
    for versions in BOTH {
        let configs = Ends::new().versions(versions).build();
        for (policy, sends) in [(&half_open(1), 2), (&refuse, 2), (&one, usize::MAX)] {
            let mut crowd = Crowd::new(&configs, policy.clone());
            crowd.begin(home(), &configs.client, sends);
            crowd.run(Duration::from_millis(500));
            let fate = crowd.connect(home(), &configs.client);
            assert!(
                fate.as_ref().is_ok_and(|wait| *wait < SOON),
                "{versions:?} {policy:?}: {fate:?}"
            );
        }
    }
}

/// A host that starts again and again, or dies in the middle of each attempt, comes up with the
/// last one: while that one waits for its turn, the server does not answer it with what belongs to
/// the attempt before.
#[test]
fn a_host_that_dies_in_the_middle_again_and_again_comes_up_with_its_last_attempt() {
    for versions in BOTH {
        for (times, every, sends) in [
            (10, 100, usize::MAX),
            (30, 500, usize::MAX),
            (3, 200, 2),
            (4, 200, 2),
            (5, 200, 2),
            (8, 400, 2),
        ] {
            for seed in 0..8 {
                let configs = spread(versions, seed);
                let mut crowd = Crowd::new(&configs, EndpointPolicy::default());
                for _ in 0..times {
                    crowd.begin(home(), &configs.client, sends);
                    crowd.run(Duration::from_millis(every));
                }
                let fate = crowd.connect(home(), &configs.client);
                assert!(
                    fate.as_ref()
                        .is_ok_and(|wait| *wait < Duration::from_secs(20)),
                    "{versions:?} {times} starts of {sends} every {every} ms, seed {seed}: {fate:?}"
                );
            }
        }
    }
}

/// One host with many ports at a thousand handshakes a second has no more than half of the places:
/// clients from elsewhere are served.
#[test]
fn one_host_with_many_ports_does_not_shut_out_others() {
    for (versions, goes_on) in BOTH.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let configs = spread(versions, 7);
        let mut crowd = Crowd::new(&configs, half_open(256));
        let mut ports = 1000u16..;
        for tick in 0..400 {
            for port in ports.by_ref().take(10) {
                let at: SocketAddr = ([203, 0, 113, 1], port).into();
                crowd.half_open(at, &configs.client, goes_on);
            }
            if (100..200).contains(&tick) && tick % 10 == 0 {
                crowd.begin(host(tick), &configs.client, usize::MAX);
            }
            crowd.run(Duration::from_millis(10));
        }
        for (at, client) in &crowd.clients {
            let fate = client.fate(crowd.now);
            assert!(
                fate.is_ok(),
                "{versions:?} goes_on={goes_on} {at}: {fate:?}"
            );
        }
        assert_eq!(crowd.clients.len(), 10);
    }
}

/// Strangers that resume at version 1.2 show with their hello alone that they go on; they hold
/// their places no longer for that.
#[test]
fn half_open_associations_that_resume_hold_their_places_no_longer() {
    for resumes in [false, true] {
        let configs = Ends::new().resuming().build();
        let mut crowd = Crowd::new(&configs, half_open(16));
        if resumes {
            crowd.connect(home(), &configs.client).unwrap();
            crowd.run(Duration::from_secs(1));
        }
        for port in 0..16 {
            let at = ([203, 0, 113, 1], 1000 + port).into();
            crowd.begin(at, &configs.client, 2);
        }
        crowd.run(Duration::from_millis(100));
        let fate = crowd.connect(host(1), &configs.client);
        assert!(
            fate.as_ref().is_ok_and(|wait| *wait < SOON),
            "resumes={resumes}: {fate:?}"
        );
    }
}

/// An application that takes its time for each hello, or answers at once.
#[derive(Default)]
struct Desk {
    slow: AtomicBool,
    asked: AtomicUsize,
    waiting: Mutex<Vec<Answer>>,
}

type Answer = Reply<Result<HelloAnswer, AlertDescription>>;

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

impl AnswerHello for Desk {
    fn answer(&self, _: &ReceivedHello) -> Result<HelloAnswer, AlertDescription> {
        unreachable!("hellos are answered later")
    }

    fn answer_later(&self, _: Box<ReceivedHello>, answer: Answer) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.slow.load(Ordering::Relaxed) {
            self.waiting.lock().unwrap().push(answer);
        } else {
            answer.send(Ok(HelloAnswer::default()));
        }
    }
}

/// What waits for this end's own answer has its time from then on: a slow application and ten
/// strangers a second shut nobody out.
#[test]
fn clients_of_a_slow_application_come_up_under_a_flood() {
    for versions in BOTH {
        for takes in [1500, 3000] {
            let desk = Arc::new(Desk::default());
            desk.slow.store(true, Ordering::Relaxed);
            let mut ends = Ends::new().versions(versions);
            ends.server = ends.server.answers(desk.clone());
            let configs = ends.build();
            let mut crowd = Crowd::new(&configs, half_open(16));
            let mut due: Vec<(Instant, Answer)> = Vec::new();
            for tick in 0..600u32 {
                crowd.half_open(host(tick), &configs.client, false);
                if tick < 100 && tick % 20 == 5 {
                    let at = ([192, 0, 2, 1], 1000 + u16::try_from(tick).unwrap()).into();
                    crowd.begin(at, &configs.client, usize::MAX);
                }
                crowd.run(Duration::from_millis(100));
                let asked = desk.waiting.lock().unwrap().split_off(0);
                let until = crowd.now + Duration::from_millis(takes);
                due.extend(asked.into_iter().map(|answer| (until, answer)));
                let ready = due.partition_point(|it| it.0 <= crowd.now);
                for (_, answer) in due.drain(..ready) {
                    answer.send(Ok(HelloAnswer::default()));
                }
                crowd.server.handle_answers(crowd.now);
                crowd.listen_to_server();
            }
            for (at, client) in &crowd.clients {
                let fate = client.fate(crowd.now);
                assert!(fate.is_ok(), "{versions:?} {takes} ms, {at}: {fate:?}");
            }
        }
    }
}

/// A server that spares cookies, and the first hello of a client that resumes, as somebody has read
/// it.
fn sparing(mut ends: Ends, desk: Option<&Arc<Desk>>) -> (Crowd, Configs, Vec<u8>) {
    if let Some(desk) = desk {
        ends.server = ends.server.answers(desk.clone());
    }
    let configs = ends.resuming().build();
    let policy = EndpointPolicy::default().resumption_cookies(ResumptionCookies::Spare);
    let mut crowd = Crowd::new(&configs, policy);
    crowd.connect(home(), &configs.client).unwrap();
    crowd.run(Duration::from_secs(1));
    crowd.begin(host(0), &configs.client, usize::MAX);
    crowd.run(Duration::from_secs(1));
    let hello = crowd.clients[&host(0)].sent[0].clone();
    (crowd, configs, hello)
}

/// `ResumptionCookies::Spare`: nobody goes for a hello without a cookie, so a captured one, sent
/// from ever new forged addresses, leaves the others alone; and each address is sent at most three
/// times the bytes.
#[test]
fn a_captured_hello_from_forged_addresses_shuts_out_nobody_where_cookies_are_spared() {
    for versions in BOTH {
        let (mut crowd, configs, hello) = sparing(Ends::new().versions(versions), None);
        let spared = crowd.server.stats().cookies_spared;
        assert_eq!(spared, 1, "{versions:?}");
        crowd.clients.clear();
        let (before, mut count) = (crowd.server_sent, 0);
        for tick in 0..500u32 {
            for _ in 0..10 {
                count += 1;
                crowd.inject(host(1000 + count), &hello);
            }
            if tick == 250 {
                let sent = crowd.server_sent - before;
                let most = 3 * hello.len() * usize::try_from(count).unwrap();
                assert!(sent <= most, "{versions:?}: {sent} bytes for {most} / 3");
            }
            if (200..250).contains(&tick) && tick % 5 == 0 {
                crowd.begin(host(tick), &configs.client, usize::MAX);
            }
            crowd.run(Duration::from_millis(10));
        }
        for (at, client) in &crowd.clients {
            let fate = client.fate(crowd.now);
            assert!(fate.is_ok(), "{versions:?} {at}: {fate:?}");
        }
    }
}

/// Where an application answers hellos, everybody shows a cookie: copies from a forged address ask
/// it nothing.
#[test]
fn copies_of_a_hello_from_a_forged_address_do_not_ask_the_application() {
    for versions in BOTH {
        let desk = Arc::new(Desk::default());
        let (mut crowd, _, hello) = sparing(Ends::new().versions(versions), Some(&desk));
        desk.slow.store(true, Ordering::Relaxed);
        let before = desk.asked.load(Ordering::Relaxed);
        for _ in 0..1000 {
            crowd.inject(host(7), &hello);
        }
        let asked = desk.asked.load(Ordering::Relaxed) - before;
        assert_eq!(asked, 0, "{versions:?}");
        assert_eq!(crowd.server.half_open(), 0, "{versions:?}");
    }
}

/// What all peers together have waiting is limited, whatever each of them may have.
#[test]
fn beyond_the_limit_on_buffered_bytes_nothing_more_is_taken_until_some_was_fetched() {
    const LIMIT: usize = 1 << 20;
    for versions in BOTH {
        let mut ends = Ends::new().versions(versions);
        let roomy = exact().receive_queue(65_536, 1 << 24).unwrap();
        ends.server = ends.server.datagram(roomy);
        let configs = ends.build();
        let policy = EndpointPolicy::default().max_buffered(LIMIT).unwrap();
        let mut crowd = Crowd::new(&configs, policy);
        crowd.connect(home(), &configs.client).unwrap();
        let client = |crowd: &mut Crowd| {
            let now = crowd.now;
            let client = crowd.clients.get_mut(&home()).unwrap();
            client.connection.send(now, &[7; 1000]).unwrap();
            crowd.listen_to(home());
            crowd.run(Duration::from_millis(21));
        };
        (0..LIMIT / 1000 + 100).for_each(|_| client(&mut crowd));
        let buffered = crowd.server.buffered();
        assert!((LIMIT..LIMIT + 2000).contains(&buffered), "{buffered}");
        assert!(crowd.server.stats().over_limit > 50);
        crowd.begin(host(1), &configs.client, usize::MAX);
        crowd.run(SOON);
        assert!(crowd.clients[&host(1)].up.is_none(), "{versions:?}");
        let id = crowd.server.associations().next().unwrap();
        let mut reader = crowd.server.association(crowd.now, id).unwrap();
        while reader.recv().is_some() {}
        drop(reader);
        assert!(crowd.wait_for(host(1)).is_ok(), "{versions:?}");
    }
    for bytes in [(1 << 20) - 1, (1 << 40) + 1] {
        let refused = EndpointPolicy::default().max_buffered(bytes);
        assert!(matches!(refused, Err(ConfigError::OutOfRange { .. })));
    }
}

#[test]
fn a_table_has_room_for_one_at_least() {
    let policy = EndpointPolicy::default;
    for count in [0, (1 << 24) + 1] {
        let refused = policy().max_associations(count);
        assert!(matches!(refused, Err(ConfigError::OutOfRange { .. })));
        let refused = policy().max_half_open(count, Eviction::OldestHalfOpen);
        assert!(matches!(refused, Err(ConfigError::OutOfRange { .. })));
    }
    assert!(policy().max_associations(1 << 24).is_ok());
}
