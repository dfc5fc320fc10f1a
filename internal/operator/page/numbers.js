// @ts-check
// The numbers that the service counts, and what can be worked out from them.

/** @import { Count, Filter, NumbersReply, Period, Stretch } from './_types.js' */

/** How many messages a share needs to mean something. */
export const enough = 20

/** The share of answered messages below which a route is weak. */
export const weak = 0.5

/** The share of answered messages below which somebody should have a look. */
export const fair = 0.7

/** The events of attempts that are refused because there were too many wrong ones before. */
export const refusedAttempts = ['burnt', 'closed', 'address_tries', 'user_tries']

/** The events that a person who guesses codes causes. */
export const wrongAttempts = ['wrong', ...refusedAttempts]

/** A Sum adds up what happened in some periods. */
export class Sum {
  /** The counts of each event. @type {Map<string, Required<Count>[]>} */
  #counts = new Map()
  #bounds

  /**
   * @param {Period[]} periods
   * @param {number[]} bounds of the delays
   */
  constructor(periods, bounds) {
    this.#bounds = bounds
    this.delays = bounds.map(() => 0).concat(0)
    const known = new Map()
    for (const period of periods) {
      for (const count of period.counts) this.#add(count, known)
      for (const [i, n] of period.delays.entries()) this.delays[i] += n
    }
  }

  /**
   * @param {Count} count
   * @param {Map<string, Required<Count>>} known by event and labels
   */
  #add({ event, region = '', provider = '', reason = '', n }, known) {
    const key = [event, region, provider, reason].join('\n')
    let cell = known.get(key)
    if (!cell) {
      cell = { event, region, provider, reason, n: 0 }
      known.set(key, cell)
      this.#counts.set(event, [...this.#of(event), cell])
    }
    cell.n += n
  }

  /** @param {string} event */
  #of(event) {
    return this.#counts.get(event) ?? []
  }

  /**
   * Returns how often an event happened.
   *
   * @param {string} event
   * @param {Filter} [filter]
   */
  n(event, { region, provider, reason } = {}) {
    let n = 0
    for (const count of this.#of(event)) {
      const isPlace = (region ?? count.region) === count.region && (provider ?? count.provider) === count.provider
      if (isPlace && (reason ?? count.reason) === count.reason) n += count.n
    }
    return n
  }

  /**
   * Returns how often any of the events happened.
   *
   * @param {string[]} events
   * @param {Filter} [filter]
   */
  all(events, filter) {
    return events.reduce((n, event) => n + this.n(event, filter), 0)
  }

  /**
   * Returns how many calls of providers failed. A message that no provider accepted is a failure too, of the provider
   * none, but not a call.
   *
   * @param {Filter} [filter]
   */
  failedCalls(filter = {}) {
    const isOfProvider = filter.provider && filter.provider !== 'none'
    return this.n('failed', filter) - (isOfProvider ? 0 : this.n('failed', { ...filter, provider: 'none' }))
  }

  /**
   * Returns the values of a label that these events have, or all events.
   *
   * @param {'region' | 'provider' | 'reason'} label
   * @param {string[]} [events]
   */
  values(label, events = [...this.#counts.keys()]) {
    return [...new Set(events.flatMap(event => this.#of(event)).map(count => count[label]))]
  }

  /**
   * Returns the seconds in which a part of the codes were answered, as far as the buckets show: Infinity beyond the
   * last bound, null if no code was answered.
   *
   * @param {number} part between 0 and 1
   */
  within(part) {
    const goal = part * this.delays.reduce((a, b) => a + b, 0)
    let below = 0
    for (const [i, n] of this.delays.entries()) {
      if (n && below + n >= goal) {
        const from = this.#bounds[i - 1] ?? 0
        const to = this.#bounds[i]
        return to === undefined ? Infinity : from + ((goal - below) / n) * (to - from)
      }
      below += n
    }
    return null
  }
}

/** Numbers is one reply of numbers.json. */
export class Numbers {
  /** The sums of the last hours, which are worked out once. @type {Map<number, Sum>} */
  #sums = new Map()

  /** @param {NumbersReply} reply */
  constructor(reply) {
    this.reply = reply
    this.reporting = new Set(this.last(48).values('provider', ['delivered']))
  }

  /**
   * Returns the periods that make up the last hours, and their length in seconds. The last hour consists of periods of
   * five minutes; one more is running.
   *
   * @param {number} hours
   */
  #periodsOf(hours) {
    const { hours: byHour, five_minutes } = this.reply
    const { periods, length, n } = hours === 1
      ? { periods: five_minutes, length: 300, n: 13 }
      : { periods: byHour, length: 3600, n: hours }
    const running = Math.floor(Date.parse(this.reply.now) / 1000 / length) * length
    return { periods, length, n, from: running - (n - 1) * length }
  }

  /**
   * Returns when the last hours begin, in seconds since 1970.
   *
   * @param {number} hours
   */
  since(hours) {
    return this.#periodsOf(hours).from
  }

  /**
   * Returns the sum of the last hours, the running period included.
   *
   * @param {number} hours 1, 24 or 48
   */
  last(hours) {
    let sum = this.#sums.get(hours)
    if (!sum) {
      const { periods, from } = this.#periodsOf(hours)
      sum = new Sum(periods.filter(period => startOf(period) >= from), this.reply.delay_bounds)
      this.#sums.set(hours, sum)
    }
    return sum
  }

  /**
   * Returns the sums of each period of the last hours, oldest first. The last one is running: it is not over yet.
   *
   * @param {number} hours 1, 24 or 48
   * @returns {Stretch[]}
   */
  each(hours) {
    const { periods, length, n, from } = this.#periodsOf(hours)
    const known = new Map(periods.map(period => [startOf(period), period]))
    return Array.from({ length: n }, (_, i) => {
      const start = from + i * length
      const period = known.get(start)
      const sum = new Sum(period ? [period] : [], this.reply.delay_bounds)
      return { start, end: start + length, isRunning: i === n - 1, sum }
    })
  }

  /**
   * Returns how many messages were delivered, and of how many: only those of providers that send reports.
   *
   * @param {Sum} sum
   * @param {Filter} filter
   */
  delivered(sum, filter) {
    let of = 0
    for (const provider of sum.values('provider', ['sent'])) {
      const isSelected = !filter.provider || filter.provider === provider
      if (isSelected && this.reporting.has(provider)) of += sum.n('sent', { ...filter, provider })
    }
    const n = sum.n('delivered', filter)
    return { n, of, isKnown: of > 0 || n > 0 }
  }
}

/**
 * Divides a list into runs of neighbours that are all empty or all not.
 *
 * @template T
 * @param {T[]} list
 * @param {(item: T) => boolean} isEmpty
 * @returns {{ isEmpty: boolean, items: T[] }[]}
 */
export function runs(list, isEmpty) {
  /** @type {{ isEmpty: boolean, items: T[] }[]} */
  const found = []
  for (const item of list) {
    const run = found[found.length - 1]
    if (run && run.isEmpty === isEmpty(item)) run.items.push(item)
    else found.push({ isEmpty: isEmpty(item), items: [item] })
  }
  return found
}

/** @param {Period} period */
const startOf = period => Date.parse(period.from) / 1000
