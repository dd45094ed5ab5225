//! connection_id (RFC 9146 §3) and rrc (RFC 9853 §3): both ends write the same form.

use super::put_extension;
use crate::error::InvalidMessage;
use crate::protocol::{ConnectionId, ExtensionType};
use crate::wire::codec::{Reader, Writer};

/// Reads what the sender wants its peer to put into records; what is left over is an error of the
/// caller's.
pub(super) fn decode(body: &mut Reader<'_>) -> Result<ConnectionId, InvalidMessage> {
    Ok(ConnectionId::new(body.vec8("connection_id")?))
}

/// Appends both extensions, as far as they are there. RFC 9853 §3: `rrc` has no contents.
pub(super) fn put(out: &mut Vec<u8>, id: Option<&ConnectionId>, rrc: bool) {
    if let Some(id) = id {
        put_extension(out, ExtensionType::CONNECTION_ID, |out| {
            out.put_vec(1, |out| out.put(id.as_bytes()));
        });
    }
    if rrc {
        put_extension(out, ExtensionType::RRC, |_| {});
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::protocol::AlertDescription;
    use crate::wire::extension::{ClientExtensions, ServerExtensions};

    /// What each kind of hello reads from a block with this one extension.
    fn read(typ: u16, body: &[u8]) -> [Result<(Option<ConnectionId>, bool), InvalidMessage>; 3] {
        let mut block = Vec::new();
        block.put_vec(2, |out| {
            put_extension(out, ExtensionType(typ), |out| out.put(body));
        });
        let client = ClientExtensions::decode(&mut Reader::new(&block));
        let server = |retry| {
            let found = ServerExtensions::decode(&mut Reader::new(&block), retry);
            found.map(|found| (found.connection_id, found.rrc))
        };
        [
            client.map(|found| (found.connection_id, found.rrc)),
            server(false),
            server(true),
        ]
    }

    fn is_decode_error<T>(outcome: &Result<T, InvalidMessage>) -> bool {
        let alert = |fact: &InvalidMessage| Error::from(*fact).alert();
        outcome.as_ref().err().and_then(alert) == Some(AlertDescription::DECODE_ERROR)
    }

    /// RFC 9146 §3: one vector, of 0 to 255 bytes, and nothing else.
    #[test]
    fn n51_01_connection_id_is_exactly_one_vector() {
        for length in [0_u8, 1, 8, 20, 255] {
            let id = vec![7; length.into()];
            let body = [&[length][..], &id].concat();
            for found in read(54, &body) {
                assert_eq!(found, Ok((Some(ConnectionId::new(&id)), false)), "{length}");
            }
            let long = [&body[..], &[0]].concat();
            for outcome in read(54, &long)
                .iter()
                .chain(&read(54, &body[..length.into()]))
            {
                assert!(is_decode_error(outcome), "{length} {outcome:?}");
            }
        }
    }

    /// RFC 9853 §3: the extension has no contents.
    #[test]
    fn n53_01_rrc_is_empty() {
        for found in read(61, &[]) {
            assert_eq!(found, Ok((None, true)));
        }
        for outcome in read(61, &[0]) {
            assert!(is_decode_error(&outcome), "{outcome:?}");
        }
    }

    /// What is written is read again, from both hellos, beside what must be the last extension.
    #[test]
    fn n51_03_both_hellos_carry_what_was_put_in() {
        for id in [None, Some(vec![]), Some(vec![9]), Some(vec![9; 255])] {
            for rrc in [false, true] {
                let connection_id = id.as_deref().map(ConnectionId::new);
                let client = ClientExtensions {
                    cookie: Some(vec![1]),
                    connection_id: connection_id.clone(),
                    rrc,
                    pre_shared_keys: Some(crate::wire::extension::OfferedPsks {
                        identities: vec![crate::wire::extension::PskIdentity {
                            identity: vec![1],
                            obfuscated_ticket_age: 1,
                        }],
                        binders: vec![vec![0; 32]],
                    }),
                    ..ClientExtensions::default()
                };
                let mut body = Vec::new();
                client.encode(&mut body);
                let found = ClientExtensions::decode(&mut Reader::new(&body));
                assert_eq!(found, Ok(client));
                let server = ServerExtensions {
                    connection_id,
                    rrc,
                    ..ServerExtensions::default()
                };
                let mut body = Vec::new();
                server.encode(&mut body);
                let found = ServerExtensions::decode(&mut Reader::new(&body), false);
                assert_eq!(found, Ok(server));
            }
        }
    }

    /// A draft of RFC 9146 had another number, and another MAC: it is known and no more.
    #[test]
    fn n51_02_the_number_of_the_draft_is_not_the_extension() {
        let [client, server, _] = read(53, &[2, 1, 2]);
        assert_eq!(client, Ok((None, false)));
        assert_eq!(server, Ok((None, false)));
    }
}
