//! Many peers at one socket: routes, cookies, floods, strangers; and real sockets.

#[path = "../common/mod.rs"]
mod common;

mod addresses;
mod associations;
mod bursts;
mod cookies;
mod fleet;
mod floods;
mod forged_hellos;
mod full_tables;
mod identified_peers;
mod incoming;
mod many_clients;
mod misuse;
mod moving;
mod path_checks;
mod rebinding;
mod received;
mod renegotiated_ids;
mod running;
#[cfg(feature = "net")]
mod sockets;
mod strangers;
mod tcp;
mod tcp_alerts;
mod udp;
mod udp_deferred;
mod udp_floods;
mod udp_group;
mod udp_narrow_path;
mod udp_rebind;
mod udp_running;
mod wakers;
