//! What people do from the command line is told in the trail, with the account that did it.

use std::path::Path;

use ident::{Clock, SystemClock};
use store::{Changes, SqliteOptions, SqliteStore, Store as _};
use trail::{Event, Masker, Record, SafeText};

/// The account that gives the order.
pub(super) fn operator(masker: &Masker) -> SafeText {
    masker.text(&super::attached::who())
}

/// Somebody read the trail.
pub(super) fn read(data: &Path, masker: &Masker, query: &str, reason: Option<&str>, results: usize) {
    let event = Event::TrailRead {
        reader: operator(masker),
        query: masker.text(query),
        reason: reason.map(|reason| masker.text(reason)),
        results: u64::try_from(results).unwrap_or(u64::MAX),
    };
    tell(data, event);
}

/// Somebody did something.
pub(super) fn acted(data: &Path, masker: &Masker, action: &str, target: &str, reason: Option<&str>) {
    let event = Event::OperatorAction {
        operator: operator(masker),
        action: action.to_owned(),
        target: masker.text(target),
        reason: reason.map(|reason| masker.text(reason)),
    };
    tell(data, event);
}

/// By way of the queue's outbox, as everything. A disk that takes nothing must not keep an auditor
/// from reading: it is said, and goes on.
fn tell(data: &Path, event: Event) {
    let record = Record::new(SystemClock.now(), event);
    let written = SqliteStore::attach(&data.join("queue"), SqliteOptions::default())
        .map_err(|error| error.to_string())
        .and_then(|store| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
            runtime.block_on(store.commit(Changes::records(vec![record]))).map_err(|error| error.to_string())
        });
    if let Err(error) = written {
        eprintln!("sceau: this could not be written to the trail: {error}");
    }
}
