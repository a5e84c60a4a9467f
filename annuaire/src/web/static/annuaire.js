// The page works without this file. It shortens the way: results while typing, one touch to copy an address.
(() => {
  'use strict';
  const form = document.getElementById('ask');
  const main = document.getElementById('results');
  const status = document.getElementById('status');
  if (!form || !main || !status) return;
  const field = document.getElementById('q');
  const home = form.getAttribute('action');
  const said = form.dataset;
  let waiting, speaking, asking, settling, addressed, last = location.search;

  const show = (text, kind) => { clearTimeout(speaking); status.className = kind; status.textContent = text; };
  const say = (text) => {
    clearTimeout(speaking);
    // What comes while somebody types is said once they pause; whoever sees it reads it above the list.
    speaking = setTimeout(show, 400, text, 'unseen');
  };
  // What was told stays for those who listen; from sight it goes by itself, and at the next step, hiding nothing.
  const tell = (text) => { show(text, 'told'); speaking = setTimeout(hide, 6000); };
  const hide = () => { if (status.className === 'told') status.className = 'unseen'; };
  const uncover = (root) => root.querySelectorAll('[data-copy]').forEach((it) => { it.hidden = false; });

  const asked = () => {
    const all = new URLSearchParams(new FormData(form));
    for (const [name, value] of [...all]) if (!value.trim()) all.delete(name);
    const text = all.toString();
    return text ? '?' + text : '';
  };

  // The address follows once somebody has stopped typing: no half name stays behind in the browser's history.
  const settle = () => {
    clearTimeout(settling);
    if (addressed === undefined) return;
    const address = home + addressed;
    addressed = undefined;
    // From the page of a person, Back leads back to it.
    if (location.pathname === home) history.replaceState(null, '', address);
    else history.pushState(null, '', address);
  };
  addEventListener('popstate', () => location.reload());

  // Date, warning and language belong to what is shown, not to what was shown when the page was opened.
  const put = (found) => {
    main.replaceChildren(found);
    main.removeAttribute('aria-busy');
    uncover(main);
    const about = found.dataset;
    document.title = about.title;
    for (const name of ['dated', 'generation', 'stale']) {
      const place = document.getElementById(name);
      if (place) place.textContent = about[name] || '';
    }
    const stale = document.getElementById('stale');
    if (stale) stale.hidden = !about.stale;
    const language = document.querySelector('.language');
    if (language) language.setAttribute('href', about.other);
    say(about.count);
  };

  const ask = async () => {
    clearTimeout(waiting);
    const query = asked();
    if (query === last) return;
    last = query;
    if (asking) asking.abort();
    const mine = asking = new AbortController();
    try {
      const answer = await fetch(said.results + query, { signal: mine.signal, credentials: 'same-origin' });
      const text = await answer.text();
      if (mine.signal.aborted) return;
      if (answer.status === 429) {
        last = null;
        const seconds = Math.min(Number(answer.headers.get('Retry-After')) || 5, 600);
        waiting = setTimeout(ask, seconds * 1000);
        return tell(said.wait);
      }
      // A proxy may have put a page of its own in between: only ours is shown.
      const found = answer.ok && new DOMParser().parseFromString(text, 'text/html').querySelector('.found');
      if (!found) throw new Error(String(answer.status));
      put(found);
      addressed = query;
      clearTimeout(settling);
      settling = setTimeout(settle, 1000);
    } catch (error) {
      if (error.name === 'AbortError') return;
      last = null;
      tell(said.busy);
    }
  };

  form.addEventListener('input', () => {
    clearTimeout(waiting);
    clearTimeout(settling);
    waiting = setTimeout(ask, 150);
  });
  form.addEventListener('submit', (event) => {
    // The same address as without script, without what is empty.
    event.preventDefault();
    clearTimeout(waiting);
    location.assign(home + asked());
  });
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'ArrowDown' || event.isComposing) return;
    const first = main.querySelector('.people h3 a');
    if (first) { event.preventDefault(); first.focus(); }
  });
  document.addEventListener('focusin', hide);
  main.addEventListener('focusin', settle);

  document.addEventListener('click', async (event) => {
    settle();
    const button = event.target.closest('[data-copy]');
    if (!button) return;
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
      document.querySelectorAll('.copied').forEach((it) => it.classList.remove('copied'));
      button.classList.add('copied');
      tell(('link' in button.dataset ? said.linkCopied : said.copied) + text);
    } catch {
      tell(said.notCopied);
    }
  });
  uncover(document);
})();
