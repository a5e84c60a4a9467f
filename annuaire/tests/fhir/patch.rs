//! Operators publish their mailboxes by PATCH: what they may say, of what, and what everybody sees then.

use annuaire::{
    Published, Registry,
    fhir::{Destination, Done, Publication, PublishError, Publisher, Publishing, Step},
};
use http::{Method, Request};
use ident::{Domain, StructureId};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{World, read};

const ANNE: &str = "/Practitioner/003-899700000001";
const BENEDICTE: &str = "/Practitioner/003-899700000002";
const ZOE: &str = "/Practitioner/003-899700000003";
const HOSPITAL: &str = "/Organization/001-1990000001";

/// A directory that a neighbour may publish into.
struct Desk {
    world: World,
    published: Published,
    structure: StructureId,
    domains: Vec<Domain>,
    /// Whether the neighbour shows its certificate.
    known: bool,
    open: bool,
}

impl Desk {
    fn new() -> Self {
        Self {
            world: World::of(40),
            published: Published::default(),
            structure: StructureId::parse("1990000001").unwrap(),
            domains: ["voisin.test", "medecin.pro.test"].map(|domain| Domain::parse(domain).unwrap()).into(),
            known: true,
            open: true,
        }
    }

    fn send(&mut self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, Value) {
        let mut request = Request::builder().method(Method::PATCH).uri(path);
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/fhir+json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).unwrap();
        let publisher = Publisher { structure: &self.structure, domains: &self.domains };
        let publication = Publication { so_far: &self.published, publisher: self.known.then_some(publisher) };
        let mut response = self.world.context(|context| {
            let context = annuaire::face::Context { publication: self.open.then_some(publication), ..*context };
            self.world.face.answer(&request, &context)
        });
        let kept: Option<Publishing> = response.extensions_mut().remove();
        assert_eq!(kept.is_some(), response.status() == 200, "what is refused is not kept");
        kept.into_iter().flat_map(|kept| kept.0).for_each(|mailbox| self.published.take(mailbox));
        self.world.registry = Some(self.published.registry());
        read(&response)
    }

    fn patch(&mut self, path: &str, operations: &[Value]) -> (u16, Value) {
        let parameters: Vec<Value> =
            operations.iter().map(|parts| json!({"name": "operation", "part": parts})).collect();
        let body = json!({"resourceType": "Parameters", "parameter": parameters});
        self.send(path, &[], serde_json::to_vec(&body).unwrap())
    }

    #[track_caller]
    fn refused(&mut self, path: &str, operation: Value, status: u16, code: &str) {
        let (is, outcome) = self.patch(path, std::slice::from_ref(&operation));
        assert_eq!((is, &outcome["issue"][0]["code"]), (status, &code.into()), "{path} {operation}: {outcome:#}");
    }

    fn addresses(&self, path: &str) -> Vec<String> {
        let all = self.world.ok(path)["telecom"].as_array().cloned().unwrap_or_default();
        all.iter().map(|one| one["value"].as_str().unwrap().to_owned()).collect()
    }
}

fn kind_of(path: &str) -> &str {
    path.split(['/', '?']).nth(1).unwrap()
}

fn telecom(address: &str, kind: &str, parts: &[(&str, Value)]) -> Value {
    let coding = json!({"coding": [{"system": "https://mos.esante.gouv.fr/NOS/TRE_R257-TypeBAL/FHIR/TRE-R257-TypeBAL", "code": kind}]});
    let mut extension = vec![json!({"url": "type", "valueCodeableConcept": coding})];
    extension.extend(parts.iter().map(|(name, value)| match value {
        Value::Bool(_) => json!({"url": name, "valueBoolean": value}),
        _ => json!({"url": name, "valueString": value}),
    }));
    let url = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata";
    json!({"system": "email", "value": address, "extension": [{"url": url, "extension": extension}]})
}

fn insert(path: &str, contact: Value) -> Value {
    let path = format!("{}.telecom", kind_of(path));
    json!([{"name": "type", "valueCode": "insert"}, {"name": "path", "valueString": path},
           {"name": "index", "valueInteger": 0}, {"name": "value", "valueContactPoint": contact}])
}

fn at(path: &str, operation: &str, address: &str, behind: &str, value: Option<Value>) -> Value {
    let path = format!("{}.telecom.where(value='{address}'){behind}", kind_of(path));
    let mut parts = vec![json!({"name": "type", "valueCode": operation}), json!({"name": "path", "valueString": path})];
    parts.extend(value.map(|value| match value {
        Value::Bool(_) => json!({"name": "value", "valueBoolean": value}),
        Value::String(_) => json!({"name": "value", "valueString": value}),
        _ => json!({"name": "value", "valueContactPoint": value}),
    }));
    Value::Array(parts)
}

const METADATA: &str = ".extension.where(url='https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata')";

#[test]
fn a_mailbox_is_published_changed_hidden_and_taken_away() {
    let mut desk = Desk::new();
    assert!(desk.addresses(ZOE).is_empty());
    let (status, after) =
        desk.patch(ZOE, &[insert(ZOE, telecom("zoe.test@voisin.test", "PER", &[("listeRouge", false.into())]))]);
    assert_eq!((status, &after["telecom"][0]["value"]), (200, &"zoe.test@voisin.test".into()), "{after:#}");
    assert_eq!(desk.world.ok(ZOE), after, "everybody sees what the publisher was shown");
    assert_eq!(desk.world.ids("/Practitioner?mailbox-mss=zoe.test%40voisin.test"), ["003-899700000003"]);
    // Said again, it is the same.
    desk.patch(ZOE, &[insert(ZOE, telecom("zoe.test@voisin.test", "PER", &[]))]);
    assert_eq!((desk.addresses(ZOE).len(), desk.published.len()), (1, 1));
    // The red list hides it from everybody, and lets it back.
    let red = |value: bool| {
        at(
            ZOE,
            "replace",
            "zoe.test@voisin.test",
            &format!("{METADATA}.extension.where(url='listeRouge').value"),
            Some(value.into()),
        )
    };
    assert_eq!(desk.patch(ZOE, &[red(true)]).0, 200);
    assert!(desk.addresses(ZOE).is_empty());
    assert!(desk.world.ids("/Practitioner?mailbox-mss=zoe.test%40voisin.test").is_empty());
    let (status, after) = desk.patch(ZOE, &[red(false)]);
    assert_eq!((status, &after), (200, &desk.world.ok(ZOE)), "the answer shows it again, too");
    assert_eq!(desk.addresses(ZOE), ["zoe.test@voisin.test"]);
    assert_eq!(desk.patch(ZOE, &[at(ZOE, "delete", "zoe.test@voisin.test", "", None)]).0, 200);
    assert!(desk.addresses(ZOE).is_empty());
    desk.refused(ZOE, at(ZOE, "delete", "zoe.test@voisin.test", "", None), 400, "not-found");
    // And it may come back.
    assert_eq!(desk.patch(ZOE, &[insert(ZOE, telecom("zoe.test@voisin.test", "PER", &[]))]).0, 200);
    assert_eq!(desk.addresses(ZOE), ["zoe.test@voisin.test"]);

    // A structure's: what describes it may change.
    let parts = [("description", "Urgences".into()), ("service", "Accueil".into()), ("responsible", "Dr TEST".into())];
    let (status, after) = desk.patch(HOSPITAL, &[insert(HOSPITAL, telecom("urgences@voisin.test", "ORG", &parts))]);
    assert!(status == 200 && after.to_string().contains("Urgences"), "{after:#}");
    assert!(!after.to_string().contains("Dr TEST"), "who answers for it is not shown");
    let changed = telecom("urgences@voisin.test", "ORG", &[("description", "Urgences adultes".into())]);
    let (status, after) = desk.patch(HOSPITAL, &[at(HOSPITAL, "replace", "urgences@voisin.test", "", Some(changed))]);
    assert!(status == 200 && after.to_string().contains("Urgences adultes"), "{after:#}");
    // By the business identifier, as the national guide does.
    let by_number = "/Practitioner?identifier=99700000003";
    assert_eq!(desk.patch(by_number, &[at(by_number, "delete", "zoe.test@voisin.test", "", None)]).0, 200);
    assert!(desk.addresses(ZOE).is_empty());

    // What the extracts still list is hidden once its operator took it away.
    assert_eq!(desk.addresses(BENEDICTE), ["tourelle-test@medecin.pro.test"]);
    assert_eq!(desk.patch(BENEDICTE, &[at(BENEDICTE, "delete", "tourelle-test@medecin.pro.test", "", None)]).0, 200);
    assert!(desk.addresses(BENEDICTE).is_empty());
}

#[test]
fn what_a_publisher_may_not_say_is_refused_whole() {
    let mut desk = Desk::new();
    let mine = |kind: &str| telecom("zoe.test@voisin.test", kind, &[]);
    assert_eq!(desk.patch(ZOE, &[insert(ZOE, mine("PER"))]).0, 200);
    let replace = |value: Value| at(ZOE, "replace", "zoe.test@voisin.test", "", Some(value));
    desk.refused(ZOE, replace(mine("CAB")), 400, "business-rule");
    desk.refused(ZOE, replace(telecom("other@voisin.test", "PER", &[])), 400, "business-rule");
    desk.refused(
        ZOE,
        replace(telecom("zoe.test@voisin.test", "PER", &[("description", "x".into())])),
        400,
        "business-rule",
    );
    desk.refused(ZOE, insert(ZOE, telecom("x@voisin.test", "ORG", &[])), 400, "business-rule");
    desk.refused(HOSPITAL, insert(HOSPITAL, telecom("x@voisin.test", "PER", &[])), 400, "business-rule");
    desk.refused(ZOE, insert(ZOE, json!({"system": "email", "value": "x@voisin.test"})), 400, "business-rule");
    desk.refused(ZOE, insert(ZOE, json!({"system": "phone", "value": "x@voisin.test"})), 400, "invalid");
    desk.refused(ZOE, insert(ZOE, telecom("x@voisin.test", "XXX", &[])), 400, "invalid");
    desk.refused(ZOE, insert(ZOE, telecom("x@voisin.test", "PER", &[("colour", "red".into())])), 400, "invalid");
    desk.refused(ZOE, insert(ZOE, telecom("x@ch-exemple.test", "PER", &[])), 403, "forbidden");
    // The address is another's: taken over by nobody.
    desk.refused(ZOE, insert(ZOE, telecom("tourelle-test@medecin.pro.test", "PER", &[])), 409, "duplicate");
    desk.refused(ANNE, at(ANNE, "delete", "tourelle-test@medecin.pro.test", "", None), 400, "not-found");
    for (operation, path) in [
        ("move", "Practitioner.telecom"),
        ("delete", "Practitioner.telecom"),
        ("delete", "Practitioner.name"),
        ("delete", "Organization.telecom.where(value='zoe.test@voisin.test')"),
        ("replace", "Practitioner.telecom[0]"),
        ("replace", "Practitioner.telecom.where(value='zoe.test@voisin.test').value"),
        ("replace", "Practitioner.telecom.where(system='phone')"),
    ] {
        let parts = json!([{"name": "type", "valueCode": operation}, {"name": "path", "valueString": path}, {"name": "value", "valueBoolean": true}]);
        desk.refused(ZOE, parts, 400, "not-supported");
    }
    // One wrong operation, and none is done.
    let (status, _) = desk.patch(
        ZOE,
        &[insert(ZOE, telecom("second@voisin.test", "PER", &[])), insert(ZOE, telecom("x@nowhere.test", "PER", &[]))],
    );
    assert_eq!((status, desk.addresses(ZOE)), (403, vec!["zoe.test@voisin.test".to_owned()]));

    let good = || insert(ZOE, telecom("x@voisin.test", "PER", &[]));
    desk.refused("/Practitioner/003-899799999999", good(), 404, "not-found");
    desk.refused("/Practitioner?identifier=899799999999", good(), 404, "not-found");
    desk.refused("/Practitioner?identifier=899700000001,899700000002", good(), 412, "multiple-matches");
    desk.refused("/Practitioner?family=test", good(), 400, "not-supported");
    desk.refused("/HealthcareService/004-x", good(), 405, "not-supported");
    let body = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": good()}]}).to_string();
    assert_eq!(desk.send(ZOE, &[("if-match", "W/\"0000\"")], body.clone().into()).0, 412);
    assert_eq!(desk.send(ZOE, &[("content-type", "application/json-patch+json")], body.clone().into()).0, 415);
    for body in
        ["", "{}", "[]", "{\"resourceType\":\"Parameters\"}", &"[".repeat(100_000), &body.replace("operation", "other")]
    {
        assert_eq!(desk.send(ZOE, &[], body.into()).0, 400, "{}", body.len());
    }
    let many: Vec<Value> = (0..201).map(|_| good()).collect();
    assert_eq!(desk.patch(ZOE, &many).0, 400);
    desk.known = false;
    desk.refused(ZOE, good(), 403, "forbidden");
    desk.open = false;
    desk.refused(ZOE, good(), 405, "not-supported");
    assert!(!desk.world.ok("/metadata").to_string().contains("\"patch\""));
    assert_eq!(desk.addresses(ZOE), ["zoe.test@voisin.test"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_operation_makes_it_panic(kind in "(insert|add|replace|delete|\\PC{0,4})", path in "(Practitioner)?(\\.telecom)?(\\.where\\()?[a-z='. @()]{0,20}\\PC{0,6}", value in "\\PC{0,12}") {
        thread_local! { static DESK: std::cell::RefCell<Desk> = std::cell::RefCell::new(Desk::new()); }
        let parts = json!([{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}, {"name": "value", "valueContactPoint": {"system": "email", "value": value}}]);
        let status = DESK.with(|desk| desk.borrow_mut().patch(ZOE, &[parts])).0;
        prop_assert!(matches!(status, 200 | 400 | 403 | 409), "{status}");
    }
}

/// Both ends: what our registry says, and what our directory makes of it.
#[test]
fn what_is_said_is_what_the_other_side_lacks() {
    let mut desk = Desk::new();
    let registry = |red: &str, name: &str| {
        Registry::parse(&format!(
            "[[mailbox]]\naddress = \"zoe.test@voisin.test\"\ntype = \"PER\"\nowner = \"899700000003\"\nrank = 1\n{red}\n\
             [[mailbox]]\naddress = \"accueil@voisin.test\"\ntype = \"ORG\"\nstructure = \"1990000001\"\nname = \"{name}\"\n\
             [[mailbox]]\naddress = \"programme@voisin.test\"\ntype = \"APP\"\nstructure = \"1990000001\"\n\
             [[mailbox]]\naddress = \"cabinet@voisin.test\"\ntype = \"CAB\"\nmembers = [\"899700000001\"]"
        ))
        .unwrap()
    };
    let mut say = |registry: &Registry| -> Vec<Done> {
        let mut said = Vec::new();
        for mailbox in registry.mailboxes() {
            let Some(to) = Destination::of(mailbox) else { continue };
            let answer = desk.world.ok(&format!("/{}", to.question()));
            match to.step(mailbox, answer.to_string().as_bytes()).unwrap() {
                Step::Nothing => {}
                Step::Send(done, body) => {
                    let (status, outcome) = desk.send(&format!("/{}", to.path()), &[], body);
                    assert_eq!(status, 200, "{}: {outcome:#}", mailbox.address);
                    said.push(done);
                }
            }
        }
        said
    };
    assert_eq!(say(&registry("", "Accueil")), [Done::Published; 3]);
    assert_eq!(say(&registry("", "Accueil")), [], "nothing is said twice");
    assert_eq!(say(&registry("", "Urgences")), [Done::Changed]);
    assert_eq!(say(&registry("red_list = true", "Urgences")), [Done::Hidden]);
    assert_eq!(say(&registry("red_list = true", "Urgences")), []);
    assert_eq!(say(&registry("", "Urgences")), [Done::Published]);
    assert_eq!(desk.addresses(ZOE), ["zoe.test@voisin.test"]);
    // What left the registry is closed, once.
    let old = registry("", "Urgences");
    let to = Destination::of(&old.mailboxes()[0]).unwrap();
    let ask = |desk: &Desk| desk.world.ok(&format!("/{}", to.question())).to_string();
    let Step::Send(Done::Closed, body) = to.closing(ask(&desk).as_bytes()).unwrap() else { panic!() };
    assert_eq!(desk.send(&format!("/{}", to.path()), &[], body).0, 200);
    assert!(desk.addresses(ZOE).is_empty());
    assert_eq!(to.closing(ask(&desk).as_bytes()), Ok(Step::Nothing));
    // What cannot be said is told.
    let said = |text: &str| to.step(&old.mailboxes()[0], text.as_bytes()).unwrap_err();
    assert_eq!(said("<html>"), PublishError::NoBundle);
    assert!(matches!(said("{\"resourceType\":\"Bundle\"}"), PublishError::Nobody(..)));
    let other = json!({"resource": {"telecom": [telecom("ZOE.test@voisin.test", "ORG", &[])]}});
    assert_eq!(
        said(&json!({"resourceType": "Bundle", "entry": [other]}).to_string()),
        PublishError::Type("ORG".into())
    );
    assert!(matches!(
        said(&json!({"resourceType": "Bundle", "entry": [other, other]}).to_string()),
        PublishError::Several(_)
    ));
}

/// A quote is an ordinary character of an address: it must not end the text of a path.
#[test]
fn an_address_with_a_quote_is_published_hidden_and_closed() {
    let mut desk = Desk::new();
    let registry = |more: &str| {
        let text = format!(
            "[[mailbox]]\naddress = \"d'alembert@voisin.test\"\ntype = \"PER\"\nowner = \"899700000003\"\n{more}"
        );
        Registry::parse(&text).unwrap()
    };
    let (shown, red) = (registry(""), registry("red_list = true"));
    let to = Destination::of(&shown.mailboxes()[0]).unwrap();
    let mut say = |step: &dyn Fn(&[u8]) -> Step| {
        let answer = desk.world.ok(&format!("/{}", to.question())).to_string();
        let Step::Send(done, body) = step(answer.as_bytes()) else { panic!("nothing is said") };
        let text = String::from_utf8(body.clone()).unwrap();
        assert!(done == Done::Published || text.contains("where(value='d\\\\'alembert@voisin.test')"), "{text}");
        assert_eq!(desk.send(&format!("/{}", to.path()), &[], body).0, 200);
        (done, desk.addresses(ZOE))
    };
    let there = vec!["d'alembert@voisin.test".to_owned()];
    assert_eq!(say(&|answer| to.step(&shown.mailboxes()[0], answer).unwrap()), (Done::Published, there.clone()));
    assert_eq!(say(&|answer| to.step(&red.mailboxes()[0], answer).unwrap()), (Done::Hidden, vec![]));
    assert_eq!(say(&|answer| to.step(&shown.mailboxes()[0], answer).unwrap()), (Done::Published, there));
    assert_eq!(say(&|answer| to.closing(answer).unwrap()), (Done::Closed, vec![]));
    // What does not escape it is no path, and neither is what goes on behind the condition.
    for wrong in ["d'alembert@voisin.test", "x@voisin.test\\", "x@voisin.test' or '"] {
        let (status, _) = desk.patch(ZOE, &[at(ZOE, "delete", wrong, "", None)]);
        assert_eq!(status, 400, "{wrong}");
    }
}
