//! Header protection (RFC 9788): what is seen outside, what `HP-Outer` says of it, what the reader gets.

use super::*;
use crate::{Access, Envelope, HeaderBlock, Signature, Verdict, judge, media::MediaType, open};

/// Every field that practice software may write; what is confidential is obviously so.
const MESSAGE: &str = "Date: Sat, 21 Nov 2026 22:57:00 +0000\n\
    From: Zoe SECRET-TEST <zoe@ch-exemple.test>\n\
    Sender: SECRET <secretariat@ch-exemple.test>\n\
    Reply-To: secret@ch-exemple.test\n\
    To: Anne SECRET <b@ch-autre.test>\n\
    Cc: Luc SECRET <c@tiers.test>\n\
    Subject: SECRET\n\
    Comments: SECRET\n\
    Comments: SECRET too\n\
    Keywords: SECRET\n\
    Message-ID: <1@ch-exemple.test>\n\
    In-Reply-To: <secret@ch-autre.test>\n\
    References: <secret@ch-autre.test>\n\
    Importance: SECRET\n\
    X-MSS-Patient: SECRET\n\
    Disposition-Notification-To: secret@ch-exemple.test\n\
    MIME-Version: 1.0\n\
    Content-Type: text/plain; charset=us-ascii\n\
    Content-Description: SECRET\n\
    \n\
    Bonjour.\n";

/// What may be seen outside, and with which value.
const OUTSIDE: [(&str, &str); 6] = [
    ("Date", "Sat, 21 Nov 2026 22:57:00 +0000"),
    ("From", "<zoe@ch-exemple.test>"),
    ("To", "<b@ch-autre.test>"),
    ("Cc", "<c@tiers.test>"),
    ("Subject", "[...]"),
    ("Message-ID", "<1@ch-exemple.test>"),
];
/// What says what the octets are, and nothing of the message (RFC 9788 §1.1.1, structural).
const STRUCTURAL: [&str; 4] = ["MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition"];

fn fields(octets: &[u8]) -> Vec<(String, String)> {
    let limits = Limits::default();
    let block = HeaderBlock::parse(octets, &limits).unwrap();
    let pair = |field: &crate::Field<'_>| (field.name().to_owned(), field.value().trim().to_owned());
    block.fields().iter().map(pair).collect()
}

fn sealed(world: &World, profile: Profile) -> Vec<u8> {
    let message = wire(MESSAGE);
    let certificates: &[&Certificate] =
        if profile == Profile::SignedOnly { &[] } else { &[world.reader.certificate()] };
    let request = SealRequest {
        message: &message,
        recipients: &[address("b@ch-autre.test")],
        signer: &world.gateway,
        to: certificates,
        profile,
        inside: crate::Inside::Binary,
        at: NOW,
        assurance: None,
        extra: &[],
        authserv_id: US,
        subject: "[...]",
        limits: &Limits::default(),
    };
    seal(&request).unwrap().bytes
}

/// The entity that is signed, as any S/MIME program finds it: one decryption and one signature deep.
fn payload(world: &World, sealed: &[u8]) -> Vec<u8> {
    let limits = Limits::default();
    let body = |octets: &[u8]| {
        let block = HeaderBlock::parse(octets, &limits).unwrap();
        let encoding = crate::media::TransferEncoding::of(&block).unwrap();
        crate::mime::decode(block.body(), encoding).unwrap().into_owned()
    };
    let encrypted = body(sealed);
    let opened = pki::cms::open(&encrypted, &[&world.reader]).unwrap();
    let signed = body(&opened.content);
    pki::cms::verify(&signed, None, &[]).unwrap().content.into_owned()
}

/// Baseline confidentiality policy and more: the subject is a constant, comments and keywords are gone, and so
/// is everything that the envelope does not say anyway. In every profile.
#[test]
fn nothing_confidential_is_seen_outside() {
    let world = World::new();
    for profile in [Profile::Gateway, Profile::Client, Profile::SignedOnly] {
        let sealed = sealed(&world, profile);
        let mut seen = fields(&sealed);
        seen.retain(|(name, _)| !STRUCTURAL.contains(&name.as_str()));
        let expected = OUTSIDE.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(seen, expected, "{profile:?}");
        let header = String::from_utf8(sealed).unwrap();
        assert!(!header.split("\r\n\r\n").next().unwrap().to_lowercase().contains("secret"), "{profile:?}");
    }
}

/// RFC 9788 §2.1.1, §2.2, §5.2: `hp="cipher"` on the payload, one `HP-Outer` for each non-structural field outside
/// with its very value, and the whole original header beside them.
#[test]
fn the_payload_says_what_was_seen_outside() {
    let world = World::new();
    let sealed = sealed(&world, Profile::Client);
    let payload = payload(&world, &sealed);
    let inside = fields(&payload);
    let outer: Vec<_> = inside.iter().filter(|(name, _)| name == "HP-Outer").map(|(_, value)| value.clone()).collect();
    let expected: Vec<String> = OUTSIDE.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(outer, expected);
    let limits = Limits::default();
    let block = HeaderBlock::parse(&payload, &limits).unwrap();
    assert_eq!(MediaType::of(&block).unwrap().parameter("hp"), Some("cipher"));
    let message = wire(MESSAGE);
    for (name, value) in fields(&message).into_iter().filter(|(name, _)| name != "Content-Type") {
        assert!(inside.contains(&(name.clone(), value)), "{name}");
    }
    // A field of that name in the message itself would speak for us: it does not get there.
    assert_eq!(inside.len(), fields(&message).len() + OUTSIDE.len());
    assert_eq!(payload.windows(12).filter(|window| *window == b"hp=\"cipher\"\r\n"[..12].as_ref()).count(), 1);
}

/// Both forms, ours and a stranger's, give the message that was written, with the header that was signed.
#[test]
fn both_forms_of_protected_headers_are_read_back() {
    let world = World::new();
    let envelope = |opened: &crate::Opened| {
        judge(opened, &Envelope { sender: None, recipients: &[address("b@ch-autre.test")] }, &world.trust())
    };
    for profile in [Profile::Gateway, Profile::Client, Profile::SignedOnly] {
        let sealed = sealed(&world, profile);
        let opened = open(&sealed, Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes(&opened)), String::from_utf8_lossy(&wire(MESSAGE)), "{profile:?}");
        assert_eq!(envelope(&opened).verdict, Verdict::Accept, "{profile:?}");
    }
    // A mail client's own form: its fields in another order, another confidentiality policy, the legacy wrap.
    let header =
        "From: <zoe@ch-exemple.test>\nTo: <b@ch-autre.test>\nSubject: SECRET\nMessage-ID: <3@ch-exemple.test>\n";
    let hp = format!(
        "Content-Type: text/plain; hp=cipher; charset=utf-8\n{header}HP-Outer: Subject: [...]\n\
         HP-Outer: From: <zoe@ch-exemple.test>\nHP-Outer: To: <b@ch-autre.test>\nHP-Outer: Message-ID: <3@ch-exemple.test>\n\nBonjour.\n"
    );
    let wrap = format!("Content-Type: message/rfc822\n\n{header}Content-Type: text/plain\n\nBonjour.\n");
    for payload in [hp, wrap] {
        let signed = pki::cms::sign(&wire(&payload), &world.gateway, NOW, &[]).unwrap();
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signed);
        let lines: Vec<&str> = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let message = format!(
            "From: <zoe@ch-exemple.test>\nTo: <b@ch-autre.test>\nSubject: [...]\nMessage-ID: <3@ch-exemple.test>\n\
             Content-Type: application/pkcs7-mime; smime-type=signed-data\nContent-Transfer-Encoding: base64\n\n{}\n",
            lines.join("\n")
        );
        let opened = open(&wire(&message), Access::Keys(&[]), &[], &Limits::default()).unwrap();
        assert!(matches!(opened.signature, Signature::Good(_)));
        let inner = String::from_utf8(bytes(&opened).to_vec()).unwrap();
        assert!(inner.contains("Subject: SECRET\r\n") && !inner.contains("[...]"), "{inner}");
        assert_eq!(envelope(&opened).verdict, Verdict::Accept);
    }
}

/// A16, A22: the signature names everybody whom the header shows and the one blind recipient of this body, and
/// nobody whom another body is for.
#[test]
fn the_signature_names_the_visible_recipients_and_this_bodys_blind_one() {
    let world = World::new();
    let message = wire(MESSAGE);
    for (to, blind) in [
        ("b@ch-autre.test", None),
        ("x@ch-autre.test", Some("x@ch-autre.test")),
        ("y@ch-autre.test", Some("y@ch-autre.test")),
    ] {
        let sealed = world.seal(&message, &[to], Profile::Gateway).unwrap();
        let opened = open(&sealed.bytes, Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap();
        let Signature::Good(signed) = &opened.signature else { panic!("{:?}", opened.signature) };
        let expected: Vec<&str> = ["b@ch-autre.test", "c@tiers.test"].into_iter().chain(blind).collect();
        assert_eq!(signed.said.intended.as_deref().unwrap(), expected);
    }
}

/// RFC 9788 §2.1.2: what repeats the hidden fields in the text, for programs that know no header protection, is text
/// like any: it is handed over as it was signed, under the protected fields (specs/deviations.md).
#[test]
fn what_repeats_hidden_fields_in_the_text_stays_where_it_is() {
    let world = World::new();
    let text = MESSAGE
        .replace("text/plain; charset=us-ascii", "text/plain; charset=us-ascii; hp-legacy-display=\"1\"")
        .replace("\n\nBonjour.", "\n\nSubject: AUTRE\n\nBonjour.");
    let message = wire(&text);
    let request = SealRequest {
        message: &message,
        recipients: &[address("b@ch-autre.test")],
        signer: &world.gateway,
        to: &[world.reader.certificate()],
        profile: Profile::Client,
        inside: crate::Inside::Binary,
        at: NOW,
        assurance: None,
        extra: &[],
        authserv_id: US,
        subject: "[...]",
        limits: &Limits::default(),
    };
    let sealed = seal(&request).unwrap().bytes;
    let opened = open(&sealed, Access::Keys(&[&world.reader]), &[], &Limits::default()).unwrap();
    let shown = String::from_utf8(bytes(&opened).to_vec()).unwrap();
    let (header, body) = shown.split_once("\r\n\r\n").unwrap();
    assert!(header.contains("\r\nSubject: SECRET\r\n") && !header.contains("AUTRE"), "{header}");
    assert!(header.contains("hp-legacy-display=\"1\"") && !header.contains("hp=\"cipher\""), "{header}");
    assert_eq!(body, "Subject: AUTRE\r\n\r\nBonjour.\r\n");
    assert_eq!(opened.header, crate::HeaderOrigin::Signed);
}
