//! Who must not get in, and who is not trusted: real attempts, each beside one that must succeed on the same listener.

use std::net::SocketAddrV4;

use caravan_lab::{Machine, Role};

use super::context::{Context, api_address, client, etcd_address};
use super::findings::Findings;
use crate::attempt::{self, Attempt, Client, Distrust, End};
use crate::parallel;

/// What of the API nobody may read without saying who they are.
const SECRETS: &str = "/api/v1/namespaces/kube-system/secrets?limit=1";

/// How often an attempt is made until the server's own word about it arrives.
const TRIES: usize = 3;

/// Neither client port of etcd serves plain HTTP.
pub(super) fn etcd_plain_http(context: &Context) -> Result<Findings, String> {
    let right = context.etcd_client()?;
    Ok(at_members(context, |address| {
        plain_refused(
            &right.get(address, "/health"),
            &attempt::plain(address, "/health"),
        )
    }))
}

/// etcd ends the connection of a client that shows no certificate.
pub(super) fn etcd_no_certificate(context: &Context) -> Result<Findings, String> {
    etcd_refuses(context, &client(&context.access.etcd_ca, None)?)
}

/// etcd ends the connection of a client whose certificate is of another CA.
pub(super) fn etcd_foreign_certificate(context: &Context) -> Result<Findings, String> {
    let foreign = &context.access.foreign.client;
    etcd_refuses(context, &client(&context.access.etcd_ca, Some(foreign))?)
}

fn etcd_refuses(context: &Context, wrong: &Client) -> Result<Findings, String> {
    let right = context.etcd_client()?;
    Ok(at_members(context, |address| {
        let control = right.get(address, "/health");
        refused(&control, &insistent(|| wrong.get(address, "/health")))
    }))
}

/// The API serves no plain HTTP, at the endpoint or at a master.
pub(super) fn api_plain_http(context: &Context) -> Result<Findings, String> {
    let right = client(&context.access.kubernetes_ca, None)?;
    Ok(at_apis(context, |address| {
        plain_refused(
            &right.get(address, "/readyz"),
            &attempt::plain(address, "/readyz"),
        )
    }))
}

/// A client with another CA refuses the API.
pub(super) fn api_wrong_ca(context: &Context) -> Result<Findings, String> {
    let right = client(&context.access.kubernetes_ca, None)?;
    let wrong = client(&context.access.foreign.ca, None)?;
    Ok(at_apis(context, |address| {
        distrusted(
            &right.get(address, "/readyz"),
            &wrong.get(address, "/readyz"),
            &Distrust::Issuer,
        )
    }))
}

/// The API shows secrets to the operator, and to nobody without a certificate or with one of another CA.
pub(super) fn api_strangers(context: &Context) -> Result<Findings, String> {
    let access = &context.access;
    let ca = &access.kubernetes_ca;
    let operator = client(ca, Some(&access.operator))?;
    let strangers = [
        ("without a certificate", client(ca, None)?),
        (
            "with a certificate of another CA",
            client(ca, Some(&access.foreign.client))?,
        ),
    ];
    Ok(at_apis(context, |address| {
        let control = operator.get(address, SECRETS);
        let seen: Result<Vec<String>, String> = strangers
            .iter()
            .map(|(who, stranger)| {
                let seen = unauthorized(&control, &stranger.get(address, SECRETS))?;
                Ok(format!("{who} {seen}"))
            })
            .collect();
        seen.map(|seen| seen.join(", "))
    }))
}

fn at_members(
    context: &Context,
    judge: impl Fn(SocketAddrV4) -> Result<String, String> + Sync,
) -> Findings {
    let members: Vec<&Machine> = context.lab.of_role(Role::Etcd).collect();
    parallel::each(members, |member| {
        named(&member.name, judge(etcd_address(member)))
    })
    .into_iter()
    .collect()
}

/// Asks at the endpoint and at each master that is not the endpoint itself.
fn at_apis(
    context: &Context,
    judge: impl Fn(SocketAddrV4) -> Result<String, String> + Sync,
) -> Findings {
    let endpoint = context.lab.api_endpoint();
    let masters = context.lab.of_role(Role::ControlPlane);
    let mut places = vec![("the endpoint", endpoint)];
    places.extend(
        masters
            .map(|master| (master.name.as_str(), api_address(master)))
            .filter(|(_, address)| *address != endpoint),
    );
    parallel::each(places, |(name, address)| named(name, judge(address)))
        .into_iter()
        .collect()
}

fn named(who: &str, seen: Result<String, String>) -> Result<String, String> {
    match seen {
        Ok(seen) => Ok(format!("{who}: {seen}")),
        Err(why) => Err(format!("{who}: {why}")),
    }
}

/// Tries again while the server hangs up faster than its alert arrives.
pub(super) fn insistent(attempt: impl Fn() -> Attempt) -> Attempt {
    let mut last = attempt();
    for _ in 1..TRIES {
        if !matches!(last.end, End::Closed(_)) {
            break;
        }
        last = attempt();
    }
    last
}

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
fn refused(control: &Attempt, attempt: &Attempt) -> Result<String, String> {
    alive(control)?;
    if attempt.is_refusal() {
        return Ok(attempt.end.to_string());
    }
    Err(format!("not refused: {}", attempt.end))
}

/// We must refuse the server, for this reason.
fn distrusted(control: &Attempt, attempt: &Attempt, why: &Distrust) -> Result<String, String> {
    alive(control)?;
    match &attempt.end {
        End::Distrusted(found) if found == why => Ok(attempt.end.to_string()),
        other => Err(format!("not refused for the right reason: {other}")),
    }
}

/// Plain HTTP must get no answer but that it is wrong here.
fn plain_refused(control: &Attempt, attempt: &End) -> Result<String, String> {
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
fn unauthorized(control: &Attempt, attempt: &Attempt) -> Result<String, String> {
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

    #[test]
    fn a_hang_up_is_tried_again_for_its_reason() {
        use std::cell::Cell;
        let count = Cell::new(0);
        let last = insistent(|| {
            count.set(count.get() + 1);
            match count.get() {
                1 => attempt(true, End::Closed("reset".to_owned())),
                _ => alert(),
            }
        });
        assert_eq!((count.get(), last), (2, alert()));
    }
}
