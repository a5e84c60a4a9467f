//! Whether keys may serve: what is new must be right in every respect, what serves is watched.

use ident::{Domain, StructureId, Timestamp};
use pki::{
    certificate::{Certificate, usage},
    identity::Identity,
    path::{Purpose, Validator, Verdict},
};

use super::{ReadingSet, SigningSet, in_force, known};
use crate::config::Problem;

/// Judges what is new in `new`: key and certificate are a pair, it may sign mail, it is not over, its path
/// is good, and it names the structure that the old ones name.
pub(super) fn new_signing(
    new: &SigningSet,
    old: &SigningSet,
    validator: &Validator,
    at: Timestamp,
) -> Result<(), Problem> {
    let before = known(old.0.iter().map(|one| (&one.place, one.key.certificate())));
    for one in &new.0 {
        let certificate = one.key.certificate();
        if before.contains(&(one.place.clone(), certificate.fingerprint())) {
            continue;
        }
        let refuse = |what: String| Problem::of(&one.place, format!("refused: {what}"));
        one.prove().map_err(|error| refuse(error.to_string()))?;
        signs(certificate).map_err(&refuse)?;
        path(certificate, validator, at).map_err(&refuse)?;
        structure(certificate, old.certificates()).map_err(&refuse)?;
    }
    if !new.certificates().any(|certificate| in_force(certificate, at)) {
        return Err(nothing_in_force(new.0.first().map(|one| one.place.as_str())));
    }
    Ok(())
}

/// The same for what reads. Certificates that are over are the archive: they only have to be pairs.
pub(super) fn new_reading(
    new: &ReadingSet,
    old: &ReadingSet,
    validator: &Validator,
    at: Timestamp,
) -> Result<(), Problem> {
    let before = known(old.0.iter().map(|one| (&one.place, one.key.certificate())));
    for (age, one) in new.0.iter().enumerate() {
        let certificate = one.key.certificate();
        if before.contains(&(one.place.clone(), certificate.fingerprint())) {
            continue;
        }
        let refuse = |what: String| Problem::of(&one.place, format!("refused: {what}"));
        one.prove().map_err(|error| refuse(error.to_string()))?;
        if age > 0 && certificate.not_after() <= at {
            continue;
        }
        reads(certificate).map_err(&refuse)?;
        path(certificate, validator, at).map_err(&refuse)?;
        structure(certificate, old.certificates()).map_err(&refuse)?;
    }
    if !new.certificates().any(|certificate| in_force(certificate, at)) {
        return Err(nothing_in_force(new.0.first().map(|one| one.place.as_str())));
    }
    Ok(())
}

/// What is wrong with the certificates that serve now: partners will refuse what we do with them.
pub(super) fn in_service(
    domain: &Domain,
    signing: &SigningSet,
    reading: &ReadingSet,
    validator: &Validator,
    at: Timestamp,
) -> Vec<Problem> {
    let signer = signing.at(at).map(|key| key.certificate());
    let signer = signer.map(|certificate| ("signing", certificate, signs(certificate)));
    let reader = reading.certificate_at(at).map(|certificate| ("decryption", certificate, reads(certificate)));
    let wrong = |(role, certificate, fit): (&str, &Certificate, Result<(), String>)| {
        let what = fit.and_then(|()| path(certificate, validator, at)).err()?;
        Some(Problem::of(format!("domain {domain}: {role} certificate {}", certificate.subject()), what))
    };
    signer.into_iter().chain(reader).filter_map(wrong).collect()
}

fn nothing_in_force(place: Option<&str>) -> Problem {
    Problem::of(place.unwrap_or("keys"), "refused: none of the certificates is in force now")
}

fn for_mail(certificate: &Certificate) -> bool {
    let wanted = |oid: &String| [usage::EMAIL_PROTECTION, usage::ANY].contains(&oid.as_str());
    certificate.extended_key_usage().is_none_or(|purposes| purposes.iter().any(wanted))
}

fn signs(certificate: &Certificate) -> Result<(), String> {
    if certificate.may_sign() && for_mail(certificate) {
        return Ok(());
    }
    Err("its certificate is not for signing mail (key usage, extended key usage)".to_owned())
}

fn reads(certificate: &Certificate) -> Result<(), String> {
    if certificate.may_encrypt() && for_mail(certificate) {
        return Ok(());
    }
    Err("its certificate is not for encrypting mail (key usage, extended key usage)".to_owned())
}

/// As partners will judge it. A certificate that begins later is judged at its beginning.
fn path(certificate: &Certificate, validator: &Validator, at: Timestamp) -> Result<(), String> {
    let at = at.max(certificate.not_before());
    match validator.verify(certificate, &[], Purpose::Organisation, at) {
        Verdict::Valid(_) => Ok(()),
        Verdict::Invalid(finding) => Err(format!("{} ({})", finding.text.en, finding.code)),
        Verdict::Undetermined(finding) => {
            Err(format!("whether it is valid cannot be told now: {} ({})", finding.text.en, finding.code))
        }
    }
}

/// A domain does not change its structure in passing: that would hand its name to somebody else.
fn structure<'a>(certificate: &Certificate, old: impl Iterator<Item = &'a Certificate>) -> Result<(), String> {
    let mut before: Vec<StructureId> = old.filter_map(structure_of).collect();
    before.dedup();
    match structure_of(certificate) {
        _ if before.is_empty() => Ok(()),
        Some(now) if before.contains(&now) => Ok(()),
        Some(now) => Err(format!("it names the structure {now}, the domain's certificates name another one")),
        None => Err("it names no structure, the domain's certificates do".to_owned()),
    }
}

fn structure_of(certificate: &Certificate) -> Option<StructureId> {
    match Identity::of(certificate).ok()? {
        Identity::Organisation(organisation) => Some(organisation.structure),
        Identity::Server(server) => server.structure,
        Identity::Staff(staff) => staff.structure,
        Identity::Person(_) => None,
    }
}
