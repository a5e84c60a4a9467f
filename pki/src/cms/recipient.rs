//! Recipient entries: reading them, choosing ours, unwrapping the content key (H4, A5–A9).

use std::{borrow::Cow, sync::OnceLock};

use ident::Fingerprint;
use openssl::{
    aes::{AesKey, unwrap_key},
    bn::BigNumContext,
    ec::{EcGroup, EcKey, EcPoint},
    error::ErrorStack,
    nid::Nid,
    pkey::{Id, PKey, Public},
};
use zeroize::Zeroizing;

use super::{
    OpenError,
    algorithm::{Algorithm, wrap_key_length},
    error::Refusal,
    identifier::CertificateId,
    kdf::{self, Derivation},
    oid,
    reader::{Element, Malformed, Reader},
};
use crate::{
    certificate::KeyKind,
    der,
    keys::{DecryptionKey, KeyError, RsaPadding, substitute::substitute},
};

/// Recipients of one container (A20).
pub(crate) const MAX_RECIPIENTS: usize = 1000;
/// Octets of user keying material; senders use 64 at most.
const MAX_UKM: usize = 1024;
/// Octets of a wrapped key: RSA with 16,384 bits.
const MAX_WRAPPED: usize = 2048;

/// One recipient, whatever structure it came in.
pub(crate) struct Entry<'a> {
    id: CertificateId<'a>,
    /// The identifier as it was received.
    pub(crate) identifier: &'a [u8],
    wrapped: Cow<'a, [u8]>,
    management: Management<'a>,
}

#[derive(Clone)]
enum Management<'a> {
    Transport(Algorithm<'a>),
    Agreement { originator: Element<'a>, ukm: Option<Cow<'a, [u8]>>, algorithm: Algorithm<'a> },
}

/// All entries of RecipientInfos (RFC 5652 §6.2). Password and shared-key recipients refuse the
/// whole container (A7); other types that are not for us are passed over.
pub(crate) fn read<'a>(set: &Element<'a>) -> Result<Vec<Entry<'a>>, Refusal> {
    let mut entries = Vec::new();
    for info in set.members()?.all(MAX_RECIPIENTS, "recipients")? {
        match info.tag {
            der::tag::SEQUENCE => entries.push(transport(&info)?),
            0xa1 => agreement(&info, &mut entries)?,
            0xa2 => return Err(Refusal::SharedKeyRecipient),
            0xa3 => return Err(Refusal::PasswordRecipient),
            0xa4 => {}
            _ => return Err(Malformed::Expected("a recipient").into()),
        }
        if entries.len() > MAX_RECIPIENTS {
            return Err(Malformed::TooMany("recipients").into());
        }
    }
    Ok(entries)
}

fn transport<'a>(info: &Element<'a>) -> Result<Entry<'a>, Malformed> {
    let mut members = info.members()?;
    members.small("the version of a recipient")?;
    let identifier = next_raw(&members)?;
    let id = CertificateId::read(&mut members)?;
    let algorithm = Algorithm::read(&mut members, "the key encryption algorithm")?;
    let wrapped = wrapped_key(&mut members)?;
    members.end("a recipient")?;
    Ok(Entry { id, identifier, wrapped, management: Management::Transport(algorithm) })
}

fn agreement<'a>(info: &Element<'a>, entries: &mut Vec<Entry<'a>>) -> Result<(), Malformed> {
    let mut members = info.members()?;
    members.small("the version of a recipient")?;
    let originator = members.expect(0xa0, "the originator")?;
    let ukm = match members.optional(0xa1)? {
        Some(explicit) => {
            let mut inner = explicit.members()?;
            let ukm = inner.octets("the user keying material")?;
            inner.end("the user keying material")?;
            if ukm.len() > MAX_UKM {
                return Err(Malformed::Value("the user keying material"));
            }
            Some(ukm.joined())
        }
        None => None,
    };
    let algorithm = Algorithm::read(&mut members, "the key agreement algorithm")?;
    let keys = members.sequence("the recipient keys")?;
    members.end("a recipient")?;
    for key in keys.all(MAX_RECIPIENTS, "recipients")? {
        if key.tag != der::tag::SEQUENCE {
            return Err(Malformed::Expected("a recipient key"));
        }
        let mut members = key.members()?;
        let identifier = next_raw(&members)?;
        let id = CertificateId::read_agreement(&mut members)?;
        let wrapped = wrapped_key(&mut members)?;
        members.end("a recipient key")?;
        let management = Management::Agreement { originator, ukm: ukm.clone(), algorithm };
        entries.push(Entry { id, identifier, wrapped, management });
    }
    Ok(())
}

/// The value that comes next, as it was received.
fn next_raw<'a>(members: &Reader<'a>) -> Result<&'a [u8], Malformed> {
    Ok(members.clone().next()?.map(|element| element.raw).unwrap_or_default())
}

fn wrapped_key<'a>(members: &mut Reader<'a>) -> Result<Cow<'a, [u8]>, Malformed> {
    let wrapped = members.octets("the encrypted key")?;
    if wrapped.len() > MAX_WRAPPED {
        return Err(Malformed::Value("the encrypted key"));
    }
    Ok(wrapped.joined())
}

/// One attempt at the content key, judged by policy and not yet made.
pub(crate) struct Attempt<'k> {
    key: &'k dyn DecryptionKey,
    how: How,
    wrapped: Vec<u8>,
    key_length: usize,
    pub(crate) name: &'static str,
}

enum How {
    Rsa(RsaPadding),
    Ecdh { peer: PKey<Public>, derivation: Derivation, shared_info: Vec<u8>, wrap_length: usize },
}

/// Chooses the one entry that will be tried: our keys in the caller's order, then the entries in
/// theirs. There is never a second attempt (A9).
pub(crate) fn choose<'k>(
    entries: &[Entry<'_>],
    keys: &[&'k dyn DecryptionKey],
    key_length: usize,
) -> Result<Attempt<'k>, OpenError> {
    let (key, entry) = keys
        .iter()
        .find_map(|key| entries.iter().find(|entry| entry.id.names(key.certificate())).map(|entry| (*key, entry)))
        .ok_or(OpenError::NotForUs)?;
    let (how, name) = match (&entry.management, key.certificate().key()) {
        (Management::Transport(algorithm), KeyKind::Rsa(_)) => rsa(algorithm)?,
        (Management::Agreement { originator, ukm, algorithm }, kind) => {
            let curve = Curve::of(kind).ok_or(Refusal::RecipientKind)?;
            let scheme = kdf::scheme(algorithm.oid, kind == KeyKind::X25519);
            let (derivation, name) = scheme.ok_or_else(|| Refusal::KeyManagement(algorithm.name()))?;
            let (shared_info, wrap_length) = wrap(algorithm, ukm.as_deref(), key_length)?;
            if entry.wrapped.len() != key_length.saturating_add(8) {
                return Err(Refusal::WrappedKeyLength(entry.wrapped.len()).into());
            }
            (How::Ecdh { peer: originator_key(originator, &curve)?, derivation, shared_info, wrap_length }, name)
        }
        (Management::Transport(_), _) => return Err(Refusal::RecipientKind.into()),
    };
    Ok(Attempt { key, how, wrapped: entry.wrapped.to_vec(), key_length, name })
}

impl Attempt<'_> {
    /// Whose key it is.
    pub(crate) fn recipient(&self) -> Fingerprint {
        self.key.certificate().fingerprint()
    }

    /// The content key, or another one when unwrapping fails in any way or gives another length: the failure
    /// then shows where a false key shows, and looks the same, however often it is tried (H4, RFC 3218 §2.3.2).
    pub(crate) fn content_key(self) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let other = substitute(&self.wrapped).map_err(|_| OpenError::Failed)?;
        let other = Zeroizing::new(other.get(..self.key_length).ok_or(OpenError::Failed)?.to_vec());
        let unwrapped = match &self.how {
            How::Rsa(padding) => self.key.rsa_decrypt(*padding, &self.wrapped),
            How::Ecdh { peer, derivation, shared_info, wrap_length } => {
                self.agreed(peer, *derivation, shared_info, *wrap_length)
            }
        };
        match unwrapped {
            // The one failure that may be told apart: it says nothing about the message.
            Err(KeyError::Unavailable(fault)) => Err(OpenError::Unavailable(fault)),
            unwrapped => Ok(one_of(unwrapped.as_deref().map_or(&[], Vec::as_slice), other)),
        }
    }

    fn agreed(
        &self,
        peer: &PKey<Public>,
        derivation: Derivation,
        shared_info: &[u8],
        wrap_length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let failed = |_| KeyError::Failed;
        let secret = self.key.ecdh(peer)?;
        let wrapping = derivation.derive(&secret, shared_info, wrap_length).map_err(failed)?;
        unwrapped(&wrapping, &self.wrapped, self.key_length)
    }
}

/// The key of `length` octets inside an AES key wrap (RFC 3394).
pub(crate) fn unwrapped(wrapping: &[u8], wrapped: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    // The library takes for granted that what comes in is eight octets longer than what goes out.
    if wrapped.len() != length.saturating_add(8) {
        return Err(KeyError::Failed);
    }
    let wrapping = AesKey::new_decrypt(wrapping).map_err(|_| KeyError::Failed)?;
    let mut key = Zeroizing::new(vec![0; length]);
    unwrap_key(&wrapping, None, &mut key, wrapped).map_err(|_| KeyError::Failed)?;
    Ok(key)
}

/// `found` if it has the right length, else `other`, without a branch on which.
fn one_of(found: &[u8], mut other: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let fits = std::hint::black_box(if found.len() == other.len() { 0xff } else { 0u8 });
    for (index, octet) in other.iter_mut().enumerate() {
        let candidate = found.get(index).copied().unwrap_or(0);
        *octet = (candidate & fits) | (*octet & !fits);
    }
    other
}

/// The padding of an RSA key transport (RFC 3370 §4.2.1, RFC 3560), named and never a default.
fn rsa(algorithm: &Algorithm<'_>) -> Result<(How, &'static str), Refusal> {
    match algorithm.oid {
        oid::RSA if algorithm.is_bare() => Ok((How::Rsa(RsaPadding::Pkcs1), "RSA PKCS#1 v1.5")),
        oid::RSA_OAEP => oaep(algorithm),
        _ => Err(Refusal::KeyManagement(algorithm.name())),
    }
}

/// RSAES-OAEP-params (RFC 4055 §4.1): all three have defaults, SHA-1, MGF1 with SHA-1, empty label.
fn oaep(algorithm: &Algorithm<'_>) -> Result<(How, &'static str), Refusal> {
    const WHAT: &str = "the parameters of RSA-OAEP";
    let mut members = algorithm.members().ok_or(Malformed::Expected(WHAT))??;
    let mut explicit = |tag| -> Result<Option<Algorithm<'_>>, Malformed> {
        let Some(element) = members.optional(tag)? else { return Ok(None) };
        Ok(Some(Algorithm::only(&element, WHAT)?))
    };
    let (hash, mask, label) = (explicit(0xa0)?, explicit(0xa1)?, explicit(0xa2)?);
    members.end(WHAT)?;

    let hash = hash.map_or(oid::SHA1, |hash| hash.oid);
    let mask = match mask {
        None => oid::SHA1,
        Some(mask) if mask.oid == oid::MGF1 => mask.inner(WHAT)?.oid,
        Some(other) => return Err(Refusal::KeyManagement(other.name())),
    };
    let empty = |label: Algorithm<'_>| {
        label.oid == oid::P_SPECIFIED
            && label.parameters.is_some_and(|label| label.tag == der::tag::OCTET_STRING && label.content.is_empty())
    };
    if !label.is_none_or(empty) {
        return Err(Refusal::KeyManagement("RSA-OAEP with a label".into()));
    }
    match (hash, mask) {
        (oid::SHA256, oid::SHA256) => Ok((How::Rsa(RsaPadding::OaepSha256), "RSA-OAEP SHA-256")),
        (oid::SHA1, oid::SHA1) => Ok((How::Rsa(RsaPadding::OaepSha1), "RSA-OAEP SHA-1")),
        (hash, mask) => {
            let named = format!("RSA-OAEP with {} and a mask of {}", oid::name(hash), oid::name(mask));
            Err(Refusal::KeyManagement(named))
        }
    }
}

/// The curve of a key.
pub(crate) enum Curve {
    /// One of NIST's (RFC 5753): OpenSSL's number and the object identifier.
    Nist(Nid, &'static [u8]),
    /// Curve25519 (RFC 8418).
    X25519,
}

impl Curve {
    /// Of a key that agrees.
    pub(crate) fn of(kind: KeyKind) -> Option<Self> {
        match kind {
            KeyKind::P256 => Some(Self::Nist(Nid::X9_62_PRIME256V1, oid::P256)),
            KeyKind::P384 => Some(Self::Nist(Nid::SECP384R1, oid::P384)),
            KeyKind::P521 => Some(Self::Nist(Nid::SECP521R1, oid::P521)),
            KeyKind::X25519 => Some(Self::X25519),
            _ => None,
        }
    }
}

/// The key wrap inside a key agreement algorithm: what the derivation is bound to, and its key length.
/// A wrap weaker than the key that it wraps is refused (RFC 8551 §2.7.2).
fn wrap(algorithm: &Algorithm<'_>, ukm: Option<&[u8]>, key_length: usize) -> Result<(Vec<u8>, usize), Refusal> {
    let wrap = algorithm.inner("the key wrap algorithm")?;
    let length = wrap_key_length(wrap.oid)
        .filter(|length| *length >= key_length && wrap.is_bare())
        .ok_or_else(|| Refusal::KeyManagement(wrap.name()))?;
    Ok((kdf::shared_info(&wrap.element.definite()?, ukm, length), length))
}

/// OriginatorIdentifierOrKey: only an ephemeral key of our curve, as an uncompressed point.
pub(crate) fn originator_key(originator: &Element<'_>, curve: &Curve) -> Result<PKey<Public>, Refusal> {
    const WHAT: &str = "the originator's public key";
    let mut choice = originator.members()?;
    // IssuerAndSerial or key identifier would be a static key of the sender: not ECDH-ES.
    let key = choice.optional(0xa1)?.ok_or(Refusal::OriginatorKey)?;
    choice.end(WHAT)?;
    let mut members = key.members()?;
    let algorithm = Algorithm::read(&mut members, WHAT)?;
    let bits = members.expect(der::tag::BIT_STRING, WHAT)?.content;
    members.end(WHAT)?;
    let Some((0, point)) = bits.split_first() else { return Err(Refusal::OriginatorKey) };
    let found = match curve {
        Curve::Nist(nid, curve) => {
            let same_curve = match algorithm.parameters {
                // RFC 5753 §3.1.1: parameters may be absent or NULL; the recipient's curve is meant.
                Some(named) if named.tag == der::tag::OID => named.content == *curve,
                _ => algorithm.is_bare(),
            };
            (algorithm.oid == oid::EC_PUBLIC_KEY && same_curve).then(|| public_point(*nid, point)).flatten()
        }
        // RFC 8410 §3: no parameters. Points of small order fail in the agreement itself.
        Curve::X25519 if algorithm.oid == oid::X25519 && algorithm.parameters.is_none() => {
            PKey::public_key_from_raw_bytes(point, Id::X25519).ok()
        }
        Curve::X25519 => None,
    };
    found.ok_or(Refusal::OriginatorKey)
}

pub(crate) fn public_point(nid: Nid, point: &[u8]) -> Option<PKey<Public>> {
    let group = group(nid).ok()?;
    let field = usize::try_from(group.degree().div_ceil(8)).ok()?;
    if point.first() != Some(&4) || point.len() != field.checked_mul(2)?.checked_add(1)? {
        return None;
    }
    let mut context = BigNumContext::new().ok()?;
    // Reading it refuses a point that is not on the curve. These curves have no small subgroups, and this form has no
    // point at infinity: a multiplication by the order, as OpenSSL's check of a key does it, could find nothing more.
    let point = EcPoint::from_bytes(group, point, &mut context).ok()?;
    PKey::from_ec_key(EcKey::from_public_key(group, &point).ok()?).ok()
}

/// The group of one of NIST's curves. Made once: that costs as much as a quarter of an agreement.
pub(crate) fn group(curve: Nid) -> Result<&'static EcGroup, ErrorStack> {
    static GROUPS: [OnceLock<EcGroup>; 3] = [const { OnceLock::new() }; 3];
    let [p256, p384, p521] = &GROUPS;
    let (place, curve) = match curve {
        Nid::X9_62_PRIME256V1 => (p256, curve),
        Nid::SECP384R1 => (p384, curve),
        _ => (p521, Nid::SECP521R1),
    };
    if let Some(group) = place.get() {
        return Ok(group);
    }
    // Of two threads that come first, one throws its own away.
    let made = EcGroup::from_curve_name(curve)?;
    Ok(place.get_or_init(|| made))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_false_key_is_replaced_by_a_random_one() {
        let random = || Zeroizing::new(vec![9; 32]);
        assert_eq!(*one_of(&[7; 32], random()), [7; 32]);
        for found in [&[][..], &[7; 16], &[7; 31], &[7; 33], &[7; 61]] {
            assert_eq!(*one_of(found, random()), [9; 32], "{} octets", found.len());
        }
    }

    #[test]
    fn points_off_the_curve_are_refused() {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let mut context = BigNumContext::new().unwrap();
        let form = openssl::ec::PointConversionForm::UNCOMPRESSED;
        let mut point = key.public_key().to_bytes(&group, form, &mut context).unwrap();
        assert!(public_point(Nid::X9_62_PRIME256V1, &point).is_some());
        assert!(public_point(Nid::SECP384R1, &point).is_none());
        assert!(public_point(Nid::X9_62_PRIME256V1, &point[..33]).is_none());
        point[64] ^= 1;
        assert!(public_point(Nid::X9_62_PRIME256V1, &point).is_none());
        assert!(public_point(Nid::X9_62_PRIME256V1, &[0]).is_none(), "the point at infinity");
    }
}
