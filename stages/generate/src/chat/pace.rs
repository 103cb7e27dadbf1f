//! How fast requests may be sent: limits per minute, how many are under way, and what the service says about both.
//!
//! Nothing here reads a clock or waits, so that all of it can be tested.

use std::time::{Duration, Instant};

/// A limit per minute: what is taken runs up a debt that time pays off, so that no minute has more than the limit and
/// what one second brings.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    fn new(per_minute: f64, now: Instant) -> Self {
        Self { per_second: per_minute / 60.0, level: 0.0, at: now }
    }

    /// How long until something may be taken, at this share of the limit.
    fn wait(&mut self, now: Instant, share: f64) -> Duration {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.level = (self.level + passed * self.per_second * share).min(0.0);
        if self.level >= -1e-9 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(-self.level / (self.per_second * share)).unwrap_or(Duration::MAX)
    }

    fn take(&mut self, amount: f64) {
        self.level -= amount;
    }
}

/// When the next request may be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Now; it counts as under way.
    Go,
    /// Not before this time has passed.
    After(Duration),
    /// Not before another one has ended.
    Ended,
}

/// The pace of all requests.
#[derive(Debug)]
pub(super) struct Pace {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    /// What share of the limits per minute is used: less after a refusal, more with every answer.
    share: f64,
    /// How many may be under way: as many as the parameter says, less after a refusal.
    window: f64,
    most: f64,
    under_way: u32,
    /// Nothing is sent before this.
    paused: Option<Instant>,
    /// Refusals of requests that were under way together count as one.
    refused: Option<Instant>,
}

impl Pace {
    pub(super) fn new(requests: Option<u32>, tokens: Option<u64>, concurrency: u32, now: Instant) -> Self {
        Self {
            requests: requests.map(|limit| Bucket::new(f64::from(limit), now)),
            tokens: tokens.map(|limit| Bucket::new(limit as f64, now)),
            share: 1.0,
            window: f64::from(concurrency.max(1)),
            most: f64::from(concurrency.max(1)),
            under_way: 0,
            paused: None,
            refused: None,
        }
    }

    /// Asks to send a request of so many tokens.
    pub(super) fn next(&mut self, now: Instant, tokens: u64) -> Next {
        if f64::from(self.under_way) + 1.0 > self.window.max(1.0) {
            return Next::Ended;
        }
        let mut wait = self.paused.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        for bucket in [&mut self.requests, &mut self.tokens].into_iter().flatten() {
            wait = wait.max(bucket.wait(now, self.share));
        }
        if wait > Duration::ZERO {
            return Next::After(wait);
        }
        if let Some(bucket) = &mut self.requests {
            bucket.take(1.0);
        }
        if let Some(bucket) = &mut self.tokens {
            bucket.take(tokens as f64);
        }
        self.under_way += 1;
        Next::Go
    }

    /// A request has ended, in whatever way.
    pub(super) fn ended(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// There was an answer: a little faster.
    pub(super) fn answered(&mut self) {
        self.share = (self.share + 0.02).min(1.0);
        self.window = (self.window + 1.0 / self.window).min(self.most);
    }

    /// There was a refusal to a request that was sent at this time: slower from now on, and nothing for a while.
    pub(super) fn refused(&mut self, sent: Instant, now: Instant, pause: Duration) {
        self.pause(now, pause);
        if self.refused.is_none_or(|refused| sent > refused) {
            self.refused = Some(now);
            self.share = (self.share * 0.7).max(0.05);
            self.window = (self.window / 2.0).max(1.0);
        }
    }

    /// Nothing is sent for a while.
    pub(super) fn pause(&mut self, now: Instant, pause: Duration) {
        let Some(until) = now.checked_add(pause) else { return };
        self.paused = Some(self.paused.map_or(until, |paused| paused.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many requests of so many tokens are sent in a time, in steps of 10 ms.
    fn sent(pace: &mut Pace, start: Instant, time: Duration, tokens: u64) -> u32 {
        let mut sent = 0;
        for step in 0..time.as_millis() / 10 {
            let now = start + Duration::from_millis(10) * u32::try_from(step).unwrap_or(u32::MAX);
            while pace.next(now, tokens) == Next::Go {
                pace.ended();
                sent += 1;
            }
        }
        sent
    }

    #[test]
    fn limits_per_minute_hold() {
        let now = Instant::now();
        let mut pace = Pace::new(Some(120), None, 8, now);
        assert_eq!(sent(&mut pace, now, 60 * SECOND, 1), 120);
        let mut pace = Pace::new(Some(1000), Some(6000), 8, now);
        assert_eq!(sent(&mut pace, now, 60 * SECOND, 200), 30);
    }

    #[test]
    fn refusals_slow_down_and_answers_bring_it_back() {
        let now = Instant::now();
        let mut pace = Pace::new(Some(600), None, 8, now);
        pace.refused(now + SECOND, now + SECOND, SECOND);
        // Two that were under way together are one refusal.
        pace.refused(now, now + SECOND, SECOND);
        assert!((pace.share - 0.7).abs() < 1e-12 && (pace.window - 4.0).abs() < 1e-12);
        assert_eq!(pace.next(now + SECOND, 1), Next::After(SECOND));
        // Seven a second, less what the steps of the test lose.
        let sent = sent(&mut pace, now + 2 * SECOND, 10 * SECOND, 1);
        assert!((66..=70).contains(&sent), "{sent}");
        for _ in 0..100 {
            pace.answered();
        }
        assert!((pace.share - 1.0).abs() < 1e-12 && (pace.window - 8.0).abs() < 1e-12);
    }

    #[test]
    fn no_more_are_under_way_than_allowed() {
        let now = Instant::now();
        let mut pace = Pace::new(None, None, 2, now);
        assert_eq!([pace.next(now, 1), pace.next(now, 1), pace.next(now, 1)], [Next::Go, Next::Go, Next::Ended]);
        pace.ended();
        assert_eq!(pace.next(now, 1), Next::Go);
        pace.refused(now, now, SECOND);
        pace.ended();
        assert_eq!(pace.next(now + 2 * SECOND, 1), Next::Ended, "one after a refusal");
    }
}
