const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const [wanted, password] = args;
const server = MailServices.accounts.accounts[0].incomingServer;
server.password = password;
const inbox = () => server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
const found = () => [...(inbox()?.messages ?? [])].find(header => header.messageId == wanted);

// The icons' pictures say what the reader is told.
const verdict = icon => (icon.hidden ? null : icon.getAttribute("src").match(/-([a-z]+)\.svg$/)[1]);
// Without the header that it would print above it.
const text = page => (page?.querySelector(".moz-text-plain, .moz-text-flowed, .moz-text-html") ?? page?.body)?.innerText ?? "";
const tell = pane => {
  const element = id => pane.document.getElementById(id);
  done({
    encrypted: verdict(element("encryptedHdrIcon")),
    signed: verdict(element("signedHdrIcon")),
    signature: pane.gSignatureStatus,
    signer: pane.gSignerCert?.commonName ?? null,
    subject: element("expandedsubjectBox").value?.textContent ?? element("expandedsubjectBox").textContent,
    text: text(pane.getMessagePaneBrowser().contentDocument),
  });
};
const watch = pane => {
  const processed = () => {
    if (!pane.gSmimeMsgLoadedFired) {
      return false;
    }
    const none = pane.gSignatureStatusForURI === null && pane.gEncryptionStatusForURI === null;
    if (none || pane.gSmimeProcessedDispatched) {
      tell(pane);
      return true;
    }
    return false;
  };
  if (!processed()) {
    // The same event brings its own listeners up to date first: they were there before us.
    pane.addEventListener("MsgLoaded", processed);
    pane.addEventListener("smimeprocessed", processed);
  }
};
const show = header => {
  const uri = header.folder.getUriForMsg(header);
  const { chromeBrowser } = document.getElementById("tabmail").openTab("mailMessageTab", { messageURI: uri });
  const pane = () => chromeBrowser.contentWindow;
  if (chromeBrowser.contentDocument?.readyState == "complete" && chromeBrowser.currentURI.spec == "about:message") {
    watch(pane());
  } else {
    chromeBrowser.addEventListener("load", () => watch(pane()), { once: true, capture: true });
  }
};

// With a new profile the inbox that is there at first goes, and comes back as what the server turns out to have; a
// message counts as found once its own address leads back to it.
const settled = header => {
  try {
    const uri = header.folder.getUriForMsg(header);
    return MailServices.messageServiceFromURI(uri).messageURIToMsgHdr(uri).messageId == wanted;
  } catch {
    return false;
  }
};
let busy = true;
const idle = { OnStartRunningUrl() {}, OnStopRunningUrl: () => (busy = false) };
const look = () => {
  const header = found();
  if (header && settled(header)) {
    show(header);
    return;
  }
  if (!busy && inbox()) {
    busy = true;
    inbox().QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, idle);
  }
  window.setTimeout(look, 100);
};
MailServices.imap.discoverAllFolders(server.rootFolder, idle, null);
look();
