//! Certificates of etcd's members: each has its own.

use std::collections::BTreeMap;

use caravan_lab::{Lab, Machine, Role};

use super::context::{Context, etcd_address};
use super::findings::Findings;
use super::refusals::OPEN;
use crate::attempt::End;
use crate::{Certificate, parallel};

/// A certificate as a member shows it, or why there is none to see.
type Shown = (String, Result<Certificate, String>);

/// What each member's client port serves, in a handshake with the operator.
pub(super) fn servers(context: &Context) -> Result<Findings, String> {
    let client = context.etcd_client()?;
    let members: Vec<&Machine> = context.lab.of_role(Role::Etcd).collect();
    let shown = parallel::each(members, |member| {
        let attempt = client.get(etcd_address(member), OPEN);
        let certificate = match (&attempt.end, &attempt.shown) {
            (End::Answered { status: 200, .. }, Some(der)) => (context.access.inspect)(der)
                .ok_or_else(|| "its certificate cannot be read".to_owned()),
            (end, _) => Err(end.to_string()),
        };
        (member.name.clone(), certificate)
    });
    Ok(judge_own(&context.lab, &issuer(context)?, &shown))
}

/// What each member keeps for its peers, and whether the other members accept it.
pub(super) fn peers(context: &Context) -> Result<Findings, String> {
    let members = context.lab.of_role(Role::Etcd);
    let asked = context.each_survey(members, |member, facts| {
        let certificate = context
            .certificates(&facts.text("peer-certificate"))
            .into_iter()
            .next()
            .ok_or_else(|| "it has no peer certificate that can be read".to_owned());
        let answers = facts.get("peer-answers").unwrap_or_default();
        (
            (member.name.clone(), certificate),
            judge_peer_answers(&context.lab, member, answers),
        )
    });
    let mut findings = Findings::new();
    let mut shown = Vec::new();
    for (member, asked) in asked {
        match asked {
            Ok((certificate, answers)) => {
                shown.push(certificate);
                findings.extend(answers);
            }
            Err(why) => shown.push((member.name.clone(), Err(why))),
        }
    }
    findings.extend(judge_own(&context.lab, &issuer(context)?, &shown));
    Ok(findings)
}

/// The name that etcd's CA signs with.
pub(super) fn issuer(context: &Context) -> Result<String, String> {
    let authority = context.certificates(&context.access.etcd_ca);
    let authority = authority.into_iter().next();
    Ok(authority
        .ok_or("the certificate of etcd's CA cannot be read")?
        .subject)
}

/// Each certificate is for its member alone: names, issuer, usages, and a key that no other has.
fn judge_own(lab: &Lab, issuer: &str, shown: &[Shown]) -> Findings {
    let mut findings = Findings::new();
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, certificate) in shown {
        let certificate = match certificate {
            Ok(certificate) => certificate,
            Err(why) => {
                findings.wrong(name, format!("{name}: {why}"));
                continue;
            }
        };
        let faults = faults_of_own(lab, issuer, name, certificate);
        for fault in &faults {
            findings.wrong(name, format!("{name}'s certificate {fault}"));
        }
        if let Some(other) = owners.insert(&certificate.public_key_sha256, name) {
            findings.wrong(name, format!("{name} and {other} have the same key"));
        } else if faults.is_empty() {
            findings.right(
                name,
                format!(
                    "{name} has key {} for {}",
                    short(&certificate.public_key_sha256),
                    certificate.names.join(" ")
                ),
            );
        }
    }
    findings
}

fn faults_of_own(lab: &Lab, issuer: &str, name: &str, certificate: &Certificate) -> Vec<String> {
    let mut faults = Vec::new();
    let has = |wanted: &str| certificate.names.iter().any(|name| name == wanted);
    for machine in lab.of_role(Role::Etcd) {
        for wanted in [machine.name.clone(), machine.ip.to_string()] {
            match (machine.name == name, has(&wanted)) {
                (true, false) => faults.push(format!("does not name {wanted}")),
                (false, true) => faults.push(format!("names another member, {wanted}")),
                _ => {}
            }
        }
    }
    if certificate.issuer != issuer {
        faults.push(format!("is of {}, not of {issuer}", certificate.issuer));
    }
    // As a client too: a member's gateway dials itself with it, and peers dial each other.
    if !(certificate.server && certificate.client) {
        faults.push("is not for servers and clients both".to_owned());
    }
    faults
}

/// The others must answer a member that comes with its own peer certificate.
fn judge_peer_answers(lab: &Lab, member: &Machine, answers: &[String]) -> Findings {
    let others = lab.of_role(Role::Etcd).filter(|it| it.name != member.name);
    others
        .map(|other| {
            let line = answers.iter().find_map(|line| {
                let (address, code) = line.split_once(' ')?;
                (address == other.ip.to_string()).then_some(code)
            });
            let judged = match line {
                Some("200") => Ok(format!("{} accepts {} as a peer", other.name, member.name)),
                Some(code) => Err(format!(
                    "{} answers {} as a peer with status {code}",
                    other.name, member.name
                )),
                None => Err(format!("{} did not ask {}", member.name, other.name)),
            };
            (&member.name, judged)
        })
        .collect()
}

/// As much of a hash as people compare.
pub(super) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{certificate, lab};
    use super::*;

    fn own(name: &str, last: u8) -> Certificate {
        Certificate {
            names: vec![
                name.to_owned(),
                "localhost".to_owned(),
                format!("192.168.29.{last}"),
                "127.0.0.1".to_owned(),
            ],
            server: true,
            public_key_sha256: format!("{name}-key-and-some-more"),
            ..certificate(name)
        }
    }

    fn three() -> Vec<Shown> {
        [("etcdone", 61), ("etcdtwo", 62), ("etcdthree", 63)]
            .map(|(name, last)| (name.to_owned(), Ok(own(name, last))))
            .to_vec()
    }

    #[test]
    fn every_member_has_its_own() {
        let lab = lab("ha");
        assert!(judge_own(&lab, "etcd-ca", &three()).holds());
        let check = |why: &str, spoil: fn(&mut Certificate)| {
            let mut shown = three();
            if let Ok(certificate) = &mut shown[1].1 {
                spoil(certificate);
            }
            let findings = judge_own(&lab, "etcd-ca", &shown);
            assert!(!findings.holds(), "{why}");
            let evidence = findings.verdict().text;
            assert!(evidence.contains("etcdtwo"), "{why}: {evidence}");
        };
        check("one key for two", |it| {
            it.public_key_sha256 = "etcdone-key-and-some-more".to_owned();
        });
        check("no address", |it| {
            it.names.retain(|name| name != "192.168.29.62")
        });
        check("another's name", |it| it.names.push("etcdthree".to_owned()));
        check("another CA", |it| it.issuer = "kubernetes".to_owned());
        check("no server", |it| it.server = false);
        check("no client", |it| it.client = false);
        assert!(
            !judge_own(
                &lab,
                "etcd-ca",
                &[("etcdone".to_owned(), Err("down".to_owned()))]
            )
            .holds()
        );
        assert!(!judge_own(&lab, "etcd-ca", &[]).holds());
    }

    #[test]
    fn peers_answer_each_other() {
        let lab = lab("ha");
        let one = lab.machine("etcdone").expect("there");
        let said = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            judge_peer_answers(&lab, one, &lines).holds()
        };
        assert!(said(&["192.168.29.62 200", "192.168.29.63 200"]));
        assert!(!said(&["192.168.29.62 200"]));
        assert!(!said(&["192.168.29.62 200", "192.168.29.63 000"]));
        assert!(!said(&[]));
    }
}
