//! Counts service addresses on the host.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use caravan_process::{Following, Program};

/// Watches every network device of the host, those that appear later included, for packets to or from the service
/// network. Inside a machine they are translated; one that is seen out here has leaked.
pub struct LeakWatch {
    capture: Following,
    lines: Receiver<String>,
}

/// The service network of the labs under test.
const SERVICES: &str = "10.96.0.0/12";

impl LeakWatch {
    /// Starts to watch, and returns once the capture runs.
    ///
    /// # Panics
    ///
    /// When `tcpdump` cannot capture.
    pub fn start() -> Self {
        let (sender, lines) = channel();
        let capture = Program::find_also_in("tcpdump", &["/usr/sbin"])
            .and_then(|tcpdump| {
                tcpdump
                    .call(["-i", "any", "-nn", "-l", "net", SERVICES])
                    .follow(move |line| drop(sender.send(line.to_owned())))
            })
            .unwrap_or_else(|error| panic!("{error}"));
        let watch = Self { capture, lines };
        let mut said = Vec::new();
        while !said
            .iter()
            .any(|line: &String| line.contains("listening on"))
        {
            match watch.lines.recv_timeout(Duration::from_secs(20)) {
                Ok(line) => said.push(line),
                Err(_) => panic!("tcpdump does not capture: {said:?}"),
            }
        }
        watch
    }

    /// Stops, and holds that nothing was seen.
    ///
    /// # Panics
    ///
    /// When a packet of the service network was seen, or the capture had ended early and so proves nothing.
    pub fn assert_none(self) {
        assert!(
            !self.capture.ended(),
            "the capture ended before the lab did"
        );
        let Self { capture, lines } = self;
        drop(capture);
        let seen: Vec<String> = lines
            .iter()
            .filter(|line| line.contains(" IP ") || line.contains("ARP"))
            .collect();
        assert!(
            seen.is_empty(),
            "{} packets of {SERVICES} were seen on the host, the first: {:#?}",
            seen.len(),
            &seen[..seen.len().min(5)]
        );
    }
}
