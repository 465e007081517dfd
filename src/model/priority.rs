//! The priority of a thread: what is proxied comes first, where cores are short.

/// Lowers the priority of the calling thread to that of `nice`; one that is as low already stays as it is. Ten is a tenth
/// of the share of a thread that serves, five a third.
#[cfg(target_os = "linux")]
pub fn lower(nice: i32) {
    use rustix::process::{getpriority_process, setpriority_process};
    // Without a process, Linux takes the calling thread for it (setpriority(2), "C library/kernel differences").
    let lowered = match getpriority_process(None) {
        Ok(now) if now < nice => setpriority_process(None, nice),
        _ => Ok(()),
    };
    if let Err(error) = lowered {
        tracing::debug!(event = "thread_priority", %error);
    }
}

/// Has the calling thread run only where a core has nothing else to do: whatever else is to run comes first at once, and a
/// core with nothing but this counts as an idle one (sched(7), `SCHED_IDLE`).
#[cfg(target_os = "linux")]
pub fn only_when_idle() {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id,
    };
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    // It also wants the thread's nice value back at 0, which is not allowed to everybody and means nothing here.
    if let Err(error) =
        set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy)
    {
        tracing::trace!(event = "thread_priority", ?error);
    }
}

/// Elsewhere nothing is known that does the same.
#[cfg(not(target_os = "linux"))]
pub fn only_when_idle() {}

/// Elsewhere that would be the priority of the whole process.
#[cfg(not(target_os = "linux"))]
pub fn lower(_: i32) {}
