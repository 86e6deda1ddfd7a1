//! Clients that go before other programs of this computer, where it lets them: on two processors that run nine machines too, a
//! client that waits for its turn measures its own waiting.
//!
//! They sleep nearly all the time. The lab has as much to do as before; it is only that its clients are on time.

use thread_priority::{
    NormalThreadSchedulePolicy, RealtimeThreadSchedulePolicy, ThreadPriority,
    ThreadPriorityOsValue, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
    thread_schedule_policy,
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

/// Does `work` as ordinary programs are done, whatever this thread is: what it starts inherits that.
///
/// A client that finds its way to the lab gone starts an ssh, which is to go before nobody.
pub(crate) fn ordinary<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if let Ok(ThreadSchedulePolicy::Normal(_)) | Err(_) = thread_schedule_policy() {
        return work();
    }
    let done = std::thread::scope(|scope| {
        let lowered = scope.spawn(|| {
            let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
            let nice = ThreadPriority::Os(ThreadPriorityOsValue::default());
            // To be less than one was is refused to nobody.
            drop(set_thread_priority_and_policy(
                thread_native_id(),
                nice,
                policy,
            ));
            work()
        });
        lowered.join()
    });
    match done {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use caravan_process::Program;
    use thread_priority::ThreadSchedulePolicy as Policy;

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

    /// The policy of a program that is started here, as the kernel numbers them: 0 is that of ordinary ones, 2 is SCHED_RR.
    fn policy_of_a_program() -> String {
        let cut = Program::find("cut").expect("it is there");
        let read = cut.call(["-d ", "-f41", "/proc/self/stat"]).run();
        read.expect("read").stdout.trim().to_owned()
    }

    #[test]
    fn a_program_that_is_started_in_real_time_is_an_ordinary_one() {
        let raised = std::thread::spawn(|| {
            let said = raise();
            (said, policy_of_a_program(), ordinary(policy_of_a_program))
        });
        let (said, inherited, ordinary) = raised.join().expect("it ends");
        assert_eq!(ordinary, "0");
        // It would be in real time otherwise, where this computer lets anybody be.
        assert_eq!(inherited == "2", said.starts_with("clients in real time"));
    }
}
