//! A way out that is narrower than the setting, on real sockets: `EMSGSIZE`, with batches and
//! without.

#![cfg(all(feature = "net", target_os = "linux"))]

use crate::common::configs::Ends;
use crate::common::readiness::best_within;
use crate::sockets::Both;
use sealgram::config::Versions;
use sealgram::endpoint::AssociationId;
use sealgram::identity::{CertifiedKey, Credential};
use sealgram::{Event, ServerConfig};
use std::process::Command;
use std::time::Duration;

/// Set in the process whose loopback interface is narrow.
const INSIDE: &str = "SEALGRAM_NARROW_LOOPBACK";

/// The interface carries 1,400 bytes: 1,372 of UDP payload over IPv4.
#[test]
fn an_interface_of_1400_bytes_costs_no_time_and_the_application_learns_of_it() {
    if std::env::var_os(INSIDE).is_some() {
        return narrow_loopback();
    }
    let program = std::env::current_exe().unwrap();
    let script = "ip link set lo mtu 1400 up || exit 77
        exec \"$0\" --exact --nocapture \"$1\"";
    // A test has the name of its module, without that of the program.
    let (_, module) = module_path!().split_once("::").unwrap();
    let test = format!(
        "{module}::an_interface_of_1400_bytes_costs_no_time_and_the_application_learns_of_it"
    );
    let outcome = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c", script])
        .args([program.as_os_str(), test.as_ref()])
        .env(INSIDE, "1")
        .output();
    match outcome {
        Err(error) => println!("skipped: no unshare(1) here ({error})"),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            let complained = String::from_utf8_lossy(&output.stderr);
            assert!(!said.contains("running 0 tests"), "{test} does not exist");
            if said.contains("running 1 test") {
                assert!(output.status.success(), "{said}{complained}");
                print!("{said}");
            } else {
                println!("skipped: no network namespace of our own here ({complained})");
            }
        }
    }
}

fn narrow_loopback() {
    for versions in [Versions::V1_2, Versions::V1_3] {
        narrow(versions);
    }
}

fn size(events: &[(AssociationId, Event)]) -> Option<usize> {
    events.iter().rev().find_map(|event| match event {
        (_, Event::MaxPayloadChanged { max_payload }) => Some(*max_payload),
        _ => None,
    })
}

fn narrow(versions: Versions) {
    let mut ends = Ends::new().versions(versions);
    let (leaf, key) = ends.pki.leaf_and_key(&rcgen::PKCS_ED25519, |params| {
        let name =
            |n: u32| rcgen::SanType::DnsName(format!("host-{n}.example").try_into().unwrap());
        params.subject_alt_names.extend((0..300).map(name));
    });
    let credential = Credential::Certificate(CertifiedKey::new(vec![leaf], &key).unwrap());
    ends.server = ServerConfig::with_credential(credential).versions(versions);
    let configs = ends.build();
    let mut connected = None;
    // A flight that is sent again comes a second late.
    const IN_TIME: Duration = Duration::from_millis(900);
    let took = best_within(IN_TIME, || {
        let (both, took) = Both::connected(&configs);
        connected = Some(both);
        took
    });
    assert!(took < IN_TIME, "{took:?}");
    let mut both = connected.unwrap();
    let learned = size(&both.server_events).expect("the server's flight was refused");
    assert!(learned <= 1372, "{learned}");
    for endpoint in [&mut both.client, &mut both.server] {
        let report = endpoint.poll_unreachable();
        assert!(report.is_none(), "{report:?}");
    }

    // The client's flights were short: it learns by its data, which leave as a batch.
    let (client, server) = both.ids();
    let mut received = None;
    let mut tries = 0;
    both.run_until(|it| {
        if tries % 20 == 0 {
            let max = it
                .client
                .endpoint()
                .connection(client)
                .unwrap()
                .max_payload();
            for _ in 0..8 {
                it.client
                    .association(client)
                    .unwrap()
                    .send(&vec![7; max])
                    .unwrap();
            }
        }
        tries += 1;
        received = it.server.association(server).unwrap().recv();
        received.is_some()
    });
    let learned = size(&both.client_events);
    println!("the client sends {learned:?}");
    assert_eq!(learned, received.map(|received| received.data.len()));
}
