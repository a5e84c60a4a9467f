// Looks until it is so: what the program does not announce.
const until = condition =>
  new Promise(resolve => {
    const look = () => (condition() ? resolve() : window.setTimeout(look, 50));
    look();
  });
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
