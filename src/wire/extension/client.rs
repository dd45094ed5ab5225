//! The extensions of a ClientHello.

use super::{Known, LimitExtensions, decode_block, decode_protocols, put_extension, put_protocols};
use crate::error::InvalidMessage;
use crate::protocol::{
    CertificateType, ConnectionId, ExtensionType, NamedGroup, PointFormat, ProtocolVersion,
    PskKeyExchangeMode, ServerNameType, SignatureScheme, SrtpProfile,
};
use crate::wire::codec::{Reader, Writer};
use crate::wire::extension::key_share::{KeyShare, decode_shares, put_shares};
use crate::wire::extension::psk::OfferedPsks;
use crate::wire::extension::srtp::{decode_offer, put_profiles};
use crate::wire::extension::{certificate_type, connection_id};

/// What a client offers besides suites: one field for each extension. Unknown extensions are
/// skipped.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct ClientExtensions {
    /// The name of the requested server (RFC 6066 §3): a DNS name without a final dot.
    pub(crate) server_name: Option<String>,
    /// RFC 8422 §5.1.1.
    pub(crate) supported_groups: Option<Vec<NamedGroup>>,
    /// RFC 8422 §5.1.2.
    pub(crate) point_formats: Option<Vec<PointFormat>>,
    /// RFC 5246 §7.4.1.4.1.
    pub(crate) signature_algorithms: Option<Vec<SignatureScheme>>,
    /// RFC 5764 §4.1.1, over datagrams alone.
    pub(crate) srtp: Option<Vec<SrtpProfile>>,
    /// RFC 7301 §3.1.
    pub(crate) alpn: Option<Vec<Vec<u8>>>,
    /// RFC 7627 §5.1.
    pub(crate) extended_master_secret: bool,
    /// RFC 5077 §3.2: the ticket of the session that the client offers to resume; empty to ask for
    /// one.
    pub(crate) session_ticket: Option<Vec<u8>>,
    /// RFC 5746 §3.2: empty in an initial handshake.
    pub(crate) renegotiation_info: Option<Vec<u8>>,
    /// RFC 8446 §4.2.1: absent where 1.3 is not offered.
    pub(crate) supported_versions: Option<Vec<ProtocolVersion>>,
    /// RFC 8446 §4.2.2: what a HelloRetryRequest asked to be repeated.
    pub(crate) cookie: Option<Vec<u8>>,
    /// RFC 8446 §4.2.8.
    pub(crate) key_shares: Option<Vec<KeyShare>>,
    /// RFC 8446 §4.2.9.
    pub(crate) psk_modes: Option<Vec<PskKeyExchangeMode>>,
    /// RFC 8446 §4.2.10: early data follows.
    pub(crate) early_data: bool,
    /// RFC 8446 §4.2.4: the DER names of the authorities that the client trusts; empty if it does
    /// not say. This end never does.
    pub(crate) authorities: Vec<Vec<u8>>,
    /// RFC 7250 §4.1: the types of certificate that the client can show; X.509 if absent.
    pub(crate) client_certificate_types: Option<Vec<CertificateType>>,
    /// RFC 7250 §4.1: the types of certificate that the client accepts from a server; X.509 if
    /// absent.
    pub(crate) server_certificate_types: Option<Vec<CertificateType>>,
    /// RFC 9146 §3, over datagrams alone: what the client wants the server to put into records.
    pub(crate) connection_id: Option<ConnectionId>,
    /// The draft of RFC 9146 whose MAC is another one. It is never sent.
    pub(crate) draft_connection_id: bool,
    /// RFC 9853 §3: the client answers whether it can be reached, and may ask.
    pub(crate) rrc: bool,
    /// How long records may be.
    pub(crate) limits: LimitExtensions,
    /// RFC 8446 §4.2.11; always the last one.
    pub(crate) pre_shared_keys: Option<OfferedPsks>,
}

impl ClientExtensions {
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, InvalidMessage> {
        let mut found = Self::default();
        decode_block(reader, |typ, body| {
            // RFC 8446 §4.2.11: it is the last extension, because its binders cover everything
            // before them.
            if found.pre_shared_keys.is_some() {
                return Err(InvalidMessage::Inconsistent("the place of pre_shared_key"));
            }
            match typ {
                ExtensionType::SERVER_NAME => found.server_name = decode_server_name(body)?,
                ExtensionType::SUPPORTED_GROUPS => {
                    found.supported_groups = Some(body.list16("supported_groups", NamedGroup)?);
                }
                ExtensionType::EC_POINT_FORMATS => {
                    let formats = body.vec8("ec_point_formats")?;
                    if formats.is_empty() {
                        return Err(InvalidMessage::EmptyList("ec_point_formats"));
                    }
                    found.point_formats = Some(formats.iter().copied().map(PointFormat).collect());
                }
                ExtensionType::SIGNATURE_ALGORITHMS => {
                    found.signature_algorithms =
                        Some(body.list16("signature_algorithms", SignatureScheme)?);
                }
                ExtensionType::USE_SRTP => found.srtp = Some(decode_offer(body)?),
                ExtensionType::ALPN => found.alpn = Some(decode_protocols(body)?),
                ExtensionType::EXTENDED_MASTER_SECRET => found.extended_master_secret = true,
                ExtensionType::SESSION_TICKET => {
                    found.session_ticket = Some(body.rest().to_vec());
                }
                ExtensionType::RENEGOTIATION_INFO => {
                    found.renegotiation_info = Some(body.vec8("renegotiated_connection")?.to_vec());
                }
                ExtensionType::SUPPORTED_VERSIONS => {
                    let versions = body.list8("supported_versions", ProtocolVersion)?;
                    found.supported_versions = Some(versions);
                }
                ExtensionType::COOKIE => {
                    let cookie = body.vec16("cookie")?;
                    if cookie.is_empty() {
                        return Err(InvalidMessage::EmptyList("cookie"));
                    }
                    found.cookie = Some(cookie.to_vec());
                }
                ExtensionType::KEY_SHARE => found.key_shares = Some(decode_shares(body)?),
                ExtensionType::PSK_KEY_EXCHANGE_MODES => {
                    let modes = body.vec8("ke_modes")?;
                    if modes.is_empty() {
                        return Err(InvalidMessage::EmptyList("ke_modes"));
                    }
                    found.psk_modes = Some(modes.iter().copied().map(PskKeyExchangeMode).collect());
                }
                ExtensionType::CERTIFICATE_AUTHORITIES => {
                    found.authorities = super::decode_names(body)?
                }
                ExtensionType::SERVER_CERTIFICATE_TYPE => {
                    let types = certificate_type::decode_list(body, "server_certificate_types")?;
                    found.server_certificate_types = Some(types);
                }
                ExtensionType::CLIENT_CERTIFICATE_TYPE => {
                    let types = certificate_type::decode_list(body, "client_certificate_types")?;
                    found.client_certificate_types = Some(types);
                }
                ExtensionType::EARLY_DATA => found.early_data = true,
                ExtensionType::CONNECTION_ID => {
                    found.connection_id = Some(connection_id::decode(body)?);
                }
                ExtensionType::CONNECTION_ID_DRAFT => {
                    found.draft_connection_id = true;
                    return Ok(Known::No);
                }
                ExtensionType::RRC => found.rrc = true,
                typ if LimitExtensions::TYPES.contains(&typ) => found.limits.decode(typ, body)?,
                ExtensionType::PRE_SHARED_KEY => {
                    found.pre_shared_keys = Some(OfferedPsks::decode(body)?);
                }
                _ => return Ok(Known::No),
            }
            Ok(Known::Yes)
        })?;
        Ok(found)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_vec(2, |out| {
            if let Some(name) = &self.server_name {
                put_extension(out, ExtensionType::SERVER_NAME, |out| {
                    out.put_vec(2, |out| {
                        out.put_u8(ServerNameType::HOST_NAME.0);
                        out.put_vec(2, |out| out.put(name.as_bytes()));
                    });
                });
            }
            if let Some(versions) = &self.supported_versions {
                put_extension(out, ExtensionType::SUPPORTED_VERSIONS, |out| {
                    out.put_vec(1, |out| {
                        versions.iter().for_each(|version| out.put_u16(version.0))
                    });
                });
            }
            // Among the first, because wolfSSL looks for it in the first fragment.
            if let Some(cookie) = &self.cookie {
                put_extension(out, ExtensionType::COOKIE, |out| {
                    out.put_vec(2, |out| out.put(cookie));
                });
            }
            if self.extended_master_secret {
                put_extension(out, ExtensionType::EXTENDED_MASTER_SECRET, |_| {});
            }
            if let Some(verify_data) = &self.renegotiation_info {
                put_extension(out, ExtensionType::RENEGOTIATION_INFO, |out| {
                    out.put_vec(1, |out| out.put(verify_data));
                });
            }
            if let Some(groups) = &self.supported_groups {
                put_extension(out, ExtensionType::SUPPORTED_GROUPS, |out| {
                    out.put_vec(2, |out| {
                        groups.iter().for_each(|group| out.put_u16(group.0))
                    });
                });
            }
            connection_id::put(out, self.connection_id.as_ref(), self.rrc);
            if let Some(formats) = &self.point_formats {
                put_extension(out, ExtensionType::EC_POINT_FORMATS, |out| {
                    out.put_vec(1, |out| {
                        formats.iter().for_each(|format| out.put_u8(format.0))
                    });
                });
            }
            if let Some(schemes) = &self.signature_algorithms {
                put_extension(out, ExtensionType::SIGNATURE_ALGORITHMS, |out| {
                    out.put_vec(2, |out| {
                        schemes.iter().for_each(|scheme| out.put_u16(scheme.0))
                    });
                });
            }
            certificate_type::put_lists(
                out,
                self.client_certificate_types.as_deref(),
                self.server_certificate_types.as_deref(),
            );
            self.limits.put(out);
            if let Some(ticket) = &self.session_ticket {
                put_extension(out, ExtensionType::SESSION_TICKET, |out| out.put(ticket));
            }
            if let Some(profiles) = &self.srtp {
                put_extension(out, ExtensionType::USE_SRTP, |out| {
                    put_profiles(out, profiles)
                });
            }
            if let Some(protocols) = &self.alpn {
                put_extension(out, ExtensionType::ALPN, |out| {
                    put_protocols(out, protocols.iter().map(Vec::as_slice));
                });
            }
            if let Some(modes) = &self.psk_modes {
                put_extension(out, ExtensionType::PSK_KEY_EXCHANGE_MODES, |out| {
                    out.put_vec(1, |out| modes.iter().for_each(|mode| out.put_u8(mode.0)));
                });
            }
            if let Some(shares) = &self.key_shares {
                put_extension(out, ExtensionType::KEY_SHARE, |out| put_shares(out, shares));
            }
            if let Some(offered) = &self.pre_shared_keys {
                put_extension(out, ExtensionType::PRE_SHARED_KEY, |out| {
                    offered.encode(out)
                });
            }
        });
    }
}

/// Reads a ServerNameList: at most one name of each type (RFC 6066 §3). Names of other types are
/// skipped; a host name that is not a DNS name, such as a numeric address, is treated as absent, as
/// servers commonly do.
fn decode_server_name(body: &mut Reader<'_>) -> Result<Option<String>, InvalidMessage> {
    let mut list = Reader::new(body.vec16("server_name_list")?);
    if list.is_empty() {
        return Err(InvalidMessage::EmptyList("server_name_list"));
    }
    let mut found = None;
    while !list.is_empty() {
        let typ = ServerNameType(list.u8("name_type")?);
        let name = list.vec16("server name")?;
        if typ != ServerNameType::HOST_NAME {
            continue;
        }
        if found.is_some() {
            return Err(InvalidMessage::IllegalValue("server_name_list"));
        }
        let text =
            std::str::from_utf8(name).map_err(|_| InvalidMessage::IllegalValue("server name"))?;
        let dns = pki_types::DnsName::try_from(text.strip_suffix('.').unwrap_or(text));
        found = Some(
            dns.ok()
                .map(|dns| dns.to_lowercase_owned().as_ref().to_owned()),
        );
    }
    Ok(found.flatten())
}
