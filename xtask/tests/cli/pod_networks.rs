use expect_test::expect;

use crate::world::{LAB, World, shown};

fn with_network(pod_network: &str) -> World {
    let world = World::new();
    let network = format!("domain = \"example.com\"\npod_network = \"{pod_network}\"");
    let lab = LAB.replacen("domain = \"example.com\"", &network, 1);
    world.write("labs/small.toml", &lab);
    world
}

#[test]
fn flannel_is_among_the_files() {
    let world = with_network("flannel");
    let ended = world.run(&["plan", "small", "--write", "--image", "x"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let script = |server: &str, machine: &str| {
        let path = format!(".lab/small/{server}/machines/{machine}.sh");
        String::from_utf8_lossy(&std::fs::read(world.path(&path)).unwrap()).into_owned()
    };
    let master = script("server1", "masterone");
    assert!(master.contains("image: \"ghcr.io/flannel-io/flannel:v"));
    assert!(master.contains(
        "enable --quiet --no-reload caravan-bootstrap.service caravan-certificates.timer caravan-cni.path "
    ));
    assert!(script("server2", "workerone").contains("usr/lib/caravan/cni"));
    assert!(!script("server2", "etcdone").contains("caravan-cni.path"));
}

#[test]
fn calico_is_refused_where_software_is_built() {
    let world = with_network("calico");
    let expected = expect![[r#"
        status 1
        --- stderr
        error: the pod network `calico` cannot be built from Go modules

        hint: its images hold programs that are no Go modules (BIRD, runit, tools in C): `--source download` has them from its registry, and `pod_network = "flannel"` builds
    "#]];
    let ended = world.run(&["plan", "small", "--write", "--source", "go"]);
    expected.assert_eq(&shown(&ended));
    let ended = world.run(&["bake", "--pod-network", "calico", "--source", "go"]);
    expected.assert_eq(&shown(&ended));
}

#[test]
fn calico_without_its_manifest_is_no_plan() {
    let world = with_network("calico");
    let ended = world.run(&["plan", "small"]);
    expect![[r#"
        status 1
        --- stderr
        error: Calico's manifest is not here

        hint: `cargo xtask bundle download --pod-network calico` fetches it with the images
    "#]]
    .assert_eq(&shown(&ended));
}
