//! The life of one recipient, as a pure state machine.

use ident::{Bilingual, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use trail::SafeText;

/// Why something is as it is: a stable id and words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// Stable reason id.
    pub code: String,
    /// Words, the peer's reply for example.
    pub text: SafeText,
}

/// Where a recipient stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Waits for its next delivery.
    Queued {
        /// When it falls due; never after the message's expiry.
        due: Timestamp,
        /// Why the last attempt did not succeed.
        last: Option<Reason>,
    },
    /// Waits for a person's decision. Falls due at expiry like everything else (QU5).
    Held {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: Reason,
    },
    /// The next hop took charge.
    Delivered {
        /// When.
        at: Timestamp,
        /// In what words.
        reply: SafeText,
    },
    /// Refused for good.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        reason: Reason,
    },
    /// Its time was over.
    Expired {
        /// When.
        at: Timestamp,
        /// Why the last attempt did not succeed.
        last: Option<Reason>,
    },
    /// A person ended it.
    Cancelled {
        /// When.
        at: Timestamp,
        /// Why.
        reason: Reason,
    },
}

/// What may happen to a recipient.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// End of an attempt: the next hop took charge.
    Delivered {
        /// When.
        at: Timestamp,
        /// In what words.
        reply: SafeText,
    },
    /// End of an attempt: not now.
    Deferred {
        /// Next attempt; brought forward to the expiry if it is later.
        due: Timestamp,
        /// Why.
        reason: Reason,
        /// A delay notice was written along with this step.
        noticed: bool,
    },
    /// End of an attempt: never.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        reason: Reason,
    },
    /// End of an attempt: it cannot be made with what we have now, and a person has to look.
    Withheld {
        /// When.
        at: Timestamp,
        /// Why.
        reason: Reason,
    },
    /// End of a lease on work whose time is over.
    Expired {
        /// When.
        at: Timestamp,
    },
    /// Order: wait for a person.
    Hold {
        /// When.
        at: Timestamp,
        /// Why.
        reason: Reason,
    },
    /// Order: wait no longer.
    Release {
        /// Next attempt.
        due: Timestamp,
    },
    /// Order: try again at this moment instead of later.
    Retry {
        /// Next attempt.
        due: Timestamp,
    },
    /// Order: give up.
    Cancel {
        /// When.
        at: Timestamp,
        /// Why.
        reason: Reason,
    },
}

/// The state does not allow the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum TransitionError {
    /// A recipient ends once.
    #[error("it has ended already")]
    Ended,
    /// The outcome of an attempt comes from who holds the lease.
    #[error("it is not being delivered")]
    NotLeased,
    /// An order waits until the attempt is over, so that there is one outcome (QU11).
    #[error("it is being delivered at this moment: try again in a moment")]
    InFlight,
    /// Only what is held can be released, and the other way round.
    #[error("it is held")]
    Held,
    /// Release without hold.
    #[error("it is not held")]
    NotHeld,
}

impl TransitionError {
    /// The sentence for an operator.
    pub fn explain(self) -> Bilingual {
        let fr = match self {
            Self::Ended => "il a déjà pris fin",
            Self::NotLeased => "aucune remise n'est en cours",
            Self::InFlight => "une remise est en cours : réessayer dans un instant",
            Self::Held => "il est suspendu",
            Self::NotHeld => "il n'est pas suspendu",
        };
        Bilingual::new(fr, self.to_string())
    }
}

impl State {
    /// Whether nothing can happen any more.
    pub fn is_ended(&self) -> bool {
        !matches!(self, Self::Queued { .. } | Self::Held { .. })
    }
}

/// A recipient's state with what outlives a change of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Progress {
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
    /// Attempts that came to an end.
    pub attempts: u32,
    /// Delay notices written.
    pub notices: u8,
}

impl Progress {
    /// A recipient that is due for the first time.
    pub fn queued(due: Timestamp) -> Self {
        Self { state: State::Queued { due, last: None }, attempts: 0, notices: 0 }
    }

    /// When somebody must look at it: its due time, or the expiry if it is held; none when ended.
    /// Whatever the stage, this is never after the expiry (QU5).
    pub fn wake(&self, expires: Timestamp) -> Option<Timestamp> {
        match &self.state {
            State::Queued { due, .. } => Some((*due).min(expires)),
            State::Held { .. } => Some(expires),
            _ => None,
        }
    }

    /// The progress after a step. `leased` says whether the one who asks holds the lease, or for
    /// orders, whether anybody does.
    ///
    /// # Errors
    /// See [`TransitionError`].
    pub fn after(&self, step: Step, leased: bool, expires: Timestamp) -> Result<Self, TransitionError> {
        if self.state.is_ended() {
            return Err(TransitionError::Ended);
        }
        let of_attempt = matches!(
            step,
            Step::Delivered { .. }
                | Step::Deferred { .. }
                | Step::Failed { .. }
                | Step::Withheld { .. }
                | Step::Expired { .. }
        );
        match (of_attempt, leased) {
            (true, false) => return Err(TransitionError::NotLeased),
            (false, true) => return Err(TransitionError::InFlight),
            _ => {}
        }
        let counted = u32::from(of_attempt && !matches!(step, Step::Expired { .. }));
        let noticed = u8::from(matches!(step, Step::Deferred { noticed: true, .. }));
        Ok(Self {
            state: self.state_after(step, expires)?,
            attempts: self.attempts.saturating_add(counted),
            notices: self.notices.saturating_add(noticed),
        })
    }

    fn state_after(&self, step: Step, expires: Timestamp) -> Result<State, TransitionError> {
        let (last, held) = match &self.state {
            State::Queued { last, .. } => (last.clone(), false),
            State::Held { reason, .. } => (Some(reason.clone()), true),
            _ => return Err(TransitionError::Ended),
        };
        Ok(match step {
            Step::Expired { at } => State::Expired { at, last },
            Step::Cancel { at, reason } => State::Cancelled { at, reason },
            Step::Release { due } if held => State::Queued { due: due.min(expires), last },
            Step::Release { .. } => return Err(TransitionError::NotHeld),
            _ if held => return Err(TransitionError::Held),
            Step::Delivered { at, reply } => State::Delivered { at, reply },
            Step::Failed { at, reason } => State::Failed { at, reason },
            Step::Deferred { due, reason, .. } => State::Queued { due: due.min(expires), last: Some(reason) },
            Step::Retry { due } => State::Queued { due: due.min(expires), last },
            Step::Hold { at, reason } | Step::Withheld { at, reason } => State::Held { since: at, reason },
        })
    }
}
