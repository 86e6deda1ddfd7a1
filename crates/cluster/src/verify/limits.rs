//! A machine has what the lab file gives it, in containers too.

use caravan_lab::Machine;

use super::context::Context;
use super::findings::Findings;
use crate::facts::Facts;

/// How much less than its memory a virtual machine's kernel may report: its own code and tables, and the firmware's.
const KERNEL_SHARE_PERCENT: u64 = 12;

/// Memory and processors of every machine.
pub(super) fn hold(context: &Context) -> Result<Findings, String> {
    let machines = context.lab.machines();
    Ok(context.judge_surveys(machines, judge))
}

/// Whether a machine is a container, by its own word.
pub(super) fn is_container(facts: &Facts) -> bool {
    let container = facts.text("virtualization");
    !(container.is_empty() || container == "none")
}

fn judge(machine: &Machine, facts: &Facts) -> Result<String, String> {
    let name = &machine.name;
    let wanted = u64::from(machine.memory_mib);
    if !is_container(facts) {
        return judge_virtual(machine, facts);
    }
    // In bytes, or `max`.
    let memory: Option<u64> = facts.text("memory-limit").parse().ok();
    if memory != Some(wanted << 20) {
        return Err(format!(
            "{name}'s memory limit is {} instead of {wanted} MiB",
            memory.map_or("none".to_owned(), |bytes| format!("{} MiB", bytes >> 20))
        ));
    }
    // Both versions of control groups: microseconds of processor time, and in how many; `max` and -1 are no limit.
    let text = facts.text("cpu-limit");
    let mut numbers = text.split(' ').map(|word| word.parse::<i64>().ok());
    let (quota, period) = (numbers.next().flatten(), numbers.next().flatten());
    match (quota, period) {
        (Some(quota @ 1..), Some(period @ 1..)) if quota == period * i64::from(machine.cpus) => {
            Ok(format!("{name}: {wanted} MiB, {} processors", machine.cpus))
        }
        _ => Err(format!(
            "{name}'s processor limit is `{text}` instead of {}",
            machine.cpus
        )),
    }
}

fn judge_virtual(machine: &Machine, facts: &Facts) -> Result<String, String> {
    let name = &machine.name;
    let wanted = u64::from(machine.memory_mib);
    let total: u64 = facts
        .text("memory-total-kib")
        .parse::<u64>()
        .map_err(|_| format!("{name} does not say how much memory it has"))?
        / 1024;
    let processors = facts.text("processors");
    // QEMU without KVM, where the Vagrantfile gives each machine one processor.
    let emulated = facts.text("hypervisor") == "qemu";
    let due = if emulated { 1 } else { machine.cpus };
    if total > wanted || total < wanted - wanted * KERNEL_SHARE_PERCENT / 100 {
        return Err(format!(
            "{name} has {total} MiB of memory instead of {wanted}"
        ));
    }
    if processors != due.to_string() {
        return Err(format!(
            "{name} has {processors} processors instead of {due}"
        ));
    }
    let why = if emulated { ", emulated" } else { "" };
    Ok(format!(
        "{name}: {total} of {wanted} MiB, processors: {processors}{why}"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tests::lab;
    use super::*;

    #[test]
    fn limits() {
        let lab = lab("ha");
        let machine = lab.machine("masterone").expect("there");
        let check = |container: &str, memory: &str, cpu: &str, total: &str, count: &str| {
            let text = format!(
                "@@ virtualization\n{container}\n@@ memory-limit\n{memory}\n@@ cpu-limit\n{cpu}\n@@ memory-total-kib\n{total}\n@@ processors\n{count}\n"
            );
            judge(machine, &Facts::parse(&text)).is_ok()
        };
        let two_gib = "2147483648";
        for cpu in ["200000 100000", "20000 10000"] {
            assert!(check("docker", two_gib, cpu, "24000000", "16"), "{cpu}");
        }
        assert!(!check("docker", "max", "200000 100000", "24000000", "2"));
        assert!(!check(
            "docker",
            "9223372036854771712",
            "200000 100000",
            "24000000",
            "2"
        ));
        assert!(!check(
            "docker",
            "1073741824",
            "200000 100000",
            "24000000",
            "2"
        ));
        for cpu in ["max 100000", "-1 100000", "100000 100000", ""] {
            assert!(!check("docker", two_gib, cpu, "24000000", "2"), "{cpu}");
        }
        assert!(check("none", "max", "max 100000", "1990000", "2"));
        assert!(!check("none", "max", "max 100000", "4000000", "2"));
        assert!(!check("none", "max", "max 100000", "1000000", "2"));
        assert!(!check("none", "max", "max 100000", "1990000", "4"));
        assert!(!check("none", "max", "max 100000", "", ""));
        let emulated = |count: &str| {
            let text = format!(
                "@@ virtualization\nnone\n@@ hypervisor\nqemu\n@@ memory-total-kib\n1990000\n@@ processors\n{count}\n"
            );
            judge(machine, &Facts::parse(&text)).is_ok()
        };
        assert!(emulated("1"));
        assert!(!emulated("2"), "a master of the lab file has two");
    }
}
