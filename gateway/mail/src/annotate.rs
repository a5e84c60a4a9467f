//! Writing the judgement into the message that is handed to the inner mail store (A17, H11).

use std::borrow::Cow;

use ident::Bilingual;

use crate::{
    HeaderBlock, Judgement, Limits, MailFault, SignatureState, Signer, StampState, Verdict,
    clean::{is_own_result, without},
    words::{self, folded, text_field},
};

/// Puts our result fields on top of a message, and takes away every field that pretends to be one.
/// Everything else stays octet for octet, so that signatures inside keep their value.
///
/// # Errors
/// A header that cannot be read.
pub fn annotate(inner: &[u8], judgement: &Judgement, authserv_id: &str, limits: &Limits) -> Result<Vec<u8>, MailFault> {
    let clean: Cow<'_, [u8]> = without(inner, limits, |field| is_own_result(field, authserv_id))?;
    let mut out = result_fields(judgement, authserv_id).into_bytes();
    out.extend_from_slice(&clean);
    Ok(out)
}

/// The sentence for the reader that stands in our own result fields.
pub(crate) fn notice_of(results: &str, limits: &Limits) -> Result<Option<Bilingual>, MailFault> {
    let octets = format!("{results}\r\n");
    let block = HeaderBlock::parse(octets.as_bytes(), limits)?;
    let text = |name| Ok::<_, MailFault>(block.one(name)?.map(|field| words::decode(&field.value())));
    Ok(text("X-Sceau-Notice")?.zip(text("X-Sceau-Notice-En")?).map(|(fr, en)| Bilingual::new(fr, en)))
}

/// Our result fields alone, for trace output and tests.
pub fn result_fields(judgement: &Judgement, authserv_id: &str) -> String {
    let notice = judgement.notice();
    let mut out = authentication_results(judgement, authserv_id);
    out.push_str(&text_field("X-Sceau-Verdict", word(&judgement.verdict)));
    out.push_str(&text_field("X-Sceau-Notice", &notice.fr));
    out.push_str(&text_field("X-Sceau-Notice-En", &notice.en));
    out.push_str(&text_field("X-Sceau-Signature", signature_word(judgement.signature)));
    if let Some(by) = judgement.bound_by {
        out.push_str(&text_field("X-Sceau-Bound-By", bound_word(by)));
    }
    if let Some(signer) = &judgement.signer {
        out.push_str(&text_field("X-Sceau-Signer", &named(signer)));
        out.push_str(&text_field("X-Sceau-Signer-Cert", &format!("sha256 {}", signer.fingerprint)));
    }
    if let Some(stamped) = &judgement.timestamp {
        // What nobody vouches for is not repeated beside our verdict.
        let vouched = !matches!(stamped.state, StampState::NotJudged | StampState::Invalid);
        let at = stamped.at.filter(|_| vouched).map(|at| format!("{}; ", at.rfc3339())).unwrap_or_default();
        let authority = stamped.authority.as_deref().filter(|_| vouched);
        let authority = authority.map(|it| format!("; {it}")).unwrap_or_default();
        out.push_str(&text_field("X-Sceau-Timestamp", &format!("{at}{}{authority}", stamp_word(stamped.state))));
    }
    if let Some(author) = &judgement.author {
        out.push_str(&text_field("X-Sceau-Author-Signature", signature_word(author.signature)));
        if let (Some(by), true) = (author.bound_by, author.counts()) {
            out.push_str(&text_field("X-Sceau-Author-Bound-By", bound_word(by)));
        }
        if let Some(signer) = &author.signer {
            out.push_str(&text_field("X-Sceau-Author-Signer", &named(signer)));
            out.push_str(&text_field("X-Sceau-Author-Signer-Cert", &format!("sha256 {}", signer.fingerprint)));
        }
    }
    if let Some(operator) = &judgement.operator {
        out.push_str(&text_field("X-Sceau-Operator", operator));
    }
    if let Some(assurance) = &judgement.assurance {
        let text = format!("{}; {}; {}", assurance.level.code(), assurance.who, assurance.how);
        out.push_str(&text_field("X-Sceau-Assurance", &text));
    }
    for reason in &judgement.reasons {
        out.push_str(&text_field("X-Sceau-Reason", &format!("{} ({})", reason.code, reason.rule)));
    }
    out
}

fn named(signer: &Signer) -> String {
    let identifier = signer.identifier.as_deref().map(|id| format!(" ({id})")).unwrap_or_default();
    format!("{}{identifier}", signer.name)
}

/// RFC 8601 with the `smime` method of RFC 7281.
fn authentication_results(judgement: &Judgement, authserv_id: &str) -> String {
    let result = match (judgement.signature, judgement.verdict) {
        (SignatureState::Valid, Verdict::Accept) => "pass",
        // The mathematics are good, and our rules still say no.
        (SignatureState::Valid, _) => "policy",
        (SignatureState::Invalid, _) => "fail",
        (SignatureState::None, _) => "none",
        (SignatureState::Undetermined, _) => "temperror",
    };
    let mut pieces = vec![format!("{};", bare(authserv_id)), format!("smime={result}")];
    if let Some(signer) = &judgement.signer {
        if judgement.from_bound() {
            pieces.push(format!("body.smime-identifier={}", quoted(&judgement.from.to_string())));
        }
        pieces.push(format!("body.smime-serial={}", bare(&signer.serial)));
        pieces.push(format!("body.smime-issuer={}", quoted(&signer.issuer)));
    }
    folded("Authentication-Results", pieces.iter().map(String::as_str))
}

const fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accept",
        Verdict::Undetermined => "undetermined",
        Verdict::Refuse => "refuse",
    }
}

const fn signature_word(state: SignatureState) -> &'static str {
    match state {
        SignatureState::Valid => "valid",
        SignatureState::Invalid => "invalid",
        SignatureState::None => "none",
        SignatureState::Undetermined => "undetermined",
    }
}

const fn stamp_word(state: StampState) -> &'static str {
    match state {
        StampState::Valid => "valid",
        StampState::Invalid => "invalid",
        StampState::Undetermined => "undetermined",
        StampState::NotJudged => "not judged",
    }
}

const fn bound_word(by: crate::BoundBy) -> &'static str {
    match by {
        crate::BoundBy::CertificateAddress => "certificate-address",
        crate::BoundBy::Person => "person",
        crate::BoundBy::Organisation => "organisation",
        crate::BoundBy::Book => "book",
        crate::BoundBy::Operator => "operator",
    }
}

/// A token: host names and hexadecimal numbers pass, everything else becomes `?`.
fn bare(text: &str) -> String {
    text.chars().take(255).map(|c| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '?' }).collect()
}

/// A quoted string of printable ASCII.
fn quoted(text: &str) -> String {
    let inner: String = text
        .chars()
        .take(500)
        .map(|c| match c {
            '"' | '\\' => '\'',
            c if c.is_ascii_graphic() || c == ' ' => c,
            _ => '?',
        })
        .collect();
    format!("\"{inner}\"")
}

#[cfg(test)]
mod tests {
    use ident::{Address, Fingerprint};
    use proptest::prelude::*;

    use super::*;
    use crate::{Assurance, AssuranceLevel, BoundBy, HeaderBlock, read, words};

    const US: &str = "gw.ch-exemple.test";

    fn judgement() -> Judgement {
        Judgement {
            verdict: Verdict::Accept,
            signature: SignatureState::Valid,
            from: Address::parse("zoe.martin-test@ch-autre.test").unwrap(),
            bound_by: Some(BoundBy::Person),
            signer: Some(Signer {
                name: "Zoé MARTIN-TEST".into(),
                title: Some("Dr".into()),
                identifier: Some("899700000001".into()),
                fingerprint: Fingerprint::new([0xab; 32]),
                serial: "0a1b".into(),
                issuer: "CN=TEST AC PERSONNES,O=EXEMPLE,C=FR".into(),
                algorithm: "RSA-PSS SHA-256".into(),
            }),
            operator: Some("CH AUTRE-TEST".into()),
            assurance: None,
            timestamp: None,
            author: None,
            reasons: Vec::new(),
        }
    }

    fn field(message: &[u8], name: &'static str) -> String {
        let limits = Limits::default();
        let block = HeaderBlock::parse(message, &limits).unwrap();
        let value = block.one(name).unwrap().map(|f| f.value().into_owned()).unwrap_or_default();
        words::decode(&value)
    }

    /// A17: the only result fields in what the reader gets are ours.
    #[test]
    fn replaces_forged_results() {
        let forged = b"X-Sceau-Notice: =?utf-8?Q?Sign=C3=A9_par_Dr_FAUX-TEST?=\r\n\
            Authentication-Results: gw.ch-exemple.test; smime=pass\r\n\
            x-sceau-verdict: accept\r\nFrom: <zoe.martin-test@ch-autre.test>\r\nSubject: x\r\n\r\nbody\r\n";
        let out = annotate(forged, &judgement(), US, &Limits::default()).unwrap();
        assert_eq!(field(&out, "X-Sceau-Notice"), "Signé par Dr Zoé MARTIN-TEST");
        assert_eq!(field(&out, "X-Sceau-Notice-En"), "Signed by Dr Zoé MARTIN-TEST");
        assert_eq!(field(&out, "X-Sceau-Verdict"), "accept");
        assert_eq!(
            field(&out, "Authentication-Results"),
            "gw.ch-exemple.test; smime=pass body.smime-identifier=\"zoe.martin-test@ch-autre.test\" \
             body.smime-serial=0a1b body.smime-issuer=\"CN=TEST AC PERSONNES,O=EXEMPLE,C=FR\""
        );
        assert!(!String::from_utf8_lossy(&out).contains("FAUX"));
        assert!(out.ends_with(b"From: <zoe.martin-test@ch-autre.test>\r\nSubject: x\r\n\r\nbody\r\n"));
    }

    #[test]
    fn says_who_vouches_and_what_is_not_signed() {
        let vouched = Judgement {
            bound_by: Some(BoundBy::Book),
            signer: judgement().signer.map(|s| Signer { name: "CH AUTRE-TEST".into(), title: None, ..s }),
            assurance: Some(Assurance {
                level: AssuranceLevel::Delegated,
                who: "Luc PETIT-TEST".into(),
                how: "carte CPE".into(),
            }),
            ..judgement()
        };
        assert_eq!(vouched.notice().fr, "Garanti par CH AUTRE-TEST - écrit par délégation : Luc PETIT-TEST, carte CPE");
        let unsigned = Judgement {
            signature: SignatureState::None,
            bound_by: Some(BoundBy::Operator),
            signer: None,
            ..judgement()
        };
        assert_eq!(unsigned.notice().fr, "Opérateur authentifié, message non signé");
        assert!(result_fields(&unsigned, US).contains("smime=none"));
        let refused = Judgement { verdict: Verdict::Refuse, ..judgement() };
        assert!(result_fields(&refused, US).contains("smime=policy"));
        assert!(!refused.notice().fr.contains("Signé"));
    }

    proptest! {
        /// Whatever a certificate or a peer's gateway says, only our fields come out of it.
        #[test]
        fn hostile_names_write_no_header(name in "\\PC{0,80}|[a\r\n:\\\\\"=?]{0,30}", who in "[a\r\n; =?é]{0,100}") {
            let mut hostile = judgement();
            if let Some(signer) = &mut hostile.signer {
                signer.name.clone_from(&name);
                signer.issuer.clone_from(&name);
            }
            hostile.assurance = Some(Assurance { level: AssuranceLevel::Vouched, who: who.clone(), how: name });
            let fields = result_fields(&hostile, US);
            prop_assert!(fields.is_ascii());
            let message = format!("{fields}From: a@x.test\r\n\r\n");
            prop_assert!(read(message.as_bytes(), &Limits::default()).is_ok());
            let limits = Limits::default();
            let block = HeaderBlock::parse(message.as_bytes(), &limits).unwrap();
            let ours = |f: &crate::Field<'_>| is_own_result(f, US) || f.is("From");
            prop_assert!(block.fields().iter().all(ours));
        }
    }
}
