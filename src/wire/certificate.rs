//! Certificate of version 1.2 (RFC 5246 §7.4.2).

use super::codec::{Reader, Writer};
use crate::error::InvalidMessage;
use pki_types::CertificateDer;

/// Decodes a chain, the sender's own certificate first; empty if the sender has none.
pub(crate) fn decode(body: &[u8]) -> Result<Vec<CertificateDer<'static>>, InvalidMessage> {
    let mut reader = Reader::new(body);
    let mut list = Reader::new(reader.vec24("certificate_list")?);
    reader.finish("Certificate")?;
    let mut chain = Vec::new();
    while !list.is_empty() {
        let certificate = list.vec24("certificate")?;
        if certificate.is_empty() {
            return Err(InvalidMessage::EmptyList("certificate"));
        }
        if chain.len() == MAX_CHAIN_LEN {
            return Err(InvalidMessage::IllegalValue("certificate_list"));
        }
        chain.push(CertificateDer::from(certificate.to_vec()));
    }
    Ok(chain)
}

/// Longer chains than this do not occur; each one costs a signature verification.
const MAX_CHAIN_LEN: usize = 16;

/// Appends a body that holds `chain`.
pub(crate) fn encode(chain: &[CertificateDer<'_>], out: &mut Vec<u8>) {
    out.put_vec(3, |out| {
        for certificate in chain {
            out.put_vec(3, |out| out.put(certificate));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_round_trip() {
        for chain in [
            vec![],
            vec![
                CertificateDer::from(vec![1, 2]),
                CertificateDer::from(vec![3]),
            ],
        ] {
            let mut body = Vec::new();
            encode(&chain, &mut body);
            assert_eq!(decode(&body), Ok(chain));
        }
    }

    #[test]
    fn empty_certificates_and_endless_chains_are_refused() {
        assert!(decode(&[0, 0, 3, 0, 0, 0]).is_err());
        let mut body = Vec::new();
        encode(
            &vec![CertificateDer::from(vec![1]); MAX_CHAIN_LEN],
            &mut body,
        );
        assert!(decode(&body).is_ok());
        body.clear();
        encode(
            &vec![CertificateDer::from(vec![1]); MAX_CHAIN_LEN + 1],
            &mut body,
        );
        assert!(decode(&body).is_err());
    }
}
