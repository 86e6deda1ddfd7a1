//! A machine that runs, and from which nothing comes: as if its cable was pulled.
//!
//! Its own packet filter does it, so it is the same for containers and for virtual machines, here and on other computers. ssh
//! stays open, by which it is undone; no client of a lab uses that. Announcements of the virtual address are dropped too:
//! a machine without a cable does not answer for it.

use std::fmt::Write;
use std::time::Duration;

use caravan_lab::{Lab, Machine, ports};

use crate::{Access, Error, facts};

/// How long the machine may take to do it.
const LIMIT: Duration = Duration::from_secs(20);

/// The name of the filter's table, and of the timer that removes it.
const NAME: &str = "caravan_silence";

/// Has `machine` silent, for `safety` at most, even if nobody is left to end it; returns what its filter says.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn begin(lab: &Lab, access: &Access, machine: &Machine, safety: Duration) -> Result<(), Error> {
    facts::ask(access, machine, &script(lab, safety), LIMIT).map(drop)
}

/// Ends it, and returns how many packets were dropped meanwhile; nothing where it was not silent.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn end(access: &Access, machine: &Machine) -> Result<Option<u64>, Error> {
    let script = format!(
        "echo '@@ dropped'; nft list counter inet {NAME} dropped 2>/dev/null\n{}\nexit 0",
        undo("")
    );
    let said = facts::ask(access, machine, &script, LIMIT)?;
    Ok(said.packets("dropped", "dropped"))
}

/// The commands that remove the filter, whose words `quote` begins and ends.
fn undo(quote: &str) -> String {
    format!(
        "{quote}nft delete table inet {NAME} 2>/dev/null; nft delete table arp {NAME} 2>/dev/null; systemctl stop \
         {NAME}.timer 2>/dev/null{quote}"
    )
}

fn script(lab: &Lab, safety: Duration) -> String {
    let ssh = ports::SSH;
    let mut rules = format!(
        "table inet {NAME}\ndelete table inet {NAME}\ntable arp {NAME}\ndelete table arp {NAME}\ntable inet {NAME} {{\n\
         counter dropped {{ }}\n"
    );
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
    format!(
        "systemctl stop {NAME}.timer {NAME}.service 2>/dev/null\n\
         systemctl reset-failed {NAME}.timer {NAME}.service 2>/dev/null\n\
         systemd-run --quiet --unit={NAME} --on-active={} --timer-property=AccuracySec=1s sh -c {} || exit 1\n\
         nft --file - <<'RULES'\n{rules}RULES",
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
        let script = script(&lab("ha"), Duration::from_secs(90));
        let timer = script.find("systemd-run").expect("a timer");
        let filter = script.find("nft --file").expect("a filter");
        assert!(timer < filter, "first of all it is told to end it");
        assert!(script.contains("--on-active=90 "));
        assert!(script.contains("tcp dport 22 accept"));
        assert!(script.contains("tcp sport 22 accept"));
        assert!(script.contains("arp saddr ip 192.168.29.80 drop"));
        assert!(!super::script(&lab("external-etcd"), Duration::ZERO).contains("arp saddr"));
    }
}
