//! Datagrams that no honest peer sends, most of them made from real ones.
//!
//! `SEALGRAM_SEED` repeats a run, but for the keys.

use super::datagram_harness::{FATAL, Noise, WARNING, header, record, record_of_length, records};
use sealgram::sim::Pair;
use sealgram::sim::scripted::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, DTLS12, HANDSHAKE, Spoken,
};

/// A number that the environment may change.
pub fn variable(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect(name))
}

/// The seed of this run, which is told when the test fails.
pub struct Seed(pub u64);

impl Seed {
    pub fn of_this_run() -> Self {
        Self(variable("SEALGRAM_SEED", 1))
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("SEALGRAM_SEED={} repeats this", self.0);
        }
    }
}

/// Makes datagrams that no honest peer sends, most of them from real ones.
pub struct Mutator {
    pub noise: Noise,
    pub recorded: Vec<Vec<u8>>,
    /// Sweeps through types, epochs and lengths, beside chance.
    sweep: usize,
}

impl Mutator {
    pub fn new(seed: u64, recorded: Vec<Vec<u8>>) -> Self {
        Self {
            noise: Noise::new(seed),
            recorded,
            sweep: 0,
        }
    }

    pub fn next(&mut self) -> Vec<u8> {
        match self.noise.below(16) {
            0..=2 => self.flipped(),
            3 => self.truncated(),
            4 | 5 => self.spliced(),
            6 | 7 => self.relabelled(),
            8 => self.random_bytes(200),
            9 => self.random_record(),
            10 => self.swept(),
            11 | 12 => self.fragment(),
            13 => self.alert_or_data(),
            14 => self.hello(),
            _ => {
                let mut packed = self.random_record();
                for _ in 0..self.noise.below(4) {
                    packed.extend(self.relabelled());
                    packed.extend(self.fragment());
                }
                packed.extend(self.random_bytes(14));
                packed
            }
        }
    }

    fn real(&mut self) -> Vec<u8> {
        self.noise.pick(&self.recorded).clone()
    }

    pub fn flipped(&mut self) -> Vec<u8> {
        let mut datagram = self.real();
        for _ in 0..=self.noise.below(4) {
            let bit = self.noise.below(datagram.len() * 8);
            datagram[bit / 8] ^= 1 << (bit % 8);
        }
        datagram
    }

    fn truncated(&mut self) -> Vec<u8> {
        let mut datagram = self.real();
        datagram.truncate(self.noise.below(datagram.len()));
        datagram
    }

    /// The beginning of one datagram and the end of another, cut anywhere or between records.
    fn spliced(&mut self) -> Vec<u8> {
        let (first, second) = (self.real(), self.real());
        if self.noise.below(2) == 0 {
            let mut pieces = records(&first);
            pieces.extend(records(&second));
            let (a, b) = (
                self.noise.below(pieces.len()),
                self.noise.below(pieces.len()),
            );
            return [&pieces[a][..], &pieces[b]].concat();
        }
        let (head, tail) = (
            self.noise.below(first.len()),
            self.noise.below(second.len()),
        );
        [&first[..head], &second[tail..]].concat()
    }

    /// A real record under another header.
    fn relabelled(&mut self) -> Vec<u8> {
        let mut datagram = self.real();
        let numbers = self.noise.next().to_be_bytes();
        match self.noise.below(6) {
            0 => datagram[0] = numbers[0],
            1 => datagram[1..3].copy_from_slice(&numbers[..2]),
            2 => datagram[4] = numbers[0] % 4,
            3 => datagram[3..5].copy_from_slice(&numbers[..2]),
            4 => datagram[5..11].copy_from_slice(&numbers[..6]),
            _ => datagram[11..13].copy_from_slice(&numbers[..2]),
        }
        datagram
    }

    pub fn random_bytes(&mut self, limit: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.noise.below(limit)];
        self.noise.fill(&mut bytes);
        bytes
    }

    fn epoch(&mut self) -> u16 {
        let any = self.noise.next().to_be_bytes();
        *self.noise.pick(&[
            0,
            0,
            1,
            1,
            1,
            2,
            3,
            u16::MAX,
            u16::from_be_bytes([any[0], any[1]]),
        ])
    }

    fn sequence(&mut self) -> u64 {
        let near = self.noise.next() % 100;
        let far = self.noise.next() >> 16;
        *self.noise.pick(&[near, near, far, (1 << 48) - 1])
    }

    fn random_record(&mut self) -> Vec<u8> {
        let limit = *self.noise.pick(&[1, 30, 100, 1500]);
        let payload = self.random_bytes(limit);
        let any = self.noise.next().to_be_bytes()[0];
        let content_type = *self.noise.pick(&[20, 21, 22, 23, 24, 25, any]);
        let version = *self
            .noise
            .pick(&[DTLS12, DTLS12, DTLS12, 0xfeff, 0xfefc, 0x0303]);
        let (epoch, sequence) = (self.epoch(), self.sequence());
        let length = u16::try_from(payload.len()).unwrap();
        let lie = length.wrapping_add(*self.noise.pick(&[0, 0, 0, 1, u16::MAX, 0x4000]));
        record_of_length(content_type, version, epoch, sequence, lie, &payload)
    }

    /// Every type with every epoch of interest and every length, in turn.
    fn swept(&mut self) -> Vec<u8> {
        let place = self.sweep;
        self.sweep += 1;
        let known = [
            20,
            21,
            22,
            23,
            24,
            25,
            26,
            u8::try_from(place / 8 % 256).unwrap(),
        ];
        let content_type = known[place % 8];
        let epoch = [0, 1, 2, 3, u16::MAX][place / 8 % 5];
        let length = place / 40 % 300;
        let sequence = self.sequence();
        record(content_type, DTLS12, epoch, sequence, &vec![7; length])
    }

    /// A plaintext handshake fragment with any header, true or not.
    fn fragment(&mut self) -> Vec<u8> {
        let typ = *self
            .noise
            .pick(&[0, 1, 2, 3, 4, 11, 12, 13, 14, 15, 16, 20, 22, 99]);
        let limit = *self.noise.pick(&[1, 13, 40, 400]);
        let data = self.random_bytes(limit);
        let size = u32::try_from(data.len()).unwrap();
        let small = u32::try_from(self.noise.below(500)).unwrap();
        let length = *self
            .noise
            .pick(&[size, size, small, small + size, 0x7fff, 0xff_ffff]);
        let offset = *self
            .noise
            .pick(&[0, 0, small, length.saturating_sub(size), 0xff_ffff]);
        let said = *self.noise.pick(&[size, size, size, small, 0xff_ffff]);
        let seq = u16::try_from(self.noise.below(12)).unwrap();
        let far = self.noise.next().to_be_bytes();
        let seq = *self
            .noise
            .pick(&[seq, seq, seq, u16::from_be_bytes([far[0], far[1]])]);
        let epoch = *self.noise.pick(&[0, 0, 0, 1]);
        let sequence = self.sequence();
        let payload = Spoken::raw(typ, length, seq, offset, said, &data);
        record(HANDSHAKE, DTLS12, epoch, sequence, &payload)
    }

    fn alert_or_data(&mut self) -> Vec<u8> {
        let level = *self.noise.pick(&[WARNING, FATAL, 0, 255]);
        let description = self.noise.next().to_be_bytes()[0];
        let sequence = self.sequence();
        match self.noise.below(4) {
            0 => record(CHANGE_CIPHER_SPEC, DTLS12, 0, sequence, &[1]),
            1 => record(APPLICATION_DATA, DTLS12, 0, sequence, b"forged"),
            _ => record(ALERT, DTLS12, 0, sequence, &[level, description]),
        }
    }

    /// A real hello of either side, or the cookie exchange, with other contents or another number.
    fn hello(&mut self) -> Vec<u8> {
        let is_hello = |datagram: &&Vec<u8>| {
            header(datagram).0 == HANDSHAKE && header(datagram).1 == 0 && datagram[13] <= 3
        };
        let hellos: Vec<_> = self.recorded.iter().filter(is_hello).collect();
        let mut hello = (*self.noise.pick(&hellos)).clone();
        let place = *self.noise.pick(&[17, 18, 25, 26, 27, 28, 60]);
        let place = place.min(hello.len() - 1);
        hello[place] = self.noise.next().to_be_bytes()[0];
        hello
    }
}

/// Every datagram that a recorded pair has sent.
pub fn recorded(pair: &Pair) -> Vec<Vec<u8>> {
    let seen = pair.seen.iter().flatten();
    seen.map(|seen| seen.datagram.clone()).collect()
}
