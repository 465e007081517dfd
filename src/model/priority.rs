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

/// Elsewhere that would be the priority of the whole process.
#[cfg(not(target_os = "linux"))]
pub fn lower(_: i32) {}
