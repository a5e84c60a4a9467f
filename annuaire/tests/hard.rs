//! Hard questions: names, towns, slips of the pen and identifiers as people type them (annuaire reference, section
//! 4), asked of the committed sample, each with the people that must come and no others of the cast.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

use std::{fs, path::PathBuf};

use annuaire::{
    Cast, CastMailbox, CastPerson, CastStructure, Field, FileKind, Filter, GenerateOptions, Generation, How,
    MailboxType, MatchKind, Page, Question, Similar, Total, build, search,
};
use ident::{Address, PersonId, StructureId};

/// Number of a person of the cast, family name, given name, profession and speciality, where.
const PEOPLE: [(u32, &str, &str, &str, &str); 34] = [
    (1, "LEFÈVRE-TEST", "Bénédicte", "cardiologue", "E"),
    (2, "LEFEBVRE-TEST", "Benoît", "généraliste", "H"),
    (3, "DE LA TOURELLE-TEST", "Jean-Pierre", "généraliste", "P"),
    (4, "D’ARTAGNOLLE-TEST", "Loïc", "infirmier", "A"),
    (5, "D'ALEMBRETTE-TEST", "Noëlle", "cardiologue", "A"),
    (6, "L’ÉPINAIE-TEST", "Anne-Sophie", "pédiatre", "L"),
    (7, "MARTINOT-DURANDAL-TEST", "Marie Claude", "généraliste", "C"),
    (8, "PETIT-LECŒUR-TEST", "Lætitia", "sage-femme", "C"),
    (9, "BEN AMARA-TEST", "Fatima", "pharmacien", "M"),
    (10, "EL MANSOURIEN-TEST", "Mohamed", "cardiologue", "M"),
    (11, "NGUYỄN-TEST", "Thị Hoa", "dentiste", "P"),
    (12, "SŁOWACKIEWICZ-TEST", "Łukasz", "généraliste", "P"),
    (13, "ÖZTÜRKMEN-TEST", "Özlem", "pédiatre", "E"),
    (14, "MÜLLERSTEIN-TEST", "Jürgen", "généraliste", "F"),
    (15, "GAUTHEREAU-TEST", "Éric", "cardiologue", "E"),
    (16, "GAUTEREAU-TEST", "Érika", "généraliste", "H"),
    (17, "ST JEANNET-TEST", "Gaël", "infirmier", "E"),
    (18, "SAINT-EXUPÉRAC-TEST", "Maël", "généraliste", "F"),
    (19, "DUPONTEL-TEST", "Jean", "généraliste", "E"),
    (20, "DUPONTEL-TEST", "Jean", "pédiatre", "E"),
    (21, "THIBAULTET-TEST", "Mickaël", "généraliste", "A"),
    (22, "O'CONNORAN-TEST", "Siân", "généraliste", "L"),
    (23, "VAN DEN BERGHEM-TEST", "Joris", "dentiste", "C"),
    (24, "GEOFFROYET-TEST", "Philippe", "infirmier", "M"),
    (25, "LE GOFFIC-TEST", "Gwenaëlle", "sage-femme", "H"),
    (26, "BEAULACQUE-TEST", "Zoé", "pédiatre", "P"),
    (27, "DUFAUTREL-TEST", "François", "généraliste", "L"),
    (28, "WEIẞENBACH-TEST", "Chloé", "généraliste", "F"),
    (29, "ROUSSELINOT-TEST", "Françoise", "cardiologue", "C"),
    (30, "KERVÉGAN-TEST", "Yann", "généraliste", "J"),
    (31, "LACHAUMETTE-TEST", "Inès", "infirmier", "J"),
    (32, "DE SAINT-AUBINEAU-TEST", "Rémi", "généraliste", "J"),
    (33, "PHILIPPONNET-TEST", "Cécile", "pharmacien", "F"),
    (34, "CHÂTELLERAC-TEST", "Aurélien", "dentiste", "E"),
];

/// Letter, identifier, name, street, postcode, town.
const PLACES: [(&str, &str, &str, &str, &str, &str); 9] = [
    ("E", "1990000101", "CHU NORD-TEST", "1 AV ALBERT RAIMOND", "42055", "ST ETIENNE CEDEX 2"),
    ("H", "399900000000102", "CABINET DU PORT-TEST", "12 QUAI DE SOUTHAMPTON", "76600", "Le Havre"),
    ("P", "399900000000103", "CENTRE DE SANTÉ DAUMESNIL-TEST", "8 R DE REUILLY", "75012", "Paris 12e Arrondissement"),
    ("A", "1990000104", "CH DU PAYS D'AIX-TEST", "AV DES TAMARIS", "13100", "Aix-en-Provence"),
    ("L", "399900000000105", "MAISON MÉDICALE DES ROSES-TEST", "3 R DES TOURNELLES", "94240", "L'Haÿ-les-Roses"),
    ("C", "1990000106", "CLINIQUE SAINTE-MARIE-TEST", "5 R DE VITRY", "51000", "Châlons-en-Champagne"),
    ("M", "399900000000107", "PHARMACIE DES TROIS-ÎLETS-TEST", "BD DE LA LIBERTÉ", "97200", "Fort-de-France"),
    ("F", "399900000000108", "CABINET U CASONE-TEST", "2 CRS NAPOLÉON", "20000", "Ajaccio"),
    ("J", "1990000109", "HÔPITAL ST JOSEPH-TEST", "26 BD DE LOUVAIN", "13008", "Marseille 8e Arrondissement"),
];

fn id(number: u32) -> PersonId {
    PersonId::parse(&format!("8997000002{number:02}")).unwrap()
}

fn cast() -> Cast {
    let place = |letter: &str| PLACES.iter().find(|place| place.0 == letter).unwrap();
    let structure = |letter: &str| StructureId::parse(place(letter).1).unwrap();
    let text = |pair: (&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
    let people = PEOPLE.iter().map(|(number, family, given, does, at)| {
        let (profession, speciality) = match *does {
            "cardiologue" => (("10", "Médecin"), Some(("SM04", "Cardiologie et maladies vasculaires"))),
            "généraliste" => (("10", "Médecin"), Some(("SM26", "Qualifié en Médecine Générale"))),
            "pédiatre" => (("10", "Médecin"), Some(("SM40", "Pédiatrie"))),
            "infirmier" => (("60", "Infirmier"), None),
            "pharmacien" => (("21", "Pharmacien"), None),
            "dentiste" => (("40", "Chirurgien-Dentiste"), None),
            _ => (("50", "Sage-Femme"), None),
        };
        CastPerson {
            id: id(*number),
            family: (*family).into(),
            given: (*given).into(),
            civility: "MME".into(),
            profession_code: profession.0.into(),
            profession: profession.1.into(),
            speciality: speciality.map(text),
            structures: vec![structure(at)],
        }
    });
    let mailbox = |address: &str, who: Option<u32>, at: &str, kind| CastMailbox {
        address: Address::parse(address).unwrap(),
        kind,
        person: who.map(id),
        structure: Some(structure(at)),
        service: if who.is_some() { String::new() } else { "Cardiologie".into() },
    };
    Cast {
        structures: PLACES
            .iter()
            .map(|(_, id, name, street, postcode, town)| CastStructure {
                id: StructureId::parse(id).unwrap(),
                entity_finess: None,
                name: (*name).into(),
                street: (*street).into(),
                postcode: (*postcode).into(),
                town: (*town).into(),
            })
            .collect(),
        people: people.collect(),
        mailboxes: vec![
            mailbox("benedicte.lefevre-test@chu-nord.test", Some(1), "E", MailboxType::Personal),
            mailbox("b.lefevre-test@pro.test", Some(1), "E", MailboxType::Personal),
            mailbox("cardiologie@chu-nord.test", None, "E", MailboxType::Organisation),
            mailbox("loic.dartagnolle-test@aix.test", Some(4), "A", MailboxType::Personal),
            mailbox("jean.dupontel-test.1@chu-nord.test", Some(19), "E", MailboxType::Personal),
            mailbox("cabinet@casone.test", Some(14), "F", MailboxType::Practice),
        ],
        cards: Vec::new(),
    }
}

fn options() -> GenerateOptions {
    GenerateOptions { cast: cast(), ..GenerateOptions::new(20, 120) }
}

fn sample() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sample")
}

/// With `SCEAU_WRITE_SAMPLE=1` the sample is written anew.
#[test]
fn the_committed_sample_is_what_the_generator_writes() {
    if std::env::var_os("SCEAU_WRITE_SAMPLE").is_some() {
        annuaire::generate(&sample(), &options()).unwrap();
    }
    let made = tempfile::tempdir().unwrap();
    annuaire::generate(made.path(), &options()).unwrap();
    let mut octets = 0;
    for kind in FileKind::ALL {
        let committed = fs::read_to_string(sample().join(kind.file_name())).unwrap();
        assert_eq!(committed, fs::read_to_string(made.path().join(kind.file_name())).unwrap(), "{kind:?}");
        octets += committed.len();
    }
    assert!(octets < 300_000, "{octets}");
}

fn generation() -> Generation {
    build(&sample()).unwrap().1.unwrap()
}

use MatchKind::{Exact, Fuzzy, Phonetic, Prefix};

/// What is typed, the people of the cast that answer, best first, and how well the first one does.
const QUESTIONS: [(&str, &[u32], Option<MatchKind>); 85] = [
    // Accents and case, both ways (#239).
    ("lefevre benedicte", &[1], Some(Exact)),
    ("LEFÈVRE BÉNÉDICTE", &[1], Some(Exact)),
    ("Lefévre bènèdicte", &[1], Some(Exact)),
    ("müllerstein", &[14], Some(Exact)),
    ("mullerstein jurgen", &[14], Some(Exact)),
    ("ozturkmen", &[13], Some(Exact)),
    ("nguyen thi", &[11], Some(Exact)),
    ("slowackiewicz lukasz", &[12], Some(Exact)),
    ("weissenbach", &[28], Some(Exact)),
    ("petit lecoeur", &[8], Some(Exact)),
    ("laetitia lecœur", &[8], Some(Exact)),
    ("chatellerac", &[34], Some(Exact)),
    // Compound names: either half, any order, with and without hyphen (#403).
    ("durandal", &[7], Some(Exact)),
    ("martinot", &[7], Some(Exact)),
    ("durandal martinot", &[7], Some(Exact)),
    ("martinotdurandal", &[7], Some(Exact)),
    ("marie-claude martinot", &[7], Some(Exact)),
    ("marieclaude martinot", &[7], Some(Exact)),
    ("tourelle jean pierre", &[3], Some(Exact)),
    ("tourelle jeanpierre", &[3], Some(Exact)),
    ("tourelle jean‑pierre", &[3], Some(Exact)),
    ("anne sophie épinaie", &[6], Some(Exact)),
    ("berghem", &[23], Some(Exact)),
    // Particles: with, without, run together, too many.
    ("de la tourelle", &[3], Some(Exact)),
    ("delatourelle", &[3], Some(Prefix)),
    ("delatourelletest", &[3], Some(Exact)),
    ("latourelle", &[3], Some(Exact)),
    ("la tourelle", &[3], Some(Exact)),
    ("du tourelle", &[3], Some(Exact)),
    ("benamara", &[9], Some(Exact)),
    ("ben amara fatima", &[9], Some(Exact)),
    ("amara", &[9], Some(Exact)),
    ("elmansourien", &[10], Some(Exact)),
    ("mansourien mohamed", &[10], Some(Exact)),
    ("legoffic", &[25], Some(Exact)),
    ("goffic gwenaelle", &[25], Some(Exact)),
    ("vandenberghem", &[23], Some(Prefix)),
    ("de goffic", &[25], Some(Exact)),
    ("saint aubineau", &[32], Some(Exact)),
    // Apostrophes: straight, curly, blank, none.
    ("d'artagnolle", &[4], Some(Exact)),
    ("d’artagnolle", &[4], Some(Exact)),
    ("d artagnolle", &[4], Some(Exact)),
    ("dartagnolle", &[4], Some(Exact)),
    ("artagnolle", &[4], Some(Exact)),
    ("d´alembrette", &[5], Some(Exact)),
    ("lepinaie", &[6], Some(Exact)),
    ("oconnoran sian", &[22], Some(Exact)),
    ("o’connoran", &[22], Some(Exact)),
    // Saint and st, in names and towns.
    ("saint jeannet", &[17], Some(Exact)),
    ("st jeannet", &[17], Some(Exact)),
    ("st exuperac", &[18], Some(Exact)),
    ("gauthereau saint-étienne", &[15], Some(Exact)),
    ("gauthereau st etienne", &[15], Some(Exact)),
    ("kervegan saint joseph", &[30], Some(Exact)),
    // Towns, postcodes, departments, streets, structures (#245, #297, #330, #351).
    ("beaulacque paris 12", &[26], Some(Exact)),
    ("beaulacque paris 12e", &[26], Some(Exact)),
    ("pediatrie l'hay les roses", &[6], Some(Exact)),
    ("cardio chalons champagne", &[29], Some(Prefix)),
    ("cardiologie 51000", &[29], Some(Exact)),
    ("infirmier fort de france", &[24], Some(Exact)),
    ("pharmacien ajaccio", &[33], Some(Exact)),
    ("medecin casone", &[14, 18, 28], Some(Exact)),
    ("infirmier 13008", &[31], Some(Exact)),
    ("sage-femme sainte marie", &[8], Some(Exact)),
    ("dentiste chu nord", &[34], Some(Exact)),
    ("quai de southampton lefebvre", &[2], Some(Exact)),
    ("roses dufautrel", &[27], Some(Exact)),
    // Unfinished words, while typing.
    ("gauth er", &[15], Some(Prefix)),
    ("lache", &[], None),
    ("lachaum in", &[31], Some(Prefix)),
    ("dr rousselin fran", &[29], Some(Prefix)),
    // One or two letters off.
    ("kervegen", &[30], Some(Fuzzy)),
    ("lachomette", &[31], Some(Fuzzy)),
    ("rouselinot", &[29], Some(Fuzzy)),
    ("exuperca maël", &[18], Some(Fuzzy)),
    ("beaulaque zoe", &[26], Some(Fuzzy)),
    // As it sounds.
    ("filiponet", &[33], Some(Phonetic)),
    ("joffroyet filippe", &[24], Some(Phonetic)),
    // Identifiers in every form (#306).
    ("899700000201", &[1], Some(Exact)),
    ("99700000201", &[1], Some(Exact)),
    ("99 700 000 201", &[1], Some(Exact)),
    ("8 99700000201", &[1], Some(Exact)),
    ("gauthereau 1990000101", &[15], Some(Exact)),
    // Addresses, whole and begun.
    ("benedicte.lefevre-test@chu-nord.test", &[1], Some(Exact)),
    ("loic.dartagnolle-test@", &[4], Some(Prefix)),
];

fn cast_of(ids: impl Iterator<Item = String>) -> Vec<u32> {
    ids.filter_map(|id| id.strip_prefix("8997000002").and_then(|number| number.parse().ok())).collect()
}

#[test]
fn hard_questions_have_their_people() {
    let g = generation();
    let mut wrong = Vec::new();
    for (text, expected, kind) in QUESTIONS {
        let answer = search(&g, None, text, 100);
        let found = cast_of(answer.people.iter().map(|person| person.id.clone()));
        let first = answer.people.first().map(|person| person.r#match);
        if found != expected || (kind.is_some() && first != kind) || answer.generation != g.id() {
            wrong.push(format!("{text}: {found:?} {first:?}, expected {expected:?} {kind:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), QUESTIONS.len(), wrong.join("\n"));
}

#[test]
fn homonyms_are_told_apart_and_warned_of() {
    let g = generation();
    let answer = search(&g, None, "dupontel jean", 10);
    assert_eq!(cast_of(answer.people.iter().map(|person| person.id.clone())), [19, 20]);
    // Who can be written to comes first.
    assert_eq!(answer.people[0].mailboxes.len(), 1);
    assert!(answer.people.iter().all(|person| person.homonyms == 1));
    assert_eq!(cast_of(search(&g, None, "dupontel pediatrie", 9).people.into_iter().map(|p| p.id)), [20]);
    assert_eq!(search(&g, None, "kervegan", 9).people[0].homonyms, 0);
}

fn people(g: &Generation, filter: Filter) -> Vec<u32> {
    let hits = g.people_where(None, &Question::filter(filter), Page::first(10_000));
    assert_eq!(hits.total, Total::Exactly(hits.hits.len() as u64));
    let mut numbers = cast_of(hits.hits.iter().map(|hit| hit.of.id_text().to_owned()));
    numbers.sort_unstable();
    numbers
}

fn word(field: Field, how: How, text: &str) -> Filter {
    Filter::Words { fields: field.into(), how, text: text.into() }
}

#[test]
fn fields_are_asked_one_by_one_and_combined() {
    let g = generation();
    let value = |field: Field, value: &str| Filter::Value { fields: field.into(), value: value.into() };
    let cardio = || value(Field::SpecialityCode, "SM04");
    assert_eq!(people(&g, cardio())[..], [1, 5, 10, 15, 29]);
    assert_eq!(people(&g, Filter::And(vec![cardio(), word(Field::Town, How::Prefix, "saint et")])), [1, 15]);
    assert_eq!(
        people(&g, Filter::And(vec![cardio(), Filter::Not(Box::new(word(Field::Postcode, How::Prefix, "42")))])),
        [5, 10, 29]
    );
    let either = Filter::Or(vec![word(Field::Family, How::Exact, "kervégan"), word(Field::Given, How::Exact, "ZOE")]);
    assert_eq!(people(&g, either), [26, 30]);
    // A town's word is no name: `martinot` only as one.
    assert!(people(&g, word(Field::Town, How::Exact, "martinot")).is_empty());
    assert_eq!(people(&g, word(Field::Family, How::Contains, "xupér")), [18]);
    assert_eq!(people(&g, word(Field::Family, How::Similar, "gautero")), [15, 16]);
    assert_eq!(people(&g, value(Field::Domain, "chu-nord.test")), [1, 19]);
    assert_eq!(people(&g, Filter::And(vec![value(Field::MailboxType, "CAB"), cardio()])), [0u32; 0]);
    assert!(people(&g, value(Field::MailboxType, "cab")).contains(&14));
    let all = people(&g, Filter::All);
    assert_eq!(all.len(), PEOPLE.len());
    assert!(people(&g, Filter::Or(Vec::new())).is_empty());
    let exact = Filter::Id { text: "1990000106".into(), how: How::Exact };
    assert_eq!(people(&g, exact), [7, 8, 23, 29]);
    let address = Filter::Address { text: "B.Lefevre-Test@pro.test".into(), how: How::Exact };
    assert_eq!(people(&g, address), [1]);
    assert_eq!(people(&g, value(Field::State, "active")).len(), PEOPLE.len());
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let g = generation();
    for text in ["test", "m", "medecin", "a e"] {
        let question = Question { similar: Similar::Never, ..Question::text(text) };
        let ids = |page| -> Vec<String> {
            let hits = g.people_where(None, &question, page);
            hits.hits.iter().map(|hit| hit.of.id_text().to_owned()).collect()
        };
        let whole = ids(Page::first(10_000));
        let mut pages = Vec::new();
        loop {
            let page = ids(Page { skip: pages.len(), limit: 7 });
            if page.is_empty() {
                break;
            }
            pages.extend(page);
        }
        assert_eq!(pages, whole, "{text}");
        let distinct: std::collections::HashSet<&String> = whole.iter().collect();
        assert_eq!(distinct.len(), whole.len(), "{text}");
    }
}

#[test]
fn a_filter_that_is_too_deep_or_too_long_is_cut_and_says_so() {
    let g = generation();
    let deep = (0..10_000).fold(Filter::All, |inner, _| Filter::Not(Box::new(inner)));
    let question = Question::filter(deep);
    assert!(g.people_where(None, &question, Page::first(5)).cut);
    // A tree of ten thousand is taken apart by hand: dropping it nests as deep.
    let mut rest = question.filter;
    while let Filter::Not(inner) = rest {
        rest = *inner;
    }
    let long = Filter::Or((0..5_000).map(|_| word(Field::Family, How::Contains, "a")).collect());
    assert!(g.people_where(None, &Question::filter(long), Page::first(5)).cut);
}
