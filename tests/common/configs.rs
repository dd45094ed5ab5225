//! Certificates and configurations that tests share.

use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType, SignatureAlgorithm,
};
use sealgram::client::ClientConfigBuilder;
use sealgram::config::{DatagramPolicy, SecureRandom, Versions};
use sealgram::identity::{CertifiedKey, Credential, Roots, WebPkiClientVerifier};
use sealgram::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sealgram::server::{ClientAuthentication, ServerConfigBuilder};
use sealgram::session::MemoryClientSessions;
use sealgram::sim::Pair;
use sealgram::{ClientConfig, Error, ServerConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The name that every server certificate here holds.
pub const SERVER: &str = "server.test";

/// An authority with one leaf.
pub struct Pki {
    pub root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    /// An authority with a key of this kind.
    pub fn new(algorithm: &'static SignatureAlgorithm) -> Self {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        // Authorities of one name would be told apart by their signatures only.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("test authority {}", MADE.fetch_add(1, Ordering::Relaxed));
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let root = params.self_signed(&key).unwrap().der().clone();
        Self {
            root,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate with a key of this kind.
    pub fn leaf(
        &self,
        algorithm: &'static SignatureAlgorithm,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Credential {
        self.leaf_with(algorithm, |params| {
            params.extended_key_usages = vec![purpose];
        })
    }

    /// A leaf whose certificate says what `adjust` makes it say.
    pub fn leaf_with(
        &self,
        algorithm: &'static SignatureAlgorithm,
        adjust: impl FnOnce(&mut CertificateParams),
    ) -> Credential {
        let (leaf, key) = self.leaf_and_key(algorithm, adjust);
        Credential::Certificate(CertifiedKey::new(vec![leaf], &key).unwrap())
    }

    /// The same in its parts.
    pub fn leaf_and_key(
        &self,
        algorithm: &'static SignatureAlgorithm,
        adjust: impl FnOnce(&mut CertificateParams),
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::new(vec![SERVER.to_owned()]).unwrap();
        adjust(&mut params);
        let leaf = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        (leaf, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    pub fn server(&self, algorithm: &'static SignatureAlgorithm) -> Credential {
        self.leaf(algorithm, ExtendedKeyUsagePurpose::ServerAuth)
    }

    pub fn client(&self, algorithm: &'static SignatureAlgorithm) -> Credential {
        self.leaf(algorithm, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A leaf behind which so many more certificates follow that they have at least `bytes`
    /// together. Who checks the leaf has no use for them.
    pub fn chain(&self, purpose: ExtendedKeyUsagePurpose, bytes: usize) -> Credential {
        let algorithm = &rcgen::PKCS_ED25519;
        let (leaf, key) = self.leaf_and_key(algorithm, |params| {
            params.extended_key_usages = vec![purpose];
        });
        let name = |number: u32| {
            let name = format!("host-{number}.department.example");
            SanType::DnsName(name.try_into().unwrap())
        };
        let mut chain = vec![leaf];
        while chain.iter().map(|one| one.len()).sum::<usize>() < bytes {
            let (one, _) = self.leaf_and_key(algorithm, |params| {
                params.subject_alt_names = (0..40).map(name).collect();
            });
            chain.push(one);
        }
        Credential::Certificate(CertifiedKey::new(chain, &key).unwrap())
    }

    pub fn roots(&self) -> Roots {
        let mut roots = Roots::new();
        roots.add(&self.root).unwrap();
        roots
    }
}

/// A server certificate with the RSA key of `tests/common/rsa2048.pem`, because `ring` makes none.
pub fn rsa_server(pki: &Pki) -> Credential {
    let pem = include_str!("rsa2048.pem");
    let key = KeyPair::from_pkcs8_pem_and_sign_algo(pem, &rcgen::PKCS_RSA_SHA256).unwrap();
    let params = CertificateParams::new(vec![SERVER.to_owned()]).unwrap();
    let leaf = params.signed_by(&key, &pki.issuer).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Credential::Certificate(CertifiedKey::new(vec![leaf], &key).unwrap())
}

/// Builders for both ends at version 1.2, with Ed25519 keys: their messages have fixed sizes, so
/// simulations repeat exactly.
pub struct Ends {
    pub pki: Pki,
    pub client: ClientConfigBuilder,
    pub server: ServerConfigBuilder,
}

impl Ends {
    pub fn new() -> Self {
        Self::with(&rcgen::PKCS_ED25519)
    }

    pub fn with(algorithm: &'static SignatureAlgorithm) -> Self {
        let pki = Pki::new(algorithm);
        // Every handshake is a full one, unless a test wants it otherwise.
        let client = ClientConfig::with_roots(pki.roots())
            .unwrap()
            .session_store(None)
            .datagram(exact())
            .versions(Versions::V1_2);
        let server = ServerConfig::with_credential(pki.server(algorithm))
            .datagram(exact())
            .versions(Versions::V1_2);
        Self {
            pki,
            client,
            server,
        }
    }

    /// The same with a server whose chain has at least `bytes`.
    pub fn with_chain(bytes: usize) -> Self {
        let mut ends = Self::new();
        let chain = ends.pki.chain(ExtendedKeyUsagePurpose::ServerAuth, bytes);
        ends.server = ServerConfig::with_credential(chain).versions(Versions::V1_2);
        ends
    }

    /// The same with a client whose chain has at least `bytes`, which the server requires.
    pub fn mutual_with_chain(self, bytes: usize) -> Self {
        let chain = self.pki.chain(ExtendedKeyUsagePurpose::ClientAuth, bytes);
        self.mutual_with(chain)
    }

    /// The same with other versions at both ends.
    pub fn versions(mut self, versions: Versions) -> Self {
        self.client = self.client.versions(versions);
        self.server = self.server.versions(versions);
        self
    }

    /// The same with a client that keeps sessions and takes tickets, as clients do by default.
    pub fn resuming(mut self) -> Self {
        let store = MemoryClientSessions::new(64);
        self.client = self.client.session_store(Some(Arc::new(store)));
        self
    }

    /// The same with a client certificate, which the server requires.
    pub fn mutual(self) -> Self {
        let credential = self.pki.client(&rcgen::PKCS_ED25519);
        self.mutual_with(credential)
    }

    /// The same with this one.
    pub fn mutual_with(mut self, credential: Credential) -> Self {
        let verifier = WebPkiClientVerifier::new(self.pki.roots()).unwrap();
        self.client = self.client.add_credential(credential);
        self.server = self
            .server
            .client_authentication(ClientAuthentication::Required(Arc::new(verifier)));
        self
    }

    /// The same with this policy at both ends, but with timers that are exact.
    pub fn datagram(self, policy: &DatagramPolicy) -> Self {
        self.datagram_as_it_is(&policy.clone().timer_jitter(0).unwrap())
    }

    /// The same with this policy at both ends.
    pub fn datagram_as_it_is(mut self, policy: &DatagramPolicy) -> Self {
        self.client = self.client.datagram(policy.clone());
        self.server = self.server.datagram(policy.clone());
        self
    }

    /// The same with randoms that repeat, so that also what spreads the timers is the same in every
    /// run with this seed.
    pub fn repeating(mut self, seed: u64) -> Self {
        let random = || Arc::new(Repeated(AtomicU64::new(seed)));
        self.client = self.client.random(random());
        self.server = self.server.random(random());
        self
    }

    pub fn build(self) -> Configs {
        Configs {
            client: Arc::new(self.client.build().unwrap()),
            server: Arc::new(self.server.build().unwrap()),
        }
    }
}

/// Randoms that repeat, so that every run is the same: also those that spread the timers.
#[derive(Debug)]
pub struct Repeated(pub AtomicU64);

impl SecureRandom for Repeated {
    fn fill(&self, out: &mut [u8]) -> Result<(), Error> {
        for chunk in out.chunks_mut(8) {
            let mut state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(state ^ (state >> 31)).to_be_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// The default policy with timers that are exact, so that tests can say when something happens.
pub fn exact() -> DatagramPolicy {
    DatagramPolicy::default().timer_jitter(0).unwrap()
}

/// Configurations of both ends.
#[derive(Clone)]
pub struct Configs {
    pub client: Arc<ClientConfig>,
    pub server: Arc<ServerConfig>,
}

impl Configs {
    /// A pair on perfect links whose client has begun to connect.
    pub fn pair(&self, seed: u64) -> Pair {
        let mut pair = Pair::new(self.server.clone(), start(), seed).unwrap();
        pair.connect(self.client.clone(), server_name()).unwrap();
        pair
    }

    /// A pair on perfect links that is connected.
    pub fn connected(&self, seed: u64) -> Pair {
        let mut pair = self.pair(seed);
        assert!(
            pair.run_until_connected(Duration::from_secs(5)),
            "{:?}",
            pair.client_events
        );
        pair
    }
}

pub fn server_name() -> ServerName<'static> {
    ServerName::try_from(SERVER).unwrap()
}

/// An arbitrary beginning of time.
#[allow(
    clippy::disallowed_methods,
    reason = "the origin of virtual time; nothing waits for it"
)]
pub fn start() -> Instant {
    Instant::now()
}
