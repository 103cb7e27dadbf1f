'use strict';
{
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  /* A click on the title of a column sorts the table by it; each group of rows by itself, what has no value last. */
  const value = (row, column) => {
    const cell = row.cells[column];
    const text = cell?.dataset.n ?? cell?.textContent.trim() ?? '';
    return cell?.classList.contains('num') ? (cell.dataset.n === undefined ? NaN : Number(text)) : text;
  };
  const compare = (a, b) => typeof a === 'string' ? a.localeCompare(b, 'en', { numeric: true })
    : Number.isNaN(a) || Number.isNaN(b) ? 0 : a - b;
  for (const table of all('table.sortable')) {
    const titles = all('thead th', table);
    titles.forEach((title, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...title.childNodes);
      title.append(button);
      button.addEventListener('click', () => {
        const ascending = title.getAttribute('aria-sort') === 'descending';
        titles.forEach(other => other.removeAttribute('aria-sort'));
        title.setAttribute('aria-sort', ascending ? 'ascending' : 'descending');
        for (const body of table.tBodies) {
          const rows = [...body.rows].filter(row => !row.classList.contains('metric'));
          rows.sort((a, b) => {
            const [x, y] = [value(a, column), value(b, column)];
            const missing = Number.isNaN(x) - Number.isNaN(y);
            return missing || (ascending ? compare(x, y) : compare(y, x));
          });
          body.append(...rows);
        }
      });
    });
  }

  /* A click on a series in a legend hides and shows it. */
  const show = (item, shown) => {
    item.querySelector('button').setAttribute('aria-pressed', shown);
    for (const part of all(`svg.chart [data-s="${item.dataset.s}"]`, item.closest('figure'))) {
      part.classList.toggle('off', !shown);
    }
  };
  for (const item of all('.legend li')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...item.childNodes);
    button.setAttribute('aria-pressed', true);
    button.addEventListener('click', () => show(item, button.getAttribute('aria-pressed') !== 'true'));
    item.append(button);
  }

  /* Boxes choose the variants that are shown, on the whole page. */
  const chooser = document.getElementById('chooser');
  if (chooser) {
    const boxes = all('input', chooser);
    const choose = () => {
      const chosen = new Set(boxes.filter(box => box.checked).map(box => box.value));
      for (const part of all('[data-v]')) {
        part.hidden = !part.dataset.v.split(' ').some(variant => chosen.has(variant));
      }
      for (const item of all('.legend li[data-series]')) show(item, chosen.has(item.dataset.series));
      document.getElementById('chosen').textContent =
        chosen.size === boxes.length ? 'all' : `${chosen.size} of ${boxes.length}`;
    };
    boxes.forEach(box => box.addEventListener('change', choose));
    all('button', chooser).forEach((button, none) => button.addEventListener('click', () => {
      boxes.forEach(box => { box.checked = !none; });
      choose();
    }));
    chooser.hidden = false;
  }
}
