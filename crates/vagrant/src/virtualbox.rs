//! VirtualBox, asked directly by its command line `VBoxManage`.
//!
//! Only labels are trusted, as with the container engine: a machine that carries a lab's is the lab's, whoever made it. They
//! are VirtualBox's extra data (`VBoxManage setextradata`), which the Vagrantfile sets before a machine boots for the first
//! time; a host-only network cannot carry any, so its label is among the global extra data, under the network's name.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use caravan_process::{Computer, Output, Program, interrupt};

use crate::{Error, MachineState, Version};

mod masters;
mod read;
mod refusal;

pub use read::HostInterface;
pub(crate) use refusal::of as refusal_of;
pub use refusal::{HostFacts, KVM_HOLDS_FROM, KVM_SHARES_FROM, Refusal, remedies_against_kvm};

/// What the keys of labels begin with, in the extra data of a machine.
pub const LABEL: &str = "caravan/";

/// What the keys of networks' labels begin with, in the global extra data; the network's name follows.
pub const NETWORK_LABEL: &str = "caravan/network/";

/// How long an answer may take: the first call after a while starts VirtualBox's server.
const ANSWER: Duration = Duration::from_secs(60);

/// How often machines that were told to stop are looked at.
const POLL: Duration = Duration::from_millis(250);

/// How often a machine whose last session just ends is tried again, every [`POLL`].
const LOCK_ATTEMPTS: usize = 20;

/// VirtualBox does not have what it is asked about.
const NOT_FOUND: &str = "VBOX_E_OBJECT_NOT_FOUND";

/// VirtualBox's command line.
#[derive(Debug, Clone)]
pub struct VirtualBox {
    program: Program,
}

/// Which VirtualBox is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledVirtualBox {
    /// Its version.
    pub version: Version,
    /// What it warns of, such as a kernel module that is not loaded; empty where all is well.
    pub warning: String,
}

/// A machine of VirtualBox's that is a lab's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualMachine {
    /// VirtualBox's UUID.
    pub uuid: String,
    /// Its labels, without [`LABEL`]: `lab`, `server`, `machine`, `folder`, `image`.
    pub labels: BTreeMap<String, String>,
    /// Whether it runs.
    pub state: MachineState,
}

impl VirtualMachine {
    /// One of its labels; empty if it has none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

impl VirtualBox {
    /// Finds `VBoxManage` on the search path, where Vagrant looks for it.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when there is none.
    pub fn find() -> Result<Self, Error> {
        Self::on(&Computer::Here)
    }

    /// Finds `VBoxManage` on a computer.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when there is none, or the computer is not reached.
    pub fn on(computer: &Computer) -> Result<Self, Error> {
        Ok(Self::with(computer.program("VBoxManage")?))
    }

    /// Takes `program` as `VBoxManage`.
    pub fn with(program: Program) -> Self {
        Self { program }
    }

    /// Which VirtualBox it is, and what it warns of.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when it does not run, [`Error::NoVersion`].
    pub fn installed(&self) -> Result<InstalledVirtualBox, Error> {
        let output = self.call(["--version"])?;
        let said = format!("{}\n{}", output.stderr, output.stdout);
        let version = read::version(&output.stdout).ok_or_else(|| Error::NoVersion {
            program: "VBoxManage",
            said: said.trim().to_owned(),
        })?;
        Ok(InstalledVirtualBox {
            version,
            warning: read::warning(&said),
        })
    }

    /// The interfaces of this computer that machines can be bridged to.
    ///
    /// # Errors
    ///
    /// [`Error::Process`].
    pub fn bridges(&self) -> Result<Vec<HostInterface>, Error> {
        Ok(read::interfaces(&self.ask(["list", "bridgedifs"])?))
    }

    /// The host-only networks that there are; of macOS with VirtualBox 7 too, where they are no interfaces.
    ///
    /// # Errors
    ///
    /// [`Error::Process`].
    pub fn host_only(&self) -> Result<Vec<HostInterface>, Error> {
        let mut found = read::interfaces(&self.ask(["list", "hostonlyifs"])?);
        if cfg!(target_os = "macos") {
            let networks = self.call(["list", "hostonlynets"])?;
            found.extend(read::host_only_networks(&networks.stdout));
        }
        Ok(found)
    }

    /// The folder that new machines and their disks are made in.
    ///
    /// # Errors
    ///
    /// [`Error::Process`].
    pub fn machine_folder(&self) -> Result<Option<PathBuf>, Error> {
        let said = self.ask(["list", "systemproperties"])?;
        Ok(read::machine_folder(&said).map(PathBuf::from))
    }

    /// The UUIDs of all machines that are registered, whoever's they are.
    ///
    /// # Errors
    ///
    /// [`Error::Process`].
    pub fn registered(&self) -> Result<BTreeSet<String>, Error> {
        let said = self.ask(["list", "vms"])?;
        Ok(read::machines(&said).into_iter().map(|it| it.1).collect())
    }

    /// The machines with the label of `lab`, or of any lab, by lab and name.
    ///
    /// # Errors
    ///
    /// [`Error::Process`].
    pub fn machines(&self, lab: Option<&str>) -> Result<Vec<VirtualMachine>, Error> {
        let uuids: Vec<String> = self.registered()?.into_iter().collect();
        let is_wanted = |labels: &BTreeMap<String, String>| match (labels.get("lab"), lab) {
            (Some(its), Some(lab)) => its == lab,
            (its, _) => its.is_some(),
        };
        let found = side_by_side(&uuids, |uuid| {
            let labels = self.labels(uuid)?;
            if !is_wanted(&labels) {
                return Ok(None);
            }
            // One that was removed meanwhile is none.
            Ok(self.state(uuid)?.map(|state| VirtualMachine {
                uuid: uuid.to_owned(),
                labels,
                state,
            }))
        })?;
        let mut found: Vec<VirtualMachine> = found.into_iter().flatten().collect();
        let key =
            |it: &VirtualMachine| (it.label("lab").to_owned(), it.label("machine").to_owned());
        found.sort_by_key(key);
        Ok(found)
    }

    /// The labels of a machine, without [`LABEL`]; none where there is no such machine.
    ///
    /// # Errors
    ///
    /// [`Error::Process`].
    pub fn labels(&self, uuid: &str) -> Result<BTreeMap<String, String>, Error> {
        let said = self.ask_of(uuid, &["getextradata", uuid, "enumerate"])?;
        let all = read::extra_data(said.as_deref().unwrap_or_default());
        Ok(all
            .into_iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(LABEL)?.to_owned(), value)))
            .collect())
    }

    /// Whether a machine runs; none where there is no such machine.
    ///
    /// # Errors
    ///
    /// [`Error::Process`].
    pub fn state(&self, uuid: &str) -> Result<Option<MachineState>, Error> {
        let said = self.ask_of(uuid, &["showvminfo", uuid, "--machinereadable"])?;
        Ok(said.map(|said| {
            let info = read::machine_info(&said);
            match info.get("VMState") {
                Some(word) => MachineState::of_vagrant(word),
                None => MachineState::Other("inaccessible".to_owned()),
            }
        }))
    }

    /// Presses the power button of machines, all at once, and waits until they are off; one that is not after `grace` is
    /// switched off.
    ///
    /// # Errors
    ///
    /// [`Error::Process`], also where the user asks to stop meanwhile.
    pub fn stop(&self, uuids: &[&str], grace: Duration) -> Result<(), Error> {
        // A guest that does not listen is switched off below, so nobody minds what this says.
        side_by_side(uuids, |uuid| {
            self.call(["controlvm", uuid, "acpipowerbutton"]).map(drop)
        })?;
        let began = Instant::now();
        let mut left = self.still_on(uuids)?;
        while !left.is_empty() && began.elapsed() < grace {
            if interrupt::raised() {
                return Err(caravan_process::Error::Interrupted {
                    command: "VBoxManage controlvm".to_owned(),
                }
                .into());
            }
            std::thread::sleep(POLL);
            left = self.still_on(&left)?;
        }
        self.switch_off(&left)
    }

    /// Cuts the power of machines, all at once.
    ///
    /// # Errors
    ///
    /// [`Error::Process`].
    pub fn crash(&self, uuids: &[&str]) -> Result<(), Error> {
        self.switch_off(uuids)
    }

    /// Has machines stand still, or go on: `pause`, `resume`.
    ///
    /// # Errors
    ///
    /// [`Error::Process`].
    pub fn control(&self, uuids: &[&str], verb: &str) -> Result<(), Error> {
        side_by_side(uuids, |uuid| self.once_unlocked(&["controlvm", uuid, verb])).map(drop)
    }

    /// Starts machines that are off, without a window.
    ///
    /// # Errors
    ///
    /// [`Error::Process`].
    pub fn start(&self, uuids: &[&str]) -> Result<(), Error> {
        side_by_side(uuids, |uuid| {
            self.once_unlocked(&["startvm", uuid, "--type", "headless"])
        })
        .map(drop)
    }

    /// Removes machines with their disks. One that runs is switched off; one that is gone already is removed.
    ///
    /// # Errors
    ///
    /// [`Error::Process`]: what was removed until then is gone.
    pub fn remove(&self, uuids: &[&str]) -> Result<(), Error> {
        self.switch_off(&self.still_on(uuids)?)?;
        // One after the other: they share the disk that they are clones of, which each locks for a moment.
        for uuid in uuids {
            // A saved state keeps a machine from being removed; without one this is refused, and nobody minds.
            if matches!(self.state(uuid)?, Some(MachineState::Other(_))) {
                self.call(["discardstate", uuid])?;
            }
            self.once_unlocked(&["unregistervm", uuid, "--delete"])?;
        }
        Ok(())
    }

    /// The host-only networks that carry a lab's label, by name, with the lab.
    ///
    /// # Errors
    ///
    /// [`Error::Process`].
    pub fn networks(&self) -> Result<BTreeMap<String, String>, Error> {
        let said = self.ask(["getextradata", "global", "enumerate"])?;
        Ok(read::extra_data(&said)
            .into_iter()
            .filter_map(|(key, lab)| Some((key.strip_prefix(NETWORK_LABEL)?.to_owned(), lab)))
            .collect())
    }

    /// Removes a host-only network and its label. It need not be there any more.
    ///
    /// # Errors
    ///
    /// [`Error::HostOnlyInUse`] where a machine is attached to it, [`Error::Process`].
    pub fn remove_network(&self, name: &str) -> Result<(), Error> {
        if self.host_only()?.iter().any(|it| it.name == name) {
            let machines = self.users_of(name)?;
            if !machines.is_empty() {
                return Err(Error::HostOnlyInUse {
                    network: name.to_owned(),
                    machines,
                });
            }
            if name.starts_with("vagrantnet-") {
                self.ask(["hostonlynet", "remove", "--name", name])?;
            } else {
                // VirtualBox keeps a server of addresses for a network that is gone, if it ever had one.
                self.call(["dhcpserver", "remove", "--ifname", name])?;
                self.ask(["hostonlyif", "remove", name])?;
            }
        }
        let key = format!("{NETWORK_LABEL}{name}");
        self.ask(["setextradata", "global", &key]).map(drop)
    }

    /// The names of the machines that are attached to a host-only network.
    fn users_of(&self, network: &str) -> Result<Vec<String>, Error> {
        let said = self.ask(["list", "vms"])?;
        let all = read::machines(&said);
        let found = side_by_side(&all, |(name, uuid)| {
            let info = self.ask_of(uuid, &["showvminfo", uuid, "--machinereadable"])?;
            let info = info.unwrap_or_default();
            let uses = read::machine_info(&info)
                .into_iter()
                .any(|(key, value)| key.starts_with("hostonly") && value == network);
            Ok(uses.then(|| name.clone()))
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Those of `uuids` that are neither off nor gone, and have something that can be switched off.
    fn still_on<'a>(&self, uuids: &[&'a str]) -> Result<Vec<&'a str>, Error> {
        let states = side_by_side(uuids, |uuid| self.state(uuid))?;
        let is_on = |state: &Option<MachineState>| match state {
            None | Some(MachineState::Absent | MachineState::Stopped) => false,
            Some(MachineState::Running) => true,
            Some(MachineState::Other(word)) => {
                !["saved", "aborted-saved", "inaccessible"].contains(&word.as_str())
            }
        };
        let on = uuids.iter().zip(&states).filter(|(_, state)| is_on(state));
        Ok(on.map(|(uuid, _)| *uuid).collect())
    }

    /// Switches machines off at once. One that went off by itself meanwhile is off.
    fn switch_off(&self, uuids: &[&str]) -> Result<(), Error> {
        side_by_side(uuids, |uuid| {
            let output = self.call(["controlvm", uuid, "poweroff"])?;
            if output.success() || self.still_on(&[uuid])?.is_empty() {
                return Ok(());
            }
            self.once_unlocked(&["controlvm", uuid, "poweroff"])
        })
        .map(drop)
    }

    /// Does something to a machine that may be locked for a moment by a session that ends, or be gone.
    fn once_unlocked(&self, args: &[&str]) -> Result<(), Error> {
        for _ in 1..LOCK_ATTEMPTS {
            let output = self.call(args.iter().copied())?;
            if output.success() || output.stderr.contains(NOT_FOUND) {
                return Ok(());
            }
            let locked = [
                "VBOX_E_INVALID_OBJECT_STATE",
                "VBOX_E_INVALID_VM_STATE",
                "locked",
            ];
            if !locked.iter().any(|word| output.stderr.contains(word)) {
                break;
            }
            std::thread::sleep(POLL);
        }
        self.ask(args.iter().copied()).map(drop)
    }

    /// What is said of a machine; none where there is no such machine.
    fn ask_of(&self, uuid: &str, args: &[&str]) -> Result<Option<String>, Error> {
        let output = self.call(args.iter().copied())?;
        if output.success() {
            return Ok(Some(output.stdout));
        }
        if output.stderr.contains(NOT_FOUND) || !self.registered()?.contains(uuid) {
            return Ok(None);
        }
        self.ask(args.iter().copied()).map(Some)
    }

    /// What is said, where it must succeed.
    fn ask<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<String, Error> {
        Ok(self.prepared(args).run()?.stdout)
    }

    /// What is said, however it ends.
    fn call<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<Output, Error> {
        Ok(self.prepared(args).output()?)
    }

    fn prepared<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> caravan_process::Call {
        // What is read must not be in the user's language.
        let call = self.program.call(args).timeout(ANSWER);
        call.env("LANG", "C")
            .env("LC_ALL", "C")
            .env_remove("LANGUAGE")
    }
}

/// Does `what` to each of `all` in threads side by side; what each came to, or the first error after all have ended.
fn side_by_side<T: Sync, R: Send>(
    all: &[T],
    what: impl Fn(&T) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    /// How many calls run at the same time: each is a program that talks to one server.
    const AT_ONCE: usize = 8;
    let mut results = Vec::new();
    for some in all.chunks(AT_ONCE) {
        let ended: Vec<Result<R, Error>> = std::thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|one| scope.spawn(|| what(one))).collect();
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        });
        for result in ended {
            results.push(result?);
        }
    }
    Ok(results)
}
