//! Level-triggered readiness: one `epoll_wait` a turn, and no receive call that has to fail.

use crate::sockets::PATIENCE;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::AsFd;

/// Sockets that are waited for together.
pub struct Ready {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Ready {
    /// None yet.
    pub fn new() -> Self {
        Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll"),
            events: vec![EpollEvent::empty(); 1024],
        }
    }

    /// These, whose names are their places.
    pub fn of<'a, S: AsFd + 'a>(sockets: impl IntoIterator<Item = &'a S>) -> Self {
        let ready = Self::new();
        for (place, socket) in sockets.into_iter().enumerate() {
            ready.add(socket, place);
        }
        ready
    }

    /// One more.
    pub fn add(&self, socket: &impl AsFd, name: usize) {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, name as u64);
        self.epoll.add(socket, event).expect("a new socket");
    }

    /// Waits until something can be received, and returns the names of where; none if
    /// [`PATIENCE`] was over first.
    pub fn wait(&mut self) -> impl Iterator<Item = usize> + '_ {
        let timeout = EpollTimeout::try_from(PATIENCE).expect("a short time");
        let count = match self.epoll.wait(&mut self.events, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => panic!("{error}"),
        };
        self.events[..count]
            .iter()
            .map(|event| event.data() as usize)
    }
}
