//! Names that some format reads as something else, through the programs that will read the files.

use std::fs;
use std::path::{Path, PathBuf};

use caravan_lab::{Lab, Provider, Role};
use caravan_render::{Material, Software, group_files, guest_files};

use super::{authority_pem, checker, network_interface, run, text};
use crate::{labs, names};

#[test]
fn ruby_gives_each_machine_a_name_of_its_own() {
    let Some(ruby) = checker("ruby") else { return };
    let home = tempfile::tempdir().unwrap();
    let labs = [("a", "b-c"), ("a-b", "c")];
    let mut seen = std::collections::BTreeSet::new();
    for (lab, machine) in labs {
        let mut names = names::nine(0);
        names[0] = machine;
        let lab = names::renamed(lab, names, "example.com");
        let server = &lab.machine(machine).unwrap().server;
        let material = Material::placeholder(&lab).unwrap();
        let settings = labs::settings(Provider::Docker);
        let server = lab.server(server).unwrap();
        let software = Software::example();
        let files = group_files(&lab, server, &software, &settings, &material, None).unwrap();
        let file = files.iter().find(|it| it.path == "Vagrantfile").unwrap();
        let text = std::str::from_utf8(&file.content).unwrap();
        // Up to where Vagrant's own classes are needed.
        let (values, _) = text.split_once("\n# Vagrant takes a name").unwrap();
        let script = format!("{values}\nPREFIXES.each {{ |name, prefix| puts prefix + name }}\n");
        fs::write(home.path().join("names.rb"), script).unwrap();
        let output = ruby.call(["names.rb"]).dir(home.path()).output().unwrap();
        assert!(output.success(), "{output:#?}");
        for name in output.stdout.lines() {
            assert!(seen.insert(name.to_owned()), "{name} is there twice");
        }
    }
    assert!(
        seen.contains("caravan-a_b-c") && seen.contains("caravan-a-b-c"),
        "{seen:?}"
    );
}

#[test]
fn vagrant_takes_a_name_for_no_other_machines_id() {
    let Some(vagrant) = checker("vagrant") else {
        return;
    };
    let mut names = names::nine(0);
    names[0] = "e1";
    let lab = names::renamed("ha", names, "example.com");
    let server = lab.server(&lab.machine("e1").unwrap().server).unwrap();
    let material = Material::placeholder(&lab).unwrap();
    let settings = labs::settings(Provider::VirtualBox);
    let software = Software::example();
    let files = group_files(&lab, server, &software, &settings, &material, None).unwrap();
    let file = files.iter().find(|it| it.path == "Vagrantfile").unwrap();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("server1");
    fs::create_dir_all(&folder).unwrap();
    // Asks of the Vagrant that has read the file what every command asks first.
    let asks = "puts \"e1 #{env.machine_index.include?(\"e1\")} #{env.machine_index.get(\"e1\").inspect}\"\n\
                puts \"e1f #{env.machine_index.include?(\"e1f\")}\"\n";
    let text = std::str::from_utf8(&file.content).unwrap();
    let asking =
        format!("{text}\nenv = ObjectSpace.each_object(Vagrant::Environment).first\n{asks}");
    fs::write(folder.join("Vagrantfile"), asking).unwrap();
    // A machine of another project, whose id begins like the name.
    let index = home.path().join("vagrant/data/machine-index");
    fs::create_dir_all(&index).unwrap();
    let stranger = "{\"version\":1,\"machines\":{\"e1f00000000000000000000000000000\":{\"local_data_path\":\"/none\",\
        \"name\":\"other\",\"provider\":\"virtualbox\",\"state\":\"running\",\"vagrantfile_name\":null,\
        \"vagrantfile_path\":\"/none\",\"updated_at\":null,\"extra_data\":{}}}}";
    fs::write(index.join("index"), stranger).unwrap();
    let output = vagrant
        .call(["validate", "--ignore-provider"])
        .dir(&folder)
        .env("VAGRANT_HOME", home.path().join("vagrant"))
        .output()
        .unwrap();
    assert!(output.stdout.contains("e1 false nil\n"), "{output:#?}");
    // The stranger is there to be found, by what is no name here.
    assert!(output.stdout.contains("e1f true\n"), "{output:#?}");
}

/// Writes the files of a machine of the lab below `root`, and returns how to get at them.
fn write_files(lab: &Lab, machine: &str, root: &Path) -> impl Fn(&str) -> PathBuf {
    let settings = labs::settings(Provider::Docker);
    let material = Material::placeholder(lab).unwrap();
    let machine = lab.machine(machine).unwrap();
    for file in guest_files(lab, machine, &Software::example(), &settings, &material).unwrap() {
        let path = root.join(file.path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, file.content.as_bytes()).unwrap();
    }
    let root = root.to_owned();
    move |path| root.join(path)
}

/// Labs in which each of the words is a master's, a worker's and a load balancer's name, and the lab's.
fn hostile_labs() -> impl Iterator<Item = Lab> {
    (0..names::WORDS.len()).map(|first| {
        let domain = format!("{}.example", names::WORDS[first]);
        names::renamed(names::WORDS[first], names::nine(first), &domain)
    })
}

#[test]
fn kubeadm_reads_every_name_as_written() {
    let Some(kubeadm) = checker("kubeadm") else {
        return;
    };
    for lab in hostile_labs() {
        let home = tempfile::tempdir().unwrap();
        let file = "kubeadm-init.yaml";
        for role in [Role::ControlPlane, Role::Worker] {
            let machine = &lab.of_role(role).next().unwrap().name;
            let root = home.path().join(machine);
            let path = write_files(&lab, machine, &root)("etc/kubernetes/caravan").join(file);
            let folder = path.parent().unwrap();
            let config = text(path.clone());
            let here = config.replace("/etc/kubernetes/caravan", folder.to_str().unwrap());
            fs::write(&path, here).unwrap();
            // What it writes in its own words has the name only if it has read it as text.
            let arguments = ["config", "migrate", "--old-config", file];
            let output = kubeadm.call(arguments).dir(folder).output().unwrap();
            assert!(output.success(), "{}: {output:#?}", lab.name());
            let said = output.stdout;
            let is_said = |key: &str, value: &str| {
                let bare = format!("{key}: {value}\n");
                let quoted = format!("{key}: \"{value}\"\n");
                assert!(said.contains(&bare) || said.contains(&quoted), "{said}");
            };
            is_said("  name", machine);
            if role == Role::ControlPlane {
                is_said("clusterName", lab.name());
            }
            run(&kubeadm, &["config", "validate", "--config", file], folder);
        }
    }
}

#[test]
fn kubectl_reads_every_name_as_written() {
    let Some(kubectl) = checker("kubectl") else {
        return;
    };
    // The words that YAML reads as something else; a start of kubectl takes its time.
    for lab in hostile_labs().take(24) {
        let home = tempfile::tempdir().unwrap();
        let machine = &lab.first_master().name;
        let file = write_files(&lab, machine, home.path());
        let read = |path: &str, what: &str| {
            let path = file(path);
            let config = format!("--kubeconfig={}", path.display());
            let template = format!("jsonpath={what}");
            let arguments = [config.as_str(), "config", "view", "--output", &template];
            let output = kubectl.call(arguments).dir(home.path()).output().unwrap();
            assert!(output.success(), "{}: {output:#?}", lab.name());
            output.stdout
        };
        let cluster = "{.clusters[0].name} {.contexts[0].context.cluster}";
        let twice = format!("{0} {0}", lab.name());
        let all = format!("{cluster} {{.users[0].name}} {{.current-context}}");
        let user = format!("system:node:{machine}");
        assert_eq!(
            read("etc/kubernetes/kubelet.conf", &all),
            format!("{twice} {user} {user}@{}", lab.name())
        );
    }
}

#[test]
fn balancers_accept_every_name() {
    let (Some(haproxy), Some(keepalived)) = (checker("haproxy"), checker("keepalived")) else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let authority = home.path().join("ca.crt");
    fs::write(&authority, authority_pem()).unwrap();
    let nic = format!("$LAB_NIC={}", network_interface());
    // Three masters each: every word is one.
    for lab in hostile_labs().step_by(3) {
        let balancer = lab.of_role(Role::LoadBalancer).next().unwrap();
        let file = write_files(&lab, &balancer.name, home.path());
        let config = text(file("etc/haproxy/haproxy.cfg"))
            .replace("/etc/haproxy/k8s-ca.crt", authority.to_str().unwrap());
        fs::write(home.path().join("haproxy.cfg"), config).unwrap();
        run(&haproxy, &["-c", "-f", "haproxy.cfg"], home.path());
        let config = text(file("etc/keepalived/keepalived.conf"))
            .replace("$LAB_NIC=eth0", &nic)
            .replace("/usr/lib/caravan/check-api", "/bin/true");
        fs::write(home.path().join("keepalived.conf"), config).unwrap();
        let arguments = ["--config-test", "--use-file", "keepalived.conf"];
        run(&keepalived, &arguments, home.path());
    }
}

#[test]
fn shells_read_every_name_as_written() {
    let Some(bash) = checker("bash") else { return };
    for lab in hostile_labs() {
        let home = tempfile::tempdir().unwrap();
        let member = &lab.of_role(Role::Etcd).next().unwrap().name;
        let file = write_files(&lab, member, home.path());
        let script = "source \"$1\"; source \"$2\"; echo \"$CARAVAN_LAB $CARAVAN_MACHINE $CARAVAN_FIRST_MASTER\"; \
                      echo \"$ETCD_INITIAL_CLUSTER\"";
        let (one, two) = (
            file("etc/caravan/machine.env"),
            file("etc/etcd/cluster.env"),
        );
        let arguments = [
            "-euc",
            script,
            "bash",
            one.to_str().unwrap(),
            two.to_str().unwrap(),
        ];
        let output = bash.call(arguments).output().unwrap();
        assert!(output.success(), "{output:#?}");
        let expected = format!(
            "{} {member} {}\n{}\n",
            lab.name(),
            lab.first_master().name,
            lab.etcd_initial_cluster()
        );
        assert_eq!(output.stdout, expected);
    }
}
