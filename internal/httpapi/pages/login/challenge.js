// @ts-check
// The challenge: a code from its first message until it is used, burnt or expired.

import { Problem } from './api.js'
import { now } from './state.js'

/** @import { AskedPhone, Challenge, Channel, Page, Purpose } from './_types.js' */

/**
 * Asks for a message to a phone. While a challenge of the phone is alive, the message repeats its code.
 *
 * @param {Purpose} purpose
 * @param {AskedPhone} asked
 * @param {string} locale
 * @param {Channel} [channel] Defaults to the usual one.
 * @returns {Promise<Challenge>}
 */
export async function requestMessage(purpose, asked, locale, channel) {
  const reply = await purpose.request(asked, locale, channel)
  const usual = reply.channels.includes('sms') ? 'sms' : reply.channels[0] // as the service chooses it
  return {
    asked,
    phone: reply.phone,
    request_id: reply.request_id,
    code_length: reply.code_length,
    sent_at: now(),
    resend_at: now() + reply.resend_in,
    expires_at: now() + reply.expires_in,
    status: 'queued',
    channel: reply.channel,
    channels: reply.channels.filter(other => other !== usual),
  }
}

/**
 * Asks for a code for the purpose of the moment, and leads to its step. It throws the Problem of a refusal, unless a
 * message was sent a moment ago.
 *
 * @param {Page} page
 * @param {AskedPhone} asked
 * @param {string} phone for the eye
 * @param {() => boolean} isAwaited
 */
export async function askForCode({ language, notice, settings, state, steps }, asked, phone, isAwaited) {
  let challenge
  let isTooSoon = false
  try {
    challenge = await requestMessage(state.purpose, asked, language.tag)
  } catch (caught) {
    const problem = Problem.from(caught)
    isTooSoon = problem.code === 'resend_too_soon'
    if (!isTooSoon) throw problem
    challenge = challengeOfOthers(asked, phone, settings.code_length, problem.retryAfter)
  }
  if (!isAwaited()) return
  state.challenge = challenge
  steps.push('code')
  if (isTooSoon) notice.show('resend_too_soon')
}

/**
 * Returns what is known of the challenge of a phone that got its message a moment ago, by another tab for example. It
 * lives for ten minutes at most.
 *
 * @param {AskedPhone} asked
 * @param {string} phone for the eye
 * @param {number} codeLength
 * @param {number} resendIn seconds
 * @returns {Challenge}
 */
const challengeOfOthers = (asked, phone, codeLength, resendIn) => ({
  asked,
  phone,
  code_length: codeLength,
  sent_at: now(),
  resend_at: now() + resendIn,
  expires_at: now() + 600,
  status: 'sent',
})

/**
 * @param {AskedPhone} a
 * @param {AskedPhone} b
 */
export const isSame = (a, b) => a.phone === b.phone && a.region === b.region
