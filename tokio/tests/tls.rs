//! TLS over pipes and over sockets of this machine.

mod common;

use common::{client, name, server};
use sealgram::config::{ClientRenegotiation, RekeyPolicy, Versions};
use sealgram::{Event, Failure, KeyUpdate};
use sealgram_tokio::{TlsAcceptor, TlsConnector, TlsStream};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy, duplex, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(5);

/// Both ends over a pipe that holds so many bytes.
async fn pair(
    versions: Versions,
    room: usize,
) -> (TlsStream<DuplexStream>, TlsStream<DuplexStream>) {
    let (left, right) = duplex(room);
    let rekey = RekeyPolicy::default().client_renegotiation(ClientRenegotiation::Allow {
        min_interval: Duration::ZERO,
    });
    let acceptor = TlsAcceptor::new(server(versions).rekey(rekey).build().unwrap().into());
    let connector = TlsConnector::new(client(versions).build().unwrap().into());
    let (accepted, connected) =
        tokio::join!(acceptor.accept(left), connector.connect(name(), right));
    (accepted.unwrap(), connected.unwrap())
}

/// However narrow the pipe is, and at both versions.
#[tokio::test]
async fn bytes_go_both_ways() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        for room in [7, 4096, 1 << 20] {
            let (peer, mut stream) = pair(versions, room).await;
            let echo = tokio::spawn(async move {
                let (mut reader, mut writer) = split(peer);
                let copied = copy(&mut reader, &mut writer).await.unwrap();
                writer.shutdown().await.unwrap();
                copied
            });
            for length in [1, 1000, 40_000] {
                let sent: Vec<u8> = (0..length).map(|i| (i / 3) as u8).collect();
                let mut received = vec![0; length];
                let (mut reader, mut writer) = split(&mut stream);
                let write = async {
                    writer.write_all(&sent).await.unwrap();
                    writer.flush().await.unwrap();
                };
                let both = async { tokio::join!(write, reader.read_exact(&mut received)) };
                let ((), read) = timeout(LONG, both).await.unwrap();
                read.unwrap();
                assert_eq!(received, sent);
            }
            stream.shutdown().await.unwrap();
            let end = timeout(LONG, stream.read(&mut [0; 9])).await.unwrap();
            assert_eq!(end.unwrap(), 0);
            assert_eq!(timeout(LONG, echo).await.unwrap().unwrap(), 41_001);
            let refused = stream.write(b"late").await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
        }
    }
}

/// Keys are replaced in the middle of bulk in both directions, each in a task of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_replaced_in_the_middle_of_bulk() {
    const TOTAL: usize = 4 << 20;
    for versions in [Versions::V1_2, Versions::V1_3] {
        let (peer, mut stream) = pair(versions, 64 << 10).await;
        if versions == Versions::V1_2 {
            stream.renegotiate().unwrap();
        } else {
            stream.key_update(KeyUpdate::Requested).unwrap();
        }
        let one_way = |mut writer: tokio::io::WriteHalf<TlsStream<DuplexStream>>| async move {
            let piece = vec![7; 10_000];
            let mut left = TOTAL;
            while left > 0 {
                let length = left.min(piece.len());
                writer.write_all(&piece[..length]).await.unwrap();
                left -= length;
            }
            writer.flush().await.unwrap();
            writer
        };
        let other_way = |mut reader: tokio::io::ReadHalf<TlsStream<DuplexStream>>| async move {
            let mut piece = vec![0; 16 << 10];
            let mut got = 0;
            while got < TOTAL {
                got += reader.read(&mut piece).await.unwrap();
            }
            assert_eq!(got, TOTAL);
            reader
        };
        let (peer_reader, peer_writer) = split(peer);
        let (reader, writer) = split(stream);
        let tasks = async {
            tokio::join!(
                tokio::spawn(one_way(writer)),
                tokio::spawn(one_way(peer_writer)),
                tokio::spawn(other_way(reader)),
                tokio::spawn(other_way(peer_reader)),
            )
        };
        let (writer, _, reader, _) = timeout(LONG, tasks).await.unwrap();
        let mut stream = reader.unwrap().unsplit(writer.unwrap());
        let mut events = std::iter::from_fn(|| stream.poll_event());
        let replaced = events.any(|event| {
            matches!(
                event,
                Event::KeysUpdated { .. }
                    | Event::HandshakeComplete {
                        renegotiation: true,
                        ..
                    }
            )
        });
        assert!(replaced);
    }
}

/// A goodbye that waits for room in the pipe is said, although a reader in another task is who finds
/// that there is room again.
#[tokio::test]
async fn a_shutdown_that_waits_for_room_is_woken() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let (mut peer, stream) = pair(versions, 4096).await;
        let (mut reader, mut writer) = split(stream);
        writer.write_all(&[7; 10_000]).await.unwrap();
        let closing = tokio::spawn(async move { writer.shutdown().await });
        tokio::task::yield_now().await;
        let reading = tokio::spawn(async move { reader.read_to_end(&mut Vec::new()).await });
        tokio::task::yield_now().await;
        assert!(!closing.is_finished(), "the pipe is full");
        let mut received = Vec::new();
        let read = timeout(LONG, peer.read_to_end(&mut received)).await;
        assert_eq!(read.unwrap().unwrap(), 10_000);
        timeout(LONG, closing).await.unwrap().unwrap().unwrap();
        peer.shutdown().await.unwrap();
        assert_eq!(timeout(LONG, reading).await.unwrap().unwrap().unwrap(), 0);
    }
}

/// A reader that gives up leaves nobody waiting who writes in another task.
#[tokio::test]
async fn a_writer_goes_on_when_a_reader_has_given_up() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let (mut peer, stream) = pair(versions, 4096).await;
        let (mut reader, mut writer) = split(stream);
        let writing = tokio::spawn(async move {
            writer.write_all(&[7; 1 << 20]).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        tokio::task::yield_now().await;
        assert!(!writing.is_finished(), "the pipe is full");
        let nothing = timeout(Duration::from_millis(1), reader.read_u8()).await;
        assert!(nothing.is_err());
        let mut received = Vec::new();
        let read = timeout(LONG, peer.read_to_end(&mut received)).await;
        assert_eq!(read.unwrap().unwrap(), 1 << 20);
        timeout(LONG, writing).await.unwrap().unwrap();
    }
}

/// A stream that is cut off is told from one that was ended.
#[tokio::test]
async fn a_stream_that_is_cut_off_is_an_error() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        let (mut peer, mut stream) = pair(versions, 4096).await;
        peer.write_all(b"half").await.unwrap();
        peer.flush().await.unwrap();
        drop(peer);
        let mut received = [0; 4];
        stream.read_exact(&mut received).await.unwrap();
        let cut = timeout(LONG, stream.read(&mut received)).await.unwrap();
        assert_eq!(cut.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}

/// A peer that is not believed is told so, and both ends have the reason.
#[tokio::test]
async fn a_failure_tells_its_reason_at_both_ends() {
    let (left, right) = duplex(4096);
    let acceptor = TlsAcceptor::new(server(Versions::default()).build().unwrap().into());
    let pinned = sealgram::identity::PinnedFingerprint::new([[0; 32].into()]);
    let config = sealgram::ClientConfig::with_verifier(std::sync::Arc::new(pinned));
    let connector = TlsConnector::new(config.build().unwrap().into());
    let both = async { tokio::join!(acceptor.accept(left), connector.connect(name(), right)) };
    let (accepted, connected) = timeout(LONG, both).await.unwrap();
    let connected = connected.unwrap_err();
    let reason = |error: &std::io::Error| {
        let inside = error.get_ref().and_then(|it| it.downcast_ref::<Failure>());
        inside.expect("a failure").to_string()
    };
    assert!(reason(&connected).contains("fingerprint"));
    assert!(reason(&accepted.unwrap_err()).contains("alert"));
}

/// A peer that says nothing is given up at the deadline of the handshake.
#[tokio::test]
async fn a_silent_peer_is_given_up() {
    let (left, _right) = duplex(4096);
    let deadline = Some(Duration::from_secs(1));
    let stream = sealgram::config::StreamPolicy::default().handshake_deadline(deadline);
    let config = server(Versions::default()).stream(stream).build().unwrap();
    let acceptor = TlsAcceptor::new(config.into());
    let outcome = timeout(Duration::from_secs(10), acceptor.accept(left))
        .await
        .unwrap();
    assert!(outcome.is_err());
}

/// Over TCP, as a service has it.
#[tokio::test]
async fn a_service_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::new(server(Versions::default()).build().unwrap().into());
    let service = tokio::spawn(async move {
        for _ in 0..10 {
            let (socket, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(socket).await.unwrap();
                let mut line = vec![0; 5];
                stream.read_exact(&mut line).await.unwrap();
                stream.write_all(&line).await.unwrap();
                stream.shutdown().await.unwrap();
            });
        }
    });
    for _ in 0..10 {
        let connector = TlsConnector::new(client(Versions::default()).build().unwrap().into());
        let socket = TcpStream::connect(remote).await.unwrap();
        let mut stream = connector.connect(name(), socket).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut all = Vec::new();
        timeout(LONG, stream.read_to_end(&mut all))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(all, b"hello");
    }
    service.await.unwrap();
}
