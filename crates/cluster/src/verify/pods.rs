//! Pods: one on each node, which ask each other, a service by its name, and an address that no service has.
//!
//! A pod is asked through the API's pod proxy and is a client itself then: what it sees is what a workload sees, and
//! nothing has to be read from logs. The program is `probe`, which the machine image holds.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use caravan_lab::Lab;

use super::context::{Context, unused_service};
use super::findings::Findings;
use super::isolation::leaked;
use crate::{facts, parallel};

mod field;
mod packets;

pub(super) use field::{Field, Space};
pub(super) use packets::fit as full_packets;

/// The port that probes listen on.
pub(super) const PORT: u16 = 8080;

/// How long a probe tries. One target never answers, so this is how long a probe takes; what is not there yet is asked
/// for again.
const PATIENCE_MS: u32 = 1000;

/// The service that stands for all probes, and the headless one that names them all.
const SERVICE: &str = "probe";
const HEADLESS: &str = "probes";

/// How long a node may take to say what it counted.
const COUNTER: Duration = Duration::from_secs(30);

/// One probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    name: String,
    node: String,
    address: Ipv4Addr,
}

/// What one probe has to be a client of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tasks {
    /// A URL for each other pod, and the node that must answer there.
    peers: Vec<(String, String)>,
    /// URLs of the service, by its short and its full name.
    service: [String; 2],
    /// The name that has the addresses of all pods.
    all: String,
    addresses: BTreeSet<Ipv4Addr>,
    /// Where the API's own service listens.
    api: String,
    /// Where nobody does.
    unused: String,
}

impl Tasks {
    fn of(lab: &Lab, namespace: &str, pod: &Pod, pods: &[Pod]) -> Self {
        let domain = format!("{namespace}.svc.{}", lab.cluster_domain());
        Self {
            peers: pods
                .iter()
                .filter(|other| other.node != pod.node)
                .map(|other| {
                    (
                        format!("http://{}:{PORT}/", other.address),
                        other.node.clone(),
                    )
                })
                .collect(),
            service: [
                format!("http://{SERVICE}/"),
                format!("http://{SERVICE}.{domain}/"),
            ],
            all: format!("{HEADLESS}.{domain}"),
            addresses: pods.iter().map(|pod| pod.address).collect(),
            api: format!("{}:443", lab.kubernetes_service_ip()),
            unused: format!("{}:80", unused_service(lab)),
        }
    }

    /// The question to the probe.
    fn query(&self) -> String {
        let mut words: Vec<String> = self
            .peers
            .iter()
            .map(|(url, _)| format!("get={url}"))
            .collect();
        words.extend(self.service.iter().map(|url| format!("get={url}")));
        words.push(format!("resolve={}", self.all));
        words.push(format!("connect={}", self.api));
        words.push(format!("connect={}", self.unused));
        words.push(format!("timeout-ms={PATIENCE_MS}"));
        format!("/check?{}", words.join("&"))
    }

    fn judge_peers(&self, node: &str, answer: &str) -> Findings {
        self.peers
            .iter()
            .map(|(url, other)| {
                let line = line_of(answer, "get", url);
                let wanted = format!("node={other}");
                let judged = match line.strip_prefix("ok ") {
                    Some(said) if said.split(' ').any(|word| word == wanted) => {
                        Ok(format!("{node} to {other} {} ms", milliseconds(said)))
                    }
                    _ => Err(format!("{node} to {other}: {line}")),
                };
                (node, judged)
            })
            .collect()
    }

    fn judge_service(&self, node: &str, answer: &str) -> Findings {
        let mut findings = Findings::new();
        for url in &self.service {
            let line = line_of(answer, "get", url);
            let by = line.split(' ').find_map(|word| word.strip_prefix("node="));
            findings.add(
                node,
                match (line.strip_prefix("ok "), by) {
                    (Some(said), Some(by)) => Ok(format!(
                        "{node}: {url} answered by {by} in {} ms",
                        milliseconds(said)
                    )),
                    _ => Err(format!("{node}: {url}: {line}")),
                },
            );
        }
        let line = line_of(answer, "resolve", &self.all);
        let found: BTreeSet<Ipv4Addr> = line
            .split(' ')
            .skip(2)
            .filter_map(|word| word.parse().ok())
            .collect();
        if found != self.addresses {
            findings.wrong(
                node,
                format!("{node}: {} is not all pods: {line}", self.all),
            );
        }
        findings
    }

    fn judge_addresses(
        &self,
        node: &str,
        answer: &str,
        leaked: Option<u64>,
    ) -> Result<String, String> {
        let served = line_of(answer, "connect", &self.api);
        if !served.starts_with("ok ") {
            return Err(format!("{node}: {} is not reached: {served}", self.api));
        }
        let unused = line_of(answer, "connect", &self.unused);
        if !unused.starts_with("failed ") {
            return Err(format!(
                "{node}: something answers at {}: {unused}",
                self.unused
            ));
        }
        match leaked {
            Some(0) => Ok(format!(
                "{node}: {} {unused}; 0 packets leaked",
                self.unused
            )),
            Some(count) => Err(format!("{node} would have let {count} packets out")),
            None => Err(format!("{node} has no counter of what leaks")),
        }
    }

    /// Whether a later answer could be better: rules and names take a moment to get to every node.
    fn is_done(&self, answer: &str) -> bool {
        let served = line_of(answer, "connect", &self.api);
        // A lab's only node has no peers, and nothing to wait for.
        let (peers, service) = (self.judge_peers("", answer), self.judge_service("", answer));
        !peers.is_broken() && !service.is_broken() && served.starts_with("ok ")
    }
}

/// What the probe says of one client: `VERB TARGET: ok MILLISECONDS WHAT | BODY`, or `failed MILLISECONDS STAGE WHY`.
fn line_of<'a>(answer: &'a str, verb: &str, target: &str) -> &'a str {
    let place = format!("{verb} {target}: ");
    answer
        .lines()
        .find_map(|line| line.strip_prefix(&place))
        .unwrap_or("no answer")
}

fn milliseconds(said: &str) -> &str {
    said.split(' ').next().unwrap_or("?")
}

/// Judges what each probe has said.
fn judge_each(
    context: &Context,
    judge: impl Fn(&Tasks, &str, &str) -> Findings,
) -> Result<Findings, String> {
    let mut findings = Findings::new();
    for (pod, tasks, answer) in &context.field()?.answers {
        match answer {
            Ok(answer) => findings.extend(judge(tasks, &pod.node, answer)),
            Err(why) => findings.wrong(
                &pod.node,
                format!("the pod on {} was not asked: {why}", pod.node),
            ),
        }
    }
    Ok(findings)
}

/// Pods reach pods on other nodes.
pub(super) fn reach_pods(context: &Context) -> Result<Findings, String> {
    judge_each(context, Tasks::judge_peers)
}

/// Pods reach a service by its name.
pub(super) fn reach_service(context: &Context) -> Result<Findings, String> {
    judge_each(context, Tasks::judge_service)
}

/// What pods send to service addresses stays.
pub(super) fn service_addresses(context: &Context) -> Result<Findings, String> {
    let field = context.field()?;
    // After the pods have dialled.
    let counted = parallel::each(&field.answers, |(pod, ..)| {
        let machine = context.lab.machine(&pod.node)?;
        let script = "echo '@@ leaked'; nft list counter inet caravan_guard leaked";
        let facts = facts::ask(&context.access, machine, script, COUNTER).ok()?;
        leaked(&facts.text("leaked"))
    });
    let judged = field.answers.iter().zip(counted);
    Ok(judged
        .map(|((pod, tasks, answer), leaked)| {
            let judged = match answer {
                Ok(answer) => tasks.judge_addresses(&pod.node, answer, leaked),
                Err(why) => Err(format!("the pod on {} was not asked: {why}", pod.node)),
            };
            (&pod.node, judged)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::super::tests::lab;
    use super::*;

    fn tasks() -> Tasks {
        let pods =
            [("masterone", 51), ("mastertwo", 52), ("workerone", 71)].map(|(node, third)| Pod {
                name: format!("probe-{third}"),
                node: node.to_owned(),
                address: Ipv4Addr::new(10, 244, third, 2),
            });
        Tasks::of(&lab("ha"), "caravan-verify-1", &pods[0], &pods)
    }

    const GOOD: &str = "\
get http://10.244.52.2:8080/: ok 3 10.244.52.2:8080 200 | host=probe-b node=mastertwo client=10.244.51.2
get http://10.244.71.2:8080/: ok 4 10.244.71.2:8080 200 | host=probe-c node=workerone client=10.244.51.2
get http://probe/: ok 5 10.100.1.1:80 200 | host=probe-c node=workerone client=10.244.51.2
get http://probe.caravan-verify-1.svc.cluster.local/: ok 6 10.100.1.1:80 200 | host=probe-a node=masterone client=10.244.51.1
resolve probes.caravan-verify-1.svc.cluster.local: ok 1 10.244.71.2 10.244.51.2 10.244.52.2 |
connect 10.96.0.1:443: ok 1 10.96.0.1:443 |
connect 10.111.255.254:80: failed 0 connect 10.111.255.254:80: No route to host (os error 113)
";

    #[test]
    fn the_question() {
        assert_eq!(
            tasks().query(),
            "/check?get=http://10.244.52.2:8080/&get=http://10.244.71.2:8080/&get=http://probe/\
             &get=http://probe.caravan-verify-1.svc.cluster.local/&resolve=probes.caravan-verify-1.svc.cluster.local\
             &connect=10.96.0.1:443&connect=10.111.255.254:80&timeout-ms=1000"
        );
    }

    #[test]
    fn pods_must_be_answered_by_the_right_pod() {
        let holds = |answer: &str| tasks().judge_peers("masterone", answer).holds();
        assert!(holds(GOOD));
        assert!(!holds(&GOOD.replace("node=mastertwo", "node=masterone")));
        assert!(!holds(
            &GOOD.replace("71.2:8080/: ok 4", "71.2:8080/: failed 2000 connect")
        ));
        assert!(!holds(""));
    }

    #[test]
    fn a_service_must_be_found_by_name() {
        let holds = |answer: &str| tasks().judge_service("masterone", answer).holds();
        assert!(holds(GOOD));
        assert!(!holds(
            &GOOD.replace("http://probe/: ok", "http://probe/: failed")
        ));
        assert!(!holds(&GOOD.replace("local/: ok 6", "local/: failed 6")));
        assert!(!holds(&GOOD.replace(" 10.244.51.2 10.244.52.2 |", " |")));
        assert!(!holds(""));
    }

    #[test]
    fn an_unused_address_must_not_answer_or_leak() {
        let holds = |answer: &str, leaked| tasks().judge_addresses("m", answer, leaked).is_ok();
        assert!(holds(GOOD, Some(0)));
        assert!(!holds(GOOD, Some(1)));
        assert!(!holds(GOOD, None));
        assert!(!holds(
            &GOOD.replace("254:80: failed 0", "254:80: ok 0"),
            Some(0)
        ));
        assert!(!holds(&GOOD.replace("1:443: ok", "1:443: failed"), Some(0)));
        assert!(!holds("", Some(0)));
    }

    #[test]
    fn a_half_good_answer_is_asked_for_again() {
        assert!(tasks().is_done(GOOD));
        assert!(!tasks().is_done(&GOOD.replace("local/: ok 6", "local/: failed 6")));
        assert!(!tasks().is_done(&GOOD.replace("1:443: ok", "1:443: failed")));
        assert!(!tasks().is_done(""));
    }
}
