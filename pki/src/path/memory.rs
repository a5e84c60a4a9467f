//! What a validator remembers of its own work: facts that depend on octets only, never on the time
//! or on revocation. Who writes a message a second does not pay for the same signatures each time.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use ident::Fingerprint;

/// Most facts of each kind; beyond that everything is forgotten and learnt again.
const MAX_FACTS: usize = 20_000;

/// Whether a policy was wanted, and the certificates of a chain.
pub(super) type ChainKey = (bool, Vec<Fingerprint>);
/// Certificate and issuer.
pub(super) type SignedKey = (Fingerprint, Fingerprint);

/// Good chains and true signatures. Failures are not remembered: strangers make those.
#[derive(Debug, Default)]
pub(super) struct Memory {
    chains: Mutex<HashMap<ChainKey, Vec<String>>>,
    signed: Mutex<HashSet<SignedKey>>,
}

impl Memory {
    /// The policies of a chain that was found good.
    pub(super) fn chain(&self, key: &ChainKey) -> Option<Vec<String>> {
        self.chains.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(super) fn keep_chain(&self, key: ChainKey, policies: &[String]) {
        let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        if chains.len() >= MAX_FACTS {
            chains.clear();
        }
        chains.insert(key, policies.to_vec());
    }

    /// Whether the second is known to have signed the first.
    pub(super) fn signed(&self, key: &SignedKey) -> bool {
        self.signed.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    pub(super) fn keep_signed(&self, key: SignedKey) {
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if signed.len() >= MAX_FACTS {
            signed.clear();
        }
        signed.insert(key);
    }
}
