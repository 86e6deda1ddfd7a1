//! `cargo xtask kubectl` and `cargo xtask etcdctl`: the cluster's own programs, with the keys of the lab.

use caravan_lab::{Lab, Machine, Role, ports};
use caravan_lifecycle::{
    self as lifecycle, Error as LifecycleError, Keys, LabTarget, Workspace, reach,
};
use caravan_process::{Program, shell};

use crate::environment;
use crate::error::Error;
use crate::exit::Exit;
use crate::flags;

/// Where the machines of masters have the administrator's kubeconfig.
const ADMIN: &str = "/etc/kubernetes/admin.conf";

/// Runs the bundle's kubectl with the lab's kubeconfig; its exit status is kubectl's.
pub(crate) fn run(flags: &flags::ClusterTool, workspace: &Workspace) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    let keys = Keys::load(lab, &target.dir).ok_or_else(|| Error::not_made(&target.name))?;
    let master = first_running(&target, lab, Role::ControlPlane)?;
    if !reach::is_near(lab) {
        // Where this computer has no way to the endpoint, a master has.
        let words = ["sudo", "kubectl", "--kubeconfig", ADMIN];
        return on_machine(&target, lab, master, &words, &flags.args);
    }
    let own = target.dir.kubeconfig();
    caravan_files::write_if_changed(&own, 0o600, keys.kubeconfig(lab)?.as_bytes())?;
    let status = bundled(lab)?
        .call(&flags.args)
        .env("KUBECONFIG", own)
        .interactive()?;
    Ok(Exit::of_status(status))
}

/// Runs etcdctl on a member that runs, for all members; its exit status is etcdctl's.
pub(crate) fn run_etcdctl(
    flags: &flags::ClusterTool,
    workspace: &Workspace,
) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    if Keys::load(lab, &target.dir).is_none() {
        return Err(Error::not_made(&target.name));
    }
    let member = first_running(&target, lab, Role::Etcd)?;
    let members = lab.of_role(Role::Etcd);
    let endpoints: Vec<String> = members
        .map(|it| format!("https://{}:{}", it.ip, ports::ETCD_CLIENT))
        .collect();
    let endpoints = format!("--endpoints={}", endpoints.join(","));
    let mut words: Vec<&str> = caravan_cluster::etcd::alarm::ETCDCTL.split(' ').collect();
    // Who names endpoints means those.
    if !flags
        .args
        .iter()
        .any(|it| it.starts_with("--endpoints") || it == "--cluster")
    {
        words.push(&endpoints);
    }
    on_machine(&target, lab, member, &words, &flags.args)
}

/// The bundle's kubectl, of this computer's cache.
fn bundled(lab: &Lab) -> Result<Program, Error> {
    let minor = lab.kubernetes().to_string();
    let wanted = caravan_bundle::software_of(&minor)?.kubernetes;
    let bundles = caravan_bundle::list(&environment::cache()?)?;
    let found = (bundles.iter())
        .filter(|bundle| bundle.software.kubernetes == wanted)
        .map(|bundle| bundle.dir.join("bin/kubectl"))
        .find(|path| path.is_file());
    found.map(Program::at).ok_or(Error::NoBundle { minor })
}

/// The first machine of a role that runs.
fn first_running<'a>(target: &LabTarget, lab: &'a Lab, role: Role) -> Result<&'a Machine, Error> {
    let (found, _) = target.machines_reached()?;
    let runs = |machine: &&Machine| found.iter().any(|it| it.name == machine.name && it.runs());
    lab.of_role(role).find(runs).ok_or_else(|| {
        LifecycleError::NoneRuns {
            lab: target.name.clone(),
            role,
        }
        .into()
    })
}

/// Runs a program on a machine with the user's terminal, where there is one; each of `args` is one word there.
fn on_machine(
    target: &LabTarget,
    lab: &Lab,
    machine: &Machine,
    words: &[&str],
    args: &[String],
) -> Result<Exit, Error> {
    let ssh = lifecycle::ssh(lab, &target.dir, target.pace())?;
    let command = words.iter().map(|word| (*word).to_owned());
    let command: Vec<String> = command
        .chain(args.iter().map(|arg| shell::word(arg)))
        .collect();
    let status = lifecycle::remote(&ssh, machine).interactive(&command)?;
    Ok(Exit::of_status(status))
}
