//! Verifying SignedData (RFC 5652 §5): structure and mathematics, strictly (H6, A8, A10, A11).
//!
//! A result here means that this certificate's key signed this content. Whether the certificate
//! may be believed, and for whom it speaks, is for the caller to judge.

use std::{borrow::Cow, io::BufRead, ops::Deref};

use ident::{Fingerprint, Timestamp};
use openssl::{
    error::ErrorStack,
    hash::{Hasher, MessageDigest, hash},
};

use super::{
    CmsError, ContainerKind,
    algorithm::{Algorithm, digest},
    attribute::{self, Attribute, EssCertificate, Received},
    container,
    identifier::{CertificateId, significant},
    oid,
    reader::{Element, Malformed, Octets, Reader},
    signature::Scheme,
    splitter::{Outline, StreamFault, filled},
};
use crate::{
    certificate::{Certificate, Unread},
    der,
};

/// Certificates in one container.
const MAX_CERTIFICATES: usize = 64;
/// Revocation lists in one container, which are passed over.
const MAX_CRLS: usize = 64;
/// Digest algorithms that one container announces.
const MAX_DIGESTS: usize = 16;
/// Signers are counted up to this, to say how many there are.
const MAX_SIGNERS: usize = 64;

/// Certificates of one container that are read at all: those that the signature itself names. One is meant; the
/// others were put beside it.
const MAX_READ: usize = 4;
/// Certificates over one key that a signature without a signing-certificate attribute may mean.
const MAX_TWINS: usize = 8;

/// What a signature that verifies says.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Whose key signed. Of several that it may be, one that was known before.
    pub signer: Certificate,
    /// Other certificates over the same key that the signature may mean as well: it says an issuer and a number, or
    /// a key identifier, and whoever handles the message may add a certificate of that name. Whoever judges paths
    /// takes the one that has a valid one.
    pub twins: Vec<Certificate>,
    /// Whether the signature says which certificate it means (ESS signing-certificate, RFC 5035). Then it has no
    /// twins.
    pub names_certificate: bool,
    /// The certificates in the container as they came, unread: untrusted, for finding a path at most.
    pub certificates: Vec<Vec<u8>>,
    /// The signature scheme, as people write it: `RSA-PSS`.
    pub scheme: &'static str,
    /// The digest algorithm, as people write it: `SHA-256`.
    pub digest: &'static str,
    /// The digest of the content, which is the one that was signed.
    pub content_digest: Vec<u8>,
    /// When the signer claims to have signed. A claim, never a time to judge by.
    pub signing_time: Option<Timestamp>,
    /// All signed attributes, in received order.
    pub attributes: Vec<Attribute>,
    /// Attributes that nobody signed, in received order: worth what they prove by themselves (a time stamp).
    pub unsigned: Vec<Attribute>,
    /// The signature itself: what a time stamp is about.
    pub value: Vec<u8>,
}

impl Proof {
    /// The signed attribute of this type (dotted), if there is exactly one.
    pub fn attribute(&self, oid: &str) -> Option<&Attribute> {
        let mut found = self.attributes.iter().filter(|attribute| attribute.oid == oid);
        found.next().filter(|_| found.next().is_none())
    }
}

/// A signature that verifies, and what it covers.
#[derive(Debug, Clone)]
pub struct Verified<'a> {
    /// The signed content: borrowed unless it came in pieces.
    pub content: Cow<'a, [u8]>,
    /// What the signature says.
    pub proof: Proof,
}

impl Deref for Verified<'_> {
    type Target = Proof;

    fn deref(&self) -> &Proof {
        &self.proof
    }
}

/// Verifies a signed container: opaque without `detached`, else over those octets.
///
/// `known` are certificates that the signer may be found among when the container lacks them.
///
/// # Errors
/// See [`CmsError`].
pub fn verify<'a>(cms: &'a [u8], detached: Option<&'a [u8]>, known: &[Certificate]) -> Result<Verified<'a>, CmsError> {
    verify_typed(cms, detached, known, oid::DATA)
}

/// As [`verify`], for content of another type.
pub(crate) fn verify_typed<'a>(
    cms: &'a [u8],
    detached: Option<&'a [u8]>,
    known: &[Certificate],
    content_type: &[u8],
) -> Result<Verified<'a>, CmsError> {
    let (outline, opaque) = Outline::of(cms)?;
    let mut verifying = Verifying::new(&outline, detached.is_some(), content_type)?;
    let content = detached.map_or(opaque, Octets::from);
    for piece in content.pieces() {
        verifying.update(piece)?;
    }
    Ok(Verified { proof: verifying.finish(known)?, content: content.joined() })
}

/// Verifies a signed container of any size.
///
/// `content` is a stream of what it signs: what stands apart if it is `detached`, else a
/// [`super::ContentReader`] over the container.
///
/// # Errors
/// Those of the stream; see [`CmsError`].
pub fn verify_stream(
    outline: &Outline,
    detached: bool,
    content: &mut dyn BufRead,
    known: &[Certificate],
) -> Result<Proof, StreamFault<CmsError>> {
    let mut verifying = Verifying::new(outline, detached, oid::DATA).map_err(StreamFault::Refused)?;
    loop {
        let octets = filled(content)?;
        if octets.is_empty() {
            return verifying.finish(known).map_err(StreamFault::Refused);
        }
        let taken = octets.len();
        verifying.update(octets).map_err(|error| StreamFault::Refused(error.into()))?;
        content.consume(taken);
    }
}

/// A signature that is read, while what it covers is digested.
struct Verifying<'o> {
    signed: Signed<'o>,
    signer: SignerInfo<'o>,
    scheme: Scheme,
    digest: &'static str,
    attributes: Vec<Received<'o>>,
    hasher: Hasher,
}

impl<'o> Verifying<'o> {
    fn new(outline: &'o Outline, detached: bool, content_type: &[u8]) -> Result<Self, CmsError> {
        let signed = Signed::read(outline.octets(), content_type)?;
        match (signed.has_content, detached) {
            (true, true) => return Err(CmsError::ContentPresent),
            (false, false) => return Err(CmsError::ContentMissing),
            _ => {}
        }
        let signer = SignerInfo::read(&signed.signer)?;
        let (hash, digest) = digest(signer.digest.oid).ok_or_else(|| CmsError::Digest(oid::name(signer.digest.oid)))?;
        if !signed.digests.contains(&signer.digest.oid) {
            return Err(CmsError::Digest(format!("{}, which the container does not announce,", signer.digest.name())));
        }
        let scheme = Scheme::read(&signer.algorithm, signer.digest.oid)?;
        let attributes = attribute::read(&signer.attributes)?;
        Ok(Self { signed, signer, scheme, digest, attributes, hasher: Hasher::new(hash)? })
    }

    fn update(&mut self, octets: &[u8]) -> Result<(), ErrorStack> {
        self.hasher.update(octets)
    }

    fn finish(mut self, known: &[Certificate]) -> Result<Proof, CmsError> {
        let content = self.hasher.finish()?;
        require_content(&self.attributes, self.signed.content_type, &content)?;
        let signing_time = attribute::single(&self.attributes, oid::SIGNING_TIME, "signingTime")?;
        let signing_time = signing_time.map(|time| attribute::read_time(&time)).transpose()?;

        let candidates = Meant::read(&self.signer.id, &self.attributes)?.among(known, &self.signed.certificates)?;
        let message = self.signer.attributes.retagged(der::tag::SET)?;
        let scheme = self.scheme;
        let made_it = |certificate: &Certificate| {
            scheme.fits(certificate.key())
                && scheme.verify(certificate.public_key(), &message, &self.signer.signature).unwrap_or(false)
        };
        let mut found: Vec<Certificate> = Vec::new();
        for certificate in candidates.into_iter().filter(made_it) {
            if found.len() < MAX_TWINS && !found.contains(&certificate) {
                found.push(certificate);
            }
        }
        let mut found = found.into_iter();
        let signer = found.next().ok_or(CmsError::SignatureInvalid)?;
        let ess = [oid::SIGNING_CERTIFICATE_V2, oid::SIGNING_CERTIFICATE];
        Ok(Proof {
            signer,
            twins: found.collect(),
            names_certificate: self.attributes.iter().any(|attribute| ess.contains(&attribute.oid)),
            certificates: self.signed.certificates.iter().map(|element| element.raw.to_vec()).collect(),
            scheme: scheme.name(),
            digest: self.digest,
            content_digest: content.to_vec(),
            signing_time,
            attributes: self.attributes.iter().map(Received::to_public).collect(),
            unsigned: self.signer.unsigned.iter().map(Received::to_public).collect(),
            value: self.signer.signature.to_vec(),
        })
    }
}

/// SignedData ::= SEQUENCE { version, digestAlgorithms, encapContentInfo, [0] certificates OPTIONAL,
/// [1] crls OPTIONAL, signerInfos }
struct Signed<'a> {
    digests: Vec<&'a [u8]>,
    content_type: &'a [u8],
    has_content: bool,
    certificates: Vec<Element<'a>>,
    signer: Element<'a>,
}

impl<'a> Signed<'a> {
    fn read(cms: &'a [u8], wanted: &[u8]) -> Result<Self, CmsError> {
        const WHAT: &str = "the signed data";
        let mut members = match container::read(cms)? {
            (ContainerKind::Signed, members) => members,
            (other, _) => return Err(CmsError::NotSigned(other.to_string())),
        };
        members.small("the version")?;
        let digests = members.expect(der::tag::SET, "the digest algorithms")?.members()?;
        let digests = digests
            .all(MAX_DIGESTS, "digest algorithms")?
            .into_iter()
            .map(|element| Algorithm::of(element, "a digest algorithm").map(|algorithm| algorithm.oid))
            .collect::<Result<Vec<_>, _>>()?;
        let (content_type, has_content) = encapsulated(&mut members)?;
        let certificates = match members.optional(0xa0)? {
            Some(set) => set.members()?.all(MAX_CERTIFICATES, "certificates")?,
            None => Vec::new(),
        };
        if let Some(crls) = members.optional(0xa1)? {
            crls.members()?.all(MAX_CRLS, "revocation lists")?;
        }
        let signers = members.expect(der::tag::SET, "the signers")?.members()?.all(MAX_SIGNERS, "signers")?;
        members.end(WHAT)?;
        let [signer] = signers.as_slice() else { return Err(CmsError::SignerCount(signers.len())) };
        if content_type != wanted {
            return Err(CmsError::ContentType(oid::name(content_type)));
        }
        Ok(Self { digests, content_type, has_content, certificates, signer: *signer })
    }
}

/// EncapsulatedContentInfo of an outline: content type, and whether the `[0]` EXPLICIT OCTET STRING is there.
fn encapsulated<'a>(members: &mut Reader<'a>) -> Result<(&'a [u8], bool), Malformed> {
    const WHAT: &str = "the signed content";
    let mut inner = members.sequence(WHAT)?;
    let content_type = inner.oid("the content type")?;
    let explicit = inner.optional(0xa0)?;
    if let Some(explicit) = &explicit {
        let mut explicit = explicit.members()?;
        explicit.octets(WHAT)?;
        explicit.end(WHAT)?;
    }
    inner.end(WHAT)?;
    Ok((content_type, explicit.is_some()))
}

struct SignerInfo<'a> {
    id: CertificateId<'a>,
    digest: Algorithm<'a>,
    attributes: Element<'a>,
    algorithm: Algorithm<'a>,
    signature: Cow<'a, [u8]>,
    unsigned: Vec<Received<'a>>,
}

impl<'a> SignerInfo<'a> {
    fn read(element: &Element<'a>) -> Result<Self, CmsError> {
        const WHAT: &str = "the signer";
        if element.tag != der::tag::SEQUENCE {
            return Err(Malformed::Expected(WHAT).into());
        }
        let mut members = element.members()?;
        members.small("the version of the signer")?;
        let id = CertificateId::read(&mut members)?;
        let digest = Algorithm::read(&mut members, "the digest algorithm")?;
        let attributes = members.optional(0xa0)?.ok_or(CmsError::NoSignedAttributes)?;
        let algorithm = Algorithm::read(&mut members, "the signature algorithm")?;
        let signature = members.octets("the signature")?.joined();
        // Unsigned attributes (a time stamp at most) say nothing here, but must be well formed.
        let unsigned = match members.optional(0xa1)? {
            Some(unsigned) => attribute::read(&unsigned)?,
            None => Vec::new(),
        };
        members.end(WHAT)?;
        Ok(Self { id, digest, attributes, algorithm, signature, unsigned })
    }
}

/// contentType and messageDigest, each once, and both true (RFC 5652 §5.3, §5.6).
fn require_content(attributes: &[Received<'_>], content_type: &[u8], digest: &[u8]) -> Result<(), CmsError> {
    let named = attribute::single(attributes, oid::CONTENT_TYPE, "contentType")?;
    let named = named.ok_or(CmsError::AttributeMissing("contentType"))?;
    if named.tag != der::tag::OID || named.content != content_type {
        return Err(CmsError::ContentTypeMismatch);
    }
    let signed = attribute::single(attributes, oid::MESSAGE_DIGEST, "messageDigest")?;
    let signed = signed.ok_or(CmsError::AttributeMissing("messageDigest"))?;
    if signed.tag != der::tag::OCTET_STRING || signed.content != digest {
        return Err(CmsError::DigestMismatch);
    }
    Ok(())
}

/// Which certificate a signature means: by the signer identifier, and by the signing certificate attributes.
struct Meant<'m> {
    id: &'m CertificateId<'m>,
    ess: Vec<(EssCertificate<'m>, MessageDigest)>,
}

impl<'m> Meant<'m> {
    fn read(id: &'m CertificateId<'m>, attributes: &[Received<'m>]) -> Result<Self, CmsError> {
        let mut ess = Vec::new();
        for (oid, name, default) in [
            (oid::SIGNING_CERTIFICATE_V2, "signingCertificateV2", oid::SHA256),
            (oid::SIGNING_CERTIFICATE, "signingCertificate", oid::SHA1),
        ] {
            if let Some(value) = attribute::single(attributes, oid, name)? {
                let certificate = EssCertificate::read(&value, default)?;
                let digest = ess_digest(certificate.digest, oid)?;
                ess.push((certificate, digest));
            }
        }
        Ok(Self { id, ess })
    }

    /// Whether the signing certificate attributes mean a certificate of these octets, whose SHA-256 may be known.
    fn is_named(&self, der: &[u8], sha256: Option<Fingerprint>, number: &[u8]) -> bool {
        self.ess.iter().all(|(ess, digest)| {
            let is_it = match sha256.filter(|_| *digest == MessageDigest::sha256()) {
                Some(sha256) => *sha256.as_bytes() == *ess.hash,
                None => hash(*digest, der).is_ok_and(|found| *found == *ess.hash),
            };
            is_it && ess.serial.is_none_or(|serial| significant(serial) == significant(number))
        })
    }

    /// The certificates that it may be: those known before first. Of what came along only what is named is read by
    /// more than our own reader; what is unreadable or of another type is of no use.
    fn among(&self, known: &[Certificate], embedded: &[Element<'_>]) -> Result<Vec<Certificate>, CmsError> {
        let (mut found, mut identified, mut read) = (Vec::new(), false, 0usize);
        for certificate in known.iter().filter(|certificate| self.id.names(certificate)) {
            identified = true;
            if self.is_named(certificate.der(), Some(certificate.fingerprint()), certificate.serial()) {
                found.push(certificate.clone());
            }
        }
        // One that is known and came along as well is tried once.
        let is_new = |element: &&Element<'_>| !known.iter().any(|certificate| certificate.der() == element.raw);
        let certificates = embedded.iter().filter(|element| element.tag == der::tag::SEQUENCE).filter(is_new);
        for unread in certificates.filter_map(|element| Unread::of(element.raw)) {
            if !self.id.means(unread.issuer(), unread.serial(), unread.subject_key_id()) {
                continue;
            }
            if !self.is_named(unread.der(), None, unread.serial()) {
                identified = true;
            } else if read < MAX_READ {
                read = read.saturating_add(1);
                let certificate = unread.read().ok().filter(|certificate| self.id.names(certificate));
                identified |= certificate.is_some();
                found.extend(certificate);
            }
        }
        match (found.is_empty(), identified) {
            (false, _) => Ok(found),
            (true, true) => Err(CmsError::SigningCertificate),
            (true, false) => Err(CmsError::SignerUnknown),
        }
    }
}

/// The first version of the attribute is SHA-1 by definition; the second takes what signatures take.
fn ess_digest(digest_oid: &[u8], attribute: &[u8]) -> Result<MessageDigest, CmsError> {
    if attribute == oid::SIGNING_CERTIFICATE {
        return Ok(MessageDigest::sha1());
    }
    digest(digest_oid).map(|(hash, _)| hash).ok_or_else(|| CmsError::Digest(oid::name(digest_oid)))
}
