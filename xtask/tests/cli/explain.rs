use expect_test::expect;

use crate::world::{World, shown};

#[test]
fn a_line_says_why_whence_and_what_proves_it() {
    let world = World::new();
    expect![[r#"
        status 0
        --- stdout
        etcdone:/etc/systemd/system/etcd.service:28
           |
        28 |     --listen-client-urls=https://10.213.7.61:2379,https://127.0.0.1:2379 \
           |                                  ----------- ----                   ----

        why     Where clients connect: on the lab address the API servers, on 127.0.0.1 whoever looks after
                this machine. TLS on both.
        from    `10.213.7.61`: labs/small.toml:12, machine `etcdone`, key `ip`
                `2379`: etcd's usual port for clients
                the rest: the template, crates/render/templates/etc/systemd/system/etcd.service.hbs:28
        docs    https://etcd.io/docs/v3.6/op-guide/configuration/
        proof   `etcd-refuses-plain-http` of `cargo xtask verify small`: etcd serves nobody without TLS
    "#]].assert_eq(&shown(&world.run(&[
        "explain",
        "small",
        "etcdone",
        "etcd.service",
        "listen-client",
    ])));
}

#[test]
fn lines_of_one_reason_stand_together() {
    let world = World::new();
    expect![[r#"
        status 0
        --- stdout
        etcdone:/etc/caravan/hosts:6, also on `masterone`, `workerone`
          |
        6 | 10.213.7.61 etcdone.example.com etcdone
          | ----------- ------------------- -------
        7 | 10.213.7.51 masterone.example.com masterone
          | ----------- --------------------- ---------
        8 | 10.213.7.71 workerone.example.com workerone
          | ----------- --------------------- ---------

        why     Every machine finds every other by name, with no name server. The name stands on the lab
                address and never on 127.0.1.1, as installers and Vagrant like to write it: a kubelet or an
                etcd member that looks its own name up would announce an address that leads each other
                machine to itself.
        from    `10.213.7.61`: labs/small.toml:12, machine `etcdone`, key `ip`
                `etcdone.example.com`: labs/small.toml:9, machine `etcdone`, key `name`; labs/small.toml:1,
                key `domain`; the machine's name and the lab's domain; `api` for the virtual address
                `etcdone`: labs/small.toml:9, machine `etcdone`, key `name`; the machine's name; `api` for
                the virtual address
                `10.213.7.51`: labs/small.toml:20, machine `masterone`, key `ip`
                `masterone.example.com`: labs/small.toml:17, machine `masterone`, key `name`;
                labs/small.toml:1, key `domain`; the machine's name and the lab's domain; `api` for the
                virtual address
                `masterone`: labs/small.toml:17, machine `masterone`, key `name`; the machine's name; `api`
                for the virtual address
                `10.213.7.71`: labs/small.toml:28, machine `workerone`, key `ip`
                `workerone.example.com`: labs/small.toml:25, machine `workerone`, key `name`;
                labs/small.toml:1, key `domain`; the machine's name and the lab's domain; `api` for the
                virtual address
                `workerone`: labs/small.toml:25, machine `workerone`, key `name`; the machine's name; `api`
                for the virtual address
                the rest: the template, crates/render/templates/etc/caravan/hosts.hbs:7
        docs    https://man7.org/linux/man-pages/man5/hosts.5.html
        proof   `node-addresses` of `cargo xtask verify small`: every machine with a kubelet is a ready node
                under its lab address, and no other is
    "#]].assert_eq(&shown(&world.run(&["explain", "small", "hosts:6-8"])));
}

#[test]
fn a_line_without_words_of_its_own_leads_to_one_with() {
    let world = World::new();
    expect![[r#"
        status 0
        --- stdout
        etcdone:/etc/systemd/system/etcd.service:8
          |
        8 | # The bootstrap writes it after it has looked whose data is there.
          |

        why     The template's own words about line 9, `ConditionPathExists=/var/lib/etcd/caravan-cluster`.
                Not before the bootstrap has looked whose data is there and left its stamp: etcd must never
                start with the data of another cluster.
        from    a fixed choice of the template,
                crates/render/templates/etc/systemd/system/etcd.service.hbs:8
        docs    https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html#ConditionPathExists=
    "#]].assert_eq(&shown(&world.run(&[
        "explain",
        "small",
        "etcdone",
        "etcd.service:8",
    ])));
    expect![[r#"
        status 0
        --- stdout
        etcdone:/etc/caravan/filter.nft:11
           |
        11 |     }
           |

        why     It ends line 8, `set masters {`. The API servers are etcd's only clients, and they run on
                masters. A master that is missing here has an API server that never becomes ready.
        from    a fixed choice of the template, crates/render/templates/etc/caravan/filter.nft.hbs:11
        docs    https://wiki.nftables.org/wiki-nftables/index.php/Sets
        proof   `etcd-packet-filter` of `cargo xtask verify small`: etcd machines let in masters, members
                and the operator, each to its ports, and nobody else
    "#]].assert_eq(&shown(&world.run(&["explain", "small", "filter.nft:11"])));
    let script = world.run(&["explain", "small", "workerone", "lib.sh", "source /etc"]);
    let why = "why     What the scripts of a machine share";
    assert!(script.stdout.contains(why), "{}", script.stdout);
}

#[test]
fn a_whole_file_has_its_reasons_above_its_lines() {
    let world = World::new();
    expect![[r#"
        status 2
        --- stderr
        error: `resolv.conf` may be `/etc/caravan/resolv.conf`, `/etc/kubernetes/resolv.conf`

        hint: give more of the path
    "#]]
    .assert_eq(&shown(&world.run(&[
        "explain",
        "small",
        "masterone",
        "resolv.conf",
    ])));
    expect![[r#"
        status 0
        --- stdout
        /etc/kubernetes/resolv.conf  0644  of `masterone`
        for     the kubelet: the resolver that CoreDNS asks for names outside
        from    crates/render/templates/etc/kubernetes/resolv.conf.hbs, with labs/small.toml
        docs    https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/#known-issues
        more    `cargo xtask explain small masterone /etc/kubernetes/resolv.conf:LINE` says where a line's
                values come from, what documents it, and what proves it

        1 | # Generated by caravan from etc/kubernetes/resolv.conf.hbs; edit labs/small.toml and run `cargo xtask up small`.
        2 | # What the kubelet gives to CoreDNS and to pods that want the node's resolver. Not the node's own file, which may name a
        3 | # resolver on a loopback address: CoreDNS would ask itself, notice, and exit.
            Whom CoreDNS asks for names outside the cluster. With the node's own file, which may name a
            resolver on a loopback address, CoreDNS would ask itself, notice the loop and exit; with none at
            all it would not start.
        4 | nameserver 192.0.2.1
    "#]].assert_eq(&shown(&world.run(&[
        "explain",
        "small",
        "masterone",
        "/etc/kubernetes/resolv.conf",
    ])));
    let secret = world.run(&["explain", "small", "etcdone", "server.key"]);
    expect![[r#"
        status 0
        --- stdout
        /etc/etcd/pki/server.key  0600  of `etcdone`
        for     etcd, for clients; this member's own
        from    .lab/small/pki

        (secret: its lines are not shown)
    "#]]
    .assert_eq(&shown(&secret));
}

#[test]
fn machines_may_be_left_out() {
    let world = World::new();
    let all = world.run(&["explain", "small"]);
    let row = "/etc/kubernetes/pki/ca.crt";
    let row = all.stdout.lines().find(|line| line.starts_with(row));
    assert!(
        row.is_some_and(|row| row.ends_with("masterone workerone")),
        "{}",
        all.stdout
    );
    let one = world.run(&["explain", "small", "etcdone"]);
    assert!(
        one.stdout.contains("/etc/systemd/system/etcd.service"),
        "{}",
        one.stdout
    );
    assert!(!one.stdout.contains("masterone"), "{}", one.stdout);
    let project = world.run(&["explain", "small", "server2", "Vagrantfile", "etcdone"]);
    assert!(
        project
            .stdout
            .contains("labs/small.toml:9, machine `etcdone`, key `name`"),
        "{}",
        project.stdout
    );
}

#[test]
fn values_are_those_of_the_file_that_machines_were_made_from() {
    let world = World::new();
    world.is_up();
    let before = world.run(&["explain", "small", "etcdone", "etcd.service", "listen-peer"]);
    assert!(
        before
            .stdout
            .contains(" labs/small.toml:12, machine `etcdone`"),
        "{}",
        before.stdout
    );
    let edited = format!("# A line more.\n{}", crate::world::LAB);
    world.write("labs/small.toml", &edited);
    let after = world.run(&["explain", "small", "etcdone", "etcd.service", "listen-peer"]);
    assert!(
        after
            .stdout
            .contains(" .lab/small/deployed/lab.toml:12, machine `etcdone`"),
        "{}",
        after.stdout
    );
}

#[test]
fn programs_get_json() {
    let world = World::new();
    let line = world.run(&[
        "explain",
        "small",
        "etcdone",
        "etcd.service",
        "--name",
        "--json",
    ]);
    assert_eq!(line.status, Some(2), "a word with hyphens is a flag");
    let line = world.run(&[
        "explain",
        "small",
        "etcdone",
        "etcd.service",
        "--json",
        "--",
        "--name",
    ]);
    let told: serde_json::Value = serde_json::from_str(&line.stdout).expect("JSON");
    assert_eq!(told["path"], "/etc/systemd/system/etcd.service");
    assert_eq!(told["lab_file"], "labs/small.toml");
    let line = &told["lines"][0];
    assert_eq!(line["text"], "    --name=etcdone \\");
    assert_eq!(line["checks"], serde_json::json!(["etcd-members"]));
    assert_eq!(line["values"][0]["text"], "etcdone");
    assert_eq!(line["values"][0]["places"][0]["line"], 9);
    let files = world.run(&["explain", "small", "workerone", "--json"]);
    let files: serde_json::Value = serde_json::from_str(&files.stdout).expect("JSON");
    assert!(
        files.as_array().is_some_and(|files| files.len() > 20),
        "{files:#}"
    );
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let world = World::new();
    for (args, told) in [
        (
            &["etcdone", "/etc/etcd/pki/sever.key"][..],
            expect![[r#"
            status 2
            --- stderr
            error: machine `etcdone` gets no file `/etc/etcd/pki/sever.key`

            hint: did you mean `/etc/etcd/pki/server.key` or `/etc/etcd/pki/peer.key`?
        "#]],
        ),
        (
            &["workerone", "etcd.service"],
            expect![[r#"
            status 2
            --- stderr
            error: machine `workerone` gets no file `/etc/systemd/system/etcd.service`; it is on `etcdone`

            hint: `cargo xtask explain small etcdone /etc/systemd/system/etcd.service`
        "#]],
        ),
        (
            &["workerone", "haproxy.cfg"],
            expect![[r#"
            status 2
            --- stderr
            error: machine `workerone` gets no file `haproxy.cfg`

            hint: leave the file out to see them all
        "#]],
        ),
        (
            &["etcdtwo", "etcd.service"],
            expect![[r#"
            status 2
            --- stderr
            error: lab `small` has no machine `etcdtwo`

            hint: did you mean `etcdone`?
        "#]],
        ),
        (
            &["etcd.sevice"],
            expect![[r#"
            status 2
            --- stderr
            error: no machine of lab `small` gets a file `etcd.sevice`

            hint: did you mean `/etc/systemd/system/etcd.service`?
        "#]],
        ),
        (
            &["etcdone", "ca"],
            expect![[r#"
            status 2
            --- stderr
            error: machine `etcdone` gets no file `ca`

            hint: did you mean `/etc/etcd/pki/ca.crt`?
        "#]],
        ),
        (
            &["ca.crt"],
            expect![[r#"
            status 2
            --- stderr
            error: `ca.crt` may be `/etc/etcd/pki/ca.crt`, `/etc/kubernetes/pki/ca.crt`, `/etc/kubernetes/pki/etcd/ca.crt`

            hint: give more of the path
        "#]],
        ),
        (
            &["etcdone", "cluster.env:99"],
            expect![[r#"
            status 2
            --- stderr
            error: `/etc/etcd/cluster.env` has 5 lines, and no line 99

            hint: lines are 1 to 5
        "#]],
        ),
        (
            &["etcdone", "cluster.env:0"],
            expect![[r#"
            status 2
            --- stderr
            error: `/etc/etcd/cluster.env` has 5 lines, and no line 0

            hint: lines are 1 to 5
        "#]],
        ),
        (
            &["etcdone", "cluster.env", "nobody"],
            expect![[r#"
            status 2
            --- stderr
            error: no line of `/etc/etcd/cluster.env` has `nobody`

            hint: leave the text out to see all lines
        "#]],
        ),
        (
            &["etcdone", "server.key:1"],
            expect![[r#"
            status 2
            --- stderr
            error: `/etc/etcd/pki/server.key` is a secret: its lines are not shown

            hint: leave the line out to see what the file is for
        "#]],
        ),
    ] {
        let ended = world.run(&[&["explain", "small"], args].concat());
        told.assert_eq(&shown(&ended));
    }
}
