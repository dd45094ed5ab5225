//! use_srtp (RFC 5764 §4.1.1): both ends write the same form.

use crate::error::InvalidMessage;
use crate::protocol::SrtpProfile;
use crate::wire::codec::{Reader, Writer};

/// Reads a client's profiles. The master key identifier after them is not supported here; a server
/// refuses it by not echoing it (RFC 5764 §4.1.3).
pub(super) fn decode_offer(body: &mut Reader<'_>) -> Result<Vec<SrtpProfile>, InvalidMessage> {
    let profiles = body.list16("SRTPProtectionProfiles", SrtpProfile)?;
    body.vec8("srtp_mki")?;
    Ok(profiles)
}

/// Reads a server's choice: one profile, and no master key identifier, because none was offered.
pub(super) fn decode_choice(body: &mut Reader<'_>) -> Result<SrtpProfile, InvalidMessage> {
    let profiles = body.list16("SRTPProtectionProfiles", SrtpProfile)?;
    let [profile] = profiles[..] else {
        return Err(InvalidMessage::IllegalValue("SRTPProtectionProfiles"));
    };
    if !body.vec8("srtp_mki")?.is_empty() {
        return Err(InvalidMessage::IllegalValue("srtp_mki"));
    }
    Ok(profile)
}

pub(super) fn put_profiles(out: &mut Vec<u8>, profiles: &[SrtpProfile]) {
    out.put_vec(2, |out| {
        profiles.iter().for_each(|profile| out.put_u16(profile.0));
    });
    out.put_vec(1, |_| {});
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_one_profile_without_a_master_key() {
        for (body, expected) in [
            (&[0, 2, 0, 1, 0][..], Ok(SrtpProfile(1))),
            (&[0, 4, 0, 1, 0, 2, 0], Err(())),
            (&[0, 0, 0], Err(())),
            (&[0, 3, 0, 1, 0, 0], Err(())),
            (&[0, 2, 0, 1, 1, 7], Err(())),
            (&[0, 2, 0, 1], Err(())),
        ] {
            let found = decode_choice(&mut Reader::new(body));
            assert_eq!(found.map_err(|_| ()), expected, "{body:?}");
        }
        let offer = [0, 4, 0, 1, 0, 2, 1, 7];
        let profiles = decode_offer(&mut Reader::new(&offer)).unwrap();
        assert_eq!(profiles, [SrtpProfile(1), SrtpProfile(2)]);
    }
}
