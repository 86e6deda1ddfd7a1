//! Tells a refusal from everything that only looks like one.

use crate::attempt::{Attempt, Distrust, End};

/// The right client must be served, on the same listener and in the same moment; else a refusal proves nothing.
fn alive(control: &Attempt) -> Result<(), String> {
    match control.end {
        End::Answered { status: 200, .. } if control.trusted => Ok(()),
        ref other => Err(format!(
            "nothing is proved, because the right client was not served either: {other}"
        )),
    }
}

/// The server must refuse: it showed its own certificate, and then ended the connection.
pub(super) fn refused(control: &Attempt, attempt: &Attempt) -> Result<String, String> {
    alive(control)?;
    if attempt.is_refusal() {
        return Ok(attempt.end.to_string());
    }
    Err(format!("not refused: {}", attempt.end))
}

/// We must refuse the server, for this reason.
pub(super) fn distrusted(
    control: &Attempt,
    attempt: &Attempt,
    why: &Distrust,
) -> Result<String, String> {
    alive(control)?;
    match &attempt.end {
        End::Distrusted(found) if found == why => Ok(attempt.end.to_string()),
        other => Err(format!("not refused for the right reason: {other}")),
    }
}

/// Plain HTTP must get no answer but that it is wrong here.
pub(super) fn plain_refused(control: &Attempt, attempt: &End) -> Result<String, String> {
    alive(control)?;
    match attempt {
        // Go's servers say in plain text that they want TLS.
        End::Answered { status: 400, body } if body.contains("HTTPS") => {
            Ok(format!("status 400, {body}"))
        }
        End::Closed(_) => Ok(attempt.to_string()),
        other => Err(format!("not refused: {other}")),
    }
}

/// The API must answer who nobody knows with 401 or 403.
pub(super) fn unauthorized(control: &Attempt, attempt: &Attempt) -> Result<String, String> {
    alive(control)?;
    match attempt.end {
        End::Answered {
            status: status @ (401 | 403),
            ..
        } if attempt.trusted => Ok(format!("status {status}")),
        End::Alert(_) if attempt.is_refusal() => Ok(attempt.end.to_string()),
        ref other => Err(format!("not refused: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(trusted: bool, end: End) -> Attempt {
        Attempt {
            shown: trusted.then(|| vec![1]),
            trusted,
            end,
        }
    }

    fn answered(status: u16) -> Attempt {
        attempt(
            true,
            End::Answered {
                status,
                body: String::new(),
            },
        )
    }

    fn alert() -> Attempt {
        attempt(true, End::Alert("CertificateRequired".to_owned()))
    }

    fn unreachable() -> Attempt {
        attempt(false, End::Unreachable("connection refused".to_owned()))
    }

    /// Attempts that must never be taken for a refusal.
    fn not_refusals() -> Vec<Attempt> {
        vec![
            answered(200),
            unreachable(),
            attempt(false, End::Alert("UnknownCA".to_owned())),
            attempt(false, End::Closed("reset".to_owned())),
            attempt(true, End::Silent),
            attempt(false, End::Distrusted(Distrust::Issuer)),
        ]
    }

    /// Controls that leave everything unproved.
    fn dead() -> Vec<Attempt> {
        vec![
            unreachable(),
            alert(),
            answered(503),
            attempt(false, End::Silent),
        ]
    }

    #[test]
    fn a_refusal_is_the_right_servers_own() {
        assert!(refused(&answered(200), &alert()).is_ok());
        let hung_up = attempt(true, End::Closed("reset".to_owned()));
        assert!(refused(&answered(200), &hung_up).is_ok());
        for attempt in not_refusals() {
            assert!(refused(&answered(200), &attempt).is_err(), "{attempt:?}");
        }
        for control in dead() {
            assert!(refused(&control, &alert()).is_err(), "{control:?}");
        }
    }

    #[test]
    fn distrust_has_the_right_reason() {
        let wrong = attempt(false, End::Distrusted(Distrust::Issuer));
        assert!(distrusted(&answered(200), &wrong, &Distrust::Issuer).is_ok());
        assert!(distrusted(&answered(200), &wrong, &Distrust::Purpose).is_err());
        for attempt in [answered(200), alert(), unreachable()] {
            assert!(distrusted(&answered(200), &attempt, &Distrust::Issuer).is_err());
        }
        for control in dead() {
            assert!(distrusted(&control, &wrong, &Distrust::Issuer).is_err());
        }
    }

    #[test]
    fn plain_text_gets_no_answer() {
        let said = |status, body: &str| End::Answered {
            status,
            body: body.to_owned(),
        };
        let wants_tls = said(400, "Client sent an HTTP request to an HTTPS server.");
        let closed = End::Closed("reset".to_owned());
        for attempt in [&wants_tls, &closed] {
            assert!(plain_refused(&answered(200), attempt).is_ok());
            for control in dead() {
                assert!(plain_refused(&control, attempt).is_err());
            }
        }
        for attempt in [
            said(200, "{}"),
            said(301, "HTTPS"),
            said(400, "bad path"),
            End::Silent,
            End::Unreachable("refused".to_owned()),
        ] {
            assert!(
                plain_refused(&answered(200), &attempt).is_err(),
                "{attempt}"
            );
        }
    }

    #[test]
    fn strangers_are_answered_with_no() {
        for status in [401, 403] {
            assert!(unauthorized(&answered(200), &answered(status)).is_ok());
        }
        assert!(unauthorized(&answered(403), &answered(403)).is_err());
        for attempt in [answered(200), answered(404), answered(500), unreachable()] {
            assert!(
                unauthorized(&answered(200), &attempt).is_err(),
                "{attempt:?}"
            );
        }
    }
}
