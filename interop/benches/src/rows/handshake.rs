//! Full handshakes in memory, both ends together, without cookie: an ECDSA P-256 certificate below
//! one authority, X25519 or P-256.
//!
//! The floor is what nobody can do without: at each end a key pair and an agreement, the server's
//! signature, the client's two verifications, of the key exchange and of the certificate. sealgram,
//! OpenSSL and rustls check the chain. dimpl does not: one verification is added to it, of the
//! library that it runs on. It is shown on AWS-LC, which is its default, and on `ring`; the same
//! floor with AWS-LC shows what of a difference is the library's. rustls is a
//! TLS stack over `ring`; its records travel in memory.

use crate::measure::{Board, Effort, Item, cpu_ns};
use crate::output::Plot;
use crate::pki::Pki;
use crate::report::{Bar, Limit, Section};
use crate::stacks::in_memory::Pair;
use crate::stacks::rustls::Rustls;
use crate::stacks::sealgram::{Configs, Version};
use ring::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, KeyPair as _};
use sealgram::NamedGroup;
use std::hint::black_box;

/// How many handshakes a round has.
const CALLS: u32 = 20;

const METRICS: [&str; 1] = ["both ends µs"];

/// A group: its name, and what the libraries call it.
struct Group {
    name: &'static str,
    ring: &'static agreement::Algorithm,
    sealgram: NamedGroup,
}

const GROUPS: [Group; 2] = [
    Group {
        name: "X25519",
        ring: &agreement::X25519,
        sealgram: NamedGroup::X25519,
    },
    Group {
        name: "P-256",
        ring: &agreement::ECDH_P256,
        sealgram: NamedGroup::SECP256R1,
    },
];

/// The row.
pub fn sections(effort: Effort, pki: &Pki) -> Vec<Section> {
    let board = board(effort, pki);
    let mut bars = Vec::new();
    for group in &GROUPS {
        for version in Version::ALL {
            let (version, group) = (version.name(), group.name);
            let ours = format!("sealgram {version}, {group}");
            let mut bar = |of: &str, other: String, limit| {
                if board.has(&other) {
                    let name = format!("full handshake, DTLS {version}, {group}, {of}");
                    let compared = (&*ours, &*other, METRICS[0]);
                    bars.push(Bar::ratio(name, &board, compared, limit));
                }
            };
            bar(
                "× its crypto",
                format!("ring, {group}"),
                Limit::AtMost(1.08),
            );
            bar(
                "× rustls (TLS)",
                format!("rustls {version}, {group}"),
                Limit::None,
            );
            bar(
                "× OpenSSL 1.2",
                format!("OpenSSL 1.2, {group}"),
                Limit::None,
            );
            for library in ["AWS-LC", "ring"] {
                let other = format!("dimpl {version} on {library}, {group}");
                let Some(verify) = board
                    .has(&other)
                    .then(|| format!("one verification, {library}"))
                else {
                    continue;
                };
                bars.push(Bar {
                    name: format!(
                        "full handshake, DTLS {version}, {group}, × dimpl on {library} + one verify"
                    ),
                    ours: Some((board.value(&ours, METRICS[0]).median, METRICS[0])),
                    figure: board.figure(|round| {
                        let theirs = round.get(&other, METRICS[0]) + round.get(&verify, METRICS[0]);
                        round.get(&ours, METRICS[0]) / theirs
                    }),
                    limit: Limit::None,
                });
            }
        }
    }
    for group in ["X25519", "P-256"] {
        let (ring, aws) = (format!("ring, {group}"), format!("AWS-LC, {group}"));
        if board.has(&aws) {
            let name = format!("crypto of a full handshake, {group}, ring × AWS-LC");
            let compared = (&*ring, &*aws, METRICS[0]);
            bars.push(Bar::ratio(name, &board, compared, Limit::None));
        }
    }
    vec![Section {
        name: "handshake",
        title: "Full handshakes in memory, both ends, no cookie, ECDSA P-256 certificate".into(),
        board,
        bars,
        notes: vec![
            "ring: two key pairs, two agreements, a signature, two verifications. dimpl checks no \
             chain: its figure lacks one verification.",
            "OpenSSL has no DTLS 1.3, so the figures of 1.3 stand beside its 1.2 too.",
        ],
        plot: Some(Plot {
            file: "handshake",
            metric: METRICS[0],
            better: "less",
            items: [
                "ring, X25519",
                "sealgram 1.2, X25519",
                "sealgram 1.3, X25519",
                "OpenSSL 1.2, X25519",
                "rustls 1.2, X25519",
                "rustls 1.3, X25519",
                "dimpl 1.2 on ring, X25519",
                "dimpl 1.2 on AWS-LC, X25519",
                "dimpl 1.3 on ring, X25519",
                "dimpl 1.3 on AWS-LC, X25519",
            ]
            .map(String::from)
            .into(),
        }),
    }]
}

fn board(effort: Effort, pki: &Pki) -> Board {
    let calls = effort.calls(CALLS);
    let mut items = Vec::new();
    for group in &GROUPS {
        let floor = Floor::new(group.ring);
        let name = format!("ring, {}", group.name);
        items.push(timed(name, calls, move || floor.handshake()));
        for version in Version::ALL {
            let configs = Configs::new(pki, version, group.sealgram);
            let name = format!("sealgram {}, {}", version.name(), group.name);
            items.push(timed(name, calls, move || {
                black_box(Pair::new(&configs));
            }));
            let rustls = Rustls::new(pki, version, group.ring == &agreement::X25519);
            let name = format!("rustls {}, {}", version.name(), group.name);
            items.push(timed(name, calls, move || {
                black_box(rustls.connections());
            }));
        }
    }
    let floor = Floor::new(&agreement::X25519);
    let name = "one verification, ring".to_owned();
    items.push(timed(name, calls, move || floor.verify()));
    #[cfg(feature = "peers")]
    items.extend(foreign::items(calls, pki));
    Board::measure(effort.in_memory(), &METRICS, items)
}

fn timed<'a>(name: String, calls: u32, mut operation: impl FnMut() + 'a) -> Item<'a> {
    Item::new(name, move || vec![cpu_ns(calls, &mut operation) / 1e3])
}

/// The bare operations of one handshake, with ECDSA P-256 signatures.
struct Floor {
    group: &'static agreement::Algorithm,
    rng: SystemRandom,
    key: EcdsaKeyPair,
    signature: Vec<u8>,
}

const MESSAGE: [u8; 133] = [3; 133];

impl Floor {
    fn new(group: &'static agreement::Algorithm) -> Self {
        let rng = SystemRandom::new();
        let algorithm = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &rng).expect("randomness");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &rng);
        let key = key.expect("a key just made");
        let signature = key.sign(&rng, &MESSAGE).expect("randomness");
        Self {
            group,
            signature: signature.as_ref().to_vec(),
            rng,
            key,
        }
    }

    fn verify(&self) {
        let algorithm = &signature::ECDSA_P256_SHA256_ASN1;
        let public = signature::UnparsedPublicKey::new(algorithm, self.key.public_key());
        let verified = public.verify(black_box(&MESSAGE), &self.signature);
        verified.expect("a signature just made");
    }

    fn handshake(&self) {
        let pair = || EphemeralPrivateKey::generate(self.group, &self.rng).expect("randomness");
        let [client, server] = [pair(), pair()];
        let share = |key: &EphemeralPrivateKey| key.compute_public_key().expect("a key just made");
        let shares = [share(&client), share(&server)];
        for (private, share) in [(client, &shares[1]), (server, &shares[0])] {
            let share = UnparsedPublicKey::new(self.group, share);
            let agreed = agreement::agree_ephemeral(private, &share, |secret| black_box(secret[0]));
            agreed.expect("a share just made");
        }
        black_box(self.key.sign(&self.rng, &MESSAGE).expect("randomness"));
        self.verify();
        self.verify();
    }
}

#[cfg(feature = "peers")]
mod foreign {
    use super::{Item, MESSAGE, Pki, Version, black_box, timed};
    use crate::stacks::dimpl::{Library, Maker};
    use crate::stacks::openssl::{Contexts, Protocol, in_memory};
    use aws_lc_rs::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair as _};
    use dimpl::NamedGroup;

    pub fn items(calls: u32, pki: &Pki) -> Vec<Item<'static>> {
        let mut items = Vec::new();
        for (name, listed, group) in [
            ("X25519", "X25519:P-256", NamedGroup::X25519),
            ("P-256", "P-256", NamedGroup::Secp256r1),
        ] {
            let contexts = Contexts::new(pki, Protocol::Dtls, listed);
            items.push(timed(format!("OpenSSL 1.2, {name}"), calls, move || {
                black_box(in_memory(&contexts));
            }));
            for version in Version::ALL {
                for (library, called) in [(Library::AwsLc, "AWS-LC"), (Library::Ring, "ring")] {
                    let maker = Maker::new(pki, version, group, library, false);
                    let name = format!("dimpl {} on {called}, {name}", version.name());
                    items.push(timed(name, calls, move || {
                        black_box(maker.pair());
                    }));
                }
            }
        }
        for (name, group) in [
            ("X25519", &agreement::X25519),
            ("P-256", &agreement::ECDH_P256),
        ] {
            let floor = Floor::new(group);
            let name = format!("AWS-LC, {name}");
            items.push(timed(name, calls, move || floor.handshake()));
        }
        let floor = Floor::new(&agreement::X25519);
        let name = "one verification, AWS-LC".to_owned();
        items.push(timed(name, calls, move || floor.verify()));
        items
    }

    /// The same operations with AWS-LC.
    struct Floor {
        group: &'static agreement::Algorithm,
        rng: SystemRandom,
        key: EcdsaKeyPair,
        signature: Vec<u8>,
    }

    impl Floor {
        fn new(group: &'static agreement::Algorithm) -> Self {
            let rng = SystemRandom::new();
            let key = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_ASN1_SIGNING);
            let key = key.expect("randomness");
            let signature = key.sign(&rng, &MESSAGE).expect("randomness");
            Self {
                group,
                signature: signature.as_ref().to_vec(),
                rng,
                key,
            }
        }

        fn verify(&self) {
            let algorithm = &signature::ECDSA_P256_SHA256_ASN1;
            let public = signature::UnparsedPublicKey::new(algorithm, self.key.public_key());
            let verified = public.verify(black_box(&MESSAGE), &self.signature);
            verified.expect("a signature just made");
        }

        fn handshake(&self) {
            let pair = || EphemeralPrivateKey::generate(self.group, &self.rng).expect("randomness");
            let [client, server] = [pair(), pair()];
            let share = |key: &EphemeralPrivateKey| key.compute_public_key().expect("just made");
            let shares = [share(&client), share(&server)];
            for (private, share) in [(client, &shares[1]), (server, &shares[0])] {
                let share = UnparsedPublicKey::new(self.group, share.as_ref());
                let agreed = agreement::agree_ephemeral(private, share, (), |secret| {
                    black_box(secret[0]);
                    Ok(())
                });
                agreed.expect("a share just made");
            }
            black_box(self.key.sign(&self.rng, &MESSAGE).expect("randomness"));
            self.verify();
            self.verify();
        }
    }
}
