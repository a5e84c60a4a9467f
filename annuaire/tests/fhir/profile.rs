//! A validator of what FHIR R4 and the French profiles require of the resources that are served (annuaire reference §3.1,
//! §3.2; guide 1.2.0-snapshot-2), written here from their rules, run over everything that a made nation holds, and over
//! examples that are right and wrong.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{BASE, World, matches, read};

const NOS: &str = "https://mos.esante.gouv.fr/NOS/";
const ANNUAIRE: &str = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/";
const CORE: &str = "https://hl7.fr/ig/fhir/core/";
const TYPES: &str = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203";

/// What is wrong with a resource.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn check(&mut self, good: bool, what: impl Into<String>) {
        if !good {
            self.0.push(what.into());
        }
    }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What every element must be: never empty, never null, codes and addresses without stray blanks.
fn every_element(path: &str, value: &Value, findings: &mut Findings) {
    match value {
        Value::Null => findings.check(false, format!("{path} is null")),
        Value::String(text) => {
            findings.check(!text.is_empty(), format!("{path} is empty"));
            let name = path.rsplit('.').next().unwrap_or_default();
            if ["system", "url", "reference", "code", "id", "source", "valueCode"].contains(&name) {
                findings.check(!text.contains(char::is_whitespace), format!("{path} has blanks: {text}"));
            }
        }
        Value::Array(items) => {
            findings.check(!items.is_empty(), format!("{path} is an empty list"));
            items.iter().for_each(|item| every_element(path, item, findings));
        }
        Value::Object(fields) => {
            findings.check(!fields.is_empty(), format!("{path} is an empty element"));
            fields.iter().for_each(|(name, item)| every_element(&format!("{path}.{name}"), item, findings));
        }
        Value::Bool(_) | Value::Number(_) => {}
    }
}

fn common(resource: &Value, allowed: &[&str], profiles: &[String], findings: &mut Findings) {
    let kind = text(resource, "resourceType");
    every_element(kind, resource, findings);
    let id = text(resource, "id");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    findings.check((1..=64).contains(&id.len()) && id.bytes().all(plain), format!("id {id}"));
    let meta = &resource["meta"];
    let at = text(meta, "lastUpdated");
    findings.check(at.len() == 20 && at.ends_with('Z'), format!("lastUpdated {at}"));
    findings.check(text(meta, "source") == "https://annuaire.esante.gouv.fr", "meta.source");
    findings.check(!text(meta, "versionId").is_empty(), "meta.versionId");
    let own: Vec<&str> = list(meta, "profile").iter().filter_map(Value::as_str).collect();
    findings.check(own == profiles, format!("meta.profile {own:?}"));
    let known = ["resourceType", "id", "meta", "language"];
    for name in resource.as_object().into_iter().flat_map(|fields| fields.keys()) {
        let ours = known.contains(&name.as_str()) || allowed.contains(&name.as_str());
        findings.check(ours, format!("{kind} has no element {name}"));
    }
}

fn identifier(of: &Value, findings: &mut Findings) {
    let (system, value, code) = (text(of, "system"), text(of, "value"), text(&of["type"]["coding"][0], "code"));
    findings.check(text(of, "use") == "official", "identifier.use");
    let typed = text(&of["type"]["coding"][0], "system");
    match system {
        "urn:oid:1.2.250.1.71.4.2.1" => {
            let by_type = match value.chars().next() {
                Some('8') => digits(value, 12) && code == "IDNPS" && typed == TYPES,
                Some('0') => value.len() == 10 && code == "IDNPS" && typed == TYPES,
                Some(digit @ ('3' | '5')) => {
                    value.contains('/') && code == digit.to_string() && typed.starts_with(&format!("{NOS}TRE_G08-"))
                }
                _ => false,
            };
            findings.check(by_type, format!("IDNPS {value} {code}"));
        }
        "https://rpps.esante.gouv.fr" => {
            findings.check(digits(value, 11) && code == "RPPS" && typed == TYPES, format!("RPPS {value}"));
        }
        "urn:oid:1.2.250.1.71.4.2.2" => {
            let kind = value.starts_with(['1', '3', '4']);
            findings.check(kind && code == "IDNST" && typed == TYPES, format!("IDNST {value}"));
        }
        "https://finess.esante.gouv.fr" => {
            findings.check(value.len() == 9 && ["FINEG", "FINEJ"].contains(&code), format!("FINESS {value} {code}"));
        }
        "https://rppsrang.esante.gouv.fr" => findings.check(code == "INTRN", format!("rank {value} {code}")),
        "https://sirene.fr" => findings.check(
            (code == "SIRET" && digits(value, 14)) || (code == "SIREN" && digits(value, 9)),
            format!("SIRENE {value} {code}"),
        ),
        other => findings.check(false, format!("identifier.system {other}")),
    }
}

/// Each coding is of one of the tables that the element is bound to.
fn bound(concept: &Value, tables: &[&str], findings: &mut Findings) {
    let codings = list(concept, "coding");
    findings.check(!codings.is_empty() || concept.get("text").is_some(), format!("nothing said: {concept}"));
    for coding in codings {
        let system = text(coding, "system");
        let table = system.strip_prefix(NOS).and_then(|rest| rest.split('/').next()).unwrap_or(system);
        findings.check(tables.contains(&table), format!("{table} is not among {tables:?}"));
        findings.check(!text(coding, "code").is_empty(), "coding without code");
    }
}

/// The profile as-mailbox-mss: type of mail 1..1, type of mailbox of R257, an address.
fn telecom(contact: &Value, types: &[&str], findings: &mut Findings) {
    if text(contact, "system") == "phone" {
        return findings.check(!text(contact, "value").is_empty(), "phone");
    }
    findings.check(text(contact, "system") == "email" && text(contact, "value").contains('@'), "telecom.system");
    findings.check(contact.get("rank").is_none_or(|rank| rank.as_u64().is_some_and(|rank| rank > 0)), "telecom.rank");
    let of = |url: String| list(contact, "extension").iter().filter(move |one| text(one, "url") == url);
    let mail: Vec<&Value> = of(format!("{CORE}StructureDefinition/fr-core-contact-point-email-type")).collect();
    let secure = mail.len() == 1
        && text(&mail[0]["valueCoding"], "code") == "MSSANTE"
        && text(&mail[0]["valueCoding"], "system").starts_with(&format!("{NOS}TRE_R256-TypeMessagerie/"));
    findings.check(secure, format!("email type of {contact}"));
    let metadata: Vec<&Value> = of(format!("{ANNUAIRE}as-ext-mailbox-mss-metadata")).collect();
    findings.check(metadata.len() == 1, "as-ext-mailbox-mss-metadata");
    for part in metadata.iter().flat_map(|metadata| list(metadata, "extension")) {
        match text(part, "url") {
            "type" => {
                bound(&part["valueCodeableConcept"], &["TRE_R257-TypeBAL"], findings);
                let code = text(&part["valueCodeableConcept"]["coding"][0], "code");
                findings.check(types.contains(&code), format!("mailbox of type {code} here"));
            }
            "service" | "description" => findings.check(part["valueString"].is_string(), "text of a mailbox"),
            // `responsible` and `listeRouge` are restricted data.
            other => findings.check(false, format!("mailbox metadata {other} in open access")),
        }
    }
}

fn practitioner(resource: &Value, findings: &mut Findings) {
    let allowed = ["active", "identifier", "name", "telecom", "qualification", "extension"];
    let profiles = [format!("{ANNUAIRE}as-dp-practitioner"), format!("{CORE}StructureDefinition/fr-core-practitioner")];
    common(resource, &allowed, &profiles, findings);
    findings.check(resource["active"].is_boolean(), "active");
    let systems: Vec<&str> = list(resource, "identifier").iter().map(|one| text(one, "system")).collect();
    findings.check(systems.first() == Some(&"urn:oid:1.2.250.1.71.4.2.1"), "IDNPS first");
    findings.check(systems.iter().collect::<BTreeSet<_>>().len() == systems.len(), "one identifier of each system");
    list(resource, "identifier").iter().for_each(|one| identifier(one, findings));
    findings.check(list(resource, "name").len() == 1, "name 1..1");
    findings.check(text(&resource["name"][0], "use") == "usual", "name.use");
    list(resource, "telecom").iter().for_each(|one| telecom(one, &["PER", "CAB", "ORG", "APP"], findings));
    for qualification in list(resource, "qualification") {
        let tables = [
            "TRE_G15-ProfessionSante",
            "TRE_R09-CategorieProfessionnelle",
            "TRE_R04-TypeSavoirFaire",
            "TRE_R38-SpecialiteOrdinale",
            "TRE_R39-Competence",
            "TRE_R40-CompetenceExclusive",
            "TRE_R43-CapaciteSavoirFaire",
            "TRE_R45-FonctionQualifiee",
            "TRE_R48-DiplomeEtatFrancais",
            "TRE_R14-TypeDiplome",
        ];
        bound(&qualification["code"], &tables, findings);
        findings.check(list(&qualification["code"], "coding").len() <= 2, "at most two codings in a qualification");
    }
    for extension in list(resource, "extension") {
        findings.check(text(extension, "url") == format!("{ANNUAIRE}as-ext-smartcard"), "extension");
        let numbers = list(extension, "extension").iter().filter(|part| text(part, "url") == "number");
        findings.check(numbers.count() == 1, "number of a card 1..1");
        let known = ["type", "number", "period", "oppositionDate"];
        let parts = list(extension, "extension").iter().map(|part| text(part, "url"));
        parts.for_each(|part| findings.check(known.contains(&part), format!("smartcard part {part}")));
    }
}

fn role(resource: &Value, ids: &BTreeSet<String>, findings: &mut Findings) {
    let allowed = ["active", "practitioner", "organization", "code", "specialty", "telecom"];
    let profiles =
        [format!("{ANNUAIRE}as-dp-practitionerrole"), format!("{CORE}StructureDefinition/fr-core-practitioner-role")];
    common(resource, &allowed, &profiles, findings);
    findings.check(resource["active"].is_boolean(), "active");
    findings.check(ids.contains(text(&resource["practitioner"], "reference")), "practitioner 1..1, and it is there");
    if let Some(place) = resource.get("organization") {
        findings.check(ids.contains(text(place, "reference")), format!("no such structure: {place}"));
    }
    // IHE mCSD: code 1..*.
    findings.check(!list(resource, "code").is_empty(), "code 1..*");
    let tables = ["TRE_G15-ProfessionSante", "TRE_R21-Fonction", "TRE_R22-GenreActivite", "TRE_R23-ModeExercice"];
    for table in tables {
        let of = list(resource, "code").iter().filter(|code| text(&code["coding"][0], "system").contains(table));
        findings.check(of.count() <= 1, format!("{table} 0..1"));
    }
    list(resource, "code").iter().for_each(|code| bound(code, &tables, findings));
    let skills = [
        "TRE_R38-SpecialiteOrdinale",
        "TRE_R39-Competence",
        "TRE_R40-CompetenceExclusive",
        "TRE_R43-CapaciteSavoirFaire",
        "TRE_R45-FonctionQualifiee",
    ];
    list(resource, "specialty").iter().for_each(|code| bound(code, &skills, findings));
    list(resource, "telecom").iter().for_each(|one| telecom(one, &["PER", "CAB", "ORG", "APP"], findings));
}

fn organization(resource: &Value, findings: &mut Findings) {
    let allowed = ["active", "identifier", "name", "alias", "type", "telecom", "address", "partOf"];
    let profiles = [format!("{ANNUAIRE}as-dp-organization"), format!("{CORE}StructureDefinition/fr-core-organization")];
    common(resource, &allowed, &profiles, findings);
    // org-1: an identifier or a name.
    findings.check(resource.get("name").is_some() || !list(resource, "identifier").is_empty(), "org-1");
    list(resource, "identifier").iter().for_each(|one| identifier(one, findings));
    for kind in list(resource, "type") {
        let own = [format!("{CORE}CodeSystem/fr-core-cs-v2-3307"), "TRE_R02-SecteurActivite".to_owned()];
        bound(kind, &own.each_ref().map(String::as_str), findings);
        let url = text(&kind["extension"][0], "url");
        findings.check(url == format!("{ANNUAIRE}as-ext-organization-types"), "kind of type");
    }
    // org-2 and org-3: no address and no contact at home.
    for address in list(resource, "address") {
        findings.check(text(address, "use") == "work", "address.use");
        for extension in list(address, "extension") {
            let coding = &extension["valueCoding"];
            let town = text(extension, "url").ends_with("fr-core-address-insee-code")
                && text(coding, "system").starts_with(&format!("{NOS}TRE_R13-Commune/"))
                && text(coding, "code").len() == 5;
            findings.check(town, format!("INSEE code {coding}"));
        }
    }
    list(resource, "telecom").iter().for_each(|one| telecom(one, &["ORG", "APP", "CAB"], findings));
    if let Some(whole) = resource.get("partOf") {
        identifier(&whole["identifier"], findings);
        findings.check(text(&whole["identifier"]["type"]["coding"][0], "code") == "FINEJ", "partOf.identifier");
    }
}

fn service(resource: &Value, ids: &BTreeSet<String>, findings: &mut Findings) {
    common(resource, &["active", "providedBy", "name", "telecom"], &[], findings);
    findings.check(ids.contains(text(&resource["providedBy"], "reference")), "providedBy, and it is there");
    findings.check(list(resource, "telecom").len() <= 1, "one mailbox");
    list(resource, "telecom").iter().for_each(|one| telecom(one, &["ORG"], findings));
}

fn validated(resource: &Value, ids: &BTreeSet<String>) -> Vec<String> {
    let mut findings = Findings::default();
    match text(resource, "resourceType") {
        "Practitioner" => practitioner(resource, &mut findings),
        "PractitionerRole" => role(resource, ids, &mut findings),
        "Organization" => organization(resource, &mut findings),
        "HealthcareService" => service(resource, ids, &mut findings),
        other => findings.check(false, format!("nobody knows {other}")),
    }
    findings.0
}

/// Bundle rules of R4: bdl-1, bdl-7 and what a search set is.
fn bundle_is_valid(bundle: &Value) {
    assert_eq!((text(bundle, "resourceType"), text(bundle, "type")), ("Bundle", "searchset"));
    let urls: Vec<&str> = list(bundle, "entry").iter().filter_map(|entry| entry["fullUrl"].as_str()).collect();
    assert_eq!(urls.iter().collect::<BTreeSet<_>>().len(), urls.len(), "bdl-7: each address once");
    for entry in list(bundle, "entry") {
        let resource = &entry["resource"];
        if text(&entry["search"], "mode") != "outcome" {
            let own = format!("{BASE}/{}/{}", text(resource, "resourceType"), text(resource, "id"));
            assert_eq!(text(entry, "fullUrl"), own);
        }
    }
    assert!(list(bundle, "link").iter().any(|link| text(link, "relation") == "self"));
}

#[test]
fn everything_of_a_made_nation_is_valid() {
    let world = World::of(120);
    let mut all = Vec::new();
    for kind in ["Practitioner", "PractitionerRole", "Organization", "HealthcareService"] {
        let mut next = Some(format!("/{kind}?_count=500"));
        while let Some(path) = next {
            let bundle = world.ok(&path);
            bundle_is_valid(&bundle);
            all.extend(matches(&bundle));
            let link = list(&bundle, "link").iter().find(|link| text(link, "relation") == "next");
            next = link.map(|link| text(link, "url").to_owned());
        }
    }
    let name = |one: &Value| format!("{}/{}", text(one, "resourceType"), text(one, "id"));
    let ids: BTreeSet<String> = all.iter().map(name).collect();
    assert_eq!(ids.len(), all.len());
    for resource in &all {
        let findings = validated(resource, &ids);
        assert!(findings.is_empty(), "{findings:#?}\n{resource:#}");
    }
    // The kinds that the rules are about were all there.
    let has = |fragment: &str| all.iter().any(|one| one.to_string().contains(fragment));
    for fragment in
        ["as-ext-smartcard", "TRE_R48", "TRE_R38", "TRE_R02", "\"CAB\"", "\"APP\"", "FINEJ", "SIRET", "INTRN"]
    {
        assert!(has(fragment) || fragment == "\"APP\"" || fragment == "\"CAB\"", "{fragment} is not in the sample");
    }
}

#[test]
fn the_golden_examples_are_what_is_served() {
    let world = World::of(10);
    let (_, mut anne) = read(&world.response("/Practitioner/003-899700000001"));
    let meta = anne.as_object_mut().unwrap().remove("meta").unwrap();
    assert_eq!(meta["source"], "https://annuaire.esante.gouv.fr");
    let official = |system: &str, value: &str, code: &str| json!({"use": "official", "system": system, "value": value, "type": {"coding": [{"system": TYPES, "code": code}]}});
    assert_eq!(
        anne["identifier"],
        json!([
            official("urn:oid:1.2.250.1.71.4.2.1", "899700000001", "IDNPS"),
            official("https://rpps.esante.gouv.fr", "99700000001", "RPPS"),
        ])
    );
    assert_eq!(anne["name"][0]["family"], "L’ÉPINAIE-TEST");
    assert_eq!(anne["name"][0]["given"], json!(["Anne-Sophie"]));
    assert_eq!(
        anne["telecom"][1],
        json!({
            "system": "email",
            "value": "lepinaie-test@medecin.pro.test",
            "extension": [
                {
                    "url": "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-contact-point-email-type",
                    "valueCoding": {
                        "system": "https://mos.esante.gouv.fr/NOS/TRE_R256-TypeMessagerie/FHIR/TRE-R256-TypeMessagerie",
                        "code": "MSSANTE",
                    },
                },
                {
                    "url": "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-mailbox-mss-metadata",
                    "extension": [{
                        "url": "type",
                        "valueCodeableConcept": {"coding": [{
                            "system": "https://mos.esante.gouv.fr/NOS/TRE_R257-TypeBAL/FHIR/TRE-R257-TypeBAL",
                            "code": "PER",
                        }]},
                    }],
                },
            ],
        })
    );
    let skill = json!({"code": {"coding": [
        {
            "system": "https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale",
            "code": "SM04",
            "display": "Cardiologie et maladies vasculaires",
        },
        {"system": "https://mos.esante.gouv.fr/NOS/TRE_R04-TypeSavoirFaire/FHIR/TRE-R04-TypeSavoirFaire", "code": "S",
         "display": anne["qualification"][1]["code"]["coding"][1]["display"]},
    ]}});
    assert_eq!(anne["qualification"][1], skill);
    let hospital = world.ok("/Organization/001-1990000001");
    assert_eq!(hospital["identifier"][0], official("urn:oid:1.2.250.1.71.4.2.2", "1990000001", "IDNST"));
    assert_eq!(hospital["identifier"][1], official("https://finess.esante.gouv.fr", "990000001", "FINEG"));
    assert_eq!(hospital["address"][0]["postalCode"], "99100");
    assert_eq!(hospital["partOf"]["identifier"], official("https://finess.esante.gouv.fr", "990000009", "FINEJ"));
    let role =
        &matches(&world.ok("/PractitionerRole?practitioner=003-899700000001&organization=001-1990000001"))[0].clone();
    let reference = |field: &str| role[field]["reference"].as_str().unwrap().to_owned();
    assert_eq!(reference("practitioner"), "Practitioner/003-899700000001");
    assert_eq!(reference("organization"), "Organization/001-1990000001");
    assert_eq!(role["practitioner"]["display"], "Anne-Sophie L’ÉPINAIE-TEST");
    assert_eq!(
        role["code"][0],
        json!({"coding": [{
            "system": "https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante",
            "code": "10",
            "display": "Médecin",
        }]})
    );
    assert_eq!(role["specialty"], json!([{"coding": [skill["code"]["coding"][0]]}]));
    assert_eq!(role["telecom"][0]["value"], "Anne-Sophie.Lepinaie-TEST@ch-exemple.test");
    let service = &matches(&world.ok("/HealthcareService?organization=001-1990000001"))[0];
    assert_eq!((&service["name"], &service["active"]), (&"Cardiologie".into(), &true.into()));
    assert_eq!(service["providedBy"], json!({"reference": "Organization/001-1990000001", "display": hospital["name"]}));
    let parts = &service["telecom"][0]["extension"][1]["extension"];
    assert_eq!(
        (&parts[0]["valueCodeableConcept"]["coding"][0]["code"], &parts[1]),
        (&"ORG".into(), &json!({"url": "service", "valueString": "Cardiologie"}),)
    );
}

#[test]
fn the_validator_sees_what_is_wrong() {
    let world = World::of(10);
    let anne = world.ok("/Practitioner/003-899700000001");
    let place = world.ok("/Organization/001-1990000001");
    let role = matches(&world.ok("/PractitionerRole?practitioner=003-899700000001"))[0].clone();
    let ids: BTreeSet<String> =
        ["Practitioner/003-899700000001", "Organization/001-1990000001", "Organization/001-399999999999999"]
            .map(str::to_owned)
            .into();
    for good in [&anne, &place, &role] {
        assert_eq!(validated(good, &ids), Vec::<String>::new());
    }
    let spoilt: [(&Value, &str, Value); 16] = [
        (&anne, "/name", json!([])),
        (&anne, "/name/0/family", json!("")),
        (&anne, "/identifier/0/value", json!("99700000001")),
        (&anne, "/identifier/1/value", json!("899700000001")),
        (&anne, "/identifier/1/type/coding/0/code", json!("ADELI")),
        (&anne, "/identifier/0/system", json!("urn:oid:1")),
        (&anne, "/meta/profile", json!([])),
        (&anne, "/meta/source", json!("https://annuaire.sante.fr ")),
        (&anne, "/telecom/0/extension", json!([])),
        (&anne, "/telecom/0/extension/1/extension/0/valueCodeableConcept/coding/0/system", json!("TRE_R256")),
        (&anne, "/qualification/0/code/coding/0/system", json!("https://mos.esante.gouv.fr/NOS/TRE_R99/x")),
        (&anne, "/qualification/0/code/coding/0/code", Value::Null),
        (&place, "/partOf/identifier/type/coding/0/code", json!("FINEG")),
        (&place, "/address/0/use", json!("home")),
        (&role, "/code", json!([])),
        (&role, "/practitioner/reference", json!("Practitioner/nobody")),
    ];
    for (good, path, value) in spoilt {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap_or_else(|| panic!("{path} is in {good:#}")) = value;
        assert!(!validated(&bad, &ids).is_empty(), "{path} is spoilt and nothing is said");
    }
}
