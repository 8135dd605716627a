'use strict';
(() => {
  const report = JSON.parse(document.getElementById('report').textContent);
  const root = document.documentElement;
  const main = document.getElementById('main');
  const nav = document.getElementById('nav');
  const charts = [];

  // Small builders: everything from the report enters the page as text, never as markup.
  const el = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === 'style') node.style.cssText = value; else node.setAttribute(key, value);
    }
    for (const child of children.flat()) node.append(child instanceof Node ? child : document.createTextNode(String(child)));
    return node;
  };
  const percent = (x, digits = 1) => x == null ? '–' : (100 * x).toFixed(digits);
  const counted = (n, one) => `${Math.round(n).toLocaleString('en-US')} ${one}${n === 1 ? '' : 's'}`;
  const count = x => x == null ? '–' : Math.round(x).toLocaleString('en-US');
  const bytes = x => x == null ? '–' : x >= 1e9 ? (x / 1e9).toFixed(1) + ' GB' : x >= 1e8 ? (x / 1e6).toFixed(0) + ' MB' : x >= 1e6 ? (x / 1e6).toFixed(2) + ' MB' : (x / 1e3).toFixed(1) + ' kB';
  const seconds = x => x == null ? '–' : x >= 600 ? `${Math.floor(x / 60)} min ${Math.round(x % 60)} s` : x >= 10 ? x.toFixed(0) + ' s' : x.toFixed(1) + ' s';
  const sum = list => list.reduce((a, b) => a + b, 0);
  const colour = name => getComputedStyle(root).getPropertyValue(name).trim();
  const paint = (name, alpha) => `rgba(${colour(name)}, ${alpha})`;

  const clients = report.clients || [];
  const classes = report.data?.class_names || (clients[0]?.class_counts || []).map((_, i) => String(i));
  const clientName = k => clients[k]?.name || `client ${k}`;

  const section = (id, title, note, ...content) => {
    nav.append(el('a', {href: '#' + id}, id));
    return el('section', {id}, el('h2', {}, title), note ? el('p', {class: 'note'}, note) : '', ...content);
  };
  const tile = (label, value, unit, hint, primary) =>
    el('div', {class: 'tile' + (primary ? ' main' : '')}, el('div', {class: 'label'}, label),
       el('div', {class: 'value'}, value, unit ? el('small', {}, unit) : ''), el('div', {class: 'hint'}, hint || '\u00a0'));

  const chart = (height, make) => {
    const canvas = el('canvas', {});
    charts.push({canvas, make});
    return el('div', {class: 'chart', style: `height:${height}px`}, canvas);
  };
  const axes = (x = {}, y = {}) => ({
    x: {grid: {color: colour('--line'), drawBorder: false}, ticks: {color: colour('--soft')}, ...x},
    y: {grid: {color: colour('--line'), drawBorder: false}, ticks: {color: colour('--soft')}, ...y},
  });
  const base = extra => ({responsive: true, maintainAspectRatio: false, animation: false, plugins: {legend: {display: false}}, ...extra});

  // Names beside bars take half of the width at most: smaller on a phone, and shortened where that is not enough.
  const nameSize = chart => chart.width < 340 ? 10 : 12;
  function shortened(index) {
    const name = this.getLabelForValue(index), most = Math.floor(this.chart.width * .48 / (.53 * nameSize(this.chart)));
    return name.length > most ? name.slice(0, most - 1) + '…' : name;
  }
  const bars = (rows, unit, low) => chart(34 + 27 * rows.length, () => ({
    type: 'bar',
    data: {labels: rows.map(r => r.label), datasets: [{data: rows.map(r => r.value), backgroundColor: rows.map(r => r.colour()), borderRadius: 5, barPercentage: .78}]},
    options: base({indexAxis: 'y', scales: axes({min: low, suggestedMax: unit === '%' ? 100 : undefined, title: {display: true, text: unit, color: colour('--soft')}},
                                                {grid: {display: false}, ticks: {color: colour('--ink'), autoSkip: false, callback: shortened, font: c => ({size: nameSize(c.chart)})}}),
                   plugins: {legend: {display: false}, tooltip: {callbacks: {label: c => `${c.raw.toFixed(2)} ${unit}`}}}}),
    plugins: [{id: 'values', afterDatasetsDraw: c => {
      const g = c.ctx; g.save(); g.font = '600 11.5px system-ui, sans-serif'; g.textBaseline = 'middle';
      c.getDatasetMeta(0).data.forEach((bar, i) => {
        const text = rows[i].value.toFixed(1), inside = bar.x - bar.base > 44;
        g.fillStyle = inside && !rows[i].colour().startsWith('rgba') ? colour('--card') : colour('--ink'); g.textAlign = inside ? 'right' : 'left';
        g.fillText(text, bar.x + (inside ? -7 : 5), bar.y);
      });
      g.restore();
    }}],
  }));

  // Ticks at 1, 2 and 5 of each power of ten, at its 1 alone where there are many of them.
  const sparse = axis => {
    const marks = axis.max / axis.min > 1e3 ? '1' : '125';
    axis.ticks = axis.ticks.filter(t => marks.includes(t.value.toExponential()[0]));
  };
  const lines = (series, title) => chart(300, () => ({
    type: 'line',
    data: {datasets: series.map(s => ({label: s.label, data: s.values.map((v, i) => ({x: (i + 1) / s.values.length * 100, y: v})), borderColor: s.colour(), borderWidth: s.width || 1.6,
                                       pointRadius: 0, pointHitRadius: 8, tension: .25, borderDash: s.dash || []}))},
    options: base({interaction: {mode: 'nearest', intersect: false},
                   scales: axes({type: 'linear', min: 0, max: 100, title: {display: true, text: '% of training', color: colour('--soft')}},
                                {type: 'logarithmic', suggestedMin: .8 * Math.min(...series.flatMap(s => s.values)), suggestedMax: 1.2 * Math.max(...series.flatMap(s => s.values)), afterBuildTicks: sparse,
                                 title: {display: true, text: title, color: colour('--soft')}, ticks: {color: colour('--soft'), autoSkip: false, callback: v => String(Number(v.toPrecision(1)))}}),
                   plugins: {legend: {display: series.length > 1 && series.length <= 20, position: 'bottom', labels: {color: colour('--soft'), boxWidth: 14, boxHeight: 2}},
                             tooltip: {callbacks: {title: () => '', label: c => `${c.dataset.label}: ${c.raw.y.toFixed(4)}`}}}}),
  }));

  // A table whose cells are tinted by value; tinted again when the theme changes.
  const tinted = [];
  const heat = (matrix, token, show, tip) => {
    const highest = Math.max(1e-12, ...matrix.flat());
    const head = el('tr', {}, el('th', {class: 'row'}), classes.map(c => el('th', {class: 'slant', title: c}, el('div', {}, c))));
    const rows = matrix.map((row, k) => el('tr', {}, el('th', {class: 'row', title: clientName(k)}, clientName(k), ' ', el('span', {}, clients[k]?.architecture || '')),
      row.map((value, c) => {
        const full = String(show(value)), short = value >= 999.5 ? (value / 1e3).toFixed(value < 9950 ? 1 : 0) + 'k' : full;
        const cell = el('td', {title: tip(k, c, value)}, el('span', {class: 'full'}, full), el('span', {class: 'short'}, short));
        tinted.push(() => {
          const strength = Math.pow(value / highest, .6);
          cell.style.background = value > 0 ? paint(token, (.07 + .86 * strength).toFixed(3)) : paint(token, .035);
          cell.style.color = strength > .62 ? colour('--card') : colour('--ink');
        });
        return cell;
      })));
    return el('div', {class: 'scroll'}, el('table', {class: 'heat', style: `--columns: ${classes.length}`}, el('thead', {}, head), el('tbody', {}, rows)));
  };

  const hue = k => `hsl(${(k * 137.5 + 18) % 360} 52% ${root.dataset.theme === 'dark' ? 66 : 44}%)`;

  const meter = (label, value, who) => el('div', {class: 'meter' + (who ? ' who' : '')}, el('span', {title: label}, label),
                                          el('i', {}, el('b', {style: `width:${(100 * value).toFixed(1)}%`})), el('em', {}, Math.round(100 * value)));
  const top = (list, n) => list.map((value, index) => ({value, index})).sort((a, b) => b.value - a.value).slice(0, n);

  const student = report.student || {}, ensemble = report.ensemble || {}, bundle = report.bundle || {}, job = report.job || {};
  const stageOrder = ['load', 'clients', 'teachers', 'student', 'bundle', 'delivery'];
  const stages = Object.entries(report.seconds || {}).filter(([name]) => name !== 'total')
    .sort(([a], [b]) => stageOrder.indexOf(a) - stageOrder.indexOf(b));
  const total = report.seconds?.total ?? sum(stages.map(([, s]) => s));
  const alone = clients.map(c => c.test_accuracy).filter(x => x != null);
  const silent = clients.length - alone.length, silentText = `without ${silent} that ${silent === 1 ? 'keeps its' : 'keep their'} model`;
  const best = alone.length ? Math.max(...alone) : null;

  const overview = () => {
    const data = job.data?.source || 'the data', split = job.clients?.split || '', alpha = split.startsWith('dirichlet') ? ` (α = ${job.clients.alpha})` : '';
    main.append(
      el('h1', {}, `${counted(clients.length, 'client')}, one student: ${percent(student.test_accuracy)} %`),
      el('p', {class: 'lead'}, `${data}, ${split}${alpha} split, seed ${report.seed}. Clients of ${counted(new Set(clients.map(c => c.architecture)).size, 'architecture')} never shared an image; `
        + `the coordinator weighed their opinions on ${count(job.data?.pool)} unlabeled images by rule “${ensemble.rule}”, distilled ${student.architecture} and shipped it in integers.`),
      el('div', {class: 'tiles'},
        tile('Student', percent(student.test_accuracy, 2), '%', `${counted(student.parameters ?? 0, 'parameter')}, ${student.architecture}`, true),
        tile('In integers, ' + (bundle.scheme || ''), percent(bundle.test_accuracy, 2), '%', bundle.agreement == null ? '' : `${percent(bundle.agreement, 2)} % agreement with float`),
        tile('Ensemble', percent(ensemble.test_accuracy, 2), '%', `${percent(ensemble.pool_accuracy)} % right on the pool${silent ? `; on the test images ${silentText}` : ''}`),
        tile('Best client alone', percent(best), '%', `mean ${percent(alone.length ? sum(alone) / alone.length : null)} %`),
        tile('Bundle', bytes(bundle.bytes), '', bundle.float_bytes ? `${(bundle.float_bytes / bundle.bytes).toFixed(1)} × smaller than float` : ''),
        tile('Time', seconds(total), '', `${bytes(report.peak_rss_bytes)} at the peak`)));
    if (report.warnings?.length) main.append(section('warnings', 'Before you believe this', '', el('ul', {}, report.warnings.map(w => el('li', {}, w)))));
  };

  const knowledge = () => {
    const parts = [];
    if (clients[0]?.class_counts) {
      parts.push(section('labels', 'Who holds what', 'Training images per client and class. Empty cells are classes a client has never seen.',
        heat(clients.map(c => c.class_counts), '--heat', v => v ? count(v) : '', (k, c, v) => `${clientName(k)}: ${count(v)} × ${classes[c]}`)));
    }
    if (report.trust?.weight) {
      parts.push(section('trust', 'Who is trusted with what', `Mean weight of each client among the pool images whose soft label is that class, in percent. ${clients.some(c => c.class_counts) ? 'It should mirror the map of who holds what, although no label was ever sent.' : ''}`,
        heat(report.trust.weight, '--trust', v => v >= .005 ? Math.round(100 * v) : '', (k, c, v) => `${clientName(k)} decides ${percent(v)} % of ${classes[c]}`)));
    }
    if (parts.length) main.append(el('div', {class: 'two'}, parts));
  };

  const accuracies = () => {
    const rows = [
      ...clients.flatMap((c, k) => c.test_accuracy == null ? [] : [{label: `${clientName(k)} · ${c.architecture}`, value: 100 * c.test_accuracy, colour: () => paint('--heat', .42)}]),
      ...(ensemble.test_accuracy == null ? [] : [{label: silent ? `ensemble of ${alone.length} of ${clients.length}` : 'ensemble', value: 100 * ensemble.test_accuracy, colour: () => colour('--warm')}]),
      {label: 'student', value: 100 * (student.test_accuracy ?? 0), colour: () => colour('--accent')},
      {label: 'student in integers', value: 100 * (bundle.test_accuracy ?? 0), colour: () => colour('--accent')},
    ];
    const rules = Object.entries(report.rules || {}).sort((a, b) => b[1] - a[1])
      .map(([name, value]) => ({label: name, value: 100 * value, colour: () => name === ensemble.rule ? colour('--warm') : paint('--trust', .38)}));
    const note = ensemble.note ? ` ${ensemble.note[0].toUpperCase()}${ensemble.note.slice(1)}.` : '';
    main.append(el('div', {class: 'two'},
      section('accuracy', 'Accuracy', 'On the held-out test images; nobody trained, calibrated or selected anything on them. Last epoch, not the best one.' + note, bars(rows, '%', 0)),
      rules.length ? section('rules', 'The same opinions under every rule', 'Ensemble accuracy on the test images. All rules read one prediction cache, so only the weighing differs.' + note, bars(rules, '%', 0)) : ''));
  };

  const rounds = () => {
    if ((report.rounds || []).length < 2) return;
    const mean = list => list.length ? sum(list) / list.length : null, cell = x => percent(x, 2) + ' %';
    const row = r => [r.round, cell(mean(r.clients.map(c => c.test_accuracy).filter(x => x != null))), cell(r.ensemble.test_accuracy), cell(r.ensemble.pool_accuracy), cell(r.student.test_accuracy), cell(r.bundle.test_accuracy)];
    const some = report.rounds.some(r => r.clients.some(c => c.test_accuracy == null)) ? ' On the test images clients that keep their model are in no ensemble.' : '';
    main.append(section('rounds', 'Round by round', 'On the test images, and the ensemble on the pool too. From the second round on every client goes on from the last student; all other figures of this page are of the last round.' + some,
      el('div', {class: 'scroll'}, el('table', {class: 'plain'},
        el('thead', {}, el('tr', {}, ['round', 'clients alone, mean', 'ensemble', 'ensemble on the pool', 'student', 'in integers'].map((h, i) => el('th', i ? {class: 'number'} : {}, h)))),
        el('tbody', {}, report.rounds.map(r => el('tr', {}, row(r).map((c, i) => el('td', i ? {class: 'number'} : {}, c)))))))));
  };

  const curves = () => {
    const locals = clients.map((c, k) => ({label: clientName(k), values: c.loss_curve || [], colour: () => hue(k)})).filter(s => s.values.length > 1);
    const shared = [{label: 'student', values: student.loss_curve || [], colour: () => colour('--accent'), width: 2.6}].filter(s => s.values.length > 1);
    const parts = [];
    if (locals.length) parts.push(section('curves', 'Local training', 'Mean training loss of each epoch.', lines(locals, 'loss')));
    if (shared.length) parts.push(section('distillation', 'Distillation', 'Divergence from the soft labels, mean of each epoch.', lines(shared, 'loss')));
    if (parts.length) main.append(el('div', {class: 'two'}, parts));
  };

  const samples = () => {
    if (!report.samples?.length) return;
    main.append(section('samples', 'What the student is taught', 'Pool images with their soft label and the clients who decided it: some at random, then some whose likeliest class is wrong. Bars are the likeliest classes and the clients of most weight. The true class is hidden from the system and shown here only to judge it.',
      el('div', {class: 'samples'}, report.samples.map(s => {
        const picture = el('img', {src: 'data:image/png;base64,' + s.png_base64, alt: ''});
        const guess = top(s.soft_label, 3).filter(t => t.value > .01 || t.value === Math.max(...s.soft_label)), right = guess[0].index === s.hidden_label;
        return el('div', {class: 'sample'}, picture, el('div', {class: 'body'},
          el('div', {class: 'truth'}, 'truth: ', el('b', {class: right ? '' : 'wrong'}, classes[s.hidden_label] ?? '?'), right ? ' ✓' : ' ✗'),
          el('div', {class: 'what'}, 'soft label, %'), guess.map(t => meter(classes[t.index], t.value)),
          el('div', {class: 'what'}, 'decided by, %'), top(s.weights, 2).filter(t => t.value > .01).map(t => meter(clientName(t.index), t.value, true))));
      }))));
  };

  const costs = () => {
    const layers = (bundle.layers || []).map(l => ({label: l.node, value: Math.min(80, l.signal_to_noise_db), colour: () => paint('--heat', .6)}));
    main.append(el('div', {class: 'two'},
      section('time', 'Where the time went', `Wall-clock seconds of each stage, ${seconds(total)} in all.`,
              bars(stages.map(([name, s]) => ({label: name.replaceAll('_', ' '), value: s, colour: () => paint('--heat', .6)})), 's', 0)),
      layers.length ? section('noise', 'What rounding costs', 'Signal-to-noise ratio of every layer, float student against the integer interpreter.', bars(layers, 'dB', 0)) : ''));
    const kind = i => ({class: i < 2 ? 'text' : 'number'}), row = (...cells) => el('tr', {}, cells.map((c, i) => el('td', kind(i), c)));
    main.append(section('clients', 'Clients', 'Alone: on the test images. Weight: mean over the pool. Time: training and head. Images/s: in training alone, of this client beside those that trained at once; progress on the terminal counts all clients together, heads too.', el('div', {class: 'scroll'}, el('table', {class: 'plain'},
      el('thead', {}, el('tr', {}, ['client', 'network', 'images', 'alone, %', 'weight, %', 'time', 'images/s'].map((h, i) => el('th', kind(i), h)))),
      el('tbody', {}, clients.map((c, k) => row(clientName(k), c.architecture, count(c.samples), percent(c.test_accuracy),
        report.trust?.total ? percent(report.trust.total[k]) : '–', seconds(c.seconds || null), count(c.images_per_second || null))))))));
  };

  const machineText = m => m == null || typeof m !== 'object' ? m : [m.processor, m.cores == null ? '' : `${m.cores} cores`, m.memory_bytes == null ? '' : `${bytes(m.memory_bytes)} of memory`,
                                                           m.device ? `computed on ${m.device}` : '', m.system].filter(x => x).join(' · ');

  const provenance = () => {
    const row = (name, value) => value == null || value === '' ? '' : el('tr', {}, el('th', {}, name), el('td', {}, el('code', {}, value)));
    main.append(section('provenance', 'Provenance', 'What is needed to get these figures again.',
      el('table', {class: 'plain'}, el('tbody', {},
        row('split', report.split?.hash), row('student', student.sha256), row('bundle', bundle.sha256), row('seed', report.seed),
        row('machine', machineText(report.machine)),
        row('versions', typeof report.versions === 'object' ? Object.entries(report.versions).map(([k, v]) => `${k} ${v}`).join(' · ') : report.versions),
        row('peak memory', bytes(report.peak_rss_bytes)))),
      el('details', {}, el('summary', {}, 'The effective job'), el('pre', {}, report.job_toml || JSON.stringify(job, null, 2)))));
    main.append(el('footer', {}, 'Written by fedstill. The same figures, for programs: report.json.'));
  };

  const applyTheme = theme => {
    root.dataset.theme = theme;
    tinted.forEach(tint => tint());
    charts.forEach(c => { c.chart?.destroy(); c.chart = new Chart(c.canvas, c.make()); });
  };
  document.getElementById('theme').addEventListener('click', () => applyTheme(root.dataset.theme === 'dark' ? 'light' : 'dark'));

  main.textContent = '';
  [overview, accuracies, rounds, knowledge, samples, curves, costs, provenance].forEach(part => part());
  const wanted = new URLSearchParams(location.search).get('theme') || location.hash.match(/theme=(\w+)/)?.[1];
  applyTheme(wanted || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', e => applyTheme(e.matches ? 'dark' : 'light'));
})();
