// @ts-check
// The tiles and tables of the page.

import { $, bar, barHead, fillTable, make, setText } from './dom.js'
import { enough, refusedAttempts, runs, weak, wrongAttempts } from './numbers.js'
import { delay } from './verdict.js'
import { many, number, providerName, regionName, seconds, share } from './words.js'

/** @import { Cell, Filter } from './_types.js' */
/** @import { Numbers, Sum } from './numbers.js' */

/** What the reasons of refusals mean, and the settings that they depend on. @type {Record<string, [string, string]>} */
const reasons = {
  resend_too_soon: ['Asked again too soon', 'OTP_RESEND_AFTER'],
  phone_limit: ['Too many messages to one phone', 'OTP_LIMIT_PHONE'],
  address_limit: ['Too many messages for one client address', 'OTP_LIMIT_IP'],
  user_limit: ['Too many changes of phone by one user', 'OTP_LIMIT_PHONE'],
  daily_limit: ['Phone or user closed for a day after wrong codes', 'OTP_DAILY_ATTEMPTS'],
  destination_not_allowed: ['Region that gets no messages', 'SMS_REGIONS'],
  channel: ['No provider offers the channel', 'SMS_ROUTES'],
  unavailable: ['Redis did not answer, or too many messages wait', ''],
}

/** What becomes of codes that come back: event, reason, text. */
const outcomes = [
  ['verified', '', 'Right'],
  ['wrong', '', 'Wrong'],
  ['burnt', '', 'At a code burnt by wrong attempts'],
  ['too_short', '', 'Shorter than the live code'],
  ['too_long', '', 'Longer than the live code'],
  ['not_live', '', 'Expired, used or never asked for'],
  ['closed', '', 'Phone closed for a day'],
  ['address_tries', '', 'Too many wrong ones from one address'],
  ['user_tries', '', 'Too many wrong ones at changes of phone'],
  ['not_redeemed', 'refused', 'Right, but banned, used or taken'],
  ['not_redeemed', 'unavailable', 'A store did not answer'],
]

/**
 * @param {Numbers} numbers
 * @param {Sum} sum
 * @param {string | undefined} region
 */
export function drawTiles({ reply: { outbox, delay_bounds } }, sum, region) {
  setText($('waiting'), outbox ? number.format(outbox.messages) : '–')
  setText($('waiting-note'), waitingNote(outbox))
  const half = sum.within(0.5)
  const most = sum.within(0.9)
  setText($('median'), half === null ? '–' : delay(half, delay_bounds))
  setText($('median-note'), most === null
    ? 'nobody has answered yet'
    : `nine of ten within ${delay(most, delay_bounds)}`)
  setText($('wrong'), number.format(sum.all(wrongAttempts, { region })))
  setText($('wrong-note'), `${number.format(sum.all(refusedAttempts, { region }))} of them beyond the limits`)
  const refused = sum.n('refused', { region })
  const asked = refused + sum.n('requested', { region })
  setText($('refused'), number.format(refused))
  setText($('refused-note'), asked ? `${share(refused, asked)} of all that were made` : 'none was made')
}

/** @param {Numbers['reply']['outbox']} outbox */
function waitingNote(outbox) {
  if (!outbox) return 'Redis does not answer'
  return outbox.messages ? `the oldest for ${seconds.format(outbox.oldest_seconds)}` : 'for a provider, right now'
}

/**
 * @param {Numbers} numbers
 * @param {Sum} sum
 * @param {Filter} filter
 */
export function drawFunnel(numbers, sum, filter) {
  const requested = filter.provider ? null : sum.n('requested', filter) // a request belongs to no provider
  const sent = sum.n('sent', filter)
  const delivered = numbers.delivered(sum, filter)
  const verified = sum.n('verified', filter)
  const most = Math.max(requested ?? 0, sent, verified, 1)
  /** @type {(name: string, n: number, of: number | null) => Cell[]} */
  const row = (name, n, of) => [
    name,
    bar(n / most, name.toLowerCase()),
    number.format(n),
    of === null ? '' : share(n, of),
  ]
  const rows = requested === null ? [] : [row('Requested', requested, null)]
  rows.push(row('Sent', sent, requested))
  if (delivered.isKnown) rows.push(row('Delivered', delivered.n, delivered.of))
  rows.push(row('Verified', verified, sent))
  fillTable('funnel', ['Step', barHead(), 'Messages', 'Share'], rows)
  const lost = filter.provider ? 0 : sum.n('failed', { ...filter, provider: 'none' })
  const others = delivered.isKnown ? 'delivered and verified' : 'verified'
  const notes = [requested === null ? `Share: ${others} of sent.` : `Share: sent of requested, ${others} of sent.`]
  if (lost) notes.push(`${many(lost, 'message was', 'messages were')} accepted by no provider.`)
  if (filter.provider) notes.push('Requests, refusals and wrong attempts belong to no provider.')
  if (delivered.isKnown && delivered.of < sent) notes.push('Delivered: of the messages by providers that report.')
  setText($('funnel-note'), notes.join(' '))
}

/**
 * @param {Numbers} numbers
 * @param {Sum} sum
 */
export function drawDelays({ reply: { delay_bounds: bounds } }, sum) {
  const most = Math.max(1, ...sum.delays)
  const total = sum.delays.reduce((a, b) => a + b, 0)
  const found = runs(sum.delays.map((n, i) => ({ n, from: bounds[i - 1], to: bounds[i] })), ({ n }) => !n)
  if (found[0].isEmpty) found.shift()
  if (found.at(-1)?.isEmpty) found.pop()
  const rows = found.flatMap(({ isEmpty, items }) => (
    isEmpty ? [{ n: 0, from: items[0].from, to: items[items.length - 1].to }] : items
  ))
  fillTable('delays', ['Time', barHead(), 'Codes', 'Share'], rows.map(({ n, from, to }) => [
    make('span', { className: 'bound' }, between(from, to)),
    bar(n / most, 'verified'),
    number.format(n),
    share(n, total),
  ]), 'Nobody has answered yet.')
}

/**
 * Names the seconds between two bounds.
 *
 * @param {number | undefined} from
 * @param {number | undefined} to
 */
function between(from, to) {
  if (from === undefined) return `under ${seconds.format(to ?? 0)}`
  return to === undefined ? `over ${seconds.format(from)}` : `${number.format(from)}–${seconds.format(to)}`
}

/** @typedef {{ messages: number, right: number }} Route */

/**
 * Orders routes by the share of answered messages. Routes with too few messages come last, the largest of them first.
 *
 * @param {Route} a
 * @param {Route} b
 */
function weakestFirst(a, b) {
  const isEnough = [a.messages >= enough, b.messages >= enough]
  if (isEnough[0] !== isEnough[1]) return isEnough[0] ? -1 : 1
  return isEnough[0] ? a.right / a.messages - b.right / b.messages : b.messages - a.messages
}

/**
 * Returns the share of answered messages, marked if it is weak.
 *
 * @param {number} right
 * @param {number} sent
 */
function rate(right, sent) {
  const text = share(right, sent)
  return sent >= enough && right < weak * sent ? make('span', { className: 'weak' }, `▼ ${text}`) : text
}

/**
 * @param {Numbers} numbers
 * @param {Sum} sum
 * @param {Filter} filter
 */
function deliveredShare(numbers, sum, filter) {
  if (!sum.n('sent', filter)) return '–'
  const { n, of, isKnown } = numbers.delivered(sum, filter)
  return isKnown ? share(n, of) : 'no reports'
}

/**
 * @param {Numbers} numbers
 * @param {Sum} sum
 * @param {Filter} filter
 */
export function drawRegions(numbers, sum, { provider, region: only }) {
  const rows = sum.values('region').filter(region => only === undefined || region === only).map(region => {
    const sent = sum.n('sent', { region, provider })
    const failed = sum.n('failed', { region, provider: provider ?? 'none' })
    return { region, sent, failed, messages: sent + failed, right: sum.n('verified', { region, provider }) }
  }).sort((a, b) => weakestFirst(a, b) || regionName(a.region).localeCompare(regionName(b.region)))
  const { isKnown } = numbers.delivered(sum, { region: only, provider })
  fillColumns('regions', rows, [
    ['Region', ({ region }) => make('bdi', { lang: navigator.languages[0] }, regionName(region))],
    ['Answered', ({ right, sent }) => rate(right, sent)],
    provider ? null : ['Requested', ({ region }) => number.format(sum.n('requested', { region }))],
    ['Sent', ({ sent }) => number.format(sent)],
    isKnown ? ['Delivered', ({ region }) => deliveredShare(numbers, sum, { region, provider })] : null,
    ['Verified', ({ right }) => number.format(right)],
    ['Failed', ({ failed }) => number.format(failed)],
    provider ? null : ['Wrong attempts', ({ region }) => number.format(sum.all(wrongAttempts, { region }))],
    provider ? null : ['Refused', ({ region }) => number.format(sum.n('refused', { region }))],
  ], 'Nothing happened in this time.')
}

/**
 * @param {Numbers} numbers
 * @param {Sum} sum
 * @param {Filter} filter
 */
export function drawProviders(numbers, sum, { region, provider: only }) {
  const names = sum.values('provider', ['sent', 'failed', 'delivered', 'verified'])
  const rows = names.filter(name => name && (only === undefined || name === only)).map(provider => {
    const filter = { region, provider }
    const sent = sum.n('sent', filter)
    const failed = provider === 'none' ? 0 : sum.n('failed', filter)
    return { provider, sent, failed, messages: sent, right: sum.n('verified', filter) }
  })
    .filter(({ sent, right, failed }) => sent || right || failed)
    .sort((a, b) => weakestFirst(a, b) || a.provider.localeCompare(b.provider))
  const { isKnown } = numbers.delivered(sum, { region, provider: only })
  fillColumns('providers', rows, [
    ['Provider', ({ provider }) => providerName(provider)],
    ['Answered', ({ right, sent }) => rate(right, sent)],
    ['Sent', ({ sent }) => number.format(sent)],
    isKnown ? ['Delivered', ({ provider }) => deliveredShare(numbers, sum, { region, provider })] : null,
    ['Verified', ({ right }) => number.format(right)],
    ['Failed calls', ({ sent, failed }) => (
      failed ? `${number.format(failed)} (${share(failed, failed + sent)})` : number.format(0)
    )],
  ], 'No message was sent in this time.')
  const isUnknownShown = rows.some(({ provider }) => provider === 'none')
  setText($('providers-note'), isUnknownShown
    ? 'Not known: the provider of a code that came back before its provider was recorded.'
    : '')
}

/**
 * Fills a table by its columns. A column that is null is left out.
 *
 * @template Row
 * @param {string} id
 * @param {Row[]} rows
 * @param {([head: string, cell: (row: Row) => Cell] | null)[]} columns
 * @param {string} none
 */
function fillColumns(id, rows, columns, none) {
  const shown = columns.filter(column => column !== null)
  fillTable(id, shown.map(([head]) => head), rows.map(row => shown.map(([, cell]) => cell(row))), none)
}

/**
 * Draws what became of codes that came back.
 *
 * @param {Sum} sum
 * @param {Filter} filter
 */
export function drawAnswers(sum, filter) {
  const answers = outcomes
    .map(([event, reason, text]) => ({ event, text, n: sum.n(event, { ...filter, reason }) }))
    .filter(({ n }) => n)
  drawShares('answers', 'Answer', answers.map(({ event, text, n }) => (
    { head: text, n, kind: event === 'verified' ? 'verified' : 'wrong' }
  )), 'No code came back in this time.')
}

/**
 * @param {Sum} sum
 * @param {Filter} filter
 */
export function drawRefusals(sum, filter) {
  const refusals = sum.values('reason', ['refused'])
    .map(reason => ({ reason, n: sum.n('refused', { ...filter, reason }) }))
    .filter(({ n }) => n)
    .sort((a, b) => b.n - a.n)
  drawShares('refusals', 'Reason', refusals.map(({ reason, n }) => {
    const [text, setting] = reasons[reason] ?? [reason || 'No reason given', '']
    const head = make('span', {}, text)
    if (setting) head.append(' ', make('code', {}, setting))
    return { head, n, kind: 'refused' }
  }), 'No request was refused in this time.')
}

/**
 * @param {string} id
 * @param {string} name of the first column
 * @param {{ head: Cell, n: number, kind: string }[]} parts
 * @param {string} none
 */
function drawShares(id, name, parts, none) {
  const total = parts.reduce((sum, { n }) => sum + n, 0)
  fillTable(id, [name, barHead(), 'Times', 'Share'], parts.map(({ head, n, kind }) => (
    [head, bar(n / total, kind), number.format(n), share(n, total)]
  )), none)
}
