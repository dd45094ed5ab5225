//! Certificate (RFC 5246 §7.4.2, RFC 8446 §4.4.2).

use super::codec::{Reader, Writer};
use super::extension::{Known, decode_block};
use crate::error::InvalidMessage;
use crate::protocol::ExtensionType;
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

/// The most certificates in a chain. Longer chains do not occur, and the limit bounds the memory
/// that a message of many tiny certificates takes.
const MAX_CHAIN_LEN: usize = 100;

/// Appends a body that holds `chain`.
pub(crate) fn encode(chain: &[CertificateDer<'_>], out: &mut Vec<u8>) {
    out.reserve(room_for(chain, 0));
    out.put_vec(3, |out| {
        for certificate in chain {
            out.put_vec(3, |out| out.put(certificate));
        }
    });
}

/// Decodes a body of version 1.2 that holds a raw public key, with one length around it and no list
/// (RFC 7250 §3); empty if the sender has none.
pub(crate) fn decode_raw_key(body: &[u8]) -> Result<Vec<u8>, InvalidMessage> {
    let mut reader = Reader::new(body);
    let key = reader.vec24("ASN.1_subjectPublicKeyInfo")?.to_vec();
    reader.finish("Certificate")?;
    Ok(key)
}

/// Appends a body of version 1.2 that holds a raw public key.
pub(crate) fn encode_raw_key(key: &[u8], out: &mut Vec<u8>) {
    out.put_vec(3, |out| out.put(key));
}

/// Reads a Certificate of version 1.3: its context and its chain (RFC 8446 §4.4.2).
///
/// Extensions of the entries answer requests in the hello or in CertificateRequest. This library
/// requests nothing, so there may be none.
pub(crate) fn decode_13(body: &[u8]) -> Result<Certificate13, InvalidMessage> {
    let mut reader = Reader::new(body);
    let context = reader.vec8("certificate_request_context")?.to_vec();
    let mut list = Reader::new(reader.vec24("certificate_list")?);
    reader.finish("Certificate")?;
    let mut chain = Vec::new();
    let mut unsolicited = None;
    while !list.is_empty() {
        let certificate = list.vec24("certificate")?;
        if certificate.is_empty() {
            return Err(InvalidMessage::EmptyList("certificate"));
        }
        if chain.len() == MAX_CHAIN_LEN {
            return Err(InvalidMessage::IllegalValue("certificate_list"));
        }
        chain.push(CertificateDer::from(certificate.to_vec()));
        let length = list.peek_u16("extensions")?;
        let mut entry = Reader::new(list.bytes(2 + usize::from(length), "extensions")?);
        decode_block(&mut entry, |typ, _| {
            unsolicited.get_or_insert(typ);
            Ok(Known::No)
        })?;
    }
    Ok(Certificate13 {
        context,
        chain,
        unsolicited,
    })
}

/// A Certificate of version 1.3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Certificate13 {
    /// The context: empty during a handshake, otherwise that of the request which is answered.
    pub(crate) context: Vec<u8>,
    /// The sender's own certificate first; empty if it has none.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// An extension of an entry, which was not requested.
    pub(crate) unsolicited: Option<ExtensionType>,
}

/// Appends the body of a Certificate of version 1.3.
pub(crate) fn encode_13(context: &[u8], chain: &[CertificateDer<'_>], out: &mut Vec<u8>) {
    out.reserve(1 + context.len() + room_for(chain, NO_EXTENSIONS_LEN));
    out.put_vec(1, |out| out.put(context));
    out.put_vec(3, |out| {
        for certificate in chain {
            out.put_vec(3, |out| out.put(certificate));
            out.put_vec(NO_EXTENSIONS_LEN, |_| {});
        }
    });
}

/// The length of an empty list of extensions, in bytes.
const NO_EXTENSIONS_LEN: usize = 2;

/// How many bytes a list with this chain takes, with so many more for each entry. Exactly: who
/// writes a chain behind a secret has made room for no more.
fn room_for(chain: &[CertificateDer<'_>], extra: usize) -> usize {
    let entries = chain.iter().map(|one| 3 + one.len() + extra);
    3 + entries.sum::<usize>()
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
