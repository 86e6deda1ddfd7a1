//! What the lab file sets of the cluster is in force, on every master and on every node alike.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use caravan_lab::{Audit, Component, Lab, Machine, Role};
use serde_json::{Value, json};

use super::context::{Context, told};
use super::findings::Findings;
use crate::etcd;
use crate::facts::Facts;
use crate::kube::{self, Api};
use crate::{marks, parallel};

/// Where API servers write what they are asked to.
const AUDIT_LOG: &str = "/var/log/kubernetes/audit/audit.log";

/// What each master's programs are told of themselves alone.
const OWN: [&str; 1] = ["--advertise-address="];

/// How long looking through an audit log may take.
const LOOK: Duration = Duration::from_secs(30);

/// The command lines of each part of the control plane, as its process has it.
pub(super) fn same_flags(context: &Context) -> Result<Findings, String> {
    let masters: Vec<&Machine> = context.lab.of_role(Role::ControlPlane).collect();
    let mut findings = Findings::new();
    let mut asked = Vec::new();
    for (machine, facts) in context.each_survey(masters, |_, facts| flags(facts)) {
        match facts {
            Ok(flags) => asked.push((machine.name.as_str(), flags)),
            Err(why) => findings.wrong(&machine.name, why),
        }
    }
    findings.extend(judge_flags(&context.lab, &asked));
    Ok(findings)
}

/// The flags of one master's programs, by program.
type Flags = BTreeMap<String, BTreeSet<String>>;

/// Lines such as `kube-scheduler --v=4`; without what is a master's own.
fn flags(facts: &Facts) -> Flags {
    let mut flags = Flags::new();
    for line in facts.get("control-plane-flags").unwrap_or_default() {
        let Some((program, flag)) = line.split_once(' ') else {
            continue;
        };
        let of_program = flags.entry(program.to_owned()).or_default();
        if flag.starts_with("--") && !OWN.iter().any(|own| flag.starts_with(own)) {
            of_program.insert(flag.to_owned());
        }
    }
    flags
}

fn judge_flags(lab: &Lab, asked: &[(&str, Flags)]) -> Findings {
    let mut findings = Findings::new();
    let Some((first, wanted)) = asked.first() else {
        return findings;
    };
    let none = BTreeSet::new();
    for (name, flags) in asked {
        for component in Component::ALL {
            let program = component.program();
            let of = |flags: &Flags| flags.get(program).cloned().unwrap_or_default();
            let (mine, theirs) = (of(flags), wanted.get(program).unwrap_or(&none));
            if mine.is_empty() {
                findings.wrong(name, format!("{name} runs no {program}"));
                continue;
            }
            let differ: Vec<&str> = mine
                .symmetric_difference(theirs)
                .map(String::as_str)
                .collect();
            if !differ.is_empty() {
                let differ = differ.join(" ");
                findings.wrong(
                    name,
                    format!("{program} on {name} and on {first} differ in {differ}"),
                );
            }
            for (flag, value) in lab.settings().args_of(component) {
                let flag = format!("--{flag}={value}");
                if !mine.contains(&flag) {
                    findings.wrong(name, format!("{program} on {name} has no {flag}"));
                }
            }
        }
        let count: usize = flags.values().map(BTreeSet::len).sum();
        findings.right(name, format!("{name}: {count} flags"));
    }
    findings
}

/// What each API server's metrics and each kubelet say of the feature gates.
pub(super) fn feature_gates(context: &Context) -> Result<Findings, String> {
    let wanted = &context.lab.settings().feature_gates;
    let masters: Vec<&Machine> = context.lab.of_role(Role::ControlPlane).collect();
    let mut findings = Findings::new();
    let asked = parallel::each(masters, |master| {
        let metrics = Api::master(master, &context.access).and_then(|api| api.text("/metrics"));
        let gates = metrics.map(|text| gates_of_metrics(&text)).map_err(told);
        (&master.name, gates)
    });
    let mut said = Vec::new();
    for (name, gates) in asked {
        match gates {
            Ok(gates) => said.push((name.as_str(), gates)),
            Err(why) => findings.wrong(name, format!("{name}: {why}")),
        }
    }
    findings.extend(judge_gates("API server", wanted, &said));
    let mut said = Vec::new();
    for (machine, config) in kubelets(context)? {
        match config {
            Ok(config) => {
                let gates = config["featureGates"].as_object().into_iter().flatten();
                let gates = gates.filter_map(|(name, on)| Some((name.clone(), on.as_bool()?)));
                said.push((machine.name.as_str(), gates.collect()));
            }
            Err(why) => findings.wrong(&machine.name, why),
        }
    }
    findings.extend(judge_gates("kubelet", wanted, &said));
    Ok(findings)
}

type Gates = BTreeMap<String, bool>;

/// Lines such as `kubernetes_feature_enabled{name="X",stage="ALPHA"} 1`.
fn gates_of_metrics(text: &str) -> Gates {
    let lines = text.lines();
    let gates = lines.filter_map(|line| {
        let rest = line.strip_prefix("kubernetes_feature_enabled{name=\"")?;
        let (name, rest) = rest.split_once('"')?;
        let on = rest.rsplit(' ').next()?;
        Some((name.to_owned(), on == "1"))
    });
    gates.collect()
}

/// A gate that none of the programs tells of is none of theirs; one that some tell of is all of theirs.
fn judge_gates(what: &str, wanted: &Gates, said: &[(&str, Gates)]) -> Findings {
    let mut findings = Findings::new();
    for (gate, on) in wanted {
        let is_theirs = said.iter().any(|(_, gates)| gates.contains_key(gate));
        for (name, gates) in said {
            match gates.get(gate) {
                Some(found) if found == on => {
                    findings.right(name, format!("{what} of {name}: {gate}={found}"));
                }
                Some(found) => {
                    findings.wrong(name, format!("the {what} of {name} has {gate}={found}"));
                }
                None if is_theirs => {
                    findings.wrong(
                        name,
                        format!("the {what} of {name} does not tell of {gate}"),
                    );
                }
                None => findings.right(name, format!("{gate} is no gate of a {what}'s")),
            }
        }
    }
    findings
}

/// A node, and what its kubelet says that it runs with.
type Asked<'a> = (&'a Machine, Result<Value, String>);

fn kubelets(context: &Context) -> Result<Vec<Asked<'_>>, String> {
    let api = context.api()?;
    let nodes: Vec<&Machine> = context.nodes().collect();
    Ok(parallel::each(nodes, |node| {
        let path = format!("/api/v1/nodes/{}/proxy/configz", node.name);
        let config = api.get(&path).map(|it| it["kubeletconfig"].clone());
        let config = config.map_err(|error| format!("{}: {}", node.name, told(error)));
        (node, config)
    }))
}

/// Every kubelet runs with what the lab file sets of its configuration.
pub(super) fn kubelet_settings(context: &Context) -> Result<Findings, String> {
    let wanted = &context.lab.settings().kubelet;
    let mut findings = Findings::new();
    for (machine, config) in kubelets(context)? {
        let name = &machine.name;
        match config {
            Err(why) => findings.wrong(name, why),
            Ok(config) => {
                for (field, value) in wanted {
                    let found = &config[field];
                    findings.add(
                        name,
                        match holds(value, found) {
                            true => Ok(format!("{name}: {field} is {found}")),
                            false => Err(format!(
                                "the kubelet of {name} has {field} = {found} instead of {value}"
                            )),
                        },
                    );
                }
            }
        }
    }
    Ok(findings)
}

/// Whether `found` says what `wanted` does; a table may say more, and `5m` is `5m0s`.
fn holds(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(_)) => {
            wanted.iter().all(|(key, value)| holds(value, &found[key]))
        }
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(a, b)| holds(a, b))
        }
        (Value::String(wanted), Value::String(found)) => {
            wanted == found || seconds(wanted).is_some_and(|wanted| seconds(found) == Some(wanted))
        }
        (Value::Number(wanted), Value::Number(found)) => wanted.as_f64() == found.as_f64(),
        (wanted, found) => wanted == found,
    }
}

/// A duration as Go writes it, `1h2m3.5s`, in seconds.
fn seconds(text: &str) -> Option<f64> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, after) = tail.split_at(end);
        let length = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * length;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// A Secret as etcd has it, and as masters read it.
pub(super) fn encrypted(context: &Context) -> Result<Findings, String> {
    let Some(encryption) = context.lab.settings().encryption else {
        return Ok(Findings::new());
    };
    let space = context.space()?;
    let secrets = format!("{}/secrets", space.path());
    let word = format!("caravan-{}", nonce());
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "generateName": "encrypted-" },
        "stringData": { "word": word },
    });
    let made = context.api()?.ensure(&secrets, &secret).map_err(told)?;
    let text = |field: &str| {
        made["metadata"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let (name, namespace) = (text("name"), text("namespace"));
    let key = format!("/registry/secrets/{namespace}/{name}");
    let begin = format!("k8s:enc:{}:v1:", encryption.word());
    let members = etcd::members(&context.lab, &context.access).map_err(told)?;
    let raw = parallel::each(&members, |member| {
        let judged = match member.get(&key) {
            Ok(raw) => judge_raw(&member.name, raw.as_deref(), &begin, &word),
            Err(error) => Err(format!("{}: {}", member.name, told(error))),
        };
        (member.name.as_str(), judged)
    });
    let mut findings: Findings = raw.into_iter().collect();
    let masters: Vec<&Machine> = context.lab.of_role(Role::ControlPlane).collect();
    let read = parallel::each(masters, |master| {
        let path = format!("{secrets}/{name}");
        let found = Api::master(master, &context.access).and_then(|api| api.get(&path));
        let judged = match found {
            Ok(found) if found["data"]["word"] == BASE64.encode(&word) => {
                Ok(format!("{} reads it", master.name))
            }
            Ok(_) => Err(format!("{} reads something else", master.name)),
            Err(error) => Err(format!("{}: {}", master.name, told(error))),
        };
        (&master.name, judged)
    });
    findings.extend(read.into_iter().collect());
    Ok(findings)
}

fn judge_raw(member: &str, raw: Option<&str>, begin: &str, word: &str) -> Result<String, String> {
    match raw {
        None => Err(format!("{member} does not have the Secret")),
        Some(raw) if raw.contains(word) => Err(format!("{member} has the Secret as it is")),
        Some(raw) if raw.starts_with(begin) => {
            Ok(format!("{member} has a value that begins with {begin}"))
        }
        Some(_) => Err(format!(
            "{member} has a value that does not begin with {begin}"
        )),
    }
}

/// One request, and the logs of all masters.
pub(super) fn audit_log(context: &Context) -> Result<Findings, String> {
    let first = context.lab.first_master();
    let word = format!("caravan-audit-{}", nonce());
    let path = format!("/api/v1/namespaces/default/configmaps/{word}");
    let status = Api::master(first, &context.access).and_then(|api| api.status_of(&path));
    let status = status.map_err(told)?;
    let script = format!(
        "set -o pipefail\necho '@@ audit-log'\nif [[ -e {AUDIT_LOG} ]]; then grep --count --fixed-strings {word} {AUDIT_LOG} || true; fi\necho '@@ end'\n"
    );
    let masters: Vec<&Machine> = context.lab.of_role(Role::ControlPlane).collect();
    let asked = parallel::each(masters, |master| {
        let said = context.remote(master).script(&script, LOOK);
        let count = said.map_err(|error| error.to_string()).map(|said| {
            let facts = Facts::parse(&said.stdout);
            let line = facts.get("audit-log").unwrap_or_default().first().cloned();
            line.and_then(|line| line.trim().parse().ok())
        });
        (master.name.as_str(), count)
    });
    let logs_all = matches!(context.lab.settings().audit, Some(Audit::Metadata));
    let mut findings = judge_logs(&first.name, logs_all, &asked);
    findings.right(&first.name, format!("{} answered {status}", first.name));
    Ok(findings)
}

/// `asked`: how often each master's log tells of the request that `to` was asked; `None`: there is no log. `logs_all`: whether
/// every request is written down.
fn judge_logs(to: &str, logs_all: bool, asked: &[(&str, Result<Option<u32>, String>)]) -> Findings {
    let mut findings = Findings::new();
    for (name, count) in asked {
        findings.add(
            name,
            match count {
                Err(why) => Err(format!("{name}: {why}")),
                Ok(None) => Err(format!("{name} has no {AUDIT_LOG}")),
                Ok(Some(1)) if *name == to => Ok(format!("{name} wrote the request down")),
                Ok(Some(0)) if *name == to && !logs_all => Ok(format!(
                    "{name} has a log, and its policy leaves the request out"
                )),
                Ok(Some(count)) if *name == to => Err(format!(
                    "{name} wrote the request down {count} times instead of once"
                )),
                Ok(Some(0)) => Ok(format!("{name} knows nothing of it")),
                Ok(Some(_)) => Err(format!("{name} wrote down a request to {to}")),
            },
        );
    }
    findings
}

/// A word that nobody has said before.
fn nonce() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos())
}

/// Labels and taints of all nodes.
pub(super) fn node_marks(context: &Context) -> Result<Findings, String> {
    let nodes = context.api()?.get("/api/v1/nodes").map_err(told)?;
    let mut findings = Findings::new();
    for machine in context.nodes() {
        let name = &machine.name;
        let node = kube::items(&nodes).find(|node| node["metadata"]["name"] == name.as_str());
        findings.add(
            name,
            match node.map(|node| marks::amiss(machine, node)) {
                None => Err(format!("{name} is no node")),
                Some(amiss) if amiss.is_empty() => Ok(format!(
                    "{name} has {} labels and {} taints of the lab file",
                    machine.labels.len(),
                    machine.taints.len()
                )),
                Some(amiss) => Err(format!("{name} has {}", amiss.join(", "))),
            },
        );
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> Lab {
        let source = include_str!("../../../../labs/ha.toml").replacen(
            "[servers.",
            "[scheduler]\nargs = { v = \"4\" }\n[servers.",
            1,
        );
        Lab::parse("ha", &source).expect("valid")
    }

    #[test]
    fn command_lines_are_the_same_and_the_labs() {
        let said = |own: &str, level: &str| {
            flags(&Facts::parse(&format!(
                "@@ control-plane-flags\nkube-apiserver kube-apiserver\nkube-apiserver --advertise-address={own}\nkube-apiserver --v=2\nkube-controller-manager --v=2\nkube-scheduler --v={level}\n@@ end\n"
            )))
        };
        let judge = |asked: &[(&str, Flags)]| judge_flags(&lab(), asked).holds();
        assert!(judge(&[("one", said("1", "4")), ("two", said("2", "4"))]));
        assert!(!judge(&[("one", said("1", "4")), ("two", said("2", "5"))]));
        assert!(!judge(&[("one", said("1", "3")), ("two", said("2", "3"))]));
        assert!(!judge(&[("one", flags(&Facts::parse("")))]));
    }

    #[test]
    fn gates_are_on_or_off_everywhere() {
        let metrics = "# HELP x\nkubernetes_feature_enabled{name=\"A\",stage=\"ALPHA\"} 1\nkubernetes_feature_enabled{name=\"B\",stage=\"\"} 0\n";
        let gates = gates_of_metrics(metrics);
        assert_eq!(
            gates,
            Gates::from([("A".to_owned(), true), ("B".to_owned(), false)])
        );
        let judge = |wanted: &[(&str, bool)], said: &[(&str, Gates)]| {
            let wanted = wanted
                .iter()
                .map(|(name, on)| ((*name).to_owned(), *on))
                .collect();
            judge_gates("API server", &wanted, said).holds()
        };
        let both = [("one", gates.clone()), ("two", gates.clone())];
        assert!(judge(&[("A", true), ("B", false)], &both));
        assert!(judge(&[("OfKubelets", true)], &both));
        assert!(!judge(&[("A", false)], &both));
        // The first master only, as kind had it once.
        assert!(!judge(
            &[("A", true)],
            &[("one", gates), ("two", Gates::new())]
        ));
    }

    #[test]
    fn a_kubelet_has_what_was_asked_for() {
        let found = json!({"maxPods": 50, "syncFrequency": "1m30s", "evictionHard": {"a": "1", "b": "2"}, "list": ["x"]});
        for wanted in [
            json!({"maxPods": 50}),
            json!({"syncFrequency": "90s"}),
            json!({"evictionHard": {"a": "1"}}),
            json!({"list": ["x"]}),
        ] {
            assert!(holds(&wanted, &found), "{wanted}");
        }
        for wanted in [
            json!({"maxPods": 51}),
            json!({"syncFrequency": "91s"}),
            json!({"evictionHard": {"a": "2"}}),
            json!({"list": []}),
            json!({"none": 1}),
        ] {
            assert!(!holds(&wanted, &found), "{wanted}");
        }
        assert_eq!(seconds("1h2m3.5s"), Some(3723.5));
        assert_eq!(seconds("100Mi"), None);
    }

    #[test]
    fn a_secret_is_not_in_etcd_as_it_is() {
        let begin = "k8s:enc:secretbox:v1:";
        let judge = |raw| judge_raw("etcdone", raw, begin, "word");
        assert!(judge(Some("k8s:enc:secretbox:v1:lab:\u{fffd}")).is_ok());
        assert!(judge(Some("k8s\0word")).is_err());
        assert!(judge(Some("k8s:enc:identity:")).is_err());
        assert!(judge(Some("k8s:enc:secretbox:v1:lab:word")).is_err());
        assert!(judge(None).is_err());
    }

    #[test]
    fn one_request_is_in_one_log() {
        let judge = |all, counts: [Option<u32>; 2]| {
            let [one, two] = counts;
            judge_logs("one", all, &[("one", Ok(one)), ("two", Ok(two))]).holds()
        };
        assert!(judge(true, [Some(1), Some(0)]));
        assert!(!judge(true, [Some(0), Some(0)]));
        assert!(!judge(true, [Some(1), Some(1)]));
        assert!(!judge(true, [Some(1), None]));
        assert!(!judge(true, [Some(2), Some(0)]));
        assert!(judge(false, [Some(0), Some(0)]));
        assert!(!judge(false, [None, Some(0)]));
    }
}
