use sealgram::endpoint::EndpointPolicy;
use sealgram::net::{UdpEndpoint, mio};
use sealgram::{Event, ServerConfig};
use std::net::SocketAddr;
use std::{io, sync::Arc};

/// Sends every datagram back to its sender, for any number of peers.
pub fn serve(address: SocketAddr, config: Arc<ServerConfig>) -> io::Result<()> {
    let mut udp = UdpEndpoint::bind(address, EndpointPolicy::default(), Some(config))?;
    let mut poll = mio::Poll::new()?;
    let mut ready = mio::Events::with_capacity(16);
    udp.register(poll.registry(), mio::Token(0))?;
    loop {
        match poll.poll(&mut ready, udp.poll_timeout()) {
            // A signal has ended the wait early, which is not an error.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => result?,
        }
        udp.turn()?;
        while let Some((id, event)) = udp.poll_event() {
            if event == Event::Readable
                && let Some(mut peer) = udp.association(id)
            {
                while let Some(received) = peer.recv() {
                    // A full send queue is like a full network: the datagram is lost.
                    let _ = peer.send(&received.data);
                }
            }
        }
        udp.flush()?;
    }
}
