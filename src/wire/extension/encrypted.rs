//! EncryptedExtensions (RFC 8446 §4.3.1).

use super::{Known, LimitExtensions, decode_block, decode_protocols, put_extension, put_protocols};
use crate::error::InvalidMessage;
use crate::protocol::{ExtensionType, SrtpProfile};
use crate::wire::codec::{Reader, Writer};
use crate::wire::extension::certificate_type::ChosenTypes;
use crate::wire::extension::srtp::{decode_choice, put_profiles};

/// What a server grants and the key exchange does not need.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct EncryptedExtensions {
    /// The server used the name that the client asked for (RFC 6066 §3).
    pub(crate) server_name: bool,
    /// The profile that the server chose (RFC 5764 §4.1.1).
    pub(crate) srtp: Option<SrtpProfile>,
    /// The protocol that the server chose (RFC 7301 §3.1).
    pub(crate) alpn: Option<Vec<u8>>,
    /// RFC 7250 §4.2, RFC 8446 §4.4.2.
    pub(crate) certificate_types: ChosenTypes,
    /// How long records may be.
    pub(crate) limits: LimitExtensions,
    /// Extensions that belong in other messages, or are unknown. A client refuses them.
    pub(crate) unknown: Vec<ExtensionType>,
}

impl EncryptedExtensions {
    /// Decodes a body.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(body);
        if reader.is_empty() {
            return Err(InvalidMessage::MissingData("extensions"));
        }
        let mut found = Self::default();
        decode_block(&mut reader, |typ, body| {
            match typ {
                ExtensionType::SERVER_NAME => found.server_name = true,
                ExtensionType::USE_SRTP => found.srtp = Some(decode_choice(body)?),
                ExtensionType::ALPN => {
                    let mut protocols = decode_protocols(body)?;
                    // RFC 7301 §3.1: the server's list holds exactly one name.
                    if protocols.len() != 1 {
                        return Err(InvalidMessage::IllegalValue("protocol_name_list"));
                    }
                    found.alpn = protocols.pop();
                }
                ExtensionType::CLIENT_CERTIFICATE_TYPE | ExtensionType::SERVER_CERTIFICATE_TYPE => {
                    found.certificate_types.decode(typ, body)?;
                }
                typ if LimitExtensions::TYPES.contains(&typ) => found.limits.decode(typ, body)?,
                // RFC 8446 §4.2.7: what the server would have preferred; nothing follows from it.
                ExtensionType::SUPPORTED_GROUPS => return Ok(Known::No),
                _ => {
                    found.unknown.push(typ);
                    return Ok(Known::No);
                }
            }
            Ok(Known::Yes)
        })?;
        reader.finish("EncryptedExtensions")?;
        Ok(found)
    }

    /// Appends the body.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_vec(2, |out| {
            if self.server_name {
                put_extension(out, ExtensionType::SERVER_NAME, |_| {});
            }
            self.certificate_types.put(out);
            self.limits.put(out);
            if let Some(profile) = self.srtp {
                put_extension(out, ExtensionType::USE_SRTP, |out| {
                    put_profiles(out, &[profile])
                });
            }
            if let Some(protocol) = &self.alpn {
                put_extension(out, ExtensionType::ALPN, |out| {
                    put_protocols(out, [protocol.as_slice()]);
                });
            }
        });
    }
}
