//! The Vagrantfile for VirtualBox as Vagrant itself runs it, with a stand-in for VirtualBox that refuses to start machines:
//! everything that comes before that is done as on a real one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;

use caravan_lab::Provider;
use caravan_process::{Output, Program};
use caravan_render::{Material, Software, group_files};

use crate::checkers::checker;
use crate::labs;

/// What VirtualBox says where KVM has VT-x.
const REFUSAL: &str = "VBoxManage: error: VirtualBox can't operate in VMX root mode. Please disable the KVM kernel extension, \
recompile your kernel and reboot (VERR_VMX_IN_VMX_ROOT_MODE)\n\
VBoxManage: error: Details: code NS_ERROR_FAILURE (0x80004005), component ConsoleWrap, interface IConsole\n";

/// A computer with Vagrant, a box, and a VirtualBox that runs nothing.
struct Computer {
    folder: tempfile::TempDir,
    vagrant: Program,
}

impl Computer {
    /// None where Vagrant is not installed. `source` is the text of the lab file.
    fn of(source: &str) -> Option<Computer> {
        let vagrant = checker("vagrant")?;
        let folder = tempfile::tempdir().unwrap();
        let computer = Computer { folder, vagrant };
        for made in ["bin", "state", "lab/ssh"] {
            fs::create_dir_all(computer.path(made)).unwrap();
        }
        let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fakes/VBoxManage");
        symlink(fake, computer.path("bin/VBoxManage")).unwrap();
        computer.write("state/refuse-start", REFUSAL);
        computer.write("lab/ssh/id_ecdsa", "");
        let a_box = "home/boxes/caravan-VAGRANTSLASH-ubuntu-22.04/0/virtualbox";
        computer.write(
            &format!("{a_box}/metadata.json"),
            "{\"provider\":\"virtualbox\"}",
        );
        computer.write(&format!("{a_box}/box.ovf"), "<Envelope/>");
        let lab = labs::parse("ha", source);
        let (settings, software) = (labs::settings(Provider::VirtualBox), Software::example());
        let material = Material::placeholder(&lab).unwrap();
        for server in lab.servers() {
            for file in group_files(&lab, server, &software, &settings, &material, None).unwrap() {
                let text = String::from_utf8_lossy(&file.content).into_owned();
                computer.write(&format!("lab/{}/{}", server.name, file.path), &text);
            }
        }
        Some(computer)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    fn up(&self, server: &str, machine: &str) -> Output {
        let usual = std::env::var("PATH").unwrap_or_default();
        self.vagrant
            .call([
                "up",
                "--no-destroy-on-error",
                "--provider",
                "virtualbox",
                machine,
            ])
            .dir(self.path(&format!("lab/{server}")))
            .env("PATH", format!("{}:{usual}", self.path("bin").display()))
            .env("FAKE_STATE", self.path("state"))
            .env("VAGRANT_HOME", self.path("home"))
            .env("VAGRANT_CHECKPOINT_DISABLE", "1")
            .output()
            .unwrap()
    }

    /// The folder of what VirtualBox keeps of the machine with this name.
    fn machine(&self, name: &str) -> String {
        let machines = fs::read_dir(self.path("state/vms")).unwrap();
        let mut uuids = machines.map(|it| it.unwrap().file_name().to_string_lossy().into_owned());
        let uuid = uuids.find(|uuid| self.read(&format!("state/vms/{uuid}/name")).trim() == name);
        format!(
            "state/vms/{}",
            uuid.unwrap_or_else(|| panic!("no machine `{name}`"))
        )
    }
}

/// A lab in the range that VirtualBox allows everywhere.
fn source() -> String {
    labs::source("ha").replace("192.168.29.", "192.168.56.")
}

#[test]
fn groups_that_start_at_the_same_time_meet_on_one_labelled_network() {
    let Some(computer) = Computer::of(&source()) else {
        return;
    };
    // Long enough for the other group to look for the network meanwhile.
    computer.write("state/slow-network", "4");
    let machines = [("server1", "masterone"), ("server2", "etcdone")];
    let ended = thread::scope(|scope| {
        let computer = &computer;
        let threads =
            machines.map(|(server, machine)| scope.spawn(|| computer.up(server, machine)));
        threads.map(|thread| thread.join().unwrap())
    });
    for output in ended {
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(said.contains("(VERR_VMX_IN_VMX_ROOT_MODE)"), "{said}");
    }
    assert_eq!(
        computer.read("state/hostonlyifs"),
        "vboxnet0 192.168.56.1 255.255.255.0\n"
    );
    assert_eq!(
        computer.read("state/global"),
        "caravan/network/vboxnet0=ha\n"
    );
    // One import, and a clone for each machine.
    let calls = computer.read("state/vbox-calls");
    assert_eq!(calls.matches(" --vmname ").count(), 1, "{calls}");
    let lab = labs::parse("ha", &source());
    for (server, name) in machines {
        let folder = computer.machine(&format!("caravan-ha-{name}"));
        let project = fs::canonicalize(computer.path(&format!("lab/{server}"))).unwrap();
        assert_eq!(
            computer.read(&format!("{folder}/extra")),
            format!(
                "caravan/lab=ha\ncaravan/server={server}\ncaravan/machine={name}\ncaravan/folder={}\n\
                 caravan/image=caravan/ubuntu-22.04\n",
                project.display()
            )
        );
        let mac = lab.mac(lab.machine(name).unwrap()).without_colons();
        let modified = computer.read(&format!("{folder}/modified")).to_uppercase();
        assert!(
            modified.contains(&format!("--NICTYPE2 VIRTIO --MACADDRESS2 {mac}\n")),
            "{modified}"
        );
        assert_eq!(computer.read(&format!("{folder}/nic2")).trim(), "vboxnet0");
    }
}

#[test]
fn a_bridge_that_is_not_there_is_refused_without_a_question() {
    let bridged = labs::bridged("\"en7: Thunderbolt\"").replace("192.168.29.", "192.168.56.");
    let Some(computer) = Computer::of(&bridged) else {
        return;
    };
    let interface = |name: &str, status: &str| {
        format!(
            "Name:            {name}\nIPAddress:       10.1.2.3\nNetworkMask:     255.255.255.0\nWireless:        No\nStatus:          {status}\n\n"
        )
    };
    let interfaces = interface("en0: Ethernet", "Up") + &interface("en7: Thunderbolt", "Down");
    computer.write("state/bridgedifs", &interfaces);
    let output = computer.up("server1", "masterone");
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(
        said.contains("VirtualBox knows no interface `en7: Thunderbolt` that is up; these are: `en0: Ethernet`"),
        "{said}"
    );
    assert!(!output.success());
    // With one that is up it goes on to the start.
    computer.write("state/bridgedifs", &interface("EN7: Thunderbolt", "Up"));
    let output = computer.up("server1", "masterone");
    assert!(
        output.stderr.contains("VERR_VMX_IN_VMX_ROOT_MODE"),
        "{output:?}"
    );
    let modified = computer.read(&format!(
        "{}/modified",
        computer.machine("caravan-ha-masterone")
    ));
    assert!(
        modified.contains("--bridgeadapter2 EN7: Thunderbolt"),
        "{modified}"
    );
}
