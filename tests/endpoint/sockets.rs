//! A client and a server on real sockets, which tests share.

use crate::common::configs::{Configs, server_name, start};
use sealgram::Event;
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::net::UdpEndpoint;
use std::time::{Duration, Instant};

pub(crate) struct Both {
    pub(crate) client: UdpEndpoint,
    pub(crate) server: UdpEndpoint,
    pub(crate) client_events: Vec<(AssociationId, Event)>,
    pub(crate) server_events: Vec<(AssociationId, Event)>,
}

impl Both {
    /// Both have completed a handshake; how long it took.
    pub(crate) fn connected(configs: &Configs) -> (Self, Duration) {
        let local = ([127, 0, 0, 1], 0).into();
        let policy = EndpointPolicy::default();
        let server =
            UdpEndpoint::bind(local, policy.clone(), Some(configs.server.clone())).unwrap();
        let remote = server.local_addr().unwrap();
        let mut this = Self {
            client: UdpEndpoint::connected_to(remote, policy).unwrap(),
            server,
            client_events: Vec::new(),
            server_events: Vec::new(),
        };
        let client = &mut this.client;
        client
            .connect(configs.client.clone(), server_name(), remote)
            .unwrap();
        let is_complete = |it: &mut Self| {
            complete(&it.client_events).is_some() && complete(&it.server_events).is_some()
        };
        let took = this.run_until(is_complete);
        (this, took)
    }

    /// Goes on until that is so; how long it took.
    pub(crate) fn run_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) -> Duration {
        let begun = start();
        while !done(self) {
            self.client.turn().unwrap();
            self.server.turn().unwrap();
            self.client_events
                .extend(std::iter::from_fn(|| self.client.poll_event()));
            self.server_events
                .extend(std::iter::from_fn(|| self.server.poll_event()));
            let took: Duration = Instant::duration_since(&start(), begun);
            let told = (&self.client_events, &self.server_events);
            assert!(took < Duration::from_secs(10), "{told:?}");
        }
        start() - begun
    }

    /// The client's association, and the server's.
    pub(crate) fn ids(&self) -> (AssociationId, AssociationId) {
        let [client, server] = [&self.client_events, &self.server_events].map(|it| complete(it));
        (client.unwrap(), server.unwrap())
    }
}

fn complete(events: &[(AssociationId, Event)]) -> Option<AssociationId> {
    events.iter().find_map(|event| match event {
        (id, Event::HandshakeComplete { .. }) => Some(*id),
        _ => None,
    })
}
