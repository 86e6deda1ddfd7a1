//! A client that asks the API behind the endpoint all the time, over a new connection each time, and counts what fails.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use caravan_cluster::attempt::{Client, End};

use crate::{Tool, kubectl};

/// How often it asks.
const EVERY: Duration = Duration::from_millis(40);

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// What came of its questions.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// How many there were.
    pub asked: usize,
    /// When each that failed was asked, after the first, and why it failed.
    pub failed: Vec<(Duration, String)>,
}

/// It, on a thread of its own.
pub struct Requester {
    answers: Arc<Mutex<Answers>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Requester {
    /// Starts to ask the API of a lab at its endpoint.
    ///
    /// # Panics
    ///
    /// When the lab has no certificate authority, or no kubeconfig.
    pub fn start(tool: &Tool, lab: &str) -> Self {
        let endpoint = endpoint(tool, lab);
        let ca = tool.state(lab).join("pki/ca.crt");
        let ca = std::fs::read_to_string(&ca)
            .unwrap_or_else(|error| panic!("{}: {error}", ca.display()));
        let client = Client::new(&ca, None).expect("an authority");
        let client = client.with_deadline(DEADLINE);
        let answers = Arc::new(Mutex::new(Answers::default()));
        let ends = Arc::new(AtomicBool::new(false));
        let shared = (Arc::clone(&answers), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            let (answers, ends) = shared;
            let began = Instant::now();
            while !ends.load(Ordering::Relaxed) {
                let at = began.elapsed();
                let end = client.get(endpoint, "/livez").end;
                let mut answers = answers.lock().expect("nobody panics with it");
                answers.asked += 1;
                if !matches!(end, End::Answered { status: 200, .. }) {
                    answers.failed.push((at, end.to_string()));
                }
                drop(answers);
                std::thread::sleep(EVERY);
            }
        });
        Self {
            answers,
            ends,
            thread: Some(thread),
        }
    }

    /// Stops, and returns what came of it.
    ///
    /// # Panics
    ///
    /// Never: nobody panics with what is shared.
    pub fn stop(mut self) -> Answers {
        self.end();
        self.answers.lock().expect("nobody panics with it").clone()
    }

    fn end(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Where the operator's kubeconfig says that the API is.
fn endpoint(tool: &Tool, lab: &str) -> SocketAddrV4 {
    let server = "jsonpath={.clusters[0].cluster.server}";
    let server = kubectl(tool, lab, &["config", "view", "--minify", "-o", server]);
    let address = server.trim().trim_start_matches("https://");
    address
        .parse()
        .unwrap_or_else(|error| panic!("{server}: {error}"))
}

impl Drop for Requester {
    fn drop(&mut self) {
        self.end();
    }
}
