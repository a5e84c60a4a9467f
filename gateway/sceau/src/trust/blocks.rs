//! The emergency stop: a domain, an operator, a certificate or a mailbox with whom nothing is exchanged for a
//! while, whatever the list says.

use std::fmt;

use ident::{Address, Bilingual, Domain, Fingerprint, Timestamp};
use pki::{
    certificate::Certificate,
    finding::Finding,
    path::{Purpose, Verdict},
    trust_list::OperatorName,
};
use serde::{Deserialize, Serialize};

use crate::{
    refusal::{Refusal, RefusalId},
    snapshot::Snapshot,
};

/// Code of a path that a holding block stops.
pub(crate) const HELD: &str = "blocked_for_now";
/// Code of a path that a refusing block stops.
pub(crate) const REFUSED: &str = "blocked";

/// What is blocked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A domain, in both directions.
    Domain(Domain),
    /// An operator, named as the list or its certificate names it.
    Operator(Operator),
    /// A certificate, wherever it stands in a path.
    Certificate(Fingerprint),
    /// A mailbox, in both directions.
    Mailbox(Address),
}

/// The name of an operator, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Operator(OperatorName);

impl Operator {
    /// The name.
    pub fn name(&self) -> &OperatorName {
        &self.0
    }
}

impl TryFrom<String> for Operator {
    type Error = pki::trust_list::OperatorNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        OperatorName::parse(&text).map(Self)
    }
}

impl From<Operator> for String {
    fn from(operator: Operator) -> Self {
        operator.0.to_string()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => write!(f, "domain {domain}"),
            Self::Operator(operator) => write!(f, "operator {}", operator.0),
            Self::Certificate(fingerprint) => write!(f, "certificate {fingerprint}"),
            Self::Mailbox(address) => write!(f, "mailbox {address}"),
        }
    }
}

/// What becomes of mail that a block stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It waits where it is: 451 to whoever brings it, in our queue without a bounce.
    Hold,
    /// It is refused: 550 to whoever brings it; what waits in our queue fails and its sender is told.
    Refuse,
}

/// One block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Short name for `block remove`.
    pub id: String,
    /// What is blocked.
    pub target: Target,
    /// What becomes of mail.
    pub mail: Fate,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself.
    pub until: Timestamp,
    /// Who ordered it.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Block {
    /// Whether it holds at this moment.
    pub fn holds(&self, at: Timestamp) -> bool {
        at < self.until
    }

    /// What somebody is told whom it stops. Who ordered it and why stays inside.
    pub fn refusal(&self) -> Refusal {
        let id = match self.mail {
            Fate::Hold => RefusalId::BlockedForNow,
            Fate::Refuse => RefusalId::Blocked,
        };
        Refusal::new(id, self.to_string())
    }

    fn verdict(&self, certificate: &Certificate) -> Verdict {
        let text = Bilingual::new(
            "le certificat ou l'opérateur est bloqué par l'exploitant",
            "the certificate or the operator is blocked by whoever runs this gateway",
        );
        let detail = None;
        let certificate = Some(format!("{} (serial {})", certificate.subject(), certificate.serial_hex()));
        match self.mail {
            Fate::Hold => Verdict::Undetermined(Finding { code: HELD, text, certificate, detail }),
            Fate::Refuse => Verdict::Invalid(Finding { code: REFUSED, text, certificate, detail }),
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} of {} until {} by {}: {}", self.id, self.target, self.until, self.by, self.reason)
    }
}

impl Snapshot {
    /// The block that stops mail from or to this address; of several the one that refuses.
    pub fn block_of(&self, address: &Address, at: Timestamp) -> Option<&Block> {
        self.worst_block(at, |target| match target {
            Target::Domain(domain) => domain == address.domain(),
            Target::Mailbox(mailbox) => mailbox.same_mailbox(address),
            Target::Operator(_) | Target::Certificate(_) => false,
        })
    }

    /// Whether mail from or to this address may go on.
    ///
    /// # Errors
    /// [`RefusalId::Blocked`], [`RefusalId::BlockedForNow`].
    pub fn unblocked(&self, address: &Address, at: Timestamp) -> Result<(), Refusal> {
        self.block_of(address, at).map_or(Ok(()), |block| Err(block.refusal().about(address)))
    }

    /// The block that leaves a listed domain without any operator to speak for it.
    pub fn block_of_operators(&self, domain: &Domain, at: Timestamp) -> Option<&Block> {
        if self.orders.blocks().is_empty() {
            return None;
        }
        let mut last = None;
        for name in self.operators(domain, at) {
            let block = self.worst_block(at, |target| matches!(target, Target::Operator(it) if *it.name() == *name));
            last = Some(block?);
        }
        last
    }

    /// The verdict about a certificate, with what operators blocked: the certificate itself, whoever issued
    /// it, or the operator that it names.
    pub fn verify(
        &self,
        certificate: &Certificate,
        untrusted: &[Certificate],
        purpose: Purpose,
        at: Timestamp,
    ) -> Verdict {
        self.unless_blocked(self.validator.verify(certificate, untrusted, purpose, at), certificate, at)
    }

    /// A verdict that was reached about a certificate, with what operators blocked.
    pub fn unless_blocked(&self, verdict: Verdict, certificate: &Certificate, at: Timestamp) -> Verdict {
        let Verdict::Valid(path) = &verdict else { return verdict };
        let block = self.worst_block(at, |target| match target {
            Target::Certificate(blocked) => path.certificates.iter().any(|it| it.is_known_as(blocked)),
            Target::Operator(operator) => operator.name().matches(certificate.subject()),
            Target::Domain(_) | Target::Mailbox(_) => false,
        });
        block.map(|block| block.verdict(certificate)).unwrap_or(verdict)
    }

    pub(super) fn worst_block(&self, at: Timestamp, concerns: impl Fn(&Target) -> bool) -> Option<&Block> {
        let concerned = self.orders.blocks().iter().filter(|block| block.holds(at) && concerns(&block.target));
        concerned.max_by_key(|block| (block.mail == Fate::Refuse, block.until))
    }
}
