// @ts-check
// The look-up of a message by the identifier that a person brings along.

import { $, make, setText } from './dom.js'
import { clockSeconds, dayAt, many, seconds } from './words.js'

/** @import { Cell, LookupReply, MessageReply } from './_types.js' */

/** What the kinds of identifiers are, and what the log has about them. @type {Record<LookupReply['kind'], string>} */
const kinds = {
  ticket: 'This is the request_id of a message.',
  request: 'This is the identifier of an HTTP request. The log has what was asked and answered, and what became of the '
    + 'message, in every copy.',
  message: 'This is the identifier of a message. The log has what became of it; the request_id of these lines leads to '
    + 'the request.',
  trace: 'This is the identifier of a trace. The log has every line about it.',
  unknown: 'This is no identifier of this service: neither the request_id of a message or of a problem, nor an '
    + 'X-Request-ID, nor the identifier of a message.',
}

/** What the states of a message mean. @type {Record<string, string>} */
const states = {
  queued: 'Queued: no provider has accepted it yet.',
  sent: 'Sent: a provider has accepted it, and has not reported on it.',
  delivered: 'Delivered: the provider reports that the phone has received it.',
  failed: 'Failed: no provider accepted it, or the provider reports that it cannot be delivered.',
}

/** Lets the operator look messages up. */
export class Lookup {
  #input = $('request-id', HTMLInputElement)

  constructor() {
    $('lookup-form').addEventListener('submit', event => {
      event.preventDefault()
      this.#find()
    })
  }

  async #find() {
    const text = this.#input.value.trim()
    if (!text) return
    const reply = await ask(text)
    setText($('found-text'), reply ? kinds[reply.kind] : 'The service does not answer.')
    const rows = reply?.message ? describe(reply.message) : []
    $('found-rows').replaceChildren(...rows.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)]))
    $('found-log').hidden = !reply?.search
    if (reply?.search) setText($('command'), `docker compose logs --no-log-prefix otp | grep -F ${reply.search}`)
    $('found').hidden = false
  }
}

/**
 * Returns what is known of a message, as names and values.
 *
 * @param {MessageReply} message
 * @returns {[string, Cell][]}
 */
function describe({ id, send, purpose, opened_at, redis_answers, live }) {
  const opened = Date.parse(opened_at) / 1000
  const nth = send === 1 ? 'the first message of its code' : `message ${send} of its code`
  const what = `${nth}, for a ${purpose === 'login' ? 'login' : 'change of phone'}`
  /** @type {[string, Cell][]} */
  const rows = [
    ['Message', make('code', {}, id)],
    ['Which', what],
    ['Code first requested', `${dayAt(opened)} (${clockSeconds.format(opened * 1000)})`],
  ]
  if (!redis_answers) return [['Status', 'Redis does not answer; ask again later.'], ...rows]
  if (!live) {
    return [['Status', 'The code is dead: it was used or burnt, or has expired. Only the log knows more.'], ...rows]
  }
  rows.unshift(['Status', states[live.state]])
  if (live.provider) rows.push(['Provider', live.provider])
  rows.push(
    ['Attempts', live.wrong_attempts ? many(live.wrong_attempts, 'wrong attempt', 'wrong attempts') : 'none was wrong'],
    ['The code lives for', `${seconds.format(live.expires_in)} more`],
  )
  return rows
}

/**
 * @param {string} text
 * @returns {Promise<LookupReply | null>} null if the service does not answer
 */
async function ask(text) {
  try {
    const response = await fetch(`message.json?request_id=${encodeURIComponent(text)}`, { cache: 'no-store' })
    return response.ok ? await response.json() : null
  } catch {
    return null
  }
}
