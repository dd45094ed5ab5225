//! A refusal that is late: copies of the refused hello are still on their way when the next
//! renegotiation begins.

use crate::common::configs::{Ends, server_name, start};
use sealgram::config::{ClientRenegotiation, RekeyPolicy};
use sealgram::sim::{Conditions, Direction, Fate, Pair};
use std::time::Duration;

/// RFC 6347 §4.2.4: a hello that was refused late is under way once more when the server asks by
/// itself.
#[test]
fn a_hello_that_was_refused_late_does_not_end_the_association_when_the_next_one_is_of_another_kind()
{
    for abbreviated in [false, true] {
        for ends_first in [true, false] {
            let mut ends = Ends::new().resuming();
            let policy = RekeyPolicy::default().client_renegotiation(ClientRenegotiation::Refuse);
            ends.server = ends.server.rekey(policy);
            let configs = ends.build();
            let mut pair = Pair::new(configs.server.clone(), start(), 1).unwrap();
            pair.record();
            pair.connect(configs.client.clone(), server_name()).unwrap();
            assert!(pair.run_until_connected(Duration::from_secs(5)));
            pair.run_for(Duration::from_secs(2));
            let (client, server) = (pair.client_id().unwrap(), pair.server_id().unwrap());
            let known = pair.seen.as_ref().unwrap().len();
            // The refusal is late.
            pair.to_client.script(|_, _| Fate::Drop);
            pair.client
                .association(pair.now, client)
                .unwrap()
                .renegotiate()
                .unwrap();
            pair.run_for(Duration::from_millis(900));
            let seen = pair.seen.as_ref().unwrap()[known..].iter();
            let refusal = seen
                .rev()
                .find(|it| it.direction == Direction::ToClient)
                .unwrap()
                .datagram
                .clone();
            pair.set_conditions(&Conditions::default());
            // The hello is repeated, and the server asks by itself.
            let sent = pair.to_server.sent();
            while pair.to_server.sent() == sent {
                pair.step();
            }
            pair.server
                .association(pair.now, server)
                .unwrap()
                .renegotiate()
                .unwrap();
            pair.transmit();
            if ends_first {
                pair.deliver_to_client(&refusal);
            }
            // While the first hello is under way another cannot begin; that is told, and is no
            // matter here.
            let begun = if abbreviated {
                pair.client
                    .association(pair.now, client)
                    .unwrap()
                    .renegotiate_abbreviated()
            } else {
                pair.client
                    .association(pair.now, client)
                    .unwrap()
                    .renegotiate()
            };
            pair.run_for(Duration::from_secs(30));
            assert!(
                pair.exchange(3),
                "abbreviated={abbreviated}, {begun:?}: {:?} / {:?}",
                pair.client_events.last(),
                pair.server_events.last()
            );
        }
    }
}
