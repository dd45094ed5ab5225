//! DTLS over sockets of this machine.

mod common;

use common::{client, name, server};
use sealgram::Event;
use sealgram::Failure;
use sealgram::config::{DatagramPolicy, Versions};
use sealgram::error::SendError;
use sealgram_tokio::{DtlsConnector, DtlsListener, DtlsStream};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const LOCAL: &str = "127.0.0.1:0";

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

fn listen(versions: Versions) -> DtlsListener {
    let config = server(versions).build().unwrap();
    DtlsListener::bind(LOCAL.parse().unwrap(), config.into()).unwrap()
}

fn connector(versions: Versions) -> DtlsConnector {
    let config = client(versions).build().unwrap();
    DtlsConnector::bind(LOCAL.parse().unwrap(), config.into()).unwrap()
}

/// Both ends of an association.
async fn pair(versions: Versions) -> (DtlsListener, DtlsStream, DtlsStream) {
    let mut listener = listen(versions);
    let connector = connector(versions);
    let remote = listener.local_addr().unwrap();
    let (accepted, connected) = tokio::join!(listener.accept(), connector.connect(name(), remote));
    (listener, accepted.unwrap(), connected.unwrap())
}

/// Sends back what comes, until the peer says goodbye.
async fn echo(peer: DtlsStream) {
    while let Some(received) = peer.recv().await.unwrap() {
        peer.send(&received.data).await.unwrap();
    }
}

#[tokio::test]
async fn datagrams_go_both_ways_at_both_versions() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let (_listener, peer, stream) = pair(versions).await;
        let echoes = tokio::spawn(echo(peer));
        for length in [1, 1000] {
            let sent = vec![7; length];
            stream.send(&sent).await.unwrap();
            let received = stream.recv().await.unwrap().unwrap();
            assert_eq!(received.data, sent);
        }
        let mut short = [0; 3];
        stream.send(b"longer").await.unwrap();
        assert_eq!(stream.recv_into(&mut short).await.unwrap(), Some(3));
        assert_eq!(&short, b"lon");
        timeout(LONG, stream.close()).await.unwrap().unwrap();
        timeout(LONG, echoes).await.unwrap().unwrap();
    }
}

/// Many clients, each from a socket of its own and with several datagrams on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_are_served() {
    const CLIENTS: usize = 1000;
    let mut listener = listen(Versions::default());
    let remote = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        for _ in 0..CLIENTS {
            let peer = listener.accept().await.unwrap();
            tokio::spawn(echo(peer));
        }
        listener
    });
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(one_of_many(remote, number));
    }
    let mut failed = 0;
    while let Some(outcome) = clients.join_next().await {
        failed += usize::from(outcome.unwrap().is_err());
    }
    assert_eq!(failed, 0);
    server.abort();
}

async fn one_of_many(remote: SocketAddr, number: usize) -> Result<(), std::io::Error> {
    let connector = connector(Versions::default());
    let stream = connector.connect(name(), remote).await?;
    for round in 0..3 {
        let sent = format!("{number} {round}");
        // A datagram may be lost, even here.
        loop {
            stream.send(sent.as_bytes()).await?;
            match timeout(Duration::from_secs(2), stream.recv()).await {
                Ok(received) => {
                    let data = received?.unwrap().data;
                    if data == sent.as_bytes() {
                        break;
                    }
                }
                Err(_) => continue,
            }
        }
    }
    stream.close().await
}

/// What does not fit is refused with the reason, and the association goes on.
#[tokio::test]
async fn a_datagram_that_is_too_large_is_refused() {
    let (_listener, peer, stream) = pair(Versions::default()).await;
    let max = stream.with(|connection| connection.max_payload()).unwrap();
    let refused = stream.send(&vec![0; max + 1]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    let reason = refused
        .get_ref()
        .and_then(|it| it.downcast_ref::<SendError>());
    assert!(matches!(reason, Some(SendError::TooLarge { .. })));
    stream.send(&vec![1; max]).await.unwrap();
    let received = peer.recv().await.unwrap().unwrap();
    assert_eq!(received.data.len(), max);
}

/// The same where the peer takes short records alone.
#[tokio::test]
async fn a_datagram_beyond_the_limit_of_the_peer_is_refused() {
    let config = server(Versions::default()).record_size_limit(100).unwrap();
    let config = config.build().unwrap();
    let mut listener = DtlsListener::bind(LOCAL.parse().unwrap(), config.into()).unwrap();
    let connector = connector(Versions::default());
    let remote = listener.local_addr().unwrap();
    let (peer, stream) = tokio::join!(listener.accept(), connector.connect(name(), remote));
    let (peer, stream) = (peer.unwrap(), stream.unwrap());
    let refused = stream.send(&[0; 101]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    let reason = refused.get_ref().and_then(|it| it.downcast_ref());
    assert_eq!(reason, Some(&SendError::BeyondPeerLimit { max: 100 }));
    stream.send(&[0; 100]).await.unwrap();
    assert_eq!(peer.recv().await.unwrap().unwrap().data.len(), 100);
}

/// Both ends say goodbye: what was sent before is received, then nothing more can be sent.
#[tokio::test]
async fn what_was_sent_before_a_goodbye_is_received() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let (_listener, peer, stream) = pair(versions).await;
        for number in 0..50_u8 {
            stream.send(&[number]).await.unwrap();
        }
        drop(stream);
        for number in 0..50_u8 {
            assert_eq!(peer.recv().await.unwrap().unwrap().data[..], [number]);
        }
        assert!(timeout(LONG, peer.recv()).await.unwrap().unwrap().is_none());
        let refused = peer.send(b"late").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
        assert!(peer.recv().await.unwrap().is_none());
    }
}

/// A listener that shuts down has sent everything that its streams were given, and waits for it.
#[tokio::test]
async fn a_shutdown_loses_nothing_that_was_accepted() {
    let (listener, peer, stream) = pair(Versions::default()).await;
    for number in 0..100_u8 {
        peer.send(&[number]).await.unwrap();
    }
    timeout(LONG, listener.shutdown()).await.unwrap().unwrap();
    for number in 0..100_u8 {
        assert_eq!(stream.recv().await.unwrap().unwrap().data[..], [number]);
    }
    assert!(
        timeout(LONG, stream.recv())
            .await
            .unwrap()
            .unwrap()
            .is_none()
    );
    assert_eq!(
        peer.send(b"late").await.unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}

/// A client that is not accepted when the listener goes is told goodbye; those that were stay.
#[tokio::test]
async fn streams_outlive_their_listener() {
    let (listener, peer, stream) = pair(Versions::default()).await;
    let remote = listener.local_addr().unwrap();
    let left_in_line = connector(Versions::default())
        .connect(name(), remote)
        .await
        .unwrap();
    drop(listener);
    assert!(
        timeout(LONG, left_in_line.recv())
            .await
            .unwrap()
            .unwrap()
            .is_none()
    );
    stream.send(b"still here").await.unwrap();
    assert_eq!(peer.recv().await.unwrap().unwrap().data[..], *b"still here");
}

/// Futures that are dropped before they are ready have neither taken nor sent anything.
#[tokio::test]
async fn a_future_can_be_dropped_at_any_time() {
    let (mut listener, peer, stream) = pair(Versions::default()).await;
    for number in 0..200_u8 {
        tokio::select! {
            biased;
            _ = tokio::task::yield_now() => {}
            received = peer.recv() => panic!("nothing was sent, and {received:?} came"),
        }
        stream.send(&[number]).await.unwrap();
        let received = loop {
            tokio::select! {
                received = peer.recv() => break received,
                () = tokio::task::yield_now() => {}
            }
        };
        assert_eq!(received.unwrap().unwrap().data[..], [number]);
    }
    // A client that nobody was waiting for any more stays in line.
    assert!(
        timeout(Duration::from_millis(20), listener.accept())
            .await
            .is_err()
    );
    let remote = listener.local_addr().unwrap();
    let next = connector(Versions::default())
        .connect(name(), remote)
        .await
        .unwrap();
    let accepted = timeout(LONG, listener.accept()).await.unwrap().unwrap();
    next.send(b"hello").await.unwrap();
    assert_eq!(accepted.recv().await.unwrap().unwrap().data[..], *b"hello");
}

/// A handshake that is given up is gone, and the address is free for another.
#[tokio::test]
async fn a_handshake_can_be_given_up() {
    let silent = std::net::UdpSocket::bind(LOCAL).unwrap();
    let remote = silent.local_addr().unwrap();
    let connector = connector(Versions::default());
    let given_up = timeout(Duration::from_millis(50), connector.connect(name(), remote)).await;
    assert!(given_up.is_err());
    drop(silent);
    let config = server(Versions::default()).build().unwrap();
    let mut listener = DtlsListener::bind(remote, config.into()).unwrap();
    let (accepted, connected) = tokio::join!(listener.accept(), connector.connect(name(), remote));
    accepted.unwrap();
    connected.unwrap();
}

/// The reason of a failure is inside the error, at connect and later.
#[tokio::test]
async fn a_failure_tells_its_reason() {
    let listener = listen(Versions::default());
    let remote = listener.local_addr().unwrap();
    let other = "other.test".try_into().unwrap();
    let pinned = sealgram::identity::PinnedFingerprint::new([[0; 32].into()]);
    let config = sealgram::ClientConfig::with_verifier(std::sync::Arc::new(pinned));
    let connector =
        DtlsConnector::bind(LOCAL.parse().unwrap(), config.build().unwrap().into()).unwrap();
    let refused = connector.connect(other, remote).await.unwrap_err();
    let failure = refused
        .get_ref()
        .and_then(|it| it.downcast_ref::<Failure>());
    assert!(
        failure.unwrap().to_string().contains("fingerprint"),
        "{refused}"
    );
}

/// A sender that is faster than the socket waits, and everything it has sent leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fast_sender_waits_for_room() {
    let (_listener, peer, stream) = pair(Versions::default()).await;
    let receiver = tokio::spawn(async move {
        let mut bytes = 0;
        while let Some(received) = peer.recv().await.unwrap() {
            bytes += received.data.len();
        }
        bytes
    });
    let datagram = vec![7; 1200];
    const DATAGRAMS: u64 = 20_000;
    for _ in 0..DATAGRAMS {
        stream.send(&datagram).await.unwrap();
    }
    let sent = stream.with(|it| it.stats().records_sent()).unwrap();
    assert!(sent >= DATAGRAMS, "{sent}");
    // Let the receiver catch up, so that the goodbye is not lost.
    sleep(Duration::from_millis(50)).await;
    stream.close().await.unwrap();
    let bytes = timeout(LONG, receiver).await.unwrap().unwrap();
    assert!(bytes > 0);
}

/// Clients that come and go while nobody accepts them leave nothing behind.
#[tokio::test]
async fn clients_that_nobody_accepts_are_forgotten_when_they_go() {
    let mut listener = listen(Versions::default());
    let remote = listener.local_addr().unwrap();
    for _ in 0..20 {
        // From another port each time: a server lets one address begin anew once a second.
        let connector = connector(Versions::default());
        let stream = connector.connect(name(), remote).await.unwrap();
        stream.close().await.unwrap();
    }
    let connector = connector(Versions::default());
    let last = connector.connect(name(), remote).await.unwrap();
    last.send(b"here").await.unwrap();
    // Those who said goodbye may still be accepted while they are not gone, and say nothing.
    let accepted = timeout(LONG, async {
        loop {
            let peer = listener.accept().await.unwrap();
            if let Ok(Some(received)) = peer.recv().await {
                break received;
            }
        }
    });
    assert_eq!(accepted.await.unwrap().data[..], *b"here");
}

/// The two directions in two tasks; the goodbye comes when both are gone.
#[tokio::test]
async fn the_directions_can_be_split() {
    let (_listener, peer, stream) = pair(Versions::default()).await;
    let echoes = tokio::spawn(echo(peer));
    let (mut receiver, sender) = stream.into_split();
    let sending = tokio::spawn(async move {
        for number in 0..50_u8 {
            sender.send(&[number]).await.unwrap();
        }
    });
    for number in 0..50_u8 {
        assert_eq!(receiver.recv().await.unwrap().unwrap().data[..], [number]);
    }
    sending.await.unwrap();
    drop(receiver);
    timeout(LONG, echoes).await.unwrap().unwrap();
}

/// Commands of the association, and the events that they lead to.
#[tokio::test]
async fn keys_are_replaced_while_data_flows() {
    let (_listener, peer, stream) = pair(Versions::V1_2).await;
    let echoes = tokio::spawn(echo(peer));
    stream.command(|it| it.renegotiate()).unwrap().unwrap();
    for number in 0..20_u8 {
        stream.send(&[number]).await.unwrap();
        assert_eq!(stream.recv().await.unwrap().unwrap().data[..], [number]);
    }
    let event = timeout(LONG, stream.event()).await.unwrap().unwrap();
    assert!(
        matches!(
            event,
            Event::HandshakeComplete {
                renegotiation: true,
                ..
            } | Event::RenegotiationRefused { .. }
        ),
        "{event:?}"
    );
    drop(stream);
    timeout(LONG, echoes).await.unwrap().unwrap();
}

/// A client that changes its port goes on, if the server gave it a connection ID.
#[tokio::test]
async fn a_client_moves_to_another_port() {
    let ids = DatagramPolicy::default().connection_ids(Some(8)).unwrap();
    let config = server(Versions::default())
        .datagram(ids.clone())
        .build()
        .unwrap();
    let mut listener = DtlsListener::bind(LOCAL.parse().unwrap(), config.into()).unwrap();
    let config = client(Versions::default()).datagram(ids).build().unwrap();
    let connector = DtlsConnector::bind(LOCAL.parse().unwrap(), config.into()).unwrap();
    let remote = listener.local_addr().unwrap();
    let (peer, stream) = tokio::join!(listener.accept(), connector.connect(name(), remote));
    let (peer, stream) = (peer.unwrap(), stream.unwrap());
    let before = connector.local_addr().unwrap();
    connector.rebind(LOCAL.parse().unwrap()).unwrap();
    assert_ne!(connector.local_addr().unwrap(), before);
    stream.send(b"from elsewhere").await.unwrap();
    assert_eq!(
        peer.recv().await.unwrap().unwrap().data[..],
        *b"from elsewhere"
    );
    let event = timeout(LONG, peer.event()).await.unwrap().unwrap();
    assert!(matches!(event, Event::PathChanged(_)), "{event:?}");
    peer.send(b"welcome").await.unwrap();
    assert_eq!(stream.recv().await.unwrap().unwrap().data[..], *b"welcome");
}

/// A runtime that ends leaves nobody waiting for ever.
#[test]
fn the_end_of_a_runtime_is_told() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let first = runtime();
    let mut listener = first.block_on(async { listen(Versions::default()) });
    drop(first);
    let outcome = runtime().block_on(async { timeout(LONG, listener.accept()).await });
    assert!(outcome.unwrap().is_err());
}
