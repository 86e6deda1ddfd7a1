//! The small things that decide whether a lab is used twice: the cluster's programs, a new lab, versions, completions, and the
//! words that people type.

use std::fs;

use caravan_process::Program;

use crate::world::{LAB, World, shown};

/// The same program under its own name.
const CARAVAN: &str = env!("CARGO_BIN_EXE_caravan");

#[test]
fn kubectl_of_a_lab_that_is_down_names_what_starts_it() {
    let world = World::new();
    for verb in ["kubectl", "etcdctl"] {
        let ended = world.run(&[verb, "small", "--", "get", "nodes"]);
        assert_eq!(ended.status, Some(1), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("`cargo xtask up small` makes it"),
            "{}",
            ended.stderr
        );
    }
    world.is_up();
    for name in ["etcdone", "masterone"] {
        let server = if name == "etcdone" {
            "server2"
        } else {
            "server1"
        };
        world.has_machine(name, server, "exited");
    }
    for (verb, role) in [("kubectl", "control-plane"), ("etcdctl", "etcd")] {
        let ended = world.run(&[verb, "small", "--", "get", "nodes"]);
        assert_eq!(
            shown(&ended),
            format!(
                "status 1\n--- stderr\nerror: no {role} machine of lab `small` runs\n\nhint: `cargo xtask up small` starts them\n"
            )
        );
    }
}

#[test]
fn their_arguments_and_exit_status_are_kept() {
    let world = World::new();
    let server = "host = \"ssh://me@other\"\nbridge = \"br0\"\naddress = \"10.213.7.11\"";
    let text = LAB
        .replace("[servers.server1]", &format!("[servers.server1]\n{server}"))
        .replace("[servers.server2]", &format!("[servers.server2]\n{server}"));
    world.write("labs/small.toml", &text);
    world.install_as("node-ssh", "ssh");
    fs::create_dir_all(world.path("there/other")).expect("made");
    world.is_up();
    let ended = world.run(&[
        "kubectl",
        "small",
        "--",
        "get",
        "pods",
        "-o",
        "jsonpath={.a b}",
    ]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let said = "sudo kubectl --kubeconfig /etc/kubernetes/admin.conf get pods -o 'jsonpath={.a b}'";
    assert!(ended.stdout.contains(said), "{}", ended.stdout);
    let ended = world.run(&["etcdctl", "small", "--", "member", "list"]);
    assert!(
        ended
            .stdout
            .contains("--endpoints=https://10.213.7.61:2379 member list"),
        "{}",
        ended.stdout
    );
    let ended = world.run(&["etcdctl", "small", "--", "exit 7"]);
    assert_eq!(ended.status, Some(7));
    // The lab may be left out where one alone has machines.
    let ended = world.run(&["ssh", "masterone", "--", "exit 7"]);
    assert_eq!(ended.status, Some(7), "{}", ended.stderr);
    let ended = world.run(&["ssh", "mastertwo"]);
    assert!(
        ended.stderr.contains("did you mean `masterone`?"),
        "{}",
        ended.stderr
    );
}

#[test]
fn the_kubeconfig_itself_is_printed() {
    let world = World::new();
    world.is_up();
    let ended = world.run(&["kubeconfig", "small", "--print"]);
    assert_eq!(ended.stdout, world.read(".lab/small/kubeconfig"));
    assert!(ended.stdout.contains("current-context: \"caravan-small\""));
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_new_lab_is_valid_and_in_nobodys_way() {
    let world = World::new();
    // A first lab that could be where the second would be.
    for name in ["mine", "yours"] {
        let ended = world.run(&[
            "new",
            name,
            "--etcd",
            "1",
            "--masters",
            "3",
            "--workers",
            "1",
        ]);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stdout, format!("labs/{name}.toml\n"));
        let plan = world.run(&["plan", name]);
        assert_eq!(plan.status, Some(0), "{}", plan.stderr);
    }
    let subnet = |name: &str| {
        let text = world.read(&format!("labs/{name}.toml"));
        let line = text
            .lines()
            .find(|line| line.starts_with("subnet"))
            .map(str::to_owned);
        line.expect("it has one")
    };
    assert_ne!(subnet("mine"), subnet("yours"));
    for (args, says) in [
        (&["mine"][..], "there is a lab `mine` already"),
        (
            &["other", "--subnet", "10.213.7.0/24"],
            "lab `small` has it",
        ),
        (&["other", "--subnet", "10.0.0.0/16"], "a /24 is needed"),
        (
            &["other", "--etcd", "2"],
            "2 etcd members are an even number",
        ),
        (
            &["other", "--balancers", "0"],
            "no lab can be of that shape",
        ),
        (&["Other"], "`Other` cannot be"),
    ] {
        let ended = world.run(&[&["new"], args].concat());
        assert_eq!(ended.status, Some(2), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(says), "{args:?}: {}", ended.stderr);
    }
    assert!(!world.path("labs/other.toml").exists());
    let ended = world.run(&["new", "other", "--dry-run", "--subnet", "192.168.99.0/24"]);
    assert!(
        ended.stdout.contains("subnet = \"192.168.99.0/24\""),
        "{}",
        ended.stderr
    );
    assert!(!world.path("labs/other.toml").exists());
}

#[test]
fn versions_are_told_without_a_workspace() {
    let world = World::new();
    let folder = world.path("home");
    let run = |args: &[&str]| world.call(args).dir(&folder).run().expect("done").stdout;
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(run(&["--version"]), format!("cargo xtask {version}\n"));
    assert!(run(&["version"]).starts_with(&format!("caravan {version}\nKubernetes 1.")));
    let json: serde_json::Value = serde_json::from_str(&run(&["version", "--json"])).expect("JSON");
    assert_eq!(json["caravan"], version);
    assert!(json["software"]["1.36"]["etcd"].is_string(), "{json}");
}

#[test]
fn the_installed_program_has_the_same_verbs_and_calls_itself_by_its_name() {
    let world = World::new();
    let run = |args: &[&str]| {
        world
            .dress(Program::at(CARAVAN).call(args))
            .output()
            .expect("started")
    };
    let ended = run(&["status", "smal"]);
    assert_eq!(ended.status, Some(2));
    assert!(
        ended.stderr.contains("did you mean `small`?"),
        "{}",
        ended.stderr
    );
    let ended = run(&["kubectl", "small", "--", "get", "nodes"]);
    assert!(
        ended.stderr.contains("`caravan up small` makes it"),
        "{}",
        ended.stderr
    );
    let verbs = |help: &str| -> Vec<String> {
        let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let lines = lines.take_while(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    };
    let ours = verbs(&run(&["--help"]).stdout);
    assert_eq!(ours, verbs(&world.run(&["--help"]).stdout));
    assert!(ours.len() > 20, "{ours:?}");
}

#[test]
fn shells_complete_labs_and_machines() {
    let world = World::new();
    world.write("labs/smallest.toml", LAB);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = world.run(&["completion", shell]);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert!(
            ended.stdout.contains("caravan"),
            "{shell}: {}",
            ended.stdout
        );
    }
    let complete = |words: &[&str]| {
        let index = (words.len() - 1).to_string();
        let call = Program::at(CARAVAN).call([&["--"], words].concat());
        let call = world
            .dress(call)
            .env("COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", index);
        let call = call
            .env("_CLAP_COMPLETE_COMP_TYPE", "9")
            .env("_CLAP_COMPLETE_SPACE", "true");
        call.env("_CLAP_IFS", "\n").run().expect("answered").stdout
    };
    let found =
        |words: &[&str]| -> Vec<String> { complete(words).lines().map(str::to_owned).collect() };
    assert_eq!(found(&["caravan", "status", "sm"]), ["small", "smallest"]);
    assert_eq!(found(&["caravan", "ssh", "small", "ma"]), ["masterone"]);
    assert_eq!(found(&["caravan", "ssh", "wor"]), ["workerone"]);
    assert_eq!(
        found(&["caravan", "load", "small", "app:1", "--machine", "wor"]),
        ["workerone"]
    );
    assert!(found(&["caravan", "kubec"]).contains(&"kubectl".to_owned()));
}

#[test]
fn words_that_people_type_are_understood() {
    let world = World::new();
    world.is_up();
    let ended = world.run(&["stop", "small"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let ended = world.run(&["rm", "small", "-f"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(!world.path(".lab/small").exists());
    for (typed, suggested) in [
        ("destory", Some("destroy")),
        ("registry", None),
        ("stauts", Some("status")),
    ] {
        let ended = world.run(&[typed, "small"]);
        assert_eq!(ended.status, Some(2));
        match suggested {
            Some(verb) => assert!(
                ended.stderr.contains(&format!("'{verb}'")),
                "{}",
                ended.stderr
            ),
            None => assert!(!ended.stderr.contains("similar"), "{}", ended.stderr),
        }
    }
}

#[test]
fn what_is_run_is_shown_to_who_asks() {
    let world = World::new();
    world.is_up();
    let ended = world.run(&["-v", "list", "small"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .lines()
            .any(|line| line.starts_with("$ docker ps ")),
        "{}",
        ended.stderr
    );
    assert!(!world.run(&["list", "small"]).stderr.contains("$ "));
}

#[test]
fn one_archive_tells_all_of_a_lab_that_is_down() {
    let world = World::new();
    world.is_up();
    for (name, server) in [
        ("etcdone", "server2"),
        ("masterone", "server1"),
        ("workerone", "server2"),
    ] {
        world.has_machine(name, server, "exited");
    }
    let ended = world.run(&["logs", "small", "--all", "support"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let path = ended.stdout.trim();
    assert!(
        path.starts_with("support/small-") && path.ends_with(".tar.gz"),
        "{path}"
    );
    let listed = Program::at("/bin/tar")
        .call(["-tzf", path])
        .dir(world.path(""))
        .env("PATH", "/usr/bin:/bin");
    let listed = listed.run().expect("an archive").stdout;
    assert!(listed.contains("/state/choices.toml"), "{listed}");
    assert!(
        !listed.contains("pki") && !listed.contains("ssh"),
        "{listed}"
    );
}
