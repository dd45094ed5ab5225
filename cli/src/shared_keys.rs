//! Pre-shared keys from files and from the command line.
//!
//! A file has a line `IDENTITY:KEY` for each key, as those of GnuTLS do (`psktool`). An identity
//! with other bytes than those of a line of text stands there as `#` and its hexadecimal digits.

use crate::problem::Problem;
use crate::report::Line;
use clap::Args;
use sealgram::client::ClientConfigBuilder;
use sealgram::config::PskKeyExchange;
use sealgram::identity::{SharedKey, SharedKeys};
use sealgram::server::ServerConfigBuilder;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The keys that this end shares with its peers.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SharedKeyArguments {
    /// Pre-shared keys: a line `IDENTITY:KEY` each, with the key in hexadecimal digits, as
    /// `psktool` of GnuTLS writes them; `#` before an identity says that it is in such digits too.
    /// A server serves all of them, and then needs no certificate; a client names one.
    #[arg(long, value_name = "FILE")]
    pub(crate) psk_file: Option<PathBuf>,
    /// The same with keys that are text, not hexadecimal digits.
    #[arg(long, value_name = "FILE", conflicts_with = "psk_file")]
    pub(crate) psk_text_file: Option<PathBuf>,
    /// The identity of the key to use; a client whose file has only one key need not say it.
    #[arg(long, value_name = "IDENTITY")]
    pub(crate) psk_identity: Option<String>,
    /// The key of that identity, in hexadecimal digits. Every user of this machine can read it
    /// while the program runs, so a file is better.
    #[arg(long, value_name = "HEX", requires = "psk_identity", conflicts_with_all = ["psk_file", "psk_text_file"])]
    pub(crate) psk_hex: Option<String>,
    /// Import the keys for this context, which is the peer's too (RFC 9258): they serve version 1.3
    /// alone, and only a peer that imports them as well.
    #[arg(long, value_name = "TEXT", conflicts_with = "allow_short_psk")]
    pub(crate) psk_context: Option<String>,
    /// Whether a handshake of version 1.3 with such a key exchanges keys as well: required;
    /// preferred: where the peer does; avoided: where the peer insists. Without an exchange whoever
    /// learns the key later can read what was recorded before [default: required].
    #[arg(long, value_name = "WHETHER", value_parser = parse_exchange)]
    pub(crate) psk_exchange: Option<PskKeyExchange>,
    /// Take keys below 16 bytes too, which can be guessed from recorded traffic.
    #[arg(long)]
    pub(crate) allow_short_psk: bool,
}

fn parse_exchange(text: &str) -> Result<PskKeyExchange, String> {
    match text {
        "required" => Ok(PskKeyExchange::Required),
        "preferred" => Ok(PskKeyExchange::Preferred),
        "avoided" => Ok(PskKeyExchange::Avoided),
        _ => Err("it is required, preferred or avoided".to_owned()),
    }
}

/// How the keys of a file are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Encoding {
    Hexadecimal,
    Text,
}

impl SharedKeyArguments {
    /// A client with the key that it shall use, if it shall use one. `trusting` gives a client that
    /// takes certificates too, if the user has said which.
    pub(crate) fn client(
        &self,
        trusts: bool,
        trusting: impl FnOnce() -> Result<ClientConfigBuilder, Problem>,
    ) -> Result<ClientConfigBuilder, Problem> {
        match self.chosen()? {
            None => trusting(),
            Some(key) if trusts => Ok(trusting()?.add_shared_key(key)),
            Some(key) => Ok(sealgram::ClientConfig::with_shared_key(key)),
        }
    }

    /// The same server with all keys.
    pub(crate) fn server(
        &self,
        builder: ServerConfigBuilder,
    ) -> Result<ServerConfigBuilder, Problem> {
        if self.psk_identity.is_some() && self.psk_hex.is_none() {
            return Err(Problem::usage(
                "--psk-identity: a server serves every key of its file; without one it needs --psk-hex",
            ));
        }
        let keys = self.all()?;
        Ok(match keys.is_empty() {
            true => builder,
            false => builder.shared_keys(Arc::new(SharedKeys::new(keys))),
        })
    }

    /// Whether there are any.
    pub(crate) const fn any(&self) -> bool {
        self.psk_file.is_some() || self.psk_text_file.is_some() || self.psk_hex.is_some()
    }

    fn chosen(&self) -> Result<Option<SharedKey>, Problem> {
        let keys = self.all()?;
        let Some(identity) = &self.psk_identity else {
            return match <[SharedKey; 1]>::try_from(keys) {
                Ok([only]) => Ok(Some(only)),
                Err(keys) if keys.is_empty() && !self.any() => Ok(None),
                Err(keys) => Err(Problem::usage(format!(
                    "the file of pre-shared keys has {} keys; say which one with --psk-identity",
                    keys.len()
                ))),
            };
        };
        if !self.any() {
            return Err(Problem::usage(
                "--psk-identity needs --psk-file with its key",
            ));
        }
        let named = |key: &SharedKey| key.name().identity() == identity.as_bytes();
        let key = keys.into_iter().find(named);
        key.map(Some).ok_or_else(|| {
            Problem::usage(format!(
                "--psk-identity: no key of the file has the identity {identity}"
            ))
        })
    }

    fn all(&self) -> Result<Vec<SharedKey>, Problem> {
        if let (Some(identity), Some(digits)) = (&self.psk_identity, &self.psk_hex) {
            let reason = "the key is on the command line, where every user of this machine can read it; use --psk-file";
            Line::new("warning").field("reason", reason).print();
            let key = hexadecimal(digits)
                .ok_or_else(|| Problem::usage(format!("--psk-hex: {NOT_HEXADECIMAL}")))?;
            let made = self.key(identity.as_bytes(), &key);
            return Ok(vec![made.map_err(|reason| {
                Problem::usage(format!("--psk-hex: {reason}"))
            })?]);
        }
        match (&self.psk_file, &self.psk_text_file) {
            (Some(file), _) => self.read("--psk-file", file, Encoding::Hexadecimal),
            (None, Some(file)) => self.read("--psk-text-file", file, Encoding::Text),
            (None, None) => Ok(Vec::new()),
        }
    }

    fn read(&self, option: &str, file: &Path, as_: Encoding) -> Result<Vec<SharedKey>, Problem> {
        let unusable =
            |reason: String| Problem::usage(format!("{option} {}: {reason}", file.display()));
        let text = std::fs::read(file).map_err(|error| unusable(error.to_string()))?;
        let text = Zeroizing::new(text);
        let mut known = HashSet::new();
        let mut keys = Vec::new();
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            let at = |reason: &str| unusable(format!("line {}: {reason}", index + 1));
            let key = self.line(line, as_).map_err(|reason| at(&reason))?;
            if !known.insert(key.name().clone()) {
                return Err(at("this identity has a key already"));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(unusable("it has no key".to_owned()));
        }
        Ok(keys)
    }

    /// The key of a line. Digits have no colon, so an identity may have some; of text it is not
    /// known where it ends, so it begins after the first.
    fn line(&self, line: &[u8], as_: Encoding) -> Result<SharedKey, String> {
        let is_colon = |byte: &u8| *byte == b':';
        let colon = match as_ {
            Encoding::Hexadecimal => line.iter().rposition(is_colon),
            Encoding::Text => line.iter().position(is_colon),
        };
        let colon = colon.ok_or("a line is IDENTITY:KEY, and this one has no colon")?;
        let (identity, key) = (&line[..colon], &line[colon + 1..]);
        let identity = match identity.strip_prefix(b"#") {
            None => Zeroizing::new(identity.to_vec()),
            Some(digits) => std::str::from_utf8(digits)
                .ok()
                .and_then(hexadecimal)
                .ok_or("an identity that begins with # is in hexadecimal digits")?,
        };
        let key = match as_ {
            Encoding::Text => Zeroizing::new(key.to_vec()),
            Encoding::Hexadecimal => std::str::from_utf8(key)
                .ok()
                .and_then(hexadecimal)
                .ok_or(NOT_HEXADECIMAL)?,
        };
        self.key(&identity, &key)
    }

    fn key(&self, identity: &[u8], key: &[u8]) -> Result<SharedKey, String> {
        let made = match (&self.psk_context, self.allow_short_psk) {
            (Some(context), _) => SharedKey::imported(identity, context.as_bytes(), key),
            (None, true) => SharedKey::new_short(identity, key),
            (None, false) => SharedKey::new(identity, key),
        };
        made.map_err(|error| match key.len() {
            1..16 => format!(
                "the key has {} bytes, and below 16 it can be guessed; --allow-short-psk takes it all the same",
                key.len()
            ),
            _ => error.to_string(),
        })
    }
}

const NOT_HEXADECIMAL: &str = "the key is not in hexadecimal digits, two for each byte; keys that are text belong into a file for --psk-text-file";

/// The bytes that these digits stand for.
fn hexadecimal(digits: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = digits.as_bytes();
    let mut out = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    let (pairs, rest) = digits.as_chunks::<2>();
    for [high, low] in pairs {
        let value = |digit: u8| char::from(digit).to_digit(16);
        let byte = value(*high)? << 4 | value(*low)?;
        out.push(u8::try_from(byte).ok()?);
    }
    rest.is_empty().then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f";

    fn of(line: &str, encoding: Encoding) -> Result<Vec<u8>, String> {
        let arguments = SharedKeyArguments::default();
        let key = arguments.line(line.as_bytes(), encoding)?;
        Ok(key.name().identity().to_vec())
    }

    #[test]
    fn lines_are_those_of_psktool() {
        let hexadecimal = |line: &str| of(line, Encoding::Hexadecimal);
        assert_eq!(hexadecimal(&format!("device:{KEY}")), Ok(b"device".into()));
        assert_eq!(hexadecimal(&format!("a:b c:{KEY}")), Ok(b"a:b c".into()));
        assert_eq!(hexadecimal(&format!(":{KEY}")), Ok(vec![]));
        assert_eq!(hexadecimal(&format!("#00fF:{KEY}")), Ok(vec![0, 255]));
        assert!(hexadecimal(&format!("#0:{KEY}")).is_err());
        assert!(hexadecimal("device").unwrap_err().contains("colon"));
        let text = |line: &str| of(line, Encoding::Text);
        assert_eq!(text("a:sixteen bytes: or more"), Ok(b"a".into()));
    }

    #[test]
    fn keys_are_imported_for_a_context() {
        let arguments = SharedKeyArguments {
            psk_context: Some("of a, for b".to_owned()),
            ..SharedKeyArguments::default()
        };
        let line = format!("device:{KEY}");
        let key = arguments.line(line.as_bytes(), Encoding::Hexadecimal);
        let key = key.unwrap();
        assert_eq!(key.name().context(), Some(&b"of a, for b"[..]));
    }

    /// K14: whoever takes the one for the other is told so.
    #[test]
    fn k14_text_is_not_taken_for_hexadecimal_digits() {
        for key in ["a secret of text", "0", "0g", "abc", ""] {
            let error = of(&format!("device:{key}"), Encoding::Hexadecimal);
            let error = error.unwrap_err();
            let names = error.contains("--psk-text-file") || key.is_empty();
            assert!(names && !error.contains("a secret"), "{error}");
        }
        let short = of("device:0011", Encoding::Hexadecimal).unwrap_err();
        assert!(short.contains("--allow-short-psk"), "{short}");
        let arguments = SharedKeyArguments {
            allow_short_psk: true,
            ..SharedKeyArguments::default()
        };
        assert!(arguments.line(b"a:00", Encoding::Hexadecimal).is_ok());
        assert!(arguments.line(b"a:", Encoding::Hexadecimal).is_err());
    }
}
