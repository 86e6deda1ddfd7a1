use proptest::prelude::*;

use super::*;

fn is_ours(name: &str) -> bool {
    name == "caravan-ha" || name.starts_with("caravan-ha-")
}

/// The lab's own kubeconfig, as the crate `pki` writes it.
const OWN: &str = r#"apiVersion: v1
kind: Config
clusters:
- name: "caravan-ha"
  cluster:
    certificate-authority-data: Y2E=
    server: "https://192.168.29.80:6443"
- name: "caravan-ha-masterone"
  cluster:
    certificate-authority-data: Y2E=
    server: "https://192.168.29.51:6443"
contexts:
- name: "caravan-ha"
  context:
    cluster: "caravan-ha"
    user: "caravan-ha-admin"
current-context: "caravan-ha"
users:
- name: "caravan-ha-admin"
  user:
    client-key-data: a2V5
"#;

fn merged(text: &str) -> Result<String, Refusal> {
    merge(text, &entries(OWN), Some("caravan-ha"), &is_ours).map(|merged| merged.text)
}

fn unmerged(text: &str) -> Result<String, Refusal> {
    unmerge(text, &is_ours)
}

#[test]
fn an_empty_file_becomes_ours_and_is_empty_again() {
    let text = merged("").expect("merged");
    expect_test::expect![[r#"
        clusters: # added by caravan
        - name: "caravan-ha"
          cluster:
            certificate-authority-data: Y2E=
            server: "https://192.168.29.80:6443"
        - name: "caravan-ha-masterone"
          cluster:
            certificate-authority-data: Y2E=
            server: "https://192.168.29.51:6443"
        contexts: # added by caravan
        - name: "caravan-ha"
          context:
            cluster: "caravan-ha"
            user: "caravan-ha-admin"
        users: # added by caravan
        - name: "caravan-ha-admin"
          user:
            client-key-data: a2V5
        current-context: caravan-ha # added by caravan
    "#]]
    .assert_eq(&text);
    assert_eq!(unmerged(&text).as_deref(), Ok(""));
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
          - name: "caravan-ha"
            cluster:
              certificate-authority-data: Y2E=
              server: "https://192.168.29.80:6443"
          - name: "caravan-ha-masterone"
            cluster:
              certificate-authority-data: Y2E=
              server: "https://192.168.29.51:6443"

        contexts:
        - context: {cluster: prod, user: me}
          name: prod
        - name: "caravan-ha"
          context:
            cluster: "caravan-ha"
            user: "caravan-ha-admin"
        current-context: prod
        users:
        - name: me
          user:
            exec: {command: aws, args: [a, b]}
            note: |
              - name: caravan-ha
        - name: "caravan-ha-admin"
          user:
            client-key-data: a2V5
        # the end"#]]
    .assert_eq(&text);
    assert_eq!(unmerged(&text).as_deref(), Ok(THEIRS));
}

#[test]
fn every_shape_comes_back_to_the_byte() {
    let pretty = "{\n  \"kind\": \"Config\",\n  \"clusters\": [\n    {\n      \"name\": \"prod\"\n    }\n  ],\n  \"users\": []\n}\n";
    for text in [
        "",
        "# only a remark\n",
        "# only a remark",
        "\u{feff}",
        "\u{feff}clusters: []\n",
        "---\n",
        "---\nkind: Config\n...\n",
        "---\nkind: Config\n---\n",
        "kind: Config\n...\n# after\n",
        "kind: Config",
        "kind: Config\r\nusers: null\r\nclusters:\r\n- name: a\r\n",
        "kind: Config\r\nclusters:\r\n- name: a",
        "kind: Config\rusers: ~\rclusters:\r- name: a\r",
        "  kind: Config\n  clusters:\n  - name: a\n",
        "clusters: []\ncontexts: [ ]\nusers: null\ncurrent-context: \"\"\n",
        "clusters:\ncontexts: ~\nusers: Null # none\ncurrent-context:\n",
        "clusters: # none\ncontexts:   # none\nusers: [] # none\ncurrent-context: '' # none\n",
        "clusters : null\n\"contexts\": null\n'users': []\n\"current-context\": \"\"\n",
        "current-context: null\nclusters: [\n]\n",
        "current-context: ''\nclusters: [ # none\n  ]\n",
        "clusters: [{name: prod}]\n",
        "clusters: [{name: prod},]\n",
        "clusters: [\n  {name: prod}, # the big one\n  {name: dev}\n]\nkind: Config\n",
        "clusters: [\n  {name: prod}\n]",
        "{}",
        "{}\n",
        "{ }\n",
        "{\"kind\": \"Config\"}\n",
        "{\"clusters\": null, \"contexts\": [], \"users\": null}",
        "{\"clusters\":[{\"name\":\"a\"},{\"name\":\"b\"}],\"current-context\":\"a\"}",
        "{\"current-context\": \"\", \"users\": [ ]}\n",
        "{kind: Config, clusters: [{name: a}], }\n",
        "{kind: Config, # a remark\n clusters: [\n  {name: a}]}\n",
        pretty,
        &pretty.replace('\n', "\r\n"),
        &pretty.replace("  ", "\t"),
        "clusters:\n-\n  name: a\n-   name: b\n",
        "clusters:\n    - cluster: &c {server: x}\n      name: a\n    - {name: b, cluster: *c}\n",
        "clusters:\n- name: 'a\n    b'\n- name: >-\n    c\n\n\n# the end\n",
        "clusters:\n- name: a\n  note: |+\n    kept\n\n\nkind: Config\n",
        "clusters:\n- name: a\n  note: |\n    kept\n\n\n",
        "users:\n- name: 1\n- name: null\n- {}\n- \n- text\n",
        "? kind\n: Config\n",
        "clusters:\n- name: a # tls\n# a remark\n\n- name: b # last\n# a remark\nkind: Config\n",
        "current-context: mine # chosen\n",
        "clusters:\n- name: é\n- name: \"\\u00e9x\"\n",
        "%YAML 1.1\n---\nclusters: []\n",
        THEIRS,
    ] {
        let both = merge(text, &entries(OWN), Some("caravan-ha"), &is_ours);
        let both = both.unwrap_or_else(|refusal| panic!("{text:?}: {refusal:?}"));
        assert!(both.comes_back, "{text:?}\n{}", both.text);
        assert_eq!(unmerged(&both.text).as_deref(), Ok(text), "{}", both.text);
        assert_eq!(merged(&both.text).as_ref(), Ok(&both.text), "again");
        let found = contents(&both.text).expect("read");
        assert_eq!(
            found.names.iter().filter(|(_, name)| is_ours(name)).count(),
            4
        );
        if text.starts_with('{') && !text.contains("kind: Config") && !text.contains(",]") {
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(&both.text);
            assert!(parsed.is_ok(), "JSON stays JSON: {}", both.text);
        }
    }
}

#[test]
fn two_labs_come_and_go_in_any_order() {
    let other = OWN.replace("caravan-ha", "caravan-two");
    let is_other = |name: &str| name == "caravan-two" || name.starts_with("caravan-two-");
    for text in [
        "",
        "users: null\nclusters: []\n",
        "{\"users\": null}",
        THEIRS,
    ] {
        let one = merged(text).expect("merged");
        let both = merge(&one, &entries(&other), Some("caravan-two"), &is_other);
        let both = both.expect("merged").text;
        assert_eq!(unmerge(&both, &is_other).as_ref(), Ok(&one));
        let two = unmerged(&both).expect("unmerged");
        assert_eq!(
            unmerge(&two, &is_other).as_deref(),
            Ok(text),
            "{both}\n---\n{two}"
        );
    }
}

#[test]
fn the_current_context_is_the_users() {
    let chosen = merged("current-context: mine\n").expect("merged");
    assert!(chosen.starts_with("current-context: mine\n"), "{chosen}");
    // Another file of the list has one.
    let elsewhere = merge("kind: Config\n", &entries(OWN), None, &is_ours).expect("merged");
    assert_eq!(contents(&elsewhere.text).expect("read").current, None);
    // One of ours that somebody else chose goes with us.
    let text = "kind: Config\ncurrent-context: caravan-ha-masterone\n";
    assert_eq!(
        unmerged(text).as_deref(),
        Ok("kind: Config\ncurrent-context: \"\"\n")
    );
    let text = "{\"current-context\": \"caravan-ha\", \"kind\": \"Config\"}";
    assert_eq!(unmerged(text).as_deref(), Ok("{\"kind\": \"Config\"}"));
}

#[test]
fn a_file_that_kubectl_wrote_anew_is_emptied_of_ours() {
    // kubectl sorts what it writes and drops comments.
    let text = "apiVersion: v1\nclusters:\n- cluster:\n    server: https://x\n  name: caravan-ha\ncontexts: null\ncurrent-context: caravan-ha\nkind: Config\nusers:\n- name: me\n  user: {}\n- name: caravan-ha-admin\n  user: {}\n";
    let expected = "apiVersion: v1\nclusters: []\ncontexts: null\ncurrent-context: \"\"\nkind: Config\nusers:\n- name: me\n  user: {}\n";
    assert_eq!(unmerged(text).as_deref(), Ok(expected));
}

#[test]
fn what_cannot_be_kept_is_refused() {
    for (text, expected) in [
        ("clusters: [", "NotYaml"),
        ("\tclusters: []\n\tx: y", "NotYaml"),
        ("- a\n", "NotAKubeconfig"),
        ("text\n", "NotAKubeconfig"),
        ("null\n", "NotAKubeconfig"),
        ("kind: Pod\n", "NotAKubeconfig"),
        ("kind: Config\napiVersion: v2\n", "NotAKubeconfig"),
        ("a: 1\n---\nb: 2\n", "SeveralDocuments"),
        ("clusters: []\nclusters: []\n", "Twice"),
        ("x: &x {clusters: []}\n<<: *x\n", "MergeKey"),
        ("clusters: {name: prod}\n", "NotAList"),
        ("clusters: 3\n", "NotAList"),
        ("x: &x []\nclusters: *x\n", "NotAList"),
        ("clusters:\n- name: a\n- name: a\n", "SameName"),
        ("clusters: &x\n- name: a\n", "Shape"),
        ("clusters:\n  null\n", "Shape"),
        ("? clusters\n: - name: a\n", "Shape"),
        ("? clusters\n:\n", "Shape"),
        ("{clusters}\n", "Shape"),
        // Without its last line end the text of the block is another one to kubectl.
        ("note: |\n  text", "Meaning"),
    ] {
        let refusal = merged(text).expect_err(text);
        assert!(
            format!("{refusal:?}").starts_with(expected),
            "{text}: {refusal:?}"
        );
    }
}

#[test]
fn no_message_shows_a_byte_of_the_file() {
    for text in [
        "users: [SECRET",
        "users: \"SECRET",
        "users: @SECRET",
        "users: !<SECRET",
        "SECRET: 'a' b",
    ] {
        let shown = merged(text).expect_err(text).to_string();
        assert!(!shown.contains("SECRET") && !shown.contains('@'), "{shown}");
    }
}

#[test]
fn unmerging_what_has_nothing_of_ours_changes_nothing() {
    for text in [THEIRS, "", "clusters:\n- name: a\n- name: a\n"] {
        assert_eq!(unmerged(text).as_deref(), Ok(text));
    }
}

/// A list as people and programs write them.
fn list(name: &'static str) -> impl Strategy<Value = String> {
    let entry = ("[a-z][a-z0-9-]{0,8}", "[ -~]{0,12}", 0..4_usize);
    let entries = prop::collection::btree_map("[a-z][a-z0-9]{0,8}", entry, 0..4);
    (entries, 0..5_usize, 0..6_usize, any::<bool>()).prop_map(
        move |(entries, depth, style, remark)| {
            let pad = " ".repeat(depth);
            let mut text = match (entries.is_empty(), style) {
                (true, 0) => format!("{name}: []"),
                (true, 1) => format!("{name}: null"),
                (true, 2) => format!("{name}:"),
                (true, 3) => format!("\"{name}\" : ~"),
                (true, _) => format!("{name}: [ ]"),
                (false, 0..3) => format!("{name}:"),
                (false, _) => format!("{name}: [{pad}"),
            };
            let is_flow = style >= 3;
            let mut first = true;
            for (entry, (_, value, shape)) in entries {
                let value = value.replace(['"', '\\'], "");
                if is_flow {
                    let comma = if first { "" } else { "," };
                    text += &format!("{comma} {{name: {entry}, \"extra\":\"{value}\"}}");
                } else {
                    let mark = match shape {
                        0 => format!("- extra: \"{value}\"\n{pad}  name: {entry}"),
                        1 => format!("-\n{pad}  name: {entry}"),
                        2 => format!("- {{name: {entry}}} # why"),
                        _ => format!("-   name: {entry}\n{pad}    note: |\n{pad}      x\n"),
                    };
                    text += &format!("\n{pad}{mark}");
                }
                first = false;
            }
            if is_flow && !first {
                text += " ]";
            }
            text += "\n";
            if remark {
                text += "# a remark\n\n";
            }
            text
        },
    )
}

fn kubeconfig() -> impl Strategy<Value = String> {
    let rest = prop_oneof![
        Just("apiVersion: v1\nkind: Config\n".to_owned()),
        Just("preferences: {}\n".to_owned()),
        Just("current-context: mine\n".to_owned()),
        Just("current-context: \"\"\n".to_owned()),
        Just("current-context:\n".to_owned()),
        Just("# nothing\n\n".to_owned()),
        Just("extensions:\n- name: x\n  extension: {a: [1, 2]}\n".to_owned()),
    ];
    (
        Just(vec![0, 1, 2, 3]).prop_shuffle(),
        0..5_usize,
        (list("clusters"), list("contexts"), list("users"), rest),
        0..3_usize,
        any::<bool>(),
    )
        .prop_map(
            |(order, count, (clusters, contexts, users, rest), line_end, cut)| {
                let parts = [clusters, contexts, users, rest];
                let order = order.into_iter().take(count);
                let mut text: String = order.map(|part| parts[part].clone()).collect();
                // A block that is cut before its line end is another one, which is refused.
                if cut && text.ends_with('\n') && !text.contains('|') {
                    text.pop();
                }
                text.replace('\n', ["\n", "\r\n", "\r"][line_end])
            },
        )
}

proptest! {
    #[test]
    fn nothing_of_theirs_is_lost(theirs in kubeconfig()) {
        let both = merge(&theirs, &entries(OWN), Some("caravan-ha"), &is_ours);
        let both = both.expect("such files are merged");
        prop_assert!(both.comes_back, "{:?}", both.text);
        let back = unmerged(&both.text).expect("unmerged");
        prop_assert_eq!(&back, &theirs);
        prop_assert_eq!(merged(&both.text).expect("merged again"), both.text);
    }

    #[test]
    fn no_input_makes_it_panic_or_lie(text in "(clusters|users|contexts|kind|current-context|a|-|:|,|\\[|\\]|\\{|\\}|\"|'|#|\\||>|&x|\\*x|!t|\n|\r|  | |null|Config|caravan-ha|name: prod|name: caravan-ha){0,24}") {
        if let Ok(without) = unmerged(&text) {
            prop_assert_eq!(unmerged(&without), Ok(without.clone()));
        }
        if let Ok(both) = merge(&text, &entries(OWN), Some("caravan-ha"), &is_ours) {
            let before = Meaning::of(&text, &is_ours).expect("merged, so it was read");
            let after = Meaning::of(&both.text, &is_ours).expect("ours is YAML");
            prop_assert!(after.is_same_but_for_ours(&before));
            let without = unmerged(&text).expect("merged, so it was unmerged");
            prop_assert_eq!(both.comes_back, unmerged(&both.text) == Ok(without));
        }
    }
}
