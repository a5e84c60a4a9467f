//! The words of a generation that was not read ahead, as the first one, are read while nobody else wants the processor.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    gateway::Gateway,
    gently::{self, Pace},
    snapshot::Snapshot,
};

/// Makes each generation ready that comes into service, until `stopping` turns true.
pub(crate) async fn run(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let mut replaced = gateway.replaced();
    let mut made = None;
    loop {
        let snapshot = gateway.snapshot();
        let id = snapshot.generation.as_ref().map(|generation| generation.id().to_owned());
        if id.is_some() && id != made {
            made = id;
            let (gateway, stopping) = (Arc::clone(&gateway), stopping.clone());
            let worked = gently::run("ready", Pace::WhenIdle, move || make_ready(&gateway, &snapshot, &stopping)).await;
            if let Err(error) = worked {
                tracing::error!(%error, "the words that are asked for most could not be read: first answers take longer");
            }
        } else {
            // Nothing of the world before is held while we wait.
            drop(snapshot);
        }
        tokio::select! {
            changed = replaced.changed() => if changed.is_err() { return },
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

fn make_ready(gateway: &Gateway, snapshot: &Snapshot, stopping: &watch::Receiver<bool>) {
    let Some(generation) = &snapshot.generation else { return };
    let is_in_service = || gateway.snapshot().generation.as_ref().is_some_and(|now| Arc::ptr_eq(now, generation));
    let words = generation.make_ready(Some(&snapshot.registry), None, &|| !*stopping.borrow() && is_in_service());
    tracing::info!(generation = generation.id(), words, "what is asked for most is read");
}
