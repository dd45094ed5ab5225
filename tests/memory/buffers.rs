//! The associations of an endpoint share the buffers that they send with.

use crate::allocations::{ends, gather};
use crate::counting::{bytes, calls};
use sealgram::Side;
use sealgram::config::Versions;
use sealgram::endpoint::AssociationId;

/// An association that has sent something keeps no buffer for that, and needs no allocation for it
/// either.
#[test]
fn many_associations_that_send_in_turn_need_the_buffers_of_few() {
    const PEERS: u16 = 200;
    for versions in [Versions::V1_2, Versions::V1_3] {
        let configs = ends().versions(versions).build();
        let mut pair = configs.connected(1);
        gather(&mut pair, &configs, Side::Server, PEERS);
        let ids: Vec<_> = pair.server.associations().collect();
        let now = pair.now;
        let mut out = Vec::new();
        let mut round = |length: usize| {
            let (held, requests) = (bytes(), calls());
            for &id in &ids {
                let mut association = pair.server.association(now, id).unwrap();
                association.send(&vec![7; length]).unwrap();
                drop(association);
                out.clear();
                assert!(pair.server.poll_transmit(now, 64, &mut out).is_some());
            }
            // One request is the data's own.
            (bytes() - held, calls() - requests - ids.len() as u64)
        };
        round(10);
        let (held, requests) = round(1200);
        println!(
            "{} associations: {held} bytes more, {requests} requests",
            ids.len()
        );
        assert!(held < 5000 && requests < 10, "{held} {requests}");
    }
}

/// Data that is not sent needs no buffer, and takes none away from the others.
#[test]
fn an_association_whose_data_is_refused_keeps_no_buffer() {
    const PEERS: u16 = 100;
    let configs = ends().build();
    let mut pair = configs.connected(1);
    gather(&mut pair, &configs, Side::Server, PEERS);
    let ids: Vec<_> = pair.server.associations().collect();
    let (now, mut out) = (pair.now, Vec::new());
    let mut round = |refused: &[AssociationId]| {
        for &id in refused {
            let mut association = pair.server.association(now, id).unwrap();
            association.send(&[7; 1 << 16]).unwrap_err();
            drop(association);
            let mut association = pair.server.association(now, ids[0]).unwrap();
            association.send(&[7; 1000]).unwrap();
            drop(association);
            out.clear();
            assert!(pair.server.poll_transmit(now, 64, &mut out).is_some());
        }
    };
    round(&ids[1..4]);
    let held = bytes();
    round(&ids[4..]);
    assert!(bytes() - held < 5000, "{}", bytes() - held);
}
