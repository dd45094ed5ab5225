//! As much of DER (X.690) as it takes to find something in a certificate that has been parsed
//! elsewhere, or in a private key.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// The contents of the first element with this tag.
pub(crate) fn find(tag: u8, mut elements: &[u8]) -> Option<&[u8]> {
    loop {
        let (found, contents, rest) = element(elements)?;
        if found == tag {
            return Some(contents);
        }
        elements = rest;
    }
}

/// The contents of the first element, which must have this tag, and what follows it.
pub(crate) fn inside(tag: u8, elements: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, contents, rest) = element(elements)?;
    (found == tag).then_some((contents, rest))
}

/// The first element as a whole, which must have this tag, and what follows it.
pub(crate) fn whole(tag: u8, elements: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, rest) = inside(tag, elements)?;
    Some(elements.split_at(elements.len() - rest.len()))
}

/// How many bits a number has, from the octets of a positive INTEGER.
pub(crate) fn bit_length(number: &[u8]) -> usize {
    let mut significant = number.iter().skip_while(|&&octet| octet == 0);
    let Some(first) = significant.next() else {
        return 0;
    };
    let first_bits = u8::BITS - first.leading_zeros();
    significant.count() * 8 + usize::try_from(first_bits).unwrap_or_default()
}

/// Takes one element apart: tag, contents, rest (X.690 §8.1).
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = input.split_first_chunk()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if octets.len() > 3 {
            return None;
        }
        let length = octets
            .iter()
            .fold(0, |length, &octet| length << 8 | usize::from(octet));
        (length, rest)
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}
