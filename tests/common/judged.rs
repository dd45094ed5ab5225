//! What a judge of conformance wants otherwise, in both ways with the feature `conformance` and in
//! the usual one without.

#[cfg(feature = "conformance")]
use super::configs::Ends;

/// Whether a judge of conformance is satisfied: both ways with the feature `conformance`, otherwise
/// the usual one alone.
pub const CHOICES: &[bool] = if cfg!(feature = "conformance") {
    &[false, true]
} else {
    &[false]
};

/// What a peer gets that may not renegotiate: the warning alone without the feature.
#[cfg(feature = "conformance")]
pub const REFUSALS: &[sealgram::config::RenegotiationRefusals] = {
    use sealgram::config::RenegotiationRefusals as R;
    &[R::Warn, R::Ignore, R::Fail]
};
#[cfg(not(feature = "conformance"))]
pub const REFUSALS: &[&str] = &["Warn"];

/// [`Ends`], or a builder, with this choice; without the feature as they are.
#[allow(unused_macros, reason = "not every test program uses it")]
macro_rules! judged {
    ($it:expr, $choice:ident: $value:expr) => {{
        let it = $it;
        #[cfg(feature = "conformance")]
        let it = it.conformance(sealgram::config::Conformance {
            $choice: $value,
            ..Default::default()
        });
        #[cfg(not(feature = "conformance"))]
        let _ = &$value;
        it
    }};
}
#[allow(unused_imports, reason = "not every test program uses it")]
pub(crate) use judged;

#[cfg(feature = "conformance")]
impl Ends {
    /// The same with what a judge wants at both ends.
    pub fn conformance(mut self, wanted: sealgram::config::Conformance) -> Self {
        self.client = self.client.conformance(wanted.clone());
        self.server = self.server.conformance(wanted);
        self
    }
}
