//! What we decided about a received message, for the trail, the reader and the peer.

use ident::{Address, Bilingual, Fingerprint, Timestamp};
use serde::{Deserialize, Serialize};

/// Reason of a judgement: the signature covers no header.
const HEADER_NOT_SIGNED: &str = "header_not_signed";
/// Code of the note that the author signed other header fields.
const AUTHOR_FIELDS: &str = "author_fields_differ";

/// Whether a received message may be handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Yes.
    Accept,
    /// It cannot be told now: 4xx.
    Undetermined,
    /// No: 5xx.
    Refuse,
}

/// What became of the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureState {
    /// Mathematics, structure and certification path are good.
    Valid,
    /// One of them is not.
    Invalid,
    /// Nothing at the root of the message is signed.
    None,
    /// The path cannot be judged now.
    Undetermined,
}

/// What ties the signer to the `From` address, in the order in which it is tried (design §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoundBy {
    /// An address in the certificate is the address in `From`.
    CertificateAddress,
    /// The person of the certificate owns the address.
    Person,
    /// The structure of the certificate owns the address.
    Organisation,
    /// The book holds the certificate for the domain.
    Book,
    /// Not signed: a listed operator handed it over for its own domain.
    Operator,
}

/// Who signed, as far as the certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// Name for people: `Zoé MARTIN-TEST`, `CH EXEMPLE-TEST`.
    pub name: String,
    /// Title of a person, as the certificate writes it.
    pub title: Option<String>,
    /// National identifier of the person or structure.
    pub identifier: Option<String>,
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// Serial number in hexadecimal.
    pub serial: String,
    /// Issuer, RFC 4514.
    pub issuer: String,
    /// Signature scheme and digest.
    pub algorithm: String,
}

/// How a sending gateway knew the author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssuranceLevel {
    /// The author's own certificate or token.
    Authenticated,
    /// Somebody else wrote, whom the mailbox's registry names for it.
    Delegated,
    /// The organisation's certificate, for a mailbox of the organisation.
    Organisation,
    /// The organisation vouches for its own mail system.
    Vouched,
    /// Written by the gateway itself (notices).
    System,
}

impl AssuranceLevel {
    /// Stable word on the wire.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Authenticated => "authenticated",
            Self::Delegated => "delegated",
            Self::Organisation => "organisation",
            Self::Vouched => "vouched",
            Self::System => "system",
        }
    }

    /// Reads the word.
    pub fn parse(code: &str) -> Option<Self> {
        [Self::Authenticated, Self::Delegated, Self::Organisation, Self::Vouched, Self::System]
            .into_iter()
            .find(|level| level.code() == code)
    }

    /// What it means to a reader.
    pub fn text(self) -> Bilingual {
        match self {
            Self::Authenticated => Bilingual::new("auteur authentifié", "author authenticated"),
            Self::Delegated => Bilingual::new("écrit par délégation", "written by delegation"),
            Self::Organisation => Bilingual::new("organisation authentifiée", "organisation authenticated"),
            Self::Vouched => {
                Bilingual::new("auteur garanti par l'organisation", "author vouched for by the organisation")
            }
            Self::System => Bilingual::new("message automatique de l'opérateur", "automatic message of the operator"),
        }
    }
}

/// Who was authenticated when the message was handed in, and how: signed by the sending gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assurance {
    /// How the author was known.
    pub level: AssuranceLevel,
    /// Who: name and national identifier.
    pub who: String,
    /// How: card, token, server certificate.
    pub how: String,
}

/// What a reason does to the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Nothing: worth knowing.
    Note,
    /// Makes it undetermined.
    Undetermined,
    /// Refuses.
    Refuse,
}

/// One reason of a judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Stable code.
    pub code: &'static str,
    /// Row of the attack catalogue or rule that asks for it.
    pub rule: &'static str,
    /// What it does to the verdict.
    pub weight: Weight,
    /// The sentence for people.
    pub text: Bilingual,
}

/// What a time stamp beside a signature is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StampState {
    /// About this signature, by an authority that the operator pinned for time stamps.
    Valid,
    /// It counts for nothing.
    Invalid,
    /// About this signature; its authority cannot be judged now.
    Undetermined,
    /// About this signature; no authority of time stamps is pinned here.
    NotJudged,
}

/// A time stamp beside the signature: proof of when, never of who.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimeStamped {
    /// What it is worth.
    pub state: StampState,
    /// The time that it says, unless it is invalid.
    pub at: Option<Timestamp>,
    /// Who says so.
    pub authority: Option<String>,
    /// Why it counts for less than valid.
    pub fault: Option<&'static str>,
}

/// What the author's own signature is worth: that inside the wrap of a gateway, or on a message handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuthorSignature {
    /// What became of it.
    pub signature: SignatureState,
    /// Who made it.
    pub signer: Option<Signer>,
    /// Why its signer may speak for `From`.
    pub bound_by: Option<BoundBy>,
    /// Codes of the reasons why it counts for nothing; empty when it counts.
    pub faults: Vec<&'static str>,
}

impl AuthorSignature {
    /// What the judgement of a message that consists of this signature says about it.
    pub fn of(judgement: &Judgement) -> Self {
        let faults = judgement.reasons.iter().filter(|reason| reason.weight != Weight::Note);
        Self {
            signature: judgement.signature,
            signer: judgement.signer.clone(),
            bound_by: judgement.bound_by,
            faults: faults.map(|reason| reason.code).collect(),
        }
    }

    /// Whether it counts: valid, and its signer is the author.
    pub fn counts(&self) -> bool {
        self.faults.is_empty() && self.signature == SignatureState::Valid && self.bound_by.is_some()
    }
}

/// The judgement of one received message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// The decision.
    pub verdict: Verdict,
    /// What became of the signature.
    pub signature: SignatureState,
    /// The address in `From`.
    pub from: Address,
    /// Whether the signer, or the operator for an unsigned message, may speak for `From`.
    pub bound_by: Option<BoundBy>,
    /// Who signed.
    pub signer: Option<Signer>,
    /// The operator that handed the message over, if one was authenticated.
    pub operator: Option<String>,
    /// What the sending gateway says about the author; only from a valid, bound signature.
    pub assurance: Option<Assurance>,
    /// The time stamp beside the signature.
    pub timestamp: Option<TimeStamped>,
    /// The author's own signature inside the one that was judged.
    pub author: Option<AuthorSignature>,
    /// Every reason, refusals first.
    pub reasons: Vec<Reason>,
}

impl Judgement {
    /// Whether the *signer* is bound to `From`; an operator's word does not count here.
    pub fn from_bound(&self) -> bool {
        self.bound_by.is_some_and(|by| by != BoundBy::Operator)
    }

    /// The sentence for the reader. "Signed by" only when the certificate itself names the address
    /// or its owner (design §3).
    pub fn notice(&self) -> Bilingual {
        if self.verdict != Verdict::Accept {
            return Bilingual::new("Message non vérifié", "Message not verified");
        }
        let sentence = match self.bound_by {
            Some(by) if by != BoundBy::Operator => told(by, self.signer.as_ref()),
            _ => {
                Bilingual::new("Opérateur authentifié, message non signé", "Operator authenticated, message not signed")
            }
        };
        let has = |code: &str| self.reasons.iter().any(|reason| reason.code == code);
        let sentence = if has(HEADER_NOT_SIGNED) { text_only(&sentence) } else { sentence };
        let sentence = match &self.author {
            None => sentence,
            Some(author) => both(author, has(AUTHOR_FIELDS), sentence),
        };
        match &self.assurance {
            None => sentence,
            Some(assurance) => {
                let level = assurance.level.text();
                let detail = format!("{}, {}", plain(&assurance.who), plain(&assurance.how));
                Bilingual::new(
                    format!("{} - {} : {detail}", sentence.fr, level.fr),
                    format!("{} - {}: {detail}", sentence.en, level.en),
                )
            }
        }
    }
}

/// Most characters of a foreign text in a sentence for the reader.
const SHOWN: usize = 160;

/// A foreign text within a sentence: short, and without characters that hide or turn what stands beside them.
fn plain(text: &str) -> String {
    let hidden = |c: &char| c.is_control() || ident::is_format(*c);
    text.chars().filter(|c| !hidden(c)).take(SHOWN).collect()
}

/// "Signed by" only when the certificate itself names the address or its owner (design §3).
fn told(by: BoundBy, signer: Option<&Signer>) -> Bilingual {
    let name = signer.map_or("?", |signer| signer.name.as_str());
    let title = signer.and_then(|signer| signer.title.as_deref()).unwrap_or_default();
    let person = format!("{title} {name}");
    let person = person.trim();
    match by {
        BoundBy::CertificateAddress | BoundBy::Person => {
            Bilingual::new(format!("Signé par {person}"), format!("Signed by {person}"))
        }
        _ => Bilingual::new(format!("Garanti par {name}"), format!("Vouched for by {name}")),
    }
}

/// For a signature that covers no header field which the reader sees.
fn text_only(sentence: &Bilingual) -> Bilingual {
    Bilingual::new(
        format!("{} (texte et pièces jointes ; ni objet, ni date, ni destinataires)", sentence.fr),
        format!("{} (text and attachments; not subject, date or recipients)", sentence.en),
    )
}

/// Names the author, who signed, and the gateway, which wrapped what they signed.
fn both(author: &AuthorSignature, other_fields: bool, wrap: Bilingual) -> Bilingual {
    let inner = match author.bound_by.filter(|_| author.counts()) {
        Some(by) if other_fields => text_only(&told(by, author.signer.as_ref())),
        Some(by) => told(by, author.signer.as_ref()),
        None => Bilingual::new(
            "La signature de l'auteur dans le message n'est pas valable",
            "The author's signature inside the message is not valid",
        ),
    };
    Bilingual::new(format!("{} - {}", inner.fr, wrap.fr), format!("{} - {}", inner.en, wrap.en))
}
