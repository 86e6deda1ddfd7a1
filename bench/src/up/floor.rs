//! The floor: how long Vagrant takes for the lab's machines when they have nothing to do.
//!
//! The same Vagrantfiles, image, addresses and groups as those of the lab, under the name of another lab, whose machines
//! are provisioned with a script that does nothing. What `destroy` needs is beside them, so that a floor whose runner was
//! killed is removed like any lab.

use std::collections::btree_map::Entry;
use std::time::Instant;

use caravan_bundle::AddOnKind;
use caravan_cluster::timeline::RUN;
use caravan_host::{Purpose, resolvers, setup};
use caravan_lab::{Lab, Provider, Server};
use caravan_lifecycle::files::RenderSources;
use caravan_lifecycle::{
    Error as LabError, Keys, LabChoices, LabDir, LabLock, LabProviders, read_lab, software,
};
use caravan_render::MachineImage;
use caravan_screen::SetupOnScreen;
use caravan_vagrant::Up;

use super::usage::Cpu;
use super::{Flags, Leg, ids, remove};
use crate::Bench;
use crate::error::Error;

/// What takes the place of each machine's archive.
const NOTHING: &[u8] = b"#!/bin/sh\n";

/// The name of the lab that has the floor's machines.
fn name_for(lab: &str) -> String {
    format!("{lab}-bench")
}

/// Brings bare machines up, and removes them.
///
/// # Errors
///
/// [`Error::Occupied`] where the lab has machines, [`LabError::Conflicts`], [`LabError::Vagrant`], [`LabError::Interrupted`].
pub(super) fn measure(flags: &Flags, lab: &Lab, bench: &Bench) -> Result<Leg, Error> {
    let (workspace, screen) = (&bench.workspace, &bench.screen);
    let needed = Purpose::running([Provider::Docker]);
    setup::ensure(needed, &SetupOnScreen { screen, yes: false })?;
    let name = name_for(lab.name());
    let (bare, source) = read_lab(&name, &workspace.lab_file(lab.name()))?;
    let dir = workspace.state(&name);
    let choices = choices(flags, &bare, bench)?;
    // One that was killed left its machines, or its state.
    let providers = LabProviders::of(&bare, &choices, &dir);
    if dir.exists() || !providers.machines(&name, &dir.projects())?.is_empty() {
        remove(&name, bench)?;
    }
    let real = workspace.state(lab.name());
    if !(providers.machines(lab.name(), &real.projects())?).is_empty() {
        return Err(Error::Occupied {
            lab: lab.name().to_owned(),
        });
    }
    free(&bare, &providers)?;
    dir.make()?;
    let lock = LabLock::take(&dir, &name, "bench")?;
    let template = workspace.vagrantfile_template()?;
    let calico = software::calico_manifest(&bare, || bench.cache())?;
    prepare(&bare, &source, &dir, &choices, template, calico)?;
    screen.now(RUN, "brings bare machines up, for the floor");
    let measured = up(&bare, &dir, &providers, bench);
    drop(lock);
    screen.now(RUN, "removes them");
    remove(&name, bench)?;
    Ok(measured?)
}

/// As `up` settles them, with the image made.
fn choices(flags: &Flags, bare: &Lab, bench: &Bench) -> Result<LabChoices, Error> {
    let mut choices = LabChoices::settle(bare, &flags.request(), None, false)?;
    if !choices.airgap {
        choices.nameservers = resolvers::nameservers();
    }
    for provider in choices.kinds() {
        let Entry::Vacant(image) = choices.images.entry(provider) else {
            continue;
        };
        let minor = bare.kubernetes().to_string();
        let mut words = vec!["bake", "--kubernetes", minor.as_str()];
        words.extend(["--provider", provider.word()]);
        for add_on in software::add_ons(bare) {
            let flag = match add_on {
                AddOnKind::Flannel | AddOnKind::Calico => "--pod-network",
                AddOnKind::LocalPath | AddOnKind::MetricsServer | AddOnKind::MetalLb => "--add-on",
            };
            words.extend([flag, add_on.as_str()]);
        }
        words.extend(flags.origin());
        let made = bench.tool.answer(bench.tool.call(words))?;
        let url = match provider {
            Provider::Docker => None,
            Provider::Libvirt | Provider::VirtualBox => box_url(&made, bench)?,
        };
        image.insert(MachineImage { name: made, url });
    }
    Ok(choices)
}

/// Where Vagrant finds a box of the cache.
fn box_url(name: &str, bench: &Bench) -> Result<Option<String>, Error> {
    let said = bench.tool.answer(
        bench
            .tool
            .call(["bundle", "list", "--json", "--of", "boxes"]),
    )?;
    Ok(url_in(&said, name))
}

/// The address of a box, as `bundle list --json --of boxes` has it.
fn url_in(listing: &str, name: &str) -> Option<String> {
    let listing: serde_json::Value = serde_json::from_str(listing).ok()?;
    let found = (listing.as_array()?.iter()).find(|it| it["name"] == name)?;
    Some(found["url"].as_str()?.to_owned())
}

/// The addresses are those of the lab itself, which nobody else may have.
fn free(bare: &Lab, providers: &LabProviders) -> Result<(), LabError> {
    let addresses: Vec<_> = bare
        .machines()
        .iter()
        .map(|machine| (machine.name.clone(), machine.ip))
        .collect();
    let conflicts = providers.conflicts(bare.name(), bare.subnet(), &addresses)?;
    if conflicts.is_empty() {
        Ok(())
    } else {
        Err(LabError::Conflicts { conflicts })
    }
}

/// Writes the Vagrant projects, with nothing to do for any machine.
fn prepare(
    bare: &Lab,
    source: &str,
    dir: &LabDir,
    choices: &LabChoices,
    template: Option<String>,
    calico: Option<String>,
) -> Result<(), LabError> {
    let sources = RenderSources {
        lab: bare,
        software: software::versions(bare, calico, None)?,
        settings: choices.settings(),
        // Vagrant reads the ssh key, so there must be one.
        material: Keys::ensure(bare, dir)?.material(bare)?,
        template,
    };
    let servers: Vec<&Server> = bare.servers().iter().collect();
    sources.write(dir, &servers)?;
    for machine in bare.machines() {
        let script = dir.archive(&machine.server, &machine.name);
        caravan_files::write_if_changed(&script, 0o600, NOTHING)?;
    }
    caravan_files::make_private_folder(&dir.deployed())?;
    caravan_files::write_if_changed(&dir.deployed_lab(), 0o600, source.as_bytes())?;
    choices.write(dir)
}

/// `vagrant up` of all groups at the same time, from the start of the first to the end of the last.
fn up(bare: &Lab, dir: &LabDir, providers: &LabProviders, bench: &Bench) -> Result<Leg, LabError> {
    // A server without machines has nothing to bring up.
    let servers = bare
        .servers()
        .iter()
        .filter(|server| bare.machines_on(server).next().is_some());
    let before = Cpu::now(&[]);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = servers
            .map(|server| {
                let provider = providers.of_server(&server.name);
                scope.spawn(move || {
                    let group = provider
                        .vagrant(&dir.projects())?
                        .group(dir.group(&server.name));
                    let asked = Up {
                        provider: Some(provider.word()),
                        machines: &[],
                        provision: true,
                    };
                    group.up(&asked, &dir.log(&server.name), &mut |_| {})
                })
            })
            .collect();
        let mut ended = Ok(());
        for thread in threads {
            let result = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            ended = ended.and(result);
        }
        ended
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = Cpu::now(&ids(bare, bench)?).since(&before);
    Ok(Leg { seconds, cpu })
}

#[cfg(test)]
mod tests {
    use caravan_lifecycle::{ChoiceRequest, ImageRequest, machines};

    use super::*;

    #[test]
    fn a_box_is_found_where_the_listing_has_it() {
        let listing =
            r#"[{"name": "caravan-machine-0a-amd64", "url": "file:///cache/boxes/0a/box.json"}]"#;
        let url = url_in(listing, "caravan-machine-0a-amd64");
        assert_eq!(url.as_deref(), Some("file:///cache/boxes/0a/box.json"));
        assert_eq!(url_in(listing, "another"), None);
    }

    #[test]
    fn bare_machines_are_the_labs_with_nothing_to_do() {
        let root = tempfile::tempdir().expect("a folder");
        let labs = root.path().join("labs");
        std::fs::create_dir(&labs).expect("made");
        let file = labs.join("ha.toml");
        std::fs::write(&file, include_str!("../../../labs/ha.toml")).expect("written");
        let (bare, source) = read_lab(&name_for("ha"), &file).expect("valid");
        assert_eq!(bare.name(), "ha-bench");
        let dir = LabDir::new(root.path(), bare.name());
        dir.make().expect("made");
        let asked = ChoiceRequest {
            airgap: true,
            images: vec![ImageRequest {
                provider: None,
                name: "caravan-machine:example".to_owned(),
            }],
            ..ChoiceRequest::default()
        };
        let choices = LabChoices::settle(&bare, &asked, None, false).expect("settled");
        prepare(&bare, &source, &dir, &choices, None, None).expect("written");
        for machine in bare.machines() {
            let script = dir.archive(&machine.server, &machine.name);
            assert_eq!(std::fs::read(script).expect("there"), NOTHING);
        }
        let vagrantfile = std::fs::read_to_string(dir.vagrantfile("server2")).expect("there");
        assert!(vagrantfile.contains("LAB = \"ha-bench\""), "{vagrantfile}");
        assert!(vagrantfile.contains("192.168.29.61"), "{vagrantfile}");
        // What `destroy` goes by.
        let known = machines::deployed_lab(bare.name(), &dir).expect("a lab");
        assert_eq!(known.machines(), bare.machines());
        assert_eq!(LabChoices::read(&dir).expect("read"), Some(choices));
    }
}
