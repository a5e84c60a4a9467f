//! Who speaks, and for whom: A13, A16, A17, A24.

use pki::{
    cms::{self, Attribute, ContentCipher},
    der,
    issue::{NamePart, SubjectName},
};

use super::{
    Cast, Row, forged,
    tree::{Tree, changed},
    *,
};
use crate::{BoundBy, Envelope, Judgement, annotate, attributes, judge, open, recipient_emails::RECIPIENT_EMAILS};

const GCM: ContentCipher = ContentCipher::Aes256Gcm;

fn row(form: &'static str, got: String, expected: &'static str) -> Row {
    Row { form, got, expected }
}

pub(super) fn a13(cast: &Cast) -> Vec<Row> {
    let (world, good) = (&cast.world, text("bonjour"));
    let by = |signer: &FileKey, from: &str| cast.says(&mail(from, &signed(signer, &good)));
    let validity = Validity::days(NOW, 3650);
    let root = Authority::root(&AuthorityRequest::new("RACINE EXEMPLE", KeyAlgorithm::P256, validity)).unwrap();
    // A common name is no address, whoever certified it.
    let named = |parts: &[(NamePart, &str)]| {
        let profile = Kind::Custom { subject: SubjectName::french().with_set(parts), extensions: vec![] };
        root.issue(&CertificateRequest::new(profile, KeyAlgorithm::P256, validity)).unwrap().file_key().unwrap()
    };
    let common_name = named(&[(NamePart::CommonName, ZOE)]);
    let trusting = Fake {
        valid: HashMap::from([(common_name.certificate().fingerprint(), vec![Purpose::Email, Purpose::Person])]),
        ..world.trust()
    };
    let inner = "From: zoe@ch-exemple.test\nTo: b@ch-autre.test\n\nbonjour\n";
    let outer = |header: &str| {
        let entity = signed(&world.gateway, &forged::wrap(inner));
        cast.says(&[&wire(&format!("{header}MIME-Version: 1.0\n"))[..], &entity].concat())
    };
    const UNBOUND: &str = "Refuse:from_not_bound";
    vec![
        row("a person for a colleague", by(&world.doctor, "yves@ch-exemple.test"), UNBOUND),
        row("a domain for another", by(&world.gateway, "zoe@tiers.test"), UNBOUND),
        row("a mailbox for its neighbour", by(&world.mailbox, "chef@tiers.test"), UNBOUND),
        row("the address as a display name", by(&world.doctor, "\"zoe@ch-exemple.test\" <chef@tiers.test>"), UNBOUND),
        row(
            "the address as an encoded display name",
            by(&world.doctor, "=?utf-8?q?zoe=40ch-exemple.test?= <chef@tiers.test>"),
            UNBOUND,
        ),
        row(
            "the signer in Sender only",
            by(&world.doctor, "chef@ch-exemple.test\r\nSender: zoe@ch-exemple.test"),
            UNBOUND,
        ),
        row(
            "two mailboxes in From",
            by(&world.doctor, "zoe@ch-exemple.test, chef@ch-exemple.test"),
            "open:not_one_mailbox",
        ),
        row("a group in From", by(&world.doctor, "equipe: zoe@ch-exemple.test;"), "open:not_one_mailbox"),
        row(
            "two From fields",
            by(&world.doctor, "zoe@ch-exemple.test\r\nFrom: chef@ch-exemple.test"),
            "open:duplicate_field",
        ),
        row(
            "an address in a comment",
            by(&world.doctor, "chef@tiers.test (zoe@ch-exemple.test)"),
            "open:address_malformed",
        ),
        row(
            "an address in the quotes of another",
            by(&world.doctor, "\"zoe@ch-exemple.test x\"@tiers.test"),
            "open:address_malformed",
        ),
        row(
            "the same, in Sender",
            by(&world.doctor, "zoe@ch-exemple.test\r\nSender: \"zoe@ch-exemple.test, x\"@tiers.test"),
            "open:address_malformed",
        ),
        row(
            "an address as a common name",
            refused(world, &mail(ZOE, &signed(&common_name, &good)), &trusting),
            UNBOUND,
        ),
        row("another From outside", outer("From: chef@ch-exemple.test\n"), "Refuse:outer_from_differs"),
        row(
            "an operator that is not listed for it",
            cast.says(&mail("zoe@ailleurs.test", &good)),
            "Refuse:operator_not_listed",
        ),
    ]
}

/// What the judge says of this message for this recipient.
fn judged(cast: &Cast, message: &[u8], to: &str) -> Judgement {
    let opened = open(message, crate::Access::Keys(&[&cast.world.reader]), &[], &Limits::default()).unwrap();
    judge(&opened, &Envelope { sender: None, recipients: &[address(to)] }, &cast.world.trust())
}

fn first(judgement: &Judgement) -> String {
    format!("{:?}:{}", judgement.verdict, judgement.reasons.first().map_or("none", |reason| reason.code))
}

/// A message of the German profile: recipient-emails under the signature, and beside the ciphertext.
struct Kim {
    signed: Option<Vec<Vec<u8>>>,
    beside: Option<Vec<Vec<u8>>>,
    strangers: usize,
}

fn pair(address: &str, identifier: &[u8]) -> Vec<u8> {
    der::sequence(&[der::tlv(der::tag::IA5_STRING, address.as_bytes()), identifier.to_vec()])
}

/// The identifier of our own reader, as its entry has it.
fn ours(cast: &Cast) -> Vec<u8> {
    Tree::of(&cast.sealed(GCM)).at(&[1, 0, 1, 0, 3, 0, 0]).der()
}

impl Kim {
    fn message(&self, cast: &Cast) -> Vec<u8> {
        let extra: Vec<Attribute> = self
            .signed
            .iter()
            .map(|values| Attribute { oid: RECIPIENT_EMAILS.into(), values: values.clone() })
            .collect();
        let content = forged::wrap("From: zoe@ch-exemple.test\nTo: b@ch-autre.test\n\nbonjour\n");
        let container = cms::sign(&content, &cast.world.gateway, NOW, &extra).unwrap();
        let mut to = vec![cast.world.reader.certificate()];
        to.extend(std::iter::repeat_n(cast.world.other_reader.certificate(), self.strangers));
        let sealed = cms::encrypt(&in_base64(&container), &to, GCM).unwrap();
        let sealed = changed(&sealed, |tree| {
            if let Some(values) = &self.beside {
                let attribute = der::sequence(&[der::oid(RECIPIENT_EMAILS).unwrap(), der::set_of(values)]);
                tree.at(&[1, 0]).push(Tree::of(&der::context(2, &[attribute])));
            }
        });
        let head =
            wire("From: zoe@ch-exemple.test\nTo: b@ch-autre.test\nSubject: KOM-LE-Nachricht\nMIME-Version: 1.0\n");
        [&head[..], &in_base64(&sealed)].concat()
    }

    fn says(&self, cast: &Cast, to: &str) -> String {
        first(&judged(cast, &self.message(cast), to))
    }
}

pub(super) fn a16(cast: &Cast) -> Vec<Row> {
    let message = wire("From: zoe@ch-exemple.test\nTo: b@ch-autre.test\n\nbonjour\n");
    let sealed = cast.world.seal(&message, &["b@ch-autre.test"], Profile::Gateway).unwrap().bytes;
    let blind = cast.world.seal(&message, &["cache@ch-autre.test"], Profile::Gateway).unwrap().bytes;
    let wrapped = forged::wrap("From: zoe@ch-exemple.test\nTo: b@ch-autre.test\n\nx\n");
    let foreign = |header: &str, extra: &[Attribute]| {
        let container = cms::sign(&wrapped, &cast.world.gateway, NOW, extra).unwrap();
        [&wire(&format!("From: zoe@ch-exemple.test\n{header}MIME-Version: 1.0\n"))[..], &in_base64(&container)].concat()
    };
    let mut twice = attributes::intended_recipients(&[&address("b@ch-autre.test")]);
    twice.values.push(attributes::intended_recipients(&[]).values.remove(0));
    let us = ours(cast);
    let b = || vec![pair("b@ch-autre.test", &us)];
    let kim = |signed: Option<Vec<Vec<u8>>>, beside, strangers| Kim { signed, beside, strangers };
    const DIFFER: &str = "Refuse:recipient_emails_differ";
    vec![
        row(
            "sealed again for somebody else",
            first(&judged(cast, &sealed, "c@ch-autre.test")),
            "Refuse:recipient_not_intended",
        ),
        row(
            "a blind copy to another",
            first(&judged(cast, &blind, "autre@ch-autre.test")),
            "Refuse:recipient_not_intended",
        ),
        row(
            "to nobody whom To and Cc name",
            first(&judged(cast, &foreign("", &[]), "c@ch-autre.test")),
            "Refuse:recipient_not_named",
        ),
        row("another To outside", cast.says(&foreign("To: c@ch-autre.test\n", &[])), "Refuse:outer_to_differs"),
        row(
            "another Cc outside",
            cast.says(&foreign("To: b@ch-autre.test\nCc: c@ch-autre.test\n", &[])),
            "Refuse:outer_cc_differs",
        ),
        row("recipients signed twice", cast.says(&foreign("", &[twice])), "Refuse:signed_attributes_malformed"),
        row("KIM, sound", kim(Some(b()), Some(b()), 0).says(cast, "b@ch-autre.test"), "Accept:none"),
        row(
            "KIM, to an address that is not among them",
            kim(Some(b()), Some(b()), 0).says(cast, "c@ch-autre.test"),
            "Refuse:recipient_not_intended",
        ),
        row(
            "KIM, another address beside",
            kim(Some(b()), Some(vec![pair("c@ch-autre.test", &us)]), 0).says(cast, "b@ch-autre.test"),
            DIFFER,
        ),
        row("KIM, none beside", kim(Some(b()), None, 0).says(cast, "b@ch-autre.test"), DIFFER),
        row("KIM, none signed", kim(None, Some(b()), 0).says(cast, "b@ch-autre.test"), DIFFER),
        row("KIM, one recipient more", kim(Some(b()), Some(b()), 1).says(cast, "b@ch-autre.test"), DIFFER),
        row(
            "KIM, another certificate in both",
            kim(
                Some(vec![pair("b@ch-autre.test", &der::sequence(&[der::integer(1)]))]),
                Some(vec![pair("b@ch-autre.test", &der::sequence(&[der::integer(1)]))]),
                0,
            )
            .says(cast, "b@ch-autre.test"),
            DIFFER,
        ),
        row(
            "KIM, unreadable under the signature",
            kim(Some(vec![der::null()]), Some(b()), 0).says(cast, "b@ch-autre.test"),
            "Refuse:signed_attributes_malformed",
        ),
    ]
}

pub(super) fn a17(cast: &Cast) -> Vec<Row> {
    let kept = "From: zoe@ch-exemple.test\nTo: b@ch-autre.test\n\nX-Sceau-Verdict: in the body\n";
    let judgement = judged(cast, &mail("x@tiers.test", &text("x")), "b@ch-autre.test");
    let forged = |field: &str| {
        let out = annotate(&wire(&format!("{field}{kept}")), &judgement, US, &Limits::default()).unwrap();
        let ours = crate::result_fields(&judgement, US);
        let clean = out == [ours.as_bytes(), &wire(kept)].concat();
        format!("only ours: {clean}")
    };
    // Below seal and signature as well: whoever signs does not judge.
    let inside = wire(&format!("X-Sceau-Verdict: accept\n{kept}"));
    let sealed =
        cms::sign(&[&b"Content-Type: message/rfc822\r\n\r\n"[..], &inside].concat(), &cast.world.gateway, NOW, &[])
            .unwrap();
    let opened = open(&mail(ZOE, &in_base64(&sealed)), crate::Access::Keys(&[]), &[], &Limits::default()).unwrap();
    let out = annotate(&bytes(&opened), &judgement, US, &Limits::default()).unwrap();
    let below = out == [crate::result_fields(&judgement, US).as_bytes(), &wire(kept)].concat();
    const CLEAN: &str = "only ours: true";
    vec![
        row("our verdict", forged("X-Sceau-Verdict: accept\n"), CLEAN),
        row("in another case", forged("x-SCEAU-Verdict: accept\n"), CLEAN),
        row("a field that we do not write", forged("X-Sceau-Anything: accept\n"), CLEAN),
        row(
            "encoded and folded",
            forged("X-Sceau-Notice: =?utf-8?q?Sign=C3=A9?=\n =?utf-8?q?_par_Dr_FAUX-TEST?=\n"),
            CLEAN,
        ),
        row("our name as authenticator", forged(&format!("Authentication-Results: {US}; smime=pass\n")), CLEAN),
        row(
            "our name in another case, folded",
            forged("authentication-results:\n\tGW.CH-AUTRE.test 1;\n smime=pass\n"),
            CLEAN,
        ),
        row(
            "our name quoted, behind a comment",
            forged(&format!("Authentication-Results: (x) \"{US}\"; smime=pass\n")),
            CLEAN,
        ),
        row("our name with a final dot", forged(&format!("Authentication-Results: {US}.; smime=pass\n")), CLEAN),
        row("our name encoded", forged(&format!("Authentication-Results: =?utf-8?q?{US}?=; smime=pass\n")), CLEAN),
        row("an unclosed comment", forged(&format!("Authentication-Results: (open {US}; smime=pass\n")), CLEAN),
        row("in a chain", forged(&format!("ARC-Authentication-Results: i=1; {US}; smime=pass\n")), CLEAN),
        row("twice", forged("X-Sceau-Verdict: accept\nX-Sceau-Verdict: accept\n"), CLEAN),
        row("under a good signature", format!("only ours: {below}"), CLEAN),
    ]
}

pub(super) fn a24(cast: &Cast) -> Vec<Row> {
    let (world, good) = (&cast.world, text("bonjour"));
    let from = |address: &str, trust: &Fake| refused(world, &mail(address, &encrypted(world, &good, GCM)), trust);
    let alone = Fake { operator: None, ..world.trust() };
    // A recipient knows the content key: it changes the text, and every tag is right.
    let mut altered = cast.signed();
    let at = altered.windows(7).position(|window| window == b"bonjour").unwrap();
    altered[at] = b'B';
    let without = encrypted(world, &forged::clear_signed(&world.doctor, &good).split_off(0), GCM);
    let stripped = {
        let clear = String::from_utf8(forged::clear_signed(&world.doctor, &good)).unwrap();
        let unsigned = clear
            .replace("multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256", "multipart/mixed");
        encrypted(world, unsigned.as_bytes(), GCM)
    };
    let opened = open(
        &mail("x@tiers.test", &encrypted(world, &good, GCM)),
        crate::Access::Keys(&[&world.reader]),
        &[],
        &Limits::default(),
    );
    let judgement = judge(&opened.unwrap(), &Envelope { sender: None, recipients: &[] }, &world.trust());
    let words = format!("{:?} {}", judgement.bound_by == Some(BoundBy::Operator), judgement.notice().en);
    vec![
        row("sealed by nobody", from("x@tiers.test", &alone), "Refuse:unsigned"),
        row(
            "sealed, from a domain of another operator",
            from("x@ailleurs.test", &world.trust()),
            "Refuse:operator_not_listed",
        ),
        row("what its reader is told", words, "true Operator authenticated, message not signed"),
        row(
            "changed by another recipient",
            cast.says(&mail(ZOE, &encrypted(world, &in_base64(&altered), GCM))),
            "Refuse:altered",
        ),
        row("its signature taken off", cast.says(&mail(ZOE, &stripped)), "Refuse:signature_not_root"),
        row("its signature in place, for comparison", cast.says(&mail(ZOE, &without)), "Accept:none"),
    ]
}
