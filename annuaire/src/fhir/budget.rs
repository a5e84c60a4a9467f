//! One budget for all that a request makes us do: planning, judging, history and writing (decision 0044).

use super::{
    outcome::{Problem, shown},
    params::Parameter,
    table::{Kind, RESULT},
};
use crate::WORK_LIMIT;

/// The most that one request may cost, in list entries read: that of four questions, an eighth of a second of one core.
pub const MAX_COST: u64 = WORK_LIMIT.saturating_mul(4);
/// Most values of all the parameters of a request together.
pub const MAX_ATOMS: usize = 100;
/// What asking one judge of one item costs, in list entries read; what the judge then reads comes on top.
pub(super) const JUDGE: u64 = 40;
/// What writing one resource costs, in list entries read: some ten microseconds.
pub(super) const CONTENT: u64 = 2500;
/// What comparing one item by one key of an order costs.
pub(super) const KEY: u64 = 100;

/// What a request cost, in list entries read; left among the extensions of each response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost(pub u64);

/// What a resource of a kind may cost on a page: written, and compared with how it was before. A structure reads the
/// activities and mailboxes that it has.
pub(super) const fn entry(kind: Kind) -> u64 {
    match kind {
        Kind::Organization => CONTENT.saturating_mul(8),
        _ => CONTENT.saturating_mul(3),
    }
}

/// The budget was spent before anything could be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent;

impl Spent {
    /// What to say of it: the parameter with most values is the one to shorten.
    pub(super) fn problem(self, parameters: &[Parameter]) -> Problem {
        let own = parameters.iter().filter(|parameter| !RESULT.iter().any(|(name, _)| *name == parameter.name));
        let values = |parameter: &&Parameter| parameter.raw.bytes().filter(|byte| *byte == b',').count();
        match own.max_by_key(values) {
            Some(parameter) => too_costly(parameter),
            None => costly("_count"),
        }
    }
}

/// A parameter that takes more work than a request is given.
pub(super) fn too_costly(parameter: &Parameter) -> Problem {
    costly(&parameter.sent)
}

fn costly(name: &str) -> Problem {
    let name = shown(name);
    Problem::bad(
        "too-costly",
        format!(
            "La question demande trop de travail, surtout par « {name} » : donnez moins de valeurs à la fois, ou ajoutez \
             un nom, une commune ou un identifiant."
        ),
        format!(
            "The question takes too much work, “{name}” most of it: send fewer values at a time, or add a name, a town \
             or an identifier."
        ),
    )
    .about(&name)
}

/// Refuses more values than one request may have.
///
/// # Errors
/// `too-costly`, naming the parameter that goes beyond.
pub(super) fn counted(parameters: &[Parameter]) -> Result<(), Problem> {
    let mut atoms = 0usize;
    for parameter in parameters.iter().filter(|one| !RESULT.iter().any(|(name, _)| *name == one.name)) {
        atoms = atoms.saturating_add(parameter.parts()?.len());
        if atoms > MAX_ATOMS {
            let name = shown(&parameter.sent);
            return Err(Problem::bad(
                "too-costly",
                format!(
                    "Plus de {MAX_ATOMS} valeurs dans une requête, dépassé par « {name} » : faites plusieurs appels."
                ),
                format!("More than {MAX_ATOMS} values in one request, “{name}” goes beyond: make several calls."),
            )
            .about(&parameter.sent));
        }
    }
    Ok(())
}
