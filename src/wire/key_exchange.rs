//! ServerKeyExchange and ClientKeyExchange for ECDHE (RFC 8422 §5.4, §5.7).

use super::client_hello::RANDOM_LEN;
use super::codec::{Reader, Writer};
use super::signed::DigitallySigned;
use crate::error::InvalidMessage;
use crate::protocol::{CurveType, NamedGroup};

/// The server's group and share, which it signs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct EcdhParams {
    /// The group.
    pub(crate) group: NamedGroup,
    /// The server's public share.
    pub(crate) share: Vec<u8>,
}

impl EcdhParams {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, InvalidMessage> {
        if CurveType(reader.u8("curve_type")?) != CurveType::NAMED_CURVE {
            return Err(InvalidMessage::IllegalValue("curve_type"));
        }
        let group = NamedGroup(reader.u16("namedcurve")?);
        let share = reader.vec8("public share")?;
        if share.is_empty() {
            return Err(InvalidMessage::EmptyList("public share"));
        }
        Ok(Self {
            group,
            share: share.to_vec(),
        })
    }

    /// Appends the parameters, as they are signed and sent.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(CurveType::NAMED_CURVE.0);
        out.put_u16(self.group.0);
        out.put_vec(1, |out| out.put(&self.share));
    }

    /// What the server's signature covers: both randoms and the parameters (RFC 8422 §5.4).
    pub(crate) fn signed_message(
        &self,
        client: &[u8; RANDOM_LEN],
        server: &[u8; RANDOM_LEN],
    ) -> Vec<u8> {
        let mut message = Vec::with_capacity(2 * RANDOM_LEN + 4 + self.share.len());
        message.put(client);
        message.put(server);
        self.encode(&mut message);
        message
    }
}

/// A signed ServerKeyExchange.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ServerKeyExchange {
    /// What was signed.
    pub(crate) params: EcdhParams,
    /// The signature over both randoms and the parameters.
    pub(crate) signed: DigitallySigned,
}

impl ServerKeyExchange {
    /// Decodes a body.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(body);
        let params = EcdhParams::decode(&mut reader)?;
        let signed = DigitallySigned::decode(&mut reader)?;
        reader.finish("ServerKeyExchange")?;
        Ok(Self { params, signed })
    }

    /// Appends the body.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.params.encode(out);
        self.signed.encode(out);
    }
}

/// Decodes a ClientKeyExchange: the client's public share.
pub(crate) fn decode_client_share(body: &[u8]) -> Result<Vec<u8>, InvalidMessage> {
    let mut reader = Reader::new(body);
    let share = reader.vec8("public share")?;
    reader.finish("ClientKeyExchange")?;
    if share.is_empty() {
        return Err(InvalidMessage::EmptyList("public share"));
    }
    Ok(share.to_vec())
}

/// Appends the body of a ClientKeyExchange.
pub(crate) fn encode_client_share(share: &[u8], out: &mut Vec<u8>) {
    out.put_vec(1, |out| out.put(share));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::SignatureScheme;

    #[test]
    fn a_server_key_exchange_round_trips_and_its_truncations_fail() {
        let message = ServerKeyExchange {
            params: EcdhParams {
                group: NamedGroup::X25519,
                share: vec![9; 32],
            },
            signed: DigitallySigned {
                scheme: SignatureScheme::ED25519,
                signature: vec![1; 64],
            },
        };
        let mut body = Vec::new();
        message.encode(&mut body);
        assert_eq!(ServerKeyExchange::decode(&body), Ok(message));
        for cut in 0..body.len() {
            assert!(ServerKeyExchange::decode(&body[..cut]).is_err());
        }
    }

    #[test]
    fn explicit_curves_and_empty_shares_are_refused() {
        assert!(ServerKeyExchange::decode(&[1, 0, 29, 1, 9, 8, 7, 0, 0]).is_err());
        assert!(decode_client_share(&[0]).is_err());
        assert!(decode_client_share(&[1, 2, 3]).is_err());
    }
}
