//! The two bytes of an alert (RFC 5246 §7.2).

use crate::protocol::{Alert, AlertDescription, AlertLevel};

/// Encodes an alert.
pub(crate) const fn encode(alert: Alert) -> [u8; 2] {
    [alert.level.0, alert.description.0]
}

/// Decodes an alert: exactly two bytes, with a level that exists.
pub(crate) fn decode(bytes: &[u8]) -> Option<Alert> {
    let &[level, description] = bytes else {
        return None;
    };
    let level = AlertLevel(level);
    let known = level == AlertLevel::WARNING || level == AlertLevel::FATAL;
    known.then_some(Alert {
        level,
        description: AlertDescription(description),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_two_bytes_with_a_known_level() {
        assert_eq!(
            decode(&encode(Alert::CLOSE_NOTIFY)),
            Some(Alert::CLOSE_NOTIFY)
        );
        assert_eq!(decode(&[3, 0]), None);
        assert_eq!(decode(&[1]), None);
        assert_eq!(decode(&[1, 0, 0]), None);
    }
}
