// @ts-check
// The charts by hour or by five minutes, and the table that has their numbers.

import { $, fillTable, make, setText } from './dom.js'
import { runs, wrongAttempts } from './numbers.js'
import { at, compact, dayAt, isolated, list, number } from './words.js'

/** @import { Cell, Column, Filter, Plot, Series, Stretch } from './_types.js' */
/** @import { Numbers, Sum } from './numbers.js' */

/** @type {Record<string, Omit<Series, 'column'>[]>} */
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

const titles = { messages: 'Messages', trouble: 'Trouble' }

/** The distances between the lines of an axis. */
const increments = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7].flatMap(n => [n, 2 * n, 5 * n])

/** A chart that is drawn. What it shows, and for how long a period lasts, stays the same. */
class Chart {
  /** @type {Stretch[]} */
  #stretches = []
  /** @type {Series[]} */
  #series
  #id
  #plot

  /**
   * @param {string} id
   * @param {Series[]} series
   * @param {Stretch[]} stretches
   */
  constructor(id, series, stretches) {
    this.#id = id
    this.#series = series
    this.#stretches = stretches
    $(`${id}-legend`).replaceChildren(...series.map(({ kind, shape, name }) => (
      make('span', {}, make('i', { className: `${kind} ${shape}` }), name)
    )))
    this.#plot = new uPlot(this.#options(), this.#data, $(id))
  }

  /** @returns {Column[]} the middles of the periods, then a column for each series */
  get #data() {
    return [this.#stretches.map(({ start, end }) => (start + end) / 2), ...this.#series.map(({ column }) => column)]
  }

  /**
   * @param {Series[]} series of the same kinds as before
   * @param {Stretch[]} stretches
   */
  update(series, stretches) {
    this.#series = series
    this.#stretches = stretches
    this.#plot.setData(this.#data)
  }

  resize() {
    this.#plot.setSize(sizeOf($(this.#id)))
  }

  destroy() {
    this.#plot.destroy()
  }

  #options() {
    const { fontFamily } = getComputedStyle($(this.#id))
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
    const wholePeriods = () => [this.#stretches[0].start, this.#running.end]
    /** @type {(plot: Plot, min: number, max: number) => number[]} */
    const fromZero = (_, min, max) => [0, Math.max(4, max * 1.15)]
    return {
      ...sizeOf($(this.#id)),
      legend: { show: false },
      padding: [8, 24, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { time: true, range: wholePeriods }, y: { range: fromZero } },
      axes: [
        { ...axis, space: 60, values: times },
        { ...axis, size: 52, incrs: increments, values: counts },
      ],
      series: [{}, ...this.#series.map(series => this.#styleOf(series))],
      hooks: {
        drawSeries: [(/** @type {Plot} */ plot, /** @type {number} */ i) => this.#hatchRunning(plot, i - 1)],
        draw: [(/** @type {Plot} */ plot) => this.#nameRunning(plot, fontFamily)],
        setCursor: [(/** @type {Plot} */ plot) => this.#readOut(plot)],
      },
    }
  }

  /** The period that is not over yet. */
  get #running() {
    return this.#stretches[this.#stretches.length - 1]
  }

  /** @param {Series} series */
  #styleOf({ kind, name, shape }) {
    const colour = colourOf(kind)
    const style = { label: name, stroke: colour, fill: colour }
    if (shape === 'bars') {
      return { ...style, points: { show: false }, width: 0, paths: uPlot.paths.bars({ size: [0.85, 60] }) }
    }
    const dash = { line: undefined, dashed: [7, 4], dotted: [2, 4] }[shape]
    /** The line ends before the running period, whose count still grows and would look like a fall. */
    const gaps = (/** @type {Plot} */ plot, /** @type {number} */ _, /** @type {number} */ first,
      /** @type {number} */ last) => {
      const [middles] = plot.data
      return [[middles[last - 1] ?? first, middles[last]].map(t => plot.valToPos(t ?? 0, 'x', true))]
    }
    const points = { show: true, size: 5, fill: colour }
    return { ...style, fill: undefined, points, width: 2, dash, gaps, paths: uPlot.paths.linear() }
  }

  /**
   * Hatches the bar of the running period, because it is not full yet.
   *
   * @param {Plot} plot
   * @param {number} i of the series that has just been drawn
   */
  #hatchRunning({ ctx, bbox, valToPos }, i) {
    const { shape, column } = this.#series[i] ?? {}
    if (shape !== 'bars') return
    const left = valToPos(this.#running.start, 'x', true)
    const top = valToPos(column?.at(-1) ?? 0, 'y', true)
    const [right, bottom] = [bbox.left + bbox.width, bbox.top + bbox.height]
    ctx.save()
    ctx.beginPath()
    ctx.rect(left, top, right - left, bottom - top)
    ctx.clip()
    ctx.beginPath()
    for (let y = top; y < bottom + right - left; y += 5 * devicePixelRatio) {
      ctx.moveTo(left, y)
      ctx.lineTo(right, y - right + left)
    }
    ctx.strokeStyle = colourOf('card')
    ctx.lineWidth = 2 * devicePixelRatio
    ctx.stroke()
    ctx.restore()
  }

  /**
   * Writes above the running period that it is not over.
   *
   * @param {Plot} plot
   * @param {string} fontFamily
   */
  #nameRunning({ ctx, bbox }, fontFamily) {
    ctx.save()
    ctx.font = `${11 * devicePixelRatio}px ${fontFamily}`
    ctx.fillStyle = colourOf('quiet')
    ctx.textAlign = 'right'
    ctx.textBaseline = 'top'
    ctx.fillText('so far', bbox.left + bbox.width, bbox.top)
    ctx.restore()
  }

  /**
   * Writes the numbers of the period under the pointer.
   *
   * @param {Plot} plot
   */
  #readOut({ cursor: { idx } }) {
    const isNone = idx === null || idx === undefined
    setText($(`${this.#id}-readout`), isNone ? 'Point at a bar or a dot to read it.' : this.#describePeriod(idx))
  }

  /** @param {number} i */
  #describePeriod(i) {
    const values = this.#series.map(({ name, column }) => `${name.toLowerCase()} ${written(column[i])}`)
    return `${isolated(nameOf(this.#stretches[i]))}: ${values.join(', ')}`
  }
}

export class Charts {
  /** The charts that are drawn, and the form of each, by id. @type {Map<string, { chart: Chart, form: string }>} */
  #drawn = new Map()

  constructor() {
    new ResizeObserver(() => {
      for (const { chart } of this.#drawn.values()) chart.resize()
    }).observe($('numbers'))
  }

  /**
   * @param {Numbers} numbers
   * @param {number} hours how many of the last hours
   * @param {Filter} filter
   */
  draw(numbers, hours, filter) {
    const stretches = numbers.each(hours)
    const by = hours === 1 ? 'by five minutes' : 'by hour'
    const shown = Object.entries(charts).map(([id, all]) => {
      const series = all.map(s => ({ ...s, column: stretches.map(({ sum }) => valueOf(s.kind, sum, filter, numbers)) }))
      return /** @type {const} */ ([id, series.filter(({ column }) => column.some(n => n !== null))])
    })
    for (const [id, series] of shown) {
      const title = `${titles[/** @type {keyof typeof titles} */ (id)]} ${by}`
      setText($(`${id}-title`), title)
      $(id).setAttribute('aria-label', describe(title, series))
      this.#drawChart(id, series, stretches)
    }
    if (!$('by-hour', HTMLDetailsElement).open) return
    fillPeriods(shown.flatMap(([, series]) => series), stretches)
  }

  /** Removes the charts. They are drawn anew by the next draw, in the colours that hold then. */
  clear() {
    for (const { chart } of this.#drawn.values()) chart.destroy()
    this.#drawn.clear()
  }

  /**
   * @param {string} id
   * @param {Series[]} series
   * @param {Stretch[]} stretches
   */
  #drawChart(id, series, stretches) {
    const form = [...series.map(({ kind }) => kind), stretches[0].end - stretches[0].start].join(' ')
    const drawn = this.#drawn.get(id)
    if (drawn?.form === form) return drawn.chart.update(series, stretches)
    drawn?.chart.destroy()
    this.#drawn.set(id, { chart: new Chart(id, series, stretches), form })
  }
}

/**
 * Returns the value of a series in a period, or null if the filter leaves it without a meaning.
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
      return numbers.delivered(numbers.last(48), filter).isKnown ? sum.n(kind, filter) : null
    case 'failed':
      return sum.failedCalls(filter)
    default:
      return sum.n(kind, filter)
  }
}

/** @param {number | null} n */
const written = n => (n === null ? '–' : number.format(n))

/**
 * Names a period, such as Fri 19:00 to 20:00.
 *
 * @param {{ start: number, end: number, isRunning?: boolean }} period
 */
const nameOf = ({ start, end, isRunning }) => `${dayAt(start)} to ${isRunning ? 'now, so far' : at(end)}`

/**
 * Fills the table that has the numbers of both charts, the newest first. Periods in which nothing happened are one row.
 *
 * @param {Series[]} series
 * @param {Stretch[]} stretches
 */
function fillPeriods(series, stretches) {
  const rows = stretches.map((stretch, i) => ({ ...stretch, values: series.map(({ column }) => column[i]) })).reverse()
  const isEmpty = (/** @type {typeof rows[0]} */ { values, isRunning }) => !isRunning && values.every(n => !n)
  fillTable('hours', ['From', ...series.map(({ name }) => name)], runs(rows, isEmpty).flatMap(run => {
    if (!run.isEmpty) return run.items.map(row => /** @type {Cell[]} */ ([nameOf(row), ...row.values.map(written)]))
    const all = { start: run.items[run.items.length - 1].start, end: run.items[0].end }
    const nothing = make('td', { colSpan: series.length, className: 'note' }, 'nothing happened')
    return [[nameOf(all), nothing]]
  }))
}

/**
 * Returns what a screen reader says of a chart.
 *
 * @param {string} title
 * @param {Series[]} series
 */
function describe(title, series) {
  const totals = series.map(({ name, column }) => (
    `${name} ${number.format(column.reduce((/** @type {number} */ a, b) => a + (b ?? 0), 0))}`
  ))
  return `${title}: ${list.format(totals)}. The table below has each number.`
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
