# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script of pages that have tables to sort and to filter, and a drawing to enlarge. Pages are whole without it."""

from __future__ import annotations

SCRIPT = """
'use strict';
(() => {
  const all = (from, what) => Array.from(from.querySelectorAll(what));
  const order = new Intl.Collator(document.documentElement.lang, {numeric: true, sensitivity: 'base'});
  const worth = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.v !== undefined ? Number(cell.dataset.v) : cell.textContent.trim();
  };
  const numbers = (a, b) => typeof a === 'number' && typeof b === 'number';
  const compare = (a, b) => numbers(a, b) ? a - b : order.compare(String(a), String(b));

  for (const table of all(document, 'table.sortable')) {
    const heads = all(table.tHead, 'th');
    heads.forEach((head, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener('click', () => {
        const down = head.getAttribute('aria-sort') === 'ascending';
        heads.forEach(other => other.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        const body = table.tBodies[0];
        const rows = Array.from(body.rows).map((row, place) => ({row, place, value: worth(row, column)}));
        rows.sort((a, b) => (down ? compare(b.value, a.value) : compare(a.value, b.value)) || a.place - b.place);
        body.append(...rows.map(entry => entry.row));
      });
    });
  }

  for (const tools of all(document, '.tools.filter')) {
    const rows = Array.from(document.getElementById(tools.dataset.table).tBodies[0].rows);
    const told = tools.querySelector('[role=status]');
    const search = tools.querySelector('input');
    const choices = all(tools, 'select');
    const texts = rows.map(row => row.textContent.toLowerCase());
    const apply = () => {
      const wanted = search.value.trim().toLowerCase();
      let left = 0;
      rows.forEach((row, index) => {
        const fits = texts[index].includes(wanted)
          && choices.every(choice => !choice.value || row.dataset[choice.dataset.by] === choice.value);
        row.hidden = !fits;
        if (fits) left += 1;
      });
      told.textContent = told.dataset.text.replace('#', left).replace('#', rows.length);
    };
    [search, ...choices].forEach(field => field.addEventListener('input', apply));
    tools.hidden = false;
    apply();
  }

  for (const tools of all(document, '.tools.zoom')) {
    const frame = document.getElementById(tools.dataset.drawing);
    const drawing = frame.querySelector('svg');
    const width = Number(drawing.getAttribute('width')), height = Number(drawing.getAttribute('height'));
    let scale = 1;
    const set = wanted => {
      const x = (frame.scrollLeft + frame.clientWidth / 2) / scale;
      const y = (frame.scrollTop + frame.clientHeight / 2) / scale;
      scale = Math.min(4, Math.max(0.2, wanted));
      drawing.setAttribute('width', width * scale);
      drawing.setAttribute('height', height * scale);
      frame.scrollTo(x * scale - frame.clientWidth / 2, y * scale - frame.clientHeight / 2);
    };
    const acts = {
      in: () => set(scale * 1.25),
      out: () => set(scale / 1.25),
      fit: () => set(Math.min((frame.clientWidth - 4) / width, 1)),
      full: () => set(1),
    };
    all(tools, 'button').forEach(button => button.addEventListener('click', acts[button.dataset.act]));
    tools.hidden = false;
    acts.fit();

    const edges = all(drawing, '.edge,.tip');
    const nodes = new Map(all(drawing, '.node').map(node => [node.dataset.n, node]));
    const light = number => {
      frame.classList.toggle('lit', number !== null);
      nodes.forEach((node, key) => node.classList.toggle('on', key === number));
      for (const edge of edges) {
        const {a, b} = edge.dataset, on = number !== null && (a === number || b === number);
        edge.classList.toggle('on', on);
        if (on) [a, b].forEach(end => nodes.get(end).classList.add('on'));
      }
    };
    const choice = tools.querySelector('select');
    choice.addEventListener('input', () => light(choice.value === '' ? null : choice.value));
    drawing.addEventListener('click', event => {
      const node = event.target.closest('.node');
      choice.value = node && choice.value !== node.dataset.n ? node.dataset.n : '';
      light(choice.value === '' ? null : choice.value);
    });
  }
})();
"""
