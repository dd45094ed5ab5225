//! The loop on the front page of the documentation, as it stands there.

#![cfg(all(feature = "net", unix))]

#[path = "../../examples/front_page/serve.rs"]
#[allow(
    unreachable_pub,
    reason = "it is written for readers of the documentation"
)]
mod example;

use crate::common::configs::{Ends, server_name, start};
use sealgram::endpoint::EndpointPolicy;
use sealgram::net::UdpEndpoint;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Sends until an echo has come.
fn is_echoed(client: &mut UdpEndpoint, id: sealgram::endpoint::AssociationId) -> bool {
    let end = start() + Duration::from_secs(10);
    let mut sent = false;
    while start() < end {
        client.turn().unwrap();
        while client.poll_event().is_some() {}
        if client.association(id).unwrap().recv().is_some() {
            return true;
        }
        sent = sent
            || client
                .association(id)
                .unwrap()
                .send(b"anybody there?")
                .is_ok();
        thread::sleep(Duration::from_millis(1));
    }
    false
}

/// signal(7): `epoll_wait` fails with EINTR when the process goes on after it was stopped, whatever
/// handlers there are.
#[test]
fn a_process_that_was_stopped_and_continued_serves_on() {
    let configs = Ends::new().build();
    // A port that was free a moment ago, and that nobody else is given so soon.
    let address: SocketAddr = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = configs.server.clone();
    let server = thread::spawn(move || example::serve(address, server));

    let mut client = UdpEndpoint::connected_to(address, EndpointPolicy::default()).unwrap();
    let id = client
        .connect(configs.client, server_name(), address)
        .unwrap();
    assert!(is_echoed(&mut client, id));

    // The server waits in `poll` by then.
    let script = "sleep 0.2; kill -STOP $PPID; sleep 0.2; kill -CONT $PPID";
    let status = Command::new("sh").args(["-c", script]).status().unwrap();
    assert!(status.success());
    thread::sleep(Duration::from_millis(200));
    if server.is_finished() {
        panic!("the loop has ended: {:?}", server.join().unwrap());
    }
    assert!(is_echoed(&mut client, id));
}
