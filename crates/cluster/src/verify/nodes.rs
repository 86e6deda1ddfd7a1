//! Nodes and masters, as the API and the masters themselves tell them.

use std::collections::BTreeSet;

use caravan_lab::{Lab, Role};
use serde_json::Value;

use super::context::{Context, told};
use super::findings::Findings;
use crate::facts::Facts;
use crate::kube::{self, Node};

/// The nodes are the lab's, ready, under their addresses.
pub(super) fn addresses(context: &Context) -> Result<Findings, String> {
    let nodes = context.api()?.nodes().map_err(told)?;
    Ok(judge_addresses(&context.lab, &nodes))
}

fn judge_addresses(lab: &Lab, nodes: &[Node]) -> Findings {
    let mut findings = Findings::new();
    for machine in lab.machines().iter().filter(|it| it.role.is_node()) {
        let name = &machine.name;
        findings.add(
            name,
            match nodes.iter().find(|node| node.name == *name) {
                None => Err(format!("{name} is no node")),
                Some(node) if !node.ready => Err(format!("{name} is not ready: {}", node.message)),
                Some(node) if node.address != Some(machine.ip) => Err(format!(
                    "{name} has {} instead of {}",
                    node.address
                        .map_or("no address".to_owned(), |it| it.to_string()),
                    machine.ip
                )),
                Some(node) => Ok(format!("{name} {} {}", machine.ip, node.version)),
            },
        );
    }
    for node in nodes {
        let known = lab.machine(&node.name).is_some_and(|it| it.role.is_node());
        if !known {
            findings.wrong(
                &node.name,
                format!("{} is a node and not in the lab", node.name),
            );
        }
    }
    findings
}

/// The command line of every API server names all members.
pub(super) fn etcd_endpoints(context: &Context) -> Result<Findings, String> {
    let pods = context
        .api()?
        .get("/api/v1/namespaces/kube-system/pods?labelSelector=component%3Dkube-apiserver")
        .map_err(told)?;
    let servers: Vec<(String, Option<String>)> = kube::items(&pods)
        .map(|pod| {
            let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
            (node.to_owned(), etcd_servers(pod))
        })
        .collect();
    Ok(judge_endpoints(&context.lab, &servers))
}

/// The value of `--etcd-servers` in a pod.
fn etcd_servers(pod: &Value) -> Option<String> {
    let container = &pod["spec"]["containers"][0];
    let words = ["command", "args"]
        .into_iter()
        .filter_map(|part| container[part].as_array())
        .flatten();
    words
        .filter_map(Value::as_str)
        .find_map(|word| word.strip_prefix("--etcd-servers="))
        .map(ToOwned::to_owned)
}

fn judge_endpoints(lab: &Lab, servers: &[(String, Option<String>)]) -> Findings {
    let wanted: BTreeSet<String> = lab.etcd_endpoints().into_iter().collect();
    let judge = |name: &str| {
        let (_, flag) = servers
            .iter()
            .find(|(node, _)| node == name)
            .ok_or_else(|| format!("{name} runs no API server"))?;
        let flag = flag
            .as_ref()
            .ok_or_else(|| format!("{name}'s API server has no `--etcd-servers`"))?;
        let found: BTreeSet<String> = flag.split(',').map(ToOwned::to_owned).collect();
        if found == wanted {
            Ok(format!("{name} --etcd-servers={flag}"))
        } else {
            Err(format!("{name}'s API server has --etcd-servers={flag}"))
        }
    };
    lab.of_role(Role::ControlPlane)
        .map(|master| (&master.name, judge(&master.name)))
        .collect()
}

/// Masters run no etcd and have no data of it.
pub(super) fn stateless_masters(context: &Context) -> Result<Findings, String> {
    let masters = context.lab.of_role(Role::ControlPlane);
    Ok(context.gather_surveys(masters, |master, facts| {
        judge_stateless(&master.name, facts)
    }))
}

fn judge_stateless(name: &str, facts: &Facts) -> Findings {
    let mut findings = Findings::new();
    let processes = facts.get("processes").unwrap_or_default();
    let runs = |process: &str| processes.iter().any(|it| it == process);
    // Without it the list is no list of a master's processes.
    if !runs("kube-apiserver") {
        findings.wrong(name, format!("{name} runs no API server"));
    }
    if runs("etcd") {
        findings.wrong(name, format!("{name} runs etcd"));
    }
    match facts.get("etcd-state") {
        Some([]) => {}
        Some(found) => findings.wrong(name, format!("{name} has {}", found.join(", "))),
        None => findings.wrong(name, format!("{name} was not looked through")),
    }
    findings.right(name, format!(
        "{name}: {} kinds of process and no etcd, nothing in /var/lib/etcd, no key of etcd's CA",
        processes.len()
    ));
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::lab;
    use super::*;

    fn nodes(lab: &Lab) -> Vec<Node> {
        lab.machines()
            .iter()
            .filter(|machine| machine.role.is_node())
            .map(|machine| Node {
                name: machine.name.clone(),
                ready: true,
                address: Some(machine.ip),
                version: "v1.36.3".to_owned(),
                message: String::new(),
            })
            .collect()
    }

    #[test]
    fn nodes_are_the_labs() {
        for name in ["ha", "external-etcd"] {
            let lab = lab(name);
            assert!(judge_addresses(&lab, &nodes(&lab)).holds());
            let check = |why: &str, spoil: fn(&mut Vec<Node>)| {
                let mut nodes = nodes(&lab);
                spoil(&mut nodes);
                assert!(!judge_addresses(&lab, &nodes).holds(), "{name}: {why}");
            };
            check("one less", |nodes| drop(nodes.pop()));
            check("not ready", |nodes| nodes[1].ready = false);
            check("no address", |nodes| nodes[1].address = None);
            check("the address of Vagrant's own network", |nodes| {
                nodes[0].address = Some([10, 0, 2, 15].into());
            });
            check("a stranger", |nodes| {
                let mut stranger = nodes[0].clone();
                stranger.name = "etcdone".to_owned();
                nodes.push(stranger);
            });
        }
    }

    #[test]
    fn api_servers_know_all_members() {
        let lab = lab("ha");
        let all = lab.etcd_endpoints().join(",");
        let pod =
            |flag: &str| json!({"spec": {"containers": [{"command": ["kube-apiserver", flag]}]}});
        assert_eq!(
            etcd_servers(&pod("--etcd-servers=https://a:2379")).as_deref(),
            Some("https://a:2379")
        );
        assert_eq!(etcd_servers(&pod("--secure-port=6443")), None);
        let servers = |third: Option<&str>| {
            [
                ("masterone", Some(all.as_str())),
                ("mastertwo", Some(all.as_str())),
                ("masterthree", third),
            ]
            .map(|(node, flag)| (node.to_owned(), flag.map(ToOwned::to_owned)))
        };
        assert!(judge_endpoints(&lab, &servers(Some(&all))).holds());
        assert!(!judge_endpoints(&lab, &servers(Some("https://192.168.29.61:2379"))).holds());
        assert!(!judge_endpoints(&lab, &servers(Some(&all.replace("https", "http")))).holds());
        assert!(!judge_endpoints(&lab, &servers(None)).holds());
        assert!(!judge_endpoints(&lab, &servers(Some(&all))[..2]).holds());
    }

    #[test]
    fn masters_have_no_etcd() {
        let judge = |text: &str| judge_stateless("masterone", &Facts::parse(text)).holds();
        let clean = "@@ processes\nkube-apiserver\nkubelet\n@@ etcd-state\n@@ end\n";
        assert!(judge(clean));
        assert!(!judge(&clean.replace("kubelet", "etcd")));
        assert!(!judge(&clean.replace("kube-apiserver\n", "")));
        assert!(!judge(
            &clean.replace("@@ end", "/var/lib/etcd/member\n@@ end")
        ));
        assert!(!judge("@@ processes\nkube-apiserver\n"));
        assert!(!judge(""));
    }
}
