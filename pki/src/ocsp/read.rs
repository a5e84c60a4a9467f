//! The structure of an answer (RFC 6960 §4.2.1).

use std::{collections::HashMap, sync::Mutex};

use super::{OcspAnswer, OcspError, OcspStatus, ResponderId, Single, cert_id};
use crate::{
    algorithm::{SignatureAlgorithm, Signed},
    certificate::{self, Certificate},
    crl::REMOVE_FROM_CRL,
    der::tag,
    der_reader::{self, Element, Malformed, Read, Reader},
    extension,
    name::Name,
};

const BASIC: &str = "1.3.6.1.5.5.7.48.1.1";
const NONCE: &str = "1.3.6.1.5.5.7.48.1.2";
/// Most statements in one answer; real ones have one.
const MAX_SINGLES: usize = 32;
/// Most certificates beside one answer; real ones have one or two.
const MAX_CERTIFICATES: usize = 4;
/// RFC 9654 §2.1 allows up to 128 octets; more is no nonce.
const MAX_NONCE: usize = 128;

pub(super) fn answer(der: &[u8]) -> Result<OcspAnswer, OcspError> {
    let mut outer = Reader::only(der, tag::SEQUENCE)?.inside();
    let status = outer.expect(tag::ENUMERATED)?.value;
    if status != [0] {
        return Err(OcspError::NotSuccessful(refusal(status)));
    }
    let mut bytes = Reader::only(outer.expect(0xa0)?.value, tag::SEQUENCE)?.inside();
    outer.end()?;
    if der_reader::oid(bytes.expect(tag::OID)?.value)? != BASIC {
        return Err(OcspError::NotBasic);
    }
    let basic = bytes.expect(tag::OCTET_STRING)?.value;
    bytes.end()?;
    let mut basic = Reader::only(basic, tag::SEQUENCE)?.inside();
    let data = basic.expect(tag::SEQUENCE)?;
    let (oid, parameters) = certificate::algorithm(basic.expect(tag::SEQUENCE)?.value)?;
    let signature = der_reader::signature(basic.expect(tag::BIT_STRING)?.value)?;
    let certificates = match basic.optional(0xa0)? {
        Some(explicit) => certificates(Reader::only(explicit.value, tag::SEQUENCE)?)?,
        None => Vec::new(),
    };
    basic.end()?;
    let algorithm = SignatureAlgorithm::of(&oid, parameters).ok_or(OcspError::Algorithm)?;
    let signed = Signed::new(algorithm, data.whole, signature).ok_or(OcspError::Algorithm)?;
    contents(der, data, certificates, signed)
}

/// ResponseData.
fn contents(
    der: &[u8],
    data: Element<'_>,
    certificates: Vec<Certificate>,
    signed: Signed,
) -> Result<OcspAnswer, OcspError> {
    let mut data = data.inside();
    if let Some(version) = data.optional(0xa0)?
        && der_reader::small(Reader::only(version.value, tag::INTEGER)?.value)? != 0
    {
        return Err(OcspError::Malformed);
    }
    let responder = data.next()?;
    let responder = match responder.tag {
        0xa1 => ResponderId::Name(Name::read(responder.value)?),
        0xa2 => ResponderId::Key(Reader::only(responder.value, tag::OCTET_STRING)?.value.to_vec()),
        _ => return Err(OcspError::Malformed),
    };
    let produced_at = der_reader::time(&data.expect(tag::GENERALIZED_TIME)?)?;
    let mut statements = data.expect(tag::SEQUENCE)?.inside();
    let mut singles = Vec::new();
    while !statements.is_empty() {
        if singles.len() >= MAX_SINGLES {
            return Err(OcspError::TooLarge);
        }
        singles.push(single(statements.expect(tag::SEQUENCE)?.inside())?);
    }
    let nonce = match data.optional(0xa1)? {
        Some(explicit) => response_extensions(Reader::only(explicit.value, tag::SEQUENCE)?)?,
        None => None,
    };
    data.end()?;
    if singles.is_empty() {
        return Err(OcspError::Malformed);
    }
    let tried = Mutex::new(HashMap::new());
    Ok(OcspAnswer { der: der.to_vec(), responder, produced_at, singles, nonce, certificates, signed, tried })
}

/// SingleResponse.
fn single(mut members: Reader<'_>) -> Result<Single, OcspError> {
    let id = cert_id(members.expect(tag::SEQUENCE)?.value)?;
    let status = members.next()?;
    let status = match (status.tag, status.value) {
        (0x80, []) => OcspStatus::Good,
        (0x82, []) => OcspStatus::Unknown,
        (0xa1, _) => revoked(status.inside())?,
        _ => return Err(OcspError::Malformed),
    };
    let this_update = der_reader::time(&members.expect(tag::GENERALIZED_TIME)?)?;
    let next_update = match members.optional(0xa0)? {
        Some(explicit) => Some(der_reader::time(&Reader::only(explicit.value, tag::GENERALIZED_TIME)?)?),
        None => None,
    };
    if let Some(explicit) = members.optional(0xa1)? {
        checked_extensions(Reader::only(explicit.value, tag::SEQUENCE)?, &[])?;
    }
    members.end()?;
    if next_update.is_some_and(|next| next < this_update) {
        return Err(OcspError::Malformed);
    }
    Ok(Single { id, status, this_update, next_update })
}

fn revoked(mut members: Reader<'_>) -> Read<OcspStatus> {
    let since = der_reader::time(&members.expect(tag::GENERALIZED_TIME)?)?;
    let reason = match members.optional(0xa0)? {
        Some(explicit) => match Reader::only(explicit.value, tag::ENUMERATED)?.value {
            [code @ (0..=6 | 8..=10)] => *code,
            _ => return Err(Malformed),
        },
        None => 0,
    };
    members.end()?;
    // removeFromCRL only has a meaning in delta lists; here it would be a revocation that is none.
    if reason == REMOVE_FROM_CRL { Err(Malformed) } else { Ok(OcspStatus::Revoked { reason, since }) }
}

/// The nonce, if there is one.
fn response_extensions(sequence: Element<'_>) -> Result<Option<Vec<u8>>, OcspError> {
    let mut nonce = None;
    for (oid, value) in checked_extensions(sequence, &[NONCE])? {
        if oid == NONCE {
            // RFC 9654 wraps it in an OCTET STRING; some responders repeat bare octets.
            let value = Reader::only(value, tag::OCTET_STRING).map_or(value, |element| element.value);
            if value.is_empty() || value.len() > MAX_NONCE {
                return Err(OcspError::Malformed);
            }
            nonce = Some(value.to_vec());
        }
    }
    Ok(nonce)
}

/// The extensions, each once; one that is critical must be among `known`.
fn checked_extensions<'a>(sequence: Element<'a>, known: &[&str]) -> Result<Vec<(String, &'a [u8])>, OcspError> {
    let extensions = extension::split(sequence)?;
    if extension::has_duplicates(&extensions) {
        return Err(OcspError::Malformed);
    }
    if extensions.iter().any(|extension| extension.critical && !known.contains(&extension.oid.as_str())) {
        return Err(OcspError::UnknownCritical);
    }
    Ok(extensions.into_iter().map(|extension| (extension.oid, extension.value)).collect())
}

fn certificates(sequence: Element<'_>) -> Result<Vec<Certificate>, OcspError> {
    let mut reader = sequence.inside();
    let mut out = Vec::new();
    while !reader.is_empty() {
        let whole = reader.expect(tag::SEQUENCE)?.whole;
        if out.len() >= MAX_CERTIFICATES {
            return Err(OcspError::TooLarge);
        }
        out.push(Certificate::from_der(whole).map_err(|_| OcspError::Malformed)?);
    }
    Ok(out)
}

/// OCSPResponseStatus in words.
fn refusal(status: &[u8]) -> &'static str {
    match status {
        [1] => "malformedRequest",
        [2] => "internalError",
        [3] => "tryLater",
        [5] => "sigRequired",
        [6] => "unauthorized",
        _ => "a status that does not exist",
    }
}
