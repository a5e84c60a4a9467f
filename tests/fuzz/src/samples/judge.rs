//! Layers in every order, signers of every kind, what a signature may say, and what the world knows of them.

use ident::Address;
use mail::{Assurance, AssuranceLevel, Limits, Profile, SealRequest, attributes};
use openssl::hash::{MessageDigest, hash};
use pki::{
    certificate::Certificate,
    cms::{self, Attribute, ContentCipher},
    der,
    keys::DecryptionKey,
};

use super::Sample;
use crate::{
    forge::{algorithm, oid},
    layers::{beside, header, part, reader_id},
    samples::message::{READER, SENDER, wire},
    targets::{judge::BODY, message::US},
    world::{DOCTOR, NOW, READER_EC, READER_RSA, SIGNER},
};

/// All of them.
pub fn all() -> Vec<Sample> {
    [layers(), worlds(), sayings(), entities(), sealed(), broken()].concat()
}

const TEXT: &str = "Content-Type: text/plain\n\nBonjour.\n";

fn around(recipe: &str, entity: &str) -> Vec<u8> {
    [recipe.as_bytes(), b"\n", &wire(entity)].concat()
}

fn layers() -> Vec<Sample> {
    let of = |recipe: &str| around(recipe, TEXT);
    vec![
        ("signed", of("s")),
        ("signed-octets", of("o")),
        ("signed-card", of("d")),
        ("signed-address", of("a")),
        ("clear", of("c")),
        ("clear-card", of("e")),
        ("gcm", of("g")),
        ("cbc", of("b")),
        ("signed-gcm", of("sg")),
        ("signed-cbc", of("sb")),
        ("clear-gcm", of("cg")),
        ("clear-cbc", of("cb")),
        ("gcm-signed", of("gs")),
        ("cbc-signed", of("bs")),
        ("triple", of("sgs")),
        ("triple-clear", of("cgc")),
        ("gcm-twice", of("sgg")),
        ("signed-twice", of("ss")),
        ("signed-many", of("ssssss")),
        ("wrapped", of("fws")),
        ("wrapped-gcm", of("fwsg")),
        ("wrapped-bare", of("fw")),
        ("wrapped-gcm-only", of("fwg")),
        ("author", of("efwsg")),
        ("author-opaque", of("dfws")),
        ("author-address", of("afws")),
        ("author-domain", of("sfws")),
        ("author-encrypted", of("dgfws")),
        ("mixed-signed", of("sm")),
        ("mixed-clear", of("cm")),
        ("mixed-author", of("emfws")),
        ("plain", of("")),
        ("letter", of("?")),
        ("reader-signs", of("x")),
        ("root-signs", of("z")),
        ("root-signs-doubtful", of("z0")),
        ("attached", of("sfwm")),
        (
            "sender-elsewhere",
            around(
                "s",
                &format!(
                    "From: <{SENDER}>\nSender: a@autre.test\nTo: <{READER}>\nContent-Type: text/plain; hp=\"clear\"\n\nx\n"
                ),
            ),
        ),
    ]
}

/// The same under every doubt.
fn worlds() -> Vec<Sample> {
    let of = |recipe: &str| around(recipe, TEXT);
    vec![
        ("world-undetermined", of("s0")),
        ("world-undetermined-card", of("d0")),
        ("world-undetermined-author", of("efws0")),
        ("world-not-listed", of("s1")),
        ("world-not-listed-plain", of("1")),
        ("world-unknown-plain", of("2")),
        ("world-awaits", of("s345")),
        ("world-awaits-not-listed", of("s3451")),
        ("world-book-only", of("s4")),
        ("world-nobody", of("d5")),
        ("world-nobody-card", of("d53")),
        ("world-author-nobody", of("dfws5")),
        ("world-no-structure", of("s45")),
        ("world-sender", of("s7")),
        ("world-reader", of("s8")),
        ("world-reader-wrapped", of("fws8")),
        ("world-null-sender", of("s9")),
    ]
}

fn value(attribute: &Attribute) -> Vec<u8> {
    attribute.values.first().expect("a value").clone()
}

/// With attributes that the signature covers.
fn saying(recipe: &str, values: &[Vec<u8>]) -> Vec<u8> {
    let sized = |value: &Vec<u8>| [&[u8::try_from(value.len()).expect("a short value")], value.as_slice()].concat();
    let values: Vec<u8> = values.iter().flat_map(sized).collect();
    [recipe.as_bytes(), b"\n", &values, &wire(TEXT)].concat()
}

fn sayings() -> Vec<Sample> {
    let reader = Address::parse(READER).expect("an address");
    let other = Address::parse("eva@ch-autre.test").expect("an address");
    let intended = value(&attributes::intended_recipients(&[&reader, &other]));
    let others = value(&attributes::intended_recipients(&[&other]));
    let known = |level| {
        value(&attributes::assurance(&Assurance { level, who: "Luc PETIT-TEST".into(), how: "carte CPE".into() }))
    };
    let three = |texts: [&str; 3]| der::sequence(&texts.map(der::utf8));
    let checkpoint = value(&attributes::checkpoint("gw.test\n1\nx"));
    let long = der::sequence(&[der::utf8(&"a".repeat(130))]);
    let pair = |address: &str, id: &[u8]| der::sequence(&[der::tlv(0x16, address.as_bytes()), id.to_vec()]);
    let emails = pair(READER, &reader_id());
    let strange = pair(READER, &der::sequence(&[der::sequence::<Vec<u8>>(&[]), der::integer(7)]));
    vec![
        ("emails", saying("rusg", &[emails.clone(), emails.clone()])),
        ("emails-inside", saying("rsg", std::slice::from_ref(&emails))),
        ("emails-outside", saying("usg", std::slice::from_ref(&emails))),
        ("emails-cbc", saying("rusb", &[emails.clone(), emails.clone()])),
        ("emails-strange", saying("rusg", &[strange.clone(), strange])),
        ("emails-other", saying("rusg8", &[pair("eva@ch-autre.test", &reader_id()), emails.clone()])),
        ("emails-address", saying("rs", &[pair("nobody", &reader_id())])),
        ("emails-odd", saying("rs", &[der::null()])),
        ("emails-odd-outside", saying("rusg", &[emails, der::null()])),
        ("says-all", saying("itks", &[intended.clone(), known(AssuranceLevel::Delegated), checkpoint.clone()])),
        ("says-authenticated", saying("ts", &[known(AssuranceLevel::Authenticated)])),
        ("says-organisation", saying("ts", &[known(AssuranceLevel::Organisation)])),
        ("says-vouched", saying("ts", &[known(AssuranceLevel::Vouched)])),
        ("says-system", saying("ts", &[known(AssuranceLevel::System)])),
        ("says-refused", saying("ts8i", &[known(AssuranceLevel::System), others.clone()])),
        ("says-card", saying("td", &[known(AssuranceLevel::Authenticated)])),
        ("says-others", saying("is", &[others])),
        ("says-long", saying("is", &[long])),
        ("says-lord", saying("ts", &[three(["lord", "a", "b"])])),
        ("says-two", saying("ts", &[der::sequence(&[der::utf8("system"), der::utf8("")])])),
        ("says-twice", saying("iis", &[intended.clone(), intended.clone()])),
        ("says-no-list", saying("is", &[der::null()])),
        ("says-no-text", saying("is", &[der::sequence(&[der::null()])])),
        ("says-latin", saying("ks", &[der::tlv(0x0c, &[0xff])])),
        ("says-behind", saying("ks", &[der::sequence(&[checkpoint])])),
        ("says-clear", saying("ic", &[intended])),
    ]
}

fn entities() -> Vec<Sample> {
    let typed = |recipe: &str, kind: &str| around(recipe, &format!("Content-Type: {kind}\n\nBonjour.\n"));
    let marked = format!(
        "From: \"z@ch-autre.test\" <{SENDER}>\nTo: <{READER}>\nReply-To: a@ailleurs.test\nContent-Type: text/plain; hp=\"cipher\"\nHP-Outer: To: x\n\nx\n"
    );
    let lf = |recipe: &str| [recipe.as_bytes(), b"\nContent-Type: text/plain\n\nBonjour.\nSuite\r\n\r\r\n"].concat();
    let long = [&b"sg\nContent-Type: text/plain\n\n"[..], &[b'x'; 900], b"\n"].concat();
    vec![
        ("marked", around("s", &marked)),
        ("marked-outside", around("s6", &marked)),
        ("marked-reader", around("s8", &marked)),
        ("marked-gcm", around("sg", &marked)),
        ("lf-gcm", lf("g")),
        ("lf-cbc", lf("b")),
        ("lf-signed", lf("s")),
        ("lf-long", long),
        ("wrap-coded", around("s", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQQ==\n")),
        (
            "wrap-global",
            around(
                "s",
                &format!("Content-Type: message/global\n\nFrom: <{SENDER}>\nTo: <{READER}>\nSubject: é\n\nx\n"),
            ),
        ),
        ("inner-container", typed("", "application/pkcs7-mime")),
        ("inner-compressed", {
            let compressed = der::sequence(&[oid("1.2.840.113549.1.9.16.1.9"), der::context(0, &[der::null()])]);
            [&b"s\n"[..], &part("application/pkcs7-mime", &compressed)].concat()
        }),
        (
            "inner-printable",
            around("s", "Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: quoted-printable\n\nx\n"),
        ),
        (
            "inner-base64",
            around("s", "Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\nA!\n"),
        ),
        (
            "inner-padding",
            around("s", "Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\nMAA=MAA=\n"),
        ),
        (
            "inner-identity",
            [&b"s\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n"[..], &[0x30, 0]]
                .concat(),
        ),
        (
            "signed-one-part",
            around(
                "",
                "Content-Type: multipart/signed; boundary=s; protocol=\"application/pkcs7-signature\"\n\n--s\n\nx\n--s--\n",
            ),
        ),
        ("signed-no-boundary", typed("", "multipart/signed; protocol=\"application/pkcs7-signature\"")),
        (
            "signed-three-parts",
            around("", "Content-Type: multipart/signed; boundary=s\n\n--s\n\nx\n--s\n\nx\n--s\n\nx\n--s--\n"),
        ),
        ("signed-other-part", around("", "Content-Type: multipart/signed; boundary=s\n\n--s\n\nx\n--s\n\nx\n--s--\n")),
        ("signed-other-kind", typed("", "multipart/signed; boundary=s; protocol=\"application/pgp-signature\"")),
        (
            "signed-garbage",
            around(
                "",
                "Content-Type: multipart/signed; boundary=s\n\n--s\n\nx\n--s\nContent-Type: application/pkcs7-signature\n\nx\n--s--\n",
            ),
        ),
        ("signed-nul", [&b"s\nContent-Type: text/plain\r\n\r\n"[..], &[0], b"\r\n"].concat()),
        ("signed-no-header", around("s", "Bonjour")),
        ("signed-bad-type", typed("s", "text")),
    ]
}

/// Whole messages, as our own gateways send them, and as others do. All say the same.
fn sealed() -> Vec<Sample> {
    let limits = Limits::default();
    let text = [b"Content-Type: text/plain\r\n\r\n", BODY].concat();
    let plain = [header().as_bytes(), &text].concat();
    let seal = |profile, to: &[&Certificate]| {
        let readers = [Address::parse(READER).expect("an address")];
        let request = SealRequest {
            message: &plain,
            recipients: &readers,
            signer: &*SIGNER,
            to,
            profile,
            inside: mail::Inside::Binary,
            at: NOW,
            assurance: None,
            extra: &[],
            authserv_id: US,
            subject: mail::DEFAULT_SUBJECT,
            limits: &limits,
        };
        [b"M\n", mail::seal(&request).expect("sealed").bytes.as_slice()].concat()
    };
    let (rsa, ec) = (DecryptionKey::certificate(&*READER_RSA), DecryptionKey::certificate(&*READER_EC));
    let mail = |entity: &[u8]| [b"M\n", header().as_bytes(), entity].concat();
    let signed = part("application/pkcs7-mime", &cms::sign(&text, &*SIGNER, NOW, &[]).expect("signed"));
    let beside = beside(&text, &cms::sign_detached(&text, &*DOCTOR, NOW, &[]).expect("signed"));
    let encrypted = |entity: &[u8], cipher| {
        mail(&part("application/pkcs7-mime", &cms::encrypt(entity, &[ec], cipher).expect("sealed")))
    };
    vec![
        ("sealed-gateway", seal(Profile::Gateway, &[ec])),
        ("sealed-client", seal(Profile::Client, &[rsa])),
        ("sealed-signed", seal(Profile::SignedOnly, &[])),
        ("sealed-cbc-clear", encrypted(&beside, ContentCipher::Aes256Cbc)),
        ("sealed-gcm-only", encrypted(&text, ContentCipher::Aes256Gcm)),
        ("sealed-cbc-only", encrypted(&text, ContentCipher::Aes256Cbc)),
        ("sealed-clear", mail(&beside)),
        ("sealed-opaque", mail(&signed)),
        ("sealed-nothing", [b"M\n", plain.as_slice()].concat()),
    ]
}

/// Signatures that do not verify, each for its own reason.
fn broken() -> Vec<Sample> {
    let text = wire(TEXT);
    let mail = |entity: &[u8]| [b"M\n", header().as_bytes(), entity].concat();
    let opaque = cms::sign(&text, &*SIGNER, NOW, &[]).expect("signed");
    let detached = cms::sign_detached(&text, &*SIGNER, NOW, &[]).expect("signed");
    let digest = hash(MessageDigest::sha256(), &text).expect("a digest");
    let without = |signers: &[Vec<u8>], digest: &str| {
        let content = der::sequence(&[oid("1.2.840.113549.1.7.1"), der::context(0, &[der::octet_string(&text)])]);
        let body = [der::integer(1), der::set_of(&[algorithm(digest, &[])]), content, der::set_of(signers)];
        let object = der::sequence(&[oid("1.2.840.113549.1.7.2"), der::context(0, &[der::sequence(&body)])]);
        mail(&part("application/pkcs7-mime", &object))
    };
    let attribute = |kind: &str, value: Vec<u8>| der::sequence(&[oid(kind), der::set_of(&[value])]);
    let signer = |serial: u64, digest_name: &str| {
        let issuer =
            der::sequence(&[pki::keys::SigningKey::certificate(&*SIGNER).issuer_der().to_vec(), der::integer(serial)]);
        let attributes = [
            attribute("1.2.840.113549.1.9.3", oid("1.2.840.113549.1.7.1")),
            attribute("1.2.840.113549.1.9.4", der::octet_string(&digest)),
        ];
        der::sequence(&[
            der::integer(1),
            issuer,
            algorithm(digest_name, &[]),
            der::context(0, &attributes),
            algorithm("1.2.840.10045.4.3.2", &[]),
            der::octet_string(&[7; 70]),
        ])
    };
    let sha256 = "2.16.840.1.101.3.4.2.1";
    vec![
        ("broken-content", mail(&beside(&text, &opaque))),
        ("broken-detached", mail(&part("application/pkcs7-mime", &detached))),
        ("broken-altered", mail(&beside(b"Content-Type: text/plain\r\n\r\nAutre.\r\n", &detached))),
        ("broken-signers", without(&[], sha256)),
        ("broken-unknown", without(&[signer(7, sha256)], sha256)),
        ("broken-sha1", without(&[signer(7, "1.3.14.3.2.26")], "1.3.14.3.2.26")),
        ("broken-signature", {
            let serial = pki::keys::SigningKey::certificate(&*SIGNER).serial();
            let number = serial.iter().fold(0u64, |sum, octet| (sum << 8) | u64::from(*octet));
            without(&[signer(number, sha256)], sha256)
        }),
    ]
}
