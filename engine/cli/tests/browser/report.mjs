// Opens reports in headless Chromium and looks at them as readers would: on a phone and on a wide screen, in the light and
// in the dark, on paper and without scripts.
//
//     npm ci && node report.mjs CHROMIUM PAGE...
//
// It ends with 1 and a line for each finding, or with 0. `.ci/run` calls it.

import { readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const LARGEST = 5_000_000;
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core'), 'utf8');

const [executablePath, ...pages] = process.argv.slice(2);
const findings = [];

// What is wrong with the page as it stands, seen from inside of it.
const look = () => {
  const found = [];
  const all = selector => [...document.querySelectorAll(selector)];
  const width = document.documentElement.clientWidth;
  const scrolls = document.documentElement.scrollWidth;
  if (scrolls > width) found.push(`it is ${scrolls} pixels wide, the window ${width}`);
  const ids = all('[id]').map(element => element.id);
  for (const id of ids.filter((id, at) => ids.indexOf(id) !== at)) found.push(`the id ${id} is there twice`);
  for (const link of all('a[href^="#"]')) {
    if (!document.getElementById(link.hash.slice(1))) found.push(`nothing is at ${link.hash}`);
  }
  const charts = all('svg.chart, svg.sw-graph');
  if (charts.length === 0) found.push('no figure is drawn');
  for (const chart of charts) {
    const name = chart.querySelector('title')?.textContent ?? '';
    const empty = name && /Nothing to draw/.test(chart.textContent);
    const shapes = [...chart.querySelectorAll('path, rect, circle, text')].filter(shape => {
      const box = shape.getBBox();
      return box.width > 0 || box.height > 0;
    });
    const box = chart.getBoundingClientRect();
    if (!empty && (shapes.length < 5 || box.width < 200 || box.height < 20)) found.push(`“${name}” is not drawn`);
    if (/NaN|Infinity/.test(chart.innerHTML)) found.push(`“${name}” has a number that is none`);
    // Texts upon each other cannot be read; a pixel of their boxes may be, for what is in it is smaller.
    const texts = [...chart.querySelectorAll('text:not([transform])')].filter(text => text.textContent.trim());
    const boxes = texts.map(text => text.getBBox());
    let clash;
    for (let a = 0; a < boxes.length && !clash; a++) {
      for (let b = a + 1; b < boxes.length && !clash; b++) {
        const across = Math.min(boxes[a].x + boxes[a].width, boxes[b].x + boxes[b].width) - Math.max(boxes[a].x, boxes[b].x);
        const along = Math.min(boxes[a].y + boxes[a].height, boxes[b].y + boxes[b].height) - Math.max(boxes[a].y, boxes[b].y);
        if (across > 1 && along > 4) clash = `${texts[a].textContent}” and “${texts[b].textContent}`;
      }
    }
    if (clash && chart.matches('.chart')) found.push(`in “${name}”, “${clash}” lie upon each other`);
  }
  return found;
};

// Whether sorting, legends and the choice of variants do what they say; what the page lacks is left out.
const use = () => {
  const found = [];
  const all = selector => [...document.querySelectorAll(selector)];
  if (all('table.sortable').length > all('table.sortable thead button').length) return ['its script does not run'];
  const shown = selector => all(selector).filter(element => element.getClientRects().length > 0).length;
  const numbers = (body, column) =>
    [...body.rows].map(row => row.cells[column]?.dataset.n).filter(number => number !== undefined).map(Number);
  for (const table of all('table.sortable')) {
    const column = [...table.querySelectorAll('thead th')].findIndex(title => title.classList.contains('num'));
    if (column < 0) continue;
    table.querySelectorAll('thead button')[column].click();
    for (const body of table.tBodies) {
      const values = numbers(body, column);
      if (values.some((value, at) => at > 0 && value > values[at - 1])) found.push('a table is not sorted');
    }
  }
  const button = document.querySelector('.legend button');
  if (button) {
    const parts = () => button.closest('figure').querySelectorAll('.off').length;
    button.click();
    if (parts() === 0 || button.getAttribute('aria-pressed') !== 'false') found.push('a legend hides nothing');
    button.click();
    if (parts() !== 0) found.push('a legend does not show again');
  }
  const chooser = document.getElementById('chooser');
  if (chooser) {
    const before = shown('[data-v]');
    const box = chooser.querySelectorAll('input')[1];
    box.click();
    if (before > 0 && shown(`[data-v="${box.value}"]`) > 0) found.push('a variant cannot be left out');
    box.click();
    if (shown('[data-v]') !== before) found.push('a variant does not come back');
  }
  return found;
};

const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-sync'],
});

// Opens a page, and takes down what it says and what it asks for.
const open = async (path, where, options) => {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const say = text => findings.push(`${basename(path)}, ${where}: ${text}`);
  page.on('console', message => say(`console: ${message.text()}`));
  page.on('pageerror', error => say(`error: ${error.message}`));
  page.on('request', request => { if (!/^(file|data):/.test(request.url())) say(`it asks for ${request.url()}`); });
  await page.goto(pathToFileURL(path).href);
  return { page, say, close: () => context.close() };
};

for (const path of pages) {
  const began = performance.now();
  const { size } = await stat(path);
  if (size >= LARGEST) findings.push(`${basename(path)}: it has ${size} bytes`);
  const views = [400, 1400].flatMap(width => ['light', 'dark'].map(colorScheme => ({ width, colorScheme })));
  await Promise.all(views.map(async ({ width, colorScheme }) => {
    const options = { viewport: { width, height: 900 }, colorScheme };
    const { page, say, close } = await open(path, `${width} pixels, ${colorScheme}`, options);
    (await page.evaluate(look)).forEach(say);
    if (colorScheme === 'light') (await page.evaluate(use)).forEach(say);
    await page.evaluate(() => document.querySelectorAll('details').forEach(fold => { fold.open = true; }));
    (await page.evaluate(look)).forEach(say);
    // Of what is folded and much alike, a part will do for the slow look.
    await page.evaluate(most => document.querySelectorAll('details').forEach((fold, at) => { fold.open = at % most === 0; }), 12);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ['violations'] }));
    for (const { id, help, nodes } of violations) say(`axe: ${id}: ${help}: ${nodes.length}× ${nodes[0].html.slice(0, 160)}`);
    await close();
  }));
  const paper = await open(path, 'on paper', { viewport: { width: 720, height: 1000 } });
  await paper.page.emulateMedia({ media: 'print' });
  (await paper.page.evaluate(look)).forEach(paper.say);
  await paper.close();
  const bare = await open(path, 'without scripts', { viewport: { width: 1400, height: 900 }, javaScriptEnabled: false });
  if (await bare.page.locator('#chooser').isVisible()) bare.say('it offers what needs a script');
  if (!(await bare.page.locator('#again').isVisible())) bare.say('it is not all there');
  await bare.close();
  console.log(`${basename(path)}: ${size} bytes, looked at in ${((performance.now() - began) / 1000).toFixed(1)} s`);
}
await browser.close();

findings.forEach(finding => console.error(finding));
process.exitCode = findings.length === 0 ? 0 : 1;
