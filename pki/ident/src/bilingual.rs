//! One sentence in the two languages of the house.

use serde::{Deserialize, Serialize};

/// A sentence for people, in French and in English. Both say the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bilingual {
    /// French text.
    pub fr: String,
    /// English text.
    pub en: String,
}

impl Bilingual {
    /// Both texts at once, so that neither can be forgotten.
    pub fn new(fr: impl Into<String>, en: impl Into<String>) -> Self {
        Self { fr: fr.into(), en: en.into() }
    }
}
