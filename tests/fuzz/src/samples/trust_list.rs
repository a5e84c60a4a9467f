//! Trust lists: words to be written, texts to be signed, and documents, changed after signing.

use pki::{
    certificate::Certificate,
    der::{self, tag},
    keys::{FileKey, SigningKey},
    trust_list::sign_written_list,
};

use super::Sample;
use crate::{
    forge::{self, extension, name, place, set},
    targets::trust_list::{NAMESPACE, ROOT, profile},
    world::{self, NOW, PUBLISHER},
};

/// All of them.
pub fn all() -> Vec<Sample> {
    [words(), texts(), attacks(), forms(), signers()].concat()
}

fn words() -> Vec<Sample> {
    let words = |text: &str| format!("w{text}").into_bytes();
    vec![
        (
            "words",
            words(
                "ch-exemple.test|CH Exemple <Test> & fils|CN=mx.ch-exemple.test, OU=1990000001, O=CH, C=FR\n\
                 santé.test|é|CN=a.test,C=FR|CN=b.test,C=FR\n",
            ),
        ),
        (
            "words-escapes",
            words(
                "a.test|x|CN=a\\,b\\C3\\A9\\\"c, O=\"x, y\"; ST=Paris (75)+OID.2.5.4.5=7\n\
                 b.test|x|CN=x, suite, et fin\nc.test|x|CN=\\C3\nd.test|x|CN=,C=FR\ne.test|x|x\nf.test|x|CN=a\\\n\
                 g.test|x|CN=a, ,C=FR\nh.test|x|\ni..test|x|CN=a\nj.test|x|1.2.3=a+oid.1.2.4=b\n",
            ),
        ),
        ("words-none", words("")),
    ]
}

fn domain(inside: &str) -> String {
    format!("<Domaine>{inside}</Domaine>")
}

fn list(inside: &str) -> String {
    format!("<{ROOT} xmlns=\"{NAMESPACE}\"><DateDeGeneration>2026-09-01T04:00:00Z</DateDeGeneration>{inside}")
}

const PLAIN: &str = "<Nom>ch-exemple.test</Nom><DNCertificatOperateur>CN=a.test,C=FR</DNCertificatOperateur>";

fn texts() -> Vec<Sample> {
    let text = |text: String| format!("l{text}").into_bytes();
    let with = |inside: &str| text(list(inside));
    let operator =
        |name: &str| format!("<Nom>ch-exemple.test</Nom><DNCertificatOperateur>{name}</DNCertificatOperateur>");
    let dated = |date: &str| text(list(&domain(PLAIN)).replace("2026-09-01T04:00:00Z", date));
    vec![
        ("list", with(&domain(PLAIN))),
        ("list-twice", with(&format!("<ListeDomaines>{}{}</ListeDomaines>", domain(PLAIN), domain(&operator("CN=b"))))),
        ("list-same", with(&domain(PLAIN).repeat(2))),
        ("list-none", with("<ListeDomaines/>")),
        ("list-no-date", text(format!("<{ROOT} xmlns=\"{NAMESPACE}\">{}", domain(PLAIN)))),
        ("list-wrong-date", dated("hier")),
        ("list-future", dated("2040-01-01T00:00:00Z")),
        ("list-field-twice", with(&domain(&format!("<Nom>x.test</Nom>{PLAIN}")))),
        ("list-no-domain", with(&domain(&PLAIN.replace("ch-exemple.test", "ch exemple")))),
        ("list-no-operator", with(&domain("<Nom>ch-exemple.test</Nom>"))),
        ("list-wrong-operator", with(&domain(&operator("x")))),
        ("list-comment", with(&domain(&operator("CN=a<!-- -->b")))),
        ("list-comments", with(&domain("<Nom>a.<!-- -->test</Nom>"))),
        ("list-element", with(&domain(&operator("CN=a<b/>")))),
        ("list-cdata", with(&domain(&operator("CN=a<![CDATA[<&]]>&gt;&#13;")))),
        (
            "list-attributes",
            with(&format!(
                "<b:x xmlns:b=\"urn:b\" z=\"&quot;&#9;&#10;&#13;&lt;&amp;\" b:y=\"1\" xml:lang=\"fr\"><?p d?><?q?>\
             <n xmlns=\"\"><b:x/></n></b:x>{}",
                domain(PLAIN)
            )),
        ),
        ("list-other-root", text(list(&domain(PLAIN)).replace(NAMESPACE, "urn:autre"))),
        ("list-open", text("<a".to_owned())),
    ]
}

fn signed(list: &str, key: &FileKey) -> String {
    let document = sign_written_list(ROOT, list, key, NOW).expect("a signature");
    String::from_utf8(document).expect("XML is UTF-8")
}

fn document(text: &str) -> Vec<u8> {
    format!("D{text}").into_bytes()
}

fn between(text: &str, from: &str, to: &str) -> String {
    let (_, after) = text.split_once(from).expect("where it starts");
    let (inside, _) = after.split_once(to).expect("where it ends");
    format!("{from}{inside}{to}")
}

/// The signed document with one passage replaced.
fn changed(from: &str, to: &str) -> Vec<u8> {
    let text = signed(&list(&domain(PLAIN)), &PUBLISHER);
    assert!(text.contains(from), "{from} is in {text}");
    document(&text.replacen(from, to, 1))
}

/// What an attacker would move, double, nest or hide.
fn attacks() -> Vec<Sample> {
    let whole = signed(&list(&domain(PLAIN)), &PUBLISHER);
    let signature = between(&whole, "<ds:Signature ", "</ds:Signature>");
    let cut = |part: &str| whole.replace(part, "");
    let deep = format!("{}{}", "<a>".repeat(70), "</a>".repeat(70));
    let broad = format!("<a{}/>", (0..40).map(|at| format!(" a{at}=\"\"")).collect::<String>());
    let spaces: String = (0..260).map(|at| format!("<a xmlns:a{at}=\"u\"/>")).collect();
    vec![
        ("document", document(&whole)),
        ("changed", changed("ch-exemple.test", "ch-attaque.test")),
        ("unsigned", document(&cut(&signature))),
        ("signed-twice", document(&whole.replace(&signature, &signature.repeat(2)))),
        ("signature-first", document(&cut(&signature).replace("<Domaine>", &format!("{signature}<Domaine>")))),
        ("text-after", document(&whole.replace("</ds:Signature>", "</ds:Signature>x"))),
        ("same-id", changed("<Domaine>", "<Domaine Id=\"a\" id=\"a\">")),
        ("instruction", document(&format!("{whole}<?p?>"))),
        ("dtd", document("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>")),
        ("encoding", document(&whole.replace("UTF-8", "latin1"))),
        ("encoding-none", document(&whole.replace(" encoding=\"UTF-8\"", ""))),
        ("octets", b"D\xff".to_vec()),
        ("deep", document(&deep)),
        ("broad", document(&broad)),
        ("spaces", document(&format!("<a>{spaces}</a>"))),
        ("comment-open", document("<a><!-- ")),
        ("comment", document("<a><!-- --><![CDATA[]]></a>")),
    ]
}

/// The signature in each form that is not the one.
fn forms() -> Vec<Sample> {
    let whole = signed(&list(&domain(PLAIN)), &PUBLISHER);
    let value = between(&whole, "<ds:SignatureValue>", "</ds:SignatureValue>");
    let digest = between(&whole, "<ds:DigestValue>", "</ds:DigestValue>");
    let certificate = between(&whole, "<ds:X509Certificate>", "</ds:X509Certificate>");
    let serial = between(&whole, "<xades:IssuerSerialV2>", "</xades:IssuerSerialV2>");
    let transforms = between(&whole, "<ds:Transforms>", "</ds:Transforms>");
    let sha512 = "<ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha512\">";
    let sha = |number: &str| sha512.replace("sha512", number);
    let other_digest = || {
        let target = between(&whole, sha512, "</ds:DigestValue>");
        changed(&target, &format!("{sha512}</ds:DigestMethod><ds:DigestValue>AAAA</ds:DigestValue>"))
    };
    vec![
        ("value-wrong", changed(&value, "<ds:SignatureValue>AAAA</ds:SignatureValue>")),
        ("value-text", changed(&value, "<ds:SignatureValue>*</ds:SignatureValue>")),
        ("digest-wrong", changed(&digest, "<ds:DigestValue>AAAA</ds:DigestValue>")),
        ("certificate-none", changed(&certificate, "")),
        ("certificate-wrong", changed(&certificate, "<ds:X509Certificate>AAAA</ds:X509Certificate>")),
        ("certificate-two", changed(&certificate, &certificate.repeat(2))),
        ("serial-none", changed(&serial, "")),
        ("serial-wrong", changed(&serial, "<xades:IssuerSerialV2>AAAA</xades:IssuerSerialV2>")),
        ("properties-sha256", changed(sha512, &sha("sha256"))),
        ("properties-sha1", changed(sha512, &sha("sha1"))),
        ("properties-digest", other_digest()),
        ("properties-time", changed("<xades:SigningTime>", "<xades:SigningTime>1")),
        ("properties-target", changed("Target=\"#", "Target=\"#x")),
        (
            "properties-other",
            changed("<xades:SigningCertificateV2>", "<xades:SigningCertificateV2/><xades:SigningCertificateV2>"),
        ),
        ("reference-whole", changed("URI=\"\"", "URI=\"#x\"")),
        ("reference-properties", changed("URI=\"#xades-", "URI=\"#x-")),
        ("transforms-none", changed(&transforms, "<ds:Transforms></ds:Transforms>")),
        ("transform-path", changed("/descendant::ds:Signature<", "/descendant::ds:Object<")),
        ("transform-two", changed("<dsig-filter2:XPath", "<dsig-filter2:XPath/><dsig-filter2:XPath")),
        ("method", changed("rsa-sha256", "rsa-sha1")),
        ("order", changed("<ds:KeyInfo>", "<ds:KeyInfo/><ds:KeyInfo>")),
        ("info", changed("<ds:Reference Type", "<ds:Reference/><ds:Reference Type")),
    ]
}

/// A certificate of the publisher's key, changed.
fn publisher(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> FileKey {
    let info = forge::key(PUBLISHER.openssl());
    let subject = SigningKey::certificate(&*PUBLISHER).subject().der().to_vec();
    let der = forge::certificate(|all| {
        set(all, place::KEY, info);
        set(all, place::SUBJECT, subject);
        change(all);
    });
    let certificate = Certificate::from_der(&der).expect("a certificate that reads");
    FileKey::new(PUBLISHER.openssl().clone(), certificate, Vec::new()).expect("a pair")
}

fn signers() -> Vec<Sample> {
    let list = list(&domain(PLAIN));
    let by = |key: &FileKey| document(&signed(&list, key));
    let weak = openssl::rsa::Rsa::generate(1024).and_then(openssl::pkey::PKey::from_rsa).expect("a key");
    let weak = {
        let der = forge::certificate(|all| set(all, place::KEY, forge::key(&weak)));
        let certificate = Certificate::from_der(&der).expect("a certificate that reads");
        FileKey::new(weak, certificate, Vec::new()).expect("a pair")
    };
    let at = |text: &[u8]| der::tlv(tag::UTC_TIME, text);
    let old = der::sequence(&[at(b"200101000000Z"), at(b"210101000000Z")]);
    let usage = extension("2.5.29.15", true, &der::named_bits(&[false, false, true]));
    vec![
        (
            "signer-other",
            by(&publisher(|all| {
                set(all, place::SUBJECT, name(&[&[("2.5.4.3", tag::UTF8_STRING, b"Autre")]]));
            })),
        ),
        (
            "signer-not-for-it",
            by(&publisher(|all| {
                set(all, place::EXTENSIONS, der::context(3, &[der::sequence(&[usage])]));
            })),
        ),
        ("signer-expired", by(&publisher(|all| set(all, place::VALIDITY, old)))),
        ("signer-weak", by(&weak)),
        ("signer-reads", by(&world::READER_RSA)),
        ("profile", profile().signer_cn.into_bytes()),
    ]
}
