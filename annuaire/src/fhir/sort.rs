//! `_sort`: another order than that of the query model, for answers that can be held in hand.

use std::cmp::Ordering;

use ident::Timestamp;

use super::{
    budget::KEY,
    item::Item,
    outcome::Problem,
    params::Parameter,
    render::Renderer,
    table::Kind,
    token::Position,
    view::View,
    walk::{Walk, Walked},
};
use crate::{Field, Fields, MatchKind, fhir::table::What, fold};

/// Most resources that are put in order.
pub const MAX_SORTED: usize = 20_000;
/// Most keys of one order.
const MAX_KEYS: usize = 4;

/// One key of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    name: &'static str,
    descending: bool,
}

/// Reads `_sort=family,-given`.
pub(super) fn read(parameter: &Parameter, kind: Kind) -> Result<Vec<Key>, Problem> {
    let known = kind.sorts();
    let one = |text: &str| {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        known.iter().find(|own| **own == name).map(|name| Key { name, descending })
    };
    let keys: Option<Vec<Key>> = parameter.raw.split(',').map(|text| one(text.trim())).collect();
    keys.filter(|keys| keys.len() <= MAX_KEYS).ok_or_else(|| {
        let list = known.join(", ");
        parameter.wrong(
            &format!("tris possibles, {MAX_KEYS} au plus : {list}."),
            &format!("there are, {MAX_KEYS} at most: {list}."),
        )
    })
}

/// What stands where, in folded form: accents, case and hyphens do not tell names apart.
fn value(key: &Key, item: &Item<'_>, renderer: &Renderer<'_>, view: &View) -> String {
    let texts = |what: What| fold(&item.texts(what).join(" "));
    let place = |field: Field| texts(What::Place(Fields::of(&[field])));
    match (key.name, item) {
        ("_lastUpdated", _) => view.last_updated(renderer, item).map_or_else(String::new, Timestamp::rfc3339),
        ("family", _) => texts(What::Names(Fields::of(&[Field::Family]))),
        ("given", _) => texts(What::Names(Fields::of(&[Field::Given]))),
        ("name", Item::Person(_)) => texts(What::Names(Fields::NAMES)),
        ("name", Item::Place(place)) => fold(place.display_name()),
        ("name", _) => texts(What::ServiceName),
        ("address-city", _) => place(Field::Town),
        ("address-postalcode", _) => place(Field::Postcode),
        _ => item.id(),
    }
}

/// A page of the answer in this order, and how many there are in all.
///
/// # Errors
/// More than [`MAX_SORTED`] would have to be put in order.
pub(super) fn page<'g>(
    walk: &Walk<'_, 'g>,
    keys: &[Key],
    (renderer, view): (&Renderer<'g>, &View),
    at: Position,
    limit: usize,
) -> Result<(Walked<'g>, u64), Problem> {
    let wide = || {
        Problem::bad(
            "too-costly",
            format!("Plus de {MAX_SORTED} réponses à trier : précisez la question, ou retirez _sort."),
            format!("More than {MAX_SORTED} answers to be put in order: refine the question, or leave _sort out."),
        )
        .about("_sort")
    };
    let all = walk.all(MAX_SORTED).ok_or_else(wide)?;
    let cut = all.cut;
    let keyed = |(item, found): (Item<'g>, MatchKind)| {
        renderer.work.spend_on(keys.len(), KEY);
        let values: Vec<String> = keys.iter().map(|key| value(key, &item, renderer, view)).collect();
        (values, item, found)
    };
    let mut items: Vec<(Vec<String>, Item<'g>, MatchKind)> = all.items.into_iter().map(keyed).collect();
    // Stable: what the keys do not tell apart stays in the order of the model.
    items.sort_by(|(a, ..), (b, ..)| {
        let one = |((a, b), key): ((&String, &String), &Key)| if key.descending { b.cmp(a) } else { a.cmp(b) };
        a.iter().zip(b).zip(keys).map(one).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
    if renderer.work.is_spent() {
        return Err(wide());
    }
    let total = items.len();
    let end = at.skip.saturating_add(limit);
    let shown = items.into_iter().skip(at.skip).take(limit).map(|(_, item, found)| (item, found)).collect();
    let next = (end < total).then_some(Position { skip: end, inner: 0 });
    Ok((Walked { items: shown, next, cut }, u64::try_from(total).unwrap_or(u64::MAX)))
}
