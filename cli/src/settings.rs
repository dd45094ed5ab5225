//! From the command line to the library's configurations.

use crate::address;
use crate::arguments::{
    ClientArguments, ClientAuth, CommonArguments, CredentialArguments, DataMeanwhile, Migrate,
    ServerArguments, Version,
};
use crate::certificate::SelfSigned;
use crate::problem::Problem;
use crate::report::Line;
use sealgram::client::ClientConfigBuilder;
use sealgram::config::{
    Algorithms, ClientRenegotiation, DataDuringRenegotiation, DatagramPolicy, ExtendedMasterSecret,
    FleetSecret, IdentityChange, KeyLogFile, Migration, PlaintextAlerts, RekeyPolicy,
    RenegotiatedConnectionId, SecureRenegotiation, StreamPolicy, Versions,
};
use sealgram::endpoint::{EndpointPolicy, Eviction};
use sealgram::error::ConfigError;
use sealgram::identity::{
    CertifiedKey, Credential, PinnedFingerprint, Roots, VerifyClient, VerifyServer,
    WebPkiClientVerifier, WebPkiServerVerifier,
};
use sealgram::server::{ClientAuthentication, ServerConfigBuilder};
use sealgram::{ClientConfig, ServerConfig};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The builders of both sides have the same setters, but no common trait.
macro_rules! with_common {
    ($builder:expr, $common:expr, $rekey:expr) => {{
        let common: &CommonArguments = $common;
        let mut builder = $builder
            .algorithms(algorithms(common)?)
            .datagram(datagram_policy(common)?)
            .stream(stream_policy(common)?)
            .rekey($rekey)
            .psk_key_exchange(common.shared_keys.psk_exchange.unwrap_or_default())
            .extended_master_secret(match common.require_extended_master_secret {
                true => ExtendedMasterSecret::Require,
                false => ExtendedMasterSecret::Prefer,
            });
        if let Some(bytes) = common.record_limit {
            builder = builder.record_size_limit(size(bytes))?;
        }
        if common.allow_insecure_renegotiation_peers {
            builder = builder.secure_renegotiation(SecureRenegotiation::Prefer);
        }
        if let Some(versions) = versions(&common.versions) {
            builder = builder.versions(versions);
        }
        if !common.alpn.is_empty() {
            let names: Vec<&[u8]> = common.alpn.iter().map(String::as_bytes).collect();
            builder = builder.alpn(&names)?;
        }
        if !common.srtp.is_empty() {
            builder = builder.srtp_profiles(&common.srtp)?;
        }
        if common.key_log {
            builder = builder.key_log(Arc::new(key_log()?));
        }
        builder
    }};
}

/// A server's configuration.
pub(crate) fn server(arguments: &ServerArguments) -> Result<ServerConfig, Problem> {
    Ok(server_showing(server_credential(arguments)?, arguments)?.build()?)
}

/// The same before it is built, with what it shows beside a raw public key, if anything.
pub(crate) fn server_showing(
    credential: Option<Credential>,
    arguments: &ServerArguments,
) -> Result<ServerConfigBuilder, Problem> {
    let builder = match credential {
        Some(credential) => ServerConfig::with_credential(credential),
        None => ServerConfig::without_credential(),
    };
    server_builder(builder, arguments)
}

/// The same with a credential that is here already.
pub(crate) fn server_with(
    credential: Credential,
    arguments: &ServerArguments,
) -> Result<ServerConfig, Problem> {
    Ok(server_showing(Some(credential), arguments)?.build()?)
}

/// The same before it is built.
fn server_builder(
    builder: ServerConfigBuilder,
    arguments: &ServerArguments,
) -> Result<ServerConfigBuilder, Problem> {
    let builder = builder.client_authentication(client_authentication(arguments)?);
    let mut builder = arguments.common.shared_keys.server(builder)?;
    if let Some(raw) = arguments.common.raw_keys.credential()? {
        builder = builder.add_credential(raw);
    }
    if arguments.common.no_tickets {
        builder = builder.tickets(None);
    }
    if let Some(file) = &arguments.fleet_secret {
        builder = builder.fleet(fleet_secret(file)?);
    }
    let mut rekey = rekey_policy(&arguments.common)?;
    if let Some(min_interval) = client_renegotiation_pause(arguments) {
        rekey = rekey.client_renegotiation(ClientRenegotiation::Allow { min_interval });
    }
    Ok(with_common!(builder, &arguments.common, rekey))
}

/// The secret that the server shares with others.
fn fleet_secret(file: &Path) -> Result<FleetSecret, Problem> {
    let unusable = |reason: &dyn std::fmt::Display| {
        Problem::usage(format!("--fleet-secret {}: {reason}", file.display()))
    };
    let bytes = Zeroizing::new(std::fs::read(file).map_err(|error| unusable(&error))?);
    let secret = bytes.as_slice().try_into().map_err(|_| {
        unusable(&format!(
            "it has {} bytes, and a secret has {}: make one with `openssl rand -out FILE {1}`",
            bytes.len(),
            FleetSecret::LEN
        ))
    })?;
    Ok(FleetSecret::from_bytes(secret))
}

/// How long a client has to wait between two handshakes, if it may renegotiate.
pub(crate) fn client_renegotiation_pause(arguments: &ServerArguments) -> Option<Duration> {
    let given = arguments.allow_client_renegotiation?;
    Some(given.map_or(
        ClientRenegotiation::DEFAULT_MIN_INTERVAL,
        Duration::from_secs,
    ))
}

/// The limits of a server's socket.
pub(crate) fn server_endpoint(arguments: &ServerArguments) -> Result<EndpointPolicy, Problem> {
    let mut policy = client_endpoint(&arguments.common);
    if let Some(count) = arguments.limits.max_associations {
        policy = policy.max_associations(size(count))?;
    }
    if let Some(count) = arguments.limits.max_half_open {
        policy = policy.max_half_open(size(count), Eviction::default())?;
    }
    if let Some(first) = arguments.member {
        let others = arguments.threads.map_or(0, |threads| threads.get() - 1);
        if usize::from(first) + others > usize::from(u16::MAX) {
            return Err(Problem::usage(
                "--member: the numbers of all threads go beyond 65,535",
            ));
        }
        policy = policy.member(first);
    }
    Ok(policy)
}

/// The limits of a client's socket.
pub(crate) fn client_endpoint(common: &CommonArguments) -> EndpointPolicy {
    let policy = EndpointPolicy::default();
    match common.idle_timeout {
        Some(seconds) => policy.idle_timeout(Some(Duration::from_secs(seconds))),
        None => policy,
    }
}

/// A number that does not fit here is beyond the library's limits anyway.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A client's configuration.
pub(crate) fn client(arguments: &ClientArguments) -> Result<ClientConfig, Problem> {
    Ok(client_builder(arguments)?.build()?)
}

/// The same before it is built.
pub(crate) fn client_builder(arguments: &ClientArguments) -> Result<ClientConfigBuilder, Problem> {
    let trust = &arguments.trust;
    let trusts = trust.ca.is_some() || !trust.fingerprint.is_empty() || trust.insecure;
    let keys = &arguments.common.shared_keys;
    let builder = keys.client(trusts, || trusting(arguments))?;
    client_with(builder, arguments)
}

/// The rest of a client's configuration, once it is known whom it trusts.
pub(crate) fn client_with(
    mut builder: ClientConfigBuilder,
    arguments: &ClientArguments,
) -> Result<ClientConfigBuilder, Problem> {
    if let Some(certified) = certified_key(&arguments.credential)? {
        builder = builder.add_credential(Credential::Certificate(certified));
    }
    if let Some(raw) = arguments.common.raw_keys.credential()? {
        builder = builder.add_credential(raw);
    }
    let builder = builder
        .tickets(!arguments.common.no_tickets)
        .max_fragment_length(arguments.max_fragment_length);
    let mut rekey =
        rekey_policy(&arguments.common)?.follow_hello_requests(!arguments.refuse_hello_requests);
    // Without the option the library tells servers apart by the form of their cookies.
    if arguments.empty_renegotiation_cookie {
        rekey = rekey.repeat_cookie(false);
    }
    Ok(with_common!(builder, &arguments.common, rekey))
}

/// The verifier of a client.
pub(crate) fn trusting(arguments: &ClientArguments) -> Result<ClientConfigBuilder, Problem> {
    let keys = &arguments.common.raw_keys;
    if let Some(verifier) = keys.of_servers(|| also_trusted(arguments))? {
        return Ok(ClientConfig::with_verifier(verifier));
    }
    if let Some(file) = &arguments.trust.ca {
        return Ok(ClientConfig::with_roots(roots(file)?)?);
    }
    if !arguments.trust.fingerprint.is_empty() {
        let pinned = PinnedFingerprint::new(arguments.trust.fingerprint.iter().copied());
        return Ok(ClientConfig::with_verifier(Arc::new(pinned)));
    }
    if arguments.trust.insecure {
        let reason = "any certificate is accepted, so the peer may be anybody";
        Line::new("warning").field("reason", reason).print();
        return Ok(ClientConfig::dangerous().accept_any_certificate());
    }
    let mut roots = Roots::new();
    let found = rustls_native_certs::load_native_certs();
    // One root that cannot be read is no reason to do without the others.
    let usable = found.certs.iter().filter(|root| roots.add(root).is_ok());
    if usable.count() == 0 {
        return Err(Problem::usage(
            "this system has no trusted roots, so name what to trust: --ca FILE with the server's root (or its own \
             certificate, which `sealgram server --self-signed --cert-out FILE` writes), --fingerprint HEX, or --insecure \
             for tests",
        ));
    }
    Ok(ClientConfig::with_roots(roots)?)
}

/// The verifier of certificates beside raw public keys, if the user has said which are accepted.
fn also_trusted(arguments: &ClientArguments) -> Result<Option<Arc<dyn VerifyServer>>, Problem> {
    let trust = &arguments.trust;
    if trust.insecure {
        let reason = "--peer-key says whom to accept, and --insecure that anybody is";
        return Err(Problem::usage(reason));
    }
    if let Some(file) = &trust.ca {
        return Ok(Some(Arc::new(WebPkiServerVerifier::new(roots(file)?)?)));
    }
    if trust.fingerprint.is_empty() {
        return Ok(None);
    }
    let pinned = PinnedFingerprint::new(trust.fingerprint.iter().copied());
    Ok(Some(Arc::new(pinned)))
}

/// The key log. If it cannot be written that is an error: a user who finds it empty would look for
/// the fault elsewhere.
fn key_log() -> Result<KeyLogFile, Problem> {
    let Some(file) = std::env::var_os("SSLKEYLOGFILE").filter(|file| !file.is_empty()) else {
        return Err(Problem::usage(
            "--key-log needs a file: set the environment variable SSLKEYLOGFILE to its name",
        ));
    };
    let opened = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&file);
    opened.map_err(|error| {
        let name = Path::new(&file).display();
        Problem::usage(format!(
            "--key-log: SSLKEYLOGFILE names {name}, which cannot be written: {error}"
        ))
    })?;
    Ok(KeyLogFile::from_env())
}

fn versions(named: &[Version]) -> Option<Versions> {
    match (named.contains(&Version::V12), named.contains(&Version::V13)) {
        (false, false) => None,
        (true, false) => Some(Versions::V1_2),
        (false, true) => Some(Versions::V1_3),
        (true, true) => Some(Versions::ALL),
    }
}

fn algorithms(common: &CommonArguments) -> Result<Algorithms, ConfigError> {
    let mut algorithms = Algorithms::default();
    if !common.suites.is_empty() {
        algorithms = algorithms.cipher_suites(&common.suites)?;
    }
    if !common.groups.is_empty() {
        algorithms = algorithms.groups(&common.groups)?;
    }
    Ok(algorithms)
}

fn rekey_policy(common: &CommonArguments) -> Result<RekeyPolicy, ConfigError> {
    let policy = RekeyPolicy::default()
        .bytes(common.rekey_bytes)?
        .interval(common.rekey_interval.map(Duration::from_secs))?
        .resume(!common.full_renegotiation)
        .data_during_renegotiation(match common.data_during_renegotiation {
            DataMeanwhile::Hold => DataDuringRenegotiation::Hold,
            DataMeanwhile::Flow => DataDuringRenegotiation::Flow,
        });
    Ok(match common.allow_identity_change {
        true => policy.identity_change(IdentityChange::Allow),
        false => policy,
    })
}

pub(crate) fn datagram_policy(common: &CommonArguments) -> Result<DatagramPolicy, ConfigError> {
    let mut policy = DatagramPolicy::default();
    if let Some(bytes) = common.mtu {
        policy = policy.mtu(size(bytes))?;
    }
    if let Some(bytes) = common.max_message {
        policy = policy.max_message(size(bytes))?;
    }
    if common.ignore_plaintext_alerts {
        policy = policy.plaintext_alerts(PlaintextAlerts::Ignore);
    }
    if let Some(deadline) = handshake_deadline(common) {
        policy = policy.handshake_deadline(Some(deadline));
    }
    if common.keep_cid {
        policy = policy.renegotiated_connection_id(RenegotiatedConnectionId::Keep);
    }
    if let Some(migrate) = common.migrate {
        policy = policy.migration(match migrate {
            Migrate::Never => Migration::Never,
            Migrate::Validated => Migration::Validated,
            Migrate::Enhanced => Migration::Enhanced,
            Migrate::Newest => Migration::Newest,
        });
    }
    policy
        .hybrid_share(common.hybrid_share)
        .connection_ids(common.cid)
}

fn stream_policy(common: &CommonArguments) -> Result<StreamPolicy, ConfigError> {
    let mut policy = StreamPolicy::default();
    if let Some(bytes) = common.max_message {
        policy = policy.max_message(size(bytes))?;
    }
    if let Some(deadline) = handshake_deadline(common) {
        policy = policy.handshake_deadline(Some(deadline));
    }
    if let Some(seconds) = common.idle_timeout {
        policy = policy.idle_timeout(Some(Duration::from_secs(seconds)));
    }
    Ok(policy)
}

fn handshake_deadline(common: &CommonArguments) -> Option<Duration> {
    common.timeout.map(Duration::from_secs)
}

/// What a server shows beside a raw public key; nothing, if it has that or pre-shared keys alone.
pub(crate) fn server_credential(
    arguments: &ServerArguments,
) -> Result<Option<Credential>, Problem> {
    if let Some(certified) = certified_key(&arguments.listener.credential)? {
        return Ok(Some(Credential::Certificate(certified)));
    }
    if !arguments.listener.self_signed {
        if arguments.common.shared_keys.any() || arguments.common.raw_keys.raw_key.is_some() {
            return Ok(None);
        }
        return Err(Problem::usage(
            "a server needs a certificate: --cert FILE --key FILE, or --self-signed to make one; or a raw public key: \
             --raw-key FILE; or pre-shared keys: --psk-file FILE",
        ));
    }
    let made = SelfSigned::make(local_names(address::host(&arguments.listener.listen)?))?;
    if let Some(file) = &arguments.listener.cert_out {
        std::fs::write(file, &made.pem).map_err(|error| {
            Problem::usage(format!(
                "--cert-out {} cannot be written: {error}",
                file.display()
            ))
        })?;
    }
    Ok(Some(Credential::Certificate(made.certified)))
}

/// The names that a client on this machine, or one that was told the address, would ask for.
fn local_names(listen: &str) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
    let unspecified = |host: &str| {
        let address = host.parse::<IpAddr>();
        address.is_ok_and(|address| address.is_unspecified())
    };
    // A zone names an interface of this machine, and no certificate can have one.
    let listen = listen.split('%').next().unwrap_or(listen);
    if !unspecified(listen) && !names.iter().any(|name| name == listen) {
        names.push(listen.to_owned());
    }
    names
}

/// The roots of a file, with a warning for each that cannot be used.
fn roots(file: &Path) -> Result<Roots, ConfigError> {
    let roots = Roots::from_pem_file(file)?;
    for unreadable in roots.unreadable() {
        Line::new("warning").field("reason", unreadable).print();
    }
    Ok(roots)
}

fn certified_key(arguments: &CredentialArguments) -> Result<Option<CertifiedKey>, ConfigError> {
    match (&arguments.cert, &arguments.key) {
        (Some(chain), Some(key)) => CertifiedKey::from_pem_files(chain, key).map(Some),
        _ => Ok(None),
    }
}

/// What the line `C` asks clients for: what --client-ca and --peer-key trust.
pub(crate) fn later_client_authentication(
    arguments: &ServerArguments,
) -> Result<Option<ClientAuthentication>, Problem> {
    Ok(client_verifier(arguments)?.map(ClientAuthentication::Required))
}

/// What decides about clients, if something is to be asked of them.
fn client_verifier(arguments: &ServerArguments) -> Result<Option<Arc<dyn VerifyClient>>, Problem> {
    let mut certificates: Option<Arc<dyn VerifyClient>> = None;
    if let Some(file) = &arguments.listener.client_ca {
        certificates = Some(Arc::new(WebPkiClientVerifier::new(roots(file)?)?));
    }
    Ok(arguments.common.raw_keys.of_clients(certificates))
}

fn client_authentication(arguments: &ServerArguments) -> Result<ClientAuthentication, Problem> {
    let verifier = client_verifier(arguments)?;
    let default = match verifier {
        Some(_) => ClientAuth::Required,
        None => ClientAuth::None,
    };
    let policy = arguments.client_auth.unwrap_or(default);
    let Some(verifier) = verifier else {
        return match policy {
            ClientAuth::None => Ok(ClientAuthentication::None),
            _ => Err(Problem::usage(
                "--client-auth needs --client-ca FILE with the roots of clients' certificates, or --peer-key HEX",
            )),
        };
    };
    Ok(match policy {
        ClientAuth::None => ClientAuthentication::None,
        ClientAuth::Optional => ClientAuthentication::Optional(verifier),
        ClientAuth::Required => ClientAuthentication::Required(verifier),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments, Command};
    use clap::Parser as _;

    fn client_of(options: &[&str]) -> String {
        let all = ["sealgram", "client", "localhost:1", "--insecure"];
        let all = Arguments::try_parse_from(all.iter().chain(options)).unwrap();
        match all.command {
            Command::Client(arguments) => format!("{:?}", client(&arguments).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    fn server_of(options: &[&str]) -> String {
        let all = [
            "sealgram",
            "server",
            "--listen",
            "localhost:1",
            "--self-signed",
        ];
        let all = Arguments::try_parse_from(all.iter().chain(options)).unwrap();
        match all.command {
            Command::Server(arguments) => format!(
                "{:?} {:?}",
                server(&arguments).unwrap(),
                server_endpoint(&arguments).unwrap()
            ),
            other => panic!("{other:?}"),
        }
    }

    /// Settings that a certain peer may need, under names that say what they are for: the option,
    /// and what it sets.
    #[test]
    fn the_program_reaches_the_policies_that_peers_need() {
        let common = [
            (
                "--require-extended-master-secret",
                "extended_master_secret: Require",
            ),
            (
                "--allow-insecure-renegotiation-peers",
                "secure_renegotiation: Prefer",
            ),
            ("--ignore-plaintext-alerts", "plaintext_alerts: Ignore"),
            ("--data-during-renegotiation=flow", "data: Flow"),
            ("--full-renegotiation", "resume: false"),
            ("--allow-identity-change", "identity_change: Allow"),
            ("--max-message=5000", "max_message: 5000"),
            ("--record-limit=64", "record_size_limit: 64"),
            ("--psk-exchange=avoided", "psk_key_exchange: Avoided"),
            ("--cid=8", "connection_ids: Some(8)"),
            ("--cid=0", "connection_ids: Some(0)"),
        ];
        let only_client = [
            ("--refuse-hello-requests", "follow_hello_requests: false"),
            ("--max-fragment-length=512", "Some(Bytes512)"),
            ("--empty-renegotiation-cookie", "repeat_cookie: Some(false)"),
        ];
        let only_server = [
            (
                "--allow-client-renegotiation",
                "Allow { min_interval: 10s }",
            ),
            (
                "--allow-client-renegotiation=3",
                "Allow { min_interval: 3s }",
            ),
            ("--max-associations=7", "max_associations: 7"),
            ("--max-half-open=8", "max_half_open: 8"),
            ("--idle-timeout=9", "idle_timeout: Some(9s)"),
        ];
        let (client, server) = (client_of(&[]), server_of(&[]));
        for (option, set) in common.iter().chain(&only_client) {
            assert!(!client.contains(set), "{option}");
            assert!(client_of(&[option]).contains(set), "{option}");
        }
        for (option, set) in common.iter().chain(&only_server) {
            assert!(!server.contains(set), "{option}");
            assert!(server_of(&[option]).contains(set), "{option}");
        }
        // LibreSSL and Erlang do not have it: they are served unless the user says otherwise.
        for config in [client, server] {
            assert!(
                config.contains("extended_master_secret: Prefer"),
                "{config}"
            );
        }
    }

    /// What they say together with another option.
    #[test]
    fn the_program_reaches_what_becomes_of_peers_that_move() {
        let (cid, kept) = (["--cid=8"], "renegotiated_connection_id: Keep");
        let keeping = ["--cid=8", "--keep-cid"];
        assert!(!client_of(&cid).contains(kept) && client_of(&keeping).contains(kept));
        assert!(!server_of(&cid).contains(kept) && server_of(&keeping).contains(kept));
        for (way, set) in [
            ("never", "migration: Never"),
            ("validated", "migration: Validated"),
            ("enhanced", "migration: Enhanced"),
            ("newest", "migration: Newest"),
        ] {
            let options = ["--cid=8", "--migrate", way];
            assert!(client_of(&options).contains(set), "{way}");
            assert!(server_of(&options).contains(set), "{way}");
        }
        let secret = std::env::temp_dir().join(format!("sealgram-{}", std::process::id()));
        std::fs::write(&secret, [7; FleetSecret::LEN]).unwrap();
        let secret = format!("--fleet-secret={}", secret.display());
        assert!(server_of(&[&secret]).contains("member: 0"));
        assert!(server_of(&[&secret, "--member=7"]).contains("member: 7"));
    }

    /// Over UDP these are limits of the endpoint, over TCP they belong to the stream.
    #[test]
    fn the_idle_timeout_is_one_of_streams_too() {
        let policy = |options: &[&str]| {
            let all = ["sealgram", "client", "localhost:1", "--insecure", "--tls"];
            let all = Arguments::try_parse_from(all.iter().chain(options)).unwrap();
            match all.command {
                Command::Client(arguments) => stream_policy(&arguments.common).unwrap(),
                other => panic!("{other:?}"),
            }
        };
        let default = StreamPolicy::default();
        let set = default.clone().idle_timeout(Some(Duration::from_secs(9)));
        assert_eq!(policy(&[]), default);
        assert_eq!(policy(&["--idle-timeout=9"]), set);
    }
}
