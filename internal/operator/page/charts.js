// @ts-check
// The charts by hour, and the table that has their numbers.

import { $, fillTable, make, setText } from './dom.js'
import { wrongAttempts } from './numbers.js'
import { at, compact, day, hourSeconds, isolated, list, number } from './words.js'

/** @import { Column, Filter, Plot, Series } from './_types.js' */
/** @import { Numbers, Sum } from './numbers.js' */

/** @type {Record<string, Series[]>} */
const charts = {
  messages: [
    { kind: 'sent', name: 'Sent', shape: 'bars' },
    { kind: 'verified', name: 'Verified', shape: 'bars' },
    { kind: 'requested', name: 'Requested', shape: 'dashed' },
    { kind: 'delivered', name: 'Delivered', shape: 'dotted' },
  ],
  trouble: [
    { kind: 'refused', name: 'Refused requests', shape: 'line' },
    { kind: 'wrong', name: 'Wrong attempts', shape: 'dashed' },
    { kind: 'failed', name: 'Failed calls of providers', shape: 'dotted' },
  ],
}

/** The distances between the lines of an axis. */
const increments = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7].flatMap(n => [n, 2 * n, 5 * n])

export class Charts {
  /** The charts that are drawn, by id. @type {Map<string, Plot>} */
  #plots = new Map()

  constructor() {
    new ResizeObserver(() => {
      for (const [id, plot] of this.#plots) plot.setSize(sizeOf($(id)))
    }).observe($('numbers'))
  }

  /**
   * @param {Numbers} numbers
   * @param {number} hours how many of the last hours
   * @param {Filter} filter
   */
  draw(numbers, hours, filter) {
    const each = numbers.eachHour(hours)
    const middles = each.map(({ start }) => start + hourSeconds / 2)
    /** @param {Series} series */
    const columnOf = ({ kind }) => each.map(({ sum }) => valueOf(kind, sum, filter, numbers))
    for (const [id, series] of Object.entries(charts)) {
      this.#drawChart(id, series, [middles, ...series.map(columnOf)])
    }
    if (!$('by-hour', HTMLDetailsElement).open) return
    const all = Object.values(charts).flat()
    const columns = all.map(columnOf)
    const rows = each.map(({ start }, i) => [day.format(start * 1000), ...columns.map(column => written(column[i]))])
    fillTable('hours', ['Hour from', ...all.map(({ name }) => name)], rows.reverse())
  }

  /** Removes the charts. They are drawn anew by the next draw, in the colours that hold then. */
  clear() {
    for (const plot of this.#plots.values()) plot.destroy()
    this.#plots.clear()
  }

  /**
   * @param {string} id
   * @param {Series[]} series
   * @param {Column[]} data the times, then a column for each series
   */
  #drawChart(id, series, data) {
    $(id).setAttribute('aria-label', describe(id, series, data))
    const plot = this.#plots.get(id)
    if (plot) return plot.setData(data)
    $(`${id}-legend`).replaceChildren(...series.map(({ kind, shape, name }) => (
      make('span', {}, make('i', { className: `${kind} ${shape}` }), name)
    )))
    this.#plots.set(id, new uPlot(optionsOf(id, series), data, $(id)))
  }
}

/**
 * Returns the value of a series in an hour, or null if the filter leaves it without a meaning.
 *
 * @param {Series['kind']} kind
 * @param {Sum} sum
 * @param {Filter} filter
 * @param {Numbers} numbers
 */
function valueOf(kind, sum, filter, numbers) {
  const { provider } = filter
  switch (kind) {
    case 'requested':
    case 'refused':
      return provider ? null : sum.n(kind, filter)
    case 'wrong':
      return provider ? null : sum.all(wrongAttempts, filter)
    case 'delivered':
      return provider && !numbers.reporting.has(provider) ? null : sum.n(kind, filter)
    case 'failed':
      return sum.failedCalls(filter)
    default:
      return sum.n(kind, filter)
  }
}

/** @param {number | null} n */
const written = n => (n === null ? '–' : number.format(n))

/**
 * Returns what a screen reader says of a chart.
 *
 * @param {string} id
 * @param {Series[]} series
 * @param {Column[]} data
 */
function describe(id, series, data) {
  const totals = []
  for (const [i, { name }] of series.entries()) {
    const values = data[i + 1].filter(n => n !== null)
    const isKnown = values.length === data[i + 1].length
    if (isKnown) totals.push(`${name} ${number.format(values.reduce((a, b) => a + b, 0))}`)
  }
  const title = id === 'messages' ? 'Messages' : 'Trouble'
  const what = `${title} by hour in the last ${data[0].length} hours: ${list.format(totals)}`
  return `${what}. The table below has each hour.`
}

/**
 * Returns the options of uPlot for a chart.
 *
 * @param {string} id
 * @param {Series[]} series
 */
function optionsOf(id, series) {
  const { fontFamily } = getComputedStyle($(id))
  const axis = {
    stroke: colourOf('quiet'),
    grid: { stroke: colourOf('line'), width: 1 / devicePixelRatio },
    ticks: { show: false },
    font: `12px ${fontFamily}`,
  }
  /** @type {(plot: Plot, splits: number[]) => string[]} */
  const times = (_, splits) => splits.map(t => at(t))
  /** @type {(plot: Plot, splits: number[]) => string[]} */
  const counts = (_, splits) => splits.map(n => compact.format(n))
  /** @type {(plot: Plot, min: number, max: number) => number[]} */
  const wholeHours = (_, min, max) => [min - hourSeconds / 2, max + hourSeconds / 2]
  /** @type {(plot: Plot, min: number, max: number) => number[]} */
  const fromZero = (_, min, max) => [0, Math.max(4, max * 1.1)]
  return {
    ...sizeOf($(id)),
    legend: { show: false },
    padding: [8, 24, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: { x: { time: true, range: wholeHours }, y: { range: fromZero } },
    axes: [
      { ...axis, space: 60, values: times },
      { ...axis, size: 52, incrs: increments, values: counts },
    ],
    series: [{}, ...series.map(styleOf)],
    hooks: { setCursor: [(/** @type {Plot} */ plot) => readOut(id, series, plot)] },
  }
}

/** @param {Series} series */
function styleOf({ kind, name, shape }) {
  const colour = colourOf(kind)
  const style = { label: name, stroke: colour }
  if (shape === 'bars') {
    return { ...style, points: { show: false }, fill: colour, width: 0, paths: uPlot.paths.bars({ size: [0.85, 60] }) }
  }
  const dash = { line: undefined, dashed: [7, 4], dotted: [2, 4] }[shape]
  return { ...style, points: { show: true, size: 5, fill: colour }, width: 2, dash, paths: uPlot.paths.linear() }
}

/**
 * Writes the numbers of the hour under the pointer.
 *
 * @param {string} id
 * @param {Series[]} series
 * @param {Plot} plot
 */
function readOut(id, series, { cursor: { idx }, data }) {
  const text = idx === null || idx === undefined ? 'Point at an hour to read it.' : hourOf(series, data, idx)
  setText($(`${id}-readout`), text)
}

/**
 * @param {Series[]} series
 * @param {Column[]} data
 * @param {number} i
 */
function hourOf(series, [middles, ...columns], i) {
  const middle = middles[i] ?? 0
  const from = isolated(day.format((middle - hourSeconds / 2) * 1000))
  const values = series.map(({ name }, k) => `${name.toLowerCase()} ${written(columns[k][i])}`)
  return `${from} to ${at(middle + hourSeconds / 2)}: ${values.join(', ')}`
}

/** @param {HTMLElement} element */
const sizeOf = element => ({ width: Math.max(200, element.clientWidth), height: element.clientHeight })

/**
 * Returns a colour of page.css as a canvas takes it, which knows no light-dark().
 *
 * @param {string} name
 */
function colourOf(name) {
  const probe = make('i')
  probe.style.color = `var(--${name})`
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}
