//! The columns of the five national files, verbatim, and how their labels are compared.
//!
//! Labels drift between years (rule DIR-1), so columns are found by normalised name, never by position.

use crate::fold::words;

/// A column of one of the files.
pub(crate) trait Column: Copy {
    /// The published labels, in published order.
    const LABELS: &'static [&'static str];
    /// Whether the file is useless without the column, in the same order.
    const NEEDED: &'static [bool];
    /// Its place in that order.
    fn place(self) -> usize;
    /// Its published label.
    fn label(self) -> &'static str {
        Self::LABELS.get(self.place()).copied().unwrap_or_default()
    }
}

macro_rules! columns {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $label:literal $($needed:ident)?,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(dead_code)] // the list is whole, even where a column is only counted and hashed
        pub(crate) enum $name { $($variant,)* }

        impl Column for $name {
            const LABELS: &'static [&'static str] = &[$($label,)*];
            const NEEDED: &'static [bool] = &[$(!matches!(stringify!($($needed)?).as_bytes(), []),)*];
            fn place(self) -> usize {
                self as usize
            }
        }
    };
}

columns! {
    /// The 56 columns of the person-activity file.
    ActivityColumn {
        IdType = "Type d'identifiant PP",
        Id = "Identifiant PP" needed,
        NationalId = "Identification nationale PP" needed,
        TitleCode = "Code civilité d'exercice",
        TitleLabel = "Libellé civilité exercice",
        CivilityCode = "Code civilité",
        CivilityLabel = "Libellé civilité",
        Family = "Nom d'exercice" needed,
        Given = "Prénom d'exercice" needed,
        Profession = "Code profession" needed,
        ProfessionLabel = "Libellé profession",
        Category = "Code catégorie professionnelle",
        CategoryLabel = "Libellé catégorie professionnelle",
        SkillType = "Code type savoir-faire",
        SkillTypeLabel = "Libellé type savoir-faire",
        Skill = "Code savoir-faire",
        SkillLabel = "Libellé savoir-faire",
        Mode = "Code mode exercice",
        ModeLabel = "Libellé mode exercice",
        Siret = "Numéro SIRET site",
        Siren = "Numéro SIREN site",
        Finess = "Numéro FINESS site",
        EntityFiness = "Numéro FINESS établissement juridique",
        TechnicalId = "Identifiant technique de la structure",
        StructureName = "Raison sociale site",
        TradeName = "Enseigne commerciale site",
        Recipient = "Complément destinataire (coord. structure)",
        Place = "Complément point géographique (coord. structure)",
        StreetNumber = "Numéro Voie (coord. structure)",
        StreetRepeat = "Indice répétition voie (coord. Structure)",
        StreetTypeCode = "Code type de voie (coord. structure)",
        StreetType = "Libellé type de voie (coord. structure)",
        Street = "Libellé Voie (coord. structure)",
        Mention = "Mention distribution (coord. structure)",
        Cedex = "Bureau cedex (coord. structure)",
        Postcode = "Code postal (coord. structure)",
        TownCode = "Code commune (coord. structure)",
        Town = "Libellé commune (coord. structure)",
        CountryCode = "Code pays (coord. structure)",
        Country = "Libellé pays (coord. structure)",
        Phone = "Téléphone (coord. structure)",
        Phone2 = "Téléphone 2 (coord. structure)",
        Fax = "Télécopie (coord. structure)",
        Email = "Adresse e-mail (coord. structure)",
        DepartmentCode = "Code département (coord. structure)",
        Department = "Libellé département (coord. structure)",
        FormerId = "Ancien identifiant de la structure",
        Authority = "Autorité d'enregistrement",
        Sector = "Code secteur d'activité",
        SectorLabel = "Libellé secteur d'activité",
        Section = "Code section tableau pharmaciens",
        SectionLabel = "Libellé section tableau pharmaciens",
        Function = "Code fonction",
        FunctionLabel = "Libellé fonction",
        ActivityKind = "Code genre d'activité",
        ActivityKindLabel = "Libellé genre d'activité",
    }
}

columns! {
    /// The 13 columns of the diplomas and authorisations file.
    DiplomaColumn {
        IdType = "Type d'identifiant PP",
        Id = "Identifiant PP" needed,
        NationalId = "Identification nationale PP" needed,
        Family = "Nom d'exercice",
        Given = "Prénom d'exercice",
        DiplomaType = "Code type diplôme obtenu",
        DiplomaTypeLabel = "Libellé type diplôme obtenu",
        Diploma = "Code diplôme obtenu",
        DiplomaLabel = "Libellé diplôme obtenu",
        AuthorisationType = "Code type autorisation",
        AuthorisationTypeLabel = "Libellé type autorisation",
        Discipline = "Code discipline autorisation",
        DisciplineLabel = "Libellé discipline autorisation",
    }
}

columns! {
    /// The 13 columns of the skills file.
    SkillColumn {
        IdType = "Type d'identifiant PP",
        Id = "Identifiant PP" needed,
        NationalId = "Identification nationale PP" needed,
        Family = "Nom d'exercice",
        Given = "Prénom d'exercice",
        Profession = "Code profession",
        ProfessionLabel = "Libellé profession",
        Category = "Code catégorie professionnelle",
        CategoryLabel = "Libellé catégorie professionnelle",
        SkillType = "Code type savoir-faire",
        SkillTypeLabel = "Libellé type savoir-faire",
        Skill = "Code savoir-faire" needed,
        SkillLabel = "Libellé savoir-faire",
    }
}

columns! {
    /// The columns of the card file; their order is not established (mssante reference §7).
    CardColumn {
        Id = "Identifiant PP" needed,
        Kind = "Code type de carte",
        KindLabel = "Libellé type de carte",
        Number = "Numéro carte" needed,
        NationalId = "Identifiant national contenu dans la carte" needed,
        From = "Date début validité",
        To = "Date fin validité" needed,
        OpposedOn = "Date opposition" needed,
        Updated = "Date de mise à jour",
    }
}

columns! {
    /// The 31 columns of the mailbox file.
    MailboxColumn {
        Kind = "Type de BAL" needed,
        Address = "Adresse BAL" needed,
        IdType = "Type Identifiant PP",
        Id = "Identifiant PP" needed,
        NationalId = "Identification nationale PP" needed,
        StructureIdType = "Type identifiant structure",
        StructureId = "Identification Structure" needed,
        Service = "Service de rattachement",
        Title = "Civilité d'exercice",
        Family = "Nom d'exercice",
        Given = "Prénom d'exercice",
        Category = "Catégorie profession",
        CategoryLabel = "Libellé de catégorie profession",
        Profession = "Code Profession",
        ProfessionLabel = "Libellé Profession",
        Skill = "Code savoir-faire",
        SkillLabel = "Libellé savoir-faire",
        Paperless = "Dématérialisation",
        StructureName = "Raison Sociale structure BAL",
        TradeName = "Enseigne commerciale structure BAL",
        Recipient = "L2COMPLEMENTLOCALISATION structure BAL",
        Place = "L3COMPLEMENTDISTRIBUTION structure BAL",
        StreetNumber = "L4NUMEROVOIE structure BAL",
        StreetRepeat = "L4COMPLEMENTNUMEROVOIE structure BAL",
        StreetType = "NL4TYPEVOIE structure BAL",
        Street = "L4LIBELLEVOIE structure BAL",
        Mention = "L5LIEUDITMENTION structure BAL",
        Routing = "L6LIGNEACHEMINEMENT structure BAL",
        Postcode = "Code postal structure BAL",
        Department = "Département structure BAL",
        Country = "Pays structure BAL",
    }
}
/// Little words that come and go in labels.
const STOP_WORDS: [&str; 10] = ["d", "de", "du", "des", "l", "la", "le", "les", "dans", "coord"];

/// Labels that changed by more than little words: drifted form, published form, both normalised.
const ALIASES: [(&str, &str); 4] = [
    ("code role", "code fonction"),
    ("libelle role", "libelle fonction"),
    ("code categorie profession", "categorie profession"),
    ("identification nationale contenu carte", "identifiant national contenu carte"),
];

/// A label without accents, case, punctuation and little words; known aliases lead to the published label.
pub(crate) fn normal_label(label: &str) -> String {
    let words: Vec<String> = words(label).into_iter().filter(|word| !STOP_WORDS.contains(&word.as_str())).collect();
    let normal = words.join(" ");
    ALIASES.iter().find(|(drifted, _)| *drifted == normal).map_or(normal, |(_, published)| (*published).to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn distinct(labels: &[&str]) {
        let normal: HashSet<String> = labels.iter().map(|label| normal_label(label)).collect();
        assert_eq!(normal.len(), labels.len(), "two labels of one file look the same once normalised");
    }

    #[test]
    fn no_two_columns_of_a_file_are_confused() {
        distinct(ActivityColumn::LABELS);
        distinct(DiplomaColumn::LABELS);
        distinct(SkillColumn::LABELS);
        distinct(CardColumn::LABELS);
        distinct(MailboxColumn::LABELS);
        assert_eq!(ActivityColumn::LABELS.len(), 56);
        assert_eq!(MailboxColumn::LABELS.len(), 31);
        assert_eq!(ActivityColumn::ActivityKindLabel.label(), "Libellé genre d'activité");
        assert_eq!(MailboxColumn::NEEDED.iter().filter(|needed| **needed).count(), 5);
    }

    #[test]
    fn known_drift_leads_to_the_published_label() {
        for (drifted, published) in [
            ("Libellé civilité d'exercice", "Libellé civilité exercice"),
            ("LIBELLE CIVILITE D’EXERCICE", "Libellé civilité exercice"),
            ("Code Département (structure)", "Code département (coord. structure)"),
            ("Code rôle", "Code fonction"),
            ("Type Identifiant PP", "Type d'identifiant PP"),
            ("Numéro de carte", "Numéro carte"),
            ("Date de fin de validité", "Date fin validité"),
        ] {
            assert_eq!(normal_label(drifted), normal_label(published), "{drifted}");
        }
    }
}
