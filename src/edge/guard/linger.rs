//! What is still read and thrown away behind the last byte we sent, so that it is not lost in a reset.

use std::time::Duration;

use tokio::time::Instant;

const TIME: Duration = Duration::from_secs(2);
/// Of the rest of a request.
const BYTES: usize = 16 << 20;
/// Of frames: no stream is served any more, and a flood is not worth the reading.
const BYTES_OF_FRAMES: usize = 256 << 10;

/// What may still be read.
pub(super) struct Linger {
    pub(super) until: Instant,
    pub(super) left: usize,
}

impl Linger {
    pub(super) fn begin(frames: bool) -> Self {
        let left = if frames { BYTES_OF_FRAMES } else { BYTES };
        Self { until: Instant::now() + TIME, left }
    }
}
