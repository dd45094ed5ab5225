//! What the system, or whoever sits at the terminal, says to the program.

/// What is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wish {
    /// To say goodbye to every peer and end (SIGINT, SIGTERM).
    Stop,
    /// To tell the counters (SIGUSR1).
    Counters,
}

#[cfg(unix)]
pub(crate) use unix::Signals;

#[cfg(unix)]
mod unix {
    use super::Wish;
    use mio::{Interest, Registry, Token};
    use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
    use signal_hook::flag;
    use signal_hook_mio::v1_0::Signals as Source;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::{fmt, io};

    /// Signals that end the wait of an event loop.
    pub(crate) struct Signals(Source);

    impl Signals {
        /// Takes them from now on, in the event loop of `registry`.
        pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
            // Somebody who asks twice does not want to wait for goodbyes.
            for signal in [SIGINT, SIGTERM] {
                let asked = Arc::new(AtomicBool::new(false));
                flag::register_conditional_shutdown(signal, SIGNALLED + signal, asked.clone())?;
                flag::register(signal, asked)?;
            }
            let mut source = Source::new([SIGINT, SIGTERM, SIGUSR1])?;
            registry.register(&mut source, token, Interest::READABLE)?;
            Ok(Self(source))
        }

        /// What came since the last call.
        pub(crate) fn wishes(&mut self) -> Vec<Wish> {
            let wish = |signal| match signal {
                SIGUSR1 => Wish::Counters,
                _ => Wish::Stop,
            };
            self.0.pending().map(wish).collect()
        }
    }

    impl fmt::Debug for Signals {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Signals")
        }
    }

    /// What shells add to a signal's number for the exit code of what it has ended.
    const SIGNALLED: i32 = 128;
}

/// Elsewhere there are no such signals.
#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new(_: &mio::Registry, _: mio::Token) -> std::io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn wishes(&mut self) -> Vec<Wish> {
        Vec::new()
    }
}
