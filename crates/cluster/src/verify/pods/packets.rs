//! The largest packets of pods: each node takes the size of its mesh from its own interface, and its pods theirs from the
//! mesh. Where a size is larger than the way, requests work and downloads hang.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::Pod;
use crate::facts::{self, Facts};
use crate::parallel;
use crate::verify::context::{Context, assignment, times, told};
use crate::verify::findings::Findings;

/// What VXLAN puts round each packet: Ethernet 14, VXLAN 8, UDP 8, IPv4 20 bytes.
const VXLAN_BYTES: u32 = 50;

/// How long a node's pod may take to try all others; a lost packet is waited for.
const LIMIT: Duration = Duration::from_secs(45);

/// The probe of each node sends its largest packets to all others.
pub(in crate::verify) fn fit(context: &Context) -> Result<Findings, String> {
    let field = context.field()?;
    let pods: Vec<&Pod> = field.answers.iter().map(|(pod, ..)| pod).collect();
    let asked = parallel::each(&pods, |pod| {
        let peers: Vec<&Pod> = (pods.iter().copied())
            .filter(|other| other.node != pod.node)
            .collect();
        let asked = ask(context, pod, &peers);
        (*pod, peers, asked)
    });
    let mut findings = Findings::new();
    for (pod, peers, asked) in asked {
        match asked {
            Ok(facts) => findings.extend(judge(&pod.node, &peers, &facts)),
            Err(why) => findings.wrong(
                &pod.node,
                format!("the pod on {} sent nothing: {why}", pod.node),
            ),
        }
    }
    Ok(findings)
}

fn ask(context: &Context, pod: &Pod, peers: &[&Pod]) -> Result<Facts, String> {
    let machine = context.lab.machine(&pod.node);
    let machine = machine.ok_or_else(|| format!("`{}` is not in the lab", pod.node))?;
    let script = script(
        pod.address,
        peers,
        machine.ip,
        &times(context.access.pace()),
    );
    facts::ask(&context.access, machine, &script, LIMIT).map_err(told)
}

fn script(pod: Ipv4Addr, peers: &[&Pod], address: Ipv4Addr, times: &str) -> String {
    let peers: Vec<String> = peers.iter().map(|peer| peer.address.to_string()).collect();
    let mut script = times.to_owned();
    for (name, value) in [
        ("POD", pod.to_string()),
        ("PEERS", peers.join(" ")),
        ("ADDRESS", address.to_string()),
    ] {
        script.push_str(&assignment(name, &value));
    }
    script + include_str!("../scripts/packets.sh")
}

/// An interface and its largest packet, in bytes.
struct Interface<'a> {
    name: &'a str,
    mtu: u32,
}

impl<'a> Interface<'a> {
    /// The one line of a section, `NAME MTU`.
    fn of(facts: &'a Facts, section: &str) -> Option<Self> {
        let [line] = facts.get(section)? else {
            return None;
        };
        let (name, mtu) = line.split_once(' ')?;
        let mtu = mtu.parse().ok()?;
        Some(Interface { name, mtu })
    }
}

fn judge(node: &str, peers: &[&Pod], facts: &Facts) -> Findings {
    let mut findings = Findings::new();
    findings.add(node, judge_sizes(node, facts));
    for peer in peers {
        let said = (facts.get("packets").unwrap_or_default().iter())
            .filter_map(|line| line.split_once(' '))
            .find(|(address, _)| address.parse() == Ok(peer.address))
            .map(|(_, said)| said);
        findings.add(
            node,
            match said {
                Some("whole") => Ok(format!("{node} to {} whole", peer.node)),
                Some(said) => Err(format!(
                    "{node} to {}: a pod's largest packet is {said}",
                    peer.node
                )),
                None => Err(format!("{node} to {}: not tried", peer.node)),
            },
        );
    }
    findings
}

/// Each size has room in that of the way below it.
fn judge_sizes(node: &str, facts: &Facts) -> Result<String, String> {
    let interface = |section: &str, what: &str| {
        Interface::of(facts, section).ok_or_else(|| {
            let said = facts.text(section);
            format!("{node} has not one {what}: `{said}`")
        })
    };
    let lab = interface("lab-mtu", "interface with its lab address")?;
    let mesh = interface("mesh-mtu", "VXLAN device")?;
    let pod = interface("pod-mtu", "interface of a probe")?;
    let sizes = format!(
        "pods {}, {} {}, {} {}",
        pod.mtu, mesh.name, mesh.mtu, lab.name, lab.mtu
    );
    if pod.mtu > mesh.mtu || mesh.mtu + VXLAN_BYTES > lab.mtu {
        return Err(format!(
            "{node}: {sizes}: pods may have no more than the mesh, and that {VXLAN_BYTES} less than the interface"
        ));
    }
    Ok(format!("{node}: {sizes}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
@@ lab-mtu
eth0 1500
@@ mesh-mtu
caravan-pods 1450
@@ pod-mtu
eth0 1450
@@ packets
10.244.71.2 whole
10.244.52.2 whole
@@ end
";

    fn pods() -> [Pod; 2] {
        [("mastertwo", 52), ("workerone", 71)].map(|(node, third)| Pod {
            name: format!("probe-{third}"),
            node: node.to_owned(),
            address: Ipv4Addr::new(10, 244, third, 2),
        })
    }

    fn judged(text: &str) -> Findings {
        let pods = pods();
        let peers: Vec<&Pod> = pods.iter().collect();
        judge("masterone", &peers, &Facts::parse(text))
    }

    #[test]
    fn the_largest_packet_must_come_back_from_everywhere() {
        assert!(judged(GOOD).holds());
        for lost in [
            "lost, while packets of 500 bytes come back",
            "lost, and packets of 500 bytes are lost too",
        ] {
            let text = GOOD.replace("10.244.71.2 whole", &format!("10.244.71.2 {lost}"));
            let verdict = judged(&text).verdict();
            let expected = format!("masterone to workerone: a pod's largest packet is {lost}");
            assert_eq!(verdict.text, expected);
        }
        assert!(!judged(&GOOD.replace("10.244.52.2 whole\n", "")).holds());
        assert!(!judged(&GOOD.replace("10.244.52.2", "10.244.52.20")).holds());
        assert!(!judged("").holds());
    }

    #[test]
    fn sizes_must_have_room_in_each_other() {
        let with = |lab: u32, mesh: u32, pod: u32| {
            let text = GOOD
                .replace("eth0 1500", &format!("eth0 {lab}"))
                .replace("pods 1450", &format!("pods {mesh}"))
                .replace("eth0 1450", &format!("eth0 {pod}"));
            judged(&text).holds()
        };
        assert!(with(1500, 1450, 1450));
        assert!(with(9000, 8950, 8950));
        assert!(with(1400, 1350, 1350));
        // Smaller than need be still fits.
        assert!(with(9000, 8950, 1450));
        // A constant, on a LAN of less; and pods that know nothing of the mesh.
        assert!(!with(1400, 1450, 1450));
        assert!(!with(1400, 1350, 1450));
        assert!(!with(1500, 1500, 1500));
        for section in ["lab-mtu", "mesh-mtu", "pod-mtu"] {
            assert!(!judged(&GOOD.replace(section, "elsewhere")).holds());
        }
        assert!(!judged(&GOOD.replace("pods 1450", "pods 1450\nflannel.1 1450")).holds());
    }

    #[test]
    fn the_question() {
        let pods = pods();
        let peers: Vec<&Pod> = pods.iter().collect();
        let script = script(
            [10, 244, 51, 2].into(),
            &peers,
            [192, 168, 29, 51].into(),
            "TIMES='1'\n",
        );
        assert!(script.starts_with(
            "TIMES='1'\nPOD='10.244.51.2'\nPEERS='10.244.52.2 10.244.71.2'\nADDRESS='192.168.29.51'\n"
        ), "{script}");
    }
    /// A node whose programs are functions of the shell: a LAN that takes packets of `way` bytes at most. `strangers` are probes
    /// of earlier runs.
    fn told(way: u32, strangers: &str) -> Option<Facts> {
        let bash = caravan_process::Program::find("bash").ok()?;
        let pods = pods();
        let peers: Vec<&Pod> = pods.iter().collect();
        let stand_ins = format!(
            r#"
pgrep() {{ printf '%s\n' {strangers} 4711; }}
nsenter() {{ IN=$2; shift 3; "$@"; }}
ip() {{
    case $* in
        '-4 -oneline address show to 192.168.29.51') echo '2: eth0    inet 192.168.29.51/24 brd 192.168.29.255 scope global eth0' ;;
        '-oneline link show dev eth0') case ${{IN-}} in
            4711) echo '2: eth0@if9: <BROADCAST,UP> mtu 1450 qdisc noqueue state UP mode DEFAULT' ;;
            *) echo '20: eth0@if21: <BROADCAST,UP> mtu 1500 qdisc noqueue state UP mode DEFAULT' ;;
        esac ;;
        '-oneline link show type vxlan') echo '5: caravan-pods: <BROADCAST,UP> mtu 1450 qdisc noqueue state UNKNOWN' ;;
        '-4 -oneline address show to 10.244.51.2') [[ $IN != 4711 ]] || echo '2: eth0    inet 10.244.51.2/24 scope global eth0' ;;
        *) exit 9 ;;
    esac
}}
ping() {{
    [[ $* == '-n -q -M do -c 3 -i 0.3 -W 2 -s '* ]] || exit 9
    (($12 + 28 <= {way}))
}}
"#
        )
        .replace("$12", "${12}");
        let asked = script(
            [10, 244, 51, 2].into(),
            &peers,
            [192, 168, 29, 51].into(),
            "TIMES='1'\n",
        );
        let output = bash.call(["-c", &(stand_ins + &asked)]).output().ok()?;
        assert!(output.success(), "{output:#?}");
        Some(Facts::parse(&output.stdout))
    }

    #[test]
    fn what_a_node_says() {
        let pods = pods();
        let peers: Vec<&Pod> = pods.iter().collect();
        let judged = |way, strangers| {
            told(way, strangers).map(|facts| judge("masterone", &peers, &facts).verdict().text)
        };
        let Some(good) = judged(1450, "") else { return };
        let whole = "masterone: pods 1450, caravan-pods 1450, eth0 1500; masterone to mastertwo whole; masterone to workerone whole";
        assert_eq!(good, whole);
        // One that is on its way out has another address.
        assert_eq!(judged(1450, "4700").as_deref(), Some(whole));
        let lost = |rest: &str| {
            ["mastertwo", "workerone"]
                .map(|to| format!("masterone to {to}: a pod's largest packet is lost, {rest}"))
                .join("; ")
        };
        assert_eq!(
            judged(1449, ""),
            Some(lost("while packets of 500 bytes come back"))
        );
        assert_eq!(
            judged(0, ""),
            Some(lost("and packets of 500 bytes are lost too"))
        );
    }
}
