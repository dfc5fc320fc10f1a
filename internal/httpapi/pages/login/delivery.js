// @ts-check
// The message on its way: what has become of it, and the code that it brings.

import { Problem, sendStatus } from './api.js'
import { $ } from './dom.js'
import { now } from './state.js'

/** @import { Challenge, Page } from './_types.js' */

const pollSeconds = { queued: 1, sent: 4 } // the statuses that may still change
const slowAfter = 6 // seconds in the queue

/**
 * Returns the word for what has become of the message of a challenge.
 *
 * @param {Challenge} challenge
 */
function wordOf({ status, sent_at, channel = 'sms', again }) {
  if (status === 'queued' && now() > sent_at + slowAfter) return 'delivery_slow'
  if (status !== 'sent') return 'delivery_' + status
  if (channel !== 'sms') return 'delivery_sent_' + channel
  return again ?? 'delivery_sent'
}

export class Delivery {
  #page
  #arrived
  #dead
  /** Stops all that waits for the message. @type {AbortController | undefined} */
  #waiting

  /**
   * @param {Page} page
   * @param {object} handlers
   * @param {(code: string) => void} handlers.arrived is called with the code, if the browser has read it
   * @param {() => void} handlers.dead is called when the service no longer knows the send
   */
  constructor(page, { arrived, dead }) {
    this.#page = page
    this.#arrived = arrived
    this.#dead = dead
  }

  /** Waits for the message of the current challenge, in place of any other. */
  await() {
    this.stop()
    const { signal } = this.#waiting = new AbortController()
    if ('OTPCredential' in window) this.#readMessage(signal)
    this.#watch(signal)
  }

  stop() {
    this.#waiting?.abort()
    this.#waiting = undefined
  }

  render() {
    const { language: { words, problems }, state: { challenge } } = this.#page
    if (!challenge) return
    const text = challenge.over ? '' : navigator.onLine ? words[wordOf(challenge)] : problems.offline
    const element = $('delivery')
    if (element.textContent !== text) element.textContent = text
  }

  /**
   * Has the browser read the message (WebOTP).
   *
   * @param {AbortSignal} signal
   */
  #readMessage(signal) {
    const options = /** @type {CredentialRequestOptions} */ ({ otp: { transport: ['sms'] }, signal })
    navigator.credentials.get(options).then(credential => {
      const { code } = /** @type {{ code: string }} */ (/** @type {unknown} */ (credential))
      this.#arrived(code)
    }, () => {})
  }

  /** @param {AbortSignal} signal */
  async #watch(signal) {
    const { state, steps, task } = this.#page
    for (;;) {
      const seconds = this.#pollSeconds(signal)
      if (!seconds) return
      await new Promise(wake => setTimeout(wake, seconds * 1000))
      const { challenge } = state
      if (signal.aborted || document.hidden || !challenge?.request_id || !state.isChallengeUnexpired) continue
      try {
        const { status, resend_in } = await sendStatus(challenge.request_id)
        if (signal.aborted || !state.challenge || state.challenge.over) return
        const resendAt = Math.max(now() + resend_in, state.challenge.refused_until ?? 0)
        state.challenge = { ...state.challenge, status, resend_at: resendAt }
      } catch (caught) {
        if (signal.aborted) return
        // An unknown send has a dead code, or a code that was just used; then the reply of otp/verify is on its way.
        if (Problem.from(caught).code === 'not_found' && !task.isRunning) return this.#dead()
      }
      if (steps.current === 'code') this.render()
    }
  }

  /**
   * Returns when to ask for the status again, or 0 if it changes no more.
   *
   * @param {AbortSignal} signal
   */
  #pollSeconds(signal) {
    const { challenge, isChallengeUnexpired } = this.#page.state
    if (signal.aborted || !isChallengeUnexpired || !challenge?.request_id) return 0
    const { status } = challenge
    return status === 'queued' || status === 'sent' ? pollSeconds[status] : 0
  }
}
