//! One pure function that decides about a received message: structure first (A12), then who the
//! signer is and whether it may speak for `From` (A13), then whom the message is for (A16).

use std::collections::BTreeSet;

use ident::{Address, Domain, PersonId, StructureId};
use pki::{
    certificate::{Certificate, usage},
    cms::CmsError,
    finding::Finding,
    identity::Identity,
    path::{Purpose, Verdict as PathVerdict},
    timestamp::{TimeStamp, TimestampFault},
};

use crate::{
    AuthorSignature, BoundBy, Facts, HeaderOrigin, Judgement, Opened, Reason, Signature, SignatureState, Signed, Stamp,
    StampState, TimeStamped, Verdict, reasons::Why, signer::describe, words,
};

/// Whether an authenticated operator handed the message over, and for whom it may speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handover {
    /// The trust list names this operator for the domain.
    Listed(String),
    /// An operator that the trust list does not name for the domain.
    NotListed(String),
    /// Nobody knows who handed it over (a file on the command line).
    Unknown,
}

/// What the judge has to ask others. All answers come from one snapshot.
pub trait Trust {
    /// Is this certificate good for this purpose, now? Intermediates come from our own store only;
    /// certificates and lists inside a message are not believed.
    fn path(&self, certificate: &Certificate, purpose: Purpose) -> PathVerdict;

    /// Does this person own the mailbox?
    fn person_owns(&self, person: &PersonId, address: &Address) -> bool;

    /// Does this structure own the mailbox?
    fn structure_owns(&self, structure: &StructureId, address: &Address) -> bool;

    /// Does the book hold this certificate as a signer for the mailbox or its domain?
    fn book_signs(&self, certificate: &Certificate, address: &Address) -> bool;

    /// Does a partner's file list this certificate as a signer for the mailbox or its domain, and has nobody
    /// approved or rejected it yet?
    fn book_awaits(&self, _certificate: &Certificate, _address: &Address) -> bool {
        false
    }

    /// Is the authority of this time stamp to be believed, now? `None` when none is pinned for that.
    fn stamps(&self, _stamp: &TimeStamp) -> Option<Result<PathVerdict, TimestampFault>> {
        None
    }

    /// Who handed the message over, as far as this domain is concerned?
    fn handover(&self, domain: &Domain) -> Handover;

    /// Is the domain in the trust list? `None` when there is no list at hand.
    fn lists(&self, _domain: &Domain) -> Option<bool> {
        None
    }
}

/// What came with the message.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// `MAIL FROM`; `None` for the null sender, or when there was no envelope.
    pub sender: Option<&'a Address>,
    /// `RCPT TO`; empty when there was no envelope.
    pub recipients: &'a [Address],
}

/// Judges an opened message.
pub fn judge(opened: &Opened, envelope: &Envelope<'_>, trust: &dyn Trust) -> Judgement {
    let mut case = Case { opened, trust, reasons: Vec::new() };
    let handover = trust.handover(opened.facts.from.domain());
    let mut judgement = Judgement {
        verdict: Verdict::Refuse,
        signature: SignatureState::None,
        from: opened.facts.from.clone(),
        bound_by: None,
        signer: None,
        operator: None,
        assurance: None,
        timestamp: None,
        author: None,
        reasons: Vec::new(),
    };
    match &handover {
        Handover::Listed(operator) => judgement.operator = Some(operator.clone()),
        Handover::NotListed(operator) => {
            judgement.operator = Some(operator.clone());
            case.say(Why::OperatorNotListed);
        }
        Handover::Unknown => {}
    }
    match &opened.signature {
        Signature::Good(signed) => case.signed(signed, &mut judgement),
        Signature::Broken(fault) => {
            judgement.signature = SignatureState::Invalid;
            case.reasons.push(broken(fault));
        }
        Signature::Outside => {
            judgement.signature = SignatureState::Invalid;
            case.say(Why::SignatureOutside);
        }
        Signature::None => case.unsigned(&handover, &mut judgement),
    }
    case.headers();
    case.envelope(envelope);
    case.display_name();
    judgement.author = opened.author.as_deref().map(|inside| case.author(inside));
    let mut reasons = case.reasons;
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.weight));
    judgement.verdict = reasons.first().map_or(Verdict::Accept, |worst| worst.weight.verdict());
    if judgement.verdict != Verdict::Accept {
        judgement.assurance = None;
    }
    judgement.reasons = reasons;
    judgement
}

struct Case<'a> {
    opened: &'a Opened,
    trust: &'a dyn Trust,
    reasons: Vec<Reason>,
}

impl Case<'_> {
    fn say(&mut self, why: Why) {
        self.reasons.push(why.reason());
    }

    fn facts(&self) -> &Facts {
        &self.opened.facts
    }

    /// No signature at the root: acceptable from a listed operator only, and only if nothing in the
    /// message pretends to be one (A12).
    fn unsigned(&mut self, handover: &Handover, judgement: &mut Judgement) {
        if self.opened.survey.inner_signature {
            judgement.signature = SignatureState::Invalid;
            self.say(Why::SignatureNotRoot);
        }
        if self.opened.survey.attached_signature {
            self.say(Why::SignatureInAttachment);
        }
        match handover {
            Handover::Listed(_) => {
                judgement.bound_by = Some(BoundBy::Operator);
                self.say(Why::NotSigned);
            }
            Handover::NotListed(_) | Handover::Unknown => self.say(Why::Unsigned),
        }
    }

    /// Of several certificates that the signature may mean, the one that can be believed: who merely hands the
    /// message on may add others of the same name.
    fn signed(&mut self, signed: &Signed, judgement: &mut Judgement) {
        let best = signed.candidates().map(|certificate| self.weigh(certificate)).min_by_key(Weighed::rank);
        let Some(Weighed { certificate, identity, bound, state, finding, mut paths }) = best else { return };
        // The names in a subject are worth what its kind of authority checked.
        let checked = identity.filter(|identity| bound.is_none() || paths.valid(identity.purpose()));
        judgement.signer = Some(describe(certificate, signed, checked.as_ref(), bound, self.facts()));
        if !signed.names_certificate {
            self.say(Why::CertificateNotNamed);
        }
        if state == SignatureState::Valid && !signs_mail(certificate) {
            judgement.signature = SignatureState::Invalid;
            return self.say(Why::SignerPurpose);
        }
        judgement.signature = state;
        judgement.bound_by = bound;
        match (state, finding) {
            (SignatureState::Invalid, Some(finding)) => {
                if let Some((general, said)) = paths.without_purpose() {
                    judgement.signature = general;
                    let why = if general == SignatureState::Undetermined {
                        Why::path_undetermined
                    } else {
                        Why::path_invalid
                    };
                    self.reasons.extend(said.filter(|said| said.code != finding.code).map(why));
                }
                self.reasons.push(Why::path_invalid(finding));
            }
            (SignatureState::Undetermined, Some(finding)) => self.reasons.push(Why::path_undetermined(finding)),
            // It will be believed, or not, once a person has looked: nothing is lost meanwhile.
            _ if bound.is_none() && self.awaits(certificate) => self.say(Why::SignerAwaitsApproval),
            _ if bound.is_none() => self.say(Why::FromNotBound),
            _ => {}
        }
        judgement.timestamp = signed.stamp.as_ref().map(|stamp| self.stamp(stamp));
        if signed.said.malformed {
            self.say(Why::AttributesMalformed);
        } else if matches!(bound, Some(BoundBy::Organisation | BoundBy::Book)) && state == SignatureState::Valid {
            // Whoever signs personally vouches for nobody else.
            judgement.assurance.clone_from(&signed.said.assurance);
        }
    }

    /// A bad time stamp is told, and changes nothing else: nobody signed that it is there.
    fn stamp(&mut self, stamp: &Stamp) -> TimeStamped {
        let stamped = match stamp {
            Stamp::Bad(fault) => {
                TimeStamped { state: StampState::Invalid, at: None, authority: None, fault: Some(fault) }
            }
            Stamp::Read(stamp) => {
                let (state, fault) = match self.trust.stamps(stamp) {
                    None => (StampState::NotJudged, None),
                    Some(Ok(PathVerdict::Valid(_))) => (StampState::Valid, None),
                    Some(Ok(PathVerdict::Undetermined(finding))) => (StampState::Undetermined, Some(finding.code)),
                    Some(Ok(PathVerdict::Invalid(finding))) => (StampState::Invalid, Some(finding.code)),
                    Some(Err(fault)) => (StampState::Invalid, Some(fault.code())),
                };
                let at = (state != StampState::Invalid).then_some(stamp.at);
                TimeStamped { state, at, authority: Some(stamp.signer.subject().to_string()), fault }
            }
        };
        match stamped.state {
            StampState::Valid | StampState::NotJudged => {}
            StampState::Invalid => self.say(Why::TimestampInvalid),
            StampState::Undetermined => self.say(Why::TimestampUndetermined),
        }
        stamped
    }

    fn weigh<'c>(&self, certificate: &'c Certificate) -> Weighed<'c>
    where
        Self: 'c,
    {
        let identity = Identity::of(certificate).ok();
        let mut paths = Paths { certificate, trust: self.trust, seen: Vec::new() };
        let bound = self.binding(certificate, identity.as_ref(), &mut paths);
        let (state, finding) = paths.state(identity.as_ref());
        Weighed { certificate, identity, bound, state, finding, paths }
    }

    /// Design §3: certificate address · person · organisation · book. A step counts only with a
    /// path that is valid for its purpose; an earlier step that fails does not end the search.
    fn binding(&self, signer: &Certificate, identity: Option<&Identity>, paths: &mut Paths<'_>) -> Option<BoundBy> {
        let from = &self.facts().from;
        let own = mail_purpose(identity);
        // A certificate names mailboxes only where its kind of authority checks them.
        if signer.names_address(from) && (paths.valid(Purpose::Email) || paths.valid(own)) {
            return Some(BoundBy::CertificateAddress);
        }
        match identity {
            Some(Identity::Person(person))
                if self.trust.person_owns(&person.id, from) && paths.valid(Purpose::Person) =>
            {
                return Some(BoundBy::Person);
            }
            Some(Identity::Organisation(organisation))
                if self.trust.structure_owns(&organisation.structure, from) && paths.valid(Purpose::Organisation) =>
            {
                return Some(BoundBy::Organisation);
            }
            _ => {}
        }
        let handed_over = !matches!(self.trust.handover(from.domain()), Handover::NotListed(_));
        let known = self.trust.book_signs(signer, from);
        (known
            && handed_over
            && (paths.valid(own) || paths.valid(Purpose::Email) || paths.valid(Purpose::Organisation)))
        .then_some(BoundBy::Book)
    }

    fn awaits(&self, signer: &Certificate) -> bool {
        let from = &self.facts().from;
        let handed_over = !matches!(self.trust.handover(from.domain()), Handover::NotListed(_));
        handed_over && self.trust.book_awaits(signer, from)
    }

    /// Where the header came from inside, the outer one may not say otherwise (H8).
    fn headers(&mut self) {
        if self.opened.header == HeaderOrigin::Wire {
            return;
        }
        let (outer, inner) = (&self.opened.outer, &self.opened.facts);
        let mut differs = Vec::new();
        if !outer.from.same_mailbox(&inner.from) {
            differs.push(Why::OuterFrom);
        }
        if let (Some(outside), Some(inside)) = (&outer.message_id, &inner.message_id)
            && outside != inside
        {
            differs.push(Why::OuterMessageId);
        }
        // An outer header may leave recipients out altogether; it may not name others.
        if !(outer.to.is_empty() && outer.cc.is_empty()) {
            if keys(&outer.to) != keys(&inner.to) {
                differs.push(Why::OuterTo);
            }
            if keys(&outer.cc) != keys(&inner.cc) {
                differs.push(Why::OuterCc);
            }
        }
        differs.into_iter().for_each(|why| self.say(why));
        if self.opened.outer_fields_differ {
            self.say(Why::OuterFields);
        }
    }

    fn envelope(&mut self, envelope: &Envelope<'_>) {
        self.sender(envelope);
        let said = match &self.opened.signature {
            Signature::Good(signed) => &signed.said,
            _ => return,
        };
        // A16: what the signer wrote down of addresses and certificates is what the container shows.
        let outside = self.opened.encryption.as_ref().map(|encryption| &encryption.outside);
        if outside.is_some_and(|outside| !outside.agrees_with(said.recipient_emails.as_ref())) {
            self.reasons.push(Why::RecipientsDiffer.reason());
        }
        let missing = match (&said.intended, &said.recipient_emails) {
            // A16: the signer wrote down whom this body is for.
            (Some(intended), _) => {
                let intended: BTreeSet<&str> = intended.iter().map(String::as_str).collect();
                let all = envelope.recipients.iter().all(|recipient| intended.contains(recipient.key().as_str()));
                (!all).then_some(Why::NotIntended)
            }
            (None, Some(emails)) => {
                let all = envelope.recipients.iter().all(|recipient| emails.names(recipient));
                (!all).then_some(Why::NotIntended)
            }
            // NT-H01: protected To and Cc are the next best statement.
            (None, None) => {
                let all = envelope.recipients.iter().all(|recipient| self.facts().names(recipient));
                let signed = self.opened.header == HeaderOrigin::Signed;
                (!all).then_some(if signed { Why::NotNamed } else { Why::NotShown })
            }
        };
        // Subject, date and recipients may be anybody's: the signer vouches for the content only.
        let unsigned = (self.opened.header != HeaderOrigin::Signed).then_some(Why::HeaderNotSigned);
        unsigned.into_iter().chain(missing).for_each(|why| self.say(why));
    }

    /// NT-H02, NT-H04: the envelope sender is the author or the sender, and a sender that is
    /// somebody else belongs to the same operator.
    fn sender(&mut self, envelope: &Envelope<'_>) {
        let facts = &self.opened.facts;
        let author = |address: &Address| {
            facts.from.same_mailbox(address) || facts.sender.as_ref().is_some_and(|sender| sender.same_mailbox(address))
        };
        let foreign_envelope = envelope.sender.is_some_and(|sender| !author(sender));
        let foreign_sender = facts.sender.as_ref().is_some_and(|sender| {
            sender.domain() != facts.from.domain()
                && matches!(self.trust.handover(sender.domain()), Handover::NotListed(_))
        });
        if foreign_envelope {
            self.say(Why::EnvelopeSender);
        }
        if foreign_sender {
            self.say(Why::SenderDomain);
        }
    }

    /// The author's own signature inside the gateway's: what it is worth is told beside the gateway's word,
    /// which stands without it. It was checked when the message was handed in (decision 0026).
    fn author(&mut self, inside: &Opened) -> AuthorSignature {
        let author = AuthorSignature::of(&judge(inside, &Envelope { sender: None, recipients: &[] }, self.trust));
        match author.signature {
            _ if author.counts() && inside.outer_fields_differ => self.say(Why::AuthorFields),
            _ if author.counts() => {}
            SignatureState::Undetermined => self.say(Why::AuthorUndetermined),
            _ => self.say(Why::AuthorInvalid),
        }
        author
    }

    /// NT-H05, NT-H07: what could mislead a reader, without being forbidden.
    fn display_name(&mut self) {
        let facts = &self.opened.facts;
        let name = words::raw(&facts.from_name)
            .unwrap_or_else(|_| facts.from_name.clone())
            .replace(['\u{ff20}', '\u{fe6b}'], "@");
        let own = |word: &str| Address::parse(word).is_ok_and(|address| address.same_mailbox(&facts.from));
        let mut words = name.split(|c: char| c.is_whitespace() || "<>()[]\"',;:".contains(c));
        let shows_other = words.any(|word| word.contains('@') && !own(word));
        if name.contains("=?") {
            self.say(Why::DisplayNameUnread);
        }
        let reply_outside = facts.reply_to.iter().any(|address| self.trust.lists(address.domain()) == Some(false));
        if shows_other {
            self.say(Why::DisplayName);
        }
        if reply_outside {
            self.say(Why::ReplyToOutside);
        }
    }
}

fn keys(all: &[Address]) -> BTreeSet<String> {
    all.iter().map(Address::key).collect()
}

fn broken(fault: &CmsError) -> Reason {
    let why = match fault {
        CmsError::ContentPresent => Why::ContentPresent,
        CmsError::SignerCount(_) => Why::SignerCount,
        CmsError::DigestMismatch => Why::Altered,
        CmsError::SignatureInvalid | CmsError::SigningCertificate => Why::SignatureWrong,
        CmsError::Digest(name) | CmsError::SignatureAlgorithm(name) => return Why::weak_algorithm(name),
        CmsError::SignerUnknown => Why::SignerUnknown,
        _ => Why::SignatureMalformed,
    };
    why.reason()
}

/// What a certificate is worth as the signer of a message.
struct Weighed<'a> {
    certificate: &'a Certificate,
    identity: Option<Identity>,
    bound: Option<BoundBy>,
    state: SignatureState,
    finding: Option<Finding>,
    paths: Paths<'a>,
}

impl Weighed<'_> {
    /// The best first. A doubt comes before what is certainly of no use: it may go away.
    fn rank(&self) -> u8 {
        match (self.state, self.bound) {
            (SignatureState::Valid, Some(_)) if signs_mail(self.certificate) => 0,
            (SignatureState::Undetermined, _) => 1,
            (SignatureState::Valid, _) => 2,
            _ => 3,
        }
    }
}

/// Path verdicts by purpose, each asked once.
struct Paths<'a> {
    certificate: &'a Certificate,
    trust: &'a dyn Trust,
    seen: Vec<(Purpose, PathVerdict)>,
}

impl Paths<'_> {
    fn verdict(&mut self, purpose: Purpose) -> PathVerdict {
        if let Some((_, verdict)) = self.seen.iter().find(|(seen, _)| *seen == purpose) {
            return verdict.clone();
        }
        let verdict = self.trust.path(self.certificate, purpose);
        self.seen.push((purpose, verdict.clone()));
        verdict
    }

    fn valid(&mut self, purpose: Purpose) -> bool {
        self.verdict(purpose).is_valid()
    }

    /// Valid if any asked purpose is. Else the purpose that fits the certificate decides; only when
    /// it does not know the certificate at all, a doubt of another purpose is a doubt.
    fn state(&mut self, identity: Option<&Identity>) -> (SignatureState, Option<Finding>) {
        let own = self.verdict(mail_purpose(identity));
        self.verdict(Purpose::Email);
        if self.seen.iter().any(|(_, verdict)| verdict.is_valid()) {
            return (SignatureState::Valid, None);
        }
        let doubt = self.seen.iter().find_map(|(_, verdict)| match verdict {
            PathVerdict::Undetermined(finding) => Some(finding.clone()),
            _ => None,
        });
        match (own, doubt) {
            (PathVerdict::Undetermined(finding), _) => (SignatureState::Undetermined, Some(finding)),
            (PathVerdict::Invalid(own), Some(doubt)) if matches!(own.code, "unknown_issuer" | "wrong_purpose") => {
                (SignatureState::Undetermined, Some(doubt))
            }
            (own, _) => (SignatureState::Invalid, own.finding().cloned()),
        }
    }

    /// What RFC 5280 alone says of a signer whose certificate states no purpose. It is good for none of
    /// ours, so its message is refused; whether its signature is worth anything is another question
    /// (specs/decisions/0014).
    fn without_purpose(&mut self) -> Option<(SignatureState, Option<Finding>)> {
        if self.certificate.extended_key_usage().is_some() {
            return None;
        }
        Some(match self.verdict(Purpose::Any) {
            PathVerdict::Valid(_) => (SignatureState::Valid, None),
            PathVerdict::Invalid(finding) => (SignatureState::Invalid, Some(finding)),
            PathVerdict::Undetermined(finding) => (SignatureState::Undetermined, Some(finding)),
        })
    }
}

/// The purpose for which a signer of mail has to be valid: that of its holder, but a TLS server
/// certificate signs no mail, whatever addresses it names.
fn mail_purpose(identity: Option<&Identity>) -> Purpose {
    match identity.map(Identity::purpose) {
        Some(own @ (Purpose::Person | Purpose::Organisation)) => own,
        _ => Purpose::Email,
    }
}

/// A path that is good for a person or a structure is good for everything that they do. A signature on
/// mail takes a certificate made for it: a card that merely lies in its reader proves presence, and a
/// key that opens mail is in other hands than one that signs.
fn signs_mail(certificate: &Certificate) -> bool {
    let mail = |oid: &String| [usage::EMAIL_PROTECTION, usage::ANY].contains(&oid.as_str());
    certificate.may_sign() && certificate.extended_key_usage().is_none_or(|purposes| purposes.iter().any(mail))
}
