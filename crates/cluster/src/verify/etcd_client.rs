//! The one certificate that all API servers show to etcd.

use caravan_lab::Role;

use super::context::Context;
use super::etcd_pairs::{issuer, short};
use super::findings::Findings;
use crate::{Certificate, attempt};

/// Where kubeadm and API servers look for the shared certificate.
const SHARED: &str = "/etc/kubernetes/pki/apiserver-etcd-client";

/// What a master has as the API servers' certificate for etcd.
struct Held {
    master: String,
    certificate: Option<Certificate>,
    /// What is presented: the text around it may differ.
    der: Vec<u8>,
    flags: Vec<String>,
}

/// All API servers run with one and the same certificate, which is a client's and nothing else.
pub(super) fn shared(context: &Context) -> Result<Findings, String> {
    let masters = context.lab.of_role(Role::ControlPlane);
    let asked = context.each_survey(masters, |master, facts| {
        let pem = facts.text("apiserver-etcd-client");
        Held {
            master: master.name.clone(),
            certificate: context.certificates(&pem).into_iter().next(),
            der: attempt::chain("a certificate", &pem)
                .map(|chain| chain[0].to_vec())
                .unwrap_or_default(),
            flags: facts
                .get("api-server-etcd-flags")
                .unwrap_or_default()
                .to_vec(),
        }
    });
    let mut findings = Findings::new();
    let mut held = Vec::new();
    for (master, asked) in asked {
        match asked {
            Ok(it) => held.push(it),
            Err(why) => findings.wrong(&master.name, why),
        }
    }
    findings.extend(judge_shared(&issuer(context)?, &held));
    Ok(findings)
}

fn judge_shared(issuer: &str, held: &[Held]) -> Findings {
    let mut findings = Findings::new();
    for it in held {
        let master = &it.master;
        let Some(certificate) = &it.certificate else {
            findings.wrong(
                master,
                format!("{master} has no such certificate that can be read"),
            );
            continue;
        };
        if certificate.issuer != issuer {
            findings.wrong(
                master,
                format!("{master}'s is of {}, not of {issuer}", certificate.issuer),
            );
        }
        if certificate.server || !certificate.client {
            findings.wrong(master, format!("{master}'s is not a client's alone"));
        }
        if !certificate.names.is_empty() {
            findings.wrong(
                master,
                format!("{master}'s names {}", certificate.names.join(" ")),
            );
        }
        for (flag, file) in [("--etcd-certfile", "crt"), ("--etcd-keyfile", "key")] {
            let wanted = format!("{flag}={SHARED}.{file}");
            if !it.flags.contains(&wanted) {
                findings.wrong(
                    master,
                    format!("{master}'s API server does not run with {wanted}"),
                );
            }
        }
        if held[0].der != it.der {
            findings.wrong(
                master,
                format!("{master} has another certificate than {}", held[0].master),
            );
        }
    }
    if let Some(Held {
        certificate: Some(first),
        ..
    }) = held.first()
    {
        let masters: Vec<&str> = held.iter().map(|it| it.master.as_str()).collect();
        findings.right(
            &first.subject,
            format!(
                "{} with key {}, clientAuth only, without names, runs on {}",
                first.subject,
                short(&first.public_key_sha256),
                masters.join(", ")
            ),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tests::certificate;
    use super::*;

    #[test]
    fn the_shared_one_is_a_clients_alone() {
        let held = |master: &str| Held {
            master: master.to_owned(),
            certificate: Some(Certificate {
                names: Vec::new(),
                ..certificate("kube-apiserver-etcd-client")
            }),
            der: vec![1, 2, 3],
            flags: vec![
                format!("--etcd-certfile={SHARED}.crt"),
                format!("--etcd-keyfile={SHARED}.key"),
            ],
        };
        let pair = || vec![held("masterone"), held("mastertwo")];
        assert!(judge_shared("etcd-ca", &pair()).holds());
        let check = |why: &str, spoil: fn(&mut Held)| {
            let mut held = pair();
            spoil(&mut held[1]);
            let findings = judge_shared("etcd-ca", &held);
            assert!(!findings.holds(), "{why}");
        };
        check("another certificate", |it| it.der = vec![4]);
        check("none", |it| it.certificate = None);
        check("other flags", |it| it.flags.clear());
        let with = |spoil: fn(&mut Certificate)| {
            let mut held = pair();
            if let Some(certificate) = &mut held[1].certificate {
                spoil(certificate);
            }
            judge_shared("etcd-ca", &held).holds()
        };
        assert!(!with(|it| it.server = true));
        assert!(!with(|it| it.client = false));
        assert!(!with(|it| it.issuer = "kubernetes".to_owned()));
        assert!(!with(|it| it.names.push("etcdone".to_owned())));
        assert!(!judge_shared("etcd-ca", &[]).holds());
    }
}
