// @ts-check
// Short names for what the page does with its elements.

/** @import { Cell } from './_types.js' */

/**
 * Returns the element with an id. It throws if there is none of that type, because index.html and the scripts belong
 * together.
 *
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @param {new () => T} [type]
 * @returns {T}
 */
export function $(id, type) {
  const found = document.getElementById(id)
  if (found instanceof (type ?? HTMLElement)) return /** @type {T} */ (found)
  throw new TypeError(`no #${id}`)
}

/**
 * Returns a new element with these properties and children.
 *
 * @template {keyof HTMLElementTagNameMap} N
 * @param {N} name
 * @param {Partial<HTMLElementTagNameMap[N]>} [properties]
 * @param {...Cell} children
 */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties)
  element.append(...children)
  return element
}

/**
 * Writes a text. It leaves an element alone that has that text, so that the text stays selected.
 *
 * @param {HTMLElement} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

/**
 * Fills a table. The first cell of a row is its head. The others may be elements of their own that span columns.
 *
 * @param {string} id
 * @param {Cell[]} heads
 * @param {Cell[][]} rows
 * @param {string} [none] is shown if there are no rows
 */
export function fillTable(id, heads, rows, none = '') {
  const head = make('thead', {}, make('tr', {}, ...heads.map(text => make('th', { scope: 'col' }, text))))
  const body = make('tbody', {}, ...rows.map(([first, ...others]) => (
    make('tr', {}, make('th', { scope: 'row' }, first), ...others.map(toCell))
  )))
  if (!rows.length) body.append(make('tr', {}, make('td', { colSpan: heads.length, className: 'note' }, none)))
  $(id).replaceChildren(head, body)
}

/** @param {Cell} content */
const toCell = content => (content instanceof HTMLTableCellElement ? content : make('td', {}, content))

/**
 * Returns a bar for a table.
 *
 * @param {number} part of the whole width
 * @param {string} kind its class, which has the colour
 */
export function bar(part, kind) {
  const element = make('div', { className: `bar ${kind}` })
  element.style.width = `${100 * Math.min(1, Math.max(0, part || 0))}%`
  return element
}

/** Returns the head of a column of bars. */
export const barHead = () => make('span', { className: 'unseen' }, 'As a bar')
