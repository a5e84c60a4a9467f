// Types into "To:" of a new message, or of the one that is open, and says what is offered after each key; then takes
// whom it was about from the list, if he is there, and says who is written to.
const [typed, wanted] = args;
const composing = () => [...Services.wm.getEnumerator("msgcompose")].find(one => !one.closed && one.gLoadingComplete);

(async () => {
  if (!composing()) {
    const { compose, accounts } = MailServices;
    const form = Ci.nsIMsgCompFormat.PlainText;
    compose.OpenComposeWindow(null, null, "", Ci.nsIMsgCompType.New, form, accounts.accounts[0].defaultIdentity, null, null);
  }
  await until(composing);
  const writer = composing();
  const input = writer.document.getElementById("toAddrInput");
  const { controller } = input;
  writer.focus();
  input.focus();
  await until(() => writer.document.activeElement == input && controller.input);

  let searched;
  input.onSearchComplete = function () {
    Object.getPrototypeOf(this).onSearchComplete.call(this);
    searched?.();
  };
  const keyboard = Cc["@mozilla.org/text-input-processor;1"].createInstance(Ci.nsITextInputProcessor);
  keyboard.beginInputTransactionForTests(writer);
  const press = key => {
    const event = new writer.KeyboardEvent("", key);
    keyboard.keydown(event);
    keyboard.keyup(event);
  };
  const offered = [];
  for (const key of typed) {
    const answered = new Promise(resolve => (searched = resolve));
    press({ key });
    await answered;
    offered.push([...Array(controller.matchCount).keys()].map(at => controller.getLabelAt(at)));
  }
  const pills = () => [...writer.document.querySelectorAll("#toAddrContainer mail-address-pill")];
  const place = offered.at(-1).findIndex(one => one.includes(wanted));
  if (wanted && place >= 0) {
    const before = pills().length;
    // One alone stands in the field already; of several, a list is shown.
    if (offered.at(-1).length > 1) {
      await until(() => input.popup.state == "open");
      while (input.popup.selectedIndex != place) {
        press({ key: "ArrowDown", code: "ArrowDown", keyCode: 40 });
      }
    }
    press({ key: "Enter", code: "Enter", keyCode: 13 });
    await until(() => pills().length > before);
  } else {
    input.value = "";
  }
  done({ offered, to: pills().map(pill => pill.fullAddress) });
})().catch(error => done({ error: `${error} ${error.stack}` }));
