//! What a report says, drawn and written, of labs in every condition.
#![allow(missing_docs)]

mod fixture;

use std::collections::BTreeSet;

use caravan_cluster::phase::Phase;
use caravan_cluster::timeline::{PhaseOutcome, Span};
use caravan_lab::Lab;
use caravan_lab::generate::{Shape, lab_file};
use caravan_report::page::{MadeBy, html};
use caravan_report::svg::{PictureUse, PictureWidth, topology};
use caravan_report::topology::Topology;
use caravan_report::verdict::{Outcome, Standing};
use caravan_report::{LabRecords, LabReport, junit, mermaid};
use caravan_secrets::KnownSecrets;
use expect_test::expect_file;

const MADE_BY: MadeBy<'_> = MadeBy {
    tool: "cargo xtask",
    version: "0.1.0",
};

/// Everything that is written of a report.
struct Written {
    html: String,
    json: String,
    svg: String,
    mermaid: String,
}

impl Written {
    fn of(records: &LabRecords<'_>) -> Self {
        let report = LabReport::of(records);
        Self {
            html: html(&report, MADE_BY).expect("the templates are whole"),
            json: report.to_json(),
            svg: topology(&report.topology, PictureUse::File, PictureWidth::Wide),
            mermaid: mermaid::mermaid(&report.topology),
        }
    }

    fn each(&self) -> [&str; 4] {
        [&self.html, &self.json, &self.svg, &self.mermaid]
    }
}

/// Compares with the golden files of this name; data is indented there, so that a difference is a line.
fn golden(name: &str, records: &LabRecords<'_>) {
    let written = Written::of(records);
    let file = |end: &str| format!("{}/tests/golden/{name}.{end}", env!("CARGO_MANIFEST_DIR"));
    expect_file![file("html")].assert_eq(&written.html);
    expect_file![file("svg")].assert_eq(&written.svg);
    expect_file![file("mmd")].assert_eq(&written.mermaid);
    assert_sound(&written.html);
    // What each request of a drill was is in the page's golden, as dots.
    let mut report = LabReport::of(records);
    for drill in &mut report.drills {
        drill.chart = None;
    }
    let data = serde_json::to_string_pretty(&report).expect("plain data");
    expect_file![file("json")].assert_eq(&(data + "\n"));
    let read = LabReport::read(written.json.as_bytes()).expect("its own form");
    assert_eq!(read, LabReport::of(records));
}

#[test]
fn a_lab_that_is_well() {
    golden("ha-well", &fixture::well(&fixture::lab("ha")));
}

#[test]
fn a_lab_that_is_half_broken() {
    golden("ha-half-broken", &fixture::half_broken(&fixture::lab("ha")));
}

#[test]
fn a_lab_that_is_not_there() {
    golden(
        "external-etcd-absent",
        &fixture::absent(&fixture::lab("external-etcd")),
    );
}

#[test]
fn a_lab_without_load_balancers() {
    golden(
        "external-etcd-well",
        &fixture::well(&fixture::lab("external-etcd")),
    );
}

#[test]
fn a_lab_that_is_halted() {
    golden(
        "three-servers-halted",
        &fixture::halted(&fixture::lab("three-servers")),
    );
}

/// The picture of the README is the tool's own.
#[test]
fn the_picture_of_the_readme() {
    let picture = Topology::of_file(&fixture::lab("ha"));
    let picture = topology(&picture, PictureUse::File, PictureWidth::Wide);
    expect_file!["../../../docs/topology.svg"].assert_eq(&picture);
}

/// All values of an attribute.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let begin = format!(" {attribute}=\"");
    let parts = html.split(begin.as_str()).skip(1);
    parts.filter_map(|part| part.split('"').next()).collect()
}

/// Holds that a page loads nothing, leads nowhere that is not in it, and says nothing by colour alone.
fn assert_sound(html: &str) {
    let ids = values(html, "id");
    let known: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(known.len(), ids.len(), "an id is there twice");
    for link in values(html, "href") {
        let place = link.strip_prefix('#');
        let is_here = place.is_some_and(|id| known.contains(id));
        assert!(is_here || link == "data:,", "{link}");
    }
    assert_eq!(values(html, "src"), [""; 0]);
    for load in [
        "@import",
        "url(http",
        "fetch(",
        "XMLHttpRequest",
        "<link rel=\"stylesheet",
    ] {
        assert!(!html.contains(load), "{load}");
    }
    assert_eq!(html.matches("<script").count(), 1, "the page's own alone");
    for said in html.split("<span class=\"state ").skip(1) {
        let text = said.split('>').nth(1).unwrap_or_default();
        let mark = text.chars().next().unwrap_or(' ');
        assert!("✓✕–?→‖○".contains(mark), "{text}");
    }
    for picture in html.split("<svg xmlns").skip(1) {
        let picture = picture.split("</svg>").next().unwrap_or_default();
        let picture = format!("<svg xmlns{picture}</svg>");
        if let Err(error) = roxmltree::Document::parse(&picture) {
            panic!("{error}");
        }
    }
}

#[test]
fn what_is_known_of_labs_in_every_condition() {
    let lab = fixture::lab("ha");
    let report = |records: LabRecords<'_>| LabReport::of(&records);
    let well = report(fixture::well(&lab));
    assert_eq!(well.verdict.standing, Standing::Well);
    assert_eq!(
        well.verdict.sentence,
        "All 9 machines run, and no promise is broken."
    );
    let owners = well.topology.machines.iter().filter(|it| it.owner).count();
    let leaders = well.topology.machines.iter().filter(|it| it.leader).count();
    assert_eq!((owners, leaders), (1, 1));
    let halted = report(fixture::halted(&lab));
    assert_eq!(halted.verdict.standing, Standing::Halted);
    let absent = report(fixture::absent(&lab));
    assert_eq!(absent.verdict.standing, Standing::Absent);
    assert_eq!(
        absent.verdict.count(Outcome::NotTested),
        absent.verdict.promises.len()
    );
    let broken = report(fixture::half_broken(&lab));
    assert_eq!(broken.verdict.standing, Standing::Unwell);
    assert_eq!(
        broken.verdict.sentence,
        "7 of 9 machines run, and 3 promises are broken; 6 things are not as they should be."
    );
    let silent = report(LabRecords {
        unasked: vec!["the engine does not answer".to_owned()],
        ..fixture::absent(&lab)
    });
    assert_eq!(silent.verdict.standing, Standing::Unknown);
    assert!(
        silent
            .topology
            .machines
            .iter()
            .all(|it| it.state == "unknown")
    );
}

#[test]
fn a_broken_refusal_is_told_at_its_edge() {
    let lab = fixture::lab("ha");
    let report = LabReport::of(&fixture::half_broken(&lab));
    let flow = |id: &str| {
        let flows = report.topology.flows.iter();
        flows
            .into_iter()
            .find(|flow| flow.id == id)
            .expect("a flow")
    };
    let refused = flow("workers-etcd");
    assert!(!refused.allowed);
    assert_eq!(refused.outcome, Outcome::Broken);
    assert!(
        refused.evidence[0].contains("reaches etcdone:2379"),
        "{refused:?}"
    );
    assert_eq!(flow("stranger-etcd").outcome, Outcome::Held);
    // The same check has seen that others are refused: a worker's way in is not theirs.
    let others = flow("balancers-etcd");
    assert_eq!(others.outcome, Outcome::Held);
    assert!(!others.evidence.iter().any(|it| it.contains("reaches")));
    let written = Written::of(&fixture::half_broken(&lab));
    assert!(
        written.svg.contains("edge refused broken"),
        "{}",
        written.svg
    );
    for picture in [&written.svg, &written.mermaid] {
        assert!(picture.contains("2379, 2380, 22 (!)"), "{picture}");
    }
}

#[test]
fn who_holds_the_address_and_is_not_well_is_both_in_each_picture() {
    let lab = fixture::lab("ha");
    let mut records = fixture::well(&lab);
    let status = records.status.as_mut().expect("there");
    let owner = status.vip.as_ref().expect("there").owners[0].clone();
    let mut machines = status.machines.iter_mut();
    let owner = machines.find(|it| it.name == owner).expect("there");
    owner.well = Some(false);
    let written = Written::of(&records);
    assert!(written.svg.contains("✕ not well ◆"), "{}", written.svg);
    let both = "not well<br/>holds the VIP";
    assert!(written.mermaid.contains(both), "{}", written.mermaid);
    assert!(
        written
            .html
            .contains("✕ not well; ◆ holds the virtual address")
    );
}

#[test]
fn the_longest_gap_is_that_of_the_judge() {
    let lab = fixture::lab("ha");
    let report = LabReport::of(&fixture::well(&lab));
    for drill in &report.drills {
        let chart = drill.chart.as_ref().expect("drawn");
        assert_eq!(chart.requests.len(), drill.clients.len());
        for (lane, client) in chart.requests.iter().zip(&drill.clients) {
            assert_eq!(lane.name, client.client);
            let gap = lane.gaps.first().map_or(0, |(from, to)| to - from);
            assert_eq!(gap, client.away.1, "{}", lane.name);
            let dots = lane.good.len() + lane.failed.len() + lane.unknown.len();
            assert!(dots >= client.asked, "every request is a dot");
        }
    }
}

const PEM: &str = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY+oAoGCCqGSM49\nAwEHoUQDQgAE1\n-----END EC PRIVATE KEY-----";
const TOKEN: &str = "abcdef.0123456789abcdef";
const PASSWORD: &str = "k9Lr2xQp";

#[test]
fn no_key_or_token_is_in_it() {
    let lab = fixture::lab("ha");
    let mut records = fixture::well(&lab);
    records.secrets = KnownSecrets::of_files([PASSWORD]);
    let planted = format!("{PEM} then {TOKEN} then {PASSWORD}!");
    // A line of a journal.
    records.runs[1].spans.push(Span {
        subject: "lbone".to_owned(),
        phase: Phase::Vip,
        from_ms: 100,
        to_ms: Some(200),
        waits: false,
        outcome: PhaseOutcome::Failed,
        note: planted.clone(),
    });
    let verification = records.verification.as_mut().expect("there");
    verification.checks[0].evidence.clone_from(&planted);
    verification.checks[0].findings[0].text.clone_from(&planted);
    records.drills[0].result.reasons.push(planted.clone());
    records.drills[0].file.clone_from(&planted);
    records.edits.push(planted.clone());
    records.unreadable.push(planted.clone());
    records.unasked.push(planted.clone());
    records.certificates[0].subject = planted;
    let verification = records.verification.clone().expect("there");
    let written = Written::of(&records);
    let junit = junit::junit(&verification, &records.secrets).expect("XML");
    let mut texts: Vec<&str> = written.each().to_vec();
    texts.push(&junit);
    assert!(
        written
            .html
            .contains("[secret] then [secret] then [secret]!")
    );
    for text in texts {
        assert!(!text.contains(PASSWORD), "{text}");
        for secret in [
            "MHcCAQEEIIrYSSNQFaA2",
            "AwEHoUQDQgAE1",
            "0123456789abcdef",
            "PRIVATE KEY",
        ] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
    assert_sound(&written.html);
}

#[test]
fn markup_in_records_is_text() {
    let lab = fixture::lab("ha");
    let mut records = fixture::well(&lab);
    let evil = "</script><script>alert(1)</script> \" onload=\"x <!-- ]]> {{lab}}";
    records.runs[1].spans[3].note = evil.to_owned();
    records.runs[1].spans[3].outcome = PhaseOutcome::Failed;
    records.host = evil.to_owned();
    let verification = records.verification.as_mut().expect("there");
    verification.checks[3].findings[0].text = evil.to_owned();
    records.drills[0].result.clients[0]
        .errors
        .push((evil.to_owned(), 1));
    let drilled = records.drills[0].records.as_mut().expect("there");
    drilled.states[0].leader = Some(evil.to_owned());
    let status = records.status.as_mut().expect("there");
    status.machines[0].well = Some(false);
    status.machines[0].why = Some(evil.to_owned());
    let written = Written::of(&records);
    assert!(
        written
            .html
            .contains("&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;")
    );
    assert_sound(&written.html);
    assert!(!written.svg.contains("<script"));
    roxmltree::Document::parse(&written.svg).expect("XML");
}

#[test]
fn a_thousand_machines_stay_a_page() {
    let source = lab_file(&Shape::of_machines(1000));
    let lab = Lab::parse("big", &source).expect("valid");
    let records = fixture::well(&lab);
    let written = Written::of(&records);
    let size = |text: &str| text.len() / 1024;
    assert!(size(&written.html) < 1500, "{} KiB", size(&written.html));
    assert!(size(&written.svg) < 400, "{} KiB", size(&written.svg));
    assert!(size(&written.mermaid) < 8, "{} KiB", size(&written.mermaid));
    assert!(written.html.contains("data-machine=\"worker990\""));
    assert_eq!(
        written.html.matches("class=\"bar-row\"").count(),
        42,
        "bars of forty machines"
    );
    assert_sound(&written.html);
}

#[test]
fn the_difference_from_the_report_before() {
    let lab = fixture::lab("ha");
    let before = LabReport::of(&fixture::well(&lab));
    let again = LabReport::of(&LabRecords {
        before: Some(Box::new(before.clone())),
        host: "another load".to_owned(),
        ..fixture::well(&lab)
    });
    assert_eq!(again.difference.expect("one before").changes, []);
    let broken = LabReport::of(&LabRecords {
        before: Some(Box::new(before)),
        ..fixture::half_broken(&lab)
    });
    let changes = broken.difference.expect("one before").changes;
    let change = |what: &str| {
        let found = changes.iter().find(|it| it.what == what);
        found.map(|it| (it.before.as_str(), it.after.as_str()))
    };
    assert_eq!(change("promise vip-owner"), Some(("holds", "broken")));
    assert_eq!(
        change("promise etcd-survives-one"),
        Some(("holds", "not tested"))
    );
    assert_eq!(change("drill etcd-leader:crash").map(|it| it.1), Some(""));
    assert_eq!(change("promise machines-run"), None);
}

#[test]
fn another_form_is_no_report() {
    let lab = fixture::lab("external-etcd");
    let report = LabReport::of(&fixture::absent(&lab));
    let text = report.to_json();
    assert_eq!(LabReport::read(text.as_bytes()), Some(report));
    let newer = text.replace("\"format\":2", "\"format\":3");
    assert_ne!(newer, text);
    assert_eq!(LabReport::read(newer.as_bytes()), None);
    assert_eq!(LabReport::read(b"<html>"), None);
}

#[test]
fn a_verification_for_ci_systems() {
    let lab = fixture::lab("external-etcd");
    let mut verification = fixture::well(&lab).verification.expect("there");
    let wanted = ["machines-run", "etcd-members", "vip-owner"];
    verification
        .checks
        .retain(|it| wanted.contains(&it.id.as_str()));
    verification.checks[1].outcome = caravan_cluster::verify::VerifyOutcome::Failed;
    verification.checks[1].findings[1].holds = false;
    // An escape sequence, as a program's colours are, is nothing that XML can hold.
    verification.checks[1].findings[1].text = "two: \u{1b}[31mred\u{1b}[0m <b> & \u{0}".to_owned();
    let text = junit::junit(&verification, &KnownSecrets::default()).expect("XML");
    expect_file!["golden/junit.xml"].assert_eq(&text);
    let document = roxmltree::Document::parse(&text).expect("XML");
    let suite = document
        .descendants()
        .find(|it| it.has_tag_name("testsuite"))
        .expect("one");
    let count = |name| {
        suite
            .attribute(name)
            .and_then(|it| it.parse::<usize>().ok())
    };
    assert_eq!(
        (count("tests"), count("failures"), count("skipped")),
        (Some(3), Some(1), Some(1))
    );
}
