//! Every machine's files, and the golden Vagrantfiles, through the programs that will read them.
//!
//! A checker that is not installed is skipped with a note, unless `CARAVAN_REQUIRE_CHECKERS=1`, which CI sets. kubeadm is
//! found on the search path or in `$CARAVAN_BUNDLE_BIN`.

mod hostile;

use crate::labs;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use caravan_lab::{Lab, Machine, Provider, Role};
use caravan_process::Program;
use caravan_render::{Material, Software, guest_files};
use tempfile::TempDir;

/// Finds a checker, or says why the test is skipped.
pub(crate) fn checker(name: &str) -> Option<Program> {
    let bundle = env::var("CARAVAN_BUNDLE_BIN").unwrap_or_default();
    match Program::find_also_in(name, &[&bundle, "/usr/sbin", "/sbin", "/usr/local/sbin"]) {
        Ok(program) => Some(program),
        Err(error) if env::var("CARAVAN_REQUIRE_CHECKERS").is_ok_and(|value| value == "1") => {
            panic!("{error}")
        }
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

/// Runs a checker and shows all it said if it was not content.
fn run(program: &Program, arguments: &[&str], folder: &Path) {
    let output = program.call(arguments).dir(folder).output().unwrap();
    assert!(
        output.success(),
        "{} {arguments:?} in {}\n{output:#?}",
        program.name(),
        folder.display(),
    );
}

fn templates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")
}

/// Writes the files of a machine as they lie on it, below a folder of their own; `golden.rs` holds what they say.
fn written(lab: &Lab, machine: &Machine, kind: Provider) -> TempDir {
    let material = Material::placeholder(lab).unwrap();
    let settings = labs::settings(kind);
    let files = guest_files(lab, machine, &Software::example(), &settings, &material).unwrap();
    let home = tempfile::tempdir().unwrap();
    for file in files {
        let path = home.path().join(file.path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, file.content.as_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode)).unwrap();
    }
    home
}

/// Calls `check` with the files of each machine of a role, in all labs; of the lab ha as containers and as virtual machines.
fn each(role: Role, mut check: impl FnMut(&Path)) {
    let mut count = 0;
    for (name, kind) in [
        ("ha", Provider::Docker),
        ("ha", Provider::Libvirt),
        ("external-etcd", Provider::Docker),
        ("flannel", Provider::Docker),
    ] {
        let lab = labs::lab(name);
        for machine in lab.of_role(role) {
            check(written(&lab, machine, kind).path());
            count += 1;
        }
    }
    assert!(count > 0, "no machine of role {role}");
}

fn text(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn ruby_reads_vagrantfiles() {
    let Some(ruby) = checker("ruby") else { return };
    for lab in [
        "ha",
        "external-etcd",
        "ha-libvirt",
        "ha-virtualbox",
        "ha-virtualbox-bridged",
        "ha-two-servers",
        "ha-docker-bridged",
    ] {
        for server in ["server1", "server2"] {
            let folder = labs::golden(&format!("{lab}/{server}"));
            run(&ruby, &["-wc", "Vagrantfile"], &folder);
        }
    }
    for server in ["containers", "virtual"] {
        let folder = labs::golden(&format!("mixed/{server}"));
        run(&ruby, &["-wc", "Vagrantfile"], &folder);
    }
}

#[test]
fn vagrant_validates() {
    let Some(vagrant) = checker("vagrant") else {
        return;
    };
    // VirtualBox comes with Vagrant; for libvirt it needs a plugin, and `ruby_reads_vagrantfiles` has to do.
    for (golden, lab) in [
        ("ha", "ha"),
        ("external-etcd", "external-etcd"),
        ("ha-virtualbox", "ha"),
        ("ha-virtualbox-bridged", "ha"),
    ] {
        for server in ["server1", "server2"] {
            let home = tempfile::tempdir().unwrap();
            let folder = home.path().join(server);
            fs::create_dir_all(folder.join("machines")).unwrap();
            fs::create_dir_all(home.path().join("ssh")).unwrap();
            fs::write(home.path().join("ssh/id_ecdsa"), "").unwrap();
            let vagrantfile = labs::golden(&format!("{golden}/{server}/Vagrantfile"));
            fs::copy(vagrantfile, folder.join("Vagrantfile")).unwrap();
            for machine in labs::lab(lab).machines() {
                let script = folder.join(format!("machines/{}.sh", machine.name));
                fs::write(script, "#!/bin/sh\n").unwrap();
            }
            // `--ignore-provider` spares it asking a container engine that may not run.
            let output = vagrant
                .call(["validate", "--ignore-provider"])
                .dir(&folder)
                .env("VAGRANT_HOME", home.path().join("vagrant"))
                .output()
                .unwrap();
            assert!(output.success(), "{output:#?}");
        }
    }
}

#[test]
fn haproxy_accepts_its_configuration() {
    let Some(haproxy) = checker("haproxy") else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let authority = home.path().join("ca.crt");
    fs::write(&authority, authority_pem()).unwrap();
    each_balancer(|folder| {
        let config = text(folder.join("etc/haproxy/haproxy.cfg"))
            .replace("/etc/haproxy/k8s-ca.crt", authority.to_str().unwrap());
        assert!(config.contains(authority.to_str().unwrap()));
        fs::write(home.path().join("haproxy.cfg"), config).unwrap();
        run(&haproxy, &["-c", "-f", "haproxy.cfg"], home.path());
    });
}

#[test]
fn keepalived_accepts_its_configuration() {
    let Some(keepalived) = checker("keepalived") else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    each_balancer(|folder| {
        // An interface and a script that are there.
        let nic = format!("$LAB_NIC={}", network_interface());
        let config = text(folder.join("etc/keepalived/keepalived.conf"))
            .replace("$LAB_NIC=eth0", &nic)
            .replace("$LAB_NIC=eth1", &nic)
            .replace("/usr/lib/caravan/check-api", "/bin/true");
        assert!(config.contains(&nic) && config.contains("/bin/true"));
        fs::write(home.path().join("keepalived.conf"), config).unwrap();
        run(
            &keepalived,
            &["--config-test", "--use-file", "keepalived.conf"],
            home.path(),
        );
    });
}

/// Returns some interface of this computer but the loopback, which Keepalived refuses.
fn network_interface() -> String {
    fs::read_dir("/sys/class/net")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name != "lo")
        .expect("a network interface")
}

fn each_balancer(mut check: impl FnMut(&Path)) {
    let mut count = 0;
    each(Role::LoadBalancer, |folder| {
        check(folder);
        count += 1;
    });
    assert_eq!(count, 4);
}

#[test]
fn kubeadm_validates() {
    let Some(kubeadm) = checker("kubeadm") else {
        return;
    };
    for role in [Role::ControlPlane, Role::Worker] {
        each(role, |folder| {
            let folder = folder.join("etc/kubernetes/caravan");
            let arguments = ["config", "validate", "--config", "kubeadm-init.yaml"];
            run(&kubeadm, &arguments, &folder);
        });
    }
}

#[test]
fn nft_accepts_rules() {
    let Some(nft) = checker("nft") else { return };
    // Even checking asks the kernel.
    if !is_root() {
        eprintln!("skipped: nft checks rules only for root");
        return;
    }
    let mut checked = BTreeSet::new();
    for role in Role::ALL {
        each(role, |folder| {
            let folder = folder.join("etc/caravan");
            for entry in fs::read_dir(&folder).unwrap() {
                let file = entry.unwrap().file_name().into_string().unwrap();
                if file.ends_with(".nft") {
                    run(&nft, &["--check", "--file", &file], &folder);
                    checked.insert(file);
                }
            }
        });
    }
    let all = ["airgap.nft", "filter.nft", "guard.nft", "overlay.nft"];
    assert_eq!(checked, BTreeSet::from(all.map(str::to_owned)));
}

/// True if this runs as root, which owns what it creates.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().metadata().unwrap().uid() == 0
}

#[test]
fn shellcheck_is_content() {
    let Some(shellcheck) = checker("shellcheck") else {
        return;
    };
    let folder = templates().join("usr/lib/caravan");
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let shell = if text(folder.join(&name)).starts_with("#!/bin/sh") {
            "sh"
        } else {
            "bash"
        };
        let arguments = [
            "--external-sources",
            "--source-path",
            ".",
            "--shell",
            shell,
            &name,
        ];
        run(&shellcheck, &arguments, &folder);
        count += 1;
    }
    assert!(count > 5);
    for lab in ["ha", "ha-libvirt"] {
        let head = labs::golden(&format!("{lab}/server1/machines/masterone.sh.head"));
        run(
            &shellcheck,
            &["--shell", "bash", head.to_str().unwrap()],
            &folder,
        );
    }
}

#[test]
fn systemd_verifies_units() {
    let Some(analyze) = checker("systemd-analyze") else {
        return;
    };
    let flannel = [Role::ControlPlane, Role::Worker].map(|role| ("flannel", role));
    let ha = Role::ALL.map(|role| ("ha", role));
    let all = (ha.iter().chain(&flannel)).flat_map(|case| labs::KINDS.map(|kind| (*case, kind)));
    for ((name, role), kind) in all {
        let lab = labs::lab(name);
        let home = written(&lab, lab.of_role(role).next().unwrap(), kind);
        let mut units = Vec::new();
        for entry in fs::read_dir(home.path().join("etc/systemd/system")).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                units.push(entry.file_name().into_string().unwrap());
            }
        }
        units.sort();
        assert!(units.len() > 2, "{units:?}");
        for program in [
            "bin/kill",
            "bin/rm",
            "bin/sh",
            "usr/local/bin/containerd",
            "usr/local/bin/etcd",
            "usr/local/bin/kubelet",
            "usr/sbin/haproxy",
            "usr/sbin/keepalived",
        ] {
            let path = home.path().join(program);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        // What the machine's own systemd brings.
        let system = home.path().join("usr/lib/systemd/system");
        fs::create_dir_all(&system).unwrap();
        // Those that a drop-in of ours is for, or that are waited for.
        for service in ["dbus.socket", "systemd-networkd.service"] {
            let unit =
                "[Unit]\nDescription=x\n[Service]\nExecStart=/bin/sh\n[Socket]\nListenStream=/x\n";
            let (unit, _) = match service.ends_with("socket") {
                true => (unit.replace("[Service]\nExecStart=/bin/sh\n", ""), 0),
                false => (unit.replace("[Socket]\nListenStream=/x\n", ""), 0),
            };
            fs::write(system.join(service), unit).unwrap();
        }
        for target in [
            "basic",
            "multi-user",
            "network",
            "paths",
            "shutdown",
            "sockets",
            "sysinit",
            "timers",
        ] {
            let unit = format!("[Unit]\nDescription={target}\n");
            fs::write(system.join(format!("{target}.target")), unit).unwrap();
        }
        let root = format!("--root={}", home.path().display());
        let mut arguments = vec!["verify", "--man=no", &root];
        arguments.extend(units.iter().map(String::as_str));
        let output = analyze.call(&arguments).dir(home.path()).output().unwrap();
        // It tells of unknown settings without failing for them.
        assert!(output.success(), "{role}: {output:#?}");
        assert!(
            !format!("{output:?}").contains("Unknown"),
            "{role}: {output:#?}"
        );
    }
}

/// A certificate that HAProxy can load.
fn authority_pem() -> String {
    let cluster = caravan_pki::kubernetes::Cluster::new("192.168.29.80:6443").unwrap();
    let node = caravan_pki::kubernetes::Node::new("one", "192.168.29.51".parse().unwrap()).unwrap();
    let plan = cluster.with_control_plane(node).plan().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = caravan_pki::store::Store::open(folder.path().join("pki")).unwrap();
    let made = store.ensure(&plan, SystemTime::now()).unwrap();
    let authority = made.material().authority("ca").unwrap();
    authority.certificate_pem().to_string()
}
