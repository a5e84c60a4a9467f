//! One hospital publishes its registry into the directory of another by FHIR PATCH, over mutual TLS, and everybody there
//! sees it: in FHIR and on the page, after a power cut, until it is hidden or taken away.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant};

use ident::{Clock, SystemClock};
use pki::issue::{KeyAlgorithm, OrganisationUse, Profile};
use sceau::demo::cast::Place;
use serde_json::Value;
use tests::door::Door;
use tests::gateway::{Gateway, binary, sceau_json};
use tests::https::Site;
use tests::place::free_endpoint;
use tests::process::{PATIENCE, Running};
use tests::world::World;

struct Ground {
    world: World,
    gateway: Gateway,
    site: Site,
    base: String,
    ip: String,
}

impl Ground {
    /// Hospital A's directory, which hospital B may publish into, and B's certificate as a client.
    fn new() -> Self {
        let (world, at) = (World::new(), free_endpoint());
        let structure = Place::B.structure().unwrap();
        let domain = Place::B.domain().unwrap();
        let section = format!(
            "[http]\nlisten = \"{at}\"\nclients = \"optional\"\npaths = {{ web = \"/annuaire\" }}\n[[http.publisher]]\n\
             structure = \"{}\"\ndomains = [\"{domain}\"]",
            structure.id
        );
        world.append(Place::A, "sceau.toml", &section);
        let profile = Profile::Organisation {
            structure,
            label: "ANNUAIRE-TEST".to_owned(),
            usage: OrganisationUse::AuthClient,
            emails: vec![],
        };
        let issued = world.authorities.organisations.issue(profile, KeyAlgorithm::P256, SystemClock.now()).unwrap();
        std::fs::write(world.folder().join("b-client.pem"), issued.presented_pem()).unwrap();
        std::fs::write(world.folder().join("b-client.key"), issued.key_pem().unwrap()).unwrap();
        let gateway = world.serve(Place::A);
        let site = Site::of(&world, at);
        let base = format!("https://{}:{}/fhir", Place::A.host(), at.port());
        Self { world, gateway, site, base, ip: at.ip().to_string() }
    }

    /// Hospital B says what is in its registry.
    fn publish(&self, more: &[&str]) -> (Option<i32>, Value) {
        let (certificate, key) = (self.world.folder().join("b-client.pem"), self.world.folder().join("b-client.key"));
        self.publish_as(&certificate, &key, more)
    }

    fn publish_as(&self, certificate: &Path, key: &Path, more: &[&str]) -> (Option<i32>, Value) {
        let order = self.order(certificate, key);
        let mut arguments: Vec<&str> = order.iter().map(String::as_str).collect();
        arguments.extend(more);
        sceau_json(&arguments)
    }

    fn order(&self, certificate: &Path, key: &Path) -> Vec<String> {
        let configuration = self.world.configuration(Place::B);
        let [configuration, certificate, key] = [&configuration, certificate, key].map(|path| path.to_str().unwrap());
        let place = ["annuaire", "publish", "--config", configuration, "--to", &self.base, "--address", &self.ip];
        place.into_iter().chain(["--as", certificate, "--key", key]).map(str::to_owned).collect()
    }

    /// Hospital B, about to say it.
    fn publishing(&self) -> Running {
        let (certificate, key) = (self.world.folder().join("b-client.pem"), self.world.folder().join("b-client.key"));
        Running::start("publisher", binary(), |command| {
            command.args(self.order(&certificate, &key)).arg("--json");
        })
    }

    /// Who has a mailbox that begins so, by FHIR; and whether the page shows it.
    fn seen(&self, address: &str) -> (Vec<String>, bool) {
        let typed = address.replace('@', "%40");
        let bundle: Value =
            serde_json::from_slice(&self.site.get(&format!("/fhir/Practitioner?mailbox-mss={typed}"), &[]).body)
                .unwrap();
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        let matches = entries.iter().filter(|it| it["search"]["mode"] == "match");
        let people = matches.map(|it| it["resource"]["identifier"][0]["value"].as_str().unwrap().to_owned()).collect();
        let moreau = self.world.space.holder("moreau").unwrap().person.id.to_string();
        let page = self.site.get(&format!("/annuaire/person/{moreau}"), &[]).text();
        (people, page.contains(&format!("mailto:{address}")))
    }
}

#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn done<'t>(told: &'t Value, address: &str) -> Vec<&'t str> {
    let sent = told["sent"].as_array().unwrap().iter().filter(|it| it["address"] == address);
    sent.map(|it| it["done"].as_str().unwrap()).collect()
}

/// PUB-2, PUB-3: published, there after a power cut, hidden, shown again, closed; and nothing is said twice.
#[test]
fn a_registry_is_published_into_another_directory() {
    let mut ground = Ground::new();
    let new = Place::B.address("nouvelle.boite-test").unwrap().to_string();
    let moreau = ground.world.space.holder("moreau").unwrap().person.id.to_string();
    let entry =
        |more: &str| format!("\n[[mailbox]]\naddress = \"{new}\"\ntype = \"PER\"\nowner = \"{moreau}\"\n{more}\n");
    ground.world.append(Place::B, "registry.toml", &entry(""));
    assert_eq!(ground.seen(&new), (vec![], false));

    let (code, told) = ground.publish(&["--dry-run"]);
    assert_eq!((code, done(&told, &new)), (Some(0), vec!["published"]), "{told}");
    assert_eq!(ground.seen(&new), (vec![], false), "nothing was sent");
    let (code, told) = ground.publish(&[]);
    assert_eq!((code, done(&told, &new)), (Some(0), vec!["published"]), "{told}");
    assert_eq!(ground.seen(&new), (vec![moreau.clone()], true));
    let (code, told) = ground.publish(&[]);
    assert_eq!((code, told["sent"].as_array().unwrap().len()), (Some(0), 0), "{told}");
    ground.gateway.wait_for_line(&["directory asked", "kind=\"publish\"", Place::B.structure().unwrap().id.as_str()]);

    // What was answered is there when the power comes back.
    ground.gateway.kill();
    ground.gateway = ground.world.serve(Place::A);
    assert_eq!(ground.seen(&new), (vec![moreau.clone()], true));

    ground.world.edit(Place::B, "registry.toml", &entry(""), &entry("red_list = true"));
    let (code, told) = ground.publish(&[]);
    assert_eq!((code, done(&told, &new)), (Some(0), vec!["hidden"]), "{told}");
    assert_eq!(ground.seen(&new), (vec![], false));
    ground.world.edit(Place::B, "registry.toml", &entry("red_list = true"), &entry(""));
    assert_eq!(done(&ground.publish(&[]).1, &new), ["published"]);
    assert_eq!(ground.seen(&new), (vec![moreau.clone()], true));
    ground.world.edit(Place::B, "registry.toml", &entry(""), "\n");
    let (code, told) = ground.publish(&[]);
    assert_eq!((code, done(&told, &new)), (Some(0), vec!["closed"]), "{told}");
    assert_eq!(ground.seen(&new), (vec![], false));
    assert_eq!(ground.publish(&[]).1["sent"].as_array().unwrap().len(), 0);
}

/// PUB-3: a publisher that is killed when the other side has taken a PATCH, and before it could note that, neither says it
/// twice nor forgets that it is there; nor does one that is killed so while it takes a mailbox away.
#[test]
fn a_kill_behind_the_patch_neither_repeats_nor_loses() {
    let mut ground = Ground::new();
    let door =
        Door::before(ground.base.rsplit_once(':').unwrap().1.trim_end_matches("/fhir").parse().unwrap(), &ground.ip);
    ground.base = format!("https://{}:{}/fhir", Place::A.host(), door.port);
    let new = Place::B.address("coupee.boite-test").unwrap().to_string();
    let moreau = ground.world.space.holder("moreau").unwrap().person.id.to_string();
    let entry = format!("\n[[mailbox]]\naddress = \"{new}\"\ntype = \"PER\"\nowner = \"{moreau}\"\n");
    let (code, told) = ground.publish(&[]);
    assert_eq!(code, Some(0), "{told}");

    ground.world.append(Place::B, "registry.toml", &entry);
    // The question about the new one goes first, its PATCH second: of that one no answer comes.
    door.holds_answers_from(2);
    let mut publisher = ground.publishing();
    wait_until("the other side has taken it", || ground.seen(&new).0 == [moreau.clone()]);
    publisher.kill();
    door.opens();
    let (code, told) = ground.publish(&[]);
    assert_eq!((code, told["sent"].as_array().unwrap().len()), (Some(0), 0), "{told}");
    assert_eq!(ground.seen(&new), (vec![moreau.clone()], true));

    ground.world.edit(Place::B, "registry.toml", &entry, "\n");
    door.holds_answers_from(2);
    let mut publisher = ground.publishing();
    wait_until("the other side has taken it away", || ground.seen(&new).0.is_empty());
    publisher.kill();
    door.opens();
    let (code, told) = ground.publish(&[]);
    assert_eq!((code, told["sent"].as_array().unwrap().len()), (Some(0), 0), "{told}");
    // It is shown again like one that never was there.
    ground.world.append(Place::B, "registry.toml", &entry);
    assert_eq!(done(&ground.publish(&[]).1, &new), ["published"]);
    assert_eq!(ground.seen(&new), (vec![moreau], true));
}

/// PUB-2: whoever is not named, and whoever shows nothing, publishes nothing.
#[test]
fn nobody_else_publishes() {
    let ground = Ground::new();
    let new = Place::B.address("nouvelle.boite-test").unwrap().to_string();
    let moreau = ground.world.space.holder("moreau").unwrap().person.id.to_string();
    let entry = format!("\n[[mailbox]]\naddress = \"{new}\"\ntype = \"PER\"\nowner = \"{moreau}\"\n");
    ground.world.append(Place::B, "registry.toml", &entry);
    for identity in [ground.world.card("moreau"), &ground.world.space.application] {
        let (code, told) = ground.publish_as(&identity.certificate, &identity.key, &[]);
        assert_eq!(code, Some(1), "{told}");
        let failed = told["failed"].as_array().unwrap();
        assert!(!failed.is_empty() && failed.iter().all(|it| it["why"].as_str().unwrap().contains("403")), "{told}");
        assert_eq!(ground.seen(&new), (vec![], false));
    }
    let page = ground.site.ask("PATCH /fhir/Practitioner?identifier=1 HTTP/1.1\r\n", &["Content-Length: 0"], b"");
    assert_eq!(page.status, 403, "{}", page.text());
}

/// A mailbox that changes hands is taken from the one who had it before it is shown on the other; one that is made known
/// nowhere any more is closed.
#[test]
fn a_mailbox_that_changes_hands_is_shown_on_one_only() {
    let ground = Ground::new();
    let new = Place::B.address("partagee.boite-test").unwrap().to_string();
    let id = |who: &str| ground.world.space.holder(who).unwrap().person.id.to_string();
    let (moreau, martin) = (id("moreau"), id("martin"));
    let entry = |rest: &str| format!("\n[[mailbox]]\naddress = \"{new}\"\n{rest}\n");
    let (of_moreau, of_martin) = (
        entry(&format!("type = \"PER\"\nowner = \"{moreau}\"")),
        entry(&format!("type = \"PER\"\nowner = \"{martin}\"")),
    );
    ground.world.append(Place::B, "registry.toml", &of_moreau);
    assert_eq!(done(&ground.publish(&[]).1, &new), ["published"]);
    assert_eq!(ground.seen(&new).0, std::slice::from_ref(&moreau));
    ground.world.edit(Place::B, "registry.toml", &of_moreau, &of_martin);
    let (code, told) = ground.publish(&[]);
    assert_eq!((code, done(&told, &new)), (Some(0), vec!["closed", "published"]), "{told}");
    assert_eq!(ground.seen(&new).0, [martin]);
    let of_practice = entry(&format!("type = \"CAB\"\nname = \"Cabinet partagé\"\nmembers = [\"{moreau}\"]"));
    ground.world.edit(Place::B, "registry.toml", &of_martin, &of_practice);
    let (code, told) = ground.publish(&[]);
    assert_eq!((code, done(&told, &new)), (Some(0), vec!["closed"]), "{told}");
    assert!(ground.seen(&new).0.is_empty());
}

/// REG-4: what is ordered is made known by the running gateway; while the other side is away nothing is lost, and the
/// operator can see what waits.
#[test]
fn a_running_gateway_makes_its_mailboxes_known() {
    let mut ground = Ground::new();
    let new = Place::B.address("suivie.boite-test").unwrap().to_string();
    let moreau = ground.world.space.holder("moreau").unwrap().person.id.to_string();
    let (certificate, key) = (ground.world.folder().join("b-client.pem"), ground.world.folder().join("b-client.key"));
    let section = format!(
        "[annuaire.publish]\nto = {:?}\naddress = {:?}\ncertificate = {certificate:?}\nkey = {key:?}\nretry = \"1s\"\nalarm_after = \"0s\"\n",
        ground.base, ground.ip
    );
    ground.world.append(Place::B, "sceau.toml", &section);
    let mut b = ground.world.serve(Place::B);
    let configuration = ground.world.configuration(Place::B);
    let configuration = configuration.to_str().unwrap().to_owned();
    let order = |words: &[&str]| {
        let mut all = vec!["annuaire", "mailbox"];
        all.extend(words);
        all.extend(["--config", &configuration]);
        let (code, told) = sceau_json(&all);
        assert_eq!(code, Some(0), "{words:?}: {told}");
    };
    let status = || sceau_json(&["annuaire", "publish", "--status", "--config", &configuration]);
    order(&["create", &new, "--type", "PER", "--owner", &moreau]);
    b.wait_for_line(&["mailbox made known", &new, "published"]);
    assert_eq!(ground.seen(&new), (vec![moreau.clone()], true));
    order(&["red-list", &new]);
    b.wait_for_line(&["mailbox made known", &new, "hidden"]);
    assert_eq!(ground.seen(&new), (vec![], false));
    order(&["unlist", &new]);
    b.wait_for_lines(&["mailbox made known", &new, "published"], 2);

    // The other side is away: what is to be said waits, and is seen to wait.
    ground.gateway.kill();
    order(&["close", &new]);
    b.wait_for_line(&["publication-failing"]);
    let (code, told) = status();
    assert_eq!((code, &told["waiting"][0]["wanted"]), (Some(1), &Value::from("close")), "{told}");
    assert!(told["waiting"][0]["attempts"]["why"].is_string(), "{told}");
    ground.gateway = ground.world.serve(Place::A);
    b.wait_for_line(&["mailbox made known", &new, "closed"]);
    b.wait_for_line(&["the alarm is over"]);
    assert_eq!(ground.seen(&new), (vec![], false));

    // What was ordered while nobody was there to say it is said at the next start.
    b.kill();
    order(&["reopen", &new]);
    assert_eq!(status().1["waiting"][0]["wanted"], "publish");
    let b = ground.world.serve(Place::B);
    b.wait_for_line(&["mailbox made known", &new, "published"]);
    assert_eq!(ground.seen(&new), (vec![moreau], true));
    assert_eq!(status().0, Some(0));
}
