//! A machine that runs, and from which nothing comes, as if its cable was pulled; or one that does not hear some others.
//!
//! Its own packet filter does it, so it is the same for containers and for virtual machines, here and on other computers. ssh
//! stays open, by which it is undone; no client of a lab uses that. Of a machine without a cable, announcements of the virtual
//! address are dropped too: it does not answer for it.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::time::Duration;

use caravan_lab::{Lab, Machine, ports};

use crate::{Access, Error, facts};

/// How long the machine may take to do it.
const LIMIT: Duration = Duration::from_secs(20);

/// The name of the filter's table, and of the timer that removes it.
const NAME: &str = "caravan_silence";

/// Has `machine` silent, for `safety` at most, even if nobody is left to end it.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn begin(lab: &Lab, access: &Access, machine: &Machine, safety: Duration) -> Result<(), Error> {
    let mut script = script(&everything(lab), safety);
    script.push_str(&announcements(lab, machine));
    facts::ask(access, machine, &script, LIMIT).map(drop)
}

/// Has `machine` hear nothing of `others`, nor they of it, for `safety` at most.
///
/// # Errors
///
/// As [`begin`].
pub fn begin_between(
    access: &Access,
    machine: &Machine,
    others: &[Ipv4Addr],
    safety: Duration,
) -> Result<(), Error> {
    facts::ask(access, machine, &script(&between(others), safety), LIMIT).map(drop)
}

/// Ends it, and returns how many packets were dropped meanwhile; nothing where it was not silent.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn end(access: &Access, machine: &Machine) -> Result<Option<u64>, Error> {
    let script = format!(
        "echo '@@ dropped'; nft list counter inet {NAME} dropped 2>/dev/null\n{}\n\
         if nft list tables | grep --quiet --word-regexp {NAME}; then echo 'its filter stays' >&2; exit 1; fi\n\
         systemctl stop {NAME}.timer 2>/dev/null\nexit 0",
        remove()
    );
    let said = facts::ask(access, machine, &script, LIMIT)?;
    Ok(said.packets("dropped", "dropped"))
}

/// The commands that remove the filter.
fn remove() -> String {
    let delete = ["inet", "arp", "netdev"]
        .map(|family| format!("nft delete table {family} {NAME} 2>/dev/null"));
    delete.join("; ")
}

/// The same, and that ends the timer, in `quote`s.
fn undo(quote: &str) -> String {
    format!(
        "{quote}{}; systemctl stop {NAME}.timer 2>/dev/null{quote}",
        remove()
    )
}

/// The rules that drop everything but ssh.
fn everything(lab: &Lab) -> String {
    let ssh = ports::SSH;
    let mut rules = format!("table inet {NAME} {{\ncounter dropped {{ }}\n");
    for (chain, direction, own) in [
        ("input", "iif", "tcp dport"),
        ("output", "oif", "tcp sport"),
    ] {
        let _ = writeln!(
            rules,
            "chain {chain} {{ type filter hook {chain} priority -300; {direction} lo accept; {own} {ssh} accept; counter name \
             dropped drop; }}"
        );
    }
    rules.push_str(
        "chain forward { type filter hook forward priority -300; counter name dropped drop; }\n}\n",
    );
    if let Some(vip) = lab.vip() {
        let _ = writeln!(
            rules,
            "table arp {NAME} {{\nchain output {{ type filter hook output priority 0; arp saddr ip {vip} drop; }}\n}}"
        );
    }
    rules
}

/// The command that drops announcements of the virtual address which a program makes by itself, as Keepalived does once a
/// minute: those do not pass the filters of ARP. Kernels before 5.16 cannot. The sender's address is the four bytes after the
/// 28th of the frame: of a frame that a program has made nftables does not know where ARP begins.
fn announcements(lab: &Lab, machine: &Machine) -> String {
    let Some(vip) = lab.vip() else {
        return String::new();
    };
    format!(
        "\nnic=$(ip -4 -oneline address show | awk -v own='{}/' 'index($4, own) == 1 {{ print $2; exit }}')\n\
         nft --file - <<RULES 2>/dev/null\ntable netdev {NAME}\ndelete table netdev {NAME}\ntable netdev {NAME} {{\n\
         chain egress {{ type filter hook egress device \"$nic\" priority 0; ether type arp @ll,224,32 {:#010x} drop; }}\n}}\nRULES\nexit 0",
        machine.ip,
        u32::from(vip)
    )
}

/// The rules that drop what comes from some addresses and goes there.
fn between(others: &[Ipv4Addr]) -> String {
    let others: Vec<String> = others.iter().map(ToString::to_string).collect();
    let others = others.join(", ");
    let mut rules = format!("table inet {NAME} {{\ncounter dropped {{ }}\n");
    for chain in ["input", "output", "forward"] {
        let _ = writeln!(
            rules,
            "chain {chain} {{ type filter hook {chain} priority -300; ip saddr {{ {others} }} counter name dropped drop; ip \
             daddr {{ {others} }} counter name dropped drop; }}"
        );
    }
    rules.push_str("}\n");
    rules
}

fn script(rules: &str, safety: Duration) -> String {
    format!(
        "systemctl stop {NAME}.timer {NAME}.service 2>/dev/null\n\
         systemctl reset-failed {NAME}.timer {NAME}.service 2>/dev/null\n\
         systemd-run --quiet --unit={NAME} --on-active={} --timer-property=AccuracySec=1s sh -c {} || exit 1\n\
         nft --file - <<'RULES'\ntable inet {NAME}\ndelete table inet {NAME}\ntable arp {NAME}\ndelete table arp {NAME}\n\
         {rules}RULES\n[ $? = 0 ] || exit 1",
        safety.as_secs().max(1),
        undo("'")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::lab;

    #[test]
    fn the_machine_itself_ends_it_and_ssh_stays() {
        let script = script(&everything(&lab("ha")), Duration::from_secs(90));
        let timer = script.find("systemd-run").expect("a timer");
        let filter = script.find("nft --file").expect("a filter");
        assert!(timer < filter, "first of all it is told to end it");
        assert!(script.contains("--on-active=90 "));
        assert!(script.contains("tcp dport 22 accept"));
        assert!(script.contains("tcp sport 22 accept"));
        assert!(script.contains("arp saddr ip 192.168.29.80 drop"));
        assert!(!everything(&lab("external-etcd")).contains("arp saddr"));
        // What Keepalived sends past the filters of ARP is dropped where all packets leave.
        let ha = lab("ha");
        let said = announcements(&ha, ha.machine("lbone").expect("there"));
        assert!(said.contains("own='192.168.29.81/'"), "{said}");
        assert!(
            said.contains("hook egress")
                && said.contains("ether type arp @ll,224,32 0xc0a81d50 drop"),
            "{said}"
        );
        assert!(undo("'").contains("nft delete table netdev caravan_silence"));
    }

    #[test]
    fn a_cut_is_between_those_that_are_named() {
        let others = [
            Ipv4Addr::new(192, 168, 29, 61),
            Ipv4Addr::new(192, 168, 29, 62),
        ];
        let script = script(&between(&others), Duration::from_secs(9));
        assert!(
            script.contains("ip saddr { 192.168.29.61, 192.168.29.62 } counter name dropped drop")
        );
        assert!(
            script.contains("ip daddr { 192.168.29.61, 192.168.29.62 } counter name dropped drop")
        );
        // Nothing else is dropped, not even its answers for the virtual address.
        assert_eq!(script.matches(" drop;").count(), 6);
    }
}
