//! ServerKeyExchange and ClientKeyExchange (RFC 8422 §5.4, §5.7; RFC 4279 §2; RFC 5489 §2).
//!
//! ```text
//!  suites of     ServerKeyExchange             ClientKeyExchange
//!  ECDHE         parameters ‖ signature        share<1..255>
//!  PSK           hint<0..65535>                identity<0..65535>
//!  ECDHE_PSK     hint<0..65535> ‖ parameters   identity<0..65535> ‖ share<1..255>
//! ```

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
    let share = client_share(&mut reader)?;
    reader.finish("ClientKeyExchange")?;
    Ok(share)
}

fn client_share(reader: &mut Reader<'_>) -> Result<Vec<u8>, InvalidMessage> {
    let share = reader.vec8("public share")?;
    if share.is_empty() {
        return Err(InvalidMessage::EmptyList("public share"));
    }
    Ok(share.to_vec())
}

/// Appends the body of a ClientKeyExchange.
pub(crate) fn encode_client_share(share: &[u8], out: &mut Vec<u8>) {
    out.put_vec(1, |out| out.put(share));
}

/// The ServerKeyExchange of a suite with a shared key. Nothing in it is signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SharedKeyServerExchange {
    /// What the server says for the choice of a key; empty for nothing.
    pub(crate) hint: Vec<u8>,
    /// The server's group and share, if the suite has an exchange.
    pub(crate) params: Option<EcdhParams>,
}

impl SharedKeyServerExchange {
    /// Decodes a body of a suite with or without an exchange.
    pub(crate) fn decode(exchanges: bool, body: &[u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(body);
        let hint = reader.vec16("psk_identity_hint")?.to_vec();
        let params = match exchanges {
            true => Some(EcdhParams::decode(&mut reader)?),
            false => None,
        };
        reader.finish("ServerKeyExchange")?;
        Ok(Self { hint, params })
    }

    /// Appends the body.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_vec(2, |out| out.put(&self.hint));
        if let Some(params) = &self.params {
            params.encode(out);
        }
    }
}

/// The ClientKeyExchange of a suite with a shared key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SharedKeyClientExchange {
    /// The name of the key.
    pub(crate) identity: Vec<u8>,
    /// The client's share, if the suite has an exchange.
    pub(crate) share: Option<Vec<u8>>,
}

impl SharedKeyClientExchange {
    /// Decodes a body of a suite with or without an exchange.
    pub(crate) fn decode(exchanges: bool, body: &[u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(body);
        let identity = reader.vec16("psk_identity")?.to_vec();
        let share = match exchanges {
            true => Some(client_share(&mut reader)?),
            false => None,
        };
        reader.finish("ClientKeyExchange")?;
        Ok(Self { identity, share })
    }

    /// Appends the body.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_vec(2, |out| out.put(&self.identity));
        if let Some(share) = &self.share {
            encode_client_share(share, out);
        }
    }
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
        assert!(SharedKeyServerExchange::decode(true, &[0, 0, 1, 0, 29, 1, 9]).is_err());
        assert!(SharedKeyServerExchange::decode(true, &[0, 0, 3, 0, 29, 0]).is_err());
        assert!(SharedKeyClientExchange::decode(true, &[0, 1, 7, 0]).is_err());
    }

    /// RFC 4279 §2, RFC 5489 §2: the hint and the identity come first, each of any length.
    #[test]
    fn exchanges_of_shared_keys_round_trip_and_their_truncations_fail() {
        for exchanges in [true, false] {
            for length in [0, 1, 128, 0xffff] {
                let params = EcdhParams {
                    group: NamedGroup::SECP256R1,
                    share: vec![4; 65],
                };
                let server = SharedKeyServerExchange {
                    hint: vec![0xff; length],
                    params: exchanges.then_some(params),
                };
                let client = SharedKeyClientExchange {
                    identity: vec![0; length],
                    share: exchanges.then(|| vec![4; 65]),
                };
                let (mut one, mut other) = (Vec::new(), Vec::new());
                server.encode(&mut one);
                client.encode(&mut other);
                let of_server = |body: &[u8]| SharedKeyServerExchange::decode(exchanges, body);
                let of_client = |body: &[u8]| SharedKeyClientExchange::decode(exchanges, body);
                for cut in (0..one.len()).filter(|cut| *cut < 300 || one.len() - cut < 300) {
                    assert!(of_server(&one[..cut]).is_err());
                }
                for cut in (0..other.len()).filter(|cut| *cut < 300 || other.len() - cut < 300) {
                    assert!(of_client(&other[..cut]).is_err());
                }
                assert_eq!(of_server(&one), Ok(server));
                assert_eq!(of_client(&other), Ok(client));
                assert!(of_server(&[&one[..], &[0]].concat()).is_err());
                assert!(of_client(&[&other[..], &[0]].concat()).is_err());
            }
        }
    }
}
