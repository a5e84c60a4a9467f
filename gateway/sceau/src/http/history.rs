//! What was in service before has to say: kept in memory and compared with what is in service, away from those who
//! answer. Until that is done FHIR answers all the same, and who asks what changed is told to come back.
//!
//! Since when each edition is in service stands in a file of the data folder, so that a restart does not forget it.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use annuaire::{
    DataFolder, Generation, Registry,
    fhir::{Editions, Fhir, View},
};
use tokio::sync::watch;

use crate::{
    gateway::Gateway,
    gently::{self, Pace},
    replace::replace,
    snapshot::Snapshot,
};

/// Largest file that is read.
const MAX_OCTETS: u64 = 64 * 1024 * 1024;
/// Nobody is told of an edition within this time of its beginning: who asked before asks from then on again, and is told.
const AHEAD: Duration = Duration::from_secs(2);
/// Rest after an edition: operators publish many mailboxes one after another, and those are one edition.
const REST: Duration = Duration::from_secs(2);

/// What stays in memory.
#[derive(Default)]
struct Kept {
    /// The newest first.
    generations: Vec<Arc<Generation>>,
    registry: Option<Arc<Registry>>,
    editions: Option<Editions>,
    /// What the face was given last, unless it let go of it.
    view: Option<Arc<View>>,
}

/// Compares whenever something else is put in service, until `stopping`.
///
/// While another generation is being read, those before the one in service are let go: with them, three nations would be
/// in memory. What they had to say is known again a few seconds later, or read from disk when nothing came of it.
pub(super) async fn keep(fhir: Arc<Fhir>, gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let (mut replaced, mut reading) = (gateway.replaced(), gateway.reading());
    let mut kept = Kept::default();
    loop {
        replaced.mark_unchanged();
        let let_go = *reading.borrow_and_update() > 0;
        let snapshot = gateway.snapshot();
        let current = snapshot.generation.clone();
        let new = current.filter(|new| !kept.is_of(new, &snapshot.registry));
        let mut rest = Duration::ZERO;
        if let_go {
            drop((snapshot, new));
            // To free a nation takes tens of milliseconds.
            let (mut before, fhir) = (std::mem::take(&mut kept), Arc::clone(&fhir));
            let shortened = gently::run("history", Pace::Nicer, move || {
                fhir.let_go();
                before.generations.truncate(1);
                before.view = None;
                before
            });
            kept = shortened.await.unwrap_or_else(|error| {
                tracing::error!(%error, "the generations before could not be let go");
                Kept::default()
            });
        } else if let Some(new) = new {
            let before = std::mem::take(&mut kept);
            let (fhir, gateway) = (Arc::clone(&fhir), Arc::clone(&gateway));
            let worked =
                gently::run("history", Pace::WhenIdle, move || before.renewed(&fhir, &gateway, &snapshot, new)).await;
            match worked {
                Ok(now) => (kept, rest) = (now, REST),
                Err(error) => tracing::error!(%error, "the generations of the directory could not be compared"),
            }
        } else {
            // Nothing of the world before is held while we wait.
            drop(snapshot);
        }
        tokio::select! {
            changed = async { tokio::time::sleep(rest).await; replaced.changed().await } => if changed.is_err() { return },
            changed = reading.changed() => if changed.is_err() { return },
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

impl Kept {
    fn is_of(&self, generation: &Arc<Generation>, registry: &Arc<Registry>) -> bool {
        self.view.is_some()
            && self.generations.first().is_some_and(|kept| Arc::ptr_eq(kept, generation))
            && self.registry.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, registry))
    }

    /// Puts what differs before the face, if something does.
    fn renewed(self, fhir: &Fhir, gateway: &Gateway, snapshot: &Snapshot, new: Arc<Generation>) -> Self {
        let most = snapshot.config.http.fhir.earlier_generations;
        let path = gateway.data().join("editions.json");
        let mut editions = self.editions.unwrap_or_else(|| read(&path));
        let earlier = earlier(&editions, gateway.directory(), &new, &self.generations, most);
        earlier.iter().for_each(|generation| generation.forget_questions());
        let registry = Arc::clone(&snapshot.registry);
        // Nations are compared before it is known since when what differs is told.
        let mut first = editions.clone();
        first.begin(&new, Some(&registry), gateway.now());
        let compared = View::new(Arc::clone(&new), earlier.clone(), &first, self.view.as_deref());
        let begun = editions.begin(&new, Some(&registry), gateway.now().plus(AHEAD));
        if begun && let Err(error) = replace(&path, editions.text().as_bytes()) {
            tracing::warn!(%error, path = %path.display(), "a restart will not know since when the directory is as it is");
        }
        let view = Arc::new(View::new(Arc::clone(&new), earlier.clone(), &editions, Some(&compared)));
        let again = self.view.is_none() || self.generations.first().is_none_or(|kept| kept.id() != new.id());
        fhir.keep(Arc::clone(&view));
        if begun || again {
            let earlier = earlier.len();
            tracing::info!(generation = new.id(), earlier, "what changed in the directory is known to FHIR");
        }
        let generations = std::iter::once(new).chain(earlier).collect();
        Self { generations, registry: Some(registry), editions: Some(editions), view: Some(view) }
    }
}

/// The editions of the last run. Without them history begins anew: whoever asks of before is told to copy everything.
fn read(path: &Path) -> Editions {
    let text = || -> io::Result<String> {
        let mut text = String::new();
        File::open(path)?.take(MAX_OCTETS).read_to_string(&mut text)?;
        Ok(text)
    };
    match text() {
        Ok(text) => Editions::read(&text).unwrap_or_else(|| {
            tracing::warn!(path = %path.display(), "cannot be understood: the history of the directory begins anew");
            Editions::default()
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Editions::default(),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "cannot be read: the history of the directory begins anew");
            Editions::default()
        }
    }
}

/// The generations that were in service before this one, the newest first: those at hand, and those on disk.
fn earlier(
    editions: &Editions,
    folder: Option<DataFolder>,
    new: &Generation,
    kept: &[Arc<Generation>],
    most: usize,
) -> Vec<Arc<Generation>> {
    let mut all = Vec::new();
    for id in editions.generations().into_iter().filter(|id| *id != new.id()).take(most) {
        let at_hand = kept.iter().find(|kept| kept.id() == id).map(Arc::clone);
        let stored = || {
            let folder = folder.as_ref().filter(|folder| folder.file_of(id).exists())?;
            let read = folder.stored(id);
            read.inspect_err(|error| tracing::warn!(%error, "a generation before cannot be read: its history is lost"))
                .ok()
                .map(Arc::new)
        };
        match at_hand.or_else(stored) {
            Some(generation) => all.push(generation),
            // With what is before it nothing could be compared.
            None => break,
        }
    }
    all
}
