//! client_certificate_type and server_certificate_type (RFC 7250 §3): a client lists types, a
//! server names one.

use super::put_extension;
use crate::error::InvalidMessage;
use crate::protocol::{CertificateType, ExtensionType};
use crate::wire::codec::{Reader, Writer};

/// Reads a client's list. An empty one is left to whoever judges the hello.
pub(super) fn decode_list(
    body: &mut Reader<'_>,
    what: &'static str,
) -> Result<Vec<CertificateType>, InvalidMessage> {
    let types = body.vec8(what)?;
    Ok(types.iter().copied().map(CertificateType).collect())
}

/// Appends a client's lists, as far as they are there.
pub(super) fn put_lists(
    out: &mut Vec<u8>,
    client: Option<&[CertificateType]>,
    server: Option<&[CertificateType]>,
) {
    let client = client.map(|list| (ExtensionType::CLIENT_CERTIFICATE_TYPE, list));
    let server = server.map(|list| (ExtensionType::SERVER_CERTIFICATE_TYPE, list));
    for (typ, list) in client.into_iter().chain(server) {
        put_extension(out, typ, |out| {
            out.put_vec(1, |out| list.iter().for_each(|typ| out.put_u8(typ.0)));
        });
    }
}

/// What a server says of both directions, in ServerHello at 1.2 and in EncryptedExtensions at 1.3.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct ChosenTypes {
    /// What the client shows, if it shows something.
    pub(crate) client: Option<CertificateType>,
    /// What the server shows.
    pub(crate) server: Option<CertificateType>,
}

impl ChosenTypes {
    /// Takes in an extension if it is one of the two.
    pub(super) fn decode(
        &mut self,
        typ: ExtensionType,
        body: &mut Reader<'_>,
    ) -> Result<(), InvalidMessage> {
        match typ {
            ExtensionType::CLIENT_CERTIFICATE_TYPE => {
                self.client = Some(CertificateType(body.u8("client_certificate_type")?));
            }
            ExtensionType::SERVER_CERTIFICATE_TYPE => {
                self.server = Some(CertificateType(body.u8("server_certificate_type")?));
            }
            _ => {}
        }
        Ok(())
    }

    /// Appends both, as far as they are there.
    pub(super) fn put(self, out: &mut Vec<u8>) {
        let client = self
            .client
            .map(|it| (ExtensionType::CLIENT_CERTIFICATE_TYPE, it));
        let server = self
            .server
            .map(|it| (ExtensionType::SERVER_CERTIFICATE_TYPE, it));
        for (typ, chosen) in client.into_iter().chain(server) {
            put_extension(out, typ, |out| out.put_u8(chosen.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::extension::{ClientExtensions, EncryptedExtensions, ServerExtensions};

    fn block(typ: ExtensionType, body: &[u8]) -> Vec<u8> {
        let mut block = Vec::new();
        block.put_vec(2, |out| put_extension(out, typ, |out| out.put(body)));
        block
    }

    const BOTH: [ExtensionType; 2] = [
        ExtensionType::CLIENT_CERTIFICATE_TYPE,
        ExtensionType::SERVER_CERTIFICATE_TYPE,
    ];

    /// RFC 7250 §3: numbers 19 and 20; a list of one byte each, with a length of one byte, from
    /// the client.
    #[test]
    fn n58_01_a_client_lists_types() {
        assert_eq!(BOTH.map(|typ| typ.0), [19, 20]);
        for (place, typ) in BOTH.into_iter().enumerate() {
            let read = |body: &[u8]| {
                let block = block(typ, body);
                let found = ClientExtensions::decode(&mut Reader::new(&block))?;
                Ok::<_, InvalidMessage>(match place {
                    0 => found.client_certificate_types,
                    _ => found.server_certificate_types,
                })
            };
            let types = vec![CertificateType(2), CertificateType(0), CertificateType(255)];
            assert_eq!(read(&[3, 2, 0, 255]), Ok(Some(types.clone())));
            for bad in [&[][..], &[2, 2], &[1, 2, 0]] {
                assert!(read(bad).is_err(), "{bad:?}");
            }
            let lists = match place {
                0 => [Some(&types[..]), None],
                _ => [None, Some(&types[..])],
            };
            let mut out = Vec::new();
            out.put_vec(2, |out| put_lists(out, lists[0], lists[1]));
            assert_eq!(out, block(typ, &[3, 2, 0, 255]));
        }
    }

    /// RFC 7250 §3: one byte from the server, in either message.
    #[test]
    fn n58_01_a_server_names_one_type() {
        for typ in BOTH {
            let read = |body: &[u8]| {
                let block = block(typ, body);
                let hello = ServerExtensions::decode(&mut Reader::new(&block), false);
                let encrypted = EncryptedExtensions::decode(&block);
                assert_eq!(hello.is_ok(), encrypted.is_ok());
                let encrypted = encrypted?.certificate_types;
                assert_eq!(hello?.certificate_types, encrypted);
                Ok::<_, InvalidMessage>(encrypted)
            };
            let chosen = read(&[2]).unwrap();
            let mut out = Vec::new();
            out.put_vec(2, |out| chosen.put(out));
            assert_eq!(out, block(typ, &[2]));
            for bad in [&[][..], &[2, 0], &[1, 2]] {
                assert!(read(bad).is_err(), "{bad:?}");
            }
        }
    }
}
