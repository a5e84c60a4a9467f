//! What of the French profiles is a setting: addresses of code systems that were not read in a published table, and
//! those on which guide and server disagree (annuaire reference §3.4).

use serde::Deserialize;

use super::budget::MAX_COST;

/// Where the national code tables are published.
macro_rules! table {
    ($name:literal, $dashed:literal) => {
        concat!("https://mos.esante.gouv.fr/NOS/", $name, "/FHIR/", $dashed)
    };
}

/// How this server speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `meta.source` of every resource. The guide writes `https://annuaire.esante.gouv.fr`, the live server
    /// `https://annuaire.sante.fr`.
    pub source: String,
    /// Whether `meta.profile` names the French profiles.
    pub profiles: bool,
    /// Identifier and code systems.
    pub systems: Systems,
    /// What one request may cost, in list entries read: [`MAX_COST`] unless told.
    pub work: u64,
}

/// Addresses of identifier and code systems, as they are written. What is read is more tolerant: see
/// [`Systems::is_rpps`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Systems {
    /// National identifiers of persons with their type digit (IDNPS).
    pub idnps: String,
    /// RPPS numbers, 11 digits.
    pub rpps: String,
    /// National identifiers of structures with their type digit (IDNST).
    pub idnst: String,
    /// FINESS numbers.
    pub finess: String,
    /// RPPS and rank of a practice. The guide and its release notes disagree.
    pub rpps_rank: String,
    /// SIRET numbers. `unverified`: "as fr-core".
    pub siret: String,
    /// SIREN numbers. `unverified`: "as fr-core".
    pub siren: String,
    /// Identifiers of activities. The profile and an example disagree.
    pub role: String,
    /// Types of identifiers.
    pub identifier_type: String,
    /// Types of identifiers of persons without RPPS (codes `0`, `3`, `5`). `unverified` for `0`.
    pub person_identifier_type: String,
    /// Types of structures. `unverified`.
    pub structure_type: String,
    /// Professions.
    pub profession: String,
    /// Categories of professions.
    pub category: String,
    /// Types of skills.
    pub skill_type: String,
    /// Ordinal specialities (type `S`).
    pub speciality: String,
    /// Competences (type `C`). `unverified`.
    pub competence: String,
    /// Capacities (type `CAPA`). `unverified`.
    pub capacity: String,
    /// Qualified functions (type `FQ`). `unverified`.
    pub qualified_function: String,
    /// Other skills. `unverified`.
    pub other_skill: String,
    /// Diplomas. The profession has several tables: this is that of state diplomas.
    pub diploma: String,
    /// Types of diplomas.
    pub diploma_type: String,
    /// Functions.
    pub function: String,
    /// Kinds of activity.
    pub activity_kind: String,
    /// Modes of practice.
    pub mode: String,
    /// Sectors of activity.
    pub sector: String,
    /// Towns by INSEE code.
    pub town: String,
    /// Types of mail: `MSSANTE`.
    pub mail_type: String,
    /// Types of mailbox: PER, ORG, APP, CAB.
    pub mailbox_type: String,
    /// Types of card.
    pub card_type: String,
}

impl Default for Settings {
    /// What the national guide says.
    fn default() -> Self {
        Self {
            source: "https://annuaire.esante.gouv.fr".into(),
            profiles: true,
            systems: Systems::default(),
            work: MAX_COST,
        }
    }
}

impl Default for Systems {
    fn default() -> Self {
        Self {
            idnps: "urn:oid:1.2.250.1.71.4.2.1".into(),
            rpps: "https://rpps.esante.gouv.fr".into(),
            idnst: "urn:oid:1.2.250.1.71.4.2.2".into(),
            finess: "https://finess.esante.gouv.fr".into(),
            rpps_rank: "https://rppsrang.esante.gouv.fr".into(),
            siret: "https://sirene.fr".into(),
            siren: "https://sirene.fr".into(),
            role: "https://rpps.esante.gouv.fr".into(),
            identifier_type: "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203".into(),
            person_identifier_type: table!("TRE_G08-TypeIdentifiantPersonne", "TRE-G08-TypeIdentifiantPersonne").into(),
            structure_type: "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-3307".into(),
            profession: table!("TRE_G15-ProfessionSante", "TRE-G15-ProfessionSante").into(),
            category: table!("TRE_R09-CategorieProfessionnelle", "TRE-R09-CategorieProfessionnelle").into(),
            skill_type: table!("TRE_R04-TypeSavoirFaire", "TRE-R04-TypeSavoirFaire").into(),
            speciality: table!("TRE_R38-SpecialiteOrdinale", "TRE-R38-SpecialiteOrdinale").into(),
            competence: table!("TRE_R39-Competence", "TRE-R39-Competence").into(),
            capacity: table!("TRE_R43-CapaciteSavoirFaire", "TRE-R43-CapaciteSavoirFaire").into(),
            qualified_function: table!("TRE_R45-FonctionQualifiee", "TRE-R45-FonctionQualifiee").into(),
            other_skill: table!("TRE_R40-CompetenceExclusive", "TRE-R40-CompetenceExclusive").into(),
            diploma: table!("TRE_R48-DiplomeEtatFrancais", "TRE-R48-DiplomeEtatFrancais").into(),
            diploma_type: table!("TRE_R14-TypeDiplome", "TRE-R14-TypeDiplome").into(),
            function: table!("TRE_R21-Fonction", "TRE-R21-Fonction").into(),
            activity_kind: table!("TRE_R22-GenreActivite", "TRE-R22-GenreActivite").into(),
            mode: table!("TRE_R23-ModeExercice", "TRE-R23-ModeExercice").into(),
            sector: table!("TRE_R02-SecteurActivite", "TRE-R02-SecteurActivite").into(),
            town: table!("TRE_R13-Commune", "TRE-R13-Commune").into(),
            mail_type: table!("TRE_R256-TypeMessagerie", "TRE-R256-TypeMessagerie").into(),
            mailbox_type: table!("TRE_R257-TypeBAL", "TRE-R257-TypeBAL").into(),
            card_type: table!("TRE_G02-TypeProduit", "TRE-G02-TypeProduit").into(),
        }
    }
}

impl Systems {
    /// The table of skills of a type.
    pub(super) fn skill(&self, kind: &str) -> &str {
        match kind {
            "S" => &self.speciality,
            "C" => &self.competence,
            "CAPA" => &self.capacity,
            "FQ" => &self.qualified_function,
            _ => &self.other_skill,
        }
    }

    /// Whether somebody who writes this system means RPPS numbers: both forms that were in use.
    pub fn is_rpps(&self, system: &str) -> bool {
        system == self.rpps || matches!(system, "https://rpps.esante.gouv.fr" | "http://rpps.fr" | "https://rpps.fr")
    }

    /// Whether two names of a code system mean the same: whole address, or the name of the national table alone
    /// (`TRE_R257-TypeBAL`), as guides and examples write it.
    pub(super) fn same(ours: &str, asked: &str) -> bool {
        let table = |text: &str| text.rsplit('/').next().unwrap_or_default().replace('_', "-").to_lowercase();
        ours == asked || (asked.len() > 3 && table(ours) == table(asked))
    }
}
