//! Signatures inside messages: the digitally-signed struct and CertificateVerify (RFC 5246 §4.7,
//! §7.4.8).

use super::codec::{Reader, Writer};
use crate::error::InvalidMessage;
use crate::protocol::SignatureScheme;

/// A signature and how it was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DigitallySigned {
    /// The algorithm.
    pub(crate) scheme: SignatureScheme,
    /// The signature.
    pub(crate) signature: Vec<u8>,
}

impl DigitallySigned {
    /// Reads one from inside a message.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, InvalidMessage> {
        let scheme = SignatureScheme(reader.u16("signature algorithm")?);
        let signature = reader.vec16("signature")?.to_vec();
        Ok(Self { scheme, signature })
    }

    /// Reads a whole CertificateVerify.
    pub(crate) fn decode_certificate_verify(body: &[u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(body);
        let signed = Self::decode(&mut reader)?;
        reader.finish("CertificateVerify")?;
        Ok(signed)
    }

    /// Appends the struct.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16(self.scheme.0);
        out.put_vec(2, |out| out.put(&self.signature));
    }
}
