//! The protocol of shares against a model: many nodes with clocks of their own, a network that loses and delays, nodes that
//! stand still, crash and come back. Every run is a seed. `PORTCULLIS_SIMULATION=N` plays N seeds in place of a few.

mod bucket;

use std::collections::BTreeMap;

use self::bucket::Bucket;
use super::share::{Ask, Grant, IDLE, LEASE_MILLIS, Nanos, Share, Take, Waits};
use crate::limit::local::table::CELLS;

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
/// What a call may take.
const BUDGET: u64 = 5 * MILLI;
/// How long a request waits at most.
const PATIENCE: u64 = 2 * BUDGET;

/// Numbers that look random and are the same for the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn happens(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }
}

/// A request that waits.
struct Waiting {
    round: u64,
    until: u64,
}

struct Node {
    name: u64,
    epochs: u64,
    share: Share,
    offset: u64,
    /// Its clock runs at so many thousandths of the true speed.
    speed: u64,
    /// What was asked last, and not heard of yet.
    asked: Option<u64>,
    waiting: Vec<Waiting>,
    watched: bool,
    frozen_until: u64,
}

impl Node {
    fn clock(&self, now: u64) -> Nanos {
        self.offset + now / 1000 * self.speed
    }
}

enum Event {
    Request(usize),
    /// At Redis.
    Heard {
        node: usize,
        name: u64,
        number: u64,
        sent: Nanos,
        ask: Ask,
    },
    Answer {
        node: usize,
        name: u64,
        number: u64,
        sent: Nanos,
        grant: Option<Grant>,
    },
    Timeout {
        node: usize,
        name: u64,
        number: u64,
    },
    Look(usize),
    Freeze(usize),
    Crash(usize),
}

/// What is played.
#[derive(Clone, Copy)]
struct Play {
    limit: u32,
    span: u64,
    nodes: u32,
    /// How long requests come.
    lasts: u64,
    /// Requests of the whole fleet per second.
    offered: u64,
    faults: bool,
}

struct World {
    play: Play,
    dice: Dice,
    now: u64,
    order: u64,
    events: BTreeMap<(u64, u64), Event>,
    nodes: Vec<Node>,
    bucket: Bucket,
    admitted: Vec<u64>,
    /// When requests came.
    came: Vec<u64>,
    messages: u64,
}

impl World {
    fn new(seed: u64, play: Play) -> Self {
        let mut dice = Dice(seed);
        let nodes = (0..play.nodes).map(|number| Node {
            name: u64::from(number),
            epochs: 1,
            share: Share::new(1),
            offset: SECOND + dice.below(1 << 50),
            speed: if play.faults { 950 + dice.below(100) } else { 1000 },
            asked: None,
            waiting: Vec::new(),
            watched: false,
            frozen_until: 0,
        });
        let nodes = nodes.collect();
        let bucket = Bucket::new(play.limit, play.span);
        let (events, admitted, came) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut world = Self {
            play,
            dice,
            now: SECOND,
            order: 0,
            events,
            nodes,
            bucket,
            admitted,
            came,
            messages: 0,
        };
        world.plan_requests();
        if play.faults {
            world.plan_faults();
        }
        world
    }

    fn at(&mut self, when: u64, event: Event) {
        self.order += 1;
        self.events.insert((when.max(self.now), self.order), event);
    }

    /// Half of them at the first node, a quarter at the second, and so on; and in bursts.
    fn plan_requests(&mut self) {
        let (mut when, gap) = (self.now, SECOND / self.play.offered.max(1));
        while when < self.now + self.play.lasts {
            let burst = if self.dice.happens(20) { 20 } else { 1 };
            for _ in 0..burst {
                let skewed = self.dice.next().trailing_zeros() as usize;
                let node = skewed.min(self.nodes.len() - 1);
                self.at(when, Event::Request(node));
                self.came.push(when);
            }
            when += self.dice.below(2 * gap) * burst + 1;
        }
    }

    fn plan_faults(&mut self) {
        for _ in 0..self.play.lasts / SECOND {
            let (when, node) = (self.now + self.dice.below(self.play.lasts), self.any_node());
            let event =
                if self.dice.happens(300) { Event::Crash(node) } else { Event::Freeze(node) };
            self.at(when, event);
        }
    }

    fn any_node(&mut self) -> usize {
        self.dice.below(self.nodes.len() as u64) as usize
    }

    fn run(&mut self) {
        while let Some(((when, _), event)) = self.events.pop_first() {
            self.now = when;
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Request(node) => {
                if self.later(node, Event::Request(node)) {
                    return;
                }
                self.request(node, Waits::New, self.now + PATIENCE);
            }
            Event::Heard { node, name, number, sent, ask } => {
                let grant = self.bucket.hear(self.now, name, self.play.nodes, &ask);
                self.deliver(node, |_| Event::Answer { node, name, number, sent, grant });
            }
            Event::Answer { node, name, number, sent, grant } => {
                if self.nodes[node].name != name || self.nodes[node].asked != Some(number) {
                    return;
                }
                if self.later(node, Event::Answer { node, name, number, sent, grant }) {
                    return;
                }
                self.over(node, grant.map(|grant| (sent, grant)));
            }
            Event::Timeout { node, name, number } => {
                if self.nodes[node].name == name && self.nodes[node].asked == Some(number) {
                    self.over(node, None);
                }
            }
            Event::Look(node) => {
                if self.later(node, Event::Look(node)) {
                    return;
                }
                self.look(node);
            }
            Event::Freeze(node) => {
                let span = self.dice.below(4 * SECOND);
                self.nodes[node].frozen_until = self.now + span;
            }
            Event::Crash(node) => {
                let name = self.nodes[node].name + 1000;
                let own = &mut self.nodes[node];
                *own = Node { name, epochs: 1, share: Share::new(1), waiting: Vec::new(), ..*own };
                (own.asked, own.watched) = (None, false);
            }
        }
    }

    /// A node that stands still does nothing until it goes on.
    fn later(&mut self, node: usize, event: Event) -> bool {
        let until = self.nodes[node].frozen_until;
        if until <= self.now {
            return false;
        }
        self.at(until, event);
        true
    }

    fn request(&mut self, node: usize, waits: Waits, until: u64) {
        let clock = self.nodes[node].clock(self.now);
        match self.nodes[node].share.take(clock, waits) {
            Take::Taken { refill, .. } => {
                self.admitted.push(self.now);
                if refill {
                    self.ask(node);
                }
            }
            Take::Refused(_) => {}
            Take::Wait { start, round } => {
                if start {
                    self.ask(node);
                }
                self.nodes[node].waiting.push(Waiting { round, until });
            }
        }
    }

    fn ask(&mut self, node: usize) {
        let clock = self.nodes[node].clock(self.now);
        let ask = self.nodes[node].share.ask(clock);
        self.say(node, clock, ask);
    }

    fn say(&mut self, node: usize, sent: Nanos, ask: Ask) {
        self.messages += 1;
        let (name, number) = (self.nodes[node].name, self.messages);
        self.nodes[node].asked = Some(number);
        self.at(self.now + BUDGET, Event::Timeout { node, name, number });
        self.deliver(node, |_| Event::Heard { node, name, number, sent, ask });
    }

    /// Over the network: soon, late, or never.
    fn deliver(&mut self, _: usize, event: impl FnOnce(u64) -> Event) {
        let mut takes = 50 * MICRO + self.dice.below(400 * MICRO);
        if self.play.faults {
            if self.dice.happens(30) {
                return;
            }
            if self.dice.happens(30) {
                takes = self.dice.below(5 * SECOND);
            }
        }
        let event = event(takes);
        self.at(self.now + takes, event);
    }

    fn over(&mut self, node: usize, grant: Option<(Nanos, Grant)>) {
        let clock = self.nodes[node].clock(self.now);
        let own = &mut self.nodes[node];
        own.asked = None;
        match grant {
            Some((sent, grant)) => own.share.told(sent, clock, &grant),
            None => {
                own.epochs += 1;
                own.share.failed(own.epochs);
            }
        }
        if own.share.holds() && !own.watched {
            own.watched = true;
            self.at(self.now + IDLE, Event::Look(node));
        }
        for waiting in std::mem::take(&mut self.nodes[node].waiting) {
            if waiting.until > self.now {
                self.request(node, Waits::Since(waiting.round), waiting.until);
            }
        }
    }

    fn look(&mut self, node: usize) {
        let clock = self.nodes[node].clock(self.now);
        if let Some(ask) = self.nodes[node].share.idle(clock) {
            self.nodes[node].watched = false;
            self.say(node, clock, ask);
        } else if self.nodes[node].share.holds() {
            self.at(self.now + IDLE, Event::Look(node));
        } else {
            self.nodes[node].watched = false;
        }
    }

    /// By how many requests a span admitted more than a bucket of the limit would have, at most.
    fn over_the_limit(&self) -> f64 {
        let rate = f64::from(self.play.limit) / self.play.span as f64;
        let (mut level, mut last, mut worst) = (f64::from(self.play.limit), 0, 0.0_f64);
        for at in &self.admitted {
            level = (level + (at - last) as f64 * rate).min(f64::from(self.play.limit)) - 1.0;
            last = *at;
            worst = worst.max(-level);
        }
        worst
    }

    /// How many of these requests one bucket would have admitted that knows of all of them at once.
    fn most(&self) -> f64 {
        let limit = f64::from(self.play.limit);
        let rate = limit / self.play.span as f64;
        let (mut level, mut last, mut count) = (limit, 0, 0.0);
        for at in &self.came {
            level = (level + (at - last) as f64 * rate).min(limit);
            last = *at;
            if level >= 1.0 {
                (level, count) = (level - 1.0, count + 1.0);
            }
        }
        count
    }
}

fn seeds() -> u64 {
    let wanted = std::env::var("PORTCULLIS_SIMULATION").ok();
    wanted.and_then(|seeds| seeds.parse().ok()).unwrap_or(12)
}

const LIMITS: [(u32, u64); 6] = [
    (1000, SECOND),
    (100, SECOND),
    (600, 60 * SECOND),
    (100, 60 * SECOND),
    (5, 10 * SECOND),
    (1, SECOND),
];

#[test]
fn no_span_admits_more_than_the_bound_whatever_is_lost_late_frozen_or_gone() {
    for seed in 0..seeds() {
        for (limit, span) in LIMITS {
            let offered = (u64::from(limit) * SECOND / span).max(1) * 3;
            let (nodes, lasts) = (2 + seed as u32 % 9, 12 * SECOND);
            let play = Play { limit, span, nodes, lasts, offered, faults: true };
            let mut world = World::new(seed, play);
            world.run();
            let over = world.over_the_limit();
            assert!(
                over <= f64::from(limit) * 0.01 + 1e-6,
                "seed {seed}, {limit} in {span}: {over} too many"
            );
            assert!(!world.admitted.is_empty());
        }
    }
}

#[test]
fn a_skewed_fleet_admits_almost_all_of_the_limit_and_no_more() {
    for seed in 0..seeds() {
        for (limit, span) in LIMITS {
            let offered = (u64::from(limit) * SECOND / span).max(1) * 4 + 40;
            let (nodes, lasts) = (5, 20 * SECOND);
            let play = Play { limit, span, nodes, lasts, offered, faults: false };
            let mut world = World::new(seed, play);
            world.run();
            let (admitted, most) = (world.admitted.len() as f64, world.most());
            let share = admitted / most;
            // Of a handful a single one is more than three hundredths.
            assert!(
                admitted >= (0.97 * most).min(most - 2.0),
                "seed {seed}, {limit} in {span}: {admitted} of {most}, {share}"
            );
            let over = world.over_the_limit();
            assert!(over <= f64::from(limit) * 0.01 + 1e-6, "seed {seed}: {over} too many");
        }
    }
}

#[test]
fn below_the_limit_nobody_is_refused_and_few_requests_wait() {
    for seed in 0..seeds() {
        let (limit, span, lasts) = (1000, SECOND, 10 * SECOND);
        let play = Play { limit, span, nodes: 5, lasts, offered: 500, faults: false };
        let mut world = World::new(seed, play);
        let offered = world.events.len();
        world.run();
        assert_eq!(world.admitted.len(), offered, "seed {seed}");
        assert!(
            world.messages < offered as u64 / 2,
            "seed {seed}: {} calls for {offered} requests",
            world.messages
        );
    }
}

#[test]
fn shares_flow_back_and_a_quiet_key_costs_nothing() {
    for seed in 0..seeds() {
        let (limit, span, lasts) = (1000, SECOND, 2 * SECOND);
        let play = Play { limit, span, nodes: 5, lasts, offered: 400, faults: false };
        let mut world = World::new(seed, play);
        world.run();
        // It came to an end by itself, and soon: nothing is asked for ever.
        let last = world.admitted.last().copied().unwrap_or_default();
        assert!(world.now < last + 2 * SECOND, "seed {seed}");
        assert_eq!(world.bucket.outstanding(), 0, "seed {seed}: all was given back");
    }
}

#[test]
fn what_a_crashed_node_had_is_spent_and_comes_back_with_time() {
    let mut bucket = Bucket::new(100, SECOND);
    let ask = |extra, need| Ask { epoch: 1, spent: 0, back: 0, need, extra };
    let given = bucket.hear(SECOND, 1, 1, &ask(50, 0)).map(|grant| grant.extra);
    assert_eq!(given, Some(12));
    // Nothing is heard of it any more. Another node finds the rest at once, and all of it later.
    let rest = bucket.hear(SECOND, 2, 1, &ask(0, 100)).map(|grant| grant.ready);
    assert_eq!(rest, Some(88));
    let later = SECOND + LEASE_MILLIS * MILLI + SECOND;
    assert_eq!(bucket.hear(later, 2, 1, &ask(0, 100)).map(|grant| grant.ready), Some(100));
}
