//! Bytes to values and back. Decoding has no state, allocates in proportion to its input and never
//! panics; a decoded value needs no further checks of form.

pub(crate) mod ack;
pub(crate) mod alert;
pub(crate) mod certificate;
pub(crate) mod certificate_request;
pub(crate) mod client_hello;
pub(crate) mod codec;
pub(crate) mod connection_id_update;
pub(crate) mod extension;
pub(crate) mod handshake;
pub(crate) mod hello_verify_request;
pub(crate) mod imported_identity;
pub(crate) mod key_exchange;
pub(crate) mod key_update;
pub(crate) mod message;
pub(crate) mod new_session_ticket;
pub(crate) mod record_datagram;
pub(crate) mod record_dtls;
pub(crate) mod record_dtls13;
pub(crate) mod record_tls;
pub(crate) mod return_routability;
pub(crate) mod server_hello;
pub(crate) mod signed;
