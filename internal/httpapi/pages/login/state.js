// @ts-check
// The state that the steps share. It belongs to the State object, whose methods keep in the tab what has to survive a
// reload; the rest of the page keeps only what one part alone needs.

import { recall, tab } from './storage.js'

/** @import { Account, Challenge, TypedPhone } from './_types.js' */

/** Returns seconds of this machine's clock. They are compared only with each other: the service's clock may differ. */
export const now = () => Date.now() / 1000

/**
 * Returns the challenge that the tab remembers. Before version 1.1.0 the phone that was asked for was a text.
 *
 * @returns {Challenge | null}
 */
function recallChallenge() {
  const kept = recall('otp.pending')
  if (typeof kept?.asked === 'string') kept.asked = { phone: kept.asked }
  return kept
}

export class State {
  /** The person who is logged in. @type {Account | undefined} */
  account

  /** @type {TypedPhone} */
  #typed = { region: '', digits: '', international: false }

  /** @type {Challenge | null} */
  #challenge = recallChallenge()

  /** The phone as the person has typed it so far. */
  get typed() {
    return this.#typed
  }

  set typed(typed) {
    this.#typed = typed
    tab.setItem('otp.number', JSON.stringify(typed))
  }

  /**
   * Takes up what the tab remembers of the typed phone, if its region is offered.
   *
   * @param {(region: string) => boolean} isOffered
   * @param {() => string} defaultRegion
   */
  recallTyped(isOffered, defaultRegion) {
    const kept = recall('otp.number')
    const usable = isOffered(kept?.region) && typeof kept.digits === 'string'
    this.#typed = usable ? kept : { region: defaultRegion(), digits: '', international: false }
  }

  /** The code that the person was asked for, dead or alive; null if there is none. */
  get challenge() {
    return this.#challenge
  }

  set challenge(challenge) {
    this.#challenge = challenge
    if (challenge) tab.setItem('otp.pending', JSON.stringify(challenge))
    else tab.removeItem('otp.pending')
  }

  /** Reports whether the code has not expired yet. A burnt or used code counts as well: see Challenge.over. */
  get isChallengeUnexpired() {
    return this.#challenge !== null && now() < this.#challenge.expires_at
  }
}
