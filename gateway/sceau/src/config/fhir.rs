//! How FHIR speaks.

use annuaire::fhir::{Settings, Systems};
use serde::Deserialize;

/// The FHIR face.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fhir {
    /// `meta.source` of every resource. Without it: that of the national guide.
    pub source: Option<String>,
    /// Whether `meta.profile` names the French profiles.
    pub profiles: bool,
    /// How many generations before the one in service stay in memory, each at its full size: `_history`,
    /// `_lastUpdated` and pages that were begun before a load read them. 0: there is no history.
    pub earlier_generations: usize,
    /// Addresses of identifier and code systems, where the national ones are other than the guide says.
    pub systems: Systems,
}

/// Most generations that may be asked to stay in memory.
const MOST_EARLIER: usize = 2;

impl Default for Fhir {
    fn default() -> Self {
        Self { source: None, profiles: true, earlier_generations: 1, systems: Systems::default() }
    }
}

impl Fhir {
    /// What the face is made with.
    pub fn settings(&self) -> Settings {
        let usual = Settings::default();
        Settings {
            source: self.source.clone().unwrap_or_else(|| usual.source.clone()),
            profiles: self.profiles,
            systems: self.systems.clone(),
            ..usual
        }
    }

    /// What is wrong with it.
    pub(super) fn faults(&self, found: &mut Vec<String>) {
        if self.earlier_generations > MOST_EARLIER {
            found.push(format!("http.fhir.earlier_generations: at most {MOST_EARLIER}, the loader keeps no more"));
        }
        if self.source.as_deref().is_some_and(str::is_empty) {
            found.push("http.fhir.source is empty: leave it out for that of the national guide".to_owned());
        }
    }
}
