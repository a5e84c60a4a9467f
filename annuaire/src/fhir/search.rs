//! A search: its parameters, its page, its bundle.

use std::collections::BTreeSet;

use http::StatusCode;
use openssl::sha::sha256;
use serde_json::{Map, Value, json};

use super::{
    Answered, Asked, awaited,
    budget::{Spent, counted, entry},
    criteria::{Criteria, Plan},
    expired, ids,
    item::Item,
    links::{self, Came},
    outcome::{Issue, Problem, outcome, shown},
    params::{Parameter, encoded},
    render::Renderer,
    sort,
    table::{Kind, RESULT},
    token::{PageToken, Position},
    walk::{TotalMode, Walk},
};
use crate::{MatchKind, answer::Shown, generation::hex};

/// Resources on a page unless the client says another number.
pub const PAGE: usize = 50;
/// Most resources on a page.
pub const MAX_PAGE: usize = 500;
/// Most resources that come along with a page.
pub const MAX_INCLUDED: usize = 2000;
/// Most parameters that are left out and named; of more, how many.
const MAX_NAMED: usize = 8;
/// Most values of `_elements`, and of `_include` and `_revinclude` together.
const MAX_LISTED: usize = 32;

/// Which elements of a resource are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Elements {
    /// Only these, and what is mandatory.
    only: Option<Vec<String>>,
}

/// How the answer is to look.
#[derive(Debug, Clone)]
struct Form {
    count: usize,
    total: TotalMode,
    elements: Elements,
    includes: Vec<String>,
    reverse: Vec<String>,
    sort: Vec<sort::Key>,
    page: Option<String>,
}

impl Elements {
    /// Reads `_summary` and `_elements`.
    pub(super) fn read(parameters: &[Parameter], kind: Kind) -> Result<Self, Problem> {
        let mut only: Option<Vec<String>> = None;
        for parameter in parameters {
            match (parameter.name.as_str(), parameter.raw.as_str()) {
                ("_summary", "true") => only = Some(kind.summary().iter().map(|name| (*name).to_owned()).collect()),
                ("_summary", "text") => only = Some(vec!["text".to_owned()]),
                ("_summary", "data" | "false" | "count") => {}
                ("_summary", _) => {
                    return Err(parameter.wrong(
                        "attendu true, text, data, count ou false.",
                        "true, text, data, count or false is expected.",
                    ));
                }
                ("_elements", list) => {
                    let own = |name: &str| match name.split_once('.') {
                        Some((of, element)) if of == kind.name() => element.to_owned(),
                        _ => name.to_owned(),
                    };
                    only = Some(list.split(',').take(MAX_LISTED).map(|name| own(name.trim())).collect());
                }
                _ => {}
            }
        }
        Ok(Self { only })
    }

    /// Leaves out what is not wanted, and says so in the resource.
    pub(super) fn cut(&self, kind: Kind, resource: &mut Map<String, Value>) {
        let Some(only) = &self.only else { return };
        let kept = |name: &str| {
            ["resourceType", "id", "meta"].contains(&name)
                || kind.mandatory().contains(&name)
                || only.iter().any(|own| own == name)
        };
        resource.retain(|name, _| kept(name));
        let tag = json!({"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"});
        if let Some(meta) = resource.get_mut("meta").and_then(Value::as_object_mut) {
            meta.insert("tag".into(), json!([tag]));
        }
    }
}

/// Answers a search for one kind of resource.
pub(super) fn search(asked: &Asked<'_>, kind: Kind, parameters: Vec<Parameter>) -> Result<Answered, Problem> {
    let (parameters, came) = links::came(asked, parameters)?;
    answer(asked, kind, parameters, came)
}

/// Answers a search that came in a form: nothing of it stands in an address that we write.
pub(super) fn posted(asked: &Asked<'_>, kind: Kind, parameters: Vec<Parameter>) -> Result<Answered, Problem> {
    let (parameters, _) = links::came(asked, parameters)?;
    answer(asked, kind, parameters, Came::Hidden)
}

fn answer(asked: &Asked<'_>, kind: Kind, parameters: Vec<Parameter>, came: Came) -> Result<Answered, Problem> {
    let mut issues = Vec::new();
    let parameters = understood(asked, kind, parameters, &mut issues)?;
    let form = form(kind, &parameters)?;
    counted(&parameters)?;
    let canonical = canonical(&parameters);
    let question = digest(kind, &canonical);
    let token = form.page.as_deref().map(|page| opened(asked, kind, page, &question)).transpose()?;
    let renderer = asked.renderer(token.as_ref().map(|token| token.generation.as_str()))?;
    // When something changed is asked of the generations that are kept now: it was another question before.
    let of_time =
        |parameter: &Parameter| parameter.sent.contains("_lastUpdated") || parameter.raw.contains("_lastUpdated");
    let newest = asked.view.newest();
    let mut edition = 0;
    if parameters.iter().any(of_time) {
        edition = newest.ok_or_else(awaited)?.seconds();
        if token.as_ref().is_some_and(|token| token.edition != edition) {
            return Err(expired());
        }
    }
    let criteria = Criteria { renderer, view: asked.view, kind };
    let mut plan = Plan::default();
    let at = token.as_ref().map_or_else(Position::default, |token| token.at);
    // What is shown must be written, too: that much is kept back, and a page is no longer than it.
    let most = (asked.work.left() / 2).checked_div(entry(kind)).and_then(|most| usize::try_from(most).ok());
    let count = form.count.min(most.unwrap_or(usize::MAX).max(1));
    let (walked, mut total) = asked.work.leaving(cost_of(count, kind), || {
        for parameter in parameters.iter().filter(|parameter| !is_result(&parameter.name)) {
            criteria.add(parameter, &mut plan)?;
        }
        let walk = Walk::new(&criteria, &plan);
        let spent = |spent: Spent| spent.problem(&parameters);
        Ok(match (&token, form.sort.is_empty()) {
            (_, false) => {
                let (walked, total) = sort::page(&walk, &form.sort, (&renderer, asked.view), at, count)?;
                (walked, Some(total))
            }
            (Some(token), true) => (walk.page(at, count).map_err(spent)?, token.total),
            (None, true) => {
                let (page, total) = (walk.page(at, count).map_err(spent)?, walk.total(form.total));
                // Whoever asks for the number gets it, or is told why not: nobody takes its absence for none.
                if total.is_none() && form.total == TotalMode::Accurate {
                    return Err(Spent.problem(&parameters));
                }
                (page, total)
            }
        })
    })?;
    total = total.filter(|_| form.total != TotalMode::No);
    if walked.cut {
        issues.push(Issue::warning(
            "too-costly",
            "Question trop large pour une réponse entière : précisez-la (commune, profession, nom plus long).",
            "The question is too wide to be answered whole: refine it (town, profession, longer name).",
        ));
    }
    gone(&renderer, &plan, walked.items.is_empty() && at == Position::default(), &mut issues);
    let next = walked.next.filter(|_| form.count > 0).and_then(|at| {
        let token = PageToken {
            of: kind.name().into(),
            generation: renderer.generation.id().into(),
            edition,
            question,
            at,
            total,
        };
        token.seal(asked.keys)
    });
    let mut shown_items: BTreeSet<(Kind, u32)> =
        walked.items.iter().map(|(item, _)| (item.kind(), item.row())).collect();
    let mut entries: Vec<Value> = Vec::new();
    for (item, found) in &walked.items {
        entries.push(asked.entry(&renderer, item, &form.elements, search_part("match", Some(*found))));
    }
    let matches = walked.items.len();
    let included = included(&renderer, &form, &walked.items, &mut shown_items, &mut issues);
    entries.extend(
        included.iter().map(|item| asked.entry(&renderer, item, &Elements::default(), search_part("include", None))),
    );
    if !issues.is_empty() {
        entries.push(json!({"resource": outcome(&issues), "search": {"mode": "outcome"}}));
    }
    let base = format!("{}/{}", asked.base, kind.name());
    let mut links = vec![json!({"relation": "self", "url": links::open(&base, &canonical, form.page.as_deref())})];
    if let Some(next) = next {
        links.push(json!({"relation": "next", "url": links::next(asked, came, &base, &canonical, &next)?}));
    }
    let mut bundle = json!({"resourceType": "Bundle", "type": "searchset", "link": links});
    if let Some(fields) = bundle.as_object_mut() {
        fields.insert("meta".into(), asked.bundle_meta(renderer.generation));
        total.into_iter().for_each(|total| drop(fields.insert("total".into(), total.into())));
        if !entries.is_empty() {
            fields.insert("entry".into(), Value::Array(entries));
        }
    }
    let shown = matches.saturating_add(included.len());
    Ok(Answered::resource(StatusCode::OK, bundle).of_generation(renderer.generation).told(kind.name(), shown))
}

/// What so many resources of a kind cost to write.
fn cost_of(count: usize, kind: Kind) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(entry(kind))
}

fn is_result(name: &str) -> bool {
    RESULT.iter().any(|(own, _)| *own == name)
}

/// Parameters that are known. Others are refused, or left out and named, as the client prefers (FHIR R4, http §2.21).
fn understood(
    asked: &Asked<'_>,
    kind: Kind,
    parameters: Vec<Parameter>,
    issues: &mut Vec<Issue>,
) -> Result<Vec<Parameter>, Problem> {
    let renderer = asked.renderer(None)?;
    let criteria = Criteria { renderer, view: asked.view, kind };
    let (mut known, mut more) = (Vec::new(), 0usize);
    for parameter in parameters {
        let empty = asked.lenient && parameter.raw.trim().is_empty();
        if !empty && (is_result(&parameter.name) || criteria.knows(&parameter.name)) {
            known.push(parameter);
            continue;
        }
        let name = shown(&parameter.sent);
        if !asked.lenient {
            return Err(Problem::bad(
                "not-supported",
                format!(
                    "Le paramètre « {name} » n'existe pas pour {} ; voir {}/metadata, ou demandez « Prefer: handling=lenient ».",
                    kind.name(),
                    asked.base
                ),
                format!(
                    "There is no parameter “{name}” of {}; see {}/metadata, or send “Prefer: handling=lenient”.",
                    kind.name(),
                    asked.base
                ),
            )
            .about(&parameter.sent));
        }
        if issues.len() >= MAX_NAMED {
            more = more.saturating_add(1);
            continue;
        }
        let mut issue = Issue::warning(
            "not-supported",
            format!("Paramètre « {name} » inconnu ou vide : il n'a pas été tenu compte de lui."),
            format!("The parameter “{name}” is unknown or empty, and was left out."),
        );
        issue.parameter = Some(name);
        issues.push(issue);
    }
    if more > 0 {
        issues.push(Issue::warning(
            "not-supported",
            format!("Paramètres inconnus ou vides en plus : {more} ; il n'a pas été tenu compte d'eux."),
            format!("{more} more parameters are unknown or empty, and were left out."),
        ));
    }
    Ok(known)
}

fn form(kind: Kind, parameters: &[Parameter]) -> Result<Form, Problem> {
    let mut form = Form {
        count: PAGE,
        total: TotalMode::Free,
        elements: Elements::read(parameters, kind)?,
        includes: Vec::new(),
        reverse: Vec::new(),
        sort: Vec::new(),
        page: None,
    };
    for parameter in parameters {
        let raw = parameter.raw.as_str();
        match parameter.name.as_str() {
            "_count" => {
                let count: usize = raw
                    .parse()
                    .map_err(|_| parameter.wrong("attendu un nombre entier.", "a whole number is expected."))?;
                form.count = count.min(MAX_PAGE);
            }
            "_total" => {
                form.total = match raw {
                    "none" => TotalMode::No,
                    "estimate" => TotalMode::Free,
                    "accurate" => TotalMode::Accurate,
                    _ => {
                        return Err(parameter
                            .wrong("attendu none, estimate ou accurate.", "none, estimate or accurate is expected."));
                    }
                };
            }
            "_summary" if raw == "count" => (form.count, form.total) = (0, TotalMode::Accurate),
            "_include" => asked_for(parameter, kind.includes(), &mut form.includes)?,
            "_revinclude" => asked_for(parameter, kind.reverse_includes(), &mut form.reverse)?,
            "_sort" => form.sort = sort::read(parameter, kind)?,
            "_page" => form.page = Some(raw.to_owned()),
            _ => {}
        }
    }
    // A page of none is asked for its total.
    if form.count == 0 && form.total == TotalMode::Free {
        form.total = TotalMode::Accurate;
    }
    Ok(form)
}

/// The references that one `_include` or `_revinclude` means.
fn asked_for(parameter: &Parameter, known: &[&'static str], all: &mut Vec<String>) -> Result<(), Problem> {
    // `PractitionerRole:organization:Organization` names the target as well.
    let mut cut = parameter.raw.splitn(3, ':');
    let wanted = [cut.next(), cut.next()].into_iter().flatten().collect::<Vec<_>>().join(":");
    // What comes along may bring something along in turn, with :iterate: that of another kind, then.
    let iterates = parameter.name == "_include" && parameter.modifier.as_deref() == Some("iterate");
    let others = Kind::ALL.iter().filter(|_| iterates).flat_map(|kind| kind.includes());
    let known: Vec<&str> = known.iter().chain(others).copied().collect();
    let meant: Vec<&str> = known.iter().copied().filter(|name| wanted == "*" || *name == wanted).collect();
    for name in &meant {
        if !all.iter().any(|own| own == name) {
            all.push((*name).to_owned());
        }
    }
    if meant.is_empty() && wanted != "*" {
        let list = known.join(", ");
        return Err(match known.as_slice() {
            [] => parameter.wrong("rien ne s'inclut ici.", "there is nothing to include here."),
            _ => parameter.wrong(&format!("possibles : {list}."), &format!("there are: {list}.")),
        });
    }
    if all.len() > MAX_LISTED { Err(parameter.wrong("trop d'inclusions.", "too many includes.")) } else { Ok(()) }
}

fn included<'g>(
    renderer: &Renderer<'g>,
    form: &Form,
    items: &[(Item<'g>, MatchKind)],
    seen: &mut BTreeSet<(Kind, u32)>,
    issues: &mut Vec<Issue>,
) -> Vec<Item<'g>> {
    let mut all: Vec<Item<'g>> = Vec::new();
    let mut cut = false;
    // Whatever comes along must be written, too.
    let mut left = renderer.work.left();
    for (item, _) in items {
        let targets = form.includes.iter().filter_map(|include| renderer.target(item, include));
        let room = MAX_INCLUDED.saturating_sub(all.len()).saturating_add(1);
        let referrers = form.reverse.iter().flat_map(|include| renderer.referrers(item, include, room));
        let mut found: Vec<Item<'g>> = targets.chain(referrers).collect();
        let further: Vec<Item<'g>> = found
            .iter()
            .flat_map(|item| form.includes.iter().filter_map(|include| renderer.target(item, include)))
            .collect();
        found.extend(further);
        for item in found {
            if all.len() >= MAX_INCLUDED || left < entry(item.kind()) {
                cut = true;
                break;
            }
            if seen.insert((item.kind(), item.row())) {
                left = left.saturating_sub(entry(item.kind()));
                all.push(item);
            }
        }
    }
    if cut {
        issues.push(Issue::warning(
            "too-costly",
            "Plus de ressources incluses qu'une page n'en porte : demandez des pages plus petites, ou cherchez-les.",
            "More included resources than one page holds: ask for smaller pages, or search for them.",
        ));
    }
    all
}

/// Says when something that was named in full has left the data.
fn gone(renderer: &Renderer<'_>, plan: &Plan<'_>, nothing: bool, issues: &mut Vec<Issue>) {
    if !nothing {
        return;
    }
    let shown = Shown { generation: renderer.generation, registry: renderer.registry };
    let ended = plan.named.iter().find_map(|text| Some((shown.gone_text(text)?, shown.successor_text(text))));
    if let Some((day, Some(next))) = &ended {
        issues.push(Issue::information(
            "deleted",
            format!("Cette boîte est fermée depuis le {day} : écrivez à {next}."),
            format!("This mailbox has been closed since {day}: write to {next}."),
        ));
    } else if let Some((day, None)) = &ended {
        issues.push(Issue::information(
            "deleted",
            format!("Ce qui est demandé a quitté les données le {day}."),
            format!("What was asked for left the data on {day}."),
        ));
    }
}

fn search_part(mode: &str, found: Option<MatchKind>) -> Value {
    let Some(found) = found else { return json!({"mode": mode}) };
    let (score, grade) = match found {
        MatchKind::Exact => (1.0, "certain"),
        MatchKind::Prefix => (0.9, "probable"),
        MatchKind::Fuzzy => (0.5, "possible"),
        MatchKind::Phonetic => (0.3, "possible"),
    };
    let grade = json!([{"url": "http://hl7.org/fhir/StructureDefinition/match-grade", "valueCode": grade}]);
    json!({"mode": mode, "score": score, "extension": grade})
}

/// The parameters in one order: the same question, the same text.
fn canonical(parameters: &[Parameter]) -> Vec<(String, String)> {
    let own = parameters.iter().filter(|parameter| !["_page", "_format", "_pretty"].contains(&parameter.name.as_str()));
    let mut all: Vec<(String, String)> = own.map(|parameter| (parameter.sent.clone(), parameter.raw.clone())).collect();
    all.sort();
    all
}

fn digest(kind: Kind, canonical: &[(String, String)]) -> String {
    let text: String = canonical.iter().map(|(name, value)| format!("{}={}&", encoded(name), encoded(value))).collect();
    let mut hex = hex(&sha256(format!("{}?{text}", kind.name()).as_bytes()));
    hex.truncate(32);
    hex
}

/// Opens a page token and checks that it belongs to this question.
fn opened(asked: &Asked<'_>, kind: Kind, page: &str, question: &str) -> Result<PageToken, Problem> {
    let token = PageToken::open(page, asked.keys).ok_or_else(links::forged)?;
    if token.of != kind.name() || token.question != question {
        return Err(links::forged());
    }
    Ok(token)
}

/// Entries of a bundle and what stands above it.
impl Asked<'_> {
    pub(super) fn entry<'g>(
        &'g self,
        renderer: &Renderer<'g>,
        item: &Item<'g>,
        elements: &Elements,
        search: Value,
    ) -> Value {
        let mut resource = self.resource(renderer, item);
        elements.cut(item.kind(), &mut resource);
        let url = format!("{}/{}/{}", self.base, item.kind().name(), item.id());
        json!({"fullUrl": url, "resource": resource, "search": search})
    }

    /// Whether an id is of something that was there once, and since when it is not.
    pub(super) fn gone_since(&self, kind: Kind, id: &str) -> Option<crate::Date> {
        let g = self.view.current();
        let key = ids::key_of(id)?;
        let kind = match kind {
            Kind::Practitioner => crate::GoneKind::Person,
            Kind::Organization => crate::GoneKind::Structure,
            _ => return None,
        };
        g.gone(kind, &key).and_then(|gone| gone.since())
    }
}
