// @ts-check
// The verdict: whether codes arrive, in words, by the last hour.

import { enough, fair, refusedAttempts, weak } from './numbers.js'
import { at, isolated, many, number, percent, regionName, seconds, share } from './words.js'

/** @import { Mood, Point, Verdict } from './_types.js' */
/** @import { Numbers, Sum } from './numbers.js' */

const mostPoints = 5 // of one kind

/** The places in the documents that explain the points. */
const help = {
  delivery: 'docs/providers.md#how-a-message-is-delivered',
  routes: 'docs/monitoring.md#what-to-do-about-what-the-page-says',
  stores: 'docs/failures.md',
  guesses: 'docs/monitoring.md#when-a-number-is-attacked',
}

/** Points collects what is wrong, the worst mood of it all, and whether some countries are worse off than others. */
class Points {
  /** @type {Point[]} */
  all = []
  /** @type {Mood} */
  mood = 'good'
  isUneven = false

  /**
   * @param {Point['mood']} mood
   * @param {string} text
   * @param {keyof help} topic
   */
  add(mood, text, topic) {
    this.all.push({ mood, text, help: help[topic] })
    if (this.mood !== 'bad') this.mood = mood
  }
}

/**
 * Returns the verdict. It does not depend on the filters of the page.
 *
 * @param {Numbers} numbers
 * @returns {Verdict}
 */
export function verdict(numbers) {
  const sum = numbers.last(1)
  const points = new Points()
  addQueue(points, numbers)
  addStuckRegions(points, sum)
  addWeakRoutes(points, sum, numbers)
  addFailingProviders(points, sum)
  addStores(points, sum)
  for (const provider of numbers.reply.resting) {
    points.add('watch', `${provider} rests: it failed again and again, or asked for a pause.`, 'delivery')
  }
  addGuesses(points, sum)
  return { points: points.all, ...conclude(points, sum, numbers) }
}

/**
 * @param {Points} points
 * @param {Numbers} numbers
 */
function addQueue(points, { reply: { outbox } }) {
  if (!outbox || outbox.oldest_seconds <= 10) return
  const waiting = many(outbox.messages, 'message waits', 'messages wait')
  points.add('bad', `${waiting} for a provider, the oldest for ${seconds.format(outbox.oldest_seconds)}.`, 'delivery')
}

/**
 * Adds the regions in which no provider accepts many of the messages. A share of answers does not show them, because
 * it counts only messages that were sent.
 *
 * @param {Points} points
 * @param {Sum} sum
 */
function addStuckRegions(points, sum) {
  const stuck = sum.values('region', ['failed'])
    .map(region => ({ region, n: sum.n('failed', { region, provider: 'none' }), sent: sum.n('sent', { region }) }))
    .filter(({ n, sent }) => n >= 5 && n > 0.1 * (sent + n))
    .sort((a, b) => b.n - a.n)
  for (const { region, n, sent } of stuck.slice(0, mostPoints)) {
    const taken = sent
      ? `${number.format(n)} of ${number.format(sent + n)} messages were accepted by no provider`
      : `none of ${number.format(n)} messages was accepted by a provider`
    points.add('bad', `${isolated(regionName(region))}: ${taken}.`, 'delivery')
  }
  if (stuck.length) points.isUneven = true
  if (stuck.length > mostPoints) {
    const more = many(stuck.length - mostPoints, 'more country is', 'more countries are')
    points.add('bad', `${more} without a provider; see the table.`, 'delivery')
  }
  const sent = sum.n('sent')
  const lost = sum.n('failed', { provider: 'none' })
  if (!stuck.length && lost > 0.02 * (sent + lost)) {
    const mood = lost > 0.1 * (sent + lost) ? 'bad' : 'watch'
    points.add(mood, `${many(lost, 'message was', 'messages were')} accepted by no provider.`, 'delivery')
  }
}

/** @param {Sum} sum */
function weakRoutes(sum) {
  const routes = []
  for (const region of sum.values('region', ['sent'])) {
    for (const provider of sum.values('provider', ['sent'])) {
      const n = sum.n('sent', { region, provider })
      const right = sum.n('verified', { region, provider })
      if (n >= enough && right < weak * n) routes.push({ region, provider, n, right })
    }
  }
  return routes.sort((a, b) => a.right / a.n - b.right / b.n)
}

/**
 * Adds the routes whose messages are not answered.
 *
 * @param {Points} points
 * @param {Sum} sum
 * @param {Numbers} numbers
 */
function addWeakRoutes(points, sum, numbers) {
  const routes = weakRoutes(sum)
  if (routes.length) points.isUneven = true
  for (const { region, provider, n, right } of routes.slice(0, mostPoints)) {
    const messages = `${number.format(n)} messages`
    const answered = right ? `only ${percent.format(right / n)} of ${messages} were` : `none of ${messages} was`
    const delivered = numbers.delivered(sum, { region, provider })
    const reported = delivered.isKnown
      ? ` The provider reports ${share(delivered.n, delivered.of)} as delivered.`
      : ''
    const cause = right < 0.1 * n ? ' They do not arrive, or nobody real asks for them.' : ''
    const route = `${isolated(regionName(region))} by ${provider}`
    points.add('bad', `${route}: ${answered} answered.${reported}${cause}`, 'routes')
  }
  if (routes.length > mostPoints) {
    const more = many(routes.length - mostPoints, 'more route is', 'more routes are')
    points.add('bad', `${more} weak; see the tables.`, 'routes')
  }
}

/**
 * @param {Points} points
 * @param {Sum} sum
 */
function addFailingProviders(points, sum) {
  for (const provider of sum.values('provider', ['failed'])) {
    const failed = provider === 'none' ? 0 : sum.n('failed', { provider })
    const calls = failed + sum.n('sent', { provider })
    if (failed < 5 || failed <= 0.2 * calls) continue
    const part = percent.format(failed / calls)
    const rest = 'other providers stood in where there are any'
    points.add('watch', `${provider} failed ${part} of its calls; ${rest}.`, 'delivery')
  }
}

/**
 * @param {Points} points
 * @param {Sum} sum
 */
function addStores(points, sum) {
  const refused = sum.n('refused', { reason: 'unavailable' })
  if (refused) {
    const requests = many(refused, 'request was', 'requests were')
    points.add('watch', `${requests} refused because Redis did not answer or too many messages waited.`, 'stores')
  }
  const unanswered = sum.n('not_redeemed', { reason: 'unavailable' })
  if (unanswered) {
    const codes = many(unanswered, 'code', 'codes')
    points.add('watch', `${codes} that came back could not be redeemed: a store did not answer.`, 'stores')
  }
}

/**
 * @param {Points} points
 * @param {Sum} sum
 */
function addGuesses(points, sum) {
  const beyond = sum.all(refusedAttempts)
  if (beyond < 10 || beyond <= 0.05 * sum.n('verified')) return
  const attempts = `${number.format(beyond)} attempts`
  points.add('watch', `${attempts} by those who had used up their wrong ones: somebody may be guessing.`, 'guesses')
}

/**
 * Returns the headline, and the mood that goes with it.
 *
 * @param {Points} points
 * @param {Sum} sum
 * @param {Numbers} numbers
 * @returns {Omit<Verdict, 'points'>}
 */
function conclude(points, sum, numbers) {
  const hasPoints = points.all.length > 0
  const since = at(numbers.since(1))
  if (!numbers.reply.outbox) {
    const headline = 'Redis does not answer: nobody gets a code, and no code is checked.'
    return { mood: 'bad', short: '', headline }
  }
  if (!numbers.reply.hours.length) {
    return { mood: 'none', short: '', headline: 'Ready. Nobody has asked for a code in the last 48 hours.' }
  }
  const sent = sum.n('sent')
  if (!sent) {
    const isAskedFor = sum.n('requested') + sum.n('failed', { provider: 'none' }) > 0
    if (!isAskedFor) {
      return { mood: hasPoints ? points.mood : 'none', short: '', headline: `No message has been sent since ${since}.` }
    }
    const headline = `Messages have been requested since ${since}, and none has been sent.`
    return { mood: hasPoints ? points.mood : 'watch', short: '', headline }
  }
  const right = Math.min(sum.n('verified'), sent)
  const half = sum.within(0.5)
  const fast = half === null ? '' : `; half within ${delay(half, numbers.reply.delay_bounds)}`
  if (sent < enough) {
    const answered = `${number.format(right)} of ${many(sent, 'message', 'messages')} sent since ${since}`
    const headline = `${answered} ${right === 1 ? 'was' : 'were'} answered${fast}.`
    return { mood: hasPoints ? points.mood : 'none', short: '', headline }
  }
  const rate = percent.format(right / sent)
  const messages = `${number.format(sent)} messages sent since ${since} were answered${fast}.`
  if (right < weak * sent) {
    return { mood: 'bad', short: rate, headline: `Codes do not arrive: only ${rate} of ${messages}` }
  }
  if (right < fair * sent) {
    const mood = points.mood === 'bad' ? 'bad' : 'watch'
    return { mood, short: rate, headline: `Many codes do not arrive: only ${rate} of ${messages}` }
  }
  const arrive = points.isUneven ? 'Most codes arrive' : 'Codes arrive'
  return { mood: points.mood, short: rate, headline: `${arrive}: ${rate} of ${messages}` }
}

/**
 * Writes the delay of an answer.
 *
 * @param {number} s seconds
 * @param {number[]} bounds
 */
export function delay(s, bounds) {
  if (s === Infinity) return `over ${seconds.format(bounds[bounds.length - 1])}`
  return seconds.format(Math.max(1, Math.round(s)))
}
