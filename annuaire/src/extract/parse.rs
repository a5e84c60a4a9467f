//! From the columns of a row to a checked row of each file.

use std::borrow::Cow;

use ident::{Address, CardNumber, PersonId, StructureId, StructureIdKind};

use super::{
    columns::{ActivityColumn as A, CardColumn as C, Column, DiplomaColumn as D, MailboxColumn as M, SkillColumn as S},
    row::{Fault, Row, excerpt},
};
use crate::{
    MailboxType,
    rows::{ActivityRow, CardRow, DiplomaRow, MailboxRow, PersonRow, SkillRow, StructureRow},
};

/// A checked row, and what was wrong in it without making it useless.
pub(crate) type Parsed<T> = Result<(T, Vec<Fault>), Fault>;

/// The national identifier of a row, from its full form or from type and number; both must agree.
fn person_id<C: Column>(row: &Row<'_>, kind: Option<C>, number: C, national: C) -> Result<PersonId, Fault> {
    let (bare, full) = (row.get(number), row.get(national));
    // Some years write the register in words: only the digit says more than the number's form.
    let kind = kind.map_or("", |kind| row.get(kind));
    let kind = if kind.len() == 1 { kind } else { "" };
    if let Ok(id) = PersonId::parse(&capitals(full)) {
        let bare = without_blanks(bare.into());
        if bare.is_empty() || bare.eq_ignore_ascii_case(id.number()) || bare.eq_ignore_ascii_case(id.as_str()) {
            return Ok(id);
        }
        let what = format!("“{}” and “{}” name different people", excerpt(&bare), excerpt(full));
        return Err(Fault::at(number, what));
    }
    if !full.is_empty() {
        return Err(Fault::at(national, format!("“{}” is not a person's national identifier", excerpt(full))));
    }
    if bare.is_empty() {
        return Err(Fault::at(national, "no identifier of a person"));
    }
    from_number(kind, &bare.to_ascii_uppercase())
        .ok_or_else(|| Fault::at(number, format!("“{}” is not a person's identifier", excerpt(bare))))
}

/// A bare number belongs to the register that its type says, else to the one whose form it has.
fn from_number(kind: &str, bare: &str) -> Option<PersonId> {
    if !kind.is_empty() {
        return PersonId::parse(&format!("{kind}{bare}")).ok();
    }
    let by_form = match bare.split_once('/').map_or(bare, |(structure, _)| structure).len() {
        11 => "8",
        9 if bare.contains('/') => "3",
        9 => "0",
        14 => "5",
        _ => "",
    };
    PersonId::parse(&format!("{by_form}{bare}")).ok()
}

fn activity_person<'a>(row: &Row<'a>) -> Result<PersonRow<'a>, Fault> {
    let id = person_id(row, Some(A::IdType), A::Id, A::NationalId)?;
    if row.get(A::Family).is_empty() {
        return Err(Fault::at(A::Family, "no family name"));
    }
    Ok(PersonRow {
        id,
        family: row.get(A::Family),
        given: row.get(A::Given),
        civility: row.coded([A::CivilityCode, A::CivilityLabel]),
        title: row.coded([A::TitleCode, A::TitleLabel]),
        profession: row.coded([A::Profession, A::ProfessionLabel]),
    })
}

pub(crate) fn activity<'a>(row: &Row<'a>) -> Parsed<ActivityRow<'a>> {
    let mut notes = Vec::new();
    let person = activity_person(row)?;
    let structure = activity_structure(row, &mut notes);
    let activity = ActivityRow {
        person,
        structure,
        category: row.coded([A::Category, A::CategoryLabel]),
        skill: row.coded([A::SkillType, A::SkillTypeLabel, A::Skill, A::SkillLabel]),
        mode: row.coded([A::Mode, A::ModeLabel]),
        sector: row.coded([A::Sector, A::SectorLabel]),
        section: row.coded([A::Section, A::SectionLabel]),
        function: row.coded([A::Function, A::FunctionLabel]),
        kind: row.coded([A::ActivityKind, A::ActivityKindLabel]),
        authority: row.get(A::Authority),
        hash: row.hash::<A>(&[]),
    };
    Ok((activity, notes))
}

fn activity_structure<'a>(row: &Row<'a>, notes: &mut Vec<Fault>) -> StructureRow<'a> {
    let technical = without_blanks(capitals(row.get(A::TechnicalId)));
    let mut finess = checked(row, A::Finess, StructureIdKind::Finess, notes);
    let mut siret = checked(row, A::Siret, StructureIdKind::Siret, notes);
    complete(&technical, &mut finess, &mut siret);
    let street = [A::StreetNumber, A::StreetRepeat, A::StreetType, A::Street].map(|column| row.get(column));
    StructureRow {
        finess,
        siret,
        technical,
        entity_finess: row.get(A::EntityFiness),
        siren: row.get(A::Siren),
        former: row.get(A::FormerId),
        name: row.get(A::StructureName),
        trade_name: row.get(A::TradeName),
        recipient: row.get(A::Recipient),
        place: row.get(A::Place),
        street: joined(&street),
        mention: row.get(A::Mention),
        cedex: row.get(A::Cedex),
        postcode: row.get(A::Postcode),
        town: row.coded([A::TownCode, A::Town]),
        department: row.coded([A::DepartmentCode, A::Department]),
        country: row.coded([A::CountryCode, A::Country]),
        phone: row.get(A::Phone),
        phone2: row.get(A::Phone2),
        fax: row.get(A::Fax),
        email: row.get(A::Email),
    }
}

/// A number of a register, or nothing and a note: a wrong number of a place must not hide a person.
fn checked<'a>(row: &Row<'a>, column: A, kind: StructureIdKind, notes: &mut Vec<Fault>) -> Cow<'a, str> {
    let number = without_blanks(capitals(row.get(column)));
    let digit = if kind == StructureIdKind::Finess { '1' } else { '3' };
    if number.is_empty() || StructureId::parse(&format!("{digit}{number}")).is_ok() {
        return number;
    }
    let what = format!("“{}” is not a number of that register; the row is kept without it", excerpt(&number));
    notes.push(Fault::at(column, what));
    Cow::Borrowed("")
}

/// Technical identifiers carry a register's number (mssante reference §8).
fn complete<'a>(technical: &str, finess: &mut Cow<'a, str>, siret: &mut Cow<'a, str>) {
    for (letter, digit, number) in [('F', '1', finess), ('C', '3', siret)] {
        if let Some(rest) = technical.strip_prefix(letter)
            && number.is_empty()
            && StructureId::parse(&format!("{digit}{rest}")).is_ok()
        {
            *number = Cow::Owned(rest.to_owned());
        }
    }
}

fn capitals(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|octet| octet.is_ascii_lowercase()) {
        Cow::Owned(text.to_ascii_uppercase())
    } else {
        Cow::Borrowed(text)
    }
}

fn without_blanks(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains(' ') { Cow::Owned(text.replace(' ', "")) } else { text }
}

fn joined(parts: &[&str]) -> Cow<'static, str> {
    let mut joined = String::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(part);
    }
    Cow::Owned(joined)
}

pub(crate) fn skill<'a>(row: &Row<'a>) -> Parsed<SkillRow<'a>> {
    let person = PersonRow {
        id: person_id(row, Some(S::IdType), S::Id, S::NationalId)?,
        family: row.get(S::Family),
        given: row.get(S::Given),
        civility: Cow::Borrowed(""),
        title: Cow::Borrowed(""),
        profession: row.coded([S::Profession, S::ProfessionLabel]),
    };
    let skill = row.coded([S::SkillType, S::SkillTypeLabel, S::Skill, S::SkillLabel]);
    if row.get(S::Skill).is_empty() && row.get(S::SkillLabel).is_empty() {
        return Err(Fault::at(S::Skill, "no skill"));
    }
    Ok((
        SkillRow { person, category: row.coded([S::Category, S::CategoryLabel]), skill, hash: row.hash::<S>(&[]) },
        Vec::new(),
    ))
}

pub(crate) fn diploma<'a>(row: &Row<'a>) -> Parsed<DiplomaRow<'a>> {
    let person = PersonRow {
        id: person_id(row, Some(D::IdType), D::Id, D::NationalId)?,
        family: row.get(D::Family),
        given: row.get(D::Given),
        civility: Cow::Borrowed(""),
        title: Cow::Borrowed(""),
        profession: Cow::Borrowed(""),
    };
    let row = DiplomaRow {
        person,
        diploma: row.coded([D::DiplomaType, D::DiplomaTypeLabel, D::Diploma, D::DiplomaLabel]),
        authorisation: row.coded([D::AuthorisationType, D::AuthorisationTypeLabel]),
        discipline: row.coded([D::Discipline, D::DisciplineLabel]),
        hash: row.hash::<D>(&[]),
    };
    Ok((row, Vec::new()))
}

pub(crate) fn mailbox<'a>(row: &Row<'a>) -> Parsed<MailboxRow<'a>> {
    let text = row.get(M::Address);
    let address =
        Address::parse(text).map_err(|error| Fault::at(M::Address, format!("“{}”: {error}", excerpt(text))))?;
    let kind = MailboxType::parse(row.get(M::Kind))
        .ok_or_else(|| Fault::at(M::Kind, format!("“{}” is none of PER, ORG, APP, CAB", excerpt(row.get(M::Kind)))))?;
    let person = match row.get(M::Id).is_empty() && row.get(M::NationalId).is_empty() {
        true => None,
        false => Some(mailbox_person(row)?),
    };
    if kind == MailboxType::Personal && person.is_none() {
        return Err(Fault::at(M::NationalId, "a personal mailbox without its person"));
    }
    let mut notes = Vec::new();
    let structure = mailbox_structure(row, &mut notes);
    let mailbox = MailboxRow {
        address,
        kind,
        person,
        structure,
        service: row.get(M::Service),
        paperless: row.get(M::Paperless),
        hash: row.hash::<M>(&[]),
    };
    Ok((mailbox, notes))
}

fn mailbox_person<'a>(row: &Row<'a>) -> Result<PersonRow<'a>, Fault> {
    let title = row.get(M::Title);
    Ok(PersonRow {
        id: person_id(row, Some(M::IdType), M::Id, M::NationalId)?,
        family: row.get(M::Family),
        given: row.get(M::Given),
        civility: Cow::Borrowed(""),
        title: if title.is_empty() { Cow::Borrowed("") } else { Cow::Owned(format!("{title}|{title}")) },
        profession: row.coded([M::Profession, M::ProfessionLabel]),
    })
}

fn mailbox_structure<'a>(row: &Row<'a>, notes: &mut Vec<Fault>) -> StructureRow<'a> {
    let text = without_blanks(capitals(row.get(M::StructureId)));
    let (finess, siret, technical) = structure_id(&row.get(M::StructureIdType).to_lowercase(), &text);
    if !text.is_empty() && finess.is_empty() && siret.is_empty() && technical.is_empty() {
        let what = format!("“{}” is not a structure's identifier; the row is kept without it", excerpt(&text));
        notes.push(Fault::at(M::StructureId, what));
    }
    let street = [M::StreetNumber, M::StreetRepeat, M::StreetType, M::Street].map(|column| row.get(column));
    let department = row.get(M::Department);
    let (code, label) = if department.len() <= 3 { (department, "") } else { ("", department) };
    StructureRow {
        finess,
        siret,
        technical,
        name: row.get(M::StructureName),
        trade_name: row.get(M::TradeName),
        recipient: row.get(M::Recipient),
        place: row.get(M::Place),
        street: joined(&street),
        mention: row.get(M::Mention),
        cedex: row.get(M::Routing),
        postcode: row.get(M::Postcode),
        department: if department.is_empty() { Cow::Borrowed("") } else { Cow::Owned(format!("{code}|{label}")) },
        country: match row.get(M::Country) {
            "" => Cow::Borrowed(""),
            country => Cow::Owned(format!("|{country}")),
        },
        ..StructureRow::default()
    }
}

/// FINESS, SIRET and technical identifier from a typed or untyped number, with or without its type digit.
fn structure_id(kind: &str, text: &str) -> (Cow<'static, str>, Cow<'static, str>, Cow<'static, str>) {
    let by_kind = match kind {
        "1" | "finess" => Some(('1', StructureIdKind::Finess)),
        "3" | "siret" => Some(('3', StructureIdKind::Siret)),
        "4" | "rpps-rang" | "rpps rang" | "rppsrang" => Some(('4', StructureIdKind::RppsRank)),
        _ => None,
    };
    let parsed = match by_kind {
        // The full form first: an RPPS and rank may itself begin with a 4.
        Some((digit, kind)) => [text.to_owned(), format!("{digit}{text}")]
            .iter()
            .filter_map(|text| StructureId::parse(text).ok())
            .find(|id| id.kind() == kind && (kind != StructureIdKind::RppsRank || id.number().len() == 14)),
        None if text.starts_with(|c: char| c.is_ascii_alphabetic()) => None,
        None => ["", "1", "3"].iter().find_map(|digit| StructureId::parse(&format!("{digit}{text}")).ok()),
    };
    let nothing = || Cow::Borrowed("");
    match parsed.as_ref().map(|id| (id.kind(), Cow::Owned(id.number().to_owned()))) {
        Some((StructureIdKind::Finess, number)) => (number, nothing(), nothing()),
        Some((StructureIdKind::Siret, number)) => (nothing(), number, nothing()),
        Some((StructureIdKind::RppsRank, number)) => (nothing(), nothing(), Cow::Owned(format!("R{number}"))),
        None if text.starts_with(['C', 'F', 'R']) && text.len() > 9 => {
            let (mut finess, mut siret) = (nothing(), nothing());
            complete(text, &mut finess, &mut siret);
            (finess, siret, Cow::Owned(text.to_owned()))
        }
        None => (nothing(), nothing(), nothing()),
    }
}

/// A card row that is refused for its dates but says that the card is opposed still opposes the card: a slip of
/// the pen must not make a stolen card good again.
pub(crate) fn opposed_all_the_same<'a>(row: &Row<'a>) -> Option<CardRow<'a>> {
    if row.get(C::OpposedOn).is_empty() {
        return None;
    }
    let (number, person) = card_owner(row).ok()?;
    let opposed_on = row.date(C::OpposedOn).unwrap_or_default();
    let hash = row.hash::<C>(&[C::Updated]);
    Some(CardRow {
        number,
        person,
        kind: row.coded([C::Kind, C::KindLabel]),
        from: None,
        to: None,
        opposed: true,
        opposed_on,
        updated: None,
        hash,
    })
}

fn card_owner<'a>(row: &Row<'a>) -> Result<(CardNumber, PersonRow<'a>), Fault> {
    let text = row.get(C::Number);
    let number = CardNumber::parse(text)
        .ok_or_else(|| Fault::at(C::Number, format!("“{}” is not a card number", excerpt(text))))?;
    let person = PersonRow {
        id: person_id(row, None, C::Id, C::NationalId)?,
        family: "",
        given: "",
        civility: Cow::Borrowed(""),
        title: Cow::Borrowed(""),
        profession: Cow::Borrowed(""),
    };
    Ok((number, person))
}

pub(crate) fn card<'a>(row: &Row<'a>) -> Parsed<CardRow<'a>> {
    let (number, person) = card_owner(row)?;
    let (from, to) = (row.date(C::From)?, row.date(C::To)?);
    let (opposed_on, updated) = (row.date(C::OpposedOn)?, row.date(C::Updated)?);
    // Dates come in two forms (DIR-7) and the last one moves without the card changing.
    let dates = [from, to, opposed_on].map(|date| date.map_or(0, crate::Date::number));
    let bytes: Vec<u8> = dates.iter().flat_map(|date| date.to_le_bytes()).collect();
    let hash = crate::generation::extend_hash(row.hash(&[C::From, C::To, C::OpposedOn, C::Updated]), &bytes);
    let kind = row.coded([C::Kind, C::KindLabel]);
    Ok((
        CardRow { number, person, kind, from, to, opposed: opposed_on.is_some(), opposed_on, updated, hash },
        Vec::new(),
    ))
}

#[cfg(test)]
mod tests {
    use super::{super::row::Header, *};

    fn with<C: Column, T>(_: C, values: &[(C, &str)], read: impl FnOnce(&Row<'_>) -> T) -> T {
        let header = Header::read(&C::LABELS.join("|"), C::LABELS, C::NEEDED);
        let mut fields = vec![""; C::LABELS.len()];
        for (column, value) in values {
            fields[column.place()] = value;
        }
        read(&header.row(&fields.join("|"), &mut Vec::new()).unwrap())
    }

    #[test]
    fn identifiers_come_in_many_forms() {
        for (kind, bare, full, id) in [
            ("8", "99700000001", "899700000001", "899700000001"),
            ("8", "99700000001", "", "899700000001"),
            ("", "99700000001", "", "899700000001"),
            ("0", "2A1234567", "02A1234567", "02A1234567"),
            ("", "012800736", "", "0012800736"),
            ("RPPS", "99700000001", "", "899700000001"),
            ("", "", "3760021832/000000018", "3760021832/000000018"),
            ("3", "760021832/000000018", "", "3760021832/000000018"),
            ("", "760021832/a1", "", "3760021832/A1"),
        ] {
            let values = [(A::IdType, kind), (A::Id, bare), (A::NationalId, full), (A::Family, "X-TEST")];
            let parsed = with(A::Id, &values, |row| activity(row).map(|(row, _)| row.person.id.to_string()));
            assert_eq!(parsed.as_deref(), Ok(id), "{kind} {bare} {full}");
        }
    }

    #[test]
    fn wrong_identifiers_name_their_column() {
        for (bare, full, column) in [
            ("", "", A::NationalId),
            ("", "89970000000", A::NationalId),
            ("9970000001", "", A::Id),
            ("99700000002", "899700000001", A::Id),
        ] {
            let values = [(A::Id, bare), (A::NationalId, full), (A::Family, "X-TEST")];
            let fault = with(A::Id, &values, |row| activity(row).unwrap_err());
            assert_eq!(fault.column.as_deref(), Some(column.label()), "{bare} {full}");
        }
        let nameless = with(A::Id, &[(A::NationalId, "899700000001")], |row| activity(row).unwrap_err());
        assert_eq!(nameless.column.as_deref(), Some("Nom d'exercice"));
    }

    #[test]
    fn structures_of_mailboxes_are_recognised() {
        let three = |kind: &str, text: &str| {
            let (finess, siret, technical) = structure_id(kind, text);
            format!("{finess},{siret},{technical}")
        };
        assert_eq!(three("1", "580008803"), "580008803,,");
        assert_eq!(three("FINESS".to_lowercase().as_str(), "1580008803"), "580008803,,");
        assert_eq!(three("", "1580008803"), "580008803,,");
        assert_eq!(three("", "580008803"), "580008803,,");
        assert_eq!(three("3", "18751275100020"), ",18751275100020,");
        assert_eq!(three("", "318751275100020"), ",18751275100020,");
        assert_eq!(three("4", "99700367909006"), ",,R99700367909006");
        assert_eq!(three("4", "499700367909006"), ",,R99700367909006");
        assert_eq!(three("", "R99700367909006"), ",,R99700367909006");
        assert_eq!(three("", "F580008803"), "580008803,,F580008803");
        assert_eq!(three("", "nonsense"), ",,");
    }

    #[test]
    fn a_bad_number_of_a_place_does_not_hide_the_person() {
        let values = [(A::NationalId, "899700000001"), (A::Family, "X-TEST"), (A::Finess, "12")];
        let (row, notes) =
            with(A::Id, &values, |row| activity(row).map(|(row, n)| (row.structure.finess.into_owned(), n))).unwrap();
        assert_eq!(row, "");
        assert_eq!(notes.first().and_then(|note| note.column.as_deref()), Some("Numéro FINESS site"));
    }

    #[test]
    fn mailboxes_need_address_type_and_person() {
        let good = [(M::Address, "a@x.test"), (M::Kind, "per"), (M::NationalId, "899700000001")];
        assert!(with(M::Kind, &good, |row| mailbox(row).is_ok()));
        for (column, value) in [(M::Address, "a b@x.test"), (M::Kind, "XXX"), (M::NationalId, "")] {
            let mut bad = good.to_vec();
            bad.retain(|(c, _)| *c != column);
            bad.push((column, value));
            let fault = with(M::Kind, &bad, |row| mailbox(row).unwrap_err());
            assert_eq!(fault.column.as_deref(), Some(column.label()));
        }
    }

    #[test]
    fn cards_with_unreadable_dates_are_refused_but_stay_opposed() {
        let good = [(C::Number, "2800067201"), (C::Id, "99700000001"), (C::To, "2029-01-31"), (C::OpposedOn, "")];
        let (opposed, hash) = with(C::Id, &good, |row| {
            assert!(opposed_all_the_same(row).is_none());
            card(row).map(|(card, _)| (card.opposed, card.hash)).unwrap()
        });
        assert!(!opposed);
        let same = [(C::Number, "2800067201"), (C::Id, "99700000001"), (C::To, "20290131"), (C::Updated, "20260101")];
        assert_eq!(with(C::Id, &same, |row| card(row).unwrap().0.hash), hash);
        let mut bad = good.to_vec();
        bad[3] = (C::OpposedOn, "hier");
        let (fault, opposed) = with(C::Id, &bad, |row| (card(row).unwrap_err(), opposed_all_the_same(row).is_some()));
        assert_eq!(fault.column.as_deref(), Some("Date opposition"));
        assert!(opposed);
    }
}
