//! In what words the server says what the protocol itself refuses. The caller may give its own:
//! other languages, an address for help.

use std::{fmt, sync::Arc};

use crate::{BodyFault, ProtocolError, Reply};

/// What the protocol refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Complaint {
    /// A command.
    Command(ProtocolError),
    /// A message.
    Body(BodyFault),
}

impl Complaint {
    /// The reply in plain English: code, enhanced code, one line.
    pub fn reply(self) -> Reply {
        match self {
            Self::Command(error) => error.reply(),
            Self::Body(fault) => fault.reply(),
        }
    }
}

type Words = Arc<dyn Fn(Complaint) -> Reply + Send + Sync>;

/// The words of a server. [`Voice::default`] is [`Complaint::reply`].
#[derive(Clone, Default)]
pub struct Voice(Option<Words>);

impl Voice {
    /// Says complaints in the words of `say`. Whatever it says, the code stays that of the complaint.
    pub fn new(say: impl Fn(Complaint) -> Reply + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(say)))
    }

    pub(crate) fn say(&self, complaint: Complaint) -> Reply {
        let plain = complaint.reply();
        // The state machine and its peer rely on the code: only the words are the caller's.
        self.0.as_ref().map(|say| say(complaint)).filter(|reply| reply.code() == plain.code()).unwrap_or(plain)
    }
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Voice(caller)" } else { "Voice(plain)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_change_and_codes_may_not() {
        let complaint = Complaint::Command(ProtocolError::Sequence);
        let french = Voice::new(|complaint| Reply::new(complaint.reply().code(), (5, 5, 1), "Ordre incorrect"));
        assert_eq!(french.say(complaint).lines(), ["Ordre incorrect"]);
        let wrong = Voice::new(|_| Reply::ok());
        assert_eq!(wrong.say(complaint), complaint.reply());
    }
}
