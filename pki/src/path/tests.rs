//! Path validation on a fictional trust space.

use std::{sync::LazyLock, time::Duration};

use ident::{Address, CardNumber, PersonId, StructureId};
use openssl::{
    bn::{BigNum, MsbOption},
    pkey::{PKey, Public},
    rsa::Rsa,
};

use super::*;
use crate::{
    certificate::{KeyKind, usage},
    der,
    issue::{
        Authority, AuthorityRequest, CardKind, CardUse, Category, CertificateRequest, CrlRequest, Extension, Issued,
        KeyAlgorithm, NamePart, OrganisationUse, Profile, Reason as RevocationReason, Revocation, ServerMailUse,
        StaffKind, Structure, SubjectName, Validity,
    },
    revocation::tests::Ca,
};

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
const DAY: Duration = Duration::from_secs(86_400);

/// A root and an authority under it.
pub(crate) struct Hierarchy {
    pub(crate) root: Authority,
    pub(crate) issuing: Authority,
}

impl Hierarchy {
    pub(crate) fn new(name: &str) -> Self {
        let request =
            |name: &str| AuthorityRequest::new(name, KeyAlgorithm::P256, Validity::days(NOW.minus(DAY * 30), 3650));
        let root = Authority::root(&request(&format!("RACINE {name}"))).unwrap();
        let issuing = root.intermediate(&request(name)).unwrap();
        Self { root, issuing }
    }

    pub(crate) fn anchor(&self) -> Certificate {
        Certificate::from_der(self.root.certificate_der()).unwrap()
    }

    pub(crate) fn intermediate(&self) -> Certificate {
        Certificate::from_der(self.issuing.certificate_der()).unwrap()
    }
}

pub(crate) static PERSONS: LazyLock<Hierarchy> = LazyLock::new(|| Hierarchy::new("FORT PERSONNES"));
pub(crate) static SERVERS: LazyLock<Hierarchy> = LazyLock::new(|| Hierarchy::new("ELEMENTAIRE ORGANISATIONS"));

pub(crate) fn hospital() -> Structure {
    Structure::new(StructureId::parse("1990000001").unwrap(), "CH EXEMPLE-TEST", "Paris (75)")
}

pub(crate) fn doctor(usage: CardUse) -> Profile {
    Profile::Person {
        id: PersonId::parse("899700000017").unwrap(),
        family: "MARTIN-TEST".into(),
        given: "Élodie".into(),
        title: "Médecin".into(),
        structure: Some(hospital()),
        card: CardNumber::parse("2800067201").unwrap(),
        kind: CardKind::Cps,
        usage,
    }
}

pub(crate) fn server() -> Profile {
    Profile::ServerTls { host: "smtp.ch-exemple.test".into(), alternatives: vec![], structure: hospital() }
}

pub(crate) fn organisation(usage: OrganisationUse) -> Profile {
    Profile::Organisation { structure: hospital(), label: "MESSAGERIE".into(), usage, emails: vec![] }
}

pub(crate) fn request(profile: Profile) -> CertificateRequest {
    CertificateRequest::new(profile, KeyAlgorithm::P256, Validity::days(NOW, 1095))
}

pub(crate) fn certificate(issued: &Issued) -> Certificate {
    Certificate::from_der(issued.certificate_der()).unwrap()
}

pub(crate) fn issue(authority: &Authority, profile: Profile) -> Certificate {
    certificate(&authority.issue(&request(profile)).unwrap())
}

pub(crate) fn crl(authority: &Authority, revoked: &[&Certificate], from: Timestamp, number: u64) -> Vec<u8> {
    let revoked = revoked
        .iter()
        .map(|it| Revocation { serial: it.serial().to_vec(), reason: RevocationReason::KeyCompromise, at: from })
        .collect();
    let request = CrlRequest { revoked, this_update: from, next_update: from.plus(DAY), number };
    authority.crl(&request).unwrap().der().to_vec()
}

/// Both hierarchies anchored for what they are for, nothing revoked.
pub(crate) fn builder() -> ValidatorBuilder {
    let mut builder = bare();
    for hierarchy in [&*PERSONS, &*SERVERS] {
        for authority in [&hierarchy.root, &hierarchy.issuing] {
            builder = builder.crl(&crl(authority, &[], NOW, 1)).unwrap();
        }
    }
    builder
}

pub(crate) fn bare() -> ValidatorBuilder {
    ValidatorBuilder::new()
        .test_category(true)
        .anchor(Purpose::Person, PERSONS.anchor())
        .anchor(Purpose::Organisation, SERVERS.anchor())
        .anchor(Purpose::Server, SERVERS.anchor())
        .anchor(Purpose::Email, SERVERS.anchor())
        .intermediate(PERSONS.intermediate())
        .intermediate(SERVERS.intermediate())
}

fn code(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Valid(_) => "valid",
        Verdict::Invalid(finding) => finding.code,
        Verdict::Undetermined(finding) => finding.code,
    }
}

fn verdict_of(authority: &Authority, request: &CertificateRequest, purpose: Purpose) -> &'static str {
    let leaf = certificate(&authority.issue(request).unwrap());
    code(&builder().build().unwrap().verify(&leaf, &[], purpose, NOW))
}

#[test]
fn every_profile_is_good_for_its_purpose_and_no_other() {
    use Purpose::*;
    let staff = |kind| Profile::Staff {
        id: PersonId::parse("3990000001/000000018").unwrap(),
        family: "PETIT-TEST".into(),
        given: "Zoé".into(),
        structure: hospital(),
        card: CardNumber::parse("3800000018").unwrap(),
        kind,
    };
    let mail = |usage| Profile::ServerMail {
        name: "ch-exemple.test".into(),
        structure: hospital(),
        usage,
        emails: vec![Address::parse("secretariat@ch-exemple.test").unwrap()],
    };
    let cases: Vec<(&Authority, Profile, &[Purpose])> = vec![
        (&PERSONS.issuing, doctor(CardUse::Authentication), &[Person]),
        (&PERSONS.issuing, doctor(CardUse::Signature), &[Person]),
        (&PERSONS.issuing, staff(StaffKind::Cpe), &[Person]),
        (&PERSONS.issuing, staff(StaffKind::Cpa), &[Person]),
        (&SERVERS.issuing, organisation(OrganisationUse::AuthClient), &[Organisation, Peer]),
        (&SERVERS.issuing, organisation(OrganisationUse::Sign), &[Organisation, Email]),
        (&SERVERS.issuing, organisation(OrganisationUse::Confidentiality), &[Organisation, Email]),
        (&SERVERS.issuing, mail(ServerMailUse::Sign), &[Organisation, Email]),
        (&SERVERS.issuing, mail(ServerMailUse::Confidentiality), &[Organisation, Email]),
        // Its clientAuth makes a server certificate a client of its structure too.
        (&SERVERS.issuing, server(), &[Server, Peer, Organisation]),
    ];
    let validator = builder().build().unwrap();
    for (authority, profile, good) in cases {
        let leaf = issue(authority, profile);
        for purpose in [Person, Organisation, Server, Peer, Email] {
            let verdict = validator.verify(&leaf, &[], purpose, NOW);
            assert_eq!(verdict.is_valid(), good.contains(&purpose), "{leaf:?} for {purpose:?}: {verdict:?}");
        }
        let Verdict::Valid(path) = validator.verify(&leaf, &[], Any, NOW) else { panic!("{leaf:?}") };
        assert_eq!(path.certificates.len(), 3);
        assert!(path.revocation_judged && !path.stale_grace);
        assert_eq!(path.policies, ["1.2.250.1.213.1.7.2.1.1.1.1"]);
    }
}

#[test]
fn each_fault_has_its_own_reason() {
    let bit = |bits: &[bool]| Extension { oid: "2.5.29.15".into(), critical: true, value: der::named_bits(bits) };
    let eku = |oid: &str| Extension {
        oid: "2.5.29.37".into(),
        critical: false,
        value: der::sequence(&[der::oid(oid).unwrap()]),
    };
    let san = |tag: u8, value: &[u8]| Extension {
        oid: "2.5.29.17".into(),
        critical: false,
        value: der::sequence(&[der::tlv(tag, value)]),
    };
    let other = |oid: &str, critical, value: Vec<u8>| Extension { oid: oid.into(), critical, value };
    let custom = |extensions: Vec<Extension>| {
        let subject = SubjectName::french().with(NamePart::CommonName, "essai");
        request(Profile::Custom { subject, extensions })
    };
    let good = || vec![bit(&[true]), eku(usage::EMAIL_PROTECTION)];
    let with = |extension: Extension| {
        let mut all = good();
        all.push(extension);
        custom(all)
    };
    let cases = [
        ("valid", custom(good())),
        ("valid", with(san(0x81, b"a.b@ch-exemple.test"))),
        ("valid", with(other("1.2.3.4", false, vec![5, 0]))),
        ("valid", custom(vec![eku(usage::EMAIL_PROTECTION)])),
        ("wrong_purpose", custom(vec![bit(&[true])])),
        ("wrong_purpose", custom(vec![bit(&[true]), eku(usage::ANY)])),
        ("wrong_purpose", custom(vec![bit(&[true]), eku(usage::SERVER_AUTH)])),
        ("wrong_purpose", custom(vec![bit(&[false, false, false, true]), eku(usage::EMAIL_PROTECTION)])),
        ("malformed_extension", custom(vec![bit(&[true]), other("2.5.29.37", false, der::sequence::<Vec<u8>>(&[]))])),
        ("malformed_extension", custom(vec![bit(&[]), eku(usage::EMAIL_PROTECTION)])),
        ("bad_leaf", custom(vec![bit(&[true, false, false, false, false, true]), eku(usage::EMAIL_PROTECTION)])),
        ("bad_leaf", with(other("2.5.29.19", true, der::sequence(&[der::boolean(true)])))),
        ("bad_leaf", with(other("2.5.29.36", false, der::sequence(&[der::context_primitive(0, &[0])])))),
        ("unknown_critical_extension", with(other("1.2.3.4", true, vec![5, 0]))),
        ("duplicate_extension", with(eku(usage::EMAIL_PROTECTION))),
        ("malformed_name", with(san(0x81, b"a@b@ch-exemple.test"))),
        ("malformed_name", with(san(0x81, b"a@ch-exemple.test\0.evil.test"))),
        ("malformed_name", with(san(0x81, b"@ch-exemple.test"))),
        ("malformed_name", with(san(0x81, "é@ch-exemple.test".as_bytes()))),
        ("malformed_name", with(san(0x81, b"x@*.ch-exemple.test"))),
        ("malformed_name", with(san(0x82, b"smtp .test"))),
        ("expired", CertificateRequest { validity: Validity::expired(NOW, 3), ..custom(good()) }),
        ("not_yet_valid", CertificateRequest { validity: Validity::days(NOW.plus(DAY * 5), 9), ..custom(good()) }),
    ];
    for (expected, request) in cases {
        assert_eq!(verdict_of(&SERVERS.issuing, &request, Purpose::Email), expected, "{request:?}");
    }
}

#[test]
fn a_server_chain_never_validates_under_the_persons_anchor() {
    // The very shape of a doctor's card, but from the servers' authority (NT-T03).
    let forged = issue(&SERVERS.issuing, doctor(CardUse::Authentication));
    let validator = builder().build().unwrap();
    assert_eq!(code(&validator.verify(&forged, &[], Purpose::Person, NOW)), "unknown_issuer");
    let card = issue(&PERSONS.issuing, doctor(CardUse::Signature));
    assert_eq!(code(&validator.verify(&card, &[], Purpose::Email, NOW)), "unknown_issuer");
}

#[test]
fn another_root_of_the_same_name_is_refused() {
    // NT-T01 and NT-T02: names and key identifiers copied, keys are other ones.
    let twin = Hierarchy::new("FORT PERSONNES");
    let leaf = issue(&twin.issuing, doctor(CardUse::Authentication));
    let validator = builder().build().unwrap();
    assert_eq!(code(&validator.verify(&leaf, &[], Purpose::Person, NOW)), "bad_signature");
    let brought = [twin.intermediate(), twin.anchor()];
    assert!(!validator.verify(&leaf, &brought, Purpose::Person, NOW).is_valid());
    assert!(!validator.verify(&twin.anchor(), &brought, Purpose::Any, NOW).is_valid());
    // A stranger altogether.
    let stranger = Hierarchy::new("INCONNUE");
    let leaf = issue(&stranger.issuing, doctor(CardUse::Authentication));
    assert_eq!(code(&validator.verify(&leaf, &[stranger.intermediate()], Purpose::Person, NOW)), "unknown_issuer");
}

#[test]
fn intermediates_may_come_along() {
    let leaf = issue(&PERSONS.issuing, doctor(CardUse::Authentication));
    let validator = ValidatorBuilder::new()
        .test_category(true)
        .anchor(Purpose::Person, PERSONS.anchor())
        .revocation(RevocationMode::NotJudged)
        .build()
        .unwrap();
    assert_eq!(code(&validator.verify(&leaf, &[], Purpose::Person, NOW)), "unknown_issuer", "NT-T11");
    let Verdict::Valid(path) = validator.verify(&leaf, &[PERSONS.intermediate()], Purpose::Person, NOW) else {
        panic!("a brought intermediate is enough");
    };
    assert!(!path.revocation_judged);
    // A pinned intermediate is an anchor like any other.
    let pinned = ValidatorBuilder::new()
        .test_category(true)
        .anchor(Purpose::Person, PERSONS.intermediate())
        .revocation(RevocationMode::NotJudged)
        .build()
        .unwrap();
    assert!(pinned.verify(&leaf, &[], Purpose::Person, NOW).is_valid());
}

#[test]
fn test_certificates_are_refused_in_production() {
    let refused = ValidatorBuilder::new().anchor(Purpose::Person, PERSONS.anchor()).build();
    assert!(matches!(refused, Err(ValidatorError::TestAnchor(_))));
    // A production hierarchy that issued a test certificate: its category tells.
    let name = |cn: &str| {
        SubjectName::french().with(NamePart::Organisation, "AUTORITE-FICTIVE").with(NamePart::CommonName, cn)
    };
    let authority_request = |cn: &str| AuthorityRequest {
        name: name(cn),
        ..AuthorityRequest::new("X", KeyAlgorithm::P256, Validity::days(NOW, 900))
    };
    let root = Authority::root(&authority_request("AC RACINE")).unwrap();
    let validator = ValidatorBuilder::new()
        .anchor(Purpose::Person, Certificate::from_der(root.certificate_der()).unwrap())
        .revocation(RevocationMode::NotJudged)
        .build()
        .unwrap();
    for (category, expected) in
        [(Category::Test, "test_certificate"), (Category::Production, "valid"), (Category::Absent, "valid")]
    {
        let request = CertificateRequest { category, ..request(doctor(CardUse::Authentication)) };
        let leaf = certificate(&root.issue(&request).unwrap());
        assert_eq!(code(&validator.verify(&leaf, &[], Purpose::Person, NOW)), expected);
    }
}

#[test]
fn weak_keys_and_digests_are_refused_except_under_any() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new("openssl").current_dir(folder.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let extensions =
        "keyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\nbasicConstraints=CA:FALSE\n";
    std::fs::write(folder.path().join("ext"), extensions).unwrap();
    let root = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-days",
        "30",
        "-subj",
        "/CN=AC Essai",
    ];
    run(&root);
    let read = |name: &str| Certificate::from_pem(&std::fs::read(folder.path().join(name)).unwrap()).unwrap();
    let at = read("ca.pem").not_before().plus(Duration::from_secs(60));
    let validator = ValidatorBuilder::new()
        .anchor(Purpose::Email, read("ca.pem"))
        .revocation(RevocationMode::NotJudged)
        .build()
        .unwrap();
    for (bits, digest, expected) in [
        ("rsa:2048", "-sha256", "valid"),
        ("rsa:1024", "-sha256", "weak_algorithm"),
        ("rsa:2048", "-sha1", "weak_algorithm"),
    ] {
        run(&["req", "-new", "-newkey", bits, "-nodes", "-keyout", "k", "-out", "r", "-subj", "/CN=essai"]);
        run(&[
            "x509",
            "-req",
            "-in",
            "r",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            digest,
            "-days",
            "9",
            "-extfile",
            "ext",
            "-out",
            "leaf.pem",
        ]);
        let leaf = read("leaf.pem");
        assert_eq!(code(&validator.verify(&leaf, &[], Purpose::Email, at)), expected, "{bits} {digest}");
        assert!(validator.verify(&leaf, &[], Purpose::Any, at).is_valid(), "{bits} {digest}");
    }
}

#[test]
fn what_is_remembered_does_not_outlive_dates_and_revocation() {
    let leaf = issue(&PERSONS.issuing, doctor(CardUse::Authentication));
    let validator = builder().build().unwrap();
    for _ in 0..2 {
        assert!(validator.verify(&leaf, &[], Purpose::Person, NOW).is_valid());
        assert_eq!(code(&validator.verify(&leaf, &[], Purpose::Server, NOW)), "unknown_issuer");
    }
    assert!(matches!(validator.verify(&leaf, &[], Purpose::Person, NOW.plus(DAY * 3)), Verdict::Undetermined(_)));
    let over = leaf.not_after();
    assert_eq!(code(&validator.verify(&leaf, &[], Purpose::Person, over.plus(Duration::from_secs(1)))), "expired");
    assert_eq!(code(&validator.verify(&leaf, &[], Purpose::Person, over)), "crl_stale", "the last second counts");
    let early = leaf.not_before();
    let before = early.minus(Duration::from_millis(1));
    assert_eq!(code(&validator.verify(&leaf, &[], Purpose::Person, before)), "not_yet_valid");
    assert_eq!(code(&validator.verify(&leaf, &[], Purpose::Person, early)), "crl_missing", "so does the first");
    // A card is no card without key usage.
    let subject = doctor(CardUse::Authentication).subject();
    let eku = der::sequence(&[der::oid(usage::CLIENT_AUTH).unwrap()]);
    let extensions = vec![Extension { oid: "2.5.29.37".into(), critical: false, value: eku }];
    let bare = issue(&PERSONS.issuing, Profile::Custom { subject, extensions });
    assert_eq!(code(&validator.verify(&bare, &[], Purpose::Person, NOW)), "wrong_purpose");
}

#[test]
fn policies_are_wanted_when_they_are_named() {
    let leaf = issue(&PERSONS.issuing, doctor(CardUse::Authentication));
    let with = |policies| builder().policies(policies).build().unwrap();
    let accepted = |oid: &str| PolicySettings { accepted: vec![oid.into()], ..PolicySettings::default() };
    let ours = with(accepted("1.2.250.1.213.1.7.2.1.1.1.1"));
    assert!(ours.verify(&leaf, &[], Purpose::Person, NOW).is_valid());
    let others = with(accepted("1.2.250.1.213.9.9"));
    assert_eq!(code(&others.verify(&leaf, &[], Purpose::Person, NOW)), "policy");
    // RFC 5280 by itself accepts the chain and says that no policy holds.
    let Verdict::Valid(path) = others.verify(&leaf, &[], Purpose::Any, NOW) else { panic!("RFC 5280 §6.1.5 (g)") };
    assert!(path.policies.is_empty());
    let explicit = with(PolicySettings { require_explicit: true, ..accepted("1.2.250.1.213.9.9") });
    assert_eq!(code(&explicit.verify(&leaf, &[], Purpose::Any, NOW)), "policy");
    for wrong in ["", "nonsense", "1.2.3\0", "9.9"] {
        assert!(matches!(builder().policies(accepted(wrong)).build(), Err(ValidatorError::Policy(_))), "{wrong:?}");
    }
}

#[test]
fn thousands_of_look_alikes_end_with_a_verdict() {
    // Authorities of the issuer's name with other keys, all pointing at each other.
    let lookalike = |_: usize| Hierarchy::new("FORT PERSONNES");
    let fakes: Vec<Hierarchy> = (0..20).map(lookalike).collect();
    let mut brought: Vec<Certificate> = fakes.iter().flat_map(|fake| [fake.intermediate(), fake.anchor()]).collect();
    let many: Vec<Certificate> = (0..100).flat_map(|_| brought.clone()).collect();
    let stranger = Hierarchy::new("FORT PERSONNES");
    let leaf = issue(&stranger.issuing, doctor(CardUse::Authentication));
    let validator = builder().build().unwrap();
    assert!(!validator.verify(&leaf, &many, Purpose::Person, NOW).is_valid());
    // And a good chain is found among them.
    let good = issue(&PERSONS.issuing, doctor(CardUse::Authentication));
    brought.reverse();
    assert!(validator.verify(&good, &brought, Purpose::Person, NOW).is_valid());
}

fn not_judged(anchor: &Certificate) -> ValidatorBuilder {
    ValidatorBuilder::new().anchor(Purpose::Email, anchor.clone()).revocation(RevocationMode::NotJudged)
}

#[test]
fn another_chain_is_tried_when_the_first_fails() {
    // One authority, certified by a root that we trust and by one that we do not, and once by
    // somebody who may not certify: the same name and key each time.
    let (trusted, stranger, middle) = (Ca::new("AC Racine"), Ca::new("AC Etrangere"), Ca::new("AC Milieu"));
    let anchor = trusted.authority("AC Racine", 1, &trusted.key, true);
    let foreign = stranger.authority("AC Etrangere", 1, &stranger.key, true);
    let dead_end = stranger.authority("AC Milieu", 2, &middle.key, true);
    let powerless = trusted.authority("AC Milieu", 3, &middle.key, false);
    let good = trusted.authority("AC Milieu", 4, &middle.key, true);
    let leaf = middle.leaf(9, &[]);
    let validator = not_judged(&anchor).build().unwrap();
    let all = [foreign, dead_end, powerless, good];
    let mut order = vec![0, 1, 2, 3];
    for _ in 0..4 {
        order.rotate_left(1);
        let brought: Vec<Certificate> = order.iter().map(|at| all[*at].clone()).collect();
        assert!(validator.verify(&leaf, &brought, Purpose::Email, NOW).is_valid(), "{order:?}");
    }
    let [foreign, dead_end, powerless, _] = all;
    let verdict = validator.verify(&leaf, &[foreign, dead_end, powerless], Purpose::Email, NOW);
    assert_eq!(code(&verdict), "not_an_authority");
}

#[test]
fn authorities_that_certify_each_other_end_with_a_verdict() {
    let ring = |names: &[&'static str]| {
        let authorities: Vec<Ca> = names.iter().map(|name| Ca::new(name)).collect();
        let pairs = authorities.iter().flat_map(|issuer| authorities.iter().zip(names).map(move |it| (issuer, it)));
        let brought: Vec<Certificate> =
            pairs.map(|(issuer, (subject, name))| issuer.authority(name, 7, &subject.key, true)).collect();
        (authorities, brought)
    };
    let root = Ca::new("AC Racine");
    let anchor = root.authority("AC Racine", 1, &root.key, true);
    let validator = not_judged(&anchor).build().unwrap();
    let (authorities, mut brought) = ring(&["A0", "A1", "A2", "A3", "A4"]);
    let leaf = authorities[0].leaf(9, &[]);
    assert_eq!(code(&validator.verify(&leaf, &brought, Purpose::Email, NOW)), "unknown_issuer");
    // Somewhere in the ring there is a way out.
    brought.push(root.authority("A3", 8, &authorities[3].key, true));
    assert!(validator.verify(&leaf, &brought, Purpose::Email, NOW).is_valid());
    // Eighty million ways, none of which leads anywhere.
    let (authorities, brought) = ring(&["A0", "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9", "A10", "A11"]);
    let leaf = authorities[0].leaf(9, &[]);
    assert_eq!(code(&validator.verify(&leaf, &brought, Purpose::Email, NOW)), "too_complex");
}

/// A public key that nobody holds: anybody can write one down, and checking signatures with it costs.
fn costly_key(bits: i32, exponent: u32) -> PKey<Public> {
    let mut modulus = BigNum::new().unwrap();
    modulus.rand(bits, MsbOption::ONE, true).unwrap();
    let mut power = BigNum::new().unwrap();
    power.lshift(&BigNum::from_u32(1).unwrap(), i32::try_from(exponent).unwrap()).unwrap();
    power.add_word(1).unwrap();
    PKey::from_rsa(Rsa::from_public_components(modulus, power).unwrap()).unwrap()
}

/// A stranger decides what certificates come along; trying them must not cost more than a stranger
/// may cost (RX, design §7). The largest keys take hundreds of times as long as usual ones.
#[test]
fn large_keys_use_up_the_budget_sooner() {
    let root = Ca::new("AC Racine");
    let anchor = root.authority("AC Racine", 1, &root.key, true);
    let validator = not_judged(&anchor).build().unwrap();
    let leaf = Ca::new("AC Sosie").leaf(9, &[]);
    let sosies = |bits, count: u8| -> Vec<Certificate> {
        (0..count).map(|serial| root.authority("AC Sosie", serial, &costly_key(bits, 16), true)).collect()
    };
    let few = validator.verify(&leaf, &sosies(2048, 20), Purpose::Email, NOW);
    assert_eq!(code(&few), "bad_signature");
    let costly = validator.verify(&leaf, &sosies(16384, 20), Purpose::Email, NOW);
    assert_eq!(code(&costly), "too_complex");
}

/// OpenSSL bounds the exponent of large RSA keys only: with one as long as the modulus, a check costs
/// as much as signing.
#[test]
fn an_absurd_exponent_makes_no_key() {
    let root = Ca::new("AC Racine");
    assert_eq!(root.authority("AC", 2, &costly_key(3072, 32), true).key(), KeyKind::Rsa(3072));
    assert_eq!(root.authority("AC", 2, &costly_key(3072, 3000), true).key(), KeyKind::Other);
    // And such a key is not even tried.
    let anchor = root.authority("AC Racine", 1, &root.key, true);
    let validator = not_judged(&anchor).build().unwrap();
    let leaf = Ca::new("AC Sosie").leaf(9, &[]);
    let absurd: Vec<Certificate> =
        (0..60).map(|serial| root.authority("AC Sosie", serial, &costly_key(16384, 65), true)).collect();
    assert_eq!(code(&validator.verify(&leaf, &absurd, Purpose::Email, NOW)), "bad_signature");
}

#[test]
fn a_chain_longer_than_allowed_is_refused_as_such() {
    let names: Vec<&'static str> = vec!["A0", "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9", "A10", "A11"];
    let authorities: Vec<Ca> = names.iter().map(|name| Ca::new(name)).collect();
    let anchor = authorities[0].authority("A0", 1, &authorities[0].key, true);
    let validator = not_judged(&anchor).build().unwrap();
    let certified: Vec<Certificate> = authorities
        .windows(2)
        .zip(&names[1..])
        .map(|(pair, name)| pair[0].authority(name, 2, &pair[1].key, true))
        .collect();
    // Leaf, eight authorities and the anchor are ten.
    assert!(validator.verify(&authorities[8].leaf(9, &[]), &certified, Purpose::Email, NOW).is_valid());
    let verdict = validator.verify(&authorities[9].leaf(9, &[]), &certified, Purpose::Email, NOW);
    assert_eq!(code(&verdict), "path_too_long", "NT-T12");
}

/// One national root over authorities for persons and for organisations: usages and the shape of a name
/// are what an authority writes, so the authority itself has to be named (PKI-2, PKI-4).
#[test]
fn one_root_for_persons_and_organisations_needs_its_issuing_authorities() {
    let request =
        |name: &str| AuthorityRequest::new(name, KeyAlgorithm::P256, Validity::days(NOW.minus(DAY * 30), 3650));
    let root = Authority::root(&request("RACINE STANDARD")).unwrap();
    let persons = root.intermediate(&request("STANDARD PERSONNES")).unwrap();
    let structures = root.intermediate(&request("STANDARD ORGANISATIONS")).unwrap();
    let read = |authority: &Authority| Certificate::from_der(authority.certificate_der()).unwrap();
    let bare = || {
        ValidatorBuilder::new()
            .test_category(true)
            .revocation(RevocationMode::NotJudged)
            .intermediate(read(&persons))
            .intermediate(read(&structures))
    };
    let (person, organisation) = (Purpose::Person, Purpose::Organisation);
    // Undivided, or divided on one side only: no production configuration.
    let halves = [
        bare().anchor(person, read(&root)).anchor(organisation, read(&root)),
        bare().anchor(person, read(&root)).anchor(Purpose::Server, read(&root)),
        bare().anchor_with_issuers(person, read(&root), vec![read(&persons)]).anchor(organisation, read(&root)),
        bare().anchor_with_issuers(organisation, read(&root), vec![read(&structures)]).anchor(person, read(&root)),
        bare().anchor_with_issuers(person, read(&root), vec![]).anchor_with_issuers(organisation, read(&root), vec![]),
    ];
    for half in halves {
        assert!(matches!(half.build(), Err(ValidatorError::UndividedAnchor(_))));
    }
    let divided = bare()
        .anchor_with_issuers(person, read(&root), vec![read(&persons)])
        .anchor_with_issuers(organisation, read(&root), vec![read(&structures)])
        .build()
        .unwrap();
    let card = |authority: &Authority| issue(authority, doctor(CardUse::Authentication));
    let seal = |authority: &Authority| issue(authority, organisation_profile());
    for (leaf, purpose, expected) in [
        (card(&persons), person, "valid"),
        (seal(&structures), organisation, "valid"),
        // The very shape and usages of a doctor's card, written by the authority for structures.
        (card(&structures), person, "wrong_authority"),
        (seal(&persons), organisation, "wrong_authority"),
        (card(&root), person, "wrong_authority"),
    ] {
        assert_eq!(code(&divided.verify(&leaf, &[], purpose, NOW)), expected, "{leaf:?}");
        assert!(divided.verify(&leaf, &[], Purpose::Any, NOW).is_valid(), "RFC 5280 knows no purposes");
    }
    // Roots that serve one side only need no more; a command may take one set for everything.
    assert!(bare().anchor(organisation, read(&root)).anchor(Purpose::Server, read(&root)).build().is_ok());
    assert!(
        bare().anchor(person, read(&root)).anchor(organisation, read(&root)).undivided_anchors(true).build().is_ok()
    );
}

fn organisation_profile() -> Profile {
    organisation(OrganisationUse::AuthClient)
}
