//! The result of a bench, for people and for programs.

use super::handshakes::Counts;
use super::machine::{self, Machine};
use super::phase::{Agreed, Common};
use crate::problem::Problem;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// Everything that a bench reports. As JSON it is one line. Its keys do not change their meaning
/// while `format` stays the same, and later ones may come to them; what was not measured is absent.
#[derive(Clone, Serialize, Debug)]
pub(super) struct Figures {
    /// The version of this form.
    pub(super) format: u32,
    /// The program and its version.
    pub(super) program: String,
    /// When the bench began, in UTC.
    pub(super) date: String,
    /// The machine of the client.
    pub(super) machine: Machine,
    pub(super) settings: Settings,
    /// The user ended it before its time.
    pub(super) interrupted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) full: Option<HandshakeFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resumed: Option<HandshakeFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upload: Option<TransferFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) download: Option<TransferFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) latency: Option<LatencyFigures>,
}

/// What the figures were measured with.
#[derive(Clone, Serialize, Debug)]
pub(super) struct Settings {
    /// The address of the server, or `loopback` if it is a thread of the same program.
    pub(super) server: String,
    /// The version, cipher suite and group that were agreed on.
    pub(super) version: Option<String>,
    pub(super) cipher_suite: Option<String>,
    pub(super) group: Option<String>,
    pub(super) duration_s: u32,
    pub(super) size: u16,
    pub(super) peers: u32,
    pub(super) burst: u16,
    pub(super) in_flight: u32,
    pub(super) rate_mbit: Option<u32>,
}

/// Handshakes of one kind.
#[derive(Clone, Serialize, Debug)]
pub(super) struct HandshakeFigures {
    seconds: f64,
    completed: u64,
    per_second: f64,
    /// Full ones where a session was to be resumed.
    not_resumed: u64,
    failed: u64,
    /// How long a handshake took at the client while the others were under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_us: Option<Percentiles>,
    /// Processor time for each that was completed, where the systems tell.
    client_cpu_us: Option<f64>,
    server_cpu_us: Option<f64>,
}

/// Data in one direction.
#[derive(Clone, Serialize, Debug)]
pub(super) struct TransferFigures {
    /// From the first message that was received to the last.
    seconds: f64,
    sent: u64,
    received: u64,
    lost: u64,
    loss_percent: f64,
    reordered: u64,
    /// What was received, without anything but the messages themselves.
    mbit_per_second: f64,
    messages_per_second: f64,
    /// Processor time for each message that was sent, where the systems tell.
    client_cpu_ns: Option<f64>,
    server_cpu_ns: Option<f64>,
}

/// Round trips.
#[derive(Clone, Serialize, Debug)]
pub(super) struct LatencyFigures {
    seconds: f64,
    round_trips: u64,
    per_second: f64,
    lost: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_us: Option<Percentiles>,
    /// Processor time for each round trip, where the systems tell.
    client_cpu_ns: Option<f64>,
    server_cpu_ns: Option<f64>,
}

/// What share of the times is not above which.
#[derive(Clone, Copy, Serialize, Debug)]
struct Percentiles {
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

impl Figures {
    /// Nothing was measured yet.
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            format: 1,
            program: concat!("sealgram ", env!("CARGO_PKG_VERSION")).into(),
            date: machine::date(),
            machine: Machine::here(),
            settings,
            interrupted: false,
            full: None,
            resumed: None,
            upload: None,
            download: None,
            latency: None,
        }
    }

    /// Whether there is anything to show.
    pub(super) const fn is_measured(&self) -> bool {
        self.full.is_some()
            || self.resumed.is_some()
            || self.upload.is_some()
            || self.download.is_some()
            || self.latency.is_some()
    }

    /// A table, or one line of JSON.
    pub(super) fn text(&self, json: bool) -> Result<String, Problem> {
        Ok(match json {
            true => serde_json::to_string(self).map_err(Problem::failure)? + "\n",
            false => self.to_string(),
        })
    }
}

impl Settings {
    /// Notes what a handshake agreed on.
    pub(super) fn agree(&mut self, agreed: Option<Agreed>) {
        if let Some(agreed) = agreed {
            self.version = Some(agreed.version.to_string());
            self.cipher_suite = Some(agreed.suite.to_string());
            self.group = agreed.group.map(|group| group.to_string());
        }
    }
}

impl HandshakeFigures {
    pub(super) fn new(common: &Common, counts: &Counts) -> Self {
        let completed = counts.times.len();
        let every = completed + counts.not_resumed;
        Self {
            seconds: rounded(common.time.as_secs_f64()),
            completed,
            per_second: rounded(per(completed, common.time)),
            not_resumed: counts.not_resumed,
            failed: counts.failed,
            time_us: Percentiles::of(&counts.times),
            client_cpu_us: each(common.client, every).map(|time| rounded(time / 1e3)),
            server_cpu_us: each(common.server, every).map(|time| rounded(time / 1e3)),
        }
    }
}

impl TransferFigures {
    /// Of `sent` messages, of which `received` ones with `bytes` bytes have come within `time`.
    pub(super) fn new(
        common: &Common,
        sent: u64,
        (received, bytes, reordered): (u64, u64, u64),
        time: Duration,
    ) -> Self {
        let lost = sent.saturating_sub(received);
        // One message has no time of its own.
        let time = if time.is_zero() { common.time } else { time };
        Self {
            seconds: rounded(time.as_secs_f64()),
            sent,
            received,
            lost,
            loss_percent: rounded(lost as f64 * 100.0 / sent.max(1) as f64),
            reordered,
            mbit_per_second: rounded(per(bytes, time) * 8.0 / 1e6),
            messages_per_second: rounded(per(received, time)),
            client_cpu_ns: each(common.client, sent).map(f64::round),
            server_cpu_ns: each(common.server, sent).map(f64::round),
        }
    }
}

impl LatencyFigures {
    pub(super) fn new(common: &Common, times: &Histogram<u64>, lost: u64) -> Self {
        Self {
            seconds: rounded(common.time.as_secs_f64()),
            round_trips: times.len(),
            per_second: rounded(per(times.len(), common.time)),
            lost,
            time_us: Percentiles::of(times),
            client_cpu_ns: each(common.client, times.len()).map(f64::round),
            server_cpu_ns: each(common.server, times.len()).map(f64::round),
        }
    }
}

impl Percentiles {
    fn of(times: &Histogram<u64>) -> Option<Self> {
        let microseconds = |nanoseconds: u64| rounded(nanoseconds as f64 / 1e3);
        let at = |share| microseconds(times.value_at_quantile(share));
        (!times.is_empty()).then(|| Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: microseconds(times.max()),
        })
    }
}

/// How many in a second.
fn per(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::EPSILON)
}

/// The share of each in `time`, in nanoseconds.
fn each(time: Option<Duration>, count: u64) -> Option<f64> {
    let time = time?.as_nanos() as f64;
    (count > 0).then(|| time / count as f64)
}

/// Three digits after the point: the rest says nothing.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// A table, the figures of a phase on a line.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            program, settings, ..
        } = self;
        let unknown = || "not agreed on".to_owned();
        let version = settings.version.clone().unwrap_or_else(unknown);
        let suite = settings.cipher_suite.clone().unwrap_or_else(unknown);
        writeln!(
            f,
            "{program} bench: {version}, {suite}, {}",
            settings.server
        )?;
        for (name, figures) in [
            ("full handshakes", &self.full),
            ("resumptions", &self.resumed),
        ] {
            if let Some(figures) = figures {
                write!(f, "  {name:<16} {figures}")?;
            }
        }
        for (name, figures) in [("upload", &self.upload), ("download", &self.download)] {
            if let Some(figures) = figures {
                write!(f, "  {name:<16} {figures}")?;
            }
        }
        if let Some(figures) = &self.latency {
            write!(f, "  {:<16} {figures}", "round trips")?;
        }
        if self.interrupted {
            writeln!(f, "  interrupted: what is missing was not measured")?;
        }
        Ok(())
    }
}

/// What follows the first line of a phase begins where the first one does.
const INDENT: &str = "                   ";

impl fmt::Display for HandshakeFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>12.0} /s       {} complete, {} failed, {} not resumed",
            self.per_second, self.completed, self.failed, self.not_resumed
        )?;
        times(f, self.time_us)?;
        processor(f, "µs a handshake", self.client_cpu_us, self.server_cpu_us)
    }
}

impl fmt::Display for TransferFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>12.1} Mbit/s   {:.0} messages/s, {:.3} % of {} lost, {} reordered",
            self.mbit_per_second,
            self.messages_per_second,
            self.loss_percent,
            self.sent,
            self.reordered
        )?;
        processor(f, "ns a message", self.client_cpu_ns, self.server_cpu_ns)
    }
}

impl fmt::Display for LatencyFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>12.0} /s       {} complete, {} lost",
            self.per_second, self.round_trips, self.lost
        )?;
        times(f, self.time_us)?;
        processor(f, "ns a round trip", self.client_cpu_ns, self.server_cpu_ns)
    }
}

fn times(f: &mut fmt::Formatter<'_>, times: Option<Percentiles>) -> fmt::Result {
    match times {
        Some(Percentiles { p50, p90, p99, max }) => writeln!(
            f,
            "{INDENT}{p50:>12.1} µs       median; 90 % {p90:.1}, 99 % {p99:.1}, longest {max:.1}"
        ),
        None => Ok(()),
    }
}

fn processor(
    f: &mut fmt::Formatter<'_>,
    unit: &str,
    client: Option<f64>,
    server: Option<f64>,
) -> fmt::Result {
    if client.is_none() && server.is_none() {
        return Ok(());
    }
    let text = |time: Option<f64>| time.map_or("unknown".into(), |time| format!("{time:.0}"));
    writeln!(
        f,
        "{INDENT}{:>12} {unit} of the client's processor, {} of the server's",
        text(client),
        text(server)
    )
}
