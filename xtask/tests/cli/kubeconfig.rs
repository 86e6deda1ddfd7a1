use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use crate::world::{Ended, World};

const THEIRS: &str = "# mine\napiVersion: v1\nkind: Config\nclusters:\n- name: prod\n  cluster: {server: \"https://prod\"}\ncontexts: []\nusers: []\ncurrent-context: prod\n";

#[test]
fn merged_and_unmerged() {
    let world = World::new();
    world.is_up();
    let path = world.run(&["kubeconfig"]);
    assert_eq!(
        (path.status, path.stdout.trim()),
        (Some(0), ".lab/small/kubeconfig")
    );
    let mode = fs::metadata(world.path(".lab/small/kubeconfig"))
        .expect("made")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    world.write("home/.kube/config", THEIRS);
    let merged = world.run(&["kubeconfig", "small", "--merge"]);
    assert_eq!(merged.status, Some(0), "{}", merged.stderr);
    let both = world.read("home/.kube/config");
    for name in [
        "caravan-small",
        "caravan-small-masterone",
        "caravan-small-admin",
        "prod",
    ] {
        assert!(both.contains(name), "{name} is not in {both}");
    }
    assert!(both.contains("current-context: prod\n"));
    // Nothing of it is lost, so it is not kept a second time.
    assert_eq!(
        names(&world.path("home/.kube")),
        ["config"],
        "neither lock nor copy"
    );
    // A second time nothing changes.
    assert_eq!(
        world.run(&["kubeconfig", "small", "--merge"]).status,
        Some(0)
    );
    assert_eq!(world.read("home/.kube/config"), both);

    let taken = world.run(&["kubeconfig", "small", "--unmerge"]);
    assert_eq!(taken.status, Some(0), "{}", taken.stderr);
    assert_eq!(world.read("home/.kube/config"), THEIRS);
}

#[test]
fn destroy_takes_the_contexts_along() {
    let world = World::new();
    world.is_up();
    world.write("home/.kube/config", THEIRS);
    assert_eq!(
        world.run(&["kubeconfig", "small", "--merge"]).status,
        Some(0)
    );
    assert_eq!(world.run(&["destroy", "small", "--yes"]).status, Some(0));
    assert_eq!(world.read("home/.kube/config"), THEIRS);
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("read");
    let names = entries.map(|entry| entry.expect("read").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o7777
}

/// Runs the verb in the world's folder `home`, where `KUBECONFIG` is `list`.
fn run_with(world: &World, list: &str, args: &[&str]) -> Ended {
    let root = world.path("");
    let call = world
        .call(&[&["kubeconfig", "small"][..], args].concat())
        .dir(world.path("home"))
        .env("CARAVAN_ROOT", root)
        .env("KUBECONFIG", list);
    let output = call.output().expect("the tool starts");
    Ended {
        status: output.status,
        stdout: world.filtered(&output.stdout),
        stderr: world.filtered(&output.stderr),
    }
}

#[test]
fn lists_are_as_kubectl_has_them() {
    for (list, there, written) in [
        ("missing:b", &["b"][..], "b"),
        (":b", &["b"][..], "b"),
        (":b", &[][..], "b"),
        ("b:", &["b"][..], "b"),
        ("b::", &[][..], "b"),
        ("a:b", &["a", "b"][..], "a"),
        ("a:b", &[][..], "b"),
        ("a", &[][..], "a"),
        ("new/folder/a", &[][..], "new/folder/a"),
        ("a:a", &[][..], "a"),
    ] {
        let world = World::new();
        world.is_up();
        for file in there {
            world.write(&format!("home/{file}"), THEIRS);
        }
        let merged = run_with(&world, list, &["--merge"]);
        assert_eq!(merged.status, Some(0), "{list}: {}", merged.stderr);
        assert_eq!(merged.stdout, format!("{written}\n"), "{list}");
        for file in ["a", "b", "missing", written] {
            let text = world.read(&format!("home/{file}"));
            assert_eq!(
                text.contains("caravan-small"),
                file == written,
                "{list}: {file}"
            );
        }
        let is_new = !there.contains(&written);
        if is_new {
            assert_eq!(mode(&world.path(&format!("home/{written}"))), 0o600);
        }
        let taken = run_with(&world, list, &["--unmerge"]);
        assert_eq!(taken.status, Some(0), "{list}: {}", taken.stderr);
        assert!(
            taken.stderr.contains(&format!("out of `{written}`")),
            "{}",
            taken.stderr
        );
        // What was made for the contexts goes with them.
        let path = world.path(&format!("home/{written}"));
        assert_eq!(path.exists(), !is_new, "{list}");
        if !is_new {
            assert_eq!(world.read(&format!("home/{written}")), THEIRS);
        }
    }
}

#[test]
fn what_is_no_regular_file_stays_what_it_is() {
    let world = World::new();
    world.is_up();
    let home = world.path("home");
    fs::create_dir(home.join("folder")).expect("made");
    let _socket = std::os::unix::net::UnixListener::bind(home.join("socket")).expect("bound");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        home.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .expect("made");
    // A second null device; only root makes one.
    let has_device = rustix::fs::mknodat(
        rustix::fs::CWD,
        home.join("device"),
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::from_raw_mode(0o666),
        rustix::fs::makedev(1, 3),
    )
    .is_ok();
    std::os::unix::fs::symlink("folder", home.join("link")).expect("linked");
    let mut cases = vec![
        ("folder", "a folder"),
        ("link", "a folder"),
        ("pipe", "a named pipe"),
        ("socket", "a socket"),
        ("folder:b", "a folder"),
        ("missing:pipe", "a named pipe"),
    ];
    if has_device {
        cases.push(("device", "a device"));
        cases.push(("./device:b", "a device"));
    }
    let before = names(&home);
    for (list, kind) in cases {
        let refused = run_with(&world, list, &["--merge"]);
        assert_eq!(refused.status, Some(1), "{list}");
        assert!(
            refused
                .stderr
                .contains(&format!("is {kind}, and only a regular file")),
            "{list}: {}",
            refused.stderr
        );
        let taken = run_with(&world, list, &["--unmerge"]);
        assert_eq!(taken.status, Some(0), "{list}: {}", taken.stderr);
        assert_eq!(names(&home), before, "{list}");
    }
    let kind = |name: &str| {
        fs::symlink_metadata(home.join(name))
            .expect("there")
            .file_type()
    };
    assert!(kind("folder").is_dir() && kind("link").is_symlink());
    assert!(kind("pipe").is_fifo() && kind("socket").is_socket());
    assert!(!has_device || kind("device").is_char_device());
}

#[test]
fn a_link_stays_a_link_and_a_mode_a_mode() {
    let world = World::new();
    world.is_up();
    world.write("home/far/b", THEIRS);
    let far = world.path("home/far/b");
    fs::set_permissions(&far, fs::Permissions::from_mode(0o640)).expect("set");
    std::os::unix::fs::symlink("far/b", world.path("home/link")).expect("linked");
    std::os::unix::fs::symlink("link", world.path("home/second")).expect("linked");
    std::os::unix::fs::symlink("far/none", world.path("home/dangling")).expect("linked");
    for (link, to) in [("second", "home/far/b"), ("dangling", "home/far/none")] {
        let merged = run_with(&world, link, &["--merge"]);
        assert_eq!(merged.status, Some(0), "{}", merged.stderr);
        assert!(world.read(to).contains("caravan-small"), "{link}");
        assert_eq!(run_with(&world, link, &["--unmerge"]).status, Some(0));
        assert!(world.path(&format!("home/{link}")).is_symlink());
    }
    assert_eq!(world.read("home/far/b"), THEIRS);
    assert_eq!(mode(&far), 0o640);
    assert_eq!(names(&world.path("home/far")), ["b"]);
}

#[test]
fn contexts_are_found_wherever_they_are() {
    let world = World::new();
    world.is_up();
    world.write("home/b", THEIRS);
    world.write("home/other", "kind: Config\n");
    assert_eq!(run_with(&world, "b", &["--merge"]).status, Some(0));
    let taken = run_with(&world, "other:b", &["--unmerge"]);
    assert!(taken.stderr.contains("out of `b`"), "{}", taken.stderr);
    assert_eq!(world.read("home/b"), THEIRS);

    // Merged again, they are changed where they are, as kubectl does; and the list may be another one by then.
    assert_eq!(run_with(&world, "b", &["--merge"]).status, Some(0));
    let again = run_with(&world, "other:b", &["--merge"]);
    assert_eq!(again.stdout, "b\n", "{}", again.stderr);
    assert_eq!(world.read("home/other"), "kind: Config\n");
    let taken = run_with(&world, "other", &["--unmerge"]);
    assert!(taken.stderr.contains("home/b`"), "{}", taken.stderr);
    assert_eq!(world.read("home/b"), THEIRS);

    let none = run_with(&world, "other:b", &["--unmerge"]);
    assert_eq!(none.status, Some(0));
    assert!(
        none.stderr.contains("none of `other`, `b` has contexts"),
        "{}",
        none.stderr
    );

    assert_eq!(run_with(&world, "b", &["--merge"]).status, Some(0));
    assert_eq!(world.run(&["destroy", "small", "--yes"]).status, Some(0));
    assert_eq!(world.read("home/b"), THEIRS);
    assert_eq!(
        names(&world.path("home"))
            .iter()
            .filter(|name| name.contains("caravan"))
            .count(),
        0
    );
}

#[test]
fn the_current_context_may_be_in_another_file() {
    let world = World::new();
    world.is_up();
    world.write("home/a", "kind: Config\n");
    world.write("home/b", "kind: Config\ncurrent-context: prod\n");
    assert_eq!(run_with(&world, "a:b", &["--merge"]).status, Some(0));
    assert!(!world.read("home/a").contains("current-context"));
    assert_eq!(run_with(&world, "a:b", &["--unmerge"]).status, Some(0));
    // As `kubectl config use-context` writes it: into the first file, whichever has the context.
    world.write("home/a", "kind: Config\ncurrent-context: caravan-small\n");
    world.write("home/b", "kind: Config\n");
    let taken = run_with(&world, "a:b", &["--unmerge"]);
    assert_eq!(taken.status, Some(0), "{}", taken.stderr);
    assert_eq!(
        world.read("home/a"),
        "kind: Config\ncurrent-context: \"\"\n"
    );
}

#[test]
fn the_same_name_in_another_file_is_told_of() {
    let world = World::new();
    world.is_up();
    let strange = "contexts:\n- name: caravan-small\n  context: {cluster: x, user: y}\n";
    for list in ["a:b", "b:a"] {
        world.write("home/a", THEIRS);
        world.write("home/b", strange);
        let target = &list[..1];
        let refused = run_with(&world, list, &["--merge"]);
        if target == "b" {
            // In the file itself, it is replaced, and kept.
            assert_eq!(refused.status, Some(0), "{}", refused.stderr);
            assert!(
                refused.stderr.contains("of another cluster were there"),
                "{}",
                refused.stderr
            );
            assert_eq!(world.read("home/b.before-caravan"), strange);
            continue;
        }
        assert_eq!(refused.status, Some(1));
        assert!(
            refused.stderr.contains("`b` has an entry `caravan-small`"),
            "{}",
            refused.stderr
        );
        assert_eq!(
            (world.read("home/a"), world.read("home/b")),
            (THEIRS.to_owned(), strange.to_owned())
        );
        assert!(
            refused
                .stderr
                .contains("cargo xtask kubeconfig small --unmerge"),
            "{}",
            refused.stderr
        );
    }
}

#[test]
fn a_sign_for_home_is_refused() {
    let world = World::new();
    world.is_up();
    for (list, meant) in [("~/x", "home/x"), ("b:~/x", "home/x"), ("~", "home")] {
        let refused = run_with(&world, list, &["--merge"]);
        assert_eq!(refused.status, Some(1), "{list}");
        assert!(
            refused.stderr.contains("only a shell"),
            "{}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains(&format!("`{meant}`")),
            "{}",
            refused.stderr
        );
        let before = run_with(&world, list, &["--unmerge"]);
        assert_eq!(before.status, Some(1), "{list}");
    }
    for (list, problem) in [("~you/x", "write the whole path"), (":", "names no file")] {
        let refused = run_with(&world, list, &["--merge"]);
        assert_eq!(refused.status, Some(1), "{list}");
        assert!(refused.stderr.contains(problem), "{}", refused.stderr);
    }
    let made = names(&world.path("home"));
    assert!(!made.iter().any(|name| name.starts_with('~')), "{made:?}");
}

#[test]
fn what_may_not_be_written_is_not_replaced() {
    // Root may write everything.
    if rustix::process::geteuid().is_root() {
        return;
    }
    let world = World::new();
    world.is_up();
    world.write("home/b", THEIRS);
    fs::set_permissions(world.path("home/b"), fs::Permissions::from_mode(0o400)).expect("set");
    let refused = run_with(&world, "b", &["--merge"]);
    assert_eq!(refused.status, Some(1));
    assert_eq!(world.read("home/b"), THEIRS);
}

#[test]
fn a_path_with_a_colon_is_told_of() {
    let world = World::new();
    world.write("a:b/labs/small.toml", crate::world::LAB);
    let root = world.path("a:b");
    let run = |args: &[&str]| {
        let call = world.call(args).dir(&root);
        call.output().expect("the tool starts")
    };
    let plan = run(&["plan", "small", "--write", "--image", "none"]);
    assert_eq!(plan.status, Some(0), "{}", plan.stderr);
    assert!(plan.stderr.contains("has a colon in it"), "{}", plan.stderr);
    let path = run(&["kubeconfig", "small"]);
    assert_eq!(path.status, Some(0));
    assert!(
        path.stderr.contains("`kubectl --kubeconfig "),
        "{}",
        path.stderr
    );
    assert!(run(&["doctor"]).stdout.contains("has a colon in it"));
}

#[test]
fn printed_commands_can_be_pasted() {
    for name in [
        "ws é [a] %h $HOME 'q' , x",
        "a,b",
        "two\nlines",
        "-f",
        "a;b",
        "~",
    ] {
        let world = World::new();
        world.write(&format!("{name}/labs/small.toml"), crate::world::LAB);
        let root = world.path(name);
        let plan = world
            .call(&["plan", "small", "--write", "--image", "none"])
            .dir(&root)
            .output()
            .expect("the tool starts");
        assert_eq!(plan.status, Some(0), "{}", plan.stderr);
        let (_, next) = plan.stderr.split_once("next: `").expect("a next command");
        let (command, _) = next.split_once(" && vagrant up`").expect("in full");
        let script = format!("{command} && pwd");
        let pasted = caravan_process::Program::at("/bin/sh").call(["-c", &script]);
        let pasted = pasted.run().expect("a shell takes it");
        let expected = root
            .join(".lab/small/server1")
            .canonicalize()
            .expect("there");
        assert_eq!(pasted.stdout, format!("{}\n", expected.display()));
    }
}

#[test]
fn what_is_not_understood_is_left_alone() {
    for theirs in [
        "{",
        "kind: Pod\n",
        "kind: Config\n---\nkind: Config\n",
        "clusters: []\nclusters: []\n",
        "clusters: {}\n",
    ] {
        let world = World::new();
        world.is_up();
        world.write("home/.kube/config", theirs);
        let refused = world.run(&["kubeconfig", "small", "--merge"]);
        assert_eq!(refused.status, Some(1), "{theirs}");
        assert!(
            refused.stderr.contains("is left as it is"),
            "{}",
            refused.stderr
        );
        assert_eq!(world.read("home/.kube/config"), theirs);
        assert!(!world.path("home/.kube/config.lock").exists());
    }
    let world = World::new();
    world.is_up();
    world.write("home/.kube/config.lock", "");
    let refused = world.run(&["kubeconfig", "small", "--merge"]);
    assert_eq!(refused.status, Some(1));
    assert!(
        refused.stderr.contains("another program holds"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_lab_without_keys() {
    let world = World::new();
    let refused = world.run(&["kubeconfig", "small"]);
    assert_eq!(refused.status, Some(1));
    assert!(
        refused
            .stderr
            .contains("was never brought up from this workspace"),
        "{}",
        refused.stderr
    );
}
