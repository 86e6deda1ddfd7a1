//! Clients that go before other programs of this computer, where it lets them: on two processors that run nine machines too, a
//! client that waits for its turn measures its own waiting.
//!
//! They sleep nearly all the time. The lab has as much to do as before; it is only that its clients are on time.

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Raises this thread, and those that it starts; returns what they are now, for people.
pub(super) fn raise() -> String {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    // The lowest of those: above all ordinary programs, below whatever else is in real time.
    match set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
        Ok(()) => "clients in real time (SCHED_RR)".to_owned(),
        Err(error) => format!("clients like other programs (real time is refused: {error:?})"),
    }
}

/// What threads are that are raised here.
pub(super) fn available() -> String {
    // By a thread of its own: the one that asks goes on as it is.
    let tried = std::thread::spawn(raise).join();
    tried.unwrap_or_else(|_| "clients like other programs".to_owned())
}

#[cfg(test)]
mod tests {
    use thread_priority::{ThreadSchedulePolicy as Policy, thread_schedule_policy};

    use super::*;

    #[test]
    fn what_is_said_is_so_and_others_stay_as_they_are() {
        let said = available();
        let own = thread_schedule_policy().expect("it has one");
        assert!(matches!(own, Policy::Normal(_)), "{own:?}");
        let raised = std::thread::spawn(|| {
            let said = raise();
            let started = std::thread::spawn(thread_schedule_policy).join();
            (said, started.expect("it ends").expect("it has one"))
        });
        let (again, started) = raised.join().expect("it ends");
        assert_eq!(again, said);
        assert_eq!(
            matches!(started, Policy::Realtime(_)),
            said.starts_with("clients in real time"),
            "{said}"
        );
    }
}
