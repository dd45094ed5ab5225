//! Which runs of a simulation are tried.

/// The seeds of a simulation: those of `SEALGRAM_SEEDS`, as `3..9`, or these.
pub fn seeds(default: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let parse = |text: String| {
        let (from, to) = text.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    };
    let set = std::env::var("SEALGRAM_SEEDS").ok();
    set.and_then(parse).unwrap_or(default)
}
