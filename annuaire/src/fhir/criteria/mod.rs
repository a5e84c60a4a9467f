//! From parameters to the query model: each value becomes an [`Atom`], a filter that finds at least what is meant and, where
//! it finds more, a judge of single items.

mod codes;
mod mail;
mod numbers;
mod reverse;

use std::cell::OnceCell;

use unicode_normalization::UnicodeNormalization as _;

use self::reverse::Reverse;
use super::{
    budget::{JUDGE, too_costly},
    item::Item,
    moment::Moments,
    outcome::{Problem, shown},
    params::{Parameter, Part},
    render::{Renderer, has},
    table::{Kind, Param, Type, What},
    view::View,
};
use crate::{Field, Fields, Filter, How, Page, Question, Rows, Structure, ask::Trial, fold::words, generation::Space};

/// Deepest chain: `organization.partof` and no more.
const MAX_CHAIN: usize = 2;
/// Most rows that a number, a reference or a chain may stand for.
const MAX_ROWS: usize = 20_000;

/// Most words of a request that are looked for inside others, or nearly: each reads the dictionary through.
const MAX_SCANS: usize = 12;

/// Whether an item is meant.
pub(super) type Judge<'g> = Box<dyn Fn(&Item<'g>) -> bool + 'g>;

/// One value of one parameter.
pub(super) struct Atom<'g> {
    /// True of at least every person or structure that is meant.
    pub(super) base: Filter,
    /// Whether `base` is true of no other, and the judge need not be asked.
    pub(super) precise: bool,
    /// True of exactly what is meant.
    pub(super) judge: Judge<'g>,
}

/// What is asked, ready for the query model.
#[derive(Default)]
pub(super) struct Plan<'g> {
    /// All must be true.
    pub(super) filters: Vec<Filter>,
    /// All must agree.
    pub(super) judges: Vec<Judge<'g>>,
    /// Near misses are welcome if there is nothing else.
    pub(super) similar: bool,
    /// Numbers and addresses that were named in full: to say so if they left the data.
    pub(super) named: Vec<String>,
    /// Something that the filter stands for was cut.
    pub(super) cut: bool,
    /// Words that are looked for inside others, or nearly.
    scans: usize,
    /// Parameters that ask of what refers to a resource.
    reversed: usize,
}

/// Reads criteria about one kind of resource.
pub(super) struct Criteria<'g> {
    pub(super) renderer: Renderer<'g>,
    pub(super) view: &'g View,
    pub(super) kind: Kind,
}

/// The rows that a kind of resource is asked of.
pub(super) fn space(kind: Kind) -> Space {
    match kind {
        Kind::Practitioner | Kind::PractitionerRole => Space::People,
        Kind::Organization | Kind::HealthcareService | Kind::Device => Space::Places,
    }
}

impl<'g> Criteria<'g> {
    /// The parameter's definition, through its chain; `None` for one that is not known.
    fn defined(&self, name: &str) -> Option<&'static Param> {
        self.kind.param(name)
    }

    /// Whether a parameter is a criterion that this kind of resource knows.
    pub(super) fn knows(&self, name: &str) -> bool {
        if name.starts_with("_has:") {
            return Reverse::read(self.kind, name).is_some_and(|reverse| {
                let inner = Self { kind: reverse.kind, renderer: self.renderer, view: self.view };
                !reverse.behind.starts_with("_has:") && inner.knows(reverse.behind)
            });
        }
        let mut kind = self.kind;
        let mut rest = name;
        for _ in 0..MAX_CHAIN.saturating_add(1) {
            let Some((link, behind)) = rest.split_once('.') else { return kind.param(rest).is_some() };
            let Some(next) = linked(kind, link) else { return false };
            (kind, rest) = (next, behind);
        }
        false
    }

    /// Adds one parameter to the plan.
    ///
    /// # Errors
    /// What is wrong with it, or that it takes too much work to find out what it stands for.
    pub(super) fn add(&self, parameter: &Parameter, plan: &mut Plan<'g>) -> Result<(), Problem> {
        let atoms = self.atoms(parameter, &parameter.name, plan, 0)?;
        let work = self.renderer.work;
        if work.is_spent() {
            return Err(too_costly(parameter));
        }
        let negated = parameter.modifier.as_deref() == Some("not");
        if atoms.iter().all(|atom| atom.precise) {
            let any = Filter::Or(atoms.into_iter().map(|atom| atom.base).collect());
            plan.filters.push(if negated { Filter::Not(Box::new(any)) } else { any });
            return Ok(());
        }
        if !negated {
            plan.filters.push(Filter::Or(atoms.iter().map(|atom| atom.base.clone()).collect()));
        }
        let judges: Vec<Judge<'g>> = atoms.into_iter().map(|atom| atom.judge).collect();
        let says = move |judge: &Judge<'g>, item: &Item<'g>| {
            work.spend(JUDGE);
            judge(item)
        };
        plan.judges.push(Box::new(move |item| judges.iter().any(|judge| says(judge, item)) != negated));
        Ok(())
    }

    fn atoms(
        &self,
        parameter: &Parameter,
        name: &str,
        plan: &mut Plan<'g>,
        depth: usize,
    ) -> Result<Vec<Atom<'g>>, Problem> {
        if name.starts_with("_has:") {
            return self.reversed(parameter, plan).map(|atom| vec![atom]);
        }
        if let Some((link, behind)) = name.split_once('.') {
            return self.chained(parameter, link, behind, plan, depth);
        }
        let Some(param) = self.defined(name) else {
            return Err(parameter.wrong("paramètre inconnu.", "unknown parameter."));
        };
        let allowed = param.modifiers();
        match parameter.modifier.as_deref() {
            Some(modifier) if !allowed.contains(&modifier) => {
                return Err(no_modifier(modifier, allowed).about(&parameter.sent));
            }
            Some("missing") => return self.missing(param, parameter).map(|atom| vec![atom]),
            _ => {}
        }
        let mut atoms = Vec::new();
        for part in parameter.parts()? {
            if self.renderer.work.is_spent() {
                return Err(too_costly(parameter));
            }
            atoms.push(self.atom(param, parameter, &part, plan)?);
        }
        Ok(atoms)
    }

    fn chained(
        &self,
        parameter: &Parameter,
        link: &str,
        behind: &str,
        plan: &mut Plan<'g>,
        depth: usize,
    ) -> Result<Vec<Atom<'g>>, Problem> {
        let Some(kind) = linked(self.kind, link).filter(|_| depth < MAX_CHAIN) else {
            return Err(Problem::bad(
                "not-supported",
                format!("Chaînage impossible ou trop profond (au plus {MAX_CHAIN})."),
                format!("This chain is impossible or too deep (at most {MAX_CHAIN})."),
            )
            .about(&parameter.sent));
        };
        let inner = Self { kind, renderer: self.renderer, view: self.view };
        let atoms = inner.atoms(parameter, behind, plan, depth.saturating_add(1))?;
        match (self.kind, kind) {
            (Kind::PractitionerRole, Kind::Practitioner) => Ok(atoms.into_iter().map(of_person).collect()),
            (Kind::HealthcareService, _) => Ok(atoms.into_iter().map(of_place).collect()),
            (Kind::PractitionerRole, _) => {
                Ok(atoms.into_iter().map(|atom| self.workers(atom, &mut plan.cut)).collect())
            }
            _ => Ok(atoms.into_iter().map(|atom| self.sites(atom, &mut plan.cut)).collect()),
        }
    }

    /// The structures for which an atom is true.
    fn places(&self, atom: &Atom<'g>, cut: &mut bool) -> Vec<u32> {
        let Renderer { generation: g, registry, work, .. } = self.renderer;
        let question = Question::filter(atom.base.clone());
        let hits = g.structures_within(registry, &question, Page::first(MAX_ROWS), work);
        *cut |= hits.cut || hits.hits.len() >= MAX_ROWS;
        let items = hits.hits.into_iter().map(|hit| hit.of);
        let meant = items.take_while(|_| !work.is_spent()).filter(|place| {
            work.spend(JUDGE);
            atom.precise || (atom.judge)(&Item::Place(*place))
        });
        let mut rows: Vec<u32> = meant.map(|place| place.row).collect();
        rows.sort_unstable();
        rows
    }

    /// People who work where an atom is true.
    fn workers(&self, atom: Atom<'g>, cut: &mut bool) -> Atom<'g> {
        let g = self.renderer.generation;
        if let Some(words) = same_of_people(&atom.base).filter(|_| atom.precise) {
            let trial = g.trial(self.renderer.registry, Space::Places, &words, self.renderer.work);
            let judge = move |item: &Item<'g>| item.places().iter().any(|place| trial.fits(place.row));
            return Atom { base: words, precise: false, judge: Box::new(judge) };
        }
        let places = self.places(&atom, cut);
        let people = places.iter().flat_map(|row| Structure { generation: g, row: *row }.activities());
        let rows: Vec<u32> = people.map(|activity| activity.person().row).take(MAX_ROWS * 10).collect();
        self.renderer.work.spend_on(rows.len(), 2);
        let judge = move |item: &Item<'g>| item.places().iter().any(|place| places.binary_search(&place.row).is_ok());
        Atom { base: Filter::Rows(sorted(rows)), precise: false, judge: Box::new(judge) }
    }

    /// The sites of the legal entities for which an atom is true.
    fn sites(&self, atom: Atom<'g>, cut: &mut bool) -> Atom<'g> {
        let g = self.renderer.generation;
        let entities = self.places(&atom, cut);
        let sites = entities.iter().flat_map(|row| g.sites_of_entity(Structure { generation: g, row: *row }.finess()));
        rows_atom(sites.map(|site| site.row).take(MAX_ROWS).collect())
    }

    /// A filter about the person or the place of an item.
    fn model(&self, filter: Filter, about: Space) -> Atom<'g> {
        let Renderer { generation: g, registry, work, .. } = self.renderer;
        if self.kind == Kind::PractitionerRole && about == Space::Places {
            let (own, trial) = (filter.clone(), OnceCell::new());
            let judge = move |item: &Item<'g>| {
                let trial = trial.get_or_init(|| g.trial(registry, Space::Places, &own, work));
                item.places().iter().any(|place| trial.fits(place.row))
            };
            return Atom { base: filter, precise: false, judge: Box::new(judge) };
        }
        let (own, space, trial) = (filter.clone(), space(self.kind), OnceCell::new());
        let judge = move |item: &Item<'g>| fits(trial.get_or_init(|| g.trial(registry, space, &own, work)), item);
        Atom { base: filter, precise: true, judge: Box::new(judge) }
    }

    /// What only single items can tell.
    fn judged(&self, base: Filter, judge: impl Fn(&Item<'g>) -> bool + 'g) -> Atom<'g> {
        Atom { base, precise: false, judge: Box::new(judge) }
    }

    fn atom(
        &self,
        param: &'static Param,
        parameter: &Parameter,
        part: &Part,
        plan: &mut Plan<'g>,
    ) -> Result<Atom<'g>, Problem> {
        let text = part.text();
        if text.trim().is_empty() {
            return Err(parameter.wrong(
                "valeur vide ; retirez le paramètre, ou demandez :missing.",
                "empty value; leave the parameter out, or ask :missing.",
            ));
        }
        let what = param.what;
        if matches!(parameter.modifier.as_deref(), Some("contains" | "text")) || what == What::Phonetic {
            plan.scans = plan.scans.saturating_add(words(&text).len().max(1));
            if plan.scans > MAX_SCANS {
                return Err(Problem::bad(
                    "too-costly",
                    format!("Plus de {MAX_SCANS} mots en :contains, :text ou phonetic : demandez-en moins."),
                    format!("More than {MAX_SCANS} words in :contains, :text or phonetic: ask for fewer."),
                )
                .about(&parameter.sent));
            }
        }
        Ok(match what {
            What::Names(fields) => self.words(what, fields, &text, parameter, Space::People),
            What::Place(fields) => self.words(what, fields, &text, parameter, Space::Places),
            What::Phonetic => self.model(words_of(Fields::NAMES, How::Similar, text), Space::People),
            What::Content => {
                plan.similar = true;
                plan.named.push(text.clone());
                self.model(Filter::text(&text), space(self.kind))
            }
            What::Active => self.active(parameter, part)?,
            What::Id => self.id(part),
            What::Identifier => {
                plan.named.push(part.token().1.to_owned());
                self.identifier(parameter, part)
            }
            What::IdentifierType => self.identifier_type(part),
            What::Mailbox => {
                plan.named.push(text.clone());
                self.mailbox(&text, parameter.modifier.as_deref())
            }
            What::MailboxType => self.mailbox_type(parameter, part)?,
            What::CardNumber => self.card(&text),
            What::Qualification | What::RoleCode | What::Speciality | What::Sector | What::CardType => {
                self.coded(what, parameter, part)
            }
            What::TownCode => self
                .model(Filter::Value { fields: Field::TownCode.into(), value: part.token().1.into() }, Space::Places),
            What::Practitioner | What::Organization | What::PartOf => self.reference(what, parameter, part)?,
            What::ServiceName => self.service_name(&text, parameter.modifier.as_deref()),
            What::Authority => {
                let wanted = part.token().1.to_owned();
                self.judged(Filter::All, move |item| authority(item, &wanted))
            }
            What::Profile => {
                // A canonical address may name a version behind a bar (R4, references §2.3.0.2): ours names none.
                let wanted = part.0.first().map_or("", String::as_str);
                all_or_nothing(self.kind.profiles().contains(&wanted) && self.renderer.settings.profiles)
            }
            What::LastUpdated => self.last_updated(parameter, &text)?,
            What::Unheld => all_or_nothing(false),
        })
    }

    fn missing(&self, param: &'static Param, parameter: &Parameter) -> Result<Atom<'g>, Problem> {
        let wanted = truth(parameter, &parameter.raw)?;
        let what = param.what;
        if what == What::Unheld {
            return Ok(all_or_nothing(wanted));
        }
        let renderer = self.renderer;
        let judge = move |item: &Item<'g>| {
            let present = match what {
                What::Mailbox | What::MailboxType => !item.mailboxes(&renderer).is_empty(),
                What::Qualification | What::RoleCode | What::Speciality | What::Sector | What::TownCode => {
                    !item.codings(what, &renderer).is_empty()
                }
                What::Authority => authority(item, ""),
                _ => has(item, what, &renderer),
            };
            present != wanted
        };
        Ok(self.judged(Filter::All, judge))
    }

    fn words(&self, what: What, fields: Fields, text: &str, parameter: &Parameter, about: Space) -> Atom<'g> {
        let how = match parameter.modifier.as_deref() {
            Some("exact") => How::Exact,
            Some("contains") => How::Contains,
            Some("text") => How::Similar,
            _ => How::Prefix,
        };
        let filter = words_of(fields, how, text.to_owned());
        if how != How::Exact {
            return self.model(filter, about);
        }
        let wanted: String = text.nfc().collect();
        let same = move |item: &Item<'g>| {
            let texts = item.texts(what);
            let whole = [texts.join(" "), texts.iter().rev().copied().collect::<Vec<_>>().join(" ")];
            let is = |text: &str| text.nfc().eq(wanted.chars());
            texts.iter().any(|text| is(text)) || (matches!(what, What::Names(_)) && whole.iter().any(|text| is(text)))
        };
        self.judged(filter, same)
    }

    /// The name of a service: words that begin so, that hold it, or all of it as it is written.
    fn service_name(&self, text: &str, modifier: Option<&str>) -> Atom<'g> {
        let how = if modifier == Some("contains") { How::Contains } else { How::Prefix };
        let exact = (modifier == Some("exact")).then(|| text.nfc().collect::<String>());
        let wanted = words(text);
        let meant = move |name: &str| match &exact {
            Some(exact) => name.nfc().eq(exact.chars()),
            None => {
                let have = words(name);
                let fits = |own: &str, word: &str| match how {
                    How::Contains => own.contains(word),
                    _ => own.starts_with(word),
                };
                !wanted.is_empty() && wanted.iter().all(|word| have.iter().any(|own| fits(own, word)))
            }
        };
        let filter = words_of(Field::Service.into(), how, text.to_owned());
        self.judged(filter, move |item| item.texts(What::ServiceName).iter().any(|name| meant(name)))
    }

    fn active(&self, parameter: &Parameter, part: &Part) -> Result<Atom<'g>, Problem> {
        let wanted = truth(parameter, part.token().1)?;
        Ok(match space(self.kind) {
            Space::People => {
                let value = if wanted { "active" } else { "inactive" };
                self.model(Filter::Value { fields: Field::State.into(), value: value.into() }, Space::People)
            }
            Space::Places => all_or_nothing(wanted),
        })
    }

    fn last_updated(&self, parameter: &Parameter, text: &str) -> Result<Atom<'g>, Problem> {
        let moments = Moments::parse(text).ok_or_else(|| {
            parameter.wrong(
                "attendu eq, ne, gt, ge, lt, le, sa, eb ou ap puis une date (2026-11-22 ou 2026-11-22T08:00:00Z).",
                "eq, ne, gt, ge, lt, le, sa, eb or ap and a date is expected (2026-11-22 or 2026-11-22T08:00:00Z).",
            )
        })?;
        let (view, renderer) = (self.view, self.renderer);
        let at_current = renderer.generation.id() == view.current().id();
        let since = moments.since().filter(|_| at_current);
        let base = match since.and_then(|since| view.rows_since(self.kind, since)) {
            Some(rows) => Filter::Rows(sorted(rows)),
            None => Filter::All,
        };
        Ok(self.judged(base, move |item| view.last_updated(&renderer, item).is_some_and(|since| moments.has(since))))
    }
}

/// A modifier that a parameter does not take is refused: who is answered without it is answered another question.
fn no_modifier(modifier: &str, allowed: &[&str]) -> Problem {
    let (modifier, list) = (shown(modifier), allowed.join(", :"));
    let (fr, en) = match allowed {
        [] => ("aucun n'est possible".to_owned(), "there are none".to_owned()),
        _ => (format!("possibles : :{list}"), format!("there are :{list}")),
    };
    Problem::bad(
        "not-supported",
        format!("Modificateur « {modifier} » inconnu ici ; {fr}."),
        format!("The modifier “{modifier}” is not known here; {en}."),
    )
}

fn in_places<'g>(places: Rows) -> Judge<'g> {
    Box::new(move |item| item.places().iter().any(|place| places.0.binary_search(&place.row).is_ok()))
}

/// The kind that a reference of a kind leads to.
fn linked(kind: Kind, link: &str) -> Option<Kind> {
    let (name, r#type) = link.split_once(':').map_or((link, None), |(name, kind)| (name, Some(kind)));
    let to = match kind.param(name).filter(|param| param.r#type == Type::Reference)?.what {
        What::Practitioner => Kind::Practitioner,
        What::Organization | What::PartOf => Kind::Organization,
        _ => return None,
    };
    r#type.is_none_or(|wanted| wanted == to.name()).then_some(to)
}

/// A filter of words and codes of a place, which are also those of the people who work there.
fn same_of_people(filter: &Filter) -> Option<Filter> {
    let place = Fields::of(&[
        Field::Structure,
        Field::Street,
        Field::Town,
        Field::Postcode,
        Field::Department,
        Field::TownCode,
    ]);
    match filter {
        Filter::Words { fields, .. } | Filter::Value { fields, .. } => {
            (fields.and(place) == *fields).then(|| filter.clone())
        }
        _ => None,
    }
}

/// What is true of the person of an activity.
fn of_person<'g>(atom: Atom<'g>) -> Atom<'g> {
    let judge = atom.judge;
    let judge = move |item: &Item<'g>| item.person().is_some_and(|person| judge(&Item::Person(person)));
    Atom { base: atom.base, precise: atom.precise, judge: Box::new(judge) }
}

/// What is true of the structure of a service.
fn of_place<'g>(atom: Atom<'g>) -> Atom<'g> {
    let judge = atom.judge;
    let judge = move |item: &Item<'g>| item.places().iter().any(|place| judge(&Item::Place(*place)));
    Atom { base: atom.base, precise: atom.precise, judge: Box::new(judge) }
}

fn fits(trial: &Trial<'_>, item: &Item<'_>) -> bool {
    match item {
        Item::Person(_) | Item::Role(_) => item.person().is_some_and(|person| trial.fits(person.row)),
        Item::Place(_) | Item::Service(_) => item.places().iter().any(|place| trial.fits(place.row)),
    }
}

fn words_of(fields: Fields, how: How, text: String) -> Filter {
    Filter::Words { fields, how, text }
}

fn sorted(mut rows: Vec<u32>) -> Rows {
    rows.sort_unstable();
    rows.dedup();
    Rows(rows.into())
}

/// Rows of the kind's own space.
fn rows_atom<'g>(rows: Vec<u32>) -> Atom<'g> {
    let rows = sorted(rows);
    let list = rows.clone();
    let judge = move |item: &Item<'_>| {
        let own = match item {
            Item::Person(_) | Item::Role(_) => item.person().map(|person| person.row),
            Item::Place(_) | Item::Service(_) => item.places().first().map(|place| place.row),
        };
        own.is_some_and(|row| list.0.binary_search(&row).is_ok())
    };
    Atom { base: Filter::Rows(rows), precise: true, judge: Box::new(judge) }
}

fn all_or_nothing<'g>(all: bool) -> Atom<'g> {
    let base = if all { Filter::All } else { Filter::Or(Vec::new()) };
    Atom { base, precise: true, judge: Box::new(move |_| all) }
}

fn truth(parameter: &Parameter, text: &str) -> Result<bool, Problem> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(parameter.wrong("attendu true ou false.", "true or false is expected.")),
    }
}

/// Whether every word of a text begins one of another.
fn begins(text: &str, of: &str) -> bool {
    let have = words(of);
    let wanted = words(text);
    !wanted.is_empty() && wanted.iter().all(|word| have.iter().any(|own| own.starts_with(word.as_str())))
}

/// Whether an activity of an item was registered by somebody of this name; by anybody, for an empty name.
fn authority(item: &Item<'_>, wanted: &str) -> bool {
    let of = |activity: &crate::Activity<'_>| {
        let g = activity.generation;
        let own = g.text.get(g.tables.activity_authority.text_at(activity.row));
        !own.is_empty() && (wanted.is_empty() || crate::fold(own) == crate::fold(wanted))
    };
    match item {
        Item::Person(person) => person.activities().any(|activity| of(&activity)),
        Item::Role(activity) => of(activity),
        Item::Place(_) | Item::Service(_) => false,
    }
}
