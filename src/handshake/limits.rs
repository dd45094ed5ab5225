//! How long records may be: record_size_limit (RFC 8449) and, with old peers, max_fragment_length
//! (RFC 6066 §4).
//!
//! ```text
//!  client offers      server grants
//!  both, or the first record_size_limit: each direction has the limit of its receiver
//!  the second alone   the same value: both directions have it
//! ```

use crate::config::{ClientConfig, Parameters};
use crate::error::PeerMisbehaved;
use crate::protocol::{AgreedLimits, ExtensionType, MaxFragmentLength};
use crate::wire::client_hello::ClientHello;
use crate::wire::extension::LimitExtensions;
use crate::wire::record_tls::MAX_PLAINTEXT_LEN;

/// What an end announces that takes `contents` bytes. RFC 8449 §4: at 1.3 the type counts.
fn announced(contents: u16, is_13: bool) -> u16 {
    contents + u16::from(is_13)
}

/// A limit that the peer has announced. RFC 8449 §4: what is more than the version allows is as
/// good as the most that it allows.
fn take(announced: u16, is_13: bool) -> Result<u16, PeerMisbehaved> {
    if announced < AgreedLimits::MIN {
        return Err(illegal(ExtensionType::RECORD_SIZE_LIMIT));
    }
    Ok(announced.min(most(is_13)))
}

/// The most that a record of the version encrypts, in bytes.
fn most(is_13: bool) -> u16 {
    let contents = u16::try_from(MAX_PLAINTEXT_LEN).unwrap_or(u16::MAX);
    announced(contents, is_13)
}

fn illegal(typ: ExtensionType) -> PeerMisbehaved {
    PeerMisbehaved::IllegalExtension(typ.0)
}

/// Adds to a hello what the client wants. If that may lead to 1.3 the limit is counted as there,
/// and a server that chooses 1.2 can use the byte of the type for contents.
pub(super) fn offer(hello: &mut ClientHello, config: &ClientConfig) {
    let extensions = &mut hello.extensions;
    let offers_13 = extensions.supported_versions.is_some();
    let size = announced(config.parameters.record_size_limit, offers_13);
    extensions.limits = LimitExtensions::new(Some(size), config.max_fragment_length);
}

/// What a server makes of a client's offer.
pub(super) fn grant(
    parameters: &Parameters,
    offered: LimitExtensions,
    is_13: bool,
) -> Result<AgreedLimits, PeerMisbehaved> {
    // RFC 8449 §5: where there is the one, the other is ignored.
    if let Some(theirs) = offered.record_size_limit {
        return Ok(AgreedLimits::RecordSize {
            ours: announced(parameters.record_size_limit, is_13),
            theirs: take(theirs, is_13)?,
        });
    }
    let Some(number) = offered.max_fragment_length else {
        return Ok(AgreedLimits::None);
    };
    // RFC 6066 §4: a length that does not exist ends the handshake.
    MaxFragmentLength::numbered(number)
        .map(AgreedLimits::Fragment)
        .ok_or_else(|| illegal(ExtensionType::MAX_FRAGMENT_LENGTH))
}

/// How a server says what it has granted.
pub(super) fn answer(limits: AgreedLimits) -> LimitExtensions {
    match limits {
        AgreedLimits::None => LimitExtensions::default(),
        AgreedLimits::RecordSize { ours, .. } => LimitExtensions::new(Some(ours), None),
        AgreedLimits::Fragment(length) => LimitExtensions::new(None, Some(length)),
    }
}

/// What a client makes of a server's answer to its offer.
pub(super) fn granted(
    offered: LimitExtensions,
    granted: LimitExtensions,
    is_13: bool,
) -> Result<AgreedLimits, PeerMisbehaved> {
    let (size, fragment) = (
        ExtensionType::RECORD_SIZE_LIMIT,
        ExtensionType::MAX_FRAGMENT_LENGTH,
    );
    match (granted.record_size_limit, granted.max_fragment_length) {
        (None, None) => Ok(AgreedLimits::None),
        // RFC 8449 §5.
        (Some(_), Some(_)) => Err(illegal(fragment)),
        (Some(theirs), None) => match offered.record_size_limit {
            Some(ours) => Ok(AgreedLimits::RecordSize {
                ours: ours.min(most(is_13)),
                theirs: take(theirs, is_13)?,
            }),
            None => Err(PeerMisbehaved::UnsolicitedExtension(size.0)),
        },
        (None, Some(number)) => match offered.max_fragment_length {
            None => Err(PeerMisbehaved::UnsolicitedExtension(fragment.0)),
            // RFC 6066 §4: the value that was asked for, or none.
            Some(asked) if asked != number => Err(illegal(fragment)),
            Some(_) => MaxFragmentLength::numbered(number)
                .map(AgreedLimits::Fragment)
                .ok_or_else(|| illegal(fragment)),
        },
    }
}
