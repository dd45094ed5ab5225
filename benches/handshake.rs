//! Full handshakes, both sides together, beside the sum of their cryptographic operations.
//!
//! The floor is what every implementation must do: at each end a key pair and an agreement, the
//! server's signature, and the client's two verifications, of the key exchange and of the leaf's
//! certificate. At 1.3 there is rustls with ring for comparison, over a stream. The ratio is
//! printed before the criterion groups, as the median of each of five runs of 25 interleaved
//! rounds.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use ring::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, KeyPair as _};
use sealgram::NamedGroup;
use sealgram::config::Versions;
use std::hint::black_box;
use support::{Configs, Rustls, report, time};

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
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &rng).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &rng).unwrap();
        let signature = key.sign(&rng, &MESSAGE).unwrap().as_ref().to_vec();
        Self {
            group,
            rng,
            key,
            signature,
        }
    }

    fn handshake(&self) {
        let [client, server] =
            [(); 2].map(|()| EphemeralPrivateKey::generate(self.group, &self.rng).unwrap());
        let shares = [
            client.compute_public_key().unwrap(),
            server.compute_public_key().unwrap(),
        ];
        for (private, share) in [(client, &shares[1]), (server, &shares[0])] {
            let share = UnparsedPublicKey::new(self.group, share);
            agreement::agree_ephemeral(private, &share, |secret| black_box(secret[0])).unwrap();
        }
        black_box(self.key.sign(&self.rng, &MESSAGE).unwrap());
        let public = signature::UnparsedPublicKey::new(
            &signature::ECDSA_P256_SHA256_ASN1,
            self.key.public_key(),
        );
        for _ in 0..2 {
            public.verify(black_box(&MESSAGE), &self.signature).unwrap();
        }
    }
}

fn ratio(name: &str, floor: &Floor, mut handshake: impl FnMut()) {
    let name = format!("ratio to the sum of its crypto, full handshake, both sides, {name}");
    report(&name, || {
        let bare = time(20, || floor.handshake());
        let ours = time(20, &mut handshake);
        ours.as_secs_f64() / bare.as_secs_f64()
    });
}

/// The time of one of our handshakes over a stream, in proportion to one of rustls.
fn beside_rustls() {
    let configs = Configs::with_group(Versions::V1_3, NamedGroup::X25519);
    let rustls = Rustls::new_13();
    report(
        "time of a full TLS 1.3 handshake, both sides, to rustls",
        || {
            let theirs = time(20, || {
                black_box(rustls.connections());
            });
            let ours = time(20, || {
                black_box(configs.streams());
            });
            ours.as_secs_f64() / theirs.as_secs_f64()
        },
    );
}

fn handshake(criterion: &mut Criterion) {
    beside_rustls();
    let cases = [
        ("x25519", &agreement::X25519, NamedGroup::X25519),
        ("secp256r1", &agreement::ECDH_P256, NamedGroup::SECP256R1),
    ];
    for (name, algorithm, group) in cases {
        let floor = Floor::new(algorithm);
        let configs = Configs::with_group(Versions::V1_3, group);
        ratio(&format!("DTLS 1.3, {name}"), &floor, || {
            black_box(configs.connections());
        });
        let configs = Configs::with_group(Versions::V1_2, group);
        ratio(&format!("DTLS 1.2, {name}"), &floor, || {
            black_box(configs.connections());
        });
        let mut criterion = criterion.benchmark_group(format!("handshake/{name}"));
        criterion.bench_function("raw ring", |bencher| bencher.iter(|| floor.handshake()));
        criterion.bench_function("sealgram", |bencher| bencher.iter(|| configs.connections()));
    }
}

criterion_group!(benches, handshake);
criterion_main!(benches);
