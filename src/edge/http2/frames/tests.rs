use super::*;

fn frames() -> (Frames, Arc<Budget>) {
    let budget = Arc::new(Budget::default());
    let limits = Http2 { resets: 10, control_frames: 20, ..Http2::default() };
    let mut frames = Frames::new(limits, Arc::clone(&budget));
    frames.came(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    (frames, budget)
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
    out.extend_from_slice(payload);
    out
}

/// How many of a frame are taken before a budget is used up.
fn taken(one: &[u8], most: usize) -> (usize, Option<&'static str>) {
    let (mut frames, budget) = frames();
    for count in 0..most {
        frames.came(one);
        if budget.spent().is_some() {
            return (count, budget.spent());
        }
    }
    (most, None)
}

#[test]
fn frames_that_move_nothing_have_a_budget() {
    let ping = frame(0x6, 0, &[0; 8]);
    assert_eq!(taken(&ping, 100), (20, Some("frames")));
    assert_eq!(taken(&frame(0x4, 0, b""), 100), (20, Some("frames")));
    assert_eq!(taken(&frame(CONTINUATION, 0, b"x"), 100), (20, Some("frames")));
    assert_eq!(taken(&frame(DATA, 0, b""), 100), (20, Some("frames")));
    assert_eq!(taken(&frame(DATA, PADDED, &[3, 0, 0, 0]), 100), (20, Some("frames")));
    assert_eq!(taken(&frame(0x2, 0, &[0; 5]), 100), (20, Some("frames")));
    assert_eq!(taken(&frame(DATA, 0, b"x"), 100), (100, None));
    assert_eq!(taken(&frame(DATA, END_STREAM, b""), 100), (100, None));
    assert_eq!(taken(&frame(HEADERS, END_HEADERS, b"x"), 100), (100, None));
}

#[test]
fn resets_of_both_sides_and_malformed_requests_share_a_budget() {
    assert_eq!(taken(&frame(RST_STREAM, 0, &[0, 0, 0, 8]), 100), (10, Some("resets")));
    let (mut frames, budget) = frames();
    for _ in 0..20 {
        frames.went(&frame(RST_STREAM, 0, &[0; 4]));
    }
    assert_eq!(budget.spent(), None, "a reset without a reason is no fault");
    for _ in 0..5 {
        frames.went(&frame(RST_STREAM, 0, &[0, 0, 0, 1]));
        budget.malformed();
    }
    frames.came(&frame(HEADERS, END_HEADERS, b"x"));
    assert_eq!(budget.spent(), None);
    budget.malformed();
    frames.came(b"");
    assert_eq!(budget.spent(), Some("resets"));
}

#[test]
fn window_updates_are_earned_by_data() {
    let update = frame(WINDOW_UPDATE, 0, &[0, 0, 0, 1]);
    let (mut frames, budget) = frames();
    for _ in 0..1000 {
        frames.went(&frame(DATA, 0, &[0; 100]));
        frames.came(&update);
        frames.came(&update);
    }
    assert_eq!(budget.spent(), None);
    assert_eq!(taken(&update, 1000), (120, Some("frames")));
}

#[test]
fn frames_are_found_wherever_the_bytes_are_cut() {
    let mut all = Vec::new();
    for _ in 0..11 {
        all.extend(frame(HEADERS, END_HEADERS, &[7; 30]));
        all.extend(frame(DATA, END_STREAM, &[3; 300]));
        all.extend(frame(RST_STREAM, 0, &[0, 0, 0, 8]));
    }
    for size in [1, 2, 5, 9, 13, 64, all.len()] {
        let (mut frames, budget) = frames();
        let last = all.len() - 4;
        all[..last].chunks(size).for_each(|piece| frames.came(piece));
        assert_eq!(budget.spent(), None, "{size}");
        all[last..].chunks(size).for_each(|piece| frames.came(piece));
        assert_eq!(budget.spent(), Some("resets"), "{size}");
    }
}

#[test]
fn a_head_is_complete_with_the_last_byte_of_its_last_piece() {
    let (mut frames, _) = frames();
    let first = frame(HEADERS, 0, &[0; 10]);
    let last = frame(CONTINUATION, END_HEADERS, &[0; 10]);
    assert!(!frames.in_head());
    frames.came(&first[..15]);
    assert!(frames.in_head());
    frames.came(&first[15..]);
    assert!(frames.in_head());
    frames.came(&last[..18]);
    assert!(frames.in_head());
    frames.came(&last[18..]);
    assert!(!frames.in_head());
    frames.came(&frame(DATA, 0, &[0; 10])[..12]);
    assert!(!frames.in_head());
}

#[test]
fn a_stream_that_the_library_answers_itself_is_as_good_as_malformed() {
    let (mut frames, budget) = frames();
    let mut settled = Settled::default();
    let open = |frames: &mut Frames, id: u8, piece: usize| {
        let mut head = frame(HEADERS, END_HEADERS, b"head");
        head[8] = id;
        frames.came(&head[..piece.min(head.len())]);
    };
    for id in [1, 3, 5] {
        open(&mut frames, id, 99);
    }
    budget.settle(3, &mut settled);
    open(&mut frames, 7, 11);
    budget.settle(3, &mut settled);
    assert_eq!(budget.malformed.load(Relaxed), 0, "a head that is not complete is no fault");
    frames.came(b"ad");
    budget.settle(4, &mut settled);
    assert_eq!(budget.malformed.load(Relaxed), 0);
    open(&mut frames, 9, 99);
    frames.went(&frame(RST_STREAM, 0, &[0, 0, 0, 1]));
    budget.settle(4, &mut settled);
    assert_eq!(budget.malformed.load(Relaxed), 0, "a reset is counted as one");
    open(&mut frames, 11, 99);
    open(&mut frames, 13, 99);
    budget.settle(4, &mut settled);
    assert_eq!(budget.malformed.load(Relaxed), 2);
    budget.settle(4, &mut settled);
    assert_eq!(budget.malformed.load(Relaxed), 2, "once each");
}
