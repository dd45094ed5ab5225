//! What a tunnel tells about itself: counters, as a line of JSON a second or as Prometheus takes
//! them.
//!
//! Nobody who reads them can hold the tunnel up: lines go to standard output by a thread of their
//! own, and what it cannot write is left out; a reader of the socket is given what fits its buffer.

use crate::arguments::StatusTarget;
use crate::problem::Problem;
use crate::report::Line;
use mio::{Registry, Token};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// What has happened since the tunnel began. Datagrams are those of local programs and of the
/// service; the tunnel's own do not count.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Counters {
    /// Plain datagrams that came, and their bytes.
    pub(super) plain_received: u64,
    pub(super) plain_received_bytes: u64,
    /// Plain datagrams that were sent, and their bytes.
    pub(super) plain_sent: u64,
    pub(super) plain_sent_bytes: u64,
    /// Plain datagrams that were protected and sent to the other end.
    pub(super) sealed: u64,
    /// Plain datagrams that were larger than what fits a record of the tunnel.
    pub(super) dropped_too_large: u64,
    /// Empty ones, which no record can carry.
    pub(super) dropped_empty: u64,
    /// Those for which the queue of a flow, or of all flows, had no room.
    pub(super) dropped_queue_full: u64,
    /// Those that waited for more than ten seconds.
    pub(super) dropped_stale: u64,
    /// Those for which the way to the other end had no room.
    pub(super) dropped_backlog: u64,
    /// Those whose association ended before they were sent.
    pub(super) dropped_closed: u64,
    /// Those of local addresses that no flow was made for.
    pub(super) dropped_no_flow: u64,
    /// Those that the system did not take on the plain side.
    pub(super) dropped_unsent: u64,
    /// Reports of the system that the service, or a local program, is not there.
    pub(super) plain_unreachable: u64,
    /// The same about the other end of the tunnel.
    pub(super) peer_unreachable: u64,
    pub(super) flows_opened: u64,
    /// Flows that ended because nothing came.
    pub(super) flows_idle: u64,
    /// Those that went for newcomers.
    pub(super) flows_evicted: u64,
    /// Newcomers that were not served, because no flow was idle.
    pub(super) flows_refused: u64,
    pub(super) handshakes_full: u64,
    pub(super) handshakes_resumed: u64,
    pub(super) handshakes_failed: u64,
    /// Associations that were established and failed.
    pub(super) associations_failed: u64,
    /// Those that the other end has closed.
    pub(super) associations_closed: u64,
    /// Those whose other end was asked whether it is there, and has not answered.
    pub(super) associations_dead: u64,
    /// How often other ends were asked.
    pub(super) liveness_checks: u64,
    /// Renegotiations and key updates, of both ends and for whatever reason.
    pub(super) keys_replaced: u64,
    /// Peers that have moved to another address.
    pub(super) paths_changed: u64,
    pub(super) reloads: u64,
    pub(super) reloads_failed: u64,
}

/// Counters, and how things are at the moment.
#[derive(Debug, Serialize)]
pub(super) struct Snapshot {
    /// The version of this form.
    pub(super) format: u64,
    /// `client` or `server`.
    pub(super) role: &'static str,
    pub(super) uptime_seconds: u64,
    /// Flows that there are.
    pub(super) flows: usize,
    /// Handshakes that are under way.
    pub(super) handshaking: usize,
    /// What waits for handshakes.
    pub(super) queued_datagrams: usize,
    pub(super) queued_bytes: usize,
    /// Datagrams of strangers that belong to no association.
    pub(super) strays: u64,
    #[serde(flatten)]
    pub(super) counters: Counters,
}

/// What is no counter.
const GAUGES: [&str; 5] = [
    "uptime_seconds",
    "flows",
    "handshaking",
    "queued_datagrams",
    "queued_bytes",
];

impl Snapshot {
    /// Every number with its name.
    fn numbers(&self) -> impl Iterator<Item = (String, u64)> {
        let value = serde_json::to_value(self).unwrap_or_default();
        let fields = match value {
            serde_json::Value::Object(fields) => fields,
            _ => serde_json::Map::new(),
        };
        let numbers = fields.into_iter();
        numbers.filter_map(|(name, value)| Some((name, value.as_u64()?)))
    }

    /// As one line of JSON, without its end.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As Prometheus takes them.
    pub(super) fn prometheus(&self) -> String {
        let mut out = String::new();
        for (name, number) in self.numbers().filter(|(name, _)| name != "format") {
            let (suffix, kind) = match GAUGES.contains(&name.as_str()) {
                true => ("", "gauge"),
                false => ("_total", "counter"),
            };
            let name = format!("sealgram_tunnel_{name}{suffix}");
            let role = self.role;
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "# TYPE {name} {kind}\n{name}{{role=\"{role}\"}} {number}"
            );
        }
        out
    }

    /// As an event line.
    pub(super) fn line(&self) -> Line {
        let line = Line::new("tunnel_counters").field("role", self.role);
        let shown = self.numbers().filter(|(name, _)| name != "format");
        shown.fold(line, |line, (name, number)| line.field(&name, number))
    }
}

/// Where they are told.
#[derive(Debug)]
pub(super) enum Status {
    Nowhere,
    /// A line a second goes to the thread that writes them.
    Output {
        lines: SyncSender<String>,
        next: Instant,
    },
    #[cfg(unix)]
    Socket(socket::Listener),
}

/// How often a line is written.
const SECOND: Duration = Duration::from_secs(1);

impl Status {
    /// Begins to tell. `token` is for the readers of a socket.
    pub(super) fn open(
        now: Instant,
        target: Option<&StatusTarget>,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, Problem> {
        match target {
            None => Ok(Self::Nowhere),
            Some(StatusTarget::Output) => Ok(Self::Output {
                lines: writer(),
                next: now + SECOND,
            }),
            #[cfg(unix)]
            Some(StatusTarget::Socket(path)) => {
                socket::Listener::bind(path, registry, token).map(Self::Socket)
            }
            #[cfg(not(unix))]
            Some(StatusTarget::Socket(_)) => {
                let _unused = (registry, token);
                Err(Problem::usage(
                    "--status: this system has no Unix sockets; use -",
                ))
            }
        }
    }

    /// When a line is due.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Output { next, .. } => Some(*next),
            _ => None,
        }
    }

    /// Writes a line if it is time.
    pub(super) fn tick(&mut self, now: Instant, snapshot: impl FnOnce() -> Snapshot) {
        if let Self::Output { lines, next } = self
            && *next <= now
        {
            *next = now + SECOND;
            // A reader that is behind misses lines.
            let _left_out = lines.try_send(snapshot().json());
        }
    }

    /// Readers have come.
    pub(super) fn accept(&mut self, snapshot: impl FnOnce() -> Snapshot) {
        #[cfg(unix)]
        if let Self::Socket(listener) = self {
            listener.serve(&snapshot().prometheus());
        }
        #[cfg(not(unix))]
        drop(snapshot);
    }
}

/// A thread that writes lines to standard output. It ends with the tunnel, or when nobody reads.
fn writer() -> SyncSender<String> {
    let (sender, receiver) = sync_channel::<String>(1);
    thread::spawn(move || {
        for mut line in receiver {
            line.push('\n');
            let mut out = std::io::stdout().lock();
            if out
                .write_all(line.as_bytes())
                .and_then(|()| out.flush())
                .is_err()
            {
                return;
            }
        }
    });
    sender
}

#[cfg(unix)]
mod socket {
    use super::Problem;
    use mio::net::UnixListener;
    use mio::{Interest, Registry, Token};
    use std::io::{ErrorKind, Write as _};
    use std::os::unix::fs::FileTypeExt as _;
    use std::path::{Path, PathBuf};

    /// How many readers are served in one turn.
    const AT_ONCE: usize = 16;

    /// A Unix socket whose readers are given the counters once. The file goes with it.
    #[derive(Debug)]
    pub(in super::super) struct Listener {
        listener: UnixListener,
        path: PathBuf,
    }

    impl Listener {
        pub(super) fn bind(
            path: &Path,
            registry: &Registry,
            token: Token,
        ) -> Result<Self, Problem> {
            let failed = |error: std::io::Error| {
                Problem::usage(format!("--status {}: {error}", path.display()))
            };
            // What a tunnel that was killed has left behind; a file that is something else, or that
            // somebody serves, is not touched.
            let is_socket = path.metadata().is_ok_and(|it| it.file_type().is_socket());
            if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
                std::fs::remove_file(path).map_err(failed)?;
            }
            let mut listener = UnixListener::bind(path).map_err(failed)?;
            registry
                .register(&mut listener, token, Interest::READABLE)
                .map_err(failed)?;
            Ok(Self {
                listener,
                path: path.to_owned(),
            })
        }

        /// Gives everybody who waits the text.
        pub(super) fn serve(&self, text: &str) {
            for _ in 0..AT_ONCE {
                match self.listener.accept() {
                    Ok((mut reader, _)) => {
                        // It fits the buffer of a new socket; a reader that has gone is none.
                        let _gone = reader.write_all(text.as_bytes());
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => return,
                }
            }
        }
    }

    impl Drop for Listener {
        fn drop(&mut self) {
            let _gone_already = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            format: 1,
            role: "server",
            uptime_seconds: 7,
            flows: 3,
            handshaking: 0,
            queued_datagrams: 0,
            queued_bytes: 0,
            strays: 5,
            counters: Counters {
                sealed: 9,
                ..Counters::default()
            },
        }
    }

    #[test]
    fn counters_and_gauges_are_told_as_what_they_are() {
        let text = snapshot().prometheus();
        for line in [
            "# TYPE sealgram_tunnel_flows gauge",
            "sealgram_tunnel_flows{role=\"server\"} 3",
            "# TYPE sealgram_tunnel_sealed_total counter",
            "sealgram_tunnel_sealed_total{role=\"server\"} 9",
            "sealgram_tunnel_strays_total{role=\"server\"} 5",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
        assert!(!text.contains("format"), "{text}");
        let snapshot = snapshot();
        let names: Vec<_> = snapshot.numbers().map(|(name, _)| name).collect();
        assert!(GAUGES.iter().all(|name| names.iter().any(|it| it == name)));
    }

    /// `docs/tunnel.md` says what each means.
    #[test]
    fn the_manual_of_the_tunnel_has_every_number() {
        let manual = include_str!("../../../docs/tunnel.md");
        for (name, _) in snapshot().numbers() {
            assert!(manual.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn the_line_of_json_is_one_line_with_every_number() {
        let line = snapshot().json();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(
            (&value["role"], &value["sealed"]),
            (&"server".into(), &9.into())
        );
        assert_eq!(value["format"], 1);
    }
}
