//! What a client has offered, and what must hold of an answer in view of that.

use crate::config::ClientConfig;
use crate::crypto::kx::Exchange;
use crate::crypto::suite::{self, Suite};
use crate::error::{Error, InvalidMessage, PeerMisbehaved};
use crate::handshake::limits;
use crate::handshake::psk::Psk;
use crate::protocol::{
    AgreedLimits, CipherSuite, CompressionMethod, ConnectionIds, Dialect, ExtensionType,
    NamedGroup, SrtpProfile,
};
use crate::secrets::transcript::Transcript;
use crate::session::Session12;
use crate::wire::client_hello::{ClientHello, RANDOM_LEN};
use crate::wire::extension::ServerExtensions;
use crate::wire::server_hello::{DOWNGRADE_TO_12, ServerHello};
use pki_types::{ServerName, UnixTime};
use std::sync::Arc;

/// A hello that is out, with what it was made from and what an answer of version 1.3 needs.
pub(super) struct Offer {
    pub(super) dialect: &'static Dialect,
    pub(super) config: Arc<ClientConfig>,
    pub(super) server_name: ServerName<'static>,
    pub(super) started: UnixTime,
    pub(super) hello: ClientHello,
    pub(super) transcript: Transcript,
    /// The keys of 1.3 that the hello offers, in this order.
    pub(super) psks: Vec<Psk>,
    /// The key exchange of 1.3 that the hello has begun, in the groups of its shares.
    pub(super) exchange: Option<Exchange>,
    /// The suite of a HelloRetryRequest that this hello answers.
    pub(super) retried: Option<&'static Suite>,
}

impl Offer {
    /// What must hold of a ServerHello and of a HelloRetryRequest (RFC 8446 §4.1.3).
    pub(super) fn check_form_13(&self, hello: &ServerHello) -> Result<(), Error> {
        // RFC 9147 §5: over datagrams nothing is echoed (D19).
        let echo: &[u8] = if self.dialect.middlebox_compatibility {
            &self.hello.session_id
        } else {
            &[]
        };
        if hello.session_id != echo {
            return Err(PeerMisbehaved::WrongSessionId.into());
        }
        // RFC 8446 §4.1.3: the field must be zero.
        if hello.compression_method != CompressionMethod::NULL {
            return Err(InvalidMessage::IllegalValue("legacy_compression_method").into());
        }
        Ok(())
    }

    /// The suite, if it was offered and is the one of the HelloRetryRequest before it.
    pub(super) fn check_suite_13(&self, id: CipherSuite) -> Result<&'static Suite, Error> {
        let offered = self.hello.cipher_suites.contains(&id);
        let stands = self.retried.is_none_or(|suite| suite.id == id);
        suite::find(id)
            .filter(|suite| offered && stands && suite.is_13())
            .ok_or_else(|| PeerMisbehaved::SelectedUnofferedCipherSuite.into())
    }
}

impl Offer {
    /// Whether the hello has a share of this group.
    pub(super) fn has_share(&self, group: NamedGroup) -> bool {
        let shares = self.hello.extensions.key_shares.iter().flatten();
        shares.into_iter().any(|share| share.group == group)
    }

    /// What a ServerHello makes of the connection IDs that were offered (RFC 9146 §3); `None` if it
    /// has none.
    pub(super) fn connection_ids(
        &self,
        granted: &ServerExtensions,
    ) -> Result<Option<ConnectionIds>, PeerMisbehaved> {
        let offered = &self.hello.extensions;
        let (id, rrc) = (ExtensionType::CONNECTION_ID.0, ExtensionType::RRC.0);
        if granted.rrc && !offered.rrc {
            return Err(PeerMisbehaved::UnsolicitedExtension(rrc));
        }
        match (&granted.connection_id, &offered.connection_id) {
            // RFC 9853 §3: only beside connection_id.
            (None, _) if granted.rrc => Err(PeerMisbehaved::IllegalExtension(rrc)),
            (None, _) => Ok(None),
            (Some(_), None) => Err(PeerMisbehaved::UnsolicitedExtension(id)),
            (Some(theirs), Some(ours)) => Ok(Some(ConnectionIds {
                ours: ours.clone(),
                theirs: theirs.clone(),
                checks: granted.rrc,
            })),
        }
    }
}

impl Offer {
    /// What a ServerHello of 1.2 says about the length of records. RFC 6066 §4: what a session has
    /// agreed on holds where it is resumed, unless the hellos know something better.
    pub(super) fn limits_12(
        &self,
        granted: &ServerExtensions,
        resumed: Option<&Session12>,
    ) -> Result<AgreedLimits, PeerMisbehaved> {
        let limits = limits::granted(self.hello.extensions.limits, granted.limits, false)?;
        let kept = resumed.and_then(|session| session.agreed.max_fragment_length);
        Ok(match (limits, kept) {
            (AgreedLimits::None, Some(kept)) => AgreedLimits::Fragment(kept),
            (limits, _) => limits,
        })
    }
}

/// Whether the server says that it speaks a higher version than it has chosen (RFC 8446 §4.1.3).
pub(super) fn is_downgraded(random: &[u8; RANDOM_LEN]) -> bool {
    let (mut to_11, to_12) = (DOWNGRADE_TO_12, DOWNGRADE_TO_12);
    to_11[7] = 0;
    random.ends_with(&to_12) || random.ends_with(&to_11)
}

/// The name for server_name (RFC 6066 §3): a DNS name without a final dot; literal addresses are
/// not sent.
pub(crate) fn dns_name(server_name: &ServerName<'_>) -> Option<String> {
    match server_name {
        ServerName::DnsName(name) => Some(
            name.as_ref()
                .strip_suffix('.')
                .unwrap_or(name.as_ref())
                .to_ascii_lowercase(),
        ),
        _ => None,
    }
}

/// An extension of a ServerHello of 1.2 that has no place in one of 1.3 (RFC 8446 §4.2).
pub(super) fn misplaced(hello: &ServerHello) -> Option<ExtensionType> {
    let granted = &hello.extensions;
    [
        (granted.server_name, ExtensionType::SERVER_NAME),
        (granted.supported_groups, ExtensionType::SUPPORTED_GROUPS),
        (
            granted.point_formats.is_some(),
            ExtensionType::EC_POINT_FORMATS,
        ),
        (granted.srtp.is_some(), ExtensionType::USE_SRTP),
        (granted.alpn.is_some(), ExtensionType::ALPN),
        (
            granted.extended_master_secret,
            ExtensionType::EXTENDED_MASTER_SECRET,
        ),
        (granted.session_ticket, ExtensionType::SESSION_TICKET),
        (
            granted.certificate_types.client.is_some(),
            ExtensionType::CLIENT_CERTIFICATE_TYPE,
        ),
        (
            granted.certificate_types.server.is_some(),
            ExtensionType::SERVER_CERTIFICATE_TYPE,
        ),
        (
            granted.renegotiation_info.is_some(),
            ExtensionType::RENEGOTIATION_INFO,
        ),
    ]
    .into_iter()
    .find_map(|(present, typ)| present.then_some(typ))
    .or(granted.limits.present())
}

/// RFC 5764 §4.1.1: the server chooses one of the client's profiles.
pub(super) fn check_srtp(
    chosen: Option<SrtpProfile>,
    offered: Option<&[SrtpProfile]>,
) -> Result<(), PeerMisbehaved> {
    match (chosen, offered) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(PeerMisbehaved::UnsolicitedExtension(
            ExtensionType::USE_SRTP.0,
        )),
        (Some(chosen), Some(offered)) if offered.contains(&chosen) => Ok(()),
        (Some(chosen), Some(_)) => Err(PeerMisbehaved::SelectedUnofferedSrtpProfile(chosen)),
    }
}
