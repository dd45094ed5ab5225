//! Who is on the scene when renegotiation is tested: ends that let each other renegotiate, connected.

use super::Scene;
use crate::stage::{CLIENT_FLIGHT, FINALE, SERVER_FLIGHT, scripted_client, scripted_server};
use crate::support::Ends;
use crate::transport::{BOTH, SIDES, Transport};
use sealgram::Side;
use sealgram::config::{ClientRenegotiation, RekeyPolicy};
use sealgram::sim::scripted::Line;
use std::time::Duration;

pub fn allowing(policy: RekeyPolicy) -> RekeyPolicy {
    policy.client_renegotiation(ClientRenegotiation::Allow {
        min_interval: Duration::ZERO,
    })
}

/// Our end, connected to a scripted peer; its server lets clients renegotiate.
pub fn connected_with(
    side: Side,
    transport: Transport,
    mut ends: Ends,
    policy: RekeyPolicy,
) -> Scene {
    let peer = match side {
        Side::Client => scripted_server(&ends),
        Side::Server => scripted_client(),
    };
    ends.client = ends.client.rekey(policy.clone());
    ends.server = ends.server.rekey(allowing(policy));
    let mut scene = Scene::of(side, transport, &ends.build(), peer);
    scene.connect(side);
    scene
}

pub fn connected(side: Side, transport: Transport) -> Scene {
    connected_with(side, transport, Ends::new(), RekeyPolicy::default())
}

/// Every role, every transport, every way to begin.
pub fn everywhere(mut test: impl FnMut(Side, Transport, bool)) {
    for transport in BOTH {
        for side in SIDES {
            for called in [true, false] {
                test(side, transport, called);
            }
        }
    }
}

/// How far an honest peer goes with a renegotiation: each of the lines, played one by one.
pub fn flight(side: Side) -> Vec<Line> {
    match side {
        Side::Client => [&SERVER_FLIGHT[..], &FINALE].concat(),
        Side::Server => CLIENT_FLIGHT.to_vec(),
    }
}
