//! A small nation with a known cast, and the face in front of it.

use std::sync::Arc;

use annuaire::{
    Cast, CastCard, CastMailbox, CastPerson, CastStructure, Date, FileKind, GenerateOptions, Generation, MailboxType,
    Registry, build,
    face::{Context, Operator},
    fhir::{Editions, Fhir, Settings, View},
};
use http::{Method, Request, Response};
use ident::{Address, CardNumber, PersonId, StructureId, Timestamp};
use serde_json::Value;

use crate::common::Ground;

pub const BASE: &str = "https://annuaire.ch-exemple.test/fhir";

pub fn person(id: &str) -> PersonId {
    PersonId::parse(id).unwrap()
}

fn place(id: &str) -> StructureId {
    StructureId::parse(id).unwrap()
}

pub fn cast() -> Cast {
    let doctor = |id: &str, family: &str, given: &str, speciality: (&str, &str), structures: &[&str]| CastPerson {
        id: person(id),
        family: family.into(),
        given: given.into(),
        civility: "MME".into(),
        profession_code: "10".into(),
        profession: "Médecin".into(),
        speciality: Some((speciality.0.into(), speciality.1.into())),
        structures: structures.iter().map(|id| place(id)).collect(),
    };
    let cardio = ("SM04", "Cardiologie et maladies vasculaires");
    let mailbox = |text: &str, kind, who: Option<&str>, structure: Option<&str>, service: &str| CastMailbox {
        address: Address::parse(text).unwrap(),
        kind,
        person: who.map(person),
        structure: structure.map(place),
        service: service.into(),
    };
    let card = |number: &str, who: &str, to: &str, opposed: Option<&str>| CastCard {
        number: CardNumber::parse(number).unwrap(),
        person: person(who),
        valid_from: Date::parse("2024-01-01").unwrap(),
        valid_to: Date::parse(to).unwrap(),
        opposed_on: opposed.map(|day| Date::parse(day).unwrap()),
    };
    let structure = |id: &str, name: &str, postcode: &str, town: &str| CastStructure {
        id: place(id),
        entity_finess: Some("990000009".into()),
        name: name.into(),
        street: "1 rue de l'Hôpital".into(),
        postcode: postcode.into(),
        town: town.into(),
    };
    use MailboxType::{Organisation, Personal};
    Cast {
        structures: vec![
            structure("1990000001", "CH EXEMPLE-TEST", "99100", "Saint-Exemple-sur-Seine"),
            structure("399999999999999", "SSR TEST", "99200", "Autre-Exemple"),
            structure("1990000009", "GROUPE EXEMPLE-TEST", "99100", "Saint-Exemple-sur-Seine"),
        ],
        people: vec![
            doctor("899700000001", "L’ÉPINAIE-TEST", "Anne-Sophie", cardio, &["1990000001", "399999999999999"]),
            doctor("899700000002", "DE LA TOURELLE-TEST", "Bénédicte", cardio, &["1990000001"]),
            doctor(
                "899700000003",
                "O'DUPRÉ/VAL-TEST",
                "Zoé",
                ("SM26", "Qualifié en médecine générale"),
                &["1990000009"],
            ),
        ],
        mailboxes: vec![
            mailbox(
                "Anne-Sophie.Lepinaie-TEST@ch-exemple.test",
                Personal,
                Some("899700000001"),
                Some("1990000001"),
                "",
            ),
            mailbox("lepinaie-test@medecin.pro.test", Personal, Some("899700000001"), None, ""),
            mailbox("tourelle-test@medecin.pro.test", Personal, Some("899700000002"), None, ""),
            mailbox("cardiologie@ch-exemple.test", Organisation, None, Some("1990000001"), "Cardiologie"),
            mailbox("agent@ch-exemple.test", Personal, Some("3990000001/0001"), Some("1990000001"), ""),
        ],
        cards: vec![
            card("8000000001", "899700000001", "2029-01-31", None),
            card("8000000002", "899700000002", "2025-01-31", Some("2024-06-01")),
        ],
    }
}

/// Addresses of the operator's own: shown or hidden, in the extract or not.
pub const OURS: &[&str] = &[
    "zoe.val-test@ch-exemple.test",
    "urgences@ch-exemple.test",
    "automate@ch-exemple.test",
    "cabinet-val@medecin.pro.test",
    "rouge-zwickyz@ch-exemple.test",
    "direction-rouge@ch-exemple.test",
    "lepinaie-test@medecin.pro.test",
    "tourelle-test@medecin.pro.test",
];

/// What the operator says of them: opened today, for all of a house, for a program, shared, and on the red list.
const REGISTRY: &str = r#"
mailbox = [
  { address = "zoe.val-test@ch-exemple.test", type = "PER", owner = "899700000003" },
  { address = "urgences@ch-exemple.test", type = "ORG", structure = "1990000001", name = "Urgences adultes" },
  { address = "automate@ch-exemple.test", type = "APP", structure = "1990000001", rank = 2 },
  { address = "cabinet-val@medecin.pro.test", type = "CAB", structure = "1990000009", name = "Cabinet Val" },
  { address = "rouge-zwickyz@ch-exemple.test", type = "PER", owner = "899700000003", red_list = true },
  { address = "direction-rouge@ch-exemple.test", type = "ORG", structure = "1990000001", red_list = true },
  { address = "lepinaie-test@medecin.pro.test", type = "PER", owner = "899700000001", red_list = true },
  { address = "tourelle-test@medecin.pro.test", type = "PER", owner = "899700000002", rank = 1 },
]
"#;

/// A nation of so many people, the cast among them.
pub fn ground(people: u32) -> Ground {
    Ground::with(&GenerateOptions { cast: cast(), ..GenerateOptions::new(3, people) })
}

pub fn built(ground: &Ground) -> Arc<Generation> {
    Arc::new(build(&ground.extracts()).unwrap().1.unwrap())
}

/// Two days: on the second one doctor is gone, one has another name, a mailbox is new, and a service changed its name.
pub fn two_days() -> [Arc<Generation>; 2] {
    let ground = ground(40);
    let first = built(&ground);
    ground.edit_rows(FileKind::Activities, |_, row| {
        if row.contains("899700000003") || row.contains("|99700000003|") {
            return None;
        }
        Some(row.replace("DE LA TOURELLE-TEST", "DE LA TOUR-TEST"))
    });
    for kind in [FileKind::Skills, FileKind::Diplomas, FileKind::Cards] {
        ground.edit_rows(kind, |_, row| (!row.contains("99700000003")).then(|| row.to_owned()));
    }
    ground.edit(FileKind::Mailboxes, |text| text.replace("|Cardiologie|", "|Cardiologie interventionnelle|"));
    later(&ground);
    [built(&ground), first]
}

/// Makes the extracts a day younger.
pub fn later(ground: &Ground) {
    for file in std::fs::read_dir(ground.extracts()).unwrap() {
        let path = file.unwrap().path();
        let day = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
        std::fs::File::options().append(true).open(&path).unwrap().set_modified(day).unwrap();
    }
}

/// A generation in service, those before it, a registry, and the face in front of them.
pub struct World {
    pub current: Arc<Generation>,
    pub registry: Option<Registry>,
    pub secret: [u8; 32],
    pub face: Fhir,
}

impl World {
    pub fn of(people: u32) -> Self {
        Self::with(built(&ground(people)), Vec::new())
    }

    /// The same, with the operator's own mailboxes laid over it.
    pub fn ours(people: u32) -> Self {
        Self { registry: Some(Registry::parse(REGISTRY).unwrap()), ..Self::of(people) }
    }

    pub fn with(current: Arc<Generation>, earlier: Vec<Arc<Generation>>) -> Self {
        let face = Fhir::new(Settings::default());
        let mut world = Self { current: current.clone(), registry: None, secret: [7; 32], face };
        world.swap(current, earlier);
        world
    }

    /// The same, where a request may cost so much.
    pub fn tight(mut self, work: u64) -> Self {
        self.face = Fhir::new(Settings { work, ..Settings::default() });
        let current = self.current.clone();
        self.swap(current, Vec::new());
        self
    }

    /// Puts another generation in service.
    pub fn swap(&mut self, current: Arc<Generation>, earlier: Vec<Arc<Generation>>) {
        let mut editions = Editions::default();
        for generation in earlier.iter().rev().chain([&current]) {
            editions.begin(generation, self.registry.as_ref(), generation.data_as_of());
        }
        self.face.keep(Arc::new(View::new(current.clone(), earlier, &editions, None)));
        self.current = current;
    }

    pub fn ask(&self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        self.context(|context| self.face.answer(request, context))
    }

    /// Something done in the world of a request.
    pub fn context<T>(&self, what: impl FnOnce(&Context<'_>) -> T) -> T {
        let context = Context {
            generation: &self.current,
            registry: self.registry.as_ref(),
            now: Timestamp::from_seconds(1_800_000_000),
            secret: &self.secret,
            origin: "https://annuaire.ch-exemple.test",
            mount: "/fhir",
            operator: Operator { name: "CH EXEMPLE", help: "annuaire@ch-exemple.test", audit: None },
            publication: None,
        };
        what(&context)
    }

    /// GET below the mount point, or of a whole link.
    pub fn response(&self, path: &str) -> Response<Vec<u8>> {
        self.ask(&get(path))
    }

    /// Status and body.
    pub fn get(&self, path: &str) -> (u16, Value) {
        read(&self.response(path))
    }

    /// The body of a GET that must succeed.
    pub fn ok(&self, path: &str) -> Value {
        let (status, value) = self.get(path);
        assert_eq!(status, 200, "{path}: {value:#}");
        value
    }

    /// Ids of the matches.
    pub fn ids(&self, path: &str) -> Vec<String> {
        matches(&self.ok(path)).iter().map(|resource| resource["id"].as_str().unwrap().to_owned()).collect()
    }
}

pub fn get(path: &str) -> Request<Vec<u8>> {
    let path = path.strip_prefix(BASE).unwrap_or(path);
    Request::builder().method(Method::GET).uri(path).body(Vec::new()).unwrap()
}

pub fn post(path: &str, body: &str) -> Request<Vec<u8>> {
    let media = "application/x-www-form-urlencoded";
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("content-type", media)
        .body(body.as_bytes().to_vec())
        .unwrap()
}

pub fn read(response: &Response<Vec<u8>>) -> (u16, Value) {
    let value = match response.body().as_slice() {
        [] => Value::Null,
        octets => serde_json::from_slice(octets).unwrap(),
    };
    (response.status().as_u16(), value)
}

/// The resources of a bundle that were searched for.
pub fn matches(bundle: &Value) -> Vec<Value> {
    of_mode(bundle, "match")
}

pub fn of_mode(bundle: &Value, mode: &str) -> Vec<Value> {
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries.iter().filter(|entry| entry["search"]["mode"] == mode).map(|entry| entry["resource"].clone()).collect()
}
