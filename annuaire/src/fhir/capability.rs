//! The CapabilityStatement, written from the router's own table.

use serde_json::{Value, json};

use super::{
    Asked,
    patch::PATCHED,
    table::{COMMON, Kind, Param, RESULT},
};

/// What this server does.
pub(super) fn statement(asked: &Asked<'_>) -> Value {
    let resources: Vec<Value> = Kind::ALL.into_iter().map(|kind| resource(asked, kind)).collect();
    let results: Vec<Value> =
        RESULT.iter().map(|(name, doc)| json!({"name": name, "type": "special", "documentation": doc})).collect();
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": asked.view.current().data_as_of().rfc3339(),
        "kind": "instance",
        "software": {"name": "Sceau", "version": env!("CARGO_PKG_VERSION")},
        "implementation": {
            "description": "Annuaire des professionnels de santé, copie locale des extractions nationales",
            "url": asked.base,
        },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [{
            "mode": "server",
            "documentation": "Unknown parameters are refused unless Prefer: handling=lenient. A comma means or, a \
                              repeated parameter and; \\, is a comma. Pages are of one generation.",
            "resource": resources,
            "searchParam": results,
            "interaction": [{"code": "history-system"}],
            "operation": [{
                "name": "export",
                "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export",
            }],
        }],
    })
}

fn resource(asked: &Asked<'_>, kind: Kind) -> Value {
    let profiles = if asked.settings.profiles { kind.profiles() } else { &[] };
    let parameters: Vec<Value> = COMMON.iter().chain(kind.params()).map(parameter).collect();
    let patched = asked.publication.is_some() && PATCHED.contains(&kind);
    let interactions = ["read", "vread", "search-type", "history-type", "history-instance"].into_iter();
    let interactions: Vec<Value> =
        interactions.chain(patched.then_some("patch")).map(|code| json!({"code": code})).collect();
    let mut value = json!({
        "type": kind.name(),
        "documentation": documentation(kind),
        "interaction": interactions,
        "versioning": "versioned",
        "readHistory": true,
        "conditionalRead": "not-match",
        "referencePolicy": ["literal", "logical"],
        "searchParam": parameters,
    });
    let Some(fields) = value.as_object_mut() else { return value };
    if let Some(profile) = profiles.first() {
        fields.insert("profile".into(), json!(profile));
        fields.insert("supportedProfile".into(), json!(profiles));
    }
    for (name, list) in [("searchInclude", kind.includes()), ("searchRevInclude", kind.reverse_includes())] {
        if !list.is_empty() {
            fields.insert(name.into(), list.iter().copied().chain(["*"]).collect());
        }
    }
    value
}

/// What the statement has no element for.
fn documentation(kind: Kind) -> String {
    let has = match kind {
        Kind::Practitioner => " _has:PractitionerRole:practitioner:… asks of activities.",
        Kind::Organization => {
            " _has:PractitionerRole:organization:…, _has:HealthcareService:organization:… and _has:Organization:partof:… \
             ask of what refers to a structure."
        }
        _ => "",
    };
    format!("Keys of _sort: {}.{has}", kind.sorts().join(", "))
}

fn parameter(param: &Param) -> Value {
    let modifiers = match param.modifiers() {
        [] => String::new(),
        some => format!(" Modifiers: :{}.", some.join(", :")),
    };
    json!({
        "name": param.name,
        "type": param.r#type.name(),
        "documentation": format!("{}{modifiers}", param.doc),
    })
}
