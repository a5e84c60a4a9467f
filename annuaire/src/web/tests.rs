//! The pages over a small directory: what is shown, to whom, and what hostile input becomes.

use std::sync::Arc;

use http::{Request as HttpRequest, StatusCode};
use ident::{Address, PersonId, StructureId, Timestamp};

use super::*;
use crate::{
    Cast, CastMailbox, CastPerson, CastStructure, FileKind, GenerateOptions, Generation, MailboxType, Registry, build,
    generate, search,
};

fn id(text: &str) -> PersonId {
    PersonId::parse(text).unwrap()
}

fn place(text: &str) -> StructureId {
    StructureId::parse(text).unwrap()
}

fn cast() -> Cast {
    let person = |number: &str, family: &str, given: &str| CastPerson {
        id: id(number),
        family: family.into(),
        given: given.into(),
        civility: "MME".into(),
        profession_code: "10".into(),
        profession: "Médecin".into(),
        speciality: Some(("SM04".into(), "Cardiologie et maladies vasculaires".into())),
        structures: vec![place("1990000001")],
    };
    let mailbox = |address: &str, kind, who: Option<&str>| CastMailbox {
        address: Address::parse(address).unwrap(),
        kind,
        person: who.map(id),
        structure: Some(place("1990000001")),
        service: String::new(),
    };
    Cast {
        structures: vec![CastStructure {
            id: place("1990000001"),
            entity_finess: Some("990000009".into()),
            name: "CH <EXEMPLE> & \"TEST\"".into(),
            street: "1 rue de l'Hôpital".into(),
            postcode: "99100".into(),
            town: "Saint-Exemple-sur-Seine".into(),
        }],
        people: vec![
            person("899700000001", "L’ÉPINAIE-TEST", "Anne-Sophie"),
            person("899700000002", "ZWICKYZ-TEST", "Bénédicte"),
            person("899700000003", "ZWICKYZ-TEST", "Bénédicte"),
            person("899700000004", "<SCRIPT>ALERT-TEST", "\"><img src=x>"),
        ],
        mailboxes: vec![
            mailbox("anne.lepinaie-test@ch-exemple.test", MailboxType::Personal, Some("899700000001")),
            mailbox("a.lepinaie-test@autre.test", MailboxType::Personal, Some("899700000001")),
            mailbox("zwickyz-test@ch-exemple.test", MailboxType::Personal, Some("899700000002")),
            mailbox("rouge-test@ch-exemple.test", MailboxType::Personal, Some("899700000003")),
            mailbox("cardiologie@ch-exemple.test", MailboxType::Organisation, None),
        ],
        cards: vec![],
    }
}

const REGISTRY: &str = r#"
[[mailbox]]
address = "rouge-test@ch-exemple.test"
type = "PER"
owner = "899700000003"
red_list = true

[[mailbox]]
address = "anne.lepinaie-test@ch-exemple.test"
type = "PER"
owner = "899700000001"
rank = 1
"#;

/// Says that a file of the extracts is so many days older than those that are generated.
fn age(extracts: &std::path::Path, kind: FileKind, days: u64) {
    let day = crate::Date::GENERATED.midnight().seconds().unsigned_abs();
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(day - 86_400 * days);
    let file = std::fs::File::options().append(true).open(extracts.join(kind.file_name())).unwrap();
    file.set_modified(at).unwrap();
}

struct Ground {
    generation: Arc<Generation>,
    registry: Registry,
    now: Timestamp,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let extracts = folder.path().join("extracts");
        generate(&extracts, &GenerateOptions { cast: cast(), ..GenerateOptions::new(3, 300) }).unwrap();
        FileKind::ALL.iter().for_each(|kind| age(&extracts, *kind, 0));
        let generation = build(&extracts).unwrap().1.unwrap();
        Self {
            now: generation.data_as_of(),
            generation: Arc::new(generation),
            registry: Registry::parse(REGISTRY).unwrap(),
        }
    }

    fn ask(&self, method: &str, uri: &str, language: &str) -> Response {
        let request = HttpRequest::builder().method(method).uri(uri).header("Accept-Language", language);
        let context = Context {
            generation: &self.generation,
            registry: Some(&self.registry),
            now: self.now,
            secret: &[0; 32],
            origin: "https://annuaire.test",
            mount: "/annuaire",
            operator: Operator { name: "CH Exemple & fils (test)", help: "aide@ch-exemple.test", audit: None },
            publication: None,
        };
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Web.file(&parts).unwrap_or_else(|| Web.answer(&HttpRequest::from_parts(parts, Vec::new()), &context))
    }

    fn get(&self, uri: &str) -> (StatusCode, String) {
        let response = self.ask("GET", uri, "fr");
        (response.status(), String::from_utf8(response.into_body()).unwrap())
    }
}

/// The addresses of the people's own pages, in the order of the page.
fn people(page: &str) -> Vec<String> {
    let links = page.split("/annuaire/person/").skip(1).map(|rest| rest.split(['"', '?']).next().unwrap().to_owned());
    let mut found: Vec<String> = links.filter(|link| !link.ends_with(".vcf")).collect();
    found.dedup();
    found
}

/// WEB1: a search shows who is found, where they work, which address first, and how old the data are.
#[test]
fn a_search_shows_what_a_doctor_needs() {
    let ground = Ground::new();
    let (status, page) = ground.get("/?q=epinaie+cardio");
    assert_eq!(status, StatusCode::OK);
    assert_eq!(people(&page), ["899700000001"]);
    for part in [
        "L’ÉPINAIE-TEST",
        "Médecin · Cardiologie et maladies vasculaires",
        "99100 Saint-Exemple-sur-Seine",
        "début de mot",
        "1 professionnel",
        "Personnelle · préférée",
        "value=\"epinaie cardio\"",
        "du 2 novembre 2026",
        ground.generation.id(),
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let first = page.find("mailto:anne.lepinaie").unwrap();
    assert!(first < page.find("mailto:a.lepinaie").unwrap(), "the preferred address comes first");
}

/// WEB2: the same text gives the same people in the same order as the command line.
#[test]
fn the_page_finds_whom_the_command_line_finds() {
    let ground = Ground::new();
    let mut asked = 0;
    for person in ground.generation.people().take(120) {
        let family: String = person.family().chars().take(4).collect();
        for text in [family.clone(), format!("{} {family}", person.given()), person.id_text().to_owned()] {
            let expected: Vec<String> = search(&ground.generation, Some(&ground.registry), &text, PAGE)
                .people
                .into_iter()
                .map(|person| person.id)
                .collect();
            let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("q", &text).finish();
            assert_eq!(people(&ground.get(&format!("/results?{query}")).1), expected, "{text}");
            asked += 1;
        }
    }
    assert_eq!(asked, 360);
}

/// WEB3: all eleven criteria are in the form, and each finds.
#[test]
fn the_eleven_criteria_find() {
    let ground = Ground::new();
    let form = ground.get("/").1;
    for (name, value) in [
        ("id", "899700000001"),
        ("family", "epinaie"),
        ("given", "anne"),
        ("profession", "medecin"),
        ("speciality", "cardio"),
        ("address", "exemple 99100"),
        ("structure", "exemple"),
        ("street", "hopital"),
        ("postcode", "99100"),
        ("town", "saint exemple"),
        ("mail", "anne.lepinaie-test@ch"),
    ] {
        assert!(form.contains(&format!("name=\"{name}\"")), "{name}");
        let (_, page) = ground.get(&format!("/?q=epinaie&{name}={}", value.replace(' ', "+")));
        assert_eq!(people(&page), ["899700000001"], "{name}");
        assert!(page.contains("<details class=\"criteria\" open>"), "what was asked stays visible");
        let (_, page) = ground.get(&format!("/?q=epinaie&{name}=qqqqqqqq&lang=en"));
        assert_eq!(people(&page), [""; 0], "{name}");
    }
    assert_eq!(people(&ground.get("/?family=zwickyz&box=any").1).len(), 2);
    assert_eq!(people(&ground.get("/?family=zwickyz&department=99&box=app").1).len(), 0);
}

/// WEB4: homonyms are pointed out, on the list and on the person's page.
#[test]
fn homonyms_are_pointed_out() {
    let ground = Ground::new();
    let (_, page) = ground.get("/?q=zwickyz");
    assert_eq!(people(&page).len(), 2);
    assert!(page.contains(Lang::Fr.words().homonyms_in_list), "{page}");
    assert!(ground.get("/person/899700000002").1.contains(Lang::Fr.words().one_homonym));
}

/// WEB4: who and what has left the data is told of, with the day, and not simply not found.
#[test]
fn what_has_vanished_says_since_when() {
    let folder = tempfile::tempdir().unwrap();
    let (extracts, data) = (folder.path().join("extracts"), folder.path().join("data"));
    for gone in [0, 1] {
        let mut cast = cast();
        cast.people.drain(..gone);
        cast.mailboxes.drain(..2 * gone);
        generate(&extracts, &GenerateOptions { cast, ..GenerateOptions::new(3, 300) }).unwrap();
        assert!(crate::load(&extracts, &data, true).unwrap().in_service());
    }
    let generation = crate::DataFolder::new(&data).current().unwrap();
    let ground = Ground { now: generation.data_as_of(), generation: Arc::new(generation), ..Ground::new() };
    let (status, page) = ground.get("/person/899700000001");
    assert_eq!(status, StatusCode::GONE);
    let since = words::day(Lang::Fr, ground.generation.data_as_of());
    assert!(page.contains(&format!("depuis le {since}")), "{since}\n{page}");
    let (status, page) = ground.get("/?q=a.lepinaie-test%40autre.test");
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains(&format!("depuis le {since}")), "{page}");
    // What the registry answers for has left nothing but the extract: nobody is told.
    let (_, page) = ground.get("/?q=anne.lepinaie-test%40ch-exemple.test");
    assert!(!page.contains("depuis le"), "{page}");
}

/// WEB4: who looks for a closed mailbox of ours by its address reads who takes over; not if that one is on the red list.
#[test]
fn a_closed_mailbox_leads_to_its_successor() {
    let closed = |successor: &str| {
        let entry = format!(
            "\n[[mailbox]]\naddress = \"zwickyz-test@ch-exemple.test\"\ntype = \"PER\"\nowner = \"899700000002\"\n\
             closed = \"2026-11-20\"\nsuccessor = \"{successor}\"\n"
        );
        let registry = Registry::parse(&format!("{REGISTRY}{entry}")).unwrap();
        let ground = Ground { registry: Registry::union([&registry]), ..Ground::new() };
        ground.get("/?q=zwickyz-test%40ch-exemple.test").1
    };
    let page = closed("cardiologie@ch-exemple.test");
    assert!(page.contains("écrivez à cardiologie@ch-exemple.test") && page.contains("20 novembre 2026"), "{page}");
    let page = closed("rouge-test@ch-exemple.test");
    assert!(!page.contains("rouge-test@"), "{page}");
}

/// WEB5: a red-listed mailbox is on no page, in no card, and its address finds nobody.
#[test]
fn red_listed_mailboxes_are_nowhere() {
    let ground = Ground::new();
    for uri in ["/?q=zwickyz", "/person/899700000003", "/person/899700000003.vcf", "/structure/1990000001"] {
        let (status, page) = ground.get(uri);
        assert_eq!(status, StatusCode::OK, "{uri}");
        assert!(!page.contains("rouge-test@"), "{uri}");
    }
    let (_, page) = ground.get("/?mail=rouge-test@ch-exemple.test");
    assert!(people(&page).is_empty());
}

/// WEB6: whatever people or data hold is text, in every place where it stands.
#[test]
fn hostile_text_stays_text() {
    let ground = Ground::new();
    let attack = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    let all: String = Criterion::ALL.iter().map(|it| format!("&{}={attack}", it.name())).collect();
    for uri in [
        format!("/?q={attack}"),
        format!("/results?q={attack}"),
        format!("/?q=x{all}&department={attack}&box={attack}&lang={attack}&p={attack}"),
        "/person/899700000004".to_owned(),
        "/?q=alert".to_owned(),
        "/structure/1990000001".to_owned(),
        format!("/person/{attack}"),
        format!("/structure/{attack}.vcf"),
        format!("/{attack}"),
    ] {
        let page = ground.get(&uri).1;
        let own = page.matches("<script").count();
        assert!(own <= 1 && !page.contains("<img src=x") && !page.contains("<SCRIPT>"), "{uri}\n{page}");
        assert!(!page.contains("\"><script"), "{uri}");
    }
    let card = ground.ask("GET", "/person/899700000004.vcf", "fr");
    let named = card.headers().get(header::CONTENT_DISPOSITION).unwrap().to_str().unwrap();
    assert!(named.starts_with("attachment; filename=\"script-alert-test") && !named.contains('<'), "{named}");
}

/// WEB7: bombs of any kind are answered in bounds.
#[test]
fn bombs_are_answered_in_bounds() {
    let ground = Ground::new();
    for query in [
        format!("q={}", "a+".repeat(8000)),
        format!("q={}", "%2a".repeat(8000)),
        format!("q={}", "e".repeat(16_000)),
        format!("q={}&p=999999999", "%F0%9F%92%A3".repeat(500)),
        "q=a&".repeat(5000),
        (0..5000).map(|n| format!("town=a{n}&")).collect(),
        "q=%ff%fe%00%0d%0a".to_owned(),
    ] {
        let (status, page) = ground.get(&format!("/?{query}"));
        assert_eq!(status, StatusCode::OK);
        assert!(page.len() < 200_000, "{}", page.len());
    }
}

#[test]
fn what_is_not_there_is_said_and_what_helps() {
    let ground = Ground::new();
    let (status, page) = ground.get("/?q=zwickyz+nevers");
    assert_eq!((status, people(&page).len()), (StatusCode::OK, 0));
    assert!(page.contains("sans « nevers »") && page.contains("?q=zwickyz\""), "{page}");
    assert!(page.contains("aide@ch-exemple.test"));
    for uri in ["/person/899799999999", "/person/x", "/structure/1999999999", "/nothing/here", "/x", "/assets/x.css"] {
        assert_eq!(ground.get(uri).0, StatusCode::NOT_FOUND, "{uri}");
    }
    let refused = ground.ask("POST", "/?q=a", "en");
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refused.headers().get(header::ALLOW).unwrap(), "GET, HEAD");
}

#[test]
fn near_misses_are_labelled() {
    let ground = Ground::new();
    let page = ground.get("/?q=zwickiz").1;
    assert_eq!(people(&page).len(), 2, "{page}");
    assert!(page.contains("orthographe approchante") && page.contains(Lang::Fr.words().near_fuzzy));
}

#[test]
fn both_languages_and_a_switch() {
    let ground = Ground::new();
    let page = |uri: &str, language: &str| String::from_utf8(ground.ask("GET", uri, language).into_body()).unwrap();
    let english = page("/?q=epinaie", "en-GB");
    assert!(english.contains("<html lang=\"en\">") && english.contains("Who are you looking for?"));
    assert!(english.contains("href=\"/annuaire/?q=epinaie&#38;lang=fr\""), "{english}");
    assert!(english.contains("lang=\"fr\">Médecin"), "what is French is marked as French");
    let kept = page("/?q=epinaie&lang=en", "fr");
    assert!(kept.contains("/annuaire/person/899700000001?lang=en") && kept.contains("name=\"lang\" value=\"en\""));
}

#[test]
fn old_data_say_so() {
    let mut ground = Ground::new();
    assert!(ground.get("/").1.contains("id=\"stale\" role=\"note\" hidden"));
    ground.now = ground.now.plus(std::time::Duration::from_secs(40 * 3600));
    let page = ground.get("/").1;
    assert!(page.contains("Ces données ont plus de 36 heures") && !page.contains("role=\"note\" hidden"), "{page}");
    // What is put in place while typing says so, too: date, warning and language are those of these results.
    let part = ground.get("/results?q=epinaie").1;
    for expected in [
        "data-stale=\"Ces données ont plus de 36 heures",
        "data-dated=\"Données nationales du 2 novembre 2026",
        &format!("data-generation=\"{}\"", ground.generation.id()),
        "data-other=\"/annuaire/?q=epinaie&#38;lang=en\"",
    ] {
        assert!(part.contains(expected), "{expected}\n{part}");
    }
}

/// WEB11: one file that no longer comes is noticed although the others do, and named.
#[test]
fn a_mailbox_file_that_no_longer_comes_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let extracts = folder.path().join("extracts");
    generate(&extracts, &GenerateOptions { cast: cast(), ..GenerateOptions::new(3, 300) }).unwrap();
    let ground = |days: u64, kind: FileKind| {
        FileKind::ALL.iter().for_each(|kind| age(&extracts, *kind, 0));
        age(&extracts, kind, days);
        let generation = Arc::new(build(&extracts).unwrap().1.unwrap());
        Ground { now: generation.data_as_of(), generation, ..Ground::new() }
    };
    let ten_days = ground(10, FileKind::Mailboxes);
    assert!(ten_days.generation.is_stale(ten_days.now));
    let page = ten_days.get("/").1;
    assert!(page.contains("Données nationales du 2 novembre 2026 (boîtes aux lettres du 23 octobre 2026)"), "{page}");
    assert!(page.contains("Une partie de ces données a plus de 36 heures (boîtes aux lettres : 23 octobre 2026)"));
    let card = ten_days.get("/person/899700000001.vcf").1.replace("\r\n ", "");
    assert!(card.contains("données du 23 octobre 2026"), "{card}");
    // The same rows in a newer file: the warning goes.
    let fresh = ground(0, FileKind::Mailboxes);
    assert!(!fresh.generation.is_stale(fresh.now));
    assert!(fresh.get("/").1.contains("<strong id=\"dated\">Données nationales du 2 novembre 2026</strong>"));
    // Diplomas lead nobody astray.
    let diplomas = ground(10, FileKind::Diplomas);
    assert!(!diplomas.generation.is_stale(diplomas.now));
}

/// L1, L2 of the review: no link leads elsewhere, and no address adds a header to a message.
#[test]
fn links_lead_where_they_say() {
    let mut ground = Ground::new();
    for uri in ["/evil.test/", "/x%22y", "/assets/none", "/results/x"] {
        let page = ground.get(uri).1;
        assert!(page.contains("class=\"language\" href=\"/annuaire/?lang=en\""), "{uri}\n{page}");
    }
    ground.registry = Registry::parse(
        "[[mailbox]]\naddress = \"x?bcc=a%40b.c&'@ch-exemple.test\"\ntype = \"PER\"\nowner = \"899700000002\"\n",
    )
    .unwrap();
    let page = ground.get("/person/899700000002").1;
    assert!(page.contains("href=\"mailto:x%3Fbcc%3Da%2540b.c%26%27@ch-exemple.test\""), "{page}");
}

/// WEB12: the statement claims no more than an audit that holds has shown.
#[test]
fn without_an_audit_the_pages_do_not_conform() {
    let ground = Ground::new();
    let page = ground.get("/accessibility").1;
    assert!(page.contains("<strong>non conforme</strong>") && !page.contains("partiellement conforme"), "{page}");
    assert!(page.contains("Accessibilité : non conforme</a>"));
    assert!(ground.get("/?lang=en").1.contains("Accessibility: not conforming</a>"));
    let refused = Web.refuse(
        Refused::Busy,
        &HttpRequest::builder().uri("/").body(()).unwrap().into_parts().0,
        Operator { name: "CH", help: "aide@x.test", audit: None },
        "",
    );
    assert!(!String::from_utf8(refused.into_body()).unwrap().contains("partiellement"));
}

#[test]
fn a_question_that_is_too_wide_is_not_said_to_fit_nobody() {
    assert_eq!(counted(Lang::Fr, Total::AtLeast(20), Total::Exactly(0)), "au moins 20 professionnels");
    let words = Lang::Fr.words();
    assert!(!words.too_wide.is_empty() && !words.wait.is_empty());
}

#[test]
fn structures_show_who_is_there() {
    let ground = Ground::new();
    let (status, page) = ground.get("/structure/1990000001");
    assert_eq!((status, people(&page).len()), (StatusCode::OK, 4));
    assert!(page.contains("cardiologie@ch-exemple.test") && page.contains("FINESS 990000001"), "{page}");
    assert!(page.contains("CH &#60;EXEMPLE&#62;"));
}

#[test]
fn files_are_kept_for_good_under_their_digest() {
    let ground = Ground::new();
    let page = ground.get("/").1;
    for asset in [&ASSETS.style, &ASSETS.script, &ASSETS.mark] {
        assert!(page.contains(&format!("/annuaire/assets/{}", asset.name)));
        let response = ground.ask("GET", &format!("/assets/{}", asset.name), "fr");
        assert!(response.headers().get(header::CACHE_CONTROL).unwrap().to_str().unwrap().contains("immutable"));
    }
    // What the policy forbids is not there: no inline script, style or handler, nothing from elsewhere.
    for uri in ["/", "/?q=epinaie", "/person/899700000001", "/structure/1990000001", "/accessibility"] {
        let page = ground.get(uri).1;
        for forbidden in [" style=", "<style", " onclick", " onload", "javascript:", "src=\"http", "<script>"] {
            assert!(!page.contains(forbidden), "{uri}: {forbidden}");
        }
    }
}

#[test]
fn refusals_speak_both_languages() {
    let request = HttpRequest::builder().uri("/").header("Accept-Language", "en").body(()).unwrap();
    let (parts, ()) = request.into_parts();
    for refused in Refused::ALL {
        let response =
            Web.refuse(refused, &parts, Operator { name: "CH", help: "aide@x.test", audit: None }, "/annuaire");
        let page = String::from_utf8(response.into_body()).unwrap();
        let text = refused.text();
        // Where the face is mounted its style is found, and the way back to the first page.
        assert!(page.contains(&format!("\"/annuaire/assets/{}\"", ASSETS.style.name)), "{page}");
        assert!(page.contains("class=\"brand\" href=\"/annuaire/\""), "{page}");
        assert!(page.contains(&text.en) && page.contains(&format!("lang=\"fr\">{}", text.fr)), "{page}");
    }
}

/// HT3: what is reserved before a question is what a page can show at most; whom it showed is named for the count.
#[test]
fn no_page_shows_more_than_its_address_told() {
    let ground = Ground::new();
    for uri in ["/", "/?q=a", "/results?q=e", "/?q=epinaie", "/person/899700000001", "/person/899700000001.vcf", "/x"]
        .into_iter()
        .chain(["/structure/1990000001", "/structure/1990000001?p=2", "/accessibility", "/person/x"])
    {
        let (parts, ()) = HttpRequest::builder().uri(uri).body(()).unwrap().into_parts();
        let response = ground.ask("GET", uri, "fr");
        let (asked, named) = (response.extensions().get::<Asked>().unwrap(), response.extensions().get::<Named>());
        assert!(asked.answers <= Web.most(&parts), "{uri}: {asked:?}");
        assert_eq!(named.unwrap().0.len(), asked.answers, "{uri}");
    }
    assert!(ground.ask("GET", "/results?q=e", "fr").extensions().get::<Asked>().unwrap().answers >= PAGE);
}
