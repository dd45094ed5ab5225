//! What has left the endpoint but not the host: one batch of sealed datagrams on its way into the
//! socket.

use crate::connection::Transmit;
use std::io::{self, ErrorKind};

/// Datagrams of equal size for one peer that are given to the socket: in one call if the system can
/// do that, else singly.
#[derive(Default)]
pub(super) struct Departure {
    transmit: Option<Transmit>,
    bytes: Vec<u8>,
    /// How many bytes of the batch have been given to the socket.
    sent: usize,
    /// This batch was refused as a whole, or would be, so its datagrams are sent singly.
    singly: bool,
    /// The error with which it was refused, until a single datagram has been sent or refused.
    suspicion: Option<io::Error>,
    /// The error with which the next datagram was refused once.
    doubt: Option<io::Error>,
    /// One that was about an earlier datagram, until somebody asks.
    report: Option<io::Error>,
    /// The system cannot split batches for this socket.
    refuses_batches: bool,
}

/// How many datagrams are taken at once that will be sent singly.
const UNSPLIT: usize = 64;

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Step {
    /// All of it was given to the socket.
    Sent,
    /// The socket is full; the rest waits.
    Blocked,
    /// The system says that datagrams of this many bytes are too large for the interface. The rest
    /// of the batch, nearly always datagrams of the same size, is dropped with it.
    TooLarge(Transmit, usize, io::Error),
    /// The rest is dropped.
    Lost(Transmit, io::Error),
}

impl Departure {
    /// Whether nothing waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.transmit.is_none()
    }

    /// How many datagrams are taken at once, if the system can split batches of `max`. If it cannot
    /// they are given to it singly, but are taken together all the same: to take one of many moves
    /// the others.
    pub(super) const fn max_segments(&self, max: usize) -> usize {
        if self.can_split(max) { max } else { UNSPLIT }
    }

    const fn can_split(&self, max: usize) -> bool {
        max > 1 && !self.refuses_batches
    }

    /// The empty buffer that the next batch is to be appended to.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        self.bytes.clear();
        &mut self.bytes
    }

    /// Starts to send the batch that is in the buffer, where the system can split batches of `max`.
    pub(super) fn begin(&mut self, transmit: Transmit, max: usize) {
        self.transmit = Some(transmit);
        self.sent = 0;
        self.singly = !self.can_split(max);
        self.suspicion = None;
        self.doubt = None;
    }

    /// What the system has reported about earlier datagrams. That one of them was too large says
    /// nothing.
    pub(super) fn take_report(&mut self) -> Option<io::Error> {
        self.report.take().filter(|error| !is_too_large(error))
    }

    /// Whether the next datagram was refused like that before. What else was reported is no reason
    /// to believe that it is too large.
    fn has_said(&self, error: &io::Error) -> bool {
        let said = self.doubt.as_ref();
        said.is_some_and(|said| is_too_large(said) || !is_too_large(error))
    }

    /// Gives the socket as much as it accepts. `send` sends one batch or one datagram, whole or not
    /// at all.
    pub(super) fn advance(
        &mut self,
        mut send: impl FnMut(&Transmit, &[u8]) -> io::Result<()>,
    ) -> Step {
        let Some(transmit) = self.transmit else {
            return Step::Sent;
        };
        loop {
            let rest = self.bytes.get(self.sent..transmit.len).unwrap_or_default();
            if rest.is_empty() {
                self.transmit = None;
                return Step::Sent;
            }
            let segment = transmit.segment_size.unwrap_or(rest.len()).min(rest.len());
            let batch = !self.singly && segment < rest.len();
            let piece = Transmit {
                len: if batch { rest.len() } else { segment },
                segment_size: transmit.segment_size.filter(|_| batch),
                path: transmit.path,
            };
            match send(&piece, &rest[..piece.len]) {
                Ok(()) => {
                    self.sent += piece.len;
                    self.report = self.doubt.take().or(self.report.take());
                    if let Some(error) = self.suspicion.take() {
                        self.refuses_batches = true;
                        tracing::warn!(%error, "the system refuses batches; datagrams are sent singly");
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::Blocked,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if batch && (refuses_batch(&error) || is_too_large(&error)) => {
                    self.singly = true;
                    self.suspicion = Some(error).filter(refuses_batch);
                }
                // On a connected socket the system also reports ICMP messages about earlier
                // datagrams this way, each once, and sends nothing. Those can be forged (RFC 6347
                // §4.1.1.1). What is wrong with this datagram the system says again.
                Err(error) if !self.has_said(&error) => {
                    let earlier = self.doubt.replace(error);
                    self.report = earlier.or(self.report.take());
                }
                Err(error) => {
                    self.transmit = None;
                    return if is_too_large(&error) {
                        Step::TooLarge(transmit, segment, error)
                    } else {
                        Step::Lost(transmit, error)
                    };
                }
            }
        }
    }
}

/// Whether this may mean that the system cannot split a batch: EIO if a device or a tunnel cannot
/// compute the checksums, and EINVAL, which can also mean that the segments are too large.
fn refuses_batch(error: &io::Error) -> bool {
    error.raw_os_error() == Some(EIO) || error.kind() == ErrorKind::InvalidInput
}

/// Whether a datagram is larger than its interface allows: EMSGSIZE.
pub(super) fn is_too_large(error: &io::Error) -> bool {
    error.raw_os_error() == Some(EMSGSIZE)
}

/// The same number on every Unix.
const EIO: i32 = 5;

#[cfg(any(target_os = "linux", target_os = "android"))]
const EMSGSIZE: i32 = 90;
#[cfg(windows)]
const EMSGSIZE: i32 = 10_040;
#[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
const EMSGSIZE: i32 = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Path;

    fn errno(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    /// Datagrams of 3 bytes, the last of 1.
    fn departure(count: usize) -> Departure {
        let mut departure = Departure::default();
        let bytes: Vec<u8> = (0..3 * count - 2).map(|i| i as u8).collect();
        departure.buffer().extend_from_slice(&bytes);
        let transmit = Transmit {
            len: bytes.len(),
            segment_size: (count > 1).then_some(3),
            path: Path::new(([192, 0, 2, 1], 1).into()),
        };
        departure.begin(transmit, 64);
        departure
    }

    /// A socket that accepts single datagrams only, and what it was given.
    fn without_batches(
        number: i32,
        got: &mut Vec<Vec<u8>>,
    ) -> impl FnMut(&Transmit, &[u8]) -> io::Result<()> {
        move |transmit, contents| {
            assert_eq!(transmit.len, contents.len());
            if transmit.segment_size.is_some() {
                return Err(errno(number));
            }
            got.push(contents.to_vec());
            Ok(())
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_batch_that_the_system_cannot_cut_leaves_singly_and_nothing_is_lost() {
        for number in [EIO, 22] {
            let mut got = Vec::new();
            let mut departure = departure(4);
            assert!(matches!(
                departure.advance(without_batches(number, &mut got)),
                Step::Sent
            ));
            assert_eq!(got, [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7, 8], vec![9]]);
            assert!(!departure.can_split(64), "remembered for the socket");
        }
    }

    #[test]
    fn where_the_system_cannot_split_batches_it_is_not_asked_to() {
        let mut departure = departure(4);
        let transmit = departure.transmit.unwrap();
        departure.begin(transmit, 1);
        let mut got = 0;
        let step = departure.advance(|transmit, contents| {
            assert_eq!((transmit.segment_size, contents.len() <= 3), (None, true));
            got += 1;
            Ok(())
        });
        assert!(matches!(step, Step::Sent), "{step:?}");
        assert_eq!(got, 4);
    }

    #[test]
    fn a_socket_that_is_full_between_two_datagrams_goes_on_with_the_second() {
        let mut departure = departure(3);
        let (mut got, mut calls) = (Vec::new(), 0);
        let mut send = |transmit: &Transmit, contents: &[u8]| {
            calls += 1;
            match calls {
                _ if transmit.segment_size.is_some() => Err(errno(EIO)),
                3 => Err(ErrorKind::WouldBlock.into()),
                4 => Err(ErrorKind::Interrupted.into()),
                _ => {
                    got.push(contents.to_vec());
                    Ok(())
                }
            }
        };
        assert!(matches!(departure.advance(&mut send), Step::Blocked));
        assert!(!departure.is_empty());
        assert!(matches!(departure.advance(&mut send), Step::Sent));
        assert!(departure.is_empty());
        assert_eq!(got, [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
    }

    /// Linux returns EINVAL for a batch whose segments are too large, although batches as such
    /// work.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_batch_of_datagrams_that_are_too_large_says_nothing_about_batches() {
        for number in [22, EMSGSIZE] {
            let mut departure = departure(4);
            let step = departure.advance(|transmit, _| {
                Err(errno(match transmit.segment_size {
                    Some(_) => number,
                    None => EMSGSIZE,
                }))
            });
            assert!(matches!(step, Step::TooLarge(_, 3, _)), "{step:?}");
            assert!(departure.is_empty());
            assert!(departure.can_split(64));
        }
    }

    /// RFC 6347 §4.1.1.1: what a connected socket reports because of one forged ICMP message has no
    /// effect.
    #[test]
    fn one_report_about_an_earlier_datagram_is_not_believed() {
        let mut departure = departure(1);
        let mut reports = vec![errno(EMSGSIZE)];
        assert!(matches!(
            departure.advance(|_, _| reports.pop().map_or(Ok(()), Err)),
            Step::Sent
        ));
        assert!(reports.is_empty());
        assert!(departure.take_report().is_none());
    }

    #[test]
    fn two_reports_of_different_kinds_are_not_believed_either() {
        let mut departure = departure(1);
        let mut reports = vec![errno(EMSGSIZE), errno(111)];
        let step = departure.advance(|_, _| reports.pop().map_or(Ok(()), Err));
        assert!(matches!(step, Step::Sent), "{step:?}");
    }

    /// RFC 6347 §4.2.8: nor does it cost the datagrams that are not sent with it; it is told.
    #[test]
    fn a_report_about_an_earlier_datagram_is_told_and_nothing_is_lost() {
        for max in [1, 64] {
            let mut departure = departure(3);
            let transmit = departure.transmit.unwrap();
            departure.begin(transmit, max);
            let (mut reports, mut got) = (vec![errno(111)], 0);
            let step = departure.advance(|transmit, _| {
                got += transmit.len;
                reports.pop().map_or(Ok(()), |report| {
                    got -= transmit.len;
                    Err(report)
                })
            });
            assert!(matches!(step, Step::Sent), "{step:?}");
            assert_eq!(got, 7);
            let told = departure.take_report().and_then(|it| it.raw_os_error());
            assert_eq!(told, Some(111));
            assert!(departure.take_report().is_none());
        }
    }

    #[test]
    fn any_other_error_drops_the_batch_and_is_reported() {
        let mut departure = departure(3);
        let step = departure.advance(|_, _| Err(errno(111)));
        assert!(matches!(step, Step::Lost(..)), "{step:?}");
        assert!(departure.is_empty());
    }
}
