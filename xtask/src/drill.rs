//! `cargo xtask drill`: one thing is broken on purpose while clients use the lab, repaired, and what they saw is judged.

use caravan_cluster::drill::catalogue::{self, ROWS};
use caravan_cluster::drill::judge::{DrillResult, DrillVerdict};
use caravan_cluster::timeline::{PhaseOutcome, RUN};
use caravan_lab::{DrillKind, DrillName, Lab};
use caravan_lifecycle::drill::{LabDrill, VERB, judge_again};
use caravan_lifecycle::{
    Error as LabError, Keys, LabLock, LabRun, LabTarget, OperationRecord, Workspace, outcome_of,
    reach, vagrant_at_work,
};

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags::Drill;
use crate::kill_after::KillAfter;
use crate::show::screen::Screen;
use crate::show::{drill as shown, table};

/// Runs the verb; a drill that was not held is [`Exit::Degraded`].
pub(crate) fn run(flags: &Drill, workspace: &Workspace, screen: &Screen) -> Result<Exit, Error> {
    if flags.list {
        println!("{}", list());
        return Ok(Exit::Done);
    }
    if let Some(file) = &flags.judge {
        let result = judge_again(file)?;
        let result = std::slice::from_ref(&result);
        print(result, flags.json);
        return Ok(exit(result));
    }
    let target = LabTarget::of(workspace, flags.lab.as_deref())?;
    let lab = target.lab(workspace)?;
    let names = names(lab, &flags.names)?;
    // What a drill may cost is what the file says now, whatever machines were made from.
    let file = match workspace.lab_file(&target.name).exists() {
        true => Some(workspace.lab(&target.name)?.0),
        false => None,
    };
    let file = file.as_ref().unwrap_or(lab);
    for watched in &flags.watch {
        watched.hold_inside(lab)?;
    }
    let keys = Keys::load(lab, &target.dir).ok_or_else(|| Error::not_made(&target.name))?;
    if flags.dry_run {
        for name in names {
            println!(
                "{name}: {}, for {} s",
                catalogue::describe(name),
                catalogue::lasts(name).as_secs()
            );
        }
        for watched in &flags.watch {
            println!("`{}` is asked meanwhile", watched.asked());
        }
        return Ok(Exit::Done);
    }
    reach::check(lab)?;
    let _lock = LabLock::take(&target.dir, &target.name, VERB)?;
    vagrant_at_work::wait(&target.name, &target.dir, &target.computers(), screen)?;
    mend(&target, screen)?;
    if let Some(open) = OperationRecord::read(&target.dir)? {
        return Err(LabError::open(&target.name, &open).into());
    }
    let access = keys.access(lab, &target.dir, target.pace())?;
    let observer = KillAfter::new(screen);
    let run = LabRun::begin(VERB, &target.name, &target.dir, &observer);
    let mut results = Vec::new();
    for name in names {
        for _ in 0..flags.times {
            let drill = LabDrill {
                target: &target,
                lab,
                file,
                access: &access,
                name,
                watch: &flags.watch,
                tool: TOOL,
            };
            let word = name.to_string();
            screen.now(RUN, &word);
            let ended = run.step(&word, || {
                drill.run(&run, &|text| screen.detail(RUN, &format!("{word}: {text}")))
            });
            match ended {
                Ok(drilled) => {
                    screen.done(RUN, &shown::line(&drilled.result));
                    if let Some(records) = drilled.records {
                        screen.say(&format!("          records: {}", records.display()));
                    }
                    results.push(drilled.result);
                }
                Err(error) => {
                    screen.clear();
                    run.finish(outcome_of(&error));
                    print(&results, flags.json);
                    return Err(error.into());
                }
            }
        }
    }
    screen.clear();
    run.finish(PhaseOutcome::Done);
    print(&results, flags.json);
    Ok(exit(&results))
}

/// Mends what a drill has left broken whose runner was killed, and says so.
///
/// # Errors
///
/// Where it cannot be mended.
pub(crate) fn mend(target: &LabTarget, screen: &Screen) -> Result<(), Error> {
    if let Some((drill, machines)) = caravan_lifecycle::drill::mend(target)? {
        let machines = match machines.is_empty() {
            true => "no machine".to_owned(),
            false => machines.join(", "),
        };
        screen.done(
            RUN,
            &format!(
                "drill `{drill}` was cut off; what it broke is mended: {machines} started again"
            ),
        );
    }
    Ok(())
}

/// The drills that are asked for; of `all`, those that the lab can do.
fn names(lab: &Lab, asked: &[String]) -> Result<Vec<DrillName>, Error> {
    if asked.iter().any(|word| word == "all") {
        let kinds = DrillKind::all().filter(|kind| catalogue::applies(lab, *kind));
        return Ok(kinds.map(DrillKind::usual).collect());
    }
    let names = asked.iter().map(|word| word.parse::<DrillName>());
    Ok(names.collect::<Result<_, _>>()?)
}

fn list() -> String {
    let mut table = table::plain(&["drill", "what is broken", "how", "for"]);
    for row in &ROWS {
        let modes: Vec<&str> = row.kind.modes().iter().map(|mode| mode.word()).collect();
        table.add_row(vec![
            row.kind.word().to_owned(),
            row.what.to_owned(),
            modes.join(", "),
            format!("{} s", row.lasts_s),
        ]);
    }
    table::text(&table)
}

fn print(results: &[DrillResult], json: bool) {
    if json {
        println!(
            "{}",
            serde_json::to_string_pretty(results).expect("plain data")
        );
    } else if !results.is_empty() {
        println!("{}", shown::text(results));
    }
}

fn exit(results: &[DrillResult]) -> Exit {
    let held = |result: &DrillResult| result.verdict == DrillVerdict::Held;
    match results.iter().all(held) {
        true => Exit::Done,
        false => Exit::Degraded,
    }
}
