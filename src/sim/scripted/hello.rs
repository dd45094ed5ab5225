//! Hellos as a script sees them: fields and extensions as plain numbers and bytes, honest or not.

use super::SCHEMES;
use super::keys::Wire;
use crate::crypto::suite::{first_12, suites_12};
use crate::error::InvalidMessage;
use crate::protocol::{
    CipherSuite, CompressionMethod, ExtensionType, NamedGroup, PointFormat, ProtocolVersion,
};
use crate::wire::codec::{Reader, Writer};

/// The body of a ClientHello. Extensions keep their order, and may occur twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientOffer {
    /// The version.
    pub version: u16,
    /// The random.
    pub random: [u8; 32],
    /// The session ID.
    pub session_id: Vec<u8>,
    /// The cookie; filled in from a HelloVerifyRequest that is received.
    pub cookie: Vec<u8>,
    /// The suites.
    pub suites: Vec<u16>,
    /// The compression methods.
    pub compression: Vec<u8>,
    /// The extensions, by type.
    pub extensions: Vec<(u16, Vec<u8>)>,
    /// Over a stream there is no cookie field.
    pub(super) wire: Wire,
}

/// The body of a ServerHello.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerChoice {
    /// The version.
    pub version: u16,
    /// The random.
    pub random: [u8; 32],
    /// The session ID.
    pub session_id: Vec<u8>,
    /// The suite.
    pub suite: u16,
    /// The compression method.
    pub compression: u8,
    /// The extensions, by type.
    pub extensions: Vec<(u16, Vec<u8>)>,
}

impl ClientOffer {
    /// Everything that this library supports, for a server called `name`; without a name if that is
    /// empty.
    pub(in crate::sim) fn honest(name: &str, random: [u8; 32]) -> Self {
        let list16 = |numbers: &[u16]| {
            let mut body = Vec::new();
            body.put_vec(2, |out| {
                numbers.iter().for_each(|&number| out.put_u16(number))
            });
            body
        };
        let groups = [
            NamedGroup::X25519,
            NamedGroup::SECP256R1,
            NamedGroup::SECP384R1,
        ];
        let mut extensions = vec![
            (ExtensionType::EXTENDED_MASTER_SECRET.0, Vec::new()),
            (ExtensionType::RENEGOTIATION_INFO.0, vec![0]),
            (
                ExtensionType::SUPPORTED_GROUPS.0,
                list16(&groups.map(|group| group.0)),
            ),
            (
                ExtensionType::EC_POINT_FORMATS.0,
                vec![1, PointFormat::UNCOMPRESSED.0],
            ),
            (
                ExtensionType::SIGNATURE_ALGORITHMS.0,
                list16(&SCHEMES.map(|scheme| scheme.0)),
            ),
        ];
        if !name.is_empty() {
            let mut body = Vec::new();
            body.put_vec(2, |out| {
                out.put_u8(0);
                out.put_vec(2, |out| out.put(name.as_bytes()));
            });
            extensions.push((ExtensionType::SERVER_NAME.0, body));
        }
        Self {
            version: ProtocolVersion::DTLS12.0,
            random,
            session_id: Vec::new(),
            cookie: Vec::new(),
            suites: suites_12().map(|suite| suite.id.0).collect(),
            compression: vec![CompressionMethod::NULL.0],
            extensions,
            wire: Wire::Datagram,
        }
    }

    /// The body of the first extension of this type.
    pub fn extension(&self, typ: u16) -> Option<&[u8]> {
        find(&self.extensions, typ)
    }

    /// Leaves out every extension of this type.
    pub fn remove_extension(&mut self, typ: u16) {
        self.extensions.retain(|(known, _)| *known != typ);
    }

    /// Gives the first extension of this type another body, or adds one after the others.
    pub fn set_extension(&mut self, typ: u16, body: &[u8]) {
        set(&mut self.extensions, typ, body);
    }

    /// The body of the message.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.version.to_be_bytes().to_vec();
        out.put(&self.random);
        out.put_vec(1, |out| out.put(&self.session_id));
        if self.wire == Wire::Datagram {
            out.put_vec(1, |out| out.put(&self.cookie));
        }
        out.put_vec(2, |out| {
            self.suites.iter().for_each(|&suite| out.put_u16(suite))
        });
        out.put_vec(1, |out| out.put(&self.compression));
        put_extensions(&self.extensions, &mut out);
        out
    }

    /// The same hello over a stream.
    pub(in crate::sim) fn in_stream(mut self) -> Self {
        self.wire = Wire::Stream;
        self.version = ProtocolVersion::TLS12.0;
        self
    }

    /// Decodes the body of a hello that came over a stream.
    pub(in crate::sim) fn decode_in_stream(body: &[u8]) -> Result<Self, InvalidMessage> {
        Self::decode(Wire::Stream, body)
    }

    pub(super) fn decode(wire: Wire, body: &[u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(body);
        Ok(Self {
            wire,
            version: reader.u16("version")?,
            random: reader.array("random")?,
            session_id: reader.vec8("session_id")?.to_vec(),
            cookie: match wire {
                Wire::Datagram => reader.vec8("cookie")?.to_vec(),
                Wire::Stream => Vec::new(),
            },
            suites: reader.list16("suites", |suite| suite)?,
            compression: reader.vec8("compression")?.to_vec(),
            extensions: read_extensions(&mut reader)?,
        })
    }
}

impl ServerChoice {
    /// The first suite for an ECDSA or EdDSA key.
    pub(in crate::sim) fn honest(random: [u8; 32]) -> Self {
        Self {
            version: ProtocolVersion::DTLS12.0,
            random,
            session_id: Vec::new(),
            suite: first_12().id.0,
            compression: CompressionMethod::NULL.0,
            extensions: Vec::new(),
        }
    }

    /// Grants those extensions of `offer` that an honest server would grant, unless the script has
    /// already set some. `info` is the contents of renegotiation_info; `ticket` is whether a
    /// NewSessionTicket will come.
    pub(super) fn answer(&mut self, offer: &ClientOffer, info: &[u8], ticket: bool) {
        if !self.extensions.is_empty() {
            return;
        }
        let granted = [
            (ExtensionType::EXTENDED_MASTER_SECRET.0, Vec::new()),
            (
                ExtensionType::EC_POINT_FORMATS.0,
                vec![1, PointFormat::UNCOMPRESSED.0],
            ),
            (ExtensionType::SERVER_NAME.0, Vec::new()),
            (ExtensionType::SESSION_TICKET.0, Vec::new()),
        ];
        self.extensions = granted
            .into_iter()
            .filter(|(typ, _)| offer.extension(*typ).is_some())
            .filter(|(typ, _)| ticket || *typ != ExtensionType::SESSION_TICKET.0)
            .collect();
        let signals = offer
            .suites
            .contains(&CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV.0);
        if signals
            || offer
                .extension(ExtensionType::RENEGOTIATION_INFO.0)
                .is_some()
        {
            self.set_extension(ExtensionType::RENEGOTIATION_INFO.0, &length_prefixed(info));
        }
    }

    /// The body of the first extension of this type.
    pub fn extension(&self, typ: u16) -> Option<&[u8]> {
        find(&self.extensions, typ)
    }

    /// Leaves out every extension of this type.
    pub fn remove_extension(&mut self, typ: u16) {
        self.extensions.retain(|(known, _)| *known != typ);
    }

    /// Gives the first extension of this type another body, or adds one after the others.
    pub fn set_extension(&mut self, typ: u16, body: &[u8]) {
        set(&mut self.extensions, typ, body);
    }

    /// The body of the message.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.version.to_be_bytes().to_vec();
        out.put(&self.random);
        out.put_vec(1, |out| out.put(&self.session_id));
        out.put_u16(self.suite);
        out.put_u8(self.compression);
        put_extensions(&self.extensions, &mut out);
        out
    }

    pub(in crate::sim) fn decode(body: &[u8]) -> Result<Self, InvalidMessage> {
        let mut reader = Reader::new(body);
        Ok(Self {
            version: reader.u16("version")?,
            random: reader.array("random")?,
            session_id: reader.vec8("session_id")?.to_vec(),
            suite: reader.u16("suite")?,
            compression: reader.u8("compression")?,
            extensions: read_extensions(&mut reader)?,
        })
    }
}

fn find(extensions: &[(u16, Vec<u8>)], typ: u16) -> Option<&[u8]> {
    extensions
        .iter()
        .find(|(known, _)| *known == typ)
        .map(|(_, body)| body.as_slice())
}

fn set(extensions: &mut Vec<(u16, Vec<u8>)>, typ: u16, body: &[u8]) {
    match extensions.iter_mut().find(|(known, _)| *known == typ) {
        Some((_, known)) => *known = body.to_vec(),
        None => extensions.push((typ, body.to_vec())),
    }
}

/// The body of renegotiation_info (RFC 5746 §3.2).
pub(super) fn length_prefixed(info: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_vec(1, |out| out.put(info));
    body
}

/// An absent block for no extensions (RFC 5246 §7.4.1.2).
fn put_extensions(extensions: &[(u16, Vec<u8>)], out: &mut Vec<u8>) {
    if extensions.is_empty() {
        return;
    }
    out.put_vec(2, |out| {
        for (typ, body) in extensions {
            out.put_u16(*typ);
            out.put_vec(2, |out| out.put(body));
        }
    });
}

fn read_extensions(reader: &mut Reader<'_>) -> Result<Vec<(u16, Vec<u8>)>, InvalidMessage> {
    let mut extensions = Vec::new();
    if reader.is_empty() {
        return Ok(extensions);
    }
    let mut block = Reader::new(reader.vec16("extensions")?);
    while !block.is_empty() {
        let typ = block.u16("extension type")?;
        extensions.push((typ, block.vec16("extension")?.to_vec()));
    }
    Ok(extensions)
}
