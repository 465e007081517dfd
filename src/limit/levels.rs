//! What is left in the windows of a limit, as Redis tells it, and what a caller is shown of it.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use super::local::Few;
use crate::{
    fleet::Value,
    pipeline::quota::{Toll, Window},
};

/// Requests that are left, by window, with the fraction that has come back of the next.
pub(super) struct Levels(Few<f64>);

impl Levels {
    /// The next few of an answer.
    pub(super) fn read(said: &mut impl Iterator<Item = Value>, windows: usize) -> Option<Self> {
        let levels: Few<f64> = said.take(windows).map_while(number).collect();
        (levels.len() == windows).then_some(Self(levels))
    }

    pub(super) fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// Time until one request fits in all of them.
    pub(super) fn wait(&self, windows: &[Window]) -> Duration {
        let each = windows.iter().zip(&self.0);
        each.map(|(window, level)| time_of(window, 1.0 - level)).max().unwrap_or_default()
    }

    /// The window to show.
    pub(super) fn toll(&self, limit: &str, windows: &[Window]) -> Option<Toll> {
        // Never more than a limit, which is a `u32`; below zero it is none.
        let left = |number: usize| self.0.get(number).map_or(0, |level| level.max(0.0) as u32);
        tightest(&Arc::from(limit), windows, left)
    }
}

/// Fewest left, on a tie the later reset.
pub(super) fn tightest(
    name: &Arc<str>,
    windows: &[Window],
    left: impl Fn(usize) -> u32,
) -> Option<Toll> {
    let facts = windows.iter().enumerate().map(|(number, window)| {
        let remaining = left(number).min(window.limit);
        (remaining, time_of(window, f64::from(window.limit - remaining)), window)
    });
    let (remaining, reset_after, window) =
        facts.min_by_key(|(left, reset, _)| (*left, Reverse(*reset)))?;
    let name = Arc::clone(name);
    Some(Toll { name, window: *window, remaining, reset_after, retry_after: None })
}

/// How long so many requests take to come back.
fn time_of(window: &Window, requests: f64) -> Duration {
    let seconds = requests * window.per.as_secs_f64() / f64::from(window.limit.max(1));
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// Limit and span in microseconds of each window, as the scripts want them.
pub(super) fn arguments(windows: &[Window]) -> impl Iterator<Item = String> + '_ {
    let each = |window: &Window| [window.limit.to_string(), window.per.as_micros().to_string()];
    windows.iter().flat_map(each)
}

fn number(value: Value) -> Option<f64> {
    match value {
        Value::BulkString(text) => std::str::from_utf8(&text).ok()?.parse().ok(),
        Value::SimpleString(text) => text.parse().ok(),
        Value::Double(number) => Some(number),
        _ => None,
    }
}
