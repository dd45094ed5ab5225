//! Packets of RADIUS (RFC 2865), with the attribute that proves them (RFC 3579 §3.2).
//!
//! ```text
//!  code, identifier, length (2), authenticator (16), attributes: type, length, value
//! ```

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use sealgram_interop::failure::{Failure, Outcome};

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) code: u8,
    pub(super) identifier: u8,
    pub(super) authenticator: [u8; 16],
    /// Types and values.
    pub(super) attributes: Vec<(u8, Vec<u8>)>,
}

impl Packet {
    /// A question about a user and a password.
    pub(super) fn request(identifier: u8, name: &str, password: &str, secret: &[u8]) -> Self {
        let authenticator = [identifier; 16];
        let hidden = hide(password.as_bytes(), &authenticator, secret);
        let attributes = vec![(USER_NAME, name.into()), (USER_PASSWORD, hidden)];
        Self {
            code: ACCESS_REQUEST,
            identifier,
            authenticator,
            attributes,
        }
    }

    /// The answer to this request.
    pub(super) fn answer(&self, code: u8, message: &str) -> Self {
        // What was proxied finds its way back by these (RFC 2865 §5.33).
        let proxied = self
            .attributes
            .iter()
            .filter(|(kind, _)| *kind == PROXY_STATE);
        let mut attributes = vec![(REPLY_MESSAGE, message.into())];
        attributes.extend(proxied.cloned());
        Self {
            code,
            attributes,
            ..self.clone()
        }
    }

    pub(super) fn attribute(&self, kind: u8) -> Option<&[u8]> {
        let mut attributes = self.attributes.iter();
        attributes
            .find(|(it, _)| *it == kind)
            .map(|(_, value)| value.as_slice())
    }

    pub(super) fn password(&self, secret: &[u8]) -> Option<String> {
        let mut shown = Vec::new();
        let mut before = self.authenticator.to_vec();
        for block in self.attribute(USER_PASSWORD)?.chunks(16) {
            shown.extend(
                mask(&before, secret)
                    .zip(block)
                    .map(|(mask, byte)| mask ^ byte),
            );
            before = block.to_vec();
        }
        let end = shown
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(shown.len());
        String::from_utf8(shown[..end].to_vec()).ok()
    }

    /// The bytes of a request, with its proof.
    pub(super) fn encode(&self, secret: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes(&self.authenticator);
        prove(&mut bytes, secret);
        bytes
    }

    /// The bytes of an answer: its authenticator is made of the request's (RFC 2865 §3), which is
    /// that of this packet.
    pub(super) fn encode_answer(&self, secret: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes(&self.authenticator);
        prove(&mut bytes, secret);
        let authenticator = Md5::new()
            .chain_update(&bytes)
            .chain_update(secret)
            .finalize();
        bytes[4..20].copy_from_slice(&authenticator);
        bytes
    }

    fn bytes(&self, authenticator: &[u8; 16]) -> Vec<u8> {
        let mut attributes = vec![MESSAGE_AUTHENTICATOR, 18];
        attributes.extend([0; 16]);
        for (kind, value) in &self.attributes {
            attributes.extend([*kind, u8::try_from(value.len() + 2).expect("short")]);
            attributes.extend(value);
        }
        let length = u16::try_from(20 + attributes.len()).expect("short");
        let mut bytes = vec![self.code, self.identifier];
        bytes.extend(length.to_be_bytes());
        bytes.extend(authenticator);
        bytes.extend(attributes);
        bytes
    }

    /// Reads a request, whose Message-Authenticator must be there and right.
    pub(super) fn decode(bytes: &[u8], secret: &[u8]) -> Outcome<Self> {
        let authenticator = bytes.get(4..20).and_then(|it| it.try_into().ok());
        let authenticator = authenticator.ok_or_else(|| Failure::new("a short packet"))?;
        Self::read(bytes, &authenticator, secret)
    }

    /// Reads the answer to `self`, whose two authenticators must be right.
    pub(super) fn decode_answer(&self, bytes: &[u8], secret: &[u8]) -> Outcome<Self> {
        let mut claimed = bytes.to_vec();
        let authenticator = claimed
            .get_mut(4..20)
            .ok_or_else(|| Failure::new("a short packet"))?;
        authenticator.copy_from_slice(&self.authenticator);
        let expected = Md5::new()
            .chain_update(&claimed)
            .chain_update(secret)
            .finalize();
        if bytes[4..20] != expected[..] {
            return Err(Failure::new("a wrong Response Authenticator"));
        }
        Self::read(bytes, &self.authenticator, secret)
    }

    fn read(bytes: &[u8], authenticator: &[u8; 16], secret: &[u8]) -> Outcome<Self> {
        let mut attributes = Vec::new();
        let mut rest = bytes.get(20..).unwrap_or_default();
        let mut unproven = bytes.to_vec();
        unproven[4..20].copy_from_slice(authenticator);
        while let &[kind, length, ..] = rest {
            let at = bytes.len() - rest.len();
            let (whole, after) = rest
                .split_at_checked(length.into())
                .filter(|(whole, _)| whole.len() >= 2)
                .ok_or_else(|| Failure::new("an attribute of a wrong length"))?;
            if kind == MESSAGE_AUTHENTICATOR {
                unproven[at + 2..at + usize::from(length)].fill(0);
            }
            attributes.push((kind, whole[2..].to_vec()));
            rest = after;
        }
        let packet = Self {
            code: bytes[0],
            identifier: bytes[1],
            authenticator: *authenticator,
            attributes,
        };
        let proof = packet.attribute(MESSAGE_AUTHENTICATOR);
        match proof {
            None => Err(Failure::new("no Message-Authenticator")),
            Some(proof) if proof != mac(&unproven, secret) => {
                Err(Failure::new("a wrong Message-Authenticator"))
            }
            Some(_) => Ok(packet),
        }
    }
}

/// Fills in the Message-Authenticator, which is the first attribute.
fn prove(bytes: &mut [u8], secret: &[u8]) {
    let proof = mac(bytes, secret);
    bytes[22..38].copy_from_slice(&proof);
}

fn mac(bytes: &[u8], secret: &[u8]) -> [u8; 16] {
    let keyed = Hmac::<Md5>::new_from_slice(secret).expect("a key of any length");
    keyed.chain_update(bytes).finalize().into_bytes().into()
}

/// RFC 2865 §5.2.
fn hide(password: &[u8], authenticator: &[u8; 16], secret: &[u8]) -> Vec<u8> {
    let mut padded = password.to_vec();
    padded.resize(password.len().next_multiple_of(16), 0);
    let mut hidden: Vec<u8> = Vec::new();
    for block in padded.chunks(16) {
        let before = hidden
            .len()
            .checked_sub(16)
            .map(|start| hidden[start..].to_vec());
        let before = before.unwrap_or(authenticator.to_vec());
        hidden.extend(
            mask(&before, secret)
                .zip(block)
                .map(|(mask, byte)| mask ^ byte),
        );
    }
    hidden
}

fn mask(before: &[u8], secret: &[u8]) -> impl Iterator<Item = u8> {
    let digest = Md5::new()
        .chain_update(secret)
        .chain_update(before)
        .finalize();
    <[u8; 16]>::from(digest).into_iter()
}

pub(super) const ACCESS_REQUEST: u8 = 1;
pub(super) const ACCESS_ACCEPT: u8 = 2;

pub(super) const USER_NAME: u8 = 1;
const USER_PASSWORD: u8 = 2;
pub(super) const REPLY_MESSAGE: u8 = 18;
const PROXY_STATE: u8 = 33;
const MESSAGE_AUTHENTICATOR: u8 = 80;
