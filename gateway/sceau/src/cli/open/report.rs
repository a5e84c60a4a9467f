//! The report of `sceau open`.

use ident::{Bilingual, Timestamp};
use mail::{BoundBy, Judgement, OpenFault, Opened, Signature, SignatureState, Signer, Verdict};
use serde_json::{Value, json};

use crate::cli::trust::NOT_JUDGED;

/// Why a message could not be opened, or what its judge said.
struct Reason {
    code: String,
    rule: Option<&'static str>,
    weight: &'static str,
    text: Bilingual,
}

/// What is told about one message (design §5).
pub(super) struct Report {
    pub(super) verdict: Verdict,
    pub(super) revocation_judged: bool,
    at: Timestamp,
    encryption: Option<Encryption>,
    signature: SignatureState,
    signer: Option<Signer>,
    signing_time: Option<Timestamp>,
    from: Option<String>,
    from_bound: bool,
    bound_by: Option<BoundBy>,
    assurance: Option<mail::Assurance>,
    author: Option<mail::AuthorSignature>,
    timestamp: Option<mail::TimeStamped>,
    notice: Option<Bilingual>,
    reasons: Vec<Reason>,
}

/// How it was encrypted, without the key.
struct Encryption {
    cipher: &'static str,
    key_transport: &'static str,
    authenticated: bool,
    recipient: Option<ident::Fingerprint>,
}

impl Report {
    /// Nothing known yet: refused.
    pub(super) fn refused(at: Timestamp, revocation_judged: bool) -> Self {
        Self {
            verdict: Verdict::Refuse,
            revocation_judged,
            at,
            encryption: None,
            signature: SignatureState::None,
            signer: None,
            signing_time: None,
            from: None,
            from_bound: false,
            bound_by: None,
            assurance: None,
            author: None,
            timestamp: None,
            notice: None,
            reasons: Vec::new(),
        }
    }

    /// It could not be opened.
    pub(super) fn fault(&mut self, fault: &OpenFault) {
        let rule = rule_of(fault);
        self.reasons = vec![Reason { code: fault.code().to_owned(), rule, weight: "refuse", text: fault.text() }];
    }

    /// It was opened and judged.
    pub(super) fn judged(&mut self, opened: &Opened, judgement: &Judgement) {
        self.verdict = judgement.verdict;
        self.encryption = opened.encryption.as_ref().map(|encryption| Encryption {
            cipher: encryption.cipher,
            key_transport: encryption.key_transport,
            authenticated: encryption.authenticated,
            recipient: encryption.recipient,
        });
        if let Signature::Good(signed) = &opened.signature {
            self.signing_time = signed.signing_time;
        }
        self.signature = judgement.signature;
        self.signer.clone_from(&judgement.signer);
        self.from = Some(judgement.from.to_string());
        self.from_bound = judgement.from_bound();
        self.bound_by = judgement.bound_by;
        self.assurance.clone_from(&judgement.assurance);
        self.author.clone_from(&judgement.author);
        self.timestamp.clone_from(&judgement.timestamp);
        self.notice = Some(judgement.notice());
        self.reasons = judgement
            .reasons
            .iter()
            .map(|reason| Reason {
                code: reason.code.to_owned(),
                rule: Some(reason.rule),
                weight: match reason.weight {
                    mail::Weight::Note => "note",
                    mail::Weight::Undetermined => "undetermined",
                    mail::Weight::Refuse => "refuse",
                },
                text: reason.text.clone(),
            })
            .collect();
    }

    fn signed(&self) -> bool {
        self.signature != SignatureState::None
    }

    pub(super) fn json(&self) -> Value {
        let encryption = self.encryption.as_ref();
        json!({
            "decrypted": encryption.is_some(),
            "encryption": encryption.map(|it| it.cipher),
            "key_transport": encryption.map(|it| it.key_transport),
            "authenticated_encryption": encryption.map(|it| it.authenticated),
            "decrypted_for": encryption.and_then(|it| it.recipient),
            "signed": self.signed(),
            "signature": self.signature,
            "signer": self.signer,
            "signing_time": self.signing_time.map(Timestamp::rfc3339),
            "from": self.from,
            "from_bound": self.from_bound,
            "bound_by": self.bound_by,
            "assurance": self.assurance,
            "author": self.author,
            "timestamp": self.timestamp.as_ref().map(|it| json!({
                "state": it.state, "at": it.at.map(Timestamp::rfc3339), "authority": it.authority, "fault": it.fault,
            })),
            "verdict": self.verdict,
            "notice": self.notice,
            "reasons": self.reasons.iter().map(|reason| json!({
                "code": reason.code, "rule": reason.rule, "weight": reason.weight, "text": reason.text,
            })).collect::<Vec<_>>(),
            "at": self.at.rfc3339(),
            "revocation_judged": self.revocation_judged,
        })
    }

    /// The same for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let word = |value: Value| value.as_str().unwrap_or("none").to_owned();
        let mut lines = vec![format!("verdict       {}", word(json!(self.verdict)))];
        if let Some(notice) = &self.notice {
            lines.push(format!("              {} / {}", notice.fr, notice.en));
        }
        lines.push(match &self.encryption {
            Some(it) => format!("encryption    {}, {}", it.cipher, it.key_transport),
            None if self.from.is_some() => "encryption    none".to_owned(),
            None => "encryption    not opened".to_owned(),
        });
        lines.push(format!("signature     {}", word(json!(self.signature))));
        if let Some(signer) = &self.signer {
            let id = signer.identifier.as_ref().map(|id| format!(", id {id}")).unwrap_or_default();
            lines.push(format!("signer        {}{id}, serial {}", signer.name, signer.serial));
        }
        if let Some(from) = &self.from {
            let bound = self
                .bound_by
                .map_or_else(|| "not bound to the signer".to_owned(), |by| format!("bound by {}", word(json!(by))));
            lines.push(format!("from          {from}, {bound}"));
        }
        if let Some(stamped) = &self.timestamp {
            let at = stamped.at.map_or_else(|| "no time".to_owned(), Timestamp::rfc3339);
            let authority = stamped.authority.as_deref().unwrap_or("unknown authority");
            lines.push(format!("time stamp    {at} by {authority}: {}", word(json!(stamped.state))));
        }
        if let Some(author) = &self.author {
            let by = author.signer.as_ref().map(|signer| format!(" by {}", signer.name)).unwrap_or_default();
            lines.push(format!("author        signature inside the gateway's{by}: {}", word(json!(author.signature))));
        }
        for reason in &self.reasons {
            lines.push(format!("{:<13} [{}] {}", reason.weight, reason.code, reason.text.fr));
            lines.push(format!("              {}", reason.text.en));
        }
        if !self.revocation_judged {
            lines.push(format!("note          {NOT_JUDGED}"));
        }
        lines
    }
}

/// The rule that a fault breaks, where it is about one.
fn rule_of(fault: &OpenFault) -> Option<&'static str> {
    match fault {
        OpenFault::Mail(fault) => Some(fault.rule()),
        OpenFault::Inside(fault) => rule_of(fault),
        OpenFault::NotForUs | OpenFault::Failed => Some("H4"),
        _ => None,
    }
}
