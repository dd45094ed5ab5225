//! What systemd passes to a service and is told by it: `LISTEN_FDS`, `NOTIFY_SOCKET`. Elsewhere
//! nothing is passed, and nobody listens.

use crate::problem::Problem;
use std::net::UdpSocket;

/// What `--listen` says for the socket that systemd passes.
pub(super) const PASSED: &str = "systemd";

/// The first UDP socket that systemd has passed to this process.
#[cfg(unix)]
pub(super) fn passed_socket() -> Result<UdpSocket, Problem> {
    let mut passed = listenfd::ListenFd::from_env();
    let sockets = (0..passed.len()).filter_map(|index| passed.take_udp_socket(index).ok()?);
    let socket = { sockets }.next();
    socket.ok_or_else(|| {
        Problem::usage(
            "--listen systemd: no UDP socket was passed to this process (LISTEN_FDS); its unit of \
             type socket needs ListenDatagram=",
        )
    })
}

#[cfg(not(unix))]
pub(super) fn passed_socket() -> Result<UdpSocket, Problem> {
    Err(Problem::usage(
        "--listen systemd: this system has no systemd",
    ))
}

/// The tunnel listens.
pub(super) fn ready(status: &str) {
    tell(&State::Ready(status));
}

/// Files are being read anew; [`ready`] follows.
pub(super) fn reloading() {
    tell(&State::Reloading);
}

/// The tunnel ends.
pub(super) fn stopping() {
    tell(&State::Stopping);
}

/// What it is doing.
pub(super) fn status(status: &str) {
    tell(&State::Status(status));
}

enum State<'a> {
    Ready(&'a str),
    Reloading,
    Stopping,
    Status(&'a str),
}

/// A manager that does not listen is no reason to stop.
#[cfg(unix)]
fn tell(state: &State<'_>) {
    use sd_notify::{NotifyState, notify};
    let _nobody = match *state {
        State::Ready(status) => notify(&[NotifyState::Ready, NotifyState::Status(status)]),
        State::Reloading => {
            // Of units of the type notify-reload.
            let now = NotifyState::monotonic_usec_now();
            now.and_then(|now| notify(&[NotifyState::Reloading, now]))
        }
        State::Stopping => notify(&[NotifyState::Stopping]),
        State::Status(status) => notify(&[NotifyState::Status(status)]),
    };
}

#[cfg(not(unix))]
const fn tell(_: &State<'_>) {}
