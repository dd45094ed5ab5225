//! Which kinds of certificates the two ends show (RFC 7250 §4). It is agreed on anew in each
//! handshake.
//!
//! ```text
//!  ClientHello          client_certificate_type   what the client can show
//!                       server_certificate_type   what it can judge
//!  ServerHello (1.2),   client_certificate_type   what it shows, beside a CertificateRequest
//!  EncryptedExtensions  server_certificate_type   what the server shows
//! ```
//!
//! Where an extension is missing, the kind is X.509.

use crate::config::ServerConfig;
use crate::error::{Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};
use crate::identity::{CertificateKind, Credential};
use crate::protocol::{CertificateType, ExtensionType};
use crate::wire::extension::{ChosenTypes, ClientExtensions};

/// What each end shows, if it shows something.
#[derive(Clone, Copy)]
pub(super) struct Kinds {
    pub(super) client: CertificateKind,
    pub(super) server: CertificateKind,
}

impl Kinds {
    /// What holds where nothing was agreed on.
    pub(super) const USUAL: Self = Self {
        client: CertificateKind::X509,
        server: CertificateKind::X509,
    };
}

/// What a client writes into an extension: `kinds`, each once. RFC 7250 §4.1: nothing, if X.509 is
/// all that remains.
pub(super) fn list(
    kinds: impl IntoIterator<Item = CertificateKind>,
) -> Option<Vec<CertificateType>> {
    let mut types = Vec::new();
    for typ in kinds.into_iter().map(CertificateKind::number) {
        if !types.contains(&typ) {
            types.push(typ);
        }
    }
    (types.iter().any(|typ| *typ != CertificateType::X509)).then_some(types)
}

/// What a client has offered.
pub(super) struct Offered {
    client: Option<Vec<CertificateType>>,
    server: Option<Vec<CertificateType>>,
}

impl Offered {
    pub(super) fn of(hello: &ClientExtensions) -> Self {
        Self {
            client: hello.client_certificate_types.clone(),
            server: hello.server_certificate_types.clone(),
        }
    }

    /// Checks what the server has chosen. A server that resumes, or uses a shared key, shows
    /// nothing, and need not say anything.
    ///
    /// # Errors
    ///
    /// If the server answers what was not asked or chooses what was not offered; and, unless it
    /// shows nothing, if it says nothing and so shows X.509, which was not offered.
    pub(super) fn check(&self, chosen: ChosenTypes, shows_nothing: bool) -> Result<Kinds, Error> {
        let client = ExtensionType::CLIENT_CERTIFICATE_TYPE;
        let server = ExtensionType::SERVER_CERTIFICATE_TYPE;
        let kinds = Kinds {
            client: check_one(chosen.client, self.client.as_deref(), client)?,
            server: check_one(chosen.server, self.server.as_deref(), server)?,
        };
        let silent = chosen.server.is_none() && !shows_nothing;
        let list = self.server.as_ref().filter(|_| silent);
        if list.is_some_and(|list| !list.contains(&CertificateType::X509)) {
            return Err(PeerIncompatible::NoCommonCertificateType.into());
        }
        Ok(kinds)
    }
}

fn check_one(
    chosen: Option<CertificateType>,
    offered: Option<&[CertificateType]>,
    extension: ExtensionType,
) -> Result<CertificateKind, PeerMisbehaved> {
    let Some(chosen) = chosen else {
        return Ok(CertificateKind::X509);
    };
    let offered = offered.ok_or(PeerMisbehaved::UnsolicitedExtension(extension.0))?;
    CertificateKind::of_number(chosen)
        .filter(|_| offered.contains(&chosen))
        .ok_or(PeerMisbehaved::SelectedUnofferedCertificateType(chosen.0))
}

/// Checks the form of a client's lists.
///
/// # Errors
///
/// If one is empty (RFC 7250 §3). A list of X.509 alone, which RFC 7250 §4.1 has clients leave out,
/// does no harm.
pub(super) fn check_lists(hello: &ClientExtensions, config: &ServerConfig) -> Result<(), Error> {
    let strict = config
        .parameters
        .conformance
        .refuse_needless_certificate_types;
    let lists = [
        (
            &hello.client_certificate_types,
            ExtensionType::CLIENT_CERTIFICATE_TYPE,
            "client_certificate_types",
        ),
        (
            &hello.server_certificate_types,
            ExtensionType::SERVER_CERTIFICATE_TYPE,
            "server_certificate_types",
        ),
    ];
    for (list, extension, name) in lists {
        match list.as_deref() {
            Some([] | [CertificateType::X509]) if strict => {
                return Err(PeerMisbehaved::IllegalExtension(extension.0).into());
            }
            Some([]) => return Err(InvalidMessage::EmptyList(name).into()),
            _ => {}
        }
    }
    Ok(())
}

/// Whether the client accepts this kind of certificate from a server.
pub(super) fn accepts(hello: &ClientExtensions, kind: CertificateKind) -> bool {
    contains(hello.server_certificate_types.as_deref(), kind)
}

fn contains(list: Option<&[CertificateType]>, kind: CertificateKind) -> bool {
    list.map_or(kind == CertificateKind::X509, |list| {
        list.contains(&kind.number())
    })
}

/// The kind of certificate that a server asks the client for; `None` if it does not ask.
///
/// # Errors
///
/// `NoCommonCertificateType` if the client can show none that the verifier can judge (RFC 7250
/// §4.2).
pub(super) fn asks_for(
    hello: &ClientExtensions,
    config: &ServerConfig,
) -> Result<Option<CertificateKind>, Error> {
    let Some(verifier) = config.client_authentication.verifier() else {
        return Ok(None);
    };
    let offered = hello.client_certificate_types.as_deref();
    let mut kinds = verifier.kinds().iter().copied();
    match kinds.find(|kind| contains(offered, *kind)) {
        Some(kind) => Ok(Some(kind)),
        None => Err(PeerIncompatible::NoCommonCertificateType.into()),
    }
}

/// What a server says to these extensions of a hello: which kind it shows, and which the client
/// does, if it asks for one (RFC 7250 §4.2).
pub(super) fn answer(
    hello: &ClientExtensions,
    asked: Option<CertificateKind>,
    shown: Option<CertificateKind>,
) -> ChosenTypes {
    let said = |list: &Option<_>, kind: Option<CertificateKind>| {
        kind.filter(|_| list.is_some()).map(CertificateKind::number)
    };
    ChosenTypes {
        client: said(&hello.client_certificate_types, asked),
        server: said(&hello.server_certificate_types, shown),
    }
}

/// The kind that a server would show if it did not resume.
pub(super) fn would_show(
    hello: &ClientExtensions,
    credentials: &[Credential],
) -> Option<CertificateKind> {
    let mut kinds = credentials.iter().map(Credential::kind);
    kinds.find(|kind| accepts(hello, *kind))
}
