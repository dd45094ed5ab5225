//! CertificateRequest of version 1.2 (RFC 5246 §7.4.4).

use super::codec::{Reader, Writer};
use crate::error::InvalidMessage;
use crate::protocol::{ClientCertificateType, SignatureScheme};

/// What a server wants of a client's certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CertificateRequest {
    /// The kinds of keys.
    pub(crate) certificate_types: Vec<ClientCertificateType>,
    /// The signatures that the server verifies.
    pub(crate) signature_algorithms: Vec<SignatureScheme>,
    /// The names of the authorities that the server trusts, in DER; empty if it does not say.
    pub(crate) authorities: Vec<Vec<u8>>,
}

impl CertificateRequest {
    /// Decodes a body.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(body);
        let types = reader.vec8("certificate_types")?;
        let certificate_types = types.iter().copied().map(ClientCertificateType).collect();
        let signature_algorithms =
            reader.list16("supported_signature_algorithms", SignatureScheme)?;
        let mut list = Reader::new(reader.vec16("certificate_authorities")?);
        reader.finish("CertificateRequest")?;
        let mut authorities = Vec::new();
        while !list.is_empty() {
            authorities.push(list.vec16("distinguished name")?.to_vec());
        }
        Ok(Self {
            certificate_types,
            signature_algorithms,
            authorities,
        })
    }

    /// Appends the body.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_vec(1, |out| {
            self.certificate_types
                .iter()
                .for_each(|typ| out.put_u8(typ.0))
        });
        out.put_vec(2, |out| {
            self.signature_algorithms
                .iter()
                .for_each(|scheme| out.put_u16(scheme.0))
        });
        out.put_vec(2, |out| {
            for name in &self.authorities {
                out.put_vec(2, |out| out.put(name));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_round_trips_and_its_truncations_fail() {
        let request = CertificateRequest {
            certificate_types: vec![ClientCertificateType::ECDSA_SIGN],
            signature_algorithms: vec![SignatureScheme::ED25519],
            authorities: vec![vec![0x30, 0]],
        };
        let mut body = Vec::new();
        request.encode(&mut body);
        assert_eq!(CertificateRequest::decode(&body), Ok(request));
        for cut in 0..body.len() {
            assert!(CertificateRequest::decode(&body[..cut]).is_err());
        }
    }
}
