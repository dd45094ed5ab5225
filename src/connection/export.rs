//! Keys for use outside the record layer: what protocols above derive, and what a kernel takes
//! over.

use super::phase::Phase;
use super::{Connection, TlsConnection};
use crate::error::ApiMisuse;
use crate::handshake::CompletedKind;
use crate::record::{Layer as _, RecordLayer};
use std::fmt;

/// What protects one direction of a connection of version 1.3 (RFC 8446 §7.1): record keys are
/// derived from it (§7.3).
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ExportedSecret<'a> {
    /// The secret, as long as a digest of the hash function of the suite.
    pub secret: &'a [u8],
    /// The number of the next record under it.
    pub next_sequence: u64,
}

/// What protects both directions of a connection of version 1.3.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TrafficSecrets<'a> {
    /// What this end reads with.
    pub read: ExportedSecret<'a>,
    /// What this end writes with.
    pub write: ExportedSecret<'a>,
}

impl fmt::Debug for ExportedSecret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportedSecret")
            .field("next_sequence", &self.next_sequence)
            .finish_non_exhaustive()
    }
}

impl TlsConnection {
    /// The secrets in force at version 1.3, for a kernel or a network card that takes over the
    /// records. They change with every key update of either end. Drain
    /// [`TlsConnection::poll_transmit`] first, because what waits there is already sealed, and send
    /// nothing through this connection afterwards: a record number must never be used twice.
    ///
    /// # Errors
    ///
    /// The connection goes on. `HandshakeNotComplete` before the handshake is done,
    /// `NotSupportedByVersion` at 1.2.
    pub fn traffic_secrets(&self) -> Result<TrafficSecrets<'_>, ApiMisuse> {
        let established = self.phase.established();
        let established = established.ok_or(ApiMisuse::HandshakeNotComplete)?;
        let post = established.post_ref();
        let (read, write) = post.ok_or(ApiMisuse::NotSupportedByVersion)?.secrets();
        Ok(TrafficSecrets {
            read: ExportedSecret {
                secret: read,
                next_sequence: self.records.read(),
            },
            write: ExportedSecret {
                secret: write,
                next_sequence: self.records.written(),
            },
        })
    }
}

impl<R: RecordLayer> Connection<R> {
    /// Fills `out` with keying material for `label` (RFC 5705, RFC 8446 §7.5). At version 1.2 an
    /// absent context differs from an empty one.
    ///
    /// # Errors
    ///
    /// The association goes on. `HandshakeNotComplete` before the handshake is done;
    /// `BadExporterArguments` if the context has more than 65,535 bytes, or at 1.3 if more is asked
    /// for than 255 digests or the label has more than 249 bytes;
    /// `ExporterNeedsExtendedMasterSecret` if the peer lacks RFC 7627 (§5.4). `Renegotiating` comes
    /// only with the feature `conformance`, where a judge wants no export while a renegotiation
    /// runs; otherwise the keys in force are exported from.
    pub fn export_keying_material(
        &self,
        out: &mut [u8],
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Result<(), ApiMisuse> {
        let renegotiating = matches!(self.phase, Phase::Renegotiating { .. });
        if renegotiating
            && self
                .role
                .parameters()
                .conformance
                .refuse_export_during_renegotiation
        {
            return Err(ApiMisuse::Renegotiating);
        }
        let established = self
            .phase
            .established()
            .ok_or(ApiMisuse::HandshakeNotComplete)?;
        let established = match &established.kind {
            CompletedKind::V12(established) => established,
            CompletedKind::V13(post) => {
                return post
                    .exporter()
                    .export(label, context.unwrap_or_default(), out)
                    .map_err(|_| ApiMisuse::BadExporterArguments);
            }
        };
        if !established.session.extended_master_secret {
            return Err(ApiMisuse::ExporterNeedsExtendedMasterSecret);
        }
        let length = u16::try_from(context.unwrap_or_default().len())
            .map_err(|_| ApiMisuse::BadExporterArguments)?
            .to_be_bytes();
        let context = context.map(|context| (&length, context));
        established
            .session
            .master_secret
            .export(&established.randoms, label, context, out);
        Ok(())
    }
}
