//! Attacks on what a signature covers: content moved, duplicated, nested, commented, named otherwise; and
//! signatures that are genuine and good, in another form than the one.

#![allow(clippy::string_slice)]

use super::{
    tests::{NAMESPACE, SIGNED, draft, entry, profile, signed_by_xmlsec, template, verify},
    *,
};

const EVIL: &str = "<Domaine><Nom>evil.test</Nom><DNCertificatOperateur>CN=evil,C=FR</DNCertificatOperateur></Domaine>";

fn between(from: &str, to: &str) -> String {
    let start = SIGNED.find(from).unwrap();
    let end = start + SIGNED[start..].find(to).unwrap() + to.len();
    SIGNED[start..end].to_owned()
}

fn signature() -> String {
    between("<ds:Signature ", "</ds:Signature>")
}

/// The genuine root without its signature, and without the XML declaration.
fn body() -> String {
    SIGNED.replace(&signature(), "").split_once('\n').unwrap().1.trim().to_owned()
}

fn root(content: &str) -> String {
    format!("<ListeBlancheMSSante xmlns=\"{NAMESPACE}\">{content}</ListeBlancheMSSante>")
}

fn evil_list() -> String {
    format!("<DateDeGeneration>2026-09-01T04:00:00Z</DateDeGeneration><ListeDomaines>{EVIL}</ListeDomaines>")
}

/// Refused, and never because nothing was changed.
fn refused(cases: &[(&str, String)]) {
    for (what, xml) in cases {
        assert_ne!(*xml, *SIGNED, "{what} changes nothing");
        assert!(verify(xml).is_err(), "{what}");
    }
}

#[test]
fn moved_content_is_refused() {
    let (signature, body) = (signature(), body());
    let object = |content: &str| {
        signature.replace("</ds:Object></ds:Signature>", &format!("{content}</ds:Object></ds:Signature>"))
    };
    let own_object = signature.replace("</ds:Signature>", &format!("<ds:Object>{body}</ds:Object></ds:Signature>"));
    let properties = between("<xades:SignedProperties", "</xades:SignedProperties>");
    let renamed = properties.replace("Id=\"xades-", "Id=\"other-");
    let key_info = between("<ds:KeyInfo>", "</ds:KeyInfo>");
    let info = between("<ds:SignedInfo>", "</ds:SignedInfo>");
    refused(&[
        (
            "signature into the list",
            SIGNED.replace(&signature, "").replace("</ListeDomaines>", &format!("{signature}</ListeDomaines>")),
        ),
        (
            "signature into a domain",
            SIGNED.replace(&signature, "").replace("</Domaine>", &format!("{signature}</Domaine>")),
        ),
        ("signature into a wrapper", SIGNED.replace(&signature, &format!("<x>{signature}</x>"))),
        ("genuine root into the signature's object", root(&format!("{}{}", evil_list(), object(&body)))),
        ("genuine root into an object of its own", root(&format!("{}{own_object}", evil_list()))),
        ("genuine root beside the signature", root(&format!("{}{body}{signature}", evil_list()))),
        (
            "properties under the root",
            SIGNED.replace(&properties, &renamed).replace(
                &signature.replace(&properties, &renamed),
                &format!("{properties}{}", signature.replace(&properties, &renamed)),
            ),
        ),
        (
            "properties beside the qualifying ones",
            SIGNED.replace("</ds:Object></ds:Signature>", &format!("{properties}</ds:Object></ds:Signature>")),
        ),
        (
            "properties out of their element",
            SIGNED.replace("<xades:QualifyingProperties", &format!("{properties}<xades:QualifyingProperties")),
        ),
        ("key before what is signed", SIGNED.replace(&key_info, "").replace(&info, &format!("{key_info}{info}"))),
        (
            "list behind the signature",
            SIGNED.replace(&signature, "").replace("<ListeDomaines>", &format!("{signature}<ListeDomaines>")),
        ),
    ]);
}

#[test]
fn duplicated_content_is_refused() {
    let (signature, body) = (signature(), body());
    let twice = |part: &str| SIGNED.replacen(part, &format!("{part}{part}"), 1);
    let properties = between("<xades:SignedProperties", "</xades:SignedProperties>");
    refused(&[
        ("list twice", twice(&between("<ListeDomaines>", "</ListeDomaines>"))),
        ("date twice", twice(&between("<DateDeGeneration>", "</DateDeGeneration>"))),
        ("domain twice", twice(&between("<Domaine>", "</Domaine>"))),
        ("a second root", format!("{}\n{body}", *SIGNED)),
        ("signature twice", twice(&signature)),
        ("signed info twice", twice(&between("<ds:SignedInfo>", "</ds:SignedInfo>"))),
        ("value twice", twice(&between("<ds:SignatureValue>", "</ds:SignatureValue>"))),
        ("key twice", twice(&between("<ds:KeyInfo>", "</ds:KeyInfo>"))),
        ("certificate twice", twice(&between("<ds:X509Certificate>", "</ds:X509Certificate>"))),
        ("reference twice", twice(&between("<ds:Reference Id", "</ds:Reference>"))),
        ("properties twice", twice(&properties)),
        (
            "properties twice, evil first",
            SIGNED.replace(&properties, &format!("{}{properties}", properties.replace("2026", "2027"))),
        ),
        (
            "transform twice",
            twice("<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform>"),
        ),
        ("signing certificate twice", twice(&between("<xades:SigningCertificateV2>", "</xades:SigningCertificateV2>"))),
    ]);
}

#[test]
fn nested_content_is_refused() {
    let (signature, body) = (signature(), body());
    let whole = SIGNED.split_once('\n').unwrap().1;
    refused(&[
        ("genuine file in another root", root(&format!("{}{whole}", evil_list()))),
        ("genuine file in another list", root(&format!("<ListeDomaines>{EVIL}{whole}</ListeDomaines>"))),
        (
            "genuine body in another list, its signature outside",
            root(&format!("<ListeDomaines>{EVIL}{body}</ListeDomaines>{signature}")),
        ),
        ("signature in its own key", SIGNED.replace("</ds:KeyInfo>", &format!("{signature}</ds:KeyInfo>"))),
        (
            "signature in its own properties",
            SIGNED.replace("</xades:SignedProperties>", &format!("{signature}</xades:SignedProperties>")),
        ),
        (
            "signature around a signature",
            SIGNED.replace(&signature, &signature.replace("</ds:Object>", &format!("</ds:Object>{signature}"))),
        ),
        ("a domain in a domain", SIGNED.replacen("<Description>", &format!("<Description>{EVIL}"), 1)),
        (
            "list in the signature",
            SIGNED.replace(
                "</ds:Object>",
                &format!("<ListeDomaines xmlns=\"{NAMESPACE}\">{EVIL}</ListeDomaines></ds:Object>"),
            ),
        ),
    ]);
}

/// Canonical forms have no comments: what a comment cuts in two must not be read as less than what is signed.
#[test]
fn commented_content_is_refused_where_a_value_is() {
    let mut cases = Vec::new();
    for comment in ["<!---->", "<!-- .evil.test -->", "<?x y?>"] {
        for (what, whole, at) in [
            ("start of a name", "<Nom>ch-exemple.test</Nom>", "<Nom>".len()),
            ("middle of a name", "<Nom>ch-exemple.test</Nom>", "<Nom>ch-exemple".len()),
            ("end of a name", "<Nom>ch-exemple.test</Nom>", "<Nom>ch-exemple.test".len()),
            ("operator", "<DNCertificatOperateur>CN=a.test,C=FR", "<DNCertificatOperateur>CN=a".len()),
            ("date", "<DateDeGeneration>2", "<DateDeGeneration>2".len()),
            ("filter", "/descendant::ds:Signature", "/descendant::".len()),
            ("certificate", "<ds:X509Certificate>MI", "<ds:X509Certificate>MI".len()),
            ("signature value", "<ds:SignatureValue>", "<ds:SignatureValue>".len()),
        ] {
            assert!(SIGNED.contains(whole), "{whole}");
            let changed = format!("{}{comment}{}", &whole[..at], &whole[at..]);
            cases.push((what, SIGNED.replacen(whole, &changed, 1)));
        }
        let digest = format!("<ds:DigestValue>{comment}");
        cases.push(("digest", SIGNED.replace("<ds:DigestValue>", &digest)));
    }
    cases.push((
        "a list commented out and replaced",
        SIGNED
            .replace("<ListeDomaines>", &format!("<ListeDomaines>{EVIL}<!--"))
            .replace("</ListeDomaines>", "--></ListeDomaines>"),
    ));
    cases.push(("the signature commented out", SIGNED.replace(&signature(), &format!("<!--{}-->", signature()))));
    refused(&cases);
}

#[test]
fn other_names_ids_and_entities_are_refused() {
    let id = between("<xades:SignedProperties Id=\"", "\">");
    let id = id.strip_prefix("<xades:SignedProperties Id=\"").unwrap().trim_end_matches("\">").to_owned();
    let list = |attributes: &str| SIGNED.replacen("<ListeDomaines>", &format!("<ListeDomaines {attributes}>"), 1);
    let doctype = |inside: &str| SIGNED.replace("?>\n", &format!("?>\n<!DOCTYPE ListeBlancheMSSante {inside}>"));
    let laughs: String = (1..10).map(|n| format!("<!ENTITY l{n} \"&l{0};&l{0};&l{0};\">", n - 1)).collect();
    refused(&[
        ("the properties' Id elsewhere", list(&format!("Id=\"{id}\""))),
        ("in small letters", list(&format!("id=\"{id}\""))),
        ("in capitals", list(&format!("ID=\"{id}\""))),
        ("as xml:id", list(&format!("xml:id=\"{id}\""))),
        ("in a name space", list(&format!("xmlns:w=\"urn:w\" w:Id=\"{id}\""))),
        ("another default name space", list("xmlns=\"urn:x\"")),
        ("no default name space", list("xmlns=\"\"")),
        ("another prefix meaning", SIGNED.replace("xmlns:xades=\"http://uri.etsi.org/01903/v1.3.2#\"", "xmlns:xades=\"http://uri.etsi.org/01903/v1.1.1#\"")),
        ("a prefix for the same", SIGNED.replace("<ListeDomaines>", &format!("<p:ListeDomaines xmlns:p=\"{NAMESPACE}\">")).replace("</ListeDomaines>", "</p:ListeDomaines>")),
        ("an entity", doctype("[<!ENTITY e \"evil.test\">]").replace("ch-exemple.test</Nom>", "&e;</Nom>")),
        ("a file", doctype("[<!ENTITY e SYSTEM \"file:///etc/hostname\">]").replace("ch-exemple.test</Nom>", "&e;</Nom>")),
        ("a parameter entity", doctype("[<!ENTITY % e SYSTEM \"http://127.0.0.1/x.dtd\"> %e;]")),
        ("an outer DTD", doctype("SYSTEM \"http://127.0.0.1/x.dtd\"")),
        ("a default attribute", doctype("[<!ATTLIST ListeDomaines Id ID \"x\">]")),
        ("a billion laughs", doctype(&format!("[<!ENTITY l0 \"ha\">{laughs}]")).replace("ch-exemple.test</Nom>", "&l9;</Nom>")),
        ("an inclusion", SIGNED.replace("<ListeDomaines>", "<ListeDomaines><xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"file:///etc/hostname\" parse=\"text\"/>")),
        ("an undefined entity", SIGNED.replace("ch-exemple.test</Nom>", "&e;</Nom>")),
    ]);
}

/// Genuine signatures of the pinned signer's key, which `xmlsec1` makes and verifies, over something else
/// than the whole list or in another form.
#[test]
fn a_good_signature_of_another_form_is_refused() {
    let plain = template(&SIGNED);
    let with_id = plain.replacen("<Domaine>", "<Domaine Id=\"d1\">", 1);
    let filter = between("<ds:Transform Algorithm=\"http://www.w3.org/2002/06/xmldsig-filter2\">", "</ds:Transform>");
    let enveloped = "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>";
    let without_list = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>not(ancestor-or-self::*[local-name()='ListeDomaines'])</ds:XPath></ds:Transform>";
    let properties = {
        let start = plain.find("<ds:Reference Type=").unwrap();
        let end = start + plain[start..].find("</ds:Reference>").unwrap() + "</ds:Reference>".len();
        plain[start..end].to_owned()
    };
    let cases = [
        ("over one domain only", with_id.replace("URI=\"\"", "URI=\"#d1\"")),
        (
            "over the signature's properties only",
            plain.replacen(
                "URI=\"\"",
                &format!("URI=\"{}\"", properties.split("URI=\"").nth(1).unwrap().split('"').next().unwrap()),
                1,
            ),
        ),
        ("another way to leave the signature out", plain.replace(&filter, enveloped)),
        ("the list left out", plain.replace(&filter, &format!("{filter}{without_list}"))),
        ("without the properties", plain.replace(&properties, "")),
        ("the properties twice", plain.replace(&properties, &format!("{properties}{properties}"))),
        (
            "inclusive canonical form",
            plain.replacen(
                "<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\">",
                "<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/TR/2001/REC-xml-c14n-20010315\">",
                1,
            ),
        ),
        ("another digest", plain.replace("xmldsig-more#rsa-sha256", "xmldsig-more#rsa-sha512")),
        (
            "with an unknown element in front of the signed info",
            plain.replace("<ds:KeyInfo>", "<ds:KeyInfo><ds:KeyName>x</ds:KeyName>"),
        ),
    ];
    for (what, template) in cases {
        assert_ne!(template, plain, "{what} changes nothing");
        let signed = signed_by_xmlsec(&template);
        assert!(verify(&signed).is_err(), "{what}");
    }
}

/// What the signer signed is read where it stands, and nowhere else.
#[test]
fn domains_are_read_in_their_place_only() {
    let odd = "<e:Domaine xmlns:e=\"urn:evil\"><e:Nom>a.evil.test</e:Nom><e:DNCertificatOperateur>CN=evil</e:DNCertificatOperateur></e:Domaine>\
               <Domaine xmlns=\"\"><Nom>b.evil.test</Nom><DNCertificatOperateur>CN=evil</DNCertificatOperateur></Domaine>\
               <Autre><Domaine><Nom>c.evil.test</Nom><DNCertificatOperateur>CN=evil</DNCertificatOperateur></Domaine></Autre>";
    let mixed = "<Domaine><e:Nom xmlns:e=\"urn:evil\">d.evil.test</e:Nom><Nom>\t d.test\n</Nom><DNCertificatOperateur>CN=d,C=FR</DNCertificatOperateur></Domaine>";
    let signed =
        signed_by_xmlsec(&template(&SIGNED).replace("<ListeDomaines>", &format!("<ListeDomaines>{odd}{mixed}")));
    let list = verify(&signed).unwrap();
    let names: Vec<&str> = list.domains().map(Domain::as_str).collect();
    assert_eq!(names, ["ch-exemple.test", "d.test", "xn--sant-epa.test"]);
    // A value that is text in another spelling is the same text, for the digest and for us.
    for same in ["<![CDATA[ch-exemple.test]]>", "ch&#45;exemple.test", "ch-<![CDATA[exemple]]>.test"] {
        let spelled = SIGNED.replace("<Nom>ch-exemple.test", &format!("<Nom>{same}"));
        assert_ne!(spelled, *SIGNED);
        assert!(verify(&spelled).unwrap().lists(&Domain::parse("ch-exemple.test").unwrap()), "{same}");
    }
}

/// Spellings of one internationalised name are one domain with the operators of all its rows; look-alikes are others.
#[test]
fn internationalised_names_are_one_domain_in_every_spelling() {
    let rows = ["santé.test", "SANTÉ.test", "sante\u{301}.test", "xn--sant-epa.test", "s\u{430}nté.test", "sante.test"];
    let rows: String = rows.iter().enumerate().map(|(n, name)| format!("<Domaine><Nom> {name} </Nom><DNCertificatOperateur>CN=op{n}.test,C=FR</DNCertificatOperateur></Domaine>")).collect();
    let start = SIGNED.find("<Domaine>").unwrap();
    let end = SIGNED.find("</ListeDomaines>").unwrap();
    let list = verify(&signed_by_xmlsec(&template(&format!("{}{rows}{}", &SIGNED[..start], &SIGNED[end..])))).unwrap();
    let idn = Domain::parse("xn--sant-epa.test").unwrap();
    assert_eq!(list.operators(&idn).len(), 4, "REL-6, WL-6");
    assert_eq!(list.domains().count(), 3, "{:?} {:?}", list.domains().collect::<Vec<_>>(), list.problems());
    assert_eq!(list.operators(&Domain::parse("sante.test").unwrap()).len(), 1);
}

#[test]
fn huge_documents_are_bounded_before_anything_is_built_of_them() {
    let inside = |content: &str| SIGNED.replacen("<ListeDomaines>", &format!("<ListeDomaines>{content}"), 1);
    let attributes: String = (0..100_000).map(|n| format!(" a{n}=''")).collect();
    let spaces: String = (0..2_000).map(|n| format!("<x xmlns:n{n}='u'/>")).collect();
    for (what, xml) in [
        ("octets", " ".repeat(MAX_TRUST_LIST + 1)),
        ("attributes", inside(&format!("<x{attributes}/>"))),
        ("a long value", inside(&format!("<x a='{}'/>", "x".repeat(1_000_000)))),
        ("name spaces", inside(&spaces)),
        ("nesting", inside(&"<x>".repeat(1_000_000))),
        ("a comment without end", inside(&format!("<!--{}", "-".repeat(1_000_000)))),
    ] {
        assert!(matches!(verify(&xml), Err(TrustListError::TooLarge | TrustListError::Structure(_))), "{what}");
    }
}

#[test]
fn the_difference_between_two_lists_names_every_change() {
    let list = |entries| {
        let xml =
            sign_trust_list(&TrustListDraft { entries, ..draft() }, &*super::tests::SIGNER, draft().generated).unwrap();
        TrustList::verify_remembered(&xml, &profile(), certificate::fingerprint(&xml).unwrap()).unwrap()
    };
    let before = list(vec![
        entry("a.test", &["CN=a,C=FR"]),
        entry("b.test", &["CN=b,C=FR", "CN=c,C=FR"]),
        entry("d.test", &["CN=d,C=FR"]),
    ]);
    let after = list(vec![
        entry("b.test", &["CN=c,C=FR", "CN=e,C=FR"]),
        entry("d.test", &["C=FR,CN=D"]),
        entry("f.test", &["CN=f,C=FR"]),
    ]);
    let diff = TrustListDiff::between(&before, &after);
    let names = |changes: &[ChangedDomain]| changes.iter().map(|it| it.domain.to_string()).collect::<Vec<_>>();
    assert_eq!((names(&diff.added), names(&diff.removed)), (vec!["f.test".into()], vec!["a.test".into()]));
    assert_eq!(names(&diff.changed), ["b.test"], "the same operator in another spelling is no change");
    assert_eq!(
        (diff.changed[0].gained[0].to_string(), diff.changed[0].lost[0].to_string()),
        ("CN=e,C=FR".into(), "CN=b,C=FR".into())
    );
    assert_eq!((diff.before, diff.after, diff.losses().count()), (3, 3, 2));
    assert!(TrustListDiff::between(&after, &after).is_empty());
    // Another file than the remembered one is none.
    let xml = SIGNED.as_bytes();
    assert!(TrustList::verify_remembered(xml, &profile(), Fingerprint::new([0; 32])).is_err());
}
