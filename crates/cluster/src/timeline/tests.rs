use expect_test::expect;

use super::*;

fn span(subject: &str, phase: &str, from: i64, to: i64, waits: bool) -> Span {
    Span {
        subject: subject.to_owned(),
        phase: phase.into(),
        from_ms: from,
        to_ms: Some(to),
        waits,
        outcome: PhaseOutcome::Done,
        note: String::new(),
    }
}

/// A run like those measured: machines at 18 s, etcd, init, joins.
fn run() -> Timeline {
    let mut timeline = Timeline::begin("up", "ha", 1_000);
    timeline.spans = vec![
        span(RUN, "files", 0, 200, false),
        span(RUN, "machines", 200, 18_000, false),
        span("etcdone", "create", 300, 15_000, false),
        span("etcdone", "etcd-start", 15_000, 15_900, false),
        span("etcdone", "etcd-quorum", 15_900, 16_400, false),
        span("lbone", "create", 300, 14_000, false),
        span("lbone", "vip", 14_000, 15_200, false),
        span("masterone", "create", 300, 16_000, false),
        span("masterone", "prepare", 16_000, 16_300, false),
        span("masterone", "wait-etcd", 16_300, 16_500, true),
        span("masterone", "init", 16_500, 23_000, false),
        span("mastertwo", "create", 300, 17_900, false),
        span("mastertwo", "wait-endpoint", 17_950, 23_200, true),
        span("mastertwo", "join", 23_200, 36_000, false),
        span("mastertwo", "node-ready", 36_000, 37_000, true),
        span(RUN, "watch", 18_000, 37_100, true),
        span(RUN, "verify", 37_100, 38_000, false),
    ];
    timeline
}

#[test]
fn the_critical_path_follows_what_was_waited_for() {
    let links: Vec<String> = critical::path(&run().spans)
        .iter()
        .map(|link| {
            let took = seconds(link.to_ms - link.from_ms);
            format!("{} {} {took}", link.subject, link.phase)
        })
        .collect();
    expect![[r"
        (run) files 0.2 s
        etcdone create 14.7 s
        etcdone etcd-start 0.9 s
        etcdone etcd-quorum 0.5 s
        masterone init 6.5 s
        mastertwo join 12.8 s
        (run) verify 0.9 s"]]
    .assert_eq(&links.join("\n"));
}

#[test]
fn a_timeline_is_read_as_it_was_written() {
    let mut timeline = run();
    timeline.start(
        "workerone",
        "join",
        37_900,
        false,
        "a `\"` and a line\nbreak",
    );
    let text = serde_json::to_string(&timeline).expect("plain data");
    let read: Timeline = serde_json::from_str(&text).expect("what was written");
    assert_eq!(read, timeline);
    assert_eq!(read.outcome, PhaseOutcome::Running);
    expect![[r#"{"subject":"workerone","phase":"join","from_ms":37900,"to_ms":null,"waits":false,"outcome":"running","note":"x"}"#]]
        .assert_eq(
            &serde_json::to_string(&Span {
                note: "x".to_owned(),
                ..read.spans.last().expect("one").clone()
            })
            .expect("plain data"),
        );
}

#[test]
fn no_spans_no_path() {
    assert!(critical::path(&[]).is_empty());
    assert_eq!(Timeline::begin("up", "ha", 0).length_ms(), 0);
}

#[test]
fn phases_begin_go_on_and_end() {
    let mut timeline = Timeline::begin("up", "ha", 0);
    timeline.start("m", "prepare", 10, false, "");
    timeline.start("m", "prepare", 20, false, "sysctls");
    timeline.end("m", "prepare", 30, PhaseOutcome::Done, "");
    // Only its end was heard of, as after a reconnect.
    timeline.end("m", "init", 90, PhaseOutcome::Done, "");
    // It began before, and again after a restart of the unit.
    timeline.start("m", "join", 100, false, "");
    timeline.close(120, PhaseOutcome::Interrupted);
    let told: Vec<_> = timeline
        .spans
        .iter()
        .map(|span| (span.phase.name(), span.from_ms, span.to_ms, span.outcome))
        .collect();
    assert_eq!(
        told,
        [
            ("prepare", 10, Some(30), PhaseOutcome::Done),
            ("init", 30, Some(90), PhaseOutcome::Done),
            ("join", 100, Some(120), PhaseOutcome::Interrupted),
        ]
    );
    assert_eq!(timeline.spans[0].note, "sysctls");
    assert_eq!(timeline.outcome, PhaseOutcome::Interrupted);
}

#[test]
fn what_a_machine_does_while_vagrant_finishes_is_its_own() {
    let mut timeline = Timeline::begin("up", "ha", 0);
    timeline.spans = vec![
        span("m", "create", 0, 12_000, false),
        span("m", "prepare", 8_000, 8_500, false),
        span("n", "create", 0, 9_000, false),
    ];
    timeline.close(20_000, PhaseOutcome::Done);
    assert_eq!(timeline.spans[0].to_ms, Some(8_000));
    assert_eq!(timeline.spans[2].to_ms, Some(9_000));
}

#[test]
fn a_clock_that_is_behind_makes_no_negative_span() {
    let mut timeline = Timeline::begin("up", "ha", 0);
    timeline.start("m", "init", 100, false, "");
    timeline.end("m", "init", 90, PhaseOutcome::Done, "");
    assert_eq!(timeline.spans[0].to_ms, Some(100));
}

#[test]
fn what_waits_is_work_once_it_works() {
    let mut timeline = Timeline::begin("up", "ha", 0);
    timeline.start("m", "vip", 0, true, "for haproxy");
    timeline.start("m", "vip", 5, false, "asking keepalived");
    assert!(!timeline.spans[0].waits);
}

proptest::proptest! {
    #[test]
    fn the_path_is_a_chain_inside_the_run(
        raw in proptest::collection::vec((0..5_usize, 0..6_usize, 0..50_000_i64, 0..9_000_i64, proptest::bool::ANY), 0..60)
    ) {
        let phases = ["create", "etcd-quorum", "wait-etcd", "init", "join", "ready"];
        let spans: Vec<Span> = raw
            .into_iter()
            .map(|(subject, phase, from, took, waits)| {
                span(&format!("m{subject}"), phases[phase], from, from + took, waits)
            })
            .collect();
        let path = critical::path(&spans);
        for pair in path.windows(2) {
            proptest::prop_assert!(pair[0].from_ms < pair[1].from_ms);
        }
        for link in &path {
            proptest::prop_assert!(link.from_ms < link.to_ms);
        }
    }
}

#[test]
fn what_machines_print_becomes_spans() {
    let mut timeline = Timeline::begin("up", "ha", 0);
    let mut at_ms = 0;
    let mut counts = Vec::new();
    for _ in 0..3 {
        for line in [
            "CARAVAN 1 prepare start masterone, control-plane",
            "CARAVAN 1 prepare done",
            "CARAVAN 1 wait-etcd start",
            "CARAVAN 1 wait-etcd wait etcd's quorum (0s)",
            "CARAVAN 1 wait-etcd done",
            "CARAVAN 1 init start",
            "CARAVAN 1 init fail kubeadm init: see above",
        ] {
            at_ms += 100;
            let line = PhaseLine::parse(line).expect("a line of a phase");
            timeline.hear("masterone", &line, at_ms);
        }
        counts.push(timeline.failures("masterone", &Phase::Init));
    }
    // Tries of a phase are counted though others are between.
    assert_eq!(counts, [1, 2, 3]);
    assert_eq!(timeline.failures("masterone", &Phase::Prepare), 0);
    assert_eq!(timeline.failures("mastertwo", &Phase::Init), 0);
    let first: Vec<_> = timeline.spans[..3]
        .iter()
        .map(|span| (span.phase.name(), span.from_ms, span.to_ms, span.waits))
        .collect();
    assert_eq!(
        first,
        [
            ("prepare", 100, Some(200), false),
            ("wait-etcd", 300, Some(500), true),
            ("init", 600, Some(700), false),
        ]
    );
    assert_eq!(timeline.spans[2].note, "kubeadm init: see above");
}
