use expect_test::expect;

use crate::world::{LAB, World, shown};

#[test]
fn a_verb_is_needed() {
    let world = World::new();
    for args in [
        &[][..],
        &["fly"],
        &["up"],
        &["up", "small", "--provider", "ship"],
    ] {
        let ended = world.run(args);
        assert_eq!(ended.status, Some(2), "{args:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{args:?}");
    }
}

#[test]
fn an_unknown_lab_is_likely_a_slip() {
    let world = World::new();
    let ended = world.run(&["up", "smal"]);
    expect![[r#"
        status 2
        --- stderr
        error: there is no lab `smal`

        hint: did you mean `small`?
    "#]]
    .assert_eq(&shown(&ended));
    for args in [
        &["plan", "smal"][..],
        &["destroy", "smal", "--yes"],
        &["status", "smal"],
        &["ssh", "smal", "etcdone"],
    ] {
        assert_eq!(shown(&world.run(args)), shown(&ended), "{args:?}");
    }
    for lab in ["../labs/small", "", "Small", "a/b"] {
        assert_eq!(world.run(&["up", lab]).status, Some(2), "{lab}");
        assert_eq!(
            world.run(&["destroy", lab, "--yes"]).status,
            Some(2),
            "{lab}"
        );
    }
}

#[test]
fn an_unknown_machine_too() {
    let world = World::new();
    let ended = world.run(&["up", "small", "masterano"]);
    expect![[r#"
        status 2
        --- stderr
        error: lab `small` has no machine `masterano`

        hint: did you mean `masterone`?
    "#]]
    .assert_eq(&shown(&ended));
    let ended = world.run(&["up", "small", "--server", "moon"]);
    expect![[r#"
        status 2
        --- stderr
        error: lab `small` has no server `moon`

        hint: its servers are `server1`, `server2`
    "#]]
    .assert_eq(&shown(&ended));
    assert!(!world.path(".lab").exists(), "nothing was begun");
}

#[test]
fn all_faults_of_a_lab_file_at_once() {
    let world = World::new();
    world.write(
        "labs/bad.toml",
        &LAB.replace("10.213.7.71", "10.213.8.71")
            .replace("memory_mib = 2048", "memory_mib = 2")
            .replace("role = \"worker\"", "role = \"wroker\""),
    );
    let ended = world.run(&["up", "bad"]);
    expect![[r#"
        status 2
        --- stderr
        error: 2 MiB is too little for the role `control-plane`
          --> labs/bad.toml:21:14
           |
        21 | memory_mib = 2
           |              ^ expected at least 1700
           |
           = help: memory is in MiB: 2 GiB is `memory_mib = 2048`

        error: `role` is `wroker`
          --> labs/bad.toml:26:8
           |
        26 | role = "wroker"
           |        ^^^^^^^^ expected `etcd`, `load-balancer`, `control-plane` or `worker`
           |
           = help: did you mean `worker`?

        error: `ip` is `10.213.8.71`, outside the subnet `10.213.7.0/24`
          --> labs/bad.toml:28:6
           |
         3 | subnet = "10.213.7.0/24"
           |          --------------- the subnet
        ...
        28 | ip = "10.213.8.71"
           |      ^^^^^^^^^^^^^ expected an address in `10.213.7.0/24`

        hint: correct 3 faults in `labs/bad.toml`; nothing was changed
    "#]]
    .assert_eq(&shown(&ended));
    let again = world.run(&["plan", "bad"]);
    assert_eq!(shown(&again), shown(&ended));
    assert!(!world.path(".lab").exists(), "nothing was begun");
}

#[test]
fn outside_of_a_workspace() {
    let world = World::new();
    let output = world
        .call(&["list"])
        .dir("/")
        .output()
        .expect("the tool starts");
    assert_eq!(output.status, Some(2));
    assert!(
        output
            .stderr
            .contains("no folder `labs` in `/` or above it"),
        "{}",
        output.stderr
    );
    let output = world
        .call(&["list"])
        .dir("/")
        .env("CARAVAN_ROOT", world.path(""))
        .output()
        .expect("the tool starts");
    assert_eq!(output.status, Some(0), "{}", output.stderr);
}

#[test]
fn what_is_no_lab_file() {
    let world = World::new();
    std::fs::write(
        world.path("labs/bytes.toml"),
        b"domain = \"\n\xc3\xa4\xff\"\n",
    )
    .expect("written");
    std::fs::create_dir(world.path("labs/folder.toml")).expect("made");
    world.write("labs/Capital.toml", LAB);
    let said = |lab: &str| {
        let ended = world.run(&["up", lab]);
        assert_eq!(shown(&world.run(&["status", lab])), shown(&ended), "{lab}");
        assert!(!world.path(".lab").exists(), "nothing was begun");
        shown(&ended)
    };
    expect![[r#"
        status 2
        --- stderr
        error: `labs/bytes.toml:2:2` is not UTF-8 text: the byte 0xff stands there

        hint: save the file as UTF-8
    "#]]
    .assert_eq(&said("bytes"));
    expect![[r#"
        status 2
        --- stderr
        error: `labs/folder.toml` is not a file

        hint: remove it, or put a lab file there; `labs/ha.toml` is one
    "#]]
    .assert_eq(&said("folder"));
    expect![[r#"
        status 2
        --- stderr
        error: `Capital` cannot be the name of a lab: it has capital letters
         --> labs/Capital.toml:1:1
          |
        1 | domain = "example.com"
          | ^ expected a DNS label in lower case
          |
          = help: did you mean `capital`?

        hint: correct this fault in `labs/Capital.toml`; nothing was changed
    "#]]
    .assert_eq(&said("Capital"));
    // Nothing that cannot be read is proposed.
    let ended = world.run(&["up", "folde"]);
    assert!(!ended.stderr.contains("did you mean"), "{}", ended.stderr);
}
