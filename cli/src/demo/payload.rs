//! The contents of the demonstration's datagrams: their number, and bytes that are derived from it.

/// The length of the number at the front of a datagram, in bytes; the shortest datagram has nothing
/// else.
pub(super) const NUMBER_LEN: usize = size_of::<u32>();

/// The difference in length between a datagram and the next. A prime, so that every length occurs.
const STRIDE: usize = 7919;

/// The datagram with this number, no longer than `max_payload` bytes. The first is as long as
/// possible.
pub(super) fn datagram(number: u32, max_payload: usize) -> Vec<u8> {
    let lengths = max_payload.saturating_sub(NUMBER_LEN) + 1;
    let step = usize::try_from(number)
        .unwrap_or_default()
        .wrapping_mul(STRIDE)
        % lengths;
    let length = NUMBER_LEN + (lengths - 1 - step);
    number
        .to_be_bytes()
        .into_iter()
        .chain(filling(number))
        .take(length)
        .collect()
}

/// The average length of datagrams: their lengths are spread evenly.
pub(super) const fn average_len(max_payload: usize) -> usize {
    (NUMBER_LEN + max_payload) / 2
}

/// The number of a datagram, if every byte is what belongs to that number.
pub(super) fn number_if_genuine(data: &[u8]) -> Option<u32> {
    let (number, rest) = data.split_first_chunk::<NUMBER_LEN>()?;
    let number = u32::from_be_bytes(*number);
    rest.iter()
        .copied()
        .eq(filling(number).take(rest.len()))
        .then_some(number)
}

/// Endless bytes that belong to a number.
fn filling(number: u32) -> impl Iterator<Item = u8> {
    let mut numbers = XorShift::new(number.into());
    std::iter::from_fn(move || Some(numbers.next().to_be_bytes())).flatten()
}

/// Marsaglia's xorshift with a multiplication: reproducible, and not for secrets.
#[derive(Debug)]
pub(super) struct XorShift(u64);

impl XorShift {
    /// Each seed gives a sequence of its own.
    pub(super) const fn new(seed: u64) -> Self {
        // Zero would stay zero for ever.
        Self((seed ^ 0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub(super) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_fit_and_differ_from_altered_ones() {
        let mut lengths = std::collections::BTreeSet::new();
        for number in 0..3000 {
            let mut data = datagram(number, 1363);
            lengths.insert(data.len());
            assert_eq!(number_if_genuine(&data), Some(number));
            if let Some(last) = data.last_mut().filter(|_| number % 1360 != 0) {
                *last ^= 1;
            }
            assert!(number % 1360 == 0 || number_if_genuine(&data) != Some(number));
        }
        assert_eq!(lengths.first(), Some(&NUMBER_LEN));
        assert_eq!(lengths.last(), Some(&1363));
        assert_eq!(lengths.len(), 1360);
        assert_eq!(number_if_genuine(b"abc"), None);
    }
}
