use sealgram::endpoint::EndpointPolicy;
use sealgram::net::{UdpEndpoint, UdpEvent, mio};
use sealgram::{EndpointEvent, Event, ServerConfig};
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
        while let Some(event) = udp.poll_event() {
            if let UdpEvent::Association(peer, EndpointEvent::Association(Event::Readable)) = event
            {
                while let Some(received) = udp.recv(peer) {
                    // A full send queue is like a congested network: the datagram is lost.
                    let _ = udp.send(peer, &received.data);
                }
            }
        }
        udp.turn()?;
    }
}
