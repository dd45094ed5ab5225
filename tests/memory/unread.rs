//! Data that the application leaves unread takes the memory that is counted, not that of the
//! buffers it came in.

use crate::common::configs::Ends;
use crate::counting::bytes;
use bytes::BytesMut;
use sealgram::config::Versions;

/// RFC 9147 has no say in this; a limit that counts something else than memory is none. One small
/// datagram in each large buffer, as a receiver of batches sees it beside other traffic.
#[test]
fn unread_datagrams_do_not_keep_the_buffers_alive_that_they_came_in() {
    const BUFFER: usize = 1 << 17;
    const UNREAD: usize = 200;
    for versions in [Versions::V1_2, Versions::V1_3] {
        let mut pair = Ends::new().versions(versions).build().connected(1);
        pair.run_for(std::time::Duration::from_secs(2));
        let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
        let path = pair.server_connection().unwrap().path();
        let before = bytes();
        let mut out = Vec::new();
        for number in 0..UNREAD {
            pair.client
                .association(pair.now, client)
                .unwrap()
                .send(&[number as u8; 20])
                .unwrap();
            out.clear();
            pair.client.poll_transmit(pair.now, 1, &mut out).unwrap();
            let mut buffer = BytesMut::zeroed(BUFFER);
            buffer[..out.len()].copy_from_slice(&out);
            let datagram = buffer.split_to(out.len());
            pair.server.handle_datagram(pair.now, path, datagram);
            drop(buffer);
            pair.server.detach_unread();
        }
        let held = usize::try_from(bytes() - before).unwrap();
        let counted = pair.server.buffered();
        println!("{UNREAD} datagrams of 20 bytes hold {held} bytes, and {counted} are counted");
        assert!(held < 3 * counted, "{held} held, {counted} counted");
        for number in 0..UNREAD {
            let received = pair
                .server
                .association(pair.now, server)
                .unwrap()
                .recv()
                .unwrap();
            assert_eq!(received.data[..], [number as u8; 20]);
        }
        assert_eq!(pair.server.buffered(), 0);
    }
}

/// Whoever fetches in time pays nothing: what is handed out is the buffer that came in.
#[test]
fn data_that_is_fetched_in_the_same_turn_is_not_copied() {
    let mut pair = Ends::new().build().connected(1);
    let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
    let path = pair.server_connection().unwrap().path();
    for _ in 0..3 {
        pair.client
            .association(pair.now, client)
            .unwrap()
            .send(&[7; 500])
            .unwrap();
        let mut out = Vec::new();
        pair.client.poll_transmit(pair.now, 1, &mut out).unwrap();
        let datagram = BytesMut::from(&out[..]);
        let place = datagram.as_ptr_range();
        pair.server.handle_datagram(pair.now, path, datagram);
        let received = pair
            .server
            .association(pair.now, server)
            .unwrap()
            .recv()
            .unwrap();
        assert!(place.contains(&received.data.as_ptr()));
        pair.server.detach_unread();
        assert!(place.contains(&received.data.as_ptr()));
    }
}

#[cfg(feature = "net")]
mod sockets {
    use crate::common::configs::{Ends, server_name, start};
    use crate::counting::bytes;
    use sealgram::Event;
    use sealgram::endpoint::EndpointPolicy;
    use sealgram::net::{TlsStream, UdpEndpoint};
    use std::io::{Read as _, Write as _};
    use std::time::Duration;

    fn completed(endpoint: &mut UdpEndpoint) -> Option<sealgram::endpoint::AssociationId> {
        std::iter::from_fn(|| endpoint.poll_event()).find_map(|event| match event {
            (id, Event::HandshakeComplete { .. }) => Some(id),
            _ => None,
        })
    }

    /// An application that is slow to read, beside traffic that it has no part in.
    #[test]
    fn one_unread_datagram_among_many_others_keeps_no_arena_alive() {
        let configs = Ends::new().build();
        let policy = EndpointPolicy::default;
        let any = ([127, 0, 0, 1], 0).into();
        let mut server = UdpEndpoint::bind(any, policy(), Some(configs.server)).unwrap();
        let address = server.local_addr().unwrap();
        let mut client = UdpEndpoint::bind(any, policy(), None).unwrap();
        let id = client
            .connect(configs.client, server_name(), address)
            .unwrap();
        let (mut up, mut peer) = (false, None);
        let end = start() + Duration::from_secs(5);
        while !up || peer.is_none() {
            client.turn().unwrap();
            server.turn().unwrap();
            up |= completed(&mut client).is_some();
            peer = peer.or_else(|| completed(&mut server));
            assert!(start() < end);
        }
        let noise = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut before = bytes();
        for round in 0..100 {
            if round == 1 {
                // The buffers of the socket are there once and for all, however many send.
                before = bytes();
            }
            client.association(id).unwrap().send(&[7; 20]).unwrap();
            client.turn().unwrap();
            for _ in 0..60 {
                noise.send_to(&[0x17; 1400], address).unwrap();
            }
            server.turn().unwrap();
        }
        server.turn().unwrap();
        let held = usize::try_from(bytes() - before).unwrap();
        let counted = server.endpoint().buffered();
        println!("{held} bytes are held, {counted} are counted");
        assert!(held < 600_000, "{held} bytes for {counted}");
        let mut received = 0;
        while server.association(peer.unwrap()).unwrap().recv().is_some() {
            received += 1;
        }
        assert_eq!(received, 100);
    }

    /// A reader over a stream that leaves the tail of what came to the next time. Memory is used
    /// again all the same.
    #[test]
    fn the_unread_tail_of_a_stream_keeps_no_second_buffer_alive() {
        const UNREAD: usize = 50;
        let configs = Ends::new().build();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TlsStream::connect(configs.client, server_name(), address).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let accepted = mio::net::TcpStream::from_std(accepted);
        let mut server = TlsStream::server(accepted, configs.server).unwrap();
        let end = start() + Duration::from_secs(5);
        while client.connection().is_handshaking() || server.connection().is_handshaking() {
            client.turn().unwrap();
            server.turn().unwrap();
            assert!(start() < end);
        }
        let (mut data, mut waiting) = (vec![7; 30_000], 0);
        let (mut least, mut most) = (isize::MAX, 0);
        for round in 0..60 {
            let written = client.write(&data[..9000]).unwrap();
            client.flush().unwrap();
            waiting += written;
            while server.connection().buffered() < 8000 {
                server.turn().unwrap();
                assert!(start() < end, "{round}: {}", server.connection().buffered());
            }
            if round > 30 {
                (least, most) = (least.min(bytes()), most.max(bytes()));
            }
            while waiting > UNREAD {
                let fits = data.len().min(waiting - UNREAD);
                waiting -= server.read(&mut data[..fits]).unwrap();
                data.fill(7);
            }
        }
        println!("between {least} and {most} bytes are held");
        assert!(most - least < 20_000, "between {least} and {most} bytes");
    }
}
