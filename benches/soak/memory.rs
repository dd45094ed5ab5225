//! What the program holds.

#[allow(dead_code, reason = "only bytes are of interest, not calls")]
#[path = "../../tests/memory/counting.rs"]
mod counting;

/// How many bytes were asked for and not given back.
pub fn held() -> f64 {
    counting::bytes() as f64
}

/// How much of the machine's memory the process occupies, in bytes; `None` where there is no
/// `/proc`.
pub fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}
