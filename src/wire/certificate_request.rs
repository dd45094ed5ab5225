//! CertificateRequest (RFC 5246 §7.4.4, RFC 8446 §4.3.2).

use super::codec::{Reader, Writer};
use super::extension::decode_names;
use super::extension::{Known, decode_block, put_extension};
use crate::error::InvalidMessage;
use crate::protocol::{ClientCertificateType, ExtensionType, SignatureScheme};

/// What a server requires of a client's certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CertificateRequest {
    /// The kinds of keys; at 1.3 there is no such list.
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

impl CertificateRequest {
    /// Decodes a body of version 1.3 (RFC 8446 §4.3.2), with its context.
    pub(crate) fn decode_13(body: &[u8]) -> Result<(Vec<u8>, Self), InvalidMessage> {
        let mut reader = Reader::new(body);
        let context = reader.vec8("certificate_request_context")?.to_vec();
        let mut signature_algorithms = None;
        let mut authorities = Vec::new();
        if reader.is_empty() {
            return Err(InvalidMessage::MissingData("extensions"));
        }
        decode_block(&mut reader, |typ, body| {
            match typ {
                ExtensionType::SIGNATURE_ALGORITHMS => {
                    signature_algorithms =
                        Some(body.list16("signature_algorithms", SignatureScheme)?);
                }
                ExtensionType::CERTIFICATE_AUTHORITIES => authorities = decode_names(body)?,
                _ => return Ok(Known::No),
            }
            Ok(Known::Yes)
        })?;
        reader.finish("CertificateRequest")?;
        let request = Self {
            certificate_types: Vec::new(),
            // RFC 8446 §4.3.2: it must be there.
            signature_algorithms: signature_algorithms
                .ok_or(InvalidMessage::MissingData("signature_algorithms"))?,
            authorities,
        };
        Ok((context, request))
    }

    /// Appends the body of version 1.3, with an empty context, as in every handshake.
    pub(crate) fn encode_13(&self, out: &mut Vec<u8>) {
        out.put_vec(1, |_| {});
        out.put_vec(2, |out| {
            put_extension(out, ExtensionType::SIGNATURE_ALGORITHMS, |out| {
                out.put_vec(2, |out| {
                    self.signature_algorithms
                        .iter()
                        .for_each(|scheme| out.put_u16(scheme.0));
                });
            });
            if !self.authorities.is_empty() {
                put_extension(out, ExtensionType::CERTIFICATE_AUTHORITIES, |out| {
                    out.put_vec(2, |out| {
                        for name in &self.authorities {
                            out.put_vec(2, |out| out.put(name));
                        }
                    });
                });
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
