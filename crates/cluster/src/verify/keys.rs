//! Keys and secrets on machines: who can read them, and which one opens a machine.

use std::time::Duration;

use caravan_lab::{Machine, Role};
use caravan_vagrant::Error as MachineError;

use super::context::Context;
use super::findings::Findings;
use crate::facts::Facts;
use crate::{access, parallel};

/// The published Vagrant public keys, by how their base64 begins
/// (<https://github.com/hashicorp/vagrant/tree/main/keys>): RSA, and Ed25519 since 2.3.5.
const PUBLISHED: [&str; 2] = [
    "AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr",
    "AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw",
];

/// How long one try to log in may take.
const LOGIN: Duration = Duration::from_secs(30);

/// Machines let in the lab's key alone; where this computer has the published one, it is tried.
pub(super) fn published_key(context: &Context) -> Result<Findings, String> {
    let ssh = context
        .access
        .insecure_key
        .as_ref()
        .map(|key| context.access.ssh.with_identity(key));
    let machines: Vec<&Machine> = context.lab.machines().iter().collect();
    // The questions come in with the lab's key, which proves that the machine lets anybody in.
    let judge = |machine: &Machine| {
        let held = judge_authorized(&machine.name, context.survey(machine)?)?;
        let Some(ssh) = &ssh else {
            return Ok(format!("{held}; the published one is not here to be tried"));
        };
        let remote = access::remote(ssh, machine);
        let tried = judge_login(&machine.name, remote.run(&["true"], LOGIN).map(drop))?;
        Ok(format!("{held}, {tried}"))
    };
    Ok(
        parallel::each(machines, |machine| (&machine.name, judge(machine)))
            .into_iter()
            .collect(),
    )
}

fn judge_authorized(name: &str, facts: &Facts) -> Result<String, String> {
    let keys = facts.get("authorized-keys").unwrap_or_default();
    let own = facts.text("lab-key");
    if own.is_empty() || !keys.contains(&own) {
        return Err(format!("{name} does not have the lab's key"));
    }
    let mut published: Vec<&str> = PUBLISHED.to_vec();
    published.extend(
        facts
            .get("published-keys")
            .unwrap_or_default()
            .iter()
            .filter_map(|line| line.split(' ').nth(1)),
    );
    if let Some(key) = keys
        .iter()
        .find(|key| published.iter().any(|known| key.contains(known)))
    {
        let kind = key.split(' ').next().unwrap_or_default();
        return Err(format!("{name} lets in the published {kind} key"));
    }
    let others = keys.iter().filter(|key| **key != own).count();
    if others > 0 {
        return Err(format!("{name} lets in {others} keys beside the lab's"));
    }
    Ok(format!("{name}: the lab's key alone"))
}

fn judge_login(name: &str, tried: Result<(), MachineError>) -> Result<String, String> {
    match tried {
        Err(MachineError::NotReached { said, .. }) if said.contains("Permission denied") => {
            Ok("the published one tried and denied".to_owned())
        }
        Err(error) => Err(format!("{name}: nothing is proved by: {error}")),
        Ok(()) => Err(format!("{name} lets in the published key")),
    }
}

/// Who is nobody in particular finds no secret, though root finds many, and a bait is found.
pub(super) fn no_readable_secrets(context: &Context) -> Result<Findings, String> {
    Ok(
        context.judge_surveys(context.lab.machines(), |machine, facts| {
            judge_secrets(machine, facts)
        }),
    )
}

fn judge_secrets(machine: &Machine, facts: &Facts) -> Result<String, String> {
    let name = &machine.name;
    let count: u32 = facts
        .text("secrets")
        .parse()
        .map_err(|_| format!("{name} could not be searched"))?;
    let bait = facts.text("bait");
    let readable = facts.get("readable-secrets").unwrap_or_default();
    if bait.is_empty() || !readable.contains(&bait) {
        return Err(format!(
            "{name}: the search does not find its bait, and proves nothing"
        ));
    }
    let found: Vec<&str> = readable
        .iter()
        .filter(|file| **file != bait)
        .map(String::as_str)
        .collect();
    if !found.is_empty() {
        return Err(format!("on {name} everybody can read {}", found.join(", ")));
    }
    match facts.get("secrets-in-arguments") {
        Some([]) => Ok(format!(
            "{name}: nobody can read any of {count} files with secrets"
        )),
        Some(programs) => Err(format!(
            "on {name} arguments of {} hold secrets",
            programs.join(", ")
        )),
        None => Err(format!("{name}'s programs could not be searched")),
    }
}

/// Only root can look into etcd's data.
pub(super) fn etcd_data_closed(context: &Context) -> Result<Findings, String> {
    Ok(
        context.judge_surveys(context.lab.of_role(Role::Etcd), |machine, facts| {
            judge_data(&machine.name, facts)
        }),
    )
}

fn judge_data(name: &str, facts: &Facts) -> Result<String, String> {
    let lines = facts.get("data-modes").unwrap_or_default();
    for folder in ["/var/lib/etcd", "/var/lib/etcd/member"] {
        let line = lines
            .iter()
            .find(|line| line.ends_with(&format!(" {folder}")));
        match line
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .as_deref()
        {
            Some(["700", "root", _]) => {}
            Some([mode, owner, _]) => {
                return Err(format!(
                    "{name}'s {folder} has mode {mode} and is {owner}'s"
                ));
            }
            _ => return Err(format!("{name} has no {folder}")),
        }
    }
    Ok(format!("{name}: mode 700, root's"))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::tests::lab;
    use super::*;

    #[test]
    fn only_the_labs_key() {
        let judge = |text: &str| judge_authorized("m", &Facts::parse(text));
        let good = "@@ authorized-keys\necdsa-sha2-nistp256 AAAAE2 caravan ha\n@@ lab-key\necdsa-sha2-nistp256 AAAAE2 caravan ha\n@@ published-keys\nssh-rsa AAAAOTHER vagrant insecure public key\n";
        assert!(judge(good).is_ok());
        for more in [
            format!("ssh-rsa {}xyz vagrant", PUBLISHED[0]),
            format!("ssh-ed25519 {}xyz vagrant", PUBLISHED[1]),
            "ssh-rsa AAAAOTHER renamed".to_owned(),
            "ssh-ed25519 AAAASTRANGER me".to_owned(),
        ] {
            let bad = good.replace("@@ lab-key", &format!("{more}\n@@ lab-key"));
            assert!(judge(&bad).is_err(), "{more}");
        }
        assert!(judge(&good.replacen("AAAAE2", "AAAAE3", 1)).is_err());
        assert!(judge("").is_err());
    }

    #[test]
    fn a_login_is_denied_not_lost() {
        let lost = |said: &str| MachineError::NotReached {
            address: Ipv4Addr::LOCALHOST,
            said: said.to_owned(),
        };
        assert!(judge_login("m", Err(lost("vagrant@m: Permission denied (publickey)."))).is_ok());
        assert!(judge_login("m", Err(lost("Connection refused"))).is_err());
        assert!(judge_login("m", Ok(())).is_err());
    }

    #[test]
    fn a_search_finds_its_bait_and_nothing_else() {
        let lab = lab("ha");
        let judge = |text: &str| judge_secrets(lab.first_master(), &Facts::parse(text)).is_ok();
        let good = "@@ secrets\n12\n@@ bait\n/tmp/bait\n@@ readable-secrets\n/tmp/bait\n@@ secrets-in-arguments\n";
        assert!(judge(good));
        for (from, to) in [
            ("readable-secrets\n/tmp/bait\n", "readable-secrets\n"),
            (
                "readable-secrets\n",
                "readable-secrets\n/etc/kubernetes/admin.conf\n",
            ),
            ("arguments\n", "arguments\nkubeadm\n"),
            ("@@ bait\n/tmp/bait\n", ""),
            ("@@ secrets-in-arguments\n", ""),
            ("@@ secrets\n12\n", ""),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good);
            assert!(!judge(&bad), "{from}");
        }
    }

    #[test]
    fn data_is_roots() {
        let judge = |text: &str| judge_data("etcdone", &Facts::parse(text)).is_ok();
        let good = "@@ data-modes\n700 root /var/lib/etcd\n700 root /var/lib/etcd/member\n";
        assert!(judge(good));
        assert!(!judge(&good.replacen("700", "755", 1)));
        assert!(!judge(&good.replace(
            "root /var/lib/etcd/member",
            "etcd /var/lib/etcd/member"
        )));
        assert!(!judge("@@ data-modes\n700 root /var/lib/etcd\n"));
        assert!(!judge(""));
    }
}
