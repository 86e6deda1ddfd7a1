//! Certificates that are renewed while the lab goes on.

use std::time::{Duration, Instant};

use crate::{Requester, Tool};

/// How long it may take: a limit for what hangs, far above the minute that it is to take.
const LIMIT: Duration = Duration::from_secs(180);

/// Renews all certificates of a lab, and holds that nobody who asks the API meanwhile, over a new connection each time, is
/// refused.
///
/// # Panics
///
/// When somebody is, or a server does not show what it was given.
pub fn assert_renewed_unnoticed(tool: &Tool, lab: &str) {
    let requester = Requester::start(tool, lab);
    let began = Instant::now();
    let said = tool.ok(&["certs", "renew", lab, "--all"]);
    let took = began.elapsed();
    let answers = requester.stop();
    println!(
        "TIME all certificates renewed: {:.1} s; {} requests meanwhile, {} failed",
        took.as_secs_f32(),
        answers.asked,
        answers.failed.len()
    );
    assert!(
        said.stdout.contains("operator") && said.stdout.contains("what kubeadm has made"),
        "{}",
        said.stdout
    );
    assert!(took < LIMIT, "{took:?}");
    assert!(answers.asked > 200, "{} requests", answers.asked);
    assert!(answers.failed.is_empty(), "{:?}", answers.failed);
    // What is served is what is on the disk, and nothing ends soon.
    tool.ok(&["certs", "check", lab]);
}
