//! From flags to configurations.

use crate::Failed;
use crate::answers::Answers;
use crate::clock::SimulatedClock;
use crate::keys;
use crate::options::{CredentialOptions, Options, Renegotiation};
use crate::verifier::Verdict;
use sealgram::config::{
    Algorithms, Conformance, DatagramPolicy, RekeyPolicy, RenegotiationRefusals,
    SecureRenegotiation, StreamPolicy, Versions,
};
use sealgram::identity::{CertificateKind, Credential, RawKey, SharedKey, SharedKeys};
use sealgram::pki_types::ServerName;
use sealgram::server::{ClientAuthentication, Preference};
use sealgram::session::{MemoryServerSessions, Tickets};
use sealgram::{
    AlertDescription, ClientConfig, NamedGroup, ServerConfig, SignatureScheme, SrtpProfile,
};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What the connections of a test share.
pub(crate) struct Shared {
    pub(crate) clock: Arc<SimulatedClock>,
    tickets: Arc<Tickets>,
    sessions: Arc<MemoryServerSessions>,
}

/// Longer than any test takes, because the runner's clock may jump.
const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);

/// BoringSSL's timers and limits, which the runner knows.
const INITIAL_TIMEOUT: Duration = Duration::from_millis(400);
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
const RETRANSMISSIONS: u32 = 12;
const WARNINGS: u8 = 4;
const LAST_EPOCH: u64 = 0xffff;
const TIMER_SLACK: Duration = Duration::from_millis(15);

const GROUPS: [NamedGroup; 4] = [
    NamedGroup::X25519MLKEM768,
    NamedGroup::X25519,
    NamedGroup::SECP256R1,
    NamedGroup::SECP384R1,
];

/// BoringSSL's limit, which fits the runner's largest message.
const LARGEST_MESSAGE: usize = 1 << 17;

/// Without a limit of the path, data may fill a record; header and tag are added to that.
const LARGEST_RECORD: usize = (1 << 14) + 256;

/// What both sides set: their builders have the same setters, but no common trait.
macro_rules! with_common {
    ($builder:expr, $shared:expr, $options:expr) => {{
        $builder
            .versions(versions($options)?)
            .datagram(datagram($options)?)
            .stream(stream($options)?)
            .rekey(rekey($options))
            .conformance(conformance($options))
            .secure_renegotiation(if $options.no_legacy_server {
                SecureRenegotiation::Require
            } else {
                SecureRenegotiation::Prefer
            })
            .srtp_profiles(&srtp($options))?
            .algorithms(algorithms($options)?)
            .clock($shared.clock.clone())
    }};
}

impl Shared {
    pub(crate) fn new() -> Result<Self, Failed> {
        Ok(Self {
            clock: Arc::new(SimulatedClock::new()),
            tickets: Arc::new(Tickets::new(LIFETIME)?),
            sessions: Arc::new(MemoryServerSessions::new(16)),
        })
    }

    pub(crate) fn client(
        &self,
        options: &Options,
        answers: Arc<Answers>,
    ) -> Result<ClientConfig, Failed> {
        let keys = imported_keys(options)?;
        // BoringSSL takes no certificate then, unless it is told to verify one.
        let builder = if keys.is_empty() || options.verify_peer {
            ClientConfig::with_verifier(Arc::new(verdict(options)?))
        } else {
            ClientConfig::without_verifier()
        };
        let builder = builder.answers(answers.clone()).tickets(!options.no_ticket);
        let mut builder = with_common!(builder, self, options);
        if let Some(protocols) = &options.advertise_alpn {
            builder = builder.alpn(&wire_list(protocols)?)?;
        }
        for credential in credentials(options, &answers)? {
            builder = builder.add_credential(credential);
        }
        for key in keys.into_iter().chain(shared_key(options)?) {
            builder = builder.add_shared_key(key);
        }
        if !options.available_types.is_empty() {
            builder = builder.certificate_kinds(&kinds(&options.available_types)?);
        }
        Ok(builder.build()?)
    }

    pub(crate) fn server(
        &self,
        options: &Options,
        answers: Arc<Answers>,
    ) -> Result<ServerConfig, Failed> {
        let credentials = credentials(options, &answers)?;
        let mut keys = imported_keys(options)?;
        keys.extend(shared_key(options)?);
        if credentials.is_empty() && keys.is_empty() {
            let lacking = "a server without a certificate or a shared key";
            return Err(Failed::Unimplemented(lacking.to_owned()));
        }
        let verifier = Arc::new(verdict(options)?);
        let builder = ServerConfig::without_credential()
            .tickets((!options.no_ticket).then(|| self.tickets.clone()))
            .session_store(Some(self.sessions.clone()))
            .suite_preference(Preference::Client)
            .answers(answers)
            .client_authentication(if options.require_client_certificate {
                ClientAuthentication::Required(verifier)
            } else if options.verify_peer {
                ClientAuthentication::Optional(verifier)
            } else {
                ClientAuthentication::None
            });
        let mut builder = with_common!(builder, self, options);
        for credential in credentials {
            builder = builder.add_credential(credential);
        }
        if !keys.is_empty() {
            builder = builder.shared_keys(Arc::new(SharedKeys::new(keys)));
            // BoringSSL's program tells the client which identity it expects.
            builder = builder.identity_hint(&options.shared_key.identity)?;
        }
        if options.reject_alpn {
            builder = builder.alpn(&[b"nothing that a test offers"])?;
        }
        Ok(builder.build()?)
    }
}

/// The server that a client wants: an address if there is no name to send.
pub(crate) fn server_name(options: &Options) -> Result<ServerName<'static>, Failed> {
    match &options.host_name {
        Some(name) => ServerName::try_from(name.clone()).map_err(Failed::new),
        None => Ok(ServerName::IpAddress(Ipv4Addr::LOCALHOST.into())),
    }
}

fn verdict(options: &Options) -> Result<Verdict, Failed> {
    let alert = if options.custom_verify_callback {
        AlertDescription::CERTIFICATE_UNKNOWN
    } else {
        AlertDescription::HANDSHAKE_FAILURE
    };
    // A BoringSSL client that does not verify goes on after a refusal, but not where there may be a
    // raw public key.
    let counts = options.verify_peer
        || options.require_client_certificate
        || options.accepted_types.contains(&RAW_PUBLIC_KEY);
    Ok(Verdict {
        refusal: (options.verify_fail && counts).then_some(alert),
        authorities: options.client_ca_list.clone(),
        again: options.reverify,
        kinds: match &options.accepted_types[..] {
            [] => vec![CertificateKind::X509],
            types => kinds(types)?,
        },
    })
}

/// The number of raw public keys (RFC 7250 §3).
const RAW_PUBLIC_KEY: u8 = 2;

fn kinds(types: &[u8]) -> Result<Vec<CertificateKind>, Failed> {
    let kind = |typ: &u8| match *typ {
        0 => Ok(CertificateKind::X509),
        RAW_PUBLIC_KEY => Ok(CertificateKind::RawPublicKey),
        _ => Err(Failed::Unimplemented(format!("certificates of type {typ}"))),
    };
    types.iter().map(kind).collect()
}

fn versions(options: &Options) -> Result<Versions, Failed> {
    // In DTLS, newer versions have smaller numbers.
    let (v12, v13) = if options.dtls {
        (0xfefd_u16, 0xfefc_u16)
    } else {
        (0x0303, 0x0304)
    };
    let newer = |left: u16, right: u16| {
        if options.dtls {
            left <= right
        } else {
            left >= right
        }
    };
    let speaks = |version, off: bool| {
        !off && options.min_version.is_none_or(|min| newer(version, min))
            && options.max_version.is_none_or(|max| newer(max, version))
    };
    match (speaks(v12, options.no_tls12), speaks(v13, options.no_tls13)) {
        (true, true) => Ok(Versions::ALL),
        (true, false) => Ok(Versions::V1_2),
        (false, true) => Ok(Versions::V1_3),
        (false, false) => Err(Failed::new("NoVersions: no version is left")),
    }
}

fn datagram(options: &Options) -> Result<DatagramPolicy, Failed> {
    let initial = options
        .initial_timeout_ms
        .map_or(INITIAL_TIMEOUT, Duration::from_millis);
    let mut policy = DatagramPolicy::default()
        .hybrid_share(true)
        .retransmission_timeouts(initial, MAX_TIMEOUT)?
        .max_retransmissions(Some(RETRANSMISSIONS))
        .timer_jitter(0)?
        .handshake_deadline(None);
    policy = policy.mtu(options.mtu.unwrap_or(LARGEST_RECORD))?;
    policy = policy.max_message(options.max_cert_list.unwrap_or(LARGEST_MESSAGE))?;
    Ok(policy)
}

fn stream(options: &Options) -> Result<StreamPolicy, Failed> {
    let mut policy = StreamPolicy::default().handshake_deadline(None);
    if let Some(size) = options.max_send_fragment {
        policy = policy.max_fragment(size)?;
    }
    Ok(policy.max_message(options.max_cert_list.unwrap_or(LARGEST_MESSAGE))?)
}

fn rekey(options: &Options) -> RekeyPolicy {
    // If something is half written, the exchange decides.
    let follows =
        options.renegotiation == Renegotiation::Freely && !options.read_with_unfinished_write;
    RekeyPolicy::default()
        .follow_hello_requests(follows)
        .resume(false)
}

/// What BoringSSL does otherwise than the library, and no setting for users says.
fn conformance(options: &Options) -> Conformance {
    Conformance {
        fail_by_plaintext_faults: true,
        repeat_last_flight_after: Some(Duration::ZERO),
        timer_slack: TIMER_SLACK,
        acknowledge_patiently: true,
        acknowledge_plaintext: true,
        whole_flights: true,
        need_tickets_acknowledged: true,
        last_epoch: LAST_EPOCH,
        drop_overtaking_data: true,
        max_warnings: WARNINGS,
        check_record_version: true,
        count_early_records_whole: true,
        compare_finished_of_any_length: true,
        refusals: match options.renegotiation {
            _ if options.read_with_unfinished_write => RenegotiationRefusals::Ignore,
            // The exchange follows them itself.
            Renegotiation::Ignore | Renegotiation::Explicit | Renegotiation::Once => {
                RenegotiationRefusals::Ignore
            }
            _ => RenegotiationRefusals::Fail,
        },
        answer_key_updates_with_data: true,
        keep_application_protocol: true,
        refuse_export_during_renegotiation: true,
        resume_without_extended_master_secret: true,
        renegotiate_unbound: !options.no_legacy_server,
        need_fitting_credential: true,
        take_unoffered_alpn: options.allow_unknown_alpn,
        fall_back: options.fallback,
        hide_server_name: options.no_server_name_ack,
        ask_for_preferred_group: true,
        require_supported_groups: true,
        refuse_needless_certificate_types: true,
        take_certificate_types_for_signatures: true,
        grease_tickets: true,
        tell_unknown_keys: true,
    }
}

fn srtp(options: &Options) -> Vec<SrtpProfile> {
    let given = options.srtp_profiles.iter().copied();
    given.map(SrtpProfile).collect()
}

fn algorithms(options: &Options) -> Result<Algorithms, Failed> {
    let algorithms = Algorithms::default().signature_schemes(&schemes(options))?;
    let groups = groups(options);
    Ok(if groups.is_empty() {
        algorithms
    } else {
        algorithms.groups(&groups)?
    })
}

/// The groups that exist here: the runner allows a list to be reduced to them. A DTLS client that
/// was given none has no hybrid group: BoringSSL repeats a hello with such a share as it was, and
/// ours leaves the share out after two without an answer.
fn groups(options: &Options) -> Vec<NamedGroup> {
    if options.dtls && !options.server && options.curves.is_empty() {
        return GROUPS[1..].to_vec();
    }
    let given = options.curves.iter().copied().map(NamedGroup);
    given.filter(|group| GROUPS.contains(group)).collect()
}

/// The schemes that the peer may sign with. BoringSSL does not accept Ed25519 unless it is told to.
fn schemes(options: &Options) -> Vec<SignatureScheme> {
    if options.verify_prefs.is_empty() {
        return vec![
            SignatureScheme::ECDSA_SECP256R1_SHA256,
            SignatureScheme::RSA_PSS_RSAE_SHA256,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::ECDSA_SECP384R1_SHA384,
            SignatureScheme::RSA_PSS_RSAE_SHA384,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PSS_RSAE_SHA512,
            SignatureScheme::RSA_PKCS1_SHA512,
        ];
    }
    let given = options.verify_prefs.iter().copied().map(SignatureScheme);
    // The runner allows a list to be reduced to what exists.
    given
        .filter(|&scheme| scheme != RSA_PKCS1_MD5_SHA1)
        .collect()
}

/// What BoringSSL calls the signatures of versions before 1.2.
const RSA_PKCS1_MD5_SHA1: SignatureScheme = SignatureScheme(0xff01);

/// The shared key of version 1.2, of whatever length.
fn shared_key(options: &Options) -> Result<Option<SharedKey>, Failed> {
    let given = &options.shared_key;
    let made = given.key.as_ref();
    let made = made.map(|key| SharedKey::new_short(&given.identity, key));
    Ok(made.transpose()?)
}

/// The credentials in order, the default one last.
fn credentials(options: &Options, answers: &Arc<Answers>) -> Result<Vec<Credential>, Failed> {
    let given = options.credentials.iter();
    given
        .chain([&options.default_credential])
        .filter_map(|credential| Some((credential, credential.key.as_ref()?)))
        .filter(|(credential, _)| credential.raw || credential.chain.is_some())
        .map(|(credential, key)| {
            let Some(chain) = credential.chain.as_ref().filter(|_| !credential.raw) else {
                return raw_key(credential, key);
            };
            let slow = (options.private_key_delay_ms > 0).then_some(answers);
            let mut certified = keys::certified(chain, key, slow)?;
            if !credential.signing_prefs.is_empty() {
                let schemes = credential.signing_prefs.iter().copied();
                certified =
                    certified.sign_with(&schemes.map(SignatureScheme).collect::<Vec<_>>())?;
            }
            if credential.must_match_issuer {
                certified = certified.only_for_issuers();
            }
            Ok(Credential::Certificate(certified))
        })
        .collect()
}

/// A key that is shown by itself.
fn raw_key(credential: &CredentialOptions, key: &Path) -> Result<Credential, Failed> {
    let mut raw = RawKey::from_pem_file(key)?;
    if !credential.signing_prefs.is_empty() {
        let schemes = credential.signing_prefs.iter().copied();
        raw = raw.sign_with(&schemes.map(SignatureScheme).collect::<Vec<_>>())?;
    }
    Ok(Credential::RawKey(raw))
}

/// The external keys in order.
fn imported_keys(options: &Options) -> Result<Vec<SharedKey>, Failed> {
    let given = options.credentials.iter();
    given
        .filter_map(|credential| credential.imported_key.as_ref())
        .map(|given| {
            let key = SharedKey::imported(&given.identity, &given.context, &given.key)?;
            Ok(if given.sha384 { key.with_sha384() } else { key })
        })
        .collect()
}

/// The names of a list in ALPN's wire format, each preceded by its length.
fn wire_list(mut list: &[u8]) -> Result<Vec<&[u8]>, Failed> {
    let mut names = Vec::new();
    while let [length, rest @ ..] = list {
        let (name, rest) = rest
            .split_at_checked((*length).into())
            .ok_or_else(|| Failed::new("a list of protocols is cut short"))?;
        names.push(name);
        list = rest;
    }
    Ok(names)
}
