//! What a page shows of people and structures: the answers of the model, in words and with their addresses.

use ident::Address;

use super::words::{Lang, fits, fits_class, homonyms, kind_of_box};
use crate::{ActivityAnswer, Generation, MailboxAnswer, MatchKind, PersonAnswer, StructureAnswer};

/// Most mailboxes and activities of a person that a list shows; their own page shows all.
const IN_A_LIST: usize = 3;
/// Longest text from the data that is shown whole.
const LONGEST: usize = 160;

/// A person.
#[derive(Debug)]
pub(super) struct PersonView {
    pub(super) given: String,
    pub(super) family: String,
    pub(super) href: String,
    pub(super) card: String,
    pub(super) does: String,
    pub(super) fits: &'static str,
    pub(super) fits_class: &'static str,
    pub(super) active: bool,
    pub(super) homonyms: Option<String>,
    pub(super) same_name: String,
    pub(super) boxes: Vec<BoxView>,
    pub(super) more_boxes: usize,
    pub(super) places: Vec<PlaceView>,
    pub(super) more_places: usize,
}

/// A mailbox.
#[derive(Debug)]
pub(super) struct BoxView {
    pub(super) address: String,
    /// The same in a `mailto:` link (RFC 6068 §2): nothing in it begins another header.
    pub(super) mailto: String,
    /// The address may be broken between this part…
    pub(super) local: String,
    /// … and that one.
    pub(super) domain: String,
    pub(super) kind: &'static str,
    /// Service or structure that it belongs to.
    pub(super) of: String,
    /// The operator's registry prefers it.
    pub(super) preferred: bool,
}

/// Where somebody works, and as what.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PlaceView {
    pub(super) does: String,
    pub(super) name: String,
    pub(super) href: Option<String>,
    pub(super) town: String,
}

/// A structure.
#[derive(Debug)]
pub(super) struct StructureView {
    pub(super) name: String,
    pub(super) href: Option<String>,
    pub(super) street: String,
    pub(super) town: String,
    pub(super) fits: &'static str,
    pub(super) fits_class: &'static str,
    pub(super) boxes: Vec<BoxView>,
    pub(super) more_boxes: usize,
}

/// Turns answers into views.
#[derive(Debug, Clone, Copy)]
pub(super) struct Views<'a> {
    pub(super) generation: &'a Generation,
    pub(super) lang: Lang,
    /// Where the face is mounted.
    pub(super) root: &'a str,
    /// `?lang=en` where the address said so.
    pub(super) suffix: &'a str,
}

impl Views<'_> {
    /// A person among others.
    pub(super) fn listed(&self, person: &PersonAnswer) -> PersonView {
        self.person(person, IN_A_LIST)
    }

    /// A person alone.
    pub(super) fn whole(&self, person: &PersonAnswer) -> PersonView {
        self.person(person, usize::MAX)
    }

    fn person(&self, person: &PersonAnswer, most: usize) -> PersonView {
        let boxes = person.mailboxes.iter().take(most).map(|mailbox| self.mailbox(mailbox)).collect();
        let mut places: Vec<PlaceView> = Vec::new();
        for activity in &person.activities {
            let place = self.place(activity);
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let more_places = places.len().saturating_sub(most);
        places.truncate(most);
        let speciality = person.activities.iter().map(|it| it.speciality.as_str()).find(|it| !it.is_empty());
        let mut name = form_urlencoded::Serializer::new(String::new());
        name.append_pair("family", &person.family).append_pair("given", &person.given);
        let lang = self.suffix.strip_prefix('?').map(|lang| format!("&{lang}")).unwrap_or_default();
        PersonView {
            given: cut(&person.given),
            family: cut(&person.family),
            href: format!("{}/person/{}{}", self.root, segment(&person.id), self.suffix),
            card: format!("{}/person/{}.vcf{}", self.root, segment(&person.id), self.suffix),
            does: joined(&[&person.profession, speciality.unwrap_or_default()], " · "),
            fits: fits(self.lang, person.r#match),
            fits_class: fits_class(person.r#match),
            active: person.active,
            homonyms: homonyms(self.lang, person.homonyms),
            same_name: format!("{}/?{}{lang}", self.root, name.finish()),
            boxes,
            more_boxes: person.mailboxes.len().saturating_sub(most),
            places,
            more_places,
        }
    }

    fn place(&self, activity: &ActivityAnswer) -> PlaceView {
        let id = activity.structure_id.as_ref();
        PlaceView {
            does: joined(&[&activity.profession, &activity.speciality], " · "),
            name: cut(&activity.structure),
            href: id.map(|id| self.structure_address(id)),
            town: town(&activity.postcode, &activity.town, &activity.department),
        }
    }

    fn structure_address(&self, id: &str) -> String {
        format!("{}/structure/{}{}", self.root, segment(id), self.suffix)
    }

    /// A structure, with so many of its mailboxes.
    pub(super) fn structure(&self, structure: &StructureAnswer, most: usize) -> StructureView {
        StructureView {
            name: cut(&structure.name),
            href: structure.id.as_ref().map(|id| self.structure_address(id)),
            street: cut(&structure.street),
            town: town(&structure.postcode, &structure.town, &structure.department),
            fits: fits(self.lang, structure.r#match),
            fits_class: fits_class(structure.r#match),
            boxes: structure.mailboxes.iter().take(most).map(|mailbox| self.mailbox(mailbox)).collect(),
            more_boxes: structure.mailboxes.len().saturating_sub(most),
        }
    }

    /// A structure among others.
    pub(super) fn listed_structure(&self, structure: &StructureAnswer) -> StructureView {
        self.structure(structure, IN_A_LIST)
    }

    fn mailbox(&self, mailbox: &MailboxAnswer) -> BoxView {
        let address = Address::parse(&mailbox.address).ok();
        let listed = address.and_then(|address| self.generation.mailbox(&address));
        let of = listed.map(|listed| {
            let place = listed.structures().next().map(|place| place.display_name()).unwrap_or_default();
            joined(&[listed.service(), place], ", ")
        });
        let (local, domain) = mailbox.address.rsplit_once('@').unwrap_or((&mailbox.address, ""));
        BoxView {
            address: mailbox.address.clone(),
            mailto: format!("{}@{domain}", segment(local)),
            local: local.to_owned(),
            domain: domain.to_owned(),
            kind: kind_of_box(self.lang, mailbox.r#type),
            of: of.unwrap_or_default(),
            preferred: mailbox.rank == Some(1),
        }
    }
}

/// Whether two people of a list have one name.
pub(super) fn has_homonyms(people: &[PersonAnswer]) -> bool {
    let mut names: Vec<_> = people.iter().map(|it| crate::words(&format!("{} {}", it.family, it.given))).collect();
    names.sort_unstable();
    names.windows(2).any(|two| two.first() == two.last())
}

/// The worst of the matches, if it is a near miss.
pub(super) fn near_miss(kinds: impl Iterator<Item = MatchKind>) -> Option<MatchKind> {
    kinds.max().filter(|kind| *kind > MatchKind::Prefix)
}

/// `58000 Nevers (Nièvre)`
fn town(postcode: &str, town: &str, department: &str) -> String {
    let place = joined(&[postcode, town], " ");
    match (place.is_empty(), department.is_empty()) {
        (_, true) => place,
        (true, false) => cut(department),
        (false, false) => format!("{place} ({})", cut(department)),
    }
}

fn joined(parts: &[&str], between: &str) -> String {
    parts.iter().filter(|part| !part.is_empty()).map(|part| cut(part)).collect::<Vec<_>>().join(between)
}

/// No text of the data is so long that it hides the rest of the page.
fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(LONGEST).collect();
    kept.push('…');
    kept
}

/// An identifier as part of a path: a slash (staff of a structure) is no separator.
pub(super) fn segment(id: &str) -> String {
    let mut out = String::new();
    for byte in id.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// The identifier that a part of a path says.
pub(super) fn unsegmented(part: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_survive_a_path() {
        for id in ["899700000001", "3990000001/0001", "é %", ""] {
            assert_eq!(unsegmented(&segment(id)).as_deref(), Some(id));
            assert!(!segment(id).contains('/'));
        }
        for bad in ["%", "%4", "%zz", "%ff", "%+1"] {
            assert_eq!(unsegmented(bad).filter(|_| bad != "%+1"), None, "{bad}");
        }
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(cut(&"é".repeat(160)), "é".repeat(160));
        assert_eq!(cut(&"é".repeat(1000)).chars().count(), 161);
        assert_eq!(town("58000", "Nevers", "Nièvre"), "58000 Nevers (Nièvre)");
        assert_eq!((town("", "", "Nièvre"), town("", "", "")), ("Nièvre".to_owned(), String::new()));
    }
}
