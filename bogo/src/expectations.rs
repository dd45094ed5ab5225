//! The results of a connection that flags require.

use crate::Failed;
use crate::answers::expect;
use crate::end::either;
use crate::exchange::Exchange;
use crate::options::Options;
use sealgram::HandshakeKind;
use sealgram::identity::{CertificateKind, Identity, RawKey, SharedKey};
use sealgram::pki_types::CertificateDer;
use sealgram::pki_types::pem::PemObject as _;
use std::path::Path;
use std::sync::Arc;

/// Checks after the handshake.
pub(crate) fn after_handshake(exchange: &Exchange<'_>) -> Result<(), Failed> {
    let options = exchange.options;
    either!(&exchange.end.connection, it => {
        let version = it.version().map(|version| version.0);
        expect("version", options.expect_version, version)?;
        expect("cipher suite", options.expect_cipher, it.cipher_suite().map(|it| it.0))?;
        expect("group", options.expect_curve, it.key_exchange_group().map(|it| it.0))?;
        let alpn = it.alpn().map(<[u8]>::to_vec);
        expect("application protocol", options.expect_alpn.clone(), alpn)?;
        let name = it.server_name().map(str::to_owned);
        expect("server name", options.expect_server_name.clone(), name)?;
        let resumed = it.handshake_kind() == Some(HandshakeKind::Resumed);
        let miss = options.expect_session_miss;
        if exchange.resumption && resumed == miss {
            return Err(Failed::new(format!("resumed: {resumed}, which was not expected")));
        }
        if options.expect_extended_master_secret && !it.extended_master_secret() {
            return Err(Failed::new("there is no extended_master_secret"));
        }
        let shown = it.peer_identity().map(Identity::certificates).unwrap_or_default();
        if options.expect_no_peer_cert && !shown.is_empty() {
            return Err(Failed::new("there is a peer certificate"));
        }
        if let Some(file) = &options.expect_peer_cert_file {
            let expected = certificates(file)?;
            let Some(chain) = it.peer_identity().map(Identity::certificates) else {
                return Err(Failed::new("there is no peer certificate"));
            };
            expect("peer certificates", Some(&expected[..]), Some(chain))?;
        }
        let kind = it.peer_identity().and_then(Identity::certificate_kind);
        let raw = kind == Some(CertificateKind::RawPublicKey);
        let typ = kind.map(|_| if raw { 2 } else { 0 });
        expect("type of the peer's certificate", options.expect_peer_type, typ)?;
        let fingerprint = it.peer_identity().filter(|_| raw).and_then(Identity::fingerprint);
        let fingerprint = fingerprint.map(|it| it.as_bytes().to_vec());
        expect("raw key of the peer", options.expect_peer_raw_key.clone(), fingerprint)?;
        let scheme = it.peer_signature_scheme().map(|scheme| scheme.0);
        expect("scheme of the peer", options.expect_peer_scheme, scheme)?;
        if let Some(place) = options.expect_credential.filter(|_| !resumed)
            && identity_of(options, place)?.as_ref() != it.local_identity()
        {
            return Err(Failed::new(format!("credential {place} was not shown")));
        }
        let srtp = it.srtp_profile();
        if srtp.is_some_and(|profile| !options.srtp_profiles.contains(&profile.0)) {
            return Err(Failed::new("there is an SRTP profile that was not expected"));
        }
        if exchange.resumption {
            expect("ticket age skew", options.expect_ticket_age_skew, it.ticket_age_skew())?;
        }
        let retried = it.is_hello_retried();
        if options.expect_hrr && !retried || options.expect_no_hrr && retried {
            return Err(Failed::new(format!("HelloRetryRequest: {retried}, which was not expected")));
        }
    });
    exchange.answers.check(options)
}

/// What the credential at this position shows.
fn identity_of(options: &Options, place: i32) -> Result<Option<Identity>, Failed> {
    let credential = match usize::try_from(place) {
        Ok(place) => options.credentials.get(place),
        Err(_) => Some(&options.default_credential),
    };
    let Some(credential) = credential else {
        return Ok(None);
    };
    if let Some(key) = &credential.imported_key {
        let key = SharedKey::imported(&key.identity, &key.context, &key.key)?;
        return Ok(Some(Identity::SharedKey(Arc::new(key.name().clone()))));
    }
    if let Some(key) = credential.key.as_ref().filter(|_| credential.raw) {
        let raw = RawKey::from_pem_file(key)?;
        let shown = Arc::new(raw.public_key().clone());
        return Ok(Some(Identity::RawPublicKey(shown)));
    }
    let chain = credential.chain.as_deref().map(certificates).transpose()?;
    Ok(chain.map(|chain| Identity::Certificate(chain.into())))
}

/// Checks after all data was exchanged.
pub(crate) fn at_end(exchange: &Exchange<'_>) -> Result<(), Failed> {
    let options = exchange.options;
    let session = either!(&exchange.end.connection, it => it.session().is_some());
    if options.expect_no_session && session {
        return Err(Failed::new("a session came, which was not expected"));
    }
    if options.expect_ticket_renewal && exchange.resumption && !session {
        return Err(Failed::new("no new ticket came"));
    }
    if let Some(expected) = options.expect_total_renegotiations {
        let count = either!(&exchange.end.connection, it => it.renegotiations());
        expect("number of renegotiations", Some(expected), Some(count))?;
    }
    Ok(())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failed> {
    let found = CertificateDer::pem_file_iter(file).map_err(Failed::new)?;
    found.collect::<Result<_, _>>().map_err(Failed::new)
}
