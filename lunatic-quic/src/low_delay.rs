//! A congestion controller that keeps the queue of a narrow link short.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{
    Controller, ControllerFactory, ControllerMetrics, Cubic, CubicConfig,
};

/// What packets may wait on their way beyond the shortest round trip, before the window shrinks.
const ALLOWED_DELAY: Duration = Duration::from_millis(15);
/// The shortest round trip is forgotten after once to twice this time.
const FORGET_AFTER: Duration = Duration::from_secs(5);
/// Batches of acknowledgements whose shortest round trip is looked at together. A thread that is
/// scheduled late delays one of them, a queue delays all.
const BATCHES: u32 = 4;
/// Shrinkings that don't shorten the round trip, until it counts as that of the path.
const IN_VAIN: u32 = 2;
/// How often one decision shrinks the window at most.
const MOST_SHRINKINGS: u32 = 4;
/// Bytes to which delay shrinks the window at least.
const LEAST_WINDOW: u64 = 128 << 10;

/// Makes the controllers of connections.
#[derive(Debug, Default)]
pub(crate) struct LowDelayConfig {
    cubic: Arc<CubicConfig>,
}

impl ControllerFactory for LowDelayConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(LowDelay {
            cubic: Cubic::new(self.cubic.clone(), now, current_mtu),
            delay: Delay::new(now),
        })
    }
}

/// CUBIC (RFC 9438) that takes a queueing delay for what it takes a lost packet or an ECN mark.
///
/// CUBIC alone fills the queue before a narrow link until that overflows, and everybody else's
/// packets wait in it. As with Vegas and LEDBAT (RFC 6817), the delay is the difference to the
/// shortest round trip of late.
#[derive(Debug, Clone)]
struct LowDelay {
    cubic: Cubic,
    delay: Delay,
}

impl Controller for LowDelay {
    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
        self.cubic.on_ack(now, sent, bytes, app_limited, rtt);
        self.delay.acknowledged(now, sent, app_limited);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.cubic
            .on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
        let may_shrink = self.cubic.window() > LEAST_WINDOW;
        let Some(excess) = self.delay.end_batch(now, may_shrink) else {
            return;
        };
        // Slow start goes far beyond what the link takes before that is seen.
        let begins_slowly = self.cubic.metrics().ssthresh == Some(u64::MAX);
        let times = if begins_slowly { shrinkings(excess) } else { 1 };
        for time in 0..times {
            // Later than the one before, which it would count as a part of otherwise.
            let at = now + Duration::from_nanos(time.into());
            self.cubic.on_congestion_event(at, at, false, 0);
        }
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.cubic
            .on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.cubic.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.cubic.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        self.cubic.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.cubic.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Finds out whether packets wait in a queue.
///
/// A round looks at packets that were sent after it began, so that the effect of a smaller window
/// is seen before the next decision.
#[derive(Debug, Clone)]
struct Delay {
    shortest: Shortest,
    round: Round,
    /// The round trip for which the window was shrunk last, if it has been too long since.
    shrunk_at: Option<Duration>,
    /// How often that has not helped.
    in_vain: u32,
}

#[derive(Debug, Clone)]
struct Round {
    begun: Instant,
    shortest: Option<Duration>,
    batches: u32,
    /// Whether the batch that is being acknowledged has packets of the round.
    in_batch: bool,
}

impl Delay {
    fn new(now: Instant) -> Self {
        Self {
            shortest: Shortest::new(now),
            round: Round::new(now),
            shrunk_at: None,
            in_vain: 0,
        }
    }

    /// Notes a packet. Without much to send, acknowledgements are delayed, and nothing of it
    /// counts but the shortest round trip.
    fn acknowledged(&mut self, now: Instant, sent: Instant, app_limited: bool) {
        let trip = now.saturating_duration_since(sent);
        self.shortest.note(now, trip);
        if !app_limited && sent >= self.round.begun {
            self.round.in_batch = true;
            let shortest = self.round.shortest.get_or_insert(trip);
            *shortest = trip.min(*shortest);
        }
    }

    /// Ends a batch of acknowledgements. If the window is to be shrunk, says how many times the
    /// round trip is as long as it may be.
    fn end_batch(&mut self, now: Instant, may_shrink: bool) -> Option<f64> {
        self.round.batches += u32::from(std::mem::take(&mut self.round.in_batch));
        if self.round.batches < BATCHES {
            return None;
        }
        let round = std::mem::replace(&mut self.round, Round::new(now));
        let (Some(trip), Some(path)) = (round.shortest, self.shortest.get()) else {
            return None;
        };
        let allowed = path + ALLOWED_DELAY.max(path / 4);
        if trip <= allowed {
            self.shrunk_at = None;
            self.in_vain = 0;
            return None;
        }
        // A window of 0.7 makes the whole round trip that of 0.7, if the queue is ours.
        let helped = self.shrunk_at.is_none_or(|before| trip < before * 17 / 20);
        self.in_vain = if helped { 0 } else { self.in_vain + 1 };
        if self.in_vain >= IN_VAIN {
            // Others fill the queue, the route has changed, or a host is busy.
            self.shortest.set(now, trip);
            self.shrunk_at = None;
            self.in_vain = 0;
            return None;
        }
        self.shrunk_at = may_shrink.then_some(trip);
        may_shrink.then(|| trip.as_secs_f64() / allowed.as_secs_f64())
    }
}

/// How often the window is to be shrunk to 0.7 for a round trip that is so many times too long.
fn shrinkings(excess: f64) -> u32 {
    let mut times = 1;
    let mut left = excess * 0.7;
    while left > 1.0 && times < MOST_SHRINKINGS {
        left *= 0.7;
        times += 1;
    }
    times
}

impl Round {
    fn new(now: Instant) -> Self {
        Self {
            begun: now,
            shortest: None,
            batches: 0,
            in_batch: false,
        }
    }
}

/// The shortest round trip of late, of two spans of [`FORGET_AFTER`].
#[derive(Debug, Clone)]
struct Shortest {
    begun: Instant,
    former: Option<Duration>,
    current: Option<Duration>,
}

impl Shortest {
    fn new(now: Instant) -> Self {
        Self {
            begun: now,
            former: None,
            current: None,
        }
    }

    fn note(&mut self, now: Instant, trip: Duration) {
        if now.saturating_duration_since(self.begun) >= FORGET_AFTER {
            self.begun = now;
            self.former = self.current.take();
        }
        self.current = Some(self.current.map_or(trip, |current| current.min(trip)));
    }

    fn set(&mut self, now: Instant, trip: Duration) {
        self.begun = now;
        self.former = None;
        self.current = Some(trip);
    }

    fn get(&self) -> Option<Duration> {
        match (self.former, self.current) {
            (Some(former), Some(current)) => Some(former.min(current)),
            (one, other) => one.or(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::{Duration, Instant};

    use super::{ALLOWED_DELAY, BATCHES, Delay, FORGET_AFTER, LEAST_WINDOW, shrinkings};

    const PACKET: u64 = 8900;

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    /// The window of one sender: it grows by a packet in each round trip, and shrinks as that of
    /// CUBIC does, once in each round trip.
    struct Window {
        bytes: u64,
        begins_slowly: bool,
        shrunk: Instant,
    }

    impl Window {
        fn grow(&mut self, sent: Instant) {
            if self.begins_slowly {
                self.bytes += PACKET;
            } else if sent > self.shrunk {
                self.bytes += PACKET * PACKET / self.bytes;
            }
        }

        fn shrink(&mut self, now: Instant, sent: Instant) {
            if self.begins_slowly || sent > self.shrunk {
                self.begins_slowly = false;
                self.bytes = (self.bytes * 7 / 10).max(2 * PACKET);
                self.shrunk = now;
            }
        }
    }

    /// What one sender does to a link in virtual time.
    struct Link {
        bytes_per_second: u64,
        trip: Duration,
        queue_bytes: u64,
    }

    /// What was seen in the second half of the time.
    struct Seen {
        longest: Duration,
        bytes_per_second: f64,
    }

    impl Link {
        /// Sends as much as the window allows, which delay shrinks, or only losses.
        fn run(&self, looks_at_delay: bool, time: Duration) -> Seen {
            let begun = Instant::now();
            let mut now = begun;
            let mut delay = Delay::new(now);
            let mut window = Window {
                bytes: 2 * PACKET,
                begins_slowly: true,
                shrunk: now,
            };
            let mut free_at = now;
            // When it is known, when it was sent, and whether it was lost.
            let mut flying: VecDeque<(Instant, Instant, bool)> = VecDeque::new();
            let (mut longest, mut passed) = (Duration::ZERO, 0);
            let one = Duration::from_nanos(PACKET * 1_000_000_000 / self.bytes_per_second);
            while now < begun + time {
                while (flying.len() as u64 + 1) * PACKET <= window.bytes {
                    let waits = free_at.saturating_duration_since(now);
                    let queued = waits.as_nanos() * u128::from(self.bytes_per_second);
                    let lost = queued / 1_000_000_000 > u128::from(self.queue_bytes);
                    if !lost {
                        free_at = free_at.max(now) + one;
                    }
                    flying.push_back((free_at + self.trip, now, lost));
                }
                let (at, sent, lost) = flying.pop_front().expect("a packet");
                now = now.max(at);
                if lost {
                    window.shrink(now, sent);
                    continue;
                }
                window.grow(sent);
                delay.acknowledged(now, sent, false);
                let may_shrink = looks_at_delay && window.bytes > LEAST_WINDOW;
                if delay.end_batch(now, may_shrink).is_some() {
                    window.shrink(now, now);
                }
                if now > begun + time / 2 {
                    longest = longest.max(now - sent);
                    passed += PACKET;
                }
            }
            Seen {
                longest,
                bytes_per_second: passed as f64 / (time / 2).as_secs_f64(),
            }
        }
    }

    #[test]
    fn a_deep_queue_is_not_filled_and_the_link_is() {
        let link = Link {
            bytes_per_second: 12_500_000,
            trip: ms(1),
            queue_bytes: 4 << 20,
        };
        let losses = link.run(false, Duration::from_secs(20));
        assert!(losses.longest > ms(150), "{:?}", losses.longest);
        let seen = link.run(true, Duration::from_secs(20));
        assert!(seen.longest < ms(30), "{:?}", seen.longest);
        let share = seen.bytes_per_second / 12_500_000.0;
        assert!(share > 0.95, "{share}");
    }

    #[test]
    fn a_long_way_is_used_as_much_as_where_only_losses_count() {
        let link = Link {
            bytes_per_second: 12_500_000,
            trip: ms(100),
            queue_bytes: 256 << 10,
        };
        let losses = link.run(false, Duration::from_secs(60));
        let seen = link.run(true, Duration::from_secs(60));
        let share = seen.bytes_per_second / losses.bytes_per_second;
        assert!(share > 0.95, "{share}");
    }

    /// A round of batches with this round trip, one each millisecond. True if the window is to be
    /// shrunk.
    fn round(delay: &mut Delay, now: &mut Instant, trip: Duration) -> bool {
        *now += trip;
        for _ in 0..BATCHES {
            *now += ms(1);
            delay.acknowledged(*now, *now - trip, false);
            if delay.end_batch(*now, true).is_some() {
                return true;
            }
        }
        false
    }

    #[test]
    fn one_batch_that_was_quick_shows_that_there_is_no_queue() {
        let mut now = Instant::now();
        let mut delay = Delay::new(now);
        assert!(!round(&mut delay, &mut now, ms(1)));
        now += ms(50);
        for trip in [40, 40, 1, 40] {
            now += ms(1);
            delay.acknowledged(now, now - ms(trip), false);
            assert!(delay.end_batch(now, true).is_none());
        }
        assert!(round(&mut delay, &mut now, ms(40)));
    }

    #[test]
    fn a_delay_within_the_allowance_is_none() {
        let mut now = Instant::now();
        let mut delay = Delay::new(now);
        for trip in [ms(1), ms(1) + ALLOWED_DELAY] {
            assert!(!round(&mut delay, &mut now, trip));
        }
        assert!(round(&mut delay, &mut now, ms(2) + ALLOWED_DELAY));
    }

    #[test]
    fn a_delay_that_stays_counts_as_that_of_the_path() {
        let mut now = Instant::now();
        let mut delay = Delay::new(now);
        assert!(!round(&mut delay, &mut now, ms(1)));
        let shrunk: Vec<bool> = (0..10)
            .map(|_| round(&mut delay, &mut now, ms(60)))
            .collect();
        assert_eq!(shrunk.iter().filter(|shrunk| **shrunk).count(), 2);
        assert!(shrunk[0] && shrunk[1]);
        // Until it is shorter again.
        assert!(!round(&mut delay, &mut now, ms(5)));
        assert!(round(&mut delay, &mut now, ms(60)));
    }

    #[test]
    fn slow_start_is_undone_by_as_much_as_it_went_too_far() {
        for (excess, times) in [(1.01, 1), (1.4, 1), (1.5, 2), (3.0, 4), (100.0, 4)] {
            assert_eq!(shrinkings(excess), times, "{excess}");
        }
    }

    #[test]
    fn without_much_to_send_no_delay_counts() {
        let mut now = Instant::now();
        let mut delay = Delay::new(now);
        assert!(!round(&mut delay, &mut now, ms(1)));
        for _ in 0..100 {
            now += ms(50);
            delay.acknowledged(now, now - ms(26), true);
            assert!(delay.end_batch(now, true).is_none());
        }
    }

    #[test]
    fn the_shortest_round_trip_is_forgotten() {
        let mut now = Instant::now();
        let mut delay = Delay::new(now);
        delay.acknowledged(now, now - ms(1), true);
        for _ in 0..2 {
            now += FORGET_AFTER;
            assert_eq!(delay.shortest.get(), Some(ms(1)));
            delay.acknowledged(now, now - ms(80), true);
        }
        assert_eq!(delay.shortest.get(), Some(ms(80)));
    }
}
