//! Counts the frames of an HTTP/2 connection as they pass, and says when there are too many.
//!
//! Frames cost the sender nothing and us something: streams that are opened and reset, streams that make us reset them
//! (CVE-2023-44487, CVE-2025-8671), pings, settings, empty data, pieces of a head. The library bounds some of these, some
//! not, and none by time. Only the nine bytes in front of each frame are read (RFC 9113 section 4.1); what they mean is
//! the library's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::edge::{pace::Least, settings::Http2};

/// Budgets are for so long.
const WINDOW: Duration = Duration::from_secs(10);
/// What a client says before its first frame (RFC 9113 section 3.4).
const PREFACE: usize = 24;
const HEADER: usize = 9;
/// Header of a frame, and the reason in a reset.
const LOOKED_AT: usize = HEADER + 4;
/// Window updates a client may send for each piece of an answer, and before the first.
const UPDATES_PER_DATA: u32 = 4;
const FIRST_UPDATES: u32 = 100;
const MOST_UPDATES: u32 = 10_000;
/// Data with padding of this length or less may be nothing but padding.
const LONGEST_PADDING: usize = 256;

const RESETS: u8 = 1;
const FRAMES: u8 = 2;
const STALLED: u8 = 3;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;

/// What all parts of one connection know of its budgets.
#[derive(Default)]
pub(in crate::edge) struct Budget {
    /// Requests that were refused because they could not be read in one way, not yet counted.
    malformed: AtomicU32,
    /// Streams that the client opened, and resets of ours.
    opened: AtomicU32,
    resets: AtomicU32,
    /// Bytes of answers that the client took; begins anew when it overflows.
    taken: AtomicU32,
    spent: AtomicU8,
}

impl Budget {
    /// A request was malformed.
    pub(in crate::edge) fn malformed(&self) {
        self.malformed.fetch_add(1, Relaxed);
    }

    /// The library has nothing more to hand out of what was read: of the streams opened, `accepted` came through. Those that
    /// it answered itself, because their head is too large, cost as much as malformed ones; so do those that it reset, but
    /// these were counted when the reset went out. Returns how many requests it refused since the last time.
    pub(in crate::edge) fn settle(&self, accepted: u32, seen: &mut Settled) -> u32 {
        let (opened, resets) = (self.opened.load(Relaxed), self.resets.load(Relaxed));
        let refused = opened.saturating_sub(accepted).saturating_sub(seen.refused);
        let unseen = refused.saturating_sub(resets.saturating_sub(seen.resets));
        (seen.refused, seen.resets) = (seen.refused + refused, resets);
        self.malformed.fetch_add(unseen, Relaxed);
        refused
    }

    /// The client took so many bytes of an answer.
    pub(in crate::edge) fn took(&self, bytes: usize) {
        self.taken.fetch_add(u32::try_from(bytes).unwrap_or(u32::MAX), Relaxed);
    }

    /// How many it took so far.
    pub(in crate::edge) fn taken(&self) -> u32 {
        self.taken.load(Relaxed)
    }

    /// A stream has waited in vain; if all together took too little since they had taken `taken`, the client does not
    /// read, which ends a connection of HTTP/1 as well.
    pub(in crate::edge) fn stalled(&self, taken: u32, least: Least) {
        if u64::from(self.taken().wrapping_sub(taken)) < least.bytes() {
            self.spent.store(STALLED, Relaxed);
        }
    }

    /// Which budget is used up.
    pub(in crate::edge) fn spent(&self) -> Option<&'static str> {
        match self.spent.load(Relaxed) {
            0 => None,
            RESETS => Some("resets"),
            FRAMES => Some("frames"),
            _ => Some("stalled"),
        }
    }
}

/// What was settled so far.
#[derive(Default)]
pub(in crate::edge) struct Settled {
    refused: u32,
    resets: u32,
}

/// The frames of one connection, both ways.
pub(in crate::edge) struct Frames {
    limits: Http2,
    budget: Arc<Budget>,
    came: Reader,
    went: Reader,
    resets: Count,
    control: Count,
    updates: u32,
    /// A head began and is not complete.
    head: bool,
    /// A stream whose head is not complete.
    opening: bool,
    /// The last stream that the client opened.
    last: u32,
}

impl Frames {
    pub(in crate::edge) fn new(limits: Http2, budget: Arc<Budget>) -> Self {
        Self {
            limits,
            budget,
            came: Reader { skip: PREFACE, ..Reader::default() },
            went: Reader::default(),
            resets: Count::default(),
            control: Count::default(),
            updates: FIRST_UPDATES,
            head: false,
            opening: false,
            last: 0,
        }
    }

    /// Whether nothing more is to be read.
    pub(in crate::edge) fn spent(&self) -> bool {
        self.budget.spent().is_some()
    }

    /// Whether a head has begun and is not complete.
    pub(in crate::edge) fn in_head(&self) -> bool {
        self.head || (self.came.skip > 0 && matches!(self.came.kind(), HEADERS | CONTINUATION))
    }

    /// Bytes of the client.
    pub(in crate::edge) fn came(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self.came.next(&mut bytes) {
            self.of_client(&frame);
        }
        if self.opening && !self.in_head() {
            self.opening = false;
            self.budget.opened.fetch_add(1, Relaxed);
        }
        let malformed = self.budget.malformed.swap(0, Relaxed);
        for _ in 0..malformed {
            self.count_reset();
        }
    }

    /// Bytes of ours.
    pub(in crate::edge) fn went(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self.went.next(&mut bytes) {
            match frame.kind {
                DATA => {
                    self.updates = self.updates.saturating_add(UPDATES_PER_DATA).min(MOST_UPDATES);
                }
                // Without a reason it only says that the rest of a body is not wanted.
                RST_STREAM if frame.reason != 0 => {
                    self.budget.resets.fetch_add(1, Relaxed);
                    self.count_reset();
                }
                _ => {}
            }
        }
    }

    fn of_client(&mut self, frame: &Frame) {
        match frame.kind {
            DATA => {
                let padded = frame.has(PADDED) && frame.length <= LONGEST_PADDING;
                if (frame.length == 0 || padded) && !frame.has(END_STREAM) {
                    self.count_control();
                }
            }
            HEADERS => {
                self.head = !frame.has(END_HEADERS);
                if frame.stream > self.last {
                    self.last = frame.stream;
                    // One at a time: no frame stands between the pieces of a head. One that stood open is complete now.
                    self.budget.opened.fetch_add(u32::from(self.opening), Relaxed);
                    self.opening = true;
                }
            }
            CONTINUATION => {
                self.head = !frame.has(END_HEADERS);
                self.count_control();
            }
            RST_STREAM => self.count_reset(),
            WINDOW_UPDATE if self.updates > 0 => self.updates -= 1,
            GOAWAY => {}
            _ => self.count_control(),
        }
    }

    fn count_reset(&mut self) {
        if self.resets.add(self.limits.resets) {
            self.budget.spent.store(RESETS, Relaxed);
        }
    }

    fn count_control(&mut self) {
        if self.control.add(self.limits.control_frames) {
            self.budget.spent.store(FRAMES, Relaxed);
        }
    }
}

/// Something counted over a time.
#[derive(Default)]
struct Count {
    count: u32,
    since: Option<Instant>,
}

impl Count {
    /// One more; whether there were more than `most` in the time. The clock is read once in so many.
    fn add(&mut self, most: u32) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.count += 1;
        if self.count <= most {
            return false;
        }
        if since.elapsed() < WINDOW {
            return true;
        }
        (self.count, self.since) = (1, Some(Instant::now()));
        false
    }
}

struct Frame {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
    /// Of a reset.
    reason: u32,
}

impl Frame {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Finds the frames in a stream of bytes.
#[derive(Default)]
struct Reader {
    /// Bytes that are of no interest.
    skip: usize,
    seen: [u8; LOOKED_AT],
    have: usize,
}

impl Reader {
    /// The next frame whose beginning is in `bytes`, which is moved behind what was read.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        loop {
            let skipped = self.skip.min(bytes.len());
            *bytes = bytes.get(skipped..)?;
            self.skip -= skipped;
            if self.skip > 0 {
                return None;
            }
            let wanted = if self.have >= HEADER && self.is_reset() { LOOKED_AT } else { HEADER };
            let room = self.seen.get_mut(self.have..wanted)?;
            let taken = room.len().min(bytes.len());
            let (now, later) = bytes.split_at_checked(taken)?;
            room.get_mut(..taken)?.copy_from_slice(now);
            *bytes = later;
            self.have += taken;
            if self.have < wanted {
                return None;
            }
            if wanted == HEADER && self.is_reset() {
                continue;
            }
            let frame = self.frame();
            self.skip = frame.length.saturating_sub(wanted - HEADER);
            self.have = 0;
            return Some(frame);
        }
    }

    /// The kind of the frame that was found last.
    fn kind(&self) -> u8 {
        let [_, _, _, kind, ..] = self.seen;
        kind
    }

    fn is_reset(&self) -> bool {
        let [_, _, length, kind, ..] = self.seen;
        kind == RST_STREAM && length == 4
    }

    fn frame(&self) -> Frame {
        let [a, b, c, kind, flags, s0, s1, s2, s3, r0, r1, r2, r3] = self.seen;
        Frame {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
            reason: u32::from_be_bytes([r0, r1, r2, r3]),
        }
    }
}

#[cfg(test)]
mod tests;
