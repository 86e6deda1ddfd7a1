use proptest::prelude::*;

use super::*;

fn is_ours(name: &str) -> bool {
    name == "caravan-ha" || name.starts_with("caravan-ha-")
}

fn entry(list: &'static str, name: &str, lines: &[&str]) -> Entry {
    Entry {
        list,
        name: name.to_owned(),
        lines: std::iter::once(format!("name: {name}"))
            .chain(lines.iter().map(|&line| line.to_owned()))
            .collect(),
    }
}

fn ours() -> Vec<Entry> {
    vec![
        entry(
            "clusters",
            "caravan-ha",
            &["cluster:", "  server: https://192.168.29.80:6443"],
        ),
        entry(
            "clusters",
            "caravan-ha-masterone",
            &["cluster:", "  server: https://192.168.29.51:6443"],
        ),
        entry(
            "contexts",
            "caravan-ha",
            &["context:", "  cluster: caravan-ha", "  user: caravan-ha"],
        ),
        entry("users", "caravan-ha", &["user:", "  token: x"]),
    ]
}

fn merged(text: &str) -> Result<String, Refusal> {
    merge(text, &ours(), "caravan-ha", &is_ours)
}

#[test]
fn an_empty_file_becomes_ours() {
    let text = merged("").expect("merged");
    expect_test::expect![[r#"
        clusters:
        - name: caravan-ha
          cluster:
            server: https://192.168.29.80:6443
        - name: caravan-ha-masterone
          cluster:
            server: https://192.168.29.51:6443
        contexts:
        - name: caravan-ha
          context:
            cluster: caravan-ha
            user: caravan-ha
        users:
        - name: caravan-ha
          user:
            token: x
        current-context: caravan-ha
    "#]]
    .assert_eq(&text);
}

const THEIRS: &str = "\
# my clusters, do not touch
apiVersion: v1
kind: Config
preferences: {colors: true}
clusters:
  # the big one
  - cluster:
      server: https://prod:6443   # tls
    name: prod

contexts:
- context: {cluster: prod, user: me}
  name: prod
current-context: prod
users:
- name: me
  user:
    exec: {command: aws, args: [a, b]}
    note: |
      - name: caravan-ha
# the end";

#[test]
fn what_was_there_stays_to_the_byte() {
    let text = merged(THEIRS).expect("merged");
    expect_test::expect![[r#"
        # my clusters, do not touch
        apiVersion: v1
        kind: Config
        preferences: {colors: true}
        clusters:
          # the big one
          - cluster:
              server: https://prod:6443   # tls
            name: prod
          - name: caravan-ha
            cluster:
              server: https://192.168.29.80:6443
          - name: caravan-ha-masterone
            cluster:
              server: https://192.168.29.51:6443

        contexts:
        - context: {cluster: prod, user: me}
          name: prod
        - name: caravan-ha
          context:
            cluster: caravan-ha
            user: caravan-ha
        current-context: prod
        users:
        - name: me
          user:
            exec: {command: aws, args: [a, b]}
            note: |
              - name: caravan-ha
        - name: caravan-ha
          user:
            token: x
        # the end
    "#]]
    .assert_eq(&text);
    let back = unmerge(&text, &is_ours).expect("unmerged");
    assert_eq!(back, format!("{THEIRS}\n"));
}

#[test]
fn merging_again_replaces_ours() {
    let once = merged(THEIRS).expect("merged");
    assert_eq!(merged(&once).expect("merged again"), once);
}

#[test]
fn a_current_context_of_ours_goes_with_us() {
    let text = merged("current-context: \"\"\nclusters: []\nusers: null\n").expect("merged");
    assert!(text.contains("current-context: caravan-ha\n"), "{text}");
    let back = unmerge(&text, &is_ours).expect("unmerged");
    assert_eq!(
        back,
        "current-context: \"\"\nclusters: []\nusers: []\ncontexts: []\n"
    );
}

#[test]
fn what_cannot_be_kept_is_refused() {
    for (text, expected) in [
        ("clusters: [", "NotYaml"),
        ("- a\n", "NotAKubeconfig"),
        ("kind: Pod\n", "NotAKubeconfig"),
        ("a: 1\n---\nb: 2\n", "NotAKubeconfig"),
        ("{\"clusters\": [], \"kind\": \"Config\"}", "Shape"),
        ("clusters: [{name: prod}]\n", "Shape"),
        ("clusters: {name: prod}\n", "Shape"),
        ("clusters: 3\n", "Shape"),
        ("\"clusters\":\n- name: prod\n", "Shape"),
    ] {
        let refusal = merged(text).expect_err(text);
        assert!(
            format!("{refusal:?}").starts_with(expected),
            "{text}: {refusal:?}"
        );
    }
}

#[test]
fn unmerging_what_has_nothing_of_ours_changes_nothing() {
    assert_eq!(unmerge(THEIRS, &is_ours).expect("unmerged"), THEIRS);
    assert_eq!(unmerge("", &is_ours).expect("unmerged"), "");
}

/// A kubeconfig as people and programs write them: any order, indentation, comments and keys we have never heard of.
fn kubeconfig() -> impl Strategy<Value = String> {
    let entry = ("[a-z][a-z0-9-]{0,8}", "[ -~]{0,12}", any::<bool>());
    let list = |name: &'static str| {
        (
            prop::collection::vec(entry, 0..4),
            0..3_usize,
            any::<bool>(),
        )
            .prop_map(move |(entries, depth, comment)| {
                let pad = " ".repeat(depth);
                let mut text = match entries.as_slice() {
                    [] => format!("{name}: []\n"),
                    _ => format!("{name}:\n"),
                };
                for (entry, value, blank) in entries {
                    let value = value.replace(['"', '\\'], "");
                    text += &format!("{pad}- name: {entry}\n{pad}  extra: \"{value}\"\n");
                    if blank {
                        text += "\n";
                    }
                }
                if comment {
                    text += "# a remark\n";
                }
                text
            })
    };
    let rest = prop_oneof![
        Just("apiVersion: v1\nkind: Config\n".to_owned()),
        Just("preferences: {}\n".to_owned()),
        Just("current-context: mine\n".to_owned()),
        Just("# nothing\n\n".to_owned()),
        Just("extensions:\n- name: x\n  extension: {a: [1, 2]}\n".to_owned()),
    ];
    (
        prop::collection::hash_set(0..4_usize, 0..4),
        list("clusters"),
        list("contexts"),
        list("users"),
        rest,
        any::<bool>(),
    )
        .prop_map(|(chosen, clusters, contexts, users, rest, cut)| {
            let parts = [clusters, contexts, users, rest];
            // The set's order is random, and so is the order of the file.
            let mut text: String = chosen.into_iter().map(|part| parts[part].clone()).collect();
            if cut && text.ends_with('\n') {
                text.pop();
            }
            text
        })
}

proptest! {
    #[test]
    fn nothing_of_theirs_is_lost(theirs in kubeconfig()) {
        let both = merged(&theirs).expect("block style is merged");
        for line in theirs.lines().filter(|line| !line.ends_with(": []")) {
            prop_assert!(both.lines().any(|found| found == line), "{line:?} is lost from {both}");
        }
        let back = unmerge(&both, &is_ours).expect("unmerged");
        prop_assert_eq!(
            meaning(&back, &is_ours).expect("read"),
            meaning(&theirs, &is_ours).expect("read")
        );
        // Lists that were not empty come back to the byte.
        let full = LISTS.iter().all(|list| theirs.contains(&format!("{list}:\n")));
        if full && theirs.contains("current-context") {
            prop_assert_eq!(back.trim_end(), theirs.trim_end());
        }
        prop_assert_eq!(merged(&both).expect("merged again"), both);
    }

    #[test]
    fn no_input_makes_it_panic_or_lie(text in "(clusters|users|contexts|kind|a|-|:|\\[|\\]|\\{|\\}|\"|'|#|\\||\n|  | |null|Config|name: prod){0,24}") {
        if let Ok(both) = merged(&text) {
            let before = meaning(&text, &is_ours).expect("merged, so it was read");
            let after = meaning(&both, &is_ours).expect("ours is YAML");
            prop_assert_eq!(after.lists, before.lists);
            prop_assert_eq!(after.rest, before.rest);
        }
    }
}
