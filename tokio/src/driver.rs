//! The task of a socket: it waits for readiness and deadlines, and lets the endpoint work.

use crate::shared::{Broken, Shared, State};
use sealgram::net::UdpEndpoint;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::{Instant, Sleep};

/// The task. It is done when all handles are gone and everything that they sent has left.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    /// The same socket as the endpoint's, for its readiness alone.
    socket: UdpSocket,
    timer: Pin<Box<Sleep>>,
    is_closing: bool,
}

/// A second name for the socket of `endpoint`, registered with the runtime.
pub(crate) fn readiness(endpoint: &UdpEndpoint) -> io::Result<UdpSocket> {
    #[cfg(unix)]
    let same = {
        use std::os::fd::AsFd;
        std::net::UdpSocket::from(endpoint.as_fd().try_clone_to_owned()?)
    };
    #[cfg(windows)]
    let same = {
        use std::os::windows::io::AsSocket;
        std::net::UdpSocket::from(endpoint.as_socket().try_clone_to_owned()?)
    };
    UdpSocket::from_std(same)
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>, socket: UdpSocket) -> Self {
        Self {
            shared,
            socket,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            is_closing: false,
        }
    }

    /// Everything that can be done now. Ready at the end of it all.
    fn work(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        state.driver.belongs_to(context.waker());
        if let Some(socket) = state.readiness.take() {
            self.socket = socket;
        }
        if state.handles == 0 && !self.is_closing {
            self.is_closing = true;
            state.endpoint.stop_accepting();
            state.endpoint.close_all();
        }
        self.receive(&mut state, context)?;
        state.settle();
        self.send(&mut state, context)?;
        // What has left may have been the last word of an association.
        state.settle();
        if self.is_closing && is_done(&state) {
            return Poll::Ready(Ok(()));
        }
        ready!(self.wait(&state, context));
        // Something can be done at once, but others have their turn first.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Receives if the socket is readable, until it is empty or the budget of a turn is used up.
    fn receive(&self, state: &mut State, context: &mut Context<'_>) -> io::Result<()> {
        while let Poll::Ready(readable) = self.socket.poll_recv_ready(context) {
            readable?;
            let turn = || {
                state.endpoint.turn()?;
                match state.endpoint.has_unread() {
                    true => Ok(()),
                    false => Err(io::ErrorKind::WouldBlock.into()),
                }
            };
            match self.socket.try_io(Interest::READABLE, turn) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends until nothing waits or the socket is full.
    fn send(&self, state: &mut State, context: &mut Context<'_>) -> io::Result<()> {
        state.endpoint.flush()?;
        while state.endpoint.wants_write() {
            let Poll::Ready(writable) = self.socket.poll_send_ready(context) else {
                break;
            };
            writable?;
            let flush = || {
                state.endpoint.flush()?;
                match state.endpoint.wants_write() {
                    true => Err(io::ErrorKind::WouldBlock.into()),
                    false => Ok(()),
                }
            };
            match self.socket.try_io(Interest::WRITABLE, flush) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        if !state.endpoint.wants_write() {
            state.sending.wake();
        }
        Ok(())
    }

    /// Ready if the endpoint has something to do now.
    fn wait(&mut self, state: &State, context: &mut Context<'_>) -> Poll<()> {
        let Some(rest) = state.endpoint.poll_timeout() else {
            return Poll::Pending;
        };
        if rest.is_zero() {
            return Poll::Ready(());
        }
        self.timer.as_mut().reset(Instant::now() + rest);
        self.timer.as_mut().poll(context)
    }
}

/// Whether everything has been said.
fn is_done(state: &State) -> bool {
    let endpoint = &state.endpoint;
    endpoint.endpoint().is_empty() && !endpoint.endpoint().has_transmit() && !endpoint.wants_write()
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let outcome = ready!(self.work(context));
        if let Err(error) = outcome {
            tracing::warn!(%error, "a socket cannot be used any more");
            self.shared.lock().fail(Broken::by(&error));
        }
        Poll::Ready(())
    }
}

/// A runtime that ends takes the task with it: those who wait are told.
impl Drop for Driver {
    fn drop(&mut self) {
        let gone = io::Error::other("the runtime of the socket has ended");
        self.shared.lock().fail(Broken::by(&gone));
    }
}
