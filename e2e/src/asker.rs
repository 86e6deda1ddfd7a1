//! A client that asks the API all the time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Tool, bundled_kubectl};

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(500);

/// Reads an object from etcd through the endpoint, again and again, until it is dropped.
pub struct Asker {
    answers: Arc<AtomicU64>,
    longest: Arc<Mutex<Duration>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Asker {
    /// Starts to ask.
    ///
    /// # Panics
    ///
    /// When there is no `kubectl`.
    pub fn start(tool: &Tool, lab: &str) -> Self {
        let kubectl = bundled_kubectl(tool);
        let kubeconfig = tool.state(lab).join("kubeconfig");
        let answers = Arc::new(AtomicU64::new(0));
        let longest = Arc::new(Mutex::new(Duration::ZERO));
        let ends = Arc::new(AtomicBool::new(false));
        let shared = (answers.clone(), longest.clone(), ends.clone());
        let thread = std::thread::spawn(move || {
            let (answers, longest, ends) = shared;
            let mut last = Instant::now();
            while !ends.load(Ordering::Relaxed) {
                let asked = kubectl
                    .call(["get", "namespace", "kube-system", "--request-timeout", "5s"])
                    .env("KUBECONFIG", &kubeconfig)
                    .timeout(Duration::from_secs(10))
                    .run();
                if asked.is_ok() {
                    answers.fetch_add(1, Ordering::Relaxed);
                    let mut longest = longest.lock().expect("nobody panics with it");
                    *longest = (*longest).max(last.elapsed());
                    last = Instant::now();
                }
                std::thread::sleep(PAUSE);
            }
        });
        Self {
            answers,
            longest,
            ends,
            thread: Some(thread),
        }
    }

    /// How many questions were answered until now.
    pub fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// The longest time between two answers until now. To be told, not judged: the host may be busy.
    ///
    /// # Panics
    ///
    /// Never: nobody panics with it.
    pub fn longest_gap(&self) -> Duration {
        *self.longest.lock().expect("nobody panics with it")
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
