//! How long `plan` takes: reading, checking, rendering every file of every machine, and working out every failure.

use std::time::{Duration, Instant};

use caravan_lab::Lab;
use caravan_lab::generate::{Shape, lab_file};

use super::{Figure, seconds};
use crate::error::Error;
use crate::flags::Making;
use crate::plan;
use crate::state::choices::Choices;
use crate::workspace::Workspace;

/// How often each is measured; the median counts.
const TIMES: usize = 5;

pub(super) fn measure(workspace: &Workspace) -> Result<Vec<Figure>, Error> {
    let (_, ha) = workspace.lab("ha")?;
    let big = lab_file(&Shape::of_machines(1000));
    Ok(vec![
        seconds("plan of ha", median(workspace, "ha", &ha)?),
        seconds(
            "plan of 1,000 machines",
            median(workspace, "bench-1000", &big)?,
        ),
    ])
}

fn median(workspace: &Workspace, name: &str, source: &str) -> Result<Duration, Error> {
    let mut all = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        let Ok(lab) = Lab::parse(name, source) else {
            return Err(workspace.no_such_lab(name));
        };
        // A folder that does not exist: nothing was made, so everything is new.
        let dir = workspace.state("bench-of-plan");
        let choices = Choices::settle(&lab, &Making::default(), None, false)?;
        let sources = plan::sources(workspace, &lab, &dir, &choices)?;
        let text = plan::text(&lab, &dir, &sources, false)?;
        all.push(began.elapsed());
        assert!(
            text.contains("machines would be made"),
            "the plan was not made"
        );
    }
    all.sort();
    Ok(all[TIMES / 2])
}
