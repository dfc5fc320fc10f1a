// @ts-check
// The numbers that the service counts, and what can be worked out from them.

import { hourSeconds } from './words.js'

/** @import { Count, Filter, Hour, NumbersReply } from './_types.js' */

/** How many messages a share needs to mean something. */
export const enough = 20

/** The share of answered messages below which a route is weak. */
export const weak = 0.5

/** The events that a person who guesses codes causes. */
export const wrongAttempts = ['wrong', 'burnt']

/** A Sum adds up what happened in some hours. */
export class Sum {
  /** The counts of each event. @type {Map<string, Required<Count>[]>} */
  #counts = new Map()
  #bounds

  /**
   * @param {Hour[]} hours
   * @param {number[]} bounds of the delays
   */
  constructor(hours, bounds) {
    this.#bounds = bounds
    this.delays = bounds.map(() => 0).concat(0)
    const known = new Map()
    for (const hour of hours) {
      for (const count of hour.counts) this.#add(count, known)
      for (const [i, n] of hour.delays.entries()) this.delays[i] += n
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
    this.currentHour = Math.floor(Date.parse(reply.now) / 1000 / hourSeconds) * hourSeconds
    this.reporting = new Set(this.lastHours(48).values('provider', ['delivered']))
  }

  /**
   * Returns the sum of the last n hours, the current one included.
   *
   * @param {number} n
   */
  lastHours(n) {
    let sum = this.#sums.get(n)
    if (!sum) {
      const hours = this.reply.hours.filter(h => startOf(h) > this.currentHour - n * hourSeconds)
      sum = new Sum(hours, this.reply.delay_bounds)
      this.#sums.set(n, sum)
    }
    return sum
  }

  /**
   * Returns the sums of each of the last n hours, oldest first.
   *
   * @param {number} n
   */
  eachHour(n) {
    const hours = new Map(this.reply.hours.map(h => [startOf(h), h]))
    return Array.from({ length: n }, (_, i) => {
      const start = this.currentHour - (n - 1 - i) * hourSeconds
      const hour = hours.get(start)
      return { start, sum: new Sum(hour ? [hour] : [], this.reply.delay_bounds) }
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

/** @param {Hour} h */
const startOf = h => Date.parse(h.hour) / 1000
