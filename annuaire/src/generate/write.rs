//! Writing the rows of the five files.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use ident::{CardNumber, PersonId, PersonIdKind, StructureId, StructureIdKind};

use super::{
    Cast, CastPerson, CastStructure, GenerateOptions, Generated, MAX_LISTED, faults,
    made::{MadePerson, MadeStructure, person, structure, structure_count},
    names::SERVICES,
    random::Random,
};
use crate::{
    Date, FileKind, MailboxType,
    extract::columns::{
        ActivityColumn as A, CardColumn as C, Column, DiplomaColumn as D, MailboxColumn as M, SkillColumn as S,
    },
};

/// Most people with their own number range.
const MAX_PEOPLE: u32 = 9_999_999;
const SERVICE: u64 = 3;
const PUBLISHED: u64 = 5;
/// Rows of the mailbox file for a thousand people, when all are published.
const MAILBOXES_PER_THOUSAND: u64 = 383;

/// The five files being written.
pub(super) struct Writer<'a> {
    options: &'a GenerateOptions,
    faults: bool,
    files: [BufWriter<File>; 5],
    made: Generated,
}

/// One row: a value for each published column.
struct Fields(Vec<String>);

impl Fields {
    fn new<T: Column>(values: &[(T, &str)]) -> Self {
        let mut fields = Self(vec![String::new(); T::LABELS.len()]);
        for (column, value) in values {
            fields.set(*column, value);
        }
        fields
    }

    fn set(&mut self, column: impl Column, value: &str) {
        if let Some(field) = self.0.get_mut(column.place()) {
            // The separator and line ends have no place in a value.
            *field = value.chars().map(|c| if c == '|' || c.is_control() { ' ' } else { c }).collect();
        }
    }
}

/// A place to be written: of the cast or made.
struct Place<'a> {
    id: Option<StructureId>,
    entity: &'a str,
    technical: &'a str,
    siret: &'a str,
    name: &'a str,
    street: [&'a str; 5],
    /// Town, postcode, INSEE code, department code and label.
    town: [&'a str; 5],
}

impl<'a> Place<'a> {
    fn made(place: &'a MadeStructure) -> Self {
        let (town, postcode, insee, department, label) = place.town;
        let known = !place.street[4].is_empty();
        Self {
            id: place.id(),
            entity: "",
            technical: &place.technical,
            siret: &place.siret,
            name: &place.name,
            street: place.street.each_ref().map(String::as_str),
            town: if known { [town, postcode, insee, department, label] } else { [""; 5] },
        }
    }

    fn cast(place: &'a CastStructure, technical: &'a str) -> Self {
        let siret = if place.id.kind() == StructureIdKind::Siret { place.id.number() } else { "" };
        let department = place.postcode.get(..2).unwrap_or_default();
        Self {
            id: Some(place.id.clone()),
            entity: place.entity_finess.as_deref().unwrap_or_default(),
            technical,
            siret,
            name: &place.name,
            street: ["", "", "", "", &place.street],
            town: [&place.town, &place.postcode, "", department, ""],
        }
    }

    fn finess(&self) -> &str {
        self.id.as_ref().filter(|id| id.kind() == StructureIdKind::Finess).map_or("", |id| id.number())
    }
}

/// Who a row is about, in words that all five files share.
struct Who<'a> {
    id: &'a PersonId,
    family: &'a str,
    given: &'a str,
    civility: &'a str,
    profession: (&'a str, &'a str),
    speciality: Option<(&'a str, &'a str)>,
}

impl<'a> Who<'a> {
    fn made(person: &'a MadePerson) -> Self {
        let MadePerson { id, family, given, civility, profession, speciality, .. } = person;
        Self { id, family, given, civility, profession: *profession, speciality: *speciality }
    }

    fn cast(person: &'a CastPerson) -> Self {
        Self {
            id: &person.id,
            family: &person.family,
            given: &person.given,
            civility: &person.civility,
            profession: (&person.profession_code, &person.profession),
            speciality: person.speciality.as_ref().map(|(code, label)| (code.as_str(), label.as_str())),
        }
    }

    fn id_type(&self) -> &'static str {
        match self.id.kind() {
            PersonIdKind::Rpps => "8",
            PersonIdKind::Adeli => "0",
            PersonIdKind::FinessInternal => "3",
            PersonIdKind::SiretInternal => "5",
        }
    }

    fn is_physician(&self) -> bool {
        self.profession.0 == "10"
    }
}

impl<'a> Writer<'a> {
    pub(super) fn create(folder: &Path, options: &'a GenerateOptions, faults: bool) -> io::Result<Self> {
        let create = |kind: FileKind| -> io::Result<BufWriter<File>> {
            let mut file = BufWriter::with_capacity(256 * 1024, File::create(folder.join(kind.file_name()))?);
            let header = format!("{}{}", kind.columns().join("|"), trailing(kind));
            writeln!(file, "{}", if faults { faults::drifted(kind, &header) } else { header })?;
            Ok(file)
        };
        let [a, b, c, d, e] = FileKind::ALL;
        let files = [create(a)?, create(b)?, create(c)?, create(d)?, create(e)?];
        Ok(Self { options, faults, files, made: Generated::default() })
    }

    pub(super) fn all(mut self) -> io::Result<Generated> {
        let options = self.options;
        self.cast(&options.cast)?;
        for n in 0..options.people.min(MAX_PEOPLE) {
            if let Some(person) = person(options, n) {
                self.person(&person, n)?;
                if self.made.people.len() < MAX_LISTED {
                    self.made.people.push(person);
                }
            }
        }
        if options.people > 0 {
            for n in 0..structure_count(options.people) {
                self.services(&structure(options, n), n)?;
            }
        }
        for file in &mut self.files {
            file.flush()?;
        }
        Ok(self.made)
    }

    fn row(&mut self, kind: FileKind, fields: &Fields) -> io::Result<()> {
        let place = FileKind::ALL.iter().position(|other| *other == kind).unwrap_or_default();
        if let (Some(file), Some(rows)) = (self.files.get_mut(place), self.made.rows.get_mut(place)) {
            *rows = rows.saturating_add(1);
            let row = format!("{}{}", fields.0.join("|"), trailing(kind));
            writeln!(file, "{row}")?;
            if self.faults
                && let Some(wrong) = faults::after(kind, *rows, &row)
            {
                file.write_all(&wrong)?;
                *rows = rows.saturating_add(1);
                self.made.wrong = self.made.wrong.saturating_add(1);
            }
        }
        Ok(())
    }

    fn cast(&mut self, cast: &Cast) -> io::Result<()> {
        let technical: Vec<String> = cast.structures.iter().map(technical_id).collect();
        let place_of = |id: &StructureId| {
            let found = cast.structures.iter().zip(&technical).find(|(place, _)| place.id == *id);
            found.map(|(place, technical)| Place::cast(place, technical))
        };
        for person in &cast.people {
            let who = Who::cast(person);
            let places: Vec<Place<'_>> = person.structures.iter().filter_map(&place_of).collect();
            self.activities(&who, &places, false)?;
            self.knowledge(&who, self.options.day)?;
        }
        for mailbox in &cast.mailboxes {
            let person = mailbox.person.as_ref();
            let known = person.and_then(|id| cast.people.iter().find(|person| person.id == *id)).map(Who::cast);
            let nobody = |id| Who { id, family: "", given: "", civility: "", profession: ("", ""), speciality: None };
            let who = known.or_else(|| person.map(nobody));
            let place = mailbox.structure.as_ref().and_then(&place_of);
            self.mailbox(mailbox.kind, &mailbox.address.to_string(), who.as_ref(), place.as_ref(), &mailbox.service)?;
        }
        for card in &cast.cards {
            let dates = [Some(card.valid_from), Some(card.valid_to), card.opposed_on];
            self.card(&card.person, &card.number, dates)?;
        }
        Ok(())
    }

    fn person(&mut self, person: &MadePerson, n: u32) -> io::Result<()> {
        let options = self.options;
        let who = Who::made(person);
        let structures: Vec<MadeStructure> = person.structures.iter().map(|place| structure(options, *place)).collect();
        let places: Vec<Place<'_>> = structures.iter().map(Place::made).collect();
        // One in 89 has each activity twice, as the national file does.
        self.activities(&who, &places, n.checked_rem(89) == Some(3))?;
        let since =
            options.day.plus_days(i32::try_from(n.checked_rem(9000).unwrap_or(0)).unwrap_or(0).saturating_neg());
        self.knowledge(&who, since)?;
        for (mailbox, address) in (0u32..).zip(&person.mailboxes) {
            if !self.published((u64::from(n) << 3) | u64::from(mailbox)) {
                continue;
            }
            let place = if mailbox == 0 { places.first() } else { None };
            self.mailbox(MailboxType::Personal, &address.to_string(), Some(&who), place, "")?;
            if n.checked_rem(47) == Some(7) {
                // The same address on a second row, for another structure.
                self.mailbox(MailboxType::Personal, &address.to_string(), Some(&who), places.get(1), "")?;
            }
        }
        for (card, number) in (0u32..).zip(&person.cards) {
            let mut random =
                Random::of(options.seed, 4, u64::from(n).saturating_mul(2).saturating_add(u64::from(card)));
            let started = options.day.plus_days(i32::try_from(random.below(1000)).unwrap_or(0).saturating_neg());
            // Three years; a second card is the one before, hence over.
            let started = if card == 0 { started } else { started.plus_days(-1100) };
            let opposed = random.chance(10).then(|| started.plus_days(30).min(options.day));
            self.card(&person.id, number, [Some(started), Some(started.plus_days(1095)), opposed])?;
        }
        Ok(())
    }

    /// Whether a mailbox of this number is in the file: all are, unless fewer are wanted.
    fn published(&self, number: u64) -> bool {
        let Some(wanted) = self.options.mailboxes else { return true };
        let all = u64::from(self.options.people).saturating_mul(MAILBOXES_PER_THOUSAND) / 1000;
        let drawn = Random::of(self.options.seed, PUBLISHED, number).next();
        drawn.checked_rem(all.max(1)).unwrap_or(0) < u64::from(wanted)
    }

    fn activities(&mut self, who: &Who<'_>, places: &[Place<'_>], twice: bool) -> io::Result<()> {
        let mut rows: Vec<Fields> = places.iter().map(|place| activity(who, Some(place))).collect();
        if rows.is_empty() {
            rows.push(activity(who, None));
        }
        for fields in &rows {
            self.row(FileKind::Activities, fields)?;
            if twice {
                self.row(FileKind::Activities, fields)?;
            }
        }
        Ok(())
    }

    /// Skills and diplomas.
    fn knowledge(&mut self, who: &Who<'_>, since: Date) -> io::Result<()> {
        let (code, label) = who.profession;
        if let Some((speciality, name)) = who.speciality {
            let fields = Fields::new(&[
                (S::IdType, who.id_type()),
                (S::Id, who.id.number()),
                (S::NationalId, who.id.as_str()),
                (S::Family, who.family),
                (S::Given, who.given),
                (S::Profession, code),
                (S::ProfessionLabel, label),
                (S::Category, "C"),
                (S::CategoryLabel, "Civil"),
                (S::SkillType, "S"),
                (S::SkillTypeLabel, "Spécialité ordinale"),
                (S::Skill, speciality),
                (S::SkillLabel, name),
            ]);
            self.row(FileKind::Skills, &fields)?;
        }
        let mut fields = Fields::new(&[
            (D::IdType, who.id_type()),
            (D::Id, who.id.number()),
            (D::NationalId, who.id.as_str()),
            (D::Family, who.family),
            (D::Given, who.given),
            (D::DiplomaType, "DE"),
            (D::DiplomaTypeLabel, "Diplôme d'État français"),
            (D::Diploma, "DE00"),
            (D::DiplomaLabel, label),
        ]);
        if who.is_physician() && since.number().is_multiple_of(20) {
            fields.set(D::AuthorisationType, "A");
            fields.set(D::AuthorisationTypeLabel, "Autorisation d'exercice");
        }
        self.row(FileKind::Diplomas, &fields)
    }

    fn mailbox(
        &mut self,
        kind: MailboxType,
        address: &str,
        who: Option<&Who<'_>>,
        place: Option<&Place<'_>>,
        service: &str,
    ) -> io::Result<()> {
        let mut fields = Fields::new(&[
            (M::Kind, kind.code()),
            (M::Address, address),
            (M::Service, service),
            (M::Paperless, if kind == MailboxType::Personal { "O" } else { "" }),
        ]);
        if let Some(who) = who {
            fields.set(M::IdType, who.id_type());
            fields.set(M::Id, who.id.number());
            fields.set(M::NationalId, who.id.as_str());
            fields.set(M::Title, if who.is_physician() { "DR" } else { "" });
            fields.set(M::Family, who.family);
            fields.set(M::Given, who.given);
            fields.set(M::Category, "C");
            fields.set(M::CategoryLabel, "Civil");
            fields.set(M::Profession, who.profession.0);
            fields.set(M::ProfessionLabel, who.profession.1);
            fields.set(M::Skill, who.speciality.map_or("", |speciality| speciality.0));
            fields.set(M::SkillLabel, who.speciality.map_or("", |speciality| speciality.1));
        }
        if let Some(place) = place {
            let id = place.id.as_ref();
            fields.set(M::StructureIdType, id.map_or("", |id| id.as_str().get(..1).unwrap_or_default()));
            fields.set(M::StructureId, id.map_or("", |id| id.number()));
            fields.set(M::StructureName, place.name);
            fields.set(M::StreetNumber, place.street[0]);
            fields.set(M::StreetRepeat, place.street[1]);
            fields.set(M::StreetType, place.street[2]);
            fields.set(M::Street, place.street[4]);
            fields.set(M::Routing, &routing(place).to_uppercase());
            fields.set(M::Postcode, place.town[1]);
            fields.set(M::Department, place.town[3]);
            fields.set(M::Country, if place.town[0].is_empty() { "" } else { "France" });
        }
        self.row(FileKind::Mailboxes, &fields)
    }

    /// ORG boxes of hospitals, an application's now and then, a shared box of some practices.
    fn services(&mut self, place: &MadeStructure, n: u32) -> io::Result<()> {
        let mut random = Random::of(self.options.seed, SERVICE, u64::from(n));
        if !self.published(u64::from(n) << 3 | 7) {
            return Ok(());
        }
        let shown = Place::made(place);
        if place.hospital {
            for service in 0..1u32.saturating_add(random.below(10) / 8) {
                let name = random.pick(&SERVICES);
                let local = crate::fold(name).replace(' ', "-");
                let address = format!("{local}.{service}@{}", place.domain);
                self.mailbox(MailboxType::Organisation, &address, None, Some(&shown), name)?;
            }
            if n.is_multiple_of(5) {
                let address = format!("dpi@{}", place.domain);
                self.mailbox(MailboxType::Application, &address, None, Some(&shown), "Dossier patient informatisé")?;
            }
        } else if n.checked_rem(20) == Some(1) {
            let address = format!("cabinet.{n}@{}", place.domain);
            self.mailbox(MailboxType::Practice, &address, None, Some(&shown), "")?;
        }
        Ok(())
    }

    /// Dates in the two forms of DIR-7, by turns.
    fn card(&mut self, id: &PersonId, number: &CardNumber, dates: [Option<Date>; 3]) -> io::Result<()> {
        let dashes = self.made.rows.last().is_some_and(|rows| rows.is_multiple_of(2));
        let written = |date: Option<Date>| match date {
            None => String::new(),
            Some(date) if dashes => date.to_string(),
            Some(date) => date.number().to_string(),
        };
        let [from, to, opposed] = dates.map(written);
        let fields = Fields::new(&[
            (C::Id, id.number()),
            (C::Kind, "0"),
            (C::KindLabel, "Carte de Professionnel de Santé"),
            (C::Number, number.as_str()),
            (C::NationalId, id.as_str()),
            (C::From, &from),
            (C::To, &to),
            (C::OpposedOn, &opposed),
            (C::Updated, &written(Some(self.options.day))),
        ]);
        self.row(FileKind::Cards, &fields)
    }
}

/// The register files end their lines with a separator, the other two do not.
fn trailing(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Activities | FileKind::Skills | FileKind::Diplomas => "|",
        FileKind::Mailboxes | FileKind::Cards => "",
    }
}

fn routing(place: &Place<'_>) -> String {
    format!("{} {}", place.town[1], place.town[0]).trim().to_owned()
}

fn technical_id(place: &CastStructure) -> String {
    let letter = match place.id.kind() {
        StructureIdKind::Finess => 'F',
        StructureIdKind::Siret => 'C',
        StructureIdKind::RppsRank => 'R',
    };
    format!("{letter}{}", place.id.number())
}

fn activity(who: &Who<'_>, place: Option<&Place<'_>>) -> Fields {
    let (code, label) = who.profession;
    let mut fields = Fields::new(&[
        (A::IdType, who.id_type()),
        (A::Id, who.id.number()),
        (A::NationalId, who.id.as_str()),
        (A::TitleCode, if who.is_physician() { "DR" } else { "" }),
        (A::TitleLabel, if who.is_physician() { "Docteur" } else { "" }),
        (A::CivilityCode, who.civility),
        (A::CivilityLabel, if who.civility == "M" { "Monsieur" } else { "Madame" }),
        (A::Family, who.family),
        (A::Given, who.given),
        (A::Profession, code),
        (A::ProfessionLabel, label),
        (A::Category, "C"),
        (A::CategoryLabel, "Civil"),
        (A::Authority, "CNOM/CNOM/CNOM"),
    ]);
    if let Some((speciality, name)) = who.speciality {
        fields.set(A::SkillType, "S");
        fields.set(A::SkillTypeLabel, "Spécialité ordinale");
        fields.set(A::Skill, speciality);
        fields.set(A::SkillLabel, name);
    }
    if let Some(place) = place {
        place_fields(&mut fields, place);
    }
    fields
}

fn place_fields(fields: &mut Fields, place: &Place<'_>) {
    let hospital = !place.finess().is_empty();
    let (mode, mode_label) =
        if hospital { ("S", "Salarié") } else { ("L", "Libéral, indépendant, artisan, commerçant") };
    let (sector, sector_label) =
        if hospital { ("SA01", "Etablissement Public de santé") } else { ("SA07", "Cabinet individuel") };
    for (column, value) in [
        (A::Mode, mode),
        (A::ModeLabel, mode_label),
        (A::Siret, place.siret),
        (A::Siren, place.siret.get(..9).unwrap_or_default()),
        (A::Finess, place.finess()),
        (A::EntityFiness, place.entity),
        (A::TechnicalId, place.technical),
        (A::StructureName, place.name),
        (A::StreetNumber, place.street[0]),
        (A::StreetRepeat, place.street[1]),
        (A::StreetTypeCode, place.street[2]),
        (A::StreetType, place.street[3]),
        (A::Street, place.street[4]),
        (A::Cedex, &routing(place)),
        (A::Postcode, place.town[1]),
        (A::TownCode, place.town[2]),
        (A::Town, place.town[0]),
        (A::CountryCode, if place.town[0].is_empty() { "" } else { "99000" }),
        (A::Country, if place.town[0].is_empty() { "" } else { "France" }),
        (A::DepartmentCode, place.town[3]),
        (A::Department, place.town[4]),
        (A::Sector, sector),
        (A::SectorLabel, sector_label),
        (A::ActivityKind, "GENR01"),
        (A::ActivityKindLabel, "Activité standard de soin ou de pharmacien"),
    ] {
        fields.set(column, value);
    }
}
