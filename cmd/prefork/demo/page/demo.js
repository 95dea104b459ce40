// The demo's page. It draws what the workers answer, and keeps nothing of its
// own but the tally of answers since it was opened (or cleared).
//
// Whatever came over the network is set as text, never as markup.

const pollEvery = 1000; // ms, between two looks at the pool
const patience = 5000; // ms, after which a request counts as failed
const parallel = 6; // what a browser opens to one address at once, RFC 9112 section 9.4
const stepPause = 70; // ms between the ten questions, so that eyes can follow
const hues = 8; // as in demo.css

const $ = (id) => document.getElementById(id);

// make builds an element: make('li', {class: 'x'}, 'text', child, ...).
function make(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

const badge = (slot) => make('span', { class: 'badge', 'data-hue': slot % hues }, String(slot));
const number = (n) => n.toLocaleString('en-US');
const plural = (n, one) => `${number(n)} ${one}${n === 1 ? '' : 's'}`;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

// ask sends one request; every one goes over a connection of its own.
async function ask(method, path, body) {
  const options = { method, cache: 'no-store', signal: AbortSignal.timeout(patience) };
  if (body !== undefined) {
    options.headers = { 'Content-Type': 'application/json' };
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `status ${response.status}`);
  return answer;
}

// ---- what is known of the pool ------------------------------------------

const pool = {
  workers: new Map(), // slot -> {slot, pid, generation, started_ms, requests}
  generation: 0, // 0: not seen yet
  count: 0,
  shared: 0,
  last: null, // slot that answered last
  command: 'prefork',
  clock: 0, // the workers' clock minus performance.now(), ms
};
const tally = { bySlot: new Map(), answered: 0, failed: 0, times: [] };
const seen = { reload: false, scale: false, kill: false };

// learn takes what a worker says of itself, unless a newer process has its
// slot: during a reload both answer for a while.
function learn(w) {
  const known = pool.workers.get(w.slot);
  if (known && known.pid !== w.pid) {
    const newer = w.generation !== known.generation ? w.generation > known.generation : w.started_ms > known.started_ms;
    if (!newer) return;
    if (w.generation === known.generation) {
      seen.kill = true;
      note(`Worker ${w.slot} is a new process, ${known.pid} became ${w.pid}: its globals are empty, ipc is not.`);
    }
  }
  if (known && known.pid === w.pid && known.requests > w.requests) w = { ...w, requests: known.requests };
  pool.workers.set(w.slot, w);
}

function noteGeneration(generation) {
  if (generation <= pool.generation) return;
  if (pool.generation > 0) {
    seen.reload = true;
    note(`Generation ${generation} took over from ${pool.generation}: new processes, new globals. The shared counter stands at ${number(pool.shared)}.`);
  }
  pool.generation = generation;
}

function noteCount(count) {
  if (pool.count > 0 && count !== pool.count) {
    seen.scale = true;
    note(`${plural(pool.count, 'worker')} became ${number(count)}.`);
  }
  pool.count = count;
}

async function look() {
  const before = pool.shared;
  const answer = await ask('GET', '/api/pool');
  pool.clock = answer.now_ms - performance.now();
  pool.command = answer.command;
  const top = Math.max(0, ...answer.workers.map((w) => w.generation));
  if (top > 0 && restarted(answer, top, before)) forget();
  pool.shared = Math.max(pool.shared, answer.shared);
  const there = new Set(answer.workers.map((w) => w.slot));
  for (const w of answer.workers) learn(w);
  noteGeneration(top);
  for (const slot of pool.workers.keys()) if (!there.has(slot)) pool.workers.delete(slot);
  if (there.size > 0) noteCount(there.size);
}

// restarted says that this is another master's pool on the same address: its
// generations and its store begin anew.
function restarted(answer, top, sharedBefore) {
  if (top < pool.generation) return true;
  const pids = new Set([...pool.workers.values()].map((w) => w.pid));
  return pids.size > 0 && top === pool.generation && answer.shared < sharedBefore && !answer.workers.some((w) => pids.has(w.pid));
}

function forget() {
  Object.assign(pool, { workers: new Map(), generation: 0, count: 0, shared: 0, last: null });
  note('The demo was started anew: other processes, and another store.');
}

async function watch() {
  if (!document.hidden) {
    try {
      await look();
      setChip('live');
    } catch {
      setChip('lost');
    }
    draw();
  }
  setTimeout(watch, pollEvery);
}

function note(text) {
  const log = $('log');
  if (!log.dataset.used) log.replaceChildren();
  log.dataset.used = 'yes';
  const now = new Date();
  log.prepend(make('li', {}, make('time', { datetime: now.toISOString() }, now.toTimeString().slice(0, 8)), text));
  while (log.children.length > 8) log.lastChild.remove();
}

// ---- drawing ------------------------------------------------------------

let drawing = false;

// draw paints at the next frame, however often it is called before.
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    drawWorkers();
    drawFigures();
    drawTries();
  });
}

function setChip(state) {
  const chip = $('chip');
  const text = state === 'lost' ? 'no answer, trying again' : `generation ${pool.generation} · ${plural(pool.count, 'worker')}`;
  if (chip.textContent !== text) chip.textContent = text;
  chip.dataset.state = state;
}

function workerRow(slot) {
  const bar = make('div', { class: 'bar' });
  const row = make('li', { class: 'worker', 'data-slot': slot, 'data-hue': slot % hues },
    badge(slot),
    make('p', { class: 'id' }, make('b'), make('span')),
    make('div', { class: 'track' }, make('div', { class: 'rail', 'aria-hidden': 'true' }, bar), make('span', { class: 'answers' })),
    make('p', { class: 'memory' }, make('span', {}, 'its own global'), make('code')));
  return row;
}

function drawWorkers() {
  const list = $('workers');
  const slots = [...pool.workers.keys()].sort((a, b) => a - b);
  const rows = new Map([...list.children].map((row) => [Number(row.dataset.slot), row]));
  for (const [slot, row] of rows) if (!pool.workers.has(slot)) row.remove();
  const most = Math.max(1, ...tally.bySlot.values());
  list.style.setProperty('--digits', number(most).length);
  slots.forEach((slot, i) => {
    const row = rows.get(slot) ?? workerRow(slot);
    if (list.children[i] !== row) list.insertBefore(row, list.children[i] ?? null);
    const w = pool.workers.get(slot);
    const answers = tally.bySlot.get(slot) ?? 0;
    row.toggleAttribute('data-last', slot === pool.last);
    row.dataset.answers = answers;
    row.dataset.pid = w.pid;
    row.querySelector('.id b').textContent = `pid ${w.pid}`;
    row.querySelector('.id span').textContent = `generation ${w.generation} · up ${duration(pool.clock + performance.now() - w.started_ms)}`;
    row.querySelector('.bar').style.setProperty('--part', answers / most);
    row.querySelector('.answers').replaceChildren(make('b', {}, number(answers)), answers === 1 ? ' answer' : ' answers');
    row.querySelector('.memory code').textContent = `requests = ${number(w.requests)}`;
  });
}

function drawFigures() {
  const words = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve'];
  if (pool.count > 0) {
    $('count-word').textContent = words[pool.count] ?? number(pool.count);
    $('count-word').nextSibling.textContent = pool.count === 1 ? ' process' : ' processes';
  }
  $('shared').textContent = number(pool.shared);
  $('answered').textContent = number(tally.answered);
  $('failed').textContent = number(tally.failed);
  $('failed').toggleAttribute('data-bad', tally.failed > 0);
  $('reached').textContent = `${tally.bySlot.size} of ${Math.max(pool.count, tally.bySlot.size)}`;
  const sorted = tally.times.toSorted((a, b) => a - b);
  $('median').textContent = sorted.length ? `${sorted[sorted.length >> 1].toFixed(1)} ms` : '–';
}

function drawTries() {
  const victim = pool.workers.get(pool.last) ?? pool.workers.values().next().value;
  const commands = {
    reload: `${pool.command} reload`,
    scale: `${pool.command} scale ${pool.count >= 8 ? 4 : 8}`,
    kill: victim ? `kill -9 ${victim.pid}` : 'kill -9 PID',
  };
  let next = true;
  for (const li of $('tries').children) {
    const what = li.dataset.try;
    const code = li.querySelector('code');
    if (code.textContent !== commands[what]) code.textContent = commands[what];
    li.querySelector('.copy').setAttribute('aria-label', `Copy ${commands[what]}`);
    li.toggleAttribute('data-done', seen[what]);
    li.toggleAttribute('data-next', next && !seen[what]);
    if (!seen[what]) next = false;
  }
}

// ---- 1: requests --------------------------------------------------------

async function sendOne() {
  const begin = performance.now();
  try {
    const { worker, shared } = await ask('POST', '/api/request');
    tally.times.push(performance.now() - begin);
    if (tally.times.length > 500) tally.times.shift();
    tally.answered++;
    tally.bySlot.set(worker.slot, (tally.bySlot.get(worker.slot) ?? 0) + 1);
    pool.shared = Math.max(pool.shared, shared);
    pool.last = worker.slot;
    learn(worker);
    draw();
    return { worker, shared };
  } catch {
    tally.failed++;
    draw();
    return null;
  }
}

async function send(n) {
  if (n > 1) {
    setSending(true);
    $('last').textContent = `Sending ${plural(n, 'request')}, ${parallel} at a time …`;
  }
  let left = n;
  let last = null;
  const runner = async () => {
    while (left > 0) {
      left--;
      last = (await sendOne()) ?? last;
    }
  };
  const failedBefore = tally.failed;
  await Promise.all(Array.from({ length: Math.min(n, parallel) }, runner));
  if (n > 1) setSending(false);
  const failed = tally.failed - failedBefore;
  if (failed > 0) {
    $('last').textContent = `${number(failed)} of ${plural(n, 'request')} failed: the connection broke, or the worker was killed while it answered.`;
  } else if (n === 1) {
    const { worker: w, shared } = last;
    $('last').replaceChildren('Answered by worker ', badge(w.slot), ` pid ${w.pid}, generation ${w.generation}, up ${duration(w.uptime_ms)}. Its global says `,
      make('b', {}, number(w.requests)), ', ipc says ', make('b', {}, number(shared)), '.');
  } else {
    $('last').textContent = `${plural(n, 'request')} answered, none failed.`;
  }
}

function setSending(on) {
  for (const b of document.querySelectorAll('[data-send]')) if (b.dataset.send !== '1') b.disabled = on;
}

for (const b of document.querySelectorAll('[data-send]')) b.addEventListener('click', () => send(Number(b.dataset.send)));

$('clear').addEventListener('click', () => {
  Object.assign(tally, { bySlot: new Map(), answered: 0, failed: 0, times: [] });
  draw();
});

// ---- 2: the login -------------------------------------------------------

const questions = 10;
const sides = { global: $('side-global'), ipc: $('side-ipc') };

function emptyStrips(text) {
  for (const side of Object.values(sides)) {
    side.dataset.verdict = 'none';
    side.querySelector('.strip').replaceChildren(...Array.from({ length: questions }, () => make('li', { 'aria-hidden': 'true' })));
    side.querySelector('.verdict').textContent = text;
  }
}

function mark(side, i, slot, kept) {
  const li = make('li', { 'data-kept': kept ? 'yes' : 'no', 'aria-label': `worker ${slot}: ${kept ? 'knows you' : 'does not know you'}` },
    badge(slot), make('span', { 'aria-hidden': 'true' }, kept ? '✓' : '✗'));
  side.querySelector('.strip').children[i].replaceWith(li);
}

function setLogin(name, slot) {
  const state = $('login-state');
  $('ask').hidden = name === null;
  $('logout').hidden = name === null;
  $('login-button').textContent = name === null ? 'Log in' : 'Log in again';
  if (name === null) state.textContent = 'You are not logged in.';
  else state.replaceChildren('Logged in as ', make('b', {}, make('bdi', {}, name)), '. Worker ', badge(slot), ' took the login, in both places.');
}

// askTen sends ten requests, one after the other. Each carries both cookies, so
// that both answers come from one worker at one moment.
async function askTen() {
  emptyStrips('Asking …');
  const kept = { global: 0, ipc: 0 };
  let asked = 0;
  let name = '';
  for (let i = 0; i < questions; i++) {
    try {
      const me = await ask('GET', '/api/me');
      asked++;
      name = me.ipc?.name ?? name;
      for (const [where, side] of Object.entries(sides)) {
        if (me[where]) kept[where]++;
        mark(side, i, me.worker.slot, me[where] !== null);
      }
    } catch {
      // No worker answered: it says nothing about either side.
    }
    await pause(stepPause);
  }
  for (const [where, side] of Object.entries(sides)) {
    const lost = asked - kept[where];
    side.dataset.asked = asked;
    side.dataset.lost = lost;
    side.dataset.verdict = asked === 0 ? 'none' : lost > 0 ? 'lost' : 'kept';
    side.querySelector('.verdict').textContent = asked === 0 ? 'No worker answered.'
      : lost > 0 ? `“Who are you?” in ${lost} of ${plural(asked, 'request')}.`
      : `“Hello, ${name}” in all ${plural(asked, 'request')}.`;
  }
}

// whileBusy runs f with the form locked, and shows what went wrong.
async function whileBusy(f) {
  const buttons = $('login').querySelectorAll('button');
  for (const b of buttons) b.disabled = true;
  $('login-error').hidden = true;
  try {
    await f();
  } catch (e) {
    $('login-error').textContent = `That did not work: ${e.message}.`;
    $('login-error').hidden = false;
  }
  for (const b of buttons) b.disabled = false;
}

$('login').addEventListener('submit', (event) => {
  event.preventDefault();
  whileBusy(async () => {
    const me = await ask('POST', '/api/login', { name: $('name').value });
    setLogin(me.ipc.name, me.ipc.slot);
    await askTen();
  });
});

$('ask').addEventListener('click', () => whileBusy(askTen));

$('logout').addEventListener('click', () => whileBusy(async () => {
  await ask('POST', '/api/logout', {});
  setLogin(null);
  emptyStrips('Log in to see what happens.');
  $('name').focus();
}));

// ---- 3: the kill --------------------------------------------------------

const killing = { busy: false, kills: 0, sessions: 0, ipc: 0, global: 0 };

// killOne has the worker that answers killed, and asks who the visitor is until
// the process that took its slot has answered.
async function killOne() {
  $('kill-state').textContent = 'Killing …';
  const { worker: victim } = await ask('POST', '/api/kill', {});
  const until = performance.now() + patience;
  let heir = null;
  let asked = 0;
  let known = 0;
  while (heir === null && performance.now() < until) {
    try {
      const me = await ask('GET', '/api/me');
      asked++;
      if (me.ipc) known++;
      if (me.worker.slot === victim.slot && me.worker.pid !== victim.pid) heir = me;
    } catch {
      await pause(stepPause); // the worker that died had the connection
    }
  }
  if (heir === null) throw new Error(`nobody took the place of worker ${victim.slot}`);
  killing.kills++;
  if (known > 0 || !$('logout').hidden) {
    killing.sessions++;
    if (known === asked) killing.ipc++;
    if (heir.global) killing.global++;
  }
  learn(heir.worker);
  draw();
  drawKill(victim, heir, asked, known);
}

function drawKill(victim, heir, asked, known) {
  const session = $('logout').hidden ? ' You are not logged in: log in above, to see what becomes of a session.'
    : known === asked ? ` You are still logged in over ipc: ${plural(asked, 'request')} since, and each knew you.`
    : ` Over ipc ${known} of ${plural(asked, 'request')} knew you.`;
  $('kill-state').replaceChildren('Worker ', badge(victim.slot), ' was pid ', make('b', {}, String(victim.pid)), ' and is now pid ', make('b', {}, String(heir.worker.pid)),
    heir.global ? ', whose global knows you.' : ', whose globals are empty.', session);
  $('killed').textContent = number(killing.kills);
  if (killing.sessions > 0) {
    $('kill-ipc').textContent = `${number(killing.ipc)} of ${number(killing.sessions)}`;
    $('kill-global').textContent = `${number(killing.global)} of ${number(killing.sessions)}`;
  }
  Object.assign($('killing').dataset, { victim: victim.pid, heir: heir.worker.pid, kills: killing.kills });
}

// The button is not disabled meanwhile: it would lose the focus.
$('kill').addEventListener('click', async () => {
  if (killing.busy) return;
  killing.busy = true;
  $('kill').setAttribute('aria-disabled', 'true');
  try {
    await killOne();
  } catch (e) {
    $('kill-state').textContent = `That did not work: ${e.message}.`;
  }
  $('kill').removeAttribute('aria-disabled');
  killing.busy = false;
});

// ---- 4: what to try next ------------------------------------------------

$('tries').addEventListener('click', async (event) => {
  const button = event.target.closest('.copy');
  if (!button) return;
  const code = button.parentElement.querySelector('code');
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = 'Copied';
  } catch {
    getSelection().selectAllChildren(code); // no clipboard over plain HTTP from another machine
    button.textContent = 'Selected';
  }
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
});

// ---- begin --------------------------------------------------------------

$('curl').textContent = `curl -X POST ${location.origin}/api/request`;
emptyStrips('Log in to see what happens.');
drawTries();
watch();
ask('GET', '/api/me').then((me) => { if (me.ipc) setLogin(me.ipc.name, me.ipc.slot); }, () => {});
