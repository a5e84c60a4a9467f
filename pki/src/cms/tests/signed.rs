//! Forged and malformed signatures: each shape of H6, A8, A10 and A11 is refused by its own name.

use openssl::hash::{MessageDigest, hash};

use super::{at, cast, identity, message, openssl_cms};
use crate::{
    certificate::{Certificate, given_to_openssl},
    cms::{
        Attribute, CmsError, Malformed, algorithm::identifier, attribute, identifier::issuer_serial, oid, sign,
        sign_detached, verify,
    },
    der,
    keys::{FileKey, SignatureScheme, SigningKey},
};

/// A SignedData made by hand, every part of which can be made wrong.
struct Forged {
    digests: Vec<Vec<u8>>,
    content_type: &'static [u8],
    content: Option<Vec<u8>>,
    certificates: Vec<Certificate>,
    id: Vec<u8>,
    digest: Vec<u8>,
    attributes: Vec<Vec<u8>>,
    algorithm: Vec<u8>,
    signers: usize,
    key: &'static FileKey,
    unsigned: Vec<u8>,
}

fn one(oid: &[u8], values: &[Vec<u8>]) -> Vec<u8> {
    der::sequence(&[der::tlv(der::tag::OID, oid), der::tlv(der::tag::SET, &values.concat())])
}

fn content_type(oid: &[u8]) -> Vec<u8> {
    one(oid::CONTENT_TYPE, &[der::tlv(der::tag::OID, oid)])
}

fn message_digest() -> Vec<u8> {
    one(oid::MESSAGE_DIGEST, &[der::octet_string(&hash(MessageDigest::sha256(), &message()).unwrap())])
}

impl Forged {
    /// Sound in every part.
    fn sound() -> Self {
        let key = &cast().p256;
        Self {
            digests: vec![identifier(oid::SHA256, None)],
            content_type: oid::DATA,
            content: Some(message()),
            certificates: vec![SigningKey::certificate(key).clone()],
            id: issuer_serial(SigningKey::certificate(key)),
            digest: identifier(oid::SHA256, None),
            attributes: vec![content_type(oid::DATA), message_digest()],
            algorithm: identifier(oid::ECDSA_SHA256, None),
            signers: 1,
            key,
            unsigned: vec![],
        }
    }

    fn signature(&self) -> Vec<u8> {
        self.key.sign(SignatureScheme::EcdsaSha256, &der::tlv(der::tag::SET, &self.attributes.concat())).unwrap()
    }

    fn der(&self) -> Vec<u8> {
        self.with_attributes(&der::context(0, &self.attributes))
    }

    fn with_attributes(&self, attributes: &[u8]) -> Vec<u8> {
        let signer = der::sequence(&[
            der::integer(1),
            self.id.clone(),
            self.digest.clone(),
            attributes.to_vec(),
            self.algorithm.clone(),
            der::octet_string(&self.signature()),
            self.unsigned.clone(),
        ]);
        let mut info = vec![der::tlv(der::tag::OID, self.content_type)];
        info.extend(self.content.as_ref().map(|content| der::context(0, &[der::octet_string(content)])));
        let signed = der::sequence(&[
            der::integer(1),
            der::set_of(&self.digests),
            der::sequence(&info),
            der::context(0, &self.certificates.iter().map(|c| c.der().to_vec()).collect::<Vec<_>>()),
            der::tlv(der::tag::SET, &signer.repeat(self.signers)),
        ]);
        der::sequence(&[der::tlv(der::tag::OID, oid::SIGNED_DATA), der::context(0, &[signed])])
    }

    #[track_caller]
    fn refused(&self, expected: &CmsError) {
        assert_eq!(verify(&self.der(), None, &[]).map(|_| ()), Err(expected.clone()));
    }
}

#[test]
fn the_sound_form_is_accepted_by_us_and_by_openssl() {
    let sound = Forged::sound();
    assert_eq!(verify(&sound.der(), None, &[]).unwrap().content, message());
    let judged = openssl_cms("-verify -inform DER -CAfile p256.crt -purpose any", &sound.der());
    assert_eq!(judged, Ok(message()));
}

/// Whoever handles a message may add a certificate of the same name and number over the same key: the signer's own
/// is among those that are given back, and one that was known before comes first.
#[test]
fn every_certificate_that_a_signature_may_mean_is_given_back() {
    let folder = tempfile::TempDir::new().unwrap();
    let twin = identity(&folder, "p256", cast().p256.openssl().clone());
    let (genuine, twin) = (SigningKey::certificate(&cast().p256), SigningKey::certificate(&twin));
    assert_ne!(genuine, twin);
    let ess = sign(&message(), &cast().p256, at(), &[]).unwrap();
    let forged = Forged { certificates: vec![twin.clone(), genuine.clone(), twin.clone()], ..Forged::sound() };
    let found = |cms: &[u8], known: &[Certificate]| {
        let verified = verify(cms, None, known).unwrap();
        (verified.signer.clone(), verified.twins.clone(), verified.names_certificate)
    };
    assert_eq!(found(&forged.der(), &[]), (twin.clone(), vec![genuine.clone()], false));
    assert_eq!(found(&forged.der(), std::slice::from_ref(genuine)), (genuine.clone(), vec![twin.clone()], false));
    // What the signature itself says is not for anybody else to choose.
    assert_eq!(found(&ess, std::slice::from_ref(twin)), (genuine.clone(), vec![], true));
    let many = Forged {
        certificates: (0..20)
            .map(|_| identity(&folder, "p256", cast().p256.openssl().clone()).certificate().clone())
            .collect(),
        ..Forged::sound()
    };
    let before = given_to_openssl();
    assert_eq!(found(&many.der(), std::slice::from_ref(genuine)).1.len(), 4);
    assert_eq!(given_to_openssl() - before, 4);
}

/// A container may hold dozens of certificates. Only those that the signature names are given to a reader that is
/// not ours (H22), and where it names one by its digest, only that one.
#[test]
fn certificates_that_a_signature_does_not_name_are_not_read() {
    let folder = tempfile::TempDir::new().unwrap();
    let genuine = SigningKey::certificate(&cast().p256).clone();
    let others = [&cast().rsa, &cast().p384, &cast().ed25519].map(|key| key.certificate().clone());
    let twin = identity(&folder, "p256", cast().p256.openssl().clone()).certificate().clone();
    let read = |forged: &Forged| {
        let (cms, before) = (forged.der(), given_to_openssl());
        let signer = verify(&cms, None, &[]).map(|verified| verified.signer.clone());
        (signer, given_to_openssl() - before)
    };
    let crowd: Vec<Certificate> = others.iter().cycle().take(60).cloned().collect();
    let certificates = [crowd.clone(), vec![genuine.clone()]].concat();
    let by_number = Forged { certificates: certificates.clone(), ..Forged::sound() };
    assert_eq!(read(&by_number), (Ok(genuine.clone()), 1));
    let key_id = der::context_primitive(0, genuine.subject_key_id().unwrap());
    assert_eq!(read(&Forged { id: key_id, certificates, ..Forged::sound() }), (Ok(genuine.clone()), 1));
    let nobody = Forged { certificates: crowd, ..Forged::sound() };
    assert_eq!(read(&nobody), (Err(CmsError::SignerUnknown), 0));
    // Whoever puts any number of the same name before the one that the signature names by its digest gains nothing.
    let ess = attribute::signing_certificate_v2(&hash(MessageDigest::sha256(), genuine.der()).unwrap());
    let attributes = vec![content_type(oid::DATA), message_digest(), one(oid::SIGNING_CERTIFICATE_V2, &[ess])];
    let certificates = [vec![twin; 40], vec![genuine.clone()]].concat();
    assert_eq!(read(&Forged { certificates, attributes, ..Forged::sound() }), (Ok(genuine), 1));
}

#[test]
fn exactly_one_signer_a11() {
    for signers in [0, 2, 3] {
        Forged { signers, ..Forged::sound() }.refused(&CmsError::SignerCount(signers));
    }
    let two = "-sign -nodetach -outform DER -signer p256.crt -inkey p256.key -signer rsa.crt -inkey rsa.key";
    let two = openssl_cms(two, &message()).unwrap();
    assert_eq!(verify(&two, None, &[]).map(|_| ()), Err(CmsError::SignerCount(2)));
}

#[test]
fn certificates_alone_are_no_signature_a11() {
    let bag = std::process::Command::new("openssl")
        .args(["crl2pkcs7", "-nocrl", "-outform", "DER", "-certfile"])
        .arg(cast().path("p256.crt"))
        .output()
        .unwrap()
        .stdout;
    assert_eq!(verify(&bag, Some(&message()), &[]).map(|_| ()), Err(CmsError::SignerCount(0)));
}

#[test]
fn detached_and_embedded_content_exclude_one_another_a10() {
    let opaque = Forged::sound();
    let expected = Err(CmsError::ContentPresent);
    assert_eq!(verify(&opaque.der(), Some(&message()), &[]).map(|_| ()), expected, "even if it is the same");
    Forged { content: None, ..Forged::sound() }.refused(&CmsError::ContentMissing);
}

#[test]
fn signed_attributes_are_required_h6() {
    let bare = "-sign -nodetach -noattr -outform DER -signer p256.crt -inkey p256.key";
    let bare = openssl_cms(bare, &message()).unwrap();
    assert_eq!(verify(&bare, None, &[]).map(|_| ()), Err(CmsError::NoSignedAttributes));

    let with = |attributes| Forged { attributes, ..Forged::sound() };
    with(vec![content_type(oid::DATA)]).refused(&CmsError::AttributeMissing("messageDigest"));
    with(vec![message_digest()]).refused(&CmsError::AttributeMissing("contentType"));
    with(vec![content_type(oid::DATA), message_digest(), message_digest()])
        .refused(&CmsError::AttributeRepeated("messageDigest"));
    with(vec![content_type(oid::DATA), content_type(oid::DATA), message_digest()])
        .refused(&CmsError::AttributeRepeated("contentType"));
    let time = der::time(at()).unwrap();
    with(vec![content_type(oid::DATA), message_digest(), one(oid::SIGNING_TIME, &[time.clone(), time])])
        .refused(&CmsError::AttributeRepeated("signingTime"));
    with(vec![one(oid::CONTENT_TYPE, &[]), message_digest()]).refused(&CmsError::AttributeRepeated("contentType"));
    with(vec![content_type(oid::SIGNED_DATA), message_digest()]).refused(&CmsError::ContentTypeMismatch);
    with(vec![content_type(oid::DATA), message_digest(), one(oid::SIGNING_TIME, &[der::utf8("now")])])
        .refused(&CmsError::Malformed(Malformed::Value("the signing time")));
}

#[test]
fn content_other_than_data_is_refused() {
    let other = Forged {
        content_type: oid::ENVELOPED_DATA,
        attributes: vec![content_type(oid::ENVELOPED_DATA), message_digest()],
        ..Forged::sound()
    };
    other.refused(&CmsError::ContentType("enveloped data".into()));
}

#[test]
fn changed_content_is_refused() {
    let mut changed = message();
    changed[40] ^= 1;
    Forged { content: Some(changed.clone()), ..Forged::sound() }.refused(&CmsError::DigestMismatch);
    Forged { content: Some(vec![]), ..Forged::sound() }.refused(&CmsError::DigestMismatch);
    let detached = sign_detached(&message(), &cast().p256, at(), &[]).unwrap();
    assert_eq!(verify(&detached, Some(&changed), &[]).map(|_| ()), Err(CmsError::DigestMismatch));
    assert_eq!(verify(&detached, None, &[]).map(|_| ()), Err(CmsError::ContentMissing));
}

#[test]
fn weak_unknown_and_unannounced_digests_are_refused_h6_a8() {
    for (md, name) in [("sha1", "SHA-1"), ("md5", "MD5"), ("sha224", "SHA-224"), ("rmd160", "RIPEMD-160")] {
        let weak = format!("-sign -nodetach -md {md} -outform DER -signer rsa.crt -inkey rsa.key");
        // A release that no longer makes such signatures has nothing to show here.
        let Ok(weak) = openssl_cms(&weak, &message()) else { continue };
        assert_eq!(verify(&weak, None, &[]).map(|_| ()), Err(CmsError::Digest(name.into())), "{md}");
    }
    let sha512 = identifier(oid::SHA512, None);
    let unannounced = CmsError::Digest("SHA-256, which the container does not announce,".into());
    Forged { digests: vec![], ..Forged::sound() }.refused(&unannounced);
    Forged { digests: vec![sha512.clone()], ..Forged::sound() }.refused(&unannounced);
    // The digest of the signature must be the announced one.
    Forged { digests: vec![sha512.clone()], digest: sha512, ..Forged::sound() }
        .refused(&CmsError::SignatureAlgorithm("1.2.840.10045.4.3.2".into()));
}

#[test]
fn pss_with_sha1_or_another_digest_anywhere_is_refused() {
    let sha256 = identifier(oid::SHA256, None);
    let full = |mask: &[u8]| {
        let mask = identifier(oid::MGF1, Some(identifier(mask, None)));
        der::sequence(&[der::context(0, std::slice::from_ref(&sha256)), der::context(1, &[mask])])
    };
    // The digest of the parameters is not the announced one; the mask is made in another way.
    let announced = identifier(oid::MGF1, Some(sha256.clone()));
    let digest = der::sequence(&[der::context(0, &[identifier(oid::SHA512, None)]), der::context(1, &[announced])]);
    let way = identifier(oid::SHA256, Some(sha256.clone()));
    let way = der::sequence(&[der::context(0, std::slice::from_ref(&sha256)), der::context(1, &[way])]);
    let no_mask = der::sequence(&[der::context(0, std::slice::from_ref(&sha256))]);
    for parameters in [der::sequence::<Vec<u8>>(&[]), no_mask, full(oid::SHA1), full(oid::SHA512), digest, way] {
        let algorithm = identifier(oid::RSA_PSS, Some(parameters));
        let forged = Forged { algorithm, ..Forged::sound() }.der();
        assert!(matches!(verify(&forged, None, &[]), Err(CmsError::SignatureAlgorithm(_))));
    }
    let absent = Forged { algorithm: identifier(oid::RSA_PSS, None), ..Forged::sound() };
    absent.refused(&CmsError::Malformed(Malformed::Expected("the parameters of RSA-PSS")));
}

#[test]
fn a_signature_by_another_key_is_refused() {
    let cast = cast();
    // The identifier and certificate of one, the key of another.
    let claimed = SigningKey::certificate(&cast.p384);
    let forged = Forged { certificates: vec![claimed.clone()], id: issuer_serial(claimed), ..Forged::sound() };
    forged.refused(&CmsError::SignatureInvalid);
    // An algorithm that this kind of key does not have.
    let mixed = Forged { algorithm: identifier(oid::RSA, Some(der::null())), ..Forged::sound() };
    mixed.refused(&CmsError::SignatureInvalid);
}

#[test]
fn a_signer_that_nobody_knows_is_refused() {
    let stranger = Forged { certificates: vec![], ..Forged::sound() };
    stranger.refused(&CmsError::SignerUnknown);
    let other = Forged { certificates: vec![SigningKey::certificate(&cast().rsa).clone()], ..Forged::sound() };
    other.refused(&CmsError::SignerUnknown);
}

#[test]
fn the_signing_certificate_attribute_is_compared() {
    let cast = cast();
    let named = |certificate: &Certificate| {
        one(oid::SIGNING_CERTIFICATE_V2, &[attribute::signing_certificate_v2(certificate.fingerprint().as_bytes())])
    };
    let with = |attribute: Vec<u8>| Forged {
        attributes: vec![content_type(oid::DATA), message_digest(), attribute],
        ..Forged::sound()
    };
    let (right, wrong) = (SigningKey::certificate(&cast.p256), SigningKey::certificate(&cast.p384));
    assert!(verify(&with(named(right)).der(), None, &[]).is_ok());
    with(named(wrong)).refused(&CmsError::SigningCertificate);

    // The first version of the attribute, SHA-1 by definition, and one with issuer and serial.
    let sha1 = |certificate: &Certificate, serial: &[u8]| {
        let digest = hash(MessageDigest::sha1(), certificate.der()).unwrap();
        let name = der::sequence(&[der::context(4, &[certificate.issuer_der()])]);
        let id =
            der::sequence(&[der::octet_string(&digest), der::sequence(&[name, der::tlv(der::tag::INTEGER, serial)])]);
        one(oid::SIGNING_CERTIFICATE, &[der::sequence(&[der::sequence(&[id])])])
    };
    assert!(verify(&with(sha1(right, right.serial())).der(), None, &[]).is_ok());
    with(sha1(right, &[7])).refused(&CmsError::SigningCertificate);
    with(sha1(wrong, wrong.serial())).refused(&CmsError::SigningCertificate);
    with(one(oid::SIGNING_CERTIFICATE_V2, &[der::sequence::<Vec<u8>>(&[])]))
        .refused(&CmsError::Malformed(Malformed::Expected("the signing certificate attribute")));
}

#[test]
fn attributes_count_as_received_h6() {
    // Not in the order of DER: signed so, verified so.
    let mut unsorted = Forged::sound();
    unsorted.attributes = vec![message_digest(), content_type(oid::DATA)];
    assert!(verify(&unsorted.der(), None, &[]).is_ok(), "received order is kept");
    // Reordered after signing: no longer what was signed.
    let reordered = unsorted.with_attributes(&der::context(0, &[content_type(oid::DATA), message_digest()]));
    assert_eq!(verify(&reordered, None, &[]).map(|_| ()), Err(CmsError::SignatureInvalid));
    // Indefinite lengths are made definite, outside and inside.
    let sound = Forged::sound();
    let mut inner = vec![0x30, 0x80];
    inner.extend_from_slice(&sound.attributes[0][2..]);
    inner.extend_from_slice(&[0, 0]);
    for first in [sound.attributes[0].clone(), inner] {
        let indefinite = [&[0xa0, 0x80][..], &first, &sound.attributes[1], &[0, 0]].concat();
        assert!(verify(&sound.with_attributes(&indefinite), None, &[]).is_ok());
    }
}

#[test]
fn trailing_octets_are_refused() {
    let mut trailing = Forged::sound().der();
    trailing.push(0);
    let expected = CmsError::Malformed(Malformed::Trailing("the CMS object"));
    assert_eq!(verify(&trailing, None, &[]).map(|_| ()), Err(expected));
    let inside = Forged { unsigned: der::integer(7), ..Forged::sound() };
    inside.refused(&CmsError::Malformed(Malformed::Trailing("the signer")));
}

#[test]
fn unsigned_attributes_change_nothing() {
    let unsigned = der::context(1, &[one(oid::SIGNING_TIME, &[der::time(at()).unwrap()])]);
    let signed = Forged { unsigned, ..Forged::sound() }.der();
    let verified = verify(&signed, None, &[]).unwrap();
    assert_eq!(verified.signing_time, None);
    assert_eq!(verified.attributes.len(), 2);
}

#[test]
fn lists_are_bounded_a20() {
    let many = Forged { certificates: vec![SigningKey::certificate(&cast().p256).clone(); 65], ..Forged::sound() };
    many.refused(&CmsError::Malformed(Malformed::TooMany("certificates")));
    let attributes = (0..65).map(|_| one(oid::SHA256, &[der::null()])).collect();
    Forged { attributes, ..Forged::sound() }.refused(&CmsError::Malformed(Malformed::TooMany("attributes")));
}

#[test]
fn our_own_attributes_cannot_be_doubled_by_the_caller() {
    let digest = Attribute::single("1.2.840.113549.1.9.4", der::octet_string(&[0; 32]));
    let refused = sign(&message(), &cast().p256, at(), &[digest]);
    assert_eq!(refused, Err(CmsError::AttributeRefused("1.2.840.113549.1.9.4".into())));
}
