//! A client that writes all the time, and remembers what was acknowledged.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{Tool, bundled_kubectl, kubectl};

/// Makes one object after the other through the endpoint, until it is asked what was acknowledged.
pub struct Writer {
    lab: String,
    acknowledged: Arc<Mutex<Vec<String>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts to write.
    ///
    /// # Panics
    ///
    /// When there is no `kubectl`.
    pub fn start(tool: &Tool, lab: &str) -> Self {
        let program = bundled_kubectl(tool);
        let kubeconfig = tool.state(lab).join("kubeconfig");
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let ends = Arc::new(AtomicBool::new(false));
        let shared = (acknowledged.clone(), ends.clone());
        let thread = std::thread::spawn(move || {
            let (acknowledged, ends) = shared;
            for number in 0.. {
                if ends.load(Ordering::Relaxed) {
                    break;
                }
                let name = format!("written-{number}");
                let written = program
                    .call(["create", "configmap", &name, "--request-timeout", "10s"])
                    .env("KUBECONFIG", &kubeconfig)
                    .timeout(Duration::from_secs(20))
                    .run();
                if written.is_ok() {
                    let mut names: std::sync::MutexGuard<'_, Vec<String>> =
                        acknowledged.lock().expect("nobody panics with it");
                    names.push(name);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Self {
            lab: lab.to_owned(),
            acknowledged,
            ends,
            thread: Some(thread),
        }
    }

    /// How many writes were acknowledged until now.
    ///
    /// # Panics
    ///
    /// Never: nobody panics with it.
    pub fn count(&self) -> usize {
        self.acknowledged
            .lock()
            .expect("nobody panics with it")
            .len()
    }

    /// Stops, and holds that the cluster has everything that it acknowledged.
    ///
    /// # Panics
    ///
    /// When something is missing, or nothing was ever written.
    pub fn assert_nothing_lost(mut self, tool: &Tool) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        let kept = kubectl(tool, &self.lab, &["get", "configmaps", "-o", "name"]);
        let names = self.acknowledged.lock().expect("nobody panics with it");
        assert!(!names.is_empty(), "nothing was written");
        let lost: Vec<&String> = names
            .iter()
            .filter(|name| !kept.lines().any(|line| line == format!("configmap/{name}")))
            .collect();
        assert!(
            lost.is_empty(),
            "{} of {} acknowledged writes are lost: {lost:?}",
            lost.len(),
            names.len()
        );
        println!("{} acknowledged writes, none lost", names.len());
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}
