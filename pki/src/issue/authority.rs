//! Certification authorities: a root, what stands under it, and what they sign.

use std::time::Duration;

use ident::Timestamp;
use openssl::{
    ec::{EcGroup, EcKey},
    nid::Nid,
    pkey::{HasPublic, PKey, PKeyRef, Private},
    rsa::Rsa,
};
use zeroize::Zeroizing;

use super::{
    IssueError, Issued, KeyAlgorithm,
    encode::{extension, key_identifier, oid, pem, serial, signature_algorithm, signed, time, uri},
    name::SubjectName,
    profile::{Extension, Profile},
};
use crate::der;

/// Extension: category of product (TRE_G01), one octet.
const CATEGORY: &str = "1.2.250.1.71.1.2.5";
/// Policy of leaf certificates in the test hierarchies.
const LEAF_POLICY: &str = "1.2.250.1.213.1.7.2.1.1.1.1";
/// anyPolicy, as the national intermediates carry it.
const ANY_POLICY: &str = "2.5.29.32.0";

/// From when to when a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// notBefore.
    pub from: Timestamp,
    /// notAfter.
    pub to: Timestamp,
}

impl Validity {
    /// `count` days from `from` on. A day of head start absorbs clocks that run behind.
    pub fn days(from: Timestamp, count: u32) -> Self {
        let day = Duration::from_secs(86_400);
        Self { from: from.minus(day), to: from.plus(day.saturating_mul(count)) }
    }

    /// Over since `days` days at `now`, after a life of three years.
    pub fn expired(now: Timestamp, days: u32) -> Self {
        let day = Duration::from_secs(86_400);
        let to = now.minus(day.saturating_mul(days));
        Self { from: to.minus(day.saturating_mul(1095)), to }
    }

    fn to_der(self) -> Result<Vec<u8>, IssueError> {
        if self.to < self.from {
            return Err(IssueError::Validity);
        }
        Ok(der::sequence(&[time(self.from)?, time(self.to)?]))
    }
}

/// Where an authority publishes; printed into what it issues. Nothing here is ever fetched by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication {
    /// HTTP address of its certificate revocation list.
    pub crl: Option<String>,
    /// HTTP address of its own certificate.
    pub certificate: Option<String>,
    /// HTTP address of its OCSP responder.
    pub ocsp: Option<String>,
}

/// What a new authority shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityRequest {
    /// Its name.
    pub name: SubjectName,
    /// Its key.
    pub key: KeyAlgorithm,
    /// Its life.
    pub validity: Validity,
    /// Where it publishes.
    pub publication: Publication,
}

impl AuthorityRequest {
    /// An authority with the fictional national name `TEST AC <name>` that publishes under `.test`.
    pub fn new(name: &str, key: KeyAlgorithm, validity: Validity) -> Self {
        let file: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let publication = Publication {
            crl: Some(format!("http://igc.sceau.test/CRL/{file}.crl")),
            certificate: Some(format!("http://igc.sceau.test/AC/{file}.cer")),
            ocsp: None,
        };
        Self { name: SubjectName::authority(name), key, validity, publication }
    }
}

/// Production or test; production settings refuse test certificates (PKI-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Category {
    /// The TEST bit is set.
    #[default]
    Test,
    /// The TEST bit is clear. Only for tests of the rule itself.
    Production,
    /// The extension is left out.
    Absent,
}

/// What a leaf certificate shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    /// Who it is for.
    pub profile: Profile,
    /// Its key; with a key of one's own ([`Authority::certify`]) it only chooses the key usage.
    pub key: KeyAlgorithm,
    /// Its life.
    pub validity: Validity,
    /// Whether it says TEST.
    pub category: Category,
    /// Certificate policies; the national leaf policy at first.
    pub policies: Vec<String>,
    /// Further extensions.
    pub extra: Vec<Extension>,
}

impl CertificateRequest {
    /// A test certificate under the national leaf policy.
    pub fn new(profile: Profile, key: KeyAlgorithm, validity: Validity) -> Self {
        let policies = vec![LEAF_POLICY.to_owned()];
        Self { profile, key, validity, category: Category::Test, policies, extra: vec![] }
    }
}

/// A certification authority with its key.
pub struct Authority {
    key: PKey<Private>,
    key_id: Vec<u8>,
    name: SubjectName,
    certificate: Vec<u8>,
    /// The authorities above this one, nearest first.
    above: Vec<Vec<u8>>,
    publication: Publication,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The facts of one certificate, on the way to its DER form.
struct Draft<'a, T> {
    subject: &'a SubjectName,
    public: &'a PKeyRef<T>,
    validity: Validity,
    extensions: Vec<Vec<u8>>,
}

impl Authority {
    /// A self-signed root.
    ///
    /// # Errors
    /// [`IssueError`] when the key or the certificate cannot be made.
    pub fn root(request: &AuthorityRequest) -> Result<Self, IssueError> {
        let key = generate(request.key)?;
        let key_id = key_identifier(&key)?;
        let extensions = vec![
            extension("2.5.29.14", false, &der::octet_string(&key_id))?,
            authority_key_identifier(&key_id)?,
            extension("2.5.29.19", true, &der::sequence(&[der::boolean(true)]))?,
            ca_key_usage()?,
        ];
        let draft = Draft { subject: &request.name, public: &key, validity: request.validity, extensions };
        let (_, certificate) = draft.sign(&request.name, &key)?;
        let (name, publication) = (request.name.clone(), request.publication.clone());
        Ok(Self { key, key_id, name, certificate, above: vec![], publication })
    }

    /// An issuing authority under this one: pathlen 0, any policy.
    ///
    /// # Errors
    /// [`IssueError`] when the key or the certificate cannot be made.
    pub fn intermediate(&self, request: &AuthorityRequest) -> Result<Self, IssueError> {
        let key = generate(request.key)?;
        let key_id = key_identifier(&key)?;
        let mut extensions = vec![
            extension("2.5.29.14", false, &der::octet_string(&key_id))?,
            authority_key_identifier(&self.key_id)?,
            extension("2.5.29.19", true, &der::sequence(&[der::boolean(true), der::integer(0)]))?,
            ca_key_usage()?,
            policies(&[ANY_POLICY.to_owned()])?,
        ];
        extensions.extend(self.publication_points()?);
        let draft = Draft { subject: &request.name, public: &key, validity: request.validity, extensions };
        let (_, certificate) = draft.sign(&self.name, &self.key)?;
        let (name, publication) = (request.name.clone(), request.publication.clone());
        Ok(Self { key, key_id, name, certificate, above: self.chain(), publication })
    }

    /// Makes a key and its certificate.
    ///
    /// # Errors
    /// [`IssueError`] when the key or the certificate cannot be made.
    pub fn issue(&self, request: &CertificateRequest) -> Result<Issued, IssueError> {
        let key = generate(request.key)?;
        let (serial, certificate) = self.certify(request, &key)?;
        Ok(Issued::new(certificate, serial, key, self.chain()))
    }

    /// Certifies a key made elsewhere; gives serial number and certificate (DER).
    ///
    /// # Errors
    /// [`IssueError`] when the certificate cannot be made.
    pub fn certify<T: HasPublic>(
        &self,
        request: &CertificateRequest,
        public: &PKeyRef<T>,
    ) -> Result<(Vec<u8>, Vec<u8>), IssueError> {
        let mut extensions = vec![
            extension("2.5.29.14", false, &der::octet_string(&key_identifier(public)?))?,
            authority_key_identifier(&self.key_id)?,
        ];
        extensions.extend(request.profile.extensions(request.key)?);
        if !request.policies.is_empty() {
            extensions.push(policies(&request.policies)?);
        }
        extensions.extend(self.publication_points()?);
        if let Some(octet) = category(request) {
            extensions.push(extension(CATEGORY, false, &der::octet_string(&[octet]))?);
        }
        for extra in &request.extra {
            extensions.push(extension(&extra.oid, extra.critical, &extra.value)?);
        }
        let subject = request.profile.subject();
        Draft { subject: &subject, public, validity: request.validity, extensions }.sign(&self.name, &self.key)
    }

    /// Its name.
    pub fn name(&self) -> &SubjectName {
        &self.name
    }

    /// Its certificate, DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// Its certificate, PEM.
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// Its private key as unencrypted PKCS#8 PEM. The caller guards it.
    ///
    /// # Errors
    /// [`IssueError::Library`] when OpenSSL cannot write it.
    pub fn key_pem(&self) -> Result<Zeroizing<Vec<u8>>, IssueError> {
        Ok(Zeroizing::new(self.key.private_key_to_pem_pkcs8()?))
    }

    /// This authority's certificate and those above it, root last.
    pub fn chain(&self) -> Vec<Vec<u8>> {
        std::iter::once(&self.certificate).chain(&self.above).cloned().collect()
    }

    pub(super) fn key(&self) -> &PKeyRef<Private> {
        &self.key
    }

    pub(super) fn key_id(&self) -> &[u8] {
        &self.key_id
    }

    /// CRL distribution point and authority information access of what this authority signs.
    fn publication_points(&self) -> Result<Vec<Vec<u8>>, IssueError> {
        let mut out = vec![];
        if let Some(url) = &self.publication.crl {
            let full_name = der::context(0, &[uri(url)?]);
            let point = der::sequence(&[der::context(0, &[full_name])]);
            out.push(extension("2.5.29.31", false, &der::sequence(&[point]))?);
        }
        let mut access = vec![];
        for (method, url) in
            [("1.3.6.1.5.5.7.48.1", &self.publication.ocsp), ("1.3.6.1.5.5.7.48.2", &self.publication.certificate)]
        {
            if let Some(url) = url {
                access.push(der::sequence(&[oid(method)?, uri(url)?]));
            }
        }
        if !access.is_empty() {
            out.push(extension("1.3.6.1.5.5.7.1.1", false, &der::sequence(&access))?);
        }
        Ok(out)
    }
}

impl<T: HasPublic> Draft<'_, T> {
    /// Serial number and signed certificate.
    fn sign(self, issuer: &SubjectName, key: &PKeyRef<Private>) -> Result<(Vec<u8>, Vec<u8>), IssueError> {
        let serial = serial()?;
        let body = der::sequence(&[
            der::context(0, &[der::integer(2)]),
            der::unsigned(&serial),
            signature_algorithm(key)?,
            issuer.to_der(),
            self.validity.to_der()?,
            self.subject.to_der(),
            self.public.public_key_to_der()?,
            der::context(3, &[der::sequence(&self.extensions)]),
        ]);
        Ok((serial, signed(body, key)?))
    }
}

/// Makes a key pair with OpenSSL's generator.
pub(super) fn generate(algorithm: KeyAlgorithm) -> Result<PKey<Private>, IssueError> {
    Ok(match algorithm {
        KeyAlgorithm::Rsa2048 => PKey::from_rsa(Rsa::generate(2048)?)?,
        KeyAlgorithm::Rsa4096 => PKey::from_rsa(Rsa::generate(4096)?)?,
        KeyAlgorithm::P256 => {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
            PKey::from_ec_key(EcKey::generate(&group)?)?
        }
    })
}

pub(super) fn authority_key_identifier(key_id: &[u8]) -> Result<Vec<u8>, IssueError> {
    extension("2.5.29.35", false, &der::sequence(&[der::context_primitive(0, key_id)]))
}

/// keyCertSign and cRLSign.
fn ca_key_usage() -> Result<Vec<u8>, IssueError> {
    extension("2.5.29.15", true, &der::named_bits(&[false, false, false, false, false, true, true]))
}

/// Certificate policies; each but anyPolicy with the address of a practice statement.
fn policies(oids: &[String]) -> Result<Vec<u8>, IssueError> {
    let mut members = vec![];
    for id in oids {
        let mut policy = vec![oid(id)?];
        if id != ANY_POLICY {
            let statement = der::tlv(der::tag::IA5_STRING, b"http://igc.sceau.test/PC/");
            policy.push(der::sequence(&[der::sequence(&[oid("1.3.6.1.5.5.7.2.1")?, statement])]));
        }
        members.push(der::sequence(&policy));
    }
    extension("2.5.29.32", false, &der::sequence(&members))
}

fn category(request: &CertificateRequest) -> Option<u8> {
    let base = request.profile.category()?;
    match request.category {
        Category::Test => Some(base | 0x80),
        Category::Production => Some(base),
        Category::Absent => None,
    }
}
