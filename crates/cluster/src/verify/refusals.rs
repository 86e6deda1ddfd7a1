//! Who must not get in, and who is not trusted: real attempts, each beside one that must succeed on the same listener.

use std::net::SocketAddrV4;
use std::time::Duration;

use caravan_lab::{Machine, Role};

use super::context::{Context, api_address, etcd_address};
use super::findings::Findings;
use super::judge::{distrusted, plain_refused, refused, unauthorized};
use crate::attempt::{self, Attempt, Client, Distrust, End};
use crate::parallel;

/// What of the API nobody may read without saying who they are.
const SECRETS: &str = "/api/v1/namespaces/kube-system/secrets?limit=1";

/// How often an attempt is made until the server's own word about it arrives.
pub(super) const TRIES: usize = 3;

/// What an API server tells everybody, and an etcd member every client of its CA, whether or not there is a quorum: health is
/// no part of these promises.
pub(super) const OPEN: &str = "/version";

/// How long a machine that did not answer is left alone before the next try.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// Neither client port of etcd serves plain HTTP.
pub(super) fn etcd_plain_http(context: &Context) -> Result<Findings, String> {
    let right = context.etcd_client()?;
    Ok(at_members(context, |address| {
        plain_refused(
            &insistent(|| right.get(address, OPEN)),
            &attempt::plain(&context.access.way, address, OPEN, context.answer_limit()),
        )
    }))
}

/// etcd ends the connection of a client that shows no certificate.
pub(super) fn etcd_no_certificate(context: &Context) -> Result<Findings, String> {
    etcd_refuses(context, &context.client(&context.access.etcd_ca, None)?)
}

/// etcd ends the connection of a client whose certificate is of another CA.
pub(super) fn etcd_foreign_certificate(context: &Context) -> Result<Findings, String> {
    let foreign = &context.access.foreign.client;
    etcd_refuses(
        context,
        &context.client(&context.access.etcd_ca, Some(foreign))?,
    )
}

fn etcd_refuses(context: &Context, wrong: &Client) -> Result<Findings, String> {
    let right = context.etcd_client()?;
    Ok(at_members(context, |address| {
        let control = insistent(|| right.get(address, OPEN));
        refused(&control, &insistent(|| wrong.get(address, OPEN)))
    }))
}

/// The API serves no plain HTTP, at the endpoint or at a master.
pub(super) fn api_plain_http(context: &Context) -> Result<Findings, String> {
    let right = context.client(&context.access.kubernetes_ca, None)?;
    Ok(at_apis(context, |address| {
        plain_refused(
            &insistent(|| right.get(address, OPEN)),
            &attempt::plain(&context.access.way, address, OPEN, context.answer_limit()),
        )
    }))
}

/// A client with another CA refuses the API.
pub(super) fn api_wrong_ca(context: &Context) -> Result<Findings, String> {
    let right = context.client(&context.access.kubernetes_ca, None)?;
    let wrong = context.client(&context.access.foreign.ca, None)?;
    Ok(at_apis(context, |address| {
        distrusted(
            &insistent(|| right.get(address, OPEN)),
            &insistent(|| wrong.get(address, OPEN)),
            &Distrust::Issuer,
        )
    }))
}

/// The API shows secrets to the operator, and to nobody without a certificate or with one of another CA.
pub(super) fn api_strangers(context: &Context) -> Result<Findings, String> {
    let access = &context.access;
    let ca = &access.kubernetes_ca;
    let operator = context.client(ca, Some(&access.operator))?;
    let strangers = [
        ("without a certificate", context.client(ca, None)?),
        (
            "with a certificate of another CA",
            context.client(ca, Some(&access.foreign.client))?,
        ),
    ];
    Ok(at_apis(context, |address| {
        let control = insistent(|| operator.get(address, SECRETS));
        let seen: Result<Vec<String>, String> = strangers
            .iter()
            .map(|(who, stranger)| {
                let attempt = insistent(|| stranger.get(address, SECRETS));
                let seen = unauthorized(&control, &attempt)?;
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
        (
            &member.name,
            named(&member.name, judge(etcd_address(member))),
        )
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
    parallel::each(places, |(name, address)| {
        (name, named(name, judge(address)))
    })
    .into_iter()
    .collect()
}

fn named(who: &str, seen: Result<String, String>) -> Result<String, String> {
    match seen {
        Ok(seen) => Ok(format!("{who}: {seen}")),
        Err(why) => Err(format!("{who}: {why}")),
    }
}

/// Tries again while the server hangs up faster than its alert arrives, and while a busy machine does not answer.
pub(super) fn insistent(attempt: impl Fn() -> Attempt) -> Attempt {
    let mut last = attempt();
    for _ in 1..TRIES {
        match last.end {
            End::Closed(_) if last.trusted => {}
            End::Closed(_) | End::Unreachable(_) | End::Silent => std::thread::sleep(PAUSE),
            _ => break,
        }
        last = attempt();
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hang_up_is_tried_again_for_its_reason() {
        use std::cell::Cell;
        let attempt = |end| Attempt {
            shown: None,
            trusted: true,
            end,
        };
        let count = Cell::new(0);
        let last = insistent(|| {
            count.set(count.get() + 1);
            match count.get() {
                1 => attempt(End::Closed("reset".to_owned())),
                2 => attempt(End::Unreachable("refused".to_owned())),
                _ => attempt(End::Alert("CertificateRequired".to_owned())),
            }
        });
        let alert = End::Alert("CertificateRequired".to_owned());
        assert_eq!((count.get(), last.end), (3, alert));
    }

    #[test]
    fn what_is_final_is_not_tried_again() {
        use std::cell::Cell;
        let count = Cell::new(0);
        insistent(|| {
            count.set(count.get() + 1);
            Attempt {
                shown: None,
                trusted: true,
                end: End::Alert("CertificateRequired".to_owned()),
            }
        });
        assert_eq!(count.get(), 1);
    }
}
