//! Full handshakes, both sides together, beside the sum of their cryptographic operations.
//!
//! There are two floors of what every implementation must do. The public-key operations are at each
//! end a key pair and an agreement, the server's signature, and the client's two verifications, of
//! the key exchange and of the leaf's certificate. To the sum of the crypto belong also the hashes,
//! derivations, key set-ups and records of the handshake itself. At 1.3 there is rustls with ring
//! for comparison, over a stream. The ratios are printed before the criterion groups, as the median
//! of each of five runs of 25 interleaved rounds.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{self, EcdsaKeyPair, KeyPair as _};
use ring::{digest, hkdf, hmac};
use sealgram::NamedGroup;
use sealgram::config::Versions;
use std::hint::black_box;
use support::{Configs, Rustls, median, report, time};

/// The bare operations of one handshake, with ECDSA P-256 signatures.
struct Floor {
    group: &'static agreement::Algorithm,
    rng: SystemRandom,
    key: EcdsaKeyPair,
    signature: Vec<u8>,
}

const MESSAGE: [u8; 133] = [3; 133];

/// How many handshakes a round measures: so few that most rounds are not interrupted.
const CALLS: u32 = 5;

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

/// What else a handshake must compute at each end: the hashes, derivations, keys and
/// records of either version, as many as there must be, each in the cheapest way that `ring` has.
struct Symmetric {
    rng: SystemRandom,
    /// As long as the messages of a handshake.
    messages: [u8; 1200],
    /// As long as the flight of a server.
    flight: [u8; 600],
}

impl Symmetric {
    fn new() -> Self {
        Self {
            rng: SystemRandom::new(),
            messages: [4; 1200],
            flight: [5; 600],
        }
    }

    fn random(&self) {
        let mut random = [0; 32];
        self.rng.fill(&mut random).unwrap();
        black_box(random);
    }

    /// The hash of the messages, and what it was at so many other points.
    fn transcript(&self, snapshots: usize) {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(black_box(&self.messages));
        for _ in 0..snapshots {
            black_box(hash.clone().finish());
        }
        black_box(hash.finish());
    }

    fn keys<const N: usize>() -> [LessSafeKey; N] {
        [(); N]
            .map(|()| LessSafeKey::new(UnboundKey::new(&AES_128_GCM, black_box(&[6; 16])).unwrap()))
    }

    /// Seals these bytes, and opens them.
    fn record(key: &LessSafeKey, data: &[u8]) {
        let mut record = data.to_vec();
        let nonce = || Nonce::assume_unique_for_key([0; 12]);
        key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut record)
            .unwrap();
        black_box(key.open_in_place(nonce(), Aad::empty(), &mut record)).unwrap();
    }

    /// Version 1.2: twelve HMACs make the master secret, the keys and the contents of both Finished
    /// messages.
    fn v12(&self) {
        for _ in 0..2 {
            self.random();
            self.transcript(2);
            for hmacs in [4, 8] {
                let key = hmac::Key::new(hmac::HMAC_SHA256, black_box(&[7; 48]));
                for _ in 0..hmacs {
                    black_box(hmac::sign(&key, black_box(&[8; 77])));
                }
            }
            let [key, _other] = Self::keys();
            Self::record(&key, &[9; 16]);
        }
    }

    /// Version 1.3: three extractions, eleven expansions and two Finished messages.
    fn v13(&self) {
        for _ in 0..2 {
            self.random();
            self.transcript(4);
            for expansions in [3, 3, 5] {
                let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, black_box(&[7; 32]));
                let prk = salt.extract(black_box(&[8; 32]));
                for _ in 0..expansions {
                    let mut out = [0; 32];
                    let info = [black_box(&[9; 54][..])];
                    let expanded = prk.expand(&info, hkdf::HKDF_SHA256).unwrap();
                    expanded.fill(&mut out).unwrap();
                    black_box(out);
                }
            }
            for _ in 0..2 {
                let key = hmac::Key::new(hmac::HMAC_SHA256, black_box(&[7; 32]));
                black_box(hmac::sign(&key, black_box(&[8; 32])));
            }
            let [key, _, _, _, _] = Self::keys();
            Self::record(&key, &self.flight);
        }
    }
}

/// Prints the time of a handshake in proportion to that of its public-key operations, and to that
/// of all of its cryptography.
fn ratio(name: &str, floor: &Floor, symmetric: impl Fn(), mut handshake: impl FnMut()) {
    let mut together = [const { Vec::new() }; 2];
    for _ in 0..5 {
        let rounds = (0..25).map(|_| {
            let bare = time(CALLS, || floor.handshake()).as_secs_f64();
            let rest = time(CALLS, &symmetric).as_secs_f64();
            let ours = time(CALLS, &mut handshake).as_secs_f64();
            (ours / bare, ours / (bare + rest))
        });
        let (public, all) = rounds.unzip();
        together[0].push(median(public));
        together[1].push(median(all));
    }
    let floors = ["its public-key operations", "the sum of its crypto"];
    for (floor, runs) in floors.into_iter().zip(together) {
        let each: Vec<String> = runs.iter().map(|ratio| format!("{ratio:.3}")).collect();
        println!(
            "ratio to {floor}, full handshake, both sides, {name}: {:.3}  (runs: {})",
            median(runs),
            each.join(" ")
        );
    }
}

/// The time of one of our handshakes over a stream, in proportion to one of rustls.
fn beside_rustls() {
    let configs = Configs::with_group(Versions::V1_3, NamedGroup::X25519);
    let rustls = Rustls::new_13();
    report(
        "time of a full TLS 1.3 handshake, both sides, to rustls",
        || {
            let theirs = time(CALLS, || {
                black_box(rustls.connections());
            });
            let ours = time(CALLS, || {
                black_box(configs.streams());
            });
            ours.as_secs_f64() / theirs.as_secs_f64()
        },
    );
}

fn handshake(criterion: &mut Criterion) {
    beside_rustls();
    let symmetric = Symmetric::new();
    let cases = [
        ("x25519", &agreement::X25519, NamedGroup::X25519),
        ("secp256r1", &agreement::ECDH_P256, NamedGroup::SECP256R1),
    ];
    for (name, algorithm, group) in cases {
        let floor = Floor::new(algorithm);
        let configs = Configs::with_group(Versions::V1_3, group);
        let crypto = || symmetric.v13();
        ratio(&format!("DTLS 1.3, {name}"), &floor, crypto, || {
            black_box(configs.connections());
        });
        let configs = Configs::with_group(Versions::V1_2, group);
        let crypto = || symmetric.v12();
        ratio(&format!("DTLS 1.2, {name}"), &floor, crypto, || {
            black_box(configs.connections());
        });
        let mut criterion = criterion.benchmark_group(format!("handshake/{name}"));
        criterion.bench_function("raw ring", |bencher| bencher.iter(|| floor.handshake()));
        criterion.bench_function("sealgram", |bencher| bencher.iter(|| configs.connections()));
    }
}

criterion_group!(benches, handshake);
criterion_main!(benches);
