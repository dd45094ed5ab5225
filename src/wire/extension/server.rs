//! The extensions of a ServerHello.

use super::{Known, LimitExtensions, decode_block, decode_protocols, put_extension, put_protocols};
use crate::error::InvalidMessage;
use crate::protocol::{
    ConnectionId, ConnectionIds, ExtensionType, NamedGroup, PointFormat, ProtocolVersion,
    SrtpProfile,
};
use crate::wire::codec::{Reader, Writer};
use crate::wire::extension::certificate_type::ChosenTypes;
use crate::wire::extension::connection_id;
use crate::wire::extension::key_share::KeyShare;
use crate::wire::extension::srtp::{decode_choice, put_profiles};

/// A server's part of the key exchange at 1.3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ServerShare {
    /// Its share (RFC 8446 §4.2.8).
    Share(KeyShare),
    /// In a HelloRetryRequest: the group in which it wants the client's share.
    Wanted(NamedGroup),
}

/// What a server grants: one field for each extension.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct ServerExtensions {
    /// The server used the name that the client asked for (RFC 6066 §3).
    pub(crate) server_name: bool,
    /// A server of 1.2 must not send it, but some do (RFC 8446 §4.2.7). Its contents are not read.
    pub(crate) supported_groups: bool,
    /// RFC 8422 §5.2.
    pub(crate) point_formats: Option<Vec<PointFormat>>,
    /// The profile that the server chose (RFC 5764 §4.1.1).
    pub(crate) srtp: Option<SrtpProfile>,
    /// The protocol that the server chose (RFC 7301 §3.1).
    pub(crate) alpn: Option<Vec<u8>>,
    /// RFC 7627 §5.1.
    pub(crate) extended_master_secret: bool,
    /// RFC 5077 §3.2: a NewSessionTicket follows.
    pub(crate) session_ticket: bool,
    /// RFC 5746 §3.2: empty in an initial handshake.
    pub(crate) renegotiation_info: Option<Vec<u8>>,
    /// RFC 8446 §4.2.1: the version, if it is 1.3.
    pub(crate) selected_version: Option<ProtocolVersion>,
    /// RFC 8446 §4.2.8.
    pub(crate) key_share: Option<ServerShare>,
    /// RFC 8446 §4.2.11: which of the client's keys is used.
    pub(crate) selected_identity: Option<u16>,
    /// RFC 8446 §4.2.2: in a HelloRetryRequest, what the client repeats.
    pub(crate) cookie: Option<Vec<u8>>,
    /// RFC 9146 §3, RFC 9147 §9: what the server wants the client to put into records.
    pub(crate) connection_id: Option<ConnectionId>,
    /// RFC 9853 §3.
    pub(crate) rrc: bool,
    /// RFC 7250 §4.2, at 1.2.
    pub(crate) certificate_types: ChosenTypes,
    /// How long records may be.
    pub(crate) limits: LimitExtensions,
    /// Unknown extensions. A client refuses them, because it cannot have offered them.
    pub(crate) unknown: Vec<ExtensionType>,
}

impl ServerExtensions {
    /// What says which connection IDs were agreed on, and nothing else.
    pub(crate) fn with_connection_ids(agreed: Option<&ConnectionIds>) -> Self {
        Self {
            connection_id: agreed.map(|agreed| agreed.ours.clone()),
            rrc: agreed.is_some_and(|agreed| agreed.checks),
            ..Self::default()
        }
    }

    /// Reads the block; `retry` says that the message is a HelloRetryRequest.
    pub(crate) fn decode(reader: &mut Reader<'_>, retry: bool) -> Result<Self, InvalidMessage> {
        let mut found = Self::default();
        decode_block(reader, |typ, body| {
            match typ {
                ExtensionType::SERVER_NAME => found.server_name = true,
                ExtensionType::EC_POINT_FORMATS => {
                    let formats = body.vec8("ec_point_formats")?;
                    found.point_formats = Some(formats.iter().copied().map(PointFormat).collect());
                }
                ExtensionType::USE_SRTP => found.srtp = Some(decode_choice(body)?),
                ExtensionType::ALPN => {
                    let mut protocols = decode_protocols(body)?;
                    // RFC 7301 §3.1: the server's list holds exactly one name.
                    if protocols.len() != 1 {
                        return Err(InvalidMessage::IllegalValue("protocol_name_list"));
                    }
                    found.alpn = protocols.pop();
                }
                ExtensionType::EXTENDED_MASTER_SECRET => found.extended_master_secret = true,
                ExtensionType::SESSION_TICKET => found.session_ticket = true,
                ExtensionType::RENEGOTIATION_INFO => {
                    found.renegotiation_info = Some(body.vec8("renegotiated_connection")?.to_vec());
                }
                ExtensionType::SUPPORTED_VERSIONS => {
                    found.selected_version = Some(ProtocolVersion(body.u16("selected_version")?));
                }
                ExtensionType::KEY_SHARE if retry => {
                    let group = NamedGroup(body.u16("selected_group")?);
                    found.key_share = Some(ServerShare::Wanted(group));
                }
                ExtensionType::KEY_SHARE => {
                    found.key_share = Some(ServerShare::Share(KeyShare::decode(body)?));
                }
                ExtensionType::PRE_SHARED_KEY if !retry => {
                    found.selected_identity = Some(body.u16("selected_identity")?);
                }
                ExtensionType::COOKIE if retry => {
                    let cookie = body.vec16("cookie")?;
                    if cookie.is_empty() {
                        return Err(InvalidMessage::EmptyList("cookie"));
                    }
                    found.cookie = Some(cookie.to_vec());
                }
                ExtensionType::CONNECTION_ID => {
                    found.connection_id = Some(connection_id::decode(body)?);
                }
                ExtensionType::RRC => found.rrc = true,
                ExtensionType::CLIENT_CERTIFICATE_TYPE | ExtensionType::SERVER_CERTIFICATE_TYPE => {
                    found.certificate_types.decode(typ, body)?;
                }
                typ if LimitExtensions::TYPES.contains(&typ) => found.limits.decode(typ, body)?,
                ExtensionType::SUPPORTED_GROUPS => {
                    found.supported_groups = true;
                    return Ok(Known::No);
                }
                _ => {
                    found.unknown.push(typ);
                    return Ok(Known::No);
                }
            }
            Ok(Known::Yes)
        })?;
        Ok(found)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_vec(2, |out| {
            if self.server_name {
                put_extension(out, ExtensionType::SERVER_NAME, |_| {});
            }
            if self.extended_master_secret {
                put_extension(out, ExtensionType::EXTENDED_MASTER_SECRET, |_| {});
            }
            if let Some(verify_data) = &self.renegotiation_info {
                put_extension(out, ExtensionType::RENEGOTIATION_INFO, |out| {
                    out.put_vec(1, |out| out.put(verify_data));
                });
            }
            if self.session_ticket {
                put_extension(out, ExtensionType::SESSION_TICKET, |_| {});
            }
            if let Some(formats) = &self.point_formats {
                put_extension(out, ExtensionType::EC_POINT_FORMATS, |out| {
                    out.put_vec(1, |out| {
                        formats.iter().for_each(|format| out.put_u8(format.0))
                    });
                });
            }
            connection_id::put(out, self.connection_id.as_ref(), self.rrc);
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
            if let Some(version) = self.selected_version {
                put_extension(out, ExtensionType::SUPPORTED_VERSIONS, |out| {
                    out.put_u16(version.0);
                });
            }
            match &self.key_share {
                Some(ServerShare::Share(share)) => {
                    put_extension(out, ExtensionType::KEY_SHARE, |out| share.encode(out));
                }
                Some(ServerShare::Wanted(group)) => {
                    put_extension(out, ExtensionType::KEY_SHARE, |out| out.put_u16(group.0));
                }
                None => {}
            }
            if let Some(index) = self.selected_identity {
                put_extension(out, ExtensionType::PRE_SHARED_KEY, |out| out.put_u16(index));
            }
            if let Some(cookie) = &self.cookie {
                put_extension(out, ExtensionType::COOKIE, |out| {
                    out.put_vec(2, |out| out.put(cookie));
                });
            }
        });
    }
}
