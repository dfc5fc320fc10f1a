// @ts-check
// The state that the steps share. It belongs to the State object, whose methods keep in the tab what has to survive a
// reload; the rest of the page keeps only what one part alone needs.

import { recall, tab } from './storage.js'

/** @import { Account, Challenge, Purpose, TypedPhone } from './_types.js' */

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

  #login
  #purpose
  /** What was typed for the login, during another purpose. */
  #typedForLogin = this.#typed

  /** @param {Purpose} login */
  constructor(login) {
    this.#login = this.#purpose = login
  }

  /** What the code is for. */
  get purpose() {
    return this.#purpose
  }

  get isLogin() {
    return this.#purpose === this.#login
  }

  /**
   * Begins another purpose than the login. Its phone and its challenge are its own, and are not kept in the tab.
   *
   * @param {Purpose} purpose
   */
  begin(purpose) {
    this.end()
    this.#purpose = purpose
    this.#typedForLogin = this.#typed
    this.#typed = { region: this.#typed.region, digits: '', international: false }
  }

  /** Returns to the purpose of a login, if another one has begun. */
  end() {
    if (this.isLogin) return
    this.#purpose.end()
    this.#purpose = this.#login
    this.#typed = this.#typedForLogin
    this.challenge = null
  }

  /** The phone as the person has typed it so far. */
  get typed() {
    return this.#typed
  }

  set typed(typed) {
    this.#typed = typed
    if (this.isLogin) tab.setItem('otp.number', JSON.stringify(typed))
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
    if (challenge && this.isLogin) tab.setItem('otp.pending', JSON.stringify(challenge))
    else tab.removeItem('otp.pending')
  }

  /** Reports whether the code has not expired yet. A burnt or used code counts as well: see Challenge.over. */
  get isChallengeUnexpired() {
    return this.#challenge !== null && now() < this.#challenge.expires_at
  }
}
