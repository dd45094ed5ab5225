//! The sealgram program.
fn main() {}
