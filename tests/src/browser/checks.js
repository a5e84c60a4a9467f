// What can be told of a page's accessibility without anybody's library: a list of faults, empty when there are none.
const faults = [];
const say = (what, element) => faults.push(`${what}: ${element.outerHTML.slice(0, 160)}`);
const all = (selector) => [...document.querySelectorAll(selector)];
const seen = (element) => element.checkVisibility({ visibilityProperty: true });

// Structure: language, title, landmarks, headings in order, ids once.
if (!['fr', 'en'].includes(document.documentElement.lang)) faults.push('no language');
if (!document.title.trim()) faults.push('no title');
for (const [selector, most] of [['main', 1], ['h1', 1], ['header', 1], ['footer', 1]]) {
  if (all(selector).length !== most) faults.push(`${all(selector).length} × ${selector}`);
}
let level = 1;
for (const heading of all('h1, h2, h3, h4')) {
  const now = Number(heading.tagName[1]);
  if (now > level + 1) say('a level of headings is skipped', heading);
  if (!heading.textContent.trim()) say('empty heading', heading);
  level = now;
}
const ids = all('[id]').map((it) => it.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`id twice: ${id}`);
for (const it of all('[aria-describedby], [aria-labelledby], [aria-controls]')) {
  for (const name of ['aria-describedby', 'aria-labelledby', 'aria-controls']) {
    for (const id of (it.getAttribute(name) || '').split(' ').filter(Boolean)) {
      if (!document.getElementById(id)) say(`${name} leads nowhere`, it);
    }
  }
}

// Names: images, fields, links, buttons; what is read aloud contains what is seen.
for (const it of all('img')) if (!it.hasAttribute('alt')) say('image without alt', it);
for (const it of all('input:not([type=hidden]), select, textarea')) {
  if (!it.labels.length && !it.getAttribute('aria-label')) say('field without label', it);
}
for (const it of all('a[href], button, summary').filter(seen)) {
  const visible = it.innerText.trim();
  const name = (it.getAttribute('aria-label') || visible).trim();
  if (!name) say('nothing to call it by', it);
  if (visible && !name.toLowerCase().includes(visible.toLowerCase())) say('name without what is seen', it);
}
const lists = all('ol, ul').flatMap((list) => [...list.children]).filter((it) => it.tagName !== 'LI');
for (const it of lists) say('not an item of a list', it);

// Contrast of every text with what is behind it (WCAG 1.4.3), and size of what is touched (2.5.8).
const colour = (text) => {
  const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
  return { rgb: [r, g, b], a };
};
const light = (rgb) => {
  const [r, g, b] = rgb.map((it) => it / 255).map((it) => (it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let it = element; it; it = it.parentElement) {
    const paint = colour(getComputedStyle(it).backgroundColor);
    if (paint.a === 1) return paint.rgb;
  }
  return [255, 255, 255];
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const looked = new Set();
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || looked.has(element) || !seen(element) || element.closest('.unseen, .skip, option')) continue;
  looked.add(element);
  const style = getComputedStyle(element);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const [one, other] = [light(colour(style.color).rgb), light(behind(element))];
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  if (ratio < (large ? 3 : 4.5)) say(`contrast ${ratio.toFixed(2)}`, element);
}
for (const it of all('button, input:not([type=hidden]), select, summary').filter(seen)) {
  const box = it.getBoundingClientRect();
  if (box.height < 24 || box.width < 24) say(`small target ${box.width}×${box.height}`, it);
}

// Reflow (1.4.10): nothing to scroll sideways.
if (document.documentElement.scrollWidth > innerWidth) {
  faults.push(`wider than the window: ${document.documentElement.scrollWidth} > ${innerWidth}`);
}
return faults;
