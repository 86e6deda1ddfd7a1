//! What is judged besides requests: the watch that lists anew, who has the address, and whether the fault was there at all.

use super::*;
use crate::drill::record::FaultCut;

#[test]
fn a_watch_whose_revision_is_gone_lists_anew() {
    let mut records = calm();
    // From the fiftieth event on it hears nothing for fifty events, and then what there is.
    let gap: Vec<WatchRecord> = records.watch.drain(50..100).collect();
    let wrote: Vec<u64> = (0..99).collect();
    let at = gap.last().expect("some").at;
    for event in [
        WatchEvent::Listed {
            revision: 298,
            wrote,
        },
        WatchEvent::Broke {
            why: "its revision is gone".to_owned(),
        },
    ] {
        records.watch.insert(50, WatchRecord { at, event });
    }
    let result = judge(&records);
    assert_eq!(result.verdict, DrillVerdict::Held, "{:?}", result.reasons);
    assert_eq!((result.watch.lists, result.watch.breaks.len()), (1, 1));
    assert_eq!(result.watch.events, 150);
    // What the list does not have was missed all the same.
    if let WatchEvent::Listed { wrote, .. } = &mut records.watch[51].event {
        wrote.retain(|number| *number != 70);
    }
    let result = judge(&records);
    assert_eq!(result.watch.missed, [70]);
    assert_eq!(result.verdict, DrillVerdict::Broken);
}

fn owner_at(records: &mut DrillRecords, at_ms: u64, owners: &[&str]) {
    records.states.push(StateRecord {
        at: at_ms * MS,
        leader: Some("etcdone".to_owned()),
        term: Some(2),
        owners: owners.iter().map(|it| (*it).to_owned()).collect(),
    });
    records.states.sort_by_key(|state| state.at);
}

#[test]
fn an_address_that_must_stay_stays() {
    let mut records = calm();
    records.header.owner_stays = true;
    // Nobody has told anything yet.
    owner_at(&mut records, 500, &[]);
    assert_eq!(judge(&records).verdict, DrillVerdict::Held);
    owner_at(&mut records, 6000, &["lbtwo"]);
    let result = judge(&records);
    assert_eq!(
        result.reasons,
        [
            "the virtual address did not stay where it was: lbone at 1.0 s, lbtwo at 6.0 s, lbone at 9.0 s"
        ]
    );
    assert_eq!(result.owners.moves, 2);
    assert_eq!(result.owners.sole(), ["lbone", "lbtwo", "lbone"]);
    let mut records = calm();
    records.header.owner_stays = true;
    owner_at(&mut records, 6000, &[]);
    assert_eq!(judge(&records).verdict, DrillVerdict::Broken);
}

#[test]
fn one_owner_soon_after_two_hear_each_other_again() {
    let mut records = calm();
    records.header.one_owner_ms = Some(1000);
    owner_at(&mut records, 6000, &["lbone", "lbtwo"]);
    owner_at(&mut records, 7900, &["lbone"]);
    let result = judge(&records);
    assert_eq!(result.verdict, DrillVerdict::Held, "{:?}", result.reasons);
    assert_eq!(result.owners.shared, 1900 * MS);
    assert_eq!(result.owners.shared_after, Some(700 * MS));
    // Once more two, and the last word is one second and a half after the repair.
    owner_at(&mut records, 8000, &["lbone", "lbtwo"]);
    owner_at(&mut records, 8700, &["lbone"]);
    assert_eq!(
        judge(&records).reasons,
        [
            "the virtual address was not on one machine alone until 1500 ms after the repair, where 1000 ms are allowed"
        ]
    );
    records.states.retain(|state| state.at < 8500 * MS);
    assert_eq!(
        judge(&records).reasons,
        ["the virtual address was not on one machine alone to the end, where 1000 ms are allowed"]
    );
}

#[test]
fn a_fault_of_which_nothing_shows_that_it_was_there_proves_nothing() {
    let mut records = calm();
    if let Some(fault) = &mut records.fault {
        fault.is_doubtful = true;
        fault.evidence = "etcdone dropped 0 packets".to_owned();
    }
    let result = judge(&records);
    assert_eq!(result.verdict, DrillVerdict::Inconclusive);
    assert_eq!(
        result.reasons,
        ["nothing shows that the fault was there: etcdone dropped 0 packets"]
    );
}

#[test]
fn a_budget_of_the_lab_file_is_told_as_such() {
    let mut records = calm();
    records.header.from_file = vec!["reads_ms".to_owned()];
    spoil(&mut records, &ClientName::Reads, 5040..5321, &unknown());
    let result = judge(&records);
    assert!(reads(&result).budget_is_of_file);
    assert_eq!(
        result.reasons,
        ["reads, new connections: away for up to 320 ms, where the lab file allows 300 ms"]
    );
    assert!(result.losses.is_empty());
}

#[test]
fn a_fault_that_was_cut_short_is_told() {
    let cut = |is_of_lab| {
        let mut records = calm();
        records.fault.as_mut().expect("done").cut = Some(FaultCut {
            why: "another owner than lbone: not within 15 s".to_owned(),
            is_of_lab,
        });
        judge(&records)
    };
    // The lab did not do what it has to.
    let lab = cut(true);
    assert_eq!(lab.verdict, DrillVerdict::Broken);
    assert_eq!(
        lab.reasons,
        ["etcdone crashed: another owner than lbone: not within 15 s"]
    );
    // Who breaks it could not.
    let other = cut(false);
    assert_eq!(other.verdict, DrillVerdict::Inconclusive);
    assert!(
        other.reasons[0].contains("not done to its end"),
        "{:?}",
        other.reasons
    );
}

#[test]
fn a_computer_whose_answers_take_long_cannot_be_measured() {
    let mut records = calm();
    let early =
        |it: &&mut RequestRecord| it.client == ClientName::Reads && it.scheduled < 5000 * MS;
    for request in records.requests.iter_mut().filter(early) {
        request.ended = request.sent + 90 * MS;
    }
    let result = judge(&records);
    assert_eq!(result.sampling.baseline_answer, 90 * MS);
    assert_eq!(result.verdict, DrillVerdict::Inconclusive);
    assert!(
        result.reasons[0].contains("half of the answers took 90 ms and more"),
        "{:?}",
        result.reasons
    );
}
