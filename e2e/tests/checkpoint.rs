//! All of one lab, kept while it is halted, changed, and put back: files of every kind on its machines, volumes, etcd's data to
//! the revision, and the cluster's identity; with the runner killed on the way, given up, and gone on with.
//!
//! `CARAVAN_LONG=1 cargo test -p caravan-e2e --test checkpoint -- --ignored --test-threads=1 --nocapture`
#![allow(missing_docs)]

use std::time::Instant;

use caravan_cluster::status::LabStatus;
use caravan_e2e::{LabFile, Tool, assert_verified, kubectl, on, on_a_clean_host, runs_long};
use serde_json::Value;

/// A small lab with a majority of etcd's, whose members must all come back to the same data.
const LAB: &str = "e2e-checkpoint";
const SHAPE: [&str; 8] = [
    "--etcd",
    "3",
    "--masters",
    "1",
    "--balancers",
    "0",
    "--workers",
    "1",
];

/// Its machines, in the order of its file.
const MACHINES: [&str; 5] = ["etcd1", "etcd2", "etcd3", "master1", "worker1"];

/// What a killed program exits with: none, as a signal ended it.
const KILLED: Option<i32> = None;

/// Writes a file of each kind, removes one that came with the image, and empties a folder that did.
const WRITE: &str = r#"
set -e
folder=/var/lib/e2e-checkpoint
rm -rf $folder
mkdir -p $folder/deep/er
cd $folder
echo WORD >word
ln word hard
ln -s word soft
mkfifo fifo
mknod null c 1 3
truncate --size 40M sparse
echo end >>sparse
chown 123:456 word
chmod 4751 word
chmod 1777 deep
chown 7:8 deep/er
touch --date 2020-02-02 deep/er
rm -f /etc/issue.net
rm -rf /etc/skel
mkdir /etc/skel
sync
"#;

/// Undoes that, and writes something else.
const CHANGE: &str = r#"
set -e
rm -rf /var/lib/e2e-checkpoint
mkdir /var/lib/e2e-checkpoint
echo second >/var/lib/e2e-checkpoint/word
echo second >/etc/issue.net
echo second >/etc/skel/second
echo second >/etc/e2e-second
sync
"#;

/// Prints what there is of it.
const LOOK: &str = r#"
cd /var/lib/e2e-checkpoint
find . -printf '%P %y %m %U:%G %s %n %l %T+\n' | sort
[ ! -e word ] || cat word
[ ! -e sparse ] || echo "sparse takes $(($(stat --format %b sparse) < 200)) little"
ls -A /etc/skel /etc/issue.net /etc/e2e-second 2>&1 | sed 's/^ls: //'
"#;

/// Tells how long a part of the story took.
fn timed<T>(what: &str, part: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = part();
    println!("TIME {what}: {:.1} s", began.elapsed().as_secs_f32());
    done
}

fn look(tool: &Tool) -> Vec<String> {
    let each = MACHINES.iter();
    each.map(|machine| on(tool, LAB, machine, LOOK)).collect()
}

/// What identifies the cluster, and all that etcd has of the story: keys, values, and the revisions that made and changed them.
fn cluster(tool: &Tool) -> (String, Value, Value) {
    let uid = kubectl(
        tool,
        LAB,
        &[
            "get",
            "namespace",
            "kube-system",
            "--output=jsonpath={.metadata.uid}",
        ],
    );
    let keys = format!("/registry/configmaps/{LAB}/");
    let asked = [
        "etcdctl",
        LAB,
        "--",
        "get",
        &keys,
        "--prefix",
        "--write-out=json",
    ];
    let said = tool.ok(&asked).json();
    (
        uid,
        said["header"]["cluster_id"].clone(),
        said["kvs"].clone(),
    )
}

fn write_config_maps(tool: &Tool, word: &str) {
    for number in 0..20 {
        let name = format!("{word}-{number}");
        let content = format!("--from-literal=content={word}");
        kubectl(
            tool,
            LAB,
            &["--namespace", LAB, "create", "configmap", &name, &content],
        );
    }
}

fn restore_killed(tool: &Tool, name: &str, step: &str) {
    let killed = tool.with_env("CARAVAN_KILL_AFTER", step.as_ref());
    let ended = killed.run(&["checkpoint", "restore", LAB, name, "--yes"]);
    assert_eq!(ended.status, KILLED, "{step}");
    let status = tool.run(&["status", LAB, "--json"]);
    assert_eq!(status.status, Some(3));
    let goes_on = format!("`cargo xtask checkpoint restore {LAB} {name}` goes on with it");
    let problems = status.read::<LabStatus>().problems;
    assert!(
        problems.iter().any(|it| it.contains(&goes_on)),
        "{problems:?}"
    );
    for machines in [&[][..], &["etcd1"][..]] {
        let ended = tool.run(&[&["up", LAB, "--yes"][..], machines].concat());
        assert_eq!(ended.status, Some(1), "no machine is started meanwhile");
    }
}

fn halt(tool: &Tool) {
    timed("halt", || tool.ok(&["halt", LAB]));
}

fn up(tool: &Tool) {
    timed("up", || tool.ok(&["up", LAB, "--yes"]));
}

#[test]
#[ignore = "needs the engine, a bundle and minutes"]
fn a_lab_comes_back_whole() {
    if !runs_long() {
        return;
    }
    on_a_clean_host(|tool| {
        let _file = LabFile::write(tool, LAB, &SHAPE);
        tool.ok(&["up", LAB, "--yes", "--airgap"]);
        kubectl(tool, LAB, &["create", "namespace", LAB]);
        write_config_maps(tool, "first");
        for machine in MACHINES {
            on(tool, LAB, machine, &WRITE.replace("WORD", "first"));
        }
        let (files, first) = (look(tool), cluster(tool));

        let ended = tool.run(&["checkpoint", "save", LAB, "monday"]);
        assert_eq!(ended.status, Some(1), "it runs");
        assert!(ended.stderr.contains(&format!("`cargo xtask halt {LAB}`")));
        halt(tool);
        let saved = timed("save", || {
            tool.ok(&["checkpoint", "save", LAB, "monday", "--json"])
        });
        let saved = saved.json();
        println!(
            "TIME it takes {} MiB",
            saved["bytes"].as_u64().expect("a size") >> 20
        );
        assert_eq!(saved["cluster"], first.0.as_str());

        up(tool);
        write_config_maps(tool, "second");
        kubectl(
            tool,
            LAB,
            &["--namespace", LAB, "delete", "configmap", "first-3"],
        );
        for machine in MACHINES {
            on(tool, LAB, machine, CHANGE);
        }
        // Another container, with other host keys and new volumes.
        tool.ok(&["destroy", LAB, "worker1", "--yes"]);
        up(tool);
        on(tool, LAB, "worker1", CHANGE);
        let (changed, second) = (look(tool), cluster(tool));
        assert_ne!(first.2, second.2);
        halt(tool);

        // Given up in time.
        restore_killed(tool, "monday", "staged 3/5");
        tool.ok(&["checkpoint", "restore", LAB, "--give-up"]);
        restore_killed(tool, "monday", "swapped 2/5");
        tool.ok(&["checkpoint", "restore", LAB, "--give-up"]);
        // Gone on with.
        restore_killed(tool, "monday", "swapped 3/5");
        timed("what is left of a restoration", || {
            tool.ok(&["checkpoint", "restore", LAB]);
        });
        up(tool);
        assert_eq!(
            look(tool),
            files,
            "what machines had, to the mode and the device"
        );
        assert_eq!(cluster(tool), first, "the same cluster, the same revisions");
        assert_verified(tool, LAB, &["--wait"]);

        // What was there before is kept, and not lost either.
        let listed = tool.ok(&["checkpoint", "list", LAB, "--json"]).json();
        let kept = listed.as_array().expect("a list").iter();
        let kept: Vec<&Value> = kept.filter(|it| it["automatic"] == true).collect();
        assert_eq!(kept.len(), 1, "{listed}");
        let before = kept[0]["name"].as_str().expect("a name");
        halt(tool);
        timed("a restoration", || {
            tool.ok(&["checkpoint", "restore", LAB, before, "--yes"]);
        });
        up(tool);
        assert_eq!(look(tool), changed);
        assert_eq!(cluster(tool), second);
        assert_verified(tool, LAB, &["--wait"]);

        tool.ok(&["checkpoint", "remove", LAB, "monday", "--yes"]);
        tool.ok(&["destroy", LAB, "--yes"]);
        assert!(!tool.state(LAB).exists());
    });
}
