//! A person as a contact card: vCard 3.0 (RFC 2426), because that is what mail programs of all ages read.

use crate::PersonAnswer;

/// Longest line in octets, line end not counted (RFC 2426 §2.6).
const LINE: usize = 75;

/// What the card says beside the person.
pub(super) struct About<'a> {
    /// Where the person's page is.
    pub(super) page: &'a str,
    /// One sentence: where the data come from and how old they are.
    pub(super) note: &'a str,
    /// When the data were made, RFC 3339.
    pub(super) revised: &'a str,
}

/// The card.
pub(super) fn vcard(person: &PersonAnswer, about: &About<'_>) -> String {
    let mut card = Card::default();
    card.line("BEGIN", "VCARD");
    card.line("VERSION", "3.0");
    card.line("N", &format!("{};{};;;", escaped(&person.family), escaped(&person.given)));
    card.line("FN", &escaped(&format!("{} {}", person.given, person.family)));
    card.line("UID", &escaped(&format!("urn:oid:1.2.250.1.71.4.2.1:{}", person.id)));
    if let Some(first) = person.activities.first() {
        card.filled(
            "TITLE",
            &escaped(if first.profession.is_empty() { &person.profession } else { &first.profession }),
        );
        card.filled("ROLE", &escaped(&first.speciality));
        card.filled("ORG", &escaped(&first.structure));
        let place = [&first.town, &first.department, &first.postcode].map(|part| escaped(part));
        let [town, department, postcode] = place;
        card.line("ADR;TYPE=WORK", &format!(";;;{town};{department};{postcode};"));
    } else {
        card.filled("TITLE", &escaped(&person.profession));
    }
    for (n, mailbox) in person.mailboxes.iter().enumerate() {
        let name = if n == 0 { "EMAIL;TYPE=INTERNET,PREF" } else { "EMAIL;TYPE=INTERNET" };
        card.line(name, &escaped(&mailbox.address));
    }
    card.line("URL", &escaped(about.page));
    card.line("NOTE", &escaped(about.note));
    card.line("REV", &escaped(about.revised));
    card.line("END", "VCARD");
    card.text
}

/// A name for the file, in letters that every system takes.
pub(super) fn file_name(person: &PersonAnswer) -> String {
    let words = crate::words(&format!("{} {}", person.family, person.given));
    let name: String = words.join("-").chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(60).collect();
    format!("{}.vcf", if name.is_empty() { "contact" } else { &name })
}

#[derive(Default)]
struct Card {
    text: String,
}

impl Card {
    fn filled(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.line(name, value);
        }
    }

    /// One line, folded between characters.
    fn line(&mut self, name: &str, value: &str) {
        let mut room = LINE;
        for c in format!("{name}:{value}").chars() {
            if c.len_utf8() > room {
                self.text.push_str("\r\n ");
                room = LINE.saturating_sub(1);
            }
            self.text.push(c);
            room = room.saturating_sub(c.len_utf8());
        }
        self.text.push_str("\r\n");
    }
}

/// Text as a value (RFC 2426 §4): nothing in it can end the line or the part.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' | ',' | ';' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ActivityAnswer, MailboxAnswer, MailboxType, MatchKind};

    fn person(family: &str) -> PersonAnswer {
        PersonAnswer {
            id: "899700000001".to_owned(),
            family: family.to_owned(),
            given: "Anne-Sophie".to_owned(),
            profession: "Médecin".to_owned(),
            r#match: MatchKind::Exact,
            active: true,
            homonyms: 0,
            activities: vec![ActivityAnswer {
                profession: "Médecin".to_owned(),
                speciality: "Cardiologie".to_owned(),
                structure: "CH EXEMPLE; TEST".to_owned(),
                structure_id: None,
                postcode: "58000".to_owned(),
                town: "Nevers".to_owned(),
                department: "Nièvre".to_owned(),
            }],
            mailboxes: ["a@x.test", "b@x.test"]
                .map(|address| MailboxAnswer { address: address.to_owned(), r#type: MailboxType::Personal, rank: None })
                .to_vec(),
            cards: vec![],
        }
    }

    fn card(family: &str) -> String {
        vcard(&person(family), &About { page: "https://x.test/person/1", note: "n", revised: "2026-11-02T00:00:00Z" })
    }

    #[test]
    fn a_card_says_who_where_and_which_address_first() {
        let card = card("L’ÉPINAIE-TEST");
        for line in [
            "N:L’ÉPINAIE-TEST;Anne-Sophie;;;",
            "FN:Anne-Sophie L’ÉPINAIE-TEST",
            "ORG:CH EXEMPLE\\; TEST",
            "ADR;TYPE=WORK:;;;Nevers;Nièvre;58000;",
            "EMAIL;TYPE=INTERNET,PREF:a@x.test",
            "EMAIL;TYPE=INTERNET:b@x.test",
        ] {
            assert!(card.split("\r\n").any(|it| it == line), "{line}\n{card}");
        }
        assert_eq!(file_name(&person("L’ÉPINAIE-TEST")), "l-epinaie-test-anne-sophie.vcf");
        assert_eq!(file_name(&PersonAnswer { given: String::new(), ..person("") }), "contact.vcf");
    }

    proptest! {
        #[test]
        fn no_name_adds_a_line(family in "\\PC{0,200}|(a\\r\\nEMAIL:x@y.test|;|,|\\\\|\n){0,20}") {
            let card = card(&family);
            let unfolded = card.replace("\r\n ", "");
            let lines: Vec<&str> = unfolded.trim_end().split("\r\n").collect();
            prop_assert_eq!(lines.len(), 15);
            prop_assert_eq!(lines.iter().filter(|line| line.starts_with("EMAIL")).count(), 2);
            prop_assert!(card.split("\r\n").all(|line| line.len() <= LINE));
        }
    }
}
