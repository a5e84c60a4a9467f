// The page works without this file. It shortens the way: results while typing, one touch to copy an address.
(() => {
  'use strict';
  const form = document.getElementById('ask');
  const main = document.getElementById('results');
  const status = document.getElementById('status');
  if (!form || !main || !status) return;
  const field = document.getElementById('q');
  const said = form.dataset;
  let waiting, speaking, asking, last = location.search;

  const show = (text, kind) => { clearTimeout(speaking); status.className = kind; status.textContent = text; };
  const say = (text) => {
    clearTimeout(speaking);
    // What comes while somebody types is said once they pause; whoever sees it reads it above the list.
    speaking = setTimeout(show, 400, text, 'unseen');
  };
  const uncover = (root) => root.querySelectorAll('[data-copy]').forEach((it) => { it.hidden = false; });

  const asked = () => {
    const all = new URLSearchParams(new FormData(form));
    for (const [name, value] of [...all]) if (!value.trim()) all.delete(name);
    const text = all.toString();
    return text ? '?' + text : '';
  };

  const ask = async () => {
    const query = asked();
    if (query === last) return;
    last = query;
    if (asking) asking.abort();
    const mine = asking = new AbortController();
    try {
      const answer = await fetch(said.results + query, { signal: mine.signal, credentials: 'same-origin' });
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text();
      if (mine.signal.aborted) return;
      main.innerHTML = text;
      main.removeAttribute('aria-busy');
      uncover(main);
      const found = main.querySelector('.found');
      document.title = found.dataset.title;
      history.replaceState(null, '', form.getAttribute('action') + query);
      say(found.dataset.count);
    } catch (error) {
      if (error.name === 'AbortError') return;
      last = null;
      show(said.busy, 'told');
    }
  };

  form.addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, 150);
  });
  form.addEventListener('submit', (event) => {
    // The same address as without script, without what is empty.
    event.preventDefault();
    clearTimeout(waiting);
    location.assign(form.getAttribute('action') + asked());
  });
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'ArrowDown' || event.isComposing) return;
    const first = main.querySelector('.people h3 a');
    if (first) { event.preventDefault(); first.focus(); }
  });

  document.addEventListener('click', async (event) => {
    const button = event.target.closest('[data-copy]');
    if (!button) return;
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
      document.querySelectorAll('.copied').forEach((it) => it.classList.remove('copied'));
      button.classList.add('copied');
      show(('link' in button.dataset ? said.linkCopied : said.copied) + text, 'told');
    } catch {
      show(said.notCopied, 'told');
    }
  });
  uncover(document);
})();
