//! The script, run on this computer against a folder that plays a machine.

use std::fs;
use std::path::{Path, PathBuf};

use caravan_process::Program;
use tempfile::TempDir;

use super::*;

const OLD: &str = "aaaa";
const NEW: &str = "bbbb";
const GIVEN: &str = "# Generated\nETCD_INITIAL_CLUSTER=\"one=https://192.0.2.1:2380\"\nETCD_INITIAL_CLUSTER_TOKEN=\"aaaa\"\nETCD_INITIAL_CLUSTER_STATE=new\n";

/// What a machine's own scripts say, for a machine that is a folder.
const MEMBER: &str = r#"
DATA=$ROOT/data
STAMP=$DATA/caravan-cluster
VOTER=$DATA/caravan-voter
MASK=$DATA/caravan-masked
PEER_URL=https://192.0.2.1:2380
CARAVAN_MACHINE=one
source $ROOT/cluster.env
has_log() { compgen -G "$DATA/member/wal/*.wal" >/dev/null; }
"#;

/// A systemctl that knows whether etcd runs, an etcdutl that makes data with the snapshot's content, and a sync and an mv
/// after which the machine loses its power, where the test wants that.
const FAKES: [(&str, &str); 4] = [
    (
        "systemctl",
        "case $* in *show*) cat \"$ROOT/state\" ;; stop*etcd*) echo inactive >\"$ROOT/state\" ;; restart*) echo active >\"$ROOT/state\" ;; esac",
    ),
    (
        "etcdutl",
        r#"from=$3
while [ $# -gt 0 ]; do case $1 in --data-dir) to=$2 ;; --initial-cluster-token) token=$2 ;; esac; shift; done
[ ! -e "$to" ] || { echo "data-dir is not empty" >&2; exit 1; }
mkdir -p "$to/member/wal" && cat "$from" >"$to/member/wal/0.wal" && echo "$token" >"$to/member/token""#,
    ),
    ("sync", "exit 0"),
    (
        "mv",
        r#"n=$(($(cat "$ROOT/moves") - 1)); echo $n >"$ROOT/moves"; [ $n -ge 0 ] || exit 9; exec /bin/mv "$@""#,
    ),
];

struct Played {
    root: TempDir,
}

impl Played {
    /// A machine whose etcd runs with the old data, or that has none.
    fn new(has_data: bool) -> Self {
        let played = Self {
            root: tempfile::tempdir().expect("a folder"),
        };
        for folder in ["bin", "data"] {
            fs::create_dir(played.path(folder)).expect("made");
        }
        for (name, text) in FAKES {
            let path = played.path("bin").join(name);
            let path = path.to_str().expect("text");
            Program::at("/bin/sh")
                .call(["-c", "cat >\"$0\" && chmod 755 \"$0\"", path])
                .stdin(format!("#!/bin/sh\n{text}\n"))
                .run()
                .expect("written");
        }
        if has_data {
            fs::create_dir_all(played.path("data/member/wal")).expect("made");
            played.write("data/member/wal/0.wal", "old data");
            played.write("data/caravan-cluster", "aaaa\n");
            played.write("data/caravan-voter", "");
        }
        played.write("cluster.env", GIVEN);
        played.write("member.sh", MEMBER);
        played.write("state", "active\n");
        played.write("moves", "1000\n");
        played
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).expect("written");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// Calls a function of the script; fails where it does. After `moves` moves of files the machine is cut off.
    fn call_with(&self, function: &str, moves: u32) -> Result<Facts, String> {
        self.write("moves", &format!("{moves}\n"));
        let root = self.root.path().display().to_string();
        let script = SCRIPT
            .replace("source /usr/lib/caravan/lib.sh", "")
            .replace("/usr/lib/caravan/member.sh", &format!("{root}/member.sh"))
            .replace("/etc/etcd/cluster.env", &format!("{root}/cluster.env"));
        let sum = "cafe";
        let text = format!("TOKEN={NEW} SUM={sum} BUMP=1000\n{script}\n{function}\n");
        let output = Program::at("/bin/bash")
            .call(["-s"])
            .env("ROOT", &root)
            .env("PATH", format!("{root}/bin:/usr/bin:/bin"))
            .stdin(text.replace("read -r sum _ < <(sha256sum <\"$SNAPSHOT\")", "sum=cafe"))
            .output()
            .expect("bash runs");
        match output.success() {
            true => Ok(Facts::parse(&output.stdout)),
            false => Err(output.stderr),
        }
    }

    fn call(&self, function: &str) -> Facts {
        self.call_with(function, 1000)
            .unwrap_or_else(|said| panic!("{function}: {said}"))
    }

    fn standing(&self) -> MemberStanding {
        standing(&self.call("standing"))
    }

    /// Stopped, with the snapshot there.
    fn stopped(has_data: bool) -> Self {
        let played = Self::new(has_data);
        played.call("stop");
        assert_eq!(played.call("fetched").text("there"), "no");
        played.write("data/caravan-restore/snapshot.db", "new data");
        assert_eq!(played.call("fetched").text("there"), "yes");
        played
    }

    fn holds_old(&self, had_data: bool) {
        assert_eq!(self.read("cluster.env"), GIVEN);
        if had_data {
            assert_eq!(self.read("data/member/wal/0.wal"), "old data");
            assert_eq!(self.read("data/caravan-cluster").trim(), OLD);
            assert!(self.path("data/caravan-voter").exists());
        } else {
            assert!(!self.path("data/member").exists());
            assert!(!self.path("data/caravan-cluster").exists());
        }
    }

    fn holds_new(&self) {
        assert_eq!(self.read("data/member/wal/0.wal"), "new data");
        assert_eq!(self.read("data/caravan-cluster").trim(), NEW);
        assert!(!self.path("data/caravan-voter").exists());
        assert_eq!(self.read("cluster.env"), GIVEN.replace(OLD, NEW));
        assert!(self.standing().swapped);
    }
}

fn exists(path: &Path) -> bool {
    path.exists()
}

#[test]
fn a_machine_tells_how_far_it_is() {
    let played = Played::new(true);
    let old = MemberStanding {
        runs: true,
        data: true,
        ..MemberStanding::default()
    };
    assert_eq!(played.standing(), old);
    played.call("stop");
    let masked = MemberStanding {
        masked: true,
        runs: false,
        ..old
    };
    assert_eq!(played.standing(), masked);
    played.call("fetched");
    played.write("data/caravan-restore/snapshot.db", "new data");
    played.call("stage");
    let staged = MemberStanding {
        staged: true,
        ..masked
    };
    assert_eq!(played.standing(), staged);
    played.call("swap");
    let swapped = MemberStanding {
        swapped: true,
        changed: true,
        ..staged
    };
    assert_eq!(played.standing(), swapped);
    played.holds_new();
    played.call("start_restored");
    assert_eq!(
        played.standing(),
        MemberStanding {
            masked: false,
            runs: true,
            ..swapped
        }
    );
    played.call("clean");
    assert!(!exists(&played.path("data/caravan-restore")));
    assert_eq!(
        played.read("data/aside/before-restore/member/wal/0.wal"),
        "old data"
    );
    assert!(
        played.standing().swapped,
        "also when nothing is staged any more"
    );
}

#[test]
fn nothing_is_done_out_of_its_order() {
    let played = Played::new(true);
    for function in ["stage", "swap", "start_restored"] {
        assert!(played.call_with(function, 1000).is_err(), "{function}");
    }
    // Neither is a member stopped by giving up that was never touched.
    played.call("take_back");
    played.holds_old(true);
    let played = Played::stopped(true);
    for function in ["swap", "start_restored"] {
        assert!(played.call_with(function, 1000).is_err(), "{function}");
    }
    played.holds_old(true);
}

#[test]
fn each_step_may_be_cut_off_at_any_move_and_repeated() {
    for has_data in [true, false] {
        for cut in 0..8 {
            let played = Played::stopped(has_data);
            drop(played.call_with("stage", cut));
            played.call("stage");
            let once = played.call_with("swap", cut);
            assert!(
                once.is_ok() || !played.standing().swapped,
                "after {cut} moves"
            );
            played.call("swap");
            played.call("swap");
            played.holds_new();
        }
    }
}

#[test]
fn what_was_there_comes_back_from_anywhere() {
    for has_data in [true, false] {
        for swap_cut in 0..8 {
            for back_cut in 0..8 {
                let played = Played::stopped(has_data);
                played.call("stage");
                drop(played.call_with("swap", swap_cut));
                drop(played.call_with("take_back", back_cut));
                played.call("take_back");
                played.holds_old(has_data);
                assert!(!played.standing().swapped);
                // Whoever thinks better of it restores after all.
                played.call("stage");
                played.call("swap");
                played.holds_new();
                played.call("take_back");
                played.holds_old(has_data);
                played.call("start; clean");
                played.holds_old(has_data);
                assert!(!exists(&played.path("data/caravan-restore")));
                assert!(!exists(&played.path("data/caravan-masked")));
            }
        }
    }
}

#[test]
fn what_an_earlier_restoration_left_is_not_in_the_way() {
    let played = Played::stopped(true);
    played.call("stage");
    played.call("swap");
    // It was never cleaned: the machine was away. Its token is not the one of now.
    played.write("data/caravan-restore/staged", "cccc\n");
    played.write("data/caravan-cluster", "cccc\n");
    assert_eq!(played.call("fetched").text("there"), "no");
    played.write("data/caravan-restore/snapshot.db", "newer data");
    played.call("stage");
    played.call("swap");
    assert_eq!(played.read("data/member/wal/0.wal"), "newer data");
    assert_eq!(
        played.read("data/caravan-restore/old/member/wal/0.wal"),
        "new data"
    );
}
