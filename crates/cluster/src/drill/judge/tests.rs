//! The negative controls: what was planted must turn the verdict. And figures that were counted by hand.

use super::*;
use crate::drill::record::{DrillHeader, MemberFinalRecord, StateRecord, WatchEvent, WatchRecord};

mod state;

const MS: Micros = 1000;

fn request(client: ClientName, scheduled_ms: u64, outcome: RequestOutcome) -> RequestRecord {
    let scheduled = scheduled_ms * MS;
    RequestRecord {
        client,
        scheduled,
        sent: scheduled + 200,
        ended: scheduled + 3 * MS,
        outcome,
        wrote: None,
    }
}

fn unknown() -> RequestOutcome {
    RequestOutcome::Unknown("no answer".to_owned())
}

/// Ten seconds of an undisturbed lab, in which something is broken after the fifth: reads every 20 ms, creates and steps of the
/// chain every 50 ms, all seen by a watch and kept by three members.
fn calm() -> DrillRecords {
    let mut requests = Vec::new();
    for at in (0..10_000).step_by(20) {
        requests.push(request(ClientName::Reads, at, RequestOutcome::Ok));
    }
    let mut watch = vec![WatchRecord {
        at: 0,
        event: WatchEvent::Begins { from: 100 },
    }];
    let mut created = Vec::new();
    for (number, at) in (0..10_000).step_by(50).enumerate() {
        let number = number as u64;
        for (client, wrote) in [
            (ClientName::Creates, number),
            (ClientName::Chain, number + 1),
        ] {
            requests.push(RequestRecord {
                wrote: Some(wrote),
                ..request(client, at, RequestOutcome::Ok)
            });
        }
        created.push(number);
        watch.push(WatchRecord {
            at: (at + 4) * MS,
            event: WatchEvent::Created {
                wrote: number,
                revision: 101 + 2 * number,
            },
        });
    }
    let steps = created.len() as u64;
    let finals = ["etcdone", "etcdtwo", "etcdthree"].map(|member| MemberFinalRecord {
        member: member.to_owned(),
        created: created.clone(),
        chain: steps,
        hash: Some((500, 77)),
    });
    DrillRecords {
        header: DrillHeader {
            lab: "ha".to_owned(),
            drill: "etcd-leader:crash".to_owned(),
            began: "2026-11-29T12:00:00Z".to_owned(),
            versions: Vec::new(),
            host: "a computer".to_owned(),
            deadline: 1_000_000,
            warm: 0,
            stretch: 1,
            periods: (20 * MS, 50 * MS),
            budgets: vec![(ClientName::Reads, 300)],
            failed_percent: None,
            back_ms: None,
            priority: String::new(),
            from_file: Vec::new(),
            owner_stays: false,
            one_owner_ms: None,
            watched: Vec::new(),
        },
        requests,
        watch,
        states: vec![
            StateRecord {
                at: 1000 * MS,
                leader: Some("etcdone".to_owned()),
                term: Some(2),
                owners: vec!["lbone".to_owned()],
            },
            StateRecord {
                at: 9000 * MS,
                leader: Some("etcdtwo".to_owned()),
                term: Some(4),
                owners: vec!["lbone".to_owned()],
            },
        ],
        fault: Some(FaultRecord {
            fault: "etcdone crashed".to_owned(),
            how: "kill".to_owned(),
            sent: 5000 * MS,
            confirmed: 5100 * MS,
            repair_sent: Some(7000 * MS),
            repaired: Some(7200 * MS),
            healed: Some(8000 * MS),
            evidence: "gone".to_owned(),
            is_doubtful: false,
            cut: None,
        }),
        finals: finals.into(),
        end: 10_000 * MS,
    }
}

/// Makes requests of a client that were scheduled in this time, in milliseconds, end otherwise.
fn spoil(
    records: &mut DrillRecords,
    client: &ClientName,
    time_ms: std::ops::Range<u64>,
    outcome: &RequestOutcome,
) {
    let of = records
        .requests
        .iter_mut()
        .filter(|it| it.client == *client);
    for request in of.filter(|it| time_ms.contains(&(it.scheduled / MS))) {
        request.outcome = outcome.clone();
    }
}

fn reads(result: &DrillResult) -> &ClientFigures {
    let mut clients = result.clients.iter();
    let reads = clients.find(|it| it.client == ClientName::Reads);
    reads.expect("they were made")
}

#[test]
fn a_lab_that_was_never_away_is_held() {
    let result = judge(&calm());
    assert_eq!(result.verdict, DrillVerdict::Held, "{:?}", result.reasons);
    assert_eq!(reads(&result).away, (0, 0));
    assert_eq!(reads(&result).asked, 500);
    assert_eq!(
        (result.writes.acknowledged, result.watch.events),
        (200, 200)
    );
    assert_eq!(result.writes.chain, (200, 0, Some(200)));
    assert_eq!(
        result.leaders,
        (Some("etcdone".to_owned()), Some("etcdtwo".to_owned()))
    );
    assert_eq!(result.terms, Some(2));
    assert_eq!(
        result.owners.course,
        [(1000 * MS, vec!["lbone".to_owned()])]
    );
    assert_eq!((result.owners.moves, result.owners.shared), (0, 0));
    assert_eq!(
        (reads(&result).outages, reads(&result).during),
        (0, (95, 0))
    );
}

#[test]
fn an_outage_is_an_interval_between_scheduled_starts() {
    let mut records = calm();
    // 5040 to 5200: nine failed, from the good one at 5020 to the good one at 5220.
    spoil(&mut records, &ClientName::Reads, 5040..5201, &unknown());
    let result = judge(&records);
    assert_eq!(reads(&result).away, (160 * MS, 200 * MS));
    assert_eq!(reads(&result).failed, 9);
    assert_eq!(reads(&result).errors, [("no answer".to_owned(), 9)]);
    assert_eq!(reads(&result).first_success, Some((5223 - 5100) * MS));
    assert_eq!(reads(&result).steady, (5203 - 5000) * MS);
    assert_eq!(result.verdict, DrillVerdict::Held);
    // The longest counts, not the sum.
    spoil(&mut records, &ClientName::Reads, 6000..6101, &unknown());
    assert_eq!(reads(&judge(&records)).away, (160 * MS, 200 * MS));
    assert_eq!(reads(&judge(&records)).outages, 2);
    // Beyond the budget of 300 ms.
    spoil(&mut records, &ClientName::Reads, 5040..5321, &unknown());
    let result = judge(&records);
    assert_eq!(result.verdict, DrillVerdict::Broken);
    assert_eq!(
        result.reasons,
        ["reads, new connections: away for up to 320 ms, where 300 ms are allowed"]
    );
}

#[test]
fn who_is_not_answered_any_more_is_out_until_the_end() {
    let mut records = calm();
    spoil(&mut records, &ClientName::Reads, 9000..10_000, &unknown());
    assert_eq!(reads(&judge(&records)).away, (980 * MS, 1020 * MS));
    spoil(&mut records, &ClientName::Reads, 0..10_000, &unknown());
    assert_eq!(reads(&judge(&records)).away.1, 10_000 * MS);
}

#[test]
fn a_lost_write_is_never_passed() {
    let mut records = calm();
    records.finals[1].created.retain(|wrote| *wrote != 120);
    let result = judge(&records);
    assert_eq!(result.verdict, DrillVerdict::Broken);
    assert_eq!(result.writes.lost, [120]);
    assert_eq!(
        result.reasons,
        ["1 of 200 acknowledged writes are lost: [120]"]
    );
    // However busy the computer was.
    records.requests[3].sent += 500 * MS;
    assert_eq!(judge(&records).verdict, DrillVerdict::Broken);
}

#[test]
fn a_write_that_was_refused_must_not_rise() {
    let mut records = calm();
    let refused = RequestOutcome::Failed("status 429".to_owned());
    spoil(&mut records, &ClientName::Creates, 6000..6001, &refused);
    let result = judge(&records);
    assert_eq!(result.writes.risen, [120]);
    assert_eq!(result.verdict, DrillVerdict::Broken);
    for member in &mut records.finals {
        member.created.retain(|wrote| *wrote != 120);
    }
    assert_eq!(judge(&records).verdict, DrillVerdict::Held);
}

#[test]
fn a_write_of_which_nobody_knows_may_be_there_or_not() {
    let mut records = calm();
    spoil(&mut records, &ClientName::Creates, 6000..6051, &unknown());
    for member in &mut records.finals {
        member.created.retain(|wrote| *wrote != 120);
    }
    let result = judge(&records);
    assert_eq!(result.verdict, DrillVerdict::Held, "{:?}", result.reasons);
    assert_eq!(result.writes.unknown, (2, 1));
}

#[test]
fn a_write_is_there_once() {
    let mut records = calm();
    records.finals[0].created.push(7);
    let result = judge(&records);
    assert_eq!(result.verdict, DrillVerdict::Broken);
    assert_eq!(result.writes.doubled, 1);
}

#[test]
fn the_chain_never_skips_and_never_falls_back() {
    for (value, verdict) in [
        (200, DrillVerdict::Held),
        (201, DrillVerdict::Broken),
        (199, DrillVerdict::Broken),
    ] {
        let mut records = calm();
        for member in &mut records.finals {
            member.chain = value;
        }
        assert_eq!(judge(&records).verdict, verdict, "{value}");
    }
    let mut records = calm();
    spoil(&mut records, &ClientName::Chain, 6000..6001, &unknown());
    assert_eq!(judge(&records).writes.chain, (199, 1, Some(200)));
    assert_eq!(judge(&records).verdict, DrillVerdict::Held);
}

#[test]
fn members_agree_in_the_end() {
    let mut records = calm();
    records.finals[2].hash = Some((500, 78));
    assert_eq!(
        judge(&records).reasons,
        ["the etcd members do not hold the same data in the end"]
    );
    records.finals.clear();
    assert_eq!(judge(&records).verdict, DrillVerdict::Inconclusive);
}

#[test]
fn a_doubled_event_and_a_missed_one_are_told() {
    let mut records = calm();
    let event = records.watch[50].clone();
    records.watch.insert(51, event);
    let result = judge(&records);
    assert_eq!(result.watch.disordered, 1);
    assert_eq!(result.verdict, DrillVerdict::Broken);
    let mut records = calm();
    records.watch.remove(50);
    let result = judge(&records);
    assert_eq!(result.watch.missed, [49]);
    assert_eq!(result.verdict, DrillVerdict::Broken);
}

#[test]
fn a_watch_may_break_and_go_on() {
    let mut records = calm();
    let at = 5000 * MS;
    let place = records.watch.iter().position(|it| it.at > at).expect("one");
    for event in [
        WatchEvent::Begins { from: 300 },
        WatchEvent::Broke {
            why: "reset".to_owned(),
        },
    ] {
        records.watch.insert(place, WatchRecord { at, event });
    }
    let result = judge(&records);
    assert_eq!(result.verdict, DrillVerdict::Held, "{:?}", result.reasons);
    assert_eq!(result.watch.breaks, [(at, "reset".to_owned(), Some(300))]);
    assert_eq!(result.watch.silence, 50 * MS);
}

#[test]
fn a_paused_prober_says_nothing_of_the_lab() {
    // Each request that it was to make meanwhile is sent when it goes on: late.
    let mut records = calm();
    for request in &mut records.requests {
        if (6000..6500).contains(&(request.scheduled / MS)) {
            request.sent = 6500 * MS;
            request.ended = 6503 * MS;
        }
    }
    let result = judge(&records);
    assert_eq!(result.verdict, DrillVerdict::Inconclusive);
    assert!(
        result.reasons[0].contains("too busy to measure"),
        "{:?}",
        result.reasons
    );
    assert_eq!(result.sampling.late_max, 500 * MS);
    // Nor is a budget broken then.
    spoil(&mut records, &ClientName::Reads, 5040..5900, &unknown());
    assert_eq!(judge(&records).verdict, DrillVerdict::Inconclusive);
}

#[test]
fn a_lab_that_was_not_well_before_says_nothing_of_the_fault() {
    let mut records = calm();
    spoil(&mut records, &ClientName::Reads, 2000..2001, &unknown());
    let result = judge(&records);
    assert_eq!(result.verdict, DrillVerdict::Inconclusive);
    assert_eq!(
        result.reasons,
        ["1 requests failed before anything was broken"]
    );
    let mut records = calm();
    records.fault = None;
    assert_eq!(judge(&records).verdict, DrillVerdict::Inconclusive);
    let mut records = calm();
    records.requests.clear();
    assert_eq!(judge(&records).verdict, DrillVerdict::Inconclusive);
}

#[test]
fn what_is_the_users_own_is_judged_where_its_budget_is_the_lab_files() {
    let web = ClientName::Watched("shop/web".to_owned());
    let mut records = calm();
    for at in (0..10_000).step_by(50) {
        let outcome = match at {
            1000..1200 | 5200..6500 => unknown(),
            _ => RequestOutcome::Ok,
        };
        records.requests.push(request(web.clone(), at, outcome));
    }
    // It failed before anything was broken as well, which says nothing of the lab.
    let result = judge(&records);
    assert_eq!(result.verdict, DrillVerdict::Held, "{:?}", result.reasons);
    let seen = result.client(&web).expect("it asked");
    assert_eq!(seen.away, (1250 * MS, 1350 * MS));
    assert_eq!((seen.failed, seen.outages, seen.budget_ms), (30, 2, None));
    let found = outages(&records, &web);
    assert_eq!(found[1].between, (5150 * MS, 6500 * MS));

    // Who says what it may, says that it has to be well to begin with.
    records.header.budgets.push((web.clone(), 1000));
    assert_eq!(judge(&records).verdict, DrillVerdict::Inconclusive);
    spoil(&mut records, &web, 0..2000, &RequestOutcome::Ok);
    records.header.from_file.push("watched_ms".to_owned());
    let result = judge(&records);
    assert_eq!(result.verdict, DrillVerdict::Broken);
    assert_eq!(
        result.reasons,
        ["watched shop/web: away for up to 1350 ms, where the lab file allows 1000 ms"]
    );
}

#[test]
fn some_of_a_hundred_may_fail_where_a_budget_says_so() {
    let mut records = calm();
    records.header.failed_percent = Some(10);
    // 100 reads in the two seconds of the fault.
    for at in [5100, 5300, 5500, 5700, 5900, 6100, 6300, 6500, 6700, 6900] {
        spoil(&mut records, &ClientName::Reads, at..at + 1, &unknown());
    }
    assert_eq!(judge(&records).verdict, DrillVerdict::Held);
    spoil(&mut records, &ClientName::Reads, 6800..6801, &unknown());
    assert_eq!(
        judge(&records).reasons,
        [
            "reads, new connections: 11 of 100 requests during the fault failed, where 10 of 100 are allowed"
        ]
    );
}

#[test]
fn a_lab_is_back_soon_after_its_repair() {
    let mut records = calm();
    records.header.back_ms = Some(600);
    records.header.budgets.clear();
    spoil(&mut records, &ClientName::Reads, 5020..7500, &unknown());
    let result = judge(&records);
    assert_eq!(reads(&result).back, Some(503 * MS));
    assert_eq!(result.verdict, DrillVerdict::Held, "{:?}", result.reasons);
    spoil(&mut records, &ClientName::Reads, 7500..7700, &unknown());
    assert_eq!(
        judge(&records).reasons,
        ["reads, new connections: back 703 ms after the repair, where 600 ms are allowed"]
    );
    spoil(&mut records, &ClientName::Reads, 7700..10_000, &unknown());
    assert_eq!(
        judge(&records).reasons[0],
        "reads, new connections: never back after the repair, where 600 ms are allowed"
    );
}

#[test]
fn first_connections_are_in_no_figure_but_their_writes_are() {
    let mut records = calm();
    records.header.warm = 1000 * MS;
    for request in &mut records.requests {
        if request.scheduled < 500 * MS {
            request.sent += 300 * MS;
            request.ended += 300 * MS;
        }
    }
    spoil(&mut records, &ClientName::Reads, 0..900, &unknown());
    let result = judge(&records);
    assert_eq!(result.verdict, DrillVerdict::Held, "{:?}", result.reasons);
    assert_eq!(reads(&result).asked, 450);
    assert_eq!(result.sampling.baseline, 4000 * MS);
    records.finals[0].created.retain(|wrote| *wrote != 3);
    assert_eq!(judge(&records).writes.lost, [3]);
}

#[test]
fn what_was_not_repaired_is_told() {
    let mut records = calm();
    if let Some(fault) = &mut records.fault {
        fault.healed = None;
    }
    assert_eq!(
        judge(&records).reasons,
        ["etcdone crashed: not everything was well again in time"]
    );
}

#[test]
fn the_same_figures_come_of_the_file() {
    let mut records = calm();
    spoil(&mut records, &ClientName::Reads, 5040..5201, &unknown());
    let mut file = Vec::new();
    records.write(&mut file).expect("written");
    let read = DrillRecords::read(&file[..]).expect("read");
    assert_eq!(judge(&read), judge(&records));
    let cut = &file[..file.len() - 30];
    assert!(DrillRecords::read(cut).is_err(), "a file that was cut off");
    assert!(DrillRecords::read(&b""[..]).is_err());
    assert!(DrillRecords::read(&b"{\"record\":\"end\",\"at\":1}\n"[..]).is_err());
}

#[test]
fn who_asks_seldom_cannot_tell_a_short_outage() {
    let mut records = calm();
    records.header.budgets = vec![(ClientName::Creates, 80)];
    let hung_up = RequestOutcome::Unknown("hung up".to_owned());
    // One of them, which lies between two that are 100 ms apart.
    spoil(&mut records, &ClientName::Creates, 5100..5150, &hung_up);
    assert_eq!(judge(&records).verdict, DrillVerdict::Broken);
    records.header.stretch = 2;
    let result = judge(&records);
    assert_eq!(result.verdict, DrillVerdict::Inconclusive);
    assert!(
        result.reasons[0].contains("2 times less often"),
        "{result:?}"
    );
    assert_eq!(result.sampling.stretch, 2);
    // Four in a row were away for longer than that at least.
    spoil(&mut records, &ClientName::Creates, 5100..5300, &hung_up);
    assert_eq!(judge(&records).verdict, DrillVerdict::Broken);
}

#[test]
fn what_fails_after_all_was_well_was_not_well() {
    let mut records = calm();
    records.header.budgets = Vec::new();
    let silent = RequestOutcome::Unknown("no connection".to_owned());
    spoil(&mut records, &ClientName::Reads, 8100..8120, &silent);
    assert_eq!(judge(&records).verdict, DrillVerdict::Held, "one may");
    for from in [8500, 9000, 9500] {
        spoil(&mut records, &ClientName::Reads, from..from + 20, &silent);
    }
    let result = judge(&records);
    assert_eq!(result.verdict, DrillVerdict::Broken);
    assert_eq!(result.reasons.len(), 1);
    assert!(
        result.reasons[0]
            .ends_with("4 of 100 requests failed in the last 2 s, after all was well again"),
        "{result:?}"
    );
}
