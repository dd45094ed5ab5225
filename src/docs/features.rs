//! All that there is, and what there is not.
//!
#![doc = include_str!("features.md")]
//!
//! How it compares with others, and how fast it is, is in the README and in `docs/bench.md` of the
//! repository. The cargo features are on the [front page](crate#features).
