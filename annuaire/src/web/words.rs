//! Everything that the pages say, twice: a sentence that is missing in one language does not compile.

use http::HeaderMap;
use ident::{Address, Timestamp};
use time::{Month, OffsetDateTime};

use crate::{Date, FileKind, Generation, MailboxType, MatchKind, STALE_AFTER, Total};

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lang {
    Fr,
    En,
}

impl Lang {
    /// Its code, as in `lang="fr"`.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Fr => "fr",
            Self::En => "en",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.get(..2)?.to_ascii_lowercase().as_str() {
            "fr" => Some(Self::Fr),
            "en" => Some(Self::En),
            _ => None,
        }
    }

    /// What the browser prefers, else French.
    pub(super) fn preferred(headers: &HeaderMap) -> Self {
        let Some(wanted) = headers.get(http::header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()) else {
            return Self::Fr;
        };
        let weighed = wanted.split(',').take(16).filter_map(|part| {
            let (tag, weight) = part.split_once(';').unwrap_or((part, "q=1"));
            let weight: f32 = weight.trim().strip_prefix("q=")?.parse().ok()?;
            Some((weight, Self::parse(tag.trim())?))
        });
        // Of equals the first counts.
        weighed.fold((0.0, Self::Fr), |best, it| if it.0 > best.0 { it } else { best }).1
    }

    pub(super) const fn words(self) -> &'static Words {
        match self {
            Self::Fr => &FR,
            Self::En => &EN,
        }
    }
}

macro_rules! catalogue {
    ($($name:ident: $fr:literal, $en:literal;)*) => {
        /// The fixed sentences of the pages.
        #[derive(Debug)]
        pub(super) struct Words { $(pub(super) $name: &'static str,)* }
        const FR: Words = Words { $($name: $fr,)* };
        const EN: Words = Words { $($name: $en,)* };
    };
}

catalogue! {
    directory: "Annuaire", "Directory";
    skip: "Aller aux résultats", "Skip to the results";
    other_language: "English", "Français";
    other_language_code: "en", "fr";
    field: "Qui cherchez-vous ?", "Who are you looking for?";
    field_hint: "Nom, ville, spécialité, structure, RPPS ou adresse MSSanté, dans n’importe quel ordre", "Name, town, speciality, structure, RPPS number or MSSanté address, in any order";
    search: "Rechercher", "Search";
    advanced: "Recherche par critères", "Search by criteria";
    advanced_hint: "Un début de mot suffit. Accents, majuscules et traits d’union ne comptent pas. Tous les critères remplis doivent être vrais.", "The start of a word is enough. Accents, capitals and hyphens do not matter. Every criterion that is filled in must be true.";
    clear: "Tout effacer", "Clear all";
    refine: "Affiner", "Refine";
    department: "Département", "Department";
    department_hint: "Numéro ou nom", "Number or name";
    mailbox_kind: "Boîte aux lettres", "Mailbox";
    any_or_none: "Indifférent", "Does not matter";
    has_mailbox: "Avec une boîte, quelle qu’elle soit", "With a mailbox of any kind";
    people: "Professionnels", "Professionals";
    structures: "Structures", "Structures";
    copy: "Copier", "Copy";
    copied: "Adresse copiée : ", "Address copied: ";
    not_copied: "La copie n’a pas marché : sélectionnez l’adresse.", "Copying did not work: select the address.";
    vcard: "Fiche de contact (vCard)", "Contact card (vCard)";
    preferred: "préférée", "preferred";
    no_mailbox: "Aucune boîte publiée", "No published mailbox";
    no_mailbox_help: "Cette personne peut avoir une boîte sur liste rouge ou ouverte aujourd’hui : une adresse que vous connaissez reste utilisable.", "This person may have an unlisted mailbox, or one opened today: an address that you know can still be written to.";
    inactive: "n’exerce plus d’après l’annuaire", "no longer practises, says the directory";
    one_homonym: "Une autre personne porte ce nom : vérifiez profession, structure et ville.", "One other person has this name: check profession, structure and town.";
    homonyms_in_list: "Des homonymes figurent dans cette liste : vérifiez profession, structure et ville avant d’écrire.", "People with the same name are in this list: check profession, structure and town before you write.";
    same_name: "Voir toutes les personnes de ce nom", "See everyone with this name";
    near_fuzzy: "Rien n’est écrit ainsi. Voici des orthographes approchantes.", "Nothing is spelled like this. Here are close spellings.";
    near_phonetic: "Rien n’est écrit ainsi. Voici des noms qui se prononcent de la même façon.", "Nothing is spelled like this. Here are names that sound alike.";
    cut: "La demande est trop large pour être parcourue en entier : ajoutez un mot (ville, spécialité, prénom).", "The question is too wide to be answered whole: add a word (town, speciality, given name).";
    without_word: "En enlevant un mot", "Leaving one word out";
    without: "sans", "without";
    help_title: "Pour trouver", "How to find";
    help_words: "Tapez ce que vous savez, dans l’ordre que vous voulez : deux ou trois débuts de mots suffisent.", "Type what you know, in any order: two or three beginnings of words are enough.";
    help_example: "Par exemple", "For instance";
    help_spelling: "Vous doutez de l’orthographe ? Écrivez comme cela se prononce.", "Not sure of the spelling? Write what you hear.";
    help_fewer: "Essayez avec moins de mots, ou avec la ville seulement.", "Try fewer words, or only the town.";
    help_red: "Toutes les boîtes ne sont pas publiées (liste rouge, boîtes récentes ou applicatives). Une adresse que vous connaissez reste utilisable.", "Not every mailbox is published (unlisted, recent or application boxes). An address that you know can still be written to.";
    help_report: "Une erreur dans l’annuaire ? Signalez-la à", "A mistake in the directory? Report it to";
    activities: "Activités", "Activities";
    mailboxes: "Boîtes aux lettres MSSanté", "MSSanté mailboxes";
    shared_mailboxes: "Boîtes de la structure", "Mailboxes of the structure";
    identifier: "Identifiant national", "National identifier";
    no_activity: "Aucune activité publiée", "No published activity";
    people_there: "Professionnels de la structure", "Professionals of the structure";
    nobody_there: "Aucun professionnel publié", "No published professional";
    phone: "Téléphone", "Telephone";
    this_page: "Adresse de cette page", "Address of this page";
    copy_page: "Copier le lien", "Copy the link";
    link_copied: "Lien copié : ", "Link copied: ";
    not_found: "Rien à cette adresse", "Nothing at this address";
    not_found_help: "Cette fiche n’existe pas ou n’existe plus sous cet identifiant. Cherchez par le nom.", "This record does not exist, or no longer under this identifier. Search by name.";
    wrong_method: "Cette page se lit, elle ne reçoit rien.", "This page is for reading: it takes nothing in.";
    refused: "La demande n’a pas abouti", "The request was not answered";
    previous: "Page précédente", "Previous page";
    next: "Page suivante", "Next page";
    pages: "Pages de résultats", "Result pages";
    last_page: "La suite n’est pas feuilletée : précisez la demande.", "There are no further pages: narrow the question down.";
    generation: "génération", "generation";
    answers_for: "Service rendu par", "Service run by";
    contact: "Contact", "Contact";
    accessibility_title: "Accessibilité", "Accessibility";
    busy: "Le service n’a pas répondu. Les résultats affichés sont ceux d’avant.", "The service did not answer. The results shown are the previous ones.";
    wait: "Trop de demandes : la suite s’affichera dans quelques secondes.", "Too many requests: the results will be here in some seconds.";
    too_wide: "Demande trop large", "Question too wide";
    long_question: "La demande a été raccourcie.", "The question was shortened.";
}

/// What a kind of mailbox is called.
pub(super) const fn kind_of_box(lang: Lang, kind: MailboxType) -> &'static str {
    match (kind, lang) {
        (MailboxType::Personal, Lang::Fr) => "Personnelle",
        (MailboxType::Personal, Lang::En) => "Personal",
        (MailboxType::Practice, Lang::Fr) => "Cabinet",
        (MailboxType::Practice, Lang::En) => "Practice",
        (MailboxType::Organisation, Lang::Fr) => "Organisationnelle",
        (MailboxType::Organisation, Lang::En) => "Organisation",
        (MailboxType::Application, Lang::Fr) => "Applicative",
        (MailboxType::Application, Lang::En) => "Application",
    }
}

/// How well a hit fits, in words.
pub(super) const fn fits(lang: Lang, kind: MatchKind) -> &'static str {
    match (kind, lang) {
        (MatchKind::Exact, Lang::Fr) => "mots exacts",
        (MatchKind::Exact, Lang::En) => "exact words",
        (MatchKind::Prefix, Lang::Fr) => "début de mot",
        (MatchKind::Prefix, Lang::En) => "start of a word",
        (MatchKind::Fuzzy, Lang::Fr) => "orthographe approchante",
        (MatchKind::Fuzzy, Lang::En) => "close spelling",
        (MatchKind::Phonetic, Lang::Fr) => "prononciation proche",
        (MatchKind::Phonetic, Lang::En) => "sounds alike",
    }
}

/// The name of a way of fitting in the style sheet.
pub(super) const fn fits_class(kind: MatchKind) -> &'static str {
    match kind {
        MatchKind::Exact => "exact",
        MatchKind::Prefix => "prefix",
        MatchKind::Fuzzy => "fuzzy",
        MatchKind::Phonetic => "phonetic",
    }
}

/// `12 professionnels, 1 structure`.
pub(super) fn counted(lang: Lang, people: Total, structures: Total) -> String {
    let one = |total: Total, fr: &str, en: &str| -> Option<String> {
        let (more, count) = match total {
            Total::Exactly(count) => ("", count),
            Total::AtLeast(count) if lang == Lang::Fr => ("au moins ", count),
            Total::AtLeast(count) => ("at least ", count),
        };
        let s = if count > 1 { "s" } else { "" };
        let noun = if lang == Lang::Fr { fr } else { en };
        (count > 0).then(|| format!("{more}{} {noun}{s}", grouped(lang, count)))
    };
    let parts = [one(people, "professionnel", "professional"), one(structures, "structure", "structure")];
    let text = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    match (text.is_empty(), lang) {
        (false, _) => text,
        (true, Lang::Fr) => "Personne ne correspond à cette demande".to_owned(),
        (true, Lang::En) => "Nobody answers to this".to_owned(),
    }
}

/// How many others have the same name.
pub(super) fn homonyms(lang: Lang, others: u32) -> Option<String> {
    match (others, lang) {
        (0, _) => None,
        (1, lang) => Some(lang.words().one_homonym.to_owned()),
        (n, Lang::Fr) => {
            Some(format!("{n} autres personnes portent ce nom : vérifiez profession, structure et ville."))
        }
        (n, Lang::En) => Some(format!("{n} other people have this name: check profession, structure and town.")),
    }
}

/// Since when something is no longer there.
pub(super) fn vanished(lang: Lang, since: Date) -> String {
    let day = day(lang, since.midnight());
    match lang {
        Lang::Fr => format!(
            "Cette entrée a quitté l’annuaire national : elle n’y figure plus depuis le {day}. Vérifiez auprès de votre \
             correspondant avant d’écrire."
        ),
        Lang::En => format!(
            "This entry has left the national directory: it has not been there since {day}. Check with your \
             correspondent before you write."
        ),
    }
}

/// Since when a mailbox is closed, and who takes over.
pub(super) fn moved(lang: Lang, since: Date, next: &Address) -> String {
    let day = day(lang, since.midnight());
    match lang {
        Lang::Fr => format!("Cette boîte est fermée depuis le {day} : écrivez à {next}."),
        Lang::En => format!("This mailbox has been closed since {day}: write to {next}."),
    }
}

/// How old the data are; each file that is older than the newest one by itself.
pub(super) fn dated(lang: Lang, generation: &Generation) -> String {
    let newest = day(lang, generation.data_as_of());
    let needed = generation.sources().iter().filter_map(|source| Some((source.kind?, source.as_of?)));
    let older: Vec<String> = needed
        .filter(|(kind, at)| kind.is_needed_fresh() && day(lang, *at) != newest && *at < generation.data_as_of())
        .map(|(kind, at)| match lang {
            Lang::Fr => format!("{} du {}", what_is_in(lang, kind), day(lang, at)),
            Lang::En => format!("{} of {}", what_is_in(lang, kind), day(lang, at)),
        })
        .collect();
    let all = match lang {
        Lang::Fr => format!("Données nationales du {}", moment(lang, generation.data_as_of())),
        Lang::En => format!("National data of {}", moment(lang, generation.data_as_of())),
    };
    if older.is_empty() { all } else { format!("{all} ({})", older.join(", ")) }
}

/// What one of the national files is about.
const fn what_is_in(lang: Lang, kind: FileKind) -> &'static str {
    match (kind, lang) {
        (FileKind::Activities, Lang::Fr) => "professionnels",
        (FileKind::Activities, Lang::En) => "professionals",
        (FileKind::Skills, Lang::Fr) => "savoir-faire",
        (FileKind::Skills, Lang::En) => "skills",
        (FileKind::Diplomas, Lang::Fr) => "diplômes",
        (FileKind::Diplomas, Lang::En) => "diplomas",
        (FileKind::Mailboxes, Lang::Fr) => "boîtes aux lettres",
        (FileKind::Mailboxes, Lang::En) => "mailboxes",
        (FileKind::Cards, Lang::Fr) => "cartes",
        (FileKind::Cards, Lang::En) => "cards",
    }
}

/// A warning that the data are old, or one of their files is.
pub(super) fn stale(lang: Lang, generation: &Generation, now: Timestamp) -> String {
    let at = generation.oldest_as_of();
    let others_are_fresh = now.since(generation.data_as_of()) <= STALE_AFTER;
    let part = generation.oldest().and_then(|source| source.kind).filter(|_| others_are_fresh);
    let day = moment(lang, at);
    match (part, lang) {
        (Some(kind), Lang::Fr) => format!(
            "Une partie de ces données a plus de 36 heures ({} : {day}) : l’extraction nationale n’en est plus arrivée. \
             Une personne ou une boîte récente peut manquer, une adresse fermée peut encore figurer.",
            what_is_in(lang, kind)
        ),
        (Some(kind), Lang::En) => format!(
            "A part of these data is more than 36 hours old ({}: {day}): its national extract no longer comes in. A \
             recent person or mailbox may be missing, a closed address may still be shown.",
            what_is_in(lang, kind)
        ),
        (None, Lang::Fr) => format!(
            "Ces données ont plus de 36 heures ({day}) : l’extraction nationale n’est pas arrivée. Une personne ou une \
             boîte récente peut manquer."
        ),
        (None, Lang::En) => format!(
            "These data are more than 36 hours old ({day}): the national extract has not come in. A recent person or \
             mailbox may be missing."
        ),
    }
}

fn grouped(lang: Lang, number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(n);
        if n > 0 && left.is_multiple_of(3) {
            out.push(if lang == Lang::Fr { '\u{202f}' } else { ',' });
        }
        out.push(digit);
    }
    out
}

/// A day in words.
pub(super) fn day(lang: Lang, at: Timestamp) -> String {
    let Ok(date) = OffsetDateTime::from_unix_timestamp(at.seconds()) else { return String::new() };
    let month = usize::from(u8::from(date.month())).saturating_sub(1);
    let french = [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ];
    match lang {
        Lang::Fr => {
            let first = if date.day() == 1 { "er" } else { "" };
            format!("{}{first} {} {}", date.day(), french.get(month).copied().unwrap_or_default(), date.year())
        }
        Lang::En => format!("{} {} {}", date.day(), english(date.month()), date.year()),
    }
}

fn english(month: Month) -> String {
    month.to_string()
}

/// A day and, where it is not midnight, a time.
pub(super) fn moment(lang: Lang, at: Timestamp) -> String {
    let day = day(lang, at);
    let Ok(date) = OffsetDateTime::from_unix_timestamp(at.seconds()) else { return day };
    match (date.hour(), date.minute(), lang) {
        (0, 0, _) => day,
        (hour, minute, Lang::Fr) => format!("{day} à {hour:02} h {minute:02} (UTC)"),
        (hour, minute, Lang::En) => format!("{day} at {hour:02}:{minute:02} UTC"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_says_which_language() {
        let lang = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::ACCEPT_LANGUAGE, text.parse().unwrap());
            Lang::preferred(&headers)
        };
        assert_eq!(lang("en-GB,en;q=0.9,fr;q=0.8"), Lang::En);
        assert_eq!(lang("de,fr-CH;q=0.7,en;q=0.3"), Lang::Fr);
        assert_eq!(lang("de"), Lang::Fr);
        assert_eq!(lang("en;q=0"), Lang::Fr);
        assert_eq!(lang("en;q=zzz,;;;,"), Lang::Fr);
        assert_eq!(Lang::preferred(&HeaderMap::new()), Lang::Fr);
    }

    #[test]
    fn counts_read_well() {
        let (fr, en) = (Lang::Fr, Lang::En);
        let exactly = Total::Exactly;
        assert_eq!(counted(fr, exactly(1), exactly(0)), "1 professionnel");
        assert_eq!(counted(fr, exactly(1234), exactly(2)), "1\u{202f}234 professionnels, 2 structures");
        assert_eq!(counted(en, Total::AtLeast(40), exactly(1)), "at least 40 professionals, 1 structure");
        assert_eq!(counted(fr, exactly(0), exactly(0)), "Personne ne correspond à cette demande");
    }

    #[test]
    fn days_are_written_out() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        assert_eq!(moment(Lang::Fr, at("2026-11-01T00:00:00Z")), "1er novembre 2026");
        assert_eq!(moment(Lang::Fr, at("2026-11-21T03:05:00Z")), "21 novembre 2026 à 03 h 05 (UTC)");
        assert_eq!(moment(Lang::En, at("2026-02-21T03:05:00Z")), "21 February 2026 at 03:05 UTC");
    }
}
