//! NewConnectionId and RequestConnectionId (RFC 9147 §9).

use super::codec::{Reader, Writer};
use crate::error::InvalidMessage;
use crate::protocol::ConnectionId;

/// What the receiver of new connection IDs does with them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ConnectionIdUsage {
    /// Its records carry one of them from now on (cid_immediate).
    Immediate,
    /// It keeps them until it wants another one (cid_spare).
    Spare,
}

/// More connection IDs, which the sender wants its peer to put into records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NewConnectionId {
    /// In the order in which they are to be used; none in answer to a request that is not granted.
    pub(crate) cids: Vec<ConnectionId>,
    /// What is done with them.
    pub(crate) usage: ConnectionIdUsage,
}

impl NewConnectionId {
    /// Decodes a body; `None` if it asks for something that does not exist.
    pub(crate) fn decode(body: &[u8]) -> Result<Option<Self>, InvalidMessage> {
        let mut reader = Reader::new(body);
        let mut list = Reader::new(reader.vec16("cids")?);
        let mut cids = Vec::new();
        while !list.is_empty() {
            cids.push(ConnectionId::new(list.vec8("cid")?));
        }
        let usage = reader.u8("usage")?;
        reader.finish("NewConnectionId")?;
        let usage = match usage {
            0 => ConnectionIdUsage::Immediate,
            1 => ConnectionIdUsage::Spare,
            _ => return Ok(None),
        };
        // An end that negotiates connection IDs for its records always wants some (RFC 9147 §9
        // knows no way back).
        let usable = !cids.iter().any(ConnectionId::is_empty);
        Ok(usable.then_some(Self { cids, usage }))
    }

    /// The body.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_vec(2, |out| {
            for cid in &self.cids {
                out.put_vec(1, |out| out.put(cid.as_bytes()));
            }
        });
        out.put_u8(match self.usage {
            ConnectionIdUsage::Immediate => 0,
            ConnectionIdUsage::Spare => 1,
        });
        out
    }
}

/// A wish for so many more connection IDs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RequestConnectionId(pub(crate) u8);

impl RequestConnectionId {
    /// Decodes a body.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(body);
        let count = reader.u8("num_cids")?;
        reader.finish("RequestConnectionId")?;
        Ok(Self(count))
    }

    /// The body.
    pub(crate) fn encode(self) -> Vec<u8> {
        vec![self.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::protocol::AlertDescription;

    fn alert<T>(outcome: Result<T, InvalidMessage>) -> Option<AlertDescription> {
        Error::from(outcome.err()?).alert()
    }

    /// RFC 9147 §9: a vector of vectors, then how they are used. The vector may be empty.
    #[test]
    fn n52_05_new_connection_id_is_a_list_and_a_usage() {
        let message = |cids: &[&[u8]], usage| NewConnectionId {
            cids: cids.iter().map(|cid| ConnectionId::new(cid)).collect(),
            usage,
        };
        let (now, later) = (ConnectionIdUsage::Immediate, ConnectionIdUsage::Spare);
        let long = [7; 255];
        for (message, bytes) in [
            (message(&[], later), vec![0, 0, 1]),
            (message(&[&[5]], now), vec![0, 2, 1, 5, 0]),
            (
                message(&[&[5], &[6, 7]], later),
                vec![0, 5, 1, 5, 2, 6, 7, 1],
            ),
            (
                message(&[&long], now),
                [&[1, 0, 255][..], &long, &[0]].concat(),
            ),
        ] {
            assert_eq!(message.encode(), bytes);
            for end in 0..bytes.len() {
                let outcome = NewConnectionId::decode(&bytes[..end]);
                assert_eq!(
                    alert(outcome),
                    Some(AlertDescription::DECODE_ERROR),
                    "{end}"
                );
            }
            let longer = [&bytes[..], &[0]].concat();
            let outcome = NewConnectionId::decode(&longer);
            assert_eq!(alert(outcome), Some(AlertDescription::DECODE_ERROR));
            assert_eq!(NewConnectionId::decode(&bytes), Ok(Some(message)));
        }
    }

    /// RFC 9147 §9: a usage that does not exist, and an ID that is none.
    #[test]
    fn n52_05_an_unknown_usage_or_an_empty_id_is_illegal() {
        for usage in 2..=255 {
            assert_eq!(NewConnectionId::decode(&[0, 2, 1, 5, usage]), Ok(None));
        }
        assert_eq!(NewConnectionId::decode(&[0, 3, 1, 5, 0, 1]), Ok(None));
    }

    /// RFC 9147 §9: one byte.
    #[test]
    fn n52_09_a_request_is_one_byte() {
        for count in 0..=255 {
            let request = RequestConnectionId(count);
            assert_eq!(request.encode(), [count]);
            assert_eq!(RequestConnectionId::decode(&[count]), Ok(request));
        }
        for body in [&[][..], &[1, 1]] {
            let outcome = RequestConnectionId::decode(body);
            assert_eq!(alert(outcome), Some(AlertDescription::DECODE_ERROR));
        }
    }
}
