//! Scene 1: a trusted space is made.

use std::time::Instant;

use crate::demo::{
    cast::{CardFate, Place},
    space::Space,
    story::{
        Options, StoryError, count_files, label, make_space,
        stage::full_name,
        teller::{Teller, check},
    },
};

/// Makes it and says what was made.
pub(in crate::demo::story) async fn tell(options: &Options, teller: &mut Teller) -> Result<Space, StoryError> {
    teller.scene("A trusted space is made")?;
    teller.step("Keys, certificates, lists, a directory and configuration files are written (some seconds).")?;
    let began = Instant::now();
    let space = make_space(options).await?;
    let stays = if options.temporary { ", which goes away at the end" } else { "" };
    teller.fact("folder", &format!("{}{stays}", space.folder.display()))?;
    teller.fact("anchors/", "3 roots, each for one purpose: persons, organisations, servers")?;
    let lists = count_files(&space.folder.join("crl"), &[".crl"]);
    teller.fact("authorities/, crl/", &format!("3 issuing authorities, {lists} revocation lists"))?;
    let keys = count_files(&space.folder, &[".key"]).saturating_sub(2);
    teller
        .fact("certificates", &format!("{keys} with their keys (RSA 2048), made just now; test category throughout"))?;
    teller.fact("cards/", &cards(&space))?;
    for place in Place::ALL {
        let (name, domain) = (place.structure()?.name, place.domain()?);
        teller.fact(&format!("{}/", place.folder()), &format!("{name}, {}, {domain}", label(place)))?;
    }
    teller.fact("…/registry.toml", "each hospital's own mailboxes: who owns them, who may write for whom")?;
    teller.fact("trust-list/", "the signed list of these three domains and their operators")?;
    let report = &space.directory;
    let rows: u64 = report.files.iter().map(|file| file.rows).sum();
    teller.fact("annuaire/", &format!("{} extracts in the national formats, {rows} rows", report.files.len()))?;
    let totals = report.totals.unwrap_or_default();
    teller.fact(
        "annuaire-data/",
        &format!(
            "the same, loaded: {} people, {} structures, {} mailboxes, {} cards",
            totals.people, totals.structures, totals.mailboxes, totals.cards
        ),
    )?;
    teller.fact("book/", "which certificates sign for each hospital, and which read for it")?;
    let refused: u64 = report.files.iter().map(|file| file.refused).sum();
    teller.expect(
        &format!("made and read back in {:.1} s, no row refused", began.elapsed().as_secs_f64()),
        check(refused == 0, "no refused row", format!("{refused} refused")),
    )?;
    Ok(space)
}

/// `10: Dr Anne MARTIN-TEST, …; revoked: …`
fn cards(space: &Space) -> String {
    let named = |fate: CardFate| {
        let names = space.holders.iter().filter(move |h| h.person.fate == fate).map(|h| full_name(&h.person));
        names.collect::<Vec<_>>().join(", ")
    };
    format!(
        "{} people: {}; revoked: {}; expired: {}; from a root that nobody trusts: {}",
        space.holders.len(),
        named(CardFate::Good),
        named(CardFate::Revoked),
        named(CardFate::Expired),
        named(CardFate::OtherRoot)
    )
}
