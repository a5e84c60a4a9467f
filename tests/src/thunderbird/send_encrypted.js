// Has the open message encrypted and sends it. Says for whom a certificate was missing before.
const [key, subject, text] = args;
const certificates = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);

(async () => {
  const writer = Services.wm.getMostRecentWindow("msgcompose");
  const { document: page } = writer;
  const recipients = writer.getEncryptionCompatibleRecipients();
  const known = () => recipients.filter(one => writer.gSMFields.haveValidCertForEmail(one));
  const before = known();
  // As the settings of an account do it.
  const own = certificates.getCerts().find(one => one.emailAddress == key);
  const identity = writer.gCurrentIdentity;
  identity.setUnicharAttribute("encryption_cert_name", own.displayName);
  identity.setUnicharAttribute("encryption_cert_dbkey", own.dbKey);
  page.getElementById("msgSubject").value = subject;
  writer.GetCurrentEditor().insertText(text);

  // It looks for certificates that it does not have, with a window of its own while it waits.
  writer.toggleEncryptMessage();
  await until(() => !writer.gCheckEncryptionStateCompletionIsPending && !writer.gSMPendingCertLookupSet.size);
  const missing = [...writer.gEmailsWithMissingCerts];
  if (!missing.length) {
    writer.goDoCommand("cmd_sendNow");
    await until(() => writer.closed);
  }
  done({ before, missing });
})().catch(error => done({ error: `${error} ${error.stack}` }));
