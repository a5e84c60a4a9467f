// One of its windows as a picture: PNG in base64.
const [kind] = args;
const shown = Services.wm.getMostRecentWindow(kind);
shown.browsingContext.currentWindowGlobal.drawSnapshot(null, 1, "white").then(bitmap => {
  const canvas = document.createElementNS("http://www.w3.org/1999/xhtml", "canvas");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  done(canvas.toDataURL("image/png").split(",")[1]);
}, error => done({ error: `${error}` }));
