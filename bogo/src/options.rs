//! The command line: what a test requires of each of its connections.

use crate::Failed;
use base64::Engine as _;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// What the runner asks of this process.
pub(crate) enum Parsed {
    /// The question whether handshakes can move between processes.
    IsHandshakerSupported,
    /// A test.
    Test(Box<Plan>),
}

/// A test: its connections, one after the other.
pub(crate) struct Plan {
    pub(crate) port: u16,
    pub(crate) shim_id: u64,
    pub(crate) ipv6: bool,
    /// How many connections follow the first one.
    pub(crate) resume_count: usize,
    pub(crate) initial: Options,
    pub(crate) resume: Options,
}

/// A credential's flags.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct CredentialOptions {
    pub(crate) chain: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// The schemes that it may sign with.
    pub(crate) signing_prefs: Vec<u16>,
    pub(crate) must_match_issuer: bool,
    /// Whether the public key is shown by itself (RFC 7250).
    pub(crate) raw: bool,
    pub(crate) imported_key: Option<ImportedKeyOptions>,
}

/// What a credential has that is an external key, to be imported (RFC 9258).
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct ImportedKeyOptions {
    pub(crate) key: Vec<u8>,
    pub(crate) identity: Vec<u8>,
    pub(crate) context: Vec<u8>,
    pub(crate) sha384: bool,
}

/// A shared key of version 1.2.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct SharedKeyOptions {
    pub(crate) identity: Vec<u8>,
    pub(crate) key: Option<Vec<u8>>,
}

/// What a test requires of one connection.
#[derive(Clone, Default, Debug)]
pub(crate) struct Options {
    pub(crate) server: bool,
    pub(crate) dtls: bool,
    /// The default one, used if no other fits.
    pub(crate) default_credential: CredentialOptions,
    pub(crate) credentials: Vec<CredentialOptions>,
    pub(crate) shared_key: SharedKeyOptions,
    pub(crate) min_version: Option<u16>,
    pub(crate) max_version: Option<u16>,
    pub(crate) no_tls12: bool,
    pub(crate) no_tls13: bool,
    pub(crate) curves: Vec<u16>,
    pub(crate) verify_prefs: Vec<u16>,
    pub(crate) mtu: Option<usize>,
    pub(crate) initial_timeout_ms: Option<u64>,
    pub(crate) max_cert_list: Option<usize>,
    pub(crate) host_name: Option<String>,
    pub(crate) advertise_alpn: Option<Vec<u8>>,
    pub(crate) select_alpn: Option<Vec<u8>>,
    pub(crate) reject_alpn: bool,
    pub(crate) no_ticket: bool,
    pub(crate) verify_peer: bool,
    pub(crate) require_client_certificate: bool,
    pub(crate) verify_fail: bool,
    pub(crate) custom_verify_callback: bool,
    pub(crate) client_ca_list: Vec<Vec<u8>>,
    pub(crate) renegotiation: Renegotiation,
    pub(crate) resumption_delay_s: u64,
    pub(crate) private_key_delay_ms: u64,
    pub(crate) no_server_name_ack: bool,
    pub(crate) no_legacy_server: bool,
    pub(crate) allow_unknown_alpn: bool,
    pub(crate) srtp_profiles: Vec<u16>,
    pub(crate) max_send_fragment: Option<usize>,
    pub(crate) fail_early_callback: bool,
    pub(crate) fallback: bool,
    pub(crate) reverify: bool,
    /// The types of certificates of RFC 7250 that are accepted from the peer, and that a client
    /// says it can show.
    pub(crate) accepted_types: Vec<u8>,
    pub(crate) available_types: Vec<u8>,
    pub(crate) fail_cert_callback: bool,

    pub(crate) shim_writes_first: bool,
    pub(crate) shim_shuts_down: bool,
    pub(crate) check_close_notify: bool,
    pub(crate) send_alert: bool,
    pub(crate) key_update: bool,
    pub(crate) key_update_before_read: bool,
    pub(crate) read_size: Option<usize>,
    pub(crate) export_len: Option<usize>,
    pub(crate) export_label: String,
    pub(crate) export_context: Option<Vec<u8>>,
    pub(crate) use_export_context: bool,
    pub(crate) exporter_between_reads: bool,
    pub(crate) export_traffic_secrets: bool,
    pub(crate) read_with_unfinished_write: bool,

    pub(crate) expect_version: Option<u16>,
    pub(crate) expect_alpn: Option<Vec<u8>>,
    pub(crate) expect_server_name: Option<String>,
    pub(crate) expect_session_miss: bool,
    pub(crate) expect_no_session: bool,
    pub(crate) expect_ticket_renewal: bool,
    pub(crate) expect_hrr: bool,
    pub(crate) expect_no_hrr: bool,
    pub(crate) expect_curve: Option<u16>,
    pub(crate) expect_cipher: Option<u16>,
    pub(crate) expect_peer_scheme: Option<u16>,
    /// The position among `credentials`, or -1 for the one that is used if no other fits.
    pub(crate) expect_credential: Option<i32>,
    pub(crate) expect_extended_master_secret: bool,
    pub(crate) expect_no_peer_cert: bool,
    pub(crate) expect_total_renegotiations: Option<u64>,
    pub(crate) expect_peer_cert_file: Option<PathBuf>,
    pub(crate) expect_peer_type: Option<u8>,
    pub(crate) expect_peer_raw_key: Option<Vec<u8>>,
    pub(crate) expect_no_secure_renegotiation: bool,
    pub(crate) expect_ticket_age_skew: Option<i32>,
    pub(crate) expect_peer_verify_prefs: Vec<u16>,
    pub(crate) expect_advertised_alpn: Option<Vec<u8>>,
    pub(crate) expect_certificate_types: Option<Vec<u8>>,
    pub(crate) expect_client_ca_list: Option<Vec<Vec<u8>>>,
}

/// What a client does about a HelloRequest.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) enum Renegotiation {
    #[default]
    Never,
    Once,
    Freely,
    Ignore,
    /// The application begins a renegotiation when it is told of the request.
    Explicit,
}

/// The values of flags, one after the other.
struct Values<'a> {
    rest: std::slice::Iter<'a, OsString>,
}

impl<'a> Values<'a> {
    fn bytes(&mut self) -> Result<&'a OsStr, Failed> {
        let next = self.rest.next();
        next.map(OsString::as_os_str)
            .ok_or_else(|| Failed::new("a flag without its value"))
    }

    fn raw(&mut self) -> Result<Vec<u8>, Failed> {
        Ok(self.bytes()?.as_bytes().to_vec())
    }

    fn text(&mut self) -> Result<String, Failed> {
        Ok(self.bytes()?.to_string_lossy().into_owned())
    }

    fn path(&mut self) -> Result<PathBuf, Failed> {
        Ok(self.bytes()?.into())
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T, Failed> {
        let text = self.text()?;
        text.parse()
            .map_err(|_| Failed::new(format!("{text} is not a number")))
    }
}

impl Options {
    /// Reads the command line.
    pub(crate) fn parse(arguments: &[OsString]) -> Result<Parsed, Failed> {
        let mut plan = Plan {
            port: 0,
            shim_id: 0,
            ipv6: false,
            resume_count: 0,
            initial: Self::default(),
            resume: Self::default(),
        };
        let mut values = Values {
            rest: arguments.iter(),
        };
        while let Some(argument) = values.rest.next() {
            let flag = argument.to_string_lossy();
            let Some(flag) = flag.strip_prefix('-') else {
                return Err(Failed::new(format!("{flag} is not a flag")));
            };
            let flag = flag.strip_prefix("on-shim-").unwrap_or(flag);
            let before = values.rest.clone();
            match flag {
                "is-handshaker-supported" => return Ok(Parsed::IsHandshakerSupported),
                "port" => plan.port = values.number()?,
                "shim-id" => plan.shim_id = values.number()?,
                "ipv6" => plan.ipv6 = true,
                "resume-count" => plan.resume_count = values.number()?,
                _ => {
                    if let Some(flag) = flag.strip_prefix("on-initial-") {
                        plan.initial.take(flag, &mut values)?;
                    } else if let Some(flag) = flag.strip_prefix("on-resume-") {
                        plan.resume.take(flag, &mut values)?;
                    } else if let Some(flag) = flag.strip_prefix("on-retry-") {
                        // Only after early data, which this end never sends.
                        Self::default().take(flag, &mut values)?;
                    } else {
                        plan.initial.take(flag, &mut values)?;
                        values.rest = before;
                        plan.resume.take(flag, &mut values)?;
                    }
                }
            }
        }
        Ok(Parsed::Test(Box::new(plan)))
    }

    fn credential(&mut self) -> &mut CredentialOptions {
        match self.credentials.last_mut() {
            Some(newest) => newest,
            None => &mut self.default_credential,
        }
    }

    fn imported_key(&mut self) -> Result<&mut ImportedKeyOptions, Failed> {
        let newest = self.credential().imported_key.as_mut();
        newest.ok_or_else(|| Failed::new("the credential is not a shared key"))
    }

    fn take(&mut self, flag: &str, values: &mut Values<'_>) -> Result<(), Failed> {
        if self.take_setting(flag, values)?
            || self.take_action(flag, values)?
            || self.take_expectation(flag, values)?
        {
            return Ok(());
        }
        Err(Failed::Unimplemented(flag.to_owned()))
    }

    fn take_setting(&mut self, flag: &str, values: &mut Values<'_>) -> Result<bool, Failed> {
        match flag {
            "server" => self.server = true,
            "dtls" => self.dtls = true,
            "cert-file" => self.credential().chain = Some(values.path()?),
            "key-file" => self.credential().key = Some(values.path()?),
            "new-x509-credential" => self.credentials.push(CredentialOptions::default()),
            "new-rpk-credential" => self.credentials.push(CredentialOptions {
                raw: true,
                ..CredentialOptions::default()
            }),
            "accepted-peer-cert-types" => self.accepted_types.push(values.number()?),
            "available-client-cert-types" => self.available_types.push(values.number()?),
            "new-psk-credential" => self.credentials.push(CredentialOptions {
                imported_key: Some(ImportedKeyOptions::default()),
                ..CredentialOptions::default()
            }),
            "psk-importer-key" => self.imported_key()?.key = base64(&values.text()?)?,
            "psk-importer-identity" => self.imported_key()?.identity = base64(&values.text()?)?,
            "psk-importer-context" => self.imported_key()?.context = base64(&values.text()?)?,
            "psk-importer-sha256" => self.imported_key()?.sha384 = false,
            "psk-importer-sha384" => self.imported_key()?.sha384 = true,
            "signing-prefs" => {
                let scheme = values.number()?;
                self.credential().signing_prefs.push(scheme);
            }
            "must-match-issuer" => self.credential().must_match_issuer = true,
            "psk" => self.shared_key.key = Some(values.raw()?),
            "psk-identity" => self.shared_key.identity = values.raw()?,
            "min-version" => self.min_version = Some(values.number()?),
            "max-version" => self.max_version = Some(values.number()?),
            "no-tls12" => self.no_tls12 = true,
            "no-tls13" => self.no_tls13 = true,
            "curves" => self.curves.push(values.number()?),
            "verify-prefs" => self.verify_prefs.push(values.number()?),
            "mtu" => self.mtu = Some(values.number()?),
            "initial-timeout-duration-ms" => self.initial_timeout_ms = Some(values.number()?),
            "max-cert-list" => self.max_cert_list = Some(values.number()?),
            "host-name" => self.host_name = Some(values.text()?),
            "advertise-alpn" => self.advertise_alpn = Some(values.raw()?),
            "select-alpn" => self.select_alpn = Some(values.raw()?),
            "select-empty-alpn" => self.select_alpn = Some(Vec::new()),
            "reject-alpn" => self.reject_alpn = true,
            "no-ticket" => self.no_ticket = true,
            "verify-peer" => self.verify_peer = true,
            "require-any-client-certificate" => self.require_client_certificate = true,
            "verify-fail" => self.verify_fail = true,
            "use-custom-verify-callback" => self.custom_verify_callback = true,
            "use-client-ca-list" => self.client_ca_list = names(&values.text()?)?,
            "renegotiate-once" => self.renegotiation = Renegotiation::Once,
            "renegotiate-freely" => self.renegotiation = Renegotiation::Freely,
            "renegotiate-ignore" => self.renegotiation = Renegotiation::Ignore,
            "renegotiate-explicit" => self.renegotiation = Renegotiation::Explicit,
            "forbid-renegotiation-after-handshake" => self.renegotiation = Renegotiation::Never,
            "no-legacy-server-connect" => self.no_legacy_server = true,
            "allow-unknown-alpn-protos" => self.allow_unknown_alpn = true,
            "srtp-profiles" => self.srtp_profiles = srtp_profiles(&values.text()?)?,
            "max-send-fragment" => self.max_send_fragment = Some(values.number()?),
            "fail-early-callback" => self.fail_early_callback = true,
            "fallback-scsv" => self.fallback = true,
            "reverify-on-resume" => self.reverify = true,
            // A callback that BoringSSL makes before all others, as a defence against floods.
            "install-ddos-callback" => {}
            "fail-ddos-callback" => self.fail_cert_callback = true,
            "fail-cert-callback" => self.fail_cert_callback = true,
            "private-key-delay-ms" => self.private_key_delay_ms = values.number()?,
            "resumption-delay" => self.resumption_delay_s = values.number()?,
            "no-server-name-ack" => self.no_server_name_ack = true,
            // What a sans-IO library does in any case, features that do not exist here, and ways to
            // drive BoringSSL.
            "async"
            | "implicit-handshake"
            | "no-tls1"
            | "no-tls11"
            | "use-early-callback"
            | "use-old-client-cert-callback"
            | "handshake-twice"
            | "no-op-extra-handshake"
            | "decline-alpn" => {}
            // Every chain gets the verdict that the flags name.
            "trust-cert" => drop(values.path()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_action(&mut self, flag: &str, values: &mut Values<'_>) -> Result<bool, Failed> {
        match flag {
            "shim-writes-first" => self.shim_writes_first = true,
            "shim-shuts-down" => self.shim_shuts_down = true,
            "check-close-notify" => self.check_close_notify = true,
            "send-alert" => self.send_alert = true,
            "key-update" => self.key_update = true,
            "key-update-before-read" => self.key_update_before_read = true,
            "read-size" => self.read_size = Some(values.number()?),
            "export-keying-material" => self.export_len = Some(values.number()?),
            "export-label" => self.export_label = values.text()?,
            "export-context" => self.export_context = Some(values.raw()?),
            "use-export-context" => self.use_export_context = true,
            "use-exporter-between-reads" => self.exporter_between_reads = true,
            "export-traffic-secrets" => self.export_traffic_secrets = true,
            "read-with-unfinished-write" => self.read_with_unfinished_write = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_expectation(&mut self, flag: &str, values: &mut Values<'_>) -> Result<bool, Failed> {
        match flag {
            "expect-version" => self.expect_version = Some(values.number()?),
            "expect-alpn" => self.expect_alpn = Some(values.raw()?),
            "expect-server-name" => self.expect_server_name = Some(values.text()?),
            "expect-session-miss" => self.expect_session_miss = true,
            "expect-no-session" => self.expect_no_session = true,
            "expect-ticket-renewal" => self.expect_ticket_renewal = true,
            "expect-hrr" => self.expect_hrr = true,
            "expect-no-hrr" => self.expect_no_hrr = true,
            "expect-curve-id" => self.expect_curve = Some(values.number()?),
            "expect-cipher" | "expect-cipher-aes" => self.expect_cipher = Some(values.number()?),
            "expect-extended-master-secret" => self.expect_extended_master_secret = true,
            "expect-no-peer-cert" => self.expect_no_peer_cert = true,
            "expect-total-renegotiations" => {
                self.expect_total_renegotiations = Some(values.number()?);
            }
            "expect-no-secure-renegotiation" => self.expect_no_secure_renegotiation = true,
            "expect-ticket-age-skew" => self.expect_ticket_age_skew = Some(values.number()?),
            "expect-peer-verify-pref" => self.expect_peer_verify_prefs.push(values.number()?),
            "expect-advertised-alpn" => self.expect_advertised_alpn = Some(values.raw()?),
            "expect-certificate-types" => {
                self.expect_certificate_types = Some(base64(&values.text()?)?);
            }
            "expect-client-ca-list" => {
                self.expect_client_ca_list = Some(names(&values.text()?)?);
            }
            "expect-peer-cert-file" => self.expect_peer_cert_file = Some(values.path()?),
            "expect-peer-certificate-type" => self.expect_peer_type = Some(values.number()?),
            "expect-peer-rpk-sha256" => {
                self.expect_peer_raw_key = Some(base64(&values.text()?)?);
            }
            "expect-peer-signature-algorithm" => self.expect_peer_scheme = Some(values.number()?),
            "expect-selected-credential" => self.expect_credential = Some(values.number()?),
            // For machines without AES instructions, and for BoringSSL's reason codes and traces.
            "expect-cipher-no-aes" | "expect-early-data-reason" | "expect-msg-callback" => {
                drop(values.text()?)
            }
            // What every connection here does anyway, and BoringSSL's session cache and stored
            // verification results.
            "expect-secure-renegotiation"
            | "expect-verify-result"
            | "expect-session-id"
            | "expect-no-session-id" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Bytes in base64, after a prefix that says so.
fn base64(text: &str) -> Result<Vec<u8>, Failed> {
    let text = text.strip_prefix("base64:").unwrap_or(text);
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(Failed::new)
}

/// Profiles by the names that OpenSSL gives them, with colons between them.
fn srtp_profiles(list: &str) -> Result<Vec<u16>, Failed> {
    list.split(':')
        .map(|name| match name {
            "SRTP_AES128_CM_SHA1_80" => Ok(1),
            "SRTP_AES128_CM_SHA1_32" => Ok(2),
            _ => Err(Failed::new(format!("{name} is not an SRTP profile"))),
        })
        .collect()
}

/// Names of authorities: in hexadecimal, with commas between them.
fn names(list: &str) -> Result<Vec<Vec<u8>>, Failed> {
    if list == "<EMPTY>" || list == "<NULL>" {
        return Ok(Vec::new());
    }
    let digit = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).unwrap_or_default();
        u8::from_str_radix(text, 16).map_err(|_| Failed::new(format!("{text} is not hexadecimal")))
    };
    list.split(',')
        .map(|name| name.as_bytes().chunks(2).map(digit).collect())
        .collect()
}
