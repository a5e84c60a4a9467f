// Searches in one book of the address book's own tab, and says whom it lists.
const [name, wanted] = args;
const COMPLETE = 2;

(async () => {
  const page = await window.toAddressBook();
  await until(() => page.cardsPane?.cardsList?.view && page.booksList?.rows.length);
  const { cardsPane, booksList } = page;
  const book = MailServices.ab.directories.find(one => one.dirName == name);
  booksList.selectedIndex = booksList.getIndexForUID(book.UID);
  await until(() => cardsPane.cardsList.view?.directory?.UID == book.UID);
  const before = cardsPane.cardsList.view;
  const input = cardsPane.searchInput.shadowRoot.querySelector("input");
  input.focus();
  input.value = wanted;
  input.dispatchEvent(new page.InputEvent("input"));
  await until(() => cardsPane.cardsList.view != before && cardsPane.cardsList.view.searchState == COMPLETE);
  const { view } = cardsPane.cardsList;
  const cards = [...Array(view.rowCount).keys()].map(row => view.getCardFromRow(row));
  done(cards.map(card => ({ name: card.displayName, addresses: card.emailAddresses })));
})().catch(error => done({ error: `${error} ${error.stack}` }));
