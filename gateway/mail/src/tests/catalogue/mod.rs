//! The attack catalogue, class by class (reference: classes A1 to A24): at least three forms of each are made
//! here and stopped here. What a class is, and what stops it, stands in `specs/requirements.toml`.

mod container;
mod custody;
mod identity;
mod structure;
pub(super) mod tree;
mod wild;

use std::{collections::BTreeSet, sync::OnceLock};

use pki::{
    cms::{self, ContentCipher},
    issue::{
        Authority, AuthorityRequest, CertificateRequest, KeyAlgorithm, OrganisationUse, Profile as Kind, Validity,
    },
    keys::FileKey,
};

use super::{
    forged::{self, ZOE, container as in_base64, encrypted, mail, refused, signed, text},
    *,
};

/// One form of an attack, and what came of it.
struct Row {
    form: &'static str,
    got: String,
    expected: &'static str,
}

/// A class of the catalogue and its forms, tried.
type Class = (&'static str, fn(&Cast) -> Vec<Row>);

/// Every class.
const CLASSES: [Class; 24] = [
    ("A1", structure::a1),
    ("A2", container::a2),
    ("A3", container::a3),
    ("A4", container::a4),
    ("A5", container::a5),
    ("A6", container::a6),
    ("A7", container::a7),
    ("A8", container::a8),
    ("A9", container::a9),
    ("A10", container::a10),
    ("A11", container::a11),
    ("A12", structure::a12),
    ("A13", identity::a13),
    ("A14", structure::a14),
    ("A15", custody::a15),
    ("A16", identity::a16),
    ("A17", identity::a17),
    ("A18", custody::a18),
    ("A19", custody::a19),
    ("A20", structure::a20),
    ("A21", structure::a21),
    ("A22", custody::a22),
    ("A23", custody::a23),
    ("A24", identity::a24),
];

/// Who attacks whom.
struct Cast {
    world: World,
    /// A reader of ours whose key is RSA.
    rsa: FileKey,
}

fn cast() -> &'static Cast {
    static CAST: OnceLock<Cast> = OnceLock::new();
    CAST.get_or_init(|| {
        let validity = Validity::days(NOW, 3650);
        let root = Authority::root(&AuthorityRequest::new("RACINE EXEMPLE", KeyAlgorithm::P256, validity)).unwrap();
        let kind = Kind::Organisation {
            structure: Structure::new(StructureId::parse("1990000002").unwrap(), "CH AUTRE-TEST", "Paris (75)"),
            label: "SCEAU RSA".into(),
            usage: OrganisationUse::Confidentiality,
            emails: vec![],
        };
        let rsa = root.issue(&CertificateRequest::new(kind, KeyAlgorithm::Rsa2048, validity)).unwrap();
        Cast { world: World::new(), rsa: rsa.file_key().unwrap() }
    })
}

impl Cast {
    /// What the gateway says to this message, from a listed operator.
    fn says(&self, message: &[u8]) -> String {
        refused(&self.world, message, &self.world.trust())
    }

    /// What it says to this container, in a message of Zoe's.
    fn of(&self, container: &[u8]) -> String {
        self.says(&mail(ZOE, &in_base64(container)))
    }

    /// A sound signed letter under this cipher, for the reader whose key is P-256.
    fn sealed(&self, cipher: ContentCipher) -> Vec<u8> {
        let letter = signed(&self.world.doctor, &text("bonjour"));
        cms::encrypt(&letter, &[self.world.reader.certificate()], cipher).unwrap()
    }

    /// A sound signed container.
    fn signed(&self) -> Vec<u8> {
        cms::sign(&text("bonjour"), &self.world.doctor, NOW, &[]).unwrap()
    }
}

/// Every form of a class is stopped as it should be.
#[track_caller]
fn every_form(class: &str) {
    let (_, forms) = CLASSES.iter().find(|(id, _)| *id == class).expect("a class of the catalogue");
    for row in forms(cast()) {
        assert_eq!(row.got, row.expected, "{class}: {}", row.form);
    }
}

#[test]
fn a1_decrypted_text_is_never_joined_to_other_text() {
    every_form("A1");
}

#[test]
fn a2_cbc_gadgets_open_nothing() {
    every_form("A2");
}

#[test]
fn a3_one_content_key_serves_one_mode() {
    every_form("A3");
}

#[test]
fn a4_short_tags_and_other_ciphers_are_no_authentication() {
    every_form("A4");
}

#[test]
fn a5_nonces_of_other_lengths_reach_no_library() {
    every_form("A5");
}

#[test]
fn a6_wrapped_keys_have_the_one_length() {
    every_form("A6");
}

#[test]
fn a7_odd_recipients_and_parameters_are_refused() {
    every_form("A7");
}

#[test]
fn a8_the_announced_digests_are_the_used_ones() {
    every_form("A8");
}

#[test]
fn a9_every_failure_is_one_failure() {
    every_form("A9");
}

#[test]
fn a10_a_detached_signature_has_no_content() {
    every_form("A10");
}

#[test]
fn a11_exactly_one_signer() {
    every_form("A11");
}

#[test]
fn a12_the_signed_part_is_the_root() {
    every_form("A12");
}

#[test]
fn a13_the_signer_speaks_for_from() {
    every_form("A13");
}

#[test]
fn a14_no_field_is_there_twice() {
    every_form("A14");
}

#[test]
fn a15_nothing_replaces_a_certificate_or_quotes_by_itself() {
    every_form("A15");
}

#[test]
fn a16_the_signer_says_for_whom() {
    every_form("A16");
}

#[test]
fn a17_results_are_ours_alone() {
    every_form("A17");
}

#[test]
fn a18_nothing_leaves_before_the_verdict() {
    every_form("A18");
}

#[test]
fn a19_a_message_chooses_no_policy() {
    every_form("A19");
}

#[test]
fn a20_bombs_are_refused_early() {
    every_form("A20");
}

#[test]
fn a21_lines_end_in_one_way() {
    every_form("A21");
}

#[test]
fn a22_blind_copies_show_nowhere() {
    every_form("A22");
}

#[test]
fn a23_a_found_certificate_overwrites_none() {
    every_form("A23");
}

#[test]
fn a24_a_tag_is_no_signature() {
    every_form("A24");
}

/// The claim itself: all classes, three forms or more of each, all different.
#[test]
fn every_class_of_the_catalogue_has_three_forms_or_more() {
    let mut all = 0;
    for (number, (class, forms)) in (1..).zip(CLASSES) {
        assert_eq!(class, format!("A{number}"));
        let rows = forms(cast());
        let names: BTreeSet<_> = rows.iter().map(|row| row.form).collect();
        assert_eq!(names.len(), rows.len(), "{class}: two forms have one name");
        assert!(names.len() >= 3, "{class} has only {names:?}");
        println!("{class}: {} forms", names.len());
        all += rows.len();
    }
    println!("{all} forms in {} classes", CLASSES.len());
    assert!(all >= 100, "{all}");
}
