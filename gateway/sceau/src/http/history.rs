//! What the generations before have to say: kept in memory and compared with the one in service, away from those who
//! answer. Until that is done FHIR answers all the same, without history.

use std::sync::Arc;

use annuaire::{
    DataFolder, Generation,
    fhir::{Fhir, View},
};
use tokio::sync::watch;

use crate::{gateway::Gateway, snapshot::Snapshot};

/// Compares whenever another generation is put in service, until `stopping`.
///
/// While another one is being read, those before the one in service are let go: with them, three nations would be in
/// memory. What they had to say is known again a few seconds later, or read from disk when nothing came of it.
pub(super) async fn keep(fhir: Arc<Fhir>, gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let (mut replaced, mut reading) = (gateway.replaced(), gateway.reading());
    let mut kept: Vec<Arc<Generation>> = Vec::new();
    let mut whole = true;
    loop {
        replaced.mark_unchanged();
        let let_go = *reading.borrow_and_update();
        let snapshot = gateway.snapshot();
        let current = snapshot.generation.clone();
        let new = current.filter(|new| !whole || kept.first().is_none_or(|kept| kept.id() != new.id()));
        if let_go {
            drop((snapshot, new));
            fhir.let_go();
            kept.truncate(1);
            whole = false;
        } else if let Some(new) = new {
            let before = std::mem::take(&mut kept);
            let (fhir, gateway) = (Arc::clone(&fhir), Arc::clone(&gateway));
            let worked = tokio::task::spawn_blocking(move || compare(&fhir, &gateway, &snapshot, new, before)).await;
            match worked {
                Ok(now) => (kept, whole) = (now, true),
                Err(error) => tracing::error!(%error, "the generations of the directory could not be compared"),
            }
        } else {
            // Nothing of the world before is held while we wait.
            drop(snapshot);
        }
        tokio::select! {
            changed = replaced.changed() => if changed.is_err() { return },
            changed = reading.changed() => if changed.is_err() { return },
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// Puts the difference before the face; gives the generations that stay in memory, the newest first.
fn compare(
    fhir: &Fhir,
    gateway: &Gateway,
    snapshot: &Snapshot,
    new: Arc<Generation>,
    before: Vec<Arc<Generation>>,
) -> Vec<Arc<Generation>> {
    let most = snapshot.config.http.fhir.earlier_generations;
    let mut earlier: Vec<Arc<Generation>> = before.into_iter().filter(|other| other.id() != new.id()).collect();
    earlier.truncate(most);
    if earlier.len() < most {
        let known: Vec<String> = earlier.iter().map(|other| other.id().to_owned()).collect();
        earlier.extend(stored(gateway.directory(), &new, &known, most.saturating_sub(earlier.len())));
    }
    fhir.keep(Arc::new(View::new(Arc::clone(&new), earlier.clone())));
    tracing::info!(generation = new.id(), earlier = earlier.len(), "what changed in the directory is known to FHIR");
    std::iter::once(new).chain(earlier).collect()
}

/// Those on disk that were in service before this one.
fn stored(folder: Option<DataFolder>, new: &Generation, known: &[String], most: usize) -> Vec<Arc<Generation>> {
    let Some(folder) = folder else { return Vec::new() };
    let ids = folder.ids().unwrap_or_default();
    // Another load may have come meanwhile: what stands before ours in the list is newer.
    let older = ids.iter().skip_while(|id| *id != new.id()).skip(1).filter(|id| !known.contains(id));
    let read = |id: &String| {
        let read = folder.named(id);
        read.inspect_err(|error| tracing::warn!(%error, "a generation before cannot be read: its history is lost")).ok()
    };
    older.take(most).filter_map(read).map(Arc::new).collect()
}
