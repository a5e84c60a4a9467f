//! After the story: how to try it yourself.

use std::fs;

use super::{Options, StoryError, stage::Stage, teller::Teller};
use crate::demo::{cast::Place, endpoints::Endpoints, space::CARD_PASSWORD};

/// Writes `endpoints.json` and prints what to do next.
pub(super) fn tell(options: &Options, teller: &mut Teller, stage: &Stage) -> Result<(), StoryError> {
    let space = &stage.space;
    let endpoints = Endpoints::of(space)?;
    let file = space.folder.join("endpoints.json");
    let json = serde_json::to_string_pretty(&endpoints).map_err(|e| StoryError::Json("demo".to_owned(), e))?;
    fs::write(&file, json + "\n").map_err(|error| StoryError::File(file.clone(), error))?;
    let doctor = stage.holder("martin")?;
    teller.line("")?;
    teller.heading("Now it is your turn. Everything keeps running until you press Ctrl-C.")?;
    teller.line("")?;
    teller.fact("ports and files", &file.display().to_string())?;
    teller.fact("roots", &space.folder.join("anchors").display().to_string())?;
    teller.fact("a doctor's card", &format!("{} (password: {CARD_PASSWORD})", doctor.pkcs12.display()))?;
    teller.fact("", &format!("{}, {}", doctor.card.certificate.display(), doctor.card.key.display()))?;
    let mail = |place: Place| space.folder.join(place.folder()).join("mail").display().to_string();
    teller.fact("mailboxes", &format!("{}, {} (Maildir)", mail(Place::A), mail(Place::B)))?;
    teller.fact("misbehaving", &misbehaving(&endpoints))?;
    if let Some(pages) = &endpoints.pages {
        teller.fact("directory page", &format!("{pages} (the browser warns of the test certificate: go on)"))?;
    }
    if !options.listen.is_loopback() {
        teller.fact(
            "other machines",
            &format!(
                "reach the hospitals' ports, bound to {}; the test cards and roots are for them too",
                options.listen
            ),
        )?;
    }
    if options.temporary {
        teller.fact("the folder", "goes away when you press Ctrl-C; --dir DIR keeps it")?;
    }
    teller.line("")?;
    teller.say("Send a message yourself:")?;
    teller.command(&endpoints.try_this)?;
    teller.line("")?;
    teller.say("Then ask where it went; ID is the last word of the answer \"250 2.6.0 Accepted as …\":")?;
    teller.command(&format!(
        "{} why ID --english --config {}",
        options.binary.display(),
        space.configuration(Place::A).display()
    ))
}

/// `refuse.essai@… (…)`, at B.
fn misbehaving(endpoints: &Endpoints) -> String {
    let at_b = Place::B.domain().map(|domain| format!("@{domain}")).unwrap_or_default();
    let shown = endpoints.misbehaving.iter().filter(|m| m.address.ends_with(&at_b));
    shown.map(|m| format!("{} ({})", m.address, m.what)).collect::<Vec<_>>().join(", ")
}
