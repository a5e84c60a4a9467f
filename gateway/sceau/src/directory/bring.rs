//! Puts another generation in service, and reads what will be asked of it: seconds of work that wait for nobody, and for
//! which nobody waits.

use std::{io, sync::Arc};

use tokio::sync::watch;

use crate::{
    gateway::{Ahead, Gateway},
    gently::{self, Pace},
    serve,
    snapshot::Snapshot,
};

/// Times that a generation is read before it is read while all wait.
const TURNS: usize = 3;

/// Brings each generation that waits ([`super::Troubles::waits`]), until `stopping` turns true.
pub(crate) async fn run(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let (mut replaced, over) = (gateway.replaced(), stopping.clone());
    let work = async {
        let mut ready = None;
        loop {
            replaced.mark_unchanged();
            if let Err(error) = step(&gateway, &mut ready, &over).await {
                tracing::error!(%error, "the directory could not be worked on: it stays as it is");
            }
            if replaced.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = work => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
}

/// Does what there is to do about the world in force; `ready` is the generation whose words are read.
async fn step(gateway: &Arc<Gateway>, ready: &mut Option<String>, over: &watch::Receiver<bool>) -> io::Result<()> {
    let snapshot = gateway.in_force();
    if snapshot.troubles.waits {
        // Nothing of the world before is held while another one is read.
        drop(snapshot);
        return bring(gateway, ready, over).await;
    }
    let id = snapshot.generation.as_ref().map(|generation| generation.id().to_owned());
    if id.is_some() && id != *ready {
        let (worker, over) = (Arc::clone(gateway), over.clone());
        gently::run("directory", Pace::Nicer, move || make_ready(&worker, &snapshot, &over)).await?;
        *ready = id;
    }
    Ok(())
}

/// Reads and brings, and once more if yet another generation was chosen meanwhile; whoever chooses others all the time
/// gets one that is read while all wait.
async fn bring(gateway: &Arc<Gateway>, ready: &mut Option<String>, over: &watch::Receiver<bool>) -> io::Result<()> {
    // From one turn to the next, too: three nations would be more than we may take.
    let _until_done = gateway.begin_reading();
    for turn in 1..=TURNS {
        let ahead = if turn < TURNS { read_ahead(gateway, over).await } else { None };
        *ready = ahead.as_ref().and_then(|ahead| ahead.ready().map(str::to_owned));
        let worker = Arc::clone(gateway);
        let _one_at_a_time = gateway.reloading.lock().await;
        let waits = gateway.compute(move || worker.bring_directory(ahead)).await.map_err(io::Error::other)?;
        if !waits {
            break;
        }
    }
    serve::tell_directory(gateway);
    tracing::info!("{}", serve::READ_AGAIN);
    Ok(())
}

/// Nothing if it cannot be read; why is told by whoever tries once more.
async fn read_ahead(gateway: &Arc<Gateway>, over: &watch::Receiver<bool>) -> Option<Ahead> {
    let (worker, over) = (Arc::clone(gateway), over.clone());
    let read = move || worker.read_ahead(&|| !*over.borrow());
    // An opposed card may be in it: it gives way, but not to everybody.
    let read = gently::run("directory", Pace::Nicer, read).await;
    read.inspect_err(|error| tracing::error!(%error, "the directory could not be read ahead")).ok().flatten()
}

/// Reads the words of a generation that was not read ahead, as the first one.
fn make_ready(gateway: &Gateway, snapshot: &Snapshot, over: &watch::Receiver<bool>) {
    let Some(generation) = &snapshot.generation else { return };
    let go_on = || {
        let now = gateway.in_force();
        let is_in_service = now.generation.as_ref().is_some_and(|now| Arc::ptr_eq(now, generation));
        is_in_service && !now.troubles.waits && !*over.borrow()
    };
    let words = generation.make_ready(Some(&snapshot.registry), None, &go_on);
    if go_on() {
        tracing::info!(generation = generation.id(), words, "what is asked for most is read");
    }
}
