//! FHIRPath Patch (R4, fhirpatch §3.2.0.6), as far as mailboxes need it: `telecom` is inserted, replaced and deleted, and
//! the parts of one that may change are replaced alone.

use ident::Address;
use serde_json::Value;

use crate::{
    MailboxType,
    fhir::{
        outcome::{Problem, shown},
        table::Kind,
    },
};

/// Most operations of one request.
pub(super) const MAX_OPERATIONS: usize = 200;
/// Longest description, service or name of who answers for it, in characters.
const MAX_TEXT: usize = 200;

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    /// A mailbox more.
    Insert(Said),
    /// Another description of a mailbox.
    Replace(Address, Said),
    /// One part of its description.
    Set(Address, Part),
    /// It is no more.
    Delete(Address),
}

/// One part of a mailbox's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    RedList(bool),
    Rank(u32),
    Description(String),
    Service(String),
    Responsible(String),
}

/// A mailbox, as a `telecom` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) address: Address,
    pub(super) kind: Option<MailboxType>,
    pub(super) parts: Vec<Part>,
}

/// Where an operation points to.
struct Path {
    /// The address in `where(value='…')`.
    address: Option<Address>,
    /// The name of a part behind it.
    part: Option<String>,
}

fn wrong(fr: impl Into<String>, en: impl Into<String>) -> Problem {
    Problem::bad("invalid", fr, en)
}

/// Reads the body of a PATCH of a resource of this kind.
pub(super) fn read(kind: Kind, body: &[u8]) -> Result<Vec<Operation>, Problem> {
    let not = || {
        wrong(
            "Attendu une ressource Parameters (FHIRPath Patch) en JSON.",
            "A Parameters resource (FHIRPath Patch) in JSON is expected.",
        )
    };
    let value: Value = serde_json::from_slice(body).map_err(|_| not())?;
    let all = value.get("parameter").and_then(Value::as_array);
    let all = all.filter(|_| value.get("resourceType").is_some_and(|it| it == "Parameters")).ok_or_else(not)?;
    if all.is_empty() || all.len() > MAX_OPERATIONS {
        return Err(wrong(
            format!("Attendu entre 1 et {MAX_OPERATIONS} opérations."),
            format!("Between 1 and {MAX_OPERATIONS} operations are expected."),
        ));
    }
    all.iter().map(|parameter| one(kind, parameter)).collect()
}

fn one(kind: Kind, parameter: &Value) -> Result<Operation, Problem> {
    let parts = parameter.get("part").and_then(Value::as_array);
    let parts = parts.filter(|_| parameter.get("name").is_some_and(|it| it == "operation")).ok_or_else(|| {
        wrong(
            "Attendu un paramètre « operation » avec ses parties.",
            "A parameter “operation” with its parts is expected.",
        )
    })?;
    let part = |name: &str| parts.iter().find(|part| part.get("name").is_some_and(|own| own == name));
    let text = |name: &str| part(name).and_then(|part| value_of(part)).and_then(Value::as_str);
    let (operation, path) = (text("type").unwrap_or_default(), text("path").unwrap_or_default());
    let unknown = || {
        let (operation, path) = (shown(operation), shown(path));
        Problem::bad(
            "not-supported",
            format!(
                "Opération « {operation} » sur « {path} » impossible ici : insert sur {0}.telecom ; replace et delete sur \
                 {0}.telecom.where(value='adresse').",
                kind.name()
            ),
            format!(
                "The operation “{operation}” on “{path}” is impossible here: insert on {0}.telecom; replace and delete on \
                 {0}.telecom.where(value='address').",
                kind.name()
            ),
        )
    };
    let adds = operation == "add" && path == kind.name() && text("name") == Some("telecom");
    let parsed = if adds { Path { address: None, part: None } } else { read_path(kind, path).ok_or_else(unknown)? };
    let value = part("value").and_then(value_of);
    match (operation, parsed) {
        ("insert" | "add", Path { address: None, part: None }) => Ok(Operation::Insert(said(value)?)),
        ("replace", Path { address: Some(address), part: None }) => Ok(Operation::Replace(address, said(value)?)),
        ("replace", Path { address: Some(address), part: Some(name) }) => {
            let part = value.and_then(|value| one_part(&name, value));
            Ok(Operation::Set(address, part.ok_or_else(unknown)?))
        }
        ("delete", Path { address: Some(address), part: None }) => Ok(Operation::Delete(address)),
        _ => Err(unknown()),
    }
}

/// The `value[x]` of a part.
fn value_of(part: &Value) -> Option<&Value> {
    part.as_object()?.iter().find(|(name, _)| name.starts_with("value")).map(|(_, value)| value)
}

/// Reads `Practitioner.telecom.where(value='a@b').extension.where(url='…').extension.where(url='listeRouge').value`.
fn read_path(kind: Kind, path: &str) -> Option<Path> {
    let rest = path.trim().strip_prefix(kind.name())?.strip_prefix(".telecom")?;
    if rest.is_empty() {
        return Some(Path { address: None, part: None });
    }
    let mut rest = rest.strip_prefix(".where(")?;
    let mut address = None;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = text(after.trim_start().strip_prefix('\'')?)?;
        match name.trim() {
            "value" => address = Some(Address::parse(&value).ok()?),
            "system" if value == "email" => {}
            _ => return None,
        }
        let after = after.trim_start();
        match after.strip_prefix("and ") {
            Some(more) => rest = more,
            None => {
                rest = after.strip_prefix(')')?;
                break;
            }
        }
    }
    let address = Some(address?);
    if rest.is_empty() {
        return Some(Path { address, part: None });
    }
    if rest == ".rank" {
        return Some(Path { address, part: Some("rank".to_owned()) });
    }
    let inner = rest.strip_prefix(".extension")?.strip_suffix(".value")?;
    // The last quoted text: the name of the part in the extension of mailboxes.
    let mut quoted = inner.split('\'').skip(1).step_by(2);
    let (outer, name) = (quoted.next()?, quoted.next()?);
    let known = outer.ends_with("as-ext-mailbox-mss-metadata") && quoted.next().is_none();
    known.then(|| Path { address, part: Some(name.to_owned()) })
}

/// A text up to its quote, and what follows: `\'` and `\\` stand for the character behind (FHIRPath, literals).
fn text(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((_, character)) = characters.next() {
        match character {
            '\'' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next().map(|(_, escaped)| escaped).filter(|it| "'\\\"`/".contains(*it))?),
            other => value.push(other),
        }
    }
    None
}

/// A part by its name in the extension.
fn one_part(name: &str, value: &Value) -> Option<Part> {
    let text = || value.as_str().map(|text| text.trim().chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect());
    match name {
        "listeRouge" => value.as_bool().map(Part::RedList),
        "rank" => value.as_u64().and_then(|rank| u32::try_from(rank).ok()).filter(|rank| *rank > 0).map(Part::Rank),
        "description" => text().map(Part::Description),
        "service" => text().map(Part::Service),
        "responsible" => text().map(Part::Responsible),
        _ => None,
    }
}

/// A mailbox from a ContactPoint (mssante reference §9).
fn said(value: Option<&Value>) -> Result<Said, Problem> {
    let contact = value.and_then(Value::as_object).ok_or_else(|| {
        wrong("Attendu « value » avec un valueContactPoint.", "“value” with a valueContactPoint is expected.")
    })?;
    let text = contact.get("value").and_then(Value::as_str).unwrap_or_default();
    let email = contact.get("system").is_some_and(|system| system == "email");
    let address = Address::parse(text).ok().filter(|_| email).ok_or_else(|| {
        wrong(
            format!("« {} » n'est pas l'adresse d'une messagerie (system: email).", shown(text)),
            format!("“{}” is not the address of a mailbox (system: email).", shown(text)),
        )
    })?;
    let mut said = Said { address, kind: None, parts: Vec::new() };
    said.parts.extend(contact.get("rank").and_then(|rank| one_part("rank", rank)));
    let extensions = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let metadata =
        |it: &Value| it.get("url").and_then(Value::as_str).is_some_and(|url| url.ends_with("mailbox-mss-metadata"));
    for part in extensions(contact.get("extension"))
        .iter()
        .filter(|it| metadata(it))
        .flat_map(|it| extensions(it.get("extension")))
    {
        let name = part.get("url").and_then(Value::as_str).unwrap_or_default();
        let Some(value) = value_of(&part) else { continue };
        if name == "type" {
            said.kind = Some(kind_of(value).ok_or_else(|| {
                wrong("Type de boîte inconnu : PER, ORG, APP ou CAB.", "Unknown type of mailbox: PER, ORG, APP or CAB.")
            })?);
            continue;
        }
        let known = one_part(name, value).ok_or_else(|| {
            wrong(
                format!("Partie « {} » inconnue ou mal écrite.", shown(name)),
                format!("The part “{}” is unknown or badly written.", shown(name)),
            )
        })?;
        said.parts.push(known);
    }
    Ok(said)
}

/// The guide writes a CodeableConcept, its examples a code; some carry the system of kinds of messaging (annuaire
/// reference §3.4): only the code counts.
fn kind_of(value: &Value) -> Option<MailboxType> {
    let concept = value.get("coding").and_then(|codings| codings.get(0)).and_then(|coding| coding.get("code"));
    let code = value
        .as_str()
        .or_else(|| concept.and_then(Value::as_str))
        .or_else(|| value.get("code").and_then(Value::as_str));
    code.and_then(MailboxType::parse)
}
