//! Hello extensions: one field for each known one, so that the types tell which are present and
//! none occurs twice.

mod certificate_type;
mod client;
mod connection_id;
mod encrypted;
mod key_share;
mod psk;
mod record_limits;
mod server;
mod srtp;

pub(crate) use certificate_type::ChosenTypes;
pub(crate) use client::ClientExtensions;
pub(crate) use encrypted::EncryptedExtensions;
pub(crate) use key_share::KeyShare;
pub(crate) use psk::{OfferedPsks, PskIdentity};
pub(crate) use record_limits::LimitExtensions;
pub(crate) use server::{ServerExtensions, ServerShare};

use super::codec::{Reader, Writer};
use crate::error::InvalidMessage;
use crate::protocol::ExtensionType;
use std::collections::BTreeSet;

/// Calls `each` with every extension of a hello; duplicates are an error (RFC 5246 §7.4.1.4).
///
/// An absent block, as opposed to an empty one, is legal (RFC 5246 §7.4.1.2). The number of
/// extensions is limited only by the 65,535 bytes of their block.
pub(crate) fn decode_block(
    reader: &mut Reader<'_>,
    mut each: impl FnMut(ExtensionType, &mut Reader<'_>) -> Result<Known, InvalidMessage>,
) -> Result<(), InvalidMessage> {
    if reader.is_empty() {
        return Ok(());
    }
    let mut block = Reader::new(reader.vec16("extensions")?);
    let mut seen = Seen::default();
    while !block.is_empty() {
        let typ = ExtensionType(block.u16("extension type")?);
        let mut body = Reader::new(block.vec16("extension")?);
        if !seen.insert(typ.0) {
            return Err(InvalidMessage::DuplicateExtension(typ.0));
        }
        if each(typ, &mut body)? == Known::Yes {
            body.finish("extension")?;
        }
    }
    Ok(())
}

/// How many extensions an honest hello has at most, in practice.
const FEW: usize = 24;

/// The types of the extensions so far. The first few are a plain list; if a peer sends thousands,
/// the check for duplicates costs O(log n) for each.
#[derive(Default)]
struct Seen {
    few: [u16; FEW],
    count: usize,
    more: BTreeSet<u16>,
}

impl Seen {
    /// Adds an extension. Returns whether it is the first of its type.
    fn insert(&mut self, typ: u16) -> bool {
        if self.few[..self.count].contains(&typ) {
            return false;
        }
        let Some(place) = self.few.get_mut(self.count) else {
            return self.more.insert(typ);
        };
        *place = typ;
        self.count += 1;
        true
    }
}

/// Whether an extension was understood; if so, bytes left over in it are an error.
#[derive(PartialEq, Eq)]
pub(crate) enum Known {
    Yes,
    No,
}

/// Appends one extension.
/// Decodes the body of certificate_authorities: at least one name (RFC 8446 §4.2.4).
pub(crate) fn decode_names(body: &mut Reader<'_>) -> Result<Vec<Vec<u8>>, InvalidMessage> {
    let mut list = Reader::new(body.vec16("authorities")?);
    if list.is_empty() {
        return Err(InvalidMessage::EmptyList("authorities"));
    }
    let mut names = Vec::new();
    while !list.is_empty() {
        names.push(list.vec16("distinguished name")?.to_vec());
    }
    Ok(names)
}

pub(crate) fn put_extension(
    out: &mut Vec<u8>,
    typ: ExtensionType,
    body: impl FnOnce(&mut Vec<u8>),
) {
    out.put_u16(typ.0);
    out.put_vec(2, body);
}

/// Reads a ProtocolNameList (RFC 7301 §3.1): a non-empty list of non-empty names.
fn decode_protocols(body: &mut Reader<'_>) -> Result<Vec<Vec<u8>>, InvalidMessage> {
    let mut list = Reader::new(body.vec16("protocol_name_list")?);
    let mut protocols = Vec::new();
    while !list.is_empty() {
        let name = list.vec8("protocol name")?;
        if name.is_empty() {
            return Err(InvalidMessage::EmptyList("protocol name"));
        }
        protocols.push(name.to_vec());
    }
    if protocols.is_empty() {
        return Err(InvalidMessage::EmptyList("protocol_name_list"));
    }
    Ok(protocols)
}

fn put_protocols<'a>(out: &mut Vec<u8>, protocols: impl IntoIterator<Item = &'a [u8]>) {
    out.put_vec(2, |out| {
        for protocol in protocols {
            out.put_vec(1, |out| out.put(protocol));
        }
    });
}
