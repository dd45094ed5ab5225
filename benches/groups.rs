//! What a handshake costs in each group, with the provider that the features choose, beside the
//! operations of its key exchange alone.
//!
//! ```sh
//! cargo bench -p sealgram-benches --bench groups --features ml-kem       # ring, ML-KEM of RustCrypto
//! cargo bench -p sealgram-benches --bench groups --features aws-lc-rs    # AWS-LC
//! ```
//!
//! Everything is measured in turns, round by round, in processor time, and is a median of all
//! rounds: both sides together, DTLS 1.3 with ECDSA P-256. The last column has it in proportion to
//! X25519 of `ring` in the same run, which is the same in every run of either program.

mod support;

use aws_lc_rs::kem::{self, ML_KEM_768};
use ml_kem::{B32, Decapsulate as _, DecapsulationKey, KeyExport as _, MlKem768, Seed};
use sealgram::NamedGroup;
use sealgram::config::Versions;
use std::hint::black_box;
use support::{Configs, median, processor_time};

/// How many operations a round measures, and how many rounds there are.
const CALLS: u32 = 5;
const ROUNDS: usize = 300;

fn main() {
    let provider = if cfg!(feature = "aws-lc-rs") {
        "AWS-LC"
    } else {
        "ring"
    };
    let mut items: Vec<(String, Box<dyn FnMut()>)> = vec![
        (
            "X25519 of ring, two shares and two secrets".into(),
            Box::new(x25519_of_ring),
        ),
        (
            "X25519 of AWS-LC, the same".into(),
            Box::new(x25519_of_aws_lc),
        ),
        (
            "ML-KEM-768 of AWS-LC, key, ciphertext, secret".into(),
            Box::new(ml_kem_of_aws_lc),
        ),
        (
            "ML-KEM-768 of RustCrypto, the same".into(),
            Box::new(ml_kem_of_rust_crypto),
        ),
    ];
    let mut groups = vec![
        NamedGroup::X25519,
        NamedGroup::SECP256R1,
        NamedGroup::SECP384R1,
    ];
    if cfg!(any(feature = "aws-lc-rs", feature = "ml-kem")) {
        groups.push(NamedGroup::X25519MLKEM768);
    }
    for group in groups {
        let configs = Configs::with_group(Versions::V1_3, group);
        let name = format!("handshake on {provider}, {group}");
        let handshake = move || {
            black_box(configs.connections());
        };
        items.push((name, Box::new(handshake)));
    }
    let mut times = vec![Vec::new(); items.len()];
    for _round in 0..ROUNDS {
        for ((_, operation), times) in items.iter_mut().zip(&mut times) {
            let together = processor_time(|| (0..CALLS).for_each(|_| operation()));
            times.push(together.as_secs_f64() * 1e6 / f64::from(CALLS));
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    println!("| both sides, DTLS 1.3 | µs | × X25519 of ring |");
    println!("|---|---|---|");
    for ((name, _), median) in items.iter().zip(&medians) {
        println!("| {name} | {median:.0} | {:.2} |", median / medians[0]);
    }
}

fn x25519_of_ring() {
    use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
    let rng = ring::rand::SystemRandom::new();
    let ends = [(); 2].map(|()| EphemeralPrivateKey::generate(&X25519, &rng).unwrap());
    let [client, server] = ends.each_ref().map(|end| end.compute_public_key().unwrap());
    for (private, share) in ends.into_iter().zip([server, client]) {
        let share = UnparsedPublicKey::new(&X25519, share);
        agree_ephemeral(private, &share, |secret| black_box(secret[0])).unwrap();
    }
}

fn x25519_of_aws_lc() {
    use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
    let ends = [(); 2].map(|()| PrivateKey::generate(&X25519).unwrap());
    let [client, server] = ends.each_ref().map(|end| end.compute_public_key().unwrap());
    for (private, share) in ends.iter().zip([server, client]) {
        let share = UnparsedPublicKey::new(&X25519, share);
        agree(private, share, (), |secret| Ok(black_box(secret[0]))).unwrap();
    }
}

fn ml_kem_of_aws_lc() {
    let key = kem::DecapsulationKey::generate(&ML_KEM_768).unwrap();
    let share = key.encapsulation_key().unwrap().key_bytes().unwrap();
    let theirs = kem::EncapsulationKey::new(&ML_KEM_768, share.as_ref()).unwrap();
    let (ciphertext, _secret) = theirs.encapsulate().unwrap();
    black_box(key.decapsulate(ciphertext).unwrap());
}

fn ml_kem_of_rust_crypto() {
    use ring::rand::SecureRandom as _;
    let rng = ring::rand::SystemRandom::new();
    let (mut seed, mut message) = (Seed::default(), B32::default());
    rng.fill(&mut seed).unwrap();
    rng.fill(&mut message).unwrap();
    let key = DecapsulationKey::<MlKem768>::from_seed(seed);
    let share = key.encapsulation_key().to_bytes();
    let theirs = ml_kem::EncapsulationKey::<MlKem768>::new(&share).unwrap();
    let (ciphertext, _secret) = theirs.encapsulate_deterministic(&message);
    black_box(key.decapsulate(&ciphertext));
}
