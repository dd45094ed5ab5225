//! The soak, in short: what takes hours to happen is not found, but what breaks it is.

#![allow(unreachable_pub, reason = "a program has no users but its own modules")]

mod agenda;
mod crowd;
mod flow;
mod memory;
mod run;
#[path = "../support/mod.rs"]
mod support;

use flow::Flow;
use run::Options;
use std::time::Duration;

#[test]
fn hundreds_of_associations_lose_nothing_but_what_the_link_loses() {
    let options = Options {
        associations: 300,
        duration: Duration::from_secs(120),
        rekey: Duration::from_secs(15),
        ..Options::default()
    };
    run::run(&options).unwrap();
}

#[test]
fn what_was_lost_or_has_come_does_not_come_again() {
    let mut flow = Flow::default();
    assert!(!flow.leave(false), "nothing was sent");
    flow.take();
    flow.take();
    assert!(!flow.arrive(0), "it has not left");
    assert!(flow.leave(true) && flow.leave(false));
    assert_eq!((flow.held(), flow.under_way()), (0, 1));
    assert!(!flow.arrive(0), "it was lost");
    assert!(flow.arrive(1));
    assert!(!flow.arrive(1), "it has come before");
    assert_eq!((flow.sent, flow.lost, flow.delivered), (2, 1, 1));
}
