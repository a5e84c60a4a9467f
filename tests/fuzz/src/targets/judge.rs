//! Opening and judging (RFC 8551, design §3): what a message is under its layers, and whether it may be believed.
//!
//! The first line of an input is a recipe: letters put layers around the rest, from the inside (`Layers::put`), or take
//! an attribute from it for the next signature (`u`: beside the next ciphertext); digits say what the world knows. `M` alone: the rest is a whole message,
//! as a stranger would send it.

use std::{
    io::{self, Read},
    sync::Arc,
};

use ident::{Address, Domain, PersonId, StructureId};
use mail::{
    Access, Envelope, Handover, Judgement, Limits, OpenFault, Opened, Signature, SignatureState, Trust, Verdict,
    attributes,
    source::{InMemory, Source},
};
use pki::{
    certificate::Certificate,
    cms::Attribute,
    keys::{DecryptionKey, SigningKey},
    path::{Purpose, RevocationMode, Validator, ValidatorBuilder, Verdict as PathVerdict},
};

use crate::{
    Target,
    layers::{CONTENT_KEY, Layers},
    samples::{
        self,
        message::{READER, SENDER},
    },
    targets::message::{LIMITS, US},
    world::{self, DOCTOR, NOW, READER_EC, READER_RSA, SIGNER},
};

/// The target.
pub const TARGET: Target = Target {
    name: "judge",
    covers: &[
        "gateway/mail/src/annotate.rs",
        "gateway/mail/src/attributes.rs",
        "gateway/mail/src/coding.rs",
        "gateway/mail/src/head.rs",
        "gateway/mail/src/judge.rs",
        "gateway/mail/src/judgement.rs",
        "gateway/mail/src/open/author.rs",
        "gateway/mail/src/open/hand_over.rs",
        "gateway/mail/src/open/mod.rs",
        "gateway/mail/src/open/repair.rs",
        "gateway/mail/src/open/walk.rs",
        "gateway/mail/src/recipient_emails.rs",
    ],
    run,
    seeds: samples::judge::all,
};

/// What every whole message among the seeds says.
pub const BODY: &[u8] = b"Bonjour.\r\n";

thread_local! {
    static VALIDATOR: Validator = validator(RevocationMode::NotJudged);
    static STRICT: Validator = validator(RevocationMode::Required { grace: std::time::Duration::ZERO });
}

fn validator(mode: RevocationMode) -> Validator {
    ValidatorBuilder::new()
        .anchor(Purpose::Organisation, world::root())
        .anchor(Purpose::Person, world::root())
        .anchor(Purpose::Email, world::root())
        .anchor(Purpose::Any, world::root())
        .undivided_anchors(true)
        .test_category(true)
        .revocation(mode)
        .build()
        .expect("a validator")
}

/// A trust space in which the kept signers speak for the sender's domain, unless the digits say otherwise.
#[derive(Default)]
pub struct Space {
    digits: Vec<u8>,
}

impl Space {
    fn says(&self, digit: u8) -> bool {
        self.digits.contains(&digit)
    }

    fn ours(address: &Address) -> bool {
        address.domain().as_str() == "ch-exemple.test"
    }
}

impl Trust for Space {
    fn path(&self, certificate: &Certificate, purpose: Purpose) -> PathVerdict {
        let judged = |validator: &Validator| validator.verify(certificate, &[], purpose, NOW);
        if self.says(b'0') { STRICT.with(judged) } else { VALIDATOR.with(judged) }
    }
    fn person_owns(&self, person: &PersonId, address: &Address) -> bool {
        !self.says(b'5') && person.to_string().contains("99700000017") && Self::ours(address)
    }
    fn structure_owns(&self, _: &StructureId, address: &Address) -> bool {
        !self.says(b'4') && Self::ours(address)
    }
    fn book_signs(&self, certificate: &Certificate, address: &Address) -> bool {
        !self.says(b'3') && certificate == SigningKey::certificate(&*SIGNER) && Self::ours(address)
    }
    fn book_awaits(&self, _: &Certificate, _: &Address) -> bool {
        self.says(b'3')
    }
    fn handover(&self, domain: &Domain) -> Handover {
        match domain.as_str() {
            "inconnu.test" => Handover::Unknown,
            "autre.test" => Handover::NotListed("AUTRE".into()),
            _ if self.says(b'1') => Handover::NotListed("AUTRE".into()),
            _ if self.says(b'2') => Handover::Unknown,
            listed => Handover::Listed(listed.into()),
        }
    }
    fn lists(&self, _: &Domain) -> Option<bool> {
        self.says(b'6').then_some(false)
    }
}

/// A message that comes in small pieces.
struct Pieces(Vec<u8>);

struct PiecesReader<'d>(&'d [u8]);

impl Source for Pieces {
    fn reader(&self, from: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(Box::new(PiecesReader(self.0.get(from..).unwrap_or_default())))
    }
}

impl Read for PiecesReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(509);
        self.0.read(buffer.get_mut(..room).unwrap_or_default())
    }
}

/// Room for the layers around a message of the usual limits.
const ROOMY: Limits = Limits { message: 256 << 10, ..LIMITS };

fn run(data: &[u8]) -> bool {
    let Some(end) = data.iter().position(|octet| *octet == b'\n').filter(|end| *end <= 12) else { return false };
    let (recipe, rest) = data.split_at_checked(end).unwrap_or((data, &[]));
    let rest = rest.get(1..).unwrap_or_default();
    let mut space = Space::default();
    if recipe == b"M" {
        return whole(rest, &space);
    }
    let Some(message) = layered(recipe, rest, &mut space) else { return false };
    let Some((opened, judgement)) = judged(&message, Access::ContentKey(&CONTENT_KEY), &space) else { return false };
    // Signed, believed, and something in it that no seed says.
    let text = opened.inner.bytes(1 << 20).expect("in memory");
    judgement.verdict == Verdict::Accept && judgement.signature == SignatureState::Valid && text.contains(&b'~')
}

/// The message of a recipe.
fn layered(recipe: &[u8], mut rest: &[u8], space: &mut Space) -> Option<Vec<u8>> {
    let takes = |step: &&u8| matches!(**step, b'i' | b't' | b'k' | b'r' | b'u');
    let mut values = Vec::new();
    for step in recipe.iter().filter(takes) {
        let (length, after) = rest.split_first()?;
        let (value, after) = after.split_at_checked(usize::from(*length))?;
        let kind = match step {
            b'i' => attributes::INTENDED_RECIPIENTS,
            b't' => attributes::ASSURANCE,
            b'r' | b'u' => mail::recipient_emails::RECIPIENT_EMAILS,
            _ => attributes::CHECKPOINT,
        };
        values.push(Attribute::single(kind, value.to_vec()));
        rest = after;
    }
    let mut values = values.into_iter();
    let mut layers = Layers::around(rest);
    for step in recipe {
        match step {
            b'0'..=b'9' => space.digits.push(*step),
            b'u' => layers.outside.extend(values.next()),
            step if takes(&step) => layers.attributes.extend(values.next()),
            step => layers.put(*step)?,
        }
    }
    Some(layers.message())
}

/// A message from a stranger: whoever did not sign cannot make our signer say anything else.
fn whole(message: &[u8], space: &Space) -> bool {
    let keys: [&dyn DecryptionKey; 2] = [&*READER_RSA, &*READER_EC];
    let Some((opened, judgement)) = judged(message, Access::Keys(&keys), space) else { return false };
    let kept = [SigningKey::certificate(&*SIGNER), SigningKey::certificate(&*DOCTOR)];
    let ours = matches!(&opened.signature, Signature::Good(signed) if kept.contains(&&signed.signer));
    if ours && judgement.verdict == Verdict::Accept {
        let text = opened.inner.bytes(1 << 20).expect("in memory");
        let body = text.get(opened.facts.body_offset..).unwrap_or_default();
        // A clear signature stays on the message, with whatever was put before and behind its two parts.
        let parts = match opened.facts.content.is_multipart() {
            true => {
                mail::mime::parts(body, opened.facts.content.boundary().expect("a boundary"), 2).expect("two parts")
            }
            false => Vec::new(),
        };
        let told = parts
            .first()
            .map_or(body, |part| part.strip_prefix(b"Content-Type: text/plain\r\n\r\n").expect("the header"));
        assert_eq!(told.escape_ascii().to_string(), BODY.escape_ascii().to_string(), "our signer signed one text only");
    }
    false
}

/// Opens and judges, and holds the result against what must always be so.
pub fn judged(message: &[u8], access: Access<'_>, space: &Space) -> Option<(Opened, Judgement)> {
    let known = [SigningKey::certificate(&*SIGNER).clone()];
    let opened = mail::open(message, access, &known, &ROOMY);
    let in_pieces = mail::open_source(Arc::new(Pieces(message.to_vec())), access, &known, &ROOMY, &InMemory);
    let opened = match (opened, in_pieces) {
        (Ok(opened), Ok(other)) => {
            assert_eq!((opened.inner_digest, &opened.signature), (other.inner_digest, &other.signature), "in pieces");
            opened
        }
        (Err(fault), Err(_)) => {
            shown(&fault);
            return None;
        }
        (whole, in_pieces) => panic!("whole {whole:?} and in pieces {in_pieces:?}"),
    };
    if let Some(encryption) = &opened.encryption {
        let good = matches!(opened.signature, Signature::Good(_));
        assert!(encryption.authenticated || good, "without a tag, a good signature inside or nothing (H9)");
        let again = mail::open(message, Access::ContentKey(&encryption.content_key), &known, &ROOMY);
        assert_eq!(again.map(|again| again.inner_digest).ok(), Some(opened.inner_digest), "opens again at delivery");
    }
    let judgement = believed(&opened, space);
    Some((opened, judgement))
}

fn shown(fault: &OpenFault) {
    let text = fault.text();
    assert!(!(fault.code().is_empty() || text.fr.is_empty() || text.en.is_empty()), "every refusal says why");
}

fn address(text: &str) -> Address {
    Address::parse(text).expect("an address")
}

fn believed(opened: &Opened, space: &Space) -> Judgement {
    let sender = (!space.says(b'9')).then(|| address(if space.says(b'7') { "z@ch-exemple.test" } else { SENDER }));
    let readers = [address(if space.says(b'8') { "z@ch-autre.test" } else { READER })];
    let judgement = mail::judge(opened, &Envelope { sender: sender.as_ref(), recipients: &readers }, space);
    let _ = (judgement.notice(), format!("{opened:?}"), judgement.from_bound());
    if let Some(said) = judgement.assurance.as_ref() {
        let again = attributes::said(&[attributes::assurance(said), attributes::checkpoint("x")]);
        assert!(again.malformed || again.assurance.as_ref() == Some(said), "what is passed on is what was said");
    }
    if judgement.verdict == Verdict::Accept {
        let covered = matches!(opened.signature, Signature::Good(_));
        assert!(
            covered || !opened.survey.inner_signature,
            "a signature that is not the root's counts for nothing (A12)"
        );
        assert!(judgement.bound_by.is_some(), "somebody speaks for From");
        let text = opened.inner.bytes(1 << 20).expect("in memory");
        let roomy = Limits { header: 1 << 20, fields: 1000, ..ROOMY };
        if let Ok(handed) = mail::annotate(&text, &judgement, US, &roomy) {
            let facts = mail::read(&handed, &roomy).expect("what we hand over is a message");
            assert_eq!(facts.from, judgement.from, "readers see the mailbox that was judged");
        }
    } else {
        assert!(judgement.assurance.is_none(), "nobody's word is passed on with a refusal");
    }
    judgement
}
