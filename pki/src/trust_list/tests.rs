//! Both directions against the `xmlsec1` command, and everything that must be refused.

#![allow(clippy::string_slice)]

use std::{process::Command, sync::LazyLock};

use ident::StructureId;
use proptest::prelude::*;

use super::*;
use crate::{
    issue::{CertificateRequest, KeyAlgorithm, OrganisationUse, Profile, Structure, Validity},
    keys::FileKey,
    path::{
        RevocationMode,
        tests::{NOW, SERVERS, bare, builder, certificate, crl, hospital, issue, server},
    },
};

pub(super) const NAMESPACE: &str = "https://listeblanche.mssante.fr/schema";

pub(super) fn profile() -> TrustListProfile {
    TrustListProfile {
        root: "ListeBlancheMSSante".into(),
        namespace: NAMESPACE.into(),
        signer_cn: "Liste Blanche TEST".into(),
        signer_ou: "318751275100020".into(),
    }
}

fn key(label: &str, structure: &str, usage: OrganisationUse) -> FileKey {
    let structure = Structure::new(StructureId::parse(structure).unwrap(), "AGENCE FICTIVE", "Paris (75)");
    let profile = Profile::Organisation { structure, label: label.into(), usage, emails: vec![] };
    let request = CertificateRequest::new(profile, KeyAlgorithm::Rsa2048, Validity::days(NOW, 900));
    let issued = SERVERS.issuing.issue(&request).unwrap();
    FileKey::new(issued.key().to_owned(), certificate(&issued), vec![]).unwrap()
}

pub(super) static SIGNER: LazyLock<FileKey> =
    LazyLock::new(|| key("Liste Blanche TEST", "318751275100020", OrganisationUse::Sign));

pub(super) fn entry(domain: &str, operators: &[&str]) -> TrustListEntry {
    TrustListEntry {
        domain: Domain::parse(domain).unwrap(),
        description: "CH <Exemple> & \"fils\"".into(),
        operators: operators.iter().map(|dn| OperatorName::parse(dn).unwrap()).collect(),
        responsible: "responsable@ch-exemple.test".into(),
        support: "support@ch-exemple.test".into(),
        updated: "2026-09-01T04:00:00Z".into(),
    }
}

pub(super) fn draft() -> TrustListDraft {
    TrustListDraft {
        profile: profile(),
        generated: NOW,
        entries: vec![
            entry(
                "ch-exemple.test",
                &["CN=smtp.ch-exemple.test, OU=1990000001, O=CH EXEMPLE-TEST, ST=Paris(75), C=FR"],
            ),
            entry("santé.test", &["CN=a.test,C=FR", "CN=b.test,C=FR"]),
        ],
    }
}

pub(super) static SIGNED: LazyLock<String> =
    LazyLock::new(|| String::from_utf8(sign_trust_list(&draft(), &*SIGNER, NOW).unwrap()).unwrap());

pub(super) fn verify(xml: &str) -> Result<TrustList, TrustListError> {
    TrustList::verify(xml.as_bytes(), &profile(), &builder().build().unwrap(), NOW)
}

pub(super) fn xmlsec(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("xmlsec1").args(arguments).output().expect("the xmlsec1 command is needed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), text + &String::from_utf8_lossy(&output.stderr))
}

/// xmlsec1's opinion of digests and signature value, with the signer's key given.
fn xmlsec_accepts(xml: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (file, pem) = (folder.path().join("list.xml"), folder.path().join("signer.pem"));
    std::fs::write(&file, xml).unwrap();
    std::fs::write(&pem, SIGNER.certificate().to_pem()).unwrap();
    let id = "--id-attr:Id";
    let node = "http://uri.etsi.org/01903/v1.3.2#:SignedProperties";
    let arguments = ["--verify", "--pubkey-cert-pem", pem.to_str().unwrap(), id, node, file.to_str().unwrap()];
    xmlsec(&arguments).0
}

#[test]
fn what_we_sign_is_read_again_and_xmlsec_agrees() {
    let list = verify(&SIGNED).unwrap();
    assert_eq!(list.generated(), NOW);
    let domain = Domain::parse("ch-exemple.test").unwrap();
    assert!(list.lists(&domain));
    assert_eq!(list.entry(&domain).unwrap().description, "CH <Exemple> & \"fils\"");
    assert!(list.speaks_for(&issue(&SERVERS.issuing, server()), &domain));
    assert!(list.knows(&issue(&SERVERS.issuing, server())), "for a domain is for any");
    let idn = Domain::parse("xn--sant-epa.test").unwrap();
    assert_eq!(list.operators(&idn).len(), 2, "REL-6, WL-6");
    assert!(!list.speaks_for(&issue(&SERVERS.issuing, server()), &idn));
    assert!(!list.lists(&Domain::parse("sous.ch-exemple.test").unwrap()), "NT-T06: sub-domains are other domains");
    assert_eq!(list.domains().count(), 2);
    assert!(list.problems().is_empty());
    assert!(xmlsec_accepts(&SIGNED));
    assert!(!xmlsec_accepts(&SIGNED.replace("a.test", "c.test")));
}

/// A file of ours with values taken out: a template for xmlsec1.
pub(super) fn template(signed: &str) -> String {
    let mut template = signed.to_owned();
    for name in ["DigestValue", "SignatureValue"] {
        let close = format!("</ds:{name}>");
        let mut out = String::new();
        // The certificate's digest in the signed properties is content, not a reference's value.
        let (head, tail) = template.split_once("<ds:KeyInfo>").unwrap();
        for part in head.split_inclusive(close.as_str()) {
            match part.rfind(&format!("<ds:{name}>")) {
                Some(at) => out.push_str(&format!("{}<ds:{name}></ds:{name}>\n", &part[..at])),
                None => out.push_str(part),
            }
        }
        template = format!("{out}<ds:KeyInfo>{tail}");
    }
    template
}

/// The template, signed by xmlsec1 with the key of the pinned signer.
pub(super) fn signed_by_xmlsec(template: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("t.xml"), template).unwrap();
    std::fs::write(path("k.pem"), SIGNER.openssl().private_key_to_pem_pkcs8().unwrap()).unwrap();
    let properties = "http://uri.etsi.org/01903/v1.3.2#:SignedProperties";
    let domain = format!("{NAMESPACE}:Domaine");
    let (key, signed, template) = (path("k.pem"), path("s.xml"), path("t.xml"));
    let (done, text) = xmlsec(&[
        "--sign",
        "--privkey-pem",
        &key,
        "--id-attr:Id",
        properties,
        "--id-attr:Id",
        &domain,
        "--output",
        &signed,
        &template,
    ]);
    assert!(done, "{text}");
    std::fs::read_to_string(path("s.xml")).unwrap()
}

#[test]
fn what_xmlsec_signs_is_accepted() {
    let template = template(&SIGNED);
    let template = template.replace("<ds:Reference", "\n\t<ds:Reference").replace("<Nom>", "<Nom>\t\n ");
    // Everything in which canonical forms could differ.
    let odd = "<x:y xmlns:x='urn:x' xmlns:z=\"urn:z\" x:b='&#9;&#xA;&lt;&quot;&apos;>' a='1\n2' z:a='&amp;'\n>é&#13;&gt;<!-- c --><![CDATA[<&]]>\
               <?p  q ?><n xmlns=''><x:m xml:lang='fr'/></n><z:m xmlns:z='urn:z2' xmlns:unused='urn:u'/></x:y >";
    let template = template.replace("<ListeDomaines>", &format!("<ListeDomaines>{odd}"));
    let signed = signed_by_xmlsec(&template);
    assert_ne!(signed, *SIGNED);
    let list = verify(&signed).unwrap();
    assert_eq!(list.domains().count(), 2);
}

#[test]
fn every_change_is_refused() {
    let signature = {
        let start = SIGNED.find("<ds:Signature ").unwrap();
        let end = SIGNED.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
        SIGNED[start..end].to_owned()
    };
    let root_end = "</ListeBlancheMSSante>";
    let unsigned = SIGNED.replace(&signature, "");
    let evil = "<Domaine><Nom>evil.test</Nom><DNCertificatOperateur>CN=evil</DNCertificatOperateur></Domaine>";
    let cases = [
        ("content", SIGNED.replace("ch-exemple.test,", "evil.test,")),
        ("blank", SIGNED.replace("<ListeDomaines>", "<ListeDomaines> ")),
        ("added", SIGNED.replace("<ListeDomaines>", &format!("<ListeDomaines>{evil}"))),
        ("unsigned", unsigned.clone()),
        ("signature twice", SIGNED.replace(&signature, &format!("{signature}{signature}"))),
        ("signature first", unsigned.replace("<DateDeGeneration>", &format!("{signature}<DateDeGeneration>"))),
        ("text after signature", SIGNED.replace(root_end, &format!("x{root_end}"))),
        ("element after signature", SIGNED.replace(root_end, &format!("{evil}{root_end}"))),
        ("inside signature", SIGNED.replace("</ds:Object>", &format!("{evil}</ds:Object>"))),
        ("second object", SIGNED.replace("</ds:Signature>", &format!("<ds:Object>{evil}</ds:Object></ds:Signature>"))),
        ("signature in signature", SIGNED.replace("</ds:Object>", &format!("{signature}</ds:Object>"))),
        (
            "nested",
            format!(
                "<ListeBlancheMSSante xmlns=\"{NAMESPACE}\">{evil}{}</ListeBlancheMSSante>",
                SIGNED.split_once('\n').unwrap().1
            ),
        ),
        ("another root", SIGNED.replace("ListeBlancheMSSante", "ListeBlancheDRIM-M")),
        ("another namespace", SIGNED.replace(NAMESPACE, "urn:x")),
        ("signing time", SIGNED.replace("<xades:SigningTime>2", "<xades:SigningTime>3")),
        ("filter", SIGNED.replace("/descendant::ds:Signature", "/descendant::*")),
        ("filter mode", SIGNED.replace("Filter=\"subtract\"", "Filter=\"intersect\"")),
        ("ds means something else", SIGNED.replace("XPath xmlns:", "XPath xmlns:ds=\"urn:x\" xmlns:")),
        ("method", SIGNED.replace("xmldsig-more#rsa-sha256", "xmldsig-more#rsa-sha512")),
        ("sha1", SIGNED.replace("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#rsa-sha1")),
        ("digest", SIGNED.replace("xmlenc#sha256", "xmlenc#sha512")),
        ("c14n", SIGNED.replace("2001/10/xml-exc-c14n#", "TR/2001/REC-xml-c14n-20010315")),
        ("c14n with comments", SIGNED.replace("xml-exc-c14n#", "xml-exc-c14n#WithComments")),
        ("reference", SIGNED.replace("URI=\"\"", "URI=\"#xades-1\"")),
        ("comment in a value", SIGNED.replace("<Nom>ch-exemple.test", "<Nom>ch-exemple.test<!-- x -->")),
        ("DTD", SIGNED.replace("?>\n", "?>\n<!DOCTYPE ListeBlancheMSSante [<!ENTITY x \"y\">]>")),
        ("encoding", SIGNED.replace("UTF-8", "ISO-8859-1")),
        ("instruction outside", SIGNED.replace("?>\n", "?>\n<?x y?>")),
        ("same Id twice", SIGNED.replace("<ListeDomaines>", "<ListeDomaines Id=\"a\"><x Id=\"a\"/>")),
        ("empty", String::new()),
        ("not XML", "<a>".into()),
    ];
    for (what, xml) in cases {
        assert_ne!(xml, *SIGNED, "{what} changes nothing");
        assert!(verify(&xml).is_err(), "{what}");
    }
}

#[test]
fn comments_between_elements_change_nothing() {
    // Exclusive c14n without comments: they are no part of what is signed, and no value holds one.
    let commented = SIGNED.replace("<ListeDomaines>", "<ListeDomaines><!-- au-delà -->");
    assert_eq!(verify(&commented).unwrap().domains().count(), 2);
}

#[test]
fn only_the_pinned_and_valid_signer_counts() {
    let signed_by = |key: &FileKey| sign_trust_list(&draft(), key, NOW).unwrap();
    let check = |xml: &[u8], validator: &Validator, at| TrustList::verify(xml, &profile(), validator, at).unwrap_err();
    let validator = builder().build().unwrap();
    for (cn, ou, usage) in [
        ("Liste Blanche Autre", "318751275100020", OrganisationUse::Sign),
        ("Liste Blanche TEST", "318751275100038", OrganisationUse::Sign),
        ("Liste Blanche TEST", "318751275100020", OrganisationUse::Confidentiality),
    ] {
        let xml = signed_by(&key(cn, ou, usage));
        assert!(matches!(check(&xml, &validator, NOW), TrustListError::Signer(_)), "{cn} {ou} {usage:?}");
    }
    // Revoked, unknown status, expired, issued by a stranger.
    let revoked = bare()
        .crl(&crl(&SERVERS.root, &[], NOW, 1))
        .and_then(|it| it.crl(&crl(&SERVERS.issuing, &[SIGNER.certificate()], NOW, 2)))
        .and_then(crate::path::ValidatorBuilder::build)
        .unwrap();
    assert!(matches!(check(SIGNED.as_bytes(), &revoked, NOW), TrustListError::Invalid(f) if f.code == "revoked"));
    let without = bare().build().unwrap();
    assert!(matches!(check(SIGNED.as_bytes(), &without, NOW), TrustListError::Undetermined(_)));
    let later = NOW.plus(Duration::from_secs(86_400 * 2000));
    let not_judged = bare().revocation(RevocationMode::NotJudged).build().unwrap();
    assert!(matches!(check(SIGNED.as_bytes(), &not_judged, later), TrustListError::Invalid(f) if f.code == "expired"));
    let nobody = crate::path::ValidatorBuilder::new().build().unwrap();
    assert!(matches!(check(SIGNED.as_bytes(), &nobody, NOW), TrustListError::Invalid(f) if f.code == "unknown_issuer"));
    // The signature of one key under the certificate of another.
    let other = key("Liste Blanche TEST", "318751275100020", OrganisationUse::Sign);
    let own = super::xades::encode(SIGNER.certificate().der());
    let swapped = SIGNED.replace(&own, &super::xades::encode(other.certificate().der()));
    assert_ne!(swapped, *SIGNED);
    assert!(matches!(check(swapped.as_bytes(), &validator, NOW), TrustListError::Signature(_)));
    // An elliptic key cannot sign in this profile.
    let issued = SERVERS.issuing.issue(&crate::path::tests::request(server())).unwrap();
    let curve = FileKey::new(issued.key().to_owned(), certificate(&issued), vec![]).unwrap();
    assert!(matches!(sign_trust_list(&draft(), &curve, NOW), Err(TrustListError::Signing(_))));
}

#[test]
fn the_date_only_goes_up() {
    let made = |generated| {
        let xml = sign_trust_list(&TrustListDraft { generated, ..draft() }, &*SIGNER, NOW).unwrap();
        TrustList::verify(&xml, &profile(), &builder().build().unwrap(), NOW)
    };
    let hour = Duration::from_secs(3600);
    let (current, older) = (verify(&SIGNED).unwrap(), made(NOW.minus(hour)).unwrap());
    assert!(matches!(older.may_follow(&current), Err(TrustListError::RollBack { .. })));
    assert_eq!(current.may_follow(&older), Ok(()));
    assert_eq!(current.may_follow(&current), Ok(()));
    // The same date and another content.
    let other = TrustListDraft { entries: draft().entries.split_off(1), ..draft() };
    let other = verify(&String::from_utf8(sign_trust_list(&other, &*SIGNER, NOW).unwrap()).unwrap()).unwrap();
    assert!(matches!(other.may_follow(&current), Err(TrustListError::RollBack { .. })));
    assert!(matches!(made(NOW.plus(hour)), Err(TrustListError::Future(_))));
}

#[test]
fn one_bad_line_does_not_take_the_list_down() {
    let rows = "<Domaine><Nom>pas un domaine</Nom><DNCertificatOperateur>CN=x</DNCertificatOperateur></Domaine>\
                <Domaine><Nom>sans-operateur.test</Nom></Domaine>\
                <Domaine><Nom>dn-faux.test</Nom><DNCertificatOperateur>n'importe quoi</DNCertificatOperateur></Domaine>\
                <Domaine><Nom> bon.test </Nom><DNCertificatOperateur>CN=bon,C=FR</DNCertificatOperateur></Domaine>\
                <Domaine><Nom>BON.test</Nom><DNCertificatOperateur>CN=autre,C=FR</DNCertificatOperateur></Domaine>";
    let xml = format!(
        "<l xmlns=\"urn:l\"><DateDeGeneration>2026-09-01T04:00:00Z</DateDeGeneration><ListeDomaines>{rows}</ListeDomaines><s/></l>"
    );
    let document = Document::parse(&xml).unwrap();
    let root = document.root_element();
    let list = TrustList::read(root, root.last_element_child().unwrap(), "urn:l").unwrap();
    assert_eq!(list.domains().map(Domain::as_str).collect::<Vec<_>>(), ["bon.test"]);
    assert_eq!(list.operators(&Domain::parse("bon.test").unwrap()).len(), 2);
    assert_eq!(list.problems().len(), 4, "{:?}", list.problems());
}

#[test]
fn operator_names_are_compared_as_sets() {
    let subject =
        OperatorName::parse("CN=smtp.ch-exemple.test,OU=1990000001,O=CH EXEMPLE-TEST,ST=Paris (75),C=FR").unwrap();
    let leaf = issue(&SERVERS.issuing, server());
    assert!(subject.matches(leaf.subject()));
    for same in [
        "C=FR, ST=Paris (75), O=CH EXEMPLE-TEST, OU=1990000001, CN=smtp.ch-exemple.test",
        "cn=SMTP.ch-exemple.test , ou = 1990000001,\tO=ch  exemple-test, S=Paris(75), C=fr",
        "CN=\"smtp.ch-exemple.test\",OU=1990000001,O=CH\\20EXEMPLE-TEST,2.5.4.8=Paris (75),C=FR",
        "CN=smtp.ch-exemple.test+OU=1990000001,O=CH EXEMPLE-TEST,ST=Paris (75),C=FR",
    ] {
        assert!(OperatorName::parse(same).unwrap().matches(leaf.subject()), "{same}");
    }
    for other in [
        "CN=smtp.ch-exemple.test,OU=1990000001,O=CH EXEMPLE-TEST,ST=Paris (75)",
        "CN=smtp.ch-exemple.test,OU=1990000001,OU=1990000001,O=CH EXEMPLE-TEST,ST=Paris (75),C=FR",
        "CN=smtp2.ch-exemple.test,OU=1990000001,O=CH EXEMPLE-TEST,ST=Paris (75),C=FR",
        "CN=smtp.ch-exemple.test,OU=1990000001,O=CH EXEMPLE-TEST,ST=Paris (75),C=FR,L=Paris",
    ] {
        assert!(!OperatorName::parse(other).unwrap().matches(leaf.subject()), "{other}");
    }
    // Real lists do not escape their commas.
    let comma = OperatorName::parse("CN=x.test,O=SYNDICAT A, B ET C,C=FR").unwrap();
    assert_eq!(comma, OperatorName::parse("CN=x.test,O=SYNDICAT A\\, B ET C,C=FR").unwrap());
    assert_eq!(OperatorName::parse(&comma.to_string()).unwrap(), comma);
    for wrong in ["", "   ", "x", "=x", "CN=", "CN=a,", "CN=\\", "CN=\\ff", "CN=a\0b"] {
        assert!(OperatorName::parse(wrong).is_err(), "{wrong:?}");
    }
    assert_eq!(hospital().department, "Paris (75)");
}

#[test]
fn absurd_nesting_is_refused_not_followed() {
    for depth in [100usize, 100_000] {
        let xml = format!(
            "<ListeBlancheMSSante xmlns=\"{NAMESPACE}\">{}{}</ListeBlancheMSSante>",
            "<a>".repeat(depth),
            "</a>".repeat(depth)
        );
        assert!(verify(&xml).is_err());
    }
    let wide = SIGNED.replace("<ListeDomaines>", &format!("{}<ListeDomaines>{}", "<a>".repeat(80), "</a>".repeat(80)));
    assert!(verify(&wide).is_err());
}

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| builder().build().unwrap());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_changed_octet_never_changes_what_is_read(at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let mut xml = SIGNED.clone().into_bytes();
        let at = at.index(xml.len());
        xml[at] = octet;
        if let Ok(list) = TrustList::verify(&xml, &profile(), &VALIDATOR, NOW) {
            // Some changes are no change: a blank inside a tag, a line end after the root.
            let original = verify(&SIGNED).unwrap();
            prop_assert!(list.entries().eq(original.entries()));
            prop_assert_eq!(list.generated(), original.generated());
        }
    }

    #[test]
    fn operator_names_never_panic_and_print_what_they_are(text in "\\PC{0,60}|(CN|OU|O|ST|C)=[a-z\\\\\",+ =#]{0,12}(,(CN|C)=.{0,8})?") {
        if let Ok(name) = OperatorName::parse(&text) {
            prop_assert_eq!(OperatorName::parse(&name.to_string()), Ok(name));
        }
    }
}
