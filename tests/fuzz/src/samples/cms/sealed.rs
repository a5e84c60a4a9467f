//! Encrypted containers: contents, keys that RSA carries, keys that are agreed, whom they are for.

use std::sync::LazyLock;

use openssl::{
    aes::{AesKey, wrap_key},
    derive::Deriver,
    ec::{EcGroup, EcKey, PointConversionForm},
    encrypt::Encrypter,
    hash::{MessageDigest, hash},
    nid::Nid,
    pkey::PKey,
    rsa::Padding,
    symm::{Cipher, encrypt, encrypt_aead},
};
use pki::{
    cms::{self, ContentCipher},
    der::{self, tag},
    keys::{DecryptionKey, SigningKey},
};

use super::{
    AES256_WRAP, AUTHENTICATED, CBC, COMPRESSED, DATA, EC_KEY, ECDH, ENVELOPED, GCM, MGF1, MessageKind, OAEP, P256,
    RSA, SHA1, SHA256, SIGNED, ec, indefinite, issuer_serial, object, rsa,
};
use crate::{
    forge::{self, algorithm, edit, oid, with_members},
    samples::Sample,
    targets::cms::TEXT,
    world::{READER_X25519, ROOT},
};

const KEY: [u8; 32] = [7; 32];

/// An encrypted container in the making.
struct Envelope {
    infos: Vec<Vec<u8>>,
    originator: Option<Vec<u8>>,
    content_type: &'static str,
    cipher: Vec<u8>,
    content: Option<Vec<u8>>,
    attributes: Option<Vec<u8>>,
    tag: Option<Vec<u8>>,
    loose: Option<Vec<u8>>,
}

fn gcm_parameters(nonce: usize, tag: Option<u64>) -> Vec<u8> {
    let nonce = vec![7; nonce];
    der::sequence(&[vec![der::octet_string(&nonce)], tag.map(der::integer).into_iter().collect()].concat())
}

impl Envelope {
    /// AES-GCM under a key of this many octets, for nobody yet.
    fn gcm(octets: usize) -> Self {
        let (name, cipher) = match octets {
            16 => (GCM[0], Cipher::aes_128_gcm()),
            24 => (GCM[1], Cipher::aes_192_gcm()),
            _ => (GCM[2], Cipher::aes_256_gcm()),
        };
        let mut seal = vec![0; 16];
        let key = KEY.get(..octets).expect("a key");
        let content = encrypt_aead(cipher, key, Some(&[7; 12]), &[], TEXT, &mut seal).expect("encrypted");
        Self {
            infos: Vec::new(),
            originator: None,
            content_type: DATA,
            cipher: algorithm(name, &gcm_parameters(12, Some(16))),
            content: Some(der::context_primitive(0, &content)),
            attributes: None,
            tag: Some(der::octet_string(&seal)),
            loose: None,
        }
    }

    /// AES-CBC under a key of this many octets, for nobody yet.
    fn cbc(octets: usize) -> Self {
        let (name, cipher) = match octets {
            16 => (CBC[0], Cipher::aes_128_cbc()),
            24 => (CBC[1], Cipher::aes_192_cbc()),
            _ => (CBC[2], Cipher::aes_256_cbc()),
        };
        let content = encrypt(cipher, KEY.get(..octets).expect("a key"), Some(&[7; 16]), TEXT).expect("encrypted");
        Self {
            cipher: algorithm(name, &der::octet_string(&[7; 16])),
            content: Some(der::context_primitive(0, &content)),
            tag: None,
            ..Self::gcm(32)
        }
    }

    fn to(mut self, info: Vec<u8>) -> Self {
        self.infos.push(info);
        self
    }

    fn build(self) -> Vec<u8> {
        let kind = if self.tag.is_some() { AUTHENTICATED } else { ENVELOPED };
        let info = [vec![oid(self.content_type), self.cipher], self.content.into_iter().collect()].concat();
        let mut members = vec![der::integer(0)];
        members.extend(self.originator.map(|it| der::context(0, &[it])));
        members.push(der::set_of(&self.infos));
        members.push(der::sequence(&info));
        members.extend(self.attributes.map(|it| der::context(1, &[it])));
        members.extend(self.tag);
        members.extend(self.loose.map(|it| der::context(if kind == AUTHENTICATED { 2 } else { 1 }, &[it])));
        object(kind, &der::sequence(&members))
    }
}

/// KeyTransRecipientInfo.
fn transported(id: Vec<u8>, how: Vec<u8>, wrapped: &[u8]) -> Vec<u8> {
    der::sequence(&[der::integer(0), id, how, der::octet_string(wrapped)])
}

fn oaep(digest: &str, mask: &str) -> Vec<u8> {
    let mask = algorithm(MGF1, &algorithm(mask, &der::null()));
    der::sequence(&[der::context(0, &[algorithm(digest, &der::null())]), der::context(1, &[mask])])
}

/// A key of this many octets as `padding` wraps it for the RSA reader.
fn wrapped(octets: usize, padding: Padding, digest: fn() -> MessageDigest) -> Vec<u8> {
    let mut encrypter = Encrypter::new(rsa().public_key()).expect("a key");
    encrypter.set_rsa_padding(padding).expect("padding");
    if padding == Padding::PKCS1_OAEP {
        encrypter.set_rsa_oaep_md(digest()).expect("a digest");
        encrypter.set_rsa_mgf1_md(digest()).expect("a digest");
    }
    let mut out = vec![0; 256];
    let length = encrypter.encrypt(KEY.get(..octets).expect("a key"), &mut out).expect("wrapped");
    out.truncate(length);
    out
}

fn oaep256() -> Vec<u8> {
    let key = wrapped(32, Padding::PKCS1_OAEP, MessageDigest::sha256);
    transported(issuer_serial(rsa()), algorithm(OAEP, &oaep(SHA256, SHA256)), &key)
}

/// KeyAgreeRecipientInfo in the making.
struct Agreement {
    scheme: (&'static str, MessageKind),
    ukm: Option<Vec<u8>>,
    wrap: Vec<u8>,
    octets: usize,
    id: Vec<u8>,
    originator: Option<Vec<u8>>,
    curve: Vec<u8>,
}

static EPHEMERAL: LazyLock<EcKey<openssl::pkey::Private>> = LazyLock::new(|| {
    EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve")).expect("a key")
});

fn point(form: PointConversionForm) -> Vec<u8> {
    let mut context = openssl::bn::BigNumContext::new().expect("a context");
    EPHEMERAL.public_key().to_bytes(EPHEMERAL.group(), form, &mut context).expect("a point")
}

impl Agreement {
    fn new() -> Self {
        Self {
            scheme: ECDH[1],
            ukm: None,
            wrap: algorithm(AES256_WRAP, &[]),
            octets: 32,
            id: issuer_serial(ec()),
            originator: None,
            curve: oid(P256),
        }
    }

    fn wrapped(&self) -> Vec<u8> {
        let ephemeral = PKey::from_ec_key(EPHEMERAL.clone()).expect("a key");
        let mut deriver = Deriver::new(&ephemeral).expect("a key");
        deriver.set_peer(ec().public_key()).expect("the same curve");
        let secret = deriver.derive_to_vec().expect("a secret");
        let mut info = vec![self.wrap.clone()];
        info.extend(self.ukm.as_ref().map(|ukm| der::context(0, &[der::octet_string(ukm)])));
        info.push(der::context(2, &[der::octet_string(&[0, 0, 1, 0])]));
        let info = der::sequence(&info);
        let derived: Vec<u8> = (1u32..3)
            .flat_map(|counter| {
                let input = [&secret[..], &counter.to_be_bytes(), &info].concat();
                hash((self.scheme.1)(), &input).expect("a digest").to_vec()
            })
            .take(32)
            .collect();
        let mut out = vec![0; self.octets.saturating_add(8)];
        let wrapping = AesKey::new_encrypt(&derived).expect("a key");
        wrap_key(&wrapping, None, &mut out, KEY.get(..self.octets).expect("a key")).expect("wrapped");
        out
    }

    fn build(self) -> Vec<u8> {
        let key = self.wrapped();
        let entry = der::sequence(&[self.id.clone(), der::octet_string(&key)]);
        self.with_entries(&[entry])
    }

    fn with_entries(self, entries: &[Vec<u8>]) -> Vec<u8> {
        let own = || originator(&self.curve, &der::bit_string(&point(PointConversionForm::UNCOMPRESSED)));
        let originator = self.originator.clone().unwrap_or_else(own);
        let mut members = vec![der::integer(3), der::context(0, &[originator])];
        members.extend(self.ukm.map(|ukm| der::context(1, &[der::octet_string(&ukm)])));
        members.push(algorithm(self.scheme.0, &self.wrap));
        members.push(der::sequence(entries));
        der::context(1, &members)
    }
}

/// OriginatorPublicKey.
fn originator(curve: &[u8], point: &[u8]) -> Vec<u8> {
    der::context(1, &[algorithm(EC_KEY, curve), point.to_vec()])
}

fn agreed() -> Vec<u8> {
    Agreement::new().build()
}

/// Content and its encryption.
pub(super) fn contents() -> Vec<Sample> {
    let edited = |change: fn(&mut Envelope)| {
        let mut envelope = Envelope::gcm(32).to(agreed());
        change(&mut envelope);
        envelope.build()
    };
    let cbc = |change: fn(&mut Envelope)| {
        let mut envelope = Envelope::cbc(32).to(oaep256());
        change(&mut envelope);
        envelope.build()
    };
    let cut = |content: &Option<Vec<u8>>| forge::content(content.as_ref().expect("content")).expect("octets").to_vec();
    let pieces = |content: &[u8]| content.chunks(9).map(der::octet_string).collect::<Vec<_>>();
    let mut in_pieces = Envelope::gcm(32).to(agreed());
    in_pieces.content = Some(der::context(0, &pieces(&cut(&in_pieces.content))));
    let mut nested = Envelope::gcm(32).to(agreed());
    let all = pieces(&cut(&nested.content));
    let (first, rest) = all.split_at_checked(2).expect("pieces");
    let inside = [der::tlv(0x24, &first.concat()), der::tlv(0x24, &rest.concat())];
    nested.content = Some([&[0xa0, 0x80][..], &inside.concat(), &[0, 0]].concat());
    let attribute = |value: &[u8]| der::sequence(&[oid("1.2.840.113549.1.9.3"), der::set_of(&[value.to_vec()])]);
    let mut bound = Envelope::gcm(32).to(agreed());
    let written = attribute(&oid(DATA));
    let mut seal = vec![0; 16];
    let associated = der::set_of(std::slice::from_ref(&written));
    let content = encrypt_aead(Cipher::aes_256_gcm(), &KEY, Some(&[7; 12]), &associated, TEXT, &mut seal);
    bound.content = Some(der::context_primitive(0, &content.expect("encrypted")));
    (bound.attributes, bound.tag) = (Some(written), Some(der::octet_string(&seal)));
    let with_attributes = |attributes: Vec<u8>| {
        let mut envelope = Envelope::gcm(32).to(agreed());
        envelope.attributes = Some(attributes);
        envelope.build()
    };
    let loose = |mut envelope: Envelope, value: Vec<u8>| {
        envelope.loose = Some(value);
        envelope.build()
    };
    vec![
        ("content-pieces", in_pieces.build()),
        ("content-nested", nested.build()),
        ("content-none", edited(|it| it.content = None)),
        ("content-empty", cbc(|it| it.content = Some(der::context_primitive(0, &[])))),
        ("content-odd", cbc(|it| it.content = Some(der::context_primitive(0, &[7; 17])))),
        ("content-type", edited(|it| it.content_type = SIGNED)),
        ("tag-short", edited(|it| it.tag = Some(der::octet_string(&[7; 12])))),
        ("tag-wrong", edited(|it| it.tag = Some(der::octet_string(&[7; 16])))),
        ("tag-default", edited(|it| it.cipher = algorithm(GCM[2], &gcm_parameters(12, None)))),
        ("tag-four", edited(|it| it.cipher = algorithm(GCM[2], &gcm_parameters(12, Some(4))))),
        ("nonce-long", edited(|it| it.cipher = algorithm(GCM[2], &gcm_parameters(16, Some(16))))),
        ("gcm-bare", edited(|it| it.cipher = algorithm(GCM[2], &[]))),
        ("gcm-128", Envelope::gcm(16).to(agreed_for(16)).build()),
        ("gcm-192", Envelope::gcm(24).to(agreed_for(24)).build()),
        ("gcm-short-key", Envelope::gcm(16).to(oaep256()).build()),
        ("gcm-as-cbc", cbc(|it| it.cipher = algorithm(GCM[2], &gcm_parameters(12, Some(16))))),
        ("cbc-as-gcm", edited(|it| it.cipher = algorithm(CBC[2], &der::octet_string(&[7; 16])))),
        ("cbc-rsa", cbc(|_| ())),
        ("cbc-128", Envelope::cbc(16).to(oaep_of(16)).build()),
        ("cbc-192", Envelope::cbc(24).to(oaep_of(24)).build()),
        ("cbc-vector", cbc(|it| it.cipher = algorithm(CBC[2], &der::octet_string(&[7; 8])))),
        ("cbc-bare", cbc(|it| it.cipher = algorithm(CBC[2], &der::null()))),
        ("cbc-padding", cbc(|it| it.content = Some(der::context_primitive(0, &[9; 64])))),
        ("triple-des", cbc(|it| it.cipher = algorithm("1.2.840.113549.3.7", &der::octet_string(&[7; 8])))),
        ("rc2", cbc(|it| it.cipher = algorithm("1.2.840.113549.3.2", &der::octet_string(&[7; 8])))),
        ("originator-info", edited(|it| it.originator = Some(Vec::new()))),
        ("bound", bound.build()),
        ("bound-otherwise", with_attributes(attribute(&oid(SIGNED)))),
        ("bound-nothing", with_attributes(Vec::new())),
        ("bound-twice", with_attributes([attribute(&oid(DATA)), attribute(&oid(DATA))].concat())),
        ("loose-gcm", loose(Envelope::gcm(32).to(agreed()), attribute(&der::null()))),
        ("loose-cbc", loose(Envelope::cbc(32).to(agreed()), attribute(&der::null()))),
        ("loose-wrong", loose(Envelope::cbc(32).to(agreed()), der::null())),
    ]
}

fn oaep_of(octets: usize) -> Vec<u8> {
    let key = wrapped(octets, Padding::PKCS1_OAEP, MessageDigest::sha256);
    transported(issuer_serial(rsa()), algorithm(OAEP, &oaep(SHA256, SHA256)), &key)
}

fn agreed_for(octets: usize) -> Vec<u8> {
    Agreement { octets, ..Agreement::new() }.build()
}

/// Keys that RSA carries.
pub(super) fn transports() -> Vec<Sample> {
    let seal = |how: Vec<u8>, key: &[u8]| Envelope::cbc(32).to(transported(issuer_serial(rsa()), how, key)).build();
    let sha1 = wrapped(32, Padding::PKCS1_OAEP, MessageDigest::sha1);
    let old = wrapped(32, Padding::PKCS1, MessageDigest::sha1);
    let label = |name: &str, text: &[u8]| der::context(2, &[algorithm(name, &der::octet_string(text))]);
    let with = |label: Vec<u8>| with_members(&oaep(SHA256, SHA256), |all| all.push(label));
    let other_mask = der::sequence(&[der::context(1, &[algorithm("1.2.3", &[])])]);
    let key_id = rsa().subject_key_id().map(|id| der::context_primitive(0, id)).expect("an identifier");
    let key = wrapped(32, Padding::PKCS1_OAEP, MessageDigest::sha256);
    let oaep256 = || algorithm(OAEP, &oaep(SHA256, SHA256));
    let pieces = der::tlv(0x24, &key.chunks(100).flat_map(der::octet_string).collect::<Vec<u8>>());
    let in_pieces = der::sequence(&[der::integer(0), issuer_serial(rsa()), oaep256(), pieces]);
    vec![
        ("rsa-oaep", Envelope::gcm(32).to(oaep_of(32)).build()),
        ("rsa-oaep-default", seal(algorithm(OAEP, &der::sequence::<Vec<u8>>(&[])), &sha1)),
        ("rsa-oaep-sha1", seal(algorithm(OAEP, &oaep(SHA1, SHA1)), &sha1)),
        ("rsa-oaep-mixed", seal(algorithm(OAEP, &oaep(SHA256, SHA1)), &sha1)),
        ("rsa-oaep-mask", seal(algorithm(OAEP, &other_mask), &sha1)),
        ("rsa-oaep-bare", seal(algorithm(OAEP, &[]), &sha1)),
        ("rsa-oaep-empty-label", seal(algorithm(OAEP, &with(label("1.2.840.113549.1.1.9", b""))), &key)),
        ("rsa-oaep-label", seal(algorithm(OAEP, &with(label("1.2.840.113549.1.1.9", b"x"))), &key)),
        ("rsa-oaep-label-kind", seal(algorithm(OAEP, &with(label("1.2.3", b""))), &key)),
        ("rsa-oaep-behind", seal(algorithm(OAEP, &with(der::null())), &key)),
        ("rsa-pkcs1", seal(algorithm(RSA, &der::null()), &old)),
        ("rsa-pkcs1-garbage", seal(algorithm(RSA, &der::null()), &[7; 256])),
        ("rsa-pkcs1-parameters", seal(algorithm(RSA, &der::integer(1)), &old)),
        ("rsa-too-long", seal(algorithm(RSA, &der::null()), &[7; 2049])),
        ("rsa-unknown", seal(algorithm("1.2.3", &[]), &old)),
        ("rsa-key-id", Envelope::gcm(32).to(transported(key_id, oaep256(), &key)).build()),
        (
            "rsa-key-id-empty",
            Envelope::gcm(32).to(transported(der::context_primitive(0, &[]), oaep256(), &key)).build(),
        ),
        (
            "rsa-key-id-pieces",
            Envelope::gcm(32).to(transported(der::context(0, &[der::octet_string(&[7; 70])]), oaep256(), &key)).build(),
        ),
        ("rsa-pieces", Envelope::gcm(32).to(in_pieces).build()),
        ("rsa-for-ec", Envelope::gcm(32).to(transported(issuer_serial(ec()), oaep256(), &key)).build()),
    ]
}

/// Keys that are agreed.
pub(super) fn agreements() -> Vec<Sample> {
    let one = |agreement: Agreement| Envelope::gcm(32).to(agreement.build()).build();
    let with = |change: fn(&mut Agreement)| {
        let mut agreement = Agreement::new();
        change(&mut agreement);
        one(agreement)
    };
    let key_id = ec().subject_key_id().map(der::octet_string).expect("an identifier");
    let date = der::tlv(tag::GENERALIZED_TIME, b"20260101000000Z");
    let recipient = |members: &[Vec<u8>]| one(Agreement { id: der::context(0, members), ..Agreement::new() });
    let other = der::sequence(&[oid("1.2.3")]);
    let bad_entry = |entry: Vec<u8>| Envelope::gcm(32).to(Agreement::new().with_entries(&[entry])).build();
    let from = |originator: Vec<u8>| one(Agreement { originator: Some(originator), ..Agreement::new() });
    let uncompressed = point(PointConversionForm::UNCOMPRESSED);
    let mut off_curve = uncompressed.clone();
    off_curve.iter_mut().skip(64).for_each(|octet| *octet ^= 1);
    let mut padded = der::bit_string(&uncompressed);
    padded.iter_mut().skip(2).take(1).for_each(|unused| *unused = 1);
    vec![
        ("ec-sha1", with(|it| it.scheme = ECDH[0])),
        ("ec-sha384", with(|it| it.scheme = ECDH[2])),
        ("ec-sha512", with(|it| it.scheme = ECDH[3])),
        ("ec-unknown", with(|it| it.scheme.0 = "1.2.3")),
        ("ec-ukm", with(|it| it.ukm = Some(vec![7; 20]))),
        ("ec-ukm-long", with(|it| it.ukm = Some(vec![7; 1025]))),
        ("ec-wrap-null", with(|it| it.wrap = algorithm(AES256_WRAP, &der::null()))),
        ("ec-wrap-192", with(|it| it.wrap = algorithm("2.16.840.1.101.3.4.1.25", &[]))),
        ("ec-wrap-128", with(|it| it.wrap = algorithm("2.16.840.1.101.3.4.1.5", &[]))),
        ("ec-wrap-padded", with(|it| it.wrap = algorithm("2.16.840.1.101.3.4.1.48", &[]))),
        ("ec-wrap-3des", with(|it| it.wrap = algorithm("1.2.840.113549.1.9.16.3.6", &der::null()))),
        ("ec-wrap-none", with(|it| it.wrap = Vec::new())),
        ("ec-curve-absent", with(|it| it.curve = Vec::new())),
        ("ec-curve-null", with(|it| it.curve = der::null())),
        ("ec-curve-other", with(|it| it.curve = oid("1.3.132.0.34"))),
        ("ec-short-key", with(|it| it.octets = 16)),
        ("ec-key-id", recipient(std::slice::from_ref(&key_id))),
        ("ec-key-id-dated", recipient(&[key_id.clone(), date, other])),
        ("ec-key-id-none", recipient(&[der::null()])),
        ("ec-key-id-behind", recipient(&[key_id, der::null()])),
        ("ec-static", from(issuer_serial(ec()))),
        ("ec-compressed", from(originator(&oid(P256), &der::bit_string(&point(PointConversionForm::COMPRESSED))))),
        ("ec-off-curve", from(originator(&oid(P256), &der::bit_string(&off_curve)))),
        ("ec-infinity", from(originator(&oid(P256), &der::bit_string(&[0])))),
        ("ec-bits", from(originator(&oid(P256), &padded))),
        ("ec-other-key", from(der::context(1, &[algorithm(RSA, &der::null()), der::bit_string(&uncompressed)]))),
        ("ec-entry", bad_entry(der::null())),
        ("ec-for-rsa", with(|it| it.id = issuer_serial(rsa()))),
        ("x25519", {
            let reader = DecryptionKey::certificate(&*READER_X25519);
            cms::encrypt(TEXT, &[reader], ContentCipher::Aes256Gcm).expect("sealed")
        }),
        (
            "x25519-x963",
            one(Agreement { id: issuer_serial(DecryptionKey::certificate(&*READER_X25519)), ..Agreement::new() }),
        ),
        ("ec-ukm-empty", {
            let agreement = with_members(&agreed(), |all| all.insert(2, der::context::<Vec<u8>>(1, &[])));
            Envelope::gcm(32).to(agreement).build()
        }),
    ]
}

/// Whom a container is for.
pub(super) fn recipients() -> Vec<Sample> {
    let to = |infos: Vec<Vec<u8>>| Envelope { infos, ..Envelope::gcm(32) }.build();
    let other = der::context(4, &[oid("1.2.3"), der::null()]);
    let spelled = edit(&issuer_serial(ec()), &[1], &|serial| {
        [&[tag::INTEGER, 21, 0, 0, 0, 0, 0], forge::content(serial).expect("digits")].concat()
    });
    vec![
        ("nobody", to(vec![])),
        (
            "stranger",
            to(vec![transported(
                issuer_serial(SigningKey::certificate(&*ROOT)),
                algorithm(RSA, &der::null()),
                &[7; 256],
            )]),
        ),
        ("both", to(vec![oaep256(), agreed()])),
        ("beside-other", to(vec![other, agreed()])),
        ("shared-key", to(vec![der::context(2, &[der::integer(4)])])),
        ("password", to(vec![der::context(3, &[der::integer(0)])])),
        ("unknown-kind", to(vec![der::null()])),
        ("version", to(vec![with_members(&agreed(), |all| forge::set(all, 0, der::integer(300)))])),
        ("serial-padded", to(vec![Agreement { id: spelled, ..Agreement::new() }.build()])),
        (
            "serial-empty",
            to(vec![transported(
                edit(&issuer_serial(ec()), &[1], &|_| vec![tag::INTEGER, 0]),
                algorithm(RSA, &[]),
                b"x",
            )]),
        ),
        ("many", to(vec![agreed(); 4])),
    ]
}

/// Forms of the whole, whatever is inside.
pub(super) fn objects() -> Vec<Sample> {
    let good = Envelope::gcm(32).to(agreed()).build();
    let body = |value: &[u8]| object(AUTHENTICATED, value);
    vec![
        ("gcm-ec", good.clone()),
        ("gcm-ber", indefinite(&good, 3)),
        ("gcm-ber-all", indefinite(&good, 8)),
        ("gcm-behind", [&good[..], &[0]].concat()),
        ("compressed", object(COMPRESSED, &der::sequence(&[der::integer(0), der::octet_string(b"x")]))),
        ("compressed-ber", indefinite(&object(COMPRESSED, &der::sequence(&[der::set_of(&[der::null()])])), 4)),
        ("other", object("1.2.3", &der::null())),
        ("two-contents", body(&[der::sequence(&[der::integer(0)]), der::null()].concat())),
        ("no-sequence", body(&der::null())),
        ("no-content", der::sequence(&[oid(SIGNED)])),
        (
            "three-members",
            der::sequence(&[oid(SIGNED), der::context(0, &[der::sequence::<Vec<u8>>(&[])]), der::null()]),
        ),
        ("no-identifier", der::sequence(&[der::null(), der::context::<Vec<u8>>(0, &[])])),
        ("not-a-sequence", der::set_of(&[oid(SIGNED)])),
        ("long-lengths", vec![0x30, 0x84, 0, 0, 0, 4, 0x06, 0x82, 0, 0]),
        ("deep", [vec![0x30, 0x80], [0x31, 0x80].repeat(40)].concat()),
        ("high-tag", vec![0x30, 3, 0x1f, 0x81, 1]),
    ]
}
