// @ts-check
// The tokens of the person who is logged in. This file would be the same in an app of your own.

import { call, Problem, refreshTokens } from './api.js'
import { tab } from './storage.js'

/** @import { TokenReply } from './_types.js' */

const key = 'otp.refresh_token' // in sessionStorage

/**
 * Tokens keeps the access token in memory alone. The refresh token has to outlive a reload, so it is in sessionStorage,
 * which ends with the tab and which no other site can read. Neither is safe from a script that runs in this page, and
 * for that reason the page's policy allows no script but the service's own. An app with a server of its own behind the
 * page keeps the refresh token there, and gives the browser an HttpOnly cookie.
 */
export class Tokens {
  /** @type {{ token: string, until: number } | undefined} */
  #access
  /** @type {Promise<void> | undefined} */
  #refreshing

  // A duplicated tab has the same refresh token, and a token that is spent twice would end the session of both. So the
  // tabs tell each other: {spent, next} after a refresh, {spent} after the logout.
  #twins = channel(key)

  /** @param {() => void} loggedOut is called when a twin has logged out */
  constructor(loggedOut) {
    this.#twins.onmessage = ({ data: { spent, next } }) => {
      if (tab.getItem(key) !== spent) return
      if (next) return tab.setItem(key, next)
      this.#drop()
      loggedOut()
    }
  }

  get isLoggedIn() {
    return tab.getItem(key) !== null
  }

  /** @param {TokenReply} reply */
  keep({ access_token, expires_in, refresh_token }) {
    this.#access = { token: access_token, until: Date.now() + (expires_in - 10) * 1000 }
    tab.setItem(key, refresh_token)
  }

  forget() {
    const spent = tab.getItem(key)
    this.#drop()
    if (spent) this.#twins.postMessage({ spent })
  }

  #drop() {
    this.#access = undefined
    tab.removeItem(key)
  }

  /**
   * Makes a call in the name of the user, with an access token that is refreshed when it is due or refused.
   *
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   */
  async call(method, path, body) {
    if (!this.#access || Date.now() > this.#access.until) await this.#refresh()
    try {
      return await call(method, path, { token: this.#access?.token, body })
    } catch (caught) {
      if (Problem.from(caught).code !== 'invalid_token') throw caught
    }
    await this.#refresh()
    return call(method, path, { token: this.#access?.token, body })
  }

  /** Gets new tokens. A refresh token works once, so calls that need new tokens at the same time share one refresh. */
  #refresh() {
    this.#refreshing ??= this.#renew().finally(() => { this.#refreshing = undefined })
    return this.#refreshing
  }

  /**
   * Spends the refresh token. If a twin, a logout or another login has replaced that token before the reply arrives,
   * the reply is dropped, and the token of the moment is spent.
   *
   * @returns {Promise<void>}
   */
  async #renew() {
    const spent = tab.getItem(key)
    if (!spent) throw new Problem('invalid_refresh_token')
    let reply
    try {
      reply = await refreshTokens(spent)
    } catch (caught) {
      if (tab.getItem(key) === spent) {
        if (Problem.from(caught).code === 'invalid_refresh_token') this.forget()
        throw caught
      }
    }
    if (!reply || tab.getItem(key) !== spent) return this.#renew()
    this.keep(reply)
    this.#twins.postMessage({ spent, next: reply.refresh_token })
  }
}

/**
 * @param {string} name
 * @returns {Pick<BroadcastChannel, 'postMessage' | 'onmessage'>}
 */
function channel(name) {
  try {
    return new BroadcastChannel(name)
  } catch { // it is forbidden together with storage, and without storage there are no twins
    return { postMessage() {}, onmessage: null }
  }
}
