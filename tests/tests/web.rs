//! The clinicians' page in a real browser, served by the real gateway: found while typing, by keyboard, without script,
//! on a desk and on a telephone, light and dark.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use sceau::demo::cast::Place;
use serde_json::json;
use tests::axe::axe;
use tests::browser::{Browser, keys};
use tests::gateway::{Gateway, sceau_json};
use tests::https::Site;
use tests::place::free_endpoint;
use tests::world::World;

/// The checks that need nobody's library.
const CHECKS: &str = include_str!("../src/browser/checks.js");

struct Ground {
    world: World,
    _gateway: Gateway,
    site: Site,
    root: String,
}

impl Ground {
    fn new() -> Self {
        let (world, at) = (World::new(), free_endpoint());
        let section =
            format!("[http]\nlisten = \"{at}\"\norigin = \"https://{at}\"\npaths = {{ web = \"/annuaire\" }}");
        world.append(Place::A, "sceau.toml", &section);
        let gateway = world.serve(Place::A);
        let site = Site::of(&world, at);
        Self { world, _gateway: gateway, site, root: format!("https://{at}/annuaire") }
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    fn id(&self, key: &str) -> String {
        self.world.space.holder(key).unwrap().person.id.to_string()
    }
}

/// The text of what has the focus.
fn focused(browser: &Browser) -> String {
    let text = browser
        .run("const it = document.activeElement; return it.id || it.getAttribute('aria-label') || it.innerText;");
    text.as_str().unwrap_or_default().trim().to_owned()
}

/// The people on the page, by the addresses of their own pages.
fn people(browser: &Browser) -> Vec<String> {
    let script =
        "return [...document.querySelectorAll('.person:not(.structure) h3 a')].map(a => a.pathname.split('/').pop());";
    browser.run(script).as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// WEB8: results come while typing, are counted aloud, shared by their address, copied by one touch; all by keyboard.
#[test]
fn a_colleague_is_found_while_typing_and_by_keyboard() {
    let ground = Ground::new();
    let browser = Browser::start();
    browser.resize(1280, 900);
    browser.devtools(
        "Browser.grantPermissions",
        &json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}),
    );
    browser.go(&ground.address("/"));
    assert_eq!(focused(&browser), "q", "the cursor is where one types");
    browser.type_in("mart");
    browser.wait("document.querySelector('.person') && location.search === '?q=mart'");
    browser.type_in("in-test anne");
    browser.wait("location.search === '?q=martin-test+anne'");
    assert_eq!(people(&browser), [ground.id("martin")]);
    browser.wait("document.getElementById('status').textContent === '1 professionnel'");
    assert!(browser.run("return document.title").as_str().unwrap().starts_with("martin-test anne"));
    let other = browser.run("return document.querySelector('.language').getAttribute('href')");
    assert_eq!(other, "/annuaire/?q=martin-test+anne&lang=en", "the other language shows the same people");

    // By keyboard alone: the first result, its links in order, and the copy.
    browser.type_in(keys::DOWN);
    assert!(focused(&browser).ends_with("MARTIN-TEST"), "{}", focused(&browser));
    let copy = format!("Copier {}", ground.world.address("martin"));
    let mut walked = Vec::new();
    while focused(&browser) != copy {
        walked.push(focused(&browser));
        assert!(walked.len() < 10, "{walked:?}");
        browser.type_in(keys::TAB);
    }
    let ring = browser.run("return getComputedStyle(document.activeElement).outlineStyle;");
    assert_eq!(ring, "solid", "the focus is seen");
    browser.type_in(keys::SPACE);
    browser.wait("document.getElementById('status').textContent.startsWith('Adresse copiée')");
    let copied = browser.run_until_done("navigator.clipboard.readText().then(done, (error) => done(String(error)));");
    assert_eq!(copied, ground.world.address("martin").as_str());

    // The address is a search of its own, for whoever gets it; Enter opens the person's page.
    let shared = browser.address();
    browser.go(&shared);
    assert_eq!(people(&browser), [ground.id("martin")]);
    browser.run("document.querySelector('.person h3 a').focus()");
    browser.type_in(keys::ENTER);
    browser.wait("location.pathname.includes('/person/') && document.querySelector('h1')");
    assert!(browser.address().ends_with(&ground.id("martin")));

    // Typing on a person's page leads on, and Back leads back to the person; date and warning are those of the results.
    browser.run(
        "document.getElementById('dated').textContent = 'Monday'; document.getElementById('stale').hidden = false;
         document.getElementById('q').focus();",
    );
    browser.type_in("durand-test");
    browser.wait("location.pathname === '/annuaire/' && location.search === '?q=durand-test'");
    let dated = browser.run("return document.getElementById('dated').textContent");
    assert!(dated.as_str().unwrap().starts_with("Données nationales du"), "{dated}");
    assert_eq!(browser.run("return document.getElementById('stale').hidden"), true);
    browser.run("history.back(); return 0;");
    browser.wait("location.pathname.includes('/person/') && document.querySelector('article.record h1')");

    // A slow answer does not overtake a newer one: only the last question is shown.
    browser.go(&ground.address("/"));
    for text in ["m", "o", "r", "e", "a", "u", "-", "t"] {
        browser.type_in(text);
    }
    browser.wait("location.search === '?q=moreau-t'");
    let (code, told) = sceau_json(&[
        "annuaire",
        "search",
        "moreau-t",
        "--config",
        ground.world.configuration(Place::A).to_str().unwrap(),
    ]);
    let expected: Vec<&str> = told["people"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!((code, people(&browser)), (Some(0), expected.iter().map(ToString::to_string).collect()));
    assert!(!expected.is_empty());
}

/// WEB9: without script everything is there but the shortcuts; the same people, a form, pages to share.
#[test]
fn the_page_is_whole_without_script() {
    let ground = Ground::new();
    let browser = Browser::start();
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
    browser.go(&ground.address("/"));
    browser.type_in("martin-test anne");
    browser.type_in(keys::ENTER);
    browser.wait("location.search.startsWith('?q=martin-test+anne') && document.querySelector('.person')");
    assert_eq!(people(&browser), [ground.id("martin")]);
    let text = browser.run("return document.querySelector('.person').innerText").as_str().unwrap().to_owned();
    assert!(text.contains(&ground.world.address("martin")) && text.contains("VALFLEURI"), "{text}");
    let buttons = "return [...document.querySelectorAll('.copy')].filter(it => it.checkVisibility()).length";
    assert_eq!(browser.run(buttons), 0, "no button that would do nothing");

    // The criteria unfold, are filled in and sent with what is there.
    browser.go(&ground.address("/"));
    browser.run("document.querySelector('.criteria summary').focus()");
    browser.type_in(keys::SPACE);
    browser.wait("document.querySelector('.criteria').open");
    browser.run("document.getElementById('c-family').focus()");
    browser.type_in("martin-test");
    browser.run("document.getElementById('c-given').focus()");
    browser.type_in("anne");
    browser.type_in(keys::ENTER);
    browser.wait("document.querySelector('.person') && location.search.includes('family=martin-test')");
    assert_eq!(people(&browser), [ground.id("martin")]);

    // What a program gets is what the browser shows, without a browser.
    let page = ground.site.get("/annuaire/?family=martin-test&given=anne", &["Accept-Language: en"]);
    assert!(page.text().contains(&ground.world.address("martin")) && page.text().contains("<html lang=\"en\""));
    let card = ground.site.get(&format!("/annuaire/person/{}.vcf", ground.id("martin")), &[]);
    assert_eq!(card.header("content-type"), "text/vcard; charset=utf-8");
    assert!(card.text().contains(&format!("EMAIL;TYPE=INTERNET,PREF:{}\r\n", ground.world.address("martin"))));
    // The nurse's mailbox is on the red list of the registry: it is nowhere.
    let nurse = ground.site.get(&format!("/annuaire/person/{}", ground.id("robert")), &[]);
    assert!(nurse.status == 200 && !nurse.text().contains(&ground.world.address("robert")), "{}", nurse.text());
}

/// WEB10: every kind of page, wide, narrow and enlarged, light, dark and in the system's own colours, without a finding.
#[test]
fn every_page_is_accessible() {
    let ground = Ground::new();
    let browser = Browser::start();
    // The checks can fail: a page with every fault has them all named.
    browser.go(
        "data:text/html,<title></title><h1></h1><h4>a</h4><img src=''><input><a href='x'></a><p style='color:%23ccc'>b",
    );
    let found = browser.run(CHECKS).to_string();
    for fault in
        ["no language", "no title", "empty heading", "skipped", "without alt", "without label", "contrast", "× main"]
    {
        assert!(found.contains(fault), "{fault}: {found}");
    }
    let axe = axe(&browser);
    if axe.is_none() {
        println!("this Chromium was built without Lighthouse, which has axe-core: the checks of our own ran alone");
    }
    let pictures = std::env::var_os("SCEAU_TESTS_PICTURES").map(std::path::PathBuf::from);
    let pages = [
        ("home", "/".to_owned()),
        ("english", "/?q=martin&lang=en".to_owned()),
        ("near", "/?q=martim-test".to_owned()),
        ("missing", "/person/899799999999".to_owned()),
        ("statement", "/accessibility".to_owned()),
        ("results", "/?q=test".to_owned()),
        ("criteria", "/?town=par&box=any&lang=en".to_owned()),
        ("nothing", "/?q=martin-test+anne+qqqqqq".to_owned()),
        ("person", format!("/person/{}", ground.id("martin"))),
        ("structure", "/structure/1990000011".to_owned()),
    ];
    // Every kind of page as it comes; of the other forms the pages that hold most, or all of them in the long run.
    let (some, all) = (tests::tier::repetitions(5, 10), pages.len());
    let mut faults = Vec::new();
    let mut checked = 0;
    // 640 is what 1280 becomes at 200 %.
    let forms = [(1280, "light", "none", all), (640, "dark", "none", some), (320, "light", "active", some)];
    for (width, scheme, forced, count) in forms {
        browser.resize(width, 900);
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "forced-colors", "value": forced},
        ]);
        browser.devtools("Emulation.setEmulatedMedia", &json!({"features": features}));
        for (name, path) in pages.iter().rev().take(count) {
            browser.go(&ground.address(path));
            let found = browser.run(CHECKS);
            for fault in found.as_array().unwrap() {
                faults.push(format!("{name} at {width}, {scheme}: {fault}"));
            }
            // Whatever axe sees at a width it sees in the system's colours, too.
            if let Some(axe) = axe.as_ref().filter(|_| forced == "none") {
                browser.run(&format!("{axe}; return 0;"));
                let found = browser.run_until_done(
                    "axe.run(document, {resultTypes: ['violations']}).then(found => done(found.violations.map(it => \
                     it.id + ': ' + it.nodes.map(node => node.html.slice(0, 160)).join(' | '))), error => done([String(error)]));",
                );
                for fault in found.as_array().unwrap() {
                    faults.push(format!("axe: {name} at {width}, {scheme}: {fault}"));
                }
            }
            if let Some(folder) = &pictures {
                std::fs::write(folder.join(format!("{name}-{width}.png")), browser.picture()).unwrap();
            }
            checked += 1;
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(checked, all + 2 * some);
    if axe.is_some() {
        println!("axe-core ran over {checked} pages");
    }
}
