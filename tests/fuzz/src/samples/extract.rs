//! Folders of extracts: each file good, drifted, zipped, and wrong in every way that its reader knows.

use std::io::{Cursor, Write as _};

use zip::{ZipWriter, write::SimpleFileOptions};

use super::Sample;
use crate::targets::extract::NEXT;

const ACTIVITY: &str = "8|99700000001|899700000001|DR|Docteur|MME|Madame|LEFÈVRE-TEST|Anne|10|Médecin|C|Civil|S|Spécialité|SM04|Cardiologie|S|Salarié|00000000000018||990000001|990000009|F990000001|CH TEST|||Bât. A|1|B|R|Rue|DE L’ÉGLISE|||75012|75112|Paris 12e|99000|France|0100000000||||75|Paris||CNOM|SA01|Public|||||GENR01|Standard|";
const NAME: &str = "ps-libreacces-personne-activite.txt";

/// One file: its name, a line end, its octets.
fn file(name: &str, text: &str) -> Vec<u8> {
    format!("{name}\n{text}").into_bytes()
}

fn folder(files: &[Vec<u8>]) -> Vec<u8> {
    files.join(NEXT)
}

fn people(rows: &[&str]) -> Vec<u8> {
    file(NAME, &format!("H\n{}\n", rows.join("\n")))
}

fn beside(other: Vec<u8>) -> Vec<u8> {
    folder(&[people(&[ACTIVITY]), other])
}

fn zipped(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).expect("an entry");
        writer.write_all(text.as_bytes()).expect("an entry");
    }
    writer.finish().expect("an archive").into_inner()
}

fn changed(place: usize, value: &str) -> String {
    let fields = ACTIVITY.split('|').enumerate();
    fields.map(|(at, field)| if at == place { value } else { field }).collect::<Vec<_>>().join("|")
}

/// All of them.
pub fn all() -> Vec<Sample> {
    [activities(), others(), folders()].concat()
}

fn activities() -> Vec<Sample> {
    let one = |place, value: &str| people(&[&changed(place, value)]);
    vec![
        ("activity", people(&[ACTIVITY])),
        ("activity-twice", people(&[ACTIVITY, ACTIVITY, &changed(8, "Anne-Marie")])),
        ("activity-adeli", people(&[&changed(0, "0").replace("|99700000001|899700000001|", "|012800736|0012800736|")])),
        ("activity-bare", people(&[&changed(2, "")])),
        ("activity-bare-words", people(&[&changed(2, "").replacen("8|", "RPPS|", 1)])),
        ("activity-other-number", one(1, "99700000002")),
        ("activity-no-id", people(&[&changed(2, "").replacen("|99700000001|", "||", 1)])),
        ("activity-no-name", one(7, "")),
        (
            "activity-lower-case",
            people(&[&changed(2, "3760021832/abc").replacen("|99700000001|", "|760021832/ABC|", 1)]),
        ),
        ("activity-finess-wrong", one(21, "99")),
        ("activity-siret-wrong", one(19, "12 34")),
        ("activity-technical-siret", people(&[&changed(23, "C00000000000018").replacen("|00000000000018|", "||", 1)])),
        ("activity-technical-lower", one(23, "f 990000001")),
        (
            "activity-no-structure",
            people(&[
                "8|99700000001|899700000001|DR|Docteur|MME|Madame|PETIT-TEST|Luc|10|Médecin||||||||||||||||||||||||||||||||||||||||||||||",
            ]),
        ),
        (
            "activity-structure-by-name",
            people(&[
                "8|99700000001|899700000001|||||PETIT-TEST|Luc|10|||||||||||||||CABINET TEST|||||||||||||||||||||||||||||||||",
            ]),
        ),
        ("activity-short", people(&["8|99700000001"])),
        ("activity-long", people(&[&format!("{ACTIVITY}surplus|")])),
        ("activity-control", people(&[&changed(8, "A\u{1}nne")])),
        ("activity-blanks", people(&[&changed(8, "  Anne\t"), "", "   "])),
        ("activity-latin", [people(&[ACTIVITY]), b"8|99700000001|LEF\xC8VRE\n".to_vec()].concat()),
        ("activity-crlf", file(NAME, &format!("H\n{ACTIVITY}\r\n{ACTIVITY}\r\n"))),
        ("activity-drifted", {
            let header = annuaire::FileKind::Activities.columns().join("|").replace("Code fonction", "Code rôle");
            file("PS_LibreAcces_Personne_activite_202608260803.txt", &format!("\u{feff}{header}|\n{ACTIVITY}\n"))
        }),
        ("activity-by-header", {
            let header = annuaire::FileKind::Activities.columns().join("|");
            file("2026_08_26", &format!("{header}\n{ACTIVITY}\n"))
        }),
        (
            "activity-few-columns",
            file(
                NAME,
                "Identifiant PP|Identification nationale PP|Nom d'exercice|Prénom d'exercice|Code profession\n99700000001|899700000001|PETIT-TEST|Luc|10\n",
            ),
        ),
        ("activity-column-missing", file(NAME, "Identifiant PP|Nom d'exercice\n1|2\n")),
        ("activity-column-twice", {
            let header = annuaire::FileKind::Activities.columns().join("|");
            file(NAME, &format!("{header}|Code profession\n"))
        }),
    ]
}

fn others() -> Vec<Sample> {
    let mailbox =
        |row: &str| beside(file("Extraction_Correspondance_MSSante_202611021013.txt", &format!("H\n{row}\n")));
    let card = |row: &str| beside(file("Porteurs_CPS_CPF_20261102.csv", &format!("H\n{row}\n")));
    let skill = |row: &str| beside(file("ps-libreacces-savoirfaire.txt", &format!("H\n{row}\n")));
    let diploma = |row: &str| beside(file("ps-libreacces-dipl-autexerc.txt", &format!("H\n{row}\n")));
    let place = "CH TEST|||||||||75012 PARIS|75012|75|France";
    vec![
        (
            "mailbox",
            mailbox(&format!(
                "PER|anne@ch.test|8|99700000001|899700000001|1|990000001|Cardio|DR|LEFÈVRE-TEST|Anne|C|Civil|10|Médecin|||O|CH TEST||||1||R|DE L’ÉGLISE||75012 PARIS|75012|75|France\nPER|anne@ch.test|8|99700000001|899700000001|3|00000000000018||DR|L|A||||||||{place}|"
            )),
        ),
        (
            "mailbox-organisation",
            mailbox("ORG|cardio@ch.test||||FINESS|1990000001|Cardiologie||||||||||||||||||||||||"),
        ),
        ("mailbox-practice", mailbox("CAB|cabinet@ch.test||||4|499700000001006||||||||||||||||||||||||Paris|France")),
        ("mailbox-rank", mailbox("ORG|c@ch.test||||RPPS-RANG|99700000001006||||||||||||||||||||||||||||")),
        ("mailbox-untyped", mailbox("ORG|c@ch.test|||||00000000000018||||||||||||||||||||||||")),
        ("mailbox-technical", mailbox("ORG|c@ch.test|||||R10100000240453||||||||||||||||||||||||")),
        ("mailbox-technical-siret", mailbox("ORG|c@ch.test|||||C00000000000018||||||||||||||||||||||||")),
        ("mailbox-structure-wrong", mailbox("ORG|c@ch.test|||||zz||||||||||||||||||||||||")),
        ("mailbox-nobody", mailbox("PER|anne@ch.test|||||||||||||||||||||||||||||")),
        ("mailbox-kind", mailbox("XYZ|anne@ch.test|||||||||||||||||||||||||||||")),
        ("mailbox-address", mailbox("PER|anne ch.test|8|99700000001|899700000001||||||||||||||||||||||||||")),
        (
            "mailbox-staff",
            mailbox("PER|b@ch.test|3|990000001/0001|3990000001/0001|||||MORIN-TEST|Zoé||||||||||||||||||||"),
        ),
        (
            "card",
            card(
                "99700000001|0|CPS|2800067201|899700000001|2026-01-31|20290131||01/02/2026\n99700000001|0|CPS|2800067201|899700000001|2026-01-31|20290131|20260601|20260701",
            ),
        ),
        ("card-date", card("99700000001|0|CPS|2800067201|899700000001|hier|20290131||")),
        ("card-opposed-wrong", card("99700000001|0|CPS|2800067201|899700000001||20290231|hier|")),
        ("card-number", card("99700000001|0|CPS|A B|899700000001||20290131||")),
        ("card-nobody", card("|0|CPS|2800067201|||20290131|20260101|")),
        (
            "skill",
            skill("8|99700000001|899700000001|LEFÈVRE-TEST|Anne|10|Médecin|C|Civil|S|Spécialité|SM04|Cardiologie|"),
        ),
        ("skill-none", skill("8|99700000001|899700000001|LEFÈVRE-TEST|Anne|10|Médecin|C|Civil|||||")),
        (
            "diploma",
            diploma(
                "8|99700000001|899700000001|LEFÈVRE-TEST|Anne|DE|Diplôme d’État|DE28|Médecin|A|Autorisation|7|Disc|",
            ),
        ),
        (
            "diploma-forms",
            diploma(
                "0||0012800736||||||||||\n||3760021832/000000018||||||||||\n|760021832/18|||||||||||\n|00000000029751/7|||||||||||\n|12|||||||||||",
            ),
        ),
    ]
}

fn folders() -> Vec<Sample> {
    let header = annuaire::FileKind::Activities.columns().join("|");
    let text = format!("{header}\n{ACTIVITY}\n");
    let archive = |name: &str, entries: &[(&str, &str)]| [format!("{name}\n").into_bytes(), zipped(entries)].concat();
    let cut = |name: &str, most: usize| {
        let mut octets = archive(name, &[(NAME, text.as_str())]);
        octets.truncate(most);
        octets
    };
    vec![
        ("nothing", Vec::new()),
        ("no-extract", file("LISEZMOI", "rien\n")),
        ("hidden", folder(&[people(&[ACTIVITY]), file(".x", "y")])),
        ("empty-file", file(NAME, "")),
        ("not-utf8", [NAME.as_bytes(), b"\n\xff\xfe|\n"].concat()),
        ("older-beside", folder(&[people(&[ACTIVITY]), file("ps-libreacces-personne-activite-2025-01-31.txt", "H\n")])),
        (
            "zip",
            archive(
                "PS_LibreAcces_202608260803.zip",
                &[("PS_LibreAcces_Personne_activite_202608260803.txt", text.as_str())],
            ),
        ),
        ("zip-outer-name", archive("ps-libreacces-personne-activite.zip", &[("x", text.as_str())])),
        (
            "zip-two",
            archive(
                "tout.zip",
                &[("a/ps-libreacces-personne-activite.txt", text.as_str()), ("b.txt", "rien"), ("d/", "")],
            ),
        ),
        ("zip-by-header", archive("tout.zip", &[("a", text.as_str()), ("b", "rien")])),
        ("zip-cut", cut("ps-libreacces-personne-activite.zip", 200)),
        ("zip-magic", file("x.zip", "PK\u{3}\u{4}")),
    ]
}
