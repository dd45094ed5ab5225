//! What idle associations hold, counted by an allocator, which no other measurement should pay for:
//! the row "memory" of the bench runs this program. Prints a JSON object of names and bytes.

#[path = "../../../../tests/memory/counting.rs"]
#[allow(
    dead_code,
    unsafe_code,
    reason = "an allocator is unsafe code; this one counts the tests' allocations too"
)]
mod counting;

use counting::bytes;
use sealgram_bench_peers::pki::Pki;
use sealgram_bench_peers::stacks::in_memory::World;
use sealgram_bench_peers::stacks::sealgram::{Configs, Version};
use std::time::Duration;

const PAIRS: usize = 1000;

fn main() {
    let pki = Pki::new();
    let mut found = serde_json::Map::new();
    for version in Version::ALL {
        let [client, server] = ours(&pki, version);
        let name = version.name();
        found.insert(format!("sealgram {name}, client"), client.into());
        found.insert(format!("sealgram {name}, server"), server.into());
    }
    #[cfg(feature = "peers")]
    foreign::measure(&pki, &mut found);
    println!("{}", serde_json::Value::from(found));
}

/// Bytes of a client and of a server: the endpoint's share, the handle and everything behind it.
fn ours(pki: &Pki, version: Version) -> [f64; 2] {
    let configs = Configs::forgetful(pki, version);
    let mut world = World::new(&configs);
    while world.ids.len() < PAIRS {
        world.connect(&configs);
    }
    // Past every timer, as in a loop, which looks at each deadline when it comes.
    let end = world.now + Duration::from_secs(300);
    for endpoint in [&mut world.clients, &mut world.server] {
        while let Some(due) = endpoint.poll_timeout().filter(|&due| due <= end) {
            endpoint.handle_timeout(due);
        }
    }
    world.now = end;
    world.settle();
    while world.clients.poll_event().is_some() || world.server.poll_event().is_some() {}
    assert_eq!(world.server.len(), PAIRS);
    let World {
        clients, server, ..
    } = world;
    [each(move || drop(clients)), each(move || drop(server))]
}

/// How many bytes of each pair `drop` gives back.
fn each(drop: impl FnOnce()) -> f64 {
    let before = bytes();
    drop();
    (before - bytes()) as f64 / PAIRS as f64
}

#[cfg(feature = "peers")]
mod foreign {
    use super::{PAIRS, Pki, Version, each};
    use dimpl::NamedGroup;
    use sealgram_bench_peers::stacks::dimpl::{End, Library, Maker};
    use sealgram_bench_peers::stacks::openssl::{Contexts, GROUPS, Protocol, in_memory, read};
    use serde_json::{Map, Value};

    /// dimpl on `ring`, because AWS-LC asks the allocator of C; OpenSSL, which does too, by the
    /// memory of the process.
    pub(super) fn measure(pki: &Pki, found: &mut Map<String, Value>) {
        for version in Version::ALL {
            let maker = Maker::new(pki, version, NamedGroup::X25519, Library::Ring, false);
            let mut pairs: Vec<_> = (0..PAIRS).map(|_| maker.pair()).collect();
            for (client, server) in &mut pairs {
                record(client, server);
                record(server, client);
            }
            let (clients, servers): (Vec<End>, Vec<End>) = pairs.into_iter().unzip();
            let name = version.name();
            let client = each(move || drop(clients.into_boxed_slice()));
            found.insert(format!("dimpl {name}, client"), client.into());
            let server = each(move || drop(servers.into_boxed_slice()));
            found.insert(format!("dimpl {name}, server"), server.into());
        }
        let contexts = Contexts::new(pki, Protocol::Dtls, GROUPS);
        let before = resident();
        let mut pairs: Vec<_> = (0..PAIRS).map(|_| in_memory(&contexts)).collect();
        for (client, server) in &mut pairs {
            let mut data = [0; 100];
            client.ssl_write(&data).expect("a transport in memory");
            assert_eq!(read(server, &mut data), Some(data.len()));
            server.ssl_write(&data).expect("a transport in memory");
            assert_eq!(read(client, &mut data), Some(data.len()));
        }
        let each = (resident() - before) / PAIRS as f64 / 2.0;
        found.insert("OpenSSL 1.2, either end".into(), each.into());
    }

    fn record(from: &mut End, to: &mut End) {
        from.send(&[7; 100]);
        from.drive(|datagram| to.take(datagram), |_| {});
        to.drive(|_| {}, |_| {});
    }

    /// What the process holds, in bytes.
    fn resident() -> f64 {
        let statistics = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
        let pages = statistics.split(' ').nth(1).expect("the second number");
        pages.parse::<f64>().expect("a number") * 4096.0
    }
}
