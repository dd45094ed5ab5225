//! Signals from the system, or from the user at the terminal.

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    /// Close the connection with every peer and end (SIGINT, SIGTERM).
    Stop,
    /// Report the counters (SIGUSR1).
    Counters,
    /// Read certificates and keys anew (SIGHUP).
    Reload,
}

#[cfg(unix)]
pub(crate) use unix::{Signals, stop_all};

#[cfg(unix)]
mod unix {
    use super::Request;
    use mio::{Interest, Registry, Token};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    use signal_hook::flag;
    use signal_hook_mio::v1_0::Signals as Source;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, LazyLock};
    use std::{fmt, io};

    /// SIGTERM has come, whoever has sent it.
    static IS_ENDING: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

    /// Signals that end the wait of an event loop.
    pub(crate) struct Signals {
        source: Source,
        /// A signal has come. A loop that does not wait learns of it without a system call.
        came: Arc<AtomicBool>,
    }

    impl Signals {
        /// Handles them from now on, in the event loop of `registry`. SIGHUP still ends the
        /// program.
        pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
            Self::of(&[SIGINT, SIGTERM, SIGUSR1], registry, token)
        }

        /// The same with SIGHUP as [`Request::Reload`].
        pub(crate) fn with_reload(registry: &Registry, token: Token) -> io::Result<Self> {
            Self::of(&[SIGINT, SIGTERM, SIGUSR1, SIGHUP], registry, token)
        }

        fn of(all: &[i32], registry: &Registry, token: Token) -> io::Result<Self> {
            // A user who asks twice does not want to wait until everything is closed.
            for signal in [SIGINT, SIGTERM] {
                let asked = Arc::new(AtomicBool::new(false));
                flag::register_conditional_shutdown(signal, SIGNALLED + signal, asked.clone())?;
                flag::register(signal, asked)?;
            }
            flag::register(SIGTERM, IS_ENDING.clone())?;
            let mut source = Source::new(all)?;
            registry.register(&mut source, token, Interest::READABLE)?;
            // Handlers run in the order of their registration: by then the source has the signal.
            let came = Arc::new(AtomicBool::new(false));
            for &signal in all {
                flag::register(signal, came.clone())?;
            }
            Ok(Self { source, came })
        }

        /// The source has become ready.
        pub(crate) fn wake(&self) {
            self.came.store(true, Ordering::Relaxed);
        }

        /// What came since the last call.
        pub(crate) fn requests(&mut self) -> Vec<Request> {
            let request = |signal| match signal {
                SIGUSR1 => Request::Counters,
                SIGHUP => Request::Reload,
                _ => Request::Stop,
            };
            match self.came.swap(false, Ordering::Relaxed) {
                true => self.source.pending().map(request).collect(),
                false => Vec::new(),
            }
        }
    }

    /// Asks every event loop of this program to end, as SIGTERM from outside does, if nobody has
    /// yet: to be asked twice ends the program at once.
    pub(crate) fn stop_all() {
        if !IS_ENDING.swap(true, Ordering::Relaxed) {
            // It fails for signals that do not exist.
            let _exists = signal_hook::low_level::raise(SIGTERM);
        }
    }

    impl fmt::Debug for Signals {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Signals")
        }
    }

    /// What shells add to the number of a signal to make the exit code of a process that it has
    /// ended.
    const SIGNALLED: i32 = 128;

    #[cfg(test)]
    mod tests {
        use super::*;
        use mio::Poll;

        /// A second request would end the program at once, before it could say what has failed.
        #[test]
        fn several_failures_ask_once() {
            let poll = Poll::new().unwrap();
            let mut signals = Signals::new(poll.registry(), Token(0)).unwrap();
            for _ in 0..2 {
                stop_all();
            }
            assert!(matches!(signals.requests()[..], [Request::Stop]));
        }
    }
}

/// Other systems have no such signals.
#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new(_: &mio::Registry, _: mio::Token) -> std::io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn with_reload(_: &mio::Registry, _: mio::Token) -> std::io::Result<Self> {
        Ok(Self)
    }

    pub(crate) const fn wake(&self) {}

    pub(crate) fn requests(&mut self) -> Vec<Request> {
        Vec::new()
    }
}

/// Other systems have one event loop at a time.
#[cfg(not(unix))]
pub(crate) fn stop_all() {}
