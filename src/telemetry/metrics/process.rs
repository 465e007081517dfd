//! The usual `process_*` figures, read from `/proc` at each scrape. Elsewhere than on Linux only the start time is shown.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus::{
    Counter, Error, Gauge, IntGauge,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// Linux counts process times in these for every program, whatever the kernel's own tick (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) struct Process {
    start: Gauge,
    cpu: Counter,
    resident: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    threads: IntGauge,
}

impl Process {
    pub(super) fn new() -> Result<Self, Error> {
        let start = Gauge::new(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
        )?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        start.set(now.as_secs_f64());
        Ok(Self {
            start,
            cpu: Counter::new(
                "process_cpu_seconds_total",
                "Total user and system CPU time spent in seconds.",
            )?,
            resident: IntGauge::new(
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
            )?,
            open_fds: IntGauge::new("process_open_fds", "Number of open file descriptors.")?,
            max_fds: IntGauge::new("process_max_fds", "Maximum number of open file descriptors.")?,
            threads: IntGauge::new("process_threads", "Number of OS threads in the process.")?,
        })
    }

    fn read(&self) -> Option<()> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let (cpu, threads) = parse_stat(&stat)?;
        self.cpu.inc_by((cpu - self.cpu.get()).max(0.0));
        self.threads.set(threads);
        let status = fs::read_to_string("/proc/self/status").ok()?;
        self.resident.set(parse_field(&status, "VmRSS:")? * 1024);
        let open = fs::read_dir("/proc/self/fd").ok()?.count();
        self.open_fds.set(i64::try_from(open).ok()?);
        let limits = fs::read_to_string("/proc/self/limits").ok()?;
        self.max_fds.set(parse_field(&limits, "Max open files")?);
        Some(())
    }

    fn collectors(&self) -> [&dyn Collector; 6] {
        [&self.start, &self.cpu, &self.resident, &self.open_fds, &self.max_fds, &self.threads]
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if self.read().is_none() {
            return self.start.collect();
        }
        self.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}

/// CPU seconds and threads. The command's name may hold blanks and brackets, so fields are counted behind its end.
fn parse_stat(stat: &str) -> Option<(f64, i64)> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    let threads = fields.nth(4)?.parse().ok()?;
    Some(((user + system) / TICKS_PER_SECOND, threads))
}

/// The first number behind a name; "unlimited" reads as none.
fn parse_field(text: &str, name: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_brackets_does_not_shift_the_fields() {
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 7 0 100 0";
        assert_eq!(parse_stat(stat), Some((3.0, 7)));
    }

    #[test]
    fn fields_are_found_by_name() {
        assert_eq!(parse_field("VmSize:\t 10 kB\nVmRSS:\t 2048 kB\n", "VmRSS:"), Some(2048));
        assert_eq!(parse_field("Max open files unlimited unlimited", "Max open files"), None);
    }
}
