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
 * Asks for a code for the purpose of the moment, and leads to its step. It throws the Problem of a refusal, unless the
 * code of an earlier message still works.
 *
 * @param {Page} page
 * @param {AskedPhone} asked
 * @param {string} phone for the eye
 * @param {() => boolean} isAwaited
 */
export async function askForCode({ language, notice, state, steps }, asked, phone, isAwaited) {
  let challenge
  let word = ''
  try {
    challenge = await requestMessage(state.purpose, asked, language.tag)
  } catch (caught) {
    const problem = Problem.from(caught)
    challenge = afterRefusal(problem, { asked, phone, ...earlier(state.challenge, asked) })
    if (!challenge) throw asRefusal(problem)
    word = wordOfRefusal(problem)
  }
  if (!isAwaited()) return
  state.challenge = challenge
  steps.push('code')
  if (word) notice.show(word)
}

/**
 * Returns the challenge, if it is one of the phone.
 *
 * @param {Challenge | null} challenge
 * @param {AskedPhone} asked
 */
const earlier = (challenge, asked) => challenge && isSame(challenge.asked, asked) ? challenge : undefined

/**
 * Returns the challenge whose code can be typed although a message was refused, or undefined if there is none. That is
 * the one that the page has itself asked for, as long as it lives, because the service keeps it for its request_id. Or
 * else it is the live one of the phone that others have asked for, another tab for example.
 *
 * @param {Problem} problem
 * @param {Partial<Challenge> & Pick<Challenge, 'asked' | 'phone'>} known the challenge that the page has, or what is
 * known of the phone
 * @returns {Challenge | undefined}
 */
export function afterRefusal(problem, known) {
  const { code, live, retryAfter } = problem
  if (!isThrottled(problem)) return undefined
  const resend_at = now() + retryAfter
  const wait = { resend_at, refused_until: code === 'too_many_requests' ? resend_at : undefined }
  const isOwn = known.request_id !== undefined && !known.over && now() < (known.expires_at ?? 0)
  if (isOwn) return { .../** @type {Challenge} */ (known), ...wait }
  const { asked, phone, channels } = known
  return live && {
    asked,
    phone,
    channels,
    code_length: live.code_length,
    sent_at: now(),
    expires_at: now() + live.expires_in,
    status: 'sent',
    ...wait,
  }
}

/** @param {Problem} problem */
export const isThrottled = ({ code }) => code === 'resend_too_soon' || code === 'too_many_requests'

/**
 * Returns the problem of a message that was refused while no code can be typed.
 *
 * @param {Problem} problem
 */
export const asRefusal = problem =>
  isThrottled(problem) ? new Problem('too_many_requests', problem.retryAfter) : problem

/**
 * Returns the word for a message that was refused while a code can be typed.
 *
 * @param {Problem} problem
 */
export const wordOfRefusal = ({ code }) => code === 'resend_too_soon' ? code : 'code_live'

/**
 * @param {AskedPhone} a
 * @param {AskedPhone} b
 */
export const isSame = (a, b) => a.phone === b.phone && a.region === b.region
