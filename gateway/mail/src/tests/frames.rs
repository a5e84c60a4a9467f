//! Frames of clear-signed mail: what is handed over is what the signature covers, in a frame of our own, and
//! a header counts as signed only where a signature covers it (A1, A2, A12, H8, H9).

use ident::Address;
use pki::cms::{self, ContentCipher};

use super::{
    forged::{ZOE, clear_signed, container, encrypted, mail, mixed, outcome, part, refused, signed, text, wrap},
    *,
};
use crate::{Access, HeaderOrigin, OpenFault, Opened, SignatureState, Verdict, media::MediaType, mime, open};

const READER: &str = "b@ch-autre.test";

fn opened(world: &World, message: &[u8]) -> Result<Opened, OpenFault> {
    open(message, Access::Keys(&[&world.reader]), &[], &Limits::default())
}

fn handed_over(world: &World, message: &[u8]) -> String {
    String::from_utf8(bytes(&opened(world, message).unwrap()).to_vec()).unwrap()
}

/// A clear-signed entity whose body is cut by `boundary`, with these octets before, behind and around.
struct Around<'a> {
    content_type: &'a str,
    fields: &'a str,
    before: &'a str,
    first: &'a str,
    behind: &'a str,
}

const PLAIN: Around<'static> =
    Around { content_type: "boundary=s", fields: "", before: "", first: "--s", behind: "--s--\n" };

fn around(world: &World, shape: &Around<'_>, entity: &[u8]) -> Vec<u8> {
    let Around { content_type, fields, before, first, behind } = shape;
    let signature = cms::sign_detached(entity, &world.doctor, NOW, &[]).unwrap();
    let head = format!(
        "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; {content_type}\n{fields}\n{before}{first}\n"
    );
    let signature = part(&signature, "application/pkcs7-signature; name=smime.p7s");
    [&wire(&head)[..], entity, b"\r\n--s\r\n", &signature, &wire(behind)].concat()
}

/// Finding 1: the preamble, the epilogue and the frame are whoever's; the reader gets none of them.
#[test]
fn nothing_around_the_signed_part_is_handed_over() {
    let world = World::new();
    let entity = text("bonjour");
    let evil = Around { before: "EVIL preamble\n", behind: "--s--  \nEVIL epilogue\n", ..PLAIN };
    let message = mail(ZOE, &around(&world, &Around { fields: "Content-Description: EVIL\n", ..evil }, &entity));
    let given = handed_over(&world, &message);
    assert!(!given.contains("EVIL") && !given.contains("\r\n--s\r\n"), "{given}");
    assert_eq!(given.matches(std::str::from_utf8(&entity).unwrap()).count(), 1);

    // Another reader finds the signed part first, and the signature behind it.
    let theirs = mail_parser::MessageParser::default().parse(given.as_bytes()).unwrap();
    assert_eq!((theirs.body_text(0).as_deref(), theirs.attachment_count()), (Some("bonjour\r\n"), 1));
    // It is the same at delivery, and whoever opens it again gets it again, signature and all.
    assert_eq!(handed_over(&world, &message), given);
    assert_eq!(handed_over(&world, given.as_bytes()), given);
    assert_eq!(refused(&world, given.as_bytes(), &world.trust()), refused(&world, &message, &world.trust()));
    let judgement = outcome(&world, given.as_bytes(), &world.trust(), None, &[READER]).unwrap();
    assert_eq!((judgement.verdict, judgement.signature), (Verdict::Accept, SignatureState::Valid));
}

/// The boundary of our frame depends on what is in it, and is nowhere inside.
#[test]
fn our_boundary_is_in_no_part() {
    let world = World::new();
    let boundary = |message: &[u8]| {
        let given = bytes(&opened(&world, message).unwrap());
        let limits = Limits::default();
        let block = crate::HeaderBlock::parse(&given, &limits).unwrap();
        let media = MediaType::of(&block).unwrap();
        assert_eq!(media.parameter("micalg"), Some("sha-256"));
        let boundary = media.boundary().unwrap().to_owned();
        assert_eq!(String::from_utf8_lossy(block.body()).matches(&format!("--{boundary}")).count(), 3);
        boundary
    };
    let one = boundary(&mail(ZOE, &clear_signed(&world.doctor, &text("bonjour"))));
    let other = boundary(&mail(ZOE, &clear_signed(&world.doctor, &text("bonsoir"))));
    assert_ne!(one, other);
}

/// Findings 1a to 1e: what one reader cuts here and another there is refused, whoever signed.
#[test]
fn frames_that_two_readers_cut_differently_are_refused() {
    let world = World::new();
    let good = text("bonjour");
    let evil = "Content-Type: text/html\n\nEVIL\n";
    let rows = [
        ("prefix in the preamble", Around { before: &format!("--sX\n{evil}"), ..PLAIN }),
        ("prefix with blanks behind it", Around { before: &format!("--s x\n{evil}"), ..PLAIN }),
        ("prefix in the epilogue", Around { behind: &format!("--s--\n--sX\n{evil}--s--\n"), ..PLAIN }),
        ("third part behind the end", Around { behind: &format!("--s--\n--s\n{evil}--s--\n"), ..PLAIN }),
        ("end that is no end", Around { behind: &format!("--s--x\n--s--\n{evil}"), ..PLAIN }),
        ("end with a form feed", Around { behind: &format!("--s--\x0c\n--s\n{evil}--s--\n"), ..PLAIN }),
        ("delimiter with a form feed", Around { first: "--s\x0c", ..PLAIN }),
        ("comment behind the boundary", Around { content_type: "boundary=s(x)", ..PLAIN }),
        ("comment before it", Around { content_type: "boundary=(x)s", ..PLAIN }),
        ("comment elsewhere", Around { content_type: "boundary=s; (;boundary=x) a=b", ..PLAIN }),
        ("backslash", Around { content_type: "boundary=\"\\s\"", ..PLAIN }),
        ("RFC 2231 value", Around { content_type: "boundary*=utf-8''s", ..PLAIN }),
        ("RFC 2231 sections", Around { content_type: "boundary*0=s", ..PLAIN }),
        ("RFC 2231 sections, coded", Around { content_type: "boundary*0*=utf-8''%73", ..PLAIN }),
        ("base64 around it all", Around { fields: "Content-Transfer-Encoding: base64\n", ..PLAIN }),
        ("quoted-printable", Around { fields: "Content-Transfer-Encoding: quoted-printable\n", ..PLAIN }),
    ];
    for (shape, frame) in &rows {
        let message = mail(ZOE, &around(&world, frame, &good));
        assert_eq!(refused(&world, &message, &world.trust()), "open:mime_malformed", "{shape}");
    }
    // In the signed part too: there its signer does it.
    let inside = mail(ZOE, &clear_signed(&world.doctor, &text("bonjour\n--sX\nContent-Type: text/html\n\nEVIL")));
    assert_eq!(refused(&world, &inside, &world.trust()), "open:mime_malformed");
    for encoding in ["7bit", "8BIT", "binary"] {
        let fields = format!("Content-Transfer-Encoding: {encoding}\n");
        let message = mail(ZOE, &around(&world, &Around { fields: &fields, ..PLAIN }, &good));
        assert_eq!(opened(&world, &message).map(|_| ()), Ok(()), "{encoding}");
    }
}

/// The same rule where nothing is signed: what only some readers take for a delimiter hides no signature.
#[test]
fn a_prefix_of_a_boundary_hides_no_signature() {
    let world = World::new();
    let signature = clear_signed(&world.doctor, &text("bonjour"));
    let hidden = |line: &str, entity: &[u8]| {
        let evil = [&wire(&format!("Content-Type: text/plain\n\nfaux\n{line}\n"))[..], entity].concat();
        mime::survey(&mixed(&[&evil]), &Limits::default())
    };
    assert_eq!(hidden("--mX", &signature), Err(crate::MailFault::Mime("boundary")));
    assert_eq!(hidden("--m x", &container(b"x")), Err(crate::MailFault::Mime("boundary")));
    assert!(hidden("--mX", b"text\r\n").is_ok());
    assert!(hidden("--nX", &signature).is_ok());
    // Software that derives inner boundaries from the outer one is read as it was meant.
    let nested = |inner: &str| {
        let text = format!(
            "Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: {inner}; boundary=m1\n\n--m1\n\ntext\n\
             --m1--\n--m\nContent-Type: text/html\n\nx\n--m--\n"
        );
        mime::survey(&wire(&text), &Limits::default())
    };
    assert_eq!(nested("multipart/alternative").map(|seen| (seen.parts, seen.inner_signature)), Ok((4, false)));
    assert!(nested("multipart/signed").unwrap().inner_signature);
    // Across the border of an attached message it would be another message's affair to one reader only.
    let attached = wire(
        "Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: message/rfc822\n\n\
         Content-Type: multipart/mixed; boundary=m1\n\n--m1\n\ntext\n--m1--\n--m--\n",
    );
    assert_eq!(mime::survey(&attached, &Limits::default()), Err(crate::MailFault::Mime("boundary")));
}

/// Finding 2: fields around the signed part are nobody's word, however they are dressed up.
#[test]
fn only_a_signature_protects_a_header() {
    let world = World::new();
    let gcm = ContentCipher::Aes256Gcm;
    let fields = "From: zoe@ch-exemple.test\r\nTo: c@ch-autre.test\r\nSubject: EVIL\r\n";
    let clear = clear_signed(&world.doctor, &text("bonjour"));
    let dressed = |hp: &str| {
        let entity = String::from_utf8(clear.clone()).unwrap();
        format!("{fields}{}", entity.replacen("multipart/signed;", &format!("multipart/signed; hp=\"{hp}\";"), 1))
    };
    let whole = format!("{fields}{}", std::str::from_utf8(&clear).unwrap()).replace("\r\n", "\n");
    let rows = [
        ("a: encrypted multipart with hp", encrypted(&world, dressed("cipher").as_bytes(), gcm), HeaderOrigin::Wire),
        ("b: encrypted message", encrypted(&world, &wrap(&whole), gcm), HeaderOrigin::Inside),
        ("c: signed multipart with hp", signed(&world.gateway, dressed("clear").as_bytes()), HeaderOrigin::Wire),
    ];
    for (shape, entity, origin) in rows {
        let opened = opened(&world, &mail(ZOE, &entity)).unwrap();
        assert_eq!(opened.header, origin, "{shape}");
        let given = String::from_utf8_lossy(&bytes(&opened)).into_owned();
        assert_eq!(given.contains("EVIL"), origin == HeaderOrigin::Inside, "{shape}: {given}");
    }
    // A16: the attacker's To names the reader, which is no statement of the signer.
    let message = [&wire("From: zoe@ch-exemple.test\nMIME-Version: 1.0\n")[..], &encrypted(&world, &wrap(&whole), gcm)];
    let judgement = outcome(&world, &message.concat(), &world.trust(), None, &["c@ch-autre.test"]).unwrap();
    assert!(judgement.reasons.iter().any(|reason| reason.code == "header_not_signed"), "{judgement:?}");
}

/// A2, H9: under a cipher without authentication everything that is handed over is signed.
#[test]
fn unauthenticated_encryption_releases_signed_octets_only() {
    let world = World::new();
    let cbc = ContentCipher::Aes256Cbc;
    let fields = "From: zoe@ch-exemple.test\nTo: b@ch-autre.test\nSubject: EVIL\n";
    // Behind the last delimiter is where a forger's blocks end up: it decides nothing, not even which refusal (A9).
    let evil = Around { before: "EVIL\n", fields: "Subject: EVIL\n", behind: "--s--\nEVIL\n", ..PLAIN };
    let framed = around(&world, &evil, &text("bonjour"));
    assert_eq!(refused(&world, &mail(ZOE, &encrypted(&world, &framed, cbc)), &world.trust()), "open:decryption_failed");
    let framed = around(&world, &Around { behind: "--s--\n", ..evil }, &text("bonjour"));
    let message = mail(ZOE, &encrypted(&world, &framed, cbc));
    let given = handed_over(&world, &message);
    assert!(given.contains("bonjour") && !given.contains("EVIL"), "{given}");
    let opaque = String::from_utf8(signed(&world.doctor, &text("bonjour"))).unwrap().replace("\r\n", "\n");
    let clear = String::from_utf8(clear_signed(&world.doctor, &text("bonjour"))).unwrap().replace("\r\n", "\n");
    for entity in [opaque, clear] {
        let wrapped = wrap(&format!("{fields}{entity}"));
        let message = mail(ZOE, &encrypted(&world, &wrapped, cbc));
        assert_eq!(refused(&world, &message, &world.trust()), "open:decryption_failed");
    }
}

/// RFC 9788: a clear-signed part with the fields of its message.
fn protected(world: &World, hp: &str, subject: &str) -> Vec<u8> {
    let part = format!(
        "From: zoe@ch-exemple.test\nTo: b@ch-autre.test\nSubject: {subject}\nMessage-ID: <1@x>\n\
         HP-Outer: Subject: x\nContent-Type: text/plain; hp=\"{hp}\"\n\nbonjour\n"
    );
    clear_signed(&world.doctor, &wire(&part))
}

/// Finding 5: protected fields inside a clear-signed part are the message's header.
#[test]
fn signed_fields_of_a_clear_signed_part_are_the_header() {
    let world = World::new();
    for hp in ["clear", "cipher"] {
        let entity = protected(&world, hp, "Signed");
        let outer = |fields: &str| [&wire(&format!("{fields}MIME-Version: 1.0\n"))[..], &entity].concat();
        let good = "From: zoe@ch-exemple.test\nTo: b@ch-autre.test\nMessage-ID: <1@x>\n";
        let message = outer(&format!("{good}Subject: EVIL\nReply-To: evil@tiers.test\nX-Evil: EVIL\n"));
        let judged = opened(&world, &message).unwrap();
        assert_eq!(judged.header, HeaderOrigin::Signed);
        let given = String::from_utf8_lossy(&bytes(&judged)).into_owned();
        let (header, _) = given.split_once("\r\n\r\n").unwrap();
        assert!(header.contains("Subject: Signed\r\n") && !header.contains("EVIL") && !header.contains("evil"));
        assert!(!header.contains("HP-Outer") && header.matches("Content-Type").count() == 1, "{header}");
        assert_eq!(handed_over(&world, given.as_bytes()), given, "{hp}");

        let first = |fields: &str, to: &str| {
            let judgement = outcome(&world, &outer(fields), &world.trust(), None, &[to]).unwrap();
            let code = judgement.reasons.first().map_or("none", |reason| reason.code);
            format!("{:?}:{code}", judgement.verdict)
        };
        let noted = if hp == "clear" { "Accept:outer_fields_differ" } else { "Accept:none" };
        assert_eq!(first(&format!("{good}Subject: EVIL\n"), READER), noted);
        assert_eq!(first(&format!("{good}Subject: =?utf-8?Q?Signed?=\n"), READER), "Accept:none");
        // Re-addressed, to somebody whom the signed header does not name.
        assert_eq!(first(&format!("{good}Subject: Signed\n"), "c@ch-autre.test"), "Refuse:recipient_not_named");
        let rows = [
            ("From: zoe@ch-exemple.test\nTo: c@ch-autre.test\n", "Refuse:outer_to_differs"),
            ("From: zoe@ch-exemple.test\nCc: c@ch-autre.test\n", "Refuse:outer_to_differs"),
            ("From: zoe@ch-exemple.test\nMessage-ID: <2@x>\n", "Refuse:outer_message_id_differs"),
            ("From: labo@ch-exemple.test\n", "Refuse:outer_from_differs"),
        ];
        for (fields, expected) in rows {
            assert_eq!(first(&format!("{fields}Subject: Signed\n"), READER), expected);
        }
    }
    // Only what RFC 9788 knows counts.
    let message = mail(ZOE, &protected(&world, "other", "Signed"));
    assert_eq!(opened(&world, &message).unwrap().header, HeaderOrigin::Wire);
}

/// Finding 6: a signature that covers no header says nothing about subject, date and recipients, and the
/// reader is told.
#[test]
fn the_reader_is_told_which_header_is_signed() {
    let world = World::new();
    let codes = |message: &[u8], to: &str| {
        let judgement = outcome(&world, message, &world.trust(), None, &[to]).unwrap();
        assert_eq!(judgement.verdict, Verdict::Accept, "{judgement:?}");
        let codes: Vec<_> = judgement.reasons.iter().map(|reason| reason.code).collect();
        (codes, judgement.notice())
    };
    for entity in [signed(&world.doctor, &text("bonjour")), clear_signed(&world.doctor, &text("bonjour"))] {
        let message = mail(ZOE, &entity);
        let (said, notice) = codes(&message, READER);
        assert_eq!(said, ["header_not_signed"]);
        assert_eq!(
            notice.fr,
            "Signé par Médecin Zoé MARTIN-TEST (texte et pièces jointes ; ni objet, ni date, ni destinataires)"
        );
        assert_eq!(
            notice.en,
            "Signed by Médecin Zoé MARTIN-TEST (text and attachments; not subject, date or recipients)"
        );
        assert_eq!(codes(&message, "c@ch-autre.test").0, ["header_not_signed", "recipient_not_shown"]);
    }
    let whole = "From: zoe@ch-exemple.test\nTo: b@ch-autre.test\n\nbonjour\n";
    let message = [&wire("From: zoe@ch-exemple.test\nMIME-Version: 1.0\n")[..], &signed(&world.doctor, &wrap(whole))];
    let (said, notice) = codes(&message.concat(), READER);
    assert_eq!((said, notice.fr.as_str()), (vec![], "Signé par Médecin Zoé MARTIN-TEST"));
    // Without any envelope nobody is missing.
    let recipients: [Address; 0] = [];
    let opened = opened(&world, &mail(ZOE, &signed(&world.doctor, &text("bonjour")))).unwrap();
    let judgement = crate::judge(&opened, &crate::Envelope { sender: None, recipients: &recipients }, &world.trust());
    assert_eq!(judgement.reasons.iter().map(|reason| reason.code).collect::<Vec<_>>(), ["header_not_signed"]);
}
