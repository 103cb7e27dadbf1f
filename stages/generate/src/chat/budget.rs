//! What may still be spent. What a request may cost at most is set aside before it is sent, and settled when it is
//! known what it did cost.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Budget, Price};

/// An amount, in all that a budget counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Amount {
    pub(super) requests: u64,
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
}

impl Amount {
    /// One request with these tokens.
    pub(super) fn request(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self { requests: 1, prompt_tokens, completion_tokens }
    }

    pub(super) fn tokens(self) -> u64 {
        self.prompt_tokens + self.completion_tokens
    }

    fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            prompt_tokens: self.prompt_tokens + other.prompt_tokens,
            completion_tokens: self.completion_tokens + other.completion_tokens,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            prompt_tokens: self.prompt_tokens.saturating_sub(other.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_sub(other.completion_tokens),
        }
    }
}

/// A budget, and what is spent and set aside of it.
pub(super) struct Purse {
    limit: Budget,
    price: Option<Price>,
    state: Mutex<State>,
    settled: Notify,
}

#[derive(Default)]
struct State {
    spent: Amount,
    reserved: Amount,
    /// The most tokens for a byte that a prompt has had.
    ratio: Option<f64>,
}

/// How much more than the most so far a prompt may have, in tokens for a byte.
const MARGIN: f64 = 1.1;

/// Which limit of a budget leaves no room, such as `100 requests`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exhausted {
    /// The parameter.
    pub(super) param: &'static str,
    /// Its value, for people.
    pub(super) limit: String,
}

impl Purse {
    /// A budget of which some is spent already.
    pub(super) fn new(limit: Budget, price: Option<Price>, spent: Amount) -> Self {
        Self { limit, price, state: Mutex::new(State { spent, ..State::default() }), settled: Notify::new() }
    }

    /// Sets aside what a request with a prompt of so many bytes may cost at most: as many tokens as prompts so far have
    /// had for a byte, or one for each. While other requests are under way, waits for what they leave.
    ///
    /// # Errors
    /// When it does not fit and nothing is under way.
    pub(super) async fn reserve(&self, bytes: u64, max_tokens: u64) -> Result<Amount, Exhausted> {
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            {
                let mut state = self.state();
                let tokens = state.ratio.map_or(bytes, |ratio| (ratio * MARGIN * bytes as f64).ceil() as u64);
                let amount = Amount::request(tokens, max_tokens);
                match self.lacking(state.spent.plus(state.reserved).plus(amount)) {
                    None => {
                        state.reserved = state.reserved.plus(amount);
                        return Ok(amount);
                    }
                    Some(exhausted) if state.reserved.requests == 0 => return Err(exhausted),
                    Some(_) => {}
                }
            }
            settled.await;
        }
    }

    /// A prompt of so many bytes had so many tokens.
    pub(super) fn learn(&self, bytes: u64, tokens: u64) {
        let ratio = tokens as f64 / bytes.max(1) as f64;
        let mut state = self.state();
        state.ratio = Some(state.ratio.map_or(ratio, |most| most.max(ratio)));
    }

    /// A request that was set aside for did cost this.
    pub(super) fn settle(&self, reserved: Amount, cost: Amount) {
        {
            let mut state = self.state();
            state.reserved = state.reserved.minus(reserved);
            state.spent = state.spent.plus(cost);
        }
        self.settled.notify_waiters();
    }

    /// What is spent.
    pub(super) fn spent(&self) -> Amount {
        self.state().spent
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first limit that this is beyond.
    fn lacking(&self, amount: Amount) -> Option<Exhausted> {
        let Budget { requests, tokens, cost } = &self.limit;
        if let Some(limit) = requests.filter(|limit| amount.requests > *limit) {
            return Some(Exhausted { param: "requests", limit: crate::grammar::counted(limit, "request") });
        }
        if let Some(limit) = tokens.filter(|limit| amount.tokens() > *limit) {
            return Some(Exhausted { param: "tokens", limit: crate::grammar::counted(limit, "token") });
        }
        let price = self.price.as_ref()?;
        let limit = (*cost)?;
        let beyond = price.of(amount.prompt_tokens, amount.completion_tokens) > limit;
        beyond.then(|| Exhausted { param: "cost", limit: format!("{limit} {}", price.currency) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::sync::Arc;

    use super::*;

    fn purse(limit: Budget) -> Purse {
        let price = Price { input: 1.0, output: 10.0, currency: "EUR".to_owned() };
        Purse::new(limit, Some(price), Amount::default())
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn each_limit_stops() {
        block_on(async {
            for (limit, text) in [
                (Budget { requests: Some(2), ..Budget::default() }, "2 requests"),
                (Budget { tokens: Some(449), ..Budget::default() }, "449 tokens"),
                (Budget { cost: Some(0.0017), ..Budget::default() }, "0.0017 EUR"),
            ] {
                let purse = purse(limit);
                for _ in 0..2 {
                    let reserved = purse.reserve(100, 50).await.unwrap();
                    assert_eq!(reserved, Amount::request(100, 50));
                    purse.settle(reserved, reserved);
                }
                assert_eq!(purse.reserve(100, 50).await.unwrap_err().limit, text);
            }
            let open = purse(Budget::default());
            for _ in 0..100 {
                open.reserve(100, 50).await.unwrap();
            }
        });
    }

    #[test]
    fn a_request_waits_for_what_others_leave() {
        block_on(async {
            let purse = Arc::new(purse(Budget { tokens: Some(300), ..Budget::default() }));
            let most = purse.reserve(100, 100).await.unwrap();
            let waiting = {
                let purse = Arc::clone(&purse);
                async move { purse.reserve(100, 100).await }
            };
            let settle = async {
                tokio::task::yield_now().await;
                purse.settle(most, Amount::request(90, 10));
            };
            let (reserved, ()) = tokio::join!(waiting, settle);
            assert_eq!(purse.spent(), Amount::request(90, 10));
            purse.settle(reserved.unwrap(), most);
            assert_eq!(purse.reserve(100, 100).await.unwrap_err().param, "tokens");
        });
    }

    #[test]
    fn estimates_follow_what_prompts_have_had() {
        block_on(async {
            let purse = purse(Budget::default());
            purse.learn(1000, 250);
            purse.learn(1000, 200);
            assert_eq!(purse.reserve(500, 50).await.unwrap(), Amount::request(138, 50));
        });
    }
}
