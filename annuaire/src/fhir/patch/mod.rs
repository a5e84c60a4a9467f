//! PATCH: operators publish their mailboxes (annuaire reference §3.6; mssante reference BAL-1 to BAL-5, FHIR-7). What comes
//! of it is handed back as facts ([`Publishing`]): whoever keeps them makes them durable before the answer goes out.

mod operations;

use http::{HeaderMap, StatusCode, header};
use ident::{Address, Domain, StructureId};
use serde_json::Value;

use self::operations::{Operation, Part, Said};
use super::{
    Answered, Asked,
    criteria::{Criteria, Plan},
    ids,
    item::Item,
    outcome::{Problem, shown},
    params::Parameter,
    read::{etag, missing},
    render::Renderer,
    table::Kind,
    text,
    token::Position,
    walk::Walk,
};
use crate::{MailboxType, Published, PublishedMailbox, Registry, published::MAX_PUBLISHED};

/// Who may publish, and for which domains.
#[derive(Debug, Clone, Copy)]
pub struct Publisher<'a> {
    /// The structure that its certificate speaks for.
    pub structure: &'a StructureId,
    /// The domains of its mailboxes.
    pub domains: &'a [Domain],
}

/// Whether this directory takes what operators publish, and from whom the request comes.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// What was published so far.
    pub so_far: &'a Published,
    /// Who asks, where it is one who may.
    pub publisher: Option<Publisher<'a>>,
}

/// What a response asks to be kept, among its extensions: it holds only once that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publishing(pub Vec<PublishedMailbox>);

/// Kinds of resource that mailboxes hang on.
pub(super) const PATCHED: [Kind; 3] = [Kind::Practitioner, Kind::PractitionerRole, Kind::Organization];

/// What PATCH is done to: an id, or the one resource that the parameters find.
pub(super) enum Target<'t> {
    Id(&'t str),
    Found(Vec<Parameter>),
}

/// Answers a PATCH.
pub(super) fn patch(
    asked: &Asked<'_>,
    (kind, target): (Kind, Target<'_>),
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Answered, Problem> {
    let Some(publication) = asked.publication.filter(|_| PATCHED.contains(&kind)) else { return Err(super::no_such()) };
    let publisher = publication.publisher.ok_or_else(|| {
        Problem::with(
            StatusCode::FORBIDDEN,
            "forbidden",
            "Publier ici demande le certificat d'une structure que l'exploitant a autorisée.",
            "Publishing here takes the certificate of a structure that the operator allows.",
        )
    })?;
    let media = text(headers, "content-type").split(';').next().unwrap_or_default().trim().to_lowercase();
    if !["application/fhir+json", "application/json"].contains(&media.as_str()) {
        return Err(Problem::with(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-supported",
            "Un PATCH se fait ici avec « Content-Type: application/fhir+json » (FHIRPath Patch).",
            "A PATCH is sent here with “Content-Type: application/fhir+json” (FHIRPath Patch).",
        ));
    }
    let renderer = asked.renderer(None)?;
    let item = match target {
        Target::Id(id) => ids::find(renderer.generation, id, asked.work)
            .filter(|item| item.kind() == kind)
            .ok_or_else(|| missing(asked, kind, id))?,
        Target::Found(parameters) => found(asked, kind, &parameters)?,
    };
    let wanted = text(headers, "if-match");
    if !wanted.is_empty() && wanted != "*" && wanted != etag(&asked.resource(&renderer, &item)) {
        return Err(Problem::with(
            StatusCode::PRECONDITION_FAILED,
            "conflict",
            "La ressource a changé depuis cette version : relisez-la.",
            "The resource has changed since that version: read it again.",
        ));
    }
    let mut desk = Desk { renderer, item, publisher, now: publication.so_far.clone(), changed: Vec::new() };
    for operation in operations::read(kind, body)? {
        desk.take(operation)?;
    }
    let changed = desk.changed;
    // What is said now stands for what was said, of which the registry knows already.
    let registry = asked.registry.unwrap_or(&Registry::default()).with(&desk.now.registry());
    let after = Renderer { registry: Some(&registry), ..renderer };
    let resource = after_resource(asked, &after, &item);
    let mut answered = Answered::resource(StatusCode::OK, resource.0).of_generation(renderer.generation);
    answered.header(header::ETAG.as_str(), &resource.1);
    answered.publishing = Some(Publishing(changed));
    Ok(answered.told("publish", 1))
}

fn after_resource<'g>(asked: &Asked<'g>, renderer: &Renderer<'g>, item: &Item<'g>) -> (Value, String) {
    let resource = asked.resource(renderer, item);
    let tag = etag(&resource);
    (Value::Object(resource), tag)
}

/// The one resource of a conditional PATCH: 404 for none, 412 for several (R4, http §3.1.0.8).
fn found<'g>(asked: &Asked<'g>, kind: Kind, parameters: &[Parameter]) -> Result<Item<'g>, Problem> {
    let criteria = Criteria { renderer: asked.renderer(None)?, view: asked.view, kind };
    let mut plan = Plan::default();
    if parameters.is_empty() || parameters.iter().any(|parameter| parameter.name != "identifier") {
        return Err(Problem::bad(
            "not-supported",
            "Un PATCH conditionnel se fait par « identifier ».",
            "A conditional PATCH goes by “identifier”.",
        ));
    }
    for parameter in parameters {
        criteria.add(parameter, &mut plan)?;
    }
    let walked = Walk::new(&criteria, &plan).page(Position::default(), 2);
    let items = walked.map_err(|spent| spent.problem(parameters))?.items;
    match items.as_slice() {
        [(item, _)] => Ok(*item),
        [] => Err(Problem::with(
            StatusCode::NOT_FOUND,
            "not-found",
            "Aucune ressource ne porte cet identifiant.",
            "No resource has this identifier.",
        )),
        _ => Err(Problem::with(
            StatusCode::PRECONDITION_FAILED,
            "multiple-matches",
            "Plusieurs ressources portent cet identifiant : nommez-la par son id.",
            "Several resources have this identifier: name it by its id.",
        )),
    }
}

/// One request being worked off.
struct Desk<'a, 'g> {
    renderer: Renderer<'g>,
    item: Item<'g>,
    publisher: Publisher<'a>,
    now: Published,
    changed: Vec<PublishedMailbox>,
}

fn rule(fr: impl Into<String>, en: impl Into<String>) -> Problem {
    Problem::bad("business-rule", fr, en)
}

impl Desk<'_, '_> {
    fn take(&mut self, operation: Operation) -> Result<(), Problem> {
        let mailbox = match operation {
            Operation::Insert(said) => self.insert(said)?,
            Operation::Replace(address, said) => {
                if address.key() != said.address.key() {
                    return Err(rule(
                        "L'adresse d'une boîte ne change pas : supprimez-la et créez-en une autre.",
                        "The address of a mailbox does not change: delete it and insert another.",
                    ));
                }
                let known = self.here(&address)?;
                let bare = PublishedMailbox {
                    red_list: false,
                    rank: None,
                    description: None,
                    service: None,
                    responsible: None,
                    ..known
                };
                described(bare, said)?
            }
            Operation::Set(address, part) => with(self.here(&address)?, part)?,
            Operation::Delete(address) => PublishedMailbox { closed: true, ..self.here(&address)? },
        };
        if self.now.get(&mailbox.address).is_none() && self.now.len() >= MAX_PUBLISHED {
            return Err(Problem::with(
                StatusCode::INSUFFICIENT_STORAGE,
                "too-costly",
                "Cet annuaire n'accepte plus de boîtes.",
                "This directory takes no more mailboxes.",
            ));
        }
        self.now.take(mailbox.clone());
        self.changed.push(mailbox);
        Ok(())
    }

    fn insert(&self, said: Said) -> Result<PublishedMailbox, Problem> {
        self.allowed(&said.address)?;
        if let Some(known) = self.known(&said.address).filter(|known| !known.closed) {
            // Said again, it is an update; of somebody else's mailbox it is not.
            return if self.belongs(&known) { described(known, said) } else { Err(taken(&said.address)) };
        }
        let kind = said.kind.ok_or_else(|| {
            rule(
                "Une nouvelle boîte a un type : PER, ORG, APP ou CAB.",
                "A new mailbox has a type: PER, ORG, APP or CAB.",
            )
        })?;
        let of_person = matches!(kind, MailboxType::Personal | MailboxType::Practice);
        let (owner, structure) = self.holder();
        if of_person != owner.is_some() || (owner.is_none() && structure.is_none()) {
            return Err(rule(
                "PER et CAB se publient sur une personne ou son activité, ORG et APP sur une structure.",
                "PER and CAB are published on a person or an activity, ORG and APP on a structure.",
            ));
        }
        let bare = PublishedMailbox {
            address: said.address.clone(),
            kind,
            owner,
            structure,
            red_list: false,
            rank: None,
            description: None,
            service: None,
            responsible: None,
            closed: false,
            by: self.publisher.structure.clone(),
        };
        described(bare, said)
    }

    /// Whose mailboxes the resource shows.
    fn holder(&self) -> (Option<ident::PersonId>, Option<StructureId>) {
        match &self.item {
            Item::Person(person) => (person.id(), None),
            Item::Role(activity) => (activity.person().id(), activity.structure().and_then(|place| place.id())),
            Item::Place(place) => (None, place.id()),
            Item::Service(_) => (None, None),
        }
    }

    /// A mailbox under the resource, which the publisher may speak of.
    fn here(&self, address: &Address) -> Result<PublishedMailbox, Problem> {
        self.allowed(address)?;
        let known = self.known(address).filter(|known| !known.closed && self.belongs(known));
        known.ok_or_else(|| {
            let text = shown(&address.to_string());
            Problem::bad(
                "not-found",
                format!("La boîte « {text} » n'est pas sous cette ressource."),
                format!("The mailbox “{text}” is not under this resource."),
            )
        })
    }

    fn allowed(&self, address: &Address) -> Result<(), Problem> {
        if self.publisher.domains.contains(address.domain()) {
            return Ok(());
        }
        let domain = shown(&address.domain().to_string());
        Err(Problem::with(
            StatusCode::FORBIDDEN,
            "forbidden",
            format!("Vous ne publiez pas pour le domaine « {domain} »."),
            format!("You do not publish for the domain “{domain}”."),
        ))
    }

    fn belongs(&self, known: &PublishedMailbox) -> bool {
        let (owner, structure) = self.holder();
        match &self.item {
            Item::Person(_) => owner.is_some() && known.owner == owner,
            Item::Role(_) => owner.is_some() && known.owner == owner && known.structure == structure,
            _ => known.owner.is_none() && structure.is_some() && known.structure == structure,
        }
    }

    /// What is known of an address: published before, else from the extracts.
    fn known(&self, address: &Address) -> Option<PublishedMailbox> {
        if let Some(known) = self.now.get(address) {
            return Some(PublishedMailbox { by: self.publisher.structure.clone(), ..known.clone() });
        }
        let listed = self.renderer.generation.mailbox(address)?;
        Some(PublishedMailbox {
            address: address.clone(),
            kind: listed.kind(),
            owner: listed.people().next().and_then(|person| person.id()),
            structure: listed.structures().next().and_then(|place| place.id()),
            red_list: false,
            rank: None,
            description: None,
            service: Some(listed.service().to_owned()).filter(|service| !service.is_empty()),
            responsible: None,
            closed: false,
            by: self.publisher.structure.clone(),
        })
    }
}

fn taken(address: &Address) -> Problem {
    let text = shown(&address.to_string());
    Problem::with(
        StatusCode::CONFLICT,
        "duplicate",
        format!("La boîte « {text} » existe déjà sous une autre ressource."),
        format!("The mailbox “{text}” exists already under another resource."),
    )
}

/// A mailbox with the parts that are said of it.
fn described(mut mailbox: PublishedMailbox, said: Said) -> Result<PublishedMailbox, Problem> {
    if said.kind.is_some_and(|kind| kind != mailbox.kind) {
        return Err(rule(
            "Le type d'une boîte ne change pas : supprimez-la et créez-en une autre.",
            "The type of a mailbox does not change: delete it and insert another.",
        ));
    }
    for part in said.parts {
        mailbox = with(mailbox, part)?;
    }
    Ok(mailbox)
}

/// One part changed, where mailboxes of the kind have it (annuaire reference §3.6).
fn with(mailbox: PublishedMailbox, part: Part) -> Result<PublishedMailbox, Problem> {
    let shared = mailbox.kind != MailboxType::Personal;
    let of_structure = matches!(mailbox.kind, MailboxType::Organisation | MailboxType::Application);
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    match part {
        Part::RedList(red_list) => Ok(PublishedMailbox { red_list, ..mailbox }),
        Part::Rank(rank) => Ok(PublishedMailbox { rank: Some(rank), ..mailbox }),
        Part::Description(text) if shared => Ok(PublishedMailbox { description: some(text), ..mailbox }),
        Part::Service(text) if of_structure => Ok(PublishedMailbox { service: some(text), ..mailbox }),
        Part::Responsible(text) if of_structure => Ok(PublishedMailbox { responsible: some(text), ..mailbox }),
        Part::Description(_) | Part::Service(_) | Part::Responsible(_) => Err(rule(
            "Une boîte de ce type n'a pas cette partie : description pour ORG, APP, CAB ; service et responsible pour ORG, APP.",
            "A mailbox of this type has no such part: description for ORG, APP, CAB; service and responsible for ORG, APP.",
        )),
    }
}
