use expect_test::expect;

use crate::world::{LAB, World, shown};

const ASKED: &str = "[cluster]\nstorage = \"local-path\"\nmetrics = true\nload_balancer = \"10.213.7.200-10.213.7.219\"\n\n";

fn with_add_ons(asked: &str) -> World {
    let world = World::new();
    let lab = LAB.replacen("[servers", &format!("{asked}[servers"), 1);
    assert_ne!(lab, LAB);
    world.write("labs/small.toml", &lab);
    world
}

#[test]
fn what_is_asked_for_is_among_the_files() {
    let world = with_add_ons(ASKED);
    let ended = world.run(&["plan", "small", "--write", "--image", "x"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let script = |server: &str, machine: &str| {
        let path = format!(".lab/small/{server}/machines/{machine}.sh");
        String::from_utf8_lossy(&std::fs::read(world.path(&path)).unwrap()).into_owned()
    };
    let master = script("server1", "masterone");
    for line in [
        "image: \"docker.io/rancher/local-path-provisioner:v",
        "image: \"registry.k8s.io/metrics-server/metrics-server:v",
        "image: \"quay.io/metallb/speaker:v",
        "addresses: [\"10.213.7.200-10.213.7.219\"]",
    ] {
        assert!(master.contains(line), "{line}");
    }
    for machine in [master, script("server2", "workerone")] {
        assert!(machine.contains("kubelet-server-caravan.key"));
    }
    assert!(!script("server2", "etcdone").contains("kubelet-server-caravan.key"));
}

#[test]
fn an_address_of_somebody_else_is_refused_with_its_line() {
    let world = with_add_ons(&ASKED.replace("7.200-", "7.60-"));
    let ended = world.run(&["plan", "small"]);
    expect![[r#"
        status 2
        --- stderr
        error: `load_balancer` `10.213.7.60-10.213.7.219` has addresses of others: `10.213.7.61` (machine `etcdone`), `10.213.7.71` (machine `workerone`)
          --> labs/small.toml:8:17
           |
         8 | load_balancer = "10.213.7.60-10.213.7.219"
           |                 ^^^^^^^^^^^^^^^^^^^^^^^^^^ expected addresses that nobody has
        ...
        17 | ip = "10.213.7.61"
           |      ------------- the machine's address
        ...
        33 | ip = "10.213.7.71"
           |      ------------- the machine's address
           |
           = help: services get any address of the range, and two owners of one would take turns

        hint: correct this fault in `labs/small.toml`; nothing was changed
    "#]]
    .assert_eq(&shown(&ended));
}
