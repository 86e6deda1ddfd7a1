//! What a lab asks for in its table `[cluster]`: volumes that outlive a pod, figures of every node, and addresses for services.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use caravan_lab::{AddressRange, Lab, Machine, ports};
use serde_json::{Value, json};

use super::context::{Context, told};
use super::findings::Findings;
use super::pods::{PORT, Space};
use crate::attempt::{self, Attempt, End};
use crate::kube::{self, Api};
use crate::parallel;

/// How long a claim may take to get its volume and its pod to run, and the next pod after that.
const VOLUME: Duration = Duration::from_secs(50);

/// How long figures of all nodes may take.
const FIGURES: Duration = Duration::from_secs(50);

/// How long a service may take to get its address, and then to answer there.
const ADDRESS: Duration = Duration::from_secs(30);

/// The stateful set, its one pod, and the file in its volume.
const SET: &str = "volume";
const POD: &str = "volume-0";
const FILE: &str = "/data/word";

/// What a pod wrote is read by the next one of its stateful set.
pub(super) fn claims_get_volumes(context: &Context) -> Result<Findings, String> {
    let image = context.options.volume_image.as_deref();
    let image = image.ok_or("no image was named to make test pods of")?;
    let (api, space) = (context.api()?, context.space()?);
    let account =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": SET } });
    let sets = format!("/apis/apps/v1/namespaces/{}/statefulsets", space.name());
    for (path, object) in [
        (format!("{}/serviceaccounts", space.path()), account),
        (sets, stateful_set(image)),
    ] {
        api.ensure(&path, &object).map_err(told)?;
    }
    let first = said(context, &api, space, "")?;
    let pod = format!("{}/pods/{POD}", space.path());
    let began = Instant::now();
    api.delete(&pod).map_err(told)?;
    let second = said(context, &api, space, &first.uid)?;
    let mut findings = Findings::new();
    findings.add(&second.node, judge_words(&first, &second, began.elapsed()));
    Ok(findings)
}

/// One pod of the stateful set, and what it found in its volume, or wrote there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Said {
    uid: String,
    node: String,
    word: String,
}

/// Waits for the set's pod to run, another one than that with `before` as its uid, and to say what is in its volume.
fn said(context: &Context, api: &Api, space: &Space, before: &str) -> Result<Said, String> {
    let mut said = Said::default();
    let log = format!("{}/pods/{POD}/log", space.path());
    context
        .until(VOLUME, "a pod with a volume", || {
            let pods = api.pods(space.name()).map_err(told)?;
            let pod = pods.into_iter().find(|pod| pod.name == POD);
            let pod = pod.ok_or("its stateful set has not made it yet")?;
            if !pod.ready || pod.uid == before {
                return Err(format!("{POD}: {}", pod.state));
            }
            let word = api.text(&log).map_err(told)?.trim().to_owned();
            if word.is_empty() {
                return Err(format!("{POD} has said nothing yet"));
            }
            said = Said {
                uid: pod.uid,
                node: pod.node.unwrap_or_default(),
                word,
            };
            Ok(true)
        })
        .map_err(told)?;
    Ok(said)
}

/// Each pod writes its own uid, unless something is there.
fn judge_words(first: &Said, second: &Said, took: Duration) -> Result<String, String> {
    if first.word != first.uid {
        return Err(format!("{POD} found `{}` in a new volume", first.word));
    }
    if first.uid == second.uid || second.word != first.uid {
        return Err(format!(
            "{POD} wrote `{}` on {}, and the next one read `{}` on {}",
            first.uid, first.node, second.word, second.node
        ));
    }
    Ok(format!(
        "{POD} wrote to its volume on {} and was deleted; {:.1} s later the next one had read it",
        first.node,
        took.as_secs_f64()
    ))
}

fn stateful_set(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": { "name": SET },
        "spec": {
            "replicas": 1,
            "serviceName": SET,
            "selector": { "matchLabels": { "app": SET } },
            "template": {
                "metadata": { "labels": { "app": SET } },
                "spec": {
                    "serviceAccountName": SET,
                    "automountServiceAccountToken": false,
                    "enableServiceLinks": false,
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": SET,
                        "image": image,
                        // The machine image holds it; a registry is never asked.
                        "imagePullPolicy": "Never",
                        "args": ["keep", FILE, "$(POD_UID)"],
                        "env": [{
                            "name": "POD_UID",
                            "valueFrom": { "fieldRef": { "fieldPath": "metadata.uid" } },
                        }],
                        "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
                    }],
                },
            },
            // Of no class by name: the default one is part of the promise.
            "volumeClaimTemplates": [{
                "metadata": { "name": "data" },
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": { "requests": { "storage": "1Mi" } },
                },
            }],
        },
    })
}

/// There are figures of every node, and both ends of where they come from are checked.
pub(super) fn metrics_of_every_node(context: &Context) -> Result<Findings, String> {
    let api = context.api()?;
    let service = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io";
    let mut findings = Findings::new();
    let service = api.get(service).map_err(told)?;
    findings.add("metrics-server", judge_service(&service["spec"]));
    let mut figures = BTreeMap::new();
    let waited = context.until(FIGURES, "figures of every node", || {
        let list = api.get("/apis/metrics.k8s.io/v1beta1/nodes");
        figures = figures_of(&list.map_err(told)?);
        let missing = context
            .nodes()
            .find(|node| !figures.contains_key(&node.name));
        missing.map_or(Ok(true), |node| Err(format!("none of {}", node.name)))
    });
    // Which node has none is told below; why there are no figures at all is told here.
    if let (true, Err(why)) = (figures.is_empty(), waited) {
        return Err(told(why));
    }
    let client = context.client(&context.access.kubernetes_ca, None)?;
    let asked = parallel::each(context.nodes(), |node| {
        let kubelet = SocketAddrV4::new(node.ip, ports::KUBELET);
        (node, client.get(kubelet, "/healthz"))
    });
    for (node, attempt) in asked {
        findings.add(
            &node.name,
            judge_node(node, figures.get(&node.name), &attempt),
        );
    }
    Ok(findings)
}

/// What each node uses, in the API's own units: `35m 210000Ki`.
fn figures_of(list: &Value) -> BTreeMap<String, String> {
    let figure = |item: &Value| {
        let name = item["metadata"]["name"].as_str()?.to_owned();
        let (cpu, memory) = (&item["usage"]["cpu"], &item["usage"]["memory"]);
        Some((name, format!("{} {}", cpu.as_str()?, memory.as_str()?)))
    };
    kube::items(list).filter_map(figure).collect()
}

fn judge_service(spec: &Value) -> Result<String, String> {
    if spec["insecureSkipTLSVerify"] == true {
        return Err("API servers do not check who the metrics server is".to_owned());
    }
    match spec["caBundle"].as_str() {
        None | Some("") => {
            Err("API servers have nothing to check the metrics server by".to_owned())
        }
        Some(_) => Ok("API servers check the metrics server's certificate".to_owned()),
    }
}

fn judge_node(
    node: &Machine,
    figures: Option<&String>,
    kubelet: &Attempt,
) -> Result<String, String> {
    let name = &node.name;
    let figures = figures.ok_or_else(|| format!("there are no figures of {name}"))?;
    // Whom it lets in is another matter: it is enough that it is the right one.
    if !kubelet.trusted {
        return Err(format!(
            "{name}'s kubelet has shown no certificate of the cluster's CA for {}: {}",
            node.ip, kubelet.end
        ));
    }
    Ok(format!(
        "{name} {figures}, from a kubelet of the cluster's CA"
    ))
}

/// A service gets an address of the range, and answers there from here.
pub(super) fn service_address_answers(context: &Context) -> Result<Findings, String> {
    let range = context.lab.service_addresses();
    let range = range.ok_or("the lab has no `load_balancer`")?;
    // Its pods are what the service leads to.
    context.field()?;
    let (api, space) = (context.api()?, context.space()?);
    let services = format!("{}/services", space.path());
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "outside" },
        "spec": {
            "type": "LoadBalancer",
            "selector": { "app": "probe" },
            "ports": [{ "port": 80, "targetPort": PORT }],
        },
    });
    let began = Instant::now();
    api.ensure(&services, &service).map_err(told)?;
    let mut address = None;
    context
        .until(ADDRESS, "an address for a service", || {
            let service = api.get(&format!("{services}/outside")).map_err(told)?;
            address = address_of(&service);
            address.map_or(Err("it has none yet".to_owned()), |_| Ok(true))
        })
        .map_err(told)?;
    let address = address.ok_or("the service has no address")?;
    let mut end = End::Silent;
    // Not in time is no failure here: the last end says what is missing.
    drop(context.until(ADDRESS, "an answer", || {
        let at = SocketAddrV4::new(address, 80);
        end = attempt::plain(&context.access.way, at, "/", context.answer_limit());
        Ok(judge_answer(&context.lab, range, address, &end).is_ok())
    }));
    let took = began.elapsed().as_secs_f64();
    let judged = judge_answer(&context.lab, range, address, &end);
    let announced =
        announcer(&api, space).unwrap_or_else(|| "a node that does not say so".to_owned());
    let mut findings = Findings::new();
    findings.add(
        &announced,
        judged.map(|by| format!("{address} answered by the pod on {by} {took:.1} s after the service was made; announced by {announced}")),
    );
    Ok(findings)
}

fn address_of(service: &Value) -> Option<Ipv4Addr> {
    let given = &service["status"]["loadBalancer"]["ingress"][0]["ip"];
    given.as_str()?.parse().ok()
}

/// The node whose pod answered.
fn judge_answer(
    lab: &Lab,
    range: AddressRange,
    address: Ipv4Addr,
    end: &End,
) -> Result<String, String> {
    if !range.contains(address) {
        return Err(format!(
            "the service got {address}, which is not in {range}"
        ));
    }
    let End::Answered { status: 200, body } = end else {
        return Err(format!("nobody answered at {address}: {end}"));
    };
    let by = body
        .split_whitespace()
        .find_map(|word| word.strip_prefix("node="));
    match by.filter(|by| lab.machine(by).is_some()) {
        Some(by) => Ok(by.to_owned()),
        None => Err(format!("somebody else answered at {address}: {body}")),
    }
}

/// The node that answers for the service's address by ARP, as MetalLB says.
fn announcer(api: &Api, space: &Space) -> Option<String> {
    let labels = format!(
        "metallb.io%2Fservice-name%3Doutside,metallb.io%2Fservice-namespace%3D{}",
        space.name()
    );
    let path = format!("/apis/metallb.io/v1beta1/servicel2statuses?labelSelector={labels}");
    let list = api.get(&path).ok()?;
    let node = kube::items(&list).find_map(|status| status["status"]["node"].as_str());
    node.map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::tests::lab;
    use super::*;
    use crate::attempt::Distrust;

    fn said(uid: &str, word: &str) -> Said {
        Said {
            uid: uid.to_owned(),
            node: "workerone".to_owned(),
            word: word.to_owned(),
        }
    }

    #[test]
    fn what_was_written_must_be_read_by_another_pod() {
        let holds = |first: Said, second: Said| judge_words(&first, &second, VOLUME).is_ok();
        assert!(holds(said("a", "a"), said("b", "a")));
        assert!(!holds(said("a", "a"), said("b", "b")), "a new volume");
        assert!(!holds(said("a", "a"), said("a", "a")), "the same pod");
        assert!(
            !holds(said("a", "x"), said("b", "x")),
            "somebody else's volume"
        );
    }

    #[test]
    fn both_ends_of_figures_are_checked() {
        assert!(judge_service(&json!({ "caBundle": "x" })).is_ok());
        assert!(judge_service(&json!({})).is_err());
        assert!(judge_service(&json!({ "caBundle": "" })).is_err());
        assert!(judge_service(&json!({ "caBundle": "x", "insecureSkipTLSVerify": true })).is_err());
        let list = json!({ "items": [
            { "metadata": { "name": "workerone" }, "usage": { "cpu": "35m", "memory": "210Ki" } },
            { "metadata": { "name": "masterone" }, "usage": { "cpu": "35m" } },
        ]});
        let figures = figures_of(&list);
        assert_eq!(figures.len(), 1, "half of the figures are none");
        let lab = lab("ha");
        let node = lab.machine("workerone").expect("in the lab");
        let kubelet = |trusted, end| Attempt {
            shown: None,
            trusted,
            end,
        };
        let refused = End::Answered {
            status: 401,
            body: String::new(),
        };
        let mine = figures.get("workerone");
        assert!(judge_node(node, mine, &kubelet(true, refused.clone())).is_ok());
        assert!(judge_node(node, None, &kubelet(true, refused)).is_err());
        let own = End::Distrusted(Distrust::Issuer);
        assert!(judge_node(node, mine, &kubelet(false, own)).is_err());
    }

    #[test]
    fn an_address_must_be_of_the_range_and_answer_as_a_pod() {
        let lab = lab("ha");
        let range: AddressRange = "192.168.29.200-192.168.29.209".parse().expect("a range");
        let holds = |last: u8, end: &End| {
            judge_answer(&lab, range, Ipv4Addr::new(192, 168, 29, last), end).is_ok()
        };
        let answer = |body: &str| End::Answered {
            status: 200,
            body: body.to_owned(),
        };
        let good = answer("host=probe-x node=workerone client=10.244.71.1");
        assert!(holds(200, &good));
        assert!(!holds(210, &good));
        assert!(!holds(200, &answer("host=x node=nobody client=y")));
        assert!(!holds(200, &answer("It works!")));
        assert!(!holds(
            200,
            &End::Unreachable("No route to host".to_owned())
        ));
        let service =
            json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "192.168.29.200" }] } } });
        assert_eq!(address_of(&service), Some(Ipv4Addr::new(192, 168, 29, 200)));
        assert_eq!(
            address_of(&json!({ "status": { "loadBalancer": {} } })),
            None
        );
    }
}
