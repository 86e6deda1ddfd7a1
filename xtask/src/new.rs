//! `cargo xtask new`: a lab file of the user's own shape.

use caravan_host::free_subnet::{SubnetUser, UsedSubnets};
use caravan_lab::{Ipv4Net, Lab, NewLab, new_lab_file};
use caravan_lifecycle::{Error as LifecycleError, LabTarget, Workspace};

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags;
use crate::show::report;
use crate::show::screen::Screen;

/// The size of a new lab's subnet.
const PREFIX: u8 = 24;

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::New,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let name = &flags.name;
    let path = workspace.lab_file(name);
    if path.exists() || workspace.state(name).exists() {
        return Err(Error::LabExists { name: name.clone() });
    }
    let used = UsedSubnets::now(labs(workspace)).map_err(LifecycleError::from)?;
    let newest = caravan_bundle::minors().pop().unwrap_or_default();
    let text = new_lab_file(&NewLab {
        name,
        tool: TOOL,
        kubernetes: &newest,
        subnet: subnet(flags, &used)?,
        etcd: flags.etcd,
        masters: flags.masters,
        balancers: flags.balancers,
        workers: flags.workers,
    });
    // A shape that cannot be a lab, or a name that cannot be one's, is refused as in any lab file.
    let lab = Lab::parse(name, &text).map_err(|faults| Error::NoShape {
        what: faults.iter().map(|fault| fault.message.clone()).collect(),
        help: faults.iter().find_map(|fault| fault.help.clone()),
    })?;
    report::warnings(&path, &text, lab.warnings());
    if flags.dry_run {
        print!("{text}");
        return Ok(Exit::Done);
    }
    caravan_files::write_if_changed(&path, 0o644, text.as_bytes())?;
    println!("{}", path.display());
    screen.say(&format!(
        "next: `{TOOL} plan {name}` shows what it makes, `{TOOL} up {name}` makes it"
    ));
    Ok(Exit::Done)
}

fn subnet(flags: &flags::New, used: &UsedSubnets) -> Result<Ipv4Net, Error> {
    let Some(asked) = flags.subnet else {
        return used.free().ok_or(Error::NoFreeSubnet);
    };
    let what = if asked.prefix_len() != PREFIX {
        Some(format!(
            "it is a /{}, and a /{PREFIX} is needed",
            asked.prefix_len()
        ))
    } else {
        used.user_of(asked).map(|user| match user {
            SubnetUser::Lab(lab) => format!("lab `{lab}` has it"),
            SubnetUser::Route(route) => format!("this computer {route}"),
        })
    };
    match what {
        Some(why) => Err(Error::SubnetTaken { subnet: asked, why }),
        None => Ok(asked.trunc()),
    }
}

/// The subnets of all labs of which a file or the state tells; a lab file that cannot be read has none.
fn labs(workspace: &Workspace) -> Vec<(String, Ipv4Net)> {
    let names = [workspace.labs(), workspace.labs_with_state()].concat();
    let of = |name: String| {
        let target = LabTarget::of(workspace, Some(&name)).ok()?;
        let made = target.known_lab().map(Lab::subnet);
        let written = workspace.lab(&name).ok().map(|(lab, _)| lab.subnet());
        Some(
            [made, written]
                .into_iter()
                .flatten()
                .map(move |it| (name.clone(), it)),
        )
    };
    names.into_iter().filter_map(of).flatten().collect()
}
