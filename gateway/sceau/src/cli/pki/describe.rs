//! Certificates and revocation lists in words and as JSON.

use pki::{
    certificate::{Certificate, Fault, KeyKind, KeyUsage},
    crl::RevocationList,
    identity::Identity,
    revocation::{Evidence, EvidenceSource, Said},
};
use serde_json::{Value, json};

const KEY_USAGES: [(KeyUsage, &str); 7] = [
    (KeyUsage::DIGITAL_SIGNATURE, "digitalSignature"),
    (KeyUsage::NON_REPUDIATION, "nonRepudiation"),
    (KeyUsage::KEY_ENCIPHERMENT, "keyEncipherment"),
    (KeyUsage::DATA_ENCIPHERMENT, "dataEncipherment"),
    (KeyUsage::KEY_AGREEMENT, "keyAgreement"),
    (KeyUsage::KEY_CERT_SIGN, "keyCertSign"),
    (KeyUsage::CRL_SIGN, "cRLSign"),
];

const EXTENDED_KEY_USAGES: [(&str, &str); 8] = [
    ("1.3.6.1.5.5.7.3.1", "serverAuth"),
    ("1.3.6.1.5.5.7.3.2", "clientAuth"),
    ("1.3.6.1.5.5.7.3.3", "codeSigning"),
    ("1.3.6.1.5.5.7.3.4", "emailProtection"),
    ("1.3.6.1.5.5.7.3.8", "timeStamping"),
    ("1.3.6.1.5.5.7.3.9", "OCSPSigning"),
    ("1.3.6.1.4.1.311.20.2.2", "smartCardLogon"),
    ("2.5.29.37.0", "anyExtendedKeyUsage"),
];

/// The key in the words of people who order certificates.
pub(super) fn key(kind: KeyKind) -> String {
    match kind {
        KeyKind::Rsa(bits) => format!("RSA {bits}"),
        KeyKind::P256 => "EC P-256".to_owned(),
        KeyKind::P384 => "EC P-384".to_owned(),
        KeyKind::P521 => "EC P-521".to_owned(),
        KeyKind::Ed25519 => "Ed25519".to_owned(),
        KeyKind::X25519 => "X25519".to_owned(),
        KeyKind::Other => "other".to_owned(),
    }
}

/// Names of the key usage bits; nothing without the extension.
fn key_usage(certificate: &Certificate) -> Option<Vec<&'static str>> {
    let usage = certificate.key_usage()?;
    Some(KEY_USAGES.iter().filter(|(bit, _)| usage.has(*bit)).map(|(_, name)| *name).collect())
}

/// Names of the extended key usages where they have one, else the identifiers.
fn extended_key_usage(certificate: &Certificate) -> Option<Vec<&str>> {
    let name = |oid: &'static str| EXTENDED_KEY_USAGES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name);
    let all = certificate.extended_key_usage()?;
    Some(
        all.iter()
            .map(|oid| {
                let known = EXTENDED_KEY_USAGES.iter().find(|(known, _)| known == oid).map(|(known, _)| *known);
                known.and_then(name).unwrap_or(oid)
            })
            .collect(),
    )
}

/// What the strict reader holds against a certificate.
const fn fault(fault: Fault) -> &'static str {
    match fault {
        Fault::DuplicateExtension => "the same extension twice",
        Fault::MalformedExtension => "a malformed extension",
        Fault::MalformedEmail => "a malformed mail address",
        Fault::MalformedHost => "a malformed host name",
        Fault::ControlCharacters => "control characters in a name",
        Fault::Version => "a version that does not fit its content",
        Fault::Serial => "a serial number that is zero, negative or too long",
        Fault::Validity => "validity dates that contradict each other",
        _ => "a fault",
    }
}

/// A certificate in short, as one step of a path.
pub(super) fn step(certificate: &Certificate) -> Value {
    json!({
        "subject": certificate.subject().to_string(),
        "issuer": certificate.issuer().to_string(),
        "serial": certificate.serial_hex(),
        "not_before": certificate.not_before().rfc3339(),
        "not_after": certificate.not_after().rfc3339(),
        "fingerprint": certificate.fingerprint(),
    })
}

/// Everything that a certificate says.
pub(super) fn certificate(certificate: &Certificate) -> Value {
    let identity = Identity::of(certificate);
    let hexadecimal = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    json!({
        "subject": certificate.subject().to_string(),
        "issuer": certificate.issuer().to_string(),
        "serial": certificate.serial_hex(),
        "not_before": certificate.not_before().rfc3339(),
        "not_after": certificate.not_after().rfc3339(),
        "fingerprint": certificate.fingerprint(),
        "identity": identity.as_ref().ok(),
        "identity_problem": identity.as_ref().err().map(ToString::to_string),
        "key": key(certificate.key()),
        "signature_algorithm": certificate.signature_algorithm(),
        "key_usage": key_usage(certificate),
        "extended_key_usage": extended_key_usage(certificate),
        "may_sign": certificate.may_sign(),
        "may_encrypt": certificate.may_encrypt(),
        "emails": certificate.emails(),
        "dns_names": certificate.dns_names(),
        "authority": certificate.is_authority(),
        "test": certificate.is_test_category(),
        "card_number": certificate.card_number().map(|number| number.to_string()),
        "subject_key_id": certificate.subject_key_id().map(hexadecimal),
        "authority_key_id": certificate.authority_key_id().map(hexadecimal),
        "faults": certificate.faults().iter().map(|it| fault(*it)).collect::<Vec<_>>(),
    })
}

/// The same for people, line by line: label and value.
pub(super) fn certificate_lines(certificate: &Certificate) -> Vec<(&'static str, String)> {
    let mut lines = vec![("holder", holder(certificate))];
    lines.push(("subject", certificate.subject().to_string()));
    lines.push(("issuer", certificate.issuer().to_string()));
    lines.push(("serial", certificate.serial_hex()));
    lines.push(("valid", format!("{} to {}", certificate.not_before(), certificate.not_after())));
    lines.push(("key", key(certificate.key())));
    let list = |all: Option<Vec<&str>>| all.map_or_else(|| "not restricted".to_owned(), |all| all.join(", "));
    lines.push(("key usage", list(key_usage(certificate))));
    lines.push(("purposes", list(extended_key_usage(certificate))));
    let emails: Vec<String> = certificate.emails().iter().map(ToString::to_string).collect();
    for (label, all) in [("addresses", emails.join(", ")), ("hosts", certificate.dns_names().join(", "))] {
        if !all.is_empty() {
            lines.push((label, all));
        }
    }
    if let Some(number) = certificate.card_number() {
        lines.push(("card", number.to_string()));
    }
    if certificate.is_test_category() {
        lines.push(("category", "TEST: refused in production".to_owned()));
    }
    lines.push(("sha-256", certificate.fingerprint().to_string()));
    for it in certificate.faults() {
        lines.push(("fault", format!("{}: path validation refuses it", fault(*it))));
    }
    lines
}

fn holder(certificate: &Certificate) -> String {
    if certificate.is_authority() {
        return "a certification authority".to_owned();
    }
    match Identity::of(certificate) {
        Ok(Identity::Person(person)) => {
            let profession = person.profession.map(|profession| format!(", {profession}")).unwrap_or_default();
            format!("person {} {}{profession}, national id {}", person.given, person.family, person.id)
        }
        Ok(identity @ Identity::Staff(_)) => {
            let id = identity.person_id().map(ToString::to_string).unwrap_or_default();
            format!("staff {}, id {id}", identity.display_name())
        }
        Ok(Identity::Organisation(organisation)) => {
            format!("organisation {}, id {} ({})", organisation.name, organisation.structure, organisation.label)
        }
        Ok(Identity::Server(server)) => {
            let structure = server.structure.map(|id| format!(", structure {id}")).unwrap_or_default();
            format!("server {}{structure}", server.host)
        }
        Err(error) => format!("unknown: {error}"),
    }
}

/// A fact about the revocation of one certificate.
pub(super) fn fact(fact: &Evidence) -> Value {
    let source = match fact.source {
        EvidenceSource::List => "crl",
        EvidenceSource::Answer => "ocsp",
    };
    let (said, reason, since) = match fact.said {
        Said::NotRevoked => ("good", None, None),
        Said::Unknown => ("unknown", None, None),
        Said::Revoked { reason, since } => ("revoked", Some(reason), Some(since.rfc3339())),
    };
    json!({
        "certificate": fact.certificate.subject().to_string(),
        "source": source,
        "signer": fact.signer.as_ref(),
        "this_update": fact.this_update.rfc3339(),
        "next_update": fact.next_update.rfc3339(),
        "stale": fact.stale,
        "status": said,
        "reason": reason,
        "since": since,
    })
}

/// What a revocation list says about itself.
pub(super) fn list(list: &RevocationList) -> Value {
    json!({
        "issuer": list.issuer().to_string(),
        "this_update": list.this_update().rfc3339(),
        "next_update": list.next_update().rfc3339(),
        "number": list.number().iter().map(|octet| format!("{octet:02x}")).collect::<String>(),
        "entries": list.len(),
        "delta": list.is_delta(),
        "digest": list.digest(),
    })
}

/// The same for people.
pub(super) fn list_lines(list: &RevocationList) -> Vec<(&'static str, String)> {
    let number: String = list.number().iter().map(|octet| format!("{octet:02x}")).collect();
    vec![
        ("issuer", list.issuer().to_string()),
        ("made", list.this_update().to_string()),
        ("next due", list.next_update().to_string()),
        ("number", number),
        ("revoked", list.len().to_string()),
        ("form", if list.is_delta() { "changes since another list" } else { "full" }.to_owned()),
        ("sha-256", list.digest().to_string()),
    ]
}

/// Label and value, aligned.
pub(super) fn print(lines: &[(&'static str, String)]) {
    for (label, value) in lines {
        println!("  {label:<10} {value}");
    }
}
