//! From items to resources, after the French profiles (annuaire reference §3.1, §3.2).

use serde_json::{Map, Value, json};

use super::{
    budget::CONTENT,
    ids,
    item::{Coding, Item, qualifications, role_codes, sectors, speciality},
    settings::Settings,
    table::What,
};
use crate::{
    Activity, Card, Generation, Mailbox, MailboxAnswer, Person, Registry, Structure, ask::Work, generation::hex,
};

const EXTENSIONS: &str = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/";
const EMAIL_TYPE: &str = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-contact-point-email-type";
const INSEE: &str = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code";

/// Writes the resources of one generation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Renderer<'g> {
    pub(super) generation: &'g Generation,
    pub(super) registry: Option<&'g Registry>,
    pub(super) settings: &'g Settings,
    /// What reading and writing is charged to.
    pub(super) work: &'g Work,
}

/// The digest of a resource's content: its version, the same for the same content.
pub(super) fn version(content: &Map<String, Value>) -> String {
    let text = serde_json::to_vec(content).unwrap_or_default();
    let mut hex = hex(&openssl::sha::sha256(&text));
    hex.truncate(16);
    hex
}

impl<'g> Renderer<'g> {
    /// The resource without `meta`.
    pub(super) fn content(&self, item: &Item<'g>) -> Map<String, Value> {
        self.work.spend(CONTENT);
        let mut fields = Map::new();
        put(&mut fields, "resourceType", item.kind().name());
        put(&mut fields, "id", item.id());
        put(&mut fields, "language", "fr");
        match item {
            Item::Person(person) => self.person(person, &mut fields),
            Item::Role(activity) => self.role(activity, &mut fields),
            Item::Place(place) => self.place(place, &mut fields),
            Item::Service(mailbox) => self.service(mailbox, &mut fields),
        }
        let telecom: Vec<Value> = item.mailboxes(self).iter().map(|m| self.mailbox(m)).collect();
        let telecom = match item {
            Item::Place(place) if !place.phone().is_empty() => {
                telecom.into_iter().chain([json!({"system": "phone", "value": place.phone()})]).collect()
            }
            _ => telecom,
        };
        list(&mut fields, "telecom", telecom);
        fields
    }

    fn person(&self, person: &Person<'g>, fields: &mut Map<String, Value>) {
        put(fields, "active", person.active());
        let s = &self.settings.systems;
        let id = person.id_text();
        let mut identifiers = vec![match id.as_bytes().first() {
            Some(digit @ (b'3' | b'5')) => {
                let digit = char::from(*digit).to_string();
                identifier(&s.idnps, id, &s.person_identifier_type, &digit)
            }
            _ => identifier(&s.idnps, id, &s.identifier_type, "IDNPS"),
        }];
        if let Some(rpps) = id.strip_prefix('8') {
            identifiers.push(identifier(&s.rpps, rpps, &s.identifier_type, "RPPS"));
        }
        list(fields, "identifier", identifiers);
        let mut name = Map::new();
        put(&mut name, "use", "usual");
        put(&mut name, "family", person.family());
        list(&mut name, "given", texts(&[person.given()]));
        list(&mut name, "prefix", texts(&[person.civility()]));
        list(&mut name, "suffix", texts(&[person.title()]));
        list(fields, "name", vec![Value::Object(name)]);
        list(fields, "extension", shown_cards(person).map(|card| self.card(&card)).collect());
        let mut all = Vec::new();
        qualifications(person, self.settings, |codings| all.push(json!({"code": {"coding": codes(&codings)}})));
        list(fields, "qualification", all);
    }

    fn card(&self, card: &Card<'g>) -> Value {
        let mut parts = Vec::new();
        if !card.kind_code().is_empty() {
            let coding =
                Coding { system: &self.settings.systems.card_type, code: card.kind_code(), label: card.kind() };
            parts.push(json!({"url": "type", "valueCodeableConcept": {"coding": codes(&[coding])}}));
        }
        parts.push(json!({"url": "number", "valueString": card.number_text()}));
        let mut period = Map::new();
        card.valid_from().into_iter().for_each(|day| put(&mut period, "start", day.to_string()));
        card.valid_to().into_iter().for_each(|day| put(&mut period, "end", day.to_string()));
        if !period.is_empty() {
            parts.push(json!({"url": "period", "valuePeriod": period}));
        }
        json!({"url": format!("{EXTENSIONS}as-ext-smartcard"), "extension": parts})
    }

    fn role(&self, activity: &Activity<'g>, fields: &mut Map<String, Value>) {
        let person = activity.person();
        put(fields, "active", person.active());
        let display = format!("{} {}", person.given(), person.family());
        let reference = format!("Practitioner/{}", ids::person(&person));
        fields.insert("practitioner".into(), json!({"reference": reference, "display": display.trim()}));
        if let Some(place) = activity.structure() {
            fields.insert("organization".into(), reference_to(&place));
        }
        let concepts = role_codes(activity, self.settings);
        let mut concepts: Vec<Value> = concepts.iter().map(concept).collect();
        if concepts.is_empty() {
            // IHE mCSD wants a code; the extract has none for this row.
            concepts.push(json!({"text": "activité sans code"}));
        }
        list(fields, "code", concepts);
        list(fields, "specialty", speciality(activity, self.settings).iter().map(concept).collect());
    }

    fn place(&self, place: &Structure<'g>, fields: &mut Map<String, Value>) {
        put(fields, "active", true);
        let s = &self.settings.systems;
        let of = |system: &str, value: &str, code: &str| {
            (!value.is_empty()).then(|| identifier(system, value, &s.identifier_type, code))
        };
        let national = place.id();
        let all = [
            national.as_ref().and_then(|id| of(&s.idnst, id.as_str(), "IDNST")),
            of(&s.finess, place.finess(), "FINEG"),
            of(&s.siret, place.siret(), "SIRET"),
            of(&s.siren, place.siren(), "SIREN"),
            of(&s.rpps_rank, place.technical_id(), "INTRN"),
        ];
        list(fields, "identifier", all.into_iter().flatten().collect());
        put(fields, "name", place.display_name());
        if place.trade_name() != place.display_name() {
            list(fields, "alias", texts(&[place.trade_name()]));
        }
        let typed = |kind: &str, coding: Coding<'_>| {
            let mut concept = concept(&coding);
            if let Some(fields) = concept.as_object_mut() {
                let url = format!("{EXTENSIONS}as-ext-organization-types");
                list(fields, "extension", vec![json!({"url": url, "valueCode": kind})]);
            }
            concept
        };
        let mut types = Vec::new();
        if !place.finess().is_empty() {
            let coding = Coding { system: &s.structure_type, code: "GEOGRAPHICAL-ENTITY", label: "" };
            types.push(typed("organizationType", coding));
        }
        types.extend(sectors(place, self).into_iter().map(|coding| typed("secteurActiviteRASS", coding)));
        list(fields, "type", types);
        list(fields, "address", self.address(place).into_iter().collect());
        if !place.entity_finess().is_empty() && place.entity_finess() != place.finess() {
            fields.insert("partOf".into(), self.entity(place.entity_finess()));
        }
    }

    /// The legal entity: by its number, and by reference where it is itself among the structures.
    fn entity(&self, finess: &str) -> Value {
        let s = &self.settings.systems;
        let mut fields = Map::new();
        fields.insert("identifier".into(), identifier(&s.finess, finess, &s.identifier_type, "FINEJ"));
        put(&mut fields, "type", "Organization");
        if let Some(entity) = self.entity_place(finess) {
            put(&mut fields, "reference", format!("Organization/{}", ids::place(&entity)));
        }
        Value::Object(fields)
    }

    /// The structure that has the number of a legal entity.
    pub(super) fn entity_place(&self, finess: &str) -> Option<Structure<'g>> {
        ident::StructureId::parse(&format!("1{finess}")).ok().and_then(|id| self.generation.structure(&id))
    }

    fn address(&self, place: &Structure<'g>) -> Option<Value> {
        let mut address = Map::new();
        if !place.town_code().is_empty() {
            let coding = json!({"system": self.settings.systems.town, "code": place.town_code()});
            list(&mut address, "extension", vec![json!({"url": INSEE, "valueCoding": coding})]);
        }
        list(&mut address, "line", texts(&[place.street()]));
        put(&mut address, "city", place.town());
        put(&mut address, "state", place.department());
        put(&mut address, "postalCode", place.postcode());
        if address.is_empty() {
            return None;
        }
        put(&mut address, "use", "work");
        Some(Value::Object(address))
    }

    fn service(&self, mailbox: &Mailbox<'g>, fields: &mut Map<String, Value>) {
        put(fields, "active", true);
        if let Some(place) = mailbox.structures().next() {
            fields.insert("providedBy".into(), reference_to(&place));
        }
        put(fields, "name", mailbox.service());
    }

    /// A mailbox as a contact point (reference §3.2): what the profile as-mailbox-mss requires, R257 for the type.
    fn mailbox(&self, mailbox: &MailboxAnswer) -> Value {
        let s = &self.settings.systems;
        let kind = mailbox.r#type;
        let mut fields = Map::new();
        let mut parts = vec![
            json!({"url": "type", "valueCodeableConcept": {"coding": [{"system": s.mailbox_type, "code": kind.code()}]}}),
        ];
        let known = ident::Address::parse(&mailbox.address).ok();
        let extract = known.as_ref().and_then(|address| self.generation.mailbox(address));
        if let Some(service) = extract.as_ref().map(|mailbox| mailbox.service()).filter(|service| !service.is_empty()) {
            parts.push(json!({"url": "service", "valueString": service}));
        }
        let own = known.as_ref().and_then(|address| self.registry.and_then(|registry| registry.mailbox(address)));
        if let Some(name) = own.and_then(|own| own.name.as_deref()) {
            parts.push(json!({"url": "description", "valueString": name}));
        }
        let secure = json!({"system": s.mail_type, "code": "MSSANTE"});
        let extensions = vec![
            json!({"url": EMAIL_TYPE, "valueCoding": secure}),
            json!({"url": format!("{EXTENSIONS}as-ext-mailbox-mss-metadata"), "extension": parts}),
        ];
        list(&mut fields, "extension", extensions);
        put(&mut fields, "system", "email");
        put(&mut fields, "value", mailbox.address.as_str());
        mailbox.rank.into_iter().for_each(|rank| put(&mut fields, "rank", rank));
        Value::Object(fields)
    }

    /// What an item refers to, by the name of the reference.
    pub(super) fn target(&self, item: &Item<'g>, include: &str) -> Option<Item<'g>> {
        match (item, include) {
            (Item::Role(activity), "PractitionerRole:practitioner") => Some(Item::Person(activity.person())),
            (Item::Role(activity), "PractitionerRole:organization") => activity.structure().map(Item::Place),
            (Item::Service(mailbox), "HealthcareService:organization") => mailbox.structures().next().map(Item::Place),
            (Item::Place(place), "Organization:partof") => {
                let entity = place.entity_finess();
                (entity != place.finess()).then(|| self.entity_place(entity)).flatten().map(Item::Place)
            }
            _ => None,
        }
    }

    /// What an id names and may be shown: the id of a service is its address.
    pub(super) fn find(&self, id: &str) -> Option<Item<'g>> {
        ids::find(self.generation, id, self.work)
            .filter(|item| !matches!(item, Item::Service(mailbox) if self.is_red(mailbox)))
    }

    /// The services of a structure, each shown where its mailbox is first listed.
    pub(super) fn services(&self, place: &Structure<'g>) -> impl Iterator<Item = Item<'g>> {
        let row = place.row;
        let first = move |mailbox: &Mailbox<'g>| mailbox.structures().next().is_some_and(|place| place.row == row);
        let shown = place.mailboxes().filter(ids::is_service).filter(|mailbox| !self.is_red(mailbox));
        shown.filter(first).map(Item::Service)
    }

    fn is_red(&self, mailbox: &Mailbox<'_>) -> bool {
        self.registry.is_some_and(|registry| registry.is_red(mailbox.key()))
    }

    /// What refers to an item.
    pub(super) fn referrers(&self, item: &Item<'g>, include: &str, most: usize) -> Vec<Item<'g>> {
        match (item, include) {
            (Item::Person(person), "PractitionerRole:practitioner") => {
                person.activities().take(most).map(Item::Role).collect()
            }
            (Item::Place(place), "PractitionerRole:organization") => {
                place.activities().take(most).map(Item::Role).collect()
            }
            (Item::Place(place), "HealthcareService:organization") => self.services(place).take(most).collect(),
            _ => Vec::new(),
        }
    }
}

/// Whether an item has anything where a parameter looks.
pub(super) fn has(item: &Item<'_>, what: What, renderer: &Renderer<'_>) -> bool {
    match what {
        What::Names(_) | What::Place(_) | What::ServiceName => !item.texts(what).is_empty(),
        What::Phonetic => item.person().is_some_and(|person| !person.family().is_empty()),
        What::CardNumber | What::CardType => item.person().is_some_and(|person| shown_cards(&person).next().is_some()),
        What::PartOf => matches!(item, Item::Place(place) if !place.entity_finess().is_empty()),
        What::Organization => !item.places().is_empty(),
        What::Identifier => match item {
            Item::Person(_) | Item::Role(_) => true,
            Item::Place(place) => place.id().is_some() || !place.technical_id().is_empty(),
            Item::Service(_) => false,
        },
        What::Profile => renderer.settings.profiles && !item.kind().profiles().is_empty(),
        What::Unheld => false,
        _ => true,
    }
}

/// The cards that are shown. When a card was opposed is for those who have access to restricted data (as-dr-practitioner);
/// without it, one that is opposed would look like one that is good.
fn shown_cards<'g>(person: &Person<'g>) -> impl Iterator<Item = Card<'g>> {
    person.cards().filter(|card| !card.opposed())
}

fn reference_to(place: &Structure<'_>) -> Value {
    json!({"reference": format!("Organization/{}", ids::place(place)), "display": place.display_name()})
}

fn identifier(system: &str, value: &str, types: &str, code: &str) -> Value {
    json!({"use": "official", "system": system, "value": value, "type": {"coding": [{"system": types, "code": code}]}})
}

fn codes(codings: &[Coding<'_>]) -> Vec<Value> {
    let one = |coding: &Coding<'_>| {
        let mut fields = Map::new();
        put(&mut fields, "system", coding.system);
        put(&mut fields, "code", coding.code);
        put(&mut fields, "display", coding.label);
        Value::Object(fields)
    };
    codings.iter().map(one).collect()
}

fn concept(coding: &Coding<'_>) -> Value {
    json!({"coding": codes(std::slice::from_ref(coding))})
}

fn texts(all: &[&str]) -> Vec<Value> {
    all.iter().filter(|text| !text.is_empty()).map(|text| Value::from(*text)).collect()
}

/// An element, unless it is the empty text: FHIR has no empty elements.
fn put(fields: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    let value = value.into();
    if value != "" {
        fields.insert(name.into(), value);
    }
}

/// A repeating element, unless it is empty.
fn list(fields: &mut Map<String, Value>, name: &str, values: Vec<Value>) {
    if !values.is_empty() {
        fields.insert(name.into(), Value::Array(values));
    }
}
