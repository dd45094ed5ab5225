//! A way out that is narrower than the setting, on real sockets: `EMSGSIZE`, with batches and
//! without.

#![cfg(all(feature = "net", target_os = "linux"))]

use crate::common::configs::{Ends, server_name, start};
use sealgram::config::Versions;
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::identity::{CertifiedKey, Credential};
use sealgram::net::UdpEndpoint;
use sealgram::{Event, ServerConfig};
use std::process::Command;
use std::time::{Duration, Instant};

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

struct Both {
    client: UdpEndpoint,
    server: UdpEndpoint,
    client_events: Vec<(AssociationId, Event)>,
    server_events: Vec<(AssociationId, Event)>,
}

impl Both {
    fn run_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) -> Duration {
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
}

fn complete(events: &[(AssociationId, Event)]) -> Option<AssociationId> {
    events.iter().find_map(|event| match event {
        (id, Event::HandshakeComplete { .. }) => Some(*id),
        _ => None,
    })
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
    let local = ([127, 0, 0, 1], 0).into();
    let policy = EndpointPolicy::default();
    let server = UdpEndpoint::bind(local, policy.clone(), Some(configs.server)).unwrap();
    let remote = server.local_addr().unwrap();
    let mut both = Both {
        client: UdpEndpoint::connected_to(remote, policy).unwrap(),
        server,
        client_events: Vec::new(),
        server_events: Vec::new(),
    };
    both.client
        .connect(configs.client, server_name(), remote)
        .unwrap();
    let took = both.run_until(|it| {
        complete(&it.client_events).is_some() && complete(&it.server_events).is_some()
    });
    println!("connected in {took:?}");
    assert!(took < Duration::from_millis(900), "{took:?}");
    let learned = size(&both.server_events).expect("the server's flight was refused");
    assert!(learned <= 1372, "{learned}");
    for endpoint in [&mut both.client, &mut both.server] {
        let report = endpoint.poll_unreachable();
        assert!(report.is_none(), "{report:?}");
    }

    // The client's flights were short: it learns by its data, which leave as a batch.
    let (client, server) = (
        complete(&both.client_events).unwrap(),
        complete(&both.server_events).unwrap(),
    );
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
