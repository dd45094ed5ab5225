//! The two bytes of an alert (RFC 5246 §7.2).

use crate::protocol::{Alert, AlertDescription, AlertLevel};

/// Encodes an alert.
pub(crate) const fn encode(alert: Alert) -> [u8; 2] {
    [alert.level.0, alert.description.0]
}

/// Decodes an alert: exactly two bytes.
pub(crate) fn decode(bytes: &[u8]) -> Option<Alert> {
    let &[level, description] = bytes else {
        return None;
    };
    Some(Alert {
        level: AlertLevel(level),
        description: AlertDescription(description),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_two_bytes() {
        assert_eq!(
            decode(&encode(Alert::CLOSE_NOTIFY)),
            Some(Alert::CLOSE_NOTIFY)
        );
        assert_eq!(decode(&[1]), None);
        assert_eq!(decode(&[1, 0, 0]), None);
    }
}
