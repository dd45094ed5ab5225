//! The messages of one direction of an association, each with a number, from the sender's hand to
//! the receiver's.

use std::collections::VecDeque;

/// Where every message is.
#[derive(Default)]
pub struct Flow {
    /// How many were taken by `send`; the number of the next one.
    pub sent: u32,
    /// Those that were taken and have not left: they wait for the end of a renegotiation.
    held: VecDeque<u32>,
    /// Those that have left, and were not lost.
    under_way: VecDeque<u32>,
    pub lost: u32,
    pub delivered: u32,
}

impl Flow {
    /// `send` has taken the next message.
    pub fn take(&mut self) {
        self.held.push_back(self.sent);
        self.sent += 1;
    }

    /// The next message has left in a datagram, which the link has lost or not. `false` if there
    /// is none that could have.
    pub fn leave(&mut self, lost: bool) -> bool {
        let Some(number) = self.held.pop_front() else {
            return false;
        };
        if lost {
            self.lost += 1;
        } else {
            self.under_way.push_back(number);
        }
        true
    }

    /// A message has come. `false` if it was lost, never left, or has come before.
    pub fn arrive(&mut self, number: u32) -> bool {
        let Some(place) = self.under_way.iter().position(|&it| it == number) else {
            return false;
        };
        self.under_way.remove(place);
        self.delivered += 1;
        true
    }

    /// How many wait for the end of a renegotiation.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// How many have left, were not lost and have not come.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Gives back memory that an idle flow does not need.
    pub fn release(&mut self) {
        self.held.shrink_to_fit();
        self.under_way.shrink_to_fit();
    }
}
