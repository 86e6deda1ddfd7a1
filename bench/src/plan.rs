//! How long `plan` takes: the verb as a user starts it, and the steps it consists of.

use std::path::Path;
use std::time::Instant;

use caravan_cluster::timeline::RUN;
use caravan_lab::generate::{Shape, lab_file};
use caravan_lab::{Lab, Server, failure};
use caravan_lifecycle::Error;
use caravan_lifecycle::plan::sources;
use caravan_lifecycle::{
    ChoiceRequest, Keys, LabChoices, LabDir, files, read_lab, read_text, software,
};
use caravan_render::group_files;
use caravan_screen::table;
use serde::Serialize;

use crate::Bench;
use caravan_files::WriteError;

/// The lab of people.
const SMALL: &str = "ha";

/// The name of the generated lab.
const LARGE: &str = "thousand";

/// How many machines it has.
const MACHINES: usize = 1000;

/// How often each step is done. The quickest run is the nearest to what the work takes by itself, since other programs
/// only ever make it longer.
const RUNS: usize = 5;

/// What was measured of one lab.
#[derive(Debug, Serialize)]
struct Figures {
    lab: String,
    machines: usize,
    /// How many files its machines get, all together.
    files: usize,
    /// The verb from the start of the program to its end.
    verb: Took,
    /// Reading and checking the lab file.
    check: Took,
    /// What each failure costs.
    failures: Took,
    /// Rendering all machines' files, and comparing them with what machines were given, which is nothing here.
    render: Took,
    /// Rendering the Vagrant projects of all servers, archives included, which only `plan --write` and `up` do.
    projects: Took,
    /// Making all keys and certificates, which only `plan --write` and the first `up` do.
    keys: Took,
}

/// How long something took, over all runs, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Took {
    best_ms: f64,
    median_ms: f64,
}

/// Measures.
///
/// # Errors
///
/// Those of the verb, and [`Error::Write`] where there is no room for a temporary folder.
pub(crate) fn run(bench: &Bench) -> Result<(), Error> {
    let (workspace, screen) = (&bench.workspace, &bench.screen);
    let small = read_text(&workspace.lab_file(SMALL)).map_err(|_| workspace.no_such_lab(SMALL))?;
    let large = lab_file(&Shape::of_machines(MACHINES));
    let mut figures = Vec::new();
    for (name, source) in [(SMALL, &small), (LARGE, &large)] {
        screen.now(RUN, &format!("plans {name}"));
        figures.push(measure(name, source, bench)?);
    }
    screen.clear();
    bench.print(&figures, text);
    Ok(())
}

fn measure(name: &str, source: &str, bench: &Bench) -> Result<Figures, Error> {
    let root = tempfile::tempdir().map_err(|source| WriteError {
        path: std::env::temp_dir(),
        source,
    })?;
    let path = root.path().join("labs").join(format!("{name}.toml"));
    write(&path, source)?;
    let lab = read_lab(name, &path)?.0;
    let dir = LabDir::new(root.path(), name);
    let choices = LabChoices::settle(&lab, &ChoiceRequest::default(), None, false)?;
    let sources = || {
        let calico = software::calico_manifest(&lab, || bench.cache())?;
        let versions = software::versions(&lab, calico, None)?;
        sources(&bench.workspace, &lab, &dir, &choices, versions)
    };
    let servers: Vec<&Server> = lab.servers().iter().collect();
    let mut files = 0;
    Ok(Figures {
        lab: name.to_owned(),
        machines: lab.machines().len(),
        verb: took(|| verb(name, root.path(), bench))?,
        check: took(|| read_lab(name, &path))?,
        failures: took(|| Ok(failure::analyse(&lab)))?,
        render: took(|| {
            files = render(&lab, &dir, &sources()?)?;
            Ok(files)
        })?,
        projects: took(|| {
            let sources = sources()?;
            for server in &servers {
                group_files(
                    &lab,
                    server,
                    &sources.software,
                    &sources.settings,
                    &sources.material,
                    sources.template.as_deref(),
                )?;
            }
            Ok(())
        })?,
        keys: took(|| {
            dir.make()?;
            let made = Keys::ensure(&lab, &dir)?;
            caravan_files::remove_folder(dir.root())?;
            Ok(made)
        })?,
        files,
    })
}

/// The verb itself, as a user starts it.
fn verb(name: &str, root: &Path, bench: &Bench) -> Result<(), Error> {
    let call = bench.tool.call(["plan", name]).env("CARAVAN_ROOT", root);
    Ok(call.run().map(drop)?)
}

/// Renders and compares as the verb does; returns how many files there are.
fn render(lab: &Lab, dir: &LabDir, sources: &files::RenderSources<'_>) -> Result<usize, Error> {
    let renderer = sources.renderer()?;
    let mut count = 0;
    for machine in lab.machines() {
        let files = renderer.guest_files(machine)?;
        count += files.len();
        files::changes_since_deployed(dir, machine, files)?;
    }
    Ok(count)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|source| WriteError {
            path: path.to_owned(),
            source,
        })?;
    Ok(())
}

/// Does `work` several times.
fn took<T>(mut work: impl FnMut() -> Result<T, Error>) -> Result<Took, Error> {
    let mut all = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        // Freeing what was made is a part of making it.
        drop(work()?);
        all.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(summed_up(all))
}

fn summed_up(mut all_ms: Vec<f64>) -> Took {
    all_ms.sort_by(f64::total_cmp);
    let at = |place: usize| all_ms.get(place).copied().unwrap_or_default();
    Took {
        best_ms: at(0),
        median_ms: at(all_ms.len() / 2),
    }
}

fn text(figures: &Vec<Figures>) -> String {
    let mut table = table::plain(&[
        "lab", "machines", "files", "plan", "check", "failures", "render", "projects", "keys",
    ]);
    for row in figures {
        let counts = [row.machines, row.files].map(|count| count.to_string());
        let times = [
            row.verb,
            row.check,
            row.failures,
            row.render,
            row.projects,
            row.keys,
        ];
        let times = times.map(|took| format!("{:.3} s", took.best_ms / 1000.0));
        table.add_row(
            [row.lab.clone()]
                .into_iter()
                .chain(counts)
                .chain(times)
                .collect::<Vec<_>>(),
        );
    }
    format!(
        "{}\n\nthe quickest of {RUNS}; `plan` is the whole program, and consists of checking, failures and rendering; \
         projects and keys are for `plan --write` and `up` only",
        table::text(&table)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_summed_up() {
        let took = |best_ms, median_ms| Took { best_ms, median_ms };
        assert_eq!(summed_up(vec![5.0, 1.0, 3.0]), took(1.0, 3.0));
        assert_eq!(summed_up(vec![7.0]), took(7.0, 7.0));
    }

    #[test]
    fn the_generated_lab_is_one() {
        let lab = Lab::parse(LARGE, &lab_file(&Shape::of_machines(MACHINES))).expect("valid");
        assert_eq!(lab.machines().len(), MACHINES);
    }

    #[test]
    fn the_table_has_a_row_for_each_lab() {
        let took = |ms: f64| Took {
            best_ms: ms,
            median_ms: ms,
        };
        let row = |lab: &str, machines, ms| Figures {
            lab: lab.to_owned(),
            machines,
            files: machines * 30,
            verb: took(ms),
            check: took(ms / 10.0),
            failures: took(ms / 100.0),
            render: took(ms / 2.0),
            projects: took(ms / 2.0),
            keys: took(45.0),
        };
        expect_test::expect![[r#"
            lab        machines   files   plan      check     failures   render    projects   keys
            ha         9          270     0.030 s   0.003 s   0.000 s    0.015 s   0.015 s    0.045 s
            thousand   1000       30000   0.600 s   0.060 s   0.006 s    0.300 s   0.300 s    0.045 s

            the quickest of 5; `plan` is the whole program, and consists of checking, failures and rendering; projects and keys are for `plan --write` and `up` only"#]].assert_eq(&text(&vec![
            row("ha", 9, 30.0),
            row("thousand", 1000, 600.0),
        ]));
    }
}
