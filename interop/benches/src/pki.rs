//! One certificate for every stack: an ECDSA P-256 leaf, signed by an authority of the same kind.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// The name that the certificate holds.
pub const SERVER: &str = "server.test";

/// The certificates and the key, in DER.
#[derive(Clone, Debug)]
pub struct Pki {
    /// The authority's certificate.
    pub root: Vec<u8>,
    /// The server's certificate.
    pub leaf: Vec<u8>,
    /// The server's key, PKCS #8.
    pub key: Vec<u8>,
}

impl Pki {
    /// A new authority and a new server.
    pub fn new() -> Self {
        let algorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
        let authority = KeyPair::generate_for(algorithm).expect("ring has the curve");
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // OpenSSL takes a certificate whose subject is its issuer's for a self-signed one.
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "authority of the bench");
        let root = params.self_signed(&authority).expect("own parameters");
        let issuer = Issuer::new(params, authority);
        let key = KeyPair::generate_for(algorithm).expect("ring has the curve");
        let mut params = CertificateParams::new(vec![SERVER.to_owned()]).expect("a valid name");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&key, &issuer).expect("own parameters");
        Self {
            root: root.der().to_vec(),
            leaf: leaf.der().to_vec(),
            key: key.serialize_der(),
        }
    }
}
