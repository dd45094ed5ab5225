//! From the command line to the library's configurations.

use crate::arguments::{
    ClientArguments, ClientAuth, CommonArguments, CredentialArguments, ServerArguments, Version,
};
use crate::certificate::SelfSigned;
use crate::problem::Problem;
use crate::report::Line;
use sealgram::config::{
    ClientAuthentication, ClientRenegotiation, DatagramPolicy, RekeyPolicy, StreamPolicy, Versions,
};
use sealgram::{
    CertifiedKey, ClientConfig, ConfigError, Credential, KeyLogFile, Roots, ServerConfig,
    WebPkiClientVerifier,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The builders of both sides have the same setters, but no trait that says so.
macro_rules! with_common {
    ($builder:expr, $common:expr, $rekey:expr) => {{
        let common: &CommonArguments = $common;
        let mut builder = $builder
            .datagram(datagram_policy(common)?)
            .stream(stream_policy(common))
            .rekey($rekey);
        if let Some(versions) = versions(&common.versions) {
            builder = builder.versions(versions);
        }
        if !common.suites.is_empty() {
            builder = builder.cipher_suites(&common.suites)?;
        }
        if !common.groups.is_empty() {
            builder = builder.groups(&common.groups)?;
        }
        if !common.alpn.is_empty() {
            let names: Vec<&[u8]> = common.alpn.iter().map(String::as_bytes).collect();
            builder = builder.alpn(&names)?;
        }
        if common.key_log {
            builder = builder.key_log(Arc::new(KeyLogFile::from_env()));
        }
        builder
    }};
}

/// A server's configuration.
pub(crate) fn server(arguments: &ServerArguments) -> Result<ServerConfig, Problem> {
    let credential = server_credential(arguments)?;
    let mut builder = ServerConfig::with_credential(credential)
        .client_authentication(client_authentication(arguments)?);
    if arguments.common.no_tickets {
        builder = builder.tickets(None);
    }
    let mut rekey = rekey_policy(&arguments.common)?;
    if arguments.allow_client_renegotiation {
        let min_interval = Duration::ZERO;
        rekey = rekey.client_renegotiation(ClientRenegotiation::Allow { min_interval });
    }
    Ok(with_common!(builder, &arguments.common, rekey).build()?)
}

/// A client's configuration.
pub(crate) fn client(arguments: &ClientArguments) -> Result<ClientConfig, Problem> {
    let mut builder = match &arguments.ca {
        Some(file) => ClientConfig::with_roots(Roots::from_pem_file(file)?)?,
        None if arguments.insecure => {
            let reason = "any certificate is accepted, so anybody may be at the other end";
            Line::new("warning").field("reason", reason).print();
            ClientConfig::dangerous().accept_any_certificate()
        }
        None => {
            return Err(Problem::usage(
                "say whom to trust: --ca FILE with the server's root (or its own certificate, which \
                 `sealgram server --self-signed --cert-out FILE` writes), or --insecure for tests",
            ));
        }
    };
    if let Some(certified) = certified_key(&arguments.credential)? {
        builder = builder.credential(Credential::Certificate(certified));
    }
    let builder = builder.tickets(!arguments.common.no_tickets);
    let rekey = rekey_policy(&arguments.common)?;
    Ok(with_common!(builder, &arguments.common, rekey).build()?)
}

fn versions(named: &[Version]) -> Option<Versions> {
    match (named.contains(&Version::V12), named.contains(&Version::V13)) {
        (false, false) => None,
        (true, false) => Some(Versions::V1_2),
        (false, true) => Some(Versions::V1_3),
        (true, true) => Some(Versions::ALL),
    }
}

fn rekey_policy(common: &CommonArguments) -> Result<RekeyPolicy, ConfigError> {
    RekeyPolicy::default()
        .bytes(common.rekey_bytes)?
        .interval(common.rekey_interval.map(Duration::from_secs))
}

fn datagram_policy(common: &CommonArguments) -> Result<DatagramPolicy, ConfigError> {
    let mut policy = DatagramPolicy::default();
    if let Some(bytes) = common.mtu {
        policy = policy.mtu(bytes)?;
    }
    if let Some(deadline) = handshake_deadline(common) {
        policy = policy.handshake_deadline(Some(deadline));
    }
    Ok(policy)
}

fn stream_policy(common: &CommonArguments) -> StreamPolicy {
    let policy = StreamPolicy::default();
    match handshake_deadline(common) {
        Some(deadline) => policy.handshake_deadline(Some(deadline)),
        None => policy,
    }
}

fn handshake_deadline(common: &CommonArguments) -> Option<Duration> {
    common.timeout.map(Duration::from_secs)
}

fn server_credential(arguments: &ServerArguments) -> Result<Credential, Problem> {
    if let Some(certified) = certified_key(&arguments.credential)? {
        return Ok(Credential::Certificate(certified));
    }
    if !arguments.self_signed {
        return Err(Problem::usage(
            "a server needs a certificate: --cert FILE --key FILE, or --self-signed to make one",
        ));
    }
    let made = SelfSigned::make(local_names(arguments.listen))?;
    if let Some(file) = &arguments.cert_out {
        std::fs::write(file, &made.pem).map_err(|error| {
            Problem::usage(format!(
                "--cert-out {} cannot be written: {error}",
                file.display()
            ))
        })?;
    }
    Ok(Credential::Certificate(made.certified))
}

/// What a client on this machine, or one that was told the address, would ask for.
fn local_names(listen: SocketAddr) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
    let address = listen.ip();
    if !address.is_unspecified() && !names.contains(&address.to_string()) {
        names.push(address.to_string());
    }
    names
}

fn certified_key(arguments: &CredentialArguments) -> Result<Option<CertifiedKey>, ConfigError> {
    match (&arguments.cert, &arguments.key) {
        (Some(chain), Some(key)) => CertifiedKey::from_pem_files(chain, key).map(Some),
        _ => Ok(None),
    }
}

fn client_authentication(arguments: &ServerArguments) -> Result<ClientAuthentication, Problem> {
    let default = match arguments.client_ca {
        Some(_) => ClientAuth::Required,
        None => ClientAuth::None,
    };
    let policy = arguments.client_auth.unwrap_or(default);
    let Some(file) = &arguments.client_ca else {
        return match policy {
            ClientAuth::None => Ok(ClientAuthentication::None),
            _ => Err(Problem::usage(
                "--client-auth needs --client-ca FILE with the roots that clients' certificates end at",
            )),
        };
    };
    let verifier = Arc::new(WebPkiClientVerifier::new(Roots::from_pem_file(file)?)?);
    Ok(match policy {
        ClientAuth::None => ClientAuthentication::None,
        ClientAuth::Optional => ClientAuthentication::Optional(verifier),
        ClientAuth::Required => ClientAuthentication::Required(verifier),
    })
}
