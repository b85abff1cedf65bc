//! The event loop.
//!
//! Between two events every running block progresses at a constant rate, so the loop needs no time
//! step: it finds the nearest of (end of a block, end of a slice, arrival, end of a hand-over),
//! moves there, and computes new rates when what runs has changed. A board has a handful of units
//! and tenants, so a linear scan beats a heap.

use super::outcome::{Outcome, StreamOutcome};
use super::soc::{Discipline, Soc};
use super::stream::{Clock, Stream};
use super::unit::{Engine, Job, Lane};
use ecomap_instances::generate::Seed;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::VecDeque;

/// How long to run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// Seed of arrivals and spreads.
    pub seed: Seed,
    /// Simulated time that is not measured, ms.
    pub warmup_ms: f64,
    /// Simulated time after the warm-up, ms.
    pub measure_ms: f64,
    /// Work limit: ends of blocks and slices, arrivals and hand-overs.
    pub max_events: u64,
}

/// What cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// A stage without blocks, a stream without stages, or a unit that the board lacks.
    #[error("stream {stream}: {what}")]
    Stream {
        /// Position.
        stream: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A number that is negative, infinite or not a number.
    #[error("{what} must be a finite number of at least 0")]
    Number {
        /// Which one.
        what: &'static str,
    },
}

/// A block with less than this left is done, ms: what rounding leaves at times of up to 10^7 ms.
const TIME_TOLERANCE: f64 = 1e-7;

/// A tensor under way to its next stage.
#[derive(Debug, Clone, Copy)]
struct Handover {
    at: f64,
    lane: usize,
    arrived: f64,
}

struct World<'a> {
    soc: &'a Soc,
    lanes: Vec<Lane>,
    engines: Vec<Engine>,
    clocks: Vec<Clock<ChaCha8Rng>>,
    next_arrival: Vec<f64>,
    first_lane: Vec<usize>,
    limits: Vec<usize>,
    in_flight: Vec<usize>,
    /// Hand-overs, in order of their end for each lane, but not among lanes.
    handovers: VecDeque<Handover>,
    now: f64,
    dynamic_w: f64,
    throttled: bool,
    latencies: Vec<Vec<f64>>,
    out: Outcome,
    energy_w_ms: f64,
}

/// Runs the streams on the board.
///
/// # Errors
/// [`SimError`] when a stream is malformed or a number is out of range; nothing is run then.
pub fn simulate(soc: &Soc, streams: &[Stream], run: &Run) -> Result<Outcome, SimError> {
    check(soc, streams, run)?;
    let mut world = World::new(soc, streams, run);
    world.go(run);
    Ok(world.finish(run))
}

fn check(soc: &Soc, streams: &[Stream], run: &Run) -> Result<(), SimError> {
    let sound = |x: f64| x.is_finite() && x >= 0.0;
    for (x, what) in [
        (run.warmup_ms, "warmup_ms"),
        (run.measure_ms, "measure_ms"),
        (soc.idle_w, "idle_w"),
        (soc.limit_w, "limit_w"),
        (soc.bandwidth, "bandwidth"),
    ] {
        if !sound(x) {
            return Err(SimError::Number { what });
        }
    }
    for (stream, s) in streams.iter().enumerate() {
        let bad = |what| Err(SimError::Stream { stream, what });
        if s.stages.is_empty() || s.stages.iter().any(|g| g.blocks.is_empty()) {
            return bad("needs at least one stage, and every stage a block");
        }
        if s.stages.iter().any(|g| g.unit >= soc.units.len()) {
            return bad("names a unit that the board lacks");
        }
        let numbers = |g: &super::stream::Stage| {
            sound(g.transfer_ms)
                && sound(g.transfer_w)
                && g.jitter.p95 >= 1.0
                && g.jitter.p99 >= g.jitter.p95
                && g.jitter.p99 <= 1e3
                && g.blocks.iter().all(|b| {
                    sound(b.time_ms)
                        && sound(b.traffic)
                        && sound(b.watts)
                        && (0.0..=1.0).contains(&b.memory_share)
                })
        };
        if !s.stages.iter().all(numbers) || s.base_ms() <= 0.0 {
            return bad("has a number out of range");
        }
        let gap = s.gap_ms();
        if matches!(s.arrivals, super::stream::Arrivals::Closed { think_ms } if !sound(think_ms)) {
            return bad("needs a think time of at least 0");
        }
        if !(gap.is_finite() && gap > 0.0) || s.queue_limit == 0 {
            return bad("needs a positive mean gap and queue limit");
        }
    }
    Ok(())
}

impl<'a> World<'a> {
    fn new(soc: &'a Soc, streams: &[Stream], run: &Run) -> Self {
        let mut lanes = Vec::new();
        let mut first_lane = Vec::new();
        let mut clocks = Vec::new();
        let mut next_arrival = Vec::new();
        for (n, stream) in streams.iter().enumerate() {
            first_lane.push(lanes.len());
            let last = stream.stages.len() - 1;
            for (k, stage) in stream.stages.iter().enumerate() {
                lanes.push(Lane {
                    stream: n,
                    unit: stage.unit,
                    blocks: stage.blocks.clone(),
                    jitter: stage.jitter,
                    transfer_ms: stage.transfer_ms,
                    transfer_w: stage.transfer_w,
                    next: (k < last).then_some(lanes.len() + 1),
                    queue: VecDeque::new(),
                    suspended: None,
                });
            }
            let mut rng = ChaCha8Rng::seed_from_u64(run.seed.0);
            rng.set_stream(n as u64 + 1);
            let (clock, first) = Clock::start(stream.arrivals.clone(), rng);
            clocks.push(clock);
            next_arrival.push(first);
        }
        Self {
            soc,
            lanes,
            engines: soc.units.iter().map(|u| Engine::new(u.discipline)).collect(),
            clocks,
            next_arrival,
            first_lane,
            limits: streams.iter().map(|s| s.queue_limit).collect(),
            in_flight: vec![0; streams.len()],
            handovers: VecDeque::new(),
            now: 0.0,
            dynamic_w: 0.0,
            throttled: false,
            latencies: vec![Vec::new(); streams.len()],
            out: Outcome {
                streams: vec![StreamOutcome::default(); streams.len()],
                busy: vec![0.0; soc.units.len()],
                ..Outcome::default()
            },
            energy_w_ms: 0.0,
        }
    }

    fn go(&mut self, run: &Run) {
        let end = run.warmup_ms + run.measure_ms;
        loop {
            let (arrival, stream) = nearest(self.next_arrival.iter().copied());
            let (work, unit) = nearest(self.engines.iter().map(Engine::due));
            let (handover, which) = nearest(self.handovers.iter().map(|h| h.at));
            let event = arrival.min(self.now + work).min(handover);
            if event >= end || self.out.events >= run.max_events {
                self.out.cut_short = event < end;
                self.advance(event.min(end), run);
                return;
            }
            self.out.events += 1;
            self.advance(event, run);
            if event == arrival {
                self.arrive(stream, run);
            } else if event == handover {
                if let Some(h) = self.handovers.remove(which) {
                    self.enter(h.lane, h.arrived);
                }
            } else {
                self.work(unit, run);
            }
        }
    }

    /// Moves the time on, with everything at its present rate.
    fn advance(&mut self, to: f64, run: &Run) {
        let dt = (to - self.now).max(0.0);
        for engine in &mut self.engines {
            if let Some((_, job)) = &mut engine.running {
                job.remaining -= dt * engine.rate;
                engine.slice -= dt;
            }
        }
        let measured = (to - self.now.max(run.warmup_ms)).max(0.0);
        if measured > 0.0 {
            self.energy_w_ms += (self.soc.idle_w + self.dynamic_w) * measured;
            if self.throttled {
                self.out.throttled += measured;
            }
            for (engine, busy) in self.engines.iter().zip(&mut self.out.busy) {
                if engine.running.is_some() {
                    *busy += measured;
                }
            }
        }
        self.now = to;
    }

    fn arrive(&mut self, stream: usize, run: &Run) {
        let now = self.now;
        self.next_arrival[stream] = now + self.clocks[stream].gap();
        let measured = now >= run.warmup_ms;
        if measured {
            self.out.streams[stream].arrived += 1;
        }
        if self.in_flight[stream] >= self.limits[stream] {
            if measured {
                self.out.streams[stream].dropped += 1;
            }
            return;
        }
        self.in_flight[stream] += 1;
        self.enter(self.first_lane[stream], now);
    }

    /// A request reaches a lane.
    fn enter(&mut self, lane: usize, arrived: f64) {
        let state = &mut self.lanes[lane];
        state.queue.push_back(arrived);
        let waits = state.queue.len() + usize::from(state.suspended.is_some());
        let unit = state.unit;
        let engine = &mut self.engines[unit];
        let alone = engine.order.is_empty();
        engine.enter(lane, waits);
        if engine.running.is_none() {
            self.dispatch(unit);
        } else if alone && let Discipline::RoundRobin { quantum_ms, .. } = engine.discipline {
            // The runner had no competitor; its slice begins now.
            engine.slice = quantum_ms;
        }
    }

    fn dispatch(&mut self, unit: usize) {
        let clocks = &mut self.clocks;
        self.engines[unit].dispatch(&mut self.lanes, |stream| clocks[stream].uniform());
        self.rates();
    }

    /// The end of a block or of a slice.
    fn work(&mut self, unit: usize, run: &Run) {
        let engine = &mut self.engines[unit];
        let Some((lane, job)) = &mut engine.running else { return };
        let lane = *lane;
        let state = &mut self.lanes[lane];
        if job.remaining > TIME_TOLERANCE {
            // The slice is over and others wait.
            state.suspended = Some(*job);
            engine.running = None;
            engine.order.push_back(lane);
            self.dispatch(unit);
            return;
        }
        self.out.blocks += 1;
        job.block += 1;
        if let Some(next) = state.blocks.get(job.block) {
            job.remaining = next.time_ms * job.factor;
            self.rates();
            return;
        }
        let job: Job = *job;
        engine.running = None;
        if matches!(engine.discipline, Discipline::RoundRobin { .. }) && !state.queue.is_empty() {
            engine.order.push_back(lane);
        }
        self.leave(lane, &job, run);
        self.dispatch(unit);
    }

    /// A request has finished a stage.
    fn leave(&mut self, lane: usize, job: &Job, run: &Run) {
        let state = &self.lanes[lane];
        let Some(next) = state.next else {
            let stream = state.stream;
            self.in_flight[stream] -= 1;
            if job.arrived >= run.warmup_ms {
                self.latencies[stream].push(self.now - job.arrived);
            }
            if let Some(think) = self.clocks[stream].think() {
                self.next_arrival[stream] = self.now + think;
            }
            return;
        };
        if self.now >= run.warmup_ms {
            self.energy_w_ms += state.transfer_w * state.transfer_ms;
        }
        self.handovers.push_back(Handover {
            at: self.now + state.transfer_ms,
            lane: next,
            arrived: job.arrived,
        });
    }

    /// New rates and draw, after what runs has changed.
    fn rates(&mut self) {
        let mut total = 0.0;
        for engine in &self.engines {
            if let Some(work) = running(engine, &self.lanes) {
                total += request(work);
            }
        }
        let per_bandwidth = 1.0 / self.soc.bandwidth.max(1e-12);
        total *= per_bandwidth;
        let mut dynamic = 0.0;
        for (engine, unit) in self.engines.iter_mut().zip(&self.soc.units) {
            let Some(work) = running(engine, &self.lanes) else { continue };
            engine.rate = if work.memory_share > 0.0 {
                let slow = unit.curve.slowdown(request(work) * per_bandwidth, total);
                1.0 / (1.0 + work.memory_share * (slow - 1.0))
            } else {
                1.0
            };
            dynamic += work.watts * (unit.stall_power + (1.0 - unit.stall_power) * engine.rate);
        }
        let throttle = self.soc.throttle(dynamic);
        self.throttled = throttle < 1.0;
        if self.throttled {
            for engine in &mut self.engines {
                engine.rate *= throttle;
            }
        }
        self.dynamic_w = dynamic * throttle;
    }

    fn finish(mut self, run: &Run) -> Outcome {
        let measured = (self.now - run.warmup_ms).max(1e-9);
        self.out.time_ms = self.now;
        self.out.power_w = self.energy_w_ms / measured;
        self.out.throttled /= measured;
        for busy in &mut self.out.busy {
            *busy /= measured;
        }
        for (latencies, out) in self.latencies.iter_mut().zip(&mut self.out.streams) {
            let (arrived, dropped) = (out.arrived, out.dropped);
            *out = StreamOutcome { arrived, dropped, ..StreamOutcome::measure(latencies) };
        }
        self.out
    }
}

fn running<'l>(engine: &Engine, lanes: &'l [Lane]) -> Option<&'l super::stream::Work> {
    let (lane, job) = engine.running.as_ref()?;
    lanes.get(*lane)?.blocks.get(job.block)
}

/// Bandwidth that a block asks for, bytes per ms.
fn request(work: &super::stream::Work) -> f64 {
    work.traffic / work.time_ms.max(1e-9)
}

/// Smallest of the times and where it is.
fn nearest(times: impl Iterator<Item = f64>) -> (f64, usize) {
    let mut best = (f64::INFINITY, 0);
    for (n, t) in times.enumerate() {
        if t < best.0 {
            best = (t, n);
        }
    }
    best
}
