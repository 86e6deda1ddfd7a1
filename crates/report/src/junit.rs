//! A verification as CI systems read it.

use std::time::Duration;

use caravan_cluster::verify::{Check, Report, VerifyOutcome};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use crate::Error;
use crate::time;
use caravan_secrets::{KnownSecrets, struck};

/// Writes a verification as JUnit's XML: one suite, in which each promise is a test case. A promise that does not hold is a
/// failure with all that was seen, one that was left out is skipped with its reason. Characters that XML cannot hold are left
/// out, and so is what is `known` to be secret or has the shape of a key.
///
/// # Errors
///
/// [`Error::Junit`].
pub fn junit(report: &Report, known: &KnownSecrets) -> Result<String, Error> {
    // CI systems keep logs where many can read them.
    let said = |text: &str| struck(text, known);
    let mut suite = TestSuite::new(format!("verify {}", report.lab));
    let began = time::of_ms(i64::try_from(report.began_unix_ms).unwrap_or(i64::MAX));
    let began = began.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string();
    suite.extra.insert("timestamp".into(), began.into());
    suite.set_time(Duration::from_secs_f64(report.seconds.max(0.0)));
    for check in &report.checks {
        suite.add_test_case(case(&report.lab, check, &said));
    }
    if let Some(left) = &report.left_behind {
        suite.set_system_err(said(&format!("left behind: {left}")));
    }
    let mut all = quick_junit::Report::new("caravan");
    all.set_time(Duration::from_secs_f64(report.seconds.max(0.0)));
    all.add_test_suite(suite);
    all.to_string().map_err(Error::Junit)
}

fn case(lab: &str, check: &Check, said: &dyn Fn(&str) -> String) -> TestCase {
    let status = match check.outcome {
        VerifyOutcome::Passed => TestCaseStatus::success(),
        VerifyOutcome::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let wrong = check.findings.iter().filter(|finding| !finding.holds);
            let wrong: Vec<String> = wrong.map(|it| said(&it.text)).collect();
            status
                .set_type("broken promise")
                .set_message(said(&check.evidence))
                .set_description(format!("{}\n{}", check.promise, wrong.join("\n")));
            status
        }
        VerifyOutcome::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(said(&check.evidence));
            status
        }
    };
    let mut case = TestCase::new(check.id.clone(), status);
    case.set_classname(format!("caravan.{lab}"));
    case.set_time(Duration::from_secs_f64(check.seconds.max(0.0)));
    let seen: Vec<String> = check.findings.iter().map(|it| said(&it.text)).collect();
    if !seen.is_empty() {
        case.set_system_out(seen.join("\n"));
    }
    case
}
