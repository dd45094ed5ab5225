//! The machine that a bench runs on, and its clocks.

use sealgram::pki_types::UnixTime;
use serde::Serialize;
use std::time::Duration;
use std::{env, fs, thread};

/// What figures depend on.
#[derive(Clone, Serialize, Debug)]
pub(super) struct Machine {
    os: &'static str,
    architecture: &'static str,
    /// How many threads run at once.
    cores: usize,
    /// The name of the processor, where the system tells.
    processor: Option<String>,
}

impl Machine {
    /// This one.
    pub(super) fn here() -> Self {
        Self {
            os: env::consts::OS,
            architecture: env::consts::ARCH,
            cores: thread::available_parallelism().map_or(1, usize::from),
            processor: processor(),
        }
    }
}

fn processor() -> Option<String> {
    let all = fs::read_to_string("/proc/cpuinfo").ok()?;
    let named = all.lines().find_map(|line| line.strip_prefix("model name"));
    Some(named?.trim_start_matches([' ', '\t', ':']).to_owned())
}

/// The time that this thread has run on a processor, where the system tells. Its first number is
/// nanoseconds (Linux, Documentation/scheduler/sched-stats.rst).
pub(super) fn processor_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = stat.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// The date and the time of day in UTC, as RFC 3339 §5.6 writes them.
pub(super) fn date() -> String {
    let since = Duration::from_secs(UnixTime::now().as_secs());
    let now = rcgen::date_time_ymd(1970, 1, 1) + since;
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn processor_time_grows_with_work() {
        let before = processor_time().unwrap();
        let mut sum = 0_u64;
        while processor_time().unwrap() < before + Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        thread::sleep(Duration::from_millis(20));
        assert!(processor_time().unwrap() < before + Duration::from_secs(5));
    }
}
