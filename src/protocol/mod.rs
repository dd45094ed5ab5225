//! Vocabulary that every floor speaks: protocol numbers, versions, epochs, sides and dialects.
//!
//! Nothing here has behaviour beyond arithmetic that refuses to wrap. Read [`dialect`] first: it
//! lists everything in which TLS and DTLS differ inside the handshake.

pub(crate) mod address;
pub(crate) mod alert;
pub(crate) mod connection_id;
pub(crate) mod dialect;
pub(crate) mod epoch;
pub(crate) mod flight;
pub(crate) mod numbers;
pub(crate) mod path;
pub(crate) mod record_limits;
pub(crate) mod side;
pub(crate) mod version;

pub use alert::{Alert, AlertDescription, AlertLevel};
pub use connection_id::ConnectionId;
pub(crate) use connection_id::{CarriedId, ConnectionIds, MAX_CONNECTION_ID_LEN};
pub(crate) use dialect::{Dialect, LONGEST_TICKET_13};
pub(crate) use epoch::MessageSeq;
pub use epoch::{Epoch, RecordNumber};
pub(crate) use flight::{FlightEnd, FlightId, ReadSwitch, Unacknowledged};
pub(crate) use numbers::{
    CertificateType, ClientCertificateType, CompressionMethod, ContentType, CurveType,
    ExtensionType, HandshakeType, PointFormat, PskKeyExchangeMode, ServerNameType,
};
pub use numbers::{CipherSuite, NamedGroup, SignatureScheme, SrtpProfile};
pub use path::{Ecn, Path};
pub(crate) use record_limits::AgreedLimits;
pub use record_limits::{MaxFragmentLength, RecordLimits};
pub use side::Side;
pub use version::ProtocolVersion;
