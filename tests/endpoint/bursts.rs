//! Datagrams of one sender that come as one piece, and datagrams of many senders in one call.

use crate::common::configs::{Configs, Ends};
use crate::common::crowd::{Crowd, home, host};
use bytes::BytesMut;
use sealgram::config::Versions;
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::record::Discard;
use sealgram::{Event, Path};

/// How long each of the datagrams is.
const SIZE: usize = 100;

/// A server with one client that is up.
fn connected(configs: &Configs) -> (Crowd, AssociationId) {
    let mut crowd = Crowd::new(configs, EndpointPolicy::default());
    crowd.connect(home(), &configs.client).unwrap();
    crowd.run(crowd.latency * 4);
    let id = crowd.server.associations().next().unwrap();
    (crowd, id)
}

/// Sealed by the client, each of `SIZE` bytes.
fn sealed(crowd: &mut Crowd, texts: &[&str]) -> Vec<Vec<u8>> {
    let now = crowd.now;
    let client = &mut crowd.clients.get_mut(&home()).unwrap().connection;
    let mut seal = |data: &str| {
        let mut datagram = Vec::new();
        client.send(now, data.as_bytes()).unwrap();
        client.poll_transmit(now, 1, &mut datagram).unwrap();
        datagram
    };
    let data = SIZE - seal("").len();
    let padded = texts.iter().map(|text| format!("{text:data$}"));
    padded.map(|text| seal(&text)).collect()
}

fn received(crowd: &mut Crowd, id: AssociationId) -> Vec<String> {
    let mut association = crowd.server.association(crowd.now, id).unwrap();
    std::iter::from_fn(|| association.recv())
        .map(|it| {
            String::from_utf8(it.data.to_vec())
                .unwrap()
                .trim()
                .to_owned()
        })
        .collect()
}

/// RFC 6347 §4.1.2.7: what is no good in the middle is dropped, and nothing else.
#[test]
fn datagrams_in_one_piece_are_taken_like_datagrams_one_by_one() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let configs = Ends::new().versions(versions).build();
        let (mut crowd, id) = connected(&configs);
        let mut datagrams = sealed(&mut crowd, &["a", "b", "c", "d", "e"]);
        // A forgery, a repetition, a record in the clear, noise; a shorter one at the end.
        let mut forged = datagrams[1].clone();
        *forged.last_mut().unwrap() ^= 1;
        let mut plain = vec![0; SIZE];
        plain[..3].copy_from_slice(&[21, 0xfe, 0xfd]);
        plain[12] = 2;
        datagrams.insert(1, forged);
        datagrams.insert(3, datagrams[0].clone());
        datagrams.insert(4, plain);
        datagrams.insert(6, vec![0xff; SIZE]);
        datagrams.push(b"short".to_vec());
        let before: Vec<_> = discards(&crowd, id);
        let piece = BytesMut::from(&datagrams.concat()[..]);
        crowd
            .server
            .handle_datagrams(crowd.now, Path::new(home()), piece, SIZE);
        // One event, however many came.
        assert_eq!(crowd.server.poll_event(), Some((id, Event::Readable)));
        assert_eq!(crowd.server.poll_event(), None);
        assert_eq!(received(&mut crowd, id), ["a", "b", "c", "d", "e"]);
        let counted: Vec<_> = discards(&crowd, id)
            .into_iter()
            .filter(|count| !before.contains(count))
            .map(|(cause, _)| cause)
            .collect();
        assert!(counted.contains(&Discard::Unauthenticated), "{counted:?}");
        assert!(counted.contains(&Discard::Replay), "{counted:?}");
        assert!(counted.contains(&Discard::BadRecord), "{counted:?}");
    }
}

fn discards(crowd: &Crowd, id: AssociationId) -> Vec<(Discard, u64)> {
    let connection = crowd.server.connection(id).unwrap();
    connection.stats().discards().collect()
}

/// RFC 6347 §4.2.8: until a newcomer at a known address has proved itself, each datagram is tried
/// on both associations, also where several come in one piece.
#[test]
fn datagrams_in_one_piece_reach_both_associations_of_an_address() {
    let configs = Ends::new().build();
    let (mut crowd, id) = connected(&configs);
    let datagrams = sealed(&mut crowd, &["old 1", "old 2"]);
    // The same host begins anew, and its flight with the Finished is lost.
    crowd.begin(home(), &configs.client, 2);
    crowd.run(crowd.latency * 6);
    assert_eq!(crowd.server.len(), 2);
    let piece = BytesMut::from(&datagrams.concat()[..]);
    crowd
        .server
        .handle_datagrams(crowd.now, Path::new(home()), piece, SIZE);
    assert_eq!(received(&mut crowd, id), ["old 1", "old 2"]);
}

/// RFC 5246 §7.2.1: whoever has said goodbye hears nothing more.
#[test]
fn an_association_that_is_closed_takes_nothing_of_a_piece() {
    let (mut crowd, id) = connected(&Ends::new().build());
    let datagrams = sealed(&mut crowd, &["late", "later"]);
    crowd.server.association(crowd.now, id).unwrap().close();
    let piece = BytesMut::from(&datagrams.concat()[..]);
    crowd
        .server
        .handle_datagrams(crowd.now, Path::new(home()), piece, SIZE);
    assert_eq!(received(&mut crowd, id), [""; 0]);
    crowd.listen_to_server();
    assert!(crowd.server.is_empty());
}

/// More newcomers at once than there are places for answers: whoever feeds the endpoint is told to
/// send before it receives more.
#[test]
fn answers_that_fill_their_queue_stop_the_feeding() {
    let configs = Ends::new().build();
    let mut crowd = Crowd::new(&configs, EndpointPolicy::default());
    crowd.begin(home(), &configs.client, 1);
    let hello = crowd.clients[&home()].sent[0].clone();
    let (mut fed, mut answered) = (0, 0);
    while answered < 1000 {
        while !crowd.server.take_congested() {
            let path = Path::new(host(fed));
            let hello = BytesMut::from(&hello[..]);
            crowd.server.handle_datagram(crowd.now, path, hello);
            fed += 1;
            assert!(fed < 2000);
        }
        let mut out = Vec::new();
        while crowd.server.poll_transmit(crowd.now, 1, &mut out).is_some() {
            answered += 1;
        }
    }
    assert_eq!(answered, fed);
    assert_eq!(crowd.server.stats().replies_dropped, 0);
}

#[cfg(feature = "net")]
mod sockets {
    use super::*;
    use crate::common::configs::{server_name, start};
    use sealgram::config::DatagramPolicy;
    use sealgram::net::UdpEndpoint;
    use std::time::Duration;

    /// Clients of one server, each on a socket of its own, all of them up.
    fn connected(
        configs: &Configs,
        count: usize,
    ) -> (UdpEndpoint, Vec<(UdpEndpoint, AssociationId)>) {
        let any = ([127, 0, 0, 1], 0).into();
        let policy = EndpointPolicy::default;
        let mut server = UdpEndpoint::bind(any, policy(), Some(configs.server.clone())).unwrap();
        let address = server.local_addr().unwrap();
        let end = start() + Duration::from_secs(10);
        let mut clients = Vec::new();
        for _ in 0..count {
            let mut client = UdpEndpoint::connected_to(address, policy()).unwrap();
            let id = client
                .connect(configs.client.clone(), server_name(), address)
                .unwrap();
            while client.endpoint().connection(id).unwrap().is_handshaking() {
                client.turn().unwrap();
                server.turn().unwrap();
                assert!(start() < end);
            }
            clients.push((client, id));
        }
        server.turn().unwrap();
        while server.poll_event().is_some() {}
        (server, clients)
    }

    fn fetch(server: &mut UdpEndpoint) -> usize {
        let mut fetched = 0;
        while let Some((id, _)) = server.poll_event() {
            while server
                .association(id)
                .is_some_and(|mut it| it.recv().is_some())
            {
                fetched += 1;
            }
        }
        fetched
    }

    #[test]
    fn one_turn_takes_what_many_senders_have_sent() {
        const CLIENTS: usize = 70;
        let (mut server, mut clients) = connected(&Ends::new().build(), CLIENTS);
        for _ in 0..2 {
            for (client, id) in &mut clients {
                client.association(*id).unwrap().send(b"hello").unwrap();
                client.flush().unwrap();
            }
            server.turn().unwrap();
            assert_eq!(fetch(&mut server), CLIENTS);
        }
    }

    /// A system call may have brought more than the application can take at once.
    #[test]
    fn what_was_received_already_waits_until_the_application_has_fetched_its_data() {
        const EACH: usize = 15;
        let mut ends = Ends::new();
        let policy = DatagramPolicy::default().receive_queue(4, 1 << 20).unwrap();
        ends.server = ends.server.datagram(policy);
        let (mut server, mut clients) = connected(&ends.build(), 2);
        for _ in 0..EACH {
            for (client, id) in &mut clients {
                client.association(*id).unwrap().send(b"hello").unwrap();
                client.flush().unwrap();
            }
        }
        let (mut fetched, mut turns) = (0, 0);
        while fetched < 2 * EACH {
            assert!(turns == 0 || server.poll_timeout() == Some(Duration::ZERO));
            server.turn().unwrap();
            fetched += fetch(&mut server);
            turns += 1;
            assert!(turns < 100, "{fetched}");
        }
        assert!(turns > 5, "{turns}");
    }

    #[test]
    fn a_flush_sends_and_does_not_receive() {
        let (mut server, mut clients) = connected(&Ends::new().build(), 1);
        let (client, id) = &mut clients[0];
        client.association(*id).unwrap().send(b"ping").unwrap();
        client.flush().unwrap();
        server.flush().unwrap();
        assert_eq!(server.poll_event(), None);
        server.turn().unwrap();
        assert_eq!(fetch(&mut server), 1);
    }
}
